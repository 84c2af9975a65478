/* SPDX-License-Identifier: MIT */
/* What jobs are told besides path, query and body; and what is uploaded: one file as it is, or
 * several as a form. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "e2b.h"

#define FORM_BUFFER 4096 /* of what a header of a part may have */

struct form {
	json_t *parts; /* path and len, in the order of the bytes */
	struct bytes content;
	const char *path; /* of the query, for the only one */
};

/* Characters that do not belong into a header are escaped there. */
static char *path_of(const struct form *form, const char *filename)
{
	char *path = need(strdup(form->path ? form->path : filename));
	if (form->path || percent_read(path))
		return path;
	free(path);
	return need(strdup(filename));
}

static void begin_part(struct form *form, const char *filename)
{
	char *path = path_of(form, filename);
	json_array_append_new(form->parts,
		need(json_pack("{s:o,s:i}", "path", text_json(path, strlen(path)), "len", 0)));
	free(path);
}

static enum MHD_Result on_piece(void *userdata, enum MHD_ValueKind kind, const char *name,
	const char *filename, const char *type, const char *encoding, const char *data,
	uint64_t offset, size_t len)
{
	(void)kind, (void)name, (void)type, (void)encoding;
	struct form *form = userdata;
	if (!filename)
		return MHD_YES;
	if (offset == 0)
		begin_part(form, filename);
	json_t *part = json_array_get(form->parts, json_array_size(form->parts) - 1);
	json_object_set_new(part, "len", json_integer((json_int_t)(offset + len)));
	bytes_add(&form->content, data, len);
	return MHD_YES;
}

static void take_form(struct exchange *x, struct form *form)
{
	struct MHD_PostProcessor *processor =
		MHD_create_post_processor(x->connection, FORM_BUFFER, on_piece, form);
	bool fits = processor && x->body.len &&
		    MHD_post_process(processor, x->body.data, x->body.len) == MHD_YES;
	if (!processor || MHD_destroy_post_processor(processor) != MHD_YES || !fits)
		exchange_problem(x, 400, "malformed", "the body is not a form with files");
	else if (!json_array_size(form->parts))
		exchange_problem(x, 400, "invalid", "there is no file in this form");
	else if (form->path && json_array_size(form->parts) > 1)
		exchange_problem(x, 400, "invalid", "one path is given for more than one file");
	x->novad->body_bytes += form->content.len;
	x->novad->body_bytes -= x->body.len;
	bytes_free(&x->body);
	x->body = form->content;
}

static void take_parts(struct exchange *x)
{
	const char *type = exchange_header(x, "Content-Type");
	const char *encoding = exchange_header(x, "Content-Encoding");
	const json_t *query = json_object_get(x->options, "query");
	struct form form = { .path = json_string_value(json_object_get(query, "path")) };
	form.parts = need(json_array());
	if (encoding && strcasecmp(encoding, "identity") != 0)
		exchange_problem(x, 501, "not_supported",
			"files are not uncompressed here: leave 'gzip' away");
	else if (type && !strncasecmp(type, "multipart/form-data", 19))
		take_form(x, &form);
	else if (!form.path)
		exchange_problem(x, 400, "invalid", "query: the field 'path' is missing");
	else
		json_array_append_new(form.parts,
			json_pack("{s:s,s:I}", "path", form.path, "len", (json_int_t)x->body.len));
	json_object_set_new(x->options, "parts", form.parts);
}

/* --- all of it --- */

static uint32_t milliseconds_of(const struct exchange *x)
{
	const char *text = exchange_header(x, "Connect-Timeout-Ms");
	unsigned long long ms = text ? strtoull(text, NULL, 10) : 0;
	uint32_t most = E2B_SECONDS_MAX * 1000u;
	return ms && ms < most ? (uint32_t)ms : most;
}

void e2b_options(struct exchange *x)
{
	if (json_object_get(json_object_get(x->options, "query"), "username"))
		exchange_problem(x, 400, "invalid", E2B_ONE_USER);
	json_object_set_new(x->options, "sandbox", json_string(x->sandbox));
	json_object_set_new(x->options, "timeout_ms", json_integer(milliseconds_of(x)));
	if (!x->answered && x->route->verb == &verb_e2b_write)
		take_parts(x);
}
