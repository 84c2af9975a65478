/* SPDX-License-Identifier: MIT */
/* What is special about the sqlite store: a file that is damaged, foreign, newer, not writable, or
 * out of room. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "hash/hash.h"
#include "store/store.h"
#include "settings.h"
#include "test.h"

static nova_error_t *error;
static char *home, *path;
static struct store *store;

static void make_home(void)
{
	home = test_dir();
	path = path_join(home, "nova.db");
}

static void remove_home(void)
{
	nova_error_free(error);
	free(path);
	test_dir_remove(home);
}

static int try_open(void)
{
	return store_open_in(&store_sqlite, home, &store, &error);
}

static int put(const char *name, size_t number)
{
	char id[64];
	static char variable[] = "A=1", *env[] = { variable };
	snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012zu", number);
	struct function_record record = {
		.id = id,
		.name = (char *)name,
		.config.runtime = (char[]){ "python" },
		.config.handler = (char[]){ "main.handler" },
		.config.image = (char[]){ "" },
		.config.protocol = (char[]){ "" },
		.config.rehearse = (char[]){ "" },
		.code_path = (char[]){ "" },
		.code_hash = (char[]){ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				       "aaaaa" },
		.config.machine.memory_mb = 128,
		.config.timeout_s = 30,
		.config.machine.vcpus = 1,
		.config.concurrency = 1,
		.config.env = { env, 1 },
		.version = 1,
	};
	return store_sqlite.functions->put(store, &record, 0, &error);
}

static void fill(size_t count)
{
	ck_ok(try_open());
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *name = str_format("f%03zu", i);
		ck_ok(put(name, i));
	}
	store_sqlite.close(store);
}

/* Another program changes the file behind our back. */
static void change(const char *sql)
{
	sqlite3 *db;
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	char *message = NULL;
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
	sqlite3_close(db);
}

static void ck_left_alone(const char *hash_before)
{
	char hash[SHA256_HEX];
	ck_assert_int_eq(sha256_file_hex(path, hash), 0);
	ck_assert_str_eq(hash, hash_before);
}

START_TEST(the_file_is_private_and_says_what_it_is)
{
	struct stat st;
	fill(1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	char magic[4];
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	ck_assert_int_eq(sys_pread_all(fd, magic, 4, 68), 0);
	ck_assert_mem_eq(magic, "nova", 4);
}
END_TEST

START_TEST(a_file_that_is_no_database_is_named_and_left_alone)
{
	char hash[SHA256_HEX];
	char rubbish[10000];
	memset(rubbish, 'x', sizeof(rubbish));
	ck_assert_int_eq(fs_write_file(path, rubbish, sizeof(rubbish), 0600), 0);
	ck_assert_int_eq(sha256_file_hex(path, hash), 0);
	ck_fails_with(NOVA_ECORRUPT, path, try_open());
	ck_left_alone(hash);
}
END_TEST

START_TEST(a_database_of_somebody_else_is_refused)
{
	change("CREATE TABLE cats (name TEXT)");
	ck_fails_with(NOVA_ECORRUPT, "not one of libnova", try_open());
	change("DROP TABLE cats; PRAGMA application_id = 7");
	ck_fails_with(NOVA_ECORRUPT, "not one of libnova", try_open());
}
END_TEST

START_TEST(a_newer_schema_is_refused_and_kept)
{
	fill(1);
	change("PRAGMA user_version = 99");
	ck_fails_with(NOVA_ENOTSUP, "schema 99", try_open());
	change("PRAGMA user_version = 18");
	ck_ok(try_open());
	store_sqlite.close(store);
}
END_TEST

/* As the first schema had it, whatever the present one looks like. */
static const char first_schema[] =
	"CREATE TABLE functions ( id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, runtime "
	"TEXT NOT NULL, handler TEXT NOT NULL, code_path TEXT NOT NULL, code_hash TEXT NOT NULL, "
	"memory_mb INTEGER NOT NULL, timeout_s INTEGER NOT NULL, vcpus INTEGER NOT NULL, "
	"min_replicas INTEGER NOT NULL, disk_iops INTEGER NOT NULL, disk_bandwidth INTEGER NOT "
	"NULL, net_rx_bandwidth INTEGER NOT NULL, net_tx_bandwidth INTEGER NOT NULL, env TEXT NOT "
	"NULL, version INTEGER NOT NULL, created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) "
	"STRICT;CREATE INDEX functions_by_code ON functions (code_hash);PRAGMA application_id = "
	"1852798561; PRAGMA user_version = 1;INSERT INTO functions VALUES "
	"('00000000-0000-4000-8000-000000000001', 'old', 'python', 'main.handler', '/src/x.py', "
	"'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 512, 120, 2, 3, 4, 5, "
	"6, 7, '[\"A=1\"]', 8, 9, 10);";

START_TEST(a_database_of_the_first_schema_is_brought_forward_with_what_is_in_it)
{
	struct function_record out = { 0 };
	change(first_schema);
	for (int opening = 0; opening < 2; opening++) {
		ck_ok(try_open());
		ck_ok(store_sqlite.functions->get(store, "old", &out, &error));
		ck_assert_uint_eq(out.config.concurrency, 1);
		ck_assert_uint_eq(out.config.init_timeout_s, 0);
		ck_assert_uint_eq(out.config.rate, 0);
		ck_assert_uint_eq(out.config.labels.count, 0);
		ck_assert_uint_eq(out.config.machine.network, 0);
		ck_assert_uint_eq(out.config.machine.memory_mb, 512);
		ck_assert_uint_eq(out.config.machine.net_tx_bandwidth, 7);
		ck_assert_uint_eq(out.version, 8);
		ck_assert_uint_eq(out.updated_us, 10);
		ck_assert_str_eq(out.config.env.items[0], "A=1");
		ck_assert_str_eq(out.config.image, "");
		ck_assert_str_eq(out.config.rehearse, "");
		ck_assert_uint_eq(out.config.argv.count, 0);
		struct runtime_record *runtimes;
		size_t count;
		ck_ok(store_sqlite.runtimes->list(store, &runtimes, &count, &error));
		ck_assert_uint_eq(count, 0);
		struct secret_record *secrets;
		ck_ok(store_sqlite.secrets->list(store, &secrets, &count, &error));
		ck_assert_uint_eq(count, 0);
		record_clear(&out);
		store_sqlite.close(store);
	}
	ck_ok(try_open());
	ck_ok(put("new", 2));
	ck_ok(store_sqlite.functions->get(store, "new", &out, &error));
	record_clear(&out);
	store_sqlite.close(store);
}
END_TEST

START_TEST(a_migration_that_cannot_be_finished_leaves_the_database_as_it_was)
{
	struct function_record out = { 0 };
	change(first_schema);
	change("DROP INDEX functions_by_code; ALTER TABLE functions RENAME TO mislaid");
	ck_fails_with(NOVA_ECORRUPT, "no such table", try_open());
	change("ALTER TABLE mislaid RENAME TO functions");
	ck_ok(try_open());
	ck_ok(store_sqlite.functions->get(store, "old", &out, &error));
	record_clear(&out);
	store_sqlite.close(store);
}
END_TEST

START_TEST(a_missing_table_is_damage)
{
	fill(1);
	change("DROP TABLE functions");
	ck_ok(try_open());
	struct function_record out = { 0 };
	ck_fails_with(NOVA_ECORRUPT, "no such table",
		store_sqlite.functions->get(store, "f000", &out, &error));
	store_sqlite.close(store);
}
END_TEST

static const char *const damages[] = {
	"UPDATE functions SET memory_mb = -1",
	"UPDATE functions SET memory_mb = 4294967296 + 128",
	"UPDATE functions SET vcpus = 33",
	"UPDATE functions SET network = 2",
	"UPDATE functions SET version = 0",
	"UPDATE functions SET id = 'x'",
	"UPDATE functions SET code_hash = '../../../../etc/passwd'",
	"UPDATE functions SET env = '{}'",
	"UPDATE functions SET env = '[1]'",
	"UPDATE functions SET env = '[\"A\"]'",
	"UPDATE functions SET env = 'rubbish'",
	"UPDATE functions SET labels = '[\"a b=c\"]'",
	"UPDATE functions SET handler = 'handler'",
	"UPDATE functions SET runtime = 'a b'",
	"UPDATE functions SET image = 'sha256:../../etc/passwd'",
	"UPDATE functions SET argv = '{}'",
	"UPDATE functions SET code_path = CAST(x'2fff' AS TEXT)",
	"UPDATE functions SET handler = 'main.handler' || char(0) || 'x'",
	"UPDATE functions SET created_us = 9000000000000000000",
	"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') "
	"WHERE name = 'functions'; PRAGMA writable_schema = RESET; UPDATE functions SET timeout_s "
	"= 'soon'",
};

START_TEST(a_damaged_row_is_an_error_that_names_the_function)
{
	fill(1);
	change(damages[_i]);
	ck_ok(try_open());
	struct function_record out = { 0 }, *records;
	size_t count;
	ck_fails_with(
		NOVA_ECORRUPT, "f000", store_sqlite.functions->get(store, "f000", &out, &error));
	ck_fails_with(NOVA_ECORRUPT, path,
		store_sqlite.functions->list(store, NULL, &records, &count, &error));
	store_sqlite.close(store);
}
END_TEST

static const char *const damages_of_runtimes[] = {
	"UPDATE runtimes SET image = '../x'",
	"UPDATE runtimes SET argv = '[1]'",
	"UPDATE runtimes SET memory_mb = 1",
	"UPDATE runtimes SET timeout_s = -1",
	"UPDATE runtimes SET rootfs = CAST(x'2fff' AS TEXT)",
};

START_TEST(a_damaged_row_is_an_error_that_names_the_runtime)
{
	struct runtime_record out = { NULL }, *records,
			      r = {
				      .name = (char[]){ "own" },
				      .rootfs = (char[]){ "" },
				      .image = (char[]){ "base" },
				      .protocol = (char[]){ "node" },
			      };
	size_t count;
	ck_ok(try_open());
	ck_ok(store_sqlite.runtimes->put(store, &r, false, &error));
	change(damages_of_runtimes[_i]);
	ck_fails_with(
		NOVA_ECORRUPT, "'own'", store_sqlite.runtimes->get(store, "own", &out, &error));
	ck_fails_with(
		NOVA_ECORRUPT, path, store_sqlite.runtimes->list(store, &records, &count, &error));
	store_sqlite.close(store);
}
END_TEST

/* Reads everything there is; whatever is damaged must come out as an error. Returns whether all
 * rows were read. */
#define ROWS 300

static bool read_all(void)
{
	struct function_record *records;
	size_t count;
	int r = try_open();
	if (r == 0) {
		r = store_sqlite.functions->list(store, NULL, &records, &count, &error);
		if (r == 0) {
			ck_assert_uint_le(count, ROWS);
			record_list_free(records, count);
		}
		store_sqlite.close(store);
	}
	ck_assert_msg(r == 0 || r == NOVA_ECORRUPT || r == NOVA_ENOTSUP || r == NOVA_EIO, "%s: %s",
		nova_code_name(r), nova_error_message(error));
	nova_error_free(error);
	error = NULL;
	return r == 0 && count == ROWS;
}

START_TEST(a_page_of_rubbish_never_crashes)
{
	fill(ROWS);
	uint64_t size;
	unsigned noticed = 0, pages = 0;
	uint8_t page[4096], rubbish[4096];
	ck_assert_int_eq(fs_stat(path, &size, NULL), 0);
	for (uint64_t at = 0; at < size; at += sizeof(page), pages++) {
		AUTO_FD int fd = sys_open(path, O_RDWR, 0);
		ck_assert_int_eq(sys_pread_all(fd, page, sizeof(page), at), 0);
		for (size_t i = 0; i < sizeof(page); i++)
			rubbish[i] = (uint8_t)(i * 31 + at / 4096 * 7);
		ck_assert_int_eq(sys_pwrite_all(fd, rubbish, sizeof(rubbish), at), 0);
		noticed += !read_all();
		ck_assert_int_eq(sys_pwrite_all(fd, page, sizeof(page), at), 0);
	}
	ck_assert(read_all());
	ck_assert_uint_gt(noticed, pages / 3); /* pages of indexes that listing does not use, and of
						  tables that are empty, may go unnoticed */
}
END_TEST

START_TEST(a_file_cut_short_is_damage)
{
	fill(ROWS);
	uint64_t size;
	ck_assert_int_eq(fs_stat(path, &size, NULL), 0);
	for (uint64_t len = size - 4096; len >= 4096; len -= 4096) {
		ck_assert_int_eq(truncate(path, (off_t)len), 0);
		ck_assert(!read_all());
	}
}
END_TEST

/* Runs a check in a child that has left root behind; 0 if it held. */
static void as_nobody(int (*check)(void))
{
	pid_t child = fork();
	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(99);
		_exit(check());
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static int opening_lacks_rights(void)
{
	return try_open() == NOVA_EPERM && strstr(nova_error_message(error), "nova.db") ? 0 : 1;
}

START_TEST(a_directory_without_rights_is_an_error_of_rights)
{
	ck_assert_int_eq(chmod(home, 0555), 0);
	as_nobody(opening_lacks_rights);
	ck_assert_int_eq(chmod(home, 0755), 0);
	fill(1);
	ck_assert_int_eq(chmod(home, 0777), 0);
	as_nobody(opening_lacks_rights); /* not even readable */
	ck_assert_int_eq(chmod(path, 0644), 0);
	as_nobody(opening_lacks_rights); /* readable only */
}
END_TEST

START_TEST(a_file_that_another_process_has_locked_is_told_and_can_be_read)
{
	sqlite3 *db;
	if (!getenv("NOVA_TEST_LONG"))
		test_skip("it is waited for, for 10 s: only in tools/test --long");
	fill(1);
	ck_ok(try_open());
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_fails_with(NOVA_EIO, "locked", put("g", 7));
	struct function_record *records;
	size_t count;
	ck_ok(store_sqlite.functions->list(store, NULL, &records, &count, &error));
	ck_assert_uint_eq(count, 1);
	record_list_free(records, count);
	sqlite3_close(db);
	ck_ok(put("g", 7));
	store_sqlite.close(store);
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_what_was_there_stays)
{
	pid_t child = fork();
	if (child == 0) {
		uid_t uid = getuid();
		if (unshare(uid ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			mount("none", home, "tmpfs", 0, "size=256k"))
			_exit(77);
		size_t count = 0, listed;
		struct function_record *records;
		int r = try_open();
		while (r == 0) {
			AUTO_FREE char *name = str_format("f%zu", count);
			r = put(name, count);
			count += r == 0;
		}
		if (r != NOVA_ENOSPC || !strstr(nova_error_message(error), path))
			_exit(1);
		if (store_sqlite.functions->list(store, NULL, &records, &listed, NULL) != 0 ||
			listed != count)
			_exit(2);
		store_sqlite.close(store);
		if (store_open_in(&store_sqlite, home, &store, NULL) != 0 ||
			store_sqlite.functions->list(store, NULL, &records, &listed, NULL) != 0 ||
			listed != count)
			_exit(3);
		_exit(0);
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "step %d",
		WEXITSTATUS(status));
}
END_TEST

START_TEST(a_disk_that_is_full_from_the_start_is_an_error_too)
{
	pid_t child = fork();
	if (child == 0) {
		if (unshare(getuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			mount("none", home, "tmpfs", 0, "size=8k"))
			_exit(77);
		_exit(try_open() == NOVA_ENOSPC ? 0 : 1);
	}
	int status;
	waitpid(child, &status, 0);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "step %d",
		WEXITSTATUS(status));
}
END_TEST

static int count_descriptors(void)
{
	char **names;
	int count = fs_list("/proc/self/fd", &names);
	strv_free(names, (size_t)count);
	return count;
}

/* From none to as many as it needs. */
START_TEST(a_process_without_descriptors_left_is_told_so_and_has_all_its_rights)
{
	fill(1);
	bool done = false;
	for (int more = 0; !done && more < 32; more++) {
		pid_t child = fork();
		if (child == 0) {
			struct rlimit limit = { (rlim_t)(count_descriptors() - 1 + more), 1024 };
			setrlimit(RLIMIT_NOFILE, &limit);
			int r = try_open();
			if (r == 0)
				r = put("g", 7);
			if (r == 0)
				_exit(0);
			const char *said = nova_error_message(error);
			bool right = r == NOVA_EIO && strstr(said, "Too many open files");
			if (!right)
				fprintf(stderr, "%d more: %s\n", more, said);
			_exit(right ? 1 : 2);
		}
		int status;
		waitpid(child, &status, 0);
		ck_assert(WIFEXITED(status));
		ck_assert_int_ne(WEXITSTATUS(status), 2);
		done = WEXITSTATUS(status) == 0;
	}
	ck_assert(done);
}
END_TEST

static const char *refused_ending;
static int refused_errno;

/* As the system does when another thread takes the last descriptor, and gives it back at once. */
static int open_for_reading_only(const char *file, int flags, int mode)
{
	size_t len = strlen(file), end = strlen(refused_ending);
	if (flags & O_RDWR && len > end && !strcmp(file + len - end, refused_ending)) {
		errno = refused_errno;
		return -1;
	}
	return open(file, flags, (mode_t)mode);
}

START_TEST(a_file_that_can_only_be_read_at_this_moment_is_no_lack_of_rights)
{
	static const char *const endings[] = { "nova.db", "-wal", "-shm" };
	static const int reasons[] = { EMFILE, ENFILE, ENOSPC, EDQUOT };
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3 *other; /* so that all of its files are there */
	fill(1);
	ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "SELECT * FROM functions", NULL, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(endings) * ARRAY_LEN(reasons); i++) {
		refused_ending = endings[i % ARRAY_LEN(endings)];
		refused_errno = reasons[i / ARRAY_LEN(endings)];
		vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)open_for_reading_only);
		int r = try_open();
		if (r == 0) {
			AUTO_FREE char *name = str_format("g%zu", i);
			r = put(name, i + 7);
			store_sqlite.close(store);
		}
		vfs->xSetSystemCall(vfs, "open", NULL);
		ck_assert(r < 0 || i); /* later ones may have what earlier ones opened */
		ck_assert_msg(r == 0 || r == NOVA_EIO || r == NOVA_ENOSPC, "%s: %s", refused_ending,
			nova_error_message(error));
		nova_error_free(STEAL(error));
	}
	ck_ok(try_open());
	ck_ok(put("g", 6));
	store_sqlite.close(store);
	sqlite3_close(other);
}
END_TEST

START_TEST(a_home_that_is_not_there_is_not_found)
{
	ck_fails_with(NOVA_ENOTFOUND, "nova.db",
		store_open_in(&store_sqlite, "/nowhere/at/all", &store, &error));
}
END_TEST

START_TEST(the_settings_choose_the_store)
{
	static const struct {
		const char *store, *dsn;
		const struct store_ops *ops;
	} cases[] = {
		{ "auto", NULL, &store_sqlite },
		{ "auto", "dbname=x", &store_postgres },
		{ "sqlite", "dbname=x", &store_sqlite },
		{ "postgres", NULL, &store_postgres },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		nova_config_t *config = settings_of(home);
		ck_ok(nova_config_set(config, "store", cases[i].store, &error));
		ck_ok(nova_config_set(config, "postgres.dsn", cases[i].dsn, &error));
		ck_assert_ptr_eq(store_find(config), cases[i].ops);
		nova_config_free(config);
	}
}
END_TEST

/* Many a host has it, for another database. */
START_TEST(a_database_url_alone_chooses_no_store)
{
	nova_config_t *config = settings_of(home);
	setenv("DATABASE_URL", "postgres://somewhere/else", 1);
	ck_ok(nova_config_load_env(config, &error));
	ck_assert_ptr_eq(store_find(config), &store_sqlite);
	ck_assert_str_eq(nova_config_get(config, "postgres.dsn"), "postgres://somewhere/else");
	setenv("NOVA_PG_DSN", "postgres://here/it", 1);
	ck_ok(nova_config_load_env(config, &error));
	ck_assert_ptr_eq(store_find(config), &store_postgres);
	nova_config_free(config);
}
END_TEST

static Suite *sqlite_suite(void)
{
	Suite *suite = suite_create("sqlite");
	TCase *tc = tcase_create("sqlite");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, make_home, remove_home);
	tcase_add_test(tc, the_file_is_private_and_says_what_it_is);
	tcase_add_test(tc, a_file_that_is_no_database_is_named_and_left_alone);
	tcase_add_test(tc, a_database_of_somebody_else_is_refused);
	tcase_add_test(tc, a_newer_schema_is_refused_and_kept);
	tcase_add_test(tc, a_database_of_the_first_schema_is_brought_forward_with_what_is_in_it);
	tcase_add_test(tc, a_migration_that_cannot_be_finished_leaves_the_database_as_it_was);
	tcase_add_test(tc, a_missing_table_is_damage);
	tcase_add_loop_test(
		tc, a_damaged_row_is_an_error_that_names_the_function, 0, (int)ARRAY_LEN(damages));
	tcase_add_loop_test(tc, a_damaged_row_is_an_error_that_names_the_runtime, 0,
		(int)ARRAY_LEN(damages_of_runtimes));
	tcase_add_test(tc, a_page_of_rubbish_never_crashes);
	tcase_add_test(tc, a_file_cut_short_is_damage);
	tcase_add_test(tc, a_directory_without_rights_is_an_error_of_rights);
	tcase_add_test(tc, a_file_that_another_process_has_locked_is_told_and_can_be_read);
	tcase_add_test(tc, a_full_disk_is_an_error_and_what_was_there_stays);
	tcase_add_test(tc, a_disk_that_is_full_from_the_start_is_an_error_too);
	tcase_add_test(tc, a_process_without_descriptors_left_is_told_so_and_has_all_its_rights);
	tcase_add_test(tc, a_file_that_can_only_be_read_at_this_moment_is_no_lack_of_rights);
	tcase_add_test(tc, a_home_that_is_not_there_is_not_found);
	tcase_add_test(tc, the_settings_choose_the_store);
	tcase_add_test(tc, a_database_url_alone_chooses_no_store);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(sqlite_suite)
