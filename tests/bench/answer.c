/* SPDX-License-Identifier: MIT */
/*
 * Reading an answer of nearly 8 MiB: how long, and how much memory it takes, ours in its own bytes
 * and a parser's tree beside it. Each sample is a process of its own, so that its peak is its own.
 */
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "proto/proto.h"

#define ANSWER_BYTES (31u << 18) /* 7.75 MiB */

struct figures {
	double ms, mb; /* mb: the peak, over what there was before */
};

static const struct {
	const char *name, *before, *piece, *behind;
} kinds[] = {
	{ "{}, in the output", "\"output\":[", "{},", "{}],\"exit_code\":0" },
	{ "1, in the output", "\"output\":[", "1,", "1],\"exit_code\":0" },
	{ "\\\" in the output", "\"output\":\"", "\\\"", "\",\"exit_code\":0" },
	{ "\\u20ac in stdout", "\"output\":1,\"exit_code\":0,\"stdout\":\"", "\\u20ac", "\"" },
	{ "{}, in an unknown member", "\"x\":[", "{},", "{}]" },
};

static double memory_mb(const char *what)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	AUTO_FREE char *status =
		fs_read_file("/proc/self/status", &text) == 0 ? buf_steal_str(&text) : NULL;
	const char *line = status ? strstr(status, what) : NULL;
	return line ? strtod(line + strlen(what), NULL) / 1024 : 0;
}

/* Of this process: others do not count. */
static uint64_t cpu_ns(void)
{
	uint64_t us = 0;
	sys_process_cpu_us(getpid(), &us);
	return us * 1000;
}

/* A whole frame. */
static int make_frame(size_t kind, void **ret_frame, size_t *ret_len)
{
	AUTO_BUF struct buf b = BUF_INIT(ANSWER_BYTES + 4096);
	int r = buf_append_str(&b, "{\"request_id\":\"0123abcd\",");
	if (r == 0)
		r = buf_append_str(&b, kinds[kind].before);
	while (r == 0 && b.len < ANSWER_BYTES)
		r = buf_append_str(&b, kinds[kind].piece);
	if (r == 0)
		r = buf_append_str(&b, kinds[kind].behind);
	if (r == 0)
		r = buf_append_str(&b, "}");
	return r < 0 ? r :
		       nova_frame_encode(
			       NOVA_MSG_RESP, (char *)b.data, b.len, ret_frame, ret_len, NULL);
}

/* As it comes over a channel. */
static void read_ours(const uint8_t *bytes, size_t len)
{
	nova_decoder_t *decoder;
	struct proto_frame *frame = NULL;
	struct guest_message said;
	if (nova_decoder_new(0, &decoder, NULL) < 0)
		return;
	for (size_t at = 0; at < len; at += 16384)
		nova_decoder_feed(decoder, bytes + at, len - at < 16384 ? len - at : 16384, NULL);
	if (proto_decoder_take(decoder, &frame, NULL) == 1)
		guest_message_read(frame->payload, frame->payload_len, &said, NULL);
	free(frame);
	nova_decoder_free(decoder);
}

static void read_tree(const uint8_t *bytes, size_t len)
{
	char *copy = malloc(len);
	memcpy(copy, bytes, len);
	json_decref(json_loadb(copy + NOVA_FRAME_HEADER, len - NOVA_FRAME_HEADER,
		JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL));
	free(copy);
}

static struct figures measure_here(
	void (*read_it)(const uint8_t *, size_t), const void *frame, size_t len)
{
	malloc_trim(0); /* what was freed would be used again unseen */
	double before = memory_mb("VmRSS:");
	uint64_t start = cpu_ns();
	read_it(frame, len);
	double ms = (double)(cpu_ns() - start) / 1e6;
	return (struct figures){ ms, memory_mb("VmHWM:") - before };
}

static int measure(void (*read_it)(const uint8_t *, size_t), const void *frame, size_t len,
	struct samples *ms, struct samples *mb)
{
	int fds[2];
	struct figures f;
	if (sys_pipe(fds) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		f = measure_here(read_it, frame, len);
		_exit(sys_write_all(fds[1], &f, sizeof(f)) < 0);
	}
	fd_close(fds[1]);
	ssize_t got = pid > 0 ? sys_read(fds[0], &f, sizeof(f)) : -1;
	fd_close(fds[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (got != (ssize_t)sizeof(f))
		return -1;
	samples_add(ms, f.ms);
	samples_add(mb, f.mb);
	return 0;
}

static int measure_kind(const struct bench_run *run, size_t kind)
{
	AUTO_SAMPLES struct samples ours = { 0 }, ours_mb = { 0 }, tree = { 0 }, tree_mb = { 0 };
	AUTO_FREE void *frame = NULL;
	size_t len;
	if (make_frame(kind, &frame, &len) < 0)
		return bench_skip(run, "out of memory");
	for (size_t i = 0; i < bench_n(run, 10); i++)
		if (measure(read_ours, frame, len, &ours, &ours_mb) < 0 ||
			measure(read_tree, frame, len, &tree, &tree_mb) < 0)
			return bench_skip(run, "a process cannot be made");
	const struct bench_extra extra[] = {
		{ "mb", samples_percentile(&ours_mb, 50) },
		{ "tree_mb", samples_percentile(&tree_mb, 50) },
		{ "tree_ms", samples_percentile(&tree, 50) },
		{ "ratio", samples_percentile(&ours, 50) / samples_percentile(&tree, 50) },
		{ NULL, 0 },
	};
	AUTO_FREE char *name = str_format("7.75 MiB of %s", kinds[kind].name);
	bench_report(run, name, "ms", &ours, extra);
	return 0;
}

int bench_answer(const struct bench_run *run)
{
	int failed = 0;
	for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++)
		failed |= measure_kind(run, kind);
	return failed;
}
