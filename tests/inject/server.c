/* SPDX-License-Identifier: MIT */
/* What stands on servers: functions in PostgreSQL, jobs in Redis. Each attempt has a platform of
 * its own, so that it also connects, and what a client library is refused is looked at, too. */
#include "inject.h"
#include "redisserver.h"
#include "unit/test.h"

static nova_config_t *settings;
static unsigned number; /* of the attempt */

static void make_settings(void)
{
	MUST(nova_config_new(&settings, &world.error));
	MUST(nova_config_set(settings, "engine", "fake", &world.error));
	MUST(nova_config_set(settings, "home", world.home, &world.error));
	MUST(nova_config_set(settings, "log.calls", "off", &world.error));
}

static void make_jobs(void)
{
	redis_directory = path_join(world.home, "redis"); /* which goes with that */
	redis_address = path_join(redis_directory, "redis.sock");
	MUST(fs_mkdirs(redis_directory, 0700));
	redis_start(NULL, NULL);
	make_settings();
	MUST(nova_config_set(settings, "redis.addr", redis_address, &world.error));
}

static int hand_in_and_look(nova_t *nova, nova_error_t **error)
{
	nova_job_t *job = NULL, *found = NULL, **jobs = NULL;
	size_t count = 0;
	uint64_t next = 0;
	int code = nova_job_submit(nova, "f", "{}", NULL, &job, error);
	if (code == 0)
		code = nova_job_get(nova, nova_job_id(job), &found, error);
	if (code == 0)
		code = nova_job_list(nova, NULL, &jobs, &count, &next, error);
	nova_job_list_free(jobs, count);
	nova_job_free(job);
	nova_job_free(found);
	return code;
}

static int jobs(nova_error_t **error)
{
	nova_t *nova = NULL;
	int code = nova_open(settings, &nova, error);
	if (code == 0)
		code = hand_in_and_look(nova, error);
	nova_close(nova);
	return code;
}

static void make_postgres(void)
{
	if (!getenv("NOVA_TEST_PG"))
		test_skip("no PostgreSQL: see test_packages in tools/packages");
	make_settings();
	MUST(nova_config_set(settings, "postgres.dsn", getenv("NOVA_TEST_PG"), &world.error));
}

static int make_key(nova_t *nova, nova_error_t **error)
{
	char name[24];
	snprintf(name, sizeof(name), "k%u", ++number);
	const nova_key_opts opts = { sizeof(opts), .name = name };
	const nova_key *key = NULL;
	int code = nova_key_create(nova, &opts, &key, error);
	nova_key_free(key);
	return code;
}

static int postgres(nova_error_t **error)
{
	nova_t *nova = NULL;
	const nova_key **keys = NULL;
	size_t count = 0;
	int code = nova_open(settings, &nova, error);
	if (code == 0)
		code = make_key(nova, error);
	if (code == 0)
		code = nova_key_list(nova, &keys, &count, error);
	nova_key_list_free(keys, count);
	nova_close(nova);
	return code;
}

const struct inject_case server_cases[] = {
	{ "nova_job_submit nova_job_get nova_job_list nova_job_free", make_jobs, NULL, jobs, NULL,
		.slow = true, .swept = true, .remote = true },
	{ "nova_open nova_key_create nova_key_list nova_close", make_postgres, NULL, postgres, NULL,
		.slow = true, .swept = true, .remote = true },
	{ NULL },
};
