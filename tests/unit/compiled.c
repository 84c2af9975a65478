/* SPDX-License-Identifier: MIT */
/* Machine code that is kept, and given to guests, which are a file in memory here. */
#include <fcntl.h>

#include "json/json.h"
#include "vm/compiled.h"

#include "test.h"

/* --- a guest --- */

static struct {
	uint8_t *file;
	size_t len;
	size_t told;     /* its size as it tells it */
	unsigned fails;  /* the how many-th message is answered with a failure; 0: none */
	unsigned asked;  /* messages */
	const char *cpu; /* the engine's identity */
	unsigned warnings;
} guest;

static int take(json_t *payload)
{
	const char *text = json_string_value(json_object_get(payload, "base64"));
	json_int_t offset = json_integer_value(json_object_get(payload, "offset"));
	AUTO_BUF struct buf bytes = BUF_INIT(PROTO_FILE_PIECE);
	ck_assert_str_eq(json_string_value(json_object_get(payload, "path")), PROTO_MACHINE_CODE);
	ck_assert_int_eq(base64_get(&bytes, text, strlen(text)), 0);
	guest.file = realloc(guest.file, (size_t)offset + bytes.len + 1);
	memcpy(guest.file + offset, bytes.data, bytes.len);
	guest.len = (size_t)offset + bytes.len;
	return 0;
}

static char *tell(json_t *payload)
{
	size_t offset = (size_t)json_integer_value(json_object_get(payload, "offset"));
	size_t left = offset < guest.len ? guest.len - offset : 0;
	size_t len = left < PROTO_FILE_PIECE ? left : PROTO_FILE_PIECE;
	AUTO_BUF struct buf text = BUF_INIT(PROTO_FILE_PIECE * 2);
	ck_assert_int_eq(buf_append_str(&text, ""), 0);
	ck_assert_int_eq(base64_put(&text, guest.file + offset, len), 0);
	return str_format("{\"status\":\"ok\",\"size\":%zu,\"mtime_us\":1,\"base64\":\"%.*s\"}",
		guest.told ? guest.told : guest.len, (int)text.len, (char *)text.data);
}

int __wrap_vm_ask_json_as(nova_vm_t *vm, int type, json_t *payload, const struct vm_request *how,
	struct vm_answer *ret, nova_error_t **err);
int __wrap_vm_ask_json_as(nova_vm_t *vm, int type, json_t *payload, const struct vm_request *how,
	struct vm_answer *ret, nova_error_t **err)
{
	AUTO_JSON json_t *owned = payload;
	char *text = NULL;
	(void)vm, (void)how;
	if (++guest.asked == guest.fails)
		text = strdup("{\"status\":\"error\",\"code\":\"internal\",\"error\":\"no room\"}");
	else if (type == NOVA_MSG_FILE_READ)
		text = tell(payload);
	else if (take(payload) == 0)
		text = strdup("{\"status\":\"ok\"}");
	ret->output = text;
	return guest_message_read(text, strlen(text), &ret->said, err);
}

/* --- a host --- */

static int identity(const struct engine_env *env, char **ret, nova_error_t **err)
{
	(void)env, (void)err;
	*ret = strdup(guest.cpu);
	return 0;
}

static void on_log(void *userdata, int level, const char *module, const char *message)
{
	(void)level, (void)userdata;
	ck_assert_str_eq(module, "wasm");
	ck_assert_ptr_nonnull(strstr(message, "not kept"));
	guest.warnings++;
}

const struct logger *__wrap_host_log(const nova_host_t *host);
const struct logger *__wrap_host_log(const nova_host_t *host)
{
	static const struct logger log = { on_log, NULL, NOVA_LOG_WARN };
	(void)host;
	return &log;
}

const struct engine_env *__wrap_host_engine_env(nova_host_t *host);
const struct engine_env *__wrap_host_engine_env(nova_host_t *host)
{
	(void)host;
	return NULL;
}

static const struct engine_ops ops = { .name = "none", .identity = identity };
static nova_vm_t vm = { .ops = &ops, .shape.memory_mb = 64 };
static const struct vm_request how = { .deadline = NEVER };
static char *dir, *kept, *rootfs;

static void compile(size_t len)
{
	guest.file = realloc(guest.file, len);
	for (size_t i = 0; i < len; i++)
		guest.file[i] = (uint8_t)(i * 7 + i / 4096 + len);
	guest.len = len;
}

static void compile_and_keep(size_t len)
{
	compile(len);
	compiled_keep(&vm, kept, &how);
}

/* To a guest that has none. */
static bool give(void)
{
	guest.len = 0;
	return compiled_give(&vm, kept, &how);
}

static int count_kept(void)
{
	char **names;
	int count = fs_list(kept, &names);
	if (count >= 0)
		strv_free(names, (size_t)count);
	return count < 0 ? 0 : count;
}

static char *first_kept(void)
{
	char **names;
	int count = fs_list(kept, &names);
	ck_assert_int_gt(count, 0);
	char *path = path_join(kept, names[0]);
	strv_free(names, (size_t)count);
	return path;
}

static void setup(void)
{
	memset(&guest, 0, sizeof(guest));
	guest.cpu = "one";
	dir = test_dir();
	kept = path_join(dir, "home/compiled/hash");
	rootfs = vm.shape.rootfs = path_join(dir, "rootfs");
	ck_assert_int_eq(fs_write_file(rootfs, "49", 2, 0600), 0);
}

static void teardown(void)
{
	free(guest.file);
	free(kept);
	free(rootfs);
	test_dir_remove(dir);
}

START_TEST(what_was_compiled_is_given_as_it_was)
{
	static const size_t sizes[] = { 1, 5000, PROTO_FILE_PIECE, PROTO_FILE_PIECE + 1,
		2 * PROTO_FILE_PIECE + 77 };
	ck_assert(!give());
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		compile_and_keep(sizes[i]);
		ck_assert_int_eq(count_kept(), 1);
		AUTO_FREE uint8_t *same = malloc(sizes[i]);
		memcpy(same, guest.file, sizes[i]);
		memset(guest.file, 0, sizes[i]);
		ck_assert(give());
		ck_assert_uint_eq(guest.len, sizes[i]);
		ck_assert_mem_eq(guest.file, same, sizes[i]);
	}
	ck_assert_uint_eq(guest.warnings, 0);
}
END_TEST

START_TEST(another_processor_or_compiler_is_given_its_own)
{
	compile_and_keep(100);
	guest.cpu = "two";
	ck_assert(!give());
	compile_and_keep(200);
	ck_assert(give());
	ck_assert_uint_eq(guest.len, 200);
	ck_assert_int_eq(fs_write_file(rootfs, "50.0", 4, 0600), 0);
	ck_assert(!give());
	guest.cpu = "one";
	ck_assert(!give());
	ck_assert_int_eq(count_kept(), 2);
}
END_TEST

START_TEST(those_of_many_processors_do_not_pile_up)
{
	static const char *const cpus[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };
	for (size_t i = 0; i < ARRAY_LEN(cpus); i++) {
		guest.cpu = cpus[i];
		compile_and_keep(10 + i);
		ck_assert(give());
		ck_assert_int_le(count_kept(), 5);
	}
}
END_TEST

START_TEST(what_is_damaged_is_not_given_but_removed)
{
	for (int cut = 0; cut < 2; cut++) {
		compile_and_keep(5000);
		AUTO_FREE char *path = first_kept();
		AUTO_FD int fd = sys_open(path, O_RDWR, 0);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(
			cut ? sys_truncate(fd, 4999) : sys_pwrite_all(fd, "damage", 6, 1000), 0);
		ck_assert(!give());
		ck_assert_int_eq(count_kept(), 0);
	}
}
END_TEST

START_TEST(a_guest_that_takes_no_more_compiles)
{
	compile_and_keep(PROTO_FILE_PIECE + 5);
	guest.asked = 0;
	guest.fails = 2;
	ck_assert(!give());
	guest.fails = 0;
	ck_assert(give());
}
END_TEST

START_TEST(a_guest_that_lies_or_fails_leaves_nothing)
{
	static const size_t told[] = { 1, 1u << 30, PROTO_FILE_PIECE * 2 };
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		guest.told = told[i];
		compile_and_keep(5000);
		ck_assert_uint_eq(guest.warnings, i + 1);
		ck_assert_int_eq(count_kept(), 0);
	}
	guest.told = guest.asked = 0;
	guest.fails = 2;
	compile_and_keep(PROTO_FILE_PIECE + 5);
	ck_assert_uint_eq(guest.warnings, ARRAY_LEN(told) + 1);
	ck_assert_int_eq(count_kept(), 0);
}
END_TEST

START_TEST(a_place_that_cannot_be_made_is_told)
{
	AUTO_FREE char *home = path_join(dir, "home");
	ck_assert_int_eq(fs_write_file(home, "", 0, 0600), 0);
	compile_and_keep(10);
	ck_assert_uint_eq(guest.warnings, 1);
	ck_assert(!give());
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("compiled");
	TCase *tc = tcase_create("compiled");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_compiled_is_given_as_it_was);
	tcase_add_test(tc, another_processor_or_compiler_is_given_its_own);
	tcase_add_test(tc, those_of_many_processors_do_not_pile_up);
	tcase_add_test(tc, what_is_damaged_is_not_given_but_removed);
	tcase_add_test(tc, a_guest_that_takes_no_more_compiles);
	tcase_add_test(tc, a_guest_that_lies_or_fails_leaves_nothing);
	tcase_add_test(tc, a_place_that_cannot_be_made_is_told);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(make_suite)
