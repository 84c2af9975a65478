/* SPDX-License-Identifier: MIT */
/*
 * Who is told of changes need not ask. The server sends a notification for each transaction that
 * changes something, and a look at the socket tells whether one is there. Every `ttl` the number of
 * changes is asked for all the same, and the answer is taken whenever it comes.
 *
 * While the server cannot be reached what was read stays good for `ttl`.
 */
#include "store/postgres/postgres.h"

#define DELAY_FIRST_MS 50u
#define DELAY_MOST_MS  2000u
#define ASK_NUMBER     "SELECT number FROM nova_changes"

static uint64_t ms_to_ns(uint64_t ms)
{
	return ms * 1000000u;
}

static void leave(struct listener *l, enum listener_state state)
{
	PQclear(STEAL(l->answer));
	PQfinish(STEAL(l->pg));
	l->state = state;
	l->deadline = NEVER;
	l->delay_ms = l->delay_ms ? l->delay_ms * 2 : DELAY_FIRST_MS;
	if (l->delay_ms > DELAY_MOST_MS)
		l->delay_ms = DELAY_MOST_MS;
	l->retry_at = deadline_in_ms(l->delay_ms);
}

static void ask(struct listener *l, const struct server *server, const char *sql)
{
	if (PQsendQuery(l->pg, sql))
		l->deadline = deadline_in_ms(server->patience_ms);
	else
		leave(l, LISTENER_AWAY);
}

static void begin(struct listener *l, const struct server *server)
{
	if (!deadline_passed(l->retry_at))
		return;
	l->pg = postgres_begin(server);
	l->wanted = PGRES_POLLING_WRITING;
	l->deadline = deadline_in_ms(server->patience_ms);
	l->state = LISTENER_CONNECTING;
	if (!l->pg || PQstatus(l->pg) == CONNECTION_BAD)
		leave(l, LISTENER_AWAY);
}

static void go_on_connecting(struct listener *l, const struct server *server)
{
	struct pollfd fd = { PQsocket(l->pg), l->wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		0 };
	if (sys_poll(&fd, 1, 0) <= 0)
		return;
	l->wanted = PQconnectPoll(l->pg);
	if (l->wanted == PGRES_POLLING_FAILED)
		leave(l, LISTENER_AWAY);
	if (l->wanted != PGRES_POLLING_OK)
		return;
	PQsetnonblocking(l->pg, 1);
	l->state = LISTENER_ASKING;
	ask(l, server, "LISTEN " CHANNEL);
}

/* What was missed before this moment is not told: what was read before it is old. */
static void begin_to_be_told(struct listener *l, const struct server *server)
{
	l->state = LISTENER_TOLD;
	l->stamp++;
	l->number = -1;
	l->delay_ms = 0;
	l->known_ns = clock_ns();
	ask(l, server, ASK_NUMBER);
}

static void take_number(struct listener *l, int64_t number)
{
	if (l->number >= 0 && number != l->number)
		l->stamp++;
	l->number = number;
	l->known_ns = clock_ns();
}

static void take_answer(struct listener *l, const struct server *server, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	l->deadline = NEVER;
	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
		take_number(l, strtoll(PQgetvalue(result, 0, 0), NULL, 10));
	else if (PQresultStatus(result) == PGRES_COMMAND_OK)
		begin_to_be_told(l, server);
	else
		leave(l, state && !strcmp(state, "25006") ? LISTENER_REFUSED : LISTENER_AWAY);
}

/* One result comes, and then none, before the next can be asked for. */
static void take_answers(struct listener *l, const struct server *server)
{
	while (!PQisBusy(l->pg)) {
		PGresult *result = PQgetResult(l->pg);
		if (!result) {
			AUTO_RESULT PGresult *answer = STEAL(l->answer);
			take_answer(l, server, answer);
			return;
		}
		PQclear(l->answer);
		l->answer = result;
	}
}

static void take_notifications(struct listener *l)
{
	for (PGnotify *n; (n = PQnotifies(l->pg)); PQfreemem(n)) {
		l->stamp++;
		l->number = strtoll(n->extra, NULL, 10);
		l->known_ns = clock_ns();
	}
}

static void be_told(struct listener *l, const struct server *server)
{
	if (!PQconsumeInput(l->pg)) {
		leave(l, LISTENER_AWAY);
		return;
	}
	take_notifications(l);
	if (l->deadline != NEVER)
		take_answers(l, server);
	else if (clock_ns() - l->known_ns > ms_to_ns(l->ttl_ms))
		ask(l, server, ASK_NUMBER);
}

/* Does what can be done without waiting. */
static void step(struct listener *l, const struct server *server)
{
	switch (l->state) {
	case LISTENER_AWAY:
		begin(l, server);
		break;
	case LISTENER_CONNECTING:
		go_on_connecting(l, server);
		break;
	case LISTENER_ASKING:
	case LISTENER_TOLD:
		be_told(l, server);
		break;
	case LISTENER_REFUSED:
		break;
	}
	if (l->state != LISTENER_AWAY && l->state != LISTENER_REFUSED &&
		deadline_passed(l->deadline))
		leave(l, LISTENER_AWAY);
}

/* Whether what was read at the stamp is good, as far as can be told without asking. */
static bool is_known(const struct listener *l)
{
	return l->state == LISTENER_TOLD || clock_ns() - l->known_ns <= ms_to_ns(l->ttl_ms);
}

/* Nobody tells, so the number is asked for, by a session. */
static int ask_and_wait(struct postgres_store *s, nova_error_t **error)
{
	AUTO_SQL struct sql_session session = { 0 };
	AUTO_RESULT PGresult *result = NULL;
	int r = sql_start(&s->sql.base, SQL_READS, &session, error);
	if (r < 0)
		return r;
	struct connection *c = session.connection;
	r = postgres_ask(&s->server, c->pg, ASK_NUMBER, "read it", &result, error);
	c->lost |= r < 0;
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->listener.lock);
	if (PQntuples(result) == 1)
		take_number(&s->listener, strtoll(PQgetvalue(result, 0, 0), NULL, 10));
	pthread_mutex_unlock(&s->listener.lock);
	return 0;
}

int postgres_stamp(struct store *store, uint64_t *ret_stamp, nova_error_t **error)
{
	struct postgres_store *s = (struct postgres_store *)store;
	struct listener *l = &s->listener;
	int r = postgres_check_process(s, error);
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->lock);
	step(l, &s->server);
	bool known = is_known(l);
	pthread_mutex_unlock(&l->lock);
	r = known ? 0 : ask_and_wait(s, error);
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->lock);
	*ret_stamp = l->stamp;
	pthread_mutex_unlock(&l->lock);
	return 0;
}

void listener_note_change(struct listener *l)
{
	pthread_mutex_lock(&l->lock);
	l->stamp++;
	pthread_mutex_unlock(&l->lock);
}

void listener_await(struct postgres_store *s)
{
	struct listener *l = &s->listener;
	uint64_t deadline = deadline_in_ms(s->server.patience_ms);
	do {
		step(l, &s->server);
		if (!l->pg || l->state == LISTENER_TOLD)
			return;
		struct pollfd fd = { PQsocket(l->pg),
			l->wanted == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, 0 };
		sys_poll(&fd, 1, deadline_poll_ms(deadline));
	} while (!deadline_passed(deadline));
}

void listener_close(struct listener *l)
{
	PQclear(l->answer);
	PQfinish(l->pg);
	pthread_mutex_destroy(&l->lock);
}
