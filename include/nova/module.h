/* SPDX-License-Identifier: MIT */
/**
 * @file nova/module.h
 * Modules: other libraries that libnova uses, each in a file beside libnova.so that is loaded when
 * it is first needed (docs/modules.md).
 *
 *     for (size_t i = 0; nova_module_name(i); i++) {
 *             const char *contents;
 *             if (nova_module_load(i, &contents, NULL) == 0)
 *                     printf("%s: %s\n", nova_module_name(i), contents);
 *     }
 *
 * These calls need no context. Any thread may make them.
 */
#ifndef NOVA_MODULE_H
#define NOVA_MODULE_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The name of a module, in alphabetical order.
 * @param i from 0 on
 * @return as "curl"; NULL behind the last. Since 0.1.
 */
NOVA_API const char *nova_module_name(size_t i);

/**
 * What a module is needed for.
 * @param i from 0 on
 * @return as "the engine firecracker"; NULL behind the last. Since 0.1.
 */
NOVA_API const char *nova_module_purpose(size_t i);

/**
 * Loads a module, if it is not loaded yet. It stays until the process ends, and its file is not
 * needed any more. A program that will lose its files (chroot(), a sandbox) loads all modules
 * before.
 * @param i 0 to one less than the number of modules
 * @param ret_contents receives the libraries inside with their versions, as "libcurl 7.88.1";
 * lives as long as the process
 * @return 0, or a code:
 *  - NOVA_EINVAL: behind the last
 *  - NOVA_ENOTSUP: the file is missing, or the loader of the system refuses it
 *  - NOVA_EABI: it belongs to another version of libnova
 *  - NOVA_ECORRUPT: it is cut off, or no module
 *  - NOVA_EPERM, NOVA_EIO, NOVA_ELIMIT, NOVA_ENOMEM: as the system says
 * Since 0.1.
 */
NOVA_API int nova_module_load(size_t i, const char **ret_contents, nova_error_t **error);

#ifdef __cplusplus
}
#endif

#endif
