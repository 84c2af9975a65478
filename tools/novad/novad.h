/* SPDX-License-Identifier: MIT */
/*
 * The door of novad, which serves functions and code over HTTP. Each part stands on those before
 * it; docs/novad.md shows them. Of libnova it uses nothing but the public headers.
 */
#ifndef NOVAD_H
#define NOVAD_H

#include <microhttpd.h>

#include "serve/serve.h"

/* --- options: what it was started with --- */

#define LIST_MAX 16 /* of an option that may be given several times */

struct words {
	const char *at[LIST_MAX];
	size_t count;
};

struct settings {
	struct words listen, set, hosts, origins;
	const char *config, *key_file, *signing_key, *tls_cert, *tls_key, *access_log;
	const char *aws_credentials; /* of the key of that name, to print */
	bool tls, insecure, no_keys, e2b, openapi, help, version;
	uint32_t connections, calls, key_calls; /* at once */
	uint32_t body_kb, bodies_mb;            /* of one request; of all together */
	uint32_t sandboxes, key_sandboxes;      /* that are there */
	uint32_t job_workers;
	uint32_t head_ms, body_ms, idle_ms, resume_ms, stop_ms, event_retry_ms, paused_ms;
};

/* False: the command line is wrong, which has been said. */
bool settings_read(struct settings *settings, int argc, char **argv);
void settings_help(void);

/* --- what it says on stderr: say.c --- */

/* As of the setting log.level; NULL: as without it. */
void said_by(const char *filter);
int said_up_to(void); /* of any module */
void say(int level, const char *text);
void say_of(void *unused, int level, const char *module, const char *text); /* nova_log_fn */

/* --- texts --- */

/* Into hex digits, 2 for each byte, and a NUL. */
void hex_of(char *out, const void *data, size_t len);
/* As base64, NUL-terminated. */
void base64_write(struct bytes *out, const void *data, size_t len);
/* What base64 stands for; false: it is none. */
bool base64_read(struct bytes *out, const char *text, size_t len);
/* Decodes %XX of a part of a URI, in place; false: it is malformed, or has a NUL. */
bool percent_read(char *text);
void random_hex(char *out, size_t bytes);

/* --- what a body may have: a table, which also becomes the document --- */

enum kind {
	KIND_END,
	KIND_TEXT,
	KIND_NUMBER, /* whole, within the limits of the field */
	KIND_FLAG,
	KIND_TEXTS,  /* a list */
	KIND_BYTES,  /* a list of numbers from 0 to 255, or base64 */
	KIND_OBJECT, /* with fields of its own */
	KIND_PAIRS,  /* an object of texts, or a list of texts NAME=value */
	KIND_ANY,
};

struct field {
	const char *name;
	enum kind kind;
	const char *doc;
	bool required;
	int64_t min, max;            /* of numbers; of texts the most bytes, 0: 64 KiB */
	const char *const *choices;  /* of texts; ends with NULL */
	const struct field *members; /* of objects */
};

/* False: `why` names what does not fit. */
bool fields_check(const struct field *fields, const json_t *object, char *why, size_t size);
/* As a JSON Schema. */
json_t *fields_schema(const struct field *fields);
/* A field of kind KIND_BYTES that has been checked. */
void field_bytes(struct bytes *out, const json_t *value);

/* --- shelf.c: what outlives this process --- */

struct shelf;
/* A directory in another one, which is made. NULL: it has been said why. */
struct shelf *shelf_open(const char *directory, const char *name, bool synced);
void shelf_free(struct shelf *shelf);
/* By any thread; an id has letters and digits only. 0, or the number of the system's error by which
 * it is not kept, which has been said. */
int shelf_put(struct shelf *shelf, const char *id, const json_t *facts);
void shelf_drop(struct shelf *shelf, const char *id);
/* All of them, by their ids; NULL: it has been said why the directory cannot be read. Of what
 * cannot be had it has been said why, and `others`, which may be NULL, has its id: with true if it
 * is damaged, and with false if it could not be read. */
json_t *shelf_read(const struct shelf *shelf, json_t *others);

/* --- elapsed.c: time by a clock that nobody sets --- */

/* Goes on from what was kept in the directory. False: it has been said why not. */
bool elapsed_open(const char *directory);
/* Milliseconds; those for which the host was off are not among them. By any thread. */
int64_t elapsed_ms(void);
/* For after the end of the host; it waits for the disk. */
void elapsed_keep(void);
void elapsed_close(void);

/* --- keys --- */

#define OWNER_SIZE 65 /* of the hash of a key, as text */

struct key {
	char name[65];
	unsigned char hash[32];
	bool admin;       /* it may see and change what belongs to others */
	bool valid;       /* of those of a file: it is in there now */
	uint32_t holders; /* who point to it, and keep it */
	uint32_t calls;   /* under way */
	/* asynchronous ones that have failed, and wait to be begun again */
	uint32_t waiting;
	size_t waiting_bytes;
	/* Requests: so many in so many milliseconds, and `burst` at once; 0: as many as it likes.
	 */
	uint32_t rate, period_ms, burst;
};

struct keys;
/* NULL: it has been logged why. A file that is not there is made, with one key. */
struct keys *keys_open(const char *path, log_fn log);
void keys_free(struct keys *keys);
/* Reads the file again if it has changed. */
void keys_refresh(struct keys *keys);
/* NULL: it is none of them. It stays until keys_refresh(), or as long as it is held. */
struct key *keys_find(struct keys *keys, const char *text);
/* The same by its name; by its hash, in hex digits. */
struct key *keys_named(struct keys *keys, const char *name);
struct key *keys_hashed(struct keys *keys, const char *hex);
/* Gives the key, which may be NULL. */
struct key *key_hold(struct key *key);
void key_release(struct key *key);
/* Who it is, whatever its name: "" of none. */
void key_owner(const struct key *key, char owner[OWNER_SIZE]);
/* What it is called and may have; what is counted of it stays. */
void key_change(struct key *key, const struct key *to);
/* Those that the store has said to be valid, for a second, by the hash of what was asked for: the
 * key itself, or its name: known.c. NULL: it has to be asked. */
struct key *known_find(const unsigned char hash[32]);
/* It has just said so; one that is there has what it may have from now on. It stays for that
 * second, and as long as it is held. NULL: there are too many. */
struct key *known_note(const unsigned char hash[32], const struct key *found);
void known_free(void);
/* Of one that the store has, its name, its identity and what it may have: stored.c. */
void stored_key_of(struct key *key, const nova_key *stored);
bool stored_is_over(const nova_key *stored); /* revoked, or its time is over */

/* --- signatures: signature.c --- */

#define SIGNING_SECRET_MAX 41

/* Reads the key from which secrets are derived; a file that is not there is made. False: it has
 * been logged why. */
bool signing_key_open(const char *path, unsigned char key[32], log_fn log);
/* What a client signs with whose access key id is the name of `of`. */
void signing_secret(
	const unsigned char key[32], const struct key *of, char secret[SIGNING_SECRET_MAX]);

/* --- certificates --- */

struct tls {
	char *certificate, *key; /* in PEM */
	char fingerprint[96];
};
/* False: it has been logged why. Without names, those in the directory, which are made if they are
 * not there. */
bool tls_open(struct tls *tls, const struct settings *settings, const char *directory, log_fn log);
void tls_free(struct tls *tls);

/* --- sockets --- */

enum reach {
	REACH_OWNER,    /* a Unix socket that nobody else can open */
	REACH_LOOPBACK, /* this machine */
	REACH_PUBLIC,
};

struct place {
	int fd;
	enum reach reach;
	bool tls;
	char name[160]; /* as "http://127.0.0.1:8080" */
	char *path;     /* of a Unix socket that is removed at the end, or NULL */
};

#define PLACES_MAX 32
struct places {
	struct place at[PLACES_MAX];
	size_t count;
};
/* Listens wherever it is told to. False: it has been logged why. */
bool places_open(
	struct places *places, const struct settings *settings, const char *directory, log_fn log);
void places_close(struct places *places);

/* --- the whole --- */

enum counter {
	COUNTER_REQUESTS, /* answered */
	COUNTER_1XX,
	COUNTER_2XX,
	COUNTER_3XX,
	COUNTER_4XX,
	COUNTER_5XX,
	COUNTER_ABANDONED, /* the client went away */
	COUNTER_SHED,      /* refused for too much of something */
	COUNTER_TIMEOUTS,  /* hung up on for slowness */
	COUNTER_DROPPED,   /* asynchronous calls that were to be begun again */
	COUNTER_MICROSECONDS,
	COUNTER_COUNT,
};

struct novad {
	struct settings settings;
	nova_config_t *config;
	nova_t *nova;
	char *directory;
	const struct route *routes;
	struct keys *keys; /* NULL: nobody needs one */
	unsigned char signing_key[32];
	struct tls tls;
	struct places places;
	struct server *server;
	log_fn log;
	bool draining;
	size_t connections, calls, body_bytes; /* there now */
	size_t unverified, unverified_bytes;   /* the same of those whose signature is not */
	uint64_t counters[COUNTER_COUNT];
};

/* The document of routes, as a text that the caller frees. */
char *openapi_document(const struct route *routes);

/* --- who asks, and the ids of executions: owners.c --- */

#define EXECUTION_SIZE 33
#define OWNER_TAG      12 /* characters of its owner with which the id of an execution begins */
void owner_options(json_t *options, const struct key *key);
void execution_id(const char *owner, char id[EXECUTION_SIZE]);

/* --- exchanges: a request, and what is answered --- */

struct exchange;

enum route_flags {
	ROUTE_BARE = 1,        /* also without /api/v1 */
	ROUTE_ONLY = 2,        /* without it alone */
	ROUTE_OPEN = 4,        /* needs no key */
	ROUTE_RAW = 8,         /* its body is no JSON, or not looked at here */
	ROUTE_LATER = 16,      /* is not there yet, and not in the document */
	ROUTE_SOCKET = 32,     /* becomes a WebSocket */
	ROUTE_STREAMED = 64,   /* what it prints can be had as a stream, too */
	ROUTE_PAGE = 128,      /* for people: not in the document */
	ROUTE_AWS = 256,       /* for Amazon's clients, who sign: not in the document */
	ROUTE_E2B = 512,       /* for E2B's SDK: not in the document */
	ROUTE_GUEST = 1024,    /* inside of a sandbox, which its head names */
	ROUTE_ENVELOPE = 2048, /* its body is a message of a stream */
	ROUTE_PLUGGED = 4096,  /* any path where nothing else is, with any query */
	ROUTE_ADMIN = 8192,    /* is for admins */
};

struct route {
	const char *method, *path;
	const char *name, *doc; /* the document's operationId, and what it does */
	unsigned flags;
	/* one of these: at once; when all is there; or a job with the members `path`, `query` and
	 * `body` */
	void (*direct)(struct exchange *exchange);
	void (*respond)(struct exchange *exchange);
	const struct job_verb *verb;
	const struct field *query, *body;
	const char *answer; /* what comes back, in words */
};

/* Which verb runs what POST /execute is given: execute.c */
const struct job_verb *execute_verb(const json_t *fields);

/* GET /execute/stream: websocket.c */
void direct_stream(struct exchange *exchange);
extern const struct field stream_query[];

struct novad *exchange_novad(const struct exchange *exchange);
const char *exchange_header(const struct exchange *exchange, const char *name);
/* What problems call a code of the library's. */
const char *problem_name(int code);
/* Takes the bytes. */
void exchange_answer(
	struct exchange *exchange, unsigned status, const char *type, struct bytes *body);
/* The same response each time; it is not freed by anybody here. */
void exchange_answer_ready(struct exchange *exchange, unsigned status, struct MHD_Response *ready);

/* --- what jobs say --- */

const char *job_path(const struct job *job, const char *name); /* of the route's path */
const char *job_query(const struct job *job, const char *name);
const char *job_key(const struct job *job);      /* the name of the key; NULL: none was needed */
const json_t *job_fields(const struct job *job); /* its body, as it was checked */
const char *job_field(const struct job *job, const char *name);
uint32_t job_field_number(const struct job *job, const char *name);
nova_t *job_nova(const struct job *job);
void job_status(struct job *job, unsigned status);
void job_header(struct job *job, const char *name, const char *value);
void job_answer(struct job *job, json_t *body);
/* The answer is a file. It waits until it is passed on. */
void job_answer_bytes(struct job *job, const char *data, size_t len);
/* The answer is a text as it is: parsed and printed again, numbers would lose digits. */
void job_answer_text(struct job *job, const char *text, size_t len);
/* The texts of a list, lent by it; the caller frees the array. */
const char **texts_of(const json_t *list, size_t *ret_count);
/* "NAME=value" of a field of kind KIND_PAIRS; what has no '=' is left out. */
char **pairs_of(const json_t *pairs, size_t *ret_count);
void pairs_free(char **pairs);
/* What a command or a program has come to, as members. */
json_t *result_json(const nova_result_t *result, const char *error);
/* The same of code that has run, also if it failed. */
json_t *run_json(struct job *job, const nova_result_t *result, const nova_error_t *error);
/* Of `timeout`, `timeout_secs` and `timeout_ms`; 0: none is given. */
uint32_t fields_timeout_ms(const json_t *fields);
/* What it prints goes to whoever listens, while it runs. */
bool job_is_streamed(const struct job *job);
void job_stream(void *job, int stream, const void *data, size_t len); /* a nova_output_fn */
/* A nova_output_fn of calls whose job gathers: what comes on stdout, as the bytes that it is; in
 * results it is text. */
void job_gather(struct job *job); /* before the call; it is what the job holds */
void job_gathers(void *job, int stream, const void *data, size_t len);
const struct bytes *job_gathered(const struct job *job);
/* The identity of the request, for the library: never twice. */
const char *job_id(const struct job *job);
/* A problem that is no code of the library's. */
void job_problem(struct job *job, unsigned status, const char *code, const char *format, ...)
	PRINTF_LIKE(4, 5);

#endif
