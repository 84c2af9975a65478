/* SPDX-License-Identifier: MIT */
/* The journal of one context: a line is written before the answer of its call leaves. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/lock.h"
#include "base/table.h"
#include "usage/usage.h"

#define ENDING    ".journal"
#define NAME      16u
#define LINE_MOST 600u

bool usage_is_journal(const char *name)
{
	return strspn(name, "0123456789abcdef") == NAME && !strcmp(name + NAME, ENDING);
}

int usage_journal_init(struct usage_journal *j, const char *home, bool shared, nova_error_t **error)
{
	memset(j, 0, sizeof(*j));
	pthread_mutex_init(&j->lock, NULL);
	j->fd = -1;
	j->pending = BUF_INIT(USAGE_PENDING);
	j->directory = path_join(home, shared ? "usage/shared" : "usage");
	return j->directory ? 0 : nova_oom(error);
}

/* --- its file --- */

/* Somebody who looks for journals without an owner may be quicker. */
static int make_file(struct usage_journal *j)
{
	char name[NAME + 1];
	int r = fs_mkdirs(j->directory, 0700);
	if (r == 0)
		r = random_hex(name, NAME);
	AUTO_FREE char *path = r == 0 ? str_format("%s/%s" ENDING, j->directory, name) : NULL;
	if (r == 0 && !path)
		r = -ENOMEM;
	AUTO_FD int fd = r == 0 ? sys_open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0600) : r;
	if (fd < 0)
		return fd;
	r = sys_flock(fd, true, false);
	if (r == 0 && lock_is_removed(fd))
		r = -EAGAIN;
	if (r < 0)
		return r == -EWOULDBLOCK ? -EAGAIN : r;
	j->fd = STEAL_FD(fd);
	free(j->path);
	j->path = STEAL(path);
	j->size = 0;
	j->anonymous = true;
	return 0;
}

static int ensure_file(struct usage_journal *j)
{
	int r = j->fd >= 0 ? 0 : -EAGAIN;
	for (int i = 0; i < 10 && r == -EAGAIN; i++)
		r = make_file(j);
	return r;
}

/* Whole lines count at once, as others may have read them; a piece of one is taken back. */
static void keep_lines(struct usage_journal *j, size_t written)
{
	const uint8_t *end = written ? memrchr(j->pending.data, '\n', written) : NULL;
	size_t whole = end ? (size_t)(end - j->pending.data) + 1 : 0;
	j->size += whole;
	j->dirty = j->dirty || whole;
	buf_consume(&j->pending, whole);
	if (whole < written && sys_truncate(j->fd, j->size) < 0)
		fd_close(STEAL_FD(j->fd)); /* nothing is to come behind it */
}

static int write_pending(struct usage_journal *j)
{
	size_t written = 0;
	ssize_t n = ensure_file(j);
	while (n >= 0 && written < j->pending.len) {
		n = sys_write(j->fd, j->pending.data + written, j->pending.len - written);
		written += n > 0 ? (size_t)n : 0;
	}
	keep_lines(j, written);
	return n < 0 ? (int)n : 0;
}

/* --- lines --- */

static int format_line(char out[LINE_MOST], uint64_t time_us, const struct usage_record *r)
{
	int len = snprintf(out, LINE_MOST, "%016d\t%" PRIu64 "\t%u\t%s\t%s", 0, time_us, r->mode,
		r->key, r->function);
	for (int i = 0; i < USAGE_AMOUNTS; i++)
		len += snprintf(out + len, LINE_MOST - (size_t)len, "\t%" PRIu64, r->amounts[i]);
	char sum[17];
	snprintf(sum, sizeof(sum), "%016" PRIx64, hash_text(out + 17));
	memcpy(out, sum, 16);
	out[len++] = '\n';
	out[len] = 0;
	return len;
}

static bool take_number(char **at, uint64_t *ret)
{
	const char *text = strsep(at, "\t");
	int64_t number = 0;
	if (!text || !*text)
		return false;
	for (; is_digit(*text); text++)
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, *text - '0', &number))
			return false;
	*ret = (uint64_t)number;
	return !*text;
}

bool usage_line_read(char *line, struct usage_record *ret)
{
	char sum[17], *at = line;
	uint64_t time_us, mode;
	*ret = (struct usage_record){ 0 };
	if (strlen(line) < 18 || line[16] != '\t')
		return false;
	snprintf(sum, sizeof(sum), "%016" PRIx64, hash_text(line + 17));
	if (strncmp(sum, line, 16) != 0)
		return false;
	strsep(&at, "\t");
	bool fits = take_number(&at, &time_us) && take_number(&at, &mode) &&
		    mode < NOVA_USAGE_MODES && (ret->key = strsep(&at, "\t")) != NULL &&
		    (ret->function = strsep(&at, "\t")) != NULL;
	for (int i = 0; i < USAGE_AMOUNTS && fits; i++)
		fits = take_number(&at, &ret->amounts[i]);
	if (!fits || at || !text_is_utf8(ret->key) || !text_is_utf8(ret->function))
		return false;
	ret->mode = (uint32_t)mode;
	ret->hour = time_us / USAGE_HOUR_US;
	ret->month = usage_month_of(time_us);
	return true;
}

/* --- appending; with j->lock --- */

static int put(struct usage_journal *j, uint64_t time_us, const struct usage_record *record)
{
	char line[LINE_MOST];
	int len = format_line(line, time_us, record);
	return buf_append(&j->pending, line, (size_t)len);
}

/* What had no room in memory was counted; how many, the next line tells that has. */
static void put_lost(struct usage_journal *j, uint64_t time_us)
{
	struct usage_record lost = { .key = (char *)"", .function = (char *)"" };
	lost.amounts[USAGE_LOST] = j->lost;
	if (j->lost && put(j, time_us, &lost) == 0)
		j->lost = 0;
}

static int fail_write(const struct usage_journal *j, int r, nova_error_t **error)
{
	return nova_fail_os(
		error, r, "the journal of usage in '%s' cannot be written", j->directory);
}

int usage_journal_append(struct usage_journal *j, uint64_t time_us,
	const struct usage_record *record, nova_error_t **error)
{
	pthread_mutex_lock(&j->lock);
	if (put(j, time_us, record) < 0)
		j->lost++;
	int r = write_pending(j);
	if (r == 0 && j->lost) {
		put_lost(j, time_us);
		r = write_pending(j);
	}
	pthread_mutex_unlock(&j->lock);
	return r < 0 ? fail_write(j, r, error) : 0;
}

/* What is on the disk then; callers do not wait for that. */
struct unwritten {
	int fd;
	char *path; /* NULL: its name is there */
};

static void unwritten_done(struct unwritten *u)
{
	fd_close(u->fd);
	free(u->path);
}

/* With j->lock. */
static int take_unwritten(struct usage_journal *j, struct unwritten *u)
{
	if (!j->dirty || j->fd < 0)
		return 0;
	if (j->anonymous && !(u->path = strdup(j->path)))
		return -ENOMEM;
	u->fd = sys_dup(j->fd);
	j->dirty = j->anonymous = false;
	return u->fd < 0 ? u->fd : 0;
}

/* Both names are new the first time. Who has removed the file has taken it into the store. */
static int write_out(const struct usage_journal *j, const struct unwritten *u)
{
	int r = u->fd >= 0 ? sys_fsync(u->fd) : 0;
	if (r == 0 && u->path)
		r = fs_sync_name(u->path);
	return r == 0 && u->path ? fs_sync_name(j->directory) : r;
}

int usage_journal_flush(struct usage_journal *j, nova_error_t **error)
{
	CLEANUP(unwritten_done) struct unwritten u = { -1, NULL };
	pthread_mutex_lock(&j->lock);
	put_lost(j, clock_unix_us());
	int r = j->pending.len ? write_pending(j) : 0;
	if (r == 0)
		r = take_unwritten(j, &u);
	pthread_mutex_unlock(&j->lock);
	if (r == 0)
		r = write_out(j, &u);
	if (r < 0) {
		pthread_mutex_lock(&j->lock);
		j->dirty = j->anonymous = true;
		pthread_mutex_unlock(&j->lock);
	}
	return r < 0 ? fail_write(j, r, error) : 0;
}

/* While somebody appends to it a file is never in the store whole: so it is left. */
int usage_journal_leave(struct usage_journal *j, uint64_t least, nova_error_t **error)
{
	CLEANUP(unwritten_done) struct unwritten u = { -1, NULL };
	pthread_mutex_lock(&j->lock);
	bool dirty = j->dirty;
	if (j->fd >= 0 && j->size >= least) {
		u.fd = STEAL_FD(j->fd);
		u.path = STEAL(j->path);
		j->dirty = false;
	}
	pthread_mutex_unlock(&j->lock);
	int r = dirty ? write_out(j, &u) : 0;
	return r < 0 ? fail_write(j, r, error) : 0;
}

void usage_journal_done(struct usage_journal *j)
{
	fd_close(j->fd);
	buf_free(&j->pending);
	free(j->path);
	free(j->directory);
	pthread_mutex_destroy(&j->lock);
}
