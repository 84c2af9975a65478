/* SPDX-License-Identifier: MIT */
/* Files of the guest, for the host: read, written, removed. What is asked for is done at once:
 * content comes in pieces. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/files/files.h"

/* --- read --- */

static int read_piece(
	const char *path, uint64_t offset, size_t length, struct stat *st, struct buf *out)
{
	AUTO_FILES_ENTRY struct files_entry entry;
	int r = files_find(path, &entry);
	AUTO_FD int fd = r < 0 ? r :
				 sys_openat(entry.directory, entry.name,
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

static int put_piece(struct buf *more, const struct stat *st, const struct buf *bytes)
{
	char head[128];
	snprintf(head, sizeof(head), ",\"size\":%lld,\"mode\":%u,\"mtime_us\":%lld,\"base64\":\"",
		(long long)st->st_size, (unsigned)st->st_mode & 07777,
		(long long)timespec_to_us(&st->st_mtim));
	int r = buf_append_str(more, head);
	if (r == 0)
		r = base64_put(more, bytes->data, bytes->len);
	return r < 0 ? r : buf_append(more, "\"", 2);
}

static void on_read(const struct files_call *call)
{
	const char *path = files_path(call);
	int64_t offset, length;
	struct stat st;
	AUTO_BUF struct buf bytes = BUF_INIT(PROTO_FILE_PIECE + 1);
	AUTO_BUF struct buf more = BUF_INIT(NOVA_FRAME_MAX / 2);
	if (!path)
		return;
	if (!files_number(call->payload, "offset", INT64_MAX / 2, &offset) ||
		!files_number(call->payload, "length", PROTO_FILE_PIECE, &length)) {
		answer_refused(call->channel, call->id, "invalid",
			"\"offset\" and \"length\" have to be numbers, \"length\" at most %u",
			PROTO_FILE_PIECE);
		return;
	}
	int r = read_piece(path, (uint64_t)offset, (size_t)length, &st, &bytes);
	if (r == 0)
		r = put_piece(&more, &st, &bytes);
	if (r == 0)
		answer_status_with(call->channel, call->id, "ok", (char *)more.data);
	else
		files_refuse(call, path, r);
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

static int finish_part(const struct files_entry *entry, int fd, const struct change *c)
{
	const struct timespec times[2] = { { 0, c->mtime_us ? UTIME_OMIT : UTIME_NOW },
		us_to_timespec(c->mtime_us) };
	if ((c->owned && fchown(fd, FUNCTION_UID, FUNCTION_UID) < 0) ||
		fchmod(fd, (mode_t)c->mode) < 0 || (c->mtime_us && futimens(fd, times) < 0))
		return -errno;
	return renameat(entry->directory, c->temp, entry->directory, entry->name) < 0 ? -errno : 0;
}

static int put_file(const struct files_entry *entry, const struct change *c)
{
	AUTO_FD int fd = open_part(entry->directory, c);
	if (fd < 0)
		return fd;
	int r = sys_pwrite_all(fd, c->bytes.data, c->bytes.len, (uint64_t)c->offset);
	if (r == 0 && c->last)
		r = finish_part(entry, fd, c);
	if (r < 0)
		unlinkat(entry->directory, c->temp, 0);
	return r;
}

static int put_directory(const struct files_entry *entry, const struct change *c)
{
	bool made = mkdirat(entry->directory, entry->name, 0700) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	AUTO_FD int fd = files_step(entry->directory, entry->name, strlen(entry->name), O_RDONLY);
	if (fd < 0)
		return fd;
	return (made && c->owned && fchown(fd, FUNCTION_UID, FUNCTION_UID) < 0) ||
			       fchmod(fd, (mode_t)c->mode) < 0 ?
		       -errno :
		       0;
}

static int put_link(const struct files_entry *entry, const struct change *c)
{
	int at = entry->directory;
	if (symlinkat(c->target, at, c->temp) < 0)
		return -errno;
	if ((!c->owned ||
		    fchownat(at, c->temp, FUNCTION_UID, FUNCTION_UID, AT_SYMLINK_NOFOLLOW) == 0) &&
		renameat(at, c->temp, at, entry->name) == 0)
		return 0;
	int r = -errno;
	unlinkat(at, c->temp, 0);
	return r;
}

static int remove_one(const struct files_entry *entry)
{
	if (unlinkat(entry->directory, entry->name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return unlinkat(entry->directory, entry->name, AT_REMOVEDIR) < 0 ? -errno : 0;
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
	AUTO_FILES_ENTRY struct files_entry entry;
	int r = files_find(path, &entry);
	if (r < 0)
		return r;
	if (!strcmp(c->kind, "remove"))
		return remove_one(&entry);
	return !strcmp(c->kind, "file")      ? put_file(&entry, c) :
	       !strcmp(c->kind, "directory") ? put_directory(&entry, c) :
					       put_link(&entry, c);
}

static bool is_known(const struct change *c)
{
	return !strcmp(c->kind, "directory") || !strcmp(c->kind, "remove") ||
	       ((!strcmp(c->kind, "file") || !strcmp(c->kind, "link")) && *c->part);
}

static void on_write(const struct files_call *call)
{
	struct change c = { .bytes = BUF_INIT(PROTO_FILE_PIECE), .owned = call->guest->pid1 };
	const char *path = files_path(call);
	bool known = path && read_change(call->payload, call->content, &c) && is_known(&c);
	int r = known ? change(path, &c) : 0;
	if (path && !known)
		answer_refused(call->channel, call->id, "invalid",
			"File write needs \"kind\" (file, directory, link, remove), and for a file "
			"or link \"part\", hex digits; its piece in base64 has at most %u bytes",
			PROTO_FILE_PIECE);
	else if (path && r < 0)
		files_refuse(call, path, r);
	else if (path)
		answer_status(call->channel, call->id, "ok");
	buf_free(&c.bytes);
}

bool files_handle(const struct files_call *call, int type)
{
	if (type == NOVA_MSG_FILE_READ)
		on_read(call);
	else if (type == NOVA_MSG_FILE_WRITE)
		on_write(call);
	else if (type == NOVA_MSG_FILE_LIST)
		files_list(call);
	else
		return false;
	return true;
}
