/* SPDX-License-Identifier: MIT */
/* What libnova costs a program that does nothing: time until its end, memory, and the libraries
 * that the loader finds; against the same program without it, in turns. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

struct program {
	const char *name;
	char *path;
	struct samples ms, kb;
};

/* Beside this one; in the build tree that is so. */
static char *beside_me(const char *name)
{
	AUTO_FREE char *self = NULL;
	if (sys_readlinkat(AT_FDCWD, "/proc/self/exe", &self) < 0)
		return NULL;
	*strrchr(self, '/') = 0;
	return path_join(self, name);
}

static int run_once(struct program *p, const char *file)
{
	const char *const plain[] = { p->path, NULL };
	const char *const telling[] = { p->path, file, NULL };
	uint64_t start = clock_ns();
	if (bench_program(plain) < 0)
		return -1;
	samples_add(&p->ms, bench_ms_since(start));
	AUTO_BUF struct buf text = BUF_INIT(64);
	if (bench_program(telling) < 0 || fs_read_file(file, &text) < 0)
		return -1;
	AUTO_FREE char *number = buf_steal_str(&text);
	samples_add(&p->kb, number ? atof(number) : 0);
	return 0;
}

static size_t libraries_of(const struct program *p)
{
	char line[4400];
	size_t count = 0;
	AUTO_FREE char *command = str_format("ldd '%s' 2>/dev/null", p->path);
	FILE *listing = command ? popen(command, "r") : NULL;
	while (listing && fgets(line, sizeof(line), listing))
		count++;
	if (listing)
		pclose(listing);
	return count;
}

static void report(const struct bench_run *run, struct program *p, const struct program *bare)
{
	const struct bench_extra more[] = {
		{ "ms_over_bare", samples_percentile(&p->ms, 50) -
					  samples_percentile((struct samples *)&bare->ms, 50) },
		{ "peak_kb", samples_percentile(&p->kb, 50) },
		{ "ldd_lines", (double)libraries_of(p) },
		{ NULL, 0 },
	};
	bench_report(run, p->name, "ms", &p->ms, more);
}

static int measure(const struct bench_run *run, struct program programs[2], const char *file)
{
	for (size_t i = 0; i < bench_n(run, 60); i++)
		for (size_t k = 0; k < 2; k++)
			if (run_once(&programs[k], file) < 0)
				return bench_skip(run, "%s cannot be run", programs[k].path);
	for (size_t k = 0; k < 2; k++)
		report(run, &programs[k], &programs[0]);
	return 0;
}

int bench_load(const struct bench_run *run)
{
	AUTO_FREE char *dir = bench_dir(NULL), *file = dir ? path_join(dir, "peak") : NULL;
	struct program programs[2] = {
		{ .name = "bare", .path = beside_me("empty-bare") },
		{ .name = "with libnova", .path = beside_me("empty-nova") },
	};
	int r = file ? measure(run, programs, file) : bench_skip(run, "no directory can be made");
	for (size_t k = 0; k < 2; k++) {
		free(programs[k].path);
		samples_free(&programs[k].ms);
		samples_free(&programs[k].kb);
	}
	if (dir)
		fs_remove_tree(dir);
	return r;
}
