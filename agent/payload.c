/* SPDX-License-Identifier: MIT */
/* Members that several messages have. */
#include "agent/agent.h"

bool payload_timeout(json_t *payload, uint32_t *ret_ms)
{
	json_t *ms = json_object_get(payload, "timeout_ms"),
	       *s = json_object_get(payload, "timeout_s");
	double value = DEFAULT_TIMEOUT_MS;
	if (ms && !json_is_null(ms))
		value = json_is_number(ms) ? json_number_value(ms) : -1;
	else if (s && !json_is_null(s))
		value = json_is_number(s) ? json_number_value(s) * 1000 : -1;
	if (!(value >= 0) || value > UINT32_MAX)
		return false;
	*ret_ms = value >= 1 ? (uint32_t)value : DEFAULT_TIMEOUT_MS;
	return true;
}

bool payload_strings_only(json_t *env)
{
	const char *name;
	json_t *value;
	if (env && !json_is_null(env) && !json_is_object(env))
		return false;
	json_object_foreach(env, name, value)
	{
		const char *text = json_string_value(value);
		if (!*name || strchr(name, '=') || !text ||
			strlen(text) != json_string_length(value))
			return false;
	}
	return true;
}

const char *payload_id(json_t *payload, char out[MAX_ID + 1])
{
	json_t *id = json_object_get(payload, "request_id");
	const char *text = json_string_value(id);
	out[0] = 0;
	if (!text)
		return id && !json_is_null(id) ? "\"request_id\" is not a text" : NULL;
	if (json_string_length(id) > MAX_ID || strlen(text) != json_string_length(id))
		return "\"request_id\" is longer than 128 bytes, or has a NUL in it";
	memcpy(out, text, strlen(text) + 1);
	return NULL;
}
