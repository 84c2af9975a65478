/* SPDX-License-Identifier: MIT */
/*
 * Control groups, version 2: every request runs in a slot of its own, so that killing it reaches
 * all its processes, whatever they did with sessions and parents. Slots are made once and used
 * again: making one costs more than a request.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/run.h"

#define GROUPS       "/sys/fs/cgroup/nova"
#define SLOT_LEAST   (8u << 20)
#define WAITS_BESIDE (1u << 20) /* pages of its own that a fork has which waits meanwhile */
#define MAX_PIDS     512        /* processes of one request */

static int open_in(const char *directory, const char *file, int flags)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return sys_open(path, flags, 0);
}

static int write_in(const char *directory, const char *file, const char *text)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return write_text(path, text);
}

void cgroups_make(struct cgroups *groups, uint64_t memory)
{
	char limit[32];
	groups->worker_procs = groups->worker_kill = groups->worker_memory = -1;
	groups->memory = groups->slot_limit = memory;
	if (write_in("/sys/fs/cgroup", "cgroup.subtree_control", "+memory +pids") < 0 ||
		mkdir(GROUPS, 0755) < 0 ||
		write_in(GROUPS, "cgroup.subtree_control", "+memory +pids") < 0 ||
		mkdir(GROUPS "/worker", 0755) < 0)
		return;
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)memory);
	write_in(GROUPS, "memory.max", limit);
	write_in(GROUPS "/worker", "pids.max", "512");
	write_in(GROUPS "/worker", "memory.oom.group", "1");
	/* A function that fills the memory is to be killed for it, not to squeeze the interpreter's
	 * code out of the cache first. */
	write_in(GROUPS "/worker", "memory.min", limit);
	groups->worker_procs = open_in(GROUPS "/worker", "cgroup.procs", O_WRONLY);
	groups->worker_kill = open_in(GROUPS "/worker", "cgroup.kill", O_WRONLY);
	groups->worker_memory = open_in(GROUPS "/worker", "memory.events", O_RDONLY);
	groups->there = groups->worker_procs >= 0;
}

static bool slot_make(struct slot *slot, size_t index)
{
	char directory[64], pids[16];
	snprintf(directory, sizeof(directory), GROUPS "/r%zu", index);
	snprintf(pids, sizeof(pids), "%d", MAX_PIDS);
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return false;
	write_in(directory, "pids.max", pids);
	write_in(directory, "memory.oom.group", "1");
	slot->procs = open_in(directory, "cgroup.procs", O_RDWR);
	slot->kill = open_in(directory, "cgroup.kill", O_WRONLY);
	slot->events = open_in(directory, "cgroup.events", O_RDONLY);
	slot->memory = open_in(directory, "memory.events", O_RDONLY);
	slot->made = slot->procs >= 0 && slot->events >= 0;
	return slot->made;
}

/* The number behind a word in a file of "word number" lines; 0 if it is not there. */
static uint64_t number_behind(int fd, const char *word)
{
	char text[512];
	ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	if (got <= 0)
		return 0;
	text[got] = 0;
	char *at = strstr(text, word);
	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static bool populated(const struct slot *slot)
{
	return number_behind(slot->events, "populated ") != 0;
}

/*
 * Below the limit of all: a request that fills the memory meets its own limit first, and is killed
 * for it, where the common one might cost the interpreter.
 */
static void slot_set_limit(struct slot *slot, size_t index, uint64_t limit)
{
	char directory[64], text[32];
	if (slot->limit == limit)
		return;
	snprintf(directory, sizeof(directory), GROUPS "/r%zu", index);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
	if (write_in(directory, "memory.max", text) == 0)
		slot->limit = limit;
}

int slot_take(struct cgroups *groups, struct slot **ret)
{
	*ret = NULL;
	for (size_t i = 0; groups->there && i < ARRAY_LEN(groups->slots); i++) {
		struct slot *slot = &groups->slots[i];
		if (slot->taken || (!slot->made && !slot_make(slot, i)))
			continue;
		if (populated(slot)) {
			slot_kill(slot);
			continue;
		}
		slot_set_limit(slot, i, groups->slot_limit);
		slot->taken = true;
		*ret = slot;
		return 0;
	}
	return groups->there ? -EAGAIN : 0;
}

/* For kernels before 5.14. Every process seen is killed; whatever forked meanwhile is seen in the
 * next round. */
static void kill_listed(struct slot *slot)
{
	char text[8192];
	for (int round = 0; round < 64 && populated(slot); round++) {
		ssize_t got = pread(slot->procs, text, sizeof(text) - 1, 0);
		text[got > 0 ? got : 0] = 0;
		for (char *at = text, *end; *at; at = end) {
			long pid = strtol(at, &end, 10);
			if (end == at || pid <= 1)
				break;
			kill((pid_t)pid, SIGKILL);
		}
	}
}

void slot_kill(struct slot *slot)
{
	if (!slot)
		return;
	if (slot->kill >= 0 && pwrite(slot->kill, "1", 1, 0) == 1)
		return;
	kill_listed(slot);
}

bool slot_oom(struct slot *slot)
{
	if (!slot)
		return false;
	uint64_t now = number_behind(slot->memory, "oom_kill ");
	bool grown = now > slot->oom_seen;
	slot->oom_seen = now;
	return grown;
}

void slot_give_back(struct slot *slot)
{
	if (slot)
		slot->taken = false;
}

int slot_procs(const struct slot *slot)
{
	return slot ? slot->procs : -1;
}

int cgroup_worker_procs(const struct cgroups *groups)
{
	return groups->there ? groups->worker_procs : -1;
}

void cgroup_kill_worker(struct cgroups *groups)
{
	if (groups->there && groups->worker_kill >= 0)
		(void)!pwrite(groups->worker_kill, "1", 1, 0);
}

bool cgroup_worker_oom(struct cgroups *groups)
{
	uint64_t now = groups->there ? number_behind(groups->worker_memory, "oom_kill ") : 0;
	bool grown = now > groups->worker_oom_seen;
	groups->worker_oom_seen = now;
	return grown;
}

void cgroups_be_copy(struct cgroups *groups)
{
	fd_close(groups->worker_kill);
	groups->worker_kill = -1;
}

/* Whether there was anybody else. */
static bool kill_others(pid_t interpreter)
{
	AUTO_FD int fd = open_in(GROUPS "/worker", "cgroup.procs", O_RDONLY);
	char text[4096];
	ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	bool found = got < 0;
	text[got > 0 ? got : 0] = 0;
	for (char *at = text, *end; *at; at = end) {
		long pid = strtol(at, &end, 10);
		if (end == at)
			break;
		if (pid > 1 && pid != interpreter) {
			kill((pid_t)pid, SIGKILL);
			found = true;
		}
		while (*end == '\n')
			end++;
	}
	return found;
}

bool cgroups_only(struct cgroups *groups, pid_t interpreter)
{
	bool done = !kill_others(interpreter);
	for (size_t i = 0; i < ARRAY_LEN(groups->slots); i++) {
		char directory[64];
		snprintf(directory, sizeof(directory), GROUPS "/r%zu", i);
		if (rmdir(directory) == 0 || errno == ENOENT)
			continue;
		write_in(directory, "cgroup.kill", "1");
		done = false;
	}
	return done;
}

void cgroup_measure_worker(struct cgroups *groups)
{
	if (!groups->there)
		return;
	write_text("/proc/sys/vm/drop_caches", "1"); /* files that only the import has read */
	AUTO_FD int fd = open_in(GROUPS "/worker", "memory.current", O_RDONLY);
	uint64_t used = number_behind(fd, "") + WAITS_BESIDE;
	groups->slot_limit =
		used + SLOT_LEAST < groups->memory ? groups->memory - used : SLOT_LEAST;
	tmp_fit(groups->slot_limit);
}
