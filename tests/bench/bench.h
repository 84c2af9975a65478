/* SPDX-License-Identifier: MIT */
/*
 * The frame of nova-bench. A bench is one file with one function, listed in nova-bench.c. It
 * measures its cases, a rival beside ours and in turns with it, collects samples, and reports each
 * case once.
 */
#ifndef NOVA_TESTS_BENCH_H
#define NOVA_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

struct bench_run {
	const char *bench;
	size_t n; /* samples asked for; 0: what the bench thinks right */
	bool json;
};

struct samples {
	double *values;
	size_t count, cap;
};

/* One more number that belongs to a case, such as the ratio to its rival. */
struct bench_extra {
	const char *name;
	double value;
};

static inline size_t bench_n(const struct bench_run *run, size_t usual)
{
	return run->n ? run->n : usual;
}

void samples_add(struct samples *s, double value);
double samples_percentile(struct samples *s, double percent); /* sorts; 0 without samples */
void samples_free(struct samples *s);
#define AUTO_SAMPLES CLEANUP(samples_free)

/* Milliseconds since a clock_ns() value. */
double bench_ms_since(uint64_t start);
/* Runs a program with its output thrown away; 0 if it exits with 0. */
int bench_program(const char *const argv[]);
/* A fresh directory under `base` (NULL: $TMPDIR or /tmp), freed by the caller after
 * fs_remove_tree(). */
char *bench_dir(const char *base);

/* `extra` ends with a NULL name and may be NULL. */
void bench_report(const struct bench_run *run, const char *what, const char *unit,
	struct samples *s, const struct bench_extra *extra);
/* What a reader of the figures has to know. */
void bench_note(const struct bench_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
/* Says on stderr why a bench or a case cannot run; returns 1 for the bench to return. */
int bench_skip(const struct bench_run *run, const char *format, ...) PRINTF_LIKE(2, 3);

/* The benches. 0; 1: could not run. */
int bench_answer(const struct bench_run *run);
int bench_boot(const struct bench_run *run);
int bench_burst(const struct bench_run *run);
int bench_cold(const struct bench_run *run);
int bench_create_rate(const struct bench_run *run);
int bench_density(const struct bench_run *run);
int bench_disk(const struct bench_run *run);
int bench_first(const struct bench_run *run);
int bench_fork(const struct bench_run *run);
int bench_hot(const struct bench_run *run);
int bench_load(const struct bench_run *run);
int bench_once(const struct bench_run *run);
int bench_overhead(const struct bench_run *run);
int bench_pool_scale(const struct bench_run *run);
int bench_resume(const struct bench_run *run);
int bench_standby(const struct bench_run *run);
int bench_snapshot(const struct bench_run *run);
int bench_store(const struct bench_run *run);
int bench_store_log(const struct bench_run *run); /* parts of the bench store */
int bench_store_redis(const struct bench_run *run);
int bench_storm(const struct bench_run *run);
int bench_template_disk(const struct bench_run *run); /* a part of the bench disk */
int bench_throughput(const struct bench_run *run);
int bench_warm(const struct bench_run *run);
int bench_wasm(const struct bench_run *run);

#endif
