/* SPDX-License-Identifier: MIT */
/* Runtimes that are data: docs/runtimes.md. Their programs run on this host here, and their root
 * filesystems are only looked into; tests/e2e/own.c starts guests from one. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmtest.h"

#define SH  "/bin/sh"
#define LEN ARRAY_LEN

static const char *const sh_file_input[] = { SH, "{file}", "{input}" };

/* --- root filesystems --- */

static void make(const char *directory, const char *name, const char *content)
{
	AUTO_FREE char *path = path_join(directory, name);
	if (!content) {
		ck_assert_int_eq(fs_mkdirs(path, 0755), 0);
		return;
	}
	AUTO_FREE char *above = strdup(path);
	*strrchr(above, '/') = 0;
	ck_assert_int_eq(fs_mkdirs(above, 0755), 0);
	ck_assert_int_eq(fs_write_file(path, content, strlen(content), 0755), 0);
}

static char *build(const char *tree, const char *path)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = tree;
	ck_ok(nova_disk_build(path, &opts, &error));
	return strdup(path);
}

/* One that a guest could start from, with something at the place of each program. `mark` makes it
 * another one. */
static char *rootfs(const struct platform *p, const char *mark)
{
	static const char *const directories[] = { "dev", "proc", "sys", "run", "tmp", "code" };
	AUTO_FREE char *tree = str_format("%s/tree-%s", p->dir, mark);
	AUTO_FREE char *path = str_format("%s/%s.ext4", p->dir, mark);
	for (size_t i = 0; i < LEN(directories); i++)
		make(tree, directories[i], NULL);
	make(tree, "bin/sh", "#!");
	make(tree, "usr/bin/python3", "#!");
	make(tree, "etc/plain", mark);
	AUTO_FREE char *plain = path_join(tree, "etc/plain");
	ck_assert_int_eq(chmod(plain, 0644), 0);
	return build(tree, path);
}

static nova_runtime_opts opts_of(const char *name, const char *image)
{
	nova_runtime_opts opts = NOVA_RUNTIME_OPTS_INIT;
	opts.name = name;
	opts.rootfs = image;
	opts.argv = sh_file_input;
	opts.argv_count = LEN(sh_file_input);
	return opts;
}

static void add_runtime(struct platform *p, const char *name, const char *mark,
	const char *const *argv, size_t argv_count)
{
	AUTO_FREE char *image = rootfs(p, mark);
	nova_runtime_opts opts = opts_of(name, image);
	opts.argv = argv;
	opts.argv_count = argv_count;
	opts.flags = NOVA_RUNTIME_REPLACE;
	ck_ok(nova_runtime_register(p->nova, &opts, NULL, &error));
	ck_assert_int_eq(fs_unlink(image), 0); /* it was copied */
}

static int register_function(struct platform *p, const char *name, const char *runtime,
	const char *source, uint32_t flags)
{
	nova_function_opts f = NOVA_FUNCTION_OPTS_INIT;
	f.name = name;
	f.runtime = runtime;
	f.code = source;
	f.code_len = strlen(source);
	f.check = NOVA_CHECK_NEVER;
	f.flags = flags;
	return nova_function_register(p->nova, &f, NULL, &error);
}

/* The file of the only root filesystem that is kept. */
static char *blob(struct platform *p, const char *runtime)
{
	const nova_runtime *r;
	ck_ok(nova_runtime_get(p->nova, runtime, &r, &error));
	char *path = str_format("%s/disks/%s.ext4", p->dir, r->rootfs_hash);
	nova_runtime_free(r);
	return path;
}

/* --- what is run --- */

START_TEST(a_function_runs_by_the_command_line_of_its_runtime)
{
	static const char *const argv[] = { SH, "{file}", "{input}", "{code}", "{{a}}-{file}" };
	struct platform p = platform_open(NULL);
	add_runtime(&p, "own-sh.1", "a", argv, LEN(argv));
	ck_ok(register_function(&p, "f", "own-sh.1",
		"[ \"$2/handler\" = \"$0\" ] && [ \"$3\" = \"{a}-$0\" ] && [ $# = 3 ] && "
		"printf '[\"%s\",%s]' $NOVA_RUNTIME \"$(cat $1)\"",
		0));
	platform_answers(p.nova, "f", "[\"own-sh.1\",{}]");
	platform_answers(p.nova, "f", "[\"own-sh.1\",{}]");
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_HITS), 1);
	platform_close(&p);
}
END_TEST

START_TEST(a_payload_that_the_command_line_does_not_name_comes_on_stdin)
{
	static const char *const argv[] = { SH, "-c", "cat; . {file}", "{{input}}" };
	struct platform p = platform_open(NULL);
	nova_result_t *r;
	add_runtime(&p, "own", "a", argv, LEN(argv));
	ck_ok(register_function(&p, "f", "own", "echo \"$0\" >&2", 0));
	ck_ok(nova_invoke(p.nova, "f", "{\"a\":[1]}", NULL, &r, &error));
	ck_assert_str_eq(nova_result_output(r, NULL), "{\"a\":[1]}");
	ck_assert_str_eq(nova_result_stderr(r, NULL), "{input}\n");
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

START_TEST(a_directory_has_the_file_that_the_handler_names)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *code = path_join(p.dir, "source");
	nova_function_opts f = NOVA_FUNCTION_OPTS_INIT;
	add_runtime(&p, "own", "a", sh_file_input, LEN(sh_file_input));
	make(code, "src/main.sh", "echo '\"by its name\"'");
	f.name = "f";
	f.runtime = "own";
	f.code_path = code;
	ck_fails_with(NOVA_EINVAL, "name its file as the handler",
		nova_function_register(p.nova, &f, NULL, &error));
	f.handler = "src/other.sh";
	ck_fails_with(NOVA_EINVAL, "no file 'src/other.sh'",
		nova_function_register(p.nova, &f, NULL, &error));
	f.handler = "src/main.sh";
	ck_ok(nova_function_register(p.nova, &f, NULL, &error));
	platform_answers(p.nova, "f", "\"by its name\"");
	platform_close(&p);
}
END_TEST

START_TEST(an_interpreter_that_has_a_protocol_is_kept_with_its_options)
{
	static const char *const argv[] = { "/usr/bin/python3", "-X", "importtime=0", "-W",
		"error" };
	static const char source[] =
		"import os, sys\nn = 0\n"
		"def handler(event, context):\n"
		"    global n\n    n += 1\n"
		"    return ' '.join(sys.warnoptions + [os.environ['NOVA_RUNTIME'], str(n)])\n";
	struct platform p = platform_open(NULL);
	AUTO_FREE char *image = rootfs(&p, "a");
	nova_runtime_opts opts = opts_of("mine", image);
	opts.protocol = "python";
	opts.argv = argv;
	opts.argv_count = LEN(argv);
	ck_ok(nova_runtime_register(p.nova, &opts, NULL, &error));
	opts.name = "plain";
	opts.argv_count = 0;
	ck_ok(nova_runtime_register(p.nova, &opts, NULL, &error));
	ck_ok(register_function(&p, "f", "mine", source, NOVA_REGISTER_IN_PLACE));
	ck_ok(register_function(&p, "g", "plain", source, 0));
	platform_answers(p.nova, "f", "\"error mine 1\"");
	platform_answers(p.nova, "f", "\"error mine 2\"");
	platform_answers(p.nova, "g", "\"plain 1\"");
	platform_answers(p.nova, "g", "\"plain 1\"");
	platform_close(&p);
}
END_TEST

START_TEST(a_function_has_the_memory_and_times_of_its_runtime_unless_it_says)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *image = rootfs(&p, "a");
	nova_runtime_opts opts = opts_of("own", image);
	nova_function_opts f = NOVA_FUNCTION_OPTS_INIT;
	nova_function_t *function;
	opts.memory_mb = 200;
	opts.timeout_s = 7;
	opts.init_timeout_s = 8;
	ck_ok(nova_runtime_register(p.nova, &opts, NULL, &error));
	f.name = "f";
	f.runtime = "own";
	f.code = "x";
	f.code_len = 1;
	for (int given = 0; given < 2; given++) {
		f.memory_mb = given ? 72 : 0;
		f.timeout_s = given ? 1 : 0;
		f.flags = NOVA_REGISTER_REPLACE;
		ck_ok(nova_function_register(p.nova, &f, &function, &error));
		ck_assert_uint_eq(nova_function_number(function, "memory_mb"), given ? 72 : 200);
		ck_assert_uint_eq(nova_function_number(function, "timeout_s"), given ? 1 : 7);
		ck_assert_uint_eq(nova_function_number(function, "init_timeout_s"), 8);
		nova_function_free(function);
	}
	platform_close(&p);
}
END_TEST

/* --- bad ones --- */

static void refused(struct platform *p, int code, const char *part, nova_runtime_opts opts)
{
	ck_fails_with(code, part, nova_runtime_register(p->nova, &opts, NULL, &error));
}

static void argv_refused(struct platform *p, const char *image, const char *protocol,
	const char *part, const char *first, const char *second)
{
	const char *const argv[] = { first, second };
	nova_runtime_opts opts = opts_of("bad", image);
	opts.protocol = protocol;
	opts.argv = argv;
	opts.argv_count = first ? second ? 2 : 1 : 0;
	refused(p, NOVA_EINVAL, part, opts);
}

START_TEST(options_that_make_no_runtime_are_refused_with_the_way_out)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *image = rootfs(&p, "a");
	nova_runtime_opts o = opts_of("bad", image);
	refused(&p, NOVA_EINVAL, "needs a name", opts_of(NULL, image));
	refused(&p, NOVA_EINVAL, "needs a root", opts_of("bad", NULL));
	refused(&p, NOVA_EINVAL, "'5lua' is no name of a runtime", opts_of("5lua", image));
	refused(&p, NOVA_EINVAL, "is no name of a runtime", opts_of("a/b", image));
	refused(&p, NOVA_EINVAL, "is no name of a runtime", opts_of("", image));
	refused(&p, NOVA_EINVAL, "is no name of a runtime",
		opts_of("a23456789012345678901234567890123", image));
	refused(&p, NOVA_EINVAL, "by a path with a '/'", opts_of("bad", "not an image"));
	refused(&p, NOVA_EEXIST, "'shell' is built in", opts_of("shell", image));
	refused(&p, NOVA_EEXIST, "'javascript' is built in", opts_of("javascript", image));
	argv_refused(&p, image, NULL, "argv: it is empty", NULL, NULL);
	argv_refused(&p, image, NULL, "not given by its absolute path", "sh", NULL);
	argv_refused(&p, image, NULL, "not given by its absolute path", "", NULL);
	argv_refused(&p, image, NULL, "'{handler}' begins with no placeholder", SH, "{handler}");
	argv_refused(&p, image, NULL, "'{file' begins with no placeholder", SH, "x{file");
	argv_refused(&p, image, NULL, "'} x' begins with no placeholder", SH, "{file}} x");
	argv_refused(&p, image, "python", "nothing to fill in", "/usr/bin/python3", "{file}");
	argv_refused(&p, image, "python", "absolute path", "{file}", NULL);
	argv_refused(&p, image, "shell", "python, node or none", SH, NULL);
	argv_refused(&p, image, "\xff", "python, node or none", SH, NULL);
	o.memory_mb = 63;
	refused(&p, NOVA_EINVAL, "memory_mb is 63", o);
	o.protocol = "python";
	o.memory_mb = 95;
	refused(&p, NOVA_EINVAL, "at least 96", o);
	o = opts_of("bad", image);
	o.timeout_s = 86401;
	refused(&p, NOVA_EINVAL, "timeout_s is 86401", o);
	o = opts_of("bad", image);
	o.flags = 2;
	refused(&p, NOVA_EINVAL, "flags: 0x2", o);
	o = opts_of("bad", image);
	o.argv_count = 33;
	refused(&p, NOVA_EINVAL, "33 entries", o);
	o.argv = NULL;
	refused(&p, NOVA_EINVAL, "argv is NULL", o);
	ck_fails_with(
		NOVA_ENOTFOUND, "'bad' is unknown", nova_runtime_delete(p.nova, "bad", &error));
	platform_close(&p);
}
END_TEST

START_TEST(a_root_filesystem_that_no_guest_could_start_from_is_refused)
{
	static const char *const no_such[] = { "/usr/bin/lua5.4", "{file}" };
	static const char *const plain[] = { "/etc/plain" };
	struct platform p = platform_open(NULL);
	AUTO_FREE char *image = rootfs(&p, "a"), *rubbish = path_join(p.dir, "rubbish");
	AUTO_FREE char *tree = path_join(p.dir, "bare"), *bare = path_join(p.dir, "bare.ext4");
	nova_runtime_opts o = opts_of("bad", image);
	refused(&p, NOVA_ENOTFOUND, "/no/such.ext4", opts_of("bad", "/no/such.ext4"));
	ck_assert_int_eq(fs_write_file(rubbish, "rubbish", 7, 0644), 0);
	refused(&p, NOVA_ECORRUPT, "is no ext4 image", opts_of("bad", rubbish));
	make(tree, "bin/sh", "#!");
	make(tree, "dev", NULL);
	free(build(tree, bare));
	refused(&p, NOVA_ECORRUPT, "no directory /proc", opts_of("bad", bare));
	o.argv = no_such;
	o.argv_count = LEN(no_such);
	refused(&p, NOVA_ENOTFOUND, "no program '/usr/bin/lua5.4'", o);
	o.argv = plain;
	o.argv_count = 1;
	refused(&p, NOVA_ENOTFOUND, "can be executed", o);
	o.protocol = "node";
	o.argv_count = 0;
	refused(&p, NOVA_ENOTFOUND, "no /usr/bin/node", o);
	uint64_t size;
	ck_assert_int_eq(fs_stat(image, &size, NULL), 0);
	ck_assert_int_eq(truncate(image, (off_t)size - 4096), 0);
	refused(&p, NOVA_ECORRUPT, "cut short", opts_of("bad", image));
	AUTO_FREE char *disks = path_join(p.dir, "disks");
	char **names;
	int count = fs_list(disks, &names);
	for (int i = 0; i < count; i++)
		ck_assert_str_eq(names[i], ".lock");
	strv_free(names, (size_t)count);
	platform_close(&p);
}
END_TEST

START_TEST(a_runtime_that_is_missing_is_an_option_that_is_wrong)
{
	struct platform p = platform_open(NULL);
	add_runtime(&p, "fancy", "a", sh_file_input, LEN(sh_file_input));
	ck_fails_with(
		NOVA_EINVAL, "did you mean 'fancy'", register_function(&p, "f", "fanci", "x", 0));
	ck_fails_with(NOVA_EINVAL, "binary, fancy, or register it",
		register_function(&p, "f", "cobol_74", "x", 0));
	ck_fails_with(NOVA_EINVAL, "'' is unknown", register_function(&p, "f", "", "x", 0));
	const nova_runtime *r;
	ck_fails_with(NOVA_ENOTFOUND, "did you mean 'fancy'",
		nova_runtime_get(p.nova, "fanci", &r, &error));
	platform_close(&p);
}
END_TEST

/* --- its life --- */

START_TEST(built_in_runtimes_stand_in_the_list_and_stay)
{
	struct platform p = platform_open(NULL);
	const nova_runtime **all, *r;
	size_t count;
	add_runtime(&p, "b", "b", sh_file_input, LEN(sh_file_input));
	add_runtime(&p, "a", "a", sh_file_input, LEN(sh_file_input));
	ck_ok(nova_runtime_list(p.nova, &all, &count, &error));
	ck_assert_uint_eq(count, 9);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(all[i]->size, sizeof(nova_runtime));
		ck_assert_uint_eq(all[i]->built_in, i < 7);
		ck_assert_int_eq(all[i]->rootfs_hash != NULL, i >= 7);
		ck_assert_uint_ge(all[i]->least_memory_mb, 72);
	}
	ck_assert_str_eq(all[0]->name, "python");
	ck_assert_str_eq(all[0]->rootfs, "python");
	ck_assert_str_eq(all[1]->protocol, "node");
	ck_assert_str_eq(all[7]->name, "a");
	ck_assert_str_eq(all[7]->protocol, "none");
	ck_assert_str_eq(all[7]->argv[1], "{file}");
	ck_assert_uint_eq(all[7]->argv_count, 3);
	ck_assert_uint_ne(all[7]->created_us, 0);
	nova_runtime_list_free(all, count);
	ck_ok(nova_runtime_get(p.nova, "javascript", &r, &error));
	ck_assert_str_eq(r->name, "node");
	nova_runtime_free(r);
	nova_runtime_free(r); /* nothing of it is freed */
	ck_ok(nova_runtime_check(p.nova, "node", &error));
	ck_fails_with(NOVA_EINVAL, "built in", nova_runtime_delete(p.nova, "node", &error));
	platform_close(&p);
}
END_TEST

START_TEST(a_runtime_that_functions_have_is_not_deleted)
{
	struct platform p = platform_open(NULL);
	add_runtime(&p, "own", "a", sh_file_input, LEN(sh_file_input));
	AUTO_FREE char *file = blob(&p, "own");
	ck_ok(register_function(&p, "first", "own", "x", 0));
	ck_ok(register_function(&p, "second", "own", "y", 0));
	ck_fails_with(NOVA_EBUSY, "first, second", nova_runtime_delete(p.nova, "own", &error));
	ck_ok(nova_function_delete(p.nova, "first", 0, &error));
	ck_ok(register_function(&p, "second", "shell", "y", NOVA_REGISTER_REPLACE));
	ck_assert_int_eq(fs_exists(file), 1);
	ck_ok(nova_runtime_delete(p.nova, "own", &error));
	ck_assert_int_eq(fs_exists(file), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_function_keeps_what_its_runtime_was_when_it_was_registered)
{
	static const char *const other[] = { SH, "-c", "echo 2" };
	static const char source[] = "echo 1";
	struct platform p = platform_open(NULL);
	nova_function_t *f;
	add_runtime(&p, "own", "a", sh_file_input, LEN(sh_file_input));
	AUTO_FREE char *former = blob(&p, "own");
	ck_ok(register_function(&p, "f", "own", source, 0));
	platform_answers(p.nova, "f", "1");
	AUTO_FREE char *image = rootfs(&p, "b");
	nova_runtime_opts o = opts_of("own", image);
	refused(&p, NOVA_EEXIST, "differs in its root filesystem", o);
	add_runtime(&p, "own", "b", other, LEN(other));
	platform_answers(p.nova, "f", "1");
	ck_assert_int_eq(fs_exists(former), 1);
	ck_ok(nova_runtime_check(p.nova, "own", &error));
	ck_fails_with(NOVA_EEXIST, "differs in its", register_function(&p, "f", "own", source, 0));
	ck_ok(register_function(&p, "f", "own", source, NOVA_REGISTER_REPLACE));
	platform_answers(p.nova, "f", "2");
	ck_ok(nova_function_get(p.nova, "f", &f, &error));
	ck_assert_uint_eq(nova_function_version(f), 2);
	ck_assert_str_eq(nova_function_text(f, "runtime", 0), "own");
	nova_function_free(f);
	ck_assert_int_eq(fs_exists(former), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_root_filesystem_that_is_damaged_or_gone_is_named_and_comes_back)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *image = rootfs(&p, "a");
	nova_runtime_opts o = opts_of("own", image);
	nova_invoke_opts fresh = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *r;
	fresh.flags = NOVA_INVOKE_FRESH;
	ck_ok(nova_runtime_register(p.nova, &o, NULL, &error));
	ck_ok(register_function(&p, "f", "own", "echo 1", 0));
	AUTO_FREE char *file = blob(&p, "own");
	ck_ok(nova_runtime_check(p.nova, "own", &error));
	AUTO_FD int fd = sys_open(file, O_RDWR, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_pwrite_all(fd, "damage", 6, 4096), 0);
	ck_fails_with(NOVA_ECORRUPT, "is damaged", nova_runtime_check(p.nova, "own", &error));
	ck_failed(NOVA_ECORRUPT, NOVA_OUTCOME_NEVER_RAN, "runtime 'own'",
		nova_invoke(p.nova, "f", "{}", &fresh, &r, &error));
	ck_ok(nova_runtime_register(p.nova, &o, NULL, &error));
	ck_ok(nova_invoke(p.nova, "f", "{}", &fresh, &r, &error));
	nova_result_free(r);
	ck_assert_int_eq(fs_unlink(file), 0);
	ck_fails_with(NOVA_ENOTFOUND, "is gone", nova_runtime_check(p.nova, "own", &error));
	ck_failed(NOVA_ECORRUPT, NOVA_OUTCOME_NEVER_RAN, "register its runtime 'own' again",
		nova_invoke(p.nova, "f", "{}", &fresh, &r, &error));
	ck_ok(nova_runtime_register(p.nova, &o, NULL, &error));
	ck_ok(nova_invoke(p.nova, "f", "{}", &fresh, &r, &error));
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

/* --- two at once --- */

struct racer {
	nova_t *nova;
	const char *image;
	pthread_barrier_t *start;
	int code;
};

static void *race(void *at)
{
	struct racer *racer = at;
	nova_runtime_opts o = opts_of("own", racer->image);
	pthread_barrier_wait(racer->start);
	racer->code = nova_runtime_register(racer->nova, &o, NULL, NULL);
	return NULL;
}

START_TEST(of_two_who_register_a_name_at_once_one_wins)
{
	struct platform p = platform_open(NULL);
	nova_t *other;
	AUTO_FREE char *a = rootfs(&p, "a"), *b = rootfs(&p, "b");
	pthread_barrier_t barrier;
	ck_ok(nova_open(p.config, &other, &error)); /* as another process would */
	pthread_barrier_init(&barrier, NULL, 2);
	for (int round = 0; round < 3; round++) {
		bool same = round == 2;
		struct racer racers[] = { { p.nova, a, &barrier, 1 },
			{ other, same ? a : b, &barrier, 1 } };
		pthread_t threads[2];
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, race, &racers[i]);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		ck_assert_int_eq(racers[0].code + racers[1].code, same ? 0 : NOVA_EEXIST);
		ck_ok(nova_runtime_check(other, "own", &error));
		ck_ok(nova_runtime_delete(p.nova, "own", &error));
	}
	pthread_barrier_destroy(&barrier);
	nova_close(other);
	platform_close(&p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("runtime");
	TCase *t = tcase_create("runtime");
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_function_runs_by_the_command_line_of_its_runtime);
	tcase_add_test(t, a_payload_that_the_command_line_does_not_name_comes_on_stdin);
	tcase_add_test(t, a_directory_has_the_file_that_the_handler_names);
	tcase_add_test(t, an_interpreter_that_has_a_protocol_is_kept_with_its_options);
	tcase_add_test(t, a_function_has_the_memory_and_times_of_its_runtime_unless_it_says);
	tcase_add_test(t, options_that_make_no_runtime_are_refused_with_the_way_out);
	tcase_add_test(t, a_root_filesystem_that_no_guest_could_start_from_is_refused);
	tcase_add_test(t, a_runtime_that_is_missing_is_an_option_that_is_wrong);
	tcase_add_test(t, built_in_runtimes_stand_in_the_list_and_stay);
	tcase_add_test(t, a_runtime_that_functions_have_is_not_deleted);
	tcase_add_test(t, a_function_keeps_what_its_runtime_was_when_it_was_registered);
	tcase_add_test(t, a_root_filesystem_that_is_damaged_or_gone_is_named_and_comes_back);
	tcase_add_test(t, of_two_who_register_a_name_at_once_one_wins);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, suite);
}
