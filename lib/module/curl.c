/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/curl.h"

MODULE_OF_SHARED(curl, CURL_FUNCTIONS, "the libcurl of this system");
