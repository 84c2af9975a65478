/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "pool/template.h"

#include "image/image.h"
#include "vm/instant.h"

/* --- key ------------------------------------------------------------------------------------------------------------- */

static int add_text(struct buf *key, const char *text)
{
	return buf_append(key, text ? text : "", strlen(text ? text : "") + 1); /* the NUL keeps "a","b" and "ab","" apart */
}

static int add_file(struct buf *key, const char *path, nova_error_t **error)
{
	AUTO_FREE char *identity = NULL;
	int code = path ? file_identity(path, &identity, error) : 0;
	if (code < 0)
		return code;
	return add_text(key, path) < 0 || add_text(key, identity) < 0 ? nova_oom(error) : 0;
}

static int add_guest(nova_host_t *host, const nova_vm_opts *vm, struct buf *key, nova_error_t **error)
{
	AUTO_FREE char *kernel = NULL, *initramfs = NULL, *rootfs = NULL;
	const char *directory = nova_host_images(host);
	int code = image_find_kernel(directory, &kernel, &initramfs, error);
	if (code == 0)
		code = image_find_rootfs(directory, vm->rootfs ? vm->rootfs : "base", &rootfs, error);
	const char *const files[] = { kernel, initramfs, rootfs, vm->code_disk };
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(files); i++)
		code = add_file(key, files[i], error);
	return code;
}

static int add_function(const nova_pool_want *want, struct buf *key, nova_error_t **error)
{
	const nova_vm_init_opts *init = want->init;
	AUTO_FREE char *shape = str_format("%u %u", want->vm->memory_mb, want->vm->vcpus);
	int r = shape ? add_text(key, shape) : -1;
	if (r == 0)
		r = add_text(key, init->runtime);
	if (r == 0)
		r = add_text(key, init->handler);
	for (size_t i = 0; r == 0 && i < init->env_count; i++)
		r = add_text(key, init->env[i]);
	return r < 0 ? nova_oom(error) : 0;
}

static int make_id(nova_host_t *host, const struct engine_ops *ops, const nova_pool_want *want, char ret_id[SNAPSHOT_ID], nova_error_t **error)
{
	AUTO_BUF struct buf key = BUF_INIT(1u << 20);
	AUTO_FREE char *engine = NULL;
	char digest[SHA256_HEX];
	int code = ops->identity(host_engine_env(host), &engine, error);
	if (code == 0 && (add_text(&key, NOVA_VERSION_STRING) < 0 || add_text(&key, engine) < 0))
		code = nova_oom(error);
	if (code == 0)
		code = add_guest(host, want->vm, &key, error);
	if (code == 0)
		code = add_function(want, &key, error);
	if (code == 0 && sha256_hex(key.data, key.len, digest) < 0)
		code = nova_oom(error);
	if (code == 0)
		snprintf(ret_id, SNAPSHOT_ID, "%.16s", digest);
	return code;
}

/* --- found or made -------------------------------------------------------------------------------------------------------- */

static int find(nova_host_t *host, const char *root, const char *id, struct frozen **ret, nova_error_t **error)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	int code = snapshot_find(root, id, &m, error);
	return code < 0 ? code : instant_read(host, root, &m, ret, error);
}

static int make(nova_host_t *host, const nova_pool_want *want, struct frozen **ret, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = nova_vm_start(host, want->vm, &vm, error);
	if (code < 0)
		return code;
	code = nova_vm_init(vm, want->init, error);
	if (code == 0)
		code = vm_freeze(vm, true, ret, error);
	nova_vm_free(vm);
	return code;
}

/* What cannot be written (a full disk) still serves this process. */
static void keep(nova_host_t *host, const char *root, const char *id, struct frozen **frozen)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	AUTO_FREE char *name = str_format(TEMPLATE_PREFIX "%s", id);
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	struct frozen *on_disk = NULL;
	int code = name ? instant_write(host, root, *frozen, id, name, 0, &m, &failure) : NOVA_ENOMEM;
	if (code == 0)
		code = instant_read(host, root, &m, &on_disk, &failure);
	if (code < 0) {
		log_warn(host_log(host), "template", "%s stays in memory: %s", id, nova_error_message(failure));
		return;
	}
	frozen_unref(*frozen);
	*frozen = on_disk;
}

/* A template that is damaged or does not fit is worth nothing: away with it. */
static void discard(nova_host_t *host, const char *root, const char *id)
{
	AUTO_FREE char *path = path_join(root, id);
	if (path && fs_exists(path)) {
		log_warn(host_log(host), "template", "%s is damaged and is made anew", id);
		snapshot_discard(root, id);
	}
}

static int make_once(nova_host_t *host, const char *root, const char *id, const nova_pool_want *want, struct frozen **ret, bool *ret_made,
	nova_error_t **error)
{
	AUTO_FREE char *lock = str_format("%s/.make-%s", root, id);
	AUTO_FD int fd = -1;
	int r = lock ? fs_mkdirs(root, 0700) : -ENOMEM;
	if (r == 0)
		r = fs_lock(lock, true, &fd); /* the others wait here, and find it then */
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", root);
	if (find(host, root, id, ret, NULL) == 0)
		return 0;
	discard(host, root, id);
	int code = make(host, want, ret, error);
	if (code == 0) {
		keep(host, root, id, ret);
		*ret_made = true;
	}
	fs_unlink(lock);
	return code;
}

bool template_possible(nova_host_t *host, const nova_pool_want *want)
{
	const struct engine_ops *ops;
	return want->init && want->vm && !strcmp(config_str(host_config(host), "pool.templates"), "on") &&
		host_choose_engine(host, want->vm->engine, &ops, NULL) == 0 && ops->save;
}

int template_get(nova_host_t *host, const nova_pool_want *want, struct frozen **ret, bool *ret_made, nova_error_t **error)
{
	const struct engine_ops *ops;
	char id[SNAPSHOT_ID];
	AUTO_FREE char *root = instants_root(host);
	*ret_made = false;
	int code = root ? host_choose_engine(host, want->vm->engine, &ops, error) : nova_oom(error);
	if (code == 0)
		code = make_id(host, ops, want, id, error);
	if (code < 0)
		return code;
	if (find(host, root, id, ret, NULL) == 0)
		return 0;
	return make_once(host, root, id, want, ret, ret_made, error);
}

void template_discard(nova_host_t *host, const struct frozen *frozen)
{
	if (frozen->base->root && frozen->base->id)
		discard(host, frozen->base->root, frozen->base->id);
}
