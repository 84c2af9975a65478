/* SPDX-License-Identifier: MIT */
/*
 * A YAML (or JSON) file becomes one layer of values.
 *
 * The file is read as a stream of events, not as a document: nothing is built that a hostile file
 * could blow up. Aliases are refused, and a mapping is entered only where its key begins a key of
 * the table, so depth and number of what is accepted are bounded by the table.
 */
#include "config/keys.h"
#include "module/yaml.h"

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; always initialised */
	const char *origin;
	struct layer *layer;
	bool environment;
	nova_error_t **error;
};

static size_t line_of(const struct reader *r)
{
	return r->event.start_mark.line + 1;
}

static int fail_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	if (p->error == YAML_MEMORY_ERROR)
		return nova_oom(r->error);
	/* The reader knows a byte offset only: bad UTF-8 and the like. */
	size_t line = p->error == YAML_READER_ERROR ? p->mark.line : p->problem_mark.line;
	return nova_fail(r->error, NOVA_ECONFIG, "%s:%zu: not YAML: %s%s%s", r->origin, line + 1,
		p->problem ? p->problem : "unreadable", p->context ? " " : "",
		p->context ? p->context : "");
}

static int advance(struct reader *r)
{
	yaml_event_delete(&r->event);
	memset(&r->event, 0, sizeof(r->event));
	if (!yaml_parser_parse(&r->parser, &r->event))
		return fail_syntax(r);
	if (r->event.type == YAML_ALIAS_EVENT)
		return nova_fail(r->error, NOVA_ECONFIG,
			"%s:%zu: aliases ('*%.64s') are not understood here; write the value out",
			r->origin, line_of(r), (const char *)r->event.data.alias.anchor);
	return 0;
}

/* The text of a scalar event, or NULL if a NUL hides in it. */
static const char *scalar_text(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	return strlen(text) == event->data.scalar.length ? text : NULL;
}

/* `key:` with nothing behind it, `~` or `null`: says nothing, so weaker layers show through. */
static bool is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || !strcmp(text, "~") || !strcmp(text, "null"));
}

static bool is_section(const char *path)
{
	size_t len = strlen(path);
	for (int i = 0; config_keys[i].key; i++)
		if (!strncmp(config_keys[i].key, path, len) && config_keys[i].key[len] == '.')
			return true;
	return false;
}

static int fail_unknown(struct reader *r, size_t line, const char *path)
{
	const char *nearest = str_nearest(path, nova_config_keys());
	if (nearest)
		return nova_fail(r->error, NOVA_ECONFIG,
			"%s:%zu: unknown key '%.128s'; did you mean '%s'?", r->origin, line, path,
			nearest);
	return nova_fail(r->error, NOVA_ECONFIG,
		"%s:%zu: unknown key '%.128s'; docs/configuration.md lists the keys", r->origin,
		line, path);
}

/* The current event is the value of a key of the table. */
static int read_value(struct reader *r, int index)
{
	const struct config_key *key = &config_keys[index];
	struct value *value = &r->layer->values[index];
	AUTO_FREE char *where = str_format("%s:%zu", r->origin, line_of(r));
	if (!where)
		return nova_oom(r->error);
	if (r->event.type != YAML_SCALAR_EVENT)
		return nova_fail(r->error, NOVA_ECONFIG, "%s: '%s' takes one value, not a %s",
			where, key->key,
			r->event.type == YAML_SEQUENCE_START_EVENT ? "list" : "group of keys");
	if (value->text)
		return nova_fail(
			r->error, NOVA_ECONFIG, "%s: '%s' is given twice", where, key->key);
	if (is_null(&r->event))
		return 0;
	const char *text = scalar_text(&r->event);
	if (!text)
		return nova_fail(r->error, NOVA_ECONFIG, "%s: '%s' contains a NUL character", where,
			key->key);
	return key_read(key, where, text, r->environment, &value->text, &value->number, r->error);
}

static int read_mapping(struct reader *r, const char *prefix);

/* The current event is the value behind `path`, which `line` has. */
static int read_entry(struct reader *r, const char *path, size_t line)
{
	int index = key_find(path);
	if (index >= 0)
		return read_value(r, index);
	if (!is_section(path))
		return fail_unknown(r, line, path);
	if (r->event.type == YAML_MAPPING_START_EVENT)
		return read_mapping(r, path);
	if (r->event.type == YAML_SCALAR_EVENT && is_null(&r->event))
		return 0;
	return nova_fail(r->error, NOVA_ECONFIG,
		"%s:%zu: '%s' is a group of keys and takes no value of its own", r->origin, line,
		path);
}

/* The current event is the mapping's start; at the end it is its end. */
static int read_mapping(struct reader *r, const char *prefix)
{
	for (;;) {
		int code = advance(r);
		if (code < 0)
			return code;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		size_t line = line_of(r);
		const char *name =
			r->event.type == YAML_SCALAR_EVENT ? scalar_text(&r->event) : NULL;
		if (!name || strlen(name) > 128)
			return nova_fail(r->error, NOVA_ECONFIG, "%s:%zu: this is no name of a key",
				r->origin, line);
		AUTO_FREE char *path = str_format("%s%s%s", prefix, *prefix ? "." : "", name);
		if (!path)
			return nova_oom(r->error);
		code = advance(r);
		if (code == 0)
			code = read_entry(r, path, line);
		if (code < 0)
			return code;
	}
}

static int expect(struct reader *r, yaml_event_type_t type, const char *what)
{
	int code = advance(r);
	if (code < 0)
		return code;
	if (r->event.type != type)
		return nova_fail(r->error, NOVA_ECONFIG, "%s:%zu: %s", r->origin, line_of(r), what);
	return 0;
}

static int read_stream(struct reader *r)
{
	int code = expect(r, YAML_STREAM_START_EVENT, "not YAML");
	if (code < 0 || (code = advance(r)) < 0)
		return code;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return 0; /* an empty file */
	if ((code = advance(r)) < 0)
		return code;
	bool empty = r->event.type == YAML_SCALAR_EVENT && is_null(&r->event);
	if (!empty && r->event.type != YAML_MAPPING_START_EVENT)
		return nova_fail(r->error, NOVA_ECONFIG,
			"%s:%zu: expected keys and values, as in 'engine: qemu'", r->origin,
			line_of(r));
	if (!empty && (code = read_mapping(r, "")) < 0)
		return code;
	code = expect(r, YAML_DOCUMENT_END_EVENT, "something follows the settings");
	if (code < 0)
		return code;
	return expect(r, YAML_STREAM_END_EVENT, "only one YAML document is expected");
}

int yaml_read_layer(struct layer *layer, const char *origin, const void *text, size_t len,
	bool environment, nova_error_t **error)
{
	struct reader r = {
		.origin = origin, .layer = layer, .environment = environment, .error = error
	};
	int code = yaml_load(error);
	if (code < 0)
		return code;
	if (!yaml_parser_initialize(&r.parser))
		return nova_oom(error);
	yaml_parser_set_input_string(&r.parser, text, len);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	code = read_stream(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return code;
}
