/* SPDX-License-Identifier: MIT */
/* Snapshots of VMs on disk: frozen instants written down, and read back after a check that they
 * fit. */
#include <nova/snapshot.h>

#include "vm/instant.h"

struct nova_snapshot {
	char *root;
	struct manifest manifest;
	char *path;
};

/* --- what must be the same --- */

static int describe_file(
	const char *path, char **ret_path, char **ret_identity, nova_error_t **error)
{
	if (!path)
		return (*ret_identity = strdup("")) ? 0 : nova_oom(error);
	int r = path_absolute(path, ret_path); /* it is read in other directories */
	return r < 0 ? nova_fail_os(error, r, "'%s'", path) :
		       file_identity(path, ret_identity, error);
}

static int describe_machine(
	struct manifest *m, const struct machine_config *shape, nova_error_t **error)
{
	m->config = *shape;
	m->config.rootfs = m->config.code_disk = NULL;
	int code = describe_file(shape->rootfs, &m->config.rootfs, &m->rootfs_identity, error);
	return code < 0 ? code :
			  describe_file(
				  shape->code_disk, &m->config.code_disk, &m->code_identity, error);
}

static int describe(
	nova_host_t *host, const struct frozen *f, struct manifest *m, nova_error_t **error)
{
	if (random_hex(m->id, SNAPSHOT_ID - 1) < 0)
		return nova_oom(error);
	m->created_us = clock_unix_us();
	m->engine = strdup(f->ops->name);
	memcpy(m->parent, f->snapshot, SNAPSHOT_ID);
	m->has_function = f->has_function;
	m->has_hooks = f->has_hooks;
	m->concurrency = f->concurrency;
	m->draws = strdup(f->draws ? f->draws : "");
	int code = m->engine && m->draws ?
			   f->ops->identity(host_engine_env(host), &m->engine_identity, error) :
			   nova_oom(error);
	return code < 0 ? code : describe_machine(m, &f->shape, error);
}

static int differs(const char *what, const char *name, nova_error_t **error)
{
	return nova_fail(error, NOVA_ESTALE,
		"snapshot '%s' does not fit any more: %s; make it anew", name, what);
}

static int check_fit(nova_host_t *host, const struct manifest *m, const struct engine_ops *ops,
	nova_error_t **error)
{
	AUTO_FREE char *engine = NULL;
	AUTO_MANIFEST struct manifest now = { .name = NULL };
	int code = ops->identity(host_engine_env(host), &engine, error);
	if (code < 0)
		return code;
	if (strcmp(engine, m->engine_identity))
		return nova_fail(error, NOVA_ESTALE,
			"snapshot '%s' does not fit any more: it was made with the engine %s, here "
			"is %s; make it anew",
			m->name, m->engine_identity, engine);
	code = describe_machine(&now, &m->config, error);
	if (code < 0)
		return nova_wrap(error, code == NOVA_ENOTFOUND ? NOVA_ESTALE : code,
			"snapshot '%s' does not fit any more", m->name);
	if (strcmp(now.rootfs_identity, m->rootfs_identity))
		return differs("its root filesystem has changed", m->name, error);
	return strcmp(now.code_identity, m->code_identity) ?
		       differs("its code disk has changed", m->name, error) :
		       0;
}

/* --- frozen instants <-> directories --- */

static int describe_inputs(
	struct manifest *m, const struct instant_label *label, nova_error_t **error)
{
	m->inputs = label->input_count ? calloc(label->input_count, sizeof(char *)) : NULL;
	if (label->input_count && !m->inputs)
		return nova_oom(error);
	for (size_t i = 0; i < label->input_count; i++) {
		AUTO_FREE char *identity = NULL, *path = NULL;
		int r = path_absolute(label->inputs[i], &path);
		int code = r < 0 ? nova_fail_os(error, r, "'%s'", label->inputs[i]) :
				   file_identity(path, &identity, error);
		if (code < 0)
			return code;
		m->inputs[i] = str_format("%s %s", identity, path);
		if (!m->inputs[i])
			return nova_oom(error);
		m->input_count = i + 1;
	}
	return 0;
}

/* NOVA_ESTALE or NOVA_ENOTFOUND: one of them is not what it was. */
static int check_inputs(const struct manifest *m, nova_error_t **error)
{
	for (size_t i = 0; i < m->input_count; i++) {
		AUTO_FREE char *identity = NULL;
		const char *space = strchr(m->inputs[i], ' ');
		size_t len = space ? (size_t)(space - m->inputs[i]) : 0;
		int code = len ? file_identity(space + 1, &identity, error) : NOVA_ESTALE;
		if (code < 0)
			return code;
		if (strlen(identity) != len || memcmp(identity, m->inputs[i], len))
			return nova_fail(error, NOVA_ESTALE, "'%s' has changed", space + 1);
	}
	return 0;
}

int instant_write(nova_host_t *host, const char *root, const struct frozen *f,
	const struct instant_label *label, struct manifest *ret, nova_error_t **error)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	int code = describe(host, f, &m, error);
	if (code == 0)
		code = describe_inputs(&m, label, error);
	if (code < 0)
		return code;
	if (label->id)
		memcpy(m.id, label->id, SNAPSHOT_ID);
	m.name = strdup(label->name ? label->name : m.id);
	m.owner = strdup(label->owner ? label->owner : "");
	m.life_time_s = label->life_time_s;
	if (!m.name || !m.owner)
		return nova_oom(error);
	bool whole = label->whole || !f->base->id || strcmp(f->base->root, root) != 0;
	if (!whole)
		memcpy(m.base, f->base->id, SNAPSHOT_ID);
	struct snapshot_parts parts = { whole ? f->base->fd : -1, &f->pages, f->state_fd,
		label->compress, label->stop };
	code = snapshot_write(root, &m, &parts, error);
	if (code == 0) {
		*ret = m;
		m = (struct manifest){ .name = NULL };
	}
	return code;
}

static int open_base(const char *root, const char *id, uint32_t memory_mb,
	struct vm_base **ret_base, nova_error_t **error)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	CLEANUP(snapshot_files_done) struct snapshot_files files = SNAPSHOT_FILES_NONE;
	int code = snapshot_find(root, id, &m, error);
	if (code == 0 && (!m.memory.size || m.config.memory_mb != memory_mb))
		code = nova_fail(error, NOVA_ECORRUPT,
			"snapshot '%s' has no memory of its own of %u MB and cannot be the base",
			id, memory_mb);
	if (code == 0)
		code = snapshot_open(root, &m, &files, error);
	if (code < 0)
		return code;
	struct vm_base *base = base_new(files.memory);
	if (!base)
		return nova_oom(error);
	files.memory = -1;
	base->lock_fd = STEAL_FD(files.memory_lock);
	base->root = strdup(root);
	base->id = strdup(id);
	if (!base->root || !base->id) {
		base_unref(base);
		return nova_oom(error);
	}
	*ret_base = base;
	return 0;
}

int instant_read(nova_host_t *host, const char *root, const struct manifest *m,
	struct frozen **ret_frozen, nova_error_t **error)
{
	const struct engine_ops *ops = engine_find(m->engine);
	if (!ops || !ops->save)
		return nova_fail(error, NOVA_ESTALE,
			"snapshot '%s' was made by the engine '%s', which this libnova does not "
			"have",
			m->name, m->engine);
	CLEANUP(snapshot_files_done) struct snapshot_files files = SNAPSHOT_FILES_NONE;
	AUTO_FROZEN struct frozen *f = calloc(1, sizeof(*f));
	if (!f)
		return nova_oom(error);
	*f = (struct frozen){
		.references = 1,
		.ops = ops,
		.pages = PAGES_NONE,
		.state_fd = -1,
		.has_function = m->has_function,
		.has_hooks = m->has_hooks,
		.concurrency = m->concurrency,
	};
	memcpy(f->snapshot, m->id, SNAPSHOT_ID);
	f->draws = *m->draws ? strdup(m->draws) : NULL;
	bool copied = machine_config_copy(&f->shape, &m->config) == 0 && (!*m->draws || f->draws);
	int code = copied ? check_fit(host, m, ops, error) : nova_oom(error);
	if (code == 0)
		code = snapshot_open(root, m, &files, error);
	if (code == 0)
		code = open_base(
			root, *m->base ? m->base : m->id, m->config.memory_mb, &f->base, error);
	if (code < 0)
		return *m->base && code == NOVA_ENOTFOUND ?
			       nova_wrap(error, code, "the base of snapshot '%s'", m->name) :
			       code;
	f->state_fd = STEAL_FD(files.state);
	f->pages = files.pages;
	files.pages = (struct pages)PAGES_NONE;
	*ret_frozen = STEAL(f);
	return 0;
}

/* --- the public calls --- */

char *instants_root(const nova_host_t *host)
{
	return path_join(nova_host_home(host), "snapshots");
}

static int make_handle(
	const char *root, struct manifest *m, nova_snapshot_t **ret, nova_error_t **error)
{
	nova_snapshot_t *s = calloc(1, sizeof(*s));
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
	if (!s)
		return;
	manifest_done(&s->manifest);
	free(s->root);
	free(s->path);
	free(s);
}

int snapshot_check_name(const char *name, nova_error_t **error)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strspn(name, allowed);
	if (!len || len > 64 || name[len] || name[0] == '.' || name[0] == '-')
		return nova_fail(error, NOVA_EINVAL,
			"'%s' is no name for a snapshot: 1 to 64 letters, digits, '-', '_' and "
			"'.', beginning with a letter or digit",
			name);
	return 0;
}

static bool wants_compression(const nova_host_t *host, uint32_t asked)
{
	return asked ? asked == NOVA_COMPRESS_ON :
		       !strcmp(config_str(host_config(host), "snapshot.compress"), "on");
}

int vm_snapshot(nova_vm_t *vm, const char *owner, const nova_snapshot_opts *opts,
	const struct stop *stop, nova_snapshot_t **ret_snapshot, nova_error_t **error)
{
	nova_snapshot_opts o;
	int code = opts_import(&o, sizeof(o), opts, "nova_snapshot_opts", error);
	if (code == 0)
		code = opts_reserved(o.reserved, "nova_snapshot_opts", error);
	if (code == 0)
		code = host_check_process(vm->host, error);
	if (code == 0 && o.name)
		code = snapshot_check_name(o.name, error);
	bool compress = code == 0 && wants_compression(vm->host, o.compress);
	if (code == 0 && o.compress > NOVA_COMPRESS_OFF)
		code = nova_fail(error, NOVA_EINVAL,
			"nova_snapshot_opts.compress is %u: 0, NOVA_COMPRESS_ON or "
			"NOVA_COMPRESS_OFF",
			o.compress);
	if (code == 0 && compress)
		code = snapshot_can_compress(error);
	if (code < 0)
		return code;
	AUTO_FROZEN struct frozen *f = NULL;
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	AUTO_FREE char *root = instants_root(vm->host);
	if (!root)
		return nova_oom(error);
	const struct stop any = { o.interrupt, stop };
	code = vm_freeze(vm, false, &any, &f, error);
	struct instant_label label = {
		.name = o.name,
		.owner = owner,
		.life_time_s = o.life_time_s,
		.compress = compress,
		.stop = &any,
	};
	if (code == 0)
		code = instant_write(vm->host, root, f, &label, &m, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&vm->lock);
	memcpy(vm->snapshot, m.id, SNAPSHOT_ID);
	pthread_mutex_unlock(&vm->lock);
	return ret_snapshot ? make_handle(root, &m, ret_snapshot, error) : 0;
}

void vm_snapshot_of(nova_vm_t *vm, char ret_id[17])
{
	pthread_mutex_lock(&vm->lock);
	memcpy(ret_id, vm->snapshot, SNAPSHOT_ID);
	pthread_mutex_unlock(&vm->lock);
}

int nova_vm_snapshot(nova_vm_t *vm, const nova_snapshot_opts *opts, nova_snapshot_t **ret_snapshot,
	nova_error_t **error)
{
	return ANY_NULL(error, vm) ? NOVA_EINVAL :
				     vm_snapshot(vm, "", opts, NULL, ret_snapshot, error);
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
	for (size_t i = 0; i < count; i++)
		manifest_done(&found[i]);
	free(found);
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
	shells_drop_base(host, root, m.id); /* they wait for clones that nobody can want any more */
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
	const struct engine_ops *ops = engine_find(m->engine);
	AUTO_ERROR nova_error_t *why = NULL;
	if (!is_template(host, m, NULL))
		return 0;
	if (!ops || !ops->save)
		return 1;
	int code = check_fit(host, m, ops, &why);
	if (code == 0)
		code = check_inputs(m, &why);
	if (!code_is_refusal(code))
		return code == NOVA_ESTALE || code == NOVA_ENOTFOUND;
	if (error)
		*error = STEAL(why);
	return code;
}

/* 1: it was removed; 0: it stays, being good, in use, or a base. */
static int prune_one(nova_host_t *host, const char *root, const struct manifest *m,
	int (*doomed)(nova_host_t *, const struct manifest *, nova_error_t **),
	nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	int code = doomed(host, m, error);
	if (code <= 0)
		return code;
	code = snapshot_remove(root, m, &why);
	if (!code_is_refusal(code))
		return code == 0;
	if (error)
		*error = STEAL(why);
	return code;
}

static int prune(nova_host_t *host,
	int (*doomed)(nova_host_t *, const struct manifest *, nova_error_t **), size_t *ret_count,
	nova_error_t **error)
{
	AUTO_FREE char *root = instants_root(host);
	struct manifest *all = NULL;
	size_t count = 0, pruned = 0;
	int code = host_check_process(host, error);
	if (code == 0)
		code = root ? snapshot_list(root, &all, &count, error) : nova_oom(error);
	for (size_t i = 0; i < count; i++) {
		int gone = code == 0 ? prune_one(host, root, &all[i], doomed, error) : 0;
		if (gone < 0)
			code = gone;
		pruned += gone > 0;
		manifest_done(&all[i]);
	}
	free(all);
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
		.manifest = { .name = (char *)"", .draws = (char *)"" },
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
	return or_nothing(s)->manifest.draws;
}

int nova_snapshot_has_function(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.has_function;
}

uint64_t nova_snapshot_created_us(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.created_us;
}

uint64_t nova_snapshot_life_time_s(const nova_snapshot_t *s)
{
	return or_nothing(s)->manifest.life_time_s;
}

uint64_t nova_snapshot_disk_bytes(const nova_snapshot_t *s)
{
	return !s ? 0 : snapshot_disk_bytes(s->root, s->manifest.id);
}
