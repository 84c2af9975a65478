/* SPDX-License-Identifier: MIT */
/*
 * The door of module: libraries of others, each behind one header here.
 *
 * A module is a shared object beside libnova.so that holds one library, or a few that belong
 * together, linked in with hidden names, and exports nothing but a table of those of its functions
 * that are called. It is loaded on first use. So a program that does not use a library does not pay
 * for it, and no name of its own, or of another library, can take the place of one of ours: a call
 * goes through the table to the function that was linked beside it. RTLD_DEEPBIND is not needed,
 * and malloc() stays the program's.
 *
 * Where libnova is linked statically, and in its own tests, the same tables are inside.
 */
#ifndef NOVA_LIB_MODULE_H
#define NOVA_LIB_MODULE_H

#include <assert.h>

#include "base/base.h"

enum module {
	MODULE_COMPRESS,
	MODULE_CRYPTO,
	MODULE_CURL,
	MODULE_EXT2FS,
	MODULE_NETLINK,
	MODULE_POSTGRES,
	MODULE_REDIS,
	MODULE_SQLITE,
	MODULE_YAML,
	MODULES,
};

/* What a module exports. */
struct module_table {
	const char *functions; /* their names, in the order of the table */
	const char *contents;  /* the libraries inside with their versions */
	const void *table;
};

/*
 * Loads a module whose table has these functions, if it is not there yet. Any thread; no lock is
 * held meanwhile. NOVA_ENOTSUP: it is not installed, or cannot be loaded; NOVA_EABI: it is of
 * another version of libnova; NOVA_ECORRUPT: the file is cut off, or no module.
 */
int module_load(enum module module, const char *functions, nova_error_t **error);
const void *module_table(enum module module);    /* NULL: not loaded */
const char *module_contents(enum module module); /* "": not loaded */

/* builtin.c has them inside, none.c has not: NULL. */
const struct module_table *module_builtin(enum module module);

/* elf.c: whether a file is a whole module of this name and version, without running any of its
 * code. 0, NOVA_EABI, NOVA_ECORRUPT, or what the system refuses. */
int module_check(const char *path, const char *name, nova_error_t **error);

/* --- for the doors: LIST(F) is F(function) for each function --- */

#define MODULE_FIELD(f) __typeof__(f) *f;
#define MODULE_NAME(f)  #f " "
#define MODULE_VALUE(f) .f = f,

/* struct NAME_functions; NAME_load(), which is called before anything else of the library;
 * NAME_functions(). */
#define MODULE_DOOR(name, id, LIST)                                                                \
	struct name##_functions {                                                                  \
		LIST(MODULE_FIELD)                                                                 \
	};                                                                                         \
	extern const struct module_table nova_module_##name;                                       \
	static inline int name##_load(nova_error_t **ret_error)                                    \
	{                                                                                          \
		return module_load(id, LIST(MODULE_NAME), ret_error);                              \
	}                                                                                          \
	static inline const struct name##_functions *name##_functions(void)                        \
	{                                                                                          \
		const void *table = module_table(id);                                              \
		assert(table);                                                                     \
		return table;                                                                      \
	}

/* --- for the modules --- */

/* Says in the file what it is, so that one of another version is refused before any of its code
 * runs. */
struct module_note {
	uint32_t owner_len, text_len, type;
	char owner[8];
	char name[16], version[16];
};
#define MODULE_OWNER   "nova"
#define MODULE_TYPE    1u
#define MODULE_SECTION ".note.nova"

#define MODULE(id, LIST, libraries)                                                                \
	static const struct id##_functions table = { LIST(MODULE_VALUE) };                         \
	const struct module_table nova_module_##id = { LIST(MODULE_NAME), libraries, &table };     \
	MODULE_NOTE(id)

#define MODULE_NOTE(id)                                                                            \
	static const struct module_note note                                                       \
		__attribute__((section(MODULE_SECTION), used, aligned(4))) = {                     \
			sizeof(MODULE_OWNER),                                                      \
			sizeof(note.name) + sizeof(note.version),                                  \
			MODULE_TYPE,                                                               \
			MODULE_OWNER,                                                              \
			#id,                                                                       \
			NOVA_VERSION_STRING,                                                       \
		}

#endif
