/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/redis.h"

#define TEXT_OF(x)   #x
#define NUMBER_OF(x) TEXT_OF(x)

MODULE(redis, REDIS_FUNCTIONS,
	"hiredis " NUMBER_OF(HIREDIS_MAJOR) "." NUMBER_OF(HIREDIS_MINOR) "." NUMBER_OF(
		HIREDIS_PATCH));
