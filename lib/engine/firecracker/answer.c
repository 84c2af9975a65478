/* SPDX-License-Identifier: MIT */
/* Replies are taken from a process that a guest may have broken into: nothing in them is believed.
 */
#include "engine/firecracker/firecracker.h"

#define FAULT_MOST 600u

static json_t *parse(const char *text, size_t len)
{
	json_t *value = text ? json_loadb(text, len, 0, NULL) : NULL;
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

char *fc_fault(const char *text, size_t len)
{
	json_t *object = parse(text, len);
	const char *fault = json_string_value(json_object_get(object, "fault_message"));
	size_t bytes = fault ? strlen(fault) : 0;
	if (bytes > FAULT_MOST)
		bytes = utf8_valid_prefix((const uint8_t *)fault, FAULT_MOST);
	char *line = fault ? strndup(fault, bytes) : NULL;
	for (char *c = line; c && *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	json_decref(object);
	return line;
}

bool fc_answer_version(const char *text, size_t len, struct fc_version *ret)
{
	json_t *object = parse(text, len);
	const char *version = json_string_value(json_object_get(object, "vmm_version"));
	const char *name = json_string_value(json_object_get(object, "app_name"));
	bool ok = version && name && !strcmp(name, "Firecracker") && fc_version_parse(version, ret);
	json_decref(object);
	return ok;
}
