/* SPDX-License-Identifier: MIT */
/*
 * The door of redis: one connection to what several hosts share, which nobody waits for but for a
 * moment. What is done while it is lost is its user's to know; that it is lost is said once.
 *
 * No lock in here: who uses it holds one throughout, or has it to himself.
 */
#ifndef NOVA_LIB_REDIS_H
#define NOVA_LIB_REDIS_H

#include "base/base.h"
#include "base/stop.h"
#include "config/config.h"

/* --- address.c --- */

struct redis_address {
	char *host; /* NULL: `port` is the path of a socket */
	char *port;
	struct addrinfo *all, *next; /* what the name stands for; the one to be tried next */
};
/* HOST, HOST:PORT, [IPV6]:PORT, or the path of a socket. */
int redis_address_read(const char *text, struct redis_address *ret_address, nova_error_t **error);
void redis_address_clear(struct redis_address *address);

/* --- connect.c --- */

/* Looks its name up, which may take its time. */
int redis_resolve(struct redis_address *address, nova_error_t **error);
/* Begins to connect a stream to the next address of a name; when it can be written to,
 * redis_connected() tells how that went. *ret_last: it was the last of them. */
int redis_connect(struct redis_address *address, bool *ret_last);
int redis_connected(int fd);

/* --- redis.c --- */

struct redis;
struct redisReply; /* of hiredis */

/* What a connection is for. Lives longer. */
struct redis_use {
	const char *without; /* what is done while the server is away, for the log */
	size_t most;         /* bytes that wait to be sent, and of an answer */
};

/* Whether the settings name a server. */
bool redis_is_wanted(const nova_config_t *config);
/* *ret_redis is NULL if they do not. One that cannot be reached is tried again later. NOVA_EINVAL:
 * a setting; NOVA_EPERM: it does not let us in; NOVA_ENOTSUP: the module is not there. `log` lives
 * longer. */
int redis_open(const nova_config_t *config, const struct redis_use *use, const struct logger *log,
	struct redis **ret_redis, nova_error_t **error);
void redis_close(struct redis *redis); /* NULL does nothing */

/* NULL: the connection was lost before the answer came. */
typedef void (*redis_answered_fn)(void *userdata, const struct redisReply *reply);
/* Sends a command, and has `answered` called by a later step. False: there is no connection. */
bool redis_send(struct redis *redis, const char *const *words, size_t count,
	redis_answered_fn answered, void *userdata);
/* The same, but it waits for others: it is sent once there is enough, or with the next step. The
 * connection may be lost before it returns, which answers it. */
bool redis_put(struct redis *redis, const char *const *words, size_t count,
	redis_answered_fn answered, void *userdata);
/* Does what can be done without waiting. */
void redis_step(struct redis *redis);
/* Steps until *done, or as long as the setting says at most: false; the connection is given up
 * then. */
bool redis_await(struct redis *redis, const bool *done);

/* Connects if need be, and it is time for another try. False: the server is away. */
bool redis_ready(struct redis *redis);

#define REDIS_WORDS 24u /* of a command at most */

/* For who has nothing else to do until it is answered. */
struct redis_question {
	const char *const *words;
	size_t count;
	uint32_t more_ms;        /* than usual, that the server may take */
	const struct stop *stop; /* what ends the waiting; NULL: nothing */
	/* Reads an answer that is no error: 0 or a code. */
	int (*take)(void *userdata, const struct redisReply *reply, nova_error_t **error);
	void *userdata;
	/* How errors begin that are no failure, but say that there is nothing; NULL: none */
	const char *const *nothing;
};
/* Connects first if need be. NOVA_EIO: the server is away, or refuses; NOVA_ECANCELED: it may have
 * been done; or what `take` returns. */
int redis_ask(struct redis *redis, const struct redis_question *question, nova_error_t **error);

#endif
