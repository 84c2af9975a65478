/* SPDX-License-Identifier: MIT */
/* QEMU's start, and its end: a process with all that it needs handed to it. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/user.h"
#include "engine/qemu/qemu.h"
#include "zygote/zygote.h"

#define VMM_OVERHEAD (256ull << 20) /* what QEMU may need beside the guest's memory */

/* The descriptors for QEMU, in the order of enum qemu_fd, and our ends of the connections. */
struct wiring {
	int theirs[QEMU_MAX_FDS];
	size_t count;
	int diag, channel, qmp, serial;
};

static void wiring_done(struct wiring *w)
{
	for (size_t i = 0; i < w->count; i++)
		fd_close(w->theirs[i]);
	fd_close(w->diag);
	fd_close(w->channel);
	fd_close(w->qmp);
	fd_close(w->serial);
}

static int wire_socket(struct wiring *w, int *ours, nova_error_t **error)
{
	int pair[2];
	int r = sys_socketpair(SOCK_STREAM, pair);
	if (r < 0)
		return nova_fail_os(error, r, "socket to QEMU");
	*ours = pair[0];
	w->theirs[w->count++] = pair[1];
	return 0;
}

static int wire_file(struct wiring *w, const char *path, nova_error_t **error)
{
	int fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return nova_fail_os(error, fd, "guest image '%s'", path);
	w->theirs[w->count++] = fd;
	return 0;
}

/* The one that was wired last. */
static int note_file(struct wiring *w, struct qemu_machine *q, nova_error_t **error)
{
	struct stat st;
	int r = sys_fstat(w->theirs[w->count - 1], &st);
	if (r < 0)
		return nova_fail_os(error, r, "file of a machine");
	q->files[q->file_count++] = (struct file_identity){ st.st_dev, st.st_ino };
	return 0;
}

/* The guest's memory: a new file that is shared with QEMU, or the base that QEMU maps for itself.
 */
static int wire_memory(
	struct wiring *w, struct machine *m, const struct machine_spec *spec, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	int fd = spec->base_fd < 0 ? sys_memfd("nova-guest-memory") : sys_dup(spec->base_fd);
	if (fd < 0)
		return nova_fail_os(error, fd, "guest memory");
	w->theirs[w->count++] = fd;
	int r = spec->base_fd < 0 ? sys_truncate(fd, (uint64_t)spec->config.memory_mb << 20) : 0;
	if (r == 0 && spec->base_fd < 0)
		r = m->ram = sys_dup(fd);
	if (r < 0)
		return nova_fail_os(error, r, "guest memory of %u MB", spec->config.memory_mb);
	int code = note_file(w, q, error);
	q->memory_mb = spec->config.memory_mb;
	q->memory_inode = q->files[0].inode;
	return code;
}

/* That of a booted machine is ours too, for the one that comes in its place when it is frozen; that
 * of one that can be forked for its children, whose TAPs are to be like it. */
static int wire_tap(struct wiring *w, struct machine *m, bool keep, nova_error_t **error)
{
	int fd = keep ? sys_dup(m->link.fd) : STEAL_FD(m->link.fd);
	if (fd < 0)
		return nova_fail_os(error, fd, "TAP %s", m->link.name);
	qemu_of(m)->tap = QEMU_FD_DIAG + (int)w->count;
	w->theirs[w->count++] = fd;
	return 0;
}

static int wire(
	struct wiring *w, struct machine *m, const struct machine_spec *spec, nova_error_t **error)
{
	bool boots = spec->base_fd < 0;
	int *const ours[] = { &w->diag, &w->channel, &w->qmp, &w->serial };
	const char *const files[] = { spec->kernel, spec->initramfs };
	struct machine_disk disks[MACHINE_DISKS];
	size_t count = machine_disks(&spec->config, disks);
	int code = 0;
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(ours); i++)
		code = wire_socket(w, ours[i], error);
	if (code == 0)
		code = wire_memory(w, m, spec, error);
	for (size_t i = 0; code == 0 && boots && i < ARRAY_LEN(files); i++)
		code = wire_file(w, files[i], error);
	for (size_t i = 0; code == 0 && i < count; i++) {
		code = wire_file(w, disks[i].path, error);
		if (code == 0)
			code = note_file(w, qemu_of(m), error);
	}
	qemu_of(m)->has_code = spec->config.code_disk != NULL;
	if (code == 0 && m->link.name[0])
		code = wire_tap(w, m, boots || spec->forkable, error);
	if (code < 0)
		return code;
	/* QEMU's complaints are dropped rather than waited for */
	sys_set_nonblock(w->theirs[0], true);
	sys_set_nonblock(w->diag, true);
	sys_set_nonblock(w->serial, true);
	return 0;
}

/* As root, each VMM gets a user of its own that owns nothing and is nobody else's. */
int qemu_choose_user(struct qemu_machine *q, struct spawn *spawn, bool kvm, char **ret_closed,
	nova_error_t **error)
{
	struct stat device;
	bool there = kvm && stat("/dev/kvm", &device) == 0;
	if (there) {
		*ret_closed = kvm_closed(&device, geteuid() == 0);
		spawn->no_kvm = *ret_closed;
		if (!*ret_closed)
			return nova_oom(error);
	}
	if (geteuid() != 0)
		return 0;
	int code =
		vmm_user_take(FIRST_VMM_UID + 1, VMM_UIDS - 1, &spawn->uid, &q->user_lock, error);
	if (code < 0)
		return code;
	q->has_user = spawn->change_user = true;
	spawn->gid = spawn->uid;
	if (there)
		spawn->gid2 = device.st_gid;
	return 0;
}

static int launch(struct qemu_machine *q, const struct engine_env *env,
	const struct machine_spec *spec, const char *cpu, struct wiring *w, nova_error_t **error)
{
	AUTO_FREE char *binary = NULL, *closed = NULL, *zygote = NULL;
	int code = qemu_binary(env, &binary, error);
	if (code == 0 && spec->forkable)
		code = zygote_find(&zygote, error);
	if (code < 0)
		return code;
	CLEANUP(arguments_done) struct arguments arguments = { .count = 0 };
	qemu_command(&arguments, binary, cpu, env->tsc_khz, spec, &q->child.machine.link);
	if (arguments.failed)
		return nova_oom(error);
	struct spawn spawn = {
		.argv = (const char *const *)arguments.list,
		.fds = w->theirs,
		.fd_count = w->count,
		.merge_memory = !strcmp(config_str(env->config, "qemu.merge_memory"), "on"),
		/* QEMU asks for huge pages for its translations, of which a clone has few */
		.frugal = !cpu,
		.memory_limit = ((uint64_t)spec->config.memory_mb << 20) + VMM_OVERHEAD,
		.zygote = zygote,
	};
	q->is_zygote = zygote != NULL;
	q->memory_limit = spawn.memory_limit;
	code = qemu_choose_user(q, &spawn, cpu != NULL, &closed, error);
	return code < 0 ? code : keeper_spawn(env->keeper, &spawn, &q->child.process, error);
}

static int with_last_words(struct qemu_machine *q, int code, nova_error_t **error)
{
	AUTO_FREE char *words = machine_last_words(&q->child.machine, 300);
	const char *why = error && *error ? nova_error_message(*error) : "QEMU failed";
	nova_error_t *whole = NULL;
	nova_fail(&whole, code, "%s; it said: %s", why, words ? words : "");
	if (error) {
		nova_error_free(*error);
		*error = whole;
	} else {
		nova_error_free(whole);
	}
	return code;
}

/* What its own filter has to let through for a fork is forbidden by another one, which knows how a
 * fork is made. Nobody's code has run by now but that of the kernel. */
static int confine(struct qemu_machine *q, nova_error_t **error)
{
	int code = process_order(&q->child.process, PROCESS_CONFINE, -1, error);
	q->confined = code == 0;
	return code < 0 ? nova_wrap(error, code, "QEMU cannot be confined") : 0;
}

static int be_born(struct qemu_machine *q, nova_error_t **error)
{
	uint32_t patience_ms = q->birth_ms;
	q->birth_ms = 0;
	return process_born(&q->child.process, NULL, 0, patience_ms, error);
}

/* QEMU has come up when it greets: by then its command line is done and the guest's memory is
 * mapped. */
int qemu_await(struct machine *m, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	if (q->birth_ms)
		return be_born(q, error);
	if (q->greeted)
		return 0;
	int code = qmp_hello(&q->qmp, q->deadline, error);
	if (code == 0 && q->is_zygote)
		code = confine(q, error);
	q->greeted = code == 0;
	return code < 0 ? with_last_words(q, code, error) : 0;
}

int qemu_start_as(struct machine *m, const struct engine_env *env, const struct machine_spec *spec,
	const char *cpu, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	q->qmp.fd = -1;
	q->deadline = spec->deadline;
	CLEANUP(wiring_done)
	struct wiring w = { .diag = -1, .channel = -1, .qmp = -1, .serial = -1 };
	int code = net_limit(env->net, &m->link, spec->config.net_rx_bandwidth,
		spec->config.net_tx_bandwidth, error);
	if (code == 0)
		code = wire(&w, m, spec, error);
	if (code == 0)
		code = launch(q, env, spec, cpu, &w, error);
	if (code < 0)
		return code;
	m->channel = STEAL_FD(w.channel);
	m->serial = STEAL_FD(w.serial);
	m->diag = STEAL_FD(w.diag);
	qmp_init(&q->qmp, STEAL_FD(w.qmp));
	for (size_t i = 0; i < w.count; i++) /* so that the end of QEMU shows as end of file */
		fd_close(w.theirs[i]);
	w.count = 0;
	if (spec->base_fd >= 0)
		return 0; /* one that is to wait comes up while others are started */
	q->qmp.stop = spec->stop;
	code = qemu_await(m, error);
	q->qmp.stop = NULL;
	return code;
}

void qemu_release(struct machine *m)
{
	struct qemu_machine *q = qemu_of(m);
	qmp_done(&q->qmp);
	if (q->has_user)
		fd_close(q->user_lock);
	q->has_user = false;
}
