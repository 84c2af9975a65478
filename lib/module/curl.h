/* SPDX-License-Identifier: MIT */
/* HTTP over Unix sockets. */
#ifndef NOVA_LIB_MODULE_CURL_H
#define NOVA_LIB_MODULE_CURL_H

#define CURL_DISABLE_TYPECHECK /* it makes macros of functions */
#include <curl/curl.h>

#include "module/module.h"

#undef curl_easy_getinfo
#undef curl_easy_setopt

#define CURL_FUNCTIONS(F)                                                                          \
	F(curl_easy_cleanup)                                                                       \
	F(curl_easy_getinfo)                                                                       \
	F(curl_easy_init)                                                                          \
	F(curl_easy_perform)                                                                       \
	F(curl_easy_setopt)                                                                        \
	F(curl_easy_strerror)                                                                      \
	F(curl_slist_append)                                                                       \
	F(curl_slist_free_all)

MODULE_DOOR(curl, MODULE_CURL, CURL_FUNCTIONS)

#ifndef IN_MODULE
#define curl_easy_cleanup   curl_functions()->curl_easy_cleanup
#define curl_easy_getinfo   curl_functions()->curl_easy_getinfo
#define curl_easy_init      curl_functions()->curl_easy_init
#define curl_easy_perform   curl_functions()->curl_easy_perform
#define curl_easy_setopt    curl_functions()->curl_easy_setopt
#define curl_easy_strerror  curl_functions()->curl_easy_strerror
#define curl_slist_append   curl_functions()->curl_slist_append
#define curl_slist_free_all curl_functions()->curl_slist_free_all
#endif

#endif
