/* SPDX-License-Identifier: MIT */
/* What hosts share in Redis: jobs handed in, taken and finished, and the copy of the log of calls,
 * beside the client library with the same commands, in turns. It starts a server of its own. */
#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench.h"
#include "job/internal.h"
#include "platform/stream.h"

#define BATCH 100

static const struct logger silent = { 0 };

struct redis_bench {
	const struct bench_run *run;
	char *home, *address;
	pid_t server;
	nova_config_t *config;
	redisContext *raw;
};

static bool start_server(struct redis_bench *b)
{
	const char *argv[] = { "redis-server", "--port", "0", "--unixsocket", b->address, "--save",
		"", "--dir", b->home, "--logfile", "log", NULL };
	b->server = fork();
	if (b->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	while (waitpid(b->server, NULL, WNOHANG) == 0) {
		b->raw = redisConnectUnix(b->address);
		if (b->raw && !b->raw->err)
			return true;
		redisFree(b->raw);
		b->raw = NULL;
		sys_poll(NULL, 0, 5);
	}
	b->server = 0;
	return false;
}

static bool raw_do(redisContext *raw, const char *const *words, int count)
{
	redisReply *reply = redisCommandArgv(raw, count, (const char **)(uintptr_t)words, NULL);
	bool good = reply && reply->type != REDIS_REPLY_ERROR;
	freeReplyObject(reply);
	return good;
}

/* The three steps of a job, as job.c has them. */
static bool raw_job(redisContext *raw, unsigned number)
{
	char id[JOB_ID], hash[64], token[64];
	snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012u", number);
	snprintf(hash, sizeof(hash), JOB_PREFIX "%s", id);
	snprintf(token, sizeof(token), JOB_TAKEN "%s", id);
	const char *const submit[] = { "EVAL", script_submit, "4", JOB_STREAM, JOB_DUE, hash,
		JOB_KEY "1:f:", "100000", id, "f", "{}", "", "3", "330000", "86400", "", "" };
	const char *take[] = { "EVAL", script_take, "4", JOB_STREAM, JOB_DUE, JOB_DEAD_, token,
		"bench", "", "", id };
	if (!raw_do(raw, submit, ARRAY_LEN(submit)))
		return false;
	redisReply *taken = redisCommandArgv(raw, ARRAY_LEN(take), take, NULL);
	bool given = taken && taken->type == REDIS_REPLY_ARRAY;
	freeReplyObject(taken);
	const char *const finish[] = { "EVAL", script_finish, "4", JOB_STREAM, JOB_DUE, JOB_DEAD_,
		hash, id, id, "done", "1", "" };
	return given && raw_do(raw, finish, ARRAY_LEN(finish));
}

static bool our_job(struct jobs *jobs)
{
	struct nova_job job = { .function = (char[]){ "f" },
		.payload = (char[]){ "{}" },
		.key = (char[]){ "" },
		.usage_key = (char[]){ "" },
		.context = (char[]){ "" },
		.most = 3,
		.lease_ms = 330000,
		.keep_s = 86400 };
	nova_job_t *taken = NULL;
	bool good = random_uuid(job.id) == 0 && jobs_submit(jobs, &job, NULL) == 0 &&
		    jobs_take(jobs, 0, NULL, &taken, NULL) == 0 && taken &&
		    jobs_finish(jobs, taken, JOB_DONE, NULL) == 0;
	nova_job_free(taken);
	return good;
}

static void report(const struct redis_bench *b, const char *title, unsigned per_sample,
	struct samples *ours, struct samples *raw)
{
	double p50 = samples_percentile(ours, 50);
	const struct bench_extra extra[] = { { "a_second", per_sample * 1e6 / p50 },
		{ "ratio_to_raw", p50 / samples_percentile(raw, 50) }, { NULL, 0 } };
	AUTO_FREE char *of_raw = str_format("%s by the client library", title);
	bench_report(b->run, title, "us", ours, extra);
	bench_report(b->run, of_raw, "us", raw, NULL);
}

static bool measure_jobs(struct redis_bench *b)
{
	AUTO_SAMPLES struct samples ours = { 0 }, raw = { 0 };
	struct jobs *jobs = NULL;
	bool good = jobs_open(b->config, &silent, &jobs, NULL) == 0 && our_job(jobs);
	for (unsigned i = 0; good && i < bench_n(b->run, 2000); i++) {
		uint64_t start = clock_ns();
		good = our_job(jobs);
		samples_add(&ours, bench_ms_since(start) * 1000);
		start = clock_ns();
		good = good && raw_job(b->raw, i);
		samples_add(&raw, bench_ms_since(start) * 1000);
	}
	jobs_close(jobs);
	if (good)
		report(b, "redis, a job handed in, taken and finished", 1, &ours, &raw);
	return good;
}

/* All is sent before the first answer is read. */
static bool raw_append(redisContext *raw, const char *key, const char *data)
{
	const char *const add[] = { "XADD", key, "MAXLEN", "~", "10000", "*", "data", data };
	const char *const expire[] = { "EXPIRE", key, "86400" };
	bool good = true;
	for (int i = 0; i < BATCH; i++)
		redisAppendCommandArgv(raw, ARRAY_LEN(add), (const char **)(uintptr_t)add, NULL);
	redisAppendCommandArgv(raw, ARRAY_LEN(expire), (const char **)(uintptr_t)expire, NULL);
	for (int i = 0; good && i < BATCH + 1; i++) {
		void *reply = NULL;
		good = redisGetReply(raw, &reply) == REDIS_OK;
		freeReplyObject(reply);
	}
	return good;
}

static bool measure_log(struct redis_bench *b)
{
	static char id[] = "01234567", name[] = "hello", runtime[] = "python", none[] = "",
		    out[] = "a line of output\n", uuid[] = "00000000-0000-4000-8000-000000000001";
	static const char data[] =
		"{\"id\":\"01234567\",\"function_id\":\"00000000-0000-4000-8000-000000000001\","
		"\"function_name\":\"hello\",\"version\":1,\"runtime\":\"python\",\"duration_ms\":"
		"1,"
		"\"cold_start\":false,\"success\":true,\"error_message\":\"\",\"input_size\":2,"
		"\"output_size\":20,\"stdout\":\"a line of output\\n\",\"stderr\":\"\","
		"\"created_at\":\"2023-11-14T22:13:20.000000Z\"}";
	const struct call_record record = { .request_id = id,
		.function = name,
		.id = uuid,
		.runtime = runtime,
		.error = none,
		.out = out,
		.out_len = sizeof(out) - 1,
		.started_us = 1700000000000000,
		.duration_us = 1234,
		.input_size = 2,
		.output_size = 20,
		.version = 1 };
	const struct call_record *all[BATCH];
	AUTO_SAMPLES struct samples ours = { 0 }, raw = { 0 };
	struct log_stream *stream = NULL;
	bool good = log_stream_open(b->config, &silent, &stream, NULL) == 0;
	for (int i = 0; i < BATCH; i++)
		all[i] = &record;
	for (size_t i = 0; good && i < bench_n(b->run, 2000) / 10 + 1; i++) {
		uint64_t start = clock_ns();
		log_stream_write(stream, all, BATCH);
		samples_add(&ours, bench_ms_since(start) * 1000);
		start = clock_ns();
		good = raw_append(b->raw, "nova:logs:raw", data);
		samples_add(&raw, bench_ms_since(start) * 1000);
	}
	log_stream_close(stream);
	if (good)
		report(b, "redis, 100 records appended", BATCH, &ours, &raw);
	return good;
}

int bench_store_redis(const struct bench_run *run)
{
	struct redis_bench b = { .run = run, .home = bench_dir(NULL) };
	b.address = path_join(b.home, "redis.sock");
	bool good = nova_config_new(&b.config, NULL) == 0 &&
		    nova_config_set(b.config, "redis.addr", b.address, NULL) == 0;
	if (!start_server(&b))
		bench_note(run, "no redis-server: see test_packages in tools/packages");
	else
		good = good && measure_jobs(&b) && measure_log(&b);
	if (b.raw)
		redisFree(b.raw);
	if (b.server) {
		kill(b.server, SIGKILL);
		waitpid(b.server, NULL, 0);
	}
	nova_config_free(b.config);
	fs_remove_tree(b.home);
	free(b.home);
	free(b.address);
	return !good;
}
