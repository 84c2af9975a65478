/* SPDX-License-Identifier: MIT */
/*
 * What libnova adds to a function, on the fake engine, so that no hardware is in the way.
 *
 * The floor is a bare ping-pong: as many bytes there and back, over a socket pair, between two
 * processes that do nothing else. Beside it, in turns: nova_vm_ping() and nova_invoke() of a
 * function that echoes its input. Of a call, the agent tells how long the function took (from the
 * request being there until its answer was written); the rest is ours, and is what is compared with
 * the floor.
 *
 * A function that is called in place starts no process, so its calls follow one another, hot like
 * the floor: what is left of those is the library's and the agent's own, with nothing cold about
 * it.
 *
 * A second floor makes the same ping-pong with a process started and awaited in between, whose time
 * is taken off again: that a function runs makes the way back dearer (processors have gone to sleep
 * or are taken, caches are cold), whoever carries the bytes.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nova/nova.h>

#include "bench.h"
#include "vm/object.h"

#define PAYLOAD "{\"name\":\"World\"}"
/* before calls: the agent clears up behind a function after it has answered */
#define PAUSE_US 2000
#define WARMING  5 /* of what is measured hot, so many go before unmeasured */

/* --- the floor --- */

struct floor {
	int fd;
	pid_t pid;
	size_t request_len, answer_len;
	bool works; /* starts a process before it answers, and says how many ns that took */
};

static uint64_t do_some_work(void)
{
	uint64_t start = clock_ns();
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return clock_ns() - start;
}

static void answer_for_ever(const struct floor *f, int fd)
{
	static char block[65536];
	for (size_t have = 0;;) {
		ssize_t got = recv(fd, block, sizeof(block), 0);
		if (got <= 0)
			_exit(0);
		uint64_t worked = f->works ? do_some_work() : 0;
		memcpy(block, &worked, sizeof(worked));
		for (have += (size_t)got; have >= f->request_len; have -= f->request_len)
			if (sys_write_all(fd, block, f->answer_len) < 0)
				_exit(0);
	}
}

static int floor_start(struct floor *f)
{
	int pair[2];
	if (sys_socketpair(SOCK_STREAM, pair) < 0)
		return -1;
	f->pid = fork();
	if (f->pid == 0) {
		close(pair[0]);
		answer_for_ever(f, pair[1]);
	}
	close(pair[1]);
	f->fd = pair[0];
	return f->pid < 0 ? -1 : 0;
}

static void floor_end(struct floor *f)
{
	close(f->fd);
	if (f->pid > 0)
		waitpid(f->pid, NULL, 0);
}

static double floor_once(const struct floor *f)
{
	static char block[65536];
	uint64_t start = clock_ns(), worked = 0;
	size_t have = 0;
	if (send(f->fd, block, f->request_len, MSG_NOSIGNAL) < 0)
		return 0;
	while (have < f->answer_len) {
		ssize_t got = recv(f->fd, block + have, sizeof(block) - have, 0);
		if (got <= 0)
			return 0;
		have += (size_t)got;
	}
	uint64_t all = clock_ns() - start;
	memcpy(&worked, block, sizeof(worked));
	return (double)(all - worked) / 1e3;
}

/* --- ours --- */

struct ours {
	char *dir;
	nova_t *nova;
	nova_vm_t *vm; /* of its own, for pings */
	bool hot;      /* calls follow one another */
	double total, guest, exec, lookup;
};

static int ours_start(struct ours *o, const char *runtime, const char *code, nova_error_t **error)
{
	nova_config_t *config = NULL;
	int r = nova_config_new(&config, error);
	if (r == 0)
		r = nova_config_set(config, "home", o->dir, error);
	if (r == 0)
		r = nova_config_set(config, "engine", "fake", error);
	if (r == 0)
		r = nova_open(config, &o->nova, error);
	nova_config_free(config);
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "echo";
	opts.runtime = runtime;
	opts.code = code;
	opts.code_len = strlen(code);
	opts.check = NOVA_CHECK_NEVER;
	if (r == 0)
		r = nova_function_register(o->nova, &opts, NULL, error);
	return r == 0 ? nova_vm_start(nova_host_get(o->nova), NULL, &o->vm, error) : r;
}

static int invoke_once(struct ours *o, nova_error_t **error)
{
	nova_result_t *result;
	uint64_t start = clock_ns();
	int r = nova_invoke(o->nova, "echo", PAYLOAD, NULL, &result, error);
	o->total = (double)(clock_ns() - start) / 1e3;
	if (r == 0) {
		o->guest = (double)nova_result_timing_us(result, NOVA_TIMING_GUEST);
		o->exec = (double)nova_result_timing_us(result, NOVA_TIMING_EXEC);
		o->lookup = (double)nova_result_timing_us(result, NOVA_TIMING_LOOKUP);
	}
	nova_result_free(result);
	return r;
}

static int ping_once(struct ours *o, double *ret_us, nova_error_t **error)
{
	uint64_t start = clock_ns();
	int r = nova_vm_ping(o->vm, 0, NULL, error);
	*ret_us = (double)(clock_ns() - start) / 1e3;
	return r;
}

/* A ping's bytes by hand, to the same agent: what is left of nova_vm_ping() is the library's. */
static double raw_ping_once(struct ours *o)
{
	static const char text[] = "{\"type\":4,\"payload\":{\"request_id\":\"01234567\"}}";
	char frame[sizeof(text) + 4], block[4096];
	size_t len = sizeof(text) - 1, have = 0, want = 4;
	for (int i = 0; i < 4; i++)
		frame[i] = (char)(len >> (24 - 8 * i));
	memcpy(frame + 4, text, len);
	uint64_t start = clock_ns();
	if (send(o->vm->machine->channel, frame, len + 4, MSG_NOSIGNAL) < 0)
		return 0;
	while (have < want) {
		ssize_t got = recv(o->vm->machine->channel, block + have, sizeof(block) - have, 0);
		if (got <= 0)
			return 0;
		have += (size_t)got;
		if (have >= 4)
			want = 4 + (size_t)(((uint8_t)block[2] << 8) | (uint8_t)block[3]);
	}
	return (double)(clock_ns() - start) / 1e3;
}

/* Bytes of a call there and back, as they are on the wire. */
static int measure_bytes(struct floor *f, const nova_result_t *result)
{
	void *frame = NULL;
	int r = proto_exec_frame(
		"01234567", PAYLOAD, strlen(PAYLOAD), 30000, false, &frame, &f->request_len, NULL);
	free(frame);
	size_t output;
	nova_result_output(result, &output);
	/* The members of docs/protocol.md around it. */
	f->answer_len = output + strlen(nova_result_stdout(result, NULL)) + 195;
	return r;
}

/* --- the bench --- */

struct figures {
	struct samples floor, floor_working, raw, ping, get, total, guest, exec, lookup, rest;
};

static void figures_free(struct figures *f)
{
	samples_free(&f->floor);
	samples_free(&f->floor_working);
	samples_free(&f->raw);
	samples_free(&f->ping);
	samples_free(&f->get);
	samples_free(&f->total);
	samples_free(&f->guest);
	samples_free(&f->exec);
	samples_free(&f->lookup);
	samples_free(&f->rest);
}

/* The lookup of nova_invoke(): with hot caches it shows what the code costs; within a call
 * everything is cold. */
static double lookup_once(struct ours *o)
{
	nova_function_t *function = NULL;
	uint64_t start = clock_ns();
	nova_function_get(o->nova, "echo", &function, NULL);
	double us = (double)(clock_ns() - start) / 1e3;
	nova_function_free(function);
	return us;
}

static int sample_hot(
	struct ours *o, const struct floor *floor, struct figures *f, nova_error_t **error)
{
	double bare = 0, raw = 0, ping = 0, get = 0;
	int r = 0;
	for (int i = 0; i <= WARMING; i++)
		bare = floor_once(floor);
	for (int i = 0; i <= WARMING; i++)
		raw = raw_ping_once(o);
	for (int i = 0; r == 0 && i <= WARMING; i++)
		r = ping_once(o, &ping, error);
	for (int i = 0; i <= WARMING; i++)
		get = lookup_once(o);
	samples_add(&f->floor, bare);
	samples_add(&f->raw, raw);
	samples_add(&f->ping, ping);
	samples_add(&f->get, get);
	return r;
}

static int sample(struct ours *o, const struct floor *floor, const struct floor *working,
	struct figures *f, nova_error_t **error)
{
	int r = sample_hot(o, floor, f, error);
	usleep(PAUSE_US);
	samples_add(&f->floor_working, floor_once(working));
	usleep(PAUSE_US);
	for (int i = 0; r == 0 && i <= (o->hot ? WARMING : 0); i++)
		r = invoke_once(o, error);
	if (r < 0)
		return r;
	samples_add(&f->total, o->total);
	samples_add(&f->guest, o->guest);
	samples_add(&f->exec, o->exec);
	samples_add(&f->lookup, o->lookup);
	samples_add(&f->rest, o->total - o->guest);
	return 0;
}

static void report(
	const struct bench_run *run, const char *name, const struct floor *floor, struct figures *f)
{
	double floor50 = samples_percentile(&f->floor, 50),
	       working50 = samples_percentile(&f->floor_working, 50);
	const struct bench_extra bytes[] = {
		{ "bytes_there", (double)floor->request_len },
		{ "bytes_back", (double)floor->answer_len },
		{ NULL, 0 },
	};
	const struct bench_extra ping[] = { { "ratio", samples_percentile(&f->ping, 50) / floor50 },
		{ NULL, 0 } };
	double rest50 = samples_percentile(&f->rest, 50);
	const struct bench_extra rest[] = { { "ratio", rest50 / floor50 },
		{ "ratio_with_work", rest50 / working50 }, { NULL, 0 } };
	AUTO_FREE char *total = str_format("nova_invoke, %s", name),
		       *guest = str_format("  the function, %s", name);
	AUTO_FREE char *exec = str_format("  sent until answered, %s", name),
		       *lookup = str_format("  lookup and framing, %s", name);
	AUTO_FREE char *ours = str_format("  all but the function, %s", name);
	bench_report(run, "bare socket pair, hot", "us", &f->floor, bytes);
	bench_report(
		run, "bare socket pair, less a process between", "us", &f->floor_working, NULL);
	bench_report(run, "a ping by hand to the agent, hot", "us", &f->raw, NULL);
	bench_report(run, "nova_vm_ping, hot", "us", &f->ping, ping);
	bench_report(run, "nova_function_get, hot", "us", &f->get, NULL);
	bench_report(run, total, "us", &f->total, NULL);
	bench_report(run, guest, "us", &f->guest, NULL);
	bench_report(run, exec, "us", &f->exec, NULL);
	bench_report(run, lookup, "us", &f->lookup, NULL);
	bench_report(run, ours, "us", &f->rest, rest);
}

static int measure(const struct bench_run *run, const char *name, struct ours *o)
{
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(figures_free) struct figures figures = { 0 };
	struct floor floor = { .fd = -1 }, working = { .fd = -1 };
	nova_result_t *first;
	int r = nova_invoke(o->nova, "echo", PAYLOAD, NULL, &first, &error);
	if (r == 0)
		r = measure_bytes(&floor, first);
	nova_result_free(first);
	if (r < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	working = floor;
	working.works = true;
	if (floor_start(&floor) < 0 || floor_start(&working) < 0)
		return bench_skip(run, "no second process");
	for (size_t i = 0; r == 0 && i < bench_n(run, 1000); i++)
		r = sample(o, &floor, &working, &figures, &error);
	floor_end(&working); /* first: it has inherited the other's socket */
	floor_end(&floor);
	if (r < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	report(run, name, &floor, &figures);
	return 0;
}

static int measure_runtime(const struct bench_run *run, const char *name, const char *runtime,
	const char *code, bool hot)
{
	AUTO_ERROR nova_error_t *error = NULL;
	struct ours o = { .dir = bench_dir(NULL), .hot = hot };
	if (!o.dir)
		return bench_skip(run, "no temporary directory");
	int r = ours_start(&o, runtime, code, &error);
	int failed =
		r < 0 ? bench_skip(run, "%s", nova_error_message(error)) : measure(run, name, &o);
	nova_vm_free(o.vm);
	nova_close(o.nova);
	fs_remove_tree(o.dir);
	free(o.dir);
	return failed;
}

int bench_overhead(const struct bench_run *run)
{
	bench_note(run, "engine fake (the agent as a plain process), no accelerator, no guest "
			"kernel; the clock stops when the call returns");
	int failed = measure_runtime(run, "shell", "shell", "cat \"$1\"\n", false);
	failed |= measure_runtime(
		run, "python", "python", "def handler(event):\n    return event\n", false);
	return failed | measure_runtime(run, "in place, hot", "python",
				"__nova_in_place__ = True\ndef handler(event):\n    return event\n",
				true);
}
