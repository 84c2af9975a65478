/* SPDX-License-Identifier: MIT */
/*
 * What the template of a function takes of the disk, and the first answer with it: as it is kept,
 * as what differs from its runtime's, and in turns as all memory of its guest, which it was before.
 * Both lie in directories that take each other's place.
 */
#include "guest.h"
#include "snapshot/snapshot.h"

struct ways {
	char *here, *difference, *whole; /* directories: the one that is used, and those away */
};

static void ways_done(struct ways *w)
{
	free(w->here);
	free(w->difference);
	free(w->whole);
}

/* All memory, from a difference and its base. */
static int write_whole(
	const char *from, const char *to, const struct manifest *m, nova_error_t **error)
{
	AUTO_MANIFEST struct manifest base = { .name = NULL };
	CLEANUP(snapshot_files_done)
	struct snapshot_files files = SNAPSHOT_FILES_NONE, below = SNAPSHOT_FILES_NONE;
	int r = snapshot_find(from, m->base, &base, error);
	if (r == 0)
		r = snapshot_open(from, &base, &below, error);
	if (r == 0)
		r = snapshot_open(from, m, &files, error);
	struct manifest whole = *m; /* its texts are lent */
	whole.base[0] = whole.base_sum[0] = 0;
	whole.pages = (struct file_sum){ .size = 0 };
	const struct snapshot_parts parts = { below.memory, &files.pages, files.state, false,
		NULL };
	return r < 0 ? r : snapshot_write(to, &whole, &parts, error);
}

/* The one that the registered function has is the first. */
static int write_both(struct ways *w, nova_error_t **error)
{
	struct manifest *all = NULL;
	size_t count = 0;
	int r = snapshot_list(w->here, &all, &count, error);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (*all[i].base)
			r = write_whole(w->here, w->whole, &all[i], error);
	manifests_free(all, count);
	return r;
}

static int swap(const char *here, const char *away, const char *next)
{
	int r = fs_rename(here, away);
	return r < 0 ? r : fs_rename(next, here);
}

/* With nothing but what is on disk. */
static int cold(struct guest *g, struct samples *s, nova_error_t **error)
{
	nova_result_t *result = NULL;
	int r = guest_renew(g, error);
	uint64_t begin = clock_ns();
	if (r == 0)
		r = guest_call(g, &result, error);
	samples_add(s, bench_ms_since(begin));
	if (r == 0 && !nova_result_cold_start(result))
		r = nova_fail(error, NOVA_EAGENT, "the call was warm");
	nova_result_free(result);
	nova_close(STEAL(g->nova));
	return r;
}

static uint64_t largest(const char *root, bool with_base)
{
	struct manifest *all = NULL;
	size_t count = 0;
	uint64_t most = 0;
	if (snapshot_list(root, &all, &count, NULL) < 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = snapshot_disk_bytes(root, all[i].id);
		if ((*all[i].base != 0) == with_base && bytes > most)
			most = bytes;
	}
	manifests_free(all, count);
	return most;
}

static void report(const struct bench_run *run, const char *what, const char *unit,
	struct samples *ours, struct samples *classic)
{
	const struct bench_extra extra[] = {
		{ "classic_p50", samples_percentile(classic, 50) },
		{ "ratio_to_classic",
			samples_percentile(ours, 50) / samples_percentile(classic, 50) },
		{ NULL, 0 },
	};
	bench_report(run, what, unit, ours, extra);
}

static int measure(struct guest *g, struct ways *w, nova_error_t **error)
{
	AUTO_SAMPLES struct samples ours = { 0 }, classic = { 0 }, bytes = { 0 }, whole = { 0 };
	int r = write_both(w, error);
	samples_add(&bytes, (double)largest(w->here, true));
	samples_add(&whole, (double)largest(w->whole, false));
	for (size_t i = 0; r == 0 && i <= bench_n(g->run, 20); i++) {
		if (i == 1) { /* what was new has been checked */
			samples_free(&ours);
			samples_free(&classic);
		}
		r = cold(g, &ours, error);
		if (r == 0)
			r = swap(w->here, w->difference, w->whole);
		if (r == 0)
			r = cold(g, &classic, error);
		if (r == 0)
			r = swap(w->here, w->whole, w->difference);
	}
	if (r < 0)
		return r;
	report(g->run, "disk", "bytes", &bytes, &whole);
	report(g->run, "disk, first answer with it", "ms", &ours, &classic);
	return 0;
}

int bench_template_disk(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	CLEANUP(ways_done) struct ways w = { .here = NULL };
	if (guest_open(run, "0", &g))
		return 1;
	nova_close(STEAL(g.nova));
	w.here = path_join(g.dir, "snapshots");
	w.difference = path_join(g.dir, "difference");
	w.whole = path_join(g.dir, "whole");
	if (!w.here || !w.difference || !w.whole)
		return guest_failed(&g, NULL);
	return measure(&g, &w, &error) < 0 ? guest_failed(&g, error) : 0;
}
