/* SPDX-License-Identifier: MIT */
/*
 * The door of tools/serve: what a program is made of that serves others by means of libnova. Each
 * part stands on those before it. It uses nothing of libnova but the public headers, and knows
 * neither what is asked for nor how that is spelled: the program that links it says both.
 */
#ifndef SERVE_H
#define SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <jansson.h>
#include <nova/nova.h>

#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn)       __attribute__((cleanup(fn), unused))

/* --- memory, time, bytes that grow --- */

/* Memory, or the end of the process: such a program has nothing to save. */
void *need(void *memory);

int64_t now_ms(void); /* monotonic */

struct bytes {
	char *data; /* NUL-terminated once anything was added */
	size_t len, capacity;
};
void bytes_add(struct bytes *bytes, const void *data, size_t len);
void bytes_drop(struct bytes *bytes, size_t len); /* from the front */
void bytes_free(struct bytes *bytes);

/* --- text of others --- */

/* As JSON, whatever it holds: what is not UTF-8 becomes U+FFFD. */
json_t *text_json(const char *data, size_t len);
/* Takes out of it, in place, what would steer a terminal: each byte of a control character and of
 * what is not UTF-8 becomes a '?'. Newlines and tabs stay with `lines`, else they become spaces. */
void text_tame(char *text, size_t len, bool lines);

/* Who gets what is to be logged: a level of nova/host.h, and a line. */
typedef void (*log_fn)(int level, const char *text);
void log_line(log_fn log, int level, const char *format, ...) PRINTF_LIKE(3, 4);

/* --- sockets and pipes: nothing here waits, unless it says so --- */

/* A listening socket of mode 0600, also in place of one at which nobody listens any more; -1 with
 * errno set. */
int socket_listen(const char *path);
/* Connected within `timeout_ms`, for which it waits; -1 with errno set. */
int socket_connect(const char *path, uint32_t timeout_ms);
/* -1: nobody waits; -2: there is no room for one more descriptor now. */
int socket_accept(int listener);
/* As read(2); 0: nothing now; -1: the other side has gone. */
ssize_t socket_receive(int fd, void *out, size_t len);
/* The process at the other end. Only one of the same user, or of root, may talk. */
bool socket_peer_allowed(int fd, pid_t *ret_pid, uid_t *ret_uid);

/* What waits to be sent. */
struct outgoing {
	struct bytes bytes;
	size_t sent; /* of them, are on their way already */
};
/* Sends what the socket takes. False: the other side has gone. */
bool outgoing_flush(struct outgoing *out, int fd);
size_t outgoing_left(const struct outgoing *out);

/* As read(2) from whatever a program is given as input, which may wait; -2: nothing now. */
ssize_t input_read(int fd, void *out, size_t len);
/* A pipe whose second end is written to without waiting; false with errno set. */
bool pipe_make(int ends[2]);
/* As write(2); 0: there is no room now; -1: nobody reads. */
ssize_t pipe_write(int fd, const void *data, size_t len);

/* --- the place of a server: a directory with a lock, which says who has it and where it listens */

/* Makes the directory, of mode 0700; false with errno set. */
bool place_make(const char *directory);
/* The lock's descriptor: who has it has the place, as long as the process lives. -1: another has
 * it; -2 with errno set. */
int place_lock(const char *directory);
/* Writes into the lock where this process listens; NULL: nowhere any more. */
bool place_tell(int lock, const char *socket);
/* Whether there is a process that has it. */
bool place_is_held(const char *directory);
/* Who wrote so last, whether alive or not, and where it is reached, which the caller frees: a
 * socket, or an address. */
bool place_holder(const char *directory, pid_t *ret_pid, char **ret_socket);

/* --- other processes --- */

/* A descriptor of a process, or -1; and waiting for its end. */
int process_open(pid_t pid);
void process_await(int process);
/* Tells the service manager, if there is one (variable NOTIFY_SOCKET). */
void service_notify(const char *state);

/* --- the loop: one thread waits for descriptors, and calls whoever watches them --- */

struct loop;
struct watch;
/* NULL with errno set */
struct loop *loop_new(void);
void loop_free(struct loop *loop); /* all watches must have ended */
/* Calls `ready` with what of `events` (EPOLLIN, EPOLLOUT) is there, or EPOLLHUP, EPOLLERR.
 * NULL with errno set. */
struct watch *loop_watch(struct loop *loop, int fd, uint32_t events,
	void (*ready)(void *userdata, uint32_t events), void *userdata);
void watch_for(struct watch *watch, uint32_t events); /* from now on; 0: nothing for now */
/* Before the descriptor is closed; in a `ready`, too. NULL does nothing. */
void watch_end(struct watch *watch);
/* Waits until something is ready, or now_ms() is `deadline` (-1: never), and calls for it. */
void loop_step(struct loop *loop, int64_t deadline);

/* --- threads for what may wait --- */

struct task {
	TAILQ_ENTRY(task) place;
	void (*run)(void *userdata);
	void *userdata;
};

struct threads;
struct threads *threads_new(void);
/* Runs it in a thread of its own, beside all others; it is lent until it runs. False: no other
 * thread can be started. Like threads_free(), in one thread alone. */
bool threads_run(struct threads *threads, struct task *task);
/* Waits for all. */
void threads_free(struct threads *threads);

/* --- jobs: what was asked for, until it is answered ---
 *
 * A job belongs to the loop, and so do all calls here which do not say otherwise. What it prints
 * on the way comes as texts, each of a part, such as "stdout"; at the end there is one reply, an
 * object, whose member `error` tells of a failure. */

#define JOB_PRINTED_MAX (256u << 10) /* bytes that wait for whoever asked */
#define JOB_THREADS     256          /* of the queue: some commands go on for long */
#define JOB_INPUT_MAX   (128u << 10) /* bytes that wait for the job, before no more is read */

struct jobs;
struct job;

/* What can be asked for: a name, and one of `answer`, `work` and `submit`. */
struct job_verb {
	const char *name;
	/* at once, in the loop */
	void (*answer)(struct job *job);
	/* in a thread of its own, where it may wait */
	void (*work)(struct job *job);
	/* likewise, as what a call needs may have to be asked for: hands in a call, whose userdata
	 * is the job, for the library's queue. 0, or a code with its error, or after job_fail() */
	int (*submit)(
		struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error);
	/* of submit: makes texts and the reply of the call, which is finished; in the loop. Also if
	 * nobody waits for it any more, so that what it has made can be ended. */
	void (*collect)(struct job *job, nova_call_t *call);
	const void *context; /* the verb's own */
};

/* Who asks. All are called in the loop, and only when job_begin() has returned, but for `end` of
 * what ends at once. */
struct job_asker {
	/* It has printed, or takes more input: job_pass_on(), job_is_full(). */
	void (*woken)(void *asker);
	void (*text)(void *asker, const char *part, const void *data, size_t len);
	/* The last: the job is gone. */
	void (*end)(void *asker, const json_t *reply);
	/* The queue has taken the call of a job that submits one; may be NULL. */
	void (*begun)(void *asker);
};

struct job_request {
	const struct job_verb *verb;
	const json_t *options; /* copied */
	struct bytes body;     /* taken */
	bool input;            /* job_input() will be called */
	pid_t pid;             /* of whoever asks; 0: unknown */
};

/* NULL: the error is given. `userdata` is the program's own. */
struct jobs *jobs_new(struct loop *loop, nova_t *nova, void *userdata, nova_error_t **error);
/* Cancels all, and every instance of the platform; waits until nothing is under way. */
void jobs_free(struct jobs *jobs);
/* Cancels all, and every instance. What ends by that says `why`, if that is not NULL. */
void jobs_cancel(struct jobs *jobs, const char *why);
size_t jobs_count(const struct jobs *jobs);
/* Those which nobody waits for any more, and which have not ended yet. */
size_t jobs_abandoned(const struct jobs *jobs);
uint64_t jobs_submitted(const struct jobs *jobs); /* calls, ever */
nova_queue_t *jobs_queue(const struct jobs *jobs);

/* for whoever asks, by `userdata`, which is not NULL. NULL: it has ended already. */
struct job *job_begin(struct jobs *jobs, struct job_request *request, const struct job_asker *asker,
	void *userdata);
/* Nobody waits for it any more: it is cancelled. */
void job_abandon(struct job *job);
/* Gives the texts of all that it has printed until now. */
void job_pass_on(struct job *job);
/* A piece of its input, which may be the last. False: it takes none. */
bool job_input(struct job *job, const void *data, size_t len, bool last);
bool job_is_full(const struct job *job); /* no more input is to be read */

/* for verbs, in whichever thread they are */
const struct job_verb *job_verb(const struct job *job);
const json_t *job_options(const struct job *job);
/* Members of the options; of one that is missing, or of another kind, NULL, false and 0. */
const char *job_text(const struct job *job, const char *key);
bool job_flag(const struct job *job, const char *key);
uint32_t job_number(const struct job *job, const char *key);
const struct bytes *job_body(const struct job *job);    /* of submit: gone once that has returned */
void *job_userdata(const struct job *job);              /* of jobs_new() */
pid_t job_pid(const struct job *job);                   /* of whoever asks */
nova_interrupt_t *job_interrupt(const struct job *job); /* triggered when it is cancelled */
bool job_is_canceled(const struct job *job);
/* In `collect`: the job does not end yet, but when this has returned, which may wait in a thread of
 * its own, as `work` does. */
void job_then(struct job *job, void (*then)(struct job *job));
/* What takes back what was done: as `work`, when all is done and nobody waits for the reply any
 * more. Whether somebody does may change until then, so that no job can look for itself. */
void job_undo(struct job *job, void (*undo)(struct job *job));
/* Keeps what the verb needs until the job ends, and is then released; once. */
void job_hold(struct job *job, void *held, void (*release)(void *held));
void *job_held(const struct job *job);
int job_stdin(const struct job *job); /* where its input can be read, or -1 */
/* Prints a piece of a part, whose name is a constant: what there is no room for is dropped. */
void job_print(struct job *job, const char *part, const void *data, size_t len);
uint64_t job_dropped(struct job *job); /* bytes, until now */
/* The same, but waits for room. False: there was none, and nothing was printed. */
bool job_print_within(
	struct job *job, const char *part, const void *data, size_t len, uint32_t wait_ms);
/* A text of any length, in the loop. */
void job_tell(struct job *job, const char *part, const void *data, size_t len);
json_t *job_reply(struct job *job); /* an object, to which the verb adds */
void job_fail(struct job *job, int code, int outcome, const char *message);
void job_fail_by(struct job *job, const nova_error_t *error);
#define JOB_RETRY_NEVER (-1) /* as `retry_ms` of the member `error`: waiting does not help */
/* What the member `error` of a reply is. */
json_t *error_json(int code, int outcome, const char *message);

/* --- connections: each is one request --- */

struct connection;

/* How requests, texts and replies are spelled. */
struct protocol {
	void *(*open)(struct connection *connection); /* its state */
	void (*close)(void *state);
	/* Bytes that have come. False: they have no place here, and it is hung up on. */
	bool (*receive)(
		struct connection *connection, const void *data, size_t len, nova_error_t **error);
	/* Both append to connection_out(). A reply has the member `declined`, a reason, if nothing
	 * was begun and may be tried elsewhere. */
	void (*text)(struct connection *connection, const char *part, const void *data, size_t len);
	void (*reply)(struct connection *connection, const json_t *reply);
};

/* for protocols */
void *connection_state(const struct connection *connection);
void *connection_userdata(const struct connection *connection); /* of the server's options */
struct bytes *connection_out(struct connection *connection);
/* Before the body of a request is taken. False: there are too many, which it has been told. */
bool connection_admit(struct connection *connection);
/* The request is whole. */
void connection_begin(struct connection *connection, const char *verb, struct job_request *request);
void connection_refuse(struct connection *connection, int code, int outcome, const char *message);
void connection_decline(struct connection *connection, const char *why);
/* As job_input(). */
bool connection_input(struct connection *connection, const void *data, size_t len, bool last);
/* The reply is on its way: whatever comes now is to be ignored. */
bool connection_is_answered(const struct connection *connection);

/* --- the front of a server: what it lets in. What it opens is handed to the others. --- */

struct server_opts;
struct front {
	/* Listens. NULL: `why` tells. */
	void *(*open)(struct loop *loop, struct jobs *jobs, const struct server_opts *opts,
		char *why, size_t size);
	/* Nobody is let in any more, nobody finds it, and no new request is begun. */
	void (*drain)(void *front);
	/* Those whose job is not over are told that nobody will know; as far as that goes without
	 * waiting. */
	void (*abandon)(void *front);
	void (*close)(void *front);
	/* After each step of the loop: hangs up on those who take too long. */
	void (*tidy)(void *front);
	/* When it has to be called next; -1: whenever something happens. */
	int64_t (*deadline)(const void *front);
	/* Who is there, and the jobs which those that are gone have left under way. */
	size_t (*count)(const void *front);
	/* Where it is reached, as place_holder() tells; NULL: at the server's socket. */
	const char *(*address)(const void *front);
};

/* One Unix socket, at which each connection is one request. */
extern const struct front listener_front;

/* --- plugs: paths at which gateways have a function or a file; they are in the store --- */

/* The function that keeps them: who changes it plugs. */
#define PLUG_HOLDER "plugged-paths"

/* What is wrong with a method, in any case of letters, and a path, as a sentence; NULL: nothing. */
const char *plug_wrong(const char *method, const char *path);
/* Its name in capitals; false: it is none. */
bool plug_method(const char *given, char name[8]);
/* No gateway has routes of its own there; of a path that begins with '/'. */
bool plug_is_free(const char *path);
/* These return 0 or a code of the library's, of what plug_wrong() has found well. What was plugged
 * there before is replaced. `start`: the export of a module that is called; NULL: _start. */
int plug_function(nova_t *nova, const char *method, const char *path, const char *function,
	const char *start, nova_error_t **error);
/* A file that is at this path alone, and goes with its plug. `type` may be NULL. */
int plug_upload(nova_t *nova, const char *method, const char *path, const char *type,
	const struct bytes *content, nova_error_t **error);
/* A file that is kept under a name, and can be plugged into any number of paths. */
int plug_keep(nova_t *nova, const char *name, const char *type, const struct bytes *content,
	nova_error_t **error);
int plug_kept(
	nova_t *nova, const char *method, const char *path, const char *name, nova_error_t **error);
int plug_file(nova_t *nova, const char *name, const nova_file **ret_file, nova_error_t **error);
/* What is plugged there: an object with `function` and maybe `start_function`, or with `file`, a
 * name. NOVA_ENOTFOUND; NOVA_ECORRUPT, without an error: it is no such object. */
int plug_find(nova_t *nova, const char *method, const char *path, json_t **ret_plug,
	nova_error_t **error);
int plug_remove(nova_t *nova, const char *method, const char *path, nova_error_t **error);

/* --- the thread that ticks the pool of a platform --- */

struct ticker;
struct ticker *ticker_start(nova_t *nova); /* NULL: no thread can be started */
void ticker_stop(struct ticker *ticker);   /* NULL does nothing */

/* --- the server: all of that, from its beginning to an orderly end --- */

struct server_opts {
	const char *name;      /* as messages call it, such as "daemon" */
	nova_t *nova;          /* taken: server_free() closes it */
	const char *directory; /* its place */
	/* where it listens, as place_holder() tells: an absolute path; NULL: "socket" in the
	 * directory */
	const char *socket;
	const struct front *front; /* NULL: listener_front */
	/* of listener_front */
	const struct protocol *protocol;
	const struct job_verb *const *verbs; /* ends with NULL */
	/* With more, requests are refused; with twice as many, nobody is let in. */
	uint32_t connections_max;
	uint32_t request_ms; /* how long a connection may take until its request is whole */
	uint32_t stop_ms;    /* how long jobs under way may go on when it stops */
	log_fn log;
	void *userdata;
};

struct server;

enum server_start {
	SERVER_READY,
	SERVER_HELD,   /* another has its place: place_holder() tells who */
	SERVER_FAILED, /* server_why() */
};

/* For the process, before libnova is opened: descriptors, and signals, which are for the server
 * alone. */
void server_prepare(void);
struct server *server_new(const struct server_opts *opts);
enum server_start server_start(struct server *server);
const char *server_why(const struct server *server);
/* Until it has been stopped, by SIGTERM, SIGINT, SIGHUP or server_stop(): jobs may finish, then
 * they are cancelled. A second signal ends the process on the spot in server_free(). */
void server_run(struct server *server);
void server_stop(struct server *server, const char *why);
/* Ends all that is under way, and closes the platform; a signal, or 10 s, end the process. */
void server_free(struct server *server);

const char *server_socket(const struct server *server);
struct loop *server_loop(const struct server *server);
struct jobs *server_jobs(const struct server *server);
size_t server_connections(const struct server *server); /* with what they left under way */

#endif
