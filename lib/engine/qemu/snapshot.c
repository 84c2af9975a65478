/* SPDX-License-Identifier: MIT */
/*
 * Device state out of and into QEMU, without memory: xen-save-devices-state is in every build of
 * QEMU, writes some KB in under 2 ms, and what it writes can be loaded by the ordinary incoming
 * migration of a machine without configuration section.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "engine/cpu.h"
#include "engine/qemu/qemu.h"

/* The version of our command line, the kernel's included, is part of it: devices in another order
 * are another machine. */
#define MACHINE_VERSION 4

int qemu_identity(const struct engine_env *env, char **ret_identity, nova_error_t **error)
{
	AUTO_FREE char *binary = NULL, *host = NULL;
	const char *cpu = NULL;
	struct stat st;
	int code = qemu_binary(env, &binary, error);
	if (code == 0)
		code = qemu_cpu(env, &cpu, error);
	if (code == 0 && cpu) /* its guests have this host's; TCG's is the same everywhere */
		code = cpu_identity("", &host, error);
	if (code < 0)
		return code;
	AUTO_FD int fd = sys_open(binary, O_RDONLY, 0);
	int r = fd < 0 ? fd : sys_fstat(fd, &st);
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", binary);
	/* A TCG guest was told the frequency of this host's time stamp counter; a tenth of a
	 * percent is within what clocks drift. */
	*ret_identity = str_format("qemu %s size %" PRId64 " changed %" PRId64
				   " machine %d %s%s%s%s tsc %" PRIu64 " MHz",
		binary, (int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, MACHINE_VERSION,
		cpu ? "kvm cpu " : "tcg", cpu ? cpu : "", cpu ? " " : "", cpu ? host : "",
		(env->tsc_khz + 5000) / 10000 * 10);
	return *ret_identity ? 0 : nova_oom(error);
}

/* QEMU opens a set of descriptors by name, and takes the one whose access mode fits: writing only.
 */
static int offer_file(struct qmp *q, int fd, int *ret_set, nova_error_t **error)
{
	AUTO_FREE char *path = str_format("/proc/self/fd/%d", fd);
	AUTO_FD int writer = path ? sys_open(path, O_WRONLY, 0) : -ENOMEM;
	json_t *value = NULL;
	if (writer < 0)
		return nova_fail_os(error, writer, "file for a machine's state");
	int code = qmp_do_with_fd(
		q, "add-fd", NULL, writer, deadline_in_ms(MONITOR_TIMEOUT), &value, error);
	if (code == 0)
		*ret_set = (int)json_integer_value(json_object_get(value, "fdset-id"));
	json_decref(value);
	return code;
}

int qemu_save(struct machine *m, int *ret_state_fd, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	AUTO_FD int fd = sys_memfd("nova-device-state");
	int set = 0;
	if (fd < 0)
		return nova_fail_os(error, fd, "file for a machine's state");
	int code = qemu_go_on(q, error);
	if (code == 0)
		code = offer_file(&q->qmp, fd, &set, error);
	if (code == 0)
		code = qemu_pause(m, error);
	if (code < 0)
		return code;
	AUTO_FREE char *name = str_format("/dev/fdset/%d", set);
	json_t *arguments = json_pack("{s:s, s:b}", "filename", name, "live", 0);
	code = qmp_do(&q->qmp, "xen-save-devices-state", arguments, deadline_in_ms(MONITOR_TIMEOUT),
		NULL, error);
	if (code == 0)
		code = qmp_do(&q->qmp, "remove-fd", json_pack("{s:i}", "fdset-id", set),
			deadline_in_ms(MONITOR_TIMEOUT), NULL, error);
	if (q->old_set_count < ARRAY_LEN(q->old_sets))
		q->old_sets[q->old_set_count++] = set;
	if (code == 0)
		*ret_state_fd = STEAL_FD(fd);
	return code;
}

/* While a state is awaited or coming in, `cont` says that it is to run then. */
static int load(struct machine *m, int state_fd, bool run, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	uint64_t deadline = deadline_in_ms(MONITOR_TIMEOUT);
	int code = qemu_await(m, error);
	if (code < 0)
		return code;
	/* A description of its own: several machines may read one state at once, each from the
	 * start. */
	AUTO_FREE char *path = str_format("/proc/self/fd/%d", state_fd);
	AUTO_FD int reader = path ? sys_open(path, O_RDONLY, 0) : -ENOMEM;
	if (reader < 0)
		return nova_fail_os(error, reader, "state of a machine");
	code = qmp_do_with_fd(&q->qmp, "getfd", json_pack("{s:s}", "fdname", "state"), reader,
		deadline, NULL, error);
	if (code == 0) /* the end of the loading is told */
		code = qmp_do(&q->qmp, "migrate-set-capabilities",
			json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "events",
				"state", 1),
			deadline, NULL, error);
	if (code == 0 && run)
		code = qmp_post(&q->qmp, "cont", error);
	if (code == 0)
		code = qmp_do(&q->qmp, "migrate-incoming", json_pack("{s:s}", "uri", "fd:state"),
			deadline, NULL, error);
	if (code == 0)
		code = qmp_await_loaded(&q->qmp, deadline, error);
	q->paused = !run;
	if (code < 0) {
		AUTO_FREE char *words = machine_last_words(m, 300);
		return nova_wrap(
			error, code, "the state cannot be loaded (%s)", words ? words : "");
	}
	return 0;
}

int qemu_load(struct machine *m, int state_fd, nova_error_t **error)
{
	return load(m, state_fd, true, error);
}

int qemu_load_still(struct machine *m, int state_fd, nova_error_t **error)
{
	return load(m, state_fd, false, error);
}

static uint64_t memory_size(const struct qemu_machine *q)
{
	return (uint64_t)q->memory_mb << 20;
}

/* The mapping of guest memory among those of QEMU: the one of our file that is as large as the
 * guest's memory. */
static int find_memory(struct qemu_machine *q, nova_error_t **error)
{
	if (q->ram_address)
		return 0;
	AUTO_FREE char *path = str_format("/proc/%" PRId64 "/maps", q->child.process.pid);
	AUTO_BUF struct buf text = BUF_INIT(4u << 20);
	int r = path ? fs_read_file(path, &text) : 0;
	AUTO_FREE char *lines = r == 0 ? buf_steal_str(&text) : NULL;
	char *save = NULL;
	for (char *line = lines ? strtok_r(lines, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		uint64_t low, high, inode;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &low, &high,
			    &inode) == 3 &&
			inode == q->memory_inode && high - low == memory_size(q)) {
			q->ram_address = low;
			return 0;
		}
	}
	return nova_fail(error, r < 0 ? NOVA_EPERM : NOVA_EENGINE,
		"the memory of the guest was not found in QEMU (process %" PRId64 ")",
		q->child.process.pid);
}

/* Through its memory: what it has written is private to it. */
int qemu_take_pages(struct machine *m, struct pages *ret_pages, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	int code = find_memory(q, error);
	return code < 0 ? code :
			  pages_read(q->child.process.pid, q->ram_address, memory_size(q),
				  ret_pages, error);
}

int qemu_give_pages(struct machine *m, const struct pages *pages, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	int code = pages->count ? find_memory(q, error) : 0;
	return code < 0 ? code : pages_write(q->child.process.pid, q->ram_address, pages, error);
}
