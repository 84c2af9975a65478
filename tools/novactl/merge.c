/* SPDX-License-Identifier: MIT */
/* snapshot merge: branches that are snapshots, put together in a new one. The VMs that it takes are
 * gone afterwards. */
#include "novactl.h"

#define BRANCHES_MOST 64
#define TREE_DEPTH    1000 /* of parents that are looked at; nobody has as many */

static struct {
	const char *name, *directory, *on_conflict, *format;
} given;

static const struct opt merge_options[] = {
	{ OPT_TEXT, 'n', "name", "NAME", "what to call the new snapshot [its id]", &given.name },
	{ OPT_TEXT, 'd', "directory", "PATH",
		"merge what is below this directory of the guests [/tmp]", &given.directory },
	{ OPT_TEXT, 0, "on-conflict", "HOW", "refuse, latest, first or intersection [refuse]",
		&given.on_conflict },
	{ OPT_TEXT, 'o', "output", "FORMAT", "table, json or yaml [table]", &given.format },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* All that a merge takes, in the order of the command line: the parent first. */
struct family {
	nova_host_t *host;
	size_t count;
	nova_snapshot_t *snapshots[BRANCHES_MOST + 1];
	nova_vm_t *vms[BRANCHES_MOST + 1];
};

static void family_done(struct family *f)
{
	for (size_t i = 0; i < f->count; i++) {
		nova_vm_free(f->vms[i]);
		nova_snapshot_free(f->snapshots[i]);
	}
	nova_host_unref(f->host);
}

/* 1: it does; 0: it does not; -1: one of those between has been deleted. */
static int descends(nova_host_t *host, const nova_snapshot_t *branch, const char *from)
{
	char id[17];
	int found = !strcmp(nova_snapshot_id(branch), from) ? 1 : 0;
	snprintf(id, sizeof(id), "%s", nova_snapshot_parent(branch));
	for (int i = 0; !found && *id && i < TREE_DEPTH; i++) {
		nova_snapshot_t *parent = NULL;
		if (!strcmp(id, from))
			return 1;
		if (nova_snapshot_open(host, id, &parent, NULL) != 0)
			return -1;
		snprintf(id, sizeof(id), "%s", nova_snapshot_parent(parent));
		nova_snapshot_free(parent);
	}
	return found;
}

static int check_tree(const struct family *f)
{
	const char *parent = nova_snapshot_name(f->snapshots[0]);
	for (size_t i = 1; i < f->count; i++) {
		const char *name = nova_snapshot_name(f->snapshots[i]);
		int found = descends(f->host, f->snapshots[i], nova_snapshot_id(f->snapshots[0]));
		if (!found)
			return failure("snapshot '%s' does not descend from '%s': novactl snapshot "
				       "list shows the parents",
				name, parent);
		if (found < 0)
			note("Whether %s descends from %s cannot be seen any more: a snapshot "
			     "between them is deleted.",
				name, parent);
	}
	return STATUS_OK;
}

static int open_family(struct family *f, char **names, size_t count)
{
	nova_error_t *error = NULL;
	for (; f->count < count; f->count++)
		if (nova_snapshot_open(f->host, names[f->count], &f->snapshots[f->count], &error) !=
			0)
			return report(error);
	int status = check_tree(f);
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = interruptible();
	for (size_t i = 0; !status && i < count; i++)
		if (nova_vm_restore(f->host, f->snapshots[i], &wait, &f->vms[i], &error) != 0)
			status = report(error);
	return status;
}

/* --- what came of it --- */

static const char *kind_name(const nova_merge_t *merge, size_t i)
{
	static const char *const names[] = { "", "added", "changed", "deleted", "conflict" };
	return names[nova_merge_kind(merge, i)];
}

static const char *branch_name(const struct family *f, const nova_merge_t *merge, size_t i)
{
	int branch = nova_merge_branch(merge, i);
	return branch < 0 ? "" : nova_snapshot_name(f->snapshots[branch + 1]);
}

static json_t *paths_json(const struct family *f, const nova_merge_t *merge)
{
	json_t *paths = need(json_array());
	for (size_t i = 0; i < nova_merge_count(merge); i++)
		json_array_append_new(paths,
			need(json_pack("{s:s,s:s,s:s}", "path", nova_merge_path(merge, i), "kind",
				kind_name(merge, i), "branch", branch_name(f, merge, i))));
	return paths;
}

/* `made` NULL: it was refused. */
static int show(const struct family *f, const nova_merge_t *merge, const nova_snapshot_t *made)
{
	static const char *const headings[] = { "CHANGE", "PATH", "BRANCH" };
	int status = STATUS_OK;
	json_t *whole = json_pack("{s:s,s:s,s:s,s:I,s:o}", "snapshot",
		made ? nova_snapshot_id(made) : "", "name", made ? nova_snapshot_name(made) : "",
		"parent", nova_snapshot_id(f->snapshots[0]), "conflicts",
		(json_int_t)nova_merge_conflicts(merge), "paths", paths_json(f, merge));
	if (print_structured(need(whole), given.format, &status))
		return status;
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < nova_merge_count(merge); i++) {
		const char *branch = branch_name(f, merge, i);
		table_cell(&table, "%s", kind_name(merge, i));
		table_cell(&table, "%s", nova_merge_path(merge, i));
		table_cell(&table, "%s", *branch ? branch : "-");
	}
	table_end(&table);
	if (made)
		print_field("Snapshot", "%s", nova_snapshot_id(made));
	return STATUS_OK;
}

static int merge_family(struct family *f, nova_merge_opts *opts)
{
	nova_vm_t *merged = NULL;
	nova_merge_t *merge = NULL;
	nova_snapshot_t *made = NULL;
	nova_error_t *error = NULL;
	nova_snapshot_opts snapshot = NOVA_SNAPSHOT_OPTS_INIT;
	snapshot.name = given.name;
	snapshot.interrupt = interruptible();
	progress_say("merging");
	opts->branches = f->vms + 1;
	opts->branch_count = f->count - 1;
	int code = nova_vm_merge(f->vms[0], opts, &merged, &merge, &error);
	bool refused = code != 0 && merge;
	if (code == 0) {
		progress_say("writing the snapshot");
		code = nova_vm_snapshot(merged, &snapshot, &made, &error);
	}
	nova_vm_free(merged);
	progress_stop();
	int status = code == 0 || refused ? show(f, merge, made) : STATUS_OK;
	if (code != 0)
		status = report(error);
	nova_snapshot_free(made);
	nova_merge_free(merge);
	return status;
}

static int read_conflict(const char *word, uint32_t *ret)
{
	/* as the values are numbered */
	static const char *const words[] = { "refuse", "latest", "first", "intersection" };
	for (uint32_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i], word)) {
			*ret = i;
			return STATUS_OK;
		}
	return usage_error(&verb_snapshot_merge,
		"--on-conflict '%s' is not one of refuse, latest, first, intersection", word);
}

static int merge_run(char **args, int count)
{
	nova_merge_opts opts = NOVA_MERGE_OPTS_INIT;
	int status =
		given.on_conflict ? read_conflict(given.on_conflict, &opts.on_conflict) : STATUS_OK;
	if (!status && given.format && strcmp(given.format, "table") &&
		strcmp(given.format, "json") && strcmp(given.format, "yaml"))
		status = usage_error(&verb_snapshot_merge,
			"--output '%s' is not one of table, json, yaml", given.format);
	if (status)
		return status;
	opts.directory = given.directory;
	opts.interrupt = interruptible();
	CLEANUP(family_done) struct family family = { .host = session_host(&status) };
	if (!family.host)
		return status;
	progress_start("restoring the branches");
	status = open_family(&family, args, (size_t)count);
	if (!status)
		status = merge_family(&family, &opts);
	progress_stop();
	return status;
}

const struct verb verb_snapshot_merge = {
	.name = "snapshot merge",
	.args = "PARENT BRANCH...",
	.purpose = "Make a snapshot of several that have gone on from one, with the files of all.",
	.examples = "  novactl snapshot merge start try-a try-b --name both\n"
		    "  novactl snapshot merge start try-a try-b --on-conflict latest\n",
	.notes =
		"Files below one directory are merged, as a comparison of each branch with the "
		"parent\n"
		"shows what it has added, changed and deleted. Memory and processes are the "
		"parent's.\n"
		"What two branches have changed differently is a conflict: refuse merges nothing,\n"
		"latest takes the path that was changed last, first that of the first branch.\n",
	.options = merge_options,
	.min_args = 2,
	.max_args = BRANCHES_MOST + 1,
	.run = merge_run,
};
