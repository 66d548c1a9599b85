// xxHash: XXH3, fast enough to look at all that is read from the disk.
#pragma once

#include <xxhash.h>
#if defined(__x86_64__)
// By AVX2 or AVX-512 where the processor has them.
#include <xxh_x86dispatch.h>
#endif

static inline void sluice_xxh3_update(XXH3_state_t *state, const void *bytes, size_t count) {
    XXH3_64bits_update(state, bytes, count);
}
