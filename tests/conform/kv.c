/* SPDX-License-Identifier: MIT */
/* What the store of functions' keys and files must do, in a file and in a database. */
#include <pthread.h>

#include "conform/database.h"
#include "kv/kv.h"

static const struct store_ops *const stores[] = { &store_sqlite_kv, &store_postgres_kv };

static nova_error_t *error;
static const struct store_ops *ops;
static char *where, *database;
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

static void open_kv(int which)
{
	ops = stores[which];
	where = test_dir();
	database = ops == &store_postgres_kv ? database_new() : NULL;
	ck_ok(open_one(&store, &error));
}

static void close_kv(void)
{
	ops->close(store);
	store = NULL;
	nova_error_free(error);
	free(database);
	test_dir_remove(where);
}

#define A       "00000000-0000-4000-8000-00000000000a"
#define B       "00000000-0000-4000-8000-00000000000b"
#define NOW     UINT64_C(1700000000000000)
#define SECOND  UINT64_C(1000000)
#define MANY    UINT64_C(1000000)
#define TEXT(s) ((char *)(s)) /* records of tests own nothing */
#define HASH(c)                                                                                    \
	c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c  \
		c c c c c c c c c c c c c c c c c c c

static const struct kv_limits plenty = { MANY, MANY };

static int put_as(const char *space, const char *key, const char *value,
	struct kv_condition condition, const struct kv_limits *limits, uint64_t *ret_version)
{
	const struct kv_record record = {
		.key = TEXT(key), .value = TEXT(value), .len = strlen(value)
	};
	uint64_t version = 0;
	condition.now_us = condition.now_us ? condition.now_us : NOW;
	int code = ops->kv->put(store, space, &record, &condition, limits, &version, &error);
	if (ret_version)
		*ret_version = version;
	return code;
}

static int put(const char *space, const char *key, const char *value)
{
	return put_as(space, key, value, (struct kv_condition){ 0 }, &plenty, NULL);
}

static int put_until(const char *key, const char *value, uint64_t expires_us, uint64_t now_us)
{
	const struct kv_record record = { .key = TEXT(key),
		.value = TEXT(value),
		.len = strlen(value),
		.expires_us = expires_us };
	const struct kv_condition condition = { .now_us = now_us };
	uint64_t version;
	return ops->kv->put(store, A, &record, &condition, &plenty, &version, &error);
}

static void has(const char *space, const char *key, const char *value)
{
	AUTO_KV_RECORD struct kv_record found = { NULL };
	ck_ok(ops->kv->get(store, space, key, NOW, &found, &error));
	ck_assert_str_eq(found.key, key);
	ck_assert_uint_eq(found.len, strlen(value));
	ck_assert_mem_eq(found.value, value, found.len);
}

static void has_not(const char *space, const char *key, uint64_t now_us)
{
	AUTO_KV_RECORD struct kv_record found = { NULL };
	ck_fails(NOVA_ENOTFOUND, ops->kv->get(store, space, key, now_us, &found, &error));
}

static int delete (const char *space, const char *key, uint64_t if_version)
{
	const struct kv_condition condition = { if_version, false, NOW };
	return ops->kv->remove(store, space, key, &condition, &error);
}

/* The keys of a page, each with a space behind it. */
static char *keys_of(
	const char *space, const char *prefix, const char *after, size_t most, uint64_t now_us)
{
	const struct kv_page page = { prefix, after, now_us, most };
	struct kv_record *records;
	size_t count;
	AUTO_BUF struct buf text = BUF_INIT(1u << 20);
	ck_ok(ops->kv->list(store, space, &page, &records, &count, &error));
	ck_assert_int_eq(buf_append_str(&text, ""), 0);
	for (size_t i = 0; i < count; i++) {
		ck_assert_ptr_null(records[i].value);
		ck_assert_int_eq(buf_append_str(&text, records[i].key), 0);
		ck_assert_int_eq(buf_append_str(&text, " "), 0);
	}
	kv_record_list_free(records, count);
	return buf_steal_str(&text);
}

static void are_keys(
	const char *space, const char *prefix, const char *after, size_t most, const char *expected)
{
	AUTO_FREE char *found = keys_of(space, prefix, after, most, NOW);
	ck_assert_str_eq(found, expected);
}

START_TEST(a_value_comes_back_as_it_was_put_also_after_reopening)
{
	static const char bytes[] = "\0\xff'; DROP TABLE kv_entries; --\0";
	const struct kv_record record = { .key = TEXT("'; -- \xc3\xa4"),
		.value = TEXT(bytes),
		.len = sizeof(bytes),
		.expires_us = NOW + 5 };
	const struct kv_condition any = { .now_us = NOW };
	AUTO_KV_RECORD struct kv_record found = { NULL };
	uint64_t version;
	open_kv(_i);
	ck_ok(ops->kv->put(store, A, &record, &any, &plenty, &version, &error));
	ops->close(store);
	ck_ok(open_one(&store, &error));
	ck_ok(ops->kv->get(store, A, record.key, NOW, &found, &error));
	ck_assert_uint_eq(found.len, sizeof(bytes));
	ck_assert_mem_eq(found.value, bytes, sizeof(bytes));
	ck_assert_uint_eq(found.version, version);
	ck_assert_uint_eq(found.expires_us, NOW + 5);
	ck_ok(put(A, "empty", ""));
	has(A, "empty", "");
	close_kv();
}
END_TEST

START_TEST(each_function_has_a_space_of_its_own)
{
	open_kv(_i);
	ck_ok(put(A, "k", "of a"));
	ck_ok(put(B, "k", "of b"));
	has(A, "k", "of a");
	ck_ok(delete (A, "k", 0));
	has_not(A, "k", NOW);
	has(B, "k", "of b");
	are_keys(B, "", "", 10, "k ");
	are_keys(A, "", "", 10, "");
	close_kv();
}
END_TEST

START_TEST(a_change_is_made_only_to_the_version_that_was_seen)
{
	uint64_t first, second;
	open_kv(_i);
	ck_ok(put_as(A, "k", "1", (struct kv_condition){ .absent = true }, &plenty, &first));
	ck_fails_with(NOVA_EEXIST, "already",
		put_as(A, "k", "2", (struct kv_condition){ .absent = true }, &plenty, NULL));
	ck_ok(put_as(A, "k", "2", (struct kv_condition){ .version = first }, &plenty, &second));
	ck_assert_uint_gt(second, first); /* though the clock has not moved */
	ck_fails_with(NOVA_EBUSY, "'k'",
		put_as(A, "k", "3", (struct kv_condition){ .version = first }, &plenty, NULL));
	ck_fails(NOVA_EBUSY, delete (A, "k", first));
	has(A, "k", "2");
	ck_ok(delete (A, "k", second));
	ck_fails(NOVA_EBUSY,
		put_as(A, "k", "4", (struct kv_condition){ .version = second }, &plenty, NULL));
	ck_fails(NOVA_ENOTFOUND, delete (A, "k", 0));
	close_kv();
}
END_TEST

START_TEST(a_key_has_no_version_twice_though_the_clock_goes_back)
{
	const struct kv_condition late = { .now_us = NOW + SECOND }, early = { .now_us = NOW };
	uint64_t first, second, third;
	open_kv(_i);
	ck_ok(put_as(A, "k", "1", late, &plenty, &first));
	ck_ok(delete (A, "k", 0));
	ck_ok(put_as(A, "k", "2", early, &plenty, &second));
	ck_assert_uint_gt(second, first);
	ck_ok(put_until("k", "3", NOW + 1, NOW));
	uint64_t next_us;
	ck_ok(ops->kv->sweep(store, NOW + 1, &next_us, &error));
	ck_ok(put_as(A, "k", "4", early, &plenty, &third));
	ck_assert_uint_gt(third, second + 1);
	ck_fails(NOVA_EBUSY,
		put_as(A, "k", "5", (struct kv_condition){ .version = second }, &plenty, NULL));
	has(A, "k", "4");
	close_kv();
}
END_TEST

START_TEST(what_has_expired_is_not_there_and_is_swept)
{
	uint64_t next_us = 0;
	open_kv(_i);
	ck_ok(put_until("k", "1", NOW + SECOND, NOW));
	ck_ok(put_until("stays", "1", 0, NOW));
	has(A, "k", "1");
	has_not(A, "k", NOW + SECOND);
	AUTO_FREE char *later = keys_of(A, "", "", 10, NOW + SECOND);
	ck_assert_str_eq(later, "stays ");
	const struct kv_condition at_end = { .now_us = NOW + SECOND };
	ck_fails(NOVA_ENOTFOUND, ops->kv->remove(store, A, "k", &at_end, &error));
	ck_ok(put_as(A, "k", "2", (struct kv_condition){ .absent = true, .now_us = NOW + SECOND },
		&plenty, NULL));
	has(A, "k", "2");
	ck_ok(put_until("k", "3", NOW + SECOND, NOW));
	ck_ok(ops->kv->sweep(store, NOW, &next_us, &error));
	ck_assert_uint_eq(next_us, NOW + SECOND);
	has(A, "k", "3");
	ck_ok(ops->kv->sweep(store, NOW + SECOND, &next_us, &error));
	ck_assert_uint_eq(next_us, 0);
	has_not(A, "k", NOW); /* whatever the clock says now */
	has(A, "stays", "1");
	close_kv();
}
END_TEST

START_TEST(pages_show_each_key_with_a_prefix_once_in_the_order_of_bytes)
{
	static const char *const keys[] = { "a", "a/1", "a/2", "a%", "a/\xc3\xa4", "b", "A",
		"a_b" };
	open_kv(_i);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		ck_ok(put(A, keys[i], "v"));
	are_keys(A, "", "", 100, "A a a% a/1 a/2 a/\xc3\xa4 a_b b ");
	are_keys(A, "a/", "", 2, "a/1 a/2 ");
	are_keys(A, "a/", "a/2", 2, "a/\xc3\xa4 ");
	are_keys(A, "a/\xc3\xa4", "", 100, "a/\xc3\xa4 ");
	are_keys(A, "a%", "", 100, "a% ");
	are_keys(A, "nothing", "", 100, "");
	close_kv();
}
END_TEST

START_TEST(a_function_has_no_more_keys_and_bytes_than_it_may)
{
	static const struct kv_limits two = { 2, 10 };
	const struct kv_condition any = { 0 };
	open_kv(_i);
	ck_ok(put_as(A, "1", "12345", any, &two, NULL));
	ck_fails_with(NOVA_ELIMIT, "kv.max_total", put_as(A, "2", "123456", any, &two, NULL));
	ck_ok(put_as(A, "2", "12345", any, &two, NULL));
	ck_ok(put_as(A, "2", "54321", any, &two, NULL)); /* its former value does not count */
	ck_fails_with(NOVA_ELIMIT, "kv.max_keys", put_as(A, "3", "", any, &two, NULL));
	ck_ok(put_as(B, "1", "1234567890", any, &two, NULL));
	ck_ok(delete (A, "1", 0));
	ck_ok(put_until("4", "12345", NOW + SECOND, NOW)); /* that is long ago */
	ck_ok(put_as(A, "3", "12345", any, &two, NULL));
	ck_fails_with(NOVA_ELIMIT, "has 2 keys", put_as(A, "5", "", any, &two, NULL));
	close_kv();
}
END_TEST

/* --- files --- */

static int put_file(const char *space, const char *name, const char *data, const char *hash,
	const struct kv_limits *limits)
{
	const struct file_record record = { .name = TEXT(name),
		.type = TEXT("text/plain"),
		.hash = TEXT(hash),
		.data = TEXT(data),
		.len = strlen(data),
		.updated_us = NOW };
	return ops->kv->put_file(store, space, &record, limits, &error);
}

static void has_file(const char *space, const char *name, const char *data)
{
	AUTO_FILE_RECORD struct file_record found = { NULL };
	ck_ok(ops->kv->get_file(store, space, name, &found, &error));
	ck_assert_str_eq(found.name, name);
	ck_assert_str_eq(found.type, "text/plain");
	ck_assert_uint_eq(found.updated_us, NOW);
	ck_assert_uint_eq(found.len, strlen(data));
	ck_assert_mem_eq(found.data, data, found.len);
}

static size_t count_spaces(void)
{
	char **spaces;
	size_t count;
	ck_ok(ops->kv->spaces(store, &spaces, &count, &error));
	strv_free(spaces, count);
	return count;
}

static int count_content(void *userdata, const char *table, json_t *row, nova_error_t **ignored)
{
	(void)row;
	(void)ignored;
	*(size_t *)userdata += !strcmp(table, "kv_contents");
	return 0;
}

static size_t count_contents(void)
{
	size_t count = 0;
	ck_ok(ops->transfer->dump(store, count_content, &count, &error));
	return count;
}

START_TEST(a_file_comes_back_and_its_content_goes_with_the_last_that_has_it)
{
	AUTO_FILE_RECORD struct file_record none = { NULL };
	open_kv(_i);
	ck_ok(put_file(A, "one", "same", HASH("a"), &plenty));
	ck_ok(put_file(A, "two", "same", HASH("a"), &plenty));
	ck_ok(put_file(B, "one", "same", HASH("a"), &plenty));
	ck_ok(ops->kv->remove_file(store, A, "one", &error));
	ck_fails(NOVA_ENOTFOUND, ops->kv->get_file(store, A, "one", &none, &error));
	has_file(A, "two", "same");
	ck_ok(put_file(A, "two", "other", HASH("b"), &plenty));
	has_file(A, "two", "other");
	has_file(B, "one", "same");
	ck_ok(ops->kv->remove_file(store, A, "two", &error));
	ck_fails(NOVA_ENOTFOUND, ops->kv->remove_file(store, A, "two", &error));
	ck_assert_uint_eq(count_contents(), 1); /* none is left of A */
	close_kv();
}
END_TEST

START_TEST(files_are_listed_by_pages_and_count_with_the_values)
{
	static const struct kv_limits two = { 2, 10 };
	const struct kv_page page = { "a/", "a/1", NOW, 10 };
	struct file_record *files;
	size_t count;
	open_kv(_i);
	ck_ok(put_file(A, "a/1", "1234", HASH("a"), &two));
	ck_ok(put_file(A, "a/2", "1234", HASH("a"), &two));
	ck_fails_with(NOVA_ELIMIT, "kv.max_files", put_file(A, "b", "", HASH("c"), &two));
	ck_fails_with(NOVA_ELIMIT, "kv.max_total",
		put_as(A, "k", "123", (struct kv_condition){ 0 }, &two, NULL));
	ck_ok(put_as(A, "k", "12", (struct kv_condition){ 0 }, &two, NULL));
	ck_fails_with(NOVA_ELIMIT, "kv.max_total", put_file(A, "a/2", "12345", HASH("d"), &two));
	ck_ok(ops->kv->list_files(store, A, &page, &files, &count, &error));
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(files[0].name, "a/2");
	ck_assert_uint_eq(files[0].len, 4);
	ck_assert_ptr_null(files[0].data);
	file_record_list_free(files, count);
	close_kv();
}
END_TEST

START_TEST(a_function_that_is_cleared_has_nothing_and_others_have_all)
{
	open_kv(_i);
	ck_ok(put(A, "k", "v"));
	ck_ok(put_file(A, "f", "x", HASH("a"), &plenty));
	ck_ok(put(B, "k", "v"));
	ck_assert_uint_eq(count_spaces(), 2);
	ck_ok(ops->kv->clear(store, A, &error));
	ck_assert_uint_eq(count_spaces(), 1);
	has_not(A, "k", NOW);
	has(B, "k", "v");
	close_kv();
}
END_TEST

static const char refusing[] =
	"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not at "
	"/a/place'; END $$; CREATE TRIGGER no BEFORE INSERT ON kv_entries FOR EACH ROW EXECUTE "
	"FUNCTION no()";

START_TEST(what_a_database_says_is_told_to_the_host_alone)
{
	AUTO_BUF struct buf reply = BUF_INIT(1u << 20);
	char ask[] = "{\"op\":\"kv put\",\"key\":\"k\",\"value\":\"\"}";
	struct kv kv;
	open_kv(1);
	database_do(database, refusing);
	ck_fails_with(NOVA_EIO, "/a/place", put(A, "k", "v"));
	nova_config_t *config = settings_of(where);
	kv_init(&kv, store, config);
	kv.store = store;
	ck_assert_int_eq(kv_answer(&kv, A, ask, strlen(ask), &reply), 0);
	ck_assert_int_eq(buf_append(&reply, "", 1), 0);
	ck_assert_ptr_nonnull(strstr((char *)reply.data, "NOVA_EIO"));
	ck_assert_ptr_null(strstr((char *)reply.data, "place"));
	nova_config_free(config);
	close_kv();
}
END_TEST

/* --- at once --- */

#define THREADS 4
#define ROUNDS  10

/* Counts up the number under a key, from the version that it has seen. */
static void *count_up(void *in)
{
	struct store *own = in;
	for (unsigned done = 0; done < ROUNDS;) {
		AUTO_KV_RECORD struct kv_record found = { NULL };
		char text[16];
		uint64_t version;
		if (ops->kv->get(own, A, "n", NOW, &found, NULL) < 0)
			return own;
		snprintf(text, sizeof(text), "%d", atoi(found.value) + 1);
		const struct kv_record next = {
			.key = TEXT("n"), .value = text, .len = strlen(text)
		};
		const struct kv_condition seen = { found.version, false, NOW };
		int r = ops->kv->put(own, A, &next, &seen, &plenty, &version, NULL);
		if (r < 0 && r != NOVA_EBUSY)
			return own;
		done += r == 0;
	}
	return NULL;
}

/* Puts a file and takes it away; all of them have the same content. */
static void *put_and_remove(void *in)
{
	struct store *own = in;
	char name[32];
	snprintf(name, sizeof(name), "%lx", (unsigned long)pthread_self());
	const struct file_record record = { .name = name,
		.type = TEXT("a/b"),
		.hash = TEXT(HASH("a")),
		.data = TEXT("same"),
		.len = 4,
		.updated_us = NOW };
	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO_FILE_RECORD struct file_record found = { NULL };
		if (ops->kv->put_file(own, A, &record, &plenty, NULL) < 0 ||
			ops->kv->get_file(own, A, name, &found, NULL) < 0 ||
			ops->kv->remove_file(own, A, name, NULL) < 0)
			return own;
	}
	return NULL;
}

static void all_at_once(void *(*run)(void *store))
{
	pthread_t threads[THREADS];
	struct store *other;
	ck_ok(open_one(&other, &error)); /* as of another process */
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, i % 2 ? store : other), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ops->close(other);
}

START_TEST(no_count_is_lost_by_those_who_compare_and_set_at_once)
{
	open_kv(_i);
	ck_ok(put(A, "n", "0"));
	all_at_once(count_up);
	char text[16];
	snprintf(text, sizeof(text), "%d", THREADS * ROUNDS);
	has(A, "n", text);
	close_kv();
}
END_TEST

/* Keys that nobody else puts, until there is no room. */
static void *fill_up(void *in)
{
	static const struct kv_limits some = { THREADS * ROUNDS / 2, MANY };
	struct store *own = in;
	for (unsigned i = 0; i < ROUNDS; i++) {
		char key[48];
		uint64_t version;
		snprintf(key, sizeof(key), "%lx/%u", (unsigned long)pthread_self(), i);
		const struct kv_record record = { .key = key, .value = TEXT(""), .len = 0 };
		const struct kv_condition any = { .now_us = NOW };
		int r = ops->kv->put(own, A, &record, &any, &some, &version, NULL);
		if (r < 0)
			return r == NOVA_ELIMIT ? NULL : own;
	}
	return NULL;
}

START_TEST(those_who_put_at_once_do_not_go_beyond_what_there_may_be)
{
	const struct kv_page page = { "", "", NOW, 1000 };
	struct kv_record *records;
	size_t count;
	open_kv(_i);
	all_at_once(fill_up);
	ck_ok(ops->kv->list(store, A, &page, &records, &count, &error));
	kv_record_list_free(records, count);
	ck_assert_uint_eq(count, THREADS * ROUNDS / 2);
	close_kv();
}
END_TEST

START_TEST(a_content_is_there_as_long_as_one_of_many_has_it)
{
	open_kv(_i);
	all_at_once(put_and_remove);
	close_kv();
}
END_TEST

static Suite *kv_suite(void)
{
	Suite *suite = suite_create("kv");
	TCase *tc = tcase_create("kv");
	int count = server_dsn() ? 2 : 1;
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_value_comes_back_as_it_was_put_also_after_reopening, 0, count);
	tcase_add_loop_test(tc, each_function_has_a_space_of_its_own, 0, count);
	tcase_add_loop_test(tc, a_change_is_made_only_to_the_version_that_was_seen, 0, count);
	tcase_add_loop_test(tc, a_key_has_no_version_twice_though_the_clock_goes_back, 0, count);
	tcase_add_loop_test(tc, what_has_expired_is_not_there_and_is_swept, 0, count);
	tcase_add_loop_test(
		tc, pages_show_each_key_with_a_prefix_once_in_the_order_of_bytes, 0, count);
	tcase_add_loop_test(tc, a_function_has_no_more_keys_and_bytes_than_it_may, 0, count);
	tcase_add_loop_test(
		tc, a_file_comes_back_and_its_content_goes_with_the_last_that_has_it, 0, count);
	tcase_add_loop_test(tc, files_are_listed_by_pages_and_count_with_the_values, 0, count);
	tcase_add_loop_test(
		tc, a_function_that_is_cleared_has_nothing_and_others_have_all, 0, count);
	tcase_add_loop_test(tc, no_count_is_lost_by_those_who_compare_and_set_at_once, 0, count);
	tcase_add_loop_test(tc, those_who_put_at_once_do_not_go_beyond_what_there_may_be, 0, count);
	tcase_add_loop_test(tc, a_content_is_there_as_long_as_one_of_many_has_it, 0, count);
	if (count > 1)
		tcase_add_test(tc, what_a_database_says_is_told_to_the_host_alone);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(kv_suite)
