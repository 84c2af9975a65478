/* SPDX-License-Identifier: MIT */
/* Updates, published versions and aliases: nova/version.h. */
#include <pthread.h>

#include "vmtest.h"

#define CALLS 2000 /* of which 10 of 100 are 200; 100 to 300 is missed once in 10^13 runs */

static char *answer(const char *word)
{
	return str_format("printf '\"%s\"'", word);
}

static void add(nova_t *nova, const char *name, const char *word)
{
	AUTO_FREE char *source = answer(word);
	platform_add(nova, name, "shell", source);
}

static uint32_t publish(nova_t *nova, const char *name)
{
	nova_function_t *f = NULL;
	ck_ok(nova_function_publish(nova, name, &f, &error));
	uint32_t version = nova_function_version(f);
	nova_function_free(f);
	return version;
}

static int set_alias(nova_t *nova, const char *name, uint32_t version, uint32_t second)
{
	nova_alias_opts opts = NOVA_ALIAS_OPTS_INIT;
	opts.function = "f";
	opts.name = name;
	opts.version = version;
	opts.second = second;
	opts.weight = second ? 10 : 0;
	return nova_alias_set(nova, &opts, NULL, &error);
}

/* f answers "two"; version 1 answered "one". */
static void make_two(nova_t *nova)
{
	add(nova, "f", "one");
	ck_assert_uint_eq(publish(nova, "f"), 1);
	add(nova, "f", "two");
	ck_assert_uint_eq(publish(nova, "f"), 2);
}

static size_t count_blobs(const struct platform *p)
{
	AUTO_FREE char *disks = path_join(p->dir, "disks");
	char **names = NULL;
	int count = fs_list(disks, &names);
	ck_assert_int_ge(count, 0);
	size_t blobs = 0;
	for (int i = 0; i < count; i++)
		blobs += strstr(names[i], ".ext4") != NULL;
	strv_free(names, (size_t)count);
	return blobs;
}

/* --- updates --- */

static nova_function_t *get(nova_t *nova, const char *name)
{
	nova_function_t *f = NULL;
	ck_ok(nova_function_get(nova, name, &f, &error));
	return f;
}

static int update(nova_t *nova, const nova_function_opts *change, const char *reset)
{
	nova_function_update_opts opts = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	opts.change = change;
	opts.reset = &reset;
	opts.reset_count = reset ? 1 : 0;
	return nova_function_update(nova, "f", &opts, NULL, &error);
}

START_TEST(an_update_changes_what_is_given_and_nothing_else)
{
	static const char *const env[] = { "WORD=a" }, *const other[] = { "WORD=b" };
	struct platform p = platform_open(NULL);
	nova_function_opts f = NOVA_FUNCTION_OPTS_INIT, change = NOVA_FUNCTION_OPTS_INIT;
	f.name = "f";
	f.runtime = "shell";
	f.code = "printf '\"%s\"' $WORD$NOVA_KEEP_TMP";
	f.code_len = strlen(f.code);
	f.env = env;
	f.env_count = 1;
	f.timeout_s = 7;
	f.flags = NOVA_REGISTER_KEEP_TMP;
	ck_ok(nova_function_register(p.nova, &f, NULL, &error));
	platform_answers(p.nova, "f", "\"a1\"");
	change.memory_mb = 200;
	change.env = other;
	change.env_count = 1;
	ck_ok(update(p.nova, &change, NULL));
	platform_answers(p.nova, "f", "\"b1\""); /* the code stays, and so does the switch */
	nova_function_t *now = get(p.nova, "f");
	ck_assert_uint_eq(nova_function_number(now, "memory_mb"), 200);
	ck_assert_uint_eq(nova_function_number(now, "timeout_s"), 7);
	ck_assert_uint_eq(nova_function_version(now), 2);
	nova_function_free(now);
	ck_ok(update(p.nova, NULL, "keep_tmp"));
	platform_answers(p.nova, "f", "\"b\"");
	ck_ok(update(p.nova, NULL, "env"));
	ck_ok(update(p.nova, NULL, "memory_mb"));
	platform_answers(p.nova, "f", "\"\"");
	change = (nova_function_opts)NOVA_FUNCTION_OPTS_INIT;
	change.code = "printf '\"new\"'";
	change.code_len = strlen(change.code);
	ck_ok(update(p.nova, &change, NULL));
	platform_answers(p.nova, "f", "\"new\"");
	now = get(p.nova, "f");
	ck_assert_uint_eq(nova_function_number(now, "memory_mb"), 128);
	ck_assert_uint_eq(nova_function_number(now, "timeout_s"), 7);
	nova_function_free(now);
	ck_assert_uint_eq(count_blobs(&p), 1);
	ck_ok(update(p.nova, NULL, NULL)); /* nothing is given */
	platform_close(&p);
}
END_TEST

START_TEST(an_update_that_cannot_be_is_refused_and_changes_nothing)
{
	struct platform p = platform_open(NULL);
	nova_function_opts change = NOVA_FUNCTION_OPTS_INIT;
	ck_fails_with(NOVA_ENOTFOUND, "'f'", update(p.nova, &change, NULL));
	add(p.nova, "f", "one");
	publish(p.nova, "f");
	ck_fails_with(NOVA_EINVAL, "memroy_mb", update(p.nova, &change, "memroy_mb"));
	ck_fails_with(NOVA_EINVAL, "memory_mb'?", update(p.nova, &change, "memroy_mb"));
	change.runtime = "go";
	ck_fails_with(NOVA_EINVAL, "give the code", update(p.nova, &change, NULL));
	change.runtime = NULL;
	change.name = "g";
	ck_fails_with(NOVA_EINVAL, "keeps its name", update(p.nova, &change, NULL));
	change.name = NULL;
	change.memory_mb = 1;
	ck_fails_with(NOVA_EINVAL, "memory_mb is 1", update(p.nova, &change, NULL));
	const nova_function_update_opts nothing = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	ck_fails_with(NOVA_EINVAL, "published version",
		nova_function_update(p.nova, "f:1", &nothing, NULL, &error));
	nova_function_t *now = get(p.nova, "f");
	ck_assert_uint_eq(nova_function_version(now), 1);
	nova_function_free(now);
	platform_close(&p);
}
END_TEST

struct updater {
	nova_t *nova;
	nova_function_opts change;
	int code;
};

static void *update_often(void *userdata)
{
	struct updater *u = userdata;
	nova_function_update_opts opts = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	opts.change = &u->change;
	for (int i = 0; i < 10 && u->code == 0; i++)
		u->code = nova_function_update(u->nova, "f", &opts, NULL, NULL);
	return NULL;
}

START_TEST(two_hosts_that_update_at_once_keep_what_the_other_has_changed)
{
	static const char *const labels[] = { "team=a" };
	struct platform p = platform_open(NULL);
	nova_t *other = NULL;
	pthread_t thread;
	add(p.nova, "f", "one");
	ck_ok(nova_open(p.config, &other, &error));
	struct updater mine = { p.nova, NOVA_FUNCTION_OPTS_INIT, 0 }, its = mine;
	mine.change.min_replicas = 0;
	mine.change.labels = labels; /* neither changes the version */
	mine.change.labels_count = 1;
	its.nova = other;
	its.change.timeout_s = 9;
	ck_assert_int_eq(pthread_create(&thread, NULL, update_often, &its), 0);
	update_often(&mine);
	pthread_join(thread, NULL);
	ck_assert_int_eq(mine.code, 0);
	ck_assert_int_eq(its.code, 0);
	nova_function_t *now = get(p.nova, "f");
	ck_assert_uint_eq(nova_function_number(now, "timeout_s"), 9);
	ck_assert_str_eq(nova_function_text(now, "labels", 0), "team=a");
	nova_function_free(now);
	nova_close(other);
	platform_close(&p);
}
END_TEST

/* --- versions --- */

START_TEST(a_version_runs_as_it_was_published_whatever_becomes_of_the_function)
{
	struct platform p = platform_open(NULL);
	make_two(p.nova);
	ck_assert_uint_eq(publish(p.nova, "f"), 2); /* again is the same one */
	add(p.nova, "f", "three");
	platform_answers(p.nova, "f:1", "\"one\"");
	platform_answers(p.nova, "f:2", "\"two\"");
	platform_answers(p.nova, "f", "\"three\"");
	platform_answers(p.nova, "f:latest", "\"three\"");
	ck_assert_uint_eq(count_blobs(&p), 3);
	nova_function_t **all;
	size_t count;
	ck_ok(nova_function_list_versions(p.nova, "f", &all, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(nova_function_version(all[0]), 1);
	nova_function_list_free(all, count);
	nova_result_t *r = NULL;
	ck_ok(set_alias(p.nova, "prod", 2, 0));
	ck_ok(nova_invoke(p.nova, "f:prod", "{}", NULL, &r, &error));
	ck_assert_uint_eq(nova_result_version(r), 2);
	nova_result_free(STEAL(r));
	ck_ok(nova_invoke(p.nova, "f", "{}", NULL, &r, &error));
	ck_assert_uint_eq(nova_result_version(r), 0);
	nova_result_free(STEAL(r));
	ck_fails_with(NOVA_ENOTFOUND, "no version or alias '3'",
		nova_invoke(p.nova, "f:3", "{}", NULL, &r, &error));
	ck_fails_with(NOVA_ENOTFOUND, "there is no function 'g'",
		nova_invoke(p.nova, "g:3", "{}", NULL, &r, &error));
	ck_fails(NOVA_ENOTFOUND, nova_invoke(p.nova, "f:", "{}", NULL, &r, &error));
	ck_fails(NOVA_ENOTFOUND,
		nova_invoke(p.nova, "f:99999999999999999999", "{}", NULL, &r, &error));
	platform_close(&p);
}
END_TEST

/* The VM of a call, and whether it had to be started. */
static char *vm_of_call(nova_t *nova, const char *name)
{
	nova_result_t *r = NULL;
	ck_ok(platform_call(nova, name, &r));
	char *id = strdup(nova_result_vm_id(r));
	nova_result_free(r);
	return id;
}

START_TEST(calls_of_one_version_share_its_vms_and_no_others)
{
	struct platform p = platform_open(NULL);
	add(p.nova, "f", "one");
	AUTO_FREE char *first = vm_of_call(p.nova, "f");
	publish(p.nova, "f");
	AUTO_FREE char *same = vm_of_call(p.nova, "f:1");
	ck_assert_str_eq(first, same);
	add(p.nova, "f", "two");
	AUTO_FREE char *still = vm_of_call(p.nova, "f:1"), *other = vm_of_call(p.nova, "f");
	ck_assert_str_eq(first, still); /* it was not ended with what was latest then */
	ck_assert_str_ne(first, other);
	nova_pool_tick(p.pool);
	AUTO_FREE char *later = vm_of_call(p.nova, "f:1");
	ck_assert_str_eq(first, later);
	platform_close(&p);
}
END_TEST

START_TEST(an_instance_may_run_a_version)
{
	struct platform p = platform_open(NULL);
	make_two(p.nova);
	ck_ok(set_alias(p.nova, "prod", 1, 0));
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_invoke_opts in = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *r = NULL;
	opts.function = "f:prod";
	opts.name = "i";
	ck_ok(nova_instance_start(p.nova, &opts, &in.instance, &error));
	ck_assert_uint_eq(nova_instance_version(in.instance), 1);
	ck_ok(nova_invoke(p.nova, "f:1", "{}", &in, &r, &error));
	ck_assert_str_eq(nova_result_output(r, NULL), "\"one\"");
	nova_result_free(STEAL(r));
	ck_fails_with(NOVA_EINVAL, "another", nova_invoke(p.nova, "f:2", "{}", &in, &r, &error));
	ck_ok(nova_alias_delete(p.nova, "f", "prod", &error));
	ck_fails_with(NOVA_EBUSY, "'i'", nova_function_delete(p.nova, "f:1", 0, &error));
	ck_ok(nova_function_delete(p.nova, "f:2", 0, &error));
	ck_ok(nova_function_delete(p.nova, "f:1", NOVA_DELETE_FORCE, &error));
	ck_fails_with(NOVA_EBUSY, "'i'", nova_function_delete(p.nova, "f", 0, &error));
	ck_ok(nova_instance_stop(in.instance, 5000, &error));
	nova_instance_free(in.instance);
	ck_ok(nova_function_delete(p.nova, "f", 0, &error));
	platform_close(&p);
}
END_TEST

START_TEST(what_others_may_count_on_is_deleted_by_force_only)
{
	struct platform p = platform_open(NULL);
	make_two(p.nova);
	add(p.nova, "f", "three");
	ck_ok(set_alias(p.nova, "prod", 2, 1));
	ck_fails_with(
		NOVA_EBUSY, "2 published versions", nova_function_delete(p.nova, "f", 0, &error));
	ck_fails_with(NOVA_EBUSY, "'prod'", nova_function_delete(p.nova, "f:1", 0, &error));
	ck_fails_with(NOVA_EINVAL, "nova_alias_delete",
		nova_function_delete(p.nova, "f:prod", NOVA_DELETE_FORCE, &error));
	ck_fails(NOVA_EINVAL, nova_function_delete(p.nova, "f", 2, &error));
	ck_ok(nova_function_delete(p.nova, "f:1", NOVA_DELETE_FORCE, &error));
	platform_answers(p.nova, "f:prod", "\"two\"");
	ck_assert_uint_eq(count_blobs(&p), 2);
	ck_ok(nova_function_delete(p.nova, "f", NOVA_DELETE_FORCE, &error));
	ck_assert_uint_eq(count_blobs(&p), 0);
	nova_result_t *r = NULL;
	ck_fails(NOVA_ENOTFOUND, nova_invoke(p.nova, "f:prod", "{}", NULL, &r, &error));
	add(p.nova, "f", "anew"); /* has nothing of the former one */
	ck_fails(NOVA_ENOTFOUND, nova_invoke(p.nova, "f:2", "{}", NULL, &r, &error));
	platform_close(&p);
}
END_TEST

/* --- aliases --- */

START_TEST(an_alias_is_pointed_forwards_and_back)
{
	struct platform p = platform_open(NULL);
	const nova_alias *a, **all;
	size_t count;
	make_two(p.nova);
	ck_ok(set_alias(p.nova, "prod", 2, 0));
	platform_answers(p.nova, "f:prod", "\"two\"");
	ck_ok(set_alias(p.nova, "prod", 1, 0)); /* rolled back */
	platform_answers(p.nova, "f:prod", "\"one\"");
	ck_ok(nova_alias_get(p.nova, "f", "prod", &a, &error));
	ck_assert_str_eq(a->function, "f");
	ck_assert_uint_eq(a->version, 1);
	ck_assert_uint_lt(a->created_us, a->updated_us);
	nova_alias_free(a);
	ck_ok(set_alias(p.nova, "beta", 2, 0));
	ck_ok(nova_alias_list(p.nova, "f", &all, &count, &error));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(all[0]->name, "beta");
	nova_alias_list_free(all, count);
	nova_result_t *r = NULL;
	ck_fails_with(NOVA_ENOTFOUND, "did you mean 'prod'",
		nova_invoke(p.nova, "f:prdo", "{}", NULL, &r, &error));
	ck_ok(nova_alias_delete(p.nova, "f", "prod", &error));
	ck_fails(NOVA_ENOTFOUND, nova_invoke(p.nova, "f:prod", "{}", NULL, &r, &error));
	platform_close(&p);
}
END_TEST

START_TEST(an_alias_that_cannot_be_is_refused)
{
	static const char *const names[] = { "", "1", "1a", "latest", "a.b", "a:b", "a b", "\xff" };
	struct platform p = platform_open(NULL);
	nova_alias_opts opts = NOVA_ALIAS_OPTS_INIT;
	ck_fails(NOVA_EINVAL, nova_alias_set(p.nova, &opts, NULL, &error));
	ck_fails_with(NOVA_ENOTFOUND, "'f'", set_alias(p.nova, "prod", 1, 0));
	make_two(p.nova);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_fails_with(NOVA_EINVAL, "name of an alias", set_alias(p.nova, names[i], 1, 0));
	ck_fails_with(NOVA_EINVAL, "version", set_alias(p.nova, "prod", 0, 0));
	ck_fails_with(NOVA_EINVAL, "already", set_alias(p.nova, "prod", 1, 1));
	ck_fails_with(NOVA_ENOTFOUND, "'3'", set_alias(p.nova, "prod", 3, 0));
	ck_fails_with(NOVA_ENOTFOUND, "'3'", set_alias(p.nova, "prod", 1, 3));
	opts.function = "f";
	opts.name = "prod";
	opts.version = 1;
	opts.second = 2;
	ck_fails_with(NOVA_EINVAL, "weight", nova_alias_set(p.nova, &opts, NULL, &error));
	opts.weight = 100;
	ck_fails_with(NOVA_EINVAL, "weight", nova_alias_set(p.nova, &opts, NULL, &error));
	opts.function = "f:1";
	ck_fails_with(NOVA_EINVAL, "'f:1'", nova_alias_set(p.nova, &opts, NULL, &error));
	platform_close(&p);
}
END_TEST

START_TEST(two_versions_share_the_calls_by_weight)
{
	struct platform p = platform_open(NULL);
	int second = 0;
	make_two(p.nova);
	ck_ok(set_alias(p.nova, "prod", 1, 2));
	for (int i = 0; i < CALLS; i++) {
		nova_function_t *f = get(p.nova, "f:prod");
		second += nova_function_version(f) == 2;
		nova_function_free(f);
	}
	ck_assert_int_gt(second, 100);
	ck_assert_int_lt(second, 300);
	platform_close(&p);
}
END_TEST

/* --- two hosts --- */

struct racer {
	nova_t *nova;
	uint32_t version; /* that it points the alias at */
	int code;
};

static void *race(void *userdata)
{
	struct racer *racer = userdata;
	nova_alias_opts opts = NOVA_ALIAS_OPTS_INIT;
	opts.function = "f";
	opts.name = "prod";
	opts.version = racer->version;
	for (int i = 0; i < 50 && racer->code == 0; i++) {
		racer->code = nova_alias_set(racer->nova, &opts, NULL, NULL);
		if (racer->code == 0)
			racer->code = nova_function_publish(racer->nova, "f", NULL, NULL);
	}
	return NULL;
}

START_TEST(two_hosts_race_for_one_alias_and_version)
{
	struct platform p = platform_open(NULL);
	nova_t *other = NULL;
	pthread_t thread;
	const nova_alias *a;
	nova_function_t **all;
	size_t count;
	make_two(p.nova);
	add(p.nova, "f", "three"); /* what both publish */
	ck_ok(nova_open(p.config, &other, &error));
	struct racer mine = { p.nova, 1, 0 }, its = { other, 2, 0 };
	ck_assert_int_eq(pthread_create(&thread, NULL, race, &its), 0);
	race(&mine);
	pthread_join(thread, NULL);
	ck_assert_int_eq(mine.code, 0);
	ck_assert_int_eq(its.code, 0);
	ck_ok(nova_alias_get(p.nova, "f", "prod", &a, &error));
	ck_assert(a->version == 1 || a->version == 2);
	nova_alias_free(a);
	ck_ok(nova_function_list_versions(other, "f", &all, &count, &error));
	ck_assert_uint_eq(count, 3);
	nova_function_list_free(all, count);
	/* Each sees at its next call what the other has done. */
	ck_ok(set_alias(other, "prod", 2, 0));
	platform_answers(p.nova, "f:prod", "\"two\"");
	ck_ok(set_alias(p.nova, "prod", 1, 0));
	platform_answers(other, "f:prod", "\"one\"");
	nova_close(other);
	platform_close(&p);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("version");
	TCase *tc = tcase_create("version");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, an_update_changes_what_is_given_and_nothing_else);
	tcase_add_test(tc, an_update_that_cannot_be_is_refused_and_changes_nothing);
	tcase_add_test(tc, two_hosts_that_update_at_once_keep_what_the_other_has_changed);
	tcase_add_test(tc, a_version_runs_as_it_was_published_whatever_becomes_of_the_function);
	tcase_add_test(tc, calls_of_one_version_share_its_vms_and_no_others);
	tcase_add_test(tc, an_instance_may_run_a_version);
	tcase_add_test(tc, what_others_may_count_on_is_deleted_by_force_only);
	tcase_add_test(tc, an_alias_is_pointed_forwards_and_back);
	tcase_add_test(tc, an_alias_that_cannot_be_is_refused);
	tcase_add_test(tc, two_versions_share_the_calls_by_weight);
	tcase_add_test(tc, two_hosts_race_for_one_alias_and_version);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
