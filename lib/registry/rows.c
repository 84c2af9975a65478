/* SPDX-License-Identifier: MIT */
/* The rows of an archive on their way, one in memory at a time: {"TABLE": row}, one to a line, in a
 * file without a name. */
#include <errno.h>

#include "registry/internal.h"

#define PIECE    (1u << 20)
#define ROW_MOST (16u << 20)

int rows_new(const char *beside, struct rows *ret, nova_error_t **error)
{
	AUTO_FREE char *temp = NULL;
	AUTO_FD int fd = -1;
	int os = fs_temp_beside(beside, 0600, &fd, &temp);
	if (os == 0)
		os = fs_unlink(temp);
	if (os < 0)
		return nova_fail_os(error, os, "cannot make a file beside %s", beside);
	*ret = (struct rows){ .fd = STEAL_FD(fd), .text = BUF_INIT(ROW_MOST + PIECE) };
	return 0;
}

void rows_done(struct rows *rows)
{
	fd_close(rows->fd);
	buf_free(&rows->text);
}

int rows_write(struct rows *rows, const void *text, size_t len, nova_error_t **error)
{
	int os = sys_write_all(rows->fd, text, len);
	rows->size += len;
	return os < 0 ? nova_fail_os(error, os, "cannot write the rows of an archive") : 0;
}

int rows_flush(struct rows *rows, nova_error_t **error)
{
	int r = rows_write(rows, rows->text.data, rows->text.len, error);
	buf_reset(&rows->text);
	return r;
}

int rows_add(struct rows *rows, const char *table, json_t *row, nova_error_t **error)
{
	AUTO_JSON json_t *line = json_pack("{s:O}", table, row);
	AUTO_FREE char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	if (text && strlen(text) > ROW_MOST)
		return nova_fail(error, NOVA_ETOOBIG,
			"a row of %s has more than %u MiB, which no archive takes", table,
			ROW_MOST >> 20);
	if (!text || buf_append_str(&rows->text, text) < 0 || buf_append(&rows->text, "\n", 1) < 0)
		return nova_oom(error);
	return rows->text.len < PIECE ? 0 : rows_flush(rows, error);
}

/* --- reading --- */

void rows_rewind(struct rows *rows)
{
	buf_reset(&rows->text);
	rows->at = rows->taken = 0;
}

static int read_more(struct rows *rows, nova_error_t **error)
{
	uint64_t left = rows->size - rows->at;
	size_t n = left < PIECE ? (size_t)left : PIECE;
	uint8_t *to = buf_reserve(&rows->text, n);
	if (!to)
		return nova_oom(error);
	int os = sys_pread_all(rows->fd, to, n, rows->at);
	if (os < 0)
		return nova_fail_os(error, os, "cannot read the rows of an archive");
	rows->text.len += n;
	rows->at += n;
	return 0;
}

/* 1: there is a line, with its end or that of the file. */
static int next_line(struct rows *rows, size_t *ret_len, nova_error_t **error)
{
	size_t seen = 0;
	buf_consume(&rows->text, rows->taken);
	rows->taken = 0;
	for (;;) {
		const uint8_t *from = rows->text.data;
		const uint8_t *end = seen < rows->text.len ?
					     memchr(from + seen, '\n', rows->text.len - seen) :
					     NULL;
		seen = rows->text.len;
		*ret_len = end ? (size_t)(end - from) : seen;
		rows->taken = *ret_len + (end ? 1 : 0);
		if (*ret_len > ROW_MOST)
			return nova_fail(error, NOVA_ECORRUPT, "a row of it has more than %u MiB",
				ROW_MOST >> 20);
		if (end || rows->at == rows->size)
			return end || seen;
		int r = read_more(rows, error);
		if (r < 0)
			return r;
	}
}

int rows_next(struct rows *rows, json_t **ret_line, nova_error_t **error)
{
	size_t len;
	int r = next_line(rows, &len, error);
	if (r <= 0)
		return r;
	AUTO_JSON json_t *line = NULL;
	int os =
		json_parse((const char *)rows->text.data, len, JSON_REJECT_DUPLICATES, &line, NULL);
	if (os == -ENOMEM)
		return nova_oom(error);
	if (os < 0 || json_object_size(line) != 1)
		return nova_fail(error, NOVA_ECORRUPT, "a line of its rows is none");
	*ret_line = STEAL(line);
	return 1;
}
