/* SPDX-License-Identifier: MIT */
/* What the files share that speak HTTP: access.c, exchange.c, gate.c and front.c. */
#ifndef NOVAD_HTTP_H
#define NOVAD_HTTP_H

#include <sys/queue.h>

#include "novad.h"

#define ID_MAX 64

struct endpoint {
	struct front_state *front;
	const struct place *place;
	struct MHD_Daemon *daemon;
	struct watch *watch;
	bool pending; /* something was resumed */
};

/* A connection. */
struct client {
	LIST_ENTRY(client) all;
	struct endpoint *endpoint;
	int fd;
	int64_t deadline; /* of what it has to do now; -1: none */
	struct exchange *exchange;
};

struct exchange {
	struct novad *novad;
	struct client *client;
	struct MHD_Connection *connection;
	int64_t begun_us;
	char *uri;
	char *path; /* of it, not decoded; what follows '?' is `search`, or NULL */
	char *search;
	const char *method; /* lives as long as the request */
	const struct route *route;
	struct key *key;
	json_t *options; /* of its job */
	bool admitted;   /* counted among the calls */
	bool has_begun, is_whole;
	struct bytes body;
	size_t body_len; /* with what was thrown away */
	size_t held;     /* what it takes after that, among novad->body_bytes */
	struct job *job;
	struct watch *hang_up; /* while it is suspended */
	bool suspended, gone;
	struct kept *kept; /* the place of its answer, for who asks again */

	/* the answer */
	bool answered, closes; /* the connection is of no more use */
	unsigned status;
	const char *type, *outcome;
	struct bytes out;
	struct MHD_Response *ready;
	json_t *headers;
	char code[40]; /* of a problem */
	char id[ID_MAX + 1], trace[56];
};

/* --- access.c --- */

bool access_open(const char *path, log_fn log);
void access_line(const struct exchange *exchange);
void access_flush(void);
void access_close(void);

/* --- exchange.c --- */

int64_t now_us(void);
struct exchange *exchange_new(struct novad *novad, const char *uri);
void exchange_free(struct exchange *exchange);
void exchange_header_add(struct exchange *exchange, const char *name, const char *value);
void exchange_problem(struct exchange *exchange, unsigned status, const char *code,
	const char *format, ...) PRINTF_LIKE(4, 5);
/* The answer that a job has given. */
void exchange_answer_job(struct exchange *exchange, const json_t *reply);
/* NULL: no memory. */
struct MHD_Response *exchange_response(struct exchange *exchange);

/* --- idempotency.c --- */

/* False: it has been answered: it was asked before, by the same Idempotency-Key. */
bool idempotency_begin(struct exchange *exchange);
/* Keeps the answer, or forgets that it was asked. */
void idempotency_end(struct exchange *exchange);
void idempotency_free(void);

/* --- gate.c: whether a request is let in --- */

/* When its head is there. False: it has been answered. */
bool gate_head(struct exchange *exchange);
/* A piece of the body. */
void gate_body(struct exchange *exchange, const char *data, size_t len);
/* When all is there: false, if it has been answered. */
bool gate_whole(struct exchange *exchange);

extern const struct front http_front;

#endif
