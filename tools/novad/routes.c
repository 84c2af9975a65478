/* SPDX-License-Identifier: MIT */
/* All routes. What is dispatched and what the document says come from here. */
#include "routes.h"

#define DIRECT(get_path, id, what, more, handler)                                                  \
	{                                                                                          \
		"GET", get_path, id, what, ROUTE_ONLY | (more), .direct = handler,                 \
								.answer = "as asked"               \
	}
#define PAGE(at, handler) DIRECT(at, "page", "The page", ROUTE_OPEN | ROUTE_PAGE, handler)
#define AWS(verb_word, at, parameters, does)                                                       \
	{                                                                                          \
		verb_word, at, "lambda", "as AWS Lambda has it",                                   \
			ROUTE_ONLY | ROUTE_RAW | ROUTE_AWS, .verb = &(does),                       \
							    .query = (parameters), .answer = ""    \
	}
/* The last is what can be done instead. */
#define LATER(verb_word, at, what, instead)                                                        \
	{                                                                                          \
		verb_word, at, "later", what, ROUTE_LATER, .answer = (instead)                     \
	}
#define LATER_PORT(verb_word, at)                                                                  \
	LATER(verb_word, at, "exposing a port of an instance",                                     \
		"a command in it (POST /api/v1/instances/{id}/exec) reaches what listens there")
/* My Own Cluster's own paths: what they have is everybody's, so that admins put it there. */
#define OWN(verb_word, at, id, what, fields, does, gives)                                          \
	{                                                                                          \
		verb_word, "/my-own-cluster/api/" at, id, what, ROUTE_ONLY | ROUTE_ADMIN,          \
			.verb = &(does), .body = (fields), .answer = (gives)                       \
	}
#define LATER_FILTER(verb_word, at)                                                                \
	{                                                                                          \
		verb_word, "/my-own-cluster/api/filter/plug" at, "later",                          \
			"filters before what is plugged", ROUTE_LATER | ROUTE_ONLY,                \
			.answer = "keys say who may call, and how often; a proxy before novad "    \
				  "looks at requests"                                              \
	}
#define LATER_POLICY(verb_word)                                                                    \
	LATER(verb_word, "/instances/{id}/policies", "network policies of an instance",            \
		"its function's 'network' is none or nat as a whole")

#define EXECUTE(place, id, what)                                                                   \
	{                                                                                          \
		"POST", place, id, what, ROUTE_BARE | ROUTE_STREAMED,                              \
			.verb = &verb_execute, .body = execute_fields,                             \
			.answer = "stdout, stderr, exit_code, error; output, if a handler "        \
				  "returned one; or executionId"                                   \
	}

const struct route routes[] = {
	DIRECT("/healthz", "health", "Whether it lives", ROUTE_OPEN, direct_health),
	DIRECT("/readyz", "ready", "Whether it takes calls", ROUTE_OPEN, direct_ready),
	DIRECT("/metrics", "metrics", "Its numbers, for Prometheus", 0, direct_metrics),
	DIRECT("/openapi.json", "openapi", "This document", ROUTE_OPEN, direct_openapi),
	PAGE("/", direct_page),
	PAGE("/page.css", direct_page_css),
	PAGE("/page.js", direct_page_js),

	EXECUTE("/execute", "execute", "Run code or a command once"),
	EXECUTE("/execute/advanced", "executeAdvanced", "The same, as other clients call it"),
	{ "GET", "/execute/stream", "streamExecution",
		"A WebSocket: what an execution prints while it runs", ROUTE_BARE | ROUTE_SOCKET,
		.direct = direct_stream, .query = stream_query, .body = stream_fields,
		.answer = "events: docs/novad.md" },
	{ "POST", "/functions/{id}/invoke", "invoke",
		"Call a function with the body as its event, or run the body's command",
		ROUTE_BARE | ROUTE_RAW, .verb = &verb_invoke, .query = invoke_query,
		.answer = "what the function returned; of a command as of execute" },

	{ "GET", "/functions", "listFunctions", "The functions by name",
		.verb = &verb_function_list, .query = list_query,
		.answer = "functions, and next_cursor if there are more" },
	{ "POST", "/functions", "createFunction", "Register a function",
		.verb = &verb_function_create, .body = function_fields, .answer = "the function" },
	{ "GET", "/functions/{id}", "getFunction", "A function", .verb = &verb_function_get,
		.answer = "the function; its ETag" },
	{ "PUT", "/functions/{id}", "putFunction", "Register a function, or replace it",
		.verb = &verb_function_replace, .body = function_put_fields,
		.answer = "the function" },
	{ "PATCH", "/functions/{id}", "patchFunction", "Change what is given of a function",
		.verb = &verb_function_update, .body = function_patch_fields,
		.answer = "the function" },
	{ "DELETE", "/functions/{id}", "deleteFunction", "Delete a function, or a version of it",
		.verb = &verb_function_delete, .query = delete_query, .answer = "nothing" },
	{ "GET", "/functions/{id}/versions", "listVersions", "The published versions of a function",
		.verb = &verb_version_list, .answer = "versions" },
	{ "POST", "/functions/{id}/versions", "publishVersion",
		"Keep a function as it is now under a number that never changes",
		.verb = &verb_version_publish, .answer = "the version" },
	{ "GET", "/functions/{id}/aliases", "listAliases", "The aliases of a function",
		.verb = &verb_alias_list, .answer = "aliases" },
	{ "GET", "/functions/{id}/aliases/{alias}", "getAlias", "An alias", .verb = &verb_alias_get,
		.answer = "the alias" },
	{ "PUT", "/functions/{id}/aliases/{alias}", "putAlias",
		"Point an alias at a version, or at two that share the calls",
		.verb = &verb_alias_put, .body = alias_fields, .answer = "the alias" },
	{ "POST", "/functions/{id}/aliases/{alias}/rollback", "rollbackAlias",
		"Point an alias at the published version before its own",
		.verb = &verb_alias_rollback, .answer = "the alias" },
	{ "DELETE", "/functions/{id}/aliases/{alias}", "deleteAlias", "Delete an alias",
		.verb = &verb_alias_delete, .answer = "nothing" },

	{ "GET", "/functions/{id}/kv", "listKeys", "The keys of a function, without their values",
		.verb = &verb_kept_list, .query = kept_query, .answer = "keys" },
	{ "GET", "/functions/{id}/kv/value", "getValue", "The value under a key",
		.verb = &verb_kept_get, .query = kept_value_query,
		.answer = "its bytes; X-Nova-Version and X-Nova-Expires-Us" },
	{ "PUT", "/functions/{id}/kv/value", "putValue", "Put the body under a key", ROUTE_RAW,
		.verb = &verb_kept_put, .query = kept_value_query, .answer = "version" },
	{ "DELETE", "/functions/{id}/kv/value", "deleteValue", "Delete a key",
		.verb = &verb_kept_delete, .query = kept_value_query, .answer = "nothing" },
	{ "GET", "/functions/{id}/files", "listKeptFiles",
		"The files that a function keeps, without their contents",
		.verb = &verb_kept_file_list, .query = kept_query, .answer = "files" },
	{ "GET", "/functions/{id}/files/content", "getKeptFile", "A file that a function keeps",
		.verb = &verb_kept_file_get, .query = kept_file_query,
		.answer = "its bytes; X-Nova-Type and X-Nova-Sha256" },
	{ "PUT", "/functions/{id}/files/content", "putKeptFile", "Put the body as a file",
		ROUTE_RAW, .verb = &verb_kept_file_put, .query = kept_file_query,
		.answer = "nothing" },
	{ "DELETE", "/functions/{id}/files/content", "deleteKeptFile", "Delete a file",
		.verb = &verb_kept_file_delete, .query = kept_file_query, .answer = "nothing" },

	{ "POST", "/functions/{id}/jobs", "submitJob",
		"Hand in a call, with the body as its event, for whichever host has time",
		ROUTE_RAW, .verb = &verb_durable_submit, .query = durable_query, .answer = "id" },
	{ "GET", "/jobs", "listJobs",
		"Jobs, the one that was handed in last first, without events and outputs",
		.verb = &verb_durable_list, .query = durable_list_query,
		.answer = "jobs, and next_cursor if there are more" },
	{ "GET", "/jobs/{id}", "getJob", "How far a job is, and what has come of it",
		.verb = &verb_durable_get, .answer = "the job: nova/job.h" },

	{ "GET", "/secrets", "listSecrets", "The secrets by name, without their values",
		.verb = &verb_secret_list,
		.answer = "secrets; of each the id of the key that it is encrypted with" },
	{ "PUT", "/secrets/{name}", "putSecret", "Set a secret, new or not",
		.verb = &verb_secret_set, .body = secret_fields, .answer = "nothing" },
	{ "DELETE", "/secrets/{name}", "deleteSecret", "Delete a secret",
		.verb = &verb_secret_delete, .answer = "nothing" },
	{ "POST", "/secrets/keys/rotate", "rotateSecrets",
		"Encrypt by the first key what is encrypted with another",
		.verb = &verb_secret_rotate, .answer = "rotated: how many there were" },

	{ "GET", "/instances", "listInstances", "All instances", .verb = &verb_instance_list,
		.answer = "instances" },
	{ "POST", "/instances", "startInstance", "Start an instance of a function",
		.verb = &verb_instance_start, .body = instance_fields, .answer = "the instance" },
	{ "GET", "/instances/{id}", "getInstance", "An instance", .verb = &verb_instance_get,
		.answer = "the instance" },
	{ "POST", "/instances/{id}/stop", "stopInstance", "End an instance",
		.verb = &verb_instance_stop, .body = stop_fields, .answer = "how it ended" },
	{ "DELETE", "/instances/{id}", "deleteInstance", "End an instance",
		.verb = &verb_instance_stop, .answer = "how it ended" },
	{ "POST", "/instances/{id}/pause", "pauseInstance", "Stop its processors",
		.verb = &verb_instance_pause, .answer = "the instance" },
	{ "POST", "/instances/{id}/resume", "resumeInstance", "Let it go on",
		.verb = &verb_instance_resume, .answer = "the instance" },
	{ "POST", "/instances/{id}/exec", "execInInstance", "Run a command in it",
		.verb = &verb_instance_exec, .body = exec_fields,
		.answer = "stdout, stderr, exit_code, error" },
	{ "GET", "/instances/{id}/files", "listFiles", "What is in a directory of its guest",
		.verb = &verb_files_list, .query = files_query, .answer = "files" },
	{ "GET", "/instances/{id}/files/content", "readFile", "A file of its guest",
		.verb = &verb_file_read, .query = file_query, .answer = "its bytes" },
	{ "PUT", "/instances/{id}/files/content", "writeFile", "Write a file of its guest",
		ROUTE_RAW, .verb = &verb_file_write, .query = file_query, .answer = "nothing" },
	{ "DELETE", "/instances/{id}/files/content", "removeFile", "Remove a file of its guest",
		.verb = &verb_file_remove, .query = file_query, .answer = "nothing" },

	{ "GET", "/snapshots", "listSnapshots", "All snapshots", .verb = &verb_snapshot_list,
		.answer = "snapshots" },
	{ "POST", "/snapshots", "takeSnapshot", "Take a snapshot of an instance",
		.verb = &verb_snapshot_take, .body = snapshot_fields, .answer = "the snapshot" },
	{ "GET", "/snapshots/{id}", "getSnapshot", "A snapshot", .verb = &verb_snapshot_get,
		.answer = "the snapshot" },
	{ "POST", "/snapshots/{id}/restore", "restoreSnapshot", "Start an instance from it",
		.verb = &verb_snapshot_restore, .body = restore_fields, .answer = "the instance" },
	{ "DELETE", "/snapshots/{id}", "deleteSnapshot", "Delete a snapshot",
		.verb = &verb_snapshot_delete, .answer = "nothing" },
	{ "POST", "/branches", "createBranch", "Start an instance that goes on from a snapshot",
		.verb = &verb_branch_begin, .body = branch_fields, .answer = "branch_id" },
	{ "POST", "/branches/merge", "mergeBranches", "Make a snapshot of several branches",
		.verb = &verb_branch_merge, .body = merge_fields,
		.answer = "snapshot_id, conflicts, paths" },

	{ "GET", "/logs", "listInvocations", "What calls have left behind: outcome, times, output",
		.verb = &verb_logs_list, .query = logs_query,
		.answer = "invocations, and next_cursor" },
	{ "GET", "/logs/{id}", "getInvocation", "The same of one call, by its request or execution",
		.verb = &verb_logs_get, .answer = "the record" },
	{ "GET", "/stats", "summarizeInvocations", "Calls, errors and times by function",
		.verb = &verb_stats, .query = stats_query, .answer = "functions" },

	{ "GET", "/usage", "listUsage", "What was used, by mode and what else is said",
		.verb = &verb_usage_list, .query = usage_query,
		.answer = "usage, and next_cursor if there is more" },
	{ "GET", "/usage/current", "getBill", "What a month costs, up to now",
		.verb = &verb_usage_bill, .query = bill_query, .answer = "the bill" },
	{ "POST", "/usage/estimate", "estimateUsage", "What calls would cost",
		.verb = &verb_usage_estimate, .body = estimate_fields, .answer = "a bill" },

	OWN("POST", "function/register", "registerModule", "Register a module, or replace it",
		module_fields, verb_cluster_module, "status, tech_id, type, name, wasm_bytes_size"),
	OWN("POST", "function/plug", "plugFunction", "Plug a function into a path", plug_fields,
		verb_cluster_plug, "status, method, path, name, start_function"),
	OWN("POST", "function/unplug", "unplugPath", "Take from a path what is plugged there",
		unplug_fields, verb_cluster_unplug, "status"),
	{ "POST", "/my-own-cluster/api/function/call", "callFunction",
		"Call a program by its arguments, or an export of a module by numbers", ROUTE_ONLY,
		.verb = &verb_cluster_call, .body = call_fields,
		.answer = "status, result, output in base64, error, message" },
	OWN("POST", "file/register", "registerFile", "Put a file at a path", file_register_fields,
		verb_cluster_file, "status, tech_id, method, path, content_type, bytes_size"),
	OWN("POST", "file/plug", "plugFile", "Plug a blob into a path", file_plug_fields,
		verb_cluster_plug_file, "status"),
	OWN("POST", "blob/register", "registerBlob",
		"Keep a blob; one with a name that is code is a function", blob_fields,
		verb_cluster_blob, "status, tech_id"),
	OWN("GET", "admin/export-database", "exportDatabase", "All that is stored, as an archive",
		NULL, verb_cluster_export, "nova.tar.gz, in base64"),

	AWS("GET", "/2015-03-31/functions/", lambda_list_query, verb_lambda_list),
	AWS("GET", "/2015-03-31/functions", lambda_list_query, verb_lambda_list),
	AWS("GET", "/2015-03-31/functions/{name}", lambda_query, verb_lambda_get),
	AWS("POST", "/2015-03-31/functions/{name}/invocations", lambda_query, verb_lambda_invoke),

	LATER_PORT("POST", "/ports/expose"),
	LATER_PORT("GET", "/ports"),
	LATER_PORT("POST", "/instances/{id}/expose"),
	LATER_PORT("GET", "/instances/{id}/ports"),
	LATER_PORT("DELETE", "/instances/{id}/ports/{port}"),
	LATER_FILTER("POST", ""),
	LATER_FILTER("DELETE", "/{id}"),
	LATER_POLICY("GET"),
	LATER_POLICY("PUT"),
	LATER_POLICY("DELETE"),
	{ NULL },
};
