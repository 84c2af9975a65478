/* SPDX-License-Identifier: MIT */
/* Secrets: nova/secret.h. What functions get of them is in secret_call.c. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/guarded.h"
#include "platform/platform.h"
#include "secret_files.h"
#include "vmtest.h"

#define KEY_A "00000000000000000000000000000000000000000000000000000000000000aa"
#define KEY_B "00000000000000000000000000000000000000000000000000000000000000BB"

static char *key_file;

static void write_keys(const char *text)
{
	ck_assert_int_eq(fs_write_file(key_file, text, strlen(text), 0600), 0);
}

static struct platform open_with(const char *keys)
{
	free(key_file);
	key_file = str_format("/tmp/nova-test-keys.%d", (int)getpid());
	write_keys(keys);
	/* forks of VMs, where they can be, are to have no secret of others either */
	return platform_open("secret.key_file", key_file, "pool.hot", "auto", NULL);
}

static void close_it(struct platform *p)
{
	fs_unlink(key_file);
	free(STEAL(key_file));
	platform_close(p);
}

static int set(nova_t *nova, const char *name, const char *value)
{
	return nova_secret_set(nova, name, value, strlen(value), &error);
}

/* As a function would be given it. */
static int value_of(nova_t *nova, const char *name, char **ret_json)
{
	AUTO_FREE char *variable = str_format("V=$SECRET:%s", name);
	char *items[] = { variable };
	const struct text_list variables = { items, 1 };
	CLEANUP(secret_set_freep) struct secret_set *found = NULL;
	size_t len;
	int code = secret_set_find(&nova->secrets, &variables, &found, &error);
	return code < 0 ? code : secret_set_values(found, ret_json, &len, &error);
}

static void has_value(nova_t *nova, const char *name, const char *json)
{
	AUTO_GUARDED char *got = NULL;
	ck_ok(value_of(nova, name, &got));
	ck_assert_str_eq(got, json);
}

START_TEST(a_secret_is_set_replaced_listed_and_deleted)
{
	struct platform p = open_with(KEY_A "\n");
	const nova_secret **list;
	size_t count;
	ck_ok(nova_secret_list(p.nova, &list, &count, &error));
	ck_assert_ptr_null(list);
	ck_ok(set(p.nova, "db", "one"));
	ck_ok(set(p.nova, "a", ""));
	has_value(p.nova, "db", "{\"V\":\"one\"}");
	ck_ok(set(p.nova, "db", "two"));
	has_value(p.nova, "db", "{\"V\":\"two\"}");
	has_value(p.nova, "a", "{\"V\":\"\"}");
	ck_ok(nova_secret_list(p.nova, &list, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(list[0]->name, "a");
	ck_assert_uint_eq(strlen(list[0]->key_id), 16);
	ck_assert_uint_gt(list[1]->updated_us, list[1]->created_us);
	nova_secret_list_free(list, count);
	ck_ok(nova_secret_delete(p.nova, "db", &error));
	ck_fails(NOVA_ENOTFOUND, nova_secret_delete(p.nova, "db", &error));
	AUTO_GUARDED char *none = NULL;
	ck_fails_with(
		NOVA_ECONFIG, "no secret 'db' for variable 'V'", value_of(p.nova, "db", &none));
	close_it(&p);
}
END_TEST

START_TEST(any_text_can_be_a_value_up_to_64_kib)
{
	struct platform p = open_with(KEY_A);
	AUTO_FREE char *longest = malloc((64 << 10) + 2);
	memset(longest, 1, (64 << 10) + 1);
	ck_ok(set(p.nova, "text", "\"quotes\" \\ 'ä€😀'\n$SECRET:x"));
	has_value(p.nova, "text", "{\"V\":\"\\\"quotes\\\" \\\\ 'ä€😀'\\n$SECRET:x\"}");
	ck_ok(nova_secret_set(p.nova, "long", longest, 64 << 10, &error));
	AUTO_GUARDED char *got = NULL;
	ck_ok(value_of(p.nova, "long", &got));
	ck_assert_uint_eq(strlen(got), 8 + 6 * (64 << 10));
	ck_fails_with(NOVA_ETOOBIG, "65537",
		nova_secret_set(p.nova, "x", longest, (64 << 10) + 1, &error));
	ck_fails_with(NOVA_EINVAL, "NUL", nova_secret_set(p.nova, "x", "a\0b", 3, &error));
	ck_fails_with(NOVA_EINVAL, "UTF-8", nova_secret_set(p.nova, "x", "\xff", 1, &error));
	ck_fails_with(NOVA_EINVAL, "name: 'a b'", nova_secret_set(p.nova, "a b", "v", 1, &error));
	ck_fails_with(NOVA_EINVAL, "name: ", nova_secret_set(p.nova, "'; --", "v", 1, &error));
	close_it(&p);
}
END_TEST

START_TEST(without_a_key_the_way_to_one_is_told)
{
	struct platform p = platform_open(NULL);
	ck_fails_with(NOVA_ECONFIG, "'novactl secret key FILE' makes one", set(p.nova, "a", "v"));
	platform_close(&p);
}
END_TEST

START_TEST(a_key_in_the_environment_counts_and_not_beside_a_file)
{
	setenv("NOVA_SECRET_KEY", KEY_A "," KEY_B, 1);
	struct platform p = platform_open(NULL);
	ck_ok(set(p.nova, "a", "v"));
	has_value(p.nova, "a", "{\"V\":\"v\"}");
	setenv("NOVA_SECRET_KEY", "not a key", 1);
	ck_fails_with(NOVA_ECONFIG, "NOVA_SECRET_KEY: key 1 is none", set(p.nova, "a", "v"));
	platform_close(&p);
	p = open_with(KEY_A);
	ck_fails_with(NOVA_ECONFIG, "given twice", set(p.nova, "a", "v"));
	unsetenv("NOVA_SECRET_KEY");
	close_it(&p);
}
END_TEST

START_TEST(a_file_with_keys_that_is_none_is_told_and_nothing_of_it)
{
	static const char *const bad[] = { "", "\n", KEY_A "0", "0" KEY_A "\n", "g" KEY_A,
		KEY_A KEY_B, KEY_A "\nhunter2" };
	struct platform p = open_with(KEY_A);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_keys(bad[i]);
		ck_assert_int_eq(set(p.nova, "a", "v"), NOVA_ECONFIG);
		ck_assert_ptr_nonnull(strstr(nova_error_message(error), key_file));
		ck_assert_ptr_null(strstr(nova_error_message(error), "hunter2"));
		ck_assert_ptr_null(strstr(nova_error_message(error), "00aa"));
		nova_error_free(STEAL(error));
	}
	write_keys(KEY_A);
	ck_assert_int_eq(chmod(key_file, 0640), 0);
	ck_fails_with(NOVA_EPERM, "chmod 600", set(p.nova, "a", "v"));
	ck_assert_int_eq(chmod(key_file, 0600), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(key_file, 1000, 0), 0);
		ck_fails_with(NOVA_EPERM, "another user (1000)", set(p.nova, "a", "v"));
	}
	fs_unlink(key_file);
	ck_fails_with(NOVA_ENOTFOUND, key_file, set(p.nova, "a", "v"));
	ck_assert_int_eq(mkfifo(key_file, 0600), 0);
	ck_fails_with(NOVA_ECONFIG, "is no file with keys", set(p.nova, "a", "v"));
	close_it(&p);
}
END_TEST

START_TEST(a_new_key_comes_first_in_its_file)
{
	struct platform p = open_with(KEY_A);
	struct stat st;
	fs_unlink(key_file);
	ck_ok(nova_secret_key_create(key_file, &error));
	ck_assert_int_eq(stat(key_file, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(st.st_size, 65);
	ck_ok(set(p.nova, "a", "v"));
	ck_ok(nova_secret_key_create(key_file, &error));
	ck_ok(set(p.nova, "b", "v"));
	has_value(p.nova, "a", "{\"V\":\"v\"}");
	const nova_secret **list;
	size_t count;
	ck_ok(nova_secret_list(p.nova, &list, &count, &error));
	ck_assert_str_ne(list[0]->key_id, list[1]->key_id);
	nova_secret_list_free(list, count);
	for (int i = 2; i < 16; i++)
		ck_ok(nova_secret_key_create(key_file, &error));
	ck_fails_with(NOVA_ECONFIG, "more than 16", nova_secret_key_create(key_file, &error));
	ck_assert_int_eq(chmod(key_file, 0604), 0);
	ck_fails(NOVA_EPERM, nova_secret_key_create(key_file, &error));
	close_it(&p);
}
END_TEST

/* Each that was announced as made. */
START_TEST(keys_that_are_made_at_once_are_all_there)
{
	enum { MANY = 8 };
	struct platform p = open_with(KEY_A "\n");
	struct stat st;
	pid_t pids[MANY];
	int begin[2];
	ck_assert_int_eq(pipe(begin), 0);
	for (int i = 0; i < MANY; i++)
		if (!(pids[i] = fork())) {
			close(begin[1]);
			if (read(begin[0], &st, 1) < 0) /* the end, when all are there */
				_exit(2);
			_exit(nova_secret_key_create(key_file, NULL) != 0);
		}
	close(begin[0]);
	close(begin[1]);
	for (int i = 0, status; i < MANY; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(stat(key_file, &st), 0);
	ck_assert_int_eq(st.st_size, (MANY + 1) * 65);
	close_it(&p);
}
END_TEST

START_TEST(a_new_key_goes_where_a_link_leads)
{
	struct platform p = open_with(KEY_A);
	AUTO_FREE char *link = str_format("%s.link", key_file);
	struct stat st;
	ck_assert_int_eq(symlink(key_file, link), 0);
	ck_ok(nova_secret_key_create(link, &error));
	ck_assert_int_eq(lstat(link, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(stat(key_file, &st), 0);
	ck_assert_int_eq(st.st_size, 65 + 64);
	fs_unlink(key_file);
	ck_fails_with(NOVA_ENOTFOUND, "not there", nova_secret_key_create(link, &error));
	fs_unlink(link);
	close_it(&p);
}
END_TEST

START_TEST(a_file_with_a_nul_among_its_keys_is_refused_and_stays)
{
	static const char text[] = KEY_A "\n\0" KEY_B;
	struct platform p = open_with(KEY_A);
	struct stat st;
	ck_assert_int_eq(fs_write_file(key_file, text, sizeof(text) - 1, 0600), 0);
	ck_fails_with(NOVA_ECONFIG, "NUL", nova_secret_key_create(key_file, &error));
	ck_fails_with(NOVA_ECONFIG, "NUL", set(p.nova, "a", "v"));
	ck_assert_int_eq(stat(key_file, &st), 0);
	ck_assert_int_eq(st.st_size, sizeof(text) - 1);
	close_it(&p);
}
END_TEST

START_TEST(a_wrong_key_is_named_with_the_right_one)
{
	struct platform p = open_with(KEY_A);
	AUTO_GUARDED char *none = NULL;
	ck_ok(set(p.nova, "a", "v"));
	write_keys(KEY_B);
	const nova_secret **list;
	size_t count;
	ck_ok(nova_secret_list(p.nova, &list, &count, &error));
	ck_fails_with(NOVA_ECONFIG, list[0]->key_id, value_of(p.nova, "a", &none));
	ck_fails_with(NOVA_ECONFIG, "secret 'a' was sealed with key",
		nova_secret_rotate(p.nova, NULL, &error));
	nova_secret_list_free(list, count);
	ck_ok(set(p.nova, "a", "w")); /* anew, with the key that is there */
	has_value(p.nova, "a", "{\"V\":\"w\"}");
	close_it(&p);
}
END_TEST

START_TEST(rotation_needs_the_old_key_until_it_is_done)
{
	struct platform p = open_with(KEY_A);
	size_t count;
	ck_ok(set(p.nova, "a", "1"));
	ck_ok(set(p.nova, "b", "2"));
	write_keys(KEY_B " " KEY_A);
	ck_ok(set(p.nova, "c", "3"));
	has_value(p.nova, "a", "{\"V\":\"1\"}");
	ck_ok(nova_secret_rotate(p.nova, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_ok(nova_secret_rotate(p.nova, &count, &error));
	ck_assert_uint_eq(count, 0);
	write_keys(KEY_B);
	has_value(p.nova, "a", "{\"V\":\"1\"}");
	has_value(p.nova, "b", "{\"V\":\"2\"}");
	has_value(p.nova, "c", "{\"V\":\"3\"}");
	close_it(&p);
}
END_TEST

/* --- what happens between two steps of a call --- */

static const struct secret_ops *real_ops;
static struct secret_ops late_ops;
static struct store_ops late_store;
static const struct secret_record *late;

/* The operations of the store are those of late_ops, which call the real ones, until it ends. */
static const struct store_ops *interpose(struct store *store)
{
	const struct store_ops *before = store->ops;
	real_ops = before->secrets;
	late_store = *before;
	late_ops = *real_ops;
	late_store.secrets = &late_ops;
	store->ops = &late_store;
	return before;
}

/* Once something comes behind the list that was sealed before. */
static int list_then_put(struct store *store, struct secret_record **ret, size_t *ret_count,
	nova_error_t **ret_error)
{
	int code = real_ops->list(store, ret, ret_count, ret_error);
	late_ops.list = real_ops->list;
	ck_ok(real_ops->put(store, late, &error));
	return code;
}

static int put_then_list(struct store *store, struct secret_record **ret, size_t *ret_count,
	nova_error_t **ret_error)
{
	ck_ok(real_ops->put(store, late, &error));
	return real_ops->list(store, ret, ret_count, ret_error);
}

START_TEST(rotation_finds_what_is_put_behind_its_list)
{
	struct platform p = open_with(KEY_A);
	struct store *store = p.nova->registry.store;
	AUTO_SECRET_RECORD struct secret_record record = { NULL };
	size_t count;
	ck_ok(set(p.nova, "a", "1"));
	ck_ok(set(p.nova, "b", "2"));
	ck_ok(store->ops->secrets->get(store, "b", &record, &error));
	ck_ok(nova_secret_delete(p.nova, "b", &error));
	write_keys(KEY_B " " KEY_A);
	const struct store_ops *ops = interpose(store);
	late_ops.list = list_then_put;
	late = &record;
	ck_ok(nova_secret_rotate(p.nova, &count, &error));
	ck_assert_uint_eq(count, 2);
	late_ops.list = put_then_list; /* without end */
	ck_fails_with(NOVA_EBUSY, "call it again", nova_secret_rotate(p.nova, &count, &error));
	store->ops = ops;
	write_keys(KEY_B);
	has_value(p.nova, "a", "{\"V\":\"1\"}");
	has_value(p.nova, "b", "{\"V\":\"2\"}");
	close_it(&p);
}
END_TEST

/* The old key goes, before the value is put that was sealed with it. */
static int change_keys_then_put(
	struct store *store, const struct secret_record *record, nova_error_t **ret_error)
{
	write_keys(KEY_B);
	return real_ops->put(store, record, ret_error);
}

START_TEST(what_is_set_while_the_key_changes_has_the_new_one)
{
	struct platform p = open_with(KEY_A);
	struct store *store = p.nova->registry.store;
	const struct store_ops *ops = interpose(store);
	late_ops.put = change_keys_then_put;
	ck_ok(set(p.nova, "a", "1"));
	store->ops = ops;
	has_value(p.nova, "a", "{\"V\":\"1\"}");
	close_it(&p);
}
END_TEST

#define MANY 40

/* Killed at one place after the other, it goes on where it was. */
START_TEST(a_rotation_that_is_killed_goes_on)
{
	struct platform p = open_with(KEY_A);
	nova_t *next = NULL;
	for (int i = 0; i < MANY; i++) {
		char name[8];
		snprintf(name, sizeof(name), "s%d", i);
		ck_ok(set(p.nova, name, "v"));
	}
	write_keys(KEY_B "\n" KEY_A);
	for (int round = 0; round < 8; round++) {
		int ready[2];
		char byte;
		ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
		pid_t pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			nova_t *own = NULL;
			bool open = nova_open(p.config, &own, NULL) == 0;
			if (write(ready[1], "", 1) == 1 && open)
				nova_secret_rotate(own, NULL, NULL);
			_exit(0);
		}
		close(ready[1]);
		ck_assert_int_eq(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		usleep((useconds_t)round * 300);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		has_value(p.nova, "s0", "{\"V\":\"v\"}");
		has_value(p.nova, "s9", "{\"V\":\"v\"}");
	}
	ck_ok(nova_secret_rotate(p.nova, NULL, &error));
	write_keys(KEY_B);
	for (int i = 0; i < MANY; i++) {
		char name[8];
		snprintf(name, sizeof(name), "s%d", i);
		has_value(p.nova, name, "{\"V\":\"v\"}");
	}
	ck_ok(nova_open(p.config, &next, &error)); /* tidies up what those have left */
	nova_close(next);
	close_it(&p);
}
END_TEST

START_TEST(what_is_sealed_by_one_name_is_no_value_of_another)
{
	struct platform p = open_with(KEY_A);
	struct store *store = p.nova->registry.store;
	AUTO_SECRET_RECORD struct secret_record record = { NULL };
	AUTO_GUARDED char *none = NULL;
	ck_ok(set(p.nova, "mine", "v"));
	ck_ok(store->ops->secrets->get(store, "mine", &record, &error));
	free(record.name);
	record.name = strdup("yours");
	ck_ok(store->ops->secrets->put(store, &record, &error));
	ck_fails_with(NOVA_ECORRUPT, "'yours' is damaged, or was sealed by another name",
		value_of(p.nova, "yours", &none));
	((uint8_t *)record.sealed)[SECRET_NONCE] ^= 1;
	free(record.name);
	record.name = strdup("mine");
	ck_ok(store->ops->secrets->put(store, &record, &error));
	ck_fails_with(NOVA_ECORRUPT, "'mine' is damaged", value_of(p.nova, "mine", &none));
	/* which holds up no other */
	ck_ok(set(p.nova, "other", "v"));
	write_keys(KEY_B "\n" KEY_A);
	size_t count;
	ck_fails_with(NOVA_ECORRUPT, "'mine'", nova_secret_rotate(p.nova, &count, &error));
	ck_assert_uint_eq(count, 1);
	close_it(&p);
}
END_TEST

START_TEST(two_owners_of_keys_on_one_store_do_not_read_each_others)
{
	struct platform p = open_with(KEY_A);
	AUTO_FREE char *theirs = str_format("%s.b", key_file);
	AUTO_GUARDED char *none = NULL;
	nova_config_t *config = vmtest_config(p.dir);
	nova_t *other = NULL;
	ck_assert_int_eq(fs_write_file(theirs, KEY_B, strlen(KEY_B), 0600), 0);
	ck_ok(nova_config_set(config, "secret.key_file", theirs, &error));
	ck_ok(nova_open(config, &other, &error));
	ck_ok(set(p.nova, "a", "mine"));
	ck_ok(set(other, "b", "theirs"));
	ck_fails(NOVA_ECONFIG, value_of(other, "a", &none));
	ck_fails(NOVA_ECONFIG, value_of(p.nova, "b", &none));
	has_value(other, "b", "{\"V\":\"theirs\"}");
	ck_ok(set(other, "a", "taken")); /* who can write to the store can replace */
	ck_fails(NOVA_ECONFIG, value_of(p.nova, "a", &none));
	nova_close(other);
	nova_config_free(config);
	fs_unlink(theirs);
	close_it(&p);
}
END_TEST

START_TEST(what_another_process_sets_is_seen)
{
	struct platform p = open_with(KEY_A);
	nova_t *other = NULL;
	ck_ok(nova_open(p.config, &other, &error));
	ck_ok(set(other, "a", "1"));
	has_value(p.nova, "a", "{\"V\":\"1\"}");
	ck_ok(set(other, "a", "2"));
	has_value(p.nova, "a", "{\"V\":\"2\"}");
	nova_close(other);
	close_it(&p);
}
END_TEST

/* --- what a core dump would have --- */

/* Neither text is anywhere in this program as it is. */
static void hidden(char *out, const char *text)
{
	for (; *text; text++)
		*out++ = (char)(*text + 1);
	*out = 0;
}

static bool found_at(const uint8_t *at, const char *text)
{
	for (; *text; text++, at++)
		if (*at != (uint8_t)*text + 1)
			return false;
	return true;
}

static bool in_region(int memory, uint64_t from, uint64_t to, const char *text)
{
	size_t len = strlen(text);
	AUTO_FREE uint8_t *copy = to - from < (256u << 20) ? malloc(to - from) : NULL;
	ssize_t got = copy ? pread(memory, copy, to - from, (off_t)from) : -1;
	bool found = false;
	for (ssize_t i = 0; !found && i + (ssize_t)len <= got; i++)
		found = found_at(copy + i, text);
	if (copy)
		memset(copy, 0, to - from); /* not to be found there the next time */
	return found;
}

/* Whether memory that a core dump has has the text, each byte of which is one more. */
static bool in_a_dump(const char *text)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	AUTO_FD int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uint64_t from = 0, to = 0, next_from, next_to;
	char line[512], mode[8] = "", next_mode[8];
	bool found = false;
	ck_assert(maps && memory >= 0);
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &next_from, &next_to, next_mode) == 3) {
			from = next_from;
			to = next_to;
			memcpy(mode, next_mode, sizeof(mode));
		} else if (str_starts(line, "VmFlags:") && mode[0] == 'r' && mode[1] == 'w' &&
			   !strstr(line, " dd")) {
			found = in_region(memory, from, to, text);
		}
	}
	fclose(maps);
	return found;
}

START_TEST(neither_values_nor_keys_are_in_memory_that_is_dumped)
{
	static const char value_less_one[] = "gdkkn,rdbqds,u`ktd,rodbh`k";
	static const char key_less_one[] =
		"0e1d2c3b4a5`68770`1a2b3c4d5e6`7a8b`cadbec0d1e2`3a4b5c6d7e8`0a1b2";
	static const char bytes_less_one[] = "\x1e\x2d\x3c\x4b\x5a\x69\x78\x87"
					     "\x19\x2a\x3b\x4c\x5d\x6e\x79\x8a";
	struct platform p = open_with("");
	AUTO_GUARDED char *value = guarded_alloc(64), *key = guarded_alloc(80), *json = NULL;
	hidden(value, value_less_one);
	hidden(key, key_less_one);
	write_keys(key);
	ck_ok(set(p.nova, "a", value));
	ck_ok(value_of(p.nova, "a", &json));
	ck_assert_ptr_nonnull(strstr(json, value));
	ck_assert(!in_a_dump(value_less_one));
	ck_assert(!in_a_dump(key_less_one));
	ck_assert(!in_a_dump(bytes_less_one));
	/* the search finds what is there */
	char *plain = malloc(64);
	hidden(plain, value_less_one);
	ck_assert(in_a_dump(value_less_one));
	free(plain);
	close_it(&p);
}
END_TEST

START_TEST(guarded_memory_is_wiped_and_empty_in_a_child)
{
	char *at = guarded_alloc(10000);
	memset(at, 'x', 10000);
	pid_t pid = fork();
	if (pid == 0)
		_exit(at[0] || at[9999]);
	int status;
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(at[9999], 'x');
	guarded_free(at);
	ck_assert_ptr_null(guarded_alloc(SIZE_MAX));
}
END_TEST

/* --- functions --- */

#define VALUE "a-value-that-nobody-sees"

static void add(
	nova_t *nova, const char *name, const char *runtime, const char *code, uint32_t flags)
{
	const char *const env[] = { "TOKEN=$SECRET:token", "PLAIN=1", "OTHER=$SECRET:other" };
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = runtime;
	o.code = code;
	o.code_len = strlen(code);
	o.env = env;
	o.env_count = ARRAY_LEN(env);
	o.check = NOVA_CHECK_NEVER;
	o.flags = flags;
	ck_ok(nova_function_register(nova, &o, NULL, &error));
}

/* Each tells how long the value is, and none the value. */
#define SHELL   "#!/bin/sh\nprintf %d,%d,%d ${#TOKEN} ${#PLAIN} ${#OTHER}"
#define LENGTHS "','.join(str(len(os.environ[n])) for n in ('TOKEN', 'PLAIN', 'OTHER'))"
#define PYTHON  "import os\ndef handler(event):\n    return " LENGTHS "\n"
#define SCRIPT  "import os\nprint(" LENGTHS ")\n"
#define AT_IMPORT                                                                                  \
	"import os\nT = len(os.environ.get('TOKEN', ''))\ndef handler(event):\n    return T\n"
#define NODE                                                                                       \
	"exports.handler = async () => ['TOKEN', 'PLAIN', 'OTHER'].map("                           \
	"(n) => process.env[n].length).join();\n"

static const struct {
	const char *runtime, *code;
	uint32_t flags;
} functions[] = {
	{ "shell", SHELL, 0 },
	{ "python", PYTHON, 0 },
	{ "python", PYTHON, NOVA_REGISTER_IN_PLACE },
	{ "python", SCRIPT, 0 },
	{ "python", PYTHON, NOVA_REGISTER_SECRETS_AT_INIT },
	{ "node", NODE, 0 },
};

static struct platform open_with_secrets(void)
{
	struct platform p = open_with(KEY_A);
	ck_ok(set(p.nova, "token", VALUE));
	ck_ok(set(p.nova, "other", ""));
	return p;
}

START_TEST(a_function_has_its_secrets_in_its_variables_and_no_file_has_them)
{
	struct platform p = open_with_secrets();
	add(p.nova, "f", functions[_i].runtime, functions[_i].code, functions[_i].flags);
	platform_answers(p.nova, "f", "\"24,1,0\"");
	ck_ok(set(p.nova, "token", "short")); /* a VM that has the former one is told */
	platform_answers(p.nova, "f", "\"5,1,0\"");
	ck_ok(set(p.nova, "token", VALUE));
	platform_answers(p.nova, "f", "\"24,1,0\"");
	ck_assert(!secret_in_files(p.dir, VALUE));
	close_it(&p);
}
END_TEST

START_TEST(a_function_that_is_another_by_then_has_none_of_the_former)
{
	struct platform p = open_with_secrets();
	struct invocation c = { .nova = p.nova };
	const nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	add(p.nova, "f", "shell", SHELL, 0);
	ck_ok(invocation_prepare(&c, "f", "{}", &opts, &error));
	ck_ok(nova_function_delete(p.nova, "f", 0, &error));
	platform_add(p.nova, "f", "shell", "printf '\"%s\"' \"${TOKEN-none}\"");
	ck_ok(invocation_run(&c, &result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), "\"none\"");
	nova_result_free(result);
	invocation_done(&c);
	close_it(&p);
}
END_TEST

START_TEST(an_import_has_them_only_where_it_says_so)
{
	struct platform p = open_with_secrets();
	add(p.nova, "without", "python", AT_IMPORT, 0);
	add(p.nova, "with", "python", AT_IMPORT, NOVA_REGISTER_SECRETS_AT_INIT);
	platform_answers(p.nova, "without", "0");
	platform_answers(p.nova, "with", "24");
	ck_assert(!secret_in_files(p.dir, VALUE));
	close_it(&p);
}
END_TEST

/* As much as there can be, beside an input that goes another way than a short one. */
START_TEST(large_secrets_and_large_inputs_go_together)
{
	static char value[64 << 10], input[128 << 10];
	const size_t most = (96 << 10) - sizeof(value) - sizeof("TOKEN=") - sizeof("OTHER=");
	struct platform p = open_with_secrets();
	nova_result_t *result = NULL;
	memset(value, 'v', sizeof(value));
	ck_ok(nova_secret_set(p.nova, "token", value, sizeof(value), &error));
	ck_ok(nova_secret_set(p.nova, "other", value, most, &error));
	add(p.nova, "f", functions[_i].runtime, functions[_i].code, functions[_i].flags);
	for (size_t size = 60 << 10; size < sizeof(input); size += 60 << 10) {
		memset(input, ' ', size);
		input[0] = input[size - 1] = '"';
		input[size] = 0;
		ck_ok(nova_invoke(p.nova, "f", input, NULL, &result, &error));
		ck_assert_str_eq(nova_result_output(result, NULL), "\"65536,1,32754\"");
		nova_result_free(result);
		result = NULL;
	}
	ck_ok(nova_secret_set(p.nova, "other", value, most + 1, &error));
	ck_fails_with(NOVA_ETOOBIG, "98304 bytes together with the names of their variables",
		platform_call(p.nova, "f", &result));
	close_it(&p);
}
END_TEST

START_TEST(a_secret_that_is_missing_is_told_before_there_is_a_vm)
{
	struct platform p = open_with_secrets();
	nova_result_t *result = NULL;
	add(p.nova, "f", "shell", SHELL, 0);
	ck_ok(nova_secret_delete(p.nova, "token", &error));
	ck_fails_with(NOVA_ECONFIG,
		"function 'f': there is no secret 'token' for variable 'TOKEN': set it",
		platform_call(p.nova, "f", &result));
	ck_ok(set(p.nova, "token", VALUE));
	platform_answers(p.nova, "f", "\"24,1,0\"");
	write_keys(KEY_B);
	platform_answers(p.nova, "f", "\"24,1,0\""); /* its VM has been told */
	ck_ok(set(p.nova, "token", VALUE));
	ck_fails_with(NOVA_ECONFIG, "secret 'other' was sealed with key",
		platform_call(p.nova, "f", &result));
	close_it(&p);
}
END_TEST

START_TEST(what_stands_for_a_secret_is_one_and_alone)
{
	static const char *const bad[] = { "A=$SECRET:", "A=$SECRET:a b", "A=$SECRET:../x",
		"A=x$SECRET:token", "A=$SECRET:token " };
	struct platform p = open_with_secrets();
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "shell";
	o.code = "true";
	o.code_len = 4;
	o.env_count = 1;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		o.env = &bad[i];
		ck_fails_with(NOVA_EINVAL, "variable 'A'",
			nova_function_register(p.nova, &o, NULL, &error));
	}
	close_it(&p);
}
END_TEST

START_TEST(code_that_is_run_once_has_them_too)
{
	static const char *const env[] = { "TOKEN=$SECRET:token", "PLAIN=1",
		"OTHER=$SECRET:other" };
	struct platform p = open_with_secrets();
	nova_run_opts o = NOVA_RUN_OPTS_INIT;
	nova_result_t *result = NULL;
	o.env = env;
	o.env_count = ARRAY_LEN(env);
	ck_ok(nova_run(p.nova, "python", SCRIPT, &o, &result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), "\"24,1,0\"");
	nova_result_free(result);
	ck_assert(!secret_in_files(p.dir, VALUE));
	ck_ok(nova_secret_delete(p.nova, "token", &error));
	result = NULL;
	ck_fails_with(NOVA_ECONFIG, "no secret 'token'",
		nova_run(p.nova, "python", SCRIPT, &o, &result, &error));
	close_it(&p);
}
END_TEST

START_TEST(what_a_call_leaves_is_no_snapshot)
{
	struct platform p = open_with_secrets();
	nova_invoke_opts o = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	add(p.nova, "f", "shell", SHELL, 0);
	o.flags = NOVA_INVOKE_CHECKPOINT;
	ck_fails(NOVA_ENOTSUP, nova_invoke(p.nova, "f", "{}", &o, &result, &error));
	close_it(&p);
}
END_TEST

/* --- real VMs: templates, clones, forks --- */

static size_t count_templates(nova_t *nova)
{
	nova_snapshot_t **list;
	size_t count;
	ck_ok(nova_template_list(nova_host_get(nova), &list, &count, &error));
	nova_snapshot_list_free(list, count);
	return count;
}

static nova_instance_t *start_instance(nova_t *nova)
{
	nova_instance_opts o = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance = NULL;
	o.function = "f";
	ck_ok(nova_instance_start(nova, &o, &instance, &error));
	return instance;
}

static void answers_in(nova_t *nova, nova_instance_t *instance, const char *output)
{
	nova_invoke_opts o = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	o.instance = instance;
	ck_ok(nova_invoke(nova, NULL, "{}", &o, &result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), output);
	nova_result_free(result);
}

/* Calls in a VM of the pool and in an instance, each from the template, which is on the disk while
 * they live. */
static void call_and_search(struct platform *p, const char *output)
{
	nova_snapshot_t *snapshot = NULL;
	ck_ok(nova_template_build(p->nova, "f", NULL, &error));
	ck_assert_uint_ge(count_templates(p->nova), 2); /* the runtime's, too */
	platform_answers(p->nova, "f", output);
	nova_instance_t *instance = start_instance(p->nova);
	nova_vm_t *vm = nova_instance_vm(instance);
	answers_in(p->nova, instance, output);
	ck_fails_with(NOVA_ENOTSUP, "has been given secrets",
		nova_vm_snapshot(vm, NULL, &snapshot, &error));
	nova_vm_t *child = NULL;
	ck_ok(nova_vm_fork(vm, 1, NULL, &child, &error));
	ck_fails_with(NOVA_ENOTSUP, "has been given secrets",
		nova_vm_snapshot(child, NULL, &snapshot, &error));
	nova_vm_free(child);
	ck_assert(!secret_in_files(p->dir, VALUE));
	ck_ok(nova_instance_stop(instance, 0, &error));
	nova_instance_free(instance);
}

START_TEST(no_template_has_a_secret_that_its_clones_are_given)
{
	struct platform p = open_with_secrets();
	add(p.nova, "f", functions[_i].runtime, functions[_i].code, functions[_i].flags);
	call_and_search(&p, "\"24,1,0\"");
	close_it(&p);
}
END_TEST

START_TEST(no_template_has_a_secret_that_an_import_is_given)
{
	struct platform p = open_with_secrets();
	add(p.nova, "f", "python", AT_IMPORT, NOVA_REGISTER_SECRETS_AT_INIT);
	call_and_search(&p, "24");
	close_it(&p);
}
END_TEST

START_TEST(no_file_has_the_value)
{
	struct platform p = open_with(KEY_A);
	ck_ok(set(p.nova, "a", "a-value-that-nobody-sees"));
	ck_assert(!secret_in_files(p.dir, "a-value-that-nobody-sees"));
	ck_assert(secret_in_files(p.dir, "secrets")); /* the table: the search works */
	close_it(&p);
}
END_TEST

static TCase *real_cases(void)
{
	TCase *tc = tcase_create("real");
	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, no_template_has_a_secret_that_its_clones_are_given, 0, 2);
	tcase_add_test(tc, no_template_has_a_secret_that_an_import_is_given);
	return tc;
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("secret");
	TCase *tc = tcase_create("secret");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_secret_is_set_replaced_listed_and_deleted);
	tcase_add_test(tc, any_text_can_be_a_value_up_to_64_kib);
	tcase_add_test(tc, without_a_key_the_way_to_one_is_told);
	tcase_add_test(tc, a_key_in_the_environment_counts_and_not_beside_a_file);
	tcase_add_test(tc, a_file_with_keys_that_is_none_is_told_and_nothing_of_it);
	tcase_add_test(tc, a_new_key_comes_first_in_its_file);
	tcase_add_test(tc, keys_that_are_made_at_once_are_all_there);
	tcase_add_test(tc, a_new_key_goes_where_a_link_leads);
	tcase_add_test(tc, a_file_with_a_nul_among_its_keys_is_refused_and_stays);
	tcase_add_test(tc, a_wrong_key_is_named_with_the_right_one);
	tcase_add_test(tc, rotation_needs_the_old_key_until_it_is_done);
	tcase_add_test(tc, rotation_finds_what_is_put_behind_its_list);
	tcase_add_test(tc, what_is_set_while_the_key_changes_has_the_new_one);
	tcase_add_test(tc, a_rotation_that_is_killed_goes_on);
	tcase_add_test(tc, what_is_sealed_by_one_name_is_no_value_of_another);
	tcase_add_test(tc, two_owners_of_keys_on_one_store_do_not_read_each_others);
	tcase_add_test(tc, what_another_process_sets_is_seen);
	tcase_add_test(tc, neither_values_nor_keys_are_in_memory_that_is_dumped);
	tcase_add_test(tc, guarded_memory_is_wiped_and_empty_in_a_child);
	tcase_add_test(tc, no_file_has_the_value);
	tcase_add_loop_test(tc, a_function_has_its_secrets_in_its_variables_and_no_file_has_them, 0,
		ARRAY_LEN(functions));
	tcase_add_test(tc, a_function_that_is_another_by_then_has_none_of_the_former);
	tcase_add_test(tc, an_import_has_them_only_where_it_says_so);
	tcase_add_loop_test(
		tc, large_secrets_and_large_inputs_go_together, 0, ARRAY_LEN(functions));
	tcase_add_test(tc, a_secret_that_is_missing_is_told_before_there_is_a_vm);
	tcase_add_test(tc, what_stands_for_a_secret_is_one_and_alone);
	tcase_add_test(tc, code_that_is_run_once_has_them_too);
	tcase_add_test(tc, what_a_call_leaves_is_no_snapshot);
	suite_add_tcase(suite, tc);
	if (!is_fake())
		suite_add_tcase(suite, real_cases());
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
