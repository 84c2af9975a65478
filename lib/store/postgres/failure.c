/* SPDX-License-Identifier: MIT */
/* What PostgreSQL's failures mean to a user. */
#include "store/postgres/postgres.h"

struct meaning {
	const char *state; /* how the SQLSTATE begins */
	int code;
	const char *advice;
};

static const struct meaning meanings[] = {
	{ "23505", NOVA_EEXIST, "" },
	{ "23503", NOVA_EBUSY, "" },
	{ "25006", NOVA_EPERM, "; is it a standby?" },
	{ "42501", NOVA_EPERM, "; the user has to own the database" },
	{ "28", NOVA_EPERM, "; see the setting 'postgres.dsn'" },
	{ "3D000", NOVA_ENOTFOUND, "; create it, or see the setting 'postgres.dsn'" },
	{ "53100", NOVA_ENOSPC, "" },
	{ "53300", NOVA_EIO,
		"; see max_connections of the server, or lower "
		"'postgres.connections'" },
	{ "22P02", NOVA_ECORRUPT, "; what is stored is damaged: put a backup in its place" },
	{ "22", NOVA_EINVAL, "" },
	{ "23", NOVA_EINVAL, "" },
	{ "54", NOVA_EINVAL, "" },
	{ "P0001", NOVA_EINVAL, "" }, /* a trigger of somebody's says no */
	{ "42P01", NOVA_ECORRUPT, "; the database is damaged: put a backup in its place" },
	{ "42703", NOVA_ECORRUPT, "; the database is damaged: put a backup in its place" },
	{ "42P07", NOVA_ECORRUPT, "; it is in use by something else: choose another database" },
	{ "57014", NOVA_EIO, "; see the setting 'postgres.timeout'" },
	{ "", NOVA_EIO, "" },
};

static const struct meaning *meaning_of(const char *state)
{
	const struct meaning *m = meanings;
	while (!str_starts(state, m->state))
		m++;
	return m;
}

/* One line of what libpq says, without what is no text. */
static char *one_line(const char *said)
{
	char *line = strndup(said, strcspn(said, "\r\n"));
	if (line && !text_is_utf8(line))
		*line = 0;
	return line;
}

int postgres_fail(const struct server *server, const PGresult *result, const char *doing,
	nova_error_t **error)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *said = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	AUTO_FREE char *line = one_line(said ? said : "the server gives no reason");
	if (!line || !result)
		return nova_oom(error);
	const struct meaning *m = meaning_of(state ? state : "");
	return nova_fail(error, m->code, "the function store %s: cannot %s: %s%s", server->place,
		doing, line, m->advice);
}

int postgres_fail_lost(
	const struct server *server, PGconn *pg, const char *doing, nova_error_t **error)
{
	AUTO_FREE char *line = one_line(PQerrorMessage(pg));
	return nova_fail(error, NOVA_EIO,
		"the function store %s: cannot %s: the connection was lost (%s); what was under "
		"way may have been done, look again",
		server->place, doing, line && *line ? line : "no reason given");
}

/* "FATAL:  28P01: the sentence": both parts. */
static char *take_state(const char *said, char state[6])
{
	for (const char *at = strstr(said, ":  "); at; at = strstr(at + 1, ":  ")) {
		size_t len = strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (len != 5 || at[8] != ':')
			continue;
		memcpy(state, at + 3, 5);
		state[5] = 0;
		return one_line(at + 10);
	}
	return one_line(said);
}

int postgres_fail_connecting(const struct server *server, PGconn *pg, nova_error_t **error)
{
	char state[6] = "";
	AUTO_FREE char *line = take_state(PQerrorMessage(pg), state);
	/* without a password nobody was asked, so there is no state */
	const struct meaning *m =
		meaning_of(!*state && PQconnectionNeedsPassword(pg) ? "28" : state);
	const char *advice =
		*m->state ? m->advice : "; is the server running? See the setting 'postgres.dsn'";
	return nova_fail(error, m->code, "the function store %s: cannot connect: %s%s",
		server->place, line && *line ? line : "no reason given", advice);
}
