/* SPDX-License-Identifier: MIT */
/* JSON values written as YAML by libyaml. */
#include <strings.h>
#include <yaml.h>

#include "novactl.h"

static bool emit(yaml_emitter_t *emitter, const json_t *value);

/* Text that a YAML reader could take for something else than text gets quotes. */
static bool needs_quotes(const char *text)
{
	static const char *const words[] = { "true", "false", "null", "yes", "no", "on", "off", "y",
		"n" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return !((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '/');
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t len, bool quotes)
{
	yaml_event_t event;
	return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len,
		       !quotes, true,
		       quotes ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE) &&
	       yaml_emitter_emit(emitter, &event);
}

static bool emit_string(yaml_emitter_t *emitter, const char *text, size_t len)
{
	return emit_scalar(emitter, text, len, needs_quotes(text));
}

static bool emit_plain(yaml_emitter_t *emitter, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);
	bool ok = text && emit_scalar(emitter, text, strlen(text), false);
	free(text);
	return ok;
}

static bool emit_array(yaml_emitter_t *emitter, const json_t *array)
{
	yaml_event_t event;
	bool ok = yaml_sequence_start_event_initialize(
			  &event, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE) &&
		  yaml_emitter_emit(emitter, &event);
	for (size_t i = 0; ok && i < json_array_size(array); i++)
		ok = emit(emitter, json_array_get(array, i));
	return ok && yaml_sequence_end_event_initialize(&event) &&
	       yaml_emitter_emit(emitter, &event);
}

static bool emit_object(yaml_emitter_t *emitter, const json_t *object)
{
	yaml_event_t event;
	const char *key;
	json_t *value;
	bool ok = yaml_mapping_start_event_initialize(
			  &event, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE) &&
		  yaml_emitter_emit(emitter, &event);
	json_object_foreach((json_t *)object, key, value) ok =
		ok && emit_string(emitter, key, strlen(key)) && emit(emitter, value);
	return ok && yaml_mapping_end_event_initialize(&event) &&
	       yaml_emitter_emit(emitter, &event);
}

static bool emit(yaml_emitter_t *emitter, const json_t *value)
{
	if (json_is_object(value))
		return emit_object(emitter, value);
	if (json_is_array(value))
		return emit_array(emitter, value);
	if (json_is_string(value))
		return emit_string(emitter, json_string_value(value), json_string_length(value));
	return emit_plain(emitter, value);
}

int print_yaml(const json_t *value)
{
	yaml_emitter_t emitter;
	yaml_event_t event;
	need(yaml_emitter_initialize(&emitter) ? &emitter : NULL);
	yaml_emitter_set_output_file(&emitter, stdout);
	yaml_emitter_set_unicode(&emitter, 1);
	bool ok = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
		  yaml_emitter_emit(&emitter, &event) &&
		  yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
		  yaml_emitter_emit(&emitter, &event) && emit(&emitter, value) &&
		  yaml_document_end_event_initialize(&event, 1) &&
		  yaml_emitter_emit(&emitter, &event) && yaml_stream_end_event_initialize(&event) &&
		  yaml_emitter_emit(&emitter, &event);
	yaml_emitter_delete(&emitter);
	return ok ? STATUS_OK : failure("cannot write YAML");
}
