/* SPDX-License-Identifier: MIT */
/* Limits: the arithmetic, a real Redis that several share, and servers that are none. */
#include "module/redis.h"
#include "rate/internal.h"
#include "../redisserver.h"

#define DAY_US  UINT64_C(86400000000)
#define HANG_MS 20000

static nova_error_t *error;

/* --- one bucket --- */

static const struct rate ten_a_second = { 10, 1000000, 5 };

START_TEST(a_bucket_is_full_at_first_and_fills_by_the_microsecond)
{
	struct level l = { 0 };
	level_let_in(&l, &ten_a_second, 1000);
	ck_assert_uint_eq(level_take(&l, 5), 0);
	ck_assert_uint_eq(level_take(&l, 1), 100000);
	level_let_in(&l, &ten_a_second, 1000 + 99999);
	ck_assert_uint_eq(level_take(&l, 1), 1);
	level_let_in(&l, &ten_a_second, 1000 + 100000);
	ck_assert_uint_eq(level_take(&l, 1), 0);
	ck_assert_uint_eq(level_take(&l, 3), 300000);
}
END_TEST

START_TEST(a_bucket_never_holds_more_than_its_burst)
{
	static const struct rate largest = { 1000000, DAY_US, 1000000 };
	struct level l = { 0 };
	level_let_in(&l, &ten_a_second, 0);
	level_let_in(&l, &ten_a_second, UINT64_MAX);
	ck_assert_uint_eq(level_take(&l, 5), 0);
	ck_assert_uint_ne(level_take(&l, 1), 0);
	l = (struct level){ 0 };
	level_let_in(&l, &largest, 0);
	ck_assert_uint_eq(level_take(&l, 1000000), 0);
	level_let_in(&l, &largest, UINT64_MAX);
	ck_assert_uint_eq(level_take(&l, 1000000), 0);
	ck_assert_uint_eq(level_take(&l, 1), DAY_US / 1000000);
}
END_TEST

START_TEST(another_limit_forgives_nothing)
{
	static const struct rate a_day = { 10, DAY_US, 5 }, more = { 10, DAY_US, 100 };
	struct level l = { 0 };
	level_let_in(&l, &ten_a_second, 0);
	ck_assert_uint_eq(level_take(&l, 4), 0);
	level_let_in(&l, &a_day, 0);
	ck_assert_uint_eq(level_take(&l, 1), 0);
	ck_assert_uint_eq(level_take(&l, 1), DAY_US / 10);
	level_let_in(&l, &more, 0);
	ck_assert_uint_eq(level_take(&l, 95), 0);
	ck_assert_uint_eq(level_take(&l, 1), DAY_US / 10);
	level_let_in(&l, &a_day, 0); /* 100 of 5 are used */
	ck_assert_uint_eq(level_take(&l, 1), 96 * (DAY_US / 10));
	level_let_in(&l, &more, 0);
	ck_assert_uint_eq(level_take(&l, 1), DAY_US / 10);
	level_let_in(&l, &ten_a_second, DAY_US); /* ten have come by then */
	level_let_in(&l, &more, DAY_US);
	ck_assert_uint_eq(level_take(&l, 10), 0);
	ck_assert_uint_ne(level_take(&l, 1), 0);
}
END_TEST

/* --- addresses --- */

START_TEST(an_address_is_a_name_or_a_number_with_a_port_or_a_path)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = {
		{ "localhost:6380", "localhost", "6380" },
		{ "redis.example", "redis.example", "6379" },
		{ "[::1]:1", "::1", "1" },
		{ "[::1]", "::1", "6379" },
		{ "/run/redis.sock", NULL, "/run/redis.sock" },
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct redis_address a;
		ck_ok(redis_address_read(good[i].text, &a, &error));
		ck_assert_pstr_eq(a.host, good[i].host);
		ck_assert_str_eq(a.port, good[i].port);
		redis_address_clear(&a);
	}
}
END_TEST

START_TEST(what_is_no_address_is_refused_with_an_example)
{
	static const char *const bad[] = { "", ":6379", "a:b", "a:0", "a:65536", "a:1:2", "a b:1",
		"no such:place", "[::1", "[::1]x", "a:99999999999999999999", "redis://a:1" };
	struct redis_address a;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_fails_with(NOVA_EINVAL, "redis.addr: ", redis_address_read(bad[i], &a, &error));
	ck_fails_with(NOVA_ENOTSUP, "TLS", redis_address_read("rediss://a:1", &a, &error));
}
END_TEST

/* --- a server, and hosts --- */

static char told[4096];

static void on_log(void *userdata, int level, const char *module, const char *message)
{
	(void)userdata;
	if (level <= NOVA_LOG_WARN && !strcmp(module, "redis"))
		snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s\n", message);
}
static const struct logger logger = { on_log, NULL, NOVA_LOG_DEBUG };

static size_t warnings(void)
{
	size_t count = 0;
	for (const char *at = told; (at = strchr(at, '\n')); at++)
		count++;
	return count;
}

static void set_up(void)
{
	redis_set_up();
	*told = 0;
}

static nova_config_t *settings(const char *password, const char *db)
{
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "redis.addr", redis_address, &error));
	ck_ok(nova_config_set(config, "redis.password", password, &error));
	ck_ok(nova_config_set(config, "redis.db", db, &error));
	ck_ok(nova_config_set(config, "redis.timeout", "5s", &error));
	return config;
}

static int open_with(nova_config_t *config, struct rates **ret)
{
	int code = rates_open(config, &logger, ret, &error);
	nova_config_free(config);
	return code;
}

static struct rates *a_host(void)
{
	struct rates *rates;
	ck_ok(open_with(settings(NULL, NULL), &rates));
	return rates;
}

/* How many it gets, one by one. */
static unsigned takes(struct rates *rates, const struct rate *limit, unsigned most)
{
	uint64_t wait_us = 0;
	unsigned count = 0;
	while (count < most && rates_take(rates, "x", limit, 1, &wait_us) == 0)
		count++;
	ck_assert(count == most || wait_us > 0);
	return count;
}

static const struct rate hundred_a_day = { 100, DAY_US, 100 };

START_TEST(what_is_owed_beyond_a_burst_stays_owed)
{
	uint64_t wait_us;
	nova_config_t *config;
	struct rates *rates;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(open_with(config, &rates));
	rates_owe(rates, "x", 1000);
	ck_assert_int_eq(rates_take(rates, "x", &hundred_a_day, 1, &wait_us), 0);
	ck_assert_int_eq(rates_take(rates, "x", &hundred_a_day, 1, &wait_us), NOVA_ELIMIT);
	ck_assert_uint_gt(wait_us, DAY_US / 2); /* for a whole burst again */
	rates_close(rates);
}
END_TEST

START_TEST(hosts_take_from_one_bucket)
{
	uint64_t wait_us = 0;
	redis_start(NULL, NULL);
	struct rates *a = a_host(), *b = a_host();
	ck_assert_uint_eq(takes(a, &hundred_a_day, 60), 60);
	ck_assert_uint_eq(takes(b, &hundred_a_day, 1000), 40);
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1), 0);
	ck_assert_int_eq(rates_take(a, "x", &hundred_a_day, 1, &wait_us), NOVA_ELIMIT);
	ck_assert_uint_le(wait_us, DAY_US / 100);
	ck_assert_uint_ge(wait_us, DAY_US / 100 - HANG_MS * 1000);
	ck_assert_int_eq(rates_take(a, "y", &hundred_a_day, 100, &wait_us), 0);
	ck_assert_int_eq(rates_take(b, "y", &hundred_a_day, 1, &wait_us), NOVA_ELIMIT);
	rates_close(a);
	rates_close(b);
	ck_assert_uint_eq(warnings(), 0);
}
END_TEST

static void on_info(void *userdata, const redisReply *reply)
{
	static const char name[] = "cmdstat_eval:calls=";
	ck_assert(reply && reply->type == REDIS_REPLY_STRING);
	const char *at = strstr(reply->str, name);
	*(uint64_t *)userdata = at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* How often a script has run on the server. */
static uint64_t questions(void)
{
	static const char *const words[] = { "INFO", "commandstats" };
	static const struct redis_use use = { "tests fail", 1 << 20 };
	struct redis *redis;
	uint64_t count = UINT64_MAX;
	nova_config_t *config = settings(NULL, NULL);
	ck_ok(redis_open(config, &use, &logger, &redis, &error));
	ck_assert(redis_send(redis, words, 2, on_info, &count));
	while (count == UINT64_MAX) {
		poll(NULL, 0, 1);
		redis_step(redis);
	}
	redis_close(redis);
	nova_config_free(config);
	return count;
}

START_TEST(many_are_taken_for_one_question)
{
	static const struct rate quick = { 100000, 1000000, 100000 };
	redis_start(NULL, NULL);
	struct rates *a = a_host();
	ck_assert_uint_eq(takes(a, &quick, 50000), 50000);
	rates_close(a);
	ck_assert_uint_ge(questions(), 5);
	ck_assert_uint_le(questions(), 20); /* 10000 at a time, asked for while half are there */
}
END_TEST

START_TEST(all_that_hosts_take_is_at_most_a_tenth_of_a_second_too_much)
{
	static const struct rate limit = { 1000, 1000000, 1000 };
	unsigned count = 0;
	redis_start(NULL, NULL);
	struct rates *a = a_host(), *b = a_host();
	uint64_t begun = clock_ns(), took_ms = 0;
	while (took_ms < 500) {
		count += takes(a, &limit, 3) + takes(b, &limit, 3);
		took_ms = (clock_ns() - begun) / 1000000;
	}
	/* what was there, what came, and nothing that a host holds ahead is counted */
	ck_assert_uint_le(count, 1000 + took_ms + 1);
	ck_assert_uint_ge(count, 1000 + 300);
	rates_close(a);
	rates_close(b);
}
END_TEST

START_TEST(another_limit_forgives_nothing_for_all_hosts)
{
	static const struct rate more = { 100, DAY_US, 150 }, less = { 100, DAY_US / 2, 110 };
	redis_start(NULL, NULL);
	struct rates *a = a_host(), *b = a_host();
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100);
	ck_assert_uint_eq(takes(b, &more, 1000), 50);
	ck_assert_uint_eq(takes(b, &less, 1000), 0);
	rates_close(a);
	rates_close(b);
}
END_TEST

START_TEST(a_larger_limit_holds_at_once_and_a_smaller_one_too)
{
	static const struct rate quick = { 100000, 1000000, 100000 };
	redis_start(NULL, NULL);
	struct rates *a = a_host();
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100);
	ck_assert_uint_ge(takes(a, &quick, 50000), 50000);
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 0);
	rates_close(a);
}
END_TEST

START_TEST(without_a_server_each_host_counts_by_itself_and_says_so_once)
{
	struct rates *a = a_host(), *b = a_host();
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100);
	ck_assert_uint_eq(takes(b, &hundred_a_day, 1000), 100);
	ck_assert_uint_eq(warnings(), 2); /* each */
	ck_assert(strstr(told, "goes on by itself"));
	rates_close(a);
	rates_close(b);
}
END_TEST

/* Until the host uses the server again, its own bucket decides. */
static void await_server(struct rates *rates)
{
	uint64_t wait_us, before = questions();
	while (questions() == before) {
		poll(NULL, 0, 10);
		rates_take(rates, "other", &hundred_a_day, 1, &wait_us);
	}
}

START_TEST(a_server_that_comes_back_is_used_again_and_gives_no_second_burst)
{
	redis_start(NULL, NULL);
	struct rates *a = a_host();
	ck_assert_uint_eq(takes(a, &hundred_a_day, 70), 70);
	redis_stop();
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 30);
	ck_assert_uint_eq(warnings(), 1);
	redis_start(NULL, NULL);
	await_server(a);
	ck_assert_uint_eq(warnings(), 1);
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100); /* it has forgotten */
	rates_close(a);
}
END_TEST

START_TEST(a_server_is_found_again_however_rarely_it_is_asked)
{
	nova_config_t *config = settings(NULL, NULL);
	struct rates *a;
	uint64_t wait_us;
	ck_ok(nova_config_set(config, "redis.timeout", "20ms", &error));
	ck_ok(open_with(config, &a));
	redis_start(NULL, NULL);
	while (questions() == 0) {
		poll(NULL, 0, 30); /* longer than it may take to answer */
		rates_take(a, "x", &hundred_a_day, 1, &wait_us);
	}
	rates_close(a);
}
END_TEST

START_TEST(a_server_that_hangs_is_waited_for_once)
{
	nova_config_t *config = settings(NULL, NULL);
	struct rates *a;
	ck_ok(nova_config_set(config, "redis.timeout", "50ms", &error));
	redis_start(NULL, NULL);
	ck_ok(open_with(config, &a));
	kill(redis_server, SIGSTOP);
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100);
	ck_assert_uint_eq(warnings(), 1);
	ck_assert(strstr(told, "redis.timeout"));
	kill(redis_server, SIGCONT);
	await_server(a);
	rates_close(a);
}
END_TEST

static void *take_one(void *userdata)
{
	uint64_t wait_us;
	return (void *)(intptr_t)rates_take(userdata, "asks", &hundred_a_day, 1, &wait_us);
}

static bool is_asked(struct rates *rates, const char *name)
{
	pthread_mutex_lock(&rates->lock);
	bool asked = bucket_get(&rates->buckets, name)->asked;
	pthread_mutex_unlock(&rates->lock);
	return asked;
}

/* One asks a server that hangs, and waits for far longer than a test may; others spend what they
 * have, and are refused what they were refused. */
START_TEST(while_one_waits_for_a_server_that_hangs_others_do_not)
{
	static const struct rate quick = { 1000000, 1000000, 1000000 };
	nova_config_t *config = settings(NULL, NULL);
	struct rates *a;
	pthread_t thread;
	uint64_t wait_us;
	ck_ok(nova_config_set(config, "redis.timeout", "60s", &error));
	redis_start(NULL, NULL);
	ck_ok(open_with(config, &a));
	ck_assert_int_eq(rates_take(a, "has", &quick, 1, &wait_us), 0); /* and 99999 ahead */
	ck_assert_int_eq(rates_take(a, "has none", &hundred_a_day, 100, &wait_us), 0);
	ck_assert_int_eq(rates_take(a, "has none", &hundred_a_day, 1, &wait_us), NOVA_ELIMIT);
	kill(redis_server, SIGSTOP);
	ck_assert_int_eq(pthread_create(&thread, NULL, take_one, a), 0);
	while (!is_asked(a, "asks"))
		sched_yield();
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(rates_take(a, "has", &quick, 90, &wait_us), 0);
	ck_assert_int_eq(rates_take(a, "has none", &hundred_a_day, 1, &wait_us), NOVA_ELIMIT);
	ck_assert(is_asked(a, "asks"));
	kill(redis_server, SIGCONT);
	void *code;
	pthread_join(thread, &code);
	ck_assert_ptr_null(code);
	ck_assert_uint_eq(warnings(), 0);
	rates_close(a);
}
END_TEST

START_TEST(a_password_or_database_that_is_wrong_is_an_error_when_it_is_opened)
{
	struct rates *a;
	redis_start("--requirepass", "open sesame");
	ck_fails_with(NOVA_EPERM, "redis.password", open_with(settings(NULL, NULL), &a));
	ck_fails_with(NOVA_EPERM, "redis.password", open_with(settings("wrong", NULL), &a));
	ck_fails_with(NOVA_EPERM, "redis.db", open_with(settings("open sesame", "999"), &a));
	ck_ok(open_with(settings("open sesame", "3"), &a));
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100);
	rates_close(a);
}
END_TEST

START_TEST(a_server_that_takes_no_writes_is_told_of_once)
{
	redis_start("--replicaof", "127.0.0.1 1");
	struct rates *a = a_host();
	ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100);
	ck_assert_uint_eq(warnings(), 1);
	ck_assert_msg(strstr(told, "READONLY"), "%s", told);
	rates_close(a);
}
END_TEST

/* --- what is no server --- */

START_TEST(what_answers_nonsense_is_no_server)
{
	static const char *const answers[] = { NULL, "HTTP/1.1 400 Bad Request\r\n\r\n",
		"*2\r\n:1\r\n", "+PONG\r\n+PONG\r\n", "$-5\r\n", "*-1\r\n", ":1\r\n", "-\r\n",
		"+PONG\r\n", "*2\r\n:0\r\n:0\r\n", "*2\r\n:0\r\n:-5\r\n", "*2\r\n:-5\r\n:0\r\n",
		"-LOADING\r\n" };
	nova_config_t *config = settings(NULL, NULL);
	struct rates *a = NULL;
	struct redis_fake fake;
	redis_fake_start(&fake, answers[_i]);
	ck_ok(nova_config_set(config, "redis.timeout", "50ms", &error));
	if (open_with(config, &a) == 0)
		ck_assert_uint_eq(takes(a, &hundred_a_day, 1000), 100);
	else
		ck_fails(NOVA_EPERM, nova_error_code(error));
	rates_close(a);
	redis_fake_stop(&fake);
}
END_TEST

/* --- threads --- */

static void *take_many(void *userdata)
{
	uint64_t wait_us;
	uintptr_t count = 0;
	for (unsigned i = 0; i < 2000; i++)
		count += rates_take(userdata, "x", &hundred_a_day, 1, &wait_us) == 0;
	return (void *)count;
}

START_TEST(threads_take_each_token_once)
{
	pthread_t threads[4];
	uintptr_t all = 0;
	redis_start(NULL, NULL);
	struct rates *a = a_host();
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_many, a), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *count;
		pthread_join(threads[i], &count);
		all += (uintptr_t)count;
	}
	ck_assert_uint_eq(all, 100);
	rates_close(a);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("rate");
	TCase *tc = tcase_create("bucket");
	tcase_add_test(tc, a_bucket_is_full_at_first_and_fills_by_the_microsecond);
	tcase_add_test(tc, a_bucket_never_holds_more_than_its_burst);
	tcase_add_test(tc, another_limit_forgives_nothing);
	tcase_add_test(tc, what_is_owed_beyond_a_burst_stays_owed);
	suite_add_tcase(suite, tc);
	tc = tcase_create("address");
	tcase_add_test(tc, an_address_is_a_name_or_a_number_with_a_port_or_a_path);
	tcase_add_test(tc, what_is_no_address_is_refused_with_an_example);
	suite_add_tcase(suite, tc);
	tc = tcase_create("server");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, redis_tear_down);
	tcase_add_test(tc, hosts_take_from_one_bucket);
	tcase_add_test(tc, many_are_taken_for_one_question);
	tcase_add_test(tc, all_that_hosts_take_is_at_most_a_tenth_of_a_second_too_much);
	tcase_add_test(tc, another_limit_forgives_nothing_for_all_hosts);
	tcase_add_test(tc, a_larger_limit_holds_at_once_and_a_smaller_one_too);
	tcase_add_test(tc, without_a_server_each_host_counts_by_itself_and_says_so_once);
	tcase_add_test(tc, a_server_that_comes_back_is_used_again_and_gives_no_second_burst);
	tcase_add_test(tc, a_server_is_found_again_however_rarely_it_is_asked);
	tcase_add_test(tc, a_server_that_hangs_is_waited_for_once);
	tcase_add_test(tc, while_one_waits_for_a_server_that_hangs_others_do_not);
	tcase_add_test(tc, a_password_or_database_that_is_wrong_is_an_error_when_it_is_opened);
	tcase_add_test(tc, a_server_that_takes_no_writes_is_told_of_once);
	tcase_add_loop_test(tc, what_answers_nonsense_is_no_server, 0, 13);
	tcase_add_test(tc, threads_take_each_token_once);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(make_suite)
