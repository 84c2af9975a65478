/* SPDX-License-Identifier: MIT */
/* What the log of calls must do, in a file and in a database. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <nova/invocation.h>

#include "conform/database.h"
#include "store/store.h"

static const struct store_ops *const stores[] = { &store_sqlite_log, &store_postgres };

static nova_error_t *error;
static const struct store_ops *ops;
static char *where, *path, *database;
static struct store *store;

static int open_one(struct store **ret_store, nova_error_t **ret_error)
{
	nova_config_t *config = settings_of(where);
	if (database && nova_config_set(config, "postgres.dsn", database, NULL) < 0)
		abort();
	int code = ops->open(config, ret_store, ret_error);
	nova_config_free(config);
	return code;
}

static void open_log(int which)
{
	ops = stores[which];
	where = test_dir();
	path = path_join(where, "log.db");
	database = ops == &store_postgres ? database_new() : NULL;
	ck_ok(open_one(&store, &error));
}

static void close_log(void)
{
	ops->close(store);
	store = NULL;
	nova_error_free(error);
	free(database);
	free(path);
	test_dir_remove(where);
}

#define TEXT(s) ((char *)(s)) /* records of tests own nothing */

static struct call_record sample(const char *function, uint64_t started_us)
{
	return (struct call_record){
		.request_id = TEXT("r1"),
		.function = TEXT(function),
		.id = TEXT("00000000-0000-4000-8000-000000000001"),
		.runtime = TEXT("python"),
		.instance = TEXT(""),
		.path = TEXT("classic"),
		.error = TEXT(""),
		.started_us = started_us,
		.version = 1,
	};
}

static int append_one(struct store *to, const struct call_record *r)
{
	return ops->calls->append(to, &r, 1, &error);
}

/* Many at once, all alike but for their times: 1, 2, 3 … */
static void append_many(size_t count, const char *function)
{
	static struct call_record records[500];
	static const struct call_record *all[500];
	for (size_t done = 0; done < count;) {
		size_t n = 0;
		for (; n < 500 && done < count; n++) {
			records[n] = sample(function, ++done);
			all[n] = &records[n];
		}
		ck_ok(ops->calls->append(store, all, n, &error));
	}
}

#define FILTER(...) (&(struct call_filter){ .most = 1000, __VA_ARGS__ })

/* What a filter does not say is not asked. */
static void list(const struct call_filter *filter, struct call_record **ret, size_t *ret_count)
{
	struct call_filter f = *filter;
	f.below = f.below ? f.below : INT64_MAX;
	f.until_us = f.until_us ? f.until_us : INT64_MAX;
	f.code_most = f.code_most ? f.code_most : INT32_MAX;
	ck_ok(ops->calls->list(store, &f, ret, ret_count, &error));
}

/* How many there are, and the first one. */
static size_t count_of(const struct call_filter *filter, struct call_record *ret_first)
{
	struct call_record *found;
	size_t count;
	list(filter, &found, &count);
	if (ret_first && count) {
		*ret_first = found[0];
		memset(&found[0], 0, sizeof(found[0]));
	}
	call_record_list_free(found, count);
	return count;
}

START_TEST(a_record_comes_back_as_it_was_written)
{
	static char big[1 << 20];
	open_log(_i);
	memset(big, 0xff, sizeof(big)); /* no UTF-8, and long */
	struct call_record r = sample("f", 1700000000000001), back;
	r.request_id = TEXT("'; DROP TABLE calls; --");
	r.error = TEXT("it \"failed\" with 'quotes', \x01 and \xc3\xa4 \\");
	r.instance = TEXT("01234567");
	r.out = (char[]){ "a\0b\xfe" };
	r.out_len = 4;
	r.err = big;
	r.err_len = sizeof(big);
	r.duration_us = 12345;
	r.input_size = 1;
	r.output_size = INT64_MAX;
	r.memory_peak = 4096;
	r.lost = 7;
	r.version = UINT32_MAX;
	r.code = (uint32_t)-NOVA_EFUNCTION;
	r.cold = r.cut = true;
	ck_ok(append_one(store, &r));
	ck_assert_uint_eq(count_of(FILTER(.function = "f"), &back), 1);
	ck_assert_uint_gt(back.number, 0);
	ck_assert_str_eq(back.request_id, r.request_id);
	ck_assert_str_eq(back.function, r.function);
	ck_assert_str_eq(back.id, r.id);
	ck_assert_str_eq(back.runtime, r.runtime);
	ck_assert_str_eq(back.instance, r.instance);
	ck_assert_str_eq(back.path, r.path);
	ck_assert_str_eq(back.error, r.error);
	ck_assert_uint_eq(back.out_len, 4);
	ck_assert_mem_eq(back.out, r.out, 5);
	ck_assert_uint_eq(back.err_len, sizeof(big));
	ck_assert_mem_eq(back.err, big, sizeof(big));
	ck_assert_uint_eq(back.started_us, r.started_us);
	ck_assert_uint_eq(back.duration_us, r.duration_us);
	ck_assert_uint_eq(back.input_size, r.input_size);
	ck_assert_uint_eq(back.output_size, r.output_size);
	ck_assert_uint_eq(back.memory_peak, r.memory_peak);
	ck_assert_uint_eq(back.lost, r.lost);
	ck_assert_uint_eq(back.version, r.version);
	ck_assert_uint_eq(back.code, r.code);
	ck_assert(back.cold && back.cut);
	call_record_clear(&back);
	close_log();
}
END_TEST

START_TEST(a_list_has_what_fits_all_that_is_asked)
{
	open_log(_i);
	for (uint64_t i = 1; i <= 8; i++) {
		struct call_record r = sample(i % 2 ? "odd" : "even", i * 10);
		AUTO_FREE char *id = str_format("r%d", (int)i / 3);
		r.request_id = id;
		r.version = (uint32_t)(i % 4);
		r.code = i > 6 ? 18 : 0;
		ck_ok(append_one(store, &r));
	}
	ck_assert_uint_eq(count_of(FILTER(.function = NULL), NULL), 8);
	ck_assert_uint_eq(count_of(FILTER(.function = "odd"), NULL), 4);
	ck_assert_uint_eq(count_of(FILTER(.function = "odd", .version = 3), NULL), 2);
	ck_assert_uint_eq(count_of(FILTER(.function = ""), NULL), 0);
	ck_assert_uint_eq(count_of(FILTER(.function = "odd' OR '1'='1"), NULL), 0);
	ck_assert_uint_eq(count_of(FILTER(.since_us = 30), NULL), 6);
	ck_assert_uint_eq(count_of(FILTER(.since_us = 30, .until_us = 50), NULL), 2);
	ck_assert_uint_eq(count_of(FILTER(.since_us = 1000), NULL), 0);
	ck_assert_uint_eq(count_of(FILTER(.code_least = 1), NULL), 2);
	ck_assert_uint_eq(count_of(FILTER(.code_least = 18, .code_most = 18), NULL), 2);
	ck_assert_uint_eq(count_of(FILTER(.code_least = 19), NULL), 0);
	ck_assert_uint_eq(count_of(FILTER(.request_id = "r1"), NULL), 3);
	ck_assert_uint_eq(count_of(FILTER(.request_id = "r1", .function = "odd"), NULL), 2);
	ck_assert_uint_eq(count_of(FILTER(.request_id = "none"), NULL), 0);
	close_log();
}
END_TEST

/* A record for each number, in both directions. */
static void walk(size_t total, bool oldest_first)
{
	size_t seen = 0;
	uint64_t last = oldest_first ? 0 : INT64_MAX;
	for (;;) {
		struct call_filter f = { .most = 1000, .oldest_first = oldest_first };
		struct call_record *found;
		size_t count;
		*(oldest_first ? &f.above : &f.below) = last;
		list(&f, &found, &count);
		for (size_t i = 0; i < count; i++) {
			ck_assert(oldest_first ? found[i].number > last : found[i].number < last);
			last = found[i].number;
			seen++;
			ck_assert_uint_eq(
				found[i].started_us, oldest_first ? seen : total - seen + 1);
		}
		call_record_list_free(found, count);
		if (!count)
			break;
	}
	ck_assert_uint_eq(seen, total);
}

START_TEST(pages_show_each_of_many_records_once)
{
	size_t total = getenv("NOVA_TEST_LONG") ? 1000000 : 20000;
	open_log(_i);
	append_many(total, "f");
	walk(total, true);
	walk(total, false);
	uint64_t begin = clock_ns();
	ck_assert_uint_eq(count_of(FILTER(.since_us = total - 4), NULL), 5);
	ck_assert_uint_eq(count_of(FILTER(.function = "none"), NULL), 0);
	printf("# of %zu the last ones, and none: %llu us\n", total,
		(unsigned long long)(clock_ns() - begin) / 1000);
	close_log();
}
END_TEST

#define LARGE (1u << 20)

START_TEST(a_page_of_large_records_ends_before_its_limit)
{
	char *output = malloc(LARGE);
	const size_t most = NOVA_INVOCATION_PAGE_BYTES / LARGE;
	memset(output, 'x', LARGE);
	struct call_record large = sample("f", 1);
	large.out = output;
	large.out_len = LARGE;
	open_log(_i);
	for (size_t i = 0; i < most + 4; i++)
		ck_ok(append_one(store, &large));
	for (int oldest = 0; oldest < 2; oldest++) {
		struct call_record *found;
		size_t count;
		list(FILTER(.oldest_first = oldest), &found, &count);
		ck_assert_uint_eq(count, most);
		uint64_t last = found[count - 1].number;
		call_record_list_free(found, count);
		const struct call_filter rest = { .most = 1000,
			.oldest_first = oldest,
			.above = oldest ? last : 0,
			.below = oldest ? 0 : last };
		ck_assert_uint_eq(count_of(&rest, NULL), 4);
	}
	large.err = output; /* one alone is never too large */
	large.err_len = LARGE;
	ck_ok(append_one(store, &large));
	const struct call_filter one = { .most = 1 };
	ck_assert_uint_eq(count_of(&one, NULL), 1);
	free(output);
	close_log();
}
END_TEST

START_TEST(calls_are_counted_by_function_with_their_percentiles)
{
	struct call_summary *s;
	size_t count;
	open_log(_i);
	for (uint64_t i = 1; i <= 100; i++) {
		struct call_record r = sample("b", i);
		r.duration_us = (i * 37 % 100 + 1) * 10; /* 10, 20 … 1000, in disorder */
		r.cold = i <= 3;
		r.code = i > 95 ? 19 : 0;
		ck_ok(append_one(store, &r));
	}
	struct call_record one = sample("a", 5);
	one.duration_us = 7;
	ck_ok(append_one(store, &one));
	ck_ok(ops->calls->summarize(store, NULL, 0, INT64_MAX, &s, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(s[0].function, "a");
	ck_assert_uint_eq(s[0].median_us, 7);
	ck_assert_uint_eq(s[0].p99_us, 7);
	ck_assert_str_eq(s[1].function, "b");
	ck_assert_uint_eq(s[1].calls, 100);
	ck_assert_uint_eq(s[1].errors, 5);
	ck_assert_uint_eq(s[1].cold, 3);
	ck_assert_uint_eq(s[1].median_us, 500);
	ck_assert_uint_eq(s[1].p95_us, 950);
	ck_assert_uint_eq(s[1].p99_us, 990);
	ck_assert_uint_eq(s[1].longest_us, 1000);
	call_summary_list_free(s, count);
	ck_ok(ops->calls->summarize(store, "b", 11, 21, &s, &count, &error));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(s[0].calls, 10);
	call_summary_list_free(s, count);
	ck_ok(ops->calls->summarize(store, "none", 0, INT64_MAX, &s, &count, &error));
	ck_assert_uint_eq(count, 0);
	ck_assert_ptr_null(s);
	close_log();
}
END_TEST

static uint64_t trim_all(uint64_t before_us, uint64_t most)
{
	uint64_t all = 0, removed = 1;
	while (removed) {
		ck_ok(ops->calls->trim(store, before_us, most, &removed, &error));
		ck_assert_uint_le(removed, 1000); /* others wait for no more than that */
		all += removed;
	}
	return all;
}

START_TEST(what_is_too_old_goes_in_portions_and_nothing_else)
{
	struct call_record first;
	open_log(_i);
	append_many(1500, "f");
	ck_assert_uint_eq(trim_all(0, INT64_MAX), 0);
	ck_assert_uint_eq(trim_all(1001, INT64_MAX), 1000);
	ck_assert_uint_eq(count_of(FILTER(.oldest_first = true), &first), 500);
	ck_assert_uint_eq(first.started_us, 1001);
	call_record_clear(&first);
	close_log();
}
END_TEST

START_TEST(what_is_too_much_goes_the_oldest_first_and_all_may_go)
{
	struct call_record first, one = sample("f", 1);
	uint64_t size = call_record_size(&one);
	open_log(_i);
	append_many(1500, "f");
	ck_assert_uint_eq(trim_all(0, 300 * size), 1200);
	ck_assert_uint_eq(count_of(FILTER(.oldest_first = true), &first), 300);
	ck_assert_uint_eq(first.started_us, 1201);
	call_record_clear(&first);
	append_many(300, "g");
	ck_assert_uint_eq(trim_all(0, 300 * size), 300);
	ck_assert_uint_eq(trim_all(INT64_MAX, INT64_MAX), 300);
	ck_assert_uint_eq(trim_all(INT64_MAX, 0), 0);
	append_many(10, "f");
	ck_assert_uint_eq(trim_all(0, 4 * size), 6);
	close_log();
}
END_TEST

/* It is as old as its end: others that were written before it have not been there for longer. */
START_TEST(a_call_that_took_long_takes_no_young_ones_along)
{
	struct call_record young = sample("f", 5000), took_long = sample("f", 10);
	took_long.duration_us = 9000;
	open_log(_i);
	for (int i = 0; i < 3; i++)
		ck_ok(append_one(store, &young));
	ck_ok(append_one(store, &took_long));
	ck_assert_uint_eq(trim_all(4000, INT64_MAX), 0);
	ck_assert_uint_eq(trim_all(5001, INT64_MAX), 3);
	ck_assert_uint_eq(trim_all(9011, INT64_MAX), 1);
	close_log();
}
END_TEST

/* Numbers go on, whatever the clock does: who follows them misses nothing. */
START_TEST(a_clock_that_is_moved_back_hides_nothing_and_keeps_nothing)
{
	struct call_record later = sample("f", INT64_MAX / 2), earlier = sample("f", 1000), back;
	open_log(_i);
	for (int i = 0; i < 3; i++)
		ck_ok(append_one(store, &later));
	ck_assert_uint_eq(count_of(FILTER(.function = NULL), &back), 3);
	uint64_t newest = back.number;
	call_record_clear(&back);
	ck_ok(append_one(store, &earlier));
	ck_assert_uint_eq(count_of(FILTER(.above = newest), &back), 1);
	ck_assert_uint_eq(back.started_us, 1000);
	call_record_clear(&back);
	/* what is before one that is too old was written before it */
	ck_assert_uint_eq(trim_all(2000, INT64_MAX), 4);
	close_log();
}
END_TEST

/* --- several processes --- */

/* What could not be written for the others is tried again, as the library does. */
static void append_in_child(int id, int count)
{
	uint64_t deadline = deadline_in_ms(100000);
	AUTO_FREE char *function = str_format("w%d", id);
	struct store *own;
	int r;
	while ((r = open_one(&own, NULL)) < 0 && !deadline_passed(deadline))
		continue;
	for (int i = 1; r == 0 && i <= count; i++) {
		struct call_record one = sample(function, (uint64_t)i), two = one;
		const struct call_record *both[] = { &one, &two };
		while ((r = ops->calls->append(own, both, 2, NULL)) < 0 &&
			!deadline_passed(deadline))
			continue;
	}
	_exit(r < 0);
}

#define WRITERS 4
#define BATCHES 50

START_TEST(who_follows_sees_all_that_several_processes_write)
{
	pid_t children[WRITERS];
	uint64_t last = 0, seen = 0, deadline = deadline_in_ms(100000);
	open_log(_i);
	for (int i = 0; i < WRITERS; i++)
		if ((children[i] = fork()) == 0)
			append_in_child(i, BATCHES);
	while (seen < 2 * WRITERS * BATCHES) {
		struct call_record *found;
		size_t count;
		ck_assert_msg(!deadline_passed(deadline), "%d seen", (int)seen);
		list(FILTER(.above = last, .oldest_first = true), &found, &count);
		for (size_t i = 0; i < count; i++)
			last = found[i].number;
		seen += count;
		call_record_list_free(found, count);
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;
		waitpid(children[i], &status, 0);
		ck_assert_int_eq(status, 0);
	}
	close_log();
}
END_TEST

/* Writes batches of three and tells of each, until it is killed. */
static void write_until_killed(int to, uint32_t batch)
{
	struct store *own;
	if (open_one(&own, NULL) < 0)
		_exit(1);
	for (;; batch++) {
		struct call_record r = sample("f", batch);
		const struct call_record *three[] = { &r, &r, &r };
		if (ops->calls->append(own, three, 3, NULL) < 0 ||
			sys_write_all(to, &batch, sizeof(batch)) < 0)
			_exit(1);
	}
}

START_TEST(no_batch_that_was_written_is_lost_when_the_writer_is_killed)
{
	const char *seed_text = getenv("NOVA_TEST_SEED");
	unsigned seed = seed_text ? (unsigned)atoi(seed_text) : (unsigned)getpid();
	unsigned rounds = getenv("NOVA_TEST_LONG") ? 200 : 20;
	uint32_t told = 0;
	open_log(_i);
	printf("# seed %u\n", seed);
	for (unsigned i = 0; i < rounds; i++) {
		int ends[2];
		ck_assert_int_eq(sys_pipe(ends), 0);
		pid_t child = fork();
		if (child == 0) {
			fd_close(ends[0]);
			write_until_killed(ends[1], told + 2);
		}
		fd_close(ends[1]);
		ck_assert_int_eq(sys_read(ends[0], &told, sizeof(told)), sizeof(told));
		usleep(rand_r(&seed) % 5000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (sys_read(ends[0], &told, sizeof(told)) == sizeof(told))
			continue;
		fd_close(ends[0]);
		size_t acknowledged =
			count_of(FILTER(.since_us = told, .until_us = told + 1ull), NULL);
		size_t next = count_of(FILTER(.since_us = told + 1ull), NULL);
		ck_assert_uint_eq(acknowledged, 3);
		ck_assert_msg(next == 0 || next == 3, "%zu of a batch", next);
		ck_assert_uint_eq(count_of(FILTER(.since_us = told + 2ull), NULL), 0);
	}
	close_log();
}
END_TEST

START_TEST(nobody_is_told_that_functions_have_changed)
{
	struct store *functions = NULL;
	uint64_t before, after;
	open_log(_i);
	const struct store_ops *of = database ? &store_postgres : &store_sqlite;
	ck_ok(store_open_at(of, where, database, &functions, &error));
	for (int settled = 0; settled < 100; settled++) /* until it has been told all of before */
		ck_ok(of->stamp(functions, &before, &error));
	AUTO_FREE char *told =
		database ? database_ask(database, "SELECT number FROM nova_changes") : NULL;
	append_many(3, "f");
	trim_all(INT64_MAX, 0);
	ck_ok(of->stamp(functions, &after, &error));
	if (database) {
		AUTO_FREE char *now = database_ask(database, "SELECT number FROM nova_changes");
		ck_assert_str_eq(told, now);
	} else {
		ck_assert_uint_eq(after, before);
	}
	of->close(functions);
	close_log();
}
END_TEST

/* --- the file --- */

static void change_file(const char *sql)
{
	sqlite3 *db;
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	char *message = NULL;
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
	sqlite3_close(db);
}

static void reopen(void)
{
	ops->close(STEAL(store));
	ck_ok(open_one(&store, &error));
}

static int try_reopen(void)
{
	ops->close(STEAL(store));
	return open_one(&store, &error);
}

START_TEST(the_file_is_private_and_says_what_it_is)
{
	struct stat st;
	char magic[4];
	open_log(0);
	append_many(1, "f");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	ck_assert_int_eq(sys_pread_all(fd, magic, 4, 68), 0);
	ck_assert_mem_eq(magic, "novl", 4);
	close_log();
}
END_TEST

START_TEST(a_damaged_foreign_or_newer_file_is_refused_and_left_alone)
{
	static const char rubbish[] = "this is no database, and longer than a header of one is, "
				      "which has a hundred bytes and then some";
	open_log(0);
	change_file("PRAGMA user_version = 99");
	ck_fails_with(NOVA_ENOTSUP, "log.db has schema 99", try_reopen());
	change_file("PRAGMA user_version = 1; PRAGMA application_id = 7");
	ck_fails_with(NOVA_ECORRUPT, "log.db", try_reopen());
	ck_assert_int_eq(fs_write_file(path, rubbish, sizeof(rubbish), 0600), 0);
	ck_fails_with(NOVA_ECORRUPT, "the log of calls", try_reopen());
	AUTO_BUF struct buf now = BUF_INIT(1000);
	ck_assert_int_eq(fs_read_file(path, &now), 0);
	ck_assert_mem_eq(now.data, rubbish, sizeof(rubbish));
	ck_assert_int_eq(fs_unlink(path), 0); /* moved away: it begins anew */
	ck_ok(open_one(&store, &error));
	append_many(1, "f");
	close_log();
}
END_TEST

START_TEST(a_file_that_another_process_has_locked_is_told_soon)
{
	sqlite3 *db;
	struct call_record r = sample("f", 1);
	open_log(0);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_fails_with(NOVA_EIO, "locked", append_one(store, &r));
	ck_assert_uint_eq(count_of(FILTER(.function = NULL), NULL), 0); /* reading waits for none */
	sqlite3_close(db);
	ck_ok(append_one(store, &r));
	close_log();
}
END_TEST

START_TEST(a_file_that_was_moved_away_is_not_written_to)
{
	struct call_record r = sample("f", 1);
	open_log(0);
	AUTO_FREE char *elsewhere = path_join(where, "old.db");
	ck_assert_int_eq(fs_rename(path, elsewhere), 0);
	ck_fails_with(NOVA_EIO, "moved", append_one(store, &r));
	reopen();
	ck_ok(append_one(store, &r));
	ck_assert_uint_eq(count_of(FILTER(.function = NULL), NULL), 1);
	close_log();
}
END_TEST

static int fill_small_disk(void)
{
	struct call_record r = sample("f", 1);
	static char text[5000];
	size_t count = 0;
	r.out = text;
	r.out_len = sizeof(text);
	if (open_one(&store, &error) < 0)
		return 1;
	while (append_one(store, &r) == 0)
		count++;
	if (nova_error_code(error) != NOVA_ENOSPC ||
		count_of(FILTER(.function = NULL), NULL) != count)
		return 2;
	nova_error_free(STEAL(error));
	return try_reopen() < 0 || count_of(FILTER(.function = NULL), NULL) != count ? 3 : 0;
}

START_TEST(a_full_disk_is_an_error_and_what_was_there_stays)
{
	open_log(0);
	ops->close(STEAL(store));
	pid_t child = fork();
	if (child == 0) {
		if (unshare(getuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			mount("none", where, "tmpfs", 0, "size=512k"))
			_exit(77);
		_exit(fill_small_disk());
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "step %d",
		WEXITSTATUS(status));
	close_log();
}
END_TEST

static Suite *log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	int count = server_dsn() ? 2 : 1;
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_record_comes_back_as_it_was_written, 0, count);
	tcase_add_loop_test(tc, a_list_has_what_fits_all_that_is_asked, 0, count);
	tcase_add_loop_test(tc, pages_show_each_of_many_records_once, 0, count);
	tcase_add_loop_test(tc, a_page_of_large_records_ends_before_its_limit, 0, count);
	tcase_add_loop_test(tc, calls_are_counted_by_function_with_their_percentiles, 0, count);
	tcase_add_loop_test(tc, what_is_too_old_goes_in_portions_and_nothing_else, 0, count);
	tcase_add_loop_test(tc, what_is_too_much_goes_the_oldest_first_and_all_may_go, 0, count);
	tcase_add_loop_test(tc, a_call_that_took_long_takes_no_young_ones_along, 0, count);
	tcase_add_loop_test(
		tc, a_clock_that_is_moved_back_hides_nothing_and_keeps_nothing, 0, count);
	tcase_add_loop_test(tc, who_follows_sees_all_that_several_processes_write, 0, count);
	tcase_add_loop_test(
		tc, no_batch_that_was_written_is_lost_when_the_writer_is_killed, 0, count);
	tcase_add_loop_test(tc, nobody_is_told_that_functions_have_changed, 0, count);
	tcase_add_test(tc, the_file_is_private_and_says_what_it_is);
	tcase_add_test(tc, a_damaged_foreign_or_newer_file_is_refused_and_left_alone);
	tcase_add_test(tc, a_file_that_another_process_has_locked_is_told_soon);
	tcase_add_test(tc, a_file_that_was_moved_away_is_not_written_to);
	tcase_add_test(tc, a_full_disk_is_an_error_and_what_was_there_stays);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(log_suite)
