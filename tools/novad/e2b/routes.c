/* SPDX-License-Identifier: MIT */
/* What of E2B's API is there. */
#include "e2b.h"

#define ROUTE(verb_word, at, more, parameters, fields, does)                                       \
	{                                                                                          \
		verb_word, at, "e2b", "as E2B has it", ROUTE_ONLY | ROUTE_E2B | (more),            \
			.verb = &(does), .query = (parameters), .body = (fields), .answer = ""     \
	}
#define API(verb_word, at, parameters, fields, does)                                               \
	ROUTE(verb_word, at, 0, parameters, fields, does)
#define GUEST(verb_word, at, more, parameters, fields, does)                                       \
	ROUTE(verb_word, at, ROUTE_GUEST | (more), parameters, fields, does)
#define CALL(at, fields, does) GUEST("POST", at, 0, NULL, fields, does)
#define STREAM(at, fields, does)                                                                   \
	{                                                                                          \
		"POST", at, "e2b", "as E2B has it",                                                \
			ROUTE_ONLY | ROUTE_E2B | ROUTE_GUEST | ROUTE_ENVELOPE,                     \
			.respond = (does), .body = (fields), .answer = ""                          \
	}

static const struct field none[] = { { NULL } };

const struct route e2b_routes[] = {
	API("POST", "/v2/sandboxes", NULL, e2b_create_fields, verb_e2b_create),
	API("GET", "/v2/sandboxes", e2b_list_query, NULL, verb_e2b_list),
	API("GET", "/sandboxes/{id}", NULL, NULL, verb_e2b_get),
	API("DELETE", "/sandboxes/{id}", NULL, NULL, verb_e2b_kill),
	API("POST", "/sandboxes/{id}/timeout", NULL, e2b_timeout_fields, verb_e2b_timeout),
	API("POST", "/sandboxes/{id}/pause", NULL, e2b_pause_fields, verb_e2b_pause),
	API("POST", "/v2/sandboxes/{id}/connect", NULL, e2b_connect_fields, verb_e2b_connect),
	API("POST", "/sandboxes/{id}/fork", NULL, e2b_fork_fields, verb_e2b_fork),

	{ "GET", "/health", "e2b", "as E2B has it", ROUTE_ONLY | ROUTE_E2B | ROUTE_GUEST,
		.direct = direct_e2b_health, .answer = "" },
	STREAM("/process.Process/Start", e2b_start_fields, e2b_start),
	STREAM("/process.Process/Connect", e2b_attach_fields, e2b_attach),
	CALL("/process.Process/List", none, verb_e2b_processes),
	CALL("/process.Process/SendSignal", e2b_signal_fields, verb_e2b_signal),
	CALL("/process.Process/SendInput", e2b_input_fields, verb_e2b_input),
	CALL("/process.Process/CloseStdin", e2b_attach_fields, verb_e2b_close),

	GUEST("GET", "/files", 0, e2b_file_query, NULL, verb_e2b_read),
	GUEST("POST", "/files", ROUTE_RAW, e2b_file_query, NULL, verb_e2b_write),
	CALL("/filesystem.Filesystem/Stat", e2b_path_fields, verb_e2b_stat),
	CALL("/filesystem.Filesystem/ListDir", e2b_list_dir_fields, verb_e2b_list_dir),
	CALL("/filesystem.Filesystem/MakeDir", e2b_path_fields, verb_e2b_make_dir),
	CALL("/filesystem.Filesystem/Move", e2b_move_fields, verb_e2b_move),
	CALL("/filesystem.Filesystem/Remove", e2b_path_fields, verb_e2b_remove),
	{ NULL },
};
