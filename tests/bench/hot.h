/* SPDX-License-Identifier: MIT */
/* What the cases of the bench `hot` share: the same function in contexts of one state directory,
 * with pool.hot = off and auto, which take turns. */
#ifndef NOVA_TESTS_BENCH_HOT_H
#define NOVA_TESTS_BENCH_HOT_H

#include "guest.h"

/* Of a VM or a result, NULL where the library does not fork VMMs. */
__attribute__((weak)) const char *nova_vm_path(const nova_vm_t *vm);
__attribute__((weak)) const char *nova_vm_path_why(const nova_vm_t *vm);

enum way { CLASSIC, HOT, WAYS };

struct hot {
	const struct bench_run *run;
	struct guest g[WAYS];
	struct guest ahead;    /* hot, with a clone that is forked ahead */
	bool known;            /* the setting is */
	nova_vm_t *kept[WAYS]; /* VMs in use, which are forked */
};

/* What one sample of a case is. One pass gives two of some: the second is `more`. */
struct shot {
	enum way way;
	double value, more;
	const char *path;
	bool fallback; /* asked for hot, and went the classic way */
	char why[160];
};
typedef int (*shot_fn)(struct hot *hot, struct shot *shot, nova_error_t **error);

struct hot_case {
	const char *name, *more; /* more: NULL, or what the second figure is called */
	const char *unit;
	shot_fn shoot;
	size_t usual; /* samples of each way */
};
/* Both ways in turns, and reports: `name` with `ratio_to_classic`, and `name, classic`. */
int hot_measure(struct hot *hot, const struct hot_case *c);
/* Takes a VM, asks it, and ends it: `value` is the time to the answer since `begin`. */
int hot_answer_and_end(
	struct guest *guest, struct shot *shot, uint64_t begin, nova_error_t **error);
/* Notes which way that VM came. */
void hot_note_way(struct shot *shot, const nova_vm_t *vm);

/* hot_crowd.c */
int hot_burst_16(struct hot *hot, struct shot *shot, nova_error_t **error);
int hot_burst_100(struct hot *hot, struct shot *shot, nova_error_t **error);
int hot_rate(struct hot *hot, struct shot *shot, nova_error_t **error);
int hot_memory(struct hot *hot, struct shot *shot, nova_error_t **error);
int hot_after(struct hot *hot, struct shot *shot, nova_error_t **error);
int hot_live(struct hot *hot, struct shot *shot, nova_error_t **error);

/* hot_busy.c: beside others that want every processor, over alone. */
int hot_busy(struct hot *hot);

#endif
