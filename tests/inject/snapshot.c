/* SPDX-License-Identifier: MIT */
/* Snapshots and templates on disk. They are written without a machine: the fake engine has none
 * that could be saved. */
#include <fcntl.h>

#include "inject.h"
#include "vm/instant.h"

#define MEMORY_MB 32u

static nova_snapshot_t *snapshot;

static void write_as(const char *id, const char *name)
{
	static const struct pages none = PAGES_NONE;
	AUTO_FREE char *root = path_join(world.home, "snapshots");
	AUTO_FD int memory = sys_memfd("memory"), state = sys_memfd("state");
	AUTO_MANIFEST struct manifest m = {
		.name = strdup(name),
		.created_us = 1,
		.engine = strdup("qemu"),
		.engine_identity = strdup("q"),
		.rootfs_identity = strdup(""),
		.code_identity = strdup(""),
		.config = { .memory_mb = MEMORY_MB, .vcpus = 1 },
	};
	snprintf(m.id, sizeof(m.id), "%s", id);
	MUST(sys_truncate(memory, (uint64_t)MEMORY_MB << 20));
	MUST(sys_pwrite_all(state, "state", 5, 0));
	struct snapshot_parts parts = { memory, &none, state, false };
	MUST(snapshot_write(root, &m, &parts, &world.error));
}

static void make_snapshots(void)
{
	write_as("00000000000000aa", "first");
	write_as("00000000000000bb", "second");
	write_as("00000000000000cc", TEMPLATE_PREFIX "00000000000000cc");
}

static int open_snapshot(nova_error_t **error)
{
	nova_snapshot_t *s = NULL;
	int code = nova_snapshot_open(world.host, "second", &s, error);
	bool whole = code < 0 ||
		     (!strcmp(nova_snapshot_id(s), "00000000000000bb") &&
			     !strcmp(nova_snapshot_name(s), "second") && *nova_snapshot_path(s) &&
			     !*nova_snapshot_base(s) && !*nova_snapshot_parent(s) &&
			     !*nova_snapshot_draws(s) && !nova_snapshot_has_function(s) &&
			     nova_snapshot_created_us(s) == 1 && nova_snapshot_used_us(s) > 1 &&
			     !nova_snapshot_life_time_s(s) && nova_snapshot_disk_bytes(s));
	nova_snapshot_free(s);
	return whole ? code : NOVA_EAGENT;
}

static int open_nothing(nova_error_t **error)
{
	nova_snapshot_t *s = NULL;
	return nova_snapshot_open(world.host, "third", &s, error);
}

static int list_some(int (*get)(nova_host_t *, nova_snapshot_t ***, size_t *, nova_error_t **),
	size_t expected, nova_error_t **error)
{
	nova_snapshot_t **list = NULL;
	size_t count = 0;
	int code = get(world.host, &list, &count, error);
	nova_snapshot_list_free(list, count);
	return code == 0 && count != expected ? NOVA_EAGENT : code;
}

static int list_snapshots(nova_error_t **error)
{
	return list_some(nova_snapshot_list, 2, error);
}

static int list_templates(nova_error_t **error)
{
	return list_some(nova_template_list, 1, error);
}

static void prepare_delete(void)
{
	nova_snapshot_delete(world.host, "more", NULL);
	write_as("00000000000000dd", "more");
}

static int delete (nova_error_t **error)
{
	return nova_snapshot_delete(world.host, "more", error);
}

static void delete_more(void)
{
	nova_snapshot_delete(world.host, "more", NULL);
}

static int prune(nova_error_t **error)
{
	size_t count = 0;
	return nova_snapshot_prune(world.host, &count, error);
}

static void delete_templates(void)
{
	nova_template_prune(world.host, 1, NULL, NULL);
}

static void prepare_templates(void)
{
	delete_templates();
	write_as("00000000000000ee", TEMPLATE_PREFIX "00000000000000ee");
}

static int prune_templates(nova_error_t **error)
{
	size_t count = 0;
	return nova_template_prune(world.host, 1, &count, error);
}

static int count_templates(nova_error_t **error)
{
	uint64_t values[NOVA_TEMPLATE_LIMIT_BYTES + 1];
	int code = nova_template_stats(world.host, values, ARRAY_LEN(values), error);
	if (code < 0)
		return code;
	return code == ARRAY_LEN(values) && values[NOVA_TEMPLATE_COUNT] == 1 ? 0 : NOVA_EAGENT;
}

static void make_restore(void)
{
	make_snapshots();
	MUST(nova_snapshot_open(world.host, "first", &snapshot, &world.error));
}

static int restore(nova_error_t **error)
{
	nova_vm_t *vm = NULL;
	return nova_vm_restore(world.host, snapshot, NULL, &vm, error);
}

static int submit_restore(nova_error_t **error)
{
	nova_queue_t *queue = NULL;
	nova_call_t *call = NULL;
	int code = nova_queue_new(world.nova, NULL, &queue, error);
	if (code == 0)
		code = nova_queue_submit_vm_restore(queue, snapshot, NULL, NULL, error);
	if (code == 0)
		code = nova_queue_collect(queue, 60000, NULL, &call, error);
	if (code == 0 && call) {
		nova_error_t *mine = nova_call_take_error(call);
		code = nova_call_code(call);
		if (error)
			*error = mine;
		else
			nova_error_free(mine);
	}
	nova_call_free(call);
	nova_queue_free(queue);
	return code;
}

const struct inject_case snapshot_cases[] = {
	{ "nova_snapshot_open nova_snapshot_free nova_snapshot_id nova_snapshot_name "
	  "nova_snapshot_path nova_snapshot_base nova_snapshot_parent nova_snapshot_draws "
	  "nova_snapshot_has_function nova_snapshot_created_us nova_snapshot_life_time_s "
	  "nova_snapshot_used_us "
	  "nova_snapshot_disk_bytes",
		make_snapshots, .run = open_snapshot },
	{ "nova_snapshot_open", make_snapshots, .run = open_nothing, .expected = NOVA_ENOTFOUND },
	{ "nova_snapshot_list nova_snapshot_list_free", make_snapshots, .run = list_snapshots },
	{ "nova_template_list", make_snapshots, .run = list_templates },
	{ "nova_template_stats", make_snapshots, .run = count_templates },
	{ "nova_snapshot_delete", NULL, prepare_delete, delete, delete_more, .slow = true },
	{ "nova_snapshot_prune", make_snapshots, .run = prune },
	{ "nova_template_prune", NULL, prepare_templates, prune_templates, delete_templates,
		.slow = true },
	{ "nova_vm_restore", make_restore, .run = restore, .expected = NOVA_ESTALE },
	{ "nova_queue_submit_vm_restore", make_restore, .run = submit_restore,
		.expected = NOVA_ESTALE },
	{ NULL },
};
