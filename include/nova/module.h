/* SPDX-License-Identifier: MIT */
/**
 * @file nova/module.h
 * The libraries of others that libnova uses, each in a file of its own beside libnova.so, which is
 * loaded when it is first needed: docs/modules.md.
 *
 * These calls need no context. They may be made from any thread.
 */
#ifndef NOVA_MODULE_H
#define NOVA_MODULE_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Name of the i-th module, as "curl", in alphabetical order; NULL past the end. Since 0.1. */
NOVA_API const char *nova_module_name(size_t i);

/** What the i-th module is needed for, as "the engine firecracker"; NULL past the end. Since 0.1.
 */
NOVA_API const char *nova_module_purpose(size_t i);

/**
 * Loads the i-th module, if that is not done yet. It stays until the process ends, and its file is
 * not needed any more: a program that is about to close its file system (chroot(), a sandbox) loads
 * all.
 * @param i 0 to one less than the number of modules
 * @param ret_contents the libraries inside with their versions, as "libcurl 7.88.1"; lives as long
 * as the process
 * @param error may be NULL
 * @return 0; NOVA_EINVAL past the end; NOVA_ENOTSUP if the file is missing, or the loader of the
 * system refuses it; NOVA_EABI if it belongs to another version of libnova; NOVA_ECORRUPT if it is
 * cut off, or no module; NOVA_EPERM, NOVA_EIO, NOVA_ELIMIT or NOVA_ENOMEM as the system says. Since
 * 0.1.
 */
NOVA_API int nova_module_load(size_t i, const char **ret_contents, nova_error_t **error);

#ifdef __cplusplus
}
#endif

#endif
