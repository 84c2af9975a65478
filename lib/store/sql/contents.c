/* SPDX-License-Identifier: MIT */
/*
 * Files in pieces. A piece that is all zeros is not kept: much of a disk is.
 *
 * Nobody locks for it: who puts a file, or finds it there, keeps it for an hour by one statement,
 * and sweeping is another, so that one comes before the other. By then the record that needs it is
 * there.
 */
#include <errno.h>

#include "store/sql/sql.h"

#define PIECE (1u << 20)

static int keep(struct store *store, const char *hash, nova_error_t **error)
{
	uint64_t changes = 0;
	int r = sql_write(store, SQL_CONTENT_KEEP, (struct sql_value[]){ sql_text(hash) }, 1,
		&changes, error);
	return r < 0 ? r : changes > 0;
}

static int is_kept(struct store *store, const char *hash, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	return sql_query(store, SQL_CONTENT_SIZE, (struct sql_value[]){ sql_text(hash) }, 1,
		&session, error);
}

/* Where nothing can be written (a standby) nobody registers, so nothing has to be kept. */
static int has(struct store *store, const char *hash, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = keep(store, hash, &failure);
	if (r == NOVA_EPERM)
		return is_kept(store, hash, error);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return !len || (!data[0] && !memcmp(data, data + 1, len - 1));
}

static int put_piece(struct sql_session *session, const char *hash, uint64_t number,
	const uint8_t *data, size_t len, nova_error_t **error)
{
	const struct sql_value values[] = { sql_text(hash), sql_number(number),
		sql_bytes(data, len) };
	return is_zero(data, len) ? 0 : sql_run(session, SQL_PIECE_INSERT, values, 3, error);
}

static int put_pieces(
	struct sql_session *session, const char *hash, int fd, uint64_t size, nova_error_t **error)
{
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	int r = piece ? 0 : nova_oom(error);
	for (uint64_t at = 0; r == 0 && at < size; at += PIECE) {
		size_t len = size - at < PIECE ? (size_t)(size - at) : PIECE;
		int os = sys_pread_all(fd, piece, len, at);
		r = os < 0 ? nova_fail_os(error, os, "cannot read what is to be stored") :
			     put_piece(session, hash, at / PIECE, piece, len, error);
	}
	return r;
}

static int put_all(struct sql_session *session, const char *hash, int fd, nova_error_t **error)
{
	struct stat st;
	int os = sys_fstat(fd, &st);
	if (os < 0)
		return nova_fail_os(error, os, "cannot read what is to be stored");
	const struct sql_value values[] = { sql_text(hash), sql_number((uint64_t)st.st_size) };
	int r = sql_begin(session, error);
	if (r == 0)
		r = sql_run(session, SQL_CONTENT_INSERT, values, ARRAY_LEN(values), error);
	if (r == 0)
		r = put_pieces(session, hash, fd, (uint64_t)st.st_size, error);
	return r < 0 ? r : sql_commit(session, error);
}

static int put(struct store *store, const char *hash, int fd, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	int r = keep(store, hash, error);
	if (r != 0)
		return r < 0 ? r : 0;
	r = sql_start(store, SQL_WRITES, &session, error);
	return r < 0 ? r : put_all(&session, hash, fd, error);
}

/* --- getting --- */

static int write_piece(struct sql_session *session, int fd, uint64_t size, uint64_t *ret_next,
	nova_error_t **error)
{
	struct sql_row row = { session, 0, NULL, false };
	uint64_t number = row_number(&row, UINT32_MAX);
	const void *data;
	size_t len = 0;
	if (row.bad || !session->store->driver->bytes(session, 1, &data, &len) || len > PIECE ||
		number * PIECE + len > size)
		return nova_fail(error, NOVA_ECORRUPT,
			"the function store %s is damaged at a file of a function",
			session->store->place);
	*ret_next = number + 1;
	int os = sys_pwrite_all(fd, data, len, number * PIECE);
	return os < 0 ? nova_fail_os(error, os, "cannot write what was stored") : 0;
}

static int get_pieces(
	struct sql_session *session, const char *hash, int fd, uint64_t size, nova_error_t **error)
{
	uint64_t next = 0;
	for (;;) {
		const struct sql_value values[] = { sql_text(hash), sql_number(next) };
		int r = sql_run(session, SQL_PIECE_NEXT, values, ARRAY_LEN(values), error);
		if (r > 0)
			r = write_piece(session, fd, size, &next, error);
		else
			return r;
		if (r < 0)
			return r;
	}
}

static int get(struct store *store, const char *hash, int fd, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	struct sql_row row = { &session, 0, NULL, false };
	int r = sql_query(store, SQL_CONTENT_SIZE, (struct sql_value[]){ sql_text(hash) }, 1,
		&session, error);
	if (r == 0)
		return nova_fail(error, NOVA_ENOTFOUND,
			"the function store %s has no file %.12s…; register the function again to "
			"make it",
			session.store->place, hash);
	if (r < 0)
		return r;
	uint64_t size = row_number(&row, INT64_MAX);
	r = row_end(&row, error);
	if (r < 0)
		return r;
	int os = sys_truncate(fd, size);
	return os < 0 ? nova_fail_os(error, os, "cannot write what was stored") :
			get_pieces(&session, hash, fd, size, error);
}

static int sweep(struct store *store, nova_error_t **error)
{
	return sql_write(store, SQL_CONTENT_SWEEP, NULL, 0, NULL, error);
}

const struct content_ops sql_content_ops = {
	.has = has,
	.put = put,
	.get = get,
	.sweep = sweep,
};
