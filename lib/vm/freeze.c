/* SPDX-License-Identifier: MIT */
/*
 * VMs at an instant: taking it, and going on from it.
 *
 * The memory of a booted VM is a file of its own. At the first freeze that file becomes the base,
 * which must not change any more, so the VM itself goes on as the first clone of it: nothing is
 * copied. A clone's instant is its base, the pages that it has written, and the state of its
 * devices.
 */
#include <errno.h>
#include <sys/stat.h>

#include "vm/instant.h"

#define END_MOMENT_MS 200u

/* --- counted objects --- */

struct vm_base *base_ref(struct vm_base *base)
{
	__atomic_add_fetch(&base->references, 1, __ATOMIC_RELAXED);
	return base;
}

void base_unref(struct vm_base *base)
{
	if (!base || __atomic_sub_fetch(&base->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	fd_close(base->fd);
	fd_close(base->lock_fd);
	free(base->root);
	free(base->id);
	free(base);
}

struct vm_base *base_new(int fd)
{
	struct stat st;
	struct vm_base *base = sys_fstat(fd, &st) == 0 ? calloc(1, sizeof(*base)) : NULL;
	if (base)
		*base = (struct vm_base){
			.references = 1,
			.fd = fd,
			.device = st.st_dev,
			.inode = st.st_ino,
			.lock_fd = -1,
		};
	return base;
}

struct frozen *frozen_ref(struct frozen *frozen)
{
	__atomic_add_fetch(&frozen->references, 1, __ATOMIC_RELAXED);
	return frozen;
}

void frozen_unref(struct frozen *frozen)
{
	if (!frozen || __atomic_sub_fetch(&frozen->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	base_unref(frozen->base);
	pages_done(&frozen->pages);
	fd_close(frozen->state_fd);
	machine_config_done(&frozen->shape);
	free(frozen->draws);
	free(frozen);
}

const char *frozen_draws(const struct frozen *frozen)
{
	return frozen->draws;
}

void frozen_set_draws(struct frozen *frozen, char *draws)
{
	free(frozen->draws);
	frozen->draws = draws;
}

bool frozen_on_disk(const struct frozen *frozen, const char **ret_root, const char **ret_id)
{
	*ret_root = frozen->base->root;
	*ret_id = frozen->base->id;
	return *ret_root && *ret_id;
}

static int frozen_new(nova_vm_t *vm, struct frozen **ret_frozen, nova_error_t **error)
{
	struct frozen *f = calloc(1, sizeof(*f));
	if (!f)
		return nova_oom(error);
	*f = (struct frozen){
		.references = 1,
		.ops = vm->ops,
		.pages = PAGES_NONE,
		.state_fd = -1,
		.has_function = vm->has_function,
		.has_hooks = vm->has_hooks,
		.concurrency = vm->turns.most,
	};
	vm_snapshot_of(vm, f->snapshot);
	if (machine_config_copy(&f->shape, &vm->shape) < 0) {
		frozen_unref(f);
		return nova_oom(error);
	}
	*ret_frozen = f;
	return 0;
}

/* --- freeze --- */

static int lost(const nova_vm_t *vm, nova_error_t **error)
{
	return nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id);
}

/* Alone. The kernel closes what a killed VMM had open a moment before it tells of its end, so a
 * failure is given that moment. */
static bool is_lost(nova_vm_t *vm, uint64_t patience_ms)
{
	pthread_mutex_lock(&vm->end_lock);
	bool gone = vm->ended || vm->killed;
	pthread_mutex_unlock(&vm->end_lock);
	return gone ||
	       process_wait(&vm->machine->process, patience_ms ? deadline_in_ms(patience_ms) : 0);
}

static int go_on(nova_vm_t *vm, nova_error_t **error)
{
	return vm->state == NOVA_VM_RUNNING ? vm->ops->resume(vm->machine, error) : 0;
}

static int freeze_clone(nova_vm_t *vm, bool end, struct frozen *f, nova_error_t **error)
{
	int code = vm->ops->save(vm->machine, &f->state_fd, error);
	if (code == 0)
		code = pages_read(vm->ops, vm->machine, &f->pages, error);
	if (!vm->ended && !end) { /* it goes on also when the freeze has failed */
		int resumed = go_on(vm, code == 0 ? error : NULL);
		code = code < 0 ? code : resumed;
	}
	f->base = base_ref(vm->base);
	return code;
}

static int start_waiting(nova_host_t *host, const struct frozen *f, struct machine *m,
	const char *id, const struct machine *same, nova_error_t **error)
{
	struct machine_spec spec = {
		.id = id,
		.config = f->shape,
		.base_fd = f->base->fd,
		.deadline = deadline_in_ms(config_ms(host_config(host), f->ops->boot_timeout_key)),
	};
	int code = vm_attach(host, m, id, &f->shape, same, error);
	return code < 0 ? code : f->ops->start(m, host_engine_env(host), &spec, error);
}

/* Returns the machine that is to go: the former one, or the new one if the VM has been killed
 * meanwhile. */
static struct machine *take_place(nova_vm_t *vm, struct machine *m)
{
	pthread_mutex_lock(&vm->end_lock);
	struct machine *old = vm->machine;
	bool killed = vm->killed;
	if (!killed)
		vm->machine = m;
	pthread_mutex_unlock(&vm->end_lock);
	if (killed)
		return m;
	m->console = old->console;
	old->console = BUF_INIT(0);
	return old;
}

/* The VM gets the machine of a clone of itself. */
static int continue_as_clone(nova_vm_t *vm, const struct frozen *f, nova_error_t **error)
{
	struct machine *m = machine_new(vm->ops);
	int code = m ? start_waiting(vm->host, f, m, vm->id, vm->machine, error) : nova_oom(error);
	if (code == 0)
		code = vm->ops->load(m, f->state_fd, error);
	if (code == 0 && vm->state == NOVA_VM_PAUSED)
		code = vm->ops->pause(m, error);
	if (code < 0) {
		machine_free(vm->ops, m);
		net_point_at(&vm->machine->link);
		return code;
	}
	machine_drain(vm->machine);
	struct machine *old = take_place(vm, m);
	bool killed = old == m;
	machine_free(vm->ops, old);
	if (killed)
		return lost(vm, error);
	vm->base = base_ref(f->base);
	return 0;
}

static int freeze_booted(nova_vm_t *vm, bool end, struct frozen *f, nova_error_t **error)
{
	int code = vm->ops->save(vm->machine, &f->state_fd, error);
	AUTO_FD int memory = code == 0 ? sys_dup(vm->machine->ram) : -1;
	if (code == 0 && memory < 0)
		code = nova_fail_os(error, memory, "memory of microVM %s", vm->id);
	if (code < 0) {
		go_on(vm, NULL);
		return code;
	}
	f->base = base_new(memory);
	if (!f->base) {
		go_on(vm, NULL);
		return nova_oom(error);
	}
	memory = -1;
	code = end ? 0 : continue_as_clone(vm, f, error);
	if (code < 0)
		/* nobody maps the base, so the old machine may go on writing to it */
		go_on(vm, NULL);
	return code;
}

/* Before its VM stands still the agent clears up after the last request, gets ready for the next
 * one, and runs the function's own hook: a clone would have to do all that. A paused VM cannot. */
static int run_hook(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	if (!vm->has_function || vm->state != NOVA_VM_RUNNING)
		return 0;
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	json_t *payload = json_pack("{s:i}", "timeout_ms", (int)DEFAULT_TIMEOUT);
	int code = vm_ask_json(vm, NOVA_MSG_FREEZE, payload,
		deadline_in_ms(DEFAULT_TIMEOUT + ANSWER_GRACE), stop, &answer, error);
	if (code == 0)
		code = vm_done(&answer, error);
	return code < 0 ? nova_wrap(error, code, "the function's hook before_snapshot") : 0;
}

/* Once the hook has run, it is a matter of milliseconds, and is not cut short: the VM is to go on.
 */
static int freeze_locked(nova_vm_t *vm, bool end, const struct stop *stop,
	struct frozen **ret_frozen, nova_error_t **error)
{
	struct frozen *f = NULL;
	if (!vm->ops->save)
		return nova_fail(
			error, NOVA_ENOTSUP, "the engine %s takes no snapshots", vm->ops->name);
	if (is_lost(vm, 0)) {
		vm_end(vm);
		return lost(vm, error);
	}
	int code = run_hook(vm, stop, error);
	if (code == 0)
		code = frozen_new(vm, &f, error);
	if (code < 0)
		return code;
	uint64_t begin = clock_ns();
	code = vm->base ? freeze_clone(vm, end, f, error) : freeze_booted(vm, end, f, error);
	vm->stood_still_us = us_since(begin);
	vm->clock_stood = true;
	if (code == 0) {
		if (end)
			vm_end(vm);
		*ret_frozen = f;
		return 0;
	}
	frozen_unref(f);
	if (!is_lost(vm, END_MOMENT_MS))
		return code;
	vm_end(vm);
	if (error) { /* what failed because of it is of no interest */
		nova_error_free(*error);
		*error = NULL;
	}
	return lost(vm, error);
}

int vm_freeze(nova_vm_t *vm, bool end, const struct stop *stop, struct frozen **ret_frozen,
	nova_error_t **error)
{
	int code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = freeze_locked(vm, end, stop, ret_frozen, error);
	vm_leave_alone(vm);
	return code;
}

static int place_locked(
	nova_vm_t *vm, const struct stop *stop, struct frozen **ret_frozen, nova_error_t **error)
{
	if (!vm->base)
		return freeze_locked(vm, false, stop, ret_frozen, error);
	if (is_lost(vm, 0))
		return lost(vm, error);
	int code = frozen_new(vm, ret_frozen, error);
	if (code == 0)
		(*ret_frozen)->base = base_ref(vm->base);
	return code;
}

int vm_place(
	nova_vm_t *vm, const struct stop *stop, struct frozen **ret_frozen, nova_error_t **error)
{
	/* a booted VM is frozen for it, which talks to its agent */
	int code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = place_locked(vm, stop, ret_frozen, error);
	vm_leave_alone(vm);
	return code;
}

/* --- thaw --- */

int vm_park(nova_host_t *host, struct frozen *frozen, struct machine **ret_machine,
	nova_error_t **error)
{
	char id[9];
	struct machine *m = machine_new(frozen->ops);
	if (!m || random_hex(id, 8) < 0) {
		machine_free(frozen->ops, m);
		return nova_oom(error);
	}
	memcpy(m->id, id, sizeof(id));
	int code = start_waiting(host, frozen, m, id, NULL, error);
	if (code < 0)
		machine_free(frozen->ops, m);
	else
		*ret_machine = m;
	return code;
}

/* Steps, so that several VMs can take each of them side by side. The VMM comes up by itself after
 * the first, the guest after the second. */

static int thaw_start(nova_host_t *host, struct frozen *frozen, bool shells, nova_vm_t **ret_vm,
	nova_error_t **error)
{
	nova_vm_t *vm = NULL;
	int code = vm_new(host, frozen->ops, &frozen->shape, &vm, error);
	if (code < 0)
		return code;
	struct machine *shell = shells ? shells_take(host, frozen) : NULL;
	if (shell) {
		machine_free(vm->ops, vm->machine);
		vm->machine = shell;
		/* by which its VMM and its TAP are called */
		memcpy(vm->id, shell->id, sizeof(vm->id));
		vm->from_shell = true;
	} else {
		code = start_waiting(host, frozen, vm->machine, vm->id, NULL, error);
	}
	vm->base = base_ref(frozen->base);
	vm->has_function = frozen->has_function;
	vm->has_hooks = frozen->has_hooks;
	memcpy(vm->snapshot, frozen->snapshot, sizeof(vm->snapshot));
	vm->turns.most = frozen->concurrency;
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

/* A clone whose first request tells it who it is has nothing to do before that, so it may stand
 * still until then. */
static bool waits_for_call(const struct frozen *f)
{
	/* a hook after_restore may fail or take its time, which must not look like the call's doing
	 */
	return f->has_function && !f->has_hooks;
}

static int load(nova_vm_t *vm, const struct frozen *f, bool still, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	vm->rests = still && vm->ops->load_still;
	int code = vm->ops->await(vm->machine, error);
	vm->timing_us[NOVA_TIMING_START] = us_since(begin);
	if (code == 0)
		code = pages_write(vm->ops, vm->machine, &f->pages, error);
	if (code == 0)
		code = (vm->rests ? vm->ops->load_still : vm->ops->load)(
			vm->machine, f->state_fd, error);
	vm->unintroduced = true;
	return code;
}

/* A shell that fails now says nothing about the instant: a new VMM takes its place. */
static int thaw_load(struct frozen *f, bool still, nova_vm_t **vm, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!(*vm)->from_shell)
		return load(*vm, f, still, error);
	if (load(*vm, f, still, &failure) == 0)
		return 0;
	log_info(host_log((*vm)->host), "vm", "a shell was of no use: %s",
		nova_error_message(failure));
	nova_vm_t *other = NULL;
	int code = thaw_start((*vm)->host, f, false, &other, error);
	if (code < 0)
		return code;
	nova_vm_free(*vm);
	*vm = other;
	return load(other, f, still, error);
}

/* No byte of work before the clone is somebody of its own: the introduction is the first thing it
 * reads. */
static int thaw_greet(nova_vm_t *vm, nova_error_t **error)
{
	return vm_introduce_send(vm, error);
}

static int thaw_finish(nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	return vm_introduce_await(vm, deadline_in_ms(vm->boot_timeout_ms), stop, error);
}

static int thaw(nova_host_t *host, struct frozen *frozen, bool for_call, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	uint64_t begin = clock_ns();
	int code = thaw_start(host, frozen, true, &vm, error);
	if (code < 0)
		return code;
	uint64_t started_us = us_since(begin);
	code = stop_check(stop, "the microVM was started", error);
	if (code == 0)
		code = thaw_load(frozen, for_call, &vm, error);
	vm->timing_us[NOVA_TIMING_START] += started_us;
	if (code == 0 && !for_call)
		code = thaw_greet(vm, error);
	if (code == 0 && !for_call)
		code = thaw_finish(vm, stop, error);
	vm->timing_us[NOVA_TIMING_BOOT] = us_since(begin) - vm->timing_us[NOVA_TIMING_START];
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

int vm_thaw(nova_host_t *host, struct frozen *frozen, const struct stop *stop, nova_vm_t **ret_vm,
	nova_error_t **error)
{
	return thaw(host, frozen, false, stop, ret_vm, error);
}

int vm_thaw_for_call(nova_host_t *host, struct frozen *frozen, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	return thaw(host, frozen, waits_for_call(frozen), stop, ret_vm, error);
}

/* Of children that are made side by side: those that have got as far as each of the steps. */
struct brood {
	struct frozen *frozen;
	nova_vm_t **vms;
	size_t started, loaded, finished;
	uint64_t begin;
};

static int brood_load(struct brood *b, bool still, nova_error_t **error)
{
	nova_vm_t **vm = &b->vms[b->loaded];
	int code = thaw_load(b->frozen, still, vm, error);
	(*vm)->timing_us[NOVA_TIMING_START] = us_since(b->begin);
	if (code == 0 && !still)
		code = thaw_greet(*vm, error);
	b->loaded += code == 0;
	return code;
}

static int brood_finish(struct brood *b, bool still, const struct stop *stop, nova_error_t **error)
{
	nova_vm_t *vm = b->vms[b->finished];
	int code = still ? 0 : thaw_finish(vm, stop, error);
	vm->timing_us[NOVA_TIMING_BOOT] = us_since(b->begin) - vm->timing_us[NOVA_TIMING_START];
	b->finished += code == 0;
	return code;
}

/* More VMMs that come up, or guests that are greeted, than there are processors would only be in
 * each other's way: a guest that gets little of a processor has all of it eaten by its timer, and a
 * hundred such never end. */
int vm_thaw_many(nova_host_t *host, struct frozen *frozen, size_t count, const struct stop *stop,
	nova_vm_t **ret_vms, nova_error_t **error)
{
	struct brood b = { .frozen = frozen, .vms = ret_vms, .begin = clock_ns() };
	size_t ahead = sys_processors();
	bool still = waits_for_call(frozen) && frozen->ops->load_still;
	int code = 0;
	while (code == 0 && b.finished < count) {
		if (b.started < count && b.started <= b.loaded + ahead) {
			code = thaw_start(host, frozen, true, &ret_vms[b.started], error);
			b.started += code == 0;
		} else if (b.loaded < b.started && b.loaded < b.finished + ahead) {
			code = brood_load(&b, still, error);
		} else {
			code = brood_finish(&b, still, stop, error);
		}
		if (code == 0)
			code = stop_check(stop, "all children were made", error);
	}
	for (size_t i = 0; code < 0 && i < b.started; i++)
		nova_vm_free(ret_vms[i]);
	if (code == 0 && still && count > ahead)
		siblings_bind(ret_vms, count);
	return code;
}

/* --- another code disk --- */

int frozen_with_code(const struct frozen *from, const char *code_disk, struct frozen **ret_frozen,
	nova_error_t **error)
{
	AUTO_FROZEN struct frozen *f = calloc(1, sizeof(*f));
	struct machine_config shape = from->shape;
	if (!f)
		return nova_oom(error);
	*f = (struct frozen){
		.references = 1,
		.ops = from->ops,
		.pages = PAGES_NONE,
		.state_fd = sys_dup(from->state_fd),
		.base = base_ref(from->base),
	};
	memcpy(f->snapshot, from->snapshot, sizeof(f->snapshot));
	shape.code_disk = (char *)code_disk;
	if (from->has_function || from->pages.page_count)
		return nova_fail(error, NOVA_EINVAL,
			"only an instant without function and with its own memory takes another "
			"code disk");
	if (machine_config_copy(&f->shape, &shape) < 0 || f->state_fd < 0)
		return nova_oom(error);
	*ret_frozen = STEAL(f);
	return 0;
}
