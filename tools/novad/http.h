/* SPDX-License-Identifier: MIT */
/* What the files share that speak HTTP: access.c, exchange.c, gate.c, stream.c, websocket.c and
 * front.c. */
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
	json_t *offered;             /* the options of a job that asks the store for its key */
	LIST_ENTRY(exchange) asking; /* with others for the same one */
	bool is_asking, has_asked;
	void (*go_on)(struct exchange *exchange); /* then */
	bool needs_rate, has_taken;               /* one more request, from the rate of its key */
	uint64_t wait_ms;                         /* for which there is none; 0: it was taken */
	struct taking *taking;                    /* while that is asked for */
	char *refused;                            /* why the key is not valid */
	struct signature *signature;              /* of a request that is signed */
	struct key *signer;                       /* whose it says to be */
	const struct job_verb *verb;              /* NULL: that of the route */
	bool detached;                            /* it is answered when its job has begun */
	struct detached *event;                   /* that has not begun yet */
	json_t *options;                          /* of its job */
	bool admitted;                            /* counted among the calls */
	bool unverified; /* counted among those whose signature waits for the body */
	bool has_begun, is_whole;
	struct bytes body;
	size_t body_len; /* with what was thrown away */
	size_t held;     /* what it takes after that, among novad->body_bytes */
	struct job *job;
	struct watch *hang_up; /* while it is suspended */
	bool suspended, gone;
	bool is_e2b;               /* it is told what went wrong as E2B's SDK understands it */
	char sandbox[21];          /* inside of which something is to be done */
	struct listener *listener; /* to what happens there */
	struct kept *kept;         /* the place of its answer, for who asks again */
	struct websocket *socket;  /* what its connection has become */

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
/* It is that of who asks, from now on. */
void exchange_take_key(struct exchange *exchange, struct key *key);
void exchange_header_add(struct exchange *exchange, const char *name, const char *value);
void exchange_problem(struct exchange *exchange, unsigned status, const char *code,
	const char *format, ...) PRINTF_LIKE(4, 5);
/* Headers that all answers have. */
void exchange_dress(const struct exchange *exchange, struct MHD_Response *response);
/* The problem that a job has replied with. */
json_t *exchange_problem_of(const json_t *reply);
/* The answer that a job has given. */
void exchange_answer_job(struct exchange *exchange, const json_t *reply);
/* NULL: no memory. */
struct MHD_Response *exchange_response(struct exchange *exchange);

/* --- suspend.c --- */

/* Nothing is sent until it goes on; false: it cannot wait. */
bool exchange_suspend(struct exchange *exchange);
void exchange_resume(struct exchange *exchange);

/* --- idempotency.c --- */

/* False: it has been answered: it was asked before, by the same Idempotency-Key. */
bool idempotency_begin(struct exchange *exchange);
/* Keeps the answer, or forgets that it was asked. */
void idempotency_end(struct exchange *exchange);
void idempotency_free(void);

/* --- signature.c: requests that are signed --- */

#define SIGNATURE_UNKNOWN "The security token included in the request is invalid."

bool signature_is_there(const struct exchange *exchange);
/* The name of the key that has signed its head; NULL: it has been answered what is wrong. */
const char *signature_read(struct exchange *exchange);
/* Whether the head says which body was signed, so that the signature can be checked before that
 * has come. */
bool signature_names_body(const struct exchange *exchange);
/* Then, or when all is there: false, if it has been answered that this secret has not signed it. */
bool signature_check(struct exchange *exchange, const char *secret);
/* When all is there: false, if it has been answered that this is not the body that was signed. */
bool signature_check_body(struct exchange *exchange);
void signature_free(struct signature *signature);

/* --- lambda.c --- */

/* False: it has been answered what it cannot do. */
bool lambda_begin(struct exchange *exchange);

/* --- lambda_problem.c --- */

bool lambda_is_at(const char *path);
/* The problem in the shape of Lambda's, and its type, which lives as long as the problem. */
json_t *lambda_problem(const json_t *problem, const char **ret_type);

/* --- e2b/: sandboxes, for E2B's SDK --- */

#define E2B_VERSION "2.63.0" /* of the SDK */

extern const struct route e2b_routes[]; /* ends as `routes` do */
/* Whether it may do something in the sandbox that its head names, and the name and the hash of the
 * key that made it. False: it has been answered. */
bool e2b_admit(struct exchange *exchange, char key[65], char hash[65]);
/* Its key is the one that made the sandbox. */
bool e2b_is_owner(const struct exchange *exchange);
/* False: this path is none of E2B's; else it has been answered what to do instead. */
bool e2b_refuse_missing(struct exchange *exchange);
/* Takes the head of a message away; false: it has been answered that there is none. */
bool e2b_unwrap(struct exchange *exchange);
/* Adds to the options of its job. It may be answered. */
void e2b_options(struct exchange *exchange);
json_t *e2b_problem(const struct exchange *exchange, const json_t *problem);
void listener_end(struct listener *listener);
/* Ends those whose time is over. */
void e2b_look(const struct novad *novad, int64_t now);
/* Nobody can come back: ends the commands to which nobody listens. */
void e2b_drain(void);
/* Ends all commands. */
void e2b_close(void);
size_t sandboxes_count(void);
/* Those that are paused are there again. False: it has been said why not. */
bool sandboxes_open(const char *directory, nova_host_t *host);
void sandboxes_close(void);

/* --- detached.c: jobs that go on without who has asked for them --- */

/* It is answered: that it has begun, or why it has not. It counts as a call of the exchange's key
 * while it runs. */
void detached_begin(struct exchange *exchange, struct jobs *jobs, struct job_request *request);
/* Who asked has gone before that. */
void detached_leave(struct exchange *exchange);
/* Begins again what has failed, when its time has come. */
void detached_look(int64_t now);
/* Nothing is begun again any more. */
void detached_drain(void);
size_t detached_count(void);   /* that run */
size_t detached_waiting(void); /* to be begun again */
/* When no job ends any more. */
void detached_free(void);

/* --- durable.c: calls that wait in Redis --- */

bool durable_is_on(const struct novad *novad);
/* Starts who performs them. */
void durable_begin(struct novad *novad, struct jobs *jobs);
/* Lets those go on who have rested. */
void durable_look(int64_t now);
bool durable_rests(void); /* does anybody? */
/* When no job ends any more. */
void durable_free(void);

/* --- stored.c: keys of the store --- */

/* One that the store has just said to be valid; NULL: it has to be asked. It stays as
 * known_note() says. */
struct key *stored_find(const char *text);
struct key *stored_named(const char *name);
/* Asks for the key that is `offered`, as `key` or by its `name`; `go_on` is called then, maybe at
 * once, and there is `key`, `refused`, or an answer. False: it has been answered. */
bool stored_ask(struct exchange *exchange, void (*go_on)(struct exchange *exchange));
/* It waits no more. */
void stored_forget(struct exchange *exchange);

/* --- rates.c: how often keys may ask --- */

/* Takes one more request from the rate of its key; `go_on` is called then, maybe at once. */
void rate_take(struct exchange *exchange, void (*go_on)(struct exchange *exchange));
/* It waits no more. */
void rate_forget(struct exchange *exchange);
void rates_free(void);

/* --- gate.c: whether a request is let in --- */

/* When its head is there. False: it has been answered, or its `offered` key is to be asked for, or
 * it `needs_rate`. */
bool gate_head(struct exchange *exchange);
/* When that has been done; as gate_head(). */
bool gate_head_again(struct exchange *exchange);
/* A piece of the body. */
void gate_body(struct exchange *exchange, const char *data, size_t len);
/* When all is there: false, if it has been answered, or it `needs_rate`; then once more. */
bool gate_whole(struct exchange *exchange);
/* It is over: nothing of it is counted any more. */
void gate_leave(struct exchange *exchange);
/* The parameters, checked. NULL: it has been answered. */
json_t *gate_query(struct exchange *exchange);
/* A body that has come as a message, checked; it counts as a call from then on. NULL: it has been
 * answered. */
json_t *gate_message(struct exchange *exchange, struct bytes *message);

/* --- stream.c: executions to which one can listen --- */

#define PIECE_MAX (16u << 10) /* bytes printed that one event has at most */

struct stream;

/* Who listens. */
struct reader {
	LIST_ENTRY(reader) all;
	struct stream *stream; /* NULL: to nothing */
	uint64_t next;         /* the number of the next event */
	uint64_t heard;        /* bytes of events that it has had */
	char gap[80];
	/* There is more, or room for more input. It must not end the reader. */
	void (*woken)(struct reader *reader);
};

/* Runs what `fields` say, which are taken; it counts as a call of the exchange's key, and what the
 * exchange holds is its own until it has ended. */
struct stream *stream_begin(struct exchange *exchange, json_t *fields);
/* What has been run for somebody who did not listen. */
void stream_keep(const struct exchange *exchange, const json_t *reply);
/* One that this key has begun; NULL: there is none. */
struct stream *stream_find(const char *id, const struct key *key);
const char *stream_id(const struct stream *stream);
uint64_t stream_next_id(const struct stream *stream); /* of the event that comes next */
/* From the event after number `after` on; false: so many there are not. */
bool stream_attach(struct stream *stream, struct reader *reader, uint64_t after);
void stream_detach(struct reader *reader); /* NULL as its stream does nothing */
/* The next event, which lives until the loop goes on; NULL: not yet. */
const char *stream_next(struct reader *reader, size_t *ret_len);
bool stream_is_over(const struct reader *reader); /* it has had the last */
bool stream_has_ended(const struct stream *stream);
/* As job_input(); NULL, or why not. */
const char *stream_input(struct stream *stream, const void *data, size_t len, bool last);
bool stream_is_full(const struct stream *stream);
void stream_stop(struct stream *stream);
/* Ends those to which nobody has listened for too long. */
void streams_look(int64_t now);
/* Nobody can come back: the same at once. */
void streams_drain(void);
size_t streams_count(void);
void streams_free(void);

/* --- websocket.c --- */

/* While a WebSocket waits for others: pings who is silent. */
void websocket_look(struct websocket *socket, int64_t now);
/* Says good-bye, if there is nothing under way; in any case if `lost`. */
void websocket_drain(struct websocket *socket, bool lost);
void websocket_end(struct websocket *socket);

extern const struct front http_front;

#endif
