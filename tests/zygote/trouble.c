/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

static void start(void *(*function)(void *), void *argument)
{
	pthread_t thread;
	require(pthread_create(&thread, NULL, function, argument) == 0);
	pthread_detach(thread);
}

static void *sleep_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *spin(void *unused)
{
	for (;;)
		__asm__ volatile("");
	return unused;
}

static void *hold_and_sleep(void *mutex)
{
	pthread_mutex_lock(mutex);
	return sleep_for_ever(mutex);
}

static void *write_and_sleep(void *lock)
{
	pthread_rwlock_wrlock(lock);
	return sleep_for_ever(lock);
}

static void *lock_and_unlock(void *mutex)
{
	pthread_mutex_lock(mutex);
	pthread_mutex_unlock(mutex);
	return sleep_for_ever(mutex);
}

static void *block_and_sleep(void *unused)
{
	uint64_t all = ~0ull; /* what the C library does not allow */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
	return sleep_for_ever(unused);
}

static int nobody_knows(void *unused)
{
	(void)unused;
	for (;;)
		syscall(SYS_pause);
	return 0;
}

/* --- each by its name --- */

static void none(void)
{
}

static void open_inotify(void)
{
	require(inotify_init1(IN_CLOEXEC) >= 0);
}

static void open_sockets(void)
{
	int fds[2];
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
}

static void open_pipe(void)
{
	int fds[2];
	require(pipe(fds) == 0);
}

static void open_for_writing(void)
{
	require(open("/tmp", O_TMPFILE | O_RDWR, 0600) >= 0);
}

static void read_on(void)
{
	char c;
	int fd = open("/proc/self/exe", O_RDONLY);
	require(fd >= 0 && read(fd, &c, 1) == 1);
}

static void lock_file(void)
{
	int fd = open("/tmp", O_RDONLY);
	require(fd >= 0 && flock(fd, LOCK_SH) == 0);
}

static void send_signals(void)
{
	int fds[2];
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	require(fcntl(fds[0], F_SETFL, O_ASYNC) == 0);
}

static void map_shared(void)
{
	require(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
		MAP_FAILED);
}

static void map_shared_for_reading(void)
{
	require(mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void lock_memory(void)
{
	static char page[4096];
	require(mlock(page, sizeof(page)) == 0);
}

static void make_timer(void)
{
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
}

static void run_interval_timer(void)
{
	struct itimerval t = { { 0, 0 }, { 100000, 0 } };
	require(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void have_child(void)
{
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep_for_ever(NULL);
	}
}

static void leave_signal(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	raise(SIGWINCH); /* which is blocked */
}

static void leave_signal_for_all(void)
{
	kill(getpid(), SIGWINCH);
}

static void hold_recursive(void)
{
	static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	start(hold_and_sleep, &mutex);
}

static void hold_for_writing(void)
{
	static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
	start(write_and_sleep, &lock);
}

static void wait_for_lock(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&mutex);
	start(lock_and_unlock, &mutex);
}

static void be_busy(void)
{
	start(spin, NULL);
}

static void block_all(void)
{
	start(block_and_sleep, NULL);
}

static void make_unknown(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	require(clone(nobody_knows, stack + sizeof(stack),
			CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				CLONE_SYSVSEM,
			NULL) > 0);
}

static void cancel(void)
{
	pthread_t thread;
	require(pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

static void watch_closed(void)
{
	int set = epoll_create1(0), fd = eventfd(0, 0);
	struct epoll_event event = { EPOLLIN, { 0 } };
	require(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	require(dup(fd) >= 0 && close(fd) == 0);
}

static void watch_once(void)
{
	int set = epoll_create1(0), fd = eventfd(1, 0);
	struct epoll_event event = { EPOLLIN | EPOLLONESHOT, { 0 } };
	require(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	require(epoll_wait(set, &event, 1, -1) == 1);
}

static void no_new_rights_in_one(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* of this thread alone */
}

static void *nothing(void *unused)
{
	return unused;
}

/* All of it, although it is interrupted. */
static void rest_us(long us)
{
	struct timespec t = { 0, us * 1000 };
	while (nanosleep(&t, &t) < 0)
		;
}

static void *begin_and_end(void *unused)
{
	for (;;) {
		pthread_t thread;
		require(pthread_create(&thread, NULL, nothing, NULL) == 0);
		rest_us(500);
		pthread_join(thread, NULL);
		rest_us(500);
	}
	return unused;
}

/* No trouble, or it would be one. */
static void churn(void)
{
	start(begin_and_end, NULL);
}

static const struct {
	const char *name;
	void (*begin)(void);
} troubles[] = {
	{ "none", none },
	{ "churn", churn },
	{ "inotify", open_inotify },
	{ "socket", open_sockets },
	{ "pipe", open_pipe },
	{ "writable file", open_for_writing },
	{ "position", read_on },
	{ "file lock", lock_file },
	{ "O_ASYNC", send_signals },
	{ "shared memory", map_shared },
	{ "shared memory for reading", map_shared_for_reading },
	{ "locked memory", lock_memory },
	{ "timer_create", make_timer },
	{ "setitimer", run_interval_timer },
	{ "child", have_child },
	{ "signal of a thread", leave_signal },
	{ "signal of the process", leave_signal_for_all },
	{ "recursive", hold_recursive },
	{ "writer", hold_for_writing },
	{ "lock", wait_for_lock },
	{ "busy", be_busy },
	{ "blocked", block_all },
	{ "unknown", make_unknown },
	{ "pthread_cancel", cancel },
	{ "closed watch", watch_closed },
	{ "one-shot watch", watch_once },
	{ "rights", no_new_rights_in_one },
};

bool trouble_start(const char *name)
{
	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++)
		if (strcmp(troubles[i].name, name) == 0) {
			troubles[i].begin();
			return true;
		}
	return false;
}
