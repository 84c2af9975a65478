/* SPDX-License-Identifier: MIT */
/* Programs and shared objects that belong to the library. */
#ifndef NOVA_LIB_BASE_PROGRAM_H
#define NOVA_LIB_BASE_PROGRAM_H

#include <stddef.h>

#include <nova/base.h>

/* Path of one of libnova's own programs: what the variable (NULL: none) says, else beside the
 * library (as in the build tree), else where it is installed. 0 or NOVA_ENOTFOUND with the way out.
 */
int program_find(const char *name, const char *variable, char **ret_path, nova_error_t **error);
/* A file in one of these places, relative to the directory that libnova.so (or the program that has
 * it inside) is in. -ENOENT. */
int library_beside(const char *const *places, size_t count, const char *name, char **ret_path);
/* A shared object that keeps its names to itself and stays when libnova.so is unloaded: what it
 * holds, as SQLite's memory, has no end. -ELIBACC: see dlerror(). */
int sys_load(const char *path, void **ret_handle);

#endif
