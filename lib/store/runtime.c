/* SPDX-License-Identifier: MIT */
/* The record of a runtime: memory and rules. */
#include "store/store.h"

#define SECONDS_MOST 86400u
#define MEMORY_LEAST 64u
#define MEMORY_MOST  65536u

void runtime_record_clear(struct runtime_record *r)
{
	free(r->name);
	free(r->rootfs);
	free(r->image);
	free(r->protocol);
	text_list_done(&r->argv);
	memset(r, 0, sizeof(*r));
}

void runtime_record_list_free(struct runtime_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		runtime_record_clear(&records[i]);
	free(records);
}

static int check_numbers(const struct runtime_record *r, int code, nova_error_t **error)
{
	if (r->memory_mb && (r->memory_mb < MEMORY_LEAST || r->memory_mb > MEMORY_MOST))
		return nova_fail(error, code, "memory_mb is %u; it must be %u to %u, or 0",
			r->memory_mb, MEMORY_LEAST, MEMORY_MOST);
	if (r->timeout_s > SECONDS_MOST || r->init_timeout_s > SECONDS_MOST)
		return nova_fail(error, code, "%s is %u; it must be at most %u",
			r->timeout_s > SECONDS_MOST ? "timeout_s" : "init_timeout_s",
			r->timeout_s > SECONDS_MOST ? r->timeout_s : r->init_timeout_s,
			SECONDS_MOST);
	return 0;
}

static int check_argv(const struct text_list *argv, int code, nova_error_t **error)
{
	size_t total = 0;
	for (size_t i = 0; i < argv->count; i++) {
		if (!text_is_utf8(argv->items[i]))
			return nova_fail(error, code, "argv: entry %zu is not UTF-8", i);
		total += strlen(argv->items[i]) + 1;
	}
	if (argv->count <= ARGV_MOST && total <= ARGV_MAX)
		return 0;
	return nova_fail(error, code,
		"argv: %zu entries of %zu bytes; at most %u of %u are possible", argv->count, total,
		ARGV_MOST, ARGV_MAX);
}

int runtime_record_check(const struct runtime_record *r, int code, nova_error_t **error)
{
	if (!runtime_name_ok(r->name))
		return nova_fail(error, code,
			"name: '%.80s' is no name of a runtime; use at most 32 letters, digits, "
			"'-', '_' and '.', beginning with a letter",
			text_is_utf8(r->name) ? r->name : "(not UTF-8)");
	if (!text_is_utf8(r->rootfs) || strlen(r->rootfs) > RECORD_PATH_MAX)
		return nova_fail(error, code,
			"rootfs: the path is not UTF-8, or longer than %d bytes", RECORD_PATH_MAX);
	if (!image_blob(r->image) && !runtime_name_ok(r->image))
		return nova_fail(error, code,
			"rootfs: '%.80s' is no name of an image; a file is named by a path with a "
			"'/' in it",
			text_is_utf8(r->image) ? r->image : "(not UTF-8)");
	int bad = check_argv(&r->argv, code, error);
	return bad < 0 ? bad : check_numbers(r, code, error);
}
