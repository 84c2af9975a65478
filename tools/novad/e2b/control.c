/* SPDX-License-Identifier: MIT */
/* Sandboxes: create, list, look at, give more time, end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2b.h"

#define TEMPLATE "base"
/* Of what the SDK makes the names of hosts; without one it would be E2B's own. */
#define NO_PORTS  "ports-are-not-there.invalid"
#define SECONDS   300 /* of one that does not say */
#define PAIRS_MAX 65536
#define PAGE      100
#define AT_ONCE   10 /* of a page */

const struct field e2b_create_fields[] = {
	{ "templateID", KIND_TEXT, "a function", true, .max = 64 },
	{ "timeout", KIND_NUMBER, "seconds", .min = 0, .max = E2B_SECONDS_MAX },
	{ "autoPause", KIND_FLAG, "pause at the end of its time" },
	{ "autoPauseMemory", KIND_FLAG, "with its memory" },
	{ "autoResume", KIND_ANY, "resume when somebody calls" },
	{ "allow_internet_access", KIND_FLAG, "whether it has a network" },
	{ "metadata", KIND_PAIRS, "what can be looked for" },
	{ "envVars", KIND_PAIRS, "variables of all its commands" },
	{ "network", KIND_ANY, "rules of the network" },
	{ "mcp", KIND_ANY, "servers of tools" },
	{ "iam", KIND_ANY, "identities" },
	{ "volumeMounts", KIND_ANY, "volumes" },
	{ NULL },
};

const struct field e2b_list_query[] = {
	{ "metadata", KIND_TEXT, "NAME=VALUE&…, each encoded once more" },
	{ "state", KIND_TEXT, "running, paused, or both" },
	{ "template", KIND_TEXT, "of this template", .max = 64 },
	{ "order", KIND_TEXT, "asc or desc" },
	{ "limit", KIND_NUMBER, "at most so many", .min = 1, .max = 1000 },
	{ "nextToken", KIND_TEXT, "what the page before gave as X-Next-Token", .max = 64 },
	{ NULL },
};

const struct field e2b_timeout_fields[] = {
	{ "timeout", KIND_NUMBER, "seconds from now on", true, .min = 0, .max = E2B_SECONDS_MAX },
	{ NULL },
};

/* --- what is told of one --- */

json_t *sandbox_json(const struct sandbox *sandbox)
{
	return need(json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "sandboxID", sandbox->id, "templateID",
		sandbox->function, "clientID", "novad", "envdVersion", ENVD_VERSION,
		"envdAccessToken", sandbox->token, "domain", NO_PORTS));
}

static json_t *detail_json(const struct sandbox *sandbox, bool with_token)
{
	json_t *json = sandbox_json(sandbox);
	int64_t left_ms = sandbox->deadline - now_ms();
	if (!with_token)
		json_object_del(json, "envdAccessToken");
	json_object_set_new(json, "startedAt", e2b_time((int64_t)sandbox->started_us));
	json_object_set_new(json, "endAt", e2b_time((int64_t)e2b_now_us() + left_ms * 1000));
	json_object_set_new(json, "state",
		json_string(sandbox->state == SANDBOX_PAUSED ? "paused" : "running"));
	json_object_set_new(json, "cpuCount", json_integer(sandbox->cpus));
	json_object_set_new(json, "memoryMB", json_integer(sandbox->memory_mb));
	json_object_set_new(json, "diskSizeMB", json_integer(0));
	json_object_set_new(json, "metadata", json_deep_copy(sandbox->metadata));
	json_object_set_new(json, "lifecycle",
		json_pack("{s:b,s:s}", "autoResume", 0, "onTimeout",
			sandbox->auto_pause ? "pause" : "kill"));
	return json;
}

bool sandbox_of(struct job *job, struct sandbox *copy)
{
	const char *id = job_path(job, "id");
	if (sandbox_find(id, job_owner(job), copy))
		return true;
	job_problem(job, 404, "not_found", "there is no sandbox '%.60s' of this key", id);
	return false;
}

void sandbox_kill(nova_t *nova, const char *id)
{
	nova_instance_t *instance = NULL;
	if (nova_instance_get(nova, id, &instance, NULL) != 0)
		return;
	facts_drop(FACTS_INSTANCE, nova_instance_id(instance));
	nova_vm_kill(nova_instance_vm(instance));
	nova_instance_stop(instance, 1, NULL);
	nova_instance_free(instance);
}

/* --- creating --- */

static size_t size_of(const struct job *job, const char *name)
{
	return json_dumpb(json_object_get(job_fields(job), name), NULL, 0, JSON_ENCODE_ANY);
}

/* False: it has been answered that it asks for something that is not there. */
static bool check_wishes(struct job *job)
{
	static const char *const missing[] = { "network", "mcp", "iam", "volumeMounts" };
	const json_t *fields = job_fields(job);
	const json_t *resume = json_object_get(fields, "autoResume");
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		const json_t *wish = json_object_get(fields, missing[i]);
		if (!wish || json_is_null(wish))
			continue;
		job_problem(job, 501, "not_supported",
			"sandboxes of novad have no '%s': leave it away", missing[i]);
		return false;
	}
	if (size_of(job, "metadata") + size_of(job, "envVars") > PAIRS_MAX)
		job_problem(
			job, 400, "invalid", "metadata and variables may have %d bytes", PAIRS_MAX);
	else if (json_is_true(json_object_get(resume, "enabled")))
		job_problem(job, 501, "not_supported",
			"sandboxes of novad are not resumed by calls: use Sandbox.connect()");
	else if (json_is_false(json_object_get(fields, "autoPauseMemory")))
		job_problem(job, 501, "not_supported",
			"sandboxes of novad are paused with their memory, or not at all");
	else if (json_is_true(json_object_get(fields, "autoPause")))
		return check_snapshots(job);
	else
		return true;
	return false;
}

/* The SDK's own default: made when it is asked for and nobody has registered one. */
static int register_base(struct job *job, nova_function_t **ret, nova_error_t **error)
{
	static const char code[] = "def handler(event):\n    return event\n";
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = TEMPLATE;
	opts.runtime = "python";
	opts.code = code;
	opts.code_len = sizeof(code) - 1;
	opts.memory_mb = 512;
	opts.concurrency = 16;
	opts.check = NOVA_CHECK_NEVER;
	opts.interrupt = job_interrupt(job);
	return nova_function_register(job_nova(job), &opts, ret, error);
}

/* NULL: it has been answered why there is none. 404 is of sandboxes. */
static nova_function_t *find_template(struct job *job)
{
	nova_error_t *error = NULL;
	nova_function_t *function = NULL;
	const char *name = job_field(job, "templateID");
	int code = nova_function_get(job_nova(job), name, &function, &error);
	bool missing = code == NOVA_ENOTFOUND;
	if (missing && !strcmp(name, TEMPLATE)) {
		nova_error_free(error);
		error = NULL;
		code = register_base(job, &function, &error);
		missing = false;
	}
	if (missing || (code == 0 && !function_is_shown(job, function))) {
		job_problem(job, 400, "not_found", "there is no function '%.80s'", name);
		nova_function_free(function);
		function = NULL;
	} else if (code != 0) {
		job_fail_by(job, error);
	}
	nova_error_free(error);
	return function;
}

/* False: it has been answered why sandboxes cannot be made of it. */
static bool check_template(struct job *job, const nova_function_t *function)
{
	const char *network = nova_function_text(function, "network", 0);
	const json_t *wish = json_object_get(job_fields(job), "allow_internet_access");
	bool has_network = network && strcmp(network, "none") != 0;
	if (nova_function_number(function, "concurrency") < 2)
		job_problem(job, 400, "invalid",
			"in a sandbox of '%s' one thing could be done at a time: register it with "
			"--concurrency 16",
			nova_function_name(function));
	else if (json_is_boolean(wish) && json_is_true(wish) != has_network)
		job_problem(job, 400, "invalid",
			"sandboxes of '%s' have %s network: register a template with --network %s, "
			"or leave allow_internet_access away",
			nova_function_name(function), has_network ? "a" : "no",
			has_network ? "none" : "nat");
	else
		return true;
	return false;
}

static json_t *pairs_json(const struct job *job, const char *name)
{
	json_t *pairs = json_object_get(job_fields(job), name);
	return need(json_is_object(pairs) ? json_deep_copy(pairs) : json_object());
}

uint32_t e2b_seconds(const struct job *job)
{
	const json_t *timeout = json_object_get(job_fields(job), "timeout");
	return timeout ? job_field_number(job, "timeout") : SECONDS;
}

/* An alias stands for what it points at now, so that a paused sandbox goes on as what it was. */
static void name_template(
	struct sandbox *sandbox, const struct job *job, const nova_function_t *function)
{
	const char *asked = job_field(job, "templateID"), *qualifier = strchr(asked, ':');
	const char *name = nova_function_name(function);
	if (qualifier && strcmp(qualifier, ":latest") != 0)
		snprintf(sandbox->function, sizeof(sandbox->function), "%s:%u", name,
			nova_function_version(function));
	else
		snprintf(sandbox->function, sizeof(sandbox->function), "%s", name);
}

static void describe(struct sandbox *sandbox, struct job *job, const nova_function_t *function)
{
	const char *key = job_key(job);
	*sandbox = (struct sandbox){
		.state = SANDBOX_RUNNING,
		.auto_pause = json_is_true(json_object_get(job_fields(job), "autoPause")),
		.cpus = (uint32_t)nova_function_number(function, "vcpus"),
		.memory_mb = (uint32_t)nova_function_number(function, "memory_mb"),
		.room = (uint32_t)nova_function_number(function, "concurrency") - 1,
		.metadata = pairs_json(job, "metadata"),
		.envs = pairs_json(job, "envVars"),
	};
	random_hex(sandbox->id, 10);
	random_hex(sandbox->token, 32);
	snprintf(sandbox->owner, sizeof(sandbox->owner), "%s", job_owner(job));
	snprintf(sandbox->key, sizeof(sandbox->key), "%s", key ? key : "");
	name_template(sandbox, job, function);
	snprintf(sandbox->template, sizeof(sandbox->template), "%s", nova_function_id(function));
}

int sandbox_start(struct job *job, struct sandbox *sandbox, uint32_t seconds, nova_error_t **error)
{
	char kept[80];
	nova_instance_t *instance = NULL;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	sandbox_kept_as(sandbox, kept);
	opts.function = *sandbox->snapshot ? kept : sandbox->function;
	opts.name = sandbox->id;
	opts.snapshot = *sandbox->snapshot ? sandbox->snapshot : NULL;
	opts.key = *sandbox->key ? sandbox->key : NULL;
	opts.interrupt = job_interrupt(job);
	int code = nova_instance_start(job_nova(job), &opts, &instance, error);
	sandbox->started_us = nova_instance_created_us(instance);
	sandbox->version = nova_instance_version(instance);
	sandbox->deadline = now_ms() + (int64_t)seconds * 1000;
	if (code == 0)
		instance_note(job, instance, "");
	nova_instance_free(instance);
	return code;
}

/* One that is paused at the end of its time can be. */
static bool start(struct job *job, struct sandbox *sandbox)
{
	nova_error_t *error = NULL;
	bool started = sandbox_start(job, sandbox, e2b_seconds(job), &error) == 0;
	if (!started)
		job_fail_by(job, error);
	nova_error_free(error);
	if (!started || (sandbox->auto_pause && !sandbox_keep(job, sandbox)))
		return false;
	if (sandbox_started(sandbox))
		return true;
	job_problem(job, 404, "not_found", "the sandbox '%s' has been killed", sandbox->id);
	return false;
}

bool sandbox_begin(struct job *job, struct sandbox *sandbox)
{
	char why[SANDBOX_WHY];
	const struct novad *novad = job_userdata(job);
	if (!sandbox_add(sandbox, &novad->settings, why)) {
		sandbox_clear(sandbox);
		job_problem(job, 429, "limit", "%s", why);
		return false;
	}
	if (start(job, sandbox))
		return true;
	sandbox_withdraw(job, sandbox->id);
	return false;
}

void sandbox_take_back(struct job *job, const json_t *told)
{
	const char *id = json_string_value(json_object_get(told, "sandboxID"));
	if (id)
		sandbox_withdraw(job, id);
}

static void take_back(struct job *job)
{
	sandbox_take_back(job, json_object_get(job_reply(job), "body"));
}

static void create_it(struct job *job, struct sandbox *sandbox)
{
	if (!sandbox_begin(job, sandbox))
		return;
	job_status(job, 201);
	job_answer(job, sandbox_json(sandbox));
	job_undo(job, take_back);
}

static void create(struct job *job)
{
	struct sandbox sandbox;
	nova_function_t *function = check_wishes(job) ? find_template(job) : NULL;
	if (function && check_template(job, function)) {
		describe(&sandbox, job, function);
		create_it(job, &sandbox);
	}
	nova_function_free(function);
}

/* --- looking --- */

static void get(struct job *job)
{
	struct sandbox sandbox;
	if (sandbox_of(job, &sandbox)) {
		sandbox_add_pairs(&sandbox);
		job_answer(job, detail_json(&sandbox, true));
	}
	sandbox_clear(&sandbox);
}

/* What is asked for as "NAME=VALUE&…"; what stands between is encoded once more. NULL: nothing can
 * have that. */
static json_t *read_metadata(const char *text)
{
	bool fits = true;
	json_t *wanted = need(json_object());
	char *copy = need(strdup(text ? text : "")), *rest = copy, *pair;
	while (fits && (pair = strsep(&rest, "&")) != NULL) {
		char *value = strchr(pair, '=');
		if (!*pair)
			continue;
		if (value)
			*value++ = 0;
		fits = value && percent_read(pair) && percent_read(pair) && percent_read(value) &&
		       percent_read(value) && !json_object_get(wanted, pair) &&
		       json_object_set_new(wanted, pair, json_string(value)) == 0;
	}
	free(copy);
	if (fits)
		return wanted;
	json_decref(wanted);
	return NULL;
}

struct page {
	const char *state, *template;
	json_t *metadata; /* wanted */
	bool ascends;
	uint64_t after; /* the number of the last one; 0: none */
	size_t most, left;
	bool more; /* there is another page */
	json_t *shown;
};

static bool is_wanted(const struct page *page, const struct sandbox *sandbox)
{
	const char *name;
	json_t *value;
	const char *own = sandbox->state == SANDBOX_PAUSED ? "paused" : "running";
	if ((page->state && !strstr(page->state, own)) ||
		(page->template && strcmp(page->template, sandbox->function) != 0))
		return false;
	json_object_foreach(page->metadata, name,
		value) if (!json_equal(json_object_get(sandbox->metadata, name),
				   value)) return false;
	return true;
}

/* The one that ended the page before may be gone by now. */
static bool is_behind(const struct page *page, const struct sandbox *sandbox)
{
	return !page->after ||
	       (page->ascends ? sandbox->number > page->after : sandbox->number < page->after);
}

static bool show(void *userdata, const struct sandbox *sandbox)
{
	struct page *page = userdata;
	if (!is_behind(page, sandbox) || !is_wanted(page, sandbox))
		return true;
	page->more = json_array_size(page->shown) == page->most;
	if (page->more || !page->left)
		return false;
	json_array_append_new(page->shown, detail_json(sandbox, false));
	page->after = sandbox->number;
	page->left--;
	return true;
}

/* Some at a time, as the others wait for each. */
static void list(struct job *job)
{
	char token[24];
	const char *after = job_query(job, "nextToken"), *limit = job_query(job, "limit");
	const char *order = job_query(job, "order");
	struct page page = {
		.state = job_query(job, "state"),
		.template = job_query(job, "template"),
		.metadata = read_metadata(job_query(job, "metadata")),
		.ascends = order && !strcmp(order, "asc"),
		.after = after ? strtoull(after, NULL, 10) : 0,
		.most = limit ? strtoul(limit, NULL, 10) : PAGE,
		.shown = need(json_array()),
	};
	while (page.metadata && !page.left && !page.more) {
		page.left = AT_ONCE;
		sandboxes_each(job_owner(job), page.ascends, show, &page);
	}
	snprintf(token, sizeof(token), "%llu", (unsigned long long)page.after);
	if (page.more)
		job_header(job, "X-Next-Token", token);
	job_answer(job, page.shown);
	json_decref(page.metadata);
}

/* --- changing --- */

static void set_timeout(struct job *job)
{
	struct sandbox sandbox;
	if (sandbox_of(job, &sandbox)) {
		sandbox_extend(sandbox.id, job_field_number(job, "timeout"), false);
		job_status(job, 204);
	}
	sandbox_clear(&sandbox);
}

void sandbox_end(struct job *job, struct sandbox *sandbox)
{
	sandbox_kill(job_nova(job), sandbox->id);
	if (*sandbox->snapshot)
		sandbox_drop_snapshot(sandbox->snapshot);
	sandboxes_sweep(nova_host_get(job_nova(job)));
	sandbox_clear(sandbox);
}

void sandbox_withdraw(struct job *job, const char *id)
{
	struct sandbox sandbox;
	if (sandbox_remove(id, NULL, &sandbox))
		sandbox_end(job, &sandbox);
	else
		sandbox_kill(job_nova(job), id);
}

static void kill_it(struct job *job)
{
	struct sandbox sandbox;
	const char *id = job_path(job, "id");
	/* what the key of somebody who has gone has paused would be there for weeks */
	if (!sandbox_remove(id, job_is_admin(job) ? NULL : job_owner(job), &sandbox)) {
		job_problem(job, 404, "not_found", "there is no sandbox '%.60s' of this key", id);
		return;
	}
	sandbox_end(job, &sandbox);
	job_status(job, 204);
}

const struct job_verb verb_e2b_create = { .name = "create", .work = create };
const struct job_verb verb_e2b_list = { .name = "list", .work = list };
const struct job_verb verb_e2b_get = { .name = "get", .answer = get };
const struct job_verb verb_e2b_kill = { .name = "kill", .work = kill_it };
const struct job_verb verb_e2b_timeout = { .name = "timeout", .answer = set_timeout };
