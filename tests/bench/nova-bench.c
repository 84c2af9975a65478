/* SPDX-License-Identifier: MIT */
/* nova-bench: runs the benches named on the command line, or all. */
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

static const struct {
	const char *name;
	int (*run)(const struct bench_run *run);
	const char *what;
} benches[] = {
	{ "answer", bench_answer,
		"time and memory that an answer of 8 MiB takes, against a parser's tree" },
	{ "boot", bench_boot,
		"cold boot to agent ready, against the bare VMM with the same kernel" },
	{ "burst", bench_burst, "16 and 100 forks of one VM at once, until all have answered" },
	{ "cold", bench_cold,
		"a call with a template on disk and nothing running, against docker, bwrap and a "
		"plain QEMU" },
	{ "create-rate", bench_create_rate,
		"VMs from the template a second and core, each answered a call" },
	{ "density", bench_density, "memory, idle CPU and making of N paused clones (-n)" },
	{ "disk", bench_disk,
		"code disk of a 10 KB function, against mkfs.ext4 and debugfs; its template" },
	{ "first", bench_first,
		"registering and calling a new function, in a fresh state directory and in one "
		"with the runtime's template" },
	{ "fork", bench_fork,
		"a live fork: how long the parent stands still, and until the child has answered" },
	{ "hot", bench_hot,
		"VMMs forked while they run, against clones that are loaded, in turns; docker, "
		"bwrap and a plain QEMU beside" },
	{ "load", bench_load,
		"start, memory and libraries of a program that does nothing, against the same "
		"without libnova" },
	{ "overhead", bench_overhead,
		"nova_invoke on the fake engine, against a bare socket pair" },
	{ "pool-scale", bench_pool_scale,
		"acquire and release with 1, 100 and 10,000 VMs that wait" },
	{ "resume", bench_resume,
		"a call in a VM that is paused, against one in a VM that is not" },
	{ "standby", bench_standby, "a call with a template and a VMM on standby" },
	{ "run", bench_once,
		"code that is run once, against a cold call of the same code as a function" },
	{ "snapshot", bench_snapshot,
		"time and bytes of a snapshot of a booted VM and of a live clone" },
	{ "store", bench_store,
		"functions got, put, listed and calls logged, beside the raw client library" },
	{ "storm", bench_storm,
		"200 callers of one cold function; 50 functions on a pool that holds 20" },
	{ "throughput", bench_throughput,
		"calls a second with 1, 2, 8 and 64 in flight, on the fake engine and in real "
		"VMs" },
	{ "warm", bench_warm, "a call in a VM that waits" },
	{ "wasm", bench_wasm,
		"the first call of a module of WebAssembly, compiled for it, and with its machine "
		"code there" },
};

static void usage(FILE *to)
{
	fputs("usage: nova-bench [NAME...] [--json] [-n SAMPLES]\n\n"
	      "Measures and prints p50, p95 and p99 of each case; with --json one object a line. "
	      "Real VMs are those of NOVA_ENGINE (qemu).\n\n",
		to);
	for (size_t i = 0; i < ARRAY_LEN(benches); i++)
		fprintf(to, "  %-12s %s\n", benches[i].name, benches[i].what);
}

static void print_host(bool json)
{
	struct utsname host;
	uname(&host);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	printf(json ? "{\"host\":\"%s\",\"kernel\":\"%s\",\"machine\":\"%s\",\"cores\":%ld,"
		      "\"nova\":\"%s\"}\n" :
		      "host %s, kernel %s, %s, %ld cores, libnova %s\n",
		host.nodename, host.release, host.machine, cores, nova_version());
}

static bool wanted(const char *name, char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return count == 0;
}

static bool known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(benches); i++)
		if (!strcmp(benches[i].name, name))
			return true;
	return false;
}

/* Sorts the names to the front of argv, behind the program's own, by which it is found; 0, or the
 * exit status. */
static int parse(int argc, char **argv, struct bench_run *run, int *ret_names)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			run->json = true;
		} else if (!strcmp(argv[i], "-n") && i + 1 < argc && atol(argv[i + 1]) > 0) {
			run->n = (size_t)atol(argv[++i]);
		} else if (known(argv[i])) {
			argv[++*ret_names] = argv[i];
		} else {
			usage(stderr);
			return 2;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		usage(stdout);
		return 0;
	}
	struct bench_run run = { 0 };
	int names = 0, failed = parse(argc, argv, &run, &names);
	if (failed)
		return failed;
	print_host(run.json);
	for (size_t i = 0; i < ARRAY_LEN(benches); i++) {
		if (!wanted(benches[i].name, argv + 1, names))
			continue;
		run.bench = benches[i].name;
		failed |= benches[i].run(&run);
	}
	return failed;
}
