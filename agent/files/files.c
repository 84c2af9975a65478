/* SPDX-License-Identifier: MIT */
/*
 * Files of the guest, for the host: listed, read, written, removed. Functions own a part of the
 * tree and this is root, so each step of a path is opened by itself and no symbolic link is
 * followed. What is asked for is done at once: a listing comes in pages, content in pieces.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"

/* --- where --- */

void files_place_done(struct files_place *place)
{
	fd_close(place->directory);
}

int files_step(int directory, const char *name, size_t len, int flags)
{
	char copy[NAME_MAX + 1];
	memcpy(copy, name, len);
	copy[len] = 0;
	return sys_openat(directory, copy, flags | O_DIRECTORY | O_NOFOLLOW, 0);
}

int files_find(const char *path, struct files_place *ret)
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

void files_refuse(struct agent *agent, const char *id, const char *path, int r)
{
	const char *code = r == -ENOENT                 ? "missing" :
			   r == -ENOSPC || r == -EDQUOT ? "space" :
			   r == -ENOTDIR || r == -ELOOP || r == -EISDIR || r == -ENOTEMPTY ||
					   r == -EEXIST || r == -EINVAL || r == -EILSEQ ||
					   r == -ESTALE ?
							  "invalid" :
			   r == -ENOMEM ? "internal" :
					  "io";
	const char *why = r == -ENOTDIR || r == -ELOOP ?
				  "a part of the path is no directory, or a symbolic link" :
			  r == -EILSEQ       ? "there is a name in it that is not UTF-8" :
			  r == -ENAMETOOLONG ? "directories in it are nested too deeply" :
			  r == -ESTALE       ? "the piece does not follow the one before" :
					       strerror(-r);
	answer_refused(agent, id, code, "'%s': %s", path, why);
}

/* Where input files lie the host has no business: PID 1 keeps them apart. */
const char *files_path(struct agent *agent, const char *id, json_t *payload)
{
	json_t *path = json_object_get(payload, "path");
	const char *text = json_string_value(path);
	size_t own = strlen(agent->input_dir);
	if (!text || !proto_path_absolute_ok(text, json_string_length(path)))
		answer_refused(agent, id, "invalid",
			"\"path\" has to be absolute and normal: /names/between/single/slashes, "
			"without \"..\"");
	else if (agent->pid1 && !strncmp(text, agent->input_dir, own) &&
		 (!text[own] || text[own] == '/'))
		answer_refused(agent, id, "invalid", "%s is the agent's own", agent->input_dir);
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

/* --- read --- */

static int read_piece(
	const char *path, uint64_t offset, size_t length, struct stat *st, struct buf *out)
{
	AUTO_FILES_PLACE struct files_place place;
	int r = files_find(path, &place);
	AUTO_FD int fd = r < 0 ? r :
				 sys_openat(place.directory, place.name,
					 O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	r = fd < 0 ? fd : sys_fstat(fd, st);
	if (r < 0)
		return r;
	if (!S_ISREG(st->st_mode))
		return S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
	uint8_t *to = buf_reserve(out, length + 1);
	while (to && out->len < length) {
		ssize_t got =
			pread(fd, to + out->len, length - out->len, (off_t)(offset + out->len));
		if (got < 0 && errno != EINTR)
			return -errno;
		if (!got)
			break;
		out->len += got > 0 ? (size_t)got : 0;
	}
	/* of the kernel's own files this alone is true */
	if (out->len < length || (uint64_t)st->st_size < offset + out->len)
		st->st_size = (off_t)(offset + out->len);
	return to ? 0 : -ENOMEM;
}

static void on_read(struct agent *agent, const char *id, json_t *payload)
{
	const char *path = files_path(agent, id, payload);
	int64_t offset, length;
	struct stat st;
	AUTO_BUF struct buf bytes = BUF_INIT(PROTO_FILE_PIECE + 1),
			    more = BUF_INIT(NOVA_FRAME_MAX / 2);
	char head[128];
	if (!path)
		return;
	if (!files_number(payload, "offset", INT64_MAX / 2, &offset) ||
		!files_number(payload, "length", PROTO_FILE_PIECE, &length)) {
		answer_refused(agent, id, "invalid",
			"\"offset\" and \"length\" have to be numbers, \"length\" at most %u",
			PROTO_FILE_PIECE);
		return;
	}
	int r = read_piece(path, (uint64_t)offset, (size_t)length, &st, &bytes);
	if (r == 0) {
		snprintf(head, sizeof(head),
			",\"size\":%lld,\"mode\":%u,\"mtime_us\":%lld,\"base64\":\"",
			(long long)st.st_size, (unsigned)st.st_mode & 07777,
			(long long)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000);
		r = buf_append_str(&more, head);
	}
	if (r == 0)
		r = base64_put(&more, bytes.data, bytes.len);
	if (r == 0)
		r = buf_append(&more, "\"", 2);
	if (r == 0)
		answer_status_with(agent, id, "ok", (char *)more.data);
	else
		files_refuse(agent, id, path, r);
}

/* --- write --- */

struct change {
	const char *kind, *target, *part;
	char temp[32]; /* in the same directory, until it is whole */
	struct buf bytes;
	int64_t offset, mode, mtime_us;
	bool last, owned; /* owned: it becomes the function's */
};

/* Nobody but us has it: functions can neither write it nor give it another name that we would not
 * see. */
static int open_part(int dir, const struct change *c)
{
	struct stat st;
	int fd = sys_openat(
		dir, c->temp, O_WRONLY | O_NOFOLLOW | (c->offset ? 0 : O_CREAT | O_EXCL), 0600);
	int r = fd < 0 ? fd : sys_fstat(fd, &st);
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid() ||
			      st.st_size != c->offset))
		r = -ESTALE;
	if (r == 0)
		return fd;
	fd_close(fd);
	return r == -ENOENT ? -ESTALE : r;
}

static int finish_part(const struct files_place *place, int fd, const struct change *c)
{
	const struct timespec times[2] = { { 0, c->mtime_us ? UTIME_OMIT : UTIME_NOW },
		{ c->mtime_us / 1000000, c->mtime_us % 1000000 * 1000 } };
	if ((c->owned && fchown(fd, FUNCTION_UID, FUNCTION_UID) < 0) ||
		fchmod(fd, (mode_t)c->mode) < 0 || (c->mtime_us && futimens(fd, times) < 0))
		return -errno;
	return renameat(place->directory, c->temp, place->directory, place->name) < 0 ? -errno : 0;
}

static int put_file(const struct files_place *place, const struct change *c)
{
	AUTO_FD int fd = open_part(place->directory, c);
	if (fd < 0)
		return fd;
	int r = sys_pwrite_all(fd, c->bytes.data, c->bytes.len, (uint64_t)c->offset);
	if (r == 0 && c->last)
		r = finish_part(place, fd, c);
	if (r < 0)
		unlinkat(place->directory, c->temp, 0);
	return r;
}

static int put_directory(const struct files_place *place, const struct change *c)
{
	bool made = mkdirat(place->directory, place->name, 0700) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	AUTO_FD int fd = files_step(place->directory, place->name, strlen(place->name), O_RDONLY);
	if (fd < 0)
		return fd;
	return (made && c->owned && fchown(fd, FUNCTION_UID, FUNCTION_UID) < 0) ||
			       fchmod(fd, (mode_t)c->mode) < 0 ?
		       -errno :
		       0;
}

static int put_link(const struct files_place *place, const struct change *c)
{
	int at = place->directory;
	if (symlinkat(c->target, at, c->temp) < 0)
		return -errno;
	if ((!c->owned ||
		    fchownat(at, c->temp, FUNCTION_UID, FUNCTION_UID, AT_SYMLINK_NOFOLLOW) == 0) &&
		renameat(at, c->temp, at, place->name) == 0)
		return 0;
	int r = -errno;
	unlinkat(at, c->temp, 0);
	return r;
}

static int remove_one(const struct files_place *place)
{
	if (unlinkat(place->directory, place->name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return unlinkat(place->directory, place->name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Text without escapes is taken as it is: a parser would take longer than all the rest. */
static bool read_content(struct json_span content, struct buf *out)
{
	if (!content.at)
		return true;
	if (content.len >= 2 && content.at[0] == '"' && !memchr(content.at, '\\', content.len))
		return base64_get(out, content.at + 1, content.len - 2) == 0;
	AUTO_JSON json_t *text = json_loadb(content.at, content.len, JSON_DECODE_ANY, NULL);
	return json_is_string(text) &&
	       base64_get(out, json_string_value(text), json_string_length(text)) == 0;
}

static bool read_change(json_t *payload, struct json_span content, struct change *c)
{
	int last = 1;
	c->target = c->part = "";
	if (json_unpack(payload, "{s:s, s?s, s?s, s?b}", "kind", &c->kind, "target", &c->target,
		    "part", &c->part, "last", &last) < 0 ||
		!files_number(payload, "offset", INT64_MAX / 2, &c->offset) ||
		!files_number(payload, "mode", 07777, &c->mode) ||
		!files_number(payload, "mtime_us", INT64_MAX / 2, &c->mtime_us))
		return false;
	c->last = last;
	snprintf(c->temp, sizeof(c->temp), ".nova-%s", c->part);
	return strspn(c->part, "0123456789abcdef") == strlen(c->part) && strlen(c->part) <= 16 &&
	       read_content(content, &c->bytes);
}

static int change(const char *path, const struct change *c)
{
	AUTO_FILES_PLACE struct files_place place;
	int r = files_find(path, &place);
	if (r < 0)
		return r;
	if (!strcmp(c->kind, "remove"))
		return remove_one(&place);
	return !strcmp(c->kind, "file")      ? put_file(&place, c) :
	       !strcmp(c->kind, "directory") ? put_directory(&place, c) :
					       put_link(&place, c);
}

static void on_write(struct agent *agent, const char *id, json_t *payload, struct json_span content)
{
	static const char *const kinds[] = { "file", "directory", "link", "remove" };
	struct change c = { .bytes = BUF_INIT(PROTO_FILE_PIECE), .owned = agent->pid1 };
	const char *path = files_path(agent, id, payload);
	bool known = false;
	bool well = path && read_change(payload, content, &c);
	for (size_t i = 0; well && i < ARRAY_LEN(kinds); i++)
		known |= !strcmp(c.kind, kinds[i]) && (i == 3 || i == 1 || *c.part);
	int r = known ? change(path, &c) : 0;
	if (path && !known)
		answer_refused(agent, id, "invalid",
			"File write needs \"kind\" (file, directory, link, remove), and for a file "
			"or link \"part\", hex digits; its piece in base64 has at most %u bytes",
			PROTO_FILE_PIECE);
	else if (path && r < 0)
		files_refuse(agent, id, path, r);
	else if (path)
		answer_status(agent, id, "ok");
	buf_free(&c.bytes);
}

bool files_handle(
	struct agent *agent, int type, const char *id, json_t *payload, struct json_span content)
{
	if (type == NOVA_MSG_FILE_READ)
		on_read(agent, id, payload);
	else if (type == NOVA_MSG_FILE_WRITE)
		on_write(agent, id, payload, content);
	else if (type == NOVA_MSG_FILE_LIST)
		files_list(agent, id, payload);
	else
		return false;
	return true;
}
