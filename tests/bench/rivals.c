/* SPDX-License-Identifier: MIT */
/* The same Python file with the same root filesystem in docker and bubblewrap, a process each; and
 * in a QEMU that boots for it. */
#include "guest.h"

#define QEMU_RUNS 3u /* it takes seconds and varies little */

enum { BWRAP, DOCKER, PLAIN_QEMU };
static const char *const names[RIVALS] = { "bwrap", "docker run", "plain QEMU boot" };

static int run_bwrap(const struct guest *g, const struct rivals *r)
{
	const char *const argv[] = { "bwrap", "--unshare-all", "--die-with-parent", "--ro-bind",
		r->tree, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind",
		g->code, "/tmp/bench.py", "python3", "/tmp/bench.py", NULL };
	return bench_program(argv);
}

static int run_docker(const struct guest *g)
{
	AUTO_FREE char *volume = str_format("%s:/tmp/bench.py:ro", g->code);
	const char *const argv[] = { "docker", "run", "--rm", "--network", "none", "-v", volume,
		"nova-bench", "python3", "/tmp/bench.py", NULL };
	return bench_program(argv);
}

static int run_one(const struct guest *g, const struct rivals *r, int which)
{
	return which == BWRAP ? run_bwrap(g, r) : which == DOCKER ? run_docker(g) : rival_qemu(g);
}

/* The root filesystem as files, for those that take no image. */
static bool unpack(const struct guest *g, struct rivals *r)
{
	r->tree = path_join(g->dir, "tree");
	AUTO_FREE char *image =
		path_join(nova_host_images(nova_host_get(g->nova)), "rootfs/python.ext4");
	AUTO_FREE char *command = str_format("rdump / %s", r->tree);
	const char *const argv[] = { "debugfs", "-R", command, image, NULL };
	return fs_mkdirs(r->tree, 0755) == 0 && bench_program(argv) == 0;
}

static bool docker_ready(const struct guest *g, const struct rivals *r)
{
	const char *const asks[] = { "docker", "info", "--format", "{{.ID}}", NULL };
	AUTO_FREE char *command = str_format(
		"docker info >/dev/null 2>&1 && tar -C '%s' -c . | docker import - nova-bench",
		r->tree);
	const char *const import[] = { "sh", "-c", command, NULL };
	if (bench_program((const char *const[]){ "docker", "--version", NULL }) < 0)
		bench_note(g->run, "docker: not installed");
	else if (bench_program(asks) < 0 || bench_program(import) < 0)
		bench_note(g->run, "docker: not running");
	else
		return true;
	return false;
}

void rivals_open(const struct guest *g, struct rivals *r)
{
	*r = (struct rivals){ .tree = NULL };
	r->there[PLAIN_QEMU] = true;
	if (!unpack(g, r)) {
		bench_note(g->run, "bwrap, docker: left out, as debugfs (package e2fsprogs) cannot "
				   "unpack the root filesystem");
		return;
	}
	r->there[BWRAP] = run_bwrap(g, r) == 0;
	if (!r->there[BWRAP])
		bench_note(g->run, "bwrap: not installed, or not allowed to make namespaces");
	r->there[DOCKER] = docker_ready(g, r);
}

void rivals_run(const struct guest *g, struct rivals *r, size_t round)
{
	for (int i = 0; i < RIVALS; i++) {
		if (!r->there[i] || (i == PLAIN_QEMU && round >= QEMU_RUNS))
			continue;
		uint64_t begin = clock_ns();
		if (run_one(g, r, i) == 0)
			samples_add(&r->times[i], bench_ms_since(begin));
		else
			r->there[i] = false;
	}
}

void rivals_report(const struct guest *g, struct rivals *r, double ours)
{
	for (int i = 0; i < RIVALS; i++) {
		if (!r->there[i]) {
			bench_note(g->run, "%s: no figures", names[i]);
			continue;
		}
		const struct bench_extra extra[] = {
			{ "ours_by_this", ours / samples_percentile(&r->times[i], 50) }, { NULL, 0 }
		};
		bench_report(g->run, names[i], "ms", &r->times[i], extra);
	}
}

void rivals_close(struct rivals *r)
{
	if (r->there[DOCKER])
		bench_program((const char *const[]){ "docker", "rmi", "nova-bench", NULL });
	for (int i = 0; i < RIVALS; i++)
		samples_free(&r->times[i]);
	if (r->tree)
		fs_remove_tree(r->tree);
	free(r->tree);
}
