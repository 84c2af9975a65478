/* SPDX-License-Identifier: MIT */
/* A 10 KB function's code disk, by nova_disk_build() and by mkfs.ext4 with debugfs, in turns. */
#include <nova/disk.h>

#include "bench.h"

#define FUNCTION_SIZE 10240

struct place {
	char *dir;
	char *source, *ours, *theirs, *bare, *command;
};

static int by_nova(const struct place *p, struct samples *s, nova_error_t **error)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = p->source;
	uint64_t start = clock_ns();
	int r = nova_disk_build(p->ours, &opts, error);
	samples_add(s, bench_ms_since(start));
	return r;
}

static int by_programs(const struct place *p, struct samples *s)
{
	fs_unlink(p->theirs);
	const char *const mkfs[] = { "mkfs.ext4", "-q", "-F", p->theirs, "16M", NULL };
	const char *const debugfs[] = { "debugfs", "-w", "-R", p->command, p->theirs, NULL };
	uint64_t start = clock_ns();
	int r = bench_program(mkfs);
	if (r == 0)
		r = bench_program(debugfs);
	samples_add(s, bench_ms_since(start));
	return r;
}

/* What no builder can go below: as many bytes made durable in the same way. */
static int bare_write(const struct place *p, struct samples *s)
{
	static const uint8_t bytes[40960] = { 1 };
	uint64_t start = clock_ns();
	int r = fs_write_file(p->bare, bytes, sizeof(bytes), 0644);
	samples_add(s, bench_ms_since(start));
	return r;
}

static int prepare(struct place *p)
{
	char function[FUNCTION_SIZE];
	for (size_t i = 0; i < sizeof(function); i++)
		function[i] = (char)('a' + i % 23);
	p->source = path_join(p->dir, "handler.py");
	p->ours = path_join(p->dir, "nova.ext4");
	p->theirs = path_join(p->dir, "mkfs.ext4");
	p->bare = path_join(p->dir, "bare");
	p->command = str_format("write %s handler", p->source);
	return fs_write_file(p->source, function, sizeof(function), 0644);
}

static int measure(const struct bench_run *run, struct place *p, const char *where)
{
	AUTO_SAMPLES struct samples ours = { 0 }, theirs = { 0 }, bare = { 0 };
	AUTO_ERROR nova_error_t *error = NULL;
	if (prepare(p) < 0)
		return bench_skip(run, "cannot write in %s", p->dir);
	for (size_t i = 0; i < bench_n(run, 100); i++) {
		if (by_nova(p, &ours, &error) < 0)
			return bench_skip(run, "%s", nova_error_message(error));
		if (bare_write(p, &bare) < 0)
			return bench_skip(run, "cannot write in %s", p->dir);
		if (by_programs(p, &theirs) < 0)
			return bench_skip(run,
				"mkfs.ext4 or debugfs failed; they are in the package e2fsprogs");
	}
	double ours50 = samples_percentile(&ours, 50), theirs50 = samples_percentile(&theirs, 50);
	double bare50 = samples_percentile(&bare, 50);
	const struct bench_extra extra[] = {
		{ "ratio", ours50 / theirs50 },
		{ "ratio_without_sync", (ours50 - bare50) / theirs50 },
		{ NULL, 0 },
	};
	AUTO_FREE char *name_ours = str_format("nova_disk_build, %s", where);
	AUTO_FREE char *name_theirs = str_format("mkfs.ext4 + debugfs, %s", where);
	AUTO_FREE char *name_bare = str_format("write, sync, rename of 40 KiB, %s", where);
	bench_report(run, name_ours, "ms", &ours, extra);
	bench_report(run, name_theirs, "ms", &theirs, NULL);
	bench_report(run, name_bare, "ms", &bare, NULL);
	return 0;
}

static int measure_in(const struct bench_run *run, const char *base, const char *where)
{
	struct place p = { .dir = bench_dir(base) };
	if (!p.dir)
		return bench_skip(run, "cannot make a directory in %s", base ? base : "$TMPDIR");
	int r = measure(run, &p, where);
	fs_remove_tree(p.dir);
	free(p.dir);
	free(p.source);
	free(p.ours);
	free(p.theirs);
	free(p.bare);
	free(p.command);
	return r;
}

int bench_disk(const struct bench_run *run)
{
	int failed = measure_in(run, NULL, "on disk");
	if (fs_exists("/dev/shm"))
		failed |= measure_in(run, "/dev/shm", "in memory");
	return failed | bench_template_disk(run);
}
