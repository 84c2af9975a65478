/* SPDX-License-Identifier: MIT */
/* What is in a directory of the guest, page by page: a page ends when it is long, or has taken a
 * while, and the next one goes on behind its last entry. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/files/files.h"

#define PAGE_BYTES  (512u << 10) /* the entry that passes it is the last one */
#define PAGE_MS     50u
#define DIGEST_MOST (64u << 20) /* bytes of a file; a larger one has no digest */
#define DEPTH_MOST  64u

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash ^= word * 0x9E3779B97F4A7C15u;
	return (hash << 29 | hash >> 35) * 0xD6E8FEB86659FD93u;
}

/* Tells contents apart that differ by chance; nothing is kept from who wants two that do not. */
static int digest(int fd, uint64_t *ret)
{
	static uint8_t block[1 << 16];
	uint64_t hash = 0, total = 0;
	for (;;) {
		ssize_t got = sys_read(fd, block, sizeof(block));
		if (got < 0)
			return (int)got;
		if (!got)
			break;
		memset(block + got, 0, (size_t)-got & 7);
		for (ssize_t at = 0; at < got; at += 8) {
			uint64_t word;
			memcpy(&word, block + at, 8);
			hash = mix(hash, word);
		}
		total += (uint64_t)got;
	}
	hash = mix(hash, total);
	*ret = hash ^ hash >> 32;
	return 0;
}

struct listing {
	struct buf out;
	dev_t device;
	unsigned depth;
	uint64_t deadline; /* from the first entry on, so that every page has some */
	bool full;
	char path[PROTO_PATH_MAX];
	size_t len;
};

/* What an entry has instead of its content: 16 digits, or where a link leads. */
static int put_content(struct buf *out, int dir, const char *name, const struct stat *st)
{
	char text[20] = "";
	AUTO_FREE char *target = NULL;
	int r = 0;
	if (S_ISLNK(st->st_mode)) {
		r = sys_readlinkat(dir, name, &target);
		return r < 0                 ? r :
		       !text_is_utf8(target) ? -EILSEQ :
					       json_put_string(out, target, strlen(target));
	}
	if (S_ISREG(st->st_mode) && (uint64_t)st->st_size <= DIGEST_MOST) {
		uint64_t hash = 0;
		AUTO_FD int fd = sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
		r = fd < 0 ? fd : digest(fd, &hash);
		snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	}
	return r < 0 ? r : json_put_string(out, text, strlen(text));
}

static int put_entry(struct listing *l, int dir, const char *name, const struct stat *st)
{
	char text[96];
	size_t before = l->out.len;
	char kind = S_ISREG(st->st_mode) ? 'f' :
		    S_ISDIR(st->st_mode) ? 'd' :
		    S_ISLNK(st->st_mode) ? 'l' :
					   'o';
	int64_t mtime = timespec_to_us(&st->st_mtim);
	snprintf(text, sizeof(text), ",\"%c\",%u,%lld,%lld,", kind, (unsigned)st->st_mode & 07777,
		kind == 'f' ? (long long)st->st_size : 0LL, mtime > 0 ? (long long)mtime : 0LL);
	if (utf8_valid_prefix((const uint8_t *)name, strlen(name)) != strlen(name))
		return -EILSEQ;
	int r = buf_append_str(&l->out, before ? ",[" : "[");
	if (r == 0)
		r = json_put_string(&l->out, l->path, l->len);
	if (r == 0)
		r = buf_append_str(&l->out, text);
	if (r == 0)
		r = put_content(&l->out, dir, name, st);
	if (r == 0)
		r = buf_append_str(&l->out, "]");
	if (r == -ENOENT) /* it was removed meanwhile */
		l->out.len = before;
	if (!before)
		l->deadline = deadline_in_ms(PAGE_MS);
	return r == -ENOENT ? 0 : r;
}

static int list_directory(struct listing *l, int dir, const char *after, unsigned level);

/* `seen`: it was in the page before, but not all that is in it. */
static int list_one(
	struct listing *l, int dir, const char *name, bool seen, const char *after, unsigned level)
{
	struct stat st;
	int r = sys_lstatat(dir, name, &st);
	if (r < 0 || st.st_dev != l->device) /* what is mounted there is no part of it */
		return r == -ENOENT ? 0 : r;
	if (!seen && l->out.len && (l->out.len > PAGE_BYTES || deadline_passed(l->deadline))) {
		l->full = true;
		return 0;
	}
	if (!seen)
		r = put_entry(l, dir, name, &st);
	if (r < 0 || !S_ISDIR(st.st_mode) || (l->depth && level >= l->depth))
		return r;
	if (level >= DEPTH_MOST)
		return -ENAMETOOLONG;
	AUTO_FD int inside = files_step(dir, name, strlen(name), O_RDONLY);
	return inside >= 0 ? list_directory(l, inside, after, level + 1) :
	       inside == -ENOENT || inside == -ENOTDIR ? 0 :
							 inside;
}

/* In order, from what comes behind `after` on. */
static int list_directory(struct listing *l, int dir, const char *after, unsigned level)
{
	char **names, from[NAME_MAX + 1];
	const char *slash = strchr(after, '/');
	size_t len = slash ? (size_t)(slash - after) : strlen(after), before = l->len;
	int count = fs_list_at(dir, &names), r = 0;
	snprintf(from, sizeof(from), "%.*s", (int)len, after);
	for (int i = 0; i < count && r == 0 && !l->full; i++) {
		int order = len ? strcmp(names[i], from) : 1;
		size_t room = sizeof(l->path) - before;
		int put = snprintf(l->path + before, room, "%s%s", before ? "/" : "", names[i]);
		if (order < 0)
			continue;
		l->len = before + (size_t)put;
		r = (size_t)put >= room ? -ENAMETOOLONG :
					  list_one(l, dir, names[i], order == 0,
						  order == 0 && slash ? slash + 1 : "", level);
	}
	l->len = before;
	strv_free(names, count > 0 ? (size_t)count : 0);
	return count < 0 ? count : r;
}

static int list_page(const char *path, const char *after, struct listing *l)
{
	AUTO_FILES_ENTRY struct files_entry entry;
	struct stat st;
	int r = files_find(path, &entry);
	if (r < 0)
		return r;
	AUTO_FD int dir = files_step(entry.directory, entry.name, strlen(entry.name), O_RDONLY);
	r = dir < 0 ? dir : sys_fstat(dir, &st);
	if (r < 0)
		return r;
	l->device = st.st_dev;
	return list_directory(l, dir, after, 1);
}

static bool read_question(const struct files_call *call, const char **ret_after, struct listing *l)
{
	json_t *behind = json_object_get(call->payload, "after");
	const char *after = behind ? json_string_value(behind) : "";
	int64_t depth;
	if (!files_number(call->payload, "depth", UINT32_MAX, &depth) || !after ||
		(*after && !proto_path_ok(after, json_string_length(behind)))) {
		answer_refused(call->channel, call->id, "invalid",
			"\"depth\" has to be a number, \"after\" a path of the listing");
		return false;
	}
	*l = (struct listing){ .out = BUF_INIT(NOVA_FRAME_MAX / 2), .depth = (unsigned)depth };
	*ret_after = after;
	return true;
}

void files_list(const struct files_call *call)
{
	static struct listing l;
	const char *path = files_path(call), *after;
	if (!path || !read_question(call, &after, &l))
		return;
	int r = list_page(path, after, &l);
	AUTO_FREE char *entries = r == 0 ? buf_steal_str(&l.out) : NULL;
	AUTO_FREE char *more = entries ? str_format(",\"entries\":[%s],\"more\":%s", entries,
						 l.full ? "true" : "false") :
					 NULL;
	if (more)
		answer_status_with(call->channel, call->id, "ok", more);
	else
		files_refuse(call, path, r < 0 ? r : -ENOMEM);
	buf_free(&l.out);
}
