/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fenv.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

enum { OWNER, PRODUCER, CONSUMER, POLLER, SIGNALLED, WAITER, WORKERS };

static const char *const names[] = { "owner", "producer", "consumer", "poller", "signalled",
	"waiter" };

/* What a thread has of its own. */
struct worker {
	pthread_t thread;
	int number;
	unsigned seed;
	sigset_t mask;
	stack_t stack;
	int slack, nice, rounding;
	cpu_set_t processors;
	uint64_t rounds; /* of its work */
	unsigned roll;   /* the roll call that it has answered */
};

static struct worker workers[WORKERS];
static __thread struct worker *mine;
static pthread_key_t key;
static int destroyed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned roll;

/* --- a thread is what it was --- */

static __thread volatile int on_stack;

static void on_usr1(int signal)
{
	char here;
	(void)signal;
	on_stack = mine && (char *)mine->stack.ss_sp <= &here &&
		   &here < (char *)mine->stack.ss_sp + mine->stack.ss_size;
}

/* The kernel and the C library agree about the number of this thread. */
static void prove_number(void)
{
	static pthread_mutex_t checks = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	require(pthread_mutex_lock(&checks) == 0);
	require(checks.__data.__owner == gettid());
	require(pthread_mutex_lock(&checks) == EDEADLK);
	require(pthread_mutex_unlock(&checks) == 0);
	require(pthread_mutex_unlock(&checks) == EPERM);
}

static void prove_rseq(void)
{
	require(sched_getcpu() >= 0);
	if (!__rseq_size)
		return;
	const struct rseq *area =
		(const struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	require((int)area->cpu_id >= 0);
	/* the kernel refuses a second one, and so tells that there is one */
	require(syscall(SYS_rseq, area, 32, 0, 0x53053053) < 0 && errno == EBUSY);
}

static void prove_identity(const struct worker *w)
{
	char name[16];
	sigset_t mask;
	stack_t stack;
	cpu_set_t processors;
	require(mine == w && pthread_getspecific(key) == w);
	require(pthread_equal(pthread_self(), w->thread));
	prctl(PR_GET_NAME, name);
	require(strcmp(name, names[w->number]) == 0);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	require(memcmp(&mask, &w->mask, sizeof(uint64_t)) == 0);
	sigaltstack(NULL, &stack);
	require(stack.ss_sp == w->stack.ss_sp && stack.ss_size == w->stack.ss_size);
	require(prctl(PR_GET_TIMERSLACK) == w->slack);
	require(fegetround() == w->rounding);
	require(getpriority(PRIO_PROCESS, (id_t)gettid()) == w->nice);
	sched_getaffinity(0, sizeof(processors), &processors);
	require(CPU_EQUAL(&processors, &w->processors));
	prove_number();
	prove_rseq();
	on_stack = 0;
	pthread_kill(pthread_self(), SIGUSR1);
	require(on_stack);
}

static void take_identity(struct worker *w)
{
	mine = w;
	w->thread = pthread_self();
	pthread_setspecific(key, w);
	prctl(PR_SET_NAME, names[w->number]);
	w->slack = 1000 * (w->number + 1);
	prctl(PR_SET_TIMERSLACK, w->slack);
	w->rounding = w->number % 2 ? FE_UPWARD : FE_DOWNWARD;
	fesetround(w->rounding);
	/* never less than that of the program, which another user could not have again */
	w->nice = getpriority(PRIO_PROCESS, 0) + w->number % 3;
	setpriority(PRIO_PROCESS, (id_t)gettid(), w->nice);
	w->stack = (stack_t){ .ss_sp = malloc(65536), .ss_size = 65536 };
	sigaltstack(&w->stack, NULL);
	/* one of the processors, for every second thread */
	sched_getaffinity(0, sizeof(w->processors), &w->processors);
	for (int cpu = 0; w->number % 2 && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &w->processors)) {
			CPU_ZERO(&w->processors);
			CPU_SET(cpu, &w->processors);
		}
	sched_setaffinity(0, sizeof(w->processors), &w->processors);
	pthread_sigmask(SIG_SETMASK, NULL, &w->mask);
	sigaddset(&w->mask, SIGRTMIN + w->number);
	pthread_sigmask(SIG_SETMASK, &w->mask, NULL);
}

/* A round of work is over. */
static void answer_roll(struct worker *w)
{
	unsigned asked = __atomic_load_n(&roll, __ATOMIC_ACQUIRE);
	w->rounds++;
	if (w->roll == asked)
		return;
	prove_identity(w);
	pthread_mutex_lock(&lock);
	w->roll = asked;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* --- work --- */

static void toil(struct worker *w)
{
	for (unsigned i = (unsigned)rand_r(&w->seed) % 20000; i; i--)
		__asm__ volatile("");
}

static void nap(struct worker *w)
{
	struct timespec t = { 0, 100000 + rand_r(&w->seed) % 1000000 };
	while (nanosleep(&t, &t) < 0) /* all of it, although it is interrupted */
		require(errno == EINTR);
}

/* Holds a lock that knows it by its number, twice. */
static void own(struct worker *w)
{
	static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	static uint64_t first, second;
	require(pthread_mutex_lock(&recursive) == 0);
	first++;
	toil(w);
	require(pthread_mutex_lock(&recursive) == 0);
	second++;
	require(first == second);
	require(pthread_mutex_unlock(&recursive) == 0);
	free(malloc(1 + (size_t)rand_r(&w->seed) % 100000));
	require(pthread_mutex_unlock(&recursive) == 0);
	nap(w);
}

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_cond = PTHREAD_COND_INITIALIZER;
static uint64_t produced, consumed;

static void produce(struct worker *w)
{
	pthread_mutex_lock(&queue_lock);
	produced++;
	pthread_cond_signal(&queue_cond);
	pthread_mutex_unlock(&queue_lock);
	toil(w);
	nap(w);
}

static void consume(struct worker *w)
{
	pthread_mutex_lock(&queue_lock);
	while (consumed == produced) {
		errno = ENOTTY; /* whoever stops us leaves it alone */
		pthread_cond_wait(&queue_cond, &queue_lock);
		require(errno == ENOTTY);
	}
	consumed++;
	require(consumed <= produced);
	pthread_mutex_unlock(&queue_lock);
	toil(w);
}

static int set, calls; /* an epoll set, and an eventfd in it */
static uint64_t called;

static void poll_set(struct worker *w)
{
	struct epoll_event event = { 0 };
	int n = epoll_wait(set, &event, 1, 1 + rand_r(&w->seed) % 3);
	require(n >= 0 || errno == EINTR);
	if (n <= 0)
		return;
	uint64_t count = 0;
	require(event.data.u64 == 0x1234567800000000u + (unsigned)calls);
	require(read(calls, &count, sizeof(count)) == sizeof(count));
	pthread_mutex_lock(&lock);
	called += count;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static sigset_t only_usr2;

static void await_signal(struct worker *w)
{
	int signal = 0;
	(void)w;
	require(sigwait(&only_usr2, &signal) == 0 && signal == SIGUSR2);
}

static sem_t semaphore;

static void await_semaphore(struct worker *w)
{
	(void)w;
	while (sem_wait(&semaphore) < 0)
		require(errno == EINTR);
}

static void *work(void *at)
{
	static void (*const jobs[])(struct worker *) = { own, produce, consume, poll_set,
		await_signal, await_semaphore };
	struct worker *w = at;
	take_identity(w);
	for (;;) {
		jobs[w->number](w);
		answer_roll(w);
	}
	return NULL;
}

/* --- one that ends in the middle of things --- */

static pthread_t mortal_thread;
static sem_t mortal_end;
static pthread_mutex_t robust;

static void *be_mortal(void *unused)
{
	(void)unused;
	pthread_setspecific(key, &destroyed);
	while (sem_wait(&mortal_end) < 0)
		require(errno == EINTR);
	require(pthread_mutex_lock(&robust) == 0);
	return &robust;
}

static void destroy(void *value)
{
	if (value == &destroyed)
		destroyed++;
}

static void prove_death(void)
{
	int before = destroyed;
	void *result = NULL;
	sem_post(&mortal_end);
	require(pthread_join(mortal_thread, &result) == 0 && result == &robust);
	require(destroyed == before + 1);
	/* the kernel has told by the list that it keeps of the thread */
	require(pthread_mutex_lock(&robust) == EOWNERDEAD);
	require(pthread_mutex_consistent(&robust) == 0);
	require(pthread_mutex_unlock(&robust) == 0);
	require(pthread_create(&mortal_thread, NULL, be_mortal, NULL) == 0);
}

/* --- all of them --- */

static bool all_have_answered(void)
{
	for (int i = 0; i < WORKERS; i++)
		if (workers[i].roll != roll)
			return false;
	return true;
}

static uint64_t called_until;

static bool is_called(void)
{
	return called == called_until;
}

void workers_prove(void)
{
	uint64_t one = 1;
	prove_number();
	prove_rseq();
	prove_death();
	pthread_mutex_lock(&lock);
	called_until = called + 1;
	require(write(calls, &one, sizeof(one)) == sizeof(one));
	await(&changed, &lock, is_called);
	__atomic_add_fetch(&roll, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	pthread_kill(workers[SIGNALLED].thread, SIGUSR2);
	sem_post(&semaphore);
	pthread_mutex_lock(&lock);
	await(&changed, &lock, all_have_answered);
	pthread_mutex_unlock(&lock);
}

void workers_start(unsigned seed)
{
	struct sigaction action = { .sa_handler = on_usr1, .sa_flags = SA_ONSTACK };
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&only_usr2);
	sigaddset(&only_usr2, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &only_usr2, NULL);
	pthread_key_create(&key, destroy);
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attributes);
	set = epoll_create1(EPOLL_CLOEXEC);
	calls = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event event = { EPOLLIN, { .u64 = 0x1234567800000000u + (unsigned)calls } };
	require(epoll_ctl(set, EPOLL_CTL_ADD, calls, &event) == 0);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].number = i;
		workers[i].seed = seed + (unsigned)i;
		require(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	require(pthread_create(&mortal_thread, NULL, be_mortal, NULL) == 0);
}
