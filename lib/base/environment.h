/* SPDX-License-Identifier: MIT */
/* The variables of this process, for programs that may be trusted with them. */
#ifndef NOVA_LIB_BASE_ENVIRONMENT_H
#define NOVA_LIB_BASE_ENVIRONMENT_H

#include <stdbool.h>

/* A variable; NULL too where env_is_borrowed(). */
const char *env_get(const char *name);
/* All of them, "NAME=value", ending with NULL; none where env_is_borrowed(). */
const char *const *env_all(void);
/* This program has rights that whoever started it lacks: setuid, setgid, file capabilities. */
bool env_is_borrowed(void);

#endif
