/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

void samples_add(struct samples *s, double value)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->values = realloc(s->values, s->cap * sizeof(*s->values));
		if (!s->values)
			abort();
	}
	s->values[s->count++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The nearest rank: the smallest sample that at least `percent` of all do not exceed. */
double samples_percentile(struct samples *s, double percent)
{
	if (!s->count)
		return 0;
	qsort(s->values, s->count, sizeof(*s->values), by_value);
	double rank = percent / 100 * (double)s->count;
	size_t index = (size_t)rank;
	if (index == rank && index)
		index--;
	return s->values[index < s->count ? index : s->count - 1];
}

void samples_free(struct samples *s)
{
	free(s->values);
	*s = (struct samples){ 0 };
}

double bench_ms_since(uint64_t start)
{
	return (double)(clock_ns() - start) / 1e6;
}

int bench_program(const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	pid_t pid;
	int r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	int status;
	if (r || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

char *bench_dir(const char *base)
{
	if (!base)
		base = getenv("TMPDIR");
	char *path = str_format("%s/nova-bench-XXXXXX", base ? base : "/tmp");
	if (!path || !mkdtemp(path)) {
		free(path);
		return NULL;
	}
	return path;
}

void bench_report(const struct bench_run *run, const char *what, const char *unit,
	struct samples *s, const struct bench_extra *extra)
{
	double p50 = samples_percentile(s, 50), p95 = samples_percentile(s, 95),
	       p99 = samples_percentile(s, 99);
	if (run->json)
		printf("{\"bench\":\"%s\",\"case\":\"%s\",\"unit\":\"%s\",\"n\":%zu,\"p50\":%.6g,"
		       "\"p95\":%.6g,\"p99\":%.6g",
			run->bench, what, unit, s->count, p50, p95, p99);
	else
		printf("%-10s %-40s n %-6zu p50 %-9.4g p95 %-9.4g p99 %-9.4g %s", run->bench, what,
			s->count, p50, p95, p99, unit);
	for (; extra && extra->name; extra++)
		printf(run->json ? ",\"%s\":%.6g" : "  %s %.4g", extra->name, extra->value);
	puts(run->json ? "}" : "");
	fflush(stdout);
}

void bench_note(const struct bench_run *run, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf(run->json ? "{\"bench\":\"%s\",\"note\":\"" : "%-10s ", run->bench);
	vprintf(format, args);
	puts(run->json ? "\"}" : "");
	va_end(args);
}

int bench_skip(const struct bench_run *run, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "nova-bench: %s: ", run->bench);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return 1;
}
