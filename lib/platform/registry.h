/* SPDX-License-Identifier: MIT */
/* Shared by registry.c and register.c only. */
#ifndef NOVA_LIB_PLATFORM_REGISTRY_H
#define NOVA_LIB_PLATFORM_REGISTRY_H

#include "hash/hash.h"
#include "platform/platform.h"

/* begins the names of images being built, and of the builder's own temporaries */
#define REGISTRY_UNFINISHED ".new-"

/* Builds the image of a function's code; its hash. */
int register_image(const char *path, const nova_function_opts *opts, char hash[SHA256_HEX],
	nova_error_t **error);
/* Whether a function that does not differ is stored already. */
int register_is_stored(struct nova *nova, const struct function_record *record, bool *ret_same,
	nova_error_t **error);
/* check.c: as nova_function_opts.check wants. The handler that was found goes into the
 * record. */
int function_check(struct nova *nova, const nova_function_opts *opts, const struct runtime *runtime,
	struct function_record *record, nova_error_t **error);

/* 0; NOVA_EBUSY in a fork of the process, where neither the store's connection nor any lock can be
 * used. */
int registry_check_process(const struct nova *nova, nova_error_t **error);
/* Taken before the code disks are touched; 0 or -errno. It also excludes threads of this process.
 */
int registry_lock(struct nova *nova, bool wait, int *ret_fd);
/* Removes an image if no function uses it. Under the lock. */
/* The path of a code disk that nobody needs once `leaving` of its users have gone, or NULL. With
 * the lock: it is asked before anything is changed, so that nothing is left behind for lack of
 * memory. */
int registry_doomed_disk(struct nova *nova, const char *code_hash, uint64_t leaving,
	char **ret_path, nova_error_t **error);
void registry_drop_disk(struct nova *nova, const char *code_hash);
/* Waits for their end, so not under the lock. */
void registry_forget_vms(struct nova *nova, const struct function_record *record);
/* The functions have changed: their min_replicas are to be looked at. */
void registry_tell_pool(struct nova *nova);

#endif
