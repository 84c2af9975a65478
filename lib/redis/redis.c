/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/list.h"
#include "module/redis.h"
#include "redis/redis.h"

#define DELAY_FIRST_MS 50u
#define DELAY_MOST_MS  2000u
#define PIECE          16384u

enum state {
	AWAY,       /* until retry_at */
	CONNECTING, /* until it can be written to */
	GREETING,   /* the password, the database */
	READY,
};

/* Who waits for an answer. */
struct asked {
	struct link place;
	redis_answered_fn answered;
	void *userdata;
};

struct redis {
	const struct redis_use *use;
	const struct logger *log;
	struct redis_address address;
	char *password, db[24];
	uint64_t patience_ms;

	enum state state;
	int fd; /* -1 */
	redisReader *reader;
	struct buf unsent;
	struct link asked;           /* in the order of their answers */
	uint64_t deadline;           /* of connecting and greeting */
	uint64_t retry_at, delay_ms; /* of the next try */
	bool is_last;                /* of the addresses of its name */
	bool told;                   /* that it is away */
	bool failed, refused;        /* it has said why, as below; nothing but settings helps */
	char why[200];               /* it is away */
};

/* --- losing it --- */

static void forget_asked(struct redis *r)
{
	for (struct link *first; (first = list_pop(&r->asked));) {
		struct asked *asked = CONTAINER_OF(first, struct asked, place);
		if (asked->answered)
			asked->answered(asked->userdata, NULL);
		free(asked);
	}
}

static const char *host_of(const struct redis *r)
{
	return r->address.host ? r->address.host : "";
}

static const char *colon(const struct redis *r)
{
	return r->address.host ? ":" : "";
}

static void leave(struct redis *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	if (r->reader)
		redisReaderFree(r->reader);
	r->reader = NULL;
	buf_reset(&r->unsent);
	r->state = AWAY;
	r->delay_ms = r->delay_ms ? r->delay_ms * 2 : DELAY_FIRST_MS;
	if (r->delay_ms > DELAY_MOST_MS)
		r->delay_ms = DELAY_MOST_MS;
	r->retry_at = deadline_in_ms(r->delay_ms);
	if (!r->told && r->is_last)
		log_warn(r->log, "redis", "%s%s%s: %s; %s until it is back", host_of(r), colon(r),
			r->address.port, r->why, r->use->without);
	r->told |= r->is_last;
	if (!r->is_last) { /* the next one at once */
		r->retry_at = 0;
		r->delay_ms = 0;
	}
	forget_asked(r);
}

static void leave_by(struct redis *r, int os)
{
	if (!r->failed)
		snprintf(r->why, sizeof(r->why), "%s",
			os == 0 ? "it has hung up" : strerrordesc_np(-os));
	leave(r);
}

/* --- words in, answers out --- */

static bool put(struct redis *r, const char *const *words, size_t count, redis_answered_fn answered,
	void *userdata)
{
	size_t lens[REDIS_WORDS];
	sds text = NULL;
	struct asked *asked = calloc(1, sizeof(*asked));
	for (size_t i = 0; i < count && i < REDIS_WORDS; i++)
		lens[i] = strlen(words[i]);
	int len = asked && count <= REDIS_WORDS ? redisFormatSdsCommandArgv(&text, (int)count,
							  (const char **)(uintptr_t)words, lens) :
						  -1;
	bool done = len >= 0 && buf_append(&r->unsent, text, (size_t)len) == 0;
	if (len >= 0)
		redisFreeSdsCommand(text);
	if (!done) {
		free(asked);
		return false;
	}
	asked->answered = answered;
	asked->userdata = userdata;
	list_append(&r->asked, &asked->place);
	return true;
}

static int flush(struct redis *r)
{
	while (r->unsent.len) {
		ssize_t n = sys_send(r->fd, r->unsent.data, r->unsent.len, 0);
		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		buf_consume(&r->unsent, (size_t)n);
	}
	return 0;
}

/* What a command has come to: that it is back, or that it takes none, as a replica, said once until
 * it does. A server that answers a PING and no more is none. */
static void note_answer(struct redis *r, const redisReply *reply)
{
	bool failed = reply->type == REDIS_REPLY_ERROR;
	if (r->state != READY)
		return;
	if (failed && !r->told)
		log_warn(r->log, "redis", "%s answers: %s; %s", r->address.port, reply->str,
			r->use->without);
	if (!failed && r->told)
		log_info(r->log, "redis", "%s is back", r->address.port);
	r->told = failed;
	if (!failed)
		r->delay_ms = 0;
}

static int take_answers(struct redis *r)
{
	void *reply = NULL;
	while (redisReaderGetReply(r->reader, &reply) == REDIS_OK && reply) {
		note_answer(r, reply);
		struct link *first = list_pop(&r->asked);
		struct asked *asked = first ? CONTAINER_OF(first, struct asked, place) : NULL;
		if (asked && asked->answered)
			asked->answered(asked->userdata, reply);
		free(asked);
		freeReplyObject(STEAL(reply));
		if (!first)
			return -EPROTO; /* nobody has asked */
	}
	return r->reader->err ? -EPROTO : 0;
}

/* 0, or why the connection is of no more use; *ret_open is false if the server has hung up. Not
 * more in one step than anybody needs. */
static int receive(struct redis *r, bool *ret_open)
{
	char piece[PIECE];
	ssize_t n;
	size_t taken = 0;
	while ((n = sys_recv(r->fd, piece, sizeof(piece), 0)) > 0 &&
		(taken += (size_t)n) <= r->use->most)
		if (redisReaderFeed(r->reader, piece, (size_t)n) != REDIS_OK)
			return -ENOMEM;
	*ret_open = n != 0;
	int code = taken > r->use->most ? -EMSGSIZE : take_answers(r);
	if (code == 0 && r->reader->len - r->reader->pos > r->use->most)
		code = -EMSGSIZE;
	return code < 0 ? code : n < 0 && n != -EAGAIN ? (int)n : 0;
}

static void talk(struct redis *r)
{
	bool open = true;
	int code = flush(r);
	if (code == 0)
		code = receive(r, &open);
	if (r->state != AWAY && (code < 0 || !open))
		leave_by(r, code);
}

/* --- getting there --- */

static bool fails_greeting(struct redis *r, const redisReply *reply, bool refused)
{
	bool failed = reply && reply->type == REDIS_REPLY_ERROR;
	if (failed && !r->failed) {
		snprintf(r->why, sizeof(r->why), "%s", reply->str);
		r->failed = true;
		r->refused = refused;
	}
	return !reply || r->failed;
}

/* A password that is wrong, a database that is not there. */
static void on_setting(void *userdata, const redisReply *reply)
{
	fails_greeting(userdata, reply, true);
}

/* It may be loading, or have too many clients: that passes. */
static void on_ready(void *userdata, const redisReply *reply)
{
	struct redis *r = userdata;
	bool refused = reply && reply->type == REDIS_REPLY_ERROR &&
		       (str_starts(reply->str, "NOAUTH") || str_starts(reply->str, "NOPERM") ||
			       str_starts(reply->str, "DENIED"));
	if (fails_greeting(r, reply, refused))
		return;
	r->state = READY;
	r->is_last = true; /* this address is good: to lose it is to lose the server */
	r->deadline = NEVER;
}

static bool greet(struct redis *r)
{
	const char *const password[] = { "AUTH", r->password }, *const db[] = { "SELECT", r->db };
	const char *const ping[] = { "PING" };
	return (!*r->password || put(r, password, 2, on_setting, r)) &&
	       (!strcmp(r->db, "0") || put(r, db, 2, on_setting, r)) &&
	       put(r, ping, 1, on_ready, r);
}

static void begin(struct redis *r)
{
	if (!deadline_passed(r->retry_at))
		return;
	r->failed = r->refused = false;
	r->is_last = true;
	r->fd = r->address.host ? redis_connect(&r->address, &r->is_last) :
				  sys_connect_unix(r->address.port);
	r->deadline = deadline_in_ms(r->patience_ms);
	if (r->fd < 0)
		leave_by(r, r->fd);
	else
		r->state = CONNECTING;
}

static void go_on_connecting(struct redis *r)
{
	struct pollfd fd = { r->fd, POLLOUT, 0 };
	if (sys_poll(&fd, 1, 0) <= 0)
		return;
	int code = redis_connected(r->fd);
	r->reader = code == 0 ? redisReaderCreate() : NULL;
	if (code == 0 && (!r->reader || !greet(r)))
		code = -ENOMEM;
	if (code < 0) {
		leave_by(r, code);
		return;
	}
	r->state = GREETING;
	r->deadline = deadline_in_ms(r->patience_ms);
	talk(r);
}

static void check_time(struct redis *r)
{
	if (r->state == AWAY || !deadline_passed(r->deadline))
		return;
	snprintf(r->why, sizeof(r->why), "it did not answer for %llu ms (setting 'redis.timeout')",
		(unsigned long long)r->patience_ms);
	leave(r);
}

void redis_step(struct redis *r)
{
	if (r->state == AWAY)
		begin(r);
	else if (r->state == CONNECTING)
		go_on_connecting(r);
	else
		talk(r);
	if (r->state == GREETING && r->failed)
		leave(r);
	check_time(r);
}

bool redis_send(struct redis *r, const char *const *words, size_t count, redis_answered_fn answered,
	void *userdata)
{
	redis_step(r);
	if (r->state != READY || !put(r, words, count, answered, userdata))
		return false;
	int code = flush(r);
	if (code < 0)
		leave_by(r, code); /* which answers it */
	return true;
}

/* The server works on what there is while the rest is being made. */
bool redis_put(struct redis *r, const char *const *words, size_t count, redis_answered_fn answered,
	void *userdata)
{
	if (r->state != READY || !put(r, words, count, answered, userdata))
		return false;
	int code = r->unsent.len < PIECE ? 0 : flush(r);
	if (code < 0)
		leave_by(r, code); /* which answers it */
	return true;
}

bool redis_await(struct redis *r, const bool *done)
{
	uint64_t deadline = deadline_in_ms(r->patience_ms);
	while (!*done && !deadline_passed(deadline)) {
		struct pollfd fd = { r->fd, (short)(r->unsent.len ? POLLIN | POLLOUT : POLLIN), 0 };
		sys_poll(&fd, 1, deadline_poll_ms(deadline));
		redis_step(r);
	}
	if (*done)
		return true;
	r->deadline = 0;
	check_time(r);
	return false;
}

/* --- asking and waiting --- */

struct asking {
	const struct redis_question *question;
	nova_error_t **error;
	const struct redis *redis;
	bool done, lost;
	int code;
};

static bool is_nothing(const struct redis_question *q, const char *error)
{
	for (const char *const *begin = q->nothing; begin && *begin; begin++)
		if (!strncmp(error, *begin, strlen(*begin)))
			return true;
	return false;
}

static void on_asked(void *userdata, const redisReply *reply)
{
	struct asking *a = userdata;
	a->done = true;
	if (!reply)
		a->lost = true;
	else if (reply->type == REDIS_REPLY_ERROR && is_nothing(a->question, reply->str))
		a->code = 0;
	else if (reply->type == REDIS_REPLY_ERROR)
		a->code = nova_fail(a->error, NOVA_EIO, "Redis at %s%s%s answers: %s",
			host_of(a->redis), colon(a->redis), a->redis->address.port, reply->str);
	else
		a->code = a->question->take(a->question->userdata, reply, a->error);
}

static int fail_away(const struct redis *r, nova_error_t **error)
{
	return nova_fail(error, NOVA_EIO, "Redis at %s%s%s is away: %s", host_of(r), colon(r),
		r->address.port, r->why);
}

/* Until it is known whether there is a connection. */
static void connect_now(struct redis *r)
{
	redis_step(r);
	while (r->state == CONNECTING || r->state == GREETING ||
		(r->state == AWAY && !r->is_last)) {
		struct pollfd fd = { r->fd, (short)(r->state == CONNECTING ? POLLOUT : POLLIN), 0 };
		if (r->fd >= 0)
			sys_poll(&fd, 1, deadline_poll_ms(r->deadline));
		redis_step(r);
	}
}

bool redis_ready(struct redis *r)
{
	bool was_ready = r->state == READY;
	connect_now(r);
	if (was_ready && r->state == AWAY) { /* since it was used last: it may be back */
		r->retry_at = 0;
		connect_now(r);
	}
	return r->state == READY;
}

/* Until it is answered, or the connection lost. */
static void wait_for_answer(struct redis *r, const struct asking *a)
{
	const struct stop *stop = a->question->stop;
	r->deadline = deadline_in_ms(r->patience_ms + a->question->more_ms);
	while (!a->done && !(stop && stop_asked(stop))) {
		struct pollfd fd = { r->fd, (short)(r->unsent.len ? POLLIN | POLLOUT : POLLIN), 0 };
		if (stop)
			stop_poll(stop, &fd, 1, deadline_poll_ms(r->deadline));
		else
			sys_poll(&fd, 1, deadline_poll_ms(r->deadline));
		redis_step(r);
	}
	r->deadline = NEVER;
}

/* What was asked is not to come as the answer to something else. */
static void drop(struct redis *r)
{
	bool told = r->told;
	r->told = true;
	leave(r);
	r->told = told;
	r->retry_at = r->delay_ms = 0;
}

int redis_ask(struct redis *r, const struct redis_question *q, nova_error_t **error)
{
	struct asking a = { q, error, r, false, false, 0 };
	if (!redis_ready(r))
		return fail_away(r, error);
	if (!put(r, q->words, q->count, on_asked, &a))
		return nova_oom(error);
	talk(r);
	wait_for_answer(r, &a);
	if (!a.done) {
		drop(r);
		return stop_check(q->stop, "Redis had answered", error);
	}
	return a.lost ? fail_away(r, error) : a.code;
}

/* --- the whole --- */

/* Away at the start is no failure, to be refused is one. */
static int try_each_address(struct redis *r, nova_error_t **error)
{
	do {
		redis_step(r);
		struct pollfd fd = { r->fd, (short)(r->state == CONNECTING ? POLLOUT : POLLIN), 0 };
		if (r->state == CONNECTING || r->state == GREETING)
			sys_poll(&fd, 1, deadline_poll_ms(r->deadline));
	} while (r->state != READY && !(r->state == AWAY && (r->is_last || r->refused)));
	if (!r->refused)
		return 0;
	return nova_fail(error, NOVA_EPERM,
		"Redis at '%s' refuses: %s (settings 'redis.password', 'redis.db')",
		r->address.host ? r->address.host : r->address.port, r->why);
}

static int fill(struct redis *r, const nova_config_t *config, nova_error_t **error)
{
	int code = redis_address_read(config_str(config, "redis.addr"), &r->address, error);
	if (code == 0 && r->address.host)
		code = redis_resolve(&r->address, error);
	if (code == 0)
		code = redis_load(error);
	if (code < 0)
		return code;
	r->password = strdup(config_str(config, "redis.password"));
	r->patience_ms = config_ms(config, "redis.timeout");
	snprintf(r->db, sizeof(r->db), "%s", config_str(config, "redis.db"));
	return r->password ? try_each_address(r, error) : nova_oom(error);
}

/* Whoever says anything of it wants it; its address has a default. */
bool redis_is_wanted(const nova_config_t *config)
{
	static const char *const settings[] = { "redis.addr", "redis.password", "redis.db" };
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (nova_config_source(config, settings[i]) != NOVA_CONFIG_DEFAULT)
			return true;
	return false;
}

int redis_open(const nova_config_t *config, const struct redis_use *use, const struct logger *log,
	struct redis **ret, nova_error_t **error)
{
	*ret = NULL;
	if (!redis_is_wanted(config))
		return 0;
	struct redis *r = calloc(1, sizeof(*r));
	if (!r)
		return nova_oom(error);
	r->use = use;
	r->log = log;
	r->fd = -1;
	r->unsent = BUF_INIT(use->most);
	list_init(&r->asked);
	int code = fill(r, config, error);
	if (code < 0)
		redis_close(r);
	else
		*ret = r;
	return code;
}

void redis_close(struct redis *r)
{
	if (!r)
		return;
	forget_asked(r);
	if (r->fd >= 0)
		close(r->fd);
	if (r->reader)
		redisReaderFree(r->reader);
	buf_free(&r->unsent);
	redis_address_clear(&r->address);
	if (r->password)
		explicit_bzero(r->password, strlen(r->password));
	free(r->password);
	free(r);
}
