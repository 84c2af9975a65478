/* SPDX-License-Identifier: MIT */
/* Inside registry only: what its files share. */
#ifndef NOVA_LIB_REGISTRY_INTERNAL_H
#define NOVA_LIB_REGISTRY_INTERNAL_H

#include "deps/deps.h"
#include "hash/hash.h"
#include "registry/registry.h"

/* What becomes a code disk. */
struct code_source {
	const nova_function_opts *opts;
	const char *packages; /* a directory with those that it needs; NULL: none */
	/* of an update: what it changes; and the code disk as it is, if that stays */
	const struct function_record *base;
	const char *disk;
	bool same_runtime;
};

/* --- lookup.c --- */

/* "name", "name:latest", "name:3" or "name:alias". */
struct split_name {
	char base[RECORD_NAME_MAX + 1];
	uint32_t version;      /* 0: it names none */
	const char *qualifier; /* that of a version or an alias; NULL: there is none */
};
/* NOVA_ENOTFOUND: no function can be called so. */
int name_split(struct registry *registry, const char *name, struct split_name *ret_split,
	nova_error_t **error);
/* Of the function as it is now: NOVA_EINVAL if a version or alias is named, as what is to be done
 * cannot be done to these. */
int name_plain(struct registry *registry, const char *name, const char *doing,
	struct split_name *ret_split, nova_error_t **error);
/* From the store. NOVA_ENOTFOUND, with the nearest name. */
int read_function(struct registry *registry, const char *name, nova_function_t **ret_function,
	nova_error_t **error);
int read_version(struct registry *registry, const char *name, uint32_t version,
	nova_function_t **ret_function, nova_error_t **error);
/* Takes the records, and frees their array. */
int functions_new(struct function_record *records, size_t count, nova_function_t ***ret_functions,
	nova_error_t **error);

/* --- registry.c --- */

/* What is stored under the name now; empty if nothing is. */
int registry_read_present(struct registry *registry, const char *name,
	struct function_record *ret_record, nova_error_t **error);
/* The first thing in which two functions of one name differ, or NULL. */
const char *record_difference(const struct function_record *a, const struct function_record *b);
/* Whether both are one version of a function: the same code, and VMs and calls that are the same.
 */
bool record_same_version(const struct function_record *a, const struct function_record *b);
/* NOVA_EBUSY: somebody was faster. */
int fail_changed(const char *name, nova_error_t **error);
/* Whether what is stored now is as the options want it to be (if_updated_us). */
int check_expected(const nova_function_opts *opts, const struct function_record *present,
	nova_error_t **error);
/* Whether that version of a function is stored already. */
int registry_has_version(struct registry *registry, const struct function_record *record,
	bool *ret_has, nova_error_t **error);

/* --- register.c --- */

int register_check_flags(uint32_t flags, nova_error_t **error);
/* Variables for flags; NOVA_EINVAL if the runtime has no such thing. */
int record_add_options(struct function_record *record, uint32_t flags, nova_error_t **error);
/* What a function has where nothing is asked for. */
void config_set_usual(struct function_config *config, const struct runtime *runtime,
	const nova_function_opts *opts);
/* The checks of a record that go beyond its fields. */
int record_check_rules(struct function_record *record, nova_error_t **error);
/* Whether what runs functions here, and the disk, have room for this one. */
int registry_check_room(
	struct registry *registry, const struct machine_config *machine, nova_error_t **error);
/* What the code needs besides, into a directory. */
int install_packages(struct registry *registry, const nova_function_opts *opts,
	const struct runtime *runtime, struct deps *ret_packages, nova_error_t **error);
/* A checked record and its code, into the store. Takes the record. */
int registry_store_checked(struct registry *registry, const struct code_source *source,
	const struct runtime *runtime, struct function_record *record,
	struct function_record *ret_former, nova_function_t **ret_function, nova_error_t **error);
/* What can be told without building anything: a record without id, hash, version and times. */
int registry_check_opts(struct registry *registry, const nova_function_opts *opts,
	struct function_record *record, const struct runtime **ret_runtime, nova_error_t **error);

/* --- check.c --- */

/* The guest of a look at a function, and its code disk, which is in the directory of this process
 * and goes with it. */
struct trial {
	char *disk;
	char hash[SHA256_HEX]; /* of that */
	nova_vm_t *vm;         /* NULL: there was no look */
};
void trial_done(struct trial *trial);
/* As nova_function_opts.check wants. The handler that was found goes into the record. ret_trial is
 * empty before, and to be done in any case. */
int function_check(struct registry *registry, const struct code_source *source,
	const struct runtime *runtime, struct function_record *record, struct trial *ret_trial,
	nova_error_t **error);
/* Makes the template of what is stored now of the guest, if that was asked for. */
void trial_keep(struct registry *registry, const struct function_record *stored,
	const nova_function_opts *opts, struct trial *trial);

/* --- disks.c --- */

/* Removes what a killed process left behind, unless somebody is at work there. */
void blobs_tidy(struct registry *registry);
/* Builds the image of a function's code; its hash. */
int code_disk_build(const char *path, const struct code_source *source, char hash[SHA256_HEX],
	nova_error_t **error);
/* The copy of an image, as cheap as the file system can make it. */
int image_copy(const char *from, const char *to, nova_error_t **error);
/* An image that has not found its place; removed when it goes out of scope. */
struct unfinished {
	char *path;
};
void unfinished_remove(struct unfinished *image);
/* The same where a blob begins. With the lock of the blobs, as all below. */
int code_disk_new(struct registry *registry, const struct code_source *source,
	struct unfinished *ret_image, char hash[SHA256_HEX], nova_error_t **error);
/* Whether nobody needs a blob once `leaving` of its users have gone. It is asked before anything is
 * changed. */
int blob_unneeded(struct registry *registry, const char *hash, uint64_t leaving, bool *ret_unneeded,
	nova_error_t **error);
/* Other hosts leave that blob alone for an hour: a record that needs it is about to be written.
 * NULL: there is none. */
int blob_keep(struct registry *registry, const char *hash, nova_error_t **error);
/* The blobs that nobody needs once these records have gone. */
int blobs_leave(struct registry *registry, const struct function_record *const *gone, size_t count,
	struct text_list *ret_hashes, nova_error_t **error);
/* The same of an image, which is no blob if it is a guest image, and one of its users. */
int image_unneeded(
	struct registry *registry, const char *image, bool *ret_unneeded, nova_error_t **error);
/* Removes code that nobody needs, and what was compiled of it. */
void code_remove(struct registry *registry, const char *hash);
/* Removes a blob if neither function nor runtime uses it. */
void blob_drop(struct registry *registry, const char *hash);
/* The same of what an image is, if it is a blob. */
void image_drop(struct registry *registry, const char *image);

/* --- compiled.c --- */

/* Where the machine code of a module is that has this code. NULL: out of memory. */
char *compiled_path(const struct registry *registry, const char *hash);
/* The same of a module that is run once, for the next time. NULL: it is not kept. */
char *compiled_once(const struct registry *registry, const void *code, size_t len);
/* Names each code of which there is some to `drop`, which removes it if no function has it. */
void compiled_sweep(
	struct registry *registry, void (*drop)(struct registry *registry, const char *hash));

/* --- own.c, rootfs.c --- */

/* With the lock of the blobs: whether the runtime that a function was checked with is there, and
 * the same. NOVA_EBUSY. */
int runtime_is_still(
	struct registry *registry, const struct function_record *record, nova_error_t **error);
/* Where a root filesystem is: a path, or the name of an image of this host. NOVA_ENOTFOUND,
 * NOVA_ECORRUPT: the blob is not what it was. */
int runtime_rootfs(const struct registry *registry, const char *runtime, const char *image,
	char **ret_rootfs, nova_error_t **error);
/* Whether a guest can start from the file, and has the program of the runtime. */
int rootfs_look(const char *path, const struct runtime *rules, const struct text_list *argv,
	nova_error_t **error);

/* --- bytes.c, code.c, wasm.c --- */

/* The code as bytes that can be read at an offset, wherever they are. */
struct code {
	const char *what; /* for errors */
	int fd;           /* -1: in memory */
	const uint8_t *data;
	size_t len;
};
bool code_read(const struct code *code, void *out, size_t len, uint64_t offset);
/* NOVA_EINVAL with the way out. */
int code_refuse(const struct code *code, const struct runtime *runtime, const char *why,
	nova_error_t **error);
int code_check_wasm(const struct code *code, const struct runtime *runtime, nova_error_t **error);

/* Checks that the code fits the runtime: NOVA_EINVAL with the way out, NOVA_ENOTFOUND, NOVA_EPERM.
 * What of a directory will not be in the guest is told to the log. */
int code_check(const struct runtime *runtime, const nova_function_opts *opts, const char *handler,
	const struct logger *log, nova_error_t **error);

/* --- rows.c --- */

/* Rows that are written one after the other, then read, as often as it takes. */
struct rows {
	int fd;
	uint64_t size;   /* of what has been written to the file */
	struct buf text; /* what is to be written; or was read, of which so much was given out: */
	size_t taken;
	uint64_t at; /* of the file has been read */
};
/* In the directory of that path. */
int rows_new(const char *beside, struct rows *ret_rows, nova_error_t **error);
void rows_done(struct rows *rows);
int rows_add(struct rows *rows, const char *table, json_t *row, nova_error_t **error);
int rows_flush(struct rows *rows, nova_error_t **error);
/* Some of what the file is to have, which may be anything. */
int rows_write(struct rows *rows, const void *text, size_t len, nova_error_t **error);
/* From its beginning. */
void rows_rewind(struct rows *rows);
/* 1: a row, as {"TABLE": row}; 0: that was the last one. NOVA_ECORRUPT. */
int rows_next(struct rows *rows, json_t **ret_line, nova_error_t **error);
#define AUTO_ROWS CLEANUP(rows_done)

#endif
