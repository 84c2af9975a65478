/* SPDX-License-Identifier: MIT */
/* What every store must do. A new store is one more line in `stores`. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "conform/database.h"
#include "store/store.h"

static const struct store_ops *const stores[] = { &store_sqlite, &store_postgres };

static nova_error_t *error;
static const struct store_ops *ops;
static char *where, *database;
static struct store *store;

static int open_one(struct store **ret_store, nova_error_t **ret_error)
{
	return store_open_at(ops, where, database, ret_store, ret_error);
}

static void choose_store(int which)
{
	ops = stores[which];
	where = test_dir();
	database = ops == &store_postgres ? database_new() : NULL;
}

static void open_store(int which)
{
	choose_store(which);
	ck_ok(open_one(&store, &error));
}

static void close_store(void)
{
	ops->close(store);
	nova_error_free(error);
	free(database);
	test_dir_remove(where);
}

#define TEXT(s) ((char *)(s)) /* records of tests own nothing */
#define HASH_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct function_record sample(const char *name, const char *id)
{
	static char first[] = "A=1", second[] = "B=\x01 \"quoted\" = \xc3\xa4";
	static char *env[] = { first, second };
	static char label[] = "team=a", *labels[] = { label };
	static char data[] = "/data=/code/data", *opened[] = { data };
	return (struct function_record){
		.id = TEXT(id),
		.name = TEXT(name),
		.config.runtime = TEXT("python"),
		.config.handler = TEXT("main.handler"),
		.config.image = TEXT(""),
		.config.protocol = TEXT(""),
		.code_path = TEXT("/src/x.py"),
		.code_hash = TEXT(HASH_A),
		.config.machine.memory_mb = 512,
		.config.timeout_s = 120,
		.config.machine.vcpus = 2,
		.config.min_replicas = 3,
		.config.concurrency = 4,
		.config.machine.disk_iops = 1000,
		.config.machine.disk_bandwidth = 10485760,
		.config.machine.net_rx_bandwidth = 5242880,
		.config.machine.net_tx_bandwidth = INT64_MAX,
		.config.machine.network = 1,
		.config.env = { env, 2 },
		.config.labels = { labels, 1 },
		.config.preopens = { opened, 1 },
		.config.rehearse = TEXT("{\"a\":\"'\"}"),
		.config.init_timeout_s = 5,
		.config.rate = 1000000,
		.config.rate_period_ms = 86400000,
		.config.rate_burst = 7,
		.version = 1,
		.created_us = 1700000000000001,
		.updated_us = 1700000000000002,
	};
}

#define ID_1 "00000000-0000-4000-8000-000000000001"
#define ID_2 "00000000-0000-4000-8000-000000000002"

static void ck_same(const struct function_record *a, const struct function_record *b)
{
	ck_assert_str_eq(a->id, b->id);
	ck_assert_str_eq(a->name, b->name);
	ck_assert_str_eq(a->config.handler, b->config.handler);
	ck_assert_ptr_null(function_config_difference(&a->config, &b->config));
	ck_assert_str_eq(a->code_path, b->code_path);
	ck_assert_str_eq(a->code_hash, b->code_hash);
	ck_assert_uint_eq(a->version, b->version);
	ck_assert_uint_eq(a->created_us, b->created_us);
	ck_assert_uint_eq(a->updated_us, b->updated_us);
}

START_TEST(what_is_put_comes_back_whole_also_after_reopening)
{
	open_store(_i);
	struct function_record in = sample("hello", ID_1), out = { 0 };
	ck_ok(ops->functions->put(store, &in, 0, &error));
	ck_ok(ops->functions->get(store, "hello", &out, &error));
	ck_same(&in, &out);
	record_clear(&out);
	ops->close(store);
	ck_ok(open_one(&store, &error));
	ck_ok(ops->functions->get(store, "hello", &out, &error));
	ck_same(&in, &out);
	record_clear(&out);
	close_store();
}
END_TEST

START_TEST(a_name_is_given_once)
{
	open_store(_i);
	struct function_record first = sample("hello", ID_1), second = sample("hello", ID_2),
			       out = { 0 };
	second.config.machine.memory_mb = 64;
	ck_ok(ops->functions->put(store, &first, 0, &error));
	ck_fails_with(NOVA_EEXIST, "hello", ops->functions->put(store, &second, 0, &error));
	ck_ok(ops->functions->get(store, "hello", &out, &error));
	ck_same(&first, &out);
	record_clear(&out);
	close_store();
}
END_TEST

START_TEST(a_record_is_replaced_only_from_the_state_that_was_seen)
{
	open_store(_i);
	struct function_record record = sample("hello", ID_1), other = sample("hello", ID_2),
			       out = { 0 };
	const uint64_t seen = record.updated_us;
	ck_fails(NOVA_EBUSY, ops->functions->put(store, &record, seen, &error));
	ck_ok(ops->functions->put(store, &record, 0, &error));
	record.version = 2;
	record.updated_us = seen + 1;
	record.config.env.count = 0;
	ck_ok(ops->functions->put(store, &record, seen, &error));
	ck_fails(NOVA_EBUSY, ops->functions->put(store, &record, seen, &error));
	ck_fails(NOVA_EBUSY, ops->functions->put(store, &other, seen + 1, &error));
	ck_ok(ops->functions->get(store, "hello", &out, &error));
	ck_same(&record, &out);
	record_clear(&out);
	close_store();
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
	open_store(_i);
	struct function_record out = { 0 };
	ck_fails_with(NOVA_ENOTFOUND, "nobody", ops->functions->get(store, "nobody", &out, &error));
	ck_fails_with(NOVA_ENOTFOUND, "nobody",
		ops->functions->remove(store, "nobody", false, 0, &error));
	ck_fails(NOVA_ENOTFOUND, ops->functions->get(store, "", &out, &error));
	ck_fails(NOVA_ENOTFOUND,
		ops->functions->get(store, "'; DROP TABLE functions; --", &out, &error));
	ck_fails_with(
		NOVA_ENOTFOUND, "not UTF-8", ops->functions->get(store, "\xff", &out, &error));
	close_store();
}
END_TEST

/* The names of the functions that have all of these labels. */
static char *names_with(char **labels, size_t count)
{
	const struct text_list wanted = { labels, count };
	const struct function_filter filter = { .labels = &wanted };
	struct function_record *records;
	AUTO_BUF struct buf names = BUF_INIT(4096);
	size_t found;
	ck_ok(ops->functions->list(store, &filter, &records, &found, &error));
	for (size_t i = 0; i < found; i++)
		ck_assert_int_eq(buf_append_str(&names, records[i].name), 0);
	record_list_free(records, found);
	return buf_steal_str(&names);
}

static void put_labelled(const char *name, char **labels, size_t count)
{
	AUTO_FREE char *id = str_format("00000000-0000-4000-8000-%012d", *name);
	struct function_record record = sample(name, id);
	record.config.labels = (struct text_list){ labels, count };
	ck_ok(ops->functions->put(store, &record, 0, &error));
}

START_TEST(a_list_may_be_of_those_with_certain_labels)
{
	static char *const a[] = { TEXT("team"), TEXT("team=a"), TEXT("tea=a"), TEXT("TEAM=a"),
		TEXT("cost=7"), TEXT("team=a=b"), TEXT("cost"), TEXT("team=%") };
	static const struct {
		int first, second; /* of those above; -1: none */
		const char *names;
	} cases[] = { { -1, -1, "pqr" }, { 0, -1, "pq" }, { 1, -1, "p" }, { 2, -1, "" },
		{ 3, -1, "" }, { 1, 4, "p" }, { 4, -1, "pr" }, { 5, -1, "q" }, { 0, 6, "p" },
		{ 1, 5, "" }, { 7, -1, "" } };
	open_store(_i);
	put_labelled("p", (char *[]){ TEXT("cost=7"), TEXT("team=a") }, 2);
	put_labelled("q", (char *[]){ TEXT("team=a=b") }, 1);
	put_labelled("r", (char *[]){ TEXT("cost=7") }, 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *wanted[2];
		size_t count = 0;
		if (cases[i].first >= 0)
			wanted[count++] = a[cases[i].first];
		if (cases[i].second >= 0)
			wanted[count++] = a[cases[i].second];
		AUTO_FREE char *names = names_with(wanted, count);
		ck_assert_str_eq(names, cases[i].names);
	}
	close_store();
}
END_TEST

START_TEST(lists_are_sorted_by_name_and_may_be_empty)
{
	open_store(_i);
	static const char *const put[] = { "b", "a", "c", "Z", "a-1" }, *const sorted[] = { "Z",
		"a", "a-1", "b", "c" };
	struct function_record *records;
	size_t count;
	char **found;
	ck_ok(ops->functions->list(store, NULL, &records, &count, &error));
	ck_assert_ptr_null(records);
	ck_assert_uint_eq(count, 0);
	for (size_t i = 0; i < ARRAY_LEN(put); i++) {
		AUTO_FREE char *id = str_format("00000000-0000-4000-8000-%012zu", i);
		struct function_record record = sample(put[i], id);
		ck_ok(ops->functions->put(store, &record, 0, &error));
	}
	ck_ok(ops->functions->list(store, NULL, &records, &count, &error));
	ck_assert_uint_eq(count, ARRAY_LEN(sorted));
	for (size_t i = 0; i < count; i++)
		ck_assert_str_eq(records[i].name, sorted[i]);
	record_list_free(records, count);
	const struct function_filter page = { NULL, "a", 2 }, behind = { NULL, "c", 0 };
	ck_ok(ops->functions->list(store, &page, &records, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(records[0].name, "a-1");
	record_list_free(records, count);
	ck_ok(ops->functions->list(store, &behind, &records, &count, &error));
	ck_assert_uint_eq(count, 0);
	ck_ok(ops->functions->names(store, NULL, 2, &found, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(found[1], "a");
	ck_assert_ptr_null(found[2]);
	strv_free(found, count);
	close_store();
}
END_TEST

START_TEST(the_users_of_a_code_are_counted)
{
	open_store(_i);
	uint64_t users;
	struct function_record one = sample("one", ID_1), two = sample("two", ID_2);
	ck_ok(ops->functions->put(store, &one, 0, &error));
	ck_ok(ops->functions->put(store, &two, 0, &error));
	ck_ok(ops->count_users(store, HASH_A, &users, &error));
	ck_assert_uint_eq(users, 2);
	two.code_hash = TEXT(HASH_B);
	two.version = 2;
	ck_ok(ops->functions->put(store, &two, two.updated_us, &error));
	ck_ok(ops->functions->remove(store, "one", false, 0, &error));
	ck_ok(ops->count_users(store, HASH_A, &users, &error));
	ck_assert_uint_eq(users, 0);
	ck_ok(ops->count_users(store, HASH_B, &users, &error));
	ck_assert_uint_eq(users, 1);
	close_store();
}
END_TEST

/* --- versions and aliases --- */

/* One function at version 2, with 1 and 2 published. */
static struct function_record put_versions(const char *name, const char *id)
{
	struct function_record f = sample(name, id);
	ck_ok(ops->functions->put(store, &f, 0, &error));
	ck_ok(ops->versions->publish(store, &f, &error));
	f.version = 2;
	f.code_hash = TEXT(HASH_B);
	f.updated_us++;
	ck_ok(ops->functions->put(store, &f, f.updated_us - 1, &error));
	ck_ok(ops->versions->publish(store, &f, &error));
	return f;
}

static struct alias_record alias(const char *name, uint32_t version, uint32_t second)
{
	return (struct alias_record){ .id = TEXT(ID_1),
		.name = TEXT("f"),
		.alias = TEXT(name),
		.version = version,
		.second = second,
		.weight = second ? 10 : 0,
		.created_us = 5,
		.updated_us = 6 };
}

START_TEST(a_version_is_the_function_as_it_was)
{
	open_store(_i);
	struct function_record first = sample("f", ID_1), out = { 0 }, *all;
	struct function_record now = put_versions("f", ID_1);
	size_t count;
	uint64_t users;
	bool has;
	ck_ok(ops->versions->publish(store, &now, &error)); /* once more changes nothing */
	ck_fails(NOVA_EBUSY, ops->versions->publish(store,
				     &(struct function_record){
					     .id = TEXT(ID_1), .name = TEXT("f"), .version = 3 },
				     &error));
	ck_ok(ops->versions->get(store, "f", 1, &out, &error));
	ck_same(&first, &out);
	record_clear(&out);
	ck_ok(ops->versions->list(store, "f", &all, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(all[1].version, 2);
	record_list_free(all, count);
	ck_ok(ops->versions->has(store, ID_1, 2, &has, &error));
	ck_assert(has);
	ck_ok(ops->versions->has(store, ID_2, 2, &has, &error));
	ck_assert(!has);
	ck_fails_with(NOVA_ENOTFOUND, "version 3", ops->versions->get(store, "f", 3, &out, &error));
	ck_fails(NOVA_ENOTFOUND, ops->versions->get(store, "\xff", 1, &out, &error));
	ck_ok(ops->count_users(store, HASH_B, &users, &error));
	ck_assert_uint_eq(users, 2);
	ck_ok(ops->count_users(store, HASH_A, &users, &error));
	ck_assert_uint_eq(users, 1);
	close_store();
}
END_TEST

START_TEST(a_function_is_removed_only_in_the_state_that_was_seen)
{
	open_store(_i);
	put_versions("f", ID_1);
	struct alias_record a = alias("a", 1, 2), *all;
	struct function_record record = { 0 };
	size_t count;
	ck_ok(ops->aliases->put(store, &a, &error));
	ck_ok(ops->functions->get(store, "f", &record, &error));
	ck_fails_with(NOVA_EBUSY, "'f' was changed",
		ops->functions->remove(store, "f", true, record.updated_us - 1, &error));
	ck_ok(ops->aliases->list(store, "f", &all, &count, &error));
	ck_assert_uint_eq(count, 1); /* it takes nothing with it */
	alias_record_list_free(all, count);
	ck_ok(ops->functions->remove(store, "f", true, record.updated_us, &error));
	ck_fails(NOVA_EBUSY, ops->functions->remove(store, "f", true, record.updated_us, &error));
	record_clear(&record);
	close_store();
}
END_TEST

START_TEST(what_is_referred_to_is_not_removed)
{
	open_store(_i);
	put_versions("f", ID_1);
	struct alias_record a = alias("a", 1, 2), b = alias("b", 2, 0), *all;
	size_t count;
	struct alias_record missing = alias("a", 7, 0);
	ck_ok(ops->aliases->put(store, &a, &error));
	ck_ok(ops->aliases->put(store, &b, &error));
	ck_fails(NOVA_EBUSY, ops->aliases->put(store, &missing, &error));
	ck_fails(NOVA_EBUSY, ops->functions->remove(store, "f", false, 0, &error));
	ck_fails(NOVA_EBUSY, ops->versions->remove(store, "f", 2, false, &error));
	ck_ok(ops->versions->remove(store, "f", 2, true, &error));
	ck_ok(ops->aliases->list(store, "f", &all, &count, &error));
	ck_assert_uint_eq(count, 1); /* b is gone, and a has lost its second version */
	ck_assert_str_eq(all[0].alias, "a");
	ck_assert_uint_eq(all[0].second + all[0].weight, 0);
	alias_record_list_free(all, count);
	ck_ok(ops->functions->remove(store, "f", true, 0, &error));
	ck_fails(NOVA_ENOTFOUND, ops->versions->remove(store, "f", 1, true, &error));
	ck_ok(ops->aliases->list(store, "f", &all, &count, &error));
	ck_assert_uint_eq(count, 0);
	close_store();
}
END_TEST

START_TEST(an_alias_comes_back_as_it_was_put)
{
	open_store(_i);
	put_versions("f", ID_1);
	struct alias_record in = alias("prod", 1, 2), out = { NULL };
	ck_fails_with(NOVA_ENOTFOUND, "prod", ops->aliases->get(store, "f", "prod", &out, &error));
	ck_ok(ops->aliases->put(store, &in, &error));
	in.version = 2;
	in.second = in.weight = 0;
	in.created_us = in.updated_us = 9;
	ck_ok(ops->aliases->put(store, &in, &error));
	ck_ok(ops->aliases->get(store, "f", "prod", &out, &error));
	ck_assert_str_eq(out.id, ID_1);
	ck_assert_uint_eq(out.version, 2);
	ck_assert_uint_eq(out.second, 0);
	ck_assert_uint_eq(out.created_us, 6);
	ck_assert_uint_eq(out.updated_us, 9);
	alias_record_clear(&out);
	ck_ok(ops->aliases->remove(store, "f", "prod", &error));
	ck_fails(NOVA_ENOTFOUND, ops->aliases->remove(store, "f", "prod", &error));
	ck_fails(NOVA_ENOTFOUND, ops->aliases->remove(store, "f", "\xff", &error));
	close_store();
}
END_TEST

/* --- runtimes --- */

static struct runtime_record runtime(const char *name, const char *hash)
{
	static char program[] = "/bin/x", file[] = "{file}", *argv[] = { program, file, program };
	static char image[80];
	snprintf(image, sizeof(image), IMAGE_BLOB "%s", hash);
	return (struct runtime_record){
		.name = TEXT(name),
		.rootfs = TEXT("/src/x.ext4"),
		.image = image,
		.protocol = TEXT("none"),
		.argv = { argv, ARRAY_LEN(argv) },
		.memory_mb = 64,
		.timeout_s = 2,
		.init_timeout_s = 3,
		.created_us = 4,
	};
}

START_TEST(a_runtime_comes_back_as_it_was_put)
{
	open_store(_i);
	struct runtime_record in = runtime("own", HASH_A), out = { NULL };
	ck_fails_with(NOVA_ENOTFOUND, "own", ops->runtimes->get(store, "own", &out, &error));
	ck_fails_with(NOVA_ENOTFOUND, "own", ops->runtimes->remove(store, "own", &error));
	ck_ok(ops->runtimes->put(store, &in, false, &error));
	ck_fails(NOVA_EEXIST, ops->runtimes->put(store, &in, false, &error));
	in.memory_mb = 0;
	ck_ok(ops->runtimes->put(store, &in, true, &error));
	ck_ok(ops->runtimes->get(store, "own", &out, &error));
	ck_assert_str_eq(out.rootfs, in.rootfs);
	ck_assert_str_eq(out.image, in.image);
	ck_assert_str_eq(out.protocol, in.protocol);
	ck_assert(text_list_same(&out.argv, &in.argv));
	ck_assert_uint_eq(out.memory_mb, 0);
	ck_assert_uint_eq(out.timeout_s, 2);
	ck_assert_uint_eq(out.init_timeout_s, 3);
	ck_assert_uint_eq(out.created_us, 4);
	runtime_record_clear(&out);
	close_store();
}
END_TEST

START_TEST(runtimes_are_listed_by_name_and_are_users_of_their_root_filesystem)
{
	open_store(_i);
	struct runtime_record one = runtime("one", HASH_B), *all;
	struct function_record f = sample("f", ID_1);
	size_t count;
	uint64_t users;
	char **names;
	ck_ok(ops->runtimes->list(store, &all, &count, &error));
	ck_assert_ptr_null(all);
	ck_ok(ops->runtimes->put(store, &one, false, &error));
	one.name = TEXT("also");
	ck_ok(ops->runtimes->put(store, &one, false, &error));
	f.config.runtime = TEXT("one");
	f.config.image = one.image;
	ck_ok(ops->functions->put(store, &f, 0, &error));
	ck_ok(ops->runtimes->list(store, &all, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(all[0].name, "also");
	runtime_record_list_free(all, count);
	ck_ok(ops->count_users(store, HASH_B, &users, &error));
	ck_assert_uint_eq(users, 3);
	ck_ok(ops->functions->names(store, "one", 9, &names, &count, &error));
	ck_assert_uint_eq(count, 1);
	strv_free(names, count);
	ck_ok(ops->functions->names(store, "also", 9, &names, &count, &error));
	ck_assert_uint_eq(count, 0);
	strv_free(names, count);
	close_store();
}
END_TEST

static uint64_t stamp_now(void)
{
	uint64_t stamp = 0;
	ck_ok(ops->stamp(store, &stamp, &error));
	return stamp;
}

/* One that differs from `before`, once whoever tells of changes has told. */
static uint64_t next_stamp(uint64_t before)
{
	uint64_t deadline = deadline_in_ms(60000), stamp;
	while ((stamp = stamp_now()) == before) {
		ck_assert_msg(!deadline_passed(deadline), "nobody tells of a change");
		usleep(200);
	}
	return stamp;
}

/* As it is once all that was changed before has been told. */
static uint64_t settled_stamp(void)
{
	uint64_t stamp, deadline = deadline_in_ms(60000);
	do {
		ck_assert(!deadline_passed(deadline));
		stamp = stamp_now();
		usleep(20000);
	} while (stamp_now() != stamp);
	return stamp;
}

/* --- keys --- */

static struct key_record key(const char *name, const char *hash)
{
	return (struct key_record){
		.name = TEXT(name),
		.hash = TEXT(hash),
		.prefix = TEXT("nova_1234567"),
		.tier = TEXT("gold"),
		.expires_us = 9,
		.created_us = 5,
		.updated_us = 5,
	};
}

START_TEST(a_key_comes_back_as_it_was_put_by_its_name_and_its_hash)
{
	open_store(_i);
	struct key_record in = key("ci", HASH_A), other = key("b", HASH_B), out = { NULL }, *all;
	size_t count;
	ck_fails_with(NOVA_ENOTFOUND, "ci", ops->keys->get(store, "ci", &out, &error));
	ck_fails(NOVA_ENOTFOUND, ops->keys->find(store, HASH_A, &out, &error));
	ck_ok(ops->keys->put(store, &in, &error));
	ck_ok(ops->keys->put(store, &other, &error));
	ck_ok(ops->keys->find(store, HASH_A, &out, &error));
	ck_assert_str_eq(out.name, "ci");
	ck_assert_str_eq(out.prefix, in.prefix);
	ck_assert_str_eq(out.tier, "gold");
	ck_assert_uint_eq(out.expires_us, 9);
	ck_assert_uint_eq(out.created_us, 5);
	ck_assert(!out.revoked);
	key_record_clear(&out);
	ck_ok(ops->keys->list(store, &all, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(all[0].name, "b");
	key_record_list_free(all, count);
	close_store();
}
END_TEST

START_TEST(a_key_is_revoked_once_and_its_name_is_given_once)
{
	open_store(_i);
	struct key_record in = key("ci", HASH_A), again = key("ci", HASH_B), out = { NULL };
	ck_ok(ops->keys->put(store, &in, &error));
	ck_fails_with(NOVA_EEXIST, "'ci'", ops->keys->put(store, &again, &error));
	ck_ok(ops->keys->revoke(store, "ci", 7, &error));
	ck_ok(ops->keys->revoke(store, "ci", 8, &error));
	ck_ok(ops->keys->get(store, "ci", &out, &error));
	ck_assert(out.revoked);
	ck_assert_uint_eq(out.updated_us, 7);
	key_record_clear(&out);
	ck_ok(ops->keys->remove(store, "ci", &error));
	ck_fails(NOVA_ENOTFOUND, ops->keys->remove(store, "ci", &error));
	ck_fails(NOVA_ENOTFOUND, ops->keys->revoke(store, "\xff", 8, &error));
	ck_ok(ops->keys->put(store, &again, &error));
	close_store();
}
END_TEST

/* --- secrets --- */

#define KEY_ID_A "0123456789abcdef"
#define KEY_ID_B "fedcba9876543210"

static struct secret_record secret(const char *name, const char *sealed)
{
	return (struct secret_record){
		.name = TEXT(name),
		.key_id = TEXT(KEY_ID_A),
		.sealed = TEXT(sealed),
		.sealed_len = 32,
		.created_us = 5,
		.updated_us = 6,
	};
}

START_TEST(a_secret_comes_back_as_it_was_put_and_is_replaced)
{
	open_store(_i);
	static const char bytes[] = "\0\xff\x80 12345678901234567890123456789";
	struct secret_record in = secret("db", bytes), out = { NULL }, *all;
	struct secret_record other = secret("a", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF");
	size_t count;
	ck_fails_with(NOVA_ENOTFOUND, "db", ops->secrets->get(store, "db", &out, &error));
	ck_ok(ops->secrets->put(store, &in, &error));
	ck_ok(ops->secrets->put(store, &other, &error));
	in.created_us = 8;
	in.updated_us = 9;
	ck_ok(ops->secrets->put(store, &in, &error));
	ck_ok(ops->secrets->get(store, "db", &out, &error));
	ck_assert_str_eq(out.key_id, KEY_ID_A);
	ck_assert_uint_eq(out.sealed_len, 32);
	ck_assert_mem_eq(out.sealed, bytes, 32);
	ck_assert_uint_eq(out.created_us, 5);
	ck_assert_uint_eq(out.updated_us, 9);
	secret_record_clear(&out);
	ck_ok(ops->secrets->list(store, &all, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(all[0].name, "a");
	ck_assert_ptr_null(all[0].sealed);
	secret_record_list_free(all, count);
	ck_ok(ops->secrets->remove(store, "db", &error));
	ck_fails(NOVA_ENOTFOUND, ops->secrets->remove(store, "db", &error));
	ck_fails(NOVA_ENOTFOUND, ops->secrets->remove(store, "\xff", &error));
	close_store();
}
END_TEST

START_TEST(a_secret_is_resealed_only_as_it_was)
{
	open_store(_i);
	struct secret_record was = secret("db", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF");
	struct secret_record next = secret("db", "abcdefghijklmnopqrstuvwxyzabcdef"),
			     out = { NULL };
	next.key_id = TEXT(KEY_ID_B);
	ck_ok(ops->secrets->put(store, &was, &error));
	ck_ok(ops->secrets->reseal(store, &next, &was, &error));
	ck_fails(NOVA_EBUSY, ops->secrets->reseal(store, &next, &was, &error));
	ck_ok(ops->secrets->get(store, "db", &out, &error));
	ck_assert_str_eq(out.key_id, KEY_ID_B);
	ck_assert_mem_eq(out.sealed, next.sealed, 32);
	ck_assert_uint_eq(out.updated_us, 6);
	secret_record_clear(&out);
	close_store();
}
END_TEST

START_TEST(the_stamp_changes_with_every_change_by_anyone)
{
	open_store(_i);
	struct store *other;
	struct function_record record = sample("hello", ID_1), second = sample("second", ID_2);
	ck_ok(open_one(&other, &error));
	uint64_t before = settled_stamp();
	ck_assert_uint_eq(stamp_now(), before);
	ck_ok(ops->functions->put(store, &record, 0, &error));
	ck_assert_uint_ne(stamp_now(), before); /* its own it sees at once */
	uint64_t after_own = settled_stamp();
	ck_ok(ops->functions->put(other, &second, 0, &error));
	uint64_t after_other = next_stamp(after_own);
	ck_ok(ops->functions->remove(other, "second", false, 0, &error));
	uint64_t after_removal = next_stamp(after_other);
	ck_ok(ops->functions->remove(store, "hello", false, 0, &error));
	ck_assert_uint_ne(stamp_now(), after_removal);
	ops->close(other);
	close_store();
}
END_TEST

/* Counts up the version of one record, looking again whenever somebody else was faster. */
static int count_up(struct store *in, const char *name, unsigned times)
{
	for (unsigned done = 0; done < times;) {
		AUTO_RECORD struct function_record record = { 0 };
		int r = ops->functions->get(in, name, &record, NULL);
		if (r < 0)
			return r;
		record.version++;
		record.updated_us++;
		r = ops->functions->put(in, &record, record.updated_us - 1, NULL);
		if (r < 0 && r != NOVA_EBUSY)
			return r;
		done += r == 0;
	}
	return 0;
}

static void *count_up_thread(void *in)
{
	return (void *)(intptr_t)count_up(in, "hello", 50);
}

static uint32_t version_now(const char *name)
{
	AUTO_RECORD struct function_record record = { 0 };
	ck_ok(ops->functions->get(store, name, &record, &error));
	return record.version;
}

START_TEST(eight_threads_lose_no_update)
{
	open_store(_i);
	pthread_t threads[8];
	struct function_record record = sample("hello", ID_1);
	ck_ok(ops->functions->put(store, &record, 0, &error));
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count_up_thread, store), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *code;
		pthread_join(threads[i], &code);
		ck_assert_int_eq((int)(intptr_t)code, 0);
	}
	ck_assert_uint_eq(version_now("hello"), 1 + 8 * 50);
	close_store();
}
END_TEST

START_TEST(four_processes_that_open_at_once_lose_no_update)
{
	choose_store(_i);
	pid_t children[4];
	int gate[2];
	ck_assert_int_eq(sys_pipe(gate), 0);
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		children[i] = fork();
		if (children[i] == 0) {
			char byte;
			fd_close(gate[1]);
			sys_read(gate[0], &byte, 1); /* all begin when the parent lets go */
			struct function_record record = sample("hello", ID_1);
			int r = open_one(&store, NULL);
			if (r == 0 &&
				(r = ops->functions->put(store, &record, 0, NULL)) == NOVA_EEXIST)
				r = 0;
			if (r == 0)
				r = count_up(store, "hello", 25);
			if (r == 0)
				ops->close(store);
			_exit(-r);
		}
	}
	fd_close(gate[0]);
	fd_close(gate[1]);
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		int status;
		waitpid(children[i], &status, 0);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %zu: status %d",
			i, status);
	}
	ck_ok(open_one(&store, &error));
	ck_assert_uint_eq(version_now("hello"), 1 + 4 * 25);
	close_store();
}
END_TEST

START_TEST(texts_come_back_whatever_is_in_them)
{
	static char *const hostile[] = { TEXT("A='; DROP TABLE functions; --"),
		TEXT("B=\"$1\" ?1 %s"), TEXT("C=\\'\\\\''"), TEXT("D=\x01\x7f\t\r\n"),
		TEXT("E={\"a\":[]}"), TEXT("F=\xf0\x9f\x98\x80 \xef\xbf\xbe") };
	open_store(_i);
	struct function_record in = sample("a.b-c_d", ID_1), out = { 0 };
	char path[RECORD_PATH_MAX + 1];
	memset(path, '\'', sizeof(path) - 1);
	path[RECORD_PATH_MAX] = 0;
	in.code_path = path;
	in.config.env = (struct text_list){ (char **)hostile, ARRAY_LEN(hostile) };
	ck_ok(ops->functions->put(store, &in, 0, &error));
	ck_ok(ops->functions->get(store, in.name, &out, &error));
	ck_same(&in, &out);
	record_clear(&out);
	close_store();
}
END_TEST

/* --- contents --- */

static int file_of(const uint8_t *data, size_t len, size_t size)
{
	int fd = sys_memfd("content");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_truncate(fd, size), 0);
	ck_assert_int_eq(sys_pwrite_all(fd, data, len, 0), 0);
	return fd;
}

START_TEST(a_content_comes_back_byte_by_byte_with_its_holes)
{
	static uint8_t data[3 << 20], back[sizeof(data)];
	static const size_t sizes[] = { 0, 1, sizeof(data) - 7, sizeof(data) };
	open_store(_i);
	for (size_t at = 0; at < sizeof(data) - 7; at++)
		data[at] = at >> 20 == 1 ? 0 : (uint8_t)(at * 31); /* a piece of zeros */
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_FREE char *hash = str_format("%s%zu", HASH_A, i);
		AUTO_FD int in = file_of(data, sizes[i], sizes[i]), out = sys_memfd("out");
		ck_fails(NOVA_ENOTFOUND, ops->contents->get(store, hash, out, &error));
		ck_assert_int_eq(ops->contents->has(store, hash, &error), 0);
		ck_ok(ops->contents->put(store, hash, in, &error));
		ck_ok(ops->contents->put(store, hash, in, &error));
		ck_assert_int_eq(ops->contents->has(store, hash, &error), 1);
		ck_ok(ops->contents->get(store, hash, out, &error));
		struct stat st;
		ck_assert_int_eq(sys_fstat(out, &st), 0);
		ck_assert_uint_eq((size_t)st.st_size, sizes[i]);
		ck_assert_int_eq(sys_pread_all(out, back, sizes[i], 0), 0);
		ck_assert_mem_eq(back, data, sizes[i]);
	}
	ck_ok(ops->contents->sweep(store, &error));
	close_store();
}
END_TEST

/* --- death --- */

/* Counts up a version and tells of each that was stored, until it is killed. */
static void write_until_killed(int to)
{
	struct store *own;
	if (open_one(&own, NULL) < 0)
		_exit(1);
	for (;;) {
		AUTO_RECORD struct function_record record = { 0 };
		int r = ops->functions->get(own, "hello", &record, NULL);
		record.version++;
		record.updated_us++;
		if (r < 0 || ops->functions->put(own, &record, record.updated_us - 1, NULL) < 0 ||
			sys_write_all(to, &record.version, sizeof(record.version)) < 0)
			_exit(1);
	}
}

START_TEST(nothing_that_was_acknowledged_is_lost_when_the_writer_is_killed)
{
	const char *seed_text = getenv("NOVA_TEST_SEED");
	unsigned seed = seed_text ? (unsigned)atoi(seed_text) : (unsigned)getpid();
	unsigned rounds = getenv("NOVA_TEST_LONG") ? 200 : 20;
	uint32_t told = 1, before;
	open_store(_i);
	struct function_record record = sample("hello", ID_1);
	ck_ok(ops->functions->put(store, &record, 0, &error));
	printf("# seed %u\n", seed);
	for (unsigned i = 0; i < rounds; i++) {
		int ends[2];
		ck_assert_int_eq(sys_pipe(ends), 0);
		pid_t child = fork();
		if (child == 0) {
			fd_close(ends[0]);
			write_until_killed(ends[1]);
		}
		fd_close(ends[1]);
		before = told;
		ck_assert_int_eq(sys_read(ends[0], &told, sizeof(told)), sizeof(told));
		usleep(rand_r(&seed) % 5000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (sys_read(ends[0], &told, sizeof(told)) == sizeof(told))
			continue;
		fd_close(ends[0]);
		ck_assert_uint_gt(told, before);
		ck_assert_uint_ge(version_now("hello"), told);
		ck_assert_uint_le(version_now("hello"), told + 1);
	}
	close_store();
}
END_TEST

static Suite *store_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = tcase_create("store");
	int count = server_dsn() ? 2 : 1;
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, what_is_put_comes_back_whole_also_after_reopening, 0, count);
	tcase_add_loop_test(tc, a_name_is_given_once, 0, count);
	tcase_add_loop_test(tc, a_record_is_replaced_only_from_the_state_that_was_seen, 0, count);
	tcase_add_loop_test(tc, a_function_is_removed_only_in_the_state_that_was_seen, 0, count);
	tcase_add_loop_test(tc, what_is_not_there_is_not_found, 0, count);
	tcase_add_loop_test(tc, a_list_may_be_of_those_with_certain_labels, 0, count);
	tcase_add_loop_test(tc, lists_are_sorted_by_name_and_may_be_empty, 0, count);
	tcase_add_loop_test(tc, the_users_of_a_code_are_counted, 0, count);
	tcase_add_loop_test(tc, a_version_is_the_function_as_it_was, 0, count);
	tcase_add_loop_test(tc, what_is_referred_to_is_not_removed, 0, count);
	tcase_add_loop_test(tc, an_alias_comes_back_as_it_was_put, 0, count);
	tcase_add_loop_test(tc, a_runtime_comes_back_as_it_was_put, 0, count);
	tcase_add_loop_test(
		tc, runtimes_are_listed_by_name_and_are_users_of_their_root_filesystem, 0, count);
	tcase_add_loop_test(tc, a_key_comes_back_as_it_was_put_by_its_name_and_its_hash, 0, count);
	tcase_add_loop_test(tc, a_key_is_revoked_once_and_its_name_is_given_once, 0, count);
	tcase_add_loop_test(tc, a_secret_comes_back_as_it_was_put_and_is_replaced, 0, count);
	tcase_add_loop_test(tc, a_secret_is_resealed_only_as_it_was, 0, count);
	tcase_add_loop_test(tc, the_stamp_changes_with_every_change_by_anyone, 0, count);
	tcase_add_loop_test(tc, eight_threads_lose_no_update, 0, count);
	tcase_add_loop_test(tc, four_processes_that_open_at_once_lose_no_update, 0, count);
	tcase_add_loop_test(tc, texts_come_back_whatever_is_in_them, 0, count);
	tcase_add_loop_test(tc, a_content_comes_back_byte_by_byte_with_its_holes, 0, count);
	tcase_add_loop_test(
		tc, nothing_that_was_acknowledged_is_lost_when_the_writer_is_killed, 0, count);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(store_suite)
