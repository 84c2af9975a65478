/* SPDX-License-Identifier: MIT */
/* What the verbs show of a function. */
#include <time.h>

#include "novactl.h"

json_t *function_json(const nova_function_t *function)
{
	char *text = nova_function_to_json(function);
	json_t *json = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
	nova_free(text);
	return json;
}

static void show_time(const char *label, uint64_t unix_us)
{
	char text[32];
	struct tm utc;
	time_t seconds = (time_t)(unix_us / 1000000);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
	print_field(label, "%s", text);
}

static bool has_variable(const nova_function_t *f, const char *entry)
{
	for (size_t i = 0; nova_function_text(f, "env", i); i++)
		if (!strcmp(nova_function_text(f, "env", i), entry))
			return true;
	return false;
}

/* Calls run in the interpreter itself, instead of in a process of their own. */
static bool is_in_place(const nova_function_t *f)
{
	return has_variable(f, "NOVA_IN_PLACE=1");
}

void function_show(const nova_function_t *f)
{
	const char *code = nova_function_code_path(f);
	print_field("ID", "%s", nova_function_id(f));
	print_field("Name", "%s", nova_function_name(f));
	print_field("Code", "%s", *code ? code : "(from memory)");
	print_field("Code hash", "%s", nova_function_code_hash(f));
	properties_show(f);
	const char *runtime = nova_function_text(f, "runtime", 0);
	bool in_place = is_in_place(f) || !strcmp(runtime, "node");
	print_field("Mode", "%s", in_place ? "in place" : "process");
	if (in_place || !strcmp(runtime, "python"))
		print_field("State", "%s",
			in_place ? "kept between calls of a VM" :
				   "each call begins with the module as imported");
	bool kept = in_place || has_variable(f, "NOVA_KEEP_TMP=1");
	print_field("/tmp", "%s", kept ? "kept between calls of a VM" : "cleaned between calls");
	print_field("Version", "%u", nova_function_version(f));
	show_time("Created", nova_function_created_us(f));
	show_time("Updated", nova_function_updated_us(f));
}
