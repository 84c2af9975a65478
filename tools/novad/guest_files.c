/* SPDX-License-Identifier: MIT */
/* The files of an instance's guest: list, read, write, remove. */
#include <stdlib.h>
#include <string.h>

#include "routes.h"

const struct field files_query[] = {
	{ "path", KIND_TEXT, "an absolute path of the guest", true, .max = 4096 },
	{ "depth", KIND_NUMBER, "levels below the directory; 0: all", .min = 0, .max = 1000 },
	{ NULL },
};

const struct field file_query[] = {
	{ "path", KIND_TEXT, "an absolute path of the guest", true, .max = 4096 },
	{ "mode", KIND_NUMBER, "permissions, as a decimal number; 420 (0644)", .min = 1,
		.max = 4095 },
	{ NULL },
};

static nova_vm_t *vm_of(struct job *job)
{
	nova_instance_t *instance = instance_of(job);
	return instance ? nova_instance_vm(instance) : NULL;
}

static uint32_t query_number(const struct job *job, const char *name)
{
	const char *text = job_query(job, name);
	return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static json_t *entry_json(const nova_files_t *files, size_t i)
{
	static const char *const kinds[] = { "", "file", "directory", "link", "other" };
	const char *path = nova_files_path(files, i), *target = nova_files_target(files, i);
	return need(json_pack("{s:o,s:s,s:I,s:i,s:I,s:o}", "path", text_json(path, strlen(path)),
		"kind", kinds[nova_files_kind(files, i)], "size",
		(json_int_t)nova_files_size(files, i), "mode", (int)nova_files_mode(files, i),
		"mtime_us", (json_int_t)nova_files_mtime_us(files, i), "target",
		text_json(target, strlen(target))));
}

static void list(struct job *job)
{
	nova_error_t *error = NULL;
	nova_files_t *files = NULL;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	nova_vm_t *vm = vm_of(job);
	if (!vm)
		return;
	wait.interrupt = job_interrupt(job);
	json_t *entries = need(json_array());
	if (nova_vm_list_files(vm, job_query(job, "path"), query_number(job, "depth"), &wait,
		    &files, &error) != 0)
		job_fail_by(job, error);
	for (size_t i = 0; i < nova_files_count(files); i++)
		json_array_append_new(entries, entry_json(files, i));
	job_answer(job, json_pack("{s:o}", "files", entries));
	nova_files_free(files);
	nova_error_free(error);
}

static void read_file(struct job *job)
{
	void *data = NULL;
	size_t len = 0;
	nova_error_t *error = NULL;
	nova_file_read_opts opts = NOVA_FILE_READ_OPTS_INIT;
	const struct novad *novad = job_userdata(job);
	nova_vm_t *vm = vm_of(job);
	if (!vm)
		return;
	opts.max_size = (size_t)novad->settings.body_kb << 10;
	opts.interrupt = job_interrupt(job);
	if (nova_vm_read_file(vm, job_query(job, "path"), &opts, &data, &len, &error) != 0) {
		job_fail_by(job, error);
	} else {
		job_header(job, "Content-Disposition", "attachment");
		job_answer_bytes(job, data, len);
	}
	nova_free(data);
	nova_error_free(error);
}

static void write_file(struct job *job)
{
	nova_error_t *error = NULL;
	nova_file_write_opts opts = NOVA_FILE_WRITE_OPTS_INIT;
	const struct bytes *body = job_body(job);
	nova_vm_t *vm = vm_of(job);
	if (!vm)
		return;
	opts.mode = query_number(job, "mode");
	opts.interrupt = job_interrupt(job);
	if (nova_vm_write_file(vm, job_query(job, "path"), body->data, body->len, &opts, &error) !=
		0)
		job_fail_by(job, error);
	else
		job_status(job, 204);
	nova_error_free(error);
}

static void remove_file(struct job *job)
{
	nova_error_t *error = NULL;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	nova_vm_t *vm = vm_of(job);
	if (!vm)
		return;
	wait.interrupt = job_interrupt(job);
	if (nova_vm_remove_file(vm, job_query(job, "path"), &wait, &error) != 0)
		job_fail_by(job, error);
	else
		job_status(job, 204);
	nova_error_free(error);
}

const struct job_verb verb_files_list = { .name = "list", .work = list };
const struct job_verb verb_file_read = { .name = "read", .work = read_file };
const struct job_verb verb_file_write = { .name = "write", .work = write_file };
const struct job_verb verb_file_remove = { .name = "remove", .work = remove_file };
