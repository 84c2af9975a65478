/* SPDX-License-Identifier: MIT */
/* What a VM costs this host, by the kernel's own books of the process that it is, and what it has
 * taken. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "vm/object.h"

/* "Name:   123 kB" in smaps_rollup, as bytes. A name that this kernel does not have counts nothing.
 */
static uint64_t rollup_bytes(const char *text, const char *name)
{
	size_t len = strlen(name);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ':')
			return strtoull(line + len + 1, NULL, 10) * 1024u;
	}
	return 0;
}

/* A kernel that does not tell has merged nothing that could be told. */
static uint64_t merged_bytes(int64_t pid)
{
	AUTO_FREE char *path = str_format("/proc/%" PRId64 "/ksm_merging_pages", pid);
	AUTO_BUF struct buf content = BUF_INIT(64);
	AUTO_FREE char *text =
		path && fs_read_file(path, &content) == 0 ? buf_steal_str(&content) : NULL;
	return text ? strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static int read_memory(int64_t pid, uint64_t *values)
{
	AUTO_FREE char *path = str_format("/proc/%" PRId64 "/smaps_rollup", pid);
	AUTO_BUF struct buf content = BUF_INIT(64u << 10);
	int r = path ? fs_read_file(path, &content) : -ENOMEM;
	if (r < 0)
		return r;
	AUTO_FREE char *text = buf_steal_str(&content);
	if (!text)
		return -ENOMEM;
	values[NOVA_VM_STAT_PSS] = rollup_bytes(text, "Pss");
	values[NOVA_VM_STAT_PRIVATE] =
		rollup_bytes(text, "Private_Clean") + rollup_bytes(text, "Private_Dirty");
	values[NOVA_VM_STAT_SHARED] =
		rollup_bytes(text, "Shared_Clean") + rollup_bytes(text, "Shared_Dirty");
	values[NOVA_VM_STAT_RSS] = rollup_bytes(text, "Rss");
	values[NOVA_VM_STAT_MERGED] = merged_bytes(pid);
	return 0;
}

/* Who keeps the books of a machine, to be asked without the lock: it may end meanwhile. */
struct books {
	int64_t pid; /* 0: nobody does */
	int end_fd;
};

/* 0, or -errno. */
static int borrow_books(nova_vm_t *vm, struct books *ret)
{
	const struct engine_ops *ops = vm->ops;
	pthread_mutex_lock(&vm->end_lock);
	int end_fd = vm->ended ? -1 : ops->end_fd(vm->machine);
	ret->pid = end_fd >= 0 && ops->pid ? ops->pid(vm->machine) : 0;
	ret->end_fd = end_fd < 0 ? -ESRCH : sys_dup(end_fd);
	pthread_mutex_unlock(&vm->end_lock);
	return ret->end_fd < 0 ? ret->end_fd : 0;
}

/* A process that lives after the reading has had its number all the time, so what was read is its
 * own. */
static int read_all(nova_vm_t *vm, uint64_t *values)
{
	struct books books;
	int r = borrow_books(vm, &books);
	if (r < 0)
		return r;
	r = books.pid ? read_memory(books.pid, values) : 0;
	if (r == 0 && books.pid)
		r = sys_process_cpu_us(books.pid, &values[NOVA_VM_STAT_CPU_US]);
	bool ended = sys_await_readable(books.end_fd, 0);
	fd_close(books.end_fd);
	return ended ? -ESRCH : r;
}

/* What the VM itself remembers. Others may be starting its function, or forking it. */
static void read_times(const nova_vm_t *vm, uint64_t *values)
{
	values[NOVA_VM_STAT_START_US] = vm_timing_us(vm, NOVA_TIMING_START);
	values[NOVA_VM_STAT_BOOT_US] = vm_timing_us(vm, NOVA_TIMING_BOOT);
	values[NOVA_VM_STAT_INIT_US] = vm_timing_us(vm, NOVA_TIMING_INIT);
	values[NOVA_VM_STAT_STOOD_STILL_US] =
		__atomic_load_n(&vm->stood_still_us, __ATOMIC_RELAXED);
}

int nova_vm_stats(nova_vm_t *vm, uint64_t *ret_values, size_t count, nova_error_t **error)
{
	uint64_t values[NOVA_VM_STAT_MERGED + 1] = { 0 };
	if (ANY_NULL(error, vm, ret_values))
		return NOVA_EINVAL;
	if (!count)
		return nova_fail(
			error, NOVA_EINVAL, "nova_vm_stats: room for at least one value is needed");
	int code = host_check_process(vm->host, error);
	if (code < 0)
		return code;
	int r = read_all(vm, values);
	if (r == -ESRCH)
		return nova_fail(error, NOVA_ELOST, "microVM %s is dead", vm->id);
	if (r < 0)
		return nova_fail_os(error, r, "the kernel's account of microVM %s", vm->id);
	read_times(vm, values);
	for (size_t i = 0; i < count; i++)
		ret_values[i] = i < ARRAY_LEN(values) ? values[i] : 0;
	return 0;
}
