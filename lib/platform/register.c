/* SPDX-License-Identifier: MIT */
/*
 * nova_function_register(): from options to a checked record, a code disk and a row, in this order
 * and under one lock:
 *
 *     image under a temporary name -> its hash -> what is stored under the name -> image to its
 * place -> row written
 *
 * A row is written only when its image is in place, and an image is removed only when no row has
 * it.
 */
#include <fcntl.h>

#include <nova/disk.h>

#include "hash/hash.h"
#include "platform/registry.h"

/* --- options to a record --- */

static int check_presence(const nova_function_opts *o, nova_error_t **error)
{
	if (!o->name)
		return nova_fail(error, NOVA_EINVAL, "name: a function needs a name");
	if (!o->runtime)
		return nova_fail(error, NOVA_EINVAL,
			"runtime: required; one of python, go, rust, wasm, shell, binary");
	if (!o->code_path && !o->code)
		return nova_fail(error, NOVA_EINVAL,
			"code: give the function's code as code_path or in memory");
	if (o->code_path && o->code)
		return nova_fail(
			error, NOVA_EINVAL, "code: give either code_path or code, not both");
	if (!o->code_path && !o->code_len)
		return nova_fail(error, NOVA_EINVAL, "code: it is empty");
	if (o->check > NOVA_CHECK_NEVER)
		return nova_fail(
			error, NOVA_EINVAL, "check: %u is none of enum nova_check", o->check);
	if (o->flags & ~(NOVA_REGISTER_REPLACE | NOVA_REGISTER_IN_PLACE | NOVA_REGISTER_KEEP_TMP))
		return nova_fail(
			error, NOVA_EINVAL, "flags: 0x%x has bits that are not defined", o->flags);
	return 0;
}

static int find_runtime(const char *name, const struct runtime **ret, nova_error_t **error)
{
	*ret = runtime_find(name);
	if (*ret)
		return 0;
	const char *nearest = str_nearest(name, runtime_names()),
		   *shown = text_is_utf8(name) ? name : "(not UTF-8)";
	if (nearest)
		return nova_fail(error, NOVA_EINVAL,
			"runtime: '%.40s' is unknown; did you mean '%s'?", shown, nearest);
	return nova_fail(error, NOVA_EINVAL,
		"runtime: '%.40s' is unknown; it is one of python, go, rust, wasm, shell, binary",
		shown);
}

/* Options that are kept as variables: the interpreter obeys the first one, calls the other. */
static int add_options(struct function_record *r, uint32_t flags, nova_error_t **error)
{
	int code = 0;
	if (flags & NOVA_REGISTER_IN_PLACE && strcmp(r->config.runtime, "python") != 0)
		return nova_fail(error, NOVA_EINVAL,
			"in place: only functions of runtime python can be called so");
	if (flags & NOVA_REGISTER_IN_PLACE)
		code = text_list_add(&r->config.env, "NOVA_IN_PLACE=1");
	if (code == 0 && flags & NOVA_REGISTER_KEEP_TMP)
		code = text_list_add(&r->config.env, "NOVA_KEEP_TMP=1");
	return code < 0 ? nova_oom(error) : 0;
}

static int copy_texts(struct function_record *r, const nova_function_opts *o, nova_error_t **error)
{
	r->name = strdup(o->name);
	int os = o->code_path ? path_absolute(o->code_path, &r->code_path) : 0;
	if (os < 0)
		return nova_fail_os(error, os, "code: '%s'", o->code_path);
	if (!o->code_path)
		r->code_path = strdup("");
	return r->name && r->code_path ? 0 : nova_oom(error);
}

/* Everything but id, code_hash, version and times. */
static int record_from_opts(
	struct function_record *r, const nova_function_opts *o, nova_error_t **error)
{
	int code = properties_import(&r->config, IN_REGISTER, o, error);
	if (code == 0)
		code = copy_texts(r, o, error);
	if (code == 0)
		code = runtime_check_memory(r->config.runtime, r->config.machine.memory_mb, error);
	if (code == 0)
		code = add_options(r, o->flags, error);
	if (code == 0)
		code = function_config_sort(&r->config, error);
	return code < 0 ? code : record_check_fields(r, NOVA_EINVAL, error);
}

/* --- comparing --- */

/* The first thing in which two functions of one name differ, or NULL. Where the code lay is no
 * property of the function. */
static const char *difference(const struct function_record *a, const struct function_record *b)
{
	return strcmp(a->code_hash, b->code_hash) ?
		       "code" :
		       function_config_difference(&a->config, &b->config);
}

/* --- the code disk --- */

/* An image that has not found its place; removed when it goes out of scope. */
struct unfinished {
	char *path;
};

static void unfinished_remove(struct unfinished *u)
{
	if (u->path)
		fs_unlink(u->path);
	free(u->path);
}

int register_image(
	const char *path, const nova_function_opts *o, char hash[SHA256_HEX], nova_error_t **error)
{
	nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
	disk.source = o->code_path;
	disk.data = o->code;
	disk.data_len = o->code_len;
	int r = nova_disk_build(path, &disk, error);
	if (r < 0)
		return nova_wrap(error, r, "code");
	r = sha256_file_hex(path, hash);
	return r < 0 ? nova_fail_os(error, r, "cannot read the code disk %s", path) : 0;
}

static int build_disk(struct nova *nova, const nova_function_opts *o, struct unfinished *ret,
	char hash[SHA256_HEX], nova_error_t **error)
{
	char random[17];
	int r = random_hex(random, 16);
	if (r < 0)
		return nova_fail_os(error, r, "cannot get random bytes");
	ret->path = str_format("%s/" REGISTRY_UNFINISHED "%s", nova->disks, random);
	return ret->path ? register_image(ret->path, o, hash, error) : nova_oom(error);
}

/* Gives the image its name. One that is there already is kept: it has the same content, unless it
 * was cut short. */
static int place_disk(
	struct nova *nova, struct unfinished *u, const char *hash, nova_error_t **error)
{
	AUTO_FREE char *path = registry_disk_path(nova, hash);
	if (!path)
		return nova_oom(error);
	uint64_t made, stored;
	if (fs_stat(u->path, &made, NULL) == 0 && fs_stat(path, &stored, NULL) == 0 &&
		made == stored)
		return 0;
	AUTO_FD int fd = sys_open(u->path, O_RDONLY, 0);
	int r = fd < 0 ? fd : fs_publish(fd, u->path, path);
	return r < 0 ? nova_fail_os(error, r, "cannot store the code disk %s", path) : 0;
}

/* --- storing --- */

static char *make_uuid(void)
{
	uint8_t b[16];
	if (random_bytes(b, sizeof(b)) < 0)
		return NULL;
	b[6] = (b[6] & 0x0f) | 0x40; /* version 4: random */
	b[8] = (b[8] & 0x3f) | 0x80;
	return str_format("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		b[13], b[14], b[15]);
}

/* Fills in what a record has from the one before it, or from nothing. */
static int complete(
	struct function_record *r, const struct function_record *old, nova_error_t **error)
{
	r->updated_us = clock_unix_us();
	r->created_us = old ? old->created_us : r->updated_us;
	r->version = old ? old->version + 1 : 1;
	r->id = old ? strdup(old->id) : make_uuid();
	if (!r->id)
		return nova_oom(error);
	return record_check(r, NOVA_EINVAL, error);
}

static int store_record(struct nova *nova, struct function_record *r,
	const struct function_record *old, struct unfinished *u, nova_error_t **error)
{
	AUTO_FREE char *disk = NULL;
	int code = complete(r, old, error);
	if (code == 0 && old && strcmp(old->code_hash, r->code_hash))
		code = registry_doomed_disk(nova, old->code_hash, 1, &disk, error);
	if (code < 0)
		return code;
	code = place_disk(nova, u, r->code_hash, error);
	if (code == 0)
		code = nova->store->ops->put(nova->store, r, old ? old->version : 0, error);
	if (code < 0) {
		registry_drop_disk(nova, r->code_hash);
		return code;
	}
	if (disk)
		fs_unlink(disk);
	return 0;
}

/* What is stored under the name now; empty if nothing is. */
static int read_present(
	struct nova *nova, const char *name, struct function_record *ret, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = nova->store->ops->get(nova->store, name, ret, &failure);
	if (r < 0 && r != NOVA_ENOTFOUND && error)
		*error = STEAL(failure);
	return r == NOVA_ENOTFOUND ? 0 : r;
}

static void record_move(struct function_record *to, struct function_record *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
}

int register_is_stored(struct nova *nova, const struct function_record *record, bool *ret_same,
	nova_error_t **error)
{
	AUTO_RECORD struct function_record present = { 0 };
	int r = read_present(nova, record->name, &present, error);
	*ret_same = r == 0 && present.name && !difference(&present, record);
	return r;
}

/* Under the lock. On success `record` is what is stored, and `ret_former` what it replaces, if it
 * does. */
static int settle(struct nova *nova, const nova_function_opts *o, struct function_record *record,
	struct function_record *ret_former, nova_error_t **error)
{
	char hash[SHA256_HEX];
	CLEANUP(unfinished_remove) struct unfinished image = { 0 };
	AUTO_RECORD struct function_record present = { 0 };
	int r = build_disk(nova, o, &image, hash, error);
	if (r == 0 && !(record->code_hash = strdup(hash)))
		r = nova_oom(error);
	if (r == 0)
		r = read_present(nova, record->name, &present, error);
	if (r < 0)
		return r;
	if (!present.name)
		return store_record(nova, record, NULL, &image, error);
	const char *what = difference(&present, record);
	if (what && !(o->flags & NOVA_REGISTER_REPLACE))
		return nova_fail(error, NOVA_EEXIST,
			"a function '%s' exists and differs in its %s; choose another name, delete "
			"it first, or ask to replace it (NOVA_REGISTER_REPLACE)",
			record->name, what);
	if (what) {
		r = store_record(nova, record, &present, &image, error);
		if (r == 0)
			record_move(ret_former, &present);
		return r;
	}
	/* The same again; its image is put back should somebody have removed it. */
	r = place_disk(nova, &image, hash, error);
	if (r < 0)
		return r;
	record_clear(record);
	record_move(record, &present);
	return 0;
}

static int settle_locked(struct nova *nova, const nova_function_opts *o,
	struct function_record *record, struct function_record *ret_former, nova_error_t **error)
{
	AUTO_FD int lock = -1;
	int r = registry_lock(nova, true, &lock);
	if (r < 0)
		return nova_fail_os(error, r, "cannot lock %s", nova->disks);
	return settle(nova, o, record, ret_former, error);
}

int nova_function_register(nova_t *nova, const nova_function_opts *opts,
	nova_function_t **ret_function, nova_error_t **error)
{
	if (ANY_NULL(error, nova, opts))
		return NOVA_EINVAL;
	nova_function_opts o;
	AUTO_RECORD struct function_record record = { 0 };
	const struct runtime *runtime = NULL;
	int r = opts_import(&o, sizeof(o), opts, "nova_function_opts", error);
	if (r == 0)
		r = registry_check_process(nova, error);
	if (r == 0)
		r = check_presence(&o, error);
	if (r == 0)
		r = find_runtime(o.runtime, &runtime, error);
	if (r == 0)
		r = record_from_opts(&record, &o, error);
	if (r == 0)
		r = code_check(runtime, &o, record.config.handler,
			nova->host ? host_log(nova->host) : NULL, error);
	if (r < 0)
		return r;
	if (fs_reserve_is_spent(nova->home))
		return nova_fail(error, NOVA_ENOSPC,
			"there is no room for a function in %s (No space left on device): delete "
			"some, or "
			"something else on that file system",
			nova->home);
	r = function_check(nova, &o, runtime, &record, error);
	if (r < 0)
		return r;
	/* Made before anything is stored, so that nothing can fail once it is. */
	AUTO_FUNCTION nova_function_t *function = function_new(&record);
	if (!function)
		return nova_oom(error);
	AUTO_RECORD struct function_record former = { 0 };
	r = settle_locked(nova, &o, &function->record, &former, error);
	if (r < 0)
		return r;
	if (former.name)
		registry_forget_vms(nova, &former);
	registry_tell_pool(nova);
	if (ret_function)
		*ret_function = STEAL(function);
	return 0;
}
