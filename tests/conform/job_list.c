/* SPDX-License-Identifier: MIT */
/* Jobs by pages: nova_job_list(). */
#include "conform/jobhost.h"

#define STATE(state) (1u << NOVA_JOB_##state)

/* --- short ways --- */

struct page {
	nova_job_t **jobs;
	size_t count;
	uint64_t next;
};

static struct page list(nova_t *nova, const nova_job_list_opts *opts)
{
	struct page page = { NULL };
	ck_ok(nova_job_list(nova, opts, &page.jobs, &page.count, &page.next, &error));
	ck_assert_int_eq(!page.jobs, !page.count);
	return page;
}

static void page_free(struct page *page)
{
	nova_job_list_free(page->jobs, page->count);
}

/* How many there are, by pages of the least that finds an error of their ends. */
static size_t count_jobs(nova_t *nova, nova_job_list_opts opts)
{
	size_t count = 0;
	opts.limit = 2;
	do {
		struct page page = list(nova, &opts);
		ck_assert_uint_le(page.count, 2);
		count += page.count;
		opts.cursor = page.next;
		page_free(&page);
	} while (opts.cursor);
	return count;
}

static size_t count_of(nova_t *nova, const char *function, const char *owner, uint32_t states)
{
	const nova_job_list_opts opts = { sizeof(opts), .function = function, .owner = owner,
		.states = states };
	return count_jobs(nova, opts);
}

static char *submit(nova_t *nova, const char *function, const char *owner)
{
	const nova_job_opts opts = { sizeof(opts), .owner = owner, .attempts = 1 };
	nova_job_t *job = NULL;
	ck_ok(nova_job_submit(nova, function, "{\"a\":1}", &opts, &job, &error));
	char *id = strdup(nova_job_id(job));
	nova_job_free(job);
	return id;
}

static void submit_some(nova_t *nova, const char *function, const char *owner, int count)
{
	for (int i = 0; i < count; i++)
		free(submit(nova, function, owner));
}

/* The oldest one that waits. */
static void perform(nova_t *nova, int state)
{
	nova_job_t *job = NULL;
	ck_ok(nova_job_perform(nova, 60000, NULL, &job, &error));
	ck_assert_int_eq(nova_job_state(job), state);
	nova_job_free(job);
}

/* A command of four words at most, by which the server is made what time would make of it. */
static long long change(const struct platform *p, const char *command, const char *key,
	const char *a, const char *b)
{
	const char *const words[] = { command, key, a, b };
	long long changed = -1;
	ask_server(p, words, b ? 4 : a ? 3 : 2, take_number, &changed);
	return changed;
}

static int take_nothing(void *userdata, const struct redisReply *reply, nova_error_t **ret_error)
{
	(void)userdata, (void)reply, (void)ret_error;
	return 0;
}

/* --- the tests --- */

START_TEST(many_jobs_are_listed_by_pages_the_newest_first)
{
	size_t many = getenv("NOVA_TEST_LONG") ? 20000 : 2500, seen = 0;
	nova_job_list_opts opts = NOVA_JOB_LIST_OPTS_INIT;
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	char **ids = calloc(many, sizeof(*ids));
	for (size_t i = 0; i < many; i++)
		ids[i] = submit(p.nova, "f", NULL);
	opts.limit = 700;
	do {
		struct page page = list(p.nova, &opts);
		for (size_t i = 0; i < page.count; i++, seen++) {
			ck_assert_uint_lt(seen, many);
			ck_assert_str_eq(nova_job_id(page.jobs[i]), ids[many - 1 - seen]);
		}
		ck_assert_uint_eq(page.count, seen < many ? 700 : many % 700);
		opts.cursor = page.next;
		page_free(&page);
		free(submit(p.nova, "f", NULL)); /* which moves no page */
	} while (opts.cursor);
	ck_assert_uint_eq(seen, many);
	for (size_t i = 0; i < many; i++)
		free(ids[i]);
	free(ids);
	platform_close(&p);
}
END_TEST

START_TEST(a_list_has_the_jobs_of_a_function_an_owner_and_states)
{
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	platform_add(p.nova, "ff", "python", "def handler(event):\n    raise ValueError()\n");
	nova_function_t *version = NULL;
	ck_ok(nova_function_publish(p.nova, "f", &version, &error));
	nova_function_free(version);
	submit_some(p.nova, "f", "ann", 1);
	submit_some(p.nova, "ff", "ann", 1);
	submit_some(p.nova, "f:1", "bob", 3);
	submit_some(p.nova, "f", NULL, 4);
	perform(p.nova, NOVA_JOB_DONE);
	perform(p.nova, NOVA_JOB_DEAD);
	const struct {
		const char *function, *owner;
		uint32_t states;
		size_t count;
	} cases[] = {
		{ NULL, NULL, 0, 9 },
		{ "f", NULL, 0, 8 },
		{ "f:1", NULL, 0, 3 },
		{ "ff", NULL, 0, 1 },
		{ "g", NULL, 0, 0 },
		{ NULL, "ann", 0, 2 },
		{ NULL, "bob", 0, 3 },
		{ NULL, "", 0, 4 },
		{ NULL, "an", 0, 0 },
		{ NULL, NULL, STATE(WAITING), 7 },
		{ NULL, NULL, STATE(DONE) | STATE(DEAD), 2 },
		{ NULL, NULL, STATE(RUNNING), 0 },
		{ "f", "ann", STATE(DONE), 1 },
		{ "f", "ann", STATE(WAITING), 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_uint_eq(
			count_of(p.nova, cases[i].function, cases[i].owner, cases[i].states),
			cases[i].count);
	platform_close(&p);
}
END_TEST

START_TEST(a_listed_job_has_all_but_what_may_be_large)
{
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	char *id = submit(p.nova, "f", "ann");
	perform(p.nova, NOVA_JOB_DONE);
	struct page page = list(p.nova, NULL);
	ck_assert_uint_eq(page.count, 1);
	ck_assert_uint_eq(page.next, 0);
	nova_job_t *found = NULL;
	ck_ok(nova_job_get(p.nova, id, &found, &error));
	AUTO_FREE char *listed = nova_job_to_json(page.jobs[0]), *whole = nova_job_to_json(found);
	char *large = strstr(whole, ",\"payload\":{\"a\":1},\"output\":"), *rest = NULL;
	ck_assert_ptr_nonnull(large);
	rest = strstr(large, ",\"error\":");
	memmove(large, rest, strlen(rest) + 1);
	ck_assert_str_eq(listed, whole);
	ck_assert_ptr_null(nova_job_output(page.jobs[0], NULL));
	nova_job_free(found);
	page_free(&page);
	free(id);
	platform_close(&p);
}
END_TEST

START_TEST(a_page_is_bounded_by_bytes)
{
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	AUTO_FREE char *large = calloc(400001, 1);
	memset(large, 'x', 400000);
	for (int i = 0; i < 7; i++) {
		AUTO_FREE char *id = submit(p.nova, "f", NULL);
		AUTO_FREE char *key = str_format("nova:job:%s", id);
		ck_assert_int_eq(change(&p, "HSET", key, "error", large), 1);
	}
	struct page page = list(p.nova, NULL);
	ck_assert_uint_eq(page.count, 3);
	ck_assert_uint_ne(page.next, 0);
	page_free(&page);
	ck_assert_uint_eq(count_of(p.nova, NULL, NULL, 0), 7);
	platform_close(&p);
}
END_TEST

/* Time is not awaited: the hash is what expires, and when the rest goes is a number. */
START_TEST(what_is_forgotten_is_listed_no_more_and_leaves_nothing)
{
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	AUTO_FREE char *id = submit(p.nova, "f", "ann");
	AUTO_FREE char *key = str_format("nova:job:%s", id), *over = str_format("%sann", id);
	perform(p.nova, NOVA_JOB_DONE);
	ck_assert_uint_eq(count_of(p.nova, NULL, "ann", 0), 1);
	ck_assert_int_eq(change(&p, "DEL", key, NULL, NULL), 1);
	ck_assert_int_eq(change(&p, "ZADD", "nova:jobs:ended", "1", over), 0);
	nova_job_t *none = NULL;
	ck_ok(nova_job_perform(p.nova, 0, NULL, &none, &error));
	ck_assert_ptr_null(none);
	ck_assert_int_eq(number(&p, "ZCARD", "nova:jobs:ended"), 0);
	ck_assert_int_eq(number(&p, "ZCARD", "nova:jobs:all"), 0);
	ck_assert_int_eq(number(&p, "ZCARD", "nova:jobs:of:ann"), 0);
	platform_close(&p);
}
END_TEST

START_TEST(what_the_server_has_thrown_away_is_passed_over)
{
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	submit_some(p.nova, "f", NULL, 1);
	AUTO_FREE char *id = submit(p.nova, "f", NULL);
	AUTO_FREE char *key = str_format("nova:job:%s", id);
	ck_assert_int_eq(change(&p, "DEL", key, NULL, NULL), 1);
	ck_assert_uint_eq(count_of(p.nova, NULL, NULL, 0), 1);
	ck_assert_int_eq(number(&p, "ZCARD", "nova:jobs:all"), 1);
	platform_close(&p);
}
END_TEST

START_TEST(a_job_of_a_library_without_lists_is_listed_once_it_is_begun)
{
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	AUTO_FREE char *id = submit(p.nova, "f", NULL);
	AUTO_FREE char *key = str_format("nova:job:%s", id);
	ck_assert_int_eq(change(&p, "HDEL", key, "number", NULL), 1);
	ck_assert_int_eq(change(&p, "DEL", "nova:jobs:all", NULL, NULL), 1);
	ck_assert_int_eq(change(&p, "DEL", "nova:jobs:of:", NULL, NULL), 1);
	ck_assert_uint_eq(count_of(p.nova, NULL, NULL, 0), 0);
	perform(p.nova, NOVA_JOB_DONE);
	ck_assert_uint_eq(count_of(p.nova, NULL, NULL, 0), 1);
	ck_assert_uint_eq(count_of(p.nova, NULL, "", 0), 1);
	platform_close(&p);
}
END_TEST

static void refuse(nova_t *nova, int code, const char *words, const nova_job_list_opts *opts)
{
	nova_job_t **jobs = NULL;
	size_t count = 0;
	uint64_t next = 0;
	ck_fails_with(code, words, nova_job_list(nova, opts, &jobs, &count, &next, &error));
	ck_assert_ptr_null(jobs);
}

START_TEST(a_list_that_cannot_be_had_says_why)
{
	const struct {
		const char *words;
		nova_job_list_opts opts;
	} cases[] = {
		{ "function: the text is not UTF-8",
			{ sizeof(cases[0].opts), .function = "\xff" } },
		{ "function: the name is empty", { sizeof(cases[0].opts), .function = "" } },
		{ "owner:", { sizeof(cases[0].opts), .owner = "\xff" } },
		{ "cursor is 18446744073709551615",
			{ sizeof(cases[0].opts), .cursor = UINT64_MAX } },
		{ "states has bits 0x30", { sizeof(cases[0].opts), .states = 0x3f } },
		{ "limit is 1001", { sizeof(cases[0].opts), .limit = 1001 } },
	};
	nova_job_list_opts opts = NOVA_JOB_LIST_OPTS_INIT;
	nova_interrupt_t *interrupt = NULL;
	struct platform p = a_host(), without = platform_open(NULL);
	refuse(without.nova, NOVA_ENOTSUP, "redis.addr", NULL);
	refuse(p.nova, NOVA_EIO, "is away", NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(p.nova, NOVA_EINVAL, cases[i].words, &cases[i].opts);
	platform_close(&p);
	start_server();
	p = a_host();
	ck_ok(nova_interrupt_new(&interrupt, &error));
	nova_interrupt_trigger(interrupt);
	opts.interrupt = interrupt;
	refuse(p.nova, NOVA_ECANCELED, "jobs were listed", &opts);
	nova_interrupt_free(interrupt);
	platform_close(&p);
	platform_close(&without);
}
END_TEST

/* A replica, from now on, of a server that is not there. */
START_TEST(a_server_that_takes_no_writes_lists_nevertheless)
{
	static const char *const follow[] = { "REPLICAOF", "127.0.0.1", "1" };
	start_server();
	struct platform p = a_host();
	platform_add(p.nova, "f", "python", greet);
	submit_some(p.nova, "f", NULL, 1);
	AUTO_FREE char *id = submit(p.nova, "f", NULL);
	AUTO_FREE char *key = str_format("nova:job:%s", id);
	ck_assert_int_eq(change(&p, "DEL", key, NULL, NULL), 1);
	ask_server(&p, follow, ARRAY_LEN(follow), take_nothing, NULL);
	ck_fails_with(NOVA_EIO, "READONLY", nova_job_submit(p.nova, "f", NULL, NULL, NULL, &error));
	ck_assert_uint_eq(count_of(p.nova, NULL, NULL, 0), 1);
	ck_assert_int_eq(number(&p, "ZCARD", "nova:jobs:all"), 2);
	platform_close(&p);
}
END_TEST

void add_tests_of_lists(TCase *tc)
{
	tcase_add_test(tc, many_jobs_are_listed_by_pages_the_newest_first);
	tcase_add_test(tc, a_list_has_the_jobs_of_a_function_an_owner_and_states);
	tcase_add_test(tc, a_listed_job_has_all_but_what_may_be_large);
	tcase_add_test(tc, a_page_is_bounded_by_bytes);
	tcase_add_test(tc, what_is_forgotten_is_listed_no_more_and_leaves_nothing);
	tcase_add_test(tc, what_the_server_has_thrown_away_is_passed_over);
	tcase_add_test(tc, a_job_of_a_library_without_lists_is_listed_once_it_is_begun);
	tcase_add_test(tc, a_list_that_cannot_be_had_says_why);
	tcase_add_test(tc, a_server_that_takes_no_writes_lists_nevertheless);
}
