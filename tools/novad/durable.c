/* SPDX-License-Identifier: MIT */
/*
 * Calls that wait in Redis until a host has time (nova/job.h): routes hand them in and show them,
 * and as many workers as the settings say perform them, each as a job of its own, one after the
 * other. Workers take none any more when the server stops, and what they have then has the time of
 * all other calls; what has not ended by that waits again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nova/job.h>

#include "http.h"
#include "routes.h"

#define WAIT_MS 1000 /* for one; as long a server that stops may wait for a worker */
#define REST_MS 1000 /* after a failure, such as that Redis is away */

#define JOB_KEY_MAX 200
#define CURSOR_MAX  INT64_C(99999999999999999) /* so many digits a query's number may have */

const struct field durable_query[] = {
	{ "key", KIND_TEXT, "one job for all who hand in this function with this key",
		.max = JOB_KEY_MAX },
	{ "attempts", KIND_NUMBER, "how often it is tried; 3", .min = 1, .max = 100 },
	{ "lease_ms", KIND_NUMBER, "after this time whoever has taken it counts as dead",
		.min = 1000, .max = 86400000 },
	{ "keep_s", KIND_NUMBER, "how long it is kept once it has ended; 86400", .min = 1,
		.max = 2592000 },
	{ NULL },
};

/* As enum nova_job_state. */
static const char *const states[] = { "waiting", "running", "done", "dead", NULL };

const struct field durable_list_query[] = {
	{ "function", KIND_TEXT, "only calls of this function, and of its versions and aliases" },
	{ "state", KIND_TEXT, "only those that are so far", .choices = states },
	{ "owner", KIND_TEXT, "only of this owner, for admins; empty: of nobody" },
	{ "limit", KIND_NUMBER, "at most so many; 100", .min = 1, .max = 1000 },
	{ "cursor", KIND_NUMBER, "what the page before gave as next_cursor", .max = CURSOR_MAX },
	{ NULL },
};

bool durable_is_on(const struct novad *novad)
{
	static const char *const keys[] = { "redis.addr", "redis.password", "redis.db" };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (nova_config_source(novad->config, keys[i]) != NOVA_CONFIG_DEFAULT)
			return true;
	return false;
}

/* --- whose it is --- */

/* A job that an earlier novad was given has its owner as a mark before its key, and has a key. */
static bool has_mark(const nova_job_t *found, const char *owner)
{
	static const char before[] = ",\"key\":\"";
	char *text = need(nova_job_to_json(found)), *at = strstr(text, before);
	const char *key = at ? at + strlen(before) : "";
	bool is_marked = strspn(key, "0123456789abcdef") >= OWNER_TAG &&
			 (key[OWNER_TAG] == ':' || key[OWNER_TAG] == ';');
	bool is_his = is_marked && !strncmp(key, owner, OWNER_TAG);
	nova_free(text);
	return is_his;
}

static bool is_there_for(const struct job *job, const nova_job_t *found)
{
	const char *asks = job_owner(job), *owner = nova_job_owner(found);
	if (job_is_admin(job) || !*asks)
		return job_is_admin(job);
	return *owner ? !strcmp(owner, asks) : has_mark(found, asks);
}

bool may_be_durable(const struct job *job, const char *id)
{
	return strchr(id, '-') && durable_is_on(job_userdata(job));
}

int owns_durable(const struct job *job, const char *id, nova_error_t **error)
{
	nova_job_t *found = NULL;
	if (!may_be_durable(job, id))
		return 0;
	int code = nova_job_get(job_nova(job), id, &found, error);
	int owns = code == 0 && is_there_for(job, found);
	nova_job_free(found);
	return code == 0 || code == NOVA_ENOTFOUND || code == NOVA_EINVAL ? owns : code;
}

/* --- handing in, looking --- */

static void answer(struct job *job, const char *text)
{
	size_t len = strlen(text);
	for (size_t at = 0, n; at < len && !job_is_canceled(job); at += n) {
		n = len - at < JOB_PRINTED_MAX / 2 ? len - at : JOB_PRINTED_MAX / 2;
		while (!job_print_within(job, "body", text + at, n, 500))
			;
	}
}

/* The label by which the function is its owner's, or nobody's. NULL: it is not there for who asks,
 * which has been answered. */
static char *present_owner(struct job *job, const char *name)
{
	char *label = NULL;
	nova_function_t *function = function_find(job, name);
	if (function && asprintf(&label, OWNER_LABEL "=%s", function_owner(function)) < 0)
		need(NULL);
	nova_function_free(function);
	return label;
}

int durable_submit(struct job *job, const char *function, nova_job_opts *opts, nova_error_t **error)
{
	const struct bytes *body = job_body(job);
	nova_job_t *made = NULL;
	opts->usage_key = job_key(job);
	if (body->len && strlen(body->data) != body->len) {
		job_problem(job, 400, "malformed", "the event has a NUL");
		return NOVA_EINVAL;
	}
	char *label = present_owner(job, function);
	if (!label)
		return NOVA_ENOTFOUND;
	opts->owner = *job_owner(job) ? job_owner(job) : NULL;
	opts->if_label = label;
	int code = nova_job_submit(
		job_nova(job), function, body->len ? body->data : "{}", opts, &made, error);
	free(label);
	if (code == 0) {
		job_header(job, "X-Nova-Job-Id", nova_job_id(made));
		job_status(job, 202);
	}
	nova_job_free(made);
	return code;
}

static uint32_t query_number(const struct job *job, const char *name)
{
	const char *text = job_query(job, name);
	return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static void submit(struct job *job)
{
	nova_job_opts opts = NOVA_JOB_OPTS_INIT;
	nova_error_t *error = NULL;
	opts.key = job_query(job, "key");
	opts.attempts = query_number(job, "attempts");
	opts.lease_ms = query_number(job, "lease_ms");
	opts.keep_s = query_number(job, "keep_s");
	if (durable_submit(job, job_path(job, "id"), &opts, &error) == 0) {
		const json_t *headers = json_object_get(job_reply(job), "headers");
		json_t *id = json_object_get(headers, "X-Nova-Job-Id");
		job_answer(job, json_pack("{s:O}", "id", id));
	} else if (error) {
		job_fail_by(job, error);
	}
	nova_error_free(error);
}

static void get(struct job *job)
{
	nova_job_t *found = NULL;
	nova_error_t *error = NULL;
	const char *id = job_path(job, "id");
	int code = nova_job_get(job_nova(job), id, &found, &error);
	bool shown = code == 0 && is_there_for(job, found);
	if (code == 0 ? !shown : code == NOVA_ENOTFOUND)
		refuse_missing(job, "job", id);
	else if (code != 0)
		job_fail_by(job, error);
	if (shown) {
		char *text = need(nova_job_to_json(found));
		answer(job, text);
		nova_free(text);
	}
	nova_job_free(found);
	nova_error_free(error);
}

/* --- lists --- */

/* An admin asks for all, or for an owner. False: it has been answered that a key may not ask for
 * others. */
static bool take_owner(struct job *job, const char **ret_owner)
{
	const char *own = job_owner(job), *asked = job_query(job, "owner");
	*ret_owner = job_is_admin(job) ? asked : own;
	if (job_is_admin(job) || (*own && (!asked || !strcmp(own, asked))))
		return true;
	job_problem(job, 403, "not_yours", "a key is told of its own jobs alone");
	return false;
}

static uint32_t state_bits(const char *word)
{
	for (uint32_t i = 0; word && states[i]; i++)
		if (!strcmp(word, states[i]))
			return 1u << i;
	return 0;
}

static json_t *job_json(const nova_job_t *listed)
{
	char *text = need(nova_job_to_json(listed));
	json_t *json = need(json_loads(text, 0, NULL));
	nova_free(text);
	return json;
}

/* A page of the library's, which may have fewer than the limit, or none, though there are more. */
static void list(struct job *job)
{
	nova_job_list_opts opts = NOVA_JOB_LIST_OPTS_INIT;
	const char *cursor = job_query(job, "cursor");
	nova_job_t **found = NULL;
	nova_error_t *error = NULL;
	uint64_t next = 0;
	size_t count = 0;
	if (!take_owner(job, &opts.owner))
		return;
	opts.function = job_query(job, "function");
	opts.states = state_bits(job_query(job, "state"));
	opts.limit = query_number(job, "limit");
	opts.cursor = cursor ? strtoull(cursor, NULL, 10) : 0;
	opts.interrupt = job_interrupt(job);
	int code = nova_job_list(job_nova(job), &opts, &found, &count, &next, &error);
	json_t *list = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, job_json(found[i]));
	nova_job_list_free(found, count);
	if (code != 0)
		job_fail_by(job, error);
	else
		job_answer(job, json_pack("{s:O,s:o}", "jobs", list, "next_cursor",
					next ? json_integer((json_int_t)next) : json_null()));
	json_decref(list);
	nova_error_free(error);
}

const struct job_verb verb_durable_list = { .name = "list", .work = list };
const struct job_verb verb_durable_submit = { .name = "submit", .work = submit };
const struct job_verb verb_durable_get = { .name = "get", .work = get };

/* --- workers --- */

static struct worker {
	struct novad *novad;
	struct jobs *jobs;
	struct job *job;  /* NULL: it rests */
	int64_t again_at; /* then */
} * workers;
static size_t workers_count;
static bool told; /* that they fail */

static void perform(struct job *job)
{
	const nova_wait_opts wait = { sizeof(wait), .interrupt = job_interrupt(job) };
	nova_job_t *done = NULL;
	nova_error_t *error = NULL;
	if (nova_job_perform(job_nova(job), WAIT_MS, &wait, &done, &error) != 0)
		job_fail_by(job, error);
	nova_job_free(done);
	nova_error_free(error);
}

static const struct job_verb verb_perform = { .name = "perform", .work = perform };

static void on_woken(void *userdata)
{
	(void)userdata;
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	(void)userdata, (void)part, (void)data, (void)len;
}

static void go_on(struct worker *worker);

static void on_end(void *userdata, const json_t *reply)
{
	struct worker *worker = userdata;
	const json_t *error = json_object_get(reply, "error");
	worker->job = NULL;
	worker->again_at = now_ms() + (error ? REST_MS : 0);
	if (error && !told && !worker->novad->draining)
		say(NOVA_LOG_WARN, json_string_value(json_object_get(error, "message")));
	told = error;
	if (!error && !worker->novad->draining)
		go_on(worker);
}

static void go_on(struct worker *worker)
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	json_t *options = need(json_object());
	struct job_request request = { .verb = &verb_perform, .options = options };
	struct job *job = job_begin(worker->jobs, &request, &asker, worker);
	if (job)
		worker->job = job;
	json_decref(options);
}

void durable_begin(struct novad *novad, struct jobs *jobs)
{
	workers_count = durable_is_on(novad) ? novad->settings.job_workers : 0;
	workers = need(calloc(workers_count + 1, sizeof(*workers)));
	for (size_t i = 0; i < workers_count; i++) {
		workers[i] = (struct worker){ .novad = novad, .jobs = jobs };
		go_on(&workers[i]);
	}
}

void durable_look(int64_t now)
{
	for (size_t i = 0; i < workers_count; i++)
		if (!workers[i].job && !workers[i].novad->draining && now >= workers[i].again_at)
			go_on(&workers[i]);
}

bool durable_rests(void)
{
	for (size_t i = 0; i < workers_count; i++)
		if (!workers[i].job)
			return true;
	return false;
}

/* They are those of the program: jobs that end later ask for them. */
void durable_free(void)
{
	free(workers);
	workers = NULL;
	workers_count = 0;
}
