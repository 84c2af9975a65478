/* SPDX-License-Identifier: MIT */
/* The life of a VM: start, pause, resume, end. */
#include <errno.h>

#include "image/image.h"
#include "vm/vm.h"

#define STOP_GRACE 2000u

/* --- the end --- */

void vm_end(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->end_lock);
	bool first = !vm->ended;
	vm->ended = true;
	pthread_mutex_unlock(&vm->end_lock);
	if (!first)
		return;
	__atomic_store_n(&vm->state, NOVA_VM_DEAD, __ATOMIC_RELEASE);
	machine_done(vm->ops, vm->machine);
	log_debug(host_log(vm->host), "vm", "%s has ended", vm->id);
}

void nova_vm_kill(nova_vm_t *vm)
{
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return;
	pthread_mutex_lock(&vm->end_lock);
	vm->killed = true;
	if (!vm->ended)
		process_kill(&vm->machine->process);
	pthread_mutex_unlock(&vm->end_lock);
}

static bool vmm_lives(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->end_lock);
	bool lives = !vm->ended && !process_wait(&vm->machine->process, 0);
	pthread_mutex_unlock(&vm->end_lock);
	return lives;
}

bool vm_seems_running(const nova_vm_t *vm)
{
	return __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == NOVA_VM_RUNNING;
}

int nova_vm_state(nova_vm_t *vm)
{
	if (!vm)
		return NOVA_VM_DEAD;
	int code = host_check_process(vm->host, NULL);
	if (code < 0)
		return code;
	return vmm_lives(vm) ? __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) : NOVA_VM_DEAD;
}

void nova_vm_free(nova_vm_t *vm)
{
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return;
	if (vm->machine)
		vm_end(vm);
	machine_free(vm->ops, vm->machine);
	siblings_leave(vm);
	nova_decoder_free(vm->decoder);
	fd_close(vm->wake);
	free(vm->lost_why);
	free(vm->draws);
	free(vm->entry);
	base_unref(vm->base);
	machine_config_done(&vm->shape);
	pthread_mutex_destroy(&vm->lock);
	pthread_mutex_destroy(&vm->end_lock);
	nova_host_unref(vm->host);
	free(vm);
}

/* 0: it has. NOVA_ELOST: something else has ended it, perhaps long ago. */
static int end_by_itself(nova_vm_t *vm, uint64_t deadline, nova_error_t **error)
{
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	AUTO_ERROR nova_error_t *why = NULL;
	int code = vm->state == NOVA_VM_RUNNING ? vm_ask_json(vm, NOVA_MSG_STOP, json_object(),
							  deadline, NULL, &answer, &why) :
						  NOVA_EBUSY;
	if (code_is_refusal(code)) {
		if (error)
			*error = STEAL(why);
		return nova_wrap(
			error, code, "microVM %s could not be asked to end and was killed", vm->id);
	}
	if (code == NOVA_ELOST)
		return nova_fail(
			error, code, "microVM %s was dead before it could be asked to end", vm->id);
	if (code == 0 && process_wait(&vm->machine->process, deadline))
		return 0;
	return nova_fail(
		error, NOVA_ETIMEDOUT, "microVM %s did not end by itself and was killed", vm->id);
}

int nova_vm_stop(nova_vm_t *vm, uint32_t grace_ms, const nova_wait_opts *wait, nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	struct stop stop;
	int code = host_check_process(vm->host, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	if (code < 0)
		return code;
	code = vm_enter_alone(vm, &stop, error);
	if (code < 0)
		return code;
	if (!vm->ended) {
		code = end_by_itself(vm, deadline_in_ms(grace_ms ? grace_ms : STOP_GRACE), error);
		vm_end(vm);
	}
	vm_leave_alone(vm);
	return code;
}

/* --- start --- */

static int import_opts(struct function_config *config, const nova_vm_opts *o, nova_error_t **error)
{
	if (o->flags)
		return nova_fail(
			error, NOVA_EINVAL, "nova_vm_opts.flags has unknown bits 0x%x", o->flags);
	int code = properties_import(config, IN_VM, o, error);
	return code < 0 ? code : machine_config_check(&config->machine, NOVA_EINVAL, error);
}

/* A limit that would not be kept is refused, but one for a network that is not there says nothing.
 */
static int check_network(
	const struct engine_ops *ops, const struct machine_config *config, nova_error_t **error)
{
	if (config->network == NET_NONE)
		return 0;
	if (!ops->network)
		return nova_fail(error, NOVA_ENOTSUP,
			"the engine %s has no network devices: use qemu or firecracker, or the "
			"network none",
			ops->name);
	if ((config->net_rx_bandwidth || config->net_tx_bandwidth) && !ops->net_limits)
		return nova_fail(error, NOVA_ENOTSUP,
			"the engine %s cannot limit the bandwidth of a network: set "
			"net_rx_bandwidth and net_tx_bandwidth to 0, or use firecracker",
			ops->name);
	return 0;
}

int vm_new(nova_host_t *host, const struct engine_ops *ops, const struct machine_config *shape,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return nova_oom(error);
	vm_turns_init(&vm->turns);
	vm->wake = sys_event();
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->end_lock, NULL);
	vm->host = nova_host_ref(host);
	vm->ops = ops;
	vm->state = NOVA_VM_RUNNING;
	vm->machine = machine_new(ops);
	vm->boot_timeout_ms = (uint32_t)config_ms(host_config(host), ops->boot_timeout_key);
	int code = vm->machine && random_hex(vm->id, 8) == 0 &&
				   machine_config_copy(&vm->shape, shape) == 0 ?
			   0 :
			   nova_oom(error);
	if (code == 0 && vm->wake < 0)
		code = nova_fail_os(error, vm->wake, "event of microVM %s", vm->id);
	if (code == 0)
		code = nova_decoder_new(0, &vm->decoder, error);
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

/* A fresh guest has no entropy of its own and no name: the same message that clones will get. */
#define INTRODUCTION "nova:resume" /* no caller's request id has a colon */

/* The members of a Resume but for its request_id. NULL: out of memory, or no randomness. */
static char *introduction(const nova_vm_t *vm)
{
	uint8_t seed[64];
	char machine_id[33];
	AUTO_BUF struct buf coded = BUF_INIT(256);
	AUTO_FREE char *network = vm->shape.network ? net_members(&vm->machine->link) : strdup("");
	if (!network || random_bytes(seed, sizeof(seed)) < 0 || random_hex(machine_id, 32) < 0 ||
		base64_put(&coded, seed, sizeof(seed)) < 0)
		return NULL;
	return str_format("\"entropy\":\"%.*s\",\"unix_us\":%llu,\"hostname\":\"nova-%s\","
			  "\"machine_id\":\"%s\"%s",
		(int)coded.len, (char *)coded.data, (unsigned long long)clock_unix_us(), vm->id,
		machine_id, network);
}

/* The same, or for who is no clone but was paused: the time. Without entropy a Resume is neither
 * reseeding nor hook. */
static char *news(const nova_vm_t *vm, enum vm_news kind)
{
	if (kind == VM_IS_CLONE)
		return introduction(vm);
	return str_format("\"unix_us\":%llu", (unsigned long long)clock_unix_us());
}

char *vm_news_member(nova_vm_t *vm, enum vm_news kind)
{
	AUTO_FREE char *members = news(vm, kind);
	return members ? str_format("\"resume\":{%s},", members) : NULL;
}

int vm_news_message(
	nova_vm_t *vm, enum vm_news kind, struct vm_request *ret_request, nova_error_t **error)
{
	AUTO_FREE char *members = news(vm, kind);
	AUTO_FREE char *text =
		members ? str_format("{\"request_id\":\"" INTRODUCTION "\",%s}", members) : NULL;
	void *frame = NULL;
	*ret_request = (struct vm_request){
		.id = INTRODUCTION,
		.deadline = deadline_in_ms(vm->boot_timeout_ms),
	};
	int code = text ? nova_frame_encode(NOVA_MSG_RESUME, text, strlen(text), &frame,
				  &ret_request->frame_len, error) :
			  nova_oom(error);
	ret_request->frame = frame;
	return code;
}

int vm_introduce_send(nova_vm_t *vm, nova_error_t **error)
{
	struct vm_request request;
	int code = vm_news_message(vm, VM_IS_CLONE, &request, error);
	AUTO_FREE void *frame = (void *)request.frame;
	vm->unintroduced = vm->clock_stood = false;
	return code < 0 ? code : vm_send(vm, &request, error);
}

int vm_introduce_await(
	nova_vm_t *vm, uint64_t deadline, const struct stop *stop, nova_error_t **error)
{
	struct vm_request request = { .id = INTRODUCTION, .deadline = deadline, .stop = stop };
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = vm_await(vm, &request, &answer, error);
	return code < 0 ? code : vm_done(&answer, error);
}

int vm_attach(nova_host_t *host, struct machine *m, const char *id,
	const struct machine_config *shape, const struct machine *same, nova_error_t **error)
{
	return shape->network ? net_attach(host_engine_env(host)->net, id,
					same ? &same->link : NULL, &m->link, error) :
				0;
}

static int start_machine(nova_vm_t *vm, const char *kernel, const char *initramfs,
	const struct stop *stop, nova_error_t **error)
{
	uint64_t begin = clock_ns(), deadline = deadline_in_ms(vm->boot_timeout_ms);
	struct machine_spec spec = {
		.id = vm->id,
		.kernel = kernel,
		.initramfs = initramfs,
		.config = vm->shape,
		.base_fd = -1,
		.deadline = deadline,
		.stop = stop,
	};
	int code = vm_attach(vm->host, vm->machine, vm->id, &vm->shape, NULL, error);
	if (code == 0)
		code = vm->ops->start(vm->machine, host_engine_env(vm->host), &spec, error);
	if (code < 0)
		return code;
	vm->timing_us[NOVA_TIMING_START] = us_since(begin);
	begin = clock_ns();
	code = vm_await_ready(vm, deadline, stop, error);
	if (code == 0 && vm->ops->needs_guest)
		code = vm_introduce_send(vm, error);
	if (code == 0 && vm->ops->needs_guest)
		code = vm_introduce_await(vm, deadline, stop, error);
	vm->timing_us[NOVA_TIMING_BOOT] = us_since(begin);
	return code;
}

static const char *if_set(const nova_config_t *config, const char *key)
{
	return key && nova_config_source(config, key) != NOVA_CONFIG_DEFAULT ?
		       config_str(config, key) :
		       "";
}

int vm_find_images(nova_host_t *host, const struct engine_ops *ops, const char *name, char **kernel,
	char **initramfs, char **rootfs, nova_error_t **error)
{
	const nova_config_t *config = host_config(host);
	bool environment = config_environment(config);
	const char *directory = nova_host_images(host),
		   *own_kernel = if_set(config, ops->kernel_key);
	const char *own_rootfs = if_set(config, ops->rootfs_key),
		   *own_dir = if_set(config, ops->rootfs_dir_key);
	AUTO_FREE char *in_dir =
		*own_dir && !strchr(name, '/') ? str_format("%s/%s.ext4", own_dir, name) : NULL;
	int code = image_find_kernel(directory, environment, kernel, initramfs, error);
	if (code == 0 && *own_kernel) {
		free(*kernel);
		*kernel = NULL;
		int r = path_absolute(own_kernel, kernel);
		if (r == 0)
			r = fs_stat(*kernel, NULL, NULL);
		if (r == -ENOENT || r == -ENOTDIR || r == -EISDIR || r == -EINVAL)
			return nova_fail(error, NOVA_ENOTFOUND,
				"the setting %s names '%s', which is no file", ops->kernel_key,
				own_kernel);
		if (r < 0)
			return nova_fail_os(
				error, r, "the setting %s, '%s'", ops->kernel_key, own_kernel);
	}
	const char *wanted = strchr(name, '/') ? name :
			     *own_rootfs       ? own_rootfs :
			     in_dir            ? in_dir :
						 name;
	return code < 0 ? code : image_find_rootfs(directory, wanted, environment, rootfs, error);
}

/* The path of the images' file takes the place of its name. */
static int find_images(nova_host_t *host, const struct engine_ops *ops,
	struct machine_config *config, char **kernel, char **initramfs, nova_error_t **error)
{
	AUTO_FREE char *name = STEAL(config->rootfs);
	if (!ops->needs_guest)
		return 0;
	return vm_find_images(
		host, ops, name ? name : "base", kernel, initramfs, &config->rootfs, error);
}

static int boot(nova_host_t *host, const struct engine_ops *ops, const nova_vm_opts *o,
	struct machine_config *config, const struct stop *stop, nova_vm_t **ret_vm,
	nova_error_t **error)
{
	AUTO_FREE char *kernel = NULL, *initramfs = NULL;
	nova_vm_t *vm = NULL;
	int code = check_network(ops, config, error);
	if (code == 0)
		code = find_images(host, ops, config, &kernel, &initramfs, error);
	if (code == 0)
		code = vm_new(host, ops, config, &vm, error);
	if (code < 0)
		return code;
	if (o->boot_timeout_ms)
		vm->boot_timeout_ms = o->boot_timeout_ms;
	code = start_machine(vm, kernel, initramfs, stop, error);
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

int vm_start(nova_host_t *host, const nova_vm_opts *opts, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_opts o;
	AUTO_FUNCTION_CONFIG struct function_config config = { .runtime = NULL };
	const struct engine_ops *ops;
	nova_vm_t *vm = NULL;
	int code = opts_import(&o, sizeof(o), opts, "nova_vm_opts", error);
	if (code == 0)
		code = host_check_process(host, error);
	if (code == 0)
		code = import_opts(&config, &o, error);
	if (code == 0)
		code = host_choose_engine(host, o.engine, &ops, error);
	const struct stop any = { o.interrupt, stop };
	if (code == 0)
		code = stop_check(&any, "the microVM was started", error);
	if (code == 0)
		code = boot(host, ops, &o, &config.machine, &any, &vm, error);
	if (code < 0)
		return code;
	log_info(host_log(host), "vm", "%s booted on %s in %llu ms", vm->id, ops->name,
		(unsigned long long)((vm->timing_us[NOVA_TIMING_START] +
					     vm->timing_us[NOVA_TIMING_BOOT]) /
				     1000u));
	*ret_vm = vm;
	return 0;
}

int nova_vm_start(
	nova_host_t *host, const nova_vm_opts *opts, nova_vm_t **ret_vm, nova_error_t **error)
{
	return ANY_NULL(error, host, ret_vm) ? NOVA_EINVAL :
					       vm_start(host, opts, NULL, ret_vm, error);
}

/* --- pause and resume --- */

int vm_check_running(nova_vm_t *vm, nova_error_t **error)
{
	if (vm->ended)
		return nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id);
	if (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == NOVA_VM_PAUSED)
		return nova_fail(
			error, NOVA_EBUSY, "microVM %s is paused: resume it first", vm->id);
	return 0;
}

static int switch_state(nova_vm_t *vm, int state, int (*op)(struct machine *, nova_error_t **),
	const struct stop *stop, nova_error_t **error)
{
	if (!op)
		return nova_fail(error, NOVA_ENOTSUP, "the engine %s cannot pause its machines",
			vm->ops->name);
	int code = host_check_process(vm->host, error);
	if (code < 0)
		return code;
	code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = vm->ended ? nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id) :
			   op(vm->machine, error);
	vm->clock_stood |= state == NOVA_VM_PAUSED;
	if (code == 0)
		__atomic_store_n(&vm->state, state, __ATOMIC_RELEASE);
	else if (!vm->ended && process_wait(&vm->machine->process, 0))
		vm_end(vm);
	vm_leave_alone(vm);
	return code;
}

int nova_vm_pause(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	struct stop stop;
	int code = stop_import(&stop, wait, error);
	return code < 0 ? code : switch_state(vm, NOVA_VM_PAUSED, vm->ops->pause, &stop, error);
}

/* A clone that goes on before its first request must be somebody of its own too. */
static int introduce_late(nova_vm_t *vm, nova_error_t **error)
{
	vm_enter_alone(vm, NULL, NULL);
	int code = 0;
	if (!vm->ended && vm->unintroduced) {
		code = vm_introduce_send(vm, error);
		if (code == 0)
			code = vm_introduce_await(
				vm, deadline_in_ms(vm->boot_timeout_ms), NULL, error);
	}
	vm_leave_alone(vm);
	return code;
}

int nova_vm_resume(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	struct stop stop;
	int code = stop_import(&stop, wait, error);
	if (code == 0)
		code = switch_state(vm, NOVA_VM_RUNNING, vm->ops->resume, &stop, error);
	return code < 0 ? code : introduce_late(vm, error);
}

int vm_wake(nova_vm_t *vm, nova_error_t **error)
{
	return switch_state(vm, NOVA_VM_RUNNING,
		vm->ops->resume_soon ? vm->ops->resume_soon : vm->ops->resume, NULL, error);
}

/* --- looking --- */

const struct engine_ops *vm_ops(const nova_vm_t *vm)
{
	return vm->ops;
}

const char *vm_draws(const nova_vm_t *vm)
{
	return vm->draws;
}

const char *vm_entry(const nova_vm_t *vm)
{
	return vm->entry;
}

uint64_t vm_timing_us(const nova_vm_t *vm, int timing)
{
	return vm->timing_us[timing];
}

bool vm_from_standby(const nova_vm_t *vm)
{
	return vm->from_shell;
}

const char *nova_vm_id(const nova_vm_t *vm)
{
	return vm ? vm->id : "";
}

const char *nova_vm_engine(const nova_vm_t *vm)
{
	return vm ? vm->ops->name : "";
}

int64_t nova_vm_pid(const nova_vm_t *vm)
{
	nova_vm_t *locked = (nova_vm_t *)vm; /* the lock is no part of what the caller sees */
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return 0;
	pthread_mutex_lock(&locked->end_lock);
	int64_t pid = vm->ended ? 0 : vm->machine->process.pid;
	pthread_mutex_unlock(&locked->end_lock);
	return pid;
}

char *nova_vm_console(nova_vm_t *vm)
{
	if (!vm || host_check_process(vm->host, NULL) < 0)
		return NULL;
	vm_enter_alone(vm, NULL, NULL);
	machine_drain(vm->machine);
	struct buf *console = &vm->machine->console;
	size_t from = console->len > CONSOLE_KEPT ? console->len - CONSOLE_KEPT : 0;
	char *text = malloc(console->len - from + 1);
	if (text) {
		if (console->len)
			memcpy(text, console->data + from, console->len - from);
		text[console->len - from] = 0;
	}
	vm_leave_alone(vm);
	return text;
}

uint64_t nova_vm_timing_us(nova_vm_t *vm, int timing)
{
	if (!vm || timing < 0 || timing >= VM_TIMINGS || host_check_process(vm->host, NULL) < 0)
		return 0;
	vm_enter_alone(vm, NULL, NULL);
	uint64_t us = vm->timing_us[timing];
	vm_leave_alone(vm);
	return us;
}
