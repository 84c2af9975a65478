/* SPDX-License-Identifier: MIT */
/*
 * Code in the modes that keep something: checkpointed, branched, persistent. It is the event of a
 * function, one for each language and machine, that runs what it is given (runner/): so it has all
 * that calls of functions have, and what it leaves is in the memory of its VM. A function that is
 * registered stays: who changes a runner changes MODES_PREFIX, too. Each key has functions of its
 * own, as code in them reaches what a function keeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"
#include "runner_node.h"
#include "runner_python.h"
#include "runner_shell.h"

#define NAME_SIZE  65
#define DAY_S      86400
#define DEFAULT_MS 30000

static const struct runner {
	const char *language, *runtime;
	const void *code;
	size_t len;
	bool is_shell; /* its event is a script, in base64 */
	bool has_stdin;
} runners[] = {
	{ "python", "python", runner_python, sizeof(runner_python) - 1, false, true },
	{ "javascript", "node", runner_node, sizeof(runner_node) - 1, false, false },
	{ "node", "node", runner_node, sizeof(runner_node) - 1, false, false },
	{ "shell", "shell", runner_shell, sizeof(runner_shell) - 1, true, true },
};

/* --- what is asked for --- */

static const char *text_of(const json_t *fields, const char *name)
{
	return json_string_value(json_object_get(fields, name));
}

static bool is_mode(const json_t *fields, const char *mode)
{
	const char *given = text_of(fields, "mode");
	return given && !strcmp(given, mode);
}

/* The snapshot that it goes on from, which other names of the same say with its mode. */
static const char *parent_of(const json_t *fields)
{
	const char *parent = text_of(fields, "parent_snapshot");
	const char *branch = text_of(fields, "branch_from");
	return parent ? parent : branch ? branch : text_of(fields, "checkpoint_id");
}

static bool is_checkpointed(const json_t *fields)
{
	const json_t *after = json_object_get(fields, "checkpoint_after");
	bool by_name = text_of(fields, "checkpoint_id") && !text_of(fields, "mode");
	return is_mode(fields, "checkpointed") || by_name || json_is_true(after);
}

static bool is_persistent(const json_t *fields)
{
	return is_mode(fields, "persistent") || text_of(fields, "instance");
}

bool modes_keep(const json_t *fields)
{
	/* what runs in an instance is no code that runs by itself: exec_submit() */
	if (text_of(fields, "instance") && !text_of(fields, "code"))
		return false;
	return is_checkpointed(fields) || is_persistent(fields) || is_mode(fields, "branched") ||
	       parent_of(fields);
}

static bool refuse(struct job *job, unsigned status, const char *text)
{
	job_problem(job, status, status == 400 ? "invalid" : "not_supported", "%s", text);
	return false;
}

/* Each names one snapshot, and two of them its mode. */
static bool check_parent(struct job *job, const json_t *fields)
{
	const char *checkpoint = text_of(fields, "checkpoint_id");
	const char *branch = text_of(fields, "branch_from"), *mode = text_of(fields, "mode");
	if (!!text_of(fields, "parent_snapshot") + !!checkpoint + !!branch > 1)
		return refuse(job, 400,
			"one of 'parent_snapshot', 'checkpoint_id' and 'branch_from' is possible: "
			"each is the snapshot to go on from");
	if (checkpoint && mode && !is_mode(fields, "checkpointed"))
		return refuse(job, 400, "'checkpoint_id' is for the mode 'checkpointed'");
	if (branch && mode && !is_mode(fields, "branched"))
		return refuse(job, 400, "'branch_from' is for the mode 'branched'");
	return true;
}

/* What does not go together, and what nobody would obey. */
static bool check_modes(struct job *job, const json_t *fields)
{
	const char *mode = text_of(fields, "mode"), *parent = parent_of(fields);
	bool in_instance = text_of(fields, "instance");
	if (!check_parent(job, fields))
		return false;
	if (json_is_false(json_object_get(fields, "checkpoint_after")) && is_checkpointed(fields))
		return refuse(job, 400,
			"'checkpointed' is to take a snapshot afterwards, and "
			"'checkpoint_after' says no");
	if (is_mode(fields, "branched") && !parent)
		return refuse(job, 400, "the mode 'branched' needs 'parent_snapshot'");
	if (parent && is_persistent(fields))
		return refuse(job, 400,
			"an instance goes on from a snapshot by POST "
			"/api/v1/branches");
	if (parent && mode && !is_mode(fields, "branched") && !is_mode(fields, "checkpointed"))
		return refuse(job, 400,
			"'parent_snapshot' is for the modes 'branched' and "
			"'checkpointed'");
	if (is_checkpointed(fields) && mode && !is_mode(fields, "checkpointed") &&
		!is_mode(fields, "branched") && !is_mode(fields, "persistent"))
		return refuse(job, 400,
			"'checkpoint_after' is for the modes 'checkpointed', "
			"'branched' and 'persistent'");
	if (in_instance && mode && !is_mode(fields, "persistent"))
		return refuse(job, 400, "'instance' is for the mode 'persistent'");
	if ((in_instance || parent) &&
		(json_object_get(fields, "resources") || text_of(fields, "network")))
		return refuse(job, 400,
			"'resources' and 'network' are those of the instance or the snapshot");
	return true;
}

static bool check_code(struct job *job, const json_t *fields, const struct runner *runner)
{
	bool is_command = json_object_get(fields, "command");
	bool has_handler = text_of(fields, "handler") || json_object_get(fields, "input");
	if (text_of(fields, "code") && is_command)
		return refuse(job, 400, "one of 'code' and 'command' is possible");
	if (is_command && !json_array_size(json_object_get(fields, "command")))
		return refuse(job, 400, "the field 'command' is empty");
	if (!text_of(fields, "code") && !is_command && !is_mode(fields, "persistent"))
		return refuse(job, 400, "one of 'code' and 'command' is needed");
	if (text_of(fields, "code") && !text_of(fields, "language"))
		return refuse(job, 400, "the field 'language' is missing");
	if (!runner)
		return refuse(job, 501,
			"in this mode the language is python, javascript or shell; "
			"a function that is registered may have any");
	if (json_object_get(fields, "files"))
		return refuse(job, 501,
			"in this mode there are no files beside the code: it may "
			"write them to /tmp");
	if (runner->is_shell && has_handler)
		return refuse(job, 400, "a shell has no handler");
	if (!runner->has_stdin && json_object_get(fields, "payload"))
		return refuse(job, 501,
			"in this mode JavaScript has no stdin: its 'input' is for "
			"a 'handler'");
	if (json_is_true(json_object_get(fields, "stdin")) || text_of(fields, "directory"))
		return refuse(job, 501, "'stdin' and 'directory' are for a command in an instance");
	return true;
}

/* --- the function that runs it --- */

static const struct runner *runner_named(const char *language)
{
	for (size_t i = 0; i < ARRAY_LEN(runners); i++)
		if (!strcmp(runners[i].language, language))
			return &runners[i];
	return NULL;
}

static const struct runner *runner_of(const json_t *fields)
{
	const char *language = text_of(fields, "language");
	if (!language)
		language = text_of(fields, "code") ? "" : "shell";
	return runner_named(language);
}

static uint32_t number_in(const json_t *object, const char *name)
{
	return (uint32_t)json_integer_value(json_object_get(object, name));
}

/* As "execute-python", or "execute-python-256m-2c-nat-" and the beginning of its owner. */
static void name_of(
	char *out, const struct job *job, const json_t *fields, const struct runner *runner)
{
	const json_t *machine = json_object_get(fields, "resources");
	uint32_t memory = number_in(machine, "memory_mb"), cpus = number_in(machine, "cpu_cores");
	const char *network = text_of(fields, "network");
	size_t len = (size_t)snprintf(out, NAME_SIZE, MODES_PREFIX "%s", runner->runtime);
	if (memory)
		len += (size_t)snprintf(out + len, NAME_SIZE - len, "-%um", memory);
	if (cpus)
		len += (size_t)snprintf(out + len, NAME_SIZE - len, "-%uc", cpus);
	if (network)
		len += (size_t)snprintf(out + len, NAME_SIZE - len, "-%.16s", network);
	if (*job_owner(job))
		snprintf(out + len, NAME_SIZE - len, "-%.*s", OWNER_TAG, job_owner(job));
}

/* 0: the function is there; NOVA_ENOTFOUND without an error: it is not. */
static int find_it(struct job *job, const char *name, nova_error_t **error)
{
	nova_function_t *function = NULL;
	int code = nova_function_get(job_nova(job), name, &function, error);
	bool is_own = code == 0 &&
		      (job_is_admin(job) || !strcmp(function_owner(function), job_owner(job)));
	nova_function_free(function);
	if (code == 0 && !is_own) {
		job_problem(job, 409, "exists",
			"the function '%s' is not the one that runs such code: an admin may delete "
			"it",
			name);
		return NOVA_EEXIST;
	}
	if (code == NOVA_ENOTFOUND) {
		nova_error_free(*error);
		*error = NULL;
	}
	return code;
}

static int register_it(struct job *job, const char *name, const char *owner,
	const struct runner *runner, const json_t *fields, nova_error_t **error)
{
	const json_t *machine = json_object_get(fields, "resources");
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	int code = find_it(job, name, error);
	if (code != NOVA_ENOTFOUND)
		return code;
	char *label = owner_label(owner);
	opts.labels = (const char *const *)&label;
	opts.labels_count = label != NULL;
	opts.name = name;
	opts.runtime = runner->runtime;
	opts.code = runner->code;
	opts.code_len = runner->len;
	opts.memory_mb = number_in(machine, "memory_mb");
	opts.vcpus = number_in(machine, "cpu_cores");
	opts.network = text_of(fields, "network");
	opts.timeout_s = DAY_S;
	opts.flags = NOVA_REGISTER_TEMPLATE | (runner->is_shell ? 0 : NOVA_REGISTER_IN_PLACE);
	opts.interrupt = job_interrupt(job);
	code = nova_function_register(job_nova(job), &opts, NULL, error);
	free(label);
	if (code != NOVA_EEXIST) /* somebody was faster */
		return code;
	nova_error_free(*error);
	*error = NULL;
	return 0;
}

int modes_function_of(
	struct job *job, const char *image, char name[NAME_SIZE], nova_error_t **error)
{
	const struct runner *runner = runner_named(image);
	if (!runner) {
		job_problem(job, 400, "invalid",
			"there is no image '%.60s': there are python, node and shell, and of a "
			"runtime of your own an instance is that of a 'function'",
			image);
		return NOVA_EINVAL;
	}
	name_of(name, job, job_fields(job), runner);
	return register_it(job, name, job_owner(job), runner, job_fields(job), error);
}

/* Nobody's own function is given code as its event. */
static bool runs(const char *function, const struct runner *runner)
{
	char name[NAME_SIZE];
	size_t len = (size_t)snprintf(name, sizeof(name), MODES_PREFIX "%s", runner->runtime);
	return !strncmp(function, name, len) && (!function[len] || function[len] == '-');
}

static int check_function(struct job *job, const char *function, const struct runner *runner)
{
	if (runner && runs(function, runner))
		return 0;
	job_problem(job, 400, "invalid",
		"that is of the function '%s', which does not run code in this language: POST "
		"/functions/%s/invoke calls it",
		function, function);
	return NOVA_EINVAL;
}

/* Of the snapshot that it goes on from, if novad has taken it, and whose that is: an admin may go
 * on from what is another's. */
static int find_parent(struct job *job, const char *parent, const struct runner *runner,
	char name[NAME_SIZE], char owner[OWNER_SIZE])
{
	char known[NAME_SIZE];
	struct facts facts;
	nova_snapshot_t *snapshot = snapshot_find(job, parent);
	if (!snapshot)
		return NOVA_ENOTFOUND;
	bool is_known = snapshot_function(snapshot, known);
	facts_get(FACTS_SNAPSHOT, nova_snapshot_id(snapshot), &facts);
	nova_snapshot_free(snapshot);
	if (!is_known)
		return 0;
	memcpy(name, known, NAME_SIZE);
	memcpy(owner, facts.owner, OWNER_SIZE);
	return check_function(job, name, runner);
}

static int find_function(struct job *job, const json_t *fields, const struct runner *runner,
	char name[NAME_SIZE], nova_error_t **error)
{
	char owner[OWNER_SIZE];
	const char *parent = parent_of(fields);
	name_of(name, job, fields, runner);
	if (text_of(fields, "instance")) /* which has its function */
		return 0;
	snprintf(owner, sizeof(owner), "%s", job_owner(job));
	int code = parent ? find_parent(job, parent, runner, name, owner) : 0;
	return code == 0 ? register_it(job, name, owner, runner, fields, error) : code;
}

/* --- its event --- */

static void add(struct bytes *out, const char *text)
{
	bytes_add(out, text, strlen(text));
}

static void add_quoted(struct bytes *out, const char *word)
{
	add(out, "'");
	while (*word) {
		size_t len = strcspn(word, "'");
		bytes_add(out, word, len);
		add(out, word[len] ? "'\\''" : "");
		word += len + (word[len] != 0);
	}
	add(out, "'");
}

static void add_stdin(struct bytes *out, const json_t *fields)
{
	struct bytes payload = { 0 };
	const json_t *given = json_object_get(fields, "payload");
	field_bytes(&payload, given);
	if (payload.len) {
		add(out, "stdin=$(mktemp) && printf %s '");
		base64_write(out, payload.data, payload.len);
		add(out, "' | base64 -d >\"$stdin\" && exec <\"$stdin\" && rm \"$stdin\"\n");
	}
	bytes_free(&payload);
}

/* A script in which the code stands behind its variables, its arguments and its stdin. */
static void write_script(struct bytes *out, const json_t *fields)
{
	size_t i, count;
	json_t *word;
	const json_t *command = json_object_get(fields, "command");
	const char *code = text_of(fields, "code");
	char **env = pairs_of(json_object_get(fields, "env_vars"), &count);
	for (char **at = env; *at; at++) {
		add(out, "export ");
		add_quoted(out, *at);
		add(out, "\n");
	}
	pairs_free(env);
	add(out, "set --");
	json_array_foreach(command ? command : json_object_get(fields, "args"), i, word)
	{
		add(out, " ");
		add_quoted(out, json_string_value(word));
	}
	add(out, "\n");
	add_stdin(out, fields);
	add(out, command ? "exec \"$@\"\n" : code ? code : "");
}

static json_t *script_event(const json_t *fields)
{
	struct bytes script = { 0 }, coded = { 0 };
	write_script(&script, fields);
	base64_write(&coded, script.data, script.len);
	json_t *event = need(json_stringn(coded.data, coded.len));
	bytes_free(&script);
	bytes_free(&coded);
	return event;
}

static json_t *variables(const json_t *fields)
{
	size_t count;
	json_t *all = need(json_object());
	char **env = pairs_of(json_object_get(fields, "env_vars"), &count);
	for (char **at = env; *at; at++) {
		char *value = strchr(*at, '=');
		*value++ = 0;
		json_object_set_new(all, *at, json_string(value));
	}
	pairs_free(env);
	return all;
}

static json_t *code_event(const json_t *fields)
{
	struct bytes payload = { 0 }, coded = { 0 };
	const char *code = text_of(fields, "code"), *handler = text_of(fields, "handler");
	json_t *args = json_object_get(fields, "args"), *input = json_object_get(fields, "input");
	field_bytes(&payload, json_object_get(fields, "payload"));
	base64_write(&coded, payload.data, payload.len);
	bytes_add(&coded, "", 0);
	json_t *event = json_pack("{s:s,s:o,s:o,s:s,s:s,s:O?}", "code", code ? code : "", "args",
		args ? json_incref(args) : json_array(), "env", variables(fields), "stdin",
		coded.data, "handler",
		handler ? handler :
		input   ? "handler" :
			  "",
		"input", input);
	bytes_free(&payload);
	bytes_free(&coded);
	return need(event);
}

/* --- running it --- */

struct kept {
	nova_instance_t *instance;
	bool is_new; /* the instance: it has been started for this */
};

static int find_instance(struct job *job, const json_t *fields, const struct runner *runner,
	const char *function, struct kept *kept, nova_error_t **error)
{
	const char *given = text_of(fields, "instance");
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	if (!is_persistent(fields))
		return 0;
	if (given) {
		kept->instance = instance_find(job, given);
		return kept->instance ?
			       check_function(job, nova_instance_function(kept->instance), runner) :
			       NOVA_ENOTFOUND;
	}
	opts.function = function;
	opts.interrupt = job_interrupt(job);
	opts.key = job_key(job);
	kept->is_new = true;
	int code = nova_instance_start(job_nova(job), &opts, &kept->instance, error);
	if (code == 0)
		instance_note(job, kept->instance, "");
	return code;
}

static int call(struct job *job, const json_t *fields, const struct runner *runner,
	const char *function, const struct kept *kept, nova_result_t **ret, nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	json_t *event = runner->is_shell ? script_event(fields) : code_event(fields);
	char *text = need(json_dumps(event, JSON_COMPACT | JSON_ENCODE_ANY));
	uint32_t timeout_ms = fields_timeout_ms(fields);
	opts.timeout_ms = timeout_ms ? timeout_ms : DEFAULT_MS;
	opts.request_id = job_id(job);
	opts.flags = is_checkpointed(fields) ? NOVA_INVOKE_CHECKPOINT : 0;
	opts.snapshot = parent_of(fields);
	opts.instance = kept->instance;
	opts.interrupt = job_interrupt(job);
	opts.key = job_key(job);
	opts.on_output = job_is_streamed(job) ? job_stream : NULL;
	opts.userdata = job;
	int code = nova_invoke(job_nova(job), function, text, &opts, ret, error);
	json_decref(event);
	free(text);
	return code;
}

static void note_left(struct job *job, const char *id)
{
	struct facts facts = { .name = "" };
	snprintf(facts.owner, sizeof(facts.owner), "%s", job_owner(job));
	snprintf(facts.of, sizeof(facts.of), "%s", id);
	facts_put(FACTS_EXECUTION, job_id(job), &facts);
}

static json_t *answer(struct job *job, const struct kept *kept, const nova_result_t *result,
	const char *function, const nova_error_t *error)
{
	const json_t *fields = job_fields(job);
	json_t *body = run_json(job, result, error);
	if (!text_of(fields, "handler") && !json_object_get(fields, "input"))
		json_object_del(body, "output");
	const char *snapshot = nova_result_snapshot(result);
	if (kept->instance)
		function = nova_instance_function(kept->instance);
	if (*snapshot) {
		snapshot_note(job, snapshot, function, nova_result_version(result));
		note_left(job, snapshot);
		json_object_set_new(body, "snapshot_id", json_string(snapshot));
	}
	if (kept->instance) {
		const char *id = nova_instance_id(kept->instance);
		note_left(job, id);
		json_object_set_new(body, "instance_id", json_string(id));
	}
	if (!text_of(fields, "mode"))
		json_object_set_new(body, "mode",
			json_string(kept->instance ? "persistent" :
				    text_of(fields, "checkpoint_id") || !parent_of(fields) ?
						     "checkpointed" :
						     "branched"));
	return body;
}

static void work(struct job *job)
{
	char function[NAME_SIZE];
	struct kept kept = { NULL, false };
	nova_error_t *error = NULL;
	nova_result_t *result = NULL;
	const json_t *fields = job_fields(job);
	const struct runner *runner = runner_of(fields);
	if (!check_modes(job, fields) || !check_code(job, fields, runner))
		return;
	int code = find_function(job, fields, runner, function, &error);
	if (code == 0)
		code = find_instance(job, fields, runner, function, &kept, &error);
	if (code == 0)
		code = call(job, fields, runner, kept.instance ? NULL : function, &kept, &result,
			&error);
	bool is_answer = code == 0 || (code == NOVA_EFUNCTION && result);
	if (is_answer)
		job_answer(job, answer(job, &kept, result, function, error));
	else if (error)
		job_fail_by(job, error);
	if (kept.is_new && kept.instance && !is_answer)
		instance_end(kept.instance); /* nobody knows of it */
	if (kept.is_new && kept.instance && is_answer)
		instance_hand_over(job, kept.instance);
	else
		nova_instance_free(kept.instance);
	nova_result_free(result);
	nova_error_free(error);
}

json_t *modes_run_in(struct job *job, nova_instance_t *instance)
{
	json_t *body = NULL;
	nova_error_t *error = NULL;
	nova_result_t *result = NULL;
	const char *function = nova_instance_function(instance);
	const struct kept kept = { instance, true };
	const struct runner *runner = NULL;
	for (size_t i = 0; i < ARRAY_LEN(runners) && !runner; i++)
		runner = runs(function, &runners[i]) ? &runners[i] : NULL;
	int code = check_function(job, function, runner);
	if (code == 0)
		code = call(job, job_fields(job), runner, NULL, &kept, &result, &error);
	if (code == 0 || (code == NOVA_EFUNCTION && result))
		body = answer(job, &kept, result, function, error);
	else if (error)
		job_fail_by(job, error);
	nova_result_free(result);
	nova_error_free(error);
	return body;
}

const struct job_verb verb_execute_kept = { .name = "execute", .work = work };
