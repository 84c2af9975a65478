/* SPDX-License-Identifier: MIT */
/* Who waits for a template that another process makes, and what is said of one. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "template/recipe.h"
#include "test.h"

static nova_error_t *error;
static char *dir, *told;
static nova_host_t *host;
static int begun[2];
static bool made_here;

static void make_dir(void)
{
	nova_config_t *config;
	dir = test_dir();
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", dir, &error));
	ck_ok(nova_host_new(config, &host, &error));
	nova_config_free(config);
	ck_assert_int_eq(sys_pipe(begun), 0);
	made_here = false;
}

static void remove_dir(void)
{
	fd_close(begun[0]);
	fd_close(begun[1]);
	nova_error_free(error);
	error = NULL;
	nova_host_unref(host);
	free(STEAL(told));
	test_dir_remove(dir);
}

static int make_for_ever(const struct recipe *r, struct frozen **ret, nova_error_t **e)
{
	(void)r, (void)ret, (void)e;
	sys_write_all(begun[1], "x", 1);
	while (pause() < 0)
		;
	return 0;
}

static int make_nothing(const struct recipe *r, struct frozen **ret, nova_error_t **e)
{
	(void)r, (void)ret;
	made_here = true;
	return nova_fail(e, NOVA_EFUNCTION, "this is as far as it goes");
}

static int obtain(int (*make)(const struct recipe *, struct frozen **, nova_error_t **),
	uint64_t wait_ms, const struct stop *stop)
{
	const struct template_want want = { .name = "greet" };
	const struct recipe r = {
		.host = host,
		.want = &want,
		.root = dir,
		.id = "00112233aabbccdd",
		.stop = stop,
		.make = make,
		.deadline = deadline_in_ms(wait_ms),
	};
	struct frozen *frozen;
	bool made;
	return recipe_obtain(&r, &frozen, &made, &error);
}

static pid_t start_maker(void)
{
	char byte;
	pid_t pid = fork();
	if (pid == 0) {
		obtain(make_for_ever, 0, NULL);
		_exit(1);
	}
	ck_assert_int_eq(read(begun[0], &byte, 1), 1);
	return pid;
}

static void end_maker(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(the_wait_for_anothers_template_has_an_end_and_names_who_makes_it)
{
	pid_t maker = start_maker();
	AUTO_FREE char *who = str_format("'greet' is still being made by process %d:", (int)maker);
	ck_fails_with(NOVA_EBUSY, who, obtain(make_nothing, 100, NULL));
	ck_assert(!made_here);
	end_maker(maker);
	ck_fails_with(NOVA_EFUNCTION, "this is as far", obtain(make_nothing, 100, NULL));
	ck_assert(made_here);
}
END_TEST

START_TEST(the_wait_for_anothers_template_is_interrupted)
{
	nova_interrupt_t *token;
	pid_t maker = start_maker();
	ck_ok(nova_interrupt_new(&token, &error));
	nova_interrupt_trigger(token);
	const struct stop stop = { token, NULL };
	ck_fails_with(NOVA_ECANCELED, "its template", obtain(make_nothing, 60000, &stop));
	ck_assert(!made_here);
	nova_interrupt_free(token);
	end_maker(maker);
}
END_TEST

static void hear(void *userdata, const char *what)
{
	ck_assert_ptr_eq(userdata, &told);
	free(told);
	told = strdup(what);
}

static const char *tell_of(const struct recipe *r)
{
	free(STEAL(told));
	recipe_tell(r);
	return told;
}

START_TEST(a_guest_is_announced_with_what_it_took_last_time)
{
	const struct template_want want = { .name = "greet", .progress = { hear, &told } };
	char guest[] = "python", rootfs[] = "/images/rootfs/python.ext4", other[] = "base.ext4";
	struct recipe r = { .host = host, .want = &want, .root = dir, .guest = guest };
	r.rootfs = rootfs;
	r.ops = engine_find("qemu");
	ck_assert_str_eq(tell_of(&r), "making the template of python, 10 s or more, once");
	recipe_took(&r, 9123000);
	ck_assert_str_eq(tell_of(&r), "making the template of python, about 9 s, once");
	recipe_took(&r, 499999);
	ck_assert_str_eq(tell_of(&r), "making the template of python, about 1 s, once");
	r.rootfs = other;
	ck_assert_str_eq(tell_of(&r), "making the template of python, 10 s or more, once");
	r.guest = NULL;
	ck_assert_str_eq(tell_of(&r), "loading greet into a template, once");
}
END_TEST

START_TEST(a_damaged_record_of_times_is_no_record)
{
	static const char *const contents[] = { "", "soon\n", "-5\n", "99999999999999999999\n",
		"7000000000000\n", "12345678901234567890123456789012345678901234567890\n" };
	const struct template_want want = { .name = "greet", .progress = { hear, &told } };
	char guest[] = "python", rootfs[] = "python.ext4";
	struct recipe r = { .host = host, .want = &want, .root = dir, .guest = guest };
	r.rootfs = rootfs;
	r.ops = engine_find("qemu");
	AUTO_FREE char *path = path_join(dir, ".took-qemu-python");
	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		ck_assert_int_eq(fs_write_file(path, contents[i], strlen(contents[i]), 0600), 0);
		ck_assert_str_eq(tell_of(&r), "making the template of python, 10 s or more, once");
	}
}
END_TEST

/* --- trials: VMs of doubles --- */

static int clones, boots, imports;
static int import_code, import_outcome; /* of the first import */

static int save(struct machine *m, int *ret_state_fd, nova_error_t **e)
{
	(void)m, (void)ret_state_fd;
	return nova_fail(e, NOVA_ENOTSUP, "there is no machine");
}

static int identity(const struct engine_env *env, char **ret, nova_error_t **e)
{
	(void)env;
	return (*ret = strdup("stand-in 1")) ? 0 : nova_oom(e);
}

static const struct engine_ops stand_in = {
	.name = "stand-in",
	.features = NOVA_FEATURE_LATE_CODE,
	.save = save,
	.identity = identity,
};

int __wrap_host_choose_engine(
	nova_host_t *h, const char *name, const struct engine_ops **ret_ops, nova_error_t **e);
int __wrap_host_choose_engine(
	nova_host_t *h, const char *name, const struct engine_ops **ret_ops, nova_error_t **e)
{
	(void)h, (void)name, (void)e;
	*ret_ops = &stand_in;
	return 0;
}

int __wrap_vm_find_images(nova_host_t *h, const struct engine_ops *ops, const char *name,
	char **kernel, char **initramfs, char **rootfs, nova_error_t **e);
int __wrap_vm_find_images(nova_host_t *h, const struct engine_ops *ops, const char *name,
	char **kernel, char **initramfs, char **rootfs, nova_error_t **e)
{
	(void)h, (void)ops, (void)name, (void)e;
	*kernel = strdup("/dev/null");
	*initramfs = strdup("/dev/null");
	*rootfs = strdup("/dev/null");
	return 0;
}

int __wrap_recipe_clone_runtime(const struct recipe *r, nova_vm_t **ret_vm, nova_error_t **e);
int __wrap_recipe_clone_runtime(const struct recipe *r, nova_vm_t **ret_vm, nova_error_t **e)
{
	(void)r, (void)e;
	clones++;
	*ret_vm = NULL;
	return 0;
}

int __wrap_vm_start(nova_host_t *h, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **e);
int __wrap_vm_start(nova_host_t *h, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **e)
{
	(void)h, (void)spec, (void)stop, (void)e;
	boots++;
	*ret_vm = NULL;
	return 0;
}

int __wrap_vm_init(
	nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop, nova_error_t **e);
int __wrap_vm_init(
	nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop, nova_error_t **e)
{
	(void)vm, (void)spec, (void)stop;
	return imports++ ? 0 :
			   nova_set_outcome(e, nova_fail(e, import_code, "the double was told to"),
				   import_outcome);
}

static int try_code(bool once, int code, int outcome)
{
	char runtime[] = "python", disk[] = "/dev/null";
	struct vm_spec spec = { .once = once };
	spec.config.runtime = runtime;
	spec.config.handler = runtime;
	spec.config.machine.code_disk = disk;
	const struct template_want want = { .name = "greet", .vm = &spec };
	nova_vm_t *vm;
	clones = boots = imports = 0;
	import_code = code;
	import_outcome = outcome;
	return template_try(host, &want, NULL, &vm, &error);
}

START_TEST(code_that_may_have_been_run_is_not_run_in_a_second_guest)
{
	ck_fails_with(NOVA_ELOST, "told to", try_code(true, NOVA_ELOST, NOVA_OUTCOME_UNKNOWN));
	ck_assert_int_eq(clones, 1);
	ck_assert_int_eq(boots, 0);
	ck_assert_int_eq(imports, 1);
}
END_TEST

START_TEST(code_that_is_known_not_to_have_run_is_run_in_a_second_guest)
{
	ck_ok(try_code(true, NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN));
	ck_assert_int_eq(clones, 1);
	ck_assert_int_eq(boots, 1);
	ck_assert_int_eq(imports, 2);
}
END_TEST

START_TEST(a_function_whose_clone_was_lost_is_looked_at_in_a_guest_that_boots)
{
	ck_ok(try_code(false, NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN));
	ck_assert_int_eq(boots, 1);
	ck_assert_int_eq(imports, 2);
	ck_fails_with(
		NOVA_EFUNCTION, "told to", try_code(false, NOVA_EFUNCTION, NOVA_OUTCOME_NEVER_RAN));
	ck_assert_int_eq(boots, 0);
}
END_TEST

static Suite *template_suite(void)
{
	Suite *suite = suite_create("template");
	TCase *tc = tcase_create("waiting");
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, the_wait_for_anothers_template_has_an_end_and_names_who_makes_it);
	tcase_add_test(tc, the_wait_for_anothers_template_is_interrupted);
	suite_add_tcase(suite, tc);
	tc = tcase_create("telling");
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, a_guest_is_announced_with_what_it_took_last_time);
	tcase_add_test(tc, a_damaged_record_of_times_is_no_record);
	suite_add_tcase(suite, tc);
	tc = tcase_create("trials");
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, code_that_may_have_been_run_is_not_run_in_a_second_guest);
	tcase_add_test(tc, code_that_is_known_not_to_have_run_is_run_in_a_second_guest);
	tcase_add_test(tc, a_function_whose_clone_was_lost_is_looked_at_in_a_guest_that_boots);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(template_suite)
