// libcrypto: message digests and HMAC, nothing else; and the cyclic redundancy checks, which libcrypto does not have.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

// HMAC-SHA256 of `data`; `output` has room for 32 bytes. 1 on success.
static inline int sluice_hmac_sha256(const void *key, size_t key_length, const void *data, size_t data_length,
                                     unsigned char *output) {
    unsigned int length = 0;
    return HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)data, data_length, output, &length) != NULL
           && length == 32;
}

// Tables for a reflected CRC of up to 64 bits, eight bytes a step ("slicing-by-8", Kounavis and Berry, 2005).
typedef struct {
    uint64_t slice[8][256];
} sluice_crc_tables;

static inline void sluice_crc_prepare(sluice_crc_tables *tables, uint64_t reflected_polynomial) {
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = rest & 1 ? rest >> 1 ^ reflected_polynomial : rest >> 1;
        tables->slice[0][byte] = rest;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t former = tables->slice[slice - 1][byte];
            tables->slice[slice][byte] = tables->slice[0][former & 255] ^ former >> 8;
        }
    }
}

// The register after `count` more bytes.
static inline uint64_t sluice_crc_update(const sluice_crc_tables *tables, uint64_t crc, const void *data, size_t count) {
    const unsigned char *bytes = (const unsigned char *)data;
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word = 0;
        for (int byte = 0; byte < 8; byte++) word |= (uint64_t)bytes[byte] << 8 * byte;
        crc ^= word;
        crc = tables->slice[7][crc & 255] ^ tables->slice[6][crc >> 8 & 255] ^ tables->slice[5][crc >> 16 & 255]
              ^ tables->slice[4][crc >> 24 & 255] ^ tables->slice[3][crc >> 32 & 255] ^ tables->slice[2][crc >> 40 & 255]
              ^ tables->slice[1][crc >> 48 & 255] ^ tables->slice[0][crc >> 56];
    }
    for (; count > 0; bytes++, count--) crc = tables->slice[0][(crc ^ *bytes) & 255] ^ crc >> 8;
    return crc;
}
