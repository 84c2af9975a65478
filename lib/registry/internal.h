/* SPDX-License-Identifier: MIT */
/* Inside registry only: what its files share. */
#ifndef NOVA_LIB_REGISTRY_INTERNAL_H
#define NOVA_LIB_REGISTRY_INTERNAL_H

#include "hash/hash.h"
#include "registry/registry.h"

/* --- registry.c --- */

/* What is stored under the name now; empty if nothing is. */
int registry_read_present(struct registry *registry, const char *name,
	struct function_record *ret_record, nova_error_t **error);
/* The first thing in which two functions of one name differ, or NULL. */
const char *record_difference(const struct function_record *a, const struct function_record *b);
/* Whether a function that does not differ is stored already. */
int registry_has_same(struct registry *registry, const struct function_record *record,
	bool *ret_same, nova_error_t **error);

/* --- check.c --- */

/* As nova_function_opts.check wants. The handler that was found goes into the record. */
int function_check(struct registry *registry, const nova_function_opts *opts,
	const struct runtime *runtime, struct function_record *record, nova_error_t **error);

/* --- disks.c --- */

/* Taken before the code disks are touched; 0 or -errno. It also excludes threads of this process.
 */
int code_disks_lock(struct registry *registry, bool wait, int *ret_fd);
/* Removes what a killed process left behind. */
void code_disks_tidy(struct registry *registry);
/* Builds the image of a function's code; its hash. */
int code_disk_build(const char *path, const nova_function_opts *opts, char hash[SHA256_HEX],
	nova_error_t **error);
/* An image that has not found its place; removed when it goes out of scope. */
struct unfinished {
	char *path;
};
void unfinished_remove(struct unfinished *image);
/* The same under a temporary name. With the lock, as all below. */
int code_disk_new(struct registry *registry, const nova_function_opts *opts,
	struct unfinished *ret_image, char hash[SHA256_HEX], nova_error_t **error);
/* Gives the image its name. */
int code_disk_place(struct registry *registry, struct unfinished *image, const char *hash,
	nova_error_t **error);
/* The path of a code disk that nobody needs once `leaving` of its users have gone, or NULL. It is
 * asked before anything is changed, so that nothing is left behind for lack of memory. */
int code_disk_unused(struct registry *registry, const char *code_hash, uint64_t leaving,
	char **ret_path, nova_error_t **error);
/* Removes an image if no function uses it. */
void code_disk_drop(struct registry *registry, const char *code_hash);

/* --- code.c --- */

/* Checks that the code fits the runtime: NOVA_EINVAL with the way out, NOVA_ENOTFOUND, NOVA_EPERM.
 * What of a directory will not be in the guest is told to the log. */
int code_check(const struct runtime *runtime, const nova_function_opts *opts, const char *handler,
	const struct logger *log, nova_error_t **error);

#endif
