/* SPDX-License-Identifier: MIT */
/*
 * Runtimes of the user's own: a row of the store, and mostly a blob with the root filesystem, which
 * is copied as code is:
 *
 *     file under a temporary name -> its hash -> what is stored under the name -> file to its place
 * -> row written
 */
#include <errno.h>
#include <fcntl.h>

#include "image/image.h"
#include "registry/internal.h"

#define SHOWN 5u /* functions that the message names of those that have a runtime */

struct own_runtime {
	struct runtime runtime; /* first: what others see of it */
	struct runtime_record record;
};

void runtime_free(const struct runtime *runtime)
{
	if (!runtime || runtime->is.built_in)
		return;
	struct own_runtime *own = (struct own_runtime *)(uintptr_t)runtime;
	runtime_record_clear(&own->record);
	free(own);
}

void nova_runtime_free(const nova_runtime *runtime)
{
	runtime_free((const struct runtime *)runtime);
}

void nova_runtime_list_free(const nova_runtime **runtimes, size_t count)
{
	for (size_t i = 0; runtimes && i < count; i++)
		nova_runtime_free(runtimes[i]);
	free(runtimes);
}

/* Takes the content of the record, also if it fails. */
static int own_new(struct runtime_record *record, const struct runtime **ret, nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record r = *record;
	memset(record, 0, sizeof(*record));
	const struct runtime *rules = runtime_of_protocol(r.protocol);
	if (!rules)
		return nova_fail(error, NOVA_ENOTSUP,
			"the runtime '%s' has the protocol '%s', which this libnova does not know",
			r.name, r.protocol);
	struct own_runtime *own = malloc(sizeof(*own));
	if (!own)
		return nova_oom(error);
	own->record = r;
	memset(&r, 0, sizeof(r));
	const char *hash = image_blob(own->record.image);
	own->runtime = *rules;
	own->runtime.image = own->record.image;
	own->runtime.is = (nova_runtime){
		.size = sizeof(nova_runtime),
		.name = own->record.name,
		.memory_mb = own->record.memory_mb ? own->record.memory_mb : rules->is.memory_mb,
		.least_memory_mb = rules->is.least_memory_mb,
		.timeout_s = own->record.timeout_s,
		.init_timeout_s = own->record.init_timeout_s,
		.rootfs = hash ? own->record.rootfs : own->record.image,
		.rootfs_hash = hash,
		.protocol = own->record.protocol,
		.argv = (const char *const *)own->record.argv.items,
		.argv_count = own->record.argv.count,
		.created_us = own->record.created_us,
	};
	*ret = &own->runtime;
	return 0;
}

/* --- looking up --- */

/* All names, those that are built in first; ends with NULL. */
static char **all_names(struct registry *registry, size_t *ret_count)
{
	struct runtime_record *records = NULL;
	size_t count = 0, own = 0;
	registry->store->ops->runtimes->list(registry->store, &records, &own, NULL);
	struct text_list names = { NULL, 0 };
	const struct runtime *built_in;
	for (size_t i = 0; (built_in = runtime_at(i)); i++)
		text_list_add(&names, built_in->is.name);
	for (size_t i = 0; i < own; i++)
		text_list_add(&names, records[i].name);
	text_list_add(&names, "javascript");
	runtime_record_list_free(records, own);
	char **ended = reallocarray(names.items, names.count + 1, sizeof(*ended));
	count = names.count;
	if (!ended) {
		text_list_done(&names);
		return NULL;
	}
	ended[count] = NULL;
	*ret_count = count;
	return ended;
}

static int fail_not_found(struct registry *registry, const char *name, nova_error_t **error)
{
	size_t count = 0;
	char **names = all_names(registry, &count);
	AUTO_BUF struct buf all = BUF_INIT(64u << 10);
	const char *nearest = names ? str_nearest(name, (const char *const *)names) : NULL;
	const char *shown = text_is_utf8(name) ? name : "(not UTF-8)";
	for (size_t i = 0; i + 1 < count; i++)
		if (buf_append_str(&all, i ? ", " : "") < 0 || buf_append_str(&all, names[i]) < 0)
			break;
	int code = nearest ? nova_fail(error, NOVA_ENOTFOUND,
				     "'%.40s' is unknown; did you mean '%s'?", shown, nearest) :
			     nova_fail(error, NOVA_ENOTFOUND,
				     "'%.40s' is unknown; it is one of %.*s, or register it "
				     "(nova_runtime_register)",
				     shown, (int)all.len, (const char *)all.data);
	strv_free(names, count);
	return code;
}

/* NULL and 0: there is none of the user's own. */
static int read_own(struct registry *registry, const char *name, const struct runtime **ret,
	nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record record = { NULL };
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = registry->store->ops->runtimes->get(registry->store, name, &record, &failure);
	*ret = NULL;
	if (code == NOVA_ENOTFOUND)
		return 0;
	if (code < 0 && error)
		*error = STEAL(failure);
	return code < 0 ? code : own_new(&record, ret, error);
}

int registry_find_runtime(struct registry *registry, const char *name, const struct runtime **ret,
	nova_error_t **error)
{
	*ret = runtime_built_in(name);
	int code = *ret ? 0 : read_own(registry, name, ret, error);
	return code < 0 || *ret ? code : fail_not_found(registry, name, error);
}

int registry_get_runtime(struct registry *registry, const char *name, const struct runtime **ret,
	nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = registry_find_runtime(registry, name, ret, &failure);
	if (code == NOVA_ENOTFOUND)
		return nova_fail(error, NOVA_EINVAL, "runtime: %s", nova_error_message(failure));
	if (code < 0 && error)
		*error = STEAL(failure);
	return code;
}

int registry_list_runtimes(struct registry *registry, const nova_runtime ***ret, size_t *ret_count,
	nova_error_t **error)
{
	struct runtime_record *records;
	size_t own, count = 0, made = 0;
	int code = registry->store->ops->runtimes->list(registry->store, &records, &own, error);
	if (code < 0)
		return code;
	while (runtime_at(count))
		count++;
	const nova_runtime **all = calloc(count + own, sizeof(*all));
	for (size_t i = 0; all && i < count; i++)
		all[i] = &runtime_at(i)->is;
	code = all ? 0 : nova_oom(error);
	for (; code == 0 && made < own; made += code == 0) {
		const struct runtime *runtime = NULL;
		code = own_new(&records[made], &runtime, error);
		all[count + made] = runtime ? &runtime->is : NULL;
	}
	runtime_record_list_free(records, own);
	if (code < 0) {
		nova_runtime_list_free(all, all ? count + made : 0);
		return code;
	}
	*ret = all;
	*ret_count = count + own;
	return 0;
}

/* --- checking what is asked for --- */

static int check_entry(const char *entry, bool plain, nova_error_t **error)
{
	struct argv_value all[] = { { .name = "file", .value = "" },
		{ .name = "code", .value = "" }, { .name = "input", .value = "" },
		{ .name = NULL } };
	struct argv_value none[] = { { .name = NULL } };
	AUTO_BUF struct buf out = BUF_INIT(ARGV_MAX);
	const char *wrong = NULL;
	int r = argv_fill(entry, plain ? none : all, &out, &wrong);
	if (r == -ENOMEM)
		return nova_oom(error);
	if (r == 0 || r == -EMSGSIZE)
		return 0;
	return plain ? nova_fail(error, NOVA_EINVAL,
			       "argv: '%.60s': with a protocol there is nothing to fill in; it is "
			       "the interpreter with its options, and '{{' is a brace",
			       wrong) :
		       nova_fail(error, NOVA_EINVAL,
			       "argv: '%.60s' begins with no placeholder; there are {file}, {code} "
			       "and {input}, and '{{' and '}}' are braces",
			       wrong);
}

static int check_argv(const struct runtime_record *r, nova_error_t **error)
{
	bool programs = !strcmp(r->protocol, "none");
	const char *first = r->argv.count ? r->argv.items[0] : NULL;
	if (!first && programs)
		return nova_fail(error, NOVA_EINVAL,
			"argv: it is empty; name a program of the root filesystem, such as "
			"/usr/bin/lua5.4 {file} {input}");
	if (first && first[0] != '/' && !(programs && !strcmp(first, ARGV_FILE)))
		return nova_fail(error, NOVA_EINVAL,
			"argv: the program '%.80s' is not given by its absolute path in the root "
			"filesystem",
			first);
	int code = 0;
	for (size_t i = 0; code == 0 && i < r->argv.count; i++)
		code = check_entry(r->argv.items[i], !programs, error);
	return code;
}

static int check_protocol(const struct runtime_record *r, nova_error_t **error)
{
	const struct runtime *rules = runtime_of_protocol(r->protocol);
	if (!rules)
		return nova_fail(error, NOVA_EINVAL,
			"protocol: '%.32s' is unknown; it is python, node or none",
			text_is_utf8(r->protocol) ? r->protocol : "(not UTF-8)");
	if (r->memory_mb && r->memory_mb < rules->is.least_memory_mb)
		return nova_fail(error, NOVA_EINVAL,
			"memory_mb is %u; with the protocol '%s' a function needs at least %u",
			r->memory_mb, r->protocol, rules->is.least_memory_mb);
	return 0;
}

static int check_presence(const nova_runtime_opts *o, nova_error_t **error)
{
	if (!o->name || !o->rootfs)
		return nova_fail(error, NOVA_EINVAL, "%s",
			o->name ? "rootfs: a runtime needs a root filesystem" :
				  "name: a runtime needs a name");
	if (o->argv_count && !o->argv)
		return nova_fail(error, NOVA_EINVAL, "argv: argv_count is %zu, but argv is NULL",
			o->argv_count);
	if (o->argv_count > ARGV_MOST)
		return nova_fail(error, NOVA_EINVAL, "argv: %zu entries; at most %u are possible",
			o->argv_count, ARGV_MOST);
	for (size_t i = 0; i < o->argv_count; i++)
		if (!o->argv[i])
			return nova_fail(error, NOVA_EINVAL, "argv: entry %zu is NULL", i);
	if (o->flags & ~NOVA_RUNTIME_REPLACE)
		return nova_fail(
			error, NOVA_EINVAL, "flags: 0x%x has bits that are not defined", o->flags);
	return 0;
}

/* A placeholder for the hash, which is not known yet, so that all else can be checked. */
#define NOT_YET IMAGE_BLOB "0000000000000000000000000000000000000000000000000000000000000000"

static int import(struct runtime_record *r, const nova_runtime_opts *o, nova_error_t **error)
{
	bool file = strchr(o->rootfs, '/');
	int os = file ? path_absolute(o->rootfs, &r->rootfs) : 0;
	if (os < 0)
		return nova_fail_os(error, os, "rootfs: '%s'", o->rootfs);
	if (!file)
		r->rootfs = strdup("");
	r->name = strdup(o->name);
	r->image = strdup(file ? NOT_YET : o->rootfs);
	r->protocol = strdup(o->protocol ? o->protocol : "none");
	if (!r->name || !r->rootfs || !r->image || !r->protocol)
		return nova_oom(error);
	for (size_t i = 0; i < o->argv_count; i++)
		if (text_list_add(&r->argv, o->argv[i]) < 0)
			return nova_oom(error);
	r->memory_mb = o->memory_mb;
	r->timeout_s = o->timeout_s;
	r->init_timeout_s = o->init_timeout_s;
	r->created_us = clock_unix_us();
	return 0;
}

/* What can be told without the lock. */
static int record_from_opts(
	struct runtime_record *r, const nova_runtime_opts *o, nova_error_t **error)
{
	int code = check_presence(o, error);
	if (code == 0)
		code = import(r, o, error);
	if (code == 0)
		code = runtime_record_check(r, NOVA_EINVAL, error);
	if (code == 0 && runtime_built_in(r->name))
		code = nova_fail(error, NOVA_EEXIST,
			"name: the runtime '%s' is built in and cannot be replaced; choose another "
			"name",
			r->name);
	if (code == 0)
		code = check_protocol(r, error);
	return code < 0 ? code : check_argv(r, error);
}

/* An image of this host, if its engine has guests. */
static int find_image(struct registry *registry, const char *name, char **ret, nova_error_t **error)
{
	const struct engine_ops *ops;
	AUTO_FREE char *kernel = NULL, *initramfs = NULL;
	int code = registry->host ? host_choose_engine(registry->host, NULL, &ops, error) : 0;
	if (code < 0 || !registry->host || !engine_has(ops, NOVA_FEATURE_GUEST))
		return code;
	code = vm_find_images(registry->host, ops, name, &kernel, &initramfs, ret, error);
	return code < 0 ?
		       nova_wrap(error, code,
			       "rootfs: '%s' (a file is named by a path with a '/' in it)", name) :
		       0;
}

static int look(struct registry *registry, const struct runtime_record *r, nova_error_t **error)
{
	AUTO_FREE char *found = NULL;
	int code = 0;
	if (!*r->rootfs)
		code = find_image(registry, r->image, &found, error);
	const char *path = *r->rootfs ? r->rootfs : found;
	if (code < 0 || !path)
		return code;
	return rootfs_look(path, runtime_of_protocol(r->protocol), &r->argv, error);
}

/* --- storing --- */

static int copy_rootfs(const char *from, const char *to, nova_error_t **error)
{
	uint64_t size, mtime_ns;
	int r = fs_stat(from, &size, &mtime_ns);
	if (r < 0)
		return nova_fail_os(error, r, "cannot read the root filesystem '%s'", from);
	if (size > NOVA_RUNTIME_ROOTFS_MAX)
		return nova_fail(error, NOVA_ETOOBIG,
			"the root filesystem '%s' has %llu bytes; at most %llu are possible", from,
			(unsigned long long)size, NOVA_RUNTIME_ROOTFS_MAX);
	r = image_copy(from, to, error);
	return r < 0 ? nova_wrap(error, r, "the root filesystem") : 0;
}

/* The copy that will be the blob, and its hash. */
static int new_blob(struct registry *registry, struct runtime_record *r, struct unfinished *copy,
	nova_error_t **error)
{
	char hash[SHA256_HEX];
	if (!*r->rootfs)
		return 0;
	int code = registry->blobs->ops->begin(registry->blobs, &copy->path, error);
	if (code == 0)
		code = copy_rootfs(r->rootfs, copy->path, error);
	if (code < 0)
		return code;
	int os = sha256_file_hex(copy->path, hash);
	if (os < 0)
		return nova_fail_os(error, os, "cannot read the copy of '%s'", r->rootfs);
	free(r->image);
	r->image = str_format(IMAGE_BLOB "%s", hash);
	return r->image ? 0 : nova_oom(error);
}

/* The first thing in which both differ, or NULL. Where the root filesystem lay is none. */
static const char *difference(const struct runtime_record *a, const struct runtime_record *b)
{
	if (strcmp(a->image, b->image) != 0)
		return "root filesystem";
	if (strcmp(a->protocol, b->protocol) != 0)
		return "protocol";
	if (!text_list_same(&a->argv, &b->argv))
		return "argv";
	if (a->memory_mb != b->memory_mb)
		return "memory_mb";
	if (a->timeout_s != b->timeout_s)
		return "timeout_s";
	return a->init_timeout_s != b->init_timeout_s ? "init_timeout_s" : NULL;
}

static int put(struct registry *registry, const struct runtime_record *r,
	const struct runtime_record *old, const struct unfinished *copy, nova_error_t **error)
{
	struct store *store = registry->store;
	int code = 0;
	if (copy->path)
		code = registry->blobs->ops->put(
			registry->blobs, copy->path, image_blob(r->image), error);
	if (code == 0 && (!old || difference(old, r)))
		code = store->ops->runtimes->put(store, r, old != NULL, error);
	if (code < 0)
		image_drop(registry, r->image);
	else if (old)
		image_drop(registry, old->image);
	return code;
}

/* NULL and 0: there is none. */
static int read_present(struct registry *registry, const char *name, struct runtime_record *ret,
	nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = registry->store->ops->runtimes->get(registry->store, name, ret, &failure);
	if (code < 0 && code != NOVA_ENOTFOUND && error)
		*error = STEAL(failure);
	return code == NOVA_ENOTFOUND ? 0 : code;
}

/* With the lock. */
static int store_runtime(
	struct registry *registry, struct runtime_record *r, bool replace, nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record present = { NULL };
	CLEANUP(unfinished_remove) struct unfinished copy = { NULL };
	int code = read_present(registry, r->name, &present, error);
	if (code == 0)
		code = new_blob(registry, r, &copy, error);
	if (code < 0)
		return code;
	const char *what = present.name ? difference(&present, r) : NULL;
	if (what && !replace)
		return nova_fail(error, NOVA_EEXIST,
			"a runtime '%s' exists and differs in its %s; choose another name, delete "
			"it first, or ask to replace it (NOVA_RUNTIME_REPLACE)",
			r->name, what);
	if (present.name)
		r->created_us = present.created_us;
	return put(registry, r, present.name ? &present : NULL, &copy, error);
}

int registry_register_runtime(struct registry *registry, const nova_runtime_opts *o,
	const struct runtime **ret, nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record record = { NULL };
	AUTO_FD int lock = -1;
	int code = record_from_opts(&record, o, error);
	if (code == 0)
		code = look(registry, &record, error);
	if (code == 0)
		code = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	if (code == 0)
		code = store_runtime(registry, &record, o->flags & NOVA_RUNTIME_REPLACE, error);
	return code < 0 ? code : own_new(&record, ret, error);
}

int runtime_is_still(
	struct registry *registry, const struct function_record *r, nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record now = { NULL };
	const struct function_config *c = &r->config;
	if (!*c->image)
		return 0;
	/* in this order: if another host has removed it before, the runtime has gone, too */
	int code = blob_keep(registry, image_blob(c->image), error);
	if (code == 0)
		code = read_present(registry, c->runtime, &now, error);
	if (code < 0)
		return code;
	if (now.name && !strcmp(now.image, c->image) && !strcmp(now.protocol, c->protocol) &&
		text_list_same(&now.argv, &c->argv))
		return 0;
	return nova_fail(error, NOVA_EBUSY,
		"the runtime '%s' was %s meanwhile; register the function once more", c->runtime,
		now.name ? "replaced" : "deleted");
}

/* --- deleting and checking --- */

static int check_unused(struct registry *registry, const char *name, nova_error_t **error)
{
	char **names = NULL;
	size_t count = 0;
	AUTO_BUF struct buf shown = BUF_INIT(4096);
	int code = registry->store->ops->functions->names(
		registry->store, name, SHOWN + 1, &names, &count, error);
	for (size_t i = 0; code == 0 && i < count; i++)
		if (buf_append_str(&shown, i ? ", " : "") < 0 ||
			buf_append_str(&shown, i < SHOWN ? names[i] : "…") < 0)
			code = nova_oom(error);
	if (code == 0 && count)
		code = nova_fail(error, NOVA_EBUSY,
			"the runtime '%s' is that of %.*s; delete %s first, or register %s with "
			"another runtime",
			name, (int)shown.len, (const char *)shown.data,
			count > 1 ? "these functions" : "this function", count > 1 ? "them" : "it");
	strv_free(names, count);
	return code;
}

static int delete_locked(struct registry *registry, const char *name, nova_error_t **error)
{
	AUTO_RUNTIME_RECORD struct runtime_record present = { NULL };
	bool unneeded = false;
	int code = read_present(registry, name, &present, error);
	if (code == 0 && !present.name)
		code = fail_not_found(registry, name, error);
	if (code == 0)
		code = check_unused(registry, name, error);
	if (code == 0)
		code = image_unneeded(registry, present.image, &unneeded, error);
	if (code == 0)
		code = registry->store->ops->runtimes->remove(registry->store, name, error);
	if (code == 0 && unneeded)
		registry->blobs->ops->remove(registry->blobs, image_blob(present.image), NULL);
	return code;
}

int registry_delete_runtime(struct registry *registry, const char *name, nova_error_t **error)
{
	AUTO_FD int lock = -1;
	if (runtime_built_in(name))
		return nova_fail(error, NOVA_EINVAL,
			"the runtime '%s' is built in and cannot be deleted", name);
	int code = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	return code < 0 ? code : delete_locked(registry, name, error);
}

int registry_check_runtime(struct registry *registry, const char *name, nova_error_t **error)
{
	AUTO_RUNTIME const struct runtime *runtime = NULL;
	AUTO_FREE char *rootfs = NULL;
	int code = registry_find_runtime(registry, name, &runtime, error);
	if (code < 0)
		return code;
	const char *hash = runtime->is.rootfs_hash;
	if (!hash)
		return find_image(registry, runtime->image, &rootfs, error);
	code = runtime_rootfs(registry, name, runtime->image, &rootfs, error);
	if (code == 0)
		code = registry->blobs->ops->check(registry->blobs, hash, error);
	return code;
}
