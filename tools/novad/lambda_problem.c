/* SPDX-License-Identifier: MIT */
/* Problems in the shape that clients of AWS Lambda read. */
#include <ctype.h>
#include <string.h>

#include "http.h"

#define PREFIX "/2015-03-31/"

static const char *type_of(const char *code)
{
	static const struct {
		const char *code, *type;
	} types[] = {
		{ "invalid", "InvalidParameterValueException" },
		{ "malformed", "InvalidRequestContentException" },
		{ "not_found", "ResourceNotFoundException" },
		{ "no_route", "UnknownOperationException" },
		{ "wrong_method", "UnknownOperationException" },
		{ "too_big", "RequestTooLargeException" },
		{ "too_many_calls", "TooManyRequestsException" },
		{ "too_many_requests", "TooManyRequestsException" },
		{ "over_plan", "TooManyRequestsException" },
		{ "busy", "ResourceConflictException" },
		{ "exists", "ResourceConflictException" },
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(types[i].code, code))
			return types[i].type;
	return isupper((unsigned char)*code) ? code : "ServiceException";
}

bool lambda_is_at(const char *path)
{
	return !strncmp(path, PREFIX, strlen(PREFIX));
}

json_t *lambda_problem(const json_t *problem, const char **ret_type)
{
	json_t *detail = json_object_get(problem, "detail");
	bool own = json_integer_value(json_object_get(problem, "status")) >= 500;
	*ret_type = type_of(json_string_value(json_object_get(problem, "code")));
	return need(json_pack("{s:s,s:O,s:O}", "Type", own ? "Service" : "User", "Message", detail,
		"message", detail));
}
