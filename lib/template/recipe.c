/* SPDX-License-Identifier: MIT */
/* What goes into a template, and how one is made of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include <nova/disk.h>

#include "hash/hash.h"
#include "template/recipe.h"

#include "image/image.h"
#include "proto/proto.h"

/* --- the key --- */

static int add_text(struct buf *key, const char *text)
{
	/* the NUL keeps "a","b" and "ab","" apart */
	return buf_append(key, text ? text : "", strlen(text ? text : "") + 1);
}

static int add_file(struct buf *key, const char *path, nova_error_t **error)
{
	AUTO_FREE char *identity = NULL;
	int code = path ? file_identity(path, &identity, error) : 0;
	if (code < 0)
		return code;
	return add_text(key, path) < 0 || add_text(key, identity) < 0 ? nova_oom(error) : 0;
}

static int add_guest(const struct recipe *r, struct buf *key, nova_error_t **error)
{
	AUTO_FREE char *engine = NULL;
	const char *const files[] = { r->kernel, r->initramfs, r->rootfs, r->code_disk };
	int code = r->ops->identity(host_engine_env(r->host), &engine, error);
	if (code == 0 && (add_text(key, NOVA_VERSION_STRING) < 0 || add_text(key, engine) < 0 ||
				 machine_config_key(&r->want->vm->config.machine, key) < 0))
		code = nova_oom(error);
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(files); i++)
		code = add_file(key, files[i], error);
	return code;
}

static int add_function(const struct recipe *recipe, struct buf *key, nova_error_t **error)
{
	return function_config_key(&recipe->want->vm->config, key) < 0 ? nova_oom(error) : 0;
}

static int make_id(struct recipe *r, bool function, nova_error_t **error)
{
	AUTO_BUF struct buf key = BUF_INIT(1u << 20);
	char digest[SHA256_HEX];
	int code = add_guest(r, &key, error);
	if (code == 0 && function)
		code = add_function(r, &key, error);
	if (code == 0 && sha256_hex(key.data, key.len, digest) < 0)
		code = nova_oom(error);
	if (code == 0)
		snprintf(r->id, SNAPSHOT_ID, "%.16s", digest);
	return code;
}

/* --- the template of a runtime: a guest that has booted --- */

static int make_runtime(const struct recipe *r, struct frozen **ret, nova_error_t **error)
{
	nova_vm_t *vm;
	struct vm_spec spec = *r->want->vm;
	spec.config.machine.code_disk = r->code_disk;
	int code = vm_start(r->host, &spec, r->stop, &vm, error);
	if (code < 0)
		return code;
	code = vm_freeze(vm, true, r->stop, ret, error);
	nova_vm_free(vm);
	return code;
}

/* 1: it is there as it is to be; 0: it is to be made. */
static int placeholder_there(const char *path)
{
	char begin[PROTO_CODE_LATER_LEN];
	struct stat st = { .st_size = 0 };
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	if (fd == -ENOENT)
		return 0;
	int r = fd < 0 ? fd : sys_fstat(fd, &st);
	if (r < 0 || st.st_size != (off_t)NOVA_DISK_MAX_SIZE)
		return r;
	r = sys_pread_all(fd, begin, sizeof(begin), 0);
	return r < 0 ? r : !memcmp(begin, PROTO_CODE_LATER, sizeof(begin));
}

static int write_placeholder(const char *path)
{
	AUTO_FREE char *temp = NULL;
	AUTO_FD int fd = -1;
	int r = fs_temp_beside(path, 0644, &fd, &temp);
	if (r < 0)
		return r;
	r = sys_write_all(fd, PROTO_CODE_LATER, PROTO_CODE_LATER_LEN);
	if (r == 0)
		r = sys_truncate(fd, NOVA_DISK_MAX_SIZE);
	if (r == 0)
		r = fs_publish(fd, temp, path);
	if (r < 0)
		fs_unlink(temp);
	return r;
}

/* The disk that stands where a function's will be. The guest keeps its size, which therefore is
 * that of the largest there can be, though all of it is a hole. It is the same file for all: it is
 * part of the key. */
static int make_placeholder(const char *root, const char *path, nova_error_t **error)
{
	AUTO_FREE char *guard = path_join(root, ".lock");
	AUTO_FD int guard_fd = -1;
	int r = guard ? fs_mkdirs(root, 0700) : -ENOMEM;
	if (r == 0)
		r = fs_lock(guard, true, &guard_fd);
	/* What cannot be read is not written anew: it would be another file, and no template would
	 * fit any more. */
	if (r == 0)
		r = placeholder_there(path);
	if (r == 0)
		r = write_placeholder(path);
	return r < 0 ? nova_fail_os(error, r, "'%s'", path) : 0;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* How its users call the guest. */
static char *guest_name(const struct recipe *f)
{
	const char *runtime = f->want->vm->config.runtime;
	return strdup(runtime ? runtime : "the guest");
}

int recipe_of_runtime(const struct recipe *f, struct recipe *r, nova_error_t **error)
{
	*r = (struct recipe){
		.host = f->host,
		.want = f->want,
		.stop = f->stop,
		.deadline = f->deadline,
		.ops = f->ops,
		.root = copy(f->root),
		.guest = guest_name(f),
		.lasting = f->lasting,
		.kernel = copy(f->kernel),
		.initramfs = copy(f->initramfs),
		.rootfs = copy(f->rootfs),
		.code_disk = path_join(f->root, ".code-later"),
		.make = make_runtime,
	};
	if (!r->root || !r->guest || !r->kernel || !r->initramfs || !r->rootfs || !r->code_disk)
		return nova_oom(error);
	int code = make_placeholder(r->root, r->code_disk, error);
	return code < 0 ? code : make_id(r, false, error);
}

/* --- the template of a function: such a guest, given its code --- */

static void tell_timings(const struct recipe *r, const nova_vm_t *vm, uint64_t freeze_ms)
{
	uint64_t start_us =
		vm_timing_us(vm, NOVA_TIMING_START) + vm_timing_us(vm, NOVA_TIMING_BOOT);
	log_debug(host_log(r->host), "template",
		"%s: %s in %" PRIu64 " ms, init %" PRIu64 " ms, freeze %" PRIu64 " ms", r->id,
		nova_vm_id(vm), start_us / 1000u, vm_timing_us(vm, NOVA_TIMING_INIT) / 1000u,
		freeze_ms);
}

/* Whether it serves whom it was started for when it has been frozen. */
static bool goes_on(const struct recipe *r, const nova_vm_t *vm)
{
	return r->ret_vm && vm_goes_on(vm);
}

/* ret_draws: nothing is frozen then, as what the import has drawn would be in every clone. */
static int init_and_freeze(const struct recipe *r, nova_vm_t *vm, char **ret_draws,
	struct frozen **ret, nova_error_t **error)
{
	int code = vm_init(vm, r->want->vm, r->stop, error);
	uint64_t begin = clock_ns();
	const char *draws = code == 0 ? vm_draws(vm) : NULL;
	*ret_draws = draws ? strdup(draws) : NULL;
	if (draws && !*ret_draws)
		code = nova_oom(error);
	else if (code == 0 && !draws)
		code = vm_freeze(vm, !goes_on(r, vm), r->stop, ret, error);
	tell_timings(r, vm, us_since(begin) / 1000u);
	if (code == 0 && !draws && goes_on(r, vm))
		*r->ret_vm = vm;
	else
		nova_vm_free(vm);
	return code;
}

static int boot_guest(const struct recipe *r, nova_vm_t **ret_vm, nova_error_t **error)
{
	return vm_start(r->host, r->want->vm, r->stop, ret_vm, error);
}

/* 1: that is done; 0: not so, for the reason in `why`. */
static int clone_otherwise(const struct recipe *r, const struct recipe *runtime,
	const struct frozen *empty, nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error)
{
	AUTO_FROZEN struct frozen *rehearses = NULL;
	AUTO_ERROR nova_error_t *failure = NULL;
	const struct template_clones *clones = r->want->clones;
	const char *obstacle = clones ? frozen_hot_obstacle(r->host, empty) : "";
	if (obstacle) {
		snprintf(why, VM_PATH_WHY, "%s", obstacle);
		return 0;
	}
	if (rehearsal_prepare(runtime, empty, &rehearses, &failure) < 0) {
		snprintf(why, VM_PATH_WHY, "%s", nova_error_message(failure));
		return 0;
	}
	const struct runtime_clone what = { runtime->id, rehearses, r->code_disk };
	return clones->make(clones->userdata, &what, r->stop, ret_vm, why, error);
}

static int clone_runtime(
	const struct recipe *r, bool otherwise, nova_vm_t **ret_vm, nova_error_t **error)
{
	AUTO_RECIPE struct recipe runtime = { .root = NULL };
	AUTO_FROZEN struct frozen *empty = NULL, *with_code = NULL;
	char why[VM_PATH_WHY] = "";
	bool made;
	int code = recipe_of_runtime(r, &runtime, error);
	if (code == 0)
		code = recipe_obtain(&runtime, &empty, &made, error);
	if (code == 0 && otherwise)
		code = clone_otherwise(r, &runtime, empty, ret_vm, why, error);
	if (code != 0)
		return code < 0 ? code : 0;
	code = frozen_with_code(empty, r->code_disk, &with_code, error);
	if (code == 0)
		code = vm_thaw_for_call(r->host, with_code, r->stop, ret_vm, error);
	if (code == 0)
		vm_set_path_why(*ret_vm, why);
	return code;
}

int recipe_clone_runtime(const struct recipe *r, nova_vm_t **ret_vm, nova_error_t **error)
{
	return clone_runtime(r, true, ret_vm, error);
}

int recipe_thaw_runtime(const struct recipe *r, nova_vm_t **ret_vm, nova_error_t **error)
{
	return clone_runtime(r, false, ret_vm, error);
}

bool recipe_clone_failed(const struct template_want *want, int code)
{
	return want->clones && (code == NOVA_ELOST || code == NOVA_EAGENT || code == NOVA_EENGINE);
}

bool template_blames_function(int code)
{
	return code == NOVA_EINVAL || code == NOVA_EFUNCTION || code == NOVA_ETIMEDOUT ||
	       code == NOVA_ECONFIG;
}

/* How the guest of a template comes to be, up to its function. */
typedef int (*guest_fn)(const struct recipe *r, nova_vm_t **ret_vm, nova_error_t **error);

/* Its import does, which then is each clone's own. */
static bool needs_secrets(const struct recipe *r)
{
	return r->want->vm->secrets.entrust && r->want->vm->secrets.at_init;
}

/* As the guest is without the function, which each clone is given for itself. */
static int freeze_before_import(const struct recipe *r, guest_fn guest, char *draws,
	struct frozen **ret, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = guest(r, &vm, error);
	if (code < 0)
		return code;
	code = vm_freeze(vm, true, r->stop, ret, error);
	nova_vm_free(vm);
	if (code < 0)
		return code;
	frozen_set_draws(*ret, draws);
	if (!needs_secrets(r))
		log_warn(host_log(r->host), "function",
			"it is imported anew in each VM, as clones would share what its import "
			"draws: %s "
			"(%s)",
			draws, r->want->name);
	return 0;
}

static int make_in(
	const struct recipe *r, guest_fn guest, struct frozen **ret, nova_error_t **error)
{
	AUTO_FREE char *draws = needs_secrets(r) ? strdup("its secrets") : NULL;
	nova_vm_t *vm;
	int code = draws ? 0 : guest(r, &vm, error);
	if (code == 0 && !draws)
		code = init_and_freeze(r, vm, &draws, ret, error);
	if (code < 0 || !draws)
		return code;
	code = freeze_before_import(r, guest, draws, ret, error);
	if (code == 0)
		draws = NULL; /* it is the template's */
	return code;
}

static int make_in_clone(const struct recipe *r, struct frozen **ret, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!r->code_disk || !engine_has(r->ops, NOVA_FEATURE_LATE_CODE))
		return NOVA_ENOTSUP;
	int code = make_in(r, recipe_clone_runtime, ret, &failure);
	if (recipe_clone_failed(r->want, code)) {
		log_warn(host_log(r->host), "template", "%s is made the classic way: %s", r->id,
			nova_error_message(failure));
		return make_in(r, recipe_thaw_runtime, ret, error);
	}
	if (error)
		*error = STEAL(failure);
	return code;
}

static int make_function(const struct recipe *r, struct frozen **ret, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = make_in_clone(r, ret, &failure);
	if (code == 0)
		return 0;
	if (code == NOVA_ECANCELED || template_blames_function(code)) {
		if (error)
			*error = STEAL(failure);
		return code;
	}
	if (failure)
		log_warn(host_log(r->host), "template", "%s is made by a boot of its own: %s",
			r->id, nova_error_message(failure));
	return make_in(r, boot_guest, ret, error);
}

int recipe_of_function(
	nova_host_t *host, const struct template_want *want, struct recipe *r, nova_error_t **error)
{
	const struct machine_config *machine = &want->vm->config.machine;
	const char *rootfs = machine->rootfs ? machine->rootfs : "base";
	*r = (struct recipe){
		.host = host,
		.want = want,
		.root = instants_root(host),
		.code_disk = copy(machine->code_disk),
		.make = make_function,
	};
	if (!r->root || (machine->code_disk && !r->code_disk))
		return nova_oom(error);
	int code = host_choose_engine(host, want->vm->engine, &r->ops, error);
	if (code == 0)
		code = vm_find_images(
			host, r->ops, rootfs, &r->kernel, &r->initramfs, &r->rootfs, error);
	return code < 0 ? code : make_id(r, true, error);
}

void recipe_done(struct recipe *r)
{
	char *const texts[] = { r->root, r->guest, r->kernel, r->initramfs, r->rootfs,
		r->code_disk };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
}
