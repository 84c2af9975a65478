/* SPDX-License-Identifier: MIT */
/* Merging branches: a fork of their parent gets what they have made of its files. It is given away
 * only when all is done, so nothing half-merged is ever seen. */
#include <nova/snapshot.h>

#include "files/files.h"

struct merge_item {
	char *path;
	int kind, branch;
};

struct nova_merge {
	struct merge_item *items;
	size_t count, conflicts;
};

/* --- report --- */

void nova_merge_free(nova_merge_t *report)
{
	for (size_t i = 0; report && i < report->count; i++)
		free(report->items[i].path);
	if (report)
		free(report->items);
	free(report);
}

static const struct merge_item *item_at(const nova_merge_t *report, size_t index)
{
	static const struct merge_item none = { .branch = -1 };
	return report && index < report->count ? &report->items[index] : &none;
}

size_t nova_merge_count(const nova_merge_t *report)
{
	return report ? report->count : 0;
}

size_t nova_merge_conflicts(const nova_merge_t *report)
{
	return report ? report->conflicts : 0;
}

const char *nova_merge_path(const nova_merge_t *report, size_t index)
{
	return item_at(report, index)->path;
}

int nova_merge_kind(const nova_merge_t *report, size_t index)
{
	return item_at(report, index)->kind;
}

int nova_merge_branch(const nova_merge_t *report, size_t index)
{
	return item_at(report, index)->branch;
}

static char *path_in(const char *directory, const char *path)
{
	return str_format("%s/%s", directory[1] ? directory : "", path);
}

static int kind_of(const struct merge_row *row)
{
	return row->conflict                     ? NOVA_MERGE_CONFLICT :
	       files_same(row->base, row->final) ? 0 :
	       !row->base                        ? NOVA_MERGE_ADDED :
	       row->final                        ? NOVA_MERGE_CHANGED :
						   NOVA_MERGE_DELETED;
}

/* Of a merge that is refused: the conflicts only. */
static int make_report(const struct merge_plan *plan, const char *directory, bool refused,
	nova_merge_t **ret, nova_error_t **error)
{
	nova_merge_t *report = calloc(1, sizeof(*report));
	if (report)
		report->items = calloc(plan->count + 1, sizeof(*report->items));
	for (size_t i = 0; report && report->items && i < plan->count; i++) {
		struct merge_item item = {
			.kind = kind_of(&plan->rows[i]),
			.branch = plan->rows[i].branch,
		};
		if (!item.kind || (refused && item.kind != NOVA_MERGE_CONFLICT))
			continue;
		item.path = path_in(directory, plan->rows[i].path);
		report->items[report->count++] = item;
		if (!item.path)
			break;
	}
	if (!report || !report->items ||
		(report->count && !report->items[report->count - 1].path)) {
		nova_merge_free(report);
		return nova_oom(error);
	}
	report->conflicts = plan->conflicts;
	*ret = report;
	return 0;
}

/* --- doing it --- */

static int copy_content(nova_vm_t *from, nova_vm_t *to, const char *path, struct file_change *c,
	const struct stop *stop, nova_error_t **error)
{
	AUTO_BUF struct buf piece = BUF_INIT(PROTO_FILE_PIECE);
	int code = 0;
	while (code == 0 && !c->last) {
		buf_reset(&piece);
		code = vm_file_piece(from, path, c->file, c->offset, stop, &piece, error);
		c->data = piece.data;
		c->len = piece.len;
		c->last = c->offset + piece.len >= c->file->size;
		if (code == 0)
			code = vm_file_change(to, path, c, stop, error);
		c->offset += piece.len;
	}
	return code;
}

static int put(nova_vm_t *from, nova_vm_t *to, const char *path, const struct file *file,
	const struct stop *stop, nova_error_t **error)
{
	char part[17];
	struct file_change c = {
		.file = file, .part = part, .last = file->kind != NOVA_FILE_REGULAR
	};
	if (random_hex(part, 16) < 0)
		return nova_oom(error);
	return c.last ? vm_file_change(to, path, &c, stop, error) :
			copy_content(from, to, path, &c, stop, error);
}

static bool in_the_way(const struct merge_row *row)
{
	bool was = row->base && row->base->kind == NOVA_FILE_DIRECTORY,
	     is = row->final && row->final->kind == NOVA_FILE_DIRECTORY;
	return row->base && (!row->final || was != is);
}

/* What is within a directory goes before it, and comes after it. */
static int apply(const struct merge_plan *plan, const char *directory, nova_vm_t *const *branches,
	nova_vm_t *to, const struct stop *stop, nova_error_t **error)
{
	const struct file_change gone = { .file = NULL };
	int code = 0;
	for (size_t i = plan->count; i-- > 0 && code == 0;) {
		AUTO_FREE char *path = path_in(directory, plan->rows[i].path);
		if (in_the_way(&plan->rows[i]))
			code = path ? vm_file_change(to, path, &gone, stop, error) :
				      nova_oom(error);
	}
	for (size_t i = 0; i < plan->count && code == 0; i++) {
		const struct merge_row *row = &plan->rows[i];
		AUTO_FREE char *path = path_in(directory, row->path);
		if (row->final && !files_same(row->base, row->final))
			code = path ? put(branches[row->branch], to, path, row->final, stop,
					      error) :
				      nova_oom(error);
	}
	return code;
}

static int conflict(const struct merge_plan *plan, const char *directory, nova_error_t **error)
{
	size_t i = 0;
	while (!plan->rows[i].conflict)
		i++;
	return nova_fail(error, NOVA_EEXIST,
		"the branches do not agree on %zu path%s, the first is '%s%s%s': nothing was "
		"merged; say which branch shall have its way",
		plan->conflicts, plan->conflicts == 1 ? "" : "s", directory[1] ? directory : "",
		"/", plan->rows[i].path);
}

static int list_all(nova_vm_t *child, const nova_merge_opts *o, nova_files_t **ret_listings,
	nova_error_t **error)
{
	const nova_wait_opts wait = { sizeof(wait), .interrupt = o->interrupt };
	int code = nova_vm_list_files(child, o->directory, 0, &wait, &ret_listings[0], error);
	for (size_t i = 0; i < o->branch_count && code == 0; i++)
		code = nova_vm_list_files(
			o->branches[i], o->directory, 0, &wait, &ret_listings[i + 1], error);
	return code;
}

static int merge_into(
	nova_vm_t *child, const nova_merge_opts *o, nova_merge_t **ret_report, nova_error_t **error)
{
	nova_files_t *listings[MERGE_MOST + 1] = { NULL };
	CLEANUP(merge_plan_done) struct merge_plan plan = { .rows = NULL };
	const struct stop stop = { o->interrupt, NULL };
	int code = list_all(child, o, listings, error);
	if (code == 0)
		code = merge_plan_make(&plan, (const struct nova_files *const *)listings,
			o->branch_count, o->on_conflict, error);
	bool refused = code == 0 && plan.conflicts && o->on_conflict == NOVA_MERGE_REFUSE;
	nova_merge_t *report = NULL;
	if (code == 0)
		code = make_report(&plan, o->directory, refused, &report, error);
	if (code == 0)
		code = refused ? conflict(&plan, o->directory, error) :
				 apply(&plan, o->directory, o->branches, child, &stop, error);
	if (ret_report && report && (code == 0 || refused))
		*ret_report = STEAL(report);
	nova_merge_free(report);
	for (size_t i = 0; i <= o->branch_count; i++)
		nova_files_free(listings[i]);
	return code;
}

static int check(const nova_vm_t *parent, nova_merge_opts *o, nova_error_t **error)
{
	bool whole = o->branches && o->branch_count && o->branch_count <= MERGE_MOST;
	for (size_t i = 0; whole && i < o->branch_count; i++)
		whole = o->branches[i];
	if (!whole)
		return nova_fail(error, NOVA_EINVAL,
			"nova_merge_opts.branches: 1 to %u microVMs are needed", MERGE_MOST);
	if (o->on_conflict > NOVA_MERGE_INTERSECTION)
		return nova_fail(error, NOVA_EINVAL,
			"nova_merge_opts.on_conflict is %u: NOVA_MERGE_REFUSE, NOVA_MERGE_LATEST, "
			"NOVA_MERGE_FIRST or NOVA_MERGE_INTERSECTION",
			o->on_conflict);
	o->directory = o->directory ? o->directory : MERGE_DIRECTORY;
	if (!proto_path_absolute_ok(o->directory, strlen(o->directory)))
		return nova_fail(error, NOVA_EINVAL,
			"the directory of a merge has to be an absolute path with single slashes, "
			"without '.' and '..'");
	return vm_check_process(parent, error);
}

int nova_vm_merge(nova_vm_t *parent, const nova_merge_opts *opts, nova_vm_t **ret_vm,
	nova_merge_t **ret_report, nova_error_t **error)
{
	nova_merge_opts o;
	nova_vm_t *child = NULL;
	if (ret_report)
		*ret_report = NULL;
	if (ANY_NULL(error, parent, opts, ret_vm))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_merge_opts", error);
	if (code == 0)
		code = opts_reserved(o.reserved, "nova_merge_opts", error);
	if (code == 0)
		code = check(parent, &o, error);
	const nova_wait_opts wait = { sizeof(wait), .interrupt = o.interrupt };
	if (code == 0)
		code = nova_vm_fork(parent, 1, &wait, &child, error);
	if (code == 0)
		code = merge_into(child, &o, ret_report, error);
	if (code < 0)
		nova_vm_free(child);
	else
		*ret_vm = child;
	return code;
}
