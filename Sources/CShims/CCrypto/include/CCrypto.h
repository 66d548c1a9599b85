// libcrypto: message digests and HMAC, nothing else.
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
