#include "CCRC.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>
#endif

static uint64_t times_x(uint64_t rest, uint64_t reflected_polynomial) {
    return rest & 1 ? rest >> 1 ^ reflected_polynomial : rest >> 1;
}

// x^exponent modulo the polynomial, as the upper `bits` of a word that has its highest power in its lowest bit.
static uint64_t power(int exponent, int bits, uint64_t reflected_polynomial) {
    uint64_t rest = (uint64_t)1 << (bits - 1);
    for (; exponent > 0; exponent--) rest = times_x(rest, reflected_polynomial);
    return rest << (64 - bits);
}

void sluice_crc_prepare(sluice_crc_code *code, int bits, uint64_t reflected_polynomial) {
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = times_x(rest, reflected_polynomial);
        code->slice[0][byte] = rest;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t former = code->slice[slice - 1][byte];
            code->slice[slice][byte] = code->slice[0][former & 255] ^ former >> 8;
        }
    }
    // The first eight bytes stand 64 bits before the second. A product of reflected words is one bit short: hence the -1.
    for (int half = 0; half < 2; half++) {
        int ahead = half == 0 ? 64 : 0;
        code->by_64[half] = power(512 + ahead - 1, bits, reflected_polynomial);
        code->by_16[half] = power(128 + ahead - 1, bits, reflected_polynomial);
    }
}

static uint64_t update_by_tables(const sluice_crc_code *code, uint64_t crc, const void *data, size_t count) {
    const unsigned char *bytes = data;
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word = 0;
        for (int byte = 0; byte < 8; byte++) word |= (uint64_t)bytes[byte] << 8 * byte;
        crc ^= word;
        crc = code->slice[7][crc & 255] ^ code->slice[6][crc >> 8 & 255] ^ code->slice[5][crc >> 16 & 255]
              ^ code->slice[4][crc >> 24 & 255] ^ code->slice[3][crc >> 32 & 255] ^ code->slice[2][crc >> 40 & 255]
              ^ code->slice[1][crc >> 48 & 255] ^ code->slice[0][crc >> 56];
    }
    for (; count > 0; bytes++, count--) crc = code->slice[0][(crc ^ *bytes) & 255] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__) || defined(__aarch64__)

typedef uint64_t block __attribute__((vector_size(16)));

#if defined(__x86_64__)
#define MULTIPLIES __attribute__((target("pclmul,sse2")))

static bool can_multiply(void) { return __builtin_cpu_supports("pclmul"); }

MULTIPLIES static inline block moved(block from, block by) {
    return (block)_mm_clmulepi64_si128((__m128i)from, (__m128i)by, 0x00)
           ^ (block)_mm_clmulepi64_si128((__m128i)from, (__m128i)by, 0x11);
}
#else
#define MULTIPLIES __attribute__((target("aes")))

static bool can_multiply(void) { return getauxval(AT_HWCAP) & HWCAP_PMULL; }

MULTIPLIES static inline block moved(block from, block by) {
    return (block)vmull_p64(from[0], by[0]) ^ (block)vmull_p64(from[1], by[1]);
}
#endif

MULTIPLIES static inline block load(const unsigned char *bytes) {
    block loaded;
    memcpy(&loaded, bytes, sizeof loaded);
    return loaded;
}

// Of 64 bytes and more: four blocks at a time are moved onto the next four, then onto the last of them, and so on to the last
// whole block, which is worth all before it.
MULTIPLIES static uint64_t update_by_multiplication(const sluice_crc_code *code, uint64_t crc, const unsigned char *bytes,
                                                    size_t count) {
    const block by_64 = load((const unsigned char *)code->by_64), by_16 = load((const unsigned char *)code->by_16);
    block rest[4];
    for (int lane = 0; lane < 4; lane++) rest[lane] = load(bytes + 16 * lane);
    rest[0][0] ^= crc;
    for (bytes += 64, count -= 64; count >= 64; bytes += 64, count -= 64) {
        for (int lane = 0; lane < 4; lane++) rest[lane] = moved(rest[lane], by_64) ^ load(bytes + 16 * lane);
    }
    block last = rest[0];
    for (int lane = 1; lane < 4; lane++) last = moved(last, by_16) ^ rest[lane];
    for (; count >= 16; bytes += 16, count -= 16) last = moved(last, by_16) ^ load(bytes);
    return update_by_tables(code, update_by_tables(code, 0, &last, sizeof last), bytes, count);
}

uint64_t sluice_crc_update(const sluice_crc_code *code, uint64_t crc, const void *data, size_t count) {
    return count >= 64 && can_multiply() ? update_by_multiplication(code, crc, data, count)
                                         : update_by_tables(code, crc, data, count);
}

#else

uint64_t sluice_crc_update(const sluice_crc_code *code, uint64_t crc, const void *data, size_t count) {
    return update_by_tables(code, crc, data, count);
}

#endif
