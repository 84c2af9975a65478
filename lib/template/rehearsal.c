/* SPDX-License-Identifier: MIT */
/*
 * What a zygote of a runtime rehearses before it stands still (docs/hot.md): being given a function
 * and calling it, of ours, on a code disk of ours. The agent does it in processes that end, and
 * undoes what they leave.
 */
#include <fcntl.h>

#include "disk/disk.h"
#include "hash/hash.h"
#include "json/json.h"
#include "proto/proto.h"
#include "template/recipe.h"

#define MOST_MS 30000

/* A handler and a program in one. What it imports is what many do. */
static const char python_code[] = "import collections, datetime, json, math, random, re, sys\n"
				  "def handler(event):\n"
				  "    print('rehearsal')\n"
				  "    print('rehearsal', file=sys.stderr)\n"
				  "    return {'event': event, 'text': json.dumps([1, 2.5, 'a'])}\n"
				  "if __name__ == '__main__':\n"
				  "    print(json.dumps(handler({})))\n";

static const char shell_code[] = "#!/bin/sh\necho rehearsal\n";

/* What is rehearsed with. What starts a program for each call has the same on its way to that,
 * whatever the program; an interpreter that cannot be copied is not started twice. */
struct part {
	const char *runtime, *code;
	bool is_warm;
};

static const struct part python = { "python", python_code, true };
static const struct part others = { "shell", shell_code, false };

static const struct part *part_for(const struct recipe *r)
{
	const struct function_config *c = &r->want->vm->config;
	bool own = c->protocol && *c->protocol;
	return own ? NULL : !strcmp(c->runtime, python.runtime) ? &python : &others;
}

/* --- its disk --- */

/* As large as the one in whose place functions' disks come, and the same for all. */
static int build(const char *path, const char *code, nova_error_t **error)
{
	AUTO_FREE char *temp = str_format("%s.new", path);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = code;
	opts.data_len = strlen(code);
	opts.entry_name = "handler";
	if (!temp)
		return nova_oom(error);
	fs_unlink(temp);
	int code_made = disk_build_once(temp, &opts, NULL, 0, error);
	if (code_made < 0)
		return code_made;
	AUTO_FD int fd = sys_open(temp, O_RDWR, 0);
	int r = fd < 0 ? fd : sys_truncate(fd, NOVA_DISK_MAX_SIZE);
	if (r == 0)
		r = fs_publish(fd, temp, path);
	if (r < 0)
		fs_unlink(temp);
	return r < 0 ? nova_fail_os(error, r, "'%s'", path) : 0;
}

/* *ret_path is the caller's. */
static int find_disk(const char *root, const char *code, char **ret_path, nova_error_t **error)
{
	char digest[SHA256_HEX];
	AUTO_FREE char *guard = path_join(root, ".lock"), *path = NULL;
	AUTO_FD int guard_fd = -1;
	if (sha256_hex(code, strlen(code), digest) == 0)
		path = str_format("%s/.code-rehearsal-%.8s", root, digest);
	if (!guard || !path)
		return nova_oom(error);
	int r = fs_lock(guard, true, &guard_fd);
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", guard);
	int code_made = fs_exists(path) == 1 ? 0 : build(path, code, error);
	if (code_made == 0)
		*ret_path = STEAL(path);
	return code_made;
}

/* --- what is asked --- */

static json_t *init(const struct part *part, bool once)
{
	json_t *payload = json_pack("{s:s, s:s, s:s, s:{}, s:{}, s:i}", "request_id", "rehearsal",
		"runtime", part->runtime, "handler", "", "env_vars", "preopens", "timeout_ms",
		MOST_MS);
	if (payload && once && json_object_set_new(payload, "once", json_true()) == 0)
		json_object_set_new(payload, "program", json_true());
	return payload;
}

static json_t *exec(void)
{
	return json_pack("{s:s, s:i, s:{s:[i,f,b,n], s:s}}", "request_id", "rehearsal",
		"timeout_ms", MOST_MS, "input", "values", 1, 2.5, 1, "text", "rehearsal");
}

/* One guest, that is given a function and calls it. */
static json_t *guest(const struct part *part, bool once)
{
	return json_pack("[{s:i, s:o}, {s:i, s:o}]", "type", NOVA_MSG_INIT, "payload",
		init(part, once), "type", NOVA_MSG_EXEC, "payload", exec());
}

/* NULL: out of memory. */
static char *compose(const struct part *part)
{
	AUTO_JSON json_t *guests = json_array();
	for (int once = !part->is_warm; guests && once < 2; once++)
		json_array_append_new(guests, guest(part, once));
	AUTO_JSON json_t *payload =
		json_pack("{s:i, s:O}", "timeout_ms", MOST_MS, "guests", guests);
	return payload ? json_dumps(payload, JSON_COMPACT) : NULL;
}

int rehearsal_prepare(const struct recipe *runtime, const struct frozen *frozen,
	struct frozen **ret_frozen, nova_error_t **error)
{
	AUTO_FREE char *disk = NULL, *asked = NULL;
	const struct part *part = part_for(runtime);
	int code = 0;
	if (part)
		code = find_disk(runtime->root, part->code, &disk, error);
	if (code == 0)
		code = frozen_with_code(
			frozen, disk ? disk : runtime->code_disk, ret_frozen, error);
	if (code < 0 || !part)
		return code;
	asked = compose(part);
	if (asked)
		frozen_set_rehearsal(*ret_frozen, STEAL(asked));
	return 0;
}
