/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <stddef.h>

#include "zygote/next.h"

void *next_function(void *_Atomic *known, const char *name, const char *version)
{
	void *function = *known;
	if (!function) {
		function = version ? dlvsym(RTLD_NEXT, name, version) : dlsym(RTLD_NEXT, name);
		*known = function;
	}
	return function;
}
