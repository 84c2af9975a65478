/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "zygote/proc.h"
#include "zygote/process.h"
#include "zygote/raw.h"
#include "zygote/threads.h"

/* --- memory --- */

/* "address perms offset device inode   path" */
static int check_mapping(const char *line, void *reason)
{
	const char *perms = strchr(line, ' ');
	if (!perms || strlen(perms) < 6)
		return refuse((struct reason *)reason,
			"/proc/self/maps has a line that is not understood: %s", line);
	if (perms[4] == 'p')
		return 0;
	const char *path = strchr(perms, '/');
	bool named = path && !strstr(path, " (deleted)") && strncmp(path, "/dev/", 5) != 0;
	if (perms[2] != 'w' && named)
		return 0;
	return refuse((struct reason *)reason,
		"memory is shared, and a child would write into it: %s", line);
}

static int check_memory(struct reason *reason)
{
	int r = proc_each_line("/proc/self/maps", check_mapping, reason);
	return r < -1 ? refuse(reason, "/proc/self/maps cannot be read") : r;
}

/* --- rights: a new thread has those of the one that makes it --- */

static int read_status(int tid, char *text, struct reason *reason)
{
	char path[64];
	text_put(path, sizeof(path), "/proc/self/task/%d/status", tid);
	return proc_read(path, text, PROC_TEXT) ? 0 : refuse(reason, "%s cannot be read", path);
}

static int check_rights(const char *own, int tid, struct reason *reason)
{
	static const char *const fields[] = { "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff",
		"CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters" };
	char text[PROC_TEXT];
	if (read_status(tid, text, reason) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!proc_same_line(proc_field(own, fields[i]), proc_field(text, fields[i])))
			return refuse(reason,
				"thread %d has other rights than the one that forks (%s)", tid,
				fields[i]);
	/* bit 31 is the signal that made it stand, sent a second time */
	if (proc_number(proc_field(text, "SigPnd"), 16) & ~(1ull << 31))
		return refuse(
			reason, "a signal waits for thread %d, and no child would get it", tid);
	return 0;
}

static int check_threads(struct reason *reason)
{
	char own[PROC_TEXT];
	int r = read_status((int)raw(SYS_gettid, 0, 0, 0), own, reason);
	if (r == 0 && proc_number(proc_field(own, "ShdPnd"), 16))
		r = refuse(reason, "a signal waits for the process, and no child would get it");
	if (r == 0 && proc_number(proc_field(own, "VmLck"), 10))
		r = refuse(reason, "memory is locked, and that of a child would not be");
	for (const struct thread *t = threads; r == 0 && t < threads + MAX_THREADS; t++)
		if (thread_tid(t))
			r = check_rights(own, thread_tid(t), reason);
	return r;
}

/* --- what a child does not inherit --- */

static int check_timers(struct reason *reason)
{
	char text[PROC_TEXT];
	/* without CONFIG_CHECKPOINT_RESTORE it is not there, and nothing else tells */
	if (!proc_read("/proc/self/timers", text, sizeof(text)))
		return refuse(reason, "/proc/self/timers cannot be read");
	if (text[0])
		return refuse(
			reason, "there are timers of timer_create(), which no child would have");
	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		struct itimerval timer = { 0 };
		long r = raw(SYS_getitimer, which, (long)&timer, 0);
		if (r < 0 || timer.it_value.tv_sec || timer.it_value.tv_usec)
			return refuse(
				reason, "a timer of setitimer() runs, which no child would have");
	}
	return 0;
}

static int check_children(struct reason *reason)
{
	long r = raw6(SYS_waitid, P_ALL, 0, 0, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL, 0);
	return r == -ECHILD ? 0 :
			      refuse(reason, "the process has children, and one of its own could "
					     "not wait for them");
}

int process_check(struct reason *reason)
{
	int r = check_timers(reason);
	if (r == 0)
		r = check_children(reason);
	if (r == 0)
		r = check_threads(reason);
	return r == 0 ? check_memory(reason) : r;
}
