/* SPDX-License-Identifier: MIT */
/* Of the bench `hot`: how late an answer is while other programs want every processor, in a session
 * of their own and with the same rights as ours. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hot.h"

#define MOST      64u
#define SETTLE_US 200000

struct others {
	pid_t pids[MOST];
	size_t count;
};

static _Noreturn void spin(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	for (volatile unsigned i = 0;; i++)
		;
}

static void others_begin(struct others *o)
{
	size_t wanted = sys_processors();
	for (o->count = 0; o->count < wanted && o->count < MOST; o->count++) {
		pid_t pid = fork();
		if (pid == 0)
			spin();
		if (pid < 0)
			break;
		o->pids[o->count] = pid;
	}
	usleep(SETTLE_US);
}

static void others_end(struct others *o)
{
	for (size_t i = 0; i < o->count; i++) {
		kill(o->pids[i], SIGKILL);
		waitpid(o->pids[i], NULL, 0);
	}
	o->count = 0;
	usleep(SETTLE_US);
}

static int shoot(struct hot *h, struct samples *into, nova_error_t **error)
{
	struct shot s = { .way = HOT };
	int r = hot_answer_and_end(&h->g[HOT], &s, clock_ns(), error);
	if (r == 0 && !s.fallback)
		samples_add(into, s.value);
	return r;
}

int hot_busy(struct hot *h)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_SAMPLES struct samples alone = { 0 }, beside = { 0 };
	int r = h->known ? 0 : bench_skip(h->run, "busy: not wired");
	for (size_t i = 0; r == 0 && h->known && i < bench_n(h->run, 20); i++) {
		struct others others;
		r = shoot(h, &alone, &error);
		others_begin(&others);
		if (r == 0)
			r = shoot(h, &beside, &error);
		others_end(&others);
	}
	if (error)
		return guest_failed(&h->g[HOT], error);
	const struct bench_extra extra[] = { { "ratio_to_alone",
						     samples_percentile(&beside, 50) /
							     samples_percentile(&alone, 50) },
		{ NULL, 0 } };
	bench_report(h->run, "busy, alone", "ms", &alone, NULL);
	bench_report(h->run, "busy", "ms", &beside, extra);
	return r;
}
