/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/crypto.h"

MODULE(crypto, CRYPTO_FUNCTIONS, OPENSSL_VERSION_TEXT);
