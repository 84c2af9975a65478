/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <pg_config.h>

#define IN_MODULE
#include "module/postgres.h"

#ifndef NOVA_MODULE_FILE /* linked with the library */
MODULE(postgres, POSTGRES_FUNCTIONS, "libpq " PG_VERSION);
#else
/*
 * Distributions have no whole archive of libpq, and TLS belongs to those who mend it: so this one
 * stays a library of the system. Its functions are asked for by its own handle, so that no name of
 * the program takes their place.
 */
MODULE_NOTE(postgres);

static struct postgres_functions table;

#define FIND(f) table.f = (__typeof__(table.f))dlsym(libpq, #f);

__attribute__((constructor)) static void find_functions(void)
{
	void *libpq = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
	if (libpq) {
		POSTGRES_FUNCTIONS(FIND)
	}
}

const struct module_table nova_module_postgres = { POSTGRES_FUNCTIONS(MODULE_NAME),
	"libpq of the system, " PG_VERSION " when built", &table };
#endif
