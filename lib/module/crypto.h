/* SPDX-License-Identifier: MIT */
/* SHA-256 and AES-256-GCM. */
#ifndef NOVA_LIB_MODULE_CRYPTO_H
#define NOVA_LIB_MODULE_CRYPTO_H

/* SHA256_…() and not EVP: that loads providers and a configuration file into the program, for the
 * same instructions. Ciphers are used in a context of their own, which reads no such file: only
 * EVP has the ones that take the same time for every key. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#include <openssl/sha.h>

#include "module/module.h"

#define CRYPTO_FUNCTIONS(F)                                                                        \
	F(EVP_CIPHER_CTX_ctrl)                                                                     \
	F(EVP_CIPHER_CTX_free)                                                                     \
	F(EVP_CIPHER_CTX_new)                                                                      \
	F(EVP_CIPHER_fetch)                                                                        \
	F(EVP_CIPHER_free)                                                                         \
	F(EVP_CipherFinal_ex)                                                                      \
	F(EVP_CipherInit_ex2)                                                                      \
	F(EVP_CipherUpdate)                                                                        \
	F(OPENSSL_init_crypto)                                                                     \
	F(OSSL_LIB_CTX_free)                                                                       \
	F(OSSL_LIB_CTX_new)                                                                        \
	F(SHA256_Final)                                                                            \
	F(SHA256_Init)                                                                             \
	F(SHA256_Update)

MODULE_DOOR(crypto, MODULE_CRYPTO, CRYPTO_FUNCTIONS)

#ifndef IN_MODULE
#define EVP_CIPHER_CTX_ctrl crypto_functions()->EVP_CIPHER_CTX_ctrl
#define EVP_CIPHER_CTX_free crypto_functions()->EVP_CIPHER_CTX_free
#define EVP_CIPHER_CTX_new  crypto_functions()->EVP_CIPHER_CTX_new
#define EVP_CIPHER_fetch    crypto_functions()->EVP_CIPHER_fetch
#define EVP_CIPHER_free     crypto_functions()->EVP_CIPHER_free
#define EVP_CipherFinal_ex  crypto_functions()->EVP_CipherFinal_ex
#define EVP_CipherInit_ex2  crypto_functions()->EVP_CipherInit_ex2
#define EVP_CipherUpdate    crypto_functions()->EVP_CipherUpdate
#define OPENSSL_init_crypto crypto_functions()->OPENSSL_init_crypto
#define OSSL_LIB_CTX_free   crypto_functions()->OSSL_LIB_CTX_free
#define OSSL_LIB_CTX_new    crypto_functions()->OSSL_LIB_CTX_new
#define SHA256_Final        crypto_functions()->SHA256_Final
#define SHA256_Init         crypto_functions()->SHA256_Init
#define SHA256_Update       crypto_functions()->SHA256_Update
#endif

#endif
