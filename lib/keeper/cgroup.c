/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "keeper/cgroup.h"

#define TRIES 3 /* another keeper's sweep may meet a group before its process is in it */

/* Where the memory controller lives: the unified hierarchy, or version 1's own. */
struct hierarchy {
	const char *proc_prefix; /* of our line in /proc/self/cgroup */
	const char *mount;
	const char *limit_file, *usage_file, *cache; /* the last: a line of memory.stat */
};

static const struct hierarchy hierarchies[] = {
	{ "0::", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file " },
	{ ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
		"total_inactive_file " },
};

static char *own_group(const struct hierarchy *h)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	if (fs_read_file("/proc/self/cgroup", &text) < 0)
		return NULL;
	AUTO_FREE char *lines = buf_steal_str(&text);
	char *save = NULL;
	for (char *line = lines ? strtok_r(lines, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		char *at = strstr(line, h->proc_prefix);
		if (at)
			return str_format("%s%s", h->mount, at + strlen(h->proc_prefix));
	}
	return NULL;
}

/* When a process began, in clock ticks: with it a number is that of one process only. 0: there is
 * none. */
static unsigned long long began(long pid)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	AUTO_FREE char *path = str_format("/proc/%ld/stat", pid);
	unsigned long long ticks = 0;
	if (!path || fs_read_file(path, &text) < 0)
		return 0;
	AUTO_FREE char *line = buf_steal_str(&text);
	const char *end = line ? strrchr(line, ')') : NULL;
	if (!end || sscanf(end,
			    ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			    "%*s %*s %llu",
			    &ticks) != 1)
		return 0;
	return ticks;
}

/* No two processes ever make one of the same name. */
static char *group_path(const struct hierarchy *h, const char *child)
{
	AUTO_FREE char *own = own_group(h);
	long self = (long)getpid();
	return own ? str_format("%s/nova-%ld-%llu-%s", own, self, began(self), child) : NULL;
}

static int write_number(const char *group, const char *file, uint64_t number)
{
	AUTO_FREE char *path = path_join(group, file);
	AUTO_FREE char *text = str_format("%llu", (unsigned long long)number);
	if (!path || !text)
		return -ENOMEM;
	AUTO_FD int fd = sys_open(path, O_WRONLY, 0);
	return fd < 0 ? fd : sys_write_all(fd, text, strlen(text));
}

/* `pid` 0: the group stays empty. */
static int limit_in(const struct hierarchy *h, const char *group, pid_t pid, uint64_t bytes)
{
	if (mkdir(group, 0755) < 0 && errno != EEXIST)
		return -errno;
	int r = write_number(group, h->limit_file, bytes);
	if (r == 0 && pid)
		r = write_number(group, "cgroup.procs", (uint64_t)pid);
	if (r < 0)
		rmdir(group);
	return r;
}

bool cgroup_limit(pid_t pid, uint64_t bytes)
{
	char child[16];
	snprintf(child, sizeof(child), "%d", (int)pid);
	for (size_t i = 0; bytes && i < ARRAY_LEN(hierarchies); i++) {
		AUTO_FREE char *group = group_path(&hierarchies[i], child);
		int r = group ? -EAGAIN : -ENOMEM;
		for (int tries = 0; group && r < 0 && tries < TRIES; tries++)
			r = limit_in(&hierarchies[i], group, pid, bytes);
		if (r == 0)
			return true;
	}
	return false;
}

static bool is_told(const char *name, long *ret_keeper, unsigned long long *ret_ticks)
{
	return sscanf(name, "nova-%ld-%llu-", ret_keeper, ret_ticks) == 2;
}

static bool is_of_the_dead(const char *name)
{
	long keeper;
	unsigned long long ticks;
	return is_told(name, &keeper, &ticks) && began(keeper) != ticks;
}

static bool is_own(const char *name)
{
	long keeper;
	unsigned long long ticks;
	return is_told(name, &keeper, &ticks) && keeper == (long)getpid();
}

static bool is_of_a_child_that_is_gone(const char *name)
{
	long pid;
	return sscanf(name, "nova-%*d-%*u-%ld", &pid) == 1 && kill((pid_t)pid, 0) < 0 &&
	       errno == ESRCH;
}

/* One with a process in it cannot be removed, so a keeper that cannot be seen from here loses
 * nothing. True: some of those whose child is gone have another in them. */
static bool sweep(bool (*is_wanted)(const char *name))
{
	bool some_are_left = false;
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		AUTO_FREE char *own = own_group(&hierarchies[i]);
		char **names;
		int count = own ? fs_list(own, &names) : -1;
		for (int n = 0; n < count; n++) {
			AUTO_FREE char *group =
				is_wanted(names[n]) ? path_join(own, names[n]) : NULL;
			if (group && rmdir(group) < 0 && is_of_a_child_that_is_gone(names[n]))
				some_are_left = true;
		}
		if (count >= 0)
			strv_free(names, (size_t)count);
	}
	return some_are_left;
}

bool cgroup_forget(pid_t pid)
{
	char child[16];
	bool is_left = false;
	snprintf(child, sizeof(child), "%d", (int)pid);
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		AUTO_FREE char *group = group_path(&hierarchies[i], child);
		is_left |= group && rmdir(group) < 0 && errno == EBUSY;
	}
	return !is_left;
}

bool cgroup_forget_gone(void)
{
	return !sweep(is_own);
}

void cgroup_sweep(void)
{
	sweep(is_of_the_dead);
}

/* The more telling of the two reasons. */
static const char *reason_of(int r)
{
	if (r == -EACCES || r == -EPERM || r == -EROFS)
		return "this user may make no control group below the one it is in: run as root, "
		       "or under systemd with Delegate=yes";
	return "the control group that this process is in has no memory controller for groups "
	       "below it";
}

const char *cgroup_obstacle(void)
{
	int worst = 0;
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		AUTO_FREE char *group = group_path(&hierarchies[i], "try");
		int r = group ? limit_in(&hierarchies[i], group, 0, 64u << 20) : -ENOENT;
		if (r == 0) {
			rmdir(group);
			return NULL;
		}
		if (!worst || r != -ENOENT)
			worst = r;
	}
	return reason_of(worst);
}

/* --- the limits that we are under --- */

/* The number that stands in a file, behind `line` if that is given. UINT64_MAX: none ("max"). */
static uint64_t read_number(const char *group, const char *file, const char *line)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	AUTO_FREE char *path = path_join(group, file);
	AUTO_FREE char *all = path && fs_read_file(path, &text) == 0 ? buf_steal_str(&text) : NULL;
	const char *at = all && line ? strstr(all, line) : all;
	if (!at)
		return UINT64_MAX;
	at += line ? strlen(line) : 0;
	return is_digit(*at) ? strtoull(at, NULL, 10) : UINT64_MAX;
}

void cgroup_limit_anew(pid_t pid, uint64_t bytes)
{
	char child[16];
	snprintf(child, sizeof(child), "%d", (int)pid);
	for (size_t i = 0; bytes && i < ARRAY_LEN(hierarchies); i++) {
		const struct hierarchy *h = &hierarchies[i];
		AUTO_FREE char *group = group_path(h, child);
		uint64_t used = group ? read_number(group, h->usage_file, NULL) : UINT64_MAX;
		if (used != UINT64_MAX)
			write_number(group, h->limit_file, used + bytes);
	}
}

static void lower(uint64_t *least, uint64_t value)
{
	if (value < *least)
		*least = value;
}

/* What is used less what is only cached can be had again. */
static void look_at_memory(const struct hierarchy *h, const char *group, struct cgroup_room *room)
{
	uint64_t limit = read_number(group, h->limit_file, NULL);
	uint64_t used = read_number(group, h->usage_file, NULL);
	uint64_t cached = read_number(group, "memory.stat", h->cache);
	if (limit == UINT64_MAX || used == UINT64_MAX)
		return;
	used -= cached < used ? cached : 0;
	lower(&room->memory_limit, limit);
	lower(&room->memory, limit > used ? limit - used : 0);
}

static void look_at_processes(const char *group, struct cgroup_room *room)
{
	uint64_t limit = read_number(group, "pids.max", NULL);
	uint64_t used = read_number(group, "pids.current", NULL);
	if (limit != UINT64_MAX && used != UINT64_MAX)
		lower(&room->processes, limit > used ? limit - used : 0);
}

void cgroup_room(struct cgroup_room *ret)
{
	*ret = (struct cgroup_room){ UINT64_MAX, UINT64_MAX, UINT64_MAX };
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		const struct hierarchy *h = &hierarchies[i];
		AUTO_FREE char *group = own_group(h);
		size_t mount = strlen(h->mount);
		/* up to the mount itself, which has the limits of a container */
		while (group && strlen(group) >= mount) {
			look_at_memory(h, group, ret);
			look_at_processes(group, ret);
			*strrchr(group, '/') = 0;
		}
	}
}
