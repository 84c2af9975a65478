/* SPDX-License-Identifier: MIT */
/* Snapshots of VMs: handles of instants on disk. */
#include <nova/snapshot.h>

#include "vm/channel.h"
#include "vm/frozen.h"
#include "vm/instant.h"
#include "vm/object.h"
#include "vm/standby.h"

struct nova_snapshot {
	int references; /* atomic */
	char *root;
	struct manifest manifest;
	char *path;
};

static int make_handle(
	const char *root, struct manifest *m, nova_snapshot_t **ret, nova_error_t **error)
{
	nova_snapshot_t *s = calloc(1, sizeof(*s));
	if (s)
		s->references = 1;
	if (!s || !(s->root = strdup(root)) || !(s->path = path_join(root, m->id))) {
		nova_snapshot_free(s);
		return nova_oom(error);
	}
	s->manifest = *m;
	*m = (struct manifest){ .name = NULL };
	*ret = s;
	return 0;
}

void nova_snapshot_free(nova_snapshot_t *s)
{
	if (!s || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	manifest_done(&s->manifest);
	free(s->root);
	free(s->path);
	free(s);
}

nova_snapshot_t *snapshot_ref(const nova_snapshot_t *snapshot)
{
	nova_snapshot_t *s = (nova_snapshot_t *)snapshot; /* the count is no part of what is told */
	__atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
	return s;
}

int snapshot_check_name(const char *name, nova_error_t **error)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strspn(name, allowed);
	if (!len || len > 64 || name[len] || name[0] == '.' || name[0] == '-')
		return nova_fail(error, NOVA_EINVAL,
			"'%.80s' is no name for a snapshot: 1 to 64 letters, digits, '-', '_' and "
			"'.', beginning with a letter or digit",
			name);
	return 0;
}

int snapshot_check_new_name(nova_host_t *host, const char *name, nova_error_t **error)
{
	AUTO_FREE char *root = instants_root(host);
	int code = snapshot_check_name(name, error);
	if (code < 0)
		return code;
	return root ? snapshot_check_free(root, name, error) : nova_oom(error);
}

static bool wants_compression(const nova_host_t *host, uint32_t asked)
{
	return asked ? asked == NOVA_COMPRESS_ON :
		       !strcmp(config_str(host_config(host), "snapshot.compress"), "on");
}

static int import_opts(const nova_host_t *host, const nova_snapshot_opts *opts,
	nova_snapshot_opts *o, bool *ret_compress, nova_error_t **error)
{
	int code = opts_import(o, sizeof(*o), opts, "nova_snapshot_opts", error);
	if (code == 0)
		code = opts_reserved(o->reserved, "nova_snapshot_opts", error);
	if (code == 0)
		code = host_check_process(host, error);
	if (code == 0 && o->name)
		code = snapshot_check_name(o->name, error);
	if (code < 0)
		return code;
	if (o->compress > NOVA_COMPRESS_OFF)
		return nova_fail(error, NOVA_EINVAL,
			"nova_snapshot_opts.compress is %u: 0, NOVA_COMPRESS_ON or "
			"NOVA_COMPRESS_OFF",
			o->compress);
	*ret_compress = wants_compression(host, o->compress);
	return *ret_compress ? snapshot_can_compress(error) : 0;
}

int vm_snapshot(nova_vm_t *vm, const char *owner, const nova_snapshot_opts *opts,
	const struct stop *stop, nova_snapshot_t **ret_snapshot, nova_error_t **error)
{
	nova_snapshot_opts o;
	AUTO_FROZEN struct frozen *f = NULL;
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	struct instant_label label = { .owner = owner ? owner : vm->owner ? vm->owner : "" };
	int code = import_opts(vm->host, opts, &o, &label.compress, error);
	if (code == 0)
		code = vm_check_not_entrusted(vm, error);
	if (code < 0)
		return code;
	AUTO_FREE char *root = instants_root(vm->host);
	if (!root)
		return nova_oom(error);
	const struct stop any = { o.interrupt, stop };
	label.name = o.name;
	label.life_time_s = o.life_time_s;
	label.stop = &any;
	code = vm_freeze(vm, false, &any, &f, error);
	if (code == 0)
		code = instant_refine(f, root, error);
	if (code == 0)
		code = instant_write(vm->host, root, f, &label, &m, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&vm->lock);
	memcpy(vm->snapshot, m.id, SNAPSHOT_ID);
	pthread_mutex_unlock(&vm->lock);
	return ret_snapshot ? make_handle(root, &m, ret_snapshot, error) : 0;
}

int nova_vm_snapshot(nova_vm_t *vm, const nova_snapshot_opts *opts, nova_snapshot_t **ret_snapshot,
	nova_error_t **error)
{
	return ANY_NULL(error, vm) ? NOVA_EINVAL :
				     vm_snapshot(vm, NULL, opts, NULL, ret_snapshot, error);
}

const char *snapshot_owner(const nova_snapshot_t *s)
{
	return s->manifest.owner;
}

const char *snapshot_engine(const nova_snapshot_t *s)
{
	return s->manifest.engine;
}

uint32_t snapshot_memory_mb(const nova_snapshot_t *s)
{
	return s->manifest.config.memory_mb;
}

uint32_t snapshot_vcpus(const nova_snapshot_t *s)
{
	return s->manifest.config.vcpus;
}

int nova_snapshot_open(
	nova_host_t *host, const char *name, nova_snapshot_t **ret_snapshot, nova_error_t **error)
{
	if (ANY_NULL(error, host, name, ret_snapshot))
		return NOVA_EINVAL;
	AUTO_FREE char *root = instants_root(host);
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	CLEANUP(snapshot_files_done) struct snapshot_files files = SNAPSHOT_FILES_NONE;
	int code = host_check_process(host, error);
	if (code == 0)
		code = root ? snapshot_find(root, name, &m, error) : nova_oom(error);
	if (code == 0)
		code = snapshot_open(root, &m, &files, error);
	return code < 0 ? code : make_handle(root, &m, ret_snapshot, error);
}

int vm_restore(nova_host_t *host, const nova_snapshot_t *snapshot, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	AUTO_FROZEN struct frozen *f = NULL;
	int code = host_check_process(host, error);
	if (code == 0)
		code = instant_read(host, snapshot->root, &snapshot->manifest, &f, error);
	if (code == 0)
		snapshot_note_use(snapshot->root, snapshot->manifest.id);
	return code < 0 ? code : vm_thaw(host, f, stop, ret_vm, error);
}

int nova_vm_restore(nova_host_t *host, const nova_snapshot_t *snapshot, const nova_wait_opts *wait,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	if (ANY_NULL(error, host, snapshot, ret_vm))
		return NOVA_EINVAL;
	struct stop stop;
	int code = stop_import(&stop, wait, error);
	return code < 0 ? code : vm_restore(host, snapshot, &stop, ret_vm, error);
}

static int by_time(const void *a, const void *b)
{
	uint64_t first = (*(nova_snapshot_t *const *)a)->manifest.created_us,
		 second = (*(nova_snapshot_t *const *)b)->manifest.created_us;
	return first < second ? -1 : first > second;
}

static int list_kind(nova_host_t *host, bool templates, nova_snapshot_t ***ret_snapshots,
	size_t *ret_count, nova_error_t **error)
{
	AUTO_FREE char *root = instants_root(host);
	struct manifest *found = NULL;
	size_t count = 0, made = 0;
	int code = host_check_process(host, error);
	if (code == 0)
		code = root ? snapshot_list(root, &found, &count, error) : nova_oom(error);
	nova_snapshot_t **list = code == 0 && count ? calloc(count, sizeof(*list)) : NULL;
	if (code == 0 && count && !list)
		code = nova_oom(error);
	for (size_t i = 0; code == 0 && i < count; i++) {
		if (str_starts(found[i].name, TEMPLATE_PREFIX) != templates)
			continue;
		code = make_handle(root, &found[i], &list[made], error);
		made += code == 0;
	}
	manifests_free(found, count);
	if (code < 0) {
		nova_snapshot_list_free(list, made);
		return code;
	}
	if (made)
		qsort(list, made, sizeof(*list), by_time);
	*ret_snapshots = list;
	*ret_count = made;
	return 0;
}

int nova_snapshot_list(nova_host_t *host, nova_snapshot_t ***ret_snapshots, size_t *ret_count,
	nova_error_t **error)
{
	return ANY_NULL(error, host, ret_snapshots, ret_count) ?
		       NOVA_EINVAL :
		       list_kind(host, false, ret_snapshots, ret_count, error);
}

int nova_template_list(nova_host_t *host, nova_snapshot_t ***ret_snapshots, size_t *ret_count,
	nova_error_t **error)
{
	return ANY_NULL(error, host, ret_snapshots, ret_count) ?
		       NOVA_EINVAL :
		       list_kind(host, true, ret_snapshots, ret_count, error);
}

void nova_snapshot_list_free(nova_snapshot_t **snapshots, size_t count)
{
	for (size_t i = 0; snapshots && i < count; i++)
		nova_snapshot_free(snapshots[i]);
	free(snapshots);
}

int nova_snapshot_delete(nova_host_t *host, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, host, name))
		return NOVA_EINVAL;
	AUTO_FREE char *root = instants_root(host);
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	int code = host_check_process(host, error);
	if (code == 0)
		code = root ? snapshot_find(root, name, &m, error) : nova_oom(error);
	if (code < 0)
		return code;
	standby_drop_base(
		host, root, m.id); /* they wait for clones that nobody can want any more */
	return snapshot_remove(root, &m, error);
}

/* Whether it is to be pruned: 1, 0, or a code when that cannot be found out. */
static int is_over(nova_host_t *host, const struct manifest *m, nova_error_t **error)
{
	uint64_t now = clock_unix_us();
	(void)host, (void)error;
	return m->life_time_s && now > m->created_us &&
	       (now - m->created_us) / 1000000u >= m->life_time_s;
}

static int is_template(nova_host_t *host, const struct manifest *m, nova_error_t **error)
{
	(void)host, (void)error;
	return str_starts(m->name, TEMPLATE_PREFIX);
}

static int is_stale_template(nova_host_t *host, const struct manifest *m, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	if (!is_template(host, m, NULL))
		return 0;
	AUTO_FREE char *root = instants_root(host);
	int code = root ? instant_check(host, root, m, &why) : nova_oom(&why);
	if (!code_is_refusal(code))
		return code == NOVA_ESTALE || code == NOVA_ENOTFOUND;
	if (error)
		*error = STEAL(why);
	return code;
}

/* Those of `all` that are to be pruned; to be freed. */
static int choose(nova_host_t *host, const struct manifest *all, size_t count,
	int (*is_due)(nova_host_t *, const struct manifest *, nova_error_t **),
	const struct manifest ***ret_due, size_t *ret_count, nova_error_t **error)
{
	size_t due_count = 0;
	AUTO_FREE const struct manifest **due = calloc(count + 1, sizeof(*due));
	int due_now = due ? 0 : nova_oom(error);
	for (size_t i = 0; due_now >= 0 && i < count; i++) {
		due_now = is_due(host, &all[i], error);
		if (due_now > 0)
			due[due_count++] = &all[i];
	}
	if (due_now < 0)
		return due_now;
	*ret_due = STEAL(due);
	*ret_count = due_count;
	return 0;
}

static int prune(nova_host_t *host,
	int (*is_due)(nova_host_t *, const struct manifest *, nova_error_t **), size_t *ret_count,
	nova_error_t **error)
{
	AUTO_FREE char *root = instants_root(host);
	AUTO_FREE const struct manifest **due = NULL;
	struct manifest *all = NULL;
	size_t count = 0, due_count = 0, pruned = 0;
	int code = host_check_process(host, error);
	if (code == 0)
		code = root ? snapshot_list(root, &all, &count, error) : nova_oom(error);
	if (code == 0)
		code = choose(host, all, count, is_due, &due, &due_count, error);
	if (code == 0 && due_count)
		code = snapshot_remove_unused(root, due, due_count, &pruned, error);
	manifests_free(all, count);
	if (code == 0 && ret_count)
		*ret_count = pruned;
	return code;
}

int nova_snapshot_prune(nova_host_t *host, size_t *ret_count, nova_error_t **error)
{
	return ANY_NULL(error, host) ? NOVA_EINVAL : prune(host, is_over, ret_count, error);
}

int nova_template_prune(nova_host_t *host, int all, size_t *ret_count, nova_error_t **error)
{
	return ANY_NULL(error, host) ?
		       NOVA_EINVAL :
		       prune(host, all ? is_template : is_stale_template, ret_count, error);
}

/* What the getters tell of NULL. */
static const nova_snapshot_t *or_nothing(const nova_snapshot_t *snapshot)
{
	static const nova_snapshot_t nothing = {
		.path = (char *)"",
		.manifest = { .name = (char *)"" },
	};
	return snapshot ? snapshot : &nothing;
}

const char *nova_snapshot_id(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.id;
}

const char *nova_snapshot_name(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.name;
}

const char *nova_snapshot_path(const nova_snapshot_t *s)
{
	return or_nothing(s)->path;
}

const char *nova_snapshot_base(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.base;
}

const char *nova_snapshot_parent(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.parent;
}

const char *nova_snapshot_draws(const nova_snapshot_t *s)
{
	const char *draws = or_nothing(s)->manifest.function.draws;
	return draws ? draws : "";
}

int nova_snapshot_has_function(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.function.is_there;
}

uint64_t nova_snapshot_created_us(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.created_us;
}

uint64_t nova_snapshot_used_us(const nova_snapshot_t *s)
{
	return !s ? 0 : snapshot_last_use_us(s->root, s->manifest.id);
}

uint64_t nova_snapshot_life_time_s(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.life_time_s;
}

uint64_t nova_snapshot_disk_bytes(const nova_snapshot_t *s)
{
	return !s ? 0 : snapshot_disk_bytes(s->root, s->manifest.id);
}
