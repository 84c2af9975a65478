/* SPDX-License-Identifier: MIT */
/* Instants of VMs on disk: written down, and read back after a check that they fit. */
#include <sys/stat.h>

#include "vm/frozen.h"
#include "vm/instant.h"

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
	bool copied = guest_function_copy(&m->function, &f->function) == 0;
	int code = m->engine && copied ?
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

static int find_engine(
	const struct manifest *m, const struct engine_ops **ret_ops, nova_error_t **error)
{
	*ret_ops = engine_find(m->engine);
	if (*ret_ops && (*ret_ops)->save)
		return 0;
	return nova_fail(error, NOVA_ESTALE,
		"snapshot '%s' was made by the engine '%s', which this libnova does not have",
		m->name, m->engine);
}

/* --- frozen instants <-> directories --- */

char *instants_root(const nova_host_t *host)
{
	return path_join(nova_host_home(host), "snapshots");
}

static bool is_whole(const struct frozen *f, const char *root)
{
	return !f->base->id || strcmp(f->base->root, root) != 0;
}

int instant_refine(struct frozen *f, const char *root, nova_error_t **error)
{
	return is_whole(f, root) ? 0 : pages_refine(&f->pages, f->base->fd, error);
}

#define SMALL_FILES                                                                                \
	32768u /* manifest, .checked, directory, and what the last blocks leave free               \
		*/

uint64_t instant_need(const struct frozen *f, const char *root)
{
	struct stat state = { .st_size = 0 }, memory = { .st_blocks = 0 };
	sys_fstat(f->state_fd, &state);
	if (is_whole(f, root))
		sys_fstat(f->base->fd, &memory);
	return (uint64_t)memory.st_blocks * 512u + (uint64_t)state.st_size + SMALL_FILES +
	       pages_bytes(&f->pages) + f->pages.run_count * sizeof(struct page_run);
}

int instant_write(nova_host_t *host, const char *root, const struct frozen *f,
	const struct instant_label *label, struct manifest *ret, nova_error_t **error)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	if (f->function.entrusted) /* it was given them after it had been looked at */
		return nova_fail(error, NOVA_ENOTSUP,
			"the microVM has secrets, which are not written to a disk");
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
	bool whole = is_whole(f, root);
	if (!whole) {
		memcpy(m.base, f->base->id, SNAPSHOT_ID);
		memcpy(m.base_sum, f->base->sum, sizeof(m.base_sum));
	}
	struct snapshot_parts parts = { whole ? f->base->fd : -1, &f->pages, f->state_fd,
		label->compress, label->stop };
	code = snapshot_write(root, &m, &parts, error);
	if (code == 0) {
		*ret = m;
		m = (struct manifest){ .name = NULL };
	}
	return code;
}

/* Another file of memory may have come in its place: a template that was damaged is made anew
 * under the same id. */
static int check_base(const struct manifest *m, const struct manifest *base, nova_error_t **error)
{
	if (!base->memory.size || base->config.memory_mb != m->config.memory_mb)
		return nova_fail(error, NOVA_ECORRUPT,
			"snapshot '%s' has no memory of its own of %u MB and cannot be the base",
			base->id, m->config.memory_mb);
	if (*m->base_sum && strcmp(m->base_sum, base->memory.sha256))
		return nova_fail(error, NOVA_ESTALE,
			"snapshot '%s' does not fit any more: its base '%s' was made anew", m->name,
			base->id);
	return 0;
}

int instant_check(
	nova_host_t *host, const char *root, const struct manifest *m, nova_error_t **error)
{
	const struct engine_ops *ops;
	int code = find_engine(m, &ops, error);
	if (code == 0)
		code = check_fit(host, m, ops, error);
	if (code == 0)
		code = check_inputs(m, error);
	AUTO_MANIFEST struct manifest base = { .name = NULL };
	if (code == 0 && *m->base)
		code = snapshot_find(root, m->base, &base, error);
	return code < 0 || !*m->base ? code : check_base(m, &base, error);
}

static int open_base(const char *root, const struct manifest *of, struct vm_base **ret_base,
	nova_error_t **error)
{
	const char *id = *of->base ? of->base : of->id;
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	CLEANUP(snapshot_files_done) struct snapshot_files files = SNAPSHOT_FILES_NONE;
	int code = snapshot_find(root, id, &m, error);
	if (code == 0)
		code = check_base(of, &m, error);
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
	memcpy(base->sum, m.memory.sha256, sizeof(base->sum));
	if (!base->root || !base->id) {
		base_unref(base);
		return nova_oom(error);
	}
	*ret_base = base;
	return 0;
}

/* All but what lies in its files. */
static struct frozen *frozen_described(const struct manifest *m, const struct engine_ops *ops)
{
	AUTO_FROZEN struct frozen *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	*f = (struct frozen){
		.references = 1,
		.ops = ops,
		.pages = PAGES_NONE,
		.state_fd = -1,
	};
	memcpy(f->snapshot, m->id, SNAPSHOT_ID);
	bool copied = machine_config_copy(&f->shape, &m->config) == 0 &&
		      guest_function_copy(&f->function, &m->function) == 0;
	return copied ? STEAL(f) : NULL;
}

int instant_read(nova_host_t *host, const char *root, const struct manifest *m,
	struct frozen **ret_frozen, nova_error_t **error)
{
	const struct engine_ops *ops;
	int code = find_engine(m, &ops, error);
	if (code < 0)
		return code;
	CLEANUP(snapshot_files_done) struct snapshot_files files = SNAPSHOT_FILES_NONE;
	AUTO_FROZEN struct frozen *f = frozen_described(m, ops);
	code = f ? check_fit(host, m, ops, error) : nova_oom(error);
	if (code == 0)
		code = snapshot_open(root, m, &files, error);
	if (code == 0)
		code = open_base(root, m, &f->base, error);
	if (code < 0)
		return *m->base && code == NOVA_ENOTFOUND ?
			       nova_wrap(error, code, "the base of snapshot '%s'", m->name) :
			       code;
	f->is_on_disk = true;
	f->state_fd = STEAL_FD(files.state);
	f->pages = files.pages;
	files.pages = (struct pages)PAGES_NONE;
	*ret_frozen = STEAL(f);
	return 0;
}
