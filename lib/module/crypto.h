/* SPDX-License-Identifier: MIT */
/* SHA-256. */
#ifndef NOVA_LIB_MODULE_CRYPTO_H
#define NOVA_LIB_MODULE_CRYPTO_H

/* SHA256_…() and not EVP: that loads providers and a configuration file into the program, for the
 * same instructions. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/opensslv.h>
#include <openssl/sha.h>

#include "module/module.h"

#define CRYPTO_FUNCTIONS(F)                                                                        \
	F(SHA256_Final)                                                                            \
	F(SHA256_Init)                                                                             \
	F(SHA256_Update)

MODULE_DOOR(crypto, MODULE_CRYPTO, CRYPTO_FUNCTIONS)

#ifndef IN_MODULE
#define SHA256_Final  crypto_functions()->SHA256_Final
#define SHA256_Init   crypto_functions()->SHA256_Init
#define SHA256_Update crypto_functions()->SHA256_Update
#endif

#endif
