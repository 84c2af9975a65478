/* SPDX-License-Identifier: MIT */
/* All routes. What is dispatched and what the document says come from here. */
#include "routes.h"

#define DIRECT(get_path, id, what, more, handler)                                                  \
	{                                                                                          \
		"GET", get_path, id, what, ROUTE_ONLY | (more), .direct = handler,                 \
								.answer = "as asked"               \
	}
#define LATER(verb_word, at, what)                                                                 \
	{                                                                                          \
		verb_word, at, "later", what, ROUTE_LATER, .answer = ""                            \
	}

const struct route routes[] = {
	DIRECT("/healthz", "health", "Whether it lives", ROUTE_OPEN, direct_health),
	DIRECT("/readyz", "ready", "Whether it takes calls", ROUTE_OPEN, direct_ready),
	DIRECT("/metrics", "metrics", "Its numbers, for Prometheus", 0, direct_metrics),
	DIRECT("/openapi.json", "openapi", "This document", ROUTE_OPEN, direct_openapi),

	{ "POST", "/execute", "execute", "Run code or a command once", ROUTE_BARE | ROUTE_STREAMED,
		.verb = &verb_execute, .body = execute_fields,
		.answer = "stdout, stderr, exit_code, error; output, if a handler returned one; or "
			  "executionId" },
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
	{ "DELETE", "/functions/{id}", "deleteFunction", "Delete a function",
		.verb = &verb_function_delete, .answer = "nothing" },

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

	LATER("POST", "/ports/expose", "exposing a port"),
	LATER("GET", "/ports", "ports"),
	LATER("POST", "/instances/{id}/expose", "exposing a port"),
	LATER("GET", "/instances/{id}/ports", "ports"),
	LATER("GET", "/instances/{id}/policies", "network policies"),
	LATER("PUT", "/instances/{id}/policies", "network policies"),
	{ NULL },
};
