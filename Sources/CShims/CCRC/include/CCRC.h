// Reflected cyclic redundancy checks of up to 64 bits, which libcrypto does not have; zlib has one of them, and no library
// of Debian 12 has CRC-64/NVME.
#pragma once

#include <stddef.h>
#include <stdint.h>

// What one polynomial needs.
typedef struct {
    // Eight bytes a step ("slicing-by-8", Kounavis and Berry, 2005).
    uint64_t slice[8][256];
    // What moves 16 bytes of a message to 64 and to 16 bytes behind ("Fast CRC Computation for Generic Polynomials Using
    // PCLMULQDQ Instruction", Gopal and others, Intel, 2009).
    uint64_t by_64[2], by_16[2];
} sluice_crc_code;

// `bits`: 8 to 64, of the polynomial without its highest term.
void sluice_crc_prepare(sluice_crc_code *code, int bits, uint64_t reflected_polynomial);

// The register after `count` more bytes: by carry-less multiplication where the processor has it, else by the tables.
uint64_t sluice_crc_update(const sluice_crc_code *code, uint64_t crc, const void *data, size_t count);
