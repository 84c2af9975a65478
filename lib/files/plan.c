/* SPDX-License-Identifier: MIT */
/* What a merge will do: a comparison of listings, path by path, before anything is done. */
#include "files/files.h"

bool files_same(const struct file *a, const struct file *b)
{
	if (!a || !b || a->kind != b->kind)
		return a == b;
	if (a->kind == NOVA_FILE_LINK)
		return !strcmp(a->target, b->target);
	if (a->kind == NOVA_FILE_DIRECTORY)
		return a->mode == b->mode;
	return a->mode == b->mode && a->size == b->size && !strcmp(a->digest, b->digest) &&
	       (*a->digest || a->mtime_us == b->mtime_us);
}

static bool is_directory(const struct file *f)
{
	return f && f->kind == NOVA_FILE_DIRECTORY;
}

void merge_plan_done(struct merge_plan *plan)
{
	free(plan->rows);
	free(plan->files);
	free(plan->needs);
}

static const struct file *file_of(const struct merge_plan *plan, size_t row, size_t branch)
{
	return plan->files[row * plan->branches + branch];
}

static bool *needs_of(const struct merge_plan *plan, size_t row, size_t branch)
{
	return &plan->needs[row * plan->branches + branch];
}

/* --- rows --- */

/* The next entry of a listing that a merge looks at: pipes, sockets and devices belong to
 * processes. */
static const struct file *peek(const struct nova_files *files, size_t *at)
{
	while (*at < files->count && files->items[*at].kind == NOVA_FILE_OTHER)
		++*at;
	return *at < files->count ? &files->items[*at] : NULL;
}

static size_t parent_of(const struct merge_plan *plan, size_t row)
{
	size_t at = row ? row - 1 : SIZE_MAX;
	while (at != SIZE_MAX) {
		size_t len = strlen(plan->rows[at].path);
		if (!strncmp(plan->rows[row].path, plan->rows[at].path, len) &&
			plan->rows[row].path[len] == '/')
			break;
		at = plan->rows[at].parent;
	}
	return at;
}

/* Goes through all listings side by side; without plan->rows it only counts. */
static size_t walk(struct merge_plan *plan, const struct nova_files *const *listings)
{
	size_t at[MERGE_MOST + 1] = { 0 };
	for (size_t row = 0;; row++) {
		const char *path = NULL;
		for (size_t i = 0; i <= plan->branches; i++) {
			const struct file *f = peek(listings[i], &at[i]);
			if (f && (!path || proto_path_order(f->path, path) < 0))
				path = f->path;
		}
		if (!path)
			return row;
		if (plan->rows)
			plan->rows[row].path = path;
		for (size_t i = 0; i <= plan->branches; i++) {
			const struct file *f = peek(listings[i], &at[i]);
			if (!f || strcmp(f->path, path))
				continue;
			at[i]++;
			if (plan->rows)
				*(i ? &plan->files[row * plan->branches + i - 1] :
				      &plan->rows[row].base) = f;
		}
		if (plan->rows)
			plan->rows[row].parent = parent_of(plan, row);
	}
}

static int make_rows(
	struct merge_plan *plan, const struct nova_files *const *listings, nova_error_t **error)
{
	plan->count = walk(plan, listings);
	size_t cells = plan->count * plan->branches + 1;
	plan->files = calloc(cells, sizeof(*plan->files));
	plan->needs = calloc(cells, sizeof(*plan->needs));
	plan->rows =
		plan->files && plan->needs ? calloc(plan->count + 1, sizeof(*plan->rows)) : NULL;
	if (!plan->rows)
		return nova_oom(error);
	walk(plan, listings);
	return 0;
}

/* --- who has his way --- */

static bool changed(const struct merge_plan *plan, size_t row, size_t branch)
{
	return !files_same(plan->rows[row].base, file_of(plan, row, branch));
}

/* What is below a directory comes behind it, so this goes from the end. */
static void mark_needs(struct merge_plan *plan)
{
	for (size_t row = plan->count; row-- > 0;)
		for (size_t b = 0; b < plan->branches; b++)
			if (plan->rows[row].parent != SIZE_MAX &&
				(*needs_of(plan, row, b) ||
					(file_of(plan, row, b) && changed(plan, row, b))))
				*needs_of(plan, plan->rows[row].parent, b) = true;
}

/* The first branch that has changed the path; -1: none. `ret_differ`: not all those that have a say
 * want the same. `ret_tree`: one wants no directory here, so those that need one have a say, too.
 */
static int opinions(const struct merge_plan *plan, size_t row, bool *ret_differ, bool *ret_tree)
{
	int first = -1;
	*ret_differ = *ret_tree = false;
	for (size_t b = 0; b < plan->branches; b++) {
		if (!changed(plan, row, b))
			continue;
		*ret_tree |= !is_directory(file_of(plan, row, b));
		if (first < 0)
			first = (int)b;
		else
			*ret_differ |= !files_same(
				file_of(plan, row, (size_t)first), file_of(plan, row, b));
	}
	for (size_t b = 0; first >= 0 && b < plan->branches; b++)
		*ret_differ |= *ret_tree && *needs_of(plan, row, b) && !changed(plan, row, b);
	return first;
}

static uint64_t age(const struct file *f)
{
	return f ? f->mtime_us + 1 : 0;
}

static int choose(const struct merge_plan *plan, size_t row, bool tree, uint32_t on_conflict)
{
	int chosen = -1;
	for (size_t b = 0; b < plan->branches; b++) {
		if (!changed(plan, row, b) && !(tree && *needs_of(plan, row, b)))
			continue;
		if (chosen < 0 || (on_conflict == NOVA_MERGE_LATEST &&
					  age(file_of(plan, row, b)) >
						  age(file_of(plan, row, (size_t)chosen))))
			chosen = (int)b;
	}
	return chosen;
}

static bool all_changed(const struct merge_plan *plan, size_t row)
{
	bool all = true;
	for (size_t b = 0; b < plan->branches && all; b++)
		all = changed(plan, row, b);
	return all;
}

/* Which branch has its way, after opinions(); -1: none. */
static int decide(const struct merge_plan *plan, size_t row, bool tree, uint32_t on_conflict)
{
	const struct merge_row *r = &plan->rows[row];
	if (on_conflict == NOVA_MERGE_INTERSECTION)
		return !r->conflict && all_changed(plan, row) ? r->branch : -1;
	if (!r->conflict)
		return r->branch;
	return on_conflict == NOVA_MERGE_REFUSE ? -1 : choose(plan, row, tree, on_conflict);
}

static void resolve(struct merge_plan *plan, size_t row, uint32_t on_conflict)
{
	struct merge_row *r = &plan->rows[row];
	bool tree;
	if (r->parent != SIZE_MAX && !is_directory(plan->rows[r->parent].final)) {
		r->final = NULL; /* what became of the directory has been decided above */
		r->branch = plan->rows[r->parent].branch;
		return;
	}
	r->branch = opinions(plan, row, &r->conflict, &tree);
	r->branch = decide(plan, row, tree, on_conflict);
	r->final = r->branch < 0 ? r->base : file_of(plan, row, (size_t)r->branch);
	plan->conflicts += r->conflict;
}

int merge_plan_make(struct merge_plan *plan, const struct nova_files *const *listings,
	size_t branches, uint32_t on_conflict, nova_error_t **error)
{
	*plan = (struct merge_plan){ .branches = branches };
	int code = make_rows(plan, listings, error);
	if (code < 0)
		return code;
	mark_needs(plan);
	for (size_t row = 0; row < plan->count; row++)
		resolve(plan, row, on_conflict);
	return 0;
}
