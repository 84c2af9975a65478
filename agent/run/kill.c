/* SPDX-License-Identifier: MIT */
/*
 * Ending processes where there are no cgroups: the process group, and what left it. As a subreaper
 * the agent becomes the parent of everything whose own parent has ended, so what escaped turns up
 * among its children.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/run.h"

void kill_group(pid_t pid)
{
	if (pid <= 1)
		return;
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
}

void kill_slot_or_group(struct slot *slot, pid_t pid)
{
	if (slot)
		slot_kill(slot);
	else
		kill_group(pid);
}

static bool known(const struct run *run, pid_t pid)
{
	if (pid == run->interpreter || (run->hook.pending && pid == run->hook.pid))
		return true;
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state == REQUEST_RUNNING && run->requests[i].pid == pid)
			return true;
	return false;
}

/* Whether the process was started with NOVA_REQUEST_ID=id in its environment. */
static bool carries(pid_t pid, const char *id)
{
	char path[64], want[MAX_ID + 32];
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	int want_len = snprintf(want, sizeof(want), "NOVA_REQUEST_ID=%s", id);
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	return fs_read_file(path, &text) == 0 && buf_append(&text, "", 1) == 0 &&
	       memmem(text.data, text.len, want, (size_t)want_len + 1) != NULL;
}

static bool kill_round(struct run *run, const char *id, bool all)
{
	char path[64];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	if (fs_read_file(path, &text) < 0 || buf_append(&text, "", 1) < 0)
		return false;
	for (char *at = (char *)text.data, *end; *at; at = end) {
		pid_t pid = (pid_t)strtol(at, &end, 10);
		if (end == at)
			break;
		while (*end == ' ')
			end++;
		if (known(run, pid) || !(all || (*id && carries(pid, id))))
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		found = true;
	}
	return found;
}

void kill_orphans(struct run *run, const char *id, bool all)
{
	/* Each round may hand us the children of those that it killed. */
	for (int round = 0; round < 1000 && kill_round(run, id, all); round++)
		;
}
