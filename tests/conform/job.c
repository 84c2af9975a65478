/* SPDX-License-Identifier: MIT */
/* What hosts have in common in Redis: jobs (nova/job.h), and the copy of the log of calls. */
#include "conform/jobhost.h"
#include "job/internal.h"
#include "module/redis.h"
#include "platform/platform.h"
#include "redis/redis.h"
#include "redisserver.h"

#define HANG_MS 20000u

const char greet[] = "def handler(event):\n    return {\"hello\": event.get(\"name\")}\n";
static const char fail[] = "def handler(event):\n    raise ValueError(\"no\")\n";

struct platform a_host(void)
{
	return platform_open("redis.addr", redis_address, "redis.timeout", "5s", NULL);
}

void start_server(void)
{
	redis_start(NULL, NULL);
}

static nova_job_t *submit(nova_t *nova, const char *function, const char *payload)
{
	const nova_job_opts opts = { sizeof(opts), .attempts = 2, .lease_ms = 1000 };
	nova_job_t *job = NULL;
	ck_ok(nova_job_submit(nova, function, payload, &opts, &job, &error));
	return job;
}

/* One whose lease does not end while the test runs. */
static nova_job_t *submit_for_long(nova_t *nova)
{
	const nova_job_opts opts = { sizeof(opts), .attempts = 2, .lease_ms = 86400000 };
	nova_job_t *job = NULL;
	ck_ok(nova_job_submit(nova, "f", NULL, &opts, &job, &error));
	return job;
}

/* What has become of the job that it performs, which is waited for. */
static int performs(nova_t *nova, const char *id)
{
	nova_job_t *job = NULL;
	ck_ok(nova_job_perform(nova, HANG_MS, NULL, &job, &error));
	ck_assert_ptr_nonnull(job);
	ck_assert_str_eq(nova_job_id(job), id);
	int state = nova_job_state(job);
	nova_job_free(job);
	return state;
}

static nova_job_t *get(nova_t *nova, const char *id)
{
	nova_job_t *job = NULL;
	ck_ok(nova_job_get(nova, id, &job, &error));
	return job;
}

static bool has_none(nova_t *nova)
{
	nova_job_t *job = NULL;
	ck_ok(nova_job_perform(nova, 0, NULL, &job, &error));
	bool none = !job;
	nova_job_free(job);
	return none;
}

/* --- what the server has --- */

int take_number(void *userdata, const redisReply *reply, nova_error_t **ret_error)
{
	(void)ret_error;
	ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
	*(long long *)userdata = reply->integer;
	return 0;
}

static int take_text(void *userdata, const redisReply *reply, nova_error_t **ret_error)
{
	(void)ret_error;
	ck_assert_int_eq(reply->type, REDIS_REPLY_STRING);
	*(char **)userdata = strdup(reply->str);
	return 0;
}

void ask_server(const struct platform *p, const char *const *words, size_t count,
	int (*take)(void *, const redisReply *, nova_error_t **), void *userdata)
{
	static const struct redis_use use = { "tests fail", 1 << 20 };
	static const struct logger silent = { 0 };
	struct redis *redis = NULL;
	const struct redis_question q = { words, count, .take = take, .userdata = userdata };
	ck_ok(redis_open(p->config, &use, &silent, &redis, &error));
	ck_ok(redis_ask(redis, &q, &error));
	redis_close(redis);
}

long long number(const struct platform *p, const char *command, const char *key)
{
	long long found = -99;
	ask_server(p, (const char *const[]){ command, key }, 2, take_number, &found);
	return found;
}

/* --- jobs --- */

START_TEST(a_job_is_performed_by_another_host_which_leaves_its_answer)
{
	size_t len = 1;
	redis_start(NULL, NULL);
	struct platform a = a_host(), b = a_host();
	platform_add(a.nova, "f", "python", greet);
	platform_add(b.nova, "f", "python", greet);
	nova_job_t *made = submit(a.nova, "f", "{\"name\": \"gr\xc3\xbc\xc3\x9f\"}");
	ck_assert_int_eq(nova_job_state(made), NOVA_JOB_WAITING);
	ck_assert_ptr_null(nova_job_output(made, &len));
	ck_assert_int_eq(performs(b.nova, nova_job_id(made)), NOVA_JOB_DONE);
	nova_job_t *done = get(a.nova, nova_job_id(made));
	ck_assert_str_eq(nova_job_output(done, &len), "{\"hello\": \"gr\xc3\xbc\xc3\x9f\"}");
	AUTO_FREE char *json = nova_job_to_json(done);
	ck_assert(strstr(json, "\"state\":\"done\"") && strstr(json, "\"attempts\":1,"));
	ck_assert(has_none(a.nova) && has_none(b.nova));
	ck_assert_int_eq(number(&a, "XLEN", "nova:jobs"), 0);
	ck_assert_int_eq(number(&a, "XLEN", "nova:jobs:dead"), 0);
	AUTO_FREE char *key = str_format("nova:job:%s", nova_job_id(made));
	ck_assert_int_gt(number(&a, "TTL", key), 86000);
	nova_job_free(made);
	nova_job_free(done);
	platform_close(&a);
	platform_close(&b);
}
END_TEST

START_TEST(two_submits_with_one_key_are_one_job)
{
	const nova_job_opts opts = { sizeof(opts), .key = "order 7" };
	nova_job_t *first = NULL, *second = NULL, *other = NULL;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	platform_add(p.nova, "g", "python", greet);
	ck_ok(nova_job_submit(p.nova, "f", "{}", &opts, &first, &error));
	ck_assert_int_eq(performs(p.nova, nova_job_id(first)), NOVA_JOB_DONE);
	ck_ok(nova_job_submit(p.nova, "f", "{}", &opts, &second, &error));
	ck_assert_str_eq(nova_job_id(second), nova_job_id(first));
	ck_assert_int_eq(nova_job_state(second), NOVA_JOB_DONE);
	ck_fails_with(NOVA_EEXIST, "another payload",
		nova_job_submit(p.nova, "f", "{\"a\":1}", &opts, NULL, &error));
	ck_assert(has_none(p.nova));
	ck_ok(nova_job_submit(p.nova, "g", "{}", &opts, &other, &error));
	ck_assert_str_ne(nova_job_id(other), nova_job_id(first));
	ck_assert_int_eq(performs(p.nova, nova_job_id(other)), NOVA_JOB_DONE);
	nova_job_free(first);
	nova_job_free(second);
	nova_job_free(other);
	platform_close(&p);
}
END_TEST

START_TEST(what_fails_is_tried_again_and_then_dead)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", fail);
	nova_job_t *job = submit(p.nova, "f", NULL);
	ck_assert_int_eq(performs(p.nova, nova_job_id(job)), NOVA_JOB_WAITING);
	ck_assert_int_eq(performs(p.nova, nova_job_id(job)), NOVA_JOB_DEAD);
	ck_assert(has_none(p.nova));
	nova_job_t *dead = get(p.nova, nova_job_id(job));
	ck_assert_int_eq(nova_job_state(dead), NOVA_JOB_DEAD);
	ck_assert(strstr(nova_job_error(dead), "ValueError: no"));
	ck_assert_int_eq(number(&p, "XLEN", "nova:jobs:dead"), 1);
	ck_assert_int_eq(number(&p, "XLEN", "nova:jobs"), 0);
	nova_job_free(job);
	nova_job_free(dead);
	platform_close(&p);
}
END_TEST

START_TEST(what_can_only_fail_again_is_dead_at_once)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit(p.nova, "f", NULL);
	ck_ok(nova_function_delete(p.nova, "f", 0, &error));
	ck_assert_int_eq(performs(p.nova, nova_job_id(job)), NOVA_JOB_DEAD);
	nova_job_free(job);
	platform_close(&p);
}
END_TEST

START_TEST(a_job_for_which_there_is_no_room_is_dead_and_says_why)
{
	nova_job_t *done = NULL;
	redis_start(NULL, NULL);
	struct platform p = platform_open(
		"redis.addr", redis_address, "redis.timeout", "5s", "pool.max_memory", "100", NULL);
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit(p.nova, "f", NULL);
	ck_assert_int_eq(performs(p.nova, nova_job_id(job)), NOVA_JOB_WAITING);
	ck_ok(nova_job_perform(p.nova, HANG_MS, NULL, &done, &error));
	ck_assert_int_eq(nova_job_state(done), NOVA_JOB_DEAD);
	ck_assert_ptr_nonnull(strstr(nova_job_error(done),
		"a microVM of 128 MB is larger than all microVMs together may be: 100 MB"));
	nova_job_free(done);
	nova_job_free(job);
	platform_close(&p);
}
END_TEST

/* --- whose they are --- */

static void add_of(nova_t *nova, const char *label)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	nova_function_delete(nova, "f", 0, NULL);
	o.name = "f";
	o.runtime = "python";
	o.code = greet;
	o.code_len = strlen(greet);
	o.check = NOVA_CHECK_NEVER;
	o.labels = &label;
	o.labels_count = label ? 1 : 0;
	ck_ok(nova_function_register(nova, &o, NULL, &error));
}

static nova_job_t *submit_for(
	nova_t *nova, const char *owner, const char *label, const char *payload)
{
	nova_job_opts opts = NOVA_JOB_OPTS_INIT;
	nova_job_t *job = NULL;
	opts.key = "k";
	opts.owner = owner;
	opts.if_label = label;
	ck_ok(nova_job_submit(nova, "f", payload, &opts, &job, &error));
	ck_assert_str_eq(nova_job_owner(job), owner ? owner : "");
	return job;
}

START_TEST(a_function_that_belongs_to_somebody_else_by_then_is_not_called)
{
	static const struct {
		const char *was, *is, *asked;
		int becomes;
	} cases[] = {
		{ "of=ann", "of=ann", "of=ann", NOVA_JOB_DONE },
		{ "of=ann", "of=bob", "of=ann", NOVA_JOB_DEAD },
		{ "of=ann", NULL, "of=ann", NOVA_JOB_DEAD },
		{ NULL, "of=bob", "of=", NOVA_JOB_DEAD },
		{ NULL, "other=x", "of=", NOVA_JOB_DONE },
		{ "of=ann", "of=bob", NULL, NOVA_JOB_DONE },
	};
	redis_start(NULL, NULL);
	struct platform p = a_host();
	add_of(p.nova, cases[_i].was);
	nova_job_t *job = submit_for(p.nova, "ann", cases[_i].asked, NULL);
	add_of(p.nova, cases[_i].is);
	ck_assert_int_eq(performs(p.nova, nova_job_id(job)), cases[_i].becomes);
	nova_job_t *now = get(p.nova, nova_job_id(job));
	ck_assert_int_eq(cases[_i].becomes == NOVA_JOB_DEAD,
		strstr(nova_job_error(now),
			"function 'f' belongs to somebody else than it was to") != NULL);
	nova_job_free(now);
	nova_job_free(job);
	platform_close(&p);
}
END_TEST

START_TEST(a_key_is_its_owners_until_the_job_is_forgotten)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *anns = submit_for(p.nova, "ann", NULL, "{\"a\":1}"),
		   *bobs = submit_for(p.nova, "bob", NULL, "{\"a\":2}"),
		   *nobodys = submit_for(p.nova, NULL, NULL, "{\"a\":3}"),
		   *again = submit_for(p.nova, "ann", NULL, "{\"a\":1}");
	ck_assert_str_ne(nova_job_id(anns), nova_job_id(bobs));
	ck_assert_str_ne(nova_job_id(anns), nova_job_id(nobodys));
	ck_assert_str_eq(nova_job_id(anns), nova_job_id(again));
	ck_assert_int_eq(number(&p, "TTL", "nova:jobs:owned:3:ann:1:f:k"), -1);
	ck_assert_int_eq(performs(p.nova, nova_job_id(anns)), NOVA_JOB_DONE);
	ck_assert_int_gt(number(&p, "TTL", "nova:jobs:owned:3:ann:1:f:k"), 0);
	ck_assert_int_eq(number(&p, "TTL", "nova:jobs:owned:3:bob:1:f:k"), -1);
	nova_job_free(anns);
	nova_job_free(bobs);
	nova_job_free(nobodys);
	nova_job_free(again);
	platform_close(&p);
}
END_TEST

/* One of before has neither owner nor label. */
START_TEST(a_job_of_an_earlier_library_is_performed)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	long long removed = 0;
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit(p.nova, "f", NULL);
	AUTO_FREE char *hash = str_format("nova:job:%s", nova_job_id(job));
	ask_server(&p, (const char *const[]){ "HDEL", hash, "owner", "if_label" }, 4, take_number,
		&removed);
	ck_assert_int_eq(removed, 2);
	nova_job_t *old = get(p.nova, nova_job_id(job));
	ck_assert_str_eq(nova_job_owner(old), "");
	ck_assert_int_eq(performs(p.nova, nova_job_id(job)), NOVA_JOB_DONE);
	nova_job_free(old);
	nova_job_free(job);
	platform_close(&p);
}
END_TEST

/* As one that dies with the job. */
static nova_job_t *take(const struct platform *p)
{
	nova_job_t *job = NULL;
	ck_ok(jobs_take(p->nova->jobs, deadline_in_ms(HANG_MS), NULL, &job, &error));
	return job;
}

START_TEST(a_job_whose_worker_is_lost_goes_to_the_next)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit(p.nova, "f", NULL), *lost = take(&p);
	ck_assert_str_eq(lost->id, nova_job_id(job));
	ck_assert(has_none(p.nova)); /* its lease is not over */
	ck_assert_int_eq(performs(p.nova, lost->id), NOVA_JOB_DONE);
	/* whoever was only slow changes nothing any more */
	ck_ok(jobs_finish(p.nova->jobs, lost, JOB_AGAIN, &error));
	ck_assert_int_eq(lost->state, NOVA_JOB_RUNNING);
	nova_job_free(job);
	job = get(p.nova, lost->id);
	ck_assert_int_eq(nova_job_state(job), NOVA_JOB_DONE);
	ck_assert_uint_eq(job->attempts, 2);
	nova_job_free(job);
	nova_job_free(lost);
	platform_close(&p);
}
END_TEST

START_TEST(a_job_that_all_its_workers_die_of_is_dead)
{
	nova_job_t *none = NULL;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit(p.nova, "f", NULL), *first = take(&p), *second = take(&p), *dead;
	ck_assert_uint_eq(second->attempts, 2);
	ck_ok(nova_job_perform(p.nova, 2500, NULL, &none, &error));
	ck_assert_ptr_null(none);
	dead = get(p.nova, nova_job_id(job));
	ck_assert_int_eq(nova_job_state(dead), NOVA_JOB_DEAD);
	ck_assert_int_eq(number(&p, "XLEN", "nova:jobs:dead"), 1);
	nova_job_free(job);
	nova_job_free(first);
	nova_job_free(second);
	nova_job_free(dead);
	platform_close(&p);
}
END_TEST

/* --- answers that are lost, hosts that are slow --- */

START_TEST(what_has_become_of_a_job_is_told_again_to_who_asks_again)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit_for_long(p.nova), *first = take(&p);
	for (int i = 0; i < 2; i++) { /* the first answer was lost */
		ck_ok(jobs_finish(p.nova->jobs, first, JOB_BACK, &error));
		ck_assert_int_eq(first->state, NOVA_JOB_WAITING);
	}
	nova_job_t *second = take(&p);
	ck_assert_uint_eq(second->attempts, 1);
	first->state = NOVA_JOB_RUNNING;
	ck_ok(jobs_finish(p.nova->jobs, first, JOB_BACK, &error)); /* and once more */
	ck_assert_int_eq(first->state, NOVA_JOB_RUNNING);
	ck_assert(has_none(p.nova));
	for (int i = 0; i < 2; i++) {
		second->state = NOVA_JOB_RUNNING;
		ck_ok(jobs_finish(p.nova->jobs, second, JOB_DONE, &error));
		ck_assert_int_eq(second->state, NOVA_JOB_DONE);
	}
	ck_assert(has_none(p.nova));
	nova_job_free(job);
	nova_job_free(first);
	nova_job_free(second);
	platform_close(&p);
}
END_TEST

static int take_fields(void *userdata, const redisReply *reply, nova_error_t **ret_error)
{
	bool bad = false;
	(void)ret_error;
	*(nova_job_t **)userdata = reply->type == REDIS_REPLY_NIL ? NULL : job_read(reply, &bad);
	ck_assert(!bad);
	return 0;
}

/* By a token, with an entry that it was given before, or "". */
static nova_job_t *takes_with(
	const struct platform *p, const char *token, const char *entry, const char *id)
{
	nova_job_t *job = NULL;
	AUTO_FREE char *key = str_format(JOB_TAKEN "%s", token);
	const char *const words[] = { "EVAL", script_take, "4", JOB_STREAM, JOB_DUE, JOB_DEAD_, key,
		"host", entry, id, token };
	ask_server(p, words, ARRAY_LEN(words), take_fields, &job);
	return job;
}

START_TEST(a_job_that_was_given_without_an_answer_is_given_again)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *a = submit_for_long(p.nova), *b = submit_for_long(p.nova);
	nova_job_free(takes_with(&p, "t", "", ""));
	nova_job_t *again = takes_with(&p, "t", "", ""), *other = takes_with(&p, "u", "", "");
	ck_assert_str_eq(again->id, a->id);
	ck_assert_uint_eq(again->attempts, 1);
	ck_assert_str_eq(other->id, b->id);
	ck_assert_ptr_null(takes_with(&p, "v", "", ""));
	nova_job_free(a);
	nova_job_free(b);
	nova_job_free(again);
	nova_job_free(other);
	platform_close(&p);
}
END_TEST

START_TEST(who_begins_too_late_has_no_job)
{
	char *entry = NULL;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	ck_assert(has_none(p.nova)); /* the group is there */
	nova_job_t *job = submit_for_long(p.nova);
	const char *const read[] = { "EVAL",
		"return redis.call('XREADGROUP', 'GROUP', 'nova', 'slow', 'STREAMS', KEYS[1], "
		"'>')[1][2][1][1]",
		"1", JOB_STREAM };
	ask_server(&p, read, ARRAY_LEN(read), take_text, &entry);
	ck_assert_int_eq(performs(p.nova, job->id), NOVA_JOB_DONE);
	ck_assert_ptr_null(takes_with(&p, "t", entry, job->id));
	nova_job_t *done = get(p.nova, job->id);
	ck_assert_int_eq(done->state, NOVA_JOB_DONE);
	ck_assert_uint_eq(done->attempts, 1);
	free(entry);
	nova_job_free(job);
	nova_job_free(done);
	platform_close(&p);
}
END_TEST

START_TEST(a_lease_is_seen_to_be_over_however_many_are_not)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	for (int i = 0; i < 1100; i++)
		nova_job_free(submit_for_long(p.nova));
	for (int i = 0; i < 1100; i++)
		nova_job_free(take(&p));
	nova_job_t *job = submit(p.nova, "f", NULL), *lost = take(&p);
	ck_assert_int_eq(performs(p.nova, lost->id), NOVA_JOB_DONE);
	nova_job_free(job);
	nova_job_free(lost);
	platform_close(&p);
}
END_TEST

START_TEST(what_a_host_cannot_do_is_no_attempt_and_it_rests)
{
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit_for_long(p.nova), *next = submit_for_long(p.nova),
		   *taken = take(&p);
	for (int i = 0; i < 3; i++) { /* more often than it has attempts */
		free(taken->error);
		taken->error = strdup("no disk");
		ck_ok(jobs_finish(p.nova->jobs, taken, JOB_HOST, &error));
		ck_assert_int_eq(taken->state, NOVA_JOB_WAITING);
		nova_job_free(taken);
		ck_assert(has_none(p.nova)); /* though one waits */
		taken = take(&p);
		if (!strcmp(taken->id, next->id)) {
			ck_ok(jobs_finish(p.nova->jobs, taken, JOB_DONE, &error));
			nova_job_free(taken);
			taken = take(&p);
		}
		ck_assert_str_eq(taken->id, job->id);
		ck_assert_str_eq(taken->error, "no disk");
		ck_assert_uint_eq(taken->attempts, 1);
	}
	nova_job_free(job);
	nova_job_free(next);
	nova_job_free(taken);
	platform_close(&p);
}
END_TEST

START_TEST(a_host_that_lacks_what_runs_a_function_kills_no_job)
{
	nova_job_t *seen = NULL;
	redis_start(NULL, NULL);
	struct platform p = a_host(),
			lacks = platform_open("redis.addr", redis_address, "redis.timeout", "5s",
				"engine", "qemu", "images", "/nowhere", NULL);
	platform_add(p.nova, "f", "python", greet);
	platform_add(lacks.nova, "f", "python", greet);
	nova_job_t *job = submit_for_long(p.nova);
	ck_assert_int_eq(performs(lacks.nova, job->id), NOVA_JOB_WAITING);
	ck_assert(has_none(lacks.nova)); /* it rests */
	seen = get(p.nova, job->id);
	ck_assert_uint_eq(seen->attempts, 1);
	ck_assert_msg(strstr(seen->error, "/nowhere"), "%s", seen->error);
	ck_assert_int_eq(performs(p.nova, job->id), NOVA_JOB_DONE);
	nova_job_free(job);
	nova_job_free(seen);
	platform_close(&p);
	platform_close(&lacks);
}
END_TEST

START_TEST(keys_of_functions_do_not_meet)
{
	nova_job_opts o = NOVA_JOB_OPTS_INIT;
	nova_job_t *one = NULL, *other = NULL;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	ck_ok(nova_function_publish(p.nova, "f", NULL, &error));
	o.key = "1:x";
	ck_ok(nova_job_submit(p.nova, "f", NULL, &o, &one, &error));
	o.key = "x";
	ck_ok(nova_job_submit(p.nova, "f:1", NULL, &o, &other, &error));
	ck_assert_str_ne(nova_job_id(one), nova_job_id(other));
	nova_job_free(one);
	nova_job_free(other);
	platform_close(&p);
}
END_TEST

static void *submit_later(void *userdata)
{
	struct platform *p = userdata;
	usleep(50000);
	return submit(p->nova, "f", NULL);
}

static int take_status(void *userdata, const redisReply *reply, nova_error_t **ret_error)
{
	(void)userdata, (void)ret_error;
	ck_assert_int_eq(reply->type, REDIS_REPLY_STATUS);
	return 0;
}

static void *empty_and_submit(void *userdata)
{
	struct platform *p = userdata;
	bool waits = false;
	while (!waits) {
		char *text = NULL;
		ask_server(p, (const char *const[]){ "INFO", "clients" }, 2, take_text, &text);
		waits = strstr(text, "blocked_clients:1");
		free(text);
	}
	ask_server(p, (const char *const[]){ "FLUSHALL", "SYNC" }, 2, take_status, NULL);
	return submit(p->nova, "f", NULL);
}

/* Also where the server has been emptied meanwhile. */
START_TEST(who_waits_is_given_what_comes)
{
	pthread_t thread;
	nova_job_t *job = NULL;
	void *made;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	ck_assert_int_eq(
		pthread_create(&thread, NULL, _i ? empty_and_submit : submit_later, &p), 0);
	ck_ok(nova_job_perform(p.nova, HANG_MS, NULL, &job, &error));
	pthread_join(thread, &made);
	ck_assert_str_eq(nova_job_id(job), nova_job_id(made));
	nova_job_free(job);
	nova_job_free(made);
	platform_close(&p);
}
END_TEST

static void *trigger_later(void *interrupt)
{
	usleep(50000);
	nova_interrupt_trigger(interrupt);
	return NULL;
}

START_TEST(waiting_can_be_ended_and_a_call_that_is_ended_waits_again)
{
	pthread_t thread;
	nova_job_t *job = NULL;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(
		p.nova, "f", "python", "import time\ndef handler(event):\n    time.sleep(20)\n");
	ck_ok(nova_interrupt_new(&wait.interrupt, &error));
	for (int i = 0; i < 2; i++) {
		nova_job_t *made = i ? submit(p.nova, "f", NULL) : NULL;
		ck_assert_int_eq(pthread_create(&thread, NULL, trigger_later, wait.interrupt), 0);
		ck_fails(NOVA_ECANCELED, nova_job_perform(p.nova, HANG_MS, &wait, &job, &error));
		pthread_join(thread, NULL);
		interrupt_rearm(wait.interrupt);
		if (made) {
			job = get(p.nova, nova_job_id(made));
			ck_assert_int_eq(nova_job_state(job), NOVA_JOB_WAITING);
			ck_assert_uint_eq(job->attempts, 0);
			nova_job_free(job);
		}
		nova_job_free(made);
	}
	nova_interrupt_free(wait.interrupt);
	platform_close(&p);
}
END_TEST

START_TEST(a_job_has_its_callers_context_and_counts_as_the_usage_of_a_key)
{
	static const char tell[] = "#!/bin/sh\nprintf %s \"$NOVA_CLIENT_CONTEXT\"\n";
	const nova_job_opts opts = { sizeof(opts), .usage_key = "ci",
		.client_context = "{\"custom\": {\"a\": 1}}" },
			    bad = { sizeof(bad), .client_context = "[1]" },
			    worse = { sizeof(worse), .usage_key = "\xff" };
	nova_usage_list_opts of_key = NOVA_USAGE_LIST_OPTS_INIT;
	const nova_usage **usage = NULL;
	nova_job_t *job = NULL;
	size_t count = 0;
	redis_start(NULL, NULL);
	struct platform p = platform_open(
		"redis.addr", redis_address, "redis.timeout", "5s", "usage.record", "on", NULL);
	platform_add(p.nova, "f", "shell", tell);
	ck_fails(NOVA_EINVAL, nova_job_submit(p.nova, "f", NULL, &bad, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_job_submit(p.nova, "f", NULL, &worse, NULL, &error));
	ck_ok(nova_job_submit(p.nova, "f", NULL, &opts, NULL, &error));
	ck_ok(nova_job_perform(p.nova, HANG_MS, NULL, &job, &error));
	ck_assert_str_eq(nova_job_output(job, NULL), opts.client_context);
	AUTO_FREE char *json = nova_job_to_json(job);
	ck_assert(strstr(json, "\"usage_key\":\"ci\"") &&
		  strstr(json, "\"client_context\":{\"custom\""));
	of_key.key = "ci";
	ck_ok(nova_usage_list(p.nova, &of_key, &usage, &count, &error));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(usage[0]->calls, 1);
	nova_usage_list_free(usage, count);
	nova_job_free(job);
	platform_close(&p);
}
END_TEST

START_TEST(a_job_is_given_whatever_a_call_may_be_given)
{
	static const char *const payloads[] = { "\"a\\u0000b\"", "[1e999,-0,123456789012345678901]",
		"{\"\":null}", "\"\\ud83d\\ude00\"" };
	nova_job_t *job = NULL;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "shell", "#!/bin/sh\ncat \"$1\"\n");
	for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
		ck_ok(nova_job_submit(p.nova, "f", payloads[i], NULL, NULL, &error));
		ck_ok(nova_job_perform(p.nova, HANG_MS, NULL, &job, &error));
		ck_assert_str_eq(nova_job_output(job, NULL), payloads[i]);
		nova_job_free(job);
	}
	platform_close(&p);
}
END_TEST

#define WORKERS 4
#define JOBS    40

static void *work(void *nova)
{
	uintptr_t count = 0;
	nova_job_t *job = NULL;
	while (nova_job_perform(nova, 0, NULL, &job, NULL) == 0 && job) {
		count += nova_job_state(job) == NOVA_JOB_DONE;
		nova_job_free(job);
	}
	return (void *)count;
}

START_TEST(threads_perform_each_job_once)
{
	pthread_t threads[WORKERS];
	uintptr_t all = 0;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	for (int i = 0; i < JOBS; i++)
		nova_job_free(submit(p.nova, "f", NULL));
	for (size_t i = 0; i < WORKERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, p.nova), 0);
	for (size_t i = 0; i < WORKERS; i++) {
		void *count;
		pthread_join(threads[i], &count);
		all += (uintptr_t)count;
	}
	ck_assert_uint_eq(all, JOBS);
	platform_close(&p);
}
END_TEST

/* --- what is wrong --- */

START_TEST(what_is_no_job_is_refused)
{
	nova_job_t *job = NULL;
	nova_job_opts o = NOVA_JOB_OPTS_INIT;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	ck_fails(NOVA_ENOTFOUND, nova_job_submit(p.nova, "g", NULL, NULL, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_job_submit(p.nova, "f", "{", NULL, NULL, &error));
	o.key = "";
	ck_fails_with(NOVA_EINVAL, "key:", nova_job_submit(p.nova, "f", NULL, &o, NULL, &error));
	o.key = "\xff";
	ck_fails_with(NOVA_EINVAL, "key:", nova_job_submit(p.nova, "f", NULL, &o, NULL, &error));
	o = (nova_job_opts){ sizeof(o), .lease_ms = 999 };
	ck_fails_with(
		NOVA_EINVAL, "lease_ms", nova_job_submit(p.nova, "f", NULL, &o, NULL, &error));
	o = (nova_job_opts){ sizeof(o), .attempts = 101 };
	ck_fails_with(
		NOVA_EINVAL, "attempts", nova_job_submit(p.nova, "f", NULL, &o, NULL, &error));
	ck_fails_with(NOVA_EINVAL, "id:", nova_job_get(p.nova, "x", &job, &error));
	ck_fails_with(NOVA_ENOTFOUND, "there is no job",
		nova_job_get(p.nova, "00000000-0000-4000-8000-000000000000", &job, &error));
	platform_close(&p);
}
END_TEST

START_TEST(without_redis_there_are_no_jobs)
{
	nova_job_t *job = NULL;
	struct platform p = platform_open(NULL);
	ck_fails_with(NOVA_ENOTSUP, "redis.addr", nova_job_perform(p.nova, 0, NULL, &job, &error));
	platform_close(&p);
}
END_TEST

START_TEST(a_server_that_is_lost_is_an_error_and_used_again_when_it_is_back)
{
	nova_job_t *job = NULL;
	struct platform p = a_host(); /* absent at the start is none */
	platform_add(p.nova, "f", "python", greet);
	ck_fails_with(NOVA_EIO, "is away", nova_job_submit(p.nova, "f", NULL, NULL, NULL, &error));
	redis_start(NULL, NULL);
	while (nova_job_submit(p.nova, "f", NULL, NULL, NULL, NULL) == NOVA_EIO)
		usleep(10000);
	redis_stop();
	ck_fails_with(NOVA_EIO, "is away", nova_job_perform(p.nova, 0, NULL, &job, &error));
	redis_start(NULL, NULL); /* it has forgotten everything */
	while (nova_job_perform(p.nova, 0, NULL, &job, NULL) == NOVA_EIO)
		usleep(10000);
	ck_assert_ptr_null(job);
	job = submit(p.nova, "f", NULL);
	ck_assert_int_eq(performs(p.nova, nova_job_id(job)), NOVA_JOB_DONE);
	nova_job_free(job);
	platform_close(&p);
}
END_TEST

START_TEST(a_job_whose_server_is_back_in_time_is_finished)
{
	redis_start("--appendonly", "yes");
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	nova_job_t *job = submit(p.nova, "f", NULL), *taken = take(&p);
	free(taken->output);
	taken->output = strdup("1");
	sleep(1); /* its file is written every second */
	redis_stop();
	redis_start("--appendonly", "yes");
	ck_ok(jobs_finish(p.nova->jobs, taken, JOB_DONE, &error));
	ck_assert_int_eq(taken->state, NOVA_JOB_DONE);
	nova_job_free(job);
	nova_job_free(taken);
	platform_close(&p);
}
END_TEST

START_TEST(a_server_that_takes_no_writes_is_named)
{
	redis_start("--replicaof", "127.0.0.1 1");
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	ck_fails_with(NOVA_EIO, "READONLY", nova_job_submit(p.nova, "f", NULL, NULL, NULL, &error));
	platform_close(&p);
}
END_TEST

START_TEST(what_answers_nonsense_gives_no_job)
{
	static const char *const answers[] = { NULL, "HTTP/1.1 400 Bad Request\r\n\r\n",
		"*2\r\n:1\r\n", "+PONG\r\n+PONG\r\n", "$-5\r\n", "*-1\r\n", ":1\r\n", "-\r\n",
		"+PONG\r\n", "*0\r\n", "*2\r\n$1\r\nx\r\n*0\r\n",
		"*1\r\n*2\r\n$1\r\nx\r\n*1\r\n*0\r\n",
		"*2\r\n$1\r\nx\r\n*2\r\n$2\r\nid\r\n$36\r\n00000000-0000-4000-8000-"
		"000000000000\r\n",
		"-LOADING\r\n", "$5\r\nother\r\n", "$4\r\nfull\r\n" };
	struct redis_fake fake;
	nova_job_t *job = NULL;
	redis_fake_start(&fake, answers[_i]);
	struct jobs *jobs = NULL;
	nova_config_t *config = vmtest_config(redis_directory);
	static const struct logger silent = { 0 };
	ck_ok(nova_config_set(config, "redis.addr", redis_address, &error));
	ck_ok(nova_config_set(config, "redis.timeout", "50ms", &error));
	ck_ok(jobs_open(config, &silent, &jobs, &error));
	struct nova_job wanted = { .function = (char[]){ "f" },
		.payload = (char[]){ "{}" },
		.key = (char[]){ "" },
		.usage_key = (char[]){ "" },
		.context = (char[]){ "" },
		.owner = (char[]){ "" },
		.if_label = (char[]){ "" } };
	memset(wanted.id, '0', JOB_ID - 1);
	ck_assert_int_lt(jobs_submit(jobs, &wanted, NULL), 0);
	ck_assert_int_lt(jobs_get(jobs, wanted.id, &job, NULL), 0);
	ck_assert_ptr_null(job);
	jobs_take(jobs, deadline_in_ms(100), NULL, &job, NULL); /* it may say that there is none */
	ck_assert_ptr_null(job);
	jobs_close(jobs);
	nova_config_free(config);
	redis_fake_stop(&fake);
}
END_TEST
#define ANSWERS 16

/* --- the log of calls --- */

START_TEST(calls_are_copied_to_a_stream_of_their_function)
{
	nova_function_t *f = NULL;
	nova_result_t *result = NULL;
	char *data = NULL;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(
		p.nova, "f", "python", "print('n\xc3\xb6')\ndef handler(event):\n    return 1\n");
	ck_ok(nova_function_get(p.nova, "f", &f, &error));
	for (int i = 0; i < 3; i++) {
		ck_ok(nova_invoke(p.nova, "f", NULL, NULL, &result, &error));
		nova_result_free(STEAL(result));
	}
	const nova_invocation **calls = NULL; /* who reads has them written before */
	size_t count = 0;
	ck_ok(nova_invocation_list(p.nova, NULL, &calls, &count, &error));
	AUTO_FREE char *key = str_format("nova:logs:%s", nova_function_id(f));
	ck_assert_int_eq(number(&p, "XLEN", key), 3);
	ck_assert_int_gt(number(&p, "TTL", key), 86000);
	ck_assert_int_le(number(&p, "TTL", key), 86400);
	const char *const last[] = { "EVAL",
		"return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][2][2]", "1",
		key };
	ask_server(&p, last, ARRAY_LEN(last), take_text, &data);
	AUTO_FREE char *id = str_format("{\"id\":\"%s\",", calls[0]->request_id);
	ck_assert_msg(str_starts(data, id), "%s", data);
	ck_assert(strstr(data, "\"function_name\":\"f\"") && strstr(data, "\"success\":true"));
	free(data);
	nova_invocation_list_free(calls, count);
	nova_function_free(f);
	platform_close(&p);
}
END_TEST

START_TEST(calls_are_logged_whether_the_server_is_there_or_not)
{
	nova_result_t *result = NULL;
	const nova_invocation **calls = NULL;
	nova_function_t *f = NULL;
	size_t count = 0;
	redis_start(NULL, NULL);
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	ck_ok(nova_function_get(p.nova, "f", &f, &error));
	AUTO_FREE char *key = str_format("nova:logs:%s", nova_function_id(f));
	redis_stop();
	ck_ok(nova_invoke(p.nova, "f", NULL, NULL, &result, &error));
	nova_result_free(STEAL(result));
	ck_ok(nova_invocation_list(p.nova, NULL, &calls, &count, &error));
	ck_assert_uint_eq(count, 1);
	nova_invocation_list_free(calls, count);
	redis_start(NULL, NULL);
	do { /* those from then on */
		ck_ok(nova_invoke(p.nova, "f", NULL, NULL, &result, &error));
		nova_result_free(STEAL(result));
		ck_ok(nova_invocation_list(p.nova, NULL, &calls, &count, &error));
		nova_invocation_list_free(calls, count);
	} while (!number(&p, "EXISTS", key));
	nova_function_free(f);
	platform_close(&p);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("job");
	TCase *tc = tcase_create("job");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, redis_set_up, redis_tear_down);
	tcase_add_test(tc, a_job_is_performed_by_another_host_which_leaves_its_answer);
	tcase_add_test(tc, two_submits_with_one_key_are_one_job);
	tcase_add_test(tc, what_fails_is_tried_again_and_then_dead);
	tcase_add_test(tc, what_can_only_fail_again_is_dead_at_once);
	tcase_add_test(tc, a_job_for_which_there_is_no_room_is_dead_and_says_why);
	tcase_add_loop_test(
		tc, a_function_that_belongs_to_somebody_else_by_then_is_not_called, 0, 6);
	tcase_add_test(tc, a_key_is_its_owners_until_the_job_is_forgotten);
	tcase_add_test(tc, a_job_of_an_earlier_library_is_performed);
	tcase_add_test(tc, a_job_whose_worker_is_lost_goes_to_the_next);
	tcase_add_test(tc, a_job_that_all_its_workers_die_of_is_dead);
	tcase_add_test(tc, what_has_become_of_a_job_is_told_again_to_who_asks_again);
	tcase_add_test(tc, a_job_that_was_given_without_an_answer_is_given_again);
	tcase_add_test(tc, who_begins_too_late_has_no_job);
	tcase_add_test(tc, a_lease_is_seen_to_be_over_however_many_are_not);
	tcase_add_test(tc, what_a_host_cannot_do_is_no_attempt_and_it_rests);
	tcase_add_test(tc, a_host_that_lacks_what_runs_a_function_kills_no_job);
	tcase_add_test(tc, keys_of_functions_do_not_meet);
	tcase_add_loop_test(tc, who_waits_is_given_what_comes, 0, 2);
	tcase_add_test(tc, waiting_can_be_ended_and_a_call_that_is_ended_waits_again);
	tcase_add_test(tc, a_job_has_its_callers_context_and_counts_as_the_usage_of_a_key);
	tcase_add_test(tc, a_job_is_given_whatever_a_call_may_be_given);
	tcase_add_test(tc, threads_perform_each_job_once);
	tcase_add_test(tc, what_is_no_job_is_refused);
	tcase_add_test(tc, without_redis_there_are_no_jobs);
	tcase_add_test(tc, a_server_that_is_lost_is_an_error_and_used_again_when_it_is_back);
	tcase_add_test(tc, a_job_whose_server_is_back_in_time_is_finished);
	tcase_add_test(tc, a_server_that_takes_no_writes_is_named);
	tcase_add_loop_test(tc, what_answers_nonsense_gives_no_job, 0, ANSWERS);
	add_tests_of_lists(tc);
	tcase_add_test(tc, calls_are_copied_to_a_stream_of_their_function);
	tcase_add_test(tc, calls_are_logged_whether_the_server_is_there_or_not);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
