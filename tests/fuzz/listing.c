/* SPDX-License-Identifier: MIT */
/* Any bytes as pages of a listing by a guest (one a line): refused, or sound; and what is sound can
 * be merged with itself and with half of itself. */
#include <assert.h>

#include "files/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void sound(const nova_files_t *files)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct file *f = &files->items[i];
		const char *slash = strrchr(f->path, '/');
		assert(proto_path_ok(f->path, strlen(f->path)) && f->kind >= NOVA_FILE_REGULAR &&
			f->kind <= NOVA_FILE_OTHER && f->mode <= 07777);
		assert(!i || proto_path_order(files->items[i - 1].path, f->path) < 0);
		assert(files_find(files, f->path, strlen(f->path)) == f);
		assert(!slash || files_find(files, f->path, (size_t)(slash - f->path))->kind ==
					 NOVA_FILE_DIRECTORY);
		assert(!!*f->target == (f->kind == NOVA_FILE_LINK));
	}
}

static void merge(const nova_files_t *a, const nova_files_t *b, const nova_files_t *c,
	uint32_t on_conflict, bool same)
{
	const nova_files_t *const listings[] = { a, b, c };
	struct merge_plan plan;
	int code = merge_plan_make(&plan, listings, 2, on_conflict, NULL);
	assert(code == 0);
	for (size_t i = 0; i < plan.count; i++) {
		const struct merge_row *row = &plan.rows[i];
		assert(!same || (!row->conflict && files_same(row->base, row->final)));
		if (row->final && row->parent != SIZE_MAX)
			assert(plan.rows[row->parent].final &&
				plan.rows[row->parent].final->kind == NOVA_FILE_DIRECTORY);
	}
	merge_plan_done(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	nova_files_t *files = calloc(1, sizeof(*files)), half = { .items = NULL },
		     none = { .items = NULL };
	const char *at = (const char *)data, *end = at + len;
	bool more = true;
	int code = 0;
	while (at < end && more && code == 0) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		size_t line_len = (size_t)((line ? line : end) - at);
		AUTO_FREE char *payload = strndup(at, line_len);
		struct guest_message said;
		code = guest_message_read(payload, strlen(payload), &said, NULL);
		if (code == 0)
			code = files_add_page(files, &said, NULL);
		more = code == 0 && said.more;
		assert(code == 0 || code == NOVA_EAGENT || code == NOVA_ETOOBIG);
		at += line_len + 1;
	}
	sound(files);
	half.items = files->items;
	half.count = files->count / 2;
	for (uint32_t on_conflict = NOVA_MERGE_REFUSE; on_conflict <= NOVA_MERGE_INTERSECTION;
		on_conflict++) {
		merge(files, files, files, on_conflict, true);
		merge(files, &half, files, on_conflict, false);
		merge(&half, files, &none, on_conflict, false);
		merge(files, &none, &half, on_conflict, false);
	}
	nova_files_free(files);
	return 0;
}
