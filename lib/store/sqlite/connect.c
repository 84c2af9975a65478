/* SPDX-License-Identifier: MIT */
/* One connection. */
#include "store/sqlite/sqlite.h"

int sqlite_connect(struct connection *c, nova_error_t **error)
{
	int rc = sqlite3_open_v2(c->path, &c->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!c->db)
		return nova_oom(error);
	sqlite3_extended_result_codes(c->db, 1);
	if (rc != SQLITE_OK)
		return sqlite_fail(c, rc, "open it", error);
	sqlite3_busy_timeout(c->db, c->kind->busy_ms);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* SQLite falls back to reading when it may not write; a user who registers wants to hear it
	 * now. */
	if (sqlite3_db_readonly(c->db, "main") == 1)
		return sqlite_fail(c, SQLITE_READONLY, "open it for writing", error);
	int64_t ignored; /* is it a database at all? Before anything is written. */
	int r = sqlite_ask(c, "PRAGMA schema_version", &ignored, error);
	if (r < 0)
		return r;
	return sqlite_run(c,
		"PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON; PRAGMA temp_store = "
		"MEMORY; PRAGMA foreign_keys = ON",
		"set it up", error);
}

void sqlite_disconnect(struct connection *c)
{
	for (int i = 0; i < SQL_STATEMENTS; i++)
		sqlite3_finalize(c->statements[i]);
	sqlite3_finalize(c->stamp);
	sqlite3_close(c->db);
	pthread_mutex_destroy(&c->lock);
}
