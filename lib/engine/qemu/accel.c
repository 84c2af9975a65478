/* SPDX-License-Identifier: MIT */
/*
 * Does QEMU come up with KVM here, and with which processor?
 *
 * That the device works says little: as root QEMU runs as a user of its own, who may not open it,
 * and with the host's processor QEMU aborts where KVM refuses one of the registers that it sets. So
 * one is started that waits for a state, as a clone's does, with one feature less at each register
 * that was refused. What was found is kept until the next boot; rights are looked at each time.
 */
#include <inttypes.h>
#include <unistd.h>

#include "engine/qemu/qemu.h"

#define TRIAL_MS     10000u
#define TRIAL_MB     16u
#define MOST_REFUSED 8

/* --- the processor --- */

/* Registers, and the property of QEMU's processor without which they are not set. */
static const struct {
	unsigned first, last;
	const char *property;
} registers[] = {
	{ 0x3b, 0x3b, "tsc-adjust" },
	{ 0x48, 0x48, "spec-ctrl" },
	{ 0xcf, 0xcf, "core-capability" },
	{ 0xe1, 0xe1, "waitpkg" },
	{ 0x10a, 0x10a, "arch-capabilities" },
	{ 0x122, 0x122, "tsx-ctrl" },
	{ 0x186, 0x18d, "pmu" },
	{ 0x1c4, 0x1c5, "xfd" },
	{ 0x309, 0x30b, "pmu" },
	{ 0x345, 0x345, "pmu" },
	{ 0x38d, 0x390, "pmu" },
	{ 0x480, 0x493, "vmx" },
	{ 0x6e0, 0x6e0, "tsc-deadline" },
	{ 0xd90, 0xd90, "mpx" },
	{ 0xda0, 0xda0, "xsaves" },
	{ 0x4b564d00, 0x4b564d01, "kvmclock" },
	{ 0x4b564d02, 0x4b564d02, "kvm-asyncpf" },
	{ 0x4b564d03, 0x4b564d03, "kvm-steal-time" },
	{ 0x4b564d04, 0x4b564d04, "kvm-pv-eoi" },
	{ 0x4b564d05, 0x4b564d05, "kvm-poll-control" },
	{ 0x4b564d06, 0x4b564d07, "kvm-asyncpf-int" },
	{ 0xc0000104, 0xc0000104, "tsc-scale" },
	{ 0xc001011f, 0xc001011f, "virt-ssbd" },
};

/* In QEMU's words; 0: it died of something else. */
static unsigned refused_register(const char *words)
{
	static const char before[] = "failed to set MSR 0x";
	const char *at = strstr(words, before);
	unsigned found = 0;
	return at && sscanf(at + strlen(before), "%x", &found) == 1 ? found : 0;
}

bool qemu_cpu_adapt(char cpu[QEMU_CPU], const char *words)
{
	unsigned refused = refused_register(words);
	size_t i = 0, used = strlen(cpu);
	while (i < ARRAY_LEN(registers) &&
		(refused < registers[i].first || refused > registers[i].last))
		i++;
	if (!refused || i == ARRAY_LEN(registers))
		return false;
	AUTO_FREE char *without = str_format(",%s=off", registers[i].property);
	if (!without || strstr(cpu, without) || used + strlen(without) >= QEMU_CPU)
		return false;
	snprintf(cpu + used, QEMU_CPU - used, "%s", without);
	return true;
}

/* --- trials --- */

/* As much of the engine as a machine needs that runs nothing. */
static const struct engine_ops trial = {
	.name = "qemu",
	.machine_size = sizeof(struct qemu_machine),
	.end = child_end,
	.release = qemu_release,
};

static int try_cpu(const struct engine_env *env, const char *cpu, nova_error_t **error)
{
	struct machine_spec spec = {
		.id = "00000000",
		.config = { .memory_mb = TRIAL_MB, .vcpus = 1 },
	};
	AUTO_FD int memory = sys_memfd("nova-trial");
	int r = memory < 0 ? memory : sys_truncate(memory, (uint64_t)TRIAL_MB << 20);
	struct machine *m = r < 0 ? NULL : machine_new(&trial);
	if (r < 0)
		return nova_fail_os(error, r, "memory for a trial of QEMU");
	if (!m)
		return nova_oom(error);
	spec.base_fd = memory;
	spec.deadline = deadline_in_ms(TRIAL_MS);
	int code = qemu_start_as(m, env, &spec, cpu, error);
	if (code == 0)
		code = qemu_await(m, error);
	machine_free(&trial, m);
	return code;
}

static int try_all(const struct engine_env *env, char cpu[QEMU_CPU], nova_error_t **error)
{
	snprintf(cpu, QEMU_CPU, "host");
	for (int i = 0; i < MOST_REFUSED; i++) {
		AUTO_ERROR nova_error_t *why = NULL;
		int code = try_cpu(env, cpu, &why);
		if (code == 0)
			return 0;
		if (!qemu_cpu_adapt(cpu, nova_error_message(why))) {
			error_copy(error, why);
			bool says_all = code == NOVA_EPERM || code_is_refusal(code);
			return says_all ? code :
					  nova_wrap(error, code,
						  "QEMU does not come up with KVM here (tcg as "
						  "qemu.accel does without)");
		}
		log_info(env->log, "qemu", "KVM refuses register 0x%x, so processors are '%s'",
			refused_register(nova_error_message(why)), cpu);
	}
	return nova_fail(error, NOVA_ENOTSUP,
		"QEMU does not come up with KVM here, which refuses too many registers (processor "
		"'%s'): set qemu.accel to tcg",
		cpu);
}

/* Whether the user that QEMU will be may open the device: a process becomes it and looks. */
static int try_rights(const struct engine_env *env, nova_error_t **error)
{
	struct qemu_machine q = { .user_lock = -1 };
	const char *const argv[] = { "/dev/kvm", NULL };
	struct spawn spawn = { .argv = argv, .only_try = true };
	AUTO_FREE char *closed = NULL;
	int code = qemu_choose_user(&q, &spawn, true, &closed, error);
	if (code == 0)
		code = keeper_spawn(env->keeper, &spawn, &q.child.process, error);
	if (code == 0)
		process_done(&q.child.process, NULL);
	if (q.has_user)
		fd_close(q.user_lock);
	return code;
}

/* --- remembered --- */

/* What must be the same for an older finding to hold: this boot of the host, and the program. */
static char *circumstances(const char *binary)
{
	uint64_t size, changed;
	AUTO_BUF struct buf text = BUF_INIT(256);
	if (fs_stat(binary, &size, &changed) < 0 ||
		fs_read_file("/proc/sys/kernel/random/boot_id", &text) < 0)
		return NULL;
	AUTO_FREE char *id = buf_steal_str(&text);
	return id ? str_format("%.36s %s %" PRIu64 " %" PRIu64 "\n", id, binary, size, changed) :
		    NULL;
}

static bool recall(const char *memory, const char *now, char cpu[QEMU_CPU])
{
	AUTO_BUF struct buf text = BUF_INIT(8192);
	if (!memory || !now || fs_read_file(memory, &text) < 0)
		return false;
	AUTO_FREE char *known = buf_steal_str(&text);
	const char *found = known && str_starts(known, now) ? known + strlen(now) : "";
	if (!str_starts(found, "host") || strlen(found) >= QEMU_CPU)
		return false;
	snprintf(cpu, QEMU_CPU, "%s", found);
	return true;
}

static int find_out(const struct engine_env *env, struct qemu_kvm *kvm, nova_error_t **error)
{
	AUTO_FREE char *binary = NULL;
	int code = qemu_binary(env, &binary, error);
	if (code < 0)
		return code;
	AUTO_FREE char *now = circumstances(binary);
	if (recall(kvm->memory, now, kvm->cpu))
		return try_rights(env, error);
	code = try_all(env, kvm->cpu, error);
	AUTO_FREE char *known = code == 0 && now ? str_format("%s%s", now, kvm->cpu) : NULL;
	if (known && kvm->memory)
		/* else it is tried once more */
		fs_write_file(kvm->memory, known, strlen(known), 0600);
	return code;
}

/* --- what is asked --- */

static int no_device(const struct kvm_fitness *fitness, nova_error_t **error)
{
	AUTO_FREE char *closed = kvm_is_closed(fitness);
	if (closed)
		return nova_fail(
			error, NOVA_EPERM, "the setting qemu.accel is kvm, but %s", closed);
	return nova_fail(error, NOVA_ENOTSUP,
		"the setting qemu.accel is kvm, but there is no /dev/kvm here that can be opened: "
		"set it to auto");
}

/* With `auto`, what does not come up is told once, and done without. */
static int look(
	const struct engine_env *env, struct qemu_kvm *kvm, bool forced, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	int code = find_out(env, kvm, &why);
	kvm->known = code == 0 || (!forced && !code_is_refusal(code));
	if (!kvm->known) {
		error_copy(error, why);
		return code;
	}
	if (code < 0) {
		log_warn(env->log, "qemu", "KVM cannot be used, so guests are emulated: %s",
			nova_error_message(why));
		kvm->why = STEAL(why);
	}
	return 0;
}

int qemu_cpu(const struct engine_env *env, const char **ret_cpu, nova_error_t **error)
{
	const char *accel = config_str(env->config, "qemu.accel");
	bool forced = !strcmp(accel, "kvm");
	struct qemu_kvm *kvm = env->qemu_kvm;
	*ret_cpu = NULL;
	if (!forced && (strcmp(accel, "auto") || env->kvm.state != KVM_FIT))
		return 0;
	if (env->kvm.os_error)
		return no_device(&env->kvm, error);
	pthread_mutex_lock(&kvm->lock);
	int code = kvm->known ? 0 : look(env, kvm, forced, error);
	if (code == 0 && !kvm->why)
		*ret_cpu = kvm->cpu;
	pthread_mutex_unlock(&kvm->lock);
	return code;
}
