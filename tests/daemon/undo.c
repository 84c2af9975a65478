/* SPDX-License-Identifier: MIT */
/* What a job of tools/serve has made, and who waited for it has gone. */
#include <check.h>
#include <semaphore.h>
#include <stdlib.h>

#include "serve/serve.h"

static struct loop *loop;
static nova_t *nova;
static struct jobs *jobs;
static sem_t may_end, has_made;
static int undone, ended;

static void begin(void)
{
	nova_config_t *config = NULL;
	ck_assert_int_eq(nova_config_new(&config, NULL), 0);
	ck_assert_int_eq(nova_config_load_env(config, NULL), 0);
	ck_assert_int_eq(nova_open(config, &nova, NULL), 0);
	nova_config_free(config);
	ck_assert_ptr_nonnull(loop = loop_new());
	ck_assert_ptr_nonnull(jobs = jobs_new(loop, nova, NULL, NULL));
	sem_init(&may_end, 0, 0);
	sem_init(&has_made, 0, 0);
	undone = ended = 0;
}

static void end(void)
{
	jobs_free(jobs);
	loop_free(loop);
	nova_close(nova);
}

static void undo(struct job *job)
{
	undone += json_is_true(json_object_get(job_reply(job), "made"));
}

static void make(struct job *job)
{
	json_object_set_new(job_reply(job), "made", json_true());
	job_undo(job, undo);
	sem_post(&has_made);
	sem_wait(&may_end);
}

static void on_woken(void *asker)
{
	(void)asker;
}

static void on_text(void *asker, const char *part, const void *data, size_t len)
{
	(void)asker, (void)part, (void)data, (void)len;
}

static void on_end(void *asker, const json_t *reply)
{
	(void)asker;
	ended += json_is_true(json_object_get(reply, "made"));
}

/* waits: somebody does, for its answer */
static struct job *made(bool waits)
{
	static const struct job_verb verb = { .name = "make", .work = make };
	static const struct job_asker asker = { on_woken, on_text, on_end };
	json_t *options = json_object();
	struct job_request request = { .verb = &verb, .options = options };
	struct job *job = job_begin(jobs, &request, &asker, waits ? &loop : NULL);
	ck_assert_ptr_nonnull(job);
	json_decref(options);
	sem_wait(&has_made);
	return job;
}

static void await_end(void)
{
	sem_post(&may_end);
	while (jobs_count(jobs))
		loop_step(loop, -1);
}

START_TEST(what_nobody_waits_for_is_taken_back_once)
{
	job_abandon(made(true));
	await_end();
	ck_assert_int_eq(undone, 1);
	ck_assert_int_eq(ended, 0);
	ck_assert_uint_eq(jobs_abandoned(jobs), 0);
}
END_TEST

START_TEST(what_somebody_waits_for_stays)
{
	made(true);
	await_end();
	ck_assert_int_eq(undone, 0);
	ck_assert_int_eq(ended, 1);
}
END_TEST

START_TEST(what_nobody_ever_waited_for_is_not_counted_as_abandoned)
{
	made(false);
	await_end();
	ck_assert_int_eq(ended, 0);
	ck_assert_uint_eq(jobs_abandoned(jobs), 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("undo");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, what_nobody_waits_for_is_taken_back_once);
	tcase_add_test(tcase, what_somebody_waits_for_stays);
	tcase_add_test(tcase, what_nobody_ever_waited_for_is_not_counted_as_abandoned);
	Suite *suite = suite_create("undo");
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
