/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/curl.h"

MODULE(curl, CURL_FUNCTIONS, "libcurl " LIBCURL_VERSION);
