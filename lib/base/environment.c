/* SPDX-License-Identifier: MIT */
/*
 * The one place that reads the environment. Whoever starts a program chooses it, so one that runs
 * with rights which that user lacks (setuid, setgid, file capabilities) must not obey it.
 */
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/environment.h"

bool env_is_borrowed(void)
{
	return getauxval(AT_SECURE) != 0;
}

const char *env_get(const char *name)
{
	return secure_getenv(name);
}

const char *const *env_all(void)
{
	static const char *const none[] = { NULL };
	return env_is_borrowed() || !environ ? none : (const char *const *)environ;
}
