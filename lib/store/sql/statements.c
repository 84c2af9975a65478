/* SPDX-License-Identifier: MIT */
/* The statements. */
#include "store/sql/sql.h"

/* Those with each label of the JSON array $1: the same text, or one that goes on with '=' behind
 * it, which no key has in it. */
#define HAVE_LABELS                                                                                \
	"NOT EXISTS (SELECT 1 FROM json_each($1) AS wanted WHERE NOT EXISTS (SELECT 1 FROM "       \
	"json_each(functions.labels) AS label WHERE label.value = wanted.value OR "                \
	"(wanted.value NOT LIKE '%=%' AND "                                                        \
	"substr(label.value, 1, length(wanted.value) + 1) = wanted.value || '=')))"

/* By the clock of the database, which all hosts share. */
#define AN_HOUR "unixepoch() + 3600"

#define RUNTIME_COLUMNS                                                                            \
	"name, rootfs, image, protocol, argv, memory_mb, timeout_s, init_timeout_s, created_us"
#define INSERT_RUNTIME                                                                             \
	"INSERT INTO runtimes (" RUNTIME_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"

#define ALIAS_COLUMNS                                                                              \
	"id, name, alias, version, COALESCE(second, 0) AS second, weight, created_us, updated_us"
#define KEY_COLUMNS                                                                                \
	"name, hash, prefix, tier, expires_us, created_us, updated_us, revoked, rate, period_ms, " \
	"burst"
#define SECRET_COLUMNS "name, key_id, created_us, updated_us, sealed"
/* Of a blob. */
#define USES_CONTENT "WHERE code_hash = contents.hash OR image = '" IMAGE_BLOB "' || contents.hash"
#define USES         "WHERE code_hash = $1 OR image = '" IMAGE_BLOB "' || $1"

#define CALL_COLUMNS                                                                               \
	"request_id, function, id, version, started_us, duration_us, cold, code, runtime, "        \
	"instance, path, input_size, output_size, memory_peak, lost, cut, error, out, err"
/* The first one that began then or later is not found by looking at all. Those that go beyond what
 * a page may have (NOVA_INVOCATION_PAGE_BYTES) are not read. */
#define CALLS(column, order)                                                                       \
	("SELECT number, " CALL_COLUMNS                                                            \
	 " FROM (SELECT place, sum(size) OVER (ORDER BY place " order                              \
	 ") - size AS so_far FROM (SELECT number AS place, length(out) + length(err) AS "          \
	 "size FROM calls WHERE number > $1 AND number < $2 AND "                                  \
	 "started_us >= $3 AND started_us < $4 AND code BETWEEN $5 AND $6 AND ($7 = 0 OR "         \
	 "version = $7)" column " AND number >= CASE WHEN $3 = 0 THEN 0 ELSE (SELECT "             \
	 "COALESCE(min(number), $2) FROM calls WHERE started_us >= $3) END ORDER BY number " order \
	 " LIMIT $8) AS found) AS page CROSS JOIN calls WHERE number = place AND so_far < "        \
	 "16777216 ORDER BY number " order)
#define OF_REQUEST " AND request_id = $9 AND ($10 = 0 OR function = $11)"
/* The time of the n-th per cent of the calls, the fastest first. */
#define PERCENTILE(n) "min(CASE WHEN place * 100 >= count * " n " THEN duration_us END)"
#define SUMMARY(column)                                                                            \
	("SELECT function, count(*), count(CASE WHEN code <> 0 THEN 1 END), count(CASE WHEN cold " \
	 "<> 0 THEN 1 END), " PERCENTILE("50") ", " PERCENTILE("95") ", " PERCENTILE(              \
		 "99") ", max(duration_us) FROM (SELECT function, code, cold, duration_us, "       \
		       "row_number() OVER (PARTITION BY function ORDER BY duration_us) AS place, " \
		       "count(*) OVER (PARTITION BY function) AS count FROM calls WHERE "          \
		       "started_us >= $1 AND started_us < $2" column ") AS calls GROUP BY "        \
		       "function ORDER BY function")
/* In portions, and so that nothing is left that is older than what is removed. */
#define TRIM_MOST "200"

#define USAGE_COLUMNS                                                                              \
	"calls, vcpu_us, memory_mb_us, disk_mb_us, gpu_us, egress, ingress, snapshot_kb_s, lost"
/* The most there can be stays what it is: databases do not agree on what is more. */
#define ADDED(amount)                                                                              \
	"CASE WHEN usage." amount " > 9223372036854775807 - excluded." amount                      \
	" THEN 9223372036854775807 ELSE usage." amount " + excluded." amount " END"
#define ADDED_TIMES ADDED("vcpu_us") ", " ADDED("memory_mb_us") ", " ADDED("disk_mb_us")
#define ADDED_BYTES ADDED("gpu_us") ", " ADDED("egress") ", " ADDED("ingress")
#define ADDED_REST  ADDED("snapshot_kb_s") ", " ADDED("lost")
#define USAGE_ADDED ADDED("calls") ", " ADDED_TIMES ", " ADDED_BYTES ", " ADDED_REST
/* In two parts, as no sum of those is too large: usage.c puts them together. */
#define SUM(amount)                                                                                \
	"CAST(sum(" amount " / 2147483648) AS BIGINT), CAST(sum(" amount " % 2147483648) AS "      \
	"BIGINT)"
#define SUM_TIMES   SUM("vcpu_us") ", " SUM("memory_mb_us") ", " SUM("disk_mb_us")
#define SUM_BYTES   SUM("gpu_us") ", " SUM("egress") ", " SUM("ingress")
#define SUM_REST    SUM("snapshot_kb_s") ", " SUM("lost")
#define USAGE_SUMS  SUM("calls") ", " SUM_TIMES ", " SUM_BYTES ", " SUM_REST
#define USAGE_GROUP "period, api_key, function, mode"

#define FILE_COLUMNS "function, name, type, hash, size, updated_us"
#define KV_COLUMNS   "function, key, version, expires_us, size, value"
/* What has not expired at the time of that parameter. */
#define KV_LIVES(now) "(expires_us = 0 OR expires_us > " now ")"
#define KV_BYTES                                                                                   \
	"(SELECT COALESCE(CAST(sum(size) AS BIGINT), 0) FROM kv_entries WHERE function = $1 "
#define FILE_BYTES                                                                                 \
	"(SELECT COALESCE(CAST(sum(size) AS BIGINT), 0) FROM kv_files WHERE function = $1 "
/* A page: space, prefix, behind, most. */
#define KV_PAGE(name)                                                                              \
	"WHERE function = $1 AND " name " >= $2 AND substr(" name                                  \
	", 1, length($2)) = $2 AND " name " > $3 "

/* "@" stands for the columns of a function, "#" for a parameter for each (the id, the name, and the
 * rest), "!" for the parameter behind them. */
static const char *const texts[SQL_STATEMENTS] = {
	[SQL_FUNCTION_INSERT] = "INSERT INTO functions (@) VALUES (#)",
	[SQL_FUNCTION_UPDATE] = ("UPDATE functions SET (@) = (#)"
				 " WHERE name = $2 AND id = $1 AND updated_us = !"),
	[SQL_FUNCTION_GET] = "SELECT @ FROM functions WHERE name = $1",
	[SQL_FUNCTION_LIST] = ("SELECT @ FROM functions WHERE name > $2 AND " HAVE_LABELS
			       " ORDER BY name LIMIT $3"),
	[SQL_FUNCTION_NAMES] = ("SELECT name FROM functions WHERE $2 = '' OR runtime = $2 "
				"ORDER BY name LIMIT $1"),
	[SQL_FUNCTION_REMOVE] =
		"DELETE FROM functions WHERE name = $1 AND ($2 = 0 OR updated_us = $2)",
	[SQL_VERSION_INSERT] = ("INSERT INTO versions (@) SELECT @ FROM functions WHERE id = $1 "
				"AND version = $2 ON CONFLICT (id, version) DO NOTHING"),
	[SQL_VERSION_GET] = "SELECT @ FROM versions WHERE name = $1 AND version = $2",
	[SQL_VERSION_LIST] = "SELECT @ FROM versions WHERE name = $1 ORDER BY version",
	[SQL_VERSION_COUNT] = "SELECT count(*) FROM versions WHERE id = $1 AND version = $2",
	[SQL_VERSION_REMOVE] = "DELETE FROM versions WHERE name = $1 AND version = $2",
	[SQL_VERSIONS_REMOVE] = "DELETE FROM versions WHERE name = $1",
	[SQL_ALIAS_PUT] = ("INSERT INTO aliases (id, name, alias, version, second, weight, "
			   "created_us, updated_us) VALUES ($1, $2, $3, $4, NULLIF($5, 0), $6, $7, "
			   "$7) ON CONFLICT (name, alias) DO UPDATE SET (id, version, second, "
			   "weight, updated_us) = ($1, $4, NULLIF($5, 0), $6, $7)"),
	[SQL_ALIAS_GET] = "SELECT " ALIAS_COLUMNS " FROM aliases WHERE name = $1 AND alias = $2",
	[SQL_ALIAS_LIST] = "SELECT " ALIAS_COLUMNS " FROM aliases WHERE name = $1 ORDER BY alias",
	[SQL_ALIAS_REMOVE] = "DELETE FROM aliases WHERE name = $1 AND alias = $2",
	[SQL_ALIASES_REMOVE] = "DELETE FROM aliases WHERE name = $1",
	[SQL_ALIASES_REMOVE_OF] = "DELETE FROM aliases WHERE name = $1 AND version = $2",
	[SQL_ALIASES_MEND] = ("UPDATE aliases SET second = NULL, weight = 0 WHERE name = $1 AND "
			      "second = $2"),
	[SQL_USERS] = ("SELECT (SELECT count(*) FROM functions " USES ") + (SELECT count(*) FROM "
		       "versions " USES ") + (SELECT count(*) FROM runtimes WHERE image = "
		       "'" IMAGE_BLOB "' || $1)"),
	[SQL_RUNTIME_INSERT] = INSERT_RUNTIME,
	[SQL_RUNTIME_REPLACE] =
		(INSERT_RUNTIME " ON CONFLICT (name) DO UPDATE SET (" RUNTIME_COLUMNS
				") = ($1, $2, $3, $4, $5, $6, $7, $8, $9)"),
	[SQL_RUNTIME_GET] = "SELECT " RUNTIME_COLUMNS " FROM runtimes WHERE name = $1",
	[SQL_RUNTIME_LIST] = "SELECT " RUNTIME_COLUMNS " FROM runtimes ORDER BY name",
	[SQL_RUNTIME_REMOVE] = "DELETE FROM runtimes WHERE name = $1",
	[SQL_KEY_INSERT] =
		("INSERT INTO api_keys (" KEY_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $6, 0, "
		 "$7, $8, $9)"),
	[SQL_KEY_GET] = "SELECT " KEY_COLUMNS " FROM api_keys WHERE name = $1",
	[SQL_KEY_FIND] = "SELECT " KEY_COLUMNS " FROM api_keys WHERE hash = $1",
	[SQL_KEY_LIST] = "SELECT " KEY_COLUMNS " FROM api_keys ORDER BY name",
	[SQL_KEY_REVOKE] = ("UPDATE api_keys SET (revoked, updated_us) = (1, CASE revoked WHEN 1 "
			    "THEN updated_us ELSE $2 END) WHERE name = $1"),
	[SQL_KEY_REMOVE] = "DELETE FROM api_keys WHERE name = $1",
	[SQL_SECRET_PUT] =
		("INSERT INTO secrets (" SECRET_COLUMNS ") VALUES ($1, $2, $3, $4, $5) ON "
		 "CONFLICT (name) DO UPDATE SET (key_id, updated_us, sealed) = ($2, $4, "
		 "$5)"),
	[SQL_SECRET_GET] = "SELECT " SECRET_COLUMNS " FROM secrets WHERE name = $1",
	[SQL_SECRET_LIST] =
		"SELECT name, key_id, created_us, updated_us FROM secrets ORDER BY name",
	[SQL_SECRET_RESEAL] =
		"UPDATE secrets SET (key_id, sealed) = ($2, $3) WHERE name = $1 AND sealed = $4",
	[SQL_SECRET_REMOVE] = "DELETE FROM secrets WHERE name = $1",
	[SQL_FUNCTIONS_COPY] = "SELECT @ FROM functions ORDER BY name",
	[SQL_VERSIONS_COPY] = "SELECT @ FROM versions ORDER BY name, version",
	[SQL_ALIASES_COPY] = "SELECT " ALIAS_COLUMNS " FROM aliases ORDER BY name, alias",
	[SQL_SECRETS_COPY] = "SELECT " SECRET_COLUMNS " FROM secrets ORDER BY name",
	[SQL_VERSION_RESTORE] = "INSERT INTO versions (@) VALUES (#)",
	[SQL_ALIAS_RESTORE] =
		("INSERT INTO aliases (id, name, alias, version, second, weight, created_us, "
		 "updated_us) VALUES ($1, $2, $3, $4, NULLIF($5, 0), $6, $7, $8)"),
	[SQL_KEY_RESTORE] = ("INSERT INTO api_keys (" KEY_COLUMNS ") VALUES ($1, $2, $3, $4, $5, "
			     "$6, $7, $8, $9, $10, $11)"),
	[SQL_SECRET_RESTORE] =
		"INSERT INTO secrets (" SECRET_COLUMNS ") VALUES ($1, $2, $3, $4, $5)",
	[SQL_CONTENT_KEEP] = "UPDATE contents SET kept = " AN_HOUR " WHERE hash = $1",
	[SQL_CONTENT_INSERT] = ("INSERT INTO contents (hash, size, kept) VALUES ($1, $2, " AN_HOUR
				") ON CONFLICT (hash) DO UPDATE SET kept = " AN_HOUR),
	[SQL_CONTENT_SIZE] = "SELECT size FROM contents WHERE hash = $1",
	[SQL_CONTENT_SWEEP] =
		("DELETE FROM contents WHERE kept < unixepoch() AND NOT EXISTS (SELECT 1 FROM "
		 "functions " USES_CONTENT ") AND NOT EXISTS (SELECT 1 FROM versions " USES_CONTENT
		 ") AND NOT EXISTS (SELECT 1 FROM runtimes WHERE image = '" IMAGE_BLOB
		 "' || contents.hash)"),
	[SQL_PIECE_INSERT] = ("INSERT INTO pieces (hash, number, data) VALUES ($1, $2, $3) ON "
			      "CONFLICT (hash, number) DO NOTHING"),
	[SQL_PIECE_NEXT] = ("SELECT number, data FROM pieces WHERE hash = $1 AND number >= $2 "
			    "ORDER BY number LIMIT 1"),
	[SQL_CALL_INSERT] =
		("INSERT INTO calls (" CALL_COLUMNS ", total) VALUES ($1, $2, $3, $4, $5, $6, $7, "
		 "$8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20 + COALESCE((SELECT "
		 "total FROM calls ORDER BY number DESC LIMIT 1), 0))"),
	[SQL_CALLS_OLDEST] = CALLS("", "ASC"),
	[SQL_CALLS_NEWEST] = CALLS("", "DESC"),
	[SQL_CALLS_OF_FUNCTION_OLDEST] = CALLS(" AND function = $9", "ASC"),
	[SQL_CALLS_OF_FUNCTION_NEWEST] = CALLS(" AND function = $9", "DESC"),
	[SQL_CALLS_OF_REQUEST_OLDEST] = CALLS(OF_REQUEST, "ASC"),
	[SQL_CALLS_OF_REQUEST_NEWEST] = CALLS(OF_REQUEST, "DESC"),
	[SQL_CALLS_SUMMARY] = SUMMARY(""),
	[SQL_CALLS_SUMMARY_OF] = SUMMARY(" AND function = $3"),
	[SQL_CALLS_TRIM] =
		("DELETE FROM calls WHERE number <= (SELECT max(number) FROM (SELECT number, "
		 "started_us, duration_us, total FROM calls ORDER BY number LIMIT " TRIM_MOST
		 ") AS oldest WHERE duration_us < $1 - started_us OR total <= (SELECT total FROM "
		 "calls ORDER BY number DESC "
		 "LIMIT 1) - $2)"),
	[SQL_USAGE_PLACE] = "SELECT place FROM usage_places WHERE name = $1",
	[SQL_USAGE_PLACE_INSERT] = ("INSERT INTO usage_places (name, place, forgotten) VALUES ($1, "
				    "0, 0) ON CONFLICT (name) DO NOTHING"),
	[SQL_USAGE_PLACE_MOVE] =
		"UPDATE usage_places SET place = $3 WHERE name = $1 AND place = $2",
	[SQL_USAGE_FORGET] = "UPDATE usage_places SET place = $2, forgotten = $3 WHERE name = $1",
	[SQL_USAGE_PLACES_TRIM] = "DELETE FROM usage_places WHERE place = $1 AND forgotten < $2",
	[SQL_USAGE_ADD] =
		("INSERT INTO usage (hour, month, api_key, function, mode, " USAGE_COLUMNS
		 ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON "
		 "CONFLICT (hour, api_key, function, mode) DO UPDATE SET (" USAGE_COLUMNS
		 ") = (" USAGE_ADDED ")"),
	[SQL_USAGE_LIST] =
		("SELECT " USAGE_GROUP ", " USAGE_SUMS " FROM (SELECT CASE $1 WHEN 1 THEN hour "
		 "WHEN 2 THEN hour / 24 * 24 WHEN 3 THEN month ELSE 0 END AS period, CASE $2 WHEN "
		 "1 THEN api_key ELSE '' END AS api_key, CASE $3 WHEN 1 THEN function ELSE '' END "
		 "AS function, CASE $4 WHEN 1 THEN mode ELSE 0 END AS mode, " USAGE_COLUMNS
		 " FROM usage WHERE hour >= $5 AND hour < $6 AND ($7 = 0 OR api_key = $8) AND ($9 "
		 "= 0 OR function = $10)) AS used WHERE $11 = 0 OR (" USAGE_GROUP
		 ") > ($12, $13, $14, $15) GROUP BY " USAGE_GROUP " ORDER BY " USAGE_GROUP
		 " LIMIT $16"),
	[SQL_USAGE_TRIM] = "DELETE FROM usage WHERE hour < $1",
	[SQL_KV_GET] = ("SELECT key, version, expires_us, value FROM kv_entries WHERE function = "
			"$1 AND key = $2 AND " KV_LIVES("$3")),
	/* Who puts has the space until it is committed. The clock may go back, versions may not. */
	[SQL_KV_VERSION] =
		("INSERT INTO kv_spaces (function, version) VALUES ($1, $2) ON CONFLICT (function) "
		 "DO UPDATE SET version = CASE WHEN kv_spaces.version >= $2 THEN kv_spaces.version "
		 "+ 1 ELSE $2 END RETURNING version"),
	[SQL_KV_PUT] = ("INSERT INTO kv_entries (" KV_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6) "
			"ON CONFLICT (function, key) DO UPDATE SET (version, expires_us, size, "
			"value) = ($3, $4, $5, $6) WHERE $7 = 0 OR NOT (kv_entries.expires_us = 0 "
			"OR kv_entries.expires_us > $8)"),
	[SQL_KV_REPLACE] = ("UPDATE kv_entries SET (version, expires_us, size, value) = ($3, $4, "
			    "$5, $6) WHERE function = $1 AND key = $2 AND version = $7 AND "
			    "" KV_LIVES("$8")),
	[SQL_KV_REMOVE] = ("DELETE FROM kv_entries WHERE function = $1 AND key = $2 AND ($4 = 0 OR "
			   "version = $4) AND " KV_LIVES("$3")),
	[SQL_KV_LIST] = ("SELECT key, version, expires_us, size FROM kv_entries " KV_PAGE(
		"key") "AND " KV_LIVES("$5") " ORDER BY key LIMIT $4"),
	/* What has expired takes its room until it is swept. */
	[SQL_KV_TOTALS] = ("SELECT (SELECT count(*) FROM kv_entries WHERE function = $1 AND key <> "
			   "$2), " KV_BYTES "AND key <> $2) + " FILE_BYTES ")"),
	/* Twice, as one of these may have been put anew since it was found. */
	[SQL_KV_SWEEP] = ("DELETE FROM kv_entries WHERE expires_us > 0 AND expires_us <= $1 AND "
			  "(function, key) IN (SELECT function, key FROM kv_entries WHERE "
			  "expires_us > 0 AND expires_us <= $1 LIMIT $2)"),
	[SQL_KV_NEXT] = "SELECT COALESCE(min(expires_us), 0) FROM kv_entries WHERE expires_us > 0",
	[SQL_KV_SWEEP_OF] = ("DELETE FROM kv_entries WHERE function = $1 AND expires_us > 0 AND "
			     "expires_us <= $2"),
	[SQL_KV_CLEAR] = "DELETE FROM kv_entries WHERE function = $1",
	[SQL_KV_SPACES] = "SELECT function FROM kv_spaces",
	[SQL_KV_SPACE_CLEAR] = "DELETE FROM kv_spaces WHERE function = $1",
	[SQL_KV_SPACES_COPY] = "SELECT function, version FROM kv_spaces ORDER BY function",
	[SQL_KV_COPY] = "SELECT " KV_COLUMNS " FROM kv_entries ORDER BY function, key",
	[SQL_FILE_CONTENTS_COPY] =
		"SELECT function, hash, data FROM kv_contents ORDER BY function, hash",
	[SQL_FILES_COPY] = "SELECT " FILE_COLUMNS " FROM kv_files ORDER BY function, name",
	[SQL_KV_SPACE_RESTORE] = "INSERT INTO kv_spaces (function, version) VALUES ($1, $2)",
	[SQL_KV_RESTORE] = ("INSERT INTO kv_entries (" KV_COLUMNS ") SELECT $1, $2, $3, $4, $5, $6 "
			    "WHERE EXISTS (SELECT 1 FROM kv_spaces WHERE function = $1 AND version "
			    ">= $3)"),
	[SQL_FILE_CONTENT_RESTORE] =
		("INSERT INTO kv_contents (function, hash, data) SELECT $1, $2, $3 WHERE EXISTS "
		 "(SELECT 1 FROM kv_spaces WHERE function = $1)"),
	[SQL_FILE_RESTORE] =
		("INSERT INTO kv_files (" FILE_COLUMNS ") SELECT $1, $2, $3, $4, $5, $6 WHERE "
		 "EXISTS (SELECT 1 FROM kv_contents WHERE function = $1 AND hash = $4 AND "
		 "length(data) = $5)"),
	[SQL_FILE_GET] =
		("SELECT name, type, kv_files.hash, updated_us, data FROM kv_files JOIN "
		 "kv_contents ON kv_contents.function = kv_files.function AND "
		 "kv_contents.hash = kv_files.hash WHERE kv_files.function = $1 AND name = "
		 "$2"),
	[SQL_FILE_PUT] = ("INSERT INTO kv_files (" FILE_COLUMNS ") "
			  "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (function, name) DO UPDATE "
			  "SET (type, hash, size, updated_us) = ($3, $4, $5, $6)"),
	[SQL_FILE_REMOVE] = "DELETE FROM kv_files WHERE function = $1 AND name = $2",
	[SQL_FILE_LIST] = ("SELECT name, type, hash, updated_us, size FROM kv_files " KV_PAGE(
		"name") "ORDER BY name LIMIT $4"),
	[SQL_FILE_TOTALS] =
		("SELECT (SELECT count(*) FROM kv_files WHERE function = $1 AND name <> "
		 "$2), " FILE_BYTES "AND name <> $2) + " KV_BYTES ")"),
	[SQL_FILES_CLEAR] = "DELETE FROM kv_files WHERE function = $1",
	/* Written to, so that nobody takes it away before the file is there. */
	[SQL_FILE_CONTENT_PUT] = ("INSERT INTO kv_contents (function, hash, data) VALUES ($1, $2, "
				  "$3) ON CONFLICT (function, hash) DO UPDATE SET hash = $2"),
	[SQL_FILE_CONTENTS_TRIM] =
		("DELETE FROM kv_contents WHERE function = $1 AND NOT EXISTS (SELECT 1 FROM "
		 "kv_files WHERE kv_files.function = kv_contents.function AND kv_files.hash = "
		 "kv_contents.hash)"),
};

char *sql_statement_text(const struct sql_driver *driver, enum sql_statement which)
{
	return columns_fill_in(texts[which], driver->parameter);
}
