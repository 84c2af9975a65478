/* SPDX-License-Identifier: MIT */
/* Modules are files. */
#include "module/module.h"

const struct module_table *module_builtin(enum module module)
{
	(void)module;
	return NULL;
}
