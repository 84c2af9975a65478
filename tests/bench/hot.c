/* SPDX-License-Identifier: MIT */
/*
 * VMMs that are forked while they run, against clones that are loaded: both ways in turns in one
 * run, so that a machine in other use is so for both. The thread that waits has no special right.
 */
#include <unistd.h>

#include "hot.h"

#define READY_TRIES 40
#define READY_US    250000 /* a zygote is made in the background */

void hot_note_way(struct shot *s, const nova_vm_t *vm)
{
	s->path = nova_vm_path ? nova_vm_path(vm) : "classic";
	s->fallback = s->way == HOT && !strcmp(s->path, "classic");
	if (s->fallback)
		snprintf(s->why, sizeof(s->why), "%s",
			nova_vm_path_why ? nova_vm_path_why(vm) : "not wired");
}

/* --- both ways of one case --- */

struct taken {
	struct samples first[WAYS], more[WAYS];
	size_t fallbacks;
	char why[160];
};

static void taken_done(struct taken *t)
{
	for (int way = 0; way < WAYS; way++) {
		samples_free(&t->first[way]);
		samples_free(&t->more[way]);
	}
}

static void report(const struct hot *h, const char *name, const char *unit, struct samples *s,
	const struct taken *t)
{
	double classic = samples_percentile(&s[CLASSIC], 50), hot = samples_percentile(&s[HOT], 50);
	const struct bench_extra extra[] = { { "ratio_to_classic", hot / classic },
		{ "classic_p50", classic }, { "fallbacks", (double)t->fallbacks }, { NULL, 0 } };
	AUTO_FREE char *other = str_format("%s, classic", name);
	bench_report(h->run, other, unit, &s[CLASSIC], NULL);
	if (s[HOT].count)
		bench_report(h->run, name, unit, &s[HOT], extra);
	else
		bench_note(h->run, "%s: %s", name, *t->why ? t->why : "not wired");
}

/* One that went the classic way all the same is no sample of the hot one. */
static void take(struct taken *t, const struct shot *s)
{
	if (s->fallback) {
		t->fallbacks++;
		snprintf(t->why, sizeof(t->why), "%.159s", s->why);
		return;
	}
	samples_add(&t->first[s->way], s->value);
	samples_add(&t->more[s->way], s->more);
}

#define GIVE_UP 3 /* fallbacks before the first that went the hot way */

static bool takes_part(const struct hot *h, const struct taken *t, enum way way)
{
	return way == CLASSIC || (h->known && (t->first[HOT].count || t->fallbacks < GIVE_UP));
}

int hot_measure(struct hot *h, const struct hot_case *c)
{
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(taken_done) struct taken t = { .fallbacks = 0 };
	size_t n = h->run->n && h->run->n < c->usual ? h->run->n : c->usual;
	for (size_t i = 0; i < n; i++)
		for (enum way way = CLASSIC; way < WAYS; way++) {
			struct shot shot = { .way = way };
			if (!takes_part(h, &t, way))
				continue;
			if (c->shoot(h, &shot, &error) < 0)
				return bench_skip(h->run, "%s, %s: %s", c->name,
					way == HOT ? "hot" : "classic",
					error ? nova_error_message(error) : "out of memory");
			take(&t, &shot);
		}
	report(h, c->name, c->unit, t.first, &t);
	if (c->more)
		report(h, c->more, c->unit, t.more, &t);
	return 0;
}

/* --- cases with one VM --- */

int hot_answer_and_end(struct guest *g, struct shot *s, uint64_t begin, nova_error_t **error)
{
	nova_vm_t *vm;
	int r = guest_take(g, NULL, &vm, error);
	if (r < 0)
		return r;
	r = guest_answer(vm, error);
	s->value = bench_ms_since(begin);
	hot_note_way(s, vm);
	guest_drop(g, vm);
	nova_pool_tick(nova_pool_get(g->nova));
	return r;
}

/* Classic: nothing but a template on disk. Hot: a zygote stands. */
static int cold(struct hot *h, struct shot *s, nova_error_t **error)
{
	struct guest *g = &h->g[s->way], fresh;
	if (s->way == HOT)
		return hot_answer_and_end(g, s, clock_ns(), error);
	int r = guest_beside(g, NULL, 0, &fresh, error);
	if (r < 0)
		return r;
	r = hot_answer_and_end(&fresh, s, clock_ns(), error);
	guest_leave(&fresh);
	return r;
}

#define SHELL_UP_US 150000
#define PARKED_US   20000

/* Until there is one, if it comes at all. */
static void await_parked(struct guest *g)
{
	uint64_t values[NOVA_POOL_PARKED + 1] = { 0 };
	nova_pool_t *pool = nova_pool_get(g->nova);
	for (int i = 0; i < READY_TRIES && !values[NOVA_POOL_PARKED]; i++) {
		nova_pool_tick(pool);
		usleep(PARKED_US);
		nova_pool_stats(pool, values, ARRAY_LEN(values));
	}
	usleep(SHELL_UP_US);
}

/* Classic: a VMM on standby. Hot: a clone that was forked ahead. */
static int parked(struct hot *h, struct shot *s, nova_error_t **error)
{
	static const char *const shell[][2] = { { "pool.standby", "1" } };
	struct guest *g = &h->g[s->way], fresh;
	if (s->way == HOT) {
		await_parked(&h->ahead);
		int r = hot_answer_and_end(&h->ahead, s, clock_ns(), error);
		if (r == 0 && !s->fallback && strcmp(s->path, "parked") != 0) {
			s->fallback = true;
			snprintf(s->why, sizeof(s->why), "none is parked");
		}
		return r;
	}
	int r = guest_beside(g, shell, 1, &fresh, error);
	if (r < 0)
		return r;
	/* the first call makes one wait for the second */
	for (int i = 0; r == 0 && i < 2; i++) {
		r = hot_answer_and_end(&fresh, s, clock_ns(), error);
		usleep(SHELL_UP_US);
	}
	guest_leave(&fresh);
	return r;
}

/* The child has answered; how long its parent stood still. */
static int fork_one(struct hot *h, struct shot *s, nova_error_t **error)
{
	nova_vm_t *child, *parent = h->kept[s->way];
	uint64_t begin = clock_ns();
	int r = nova_vm_fork(parent, 1, NULL, &child, error);
	if (r < 0)
		return r;
	r = guest_answer(child, error);
	s->value = bench_ms_since(begin);
	s->more = (double)vm_stat(parent, NOVA_VM_STAT_STOOD_STILL_US) / 1e3;
	hot_note_way(s, child);
	nova_vm_free(child);
	return r < 0 ? r : guest_answer(parent, error);
}

/* --- all of it --- */

/* Until the hot context has a zygote, if it ever gets one. */
static int make_ready(struct hot *h, struct guest *g, nova_error_t **error)
{
	for (int i = 0; i < READY_TRIES && h->known && nova_vm_path; i++) {
		struct shot s = { .way = HOT };
		int r = hot_answer_and_end(g, &s, clock_ns(), error);
		if (r < 0 || !s.fallback)
			return r;
		if (!*s.why)
			break; /* nobody has tried */
		usleep(READY_US);
	}
	return 0;
}

static int take_parents(struct hot *h, nova_error_t **error)
{
	int r = 0;
	for (enum way way = CLASSIC; r == 0 && way < WAYS && (way == CLASSIC || h->known); way++) {
		r = guest_take(&h->g[way], NULL, &h->kept[way], error);
		for (int i = 0; r == 0 && i < 3; i++)
			r = guest_answer(h->kept[way], error);
	}
	return r;
}

static void hot_done(struct hot *h)
{
	for (enum way way = CLASSIC; way < WAYS; way++)
		if (h->kept[way])
			guest_drop(&h->g[way], h->kept[way]);
	guest_leave(&h->ahead);
	guest_leave(&h->g[HOT]);
	guest_close(&h->g[CLASSIC]);
}

static int open_both(struct hot *h, nova_error_t **error)
{
	static const char *const off[][2] = { { "pool.hot", "off" } }, *const on[][2] = {
		{ "pool.hot", "auto" }, { "pool.standby", "1" }
	};
	AUTO_ERROR nova_error_t *unknown = NULL;
	h->known = nova_config_set(h->g[CLASSIC].config, off[0][0], off[0][1], &unknown) == 0;
	if (!h->known) {
		bench_note(h->run, "hot: not wired: %s", nova_error_message(unknown));
		return 0;
	}
	int r = guest_renew(&h->g[CLASSIC], error);
	if (r == 0)
		r = guest_beside(&h->g[CLASSIC], on, 1, &h->g[HOT], error);
	return r < 0 ? r : guest_beside(&h->g[CLASSIC], on, 2, &h->ahead, error);
}

static int cold_beside_rivals(struct hot *h, const struct hot_case *c)
{
	AUTO_RIVALS struct rivals rivals;
	AUTO_SAMPLES struct samples ours = { 0 };
	AUTO_ERROR nova_error_t *error = NULL;
	rivals_open(&h->g[CLASSIC], &rivals);
	int r = hot_measure(h, c);
	for (size_t i = 0; r == 0 && i < bench_n(h->run, c->usual); i++) {
		struct shot s = { .way = h->known ? HOT : CLASSIC };
		rivals_run(&h->g[CLASSIC], &rivals, i);
		r = c->shoot(h, &s, &error);
		samples_add(&ours, s.value);
	}
	if (r < 0)
		return guest_failed(&h->g[CLASSIC], error);
	if (r == 0)
		rivals_report(&h->g[CLASSIC], &rivals, samples_percentile(&ours, 50));
	return r;
}

int bench_hot(const struct bench_run *run)
{
	static const struct hot_case cases[] = {
		{ "parked", NULL, "ms", parked, 20 },
		{ "fork", "pause", "ms", fork_one, 20 },
		{ "burst16", NULL, "ms", hot_burst_16, 5 },
		{ "burst100", NULL, "ms", hot_burst_100, 2 },
		{ "rate", NULL, "ms a VM and core", hot_rate, 10 },
		{ "after", NULL, "ms of a processor", hot_after, 10 },
		{ "memory", "memory, PSS", "MB", hot_memory, 1 },
		{ "live", "live, again", "ms", hot_live, 1 },
	};
	static const struct hot_case first = { "cold", NULL, "ms", cold, 20 };
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(hot_done) struct hot h = { .run = run };
	if (guest_open(run, "0", &h.g[CLASSIC]))
		return 1;
	int r = open_both(&h, &error);
	if (r == 0)
		r = make_ready(&h, &h.g[HOT], &error);
	if (r == 0)
		r = make_ready(&h, &h.ahead, &error);
	if (r == 0)
		r = take_parents(&h, &error);
	if (r < 0)
		return guest_failed(&h.g[CLASSIC], error);
	int failed = cold_beside_rivals(&h, &first);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		failed |= hot_measure(&h, &cases[i]);
	failed |= hot_busy(&h);
	return failed | bench_template_disk(run);
}
