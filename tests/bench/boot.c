/* SPDX-License-Identifier: MIT */
/*
 * Cold boots until the agent is ready, and what they are made of. In turns with ours, QEMU started
 * by hand with the same kernel, initramfs, root filesystem and memory, and of our tuning only that
 * without which this kernel does not boot under emulation: until the first byte of the same agent's
 * Ready.
 */
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <nova/nova.h>

#include "guest.h"
#include "host/host.h"

extern char **environ;

#define CHANNEL_FD 9
#define GIVE_UP_MS 30000

struct boots {
	struct samples ready, start, boot, init, plain;
};

static void boots_free(struct boots *b)
{
	samples_free(&b->ready);
	samples_free(&b->start);
	samples_free(&b->boot);
	samples_free(&b->init);
	samples_free(&b->plain);
}

struct place {
	char *dir, *disk;
	nova_host_t *host;
	const char *rootfs;
	const char *accel, *binary; /* of the probe */
};

/* --- ours --- */

static int boot_ours(const struct place *p, struct boots *b, nova_error_t **error)
{
	nova_vm_t *vm;
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.engine = bench_engine();
	opts.rootfs = p->rootfs;
	opts.code_disk = p->disk;
	uint64_t begin = clock_ns();
	int r = nova_vm_start(p->host, &opts, &vm, error);
	if (r < 0)
		return r;
	samples_add(&b->ready, bench_ms_since(begin));
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = !strcmp(p->rootfs, "python") ? "python" : "shell";
	r = nova_vm_init(vm, &init, error);
	samples_add(&b->start, (double)vm_stat(vm, NOVA_VM_STAT_START_US) / 1e3);
	samples_add(&b->boot, (double)vm_stat(vm, NOVA_VM_STAT_BOOT_US) / 1e3);
	samples_add(&b->init, (double)vm_stat(vm, NOVA_VM_STAT_INIT_US) / 1e3);
	nova_vm_free(vm);
	return r;
}

/* --- by hand --- */

static pid_t spawn_plain(const struct place *p, int channel)
{
	const char *images = nova_host_images(p->host);
	AUTO_FREE char *kernel = path_join(images, "kernel/vmlinux"),
		       *initrd = path_join(images, "kernel/initramfs.cpio");
	AUTO_FREE char *drive = str_format("driver=raw,node-name=root,read-only=on,file.driver="
					   "file,file.filename=%s/rootfs/%s.ext4",
		images, p->rootfs);
	AUTO_FREE char *append =
		!strcmp(p->accel, "kvm") ?
			strdup("console=ttyS0") :
			str_format("console=ttyS0 no_timer_check tsc_early_khz=%llu",
				(unsigned long long)host_engine_env(p->host)->tsc_khz);
	AUTO_FREE char *chardev = str_format("socket,id=agent,fd=%d", CHANNEL_FD);
	const char *const argv[] = { p->binary, "-M", "microvm,acpi=on,pic=off", "-accel", p->accel,
		"-m", "128M", "-nodefaults", "-nographic", "-no-reboot", "-serial", "null",
		"-kernel", kernel, "-initrd", initrd, "-append", append, "-device",
		"virtio-serial-device", "-chardev", chardev, "-device",
		"virtserialport,chardev=agent,name=nova.agent", "-blockdev", drive, "-device",
		"virtio-blk-device,drive=root", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, channel, CHANNEL_FD);
	pid_t pid;
	int r = posix_spawnp(&pid, p->binary, &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r ? -1 : pid;
}

static int boot_plain(const struct place *p, struct boots *b)
{
	int pair[2];
	uint64_t begin = clock_ns();
	if (sys_socketpair(SOCK_STREAM, pair) < 0)
		return -1;
	AUTO_FD int ours = pair[0], theirs = pair[1];
	pid_t pid = spawn_plain(p, theirs);
	if (pid < 0)
		return -1;
	fd_close(STEAL_FD(theirs));
	struct pollfd in = { ours, POLLIN, 0 };
	char byte;
	bool ready = sys_poll(&in, 1, GIVE_UP_MS) == 1 && sys_recv(ours, &byte, 1, 0) == 1;
	samples_add(&b->plain, bench_ms_since(begin));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ready ? 0 : -1;
}

/* --- the bench --- */

static void report(const struct bench_run *run, const char *rootfs, struct boots *b)
{
	const struct bench_extra ratio[] = {
		{ "ratio_to_plain",
			samples_percentile(&b->ready, 50) / samples_percentile(&b->plain, 50) },
		{ NULL, 0 },
	};
	AUTO_FREE char *ready = str_format("cold boot to agent ready, %s", rootfs);
	bench_report(run, ready, "ms", &b->ready, ratio);
	bench_report(run, "  VMM started and answering", "ms", &b->start, NULL);
	bench_report(run, "  guest until Ready and introduced", "ms", &b->boot, NULL);
	bench_report(run, "function given (not in the above)", "ms", &b->init, NULL);
	bench_report(run, "plain QEMU to the first byte of Ready", "ms", &b->plain, NULL);
}

static int measure(const struct bench_run *run, struct place *p)
{
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(boots_free) struct boots boots = { 0 };
	for (size_t i = 0; i < bench_n(run, 10); i++) {
		if (boot_ours(p, &boots, &error) < 0)
			return bench_skip(run, "%s", nova_error_message(error));
		if (boot_plain(p, &boots) < 0)
			return bench_skip(run, "plain QEMU did not bring the agent up");
	}
	report(run, p->rootfs, &boots);
	return 0;
}

static int measure_both(const struct bench_run *run, struct place *p)
{
	AUTO_ERROR nova_error_t *error = NULL;
	static const char code[] = "def handler(event):\n    return event\n";
	nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
	disk.data = code;
	disk.data_len = strlen(code);
	p->disk = path_join(p->dir, "code.ext4");
	if (nova_disk_build(p->disk, &disk, &error) < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	int failed = 0;
	for (int i = 0; i < 2; i++) {
		p->rootfs = i == 0 ? "base" : "python";
		failed |= measure(run, p);
	}
	free(p->disk);
	return failed;
}

/* Finds QEMU and says what is measured. */
static int look_around(const struct bench_run *run, struct place *p, nova_probe_t **ret_probe)
{
	AUTO_ERROR nova_error_t *error = NULL;
	nova_probe_t *probe;
	if (nova_engine_probe(p->host, &probe, &error) < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	*ret_probe = probe;
	p->accel = nova_probe_accelerator(probe, bench_find_engine(probe, "qemu"));
	p->binary = nova_probe_binary(probe, bench_find_engine(probe, "qemu"));
	return bench_say_engine(
		run, p->host, probe, "the clock stops when the agent's Ready is read");
}

int bench_boot(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	nova_config_t *config = NULL;
	nova_probe_t *probe = NULL;
	struct place p = { .dir = bench_dir(NULL) };
	int r = p.dir ? nova_config_new(&config, &error) : NOVA_EIO;
	if (r == 0)
		r = nova_config_load_env(config, &error);
	if (r == 0)
		r = nova_config_set(config, "home", p.dir, &error);
	if (r == 0)
		r = nova_host_new(config, &p.host, &error);
	nova_config_free(config);
	int failed = r < 0 ? bench_skip(run, "%s", nova_error_message(error)) :
			     look_around(run, &p, &probe);
	if (!failed)
		failed = measure_both(run, &p);
	nova_probe_free(probe);
	nova_host_unref(p.host);
	if (p.dir)
		fs_remove_tree(p.dir);
	free(p.dir);
	return failed;
}
