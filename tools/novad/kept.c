/* SPDX-License-Identifier: MIT */
/* What functions keep: values under keys, and files. Names come as parameters, as they may have a
 * slash. */
#include <stdlib.h>
#include <string.h>

#include <nova/kv.h>

#include "routes.h"

#define KEY  "key", KIND_TEXT, "its key", true, .max = 512
#define NAME "name", KIND_TEXT, "its name", true, .max = 255
#define IF_VERSION                                                                                 \
	"if_version", KIND_NUMBER, "only if it has this version", .min = 1, .max = INT64_MAX

static const char *const yes_or_no[] = { "true", "false", NULL };

const struct field kept_query[] = {
	{ "prefix", KIND_TEXT, "only those that begin with it", .max = 512 },
	{ "after", KIND_TEXT, "those behind this one, the last of the page before", .max = 512 },
	{ "limit", KIND_NUMBER, "as many at most; 100", .min = 1, .max = 1000 },
	{ NULL },
};

const struct field kept_value_query[] = {
	{ KEY },
	{ IF_VERSION },
	{ "ttl_ms", KIND_NUMBER, "after this time it is gone", .min = 1, .max = 315360000000 },
	{ "new", KIND_TEXT, "true: only if the key is not there", .choices = yes_or_no },
	{ NULL },
};

const struct field kept_file_query[] = {
	{ NAME },
	{ "type", KIND_TEXT, "its media type; application/octet-stream", .max = 127 },
	{ NULL },
};

static uint64_t query_number(const struct job *job, const char *name)
{
	const char *text = job_query(job, name);
	return text ? strtoull(text, NULL, 10) : 0;
}

static nova_kv_list_opts page_of(const struct job *job)
{
	nova_kv_list_opts opts = NOVA_KV_LIST_OPTS_INIT;
	opts.prefix = job_query(job, "prefix");
	opts.after = job_query(job, "after");
	opts.limit = (uint32_t)query_number(job, "limit");
	return opts;
}

static void header_number(struct job *job, const char *name, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	job_header(job, name, text);
}

/* Never shown as a page of this server, whatever type it has. */
static void answer_bytes(struct job *job, const void *data, size_t len)
{
	job_header(job, "Content-Disposition", "attachment");
	json_object_set_new(job_reply(job), "type", json_string("bytes"));
	job_status(job, 200);
	for (size_t at = 0, n; at < len && !job_is_canceled(job); at += n) {
		n = len - at < JOB_PRINTED_MAX / 2 ? len - at : JOB_PRINTED_MAX / 2;
		while (!job_print_within(job, "body", (const char *)data + at, n, 500))
			;
	}
}

static void done(struct job *job, int code, nova_error_t *error)
{
	if (code != 0)
		job_fail_by(job, error);
	else
		job_status(job, 204);
	nova_error_free(error);
}

/* --- keys --- */

static void list(struct job *job)
{
	const nova_kv_entry **entries = NULL;
	const nova_kv_list_opts opts = page_of(job);
	nova_error_t *error = NULL;
	size_t count = 0;
	json_t *keys = need(json_array());
	if (nova_kv_list(job_nova(job), job_path(job, "id"), &opts, &entries, &count, &error) != 0)
		job_fail_by(job, error);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			keys, need(json_pack("{s:s,s:I,s:I,s:I}", "key", entries[i]->key, "size",
				      (json_int_t)entries[i]->value_len, "version",
				      (json_int_t)entries[i]->version, "expires_us",
				      (json_int_t)entries[i]->expires_us)));
	job_answer(job, json_pack("{s:o}", "keys", keys));
	nova_kv_list_free(entries, count);
	nova_error_free(error);
}

static void get(struct job *job)
{
	const nova_kv_entry *entry = NULL;
	nova_error_t *error = NULL;
	if (nova_kv_get(job_nova(job), job_path(job, "id"), job_query(job, "key"), &entry,
		    &error) != 0) {
		job_fail_by(job, error);
	} else {
		header_number(job, "X-Nova-Version", entry->version);
		header_number(job, "X-Nova-Expires-Us", entry->expires_us);
		answer_bytes(job, entry->value, entry->value_len);
	}
	nova_kv_entry_free(entry);
	nova_error_free(error);
}

static void put(struct job *job)
{
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	const struct bytes *body = job_body(job);
	const char *new = job_query(job, "new");
	nova_error_t *error = NULL;
	uint64_t version = 0;
	opts.key = job_query(job, "key");
	opts.value = body->data;
	opts.value_len = body->len;
	opts.ttl_ms = query_number(job, "ttl_ms");
	opts.if_version = query_number(job, "if_version");
	opts.flags = new && !strcmp(new, "true") ? NOVA_KV_NEW : 0;
	if (nova_kv_put(job_nova(job), job_path(job, "id"), &opts, &version, &error) != 0)
		job_fail_by(job, error);
	else
		job_answer(job, json_pack("{s:I}", "version", (json_int_t)version));
	nova_error_free(error);
}

static void delete_one(struct job *job)
{
	nova_error_t *error = NULL;
	int code = nova_kv_delete(job_nova(job), job_path(job, "id"), job_query(job, "key"),
		query_number(job, "if_version"), &error);
	done(job, code, error);
}

/* --- files --- */

static void list_files(struct job *job)
{
	const nova_file **all = NULL;
	const nova_kv_list_opts opts = page_of(job);
	nova_error_t *error = NULL;
	size_t count = 0;
	json_t *files = need(json_array());
	if (nova_file_list(job_nova(job), job_path(job, "id"), &opts, &all, &count, &error) != 0)
		job_fail_by(job, error);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			files, need(json_pack("{s:s,s:s,s:s,s:I,s:I}", "name", all[i]->name, "type",
				       all[i]->type, "sha256", all[i]->sha256, "size",
				       (json_int_t)all[i]->data_len, "updated_us",
				       (json_int_t)all[i]->updated_us)));
	job_answer(job, json_pack("{s:o}", "files", files));
	nova_file_list_free(all, count);
	nova_error_free(error);
}

static void get_file(struct job *job)
{
	const nova_file *file = NULL;
	nova_error_t *error = NULL;
	if (nova_file_get(job_nova(job), job_path(job, "id"), job_query(job, "name"), &file,
		    &error) != 0) {
		job_fail_by(job, error);
	} else {
		job_header(job, "X-Nova-Type", file->type);
		job_header(job, "X-Nova-Sha256", file->sha256);
		answer_bytes(job, file->data, file->data_len);
	}
	nova_file_free(file);
	nova_error_free(error);
}

static void put_file(struct job *job)
{
	nova_file_put_opts opts = NOVA_FILE_PUT_OPTS_INIT;
	const struct bytes *body = job_body(job);
	nova_error_t *error = NULL;
	opts.name = job_query(job, "name");
	opts.type = job_query(job, "type");
	opts.data = body->data;
	opts.data_len = body->len;
	int code = nova_file_put(job_nova(job), job_path(job, "id"), &opts, &error);
	done(job, code, error);
}

static void delete_file(struct job *job)
{
	nova_error_t *error = NULL;
	int code = nova_file_delete(
		job_nova(job), job_path(job, "id"), job_query(job, "name"), &error);
	done(job, code, error);
}

VERB_OF_FUNCTION(verb_kept_list, "list", work_on_own_function, list);
VERB_OF_FUNCTION(verb_kept_get, "get", work_on_own_function, get);
VERB_OF_FUNCTION(verb_kept_put, "put", work_on_own_function, put);
VERB_OF_FUNCTION(verb_kept_delete, "delete", work_on_own_function, delete_one);
VERB_OF_FUNCTION(verb_kept_file_list, "list", work_on_own_function, list_files);
VERB_OF_FUNCTION(verb_kept_file_get, "get", work_on_own_function, get_file);
VERB_OF_FUNCTION(verb_kept_file_put, "put", work_on_own_function, put_file);
VERB_OF_FUNCTION(verb_kept_file_delete, "delete", work_on_own_function, delete_file);
