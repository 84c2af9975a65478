/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define FAR_S 100000

static int events, other_number, semaphore, signals, null;
static int ticking, far, past, at_hour;
static uint64_t count = 5;

static void set_timer(int fd, int flags, time_t s, long ns, long interval_ns)
{
	struct itimerspec t = { { 0, interval_ns }, { s, ns } };
	require(timerfd_settime(fd, flags, &t, NULL) == 0);
}

static uint64_t take(int fd)
{
	uint64_t value = 0;
	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static void put(int fd, uint64_t value)
{
	require(write(fd, &value, sizeof(value)) == sizeof(value));
}

static void await_readable(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int n;
	while ((n = poll(&p, 1, 100000)) < 0)
		require(errno == EINTR);
	require(n == 1);
}

/* One that has happened, and nobody has looked. */
static void set_past(void)
{
	set_timer(past, 0, 0, 1, 0);
	await_readable(past);
}

void things_start(void)
{
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGWINCH);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_NONBLOCK);
	events = eventfd((unsigned)count, EFD_NONBLOCK | EFD_CLOEXEC);
	other_number = fcntl(events, F_DUPFD, 40);
	semaphore = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ticking = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	far = timerfd_create(CLOCK_BOOTTIME, 0);
	past = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	at_hour = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	set_timer(ticking, 0, 0, 1000000, 1000000);
	set_timer(far, 0, FAR_S, 0, 0);
	set_timer(at_hour, TFD_TIMER_ABSTIME, time(NULL) + FAR_S, 0, 0);
	set_past();
}

/* The count is what this process has made of it, under both numbers. */
static void prove_events(void)
{
	require(take(events) == count);
	require(take(other_number) == 0);
	count++;
	put(other_number, count);
	require(fcntl(events, F_GETFD) == FD_CLOEXEC && fcntl(other_number, F_GETFD) == 0);
	require(fcntl(events, F_GETFL) & O_NONBLOCK);
	require(take(semaphore) == 1 && take(semaphore) == 1 && take(semaphore) == 0);
	put(semaphore, 2);
}

static void prove_far(int fd)
{
	struct itimerspec t;
	require(timerfd_gettime(fd, &t) == 0);
	require(t.it_value.tv_sec > FAR_S - 50000 && t.it_value.tv_sec <= FAR_S);
}

static void prove_timers(void)
{
	struct itimerspec t;
	await_readable(ticking);
	require(take(ticking) > 0);
	await_readable(ticking);
	require(timerfd_gettime(ticking, &t) == 0 && t.it_interval.tv_nsec == 1000000);
	prove_far(far);
	prove_far(at_hour);
	require(take(past) == 1 && take(past) == 0);
	set_past();
}

/* A signal to this process comes to this process. */
static void prove_signals(void)
{
	struct signalfd_siginfo info;
	require(read(signals, &info, sizeof(info)) < 0 && errno == EAGAIN);
	kill(getpid(), SIGWINCH);
	await_readable(signals);
	require(read(signals, &info, sizeof(info)) == sizeof(info));
	require(info.ssi_signo == SIGWINCH && info.ssi_pid == (unsigned)getpid());
}

static void prove_memory(void)
{
	for (size_t size = 1; size < 1 << 20; size *= 3) {
		char *at = malloc(size);
		require(at);
		memset(at, 1, size);
		free(at);
	}
	require(write(null, "x", 1) == 1);
}

void things_prove(void)
{
	prove_events();
	prove_timers();
	prove_signals();
	prove_memory();
}
