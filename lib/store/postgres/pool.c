/* SPDX-License-Identifier: MIT */
/* The connections of sessions. */
#include <unistd.h>

#include "store/postgres/postgres.h"

#define DELAY_FIRST_MS 20u
#define DELAY_MOST_MS  1000u

int postgres_check_process(const struct postgres_store *s, nova_error_t **error)
{
	if (getpid() == s->owner)
		return 0;
	return nova_fail(error, NOVA_EBUSY,
		"the function store %s was opened by another process, of which this one is a "
		"fork: open one of its own",
		s->sql.place);
}

static void disconnect(struct connection *c)
{
	PQclear(c->result);
	PQfinish(c->pg);
	free(c);
}

/* Whether the server has not ended it meanwhile: nobody has asked it anything. */
static bool is_alive(struct connection *c)
{
	struct pollfd fd = { PQsocket(c->pg), POLLIN, 0 };
	/* A server that stops says so before the end comes, and one look does not see both. */
	for (int i = 0; i < 8 && sys_poll(&fd, 1, 0) > 0 && PQconsumeInput(c->pg); i++)
		continue;
	return PQstatus(c->pg) == CONNECTION_OK && !(fd.revents & (POLLHUP | POLLERR));
}

static int fail_exhausted(struct postgres_store *s, nova_error_t **error)
{
	return nova_fail(error, NOVA_ELIMIT,
		"the function store %s: all %u connections have been in use for %llu ms; see the "
		"setting 'postgres.connections'",
		s->sql.place, s->pool.most, (unsigned long long)s->server.patience_ms);
}

/* With the lock. NULL in *ret: there is room for a new one, which is counted already. */
static int take_idle(struct postgres_store *s, struct connection **ret, nova_error_t **error)
{
	struct pool *p = &s->pool;
	uint64_t deadline = deadline_in_ms(s->server.patience_ms);
	while (!p->idle && p->count >= p->most) {
		if (deadline_passed(deadline))
			return fail_exhausted(s, error);
		cond_wait_until(&p->given, &p->lock, deadline);
	}
	*ret = p->idle;
	if (*ret) {
		p->idle = (*ret)->next;
		return 0;
	}
	if (p->failure && !deadline_passed(p->retry_at)) {
		error_copy(error, p->failure);
		return nova_error_code(p->failure);
	}
	p->count++;
	return 0;
}

static void uncount(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->count--;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
}

/* Remembers how it went, for those who come next. */
static void note_attempt(struct pool *p, int code, const nova_error_t *failure)
{
	nova_error_t *copy = NULL;
	if (code < 0)
		error_copy(&copy, failure);
	pthread_mutex_lock(&p->lock);
	nova_error_free(p->failure);
	p->failure = copy;
	p->delay_ms = code == 0 ? 0 : p->delay_ms ? p->delay_ms * 2 : DELAY_FIRST_MS;
	if (p->delay_ms > DELAY_MOST_MS)
		p->delay_ms = DELAY_MOST_MS;
	p->retry_at = deadline_in_ms(p->delay_ms);
	pthread_mutex_unlock(&p->lock);
}

static int make_connection(struct postgres_store *s, struct connection **ret, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	struct connection *c = calloc(1, sizeof(*c));
	int r = c ? postgres_connect(&s->server, &c->pg, &failure) : nova_oom(&failure);
	note_attempt(&s->pool, r, failure);
	if (r < 0) {
		free(c);
		uncount(&s->pool);
		if (error)
			*error = STEAL(failure);
		return r;
	}
	*ret = c;
	return 0;
}

int pool_take(struct postgres_store *s, struct connection **ret, nova_error_t **error)
{
	struct connection *c = NULL;
	int r;
	do {
		if (c) { /* was idle, and is dead: after a restart all of them are */
			disconnect(c);
			uncount(&s->pool);
		}
		pthread_mutex_lock(&s->pool.lock);
		r = take_idle(s, &c, error);
		pthread_mutex_unlock(&s->pool.lock);
	} while (r == 0 && c && !is_alive(c));
	if (r < 0)
		return r;
	*ret = c;
	return c ? 0 : make_connection(s, ret, error);
}

int pool_take_passing(struct postgres_store *s, struct connection **ret, nova_error_t **error)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r = c ? postgres_connect(&s->server, &c->pg, error) : nova_oom(error);
	if (r < 0) {
		free(c);
		return r;
	}
	c->passing = true;
	*ret = c;
	return 0;
}

void pool_give(struct postgres_store *s, struct connection *c)
{
	if (c->passing) {
		disconnect(c);
		return;
	}
	if (c->lost || PQstatus(c->pg) != CONNECTION_OK ||
		PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
		disconnect(c);
		uncount(&s->pool);
		return;
	}
	pthread_mutex_lock(&s->pool.lock);
	c->next = s->pool.idle;
	s->pool.idle = c;
	pthread_cond_signal(&s->pool.given);
	pthread_mutex_unlock(&s->pool.lock);
}

void pool_close(struct pool *p)
{
	for (struct connection *c; (c = p->idle);) {
		p->idle = c->next;
		disconnect(c);
	}
	nova_error_free(p->failure);
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
}
