/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "keeper/cgroup.h"

/* Where the memory controller lives: the unified hierarchy, or version 1's own. */
struct hierarchy {
	const char *proc_prefix; /* of our line in /proc/self/cgroup */
	const char *mount;
	const char *limit_file;
};

static const struct hierarchy hierarchies[] = {
	{ "0::", "/sys/fs/cgroup", "memory.max" },
	{ ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
};

static char *own_group(const struct hierarchy *h)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	if (fs_read_file("/proc/self/cgroup", &text) < 0)
		return NULL;
	AUTO_FREE char *lines = buf_steal_str(&text);
	char *save = NULL;
	for (char *line = lines ? strtok_r(lines, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		char *at = strstr(line, h->proc_prefix);
		if (at)
			return str_format("%s%s", h->mount, at + strlen(h->proc_prefix));
	}
	return NULL;
}

static char *group_path(const struct hierarchy *h, pid_t pid)
{
	AUTO_FREE char *own = own_group(h);
	return own ? str_format("%s/nova-%d-%d", own, (int)getpid(), (int)pid) : NULL;
}

static bool write_number(const char *group, const char *file, uint64_t number)
{
	AUTO_FREE char *path = path_join(group, file);
	AUTO_FREE char *text = str_format("%llu", (unsigned long long)number);
	if (!path || !text)
		return false;
	AUTO_FD int fd = sys_open(path, O_WRONLY, 0);
	return fd >= 0 && sys_write_all(fd, text, strlen(text)) == 0;
}

bool cgroup_limit(pid_t pid, uint64_t bytes)
{
	for (size_t i = 0; bytes && i < ARRAY_LEN(hierarchies); i++) {
		AUTO_FREE char *group = group_path(&hierarchies[i], pid);
		if (!group || mkdir(group, 0755) < 0)
			continue;
		if (write_number(group, hierarchies[i].limit_file, bytes) &&
			write_number(group, "cgroup.procs", (uint64_t)pid))
			return true;
		rmdir(group);
	}
	return false;
}

void cgroup_forget(pid_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		AUTO_FREE char *group = group_path(&hierarchies[i], pid);
		if (group)
			rmdir(group);
	}
}

static bool is_of_the_dead(const char *name)
{
	int keeper, end = 0;
	return sscanf(name, "nova-%d-%*d%n", &keeper, &end) == 1 && end && !name[end] && keeper > 0 &&
		kill(keeper, 0) < 0 && errno == ESRCH;
}

void cgroup_sweep(void)
{
	for (size_t i = 0; i < ARRAY_LEN(hierarchies); i++) {
		AUTO_FREE char *own = own_group(&hierarchies[i]);
		char **names;
		int count = own ? fs_list(own, &names) : -1;
		for (int k = 0; k < count; k++) {
			AUTO_FREE char *group = is_of_the_dead(names[k]) ? path_join(own, names[k]) : NULL;
			if (group)
				rmdir(group); /* one with processes stays */
		}
		if (count >= 0)
			strv_free(names, (size_t)count);
	}
}
