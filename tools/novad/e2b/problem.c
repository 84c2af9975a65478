/* SPDX-License-Identifier: MIT */
/* How E2B's SDK is told what went wrong. */
#include <string.h>

#include "e2b.h"

const char *e2b_code(unsigned status)
{
	static const struct {
		unsigned status;
		const char *code;
	} codes[] = { { 400, "invalid_argument" }, { 401, "unauthenticated" },
		{ 403, "permission_denied" }, { 404, "not_found" }, { 409, "failed_precondition" },
		{ 413, "out_of_range" }, { 429, "resource_exhausted" }, { 501, "unimplemented" },
		{ 502, "unavailable" }, { 503, "unavailable" }, { 504, "deadline_exceeded" } };
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].status == status)
			return codes[i].code;
	return "internal";
}

static bool is_call(const char *path)
{
	return !strncmp(path, "/process.Process/", 17) ||
	       !strncmp(path, "/filesystem.Filesystem/", 23);
}

json_t *e2b_problem(const struct exchange *x, const json_t *problem)
{
	json_t *detail = json_object_get(problem, "detail");
	const char *code = json_string_value(json_object_get(problem, "code"));
	json_t *status = json_object_get(problem, "status");
	if (!is_call(x->path))
		return need(json_pack("{s:O,s:O}", "code", status, "message", detail));
	return need(json_pack("{s:s,s:O}", "code",
		!strcmp(code, "exists") ? "already_exists" :
					  e2b_code((unsigned)json_integer_value(status)),
		"message", detail));
}
