/* SPDX-License-Identifier: MIT */
/* Paths that the host names. Functions own a part of the tree and this is root, so each step of a
 * path is opened by itself and no symbolic link is followed. */
#include <errno.h>
#include <fcntl.h>

#include "agent/files/files.h"

void files_entry_done(struct files_entry *entry)
{
	fd_close(entry->directory);
}

int files_step(int directory, const char *name, size_t len, int flags)
{
	char copy[NAME_MAX + 1];
	memcpy(copy, name, len);
	copy[len] = 0;
	return sys_openat(directory, copy, flags | O_DIRECTORY | O_NOFOLLOW, 0);
}

int files_find(const char *path, struct files_entry *ret)
{
	int at = sys_open("/", O_PATH | O_DIRECTORY, 0);
	const char *name = path + 1, *slash;
	while (at >= 0 && (slash = strchr(name, '/'))) {
		int next = files_step(at, name, (size_t)(slash - name), O_PATH);
		fd_close(at);
		at = next;
		name = slash + 1;
	}
	ret->directory = at;
	snprintf(ret->name, sizeof(ret->name), "%s", *name ? name : ".");
	return at < 0 ? at : 0;
}

static const char *code_of(int r)
{
	switch (-r) {
	case ENOENT:
		return "missing";
	case ENOSPC:
	case EDQUOT:
		return "space";
	case ENOTDIR:
	case ELOOP:
	case EISDIR:
	case ENOTEMPTY:
	case EEXIST:
	case EINVAL:
	case EILSEQ:
	case ESTALE:
		return "invalid";
	case ENOMEM:
		return "internal";
	default:
		return "io";
	}
}

static const char *why_not(int r)
{
	switch (-r) {
	case ENOTDIR:
	case ELOOP:
		return "a part of the path is no directory, or a symbolic link";
	case EILSEQ:
		return "there is a name in it that is not UTF-8";
	case ENAMETOOLONG:
		return "directories in it are nested too deeply";
	case ESTALE:
		return "the piece does not follow the one before";
	default:
		return strerror(-r);
	}
}

void files_refuse(const struct files_call *call, const char *path, int r)
{
	const char *code = code_of(r), *why = why_not(r);
	answer_refused(call->channel, call->id, code, "'%s': %s", path, why);
}

/* Where input files lie the host has no business: PID 1 keeps them apart. */
static bool is_ours(const struct guest *guest, const char *path)
{
	size_t own = strlen(guest->input_dir);
	return guest->pid1 && !strncmp(path, guest->input_dir, own) &&
	       (!path[own] || path[own] == '/');
}

const char *files_path(const struct files_call *call)
{
	json_t *path = json_object_get(call->payload, "path");
	const char *text = json_string_value(path);
	if (!text || !proto_path_absolute_ok(text, json_string_length(path)))
		answer_refused(call->channel, call->id, "invalid",
			"\"path\" has to be absolute and normal: /names/between/single/slashes, "
			"without \"..\"");
	else if (is_ours(call->guest, text))
		answer_refused(call->channel, call->id, "invalid", "%s is the agent's own",
			call->guest->input_dir);
	else
		return text;
	return NULL;
}

bool files_number(json_t *payload, const char *name, int64_t most, int64_t *ret)
{
	json_t *value = json_object_get(payload, name);
	*ret = json_integer_value(value);
	return (!value || json_is_integer(value)) && *ret >= 0 && *ret <= most;
}
