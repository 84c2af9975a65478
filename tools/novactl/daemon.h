/* SPDX-License-Identifier: MIT */
/*
 * What `novactl daemon` and the verbs that talk to it share: where it is found, the frames between
 * them, and the other side's half of each. docs/daemon.md describes the conversation.
 */
#ifndef NOVACTL_DAEMON_H
#define NOVACTL_DAEMON_H

#include <sys/types.h>

#include "novactl.h"

#define WIRE_PROTOCOL  1
#define WIRE_FRAME_MAX (1u << 20)  /* bytes of JSON in one frame */
#define WIRE_PIECE     (64u << 10) /* bytes of a long text in one frame: six times that, escaped */

enum wire_type {
	WIRE_HELLO = 1,   /* each side first: protocol, version */
	WIRE_REQUEST = 2, /* client: a verb and its options, and how long the event behind it is */
	WIRE_TEXT = 3, /* a piece of a long text: {part, text} or, if it is no UTF-8, {part, hex} */
	WIRE_REPLY = 4, /* daemon: the end of a request */
};

/* --- one end of a conversation --- */

struct wire {
	int fd;
	nova_decoder_t *decoder;
	struct bytes out; /* waits to be sent */
	size_t sent;      /* of it, is on its way already */
};
void wire_open(struct wire *wire, int fd); /* takes the descriptor */
void wire_close(struct wire *wire);
/* Both only append to `out`. The first takes the reference. */
void wire_put(struct wire *wire, enum wire_type type, json_t *payload);
void wire_put_text(struct wire *wire, const char *part, const void *data, size_t len);
/* a WIRE_TEXT without text: the last of it */
void wire_put_end(struct wire *wire, const char *part);
/* Sends what the socket takes without waiting. False: the other side has gone. */
bool wire_flush(struct wire *wire);
/* Reads what is there without waiting. False: the other side has gone. */
bool wire_fill(struct wire *wire);
/* The next frame, its payload a new reference. 1; 0: none is whole yet; -1: it is no frame. */
int wire_next(struct wire *wire, int *ret_type, json_t **ret_payload, nova_error_t **error);
bool wire_text_ends(const json_t *payload, const char *part);
/* Appends the piece that a WIRE_TEXT carries, if it belongs to `part`. False: it is malformed. */
bool wire_text_add(struct bytes *bytes, const json_t *payload, const char *part);
json_t *error_json(int code, int outcome, const char *message);

/* --- sockets and the lock: the only file that meets the system's error numbers --- */

/* A listening socket of mode 0600 in place of whatever is at `path`; -1 with errno set. */
int socket_listen(const char *path);
/* Connected within `timeout_ms`; -1 with errno set. */
int socket_connect(const char *path, uint32_t timeout_ms);
/* -1: nobody waits; -2: there is no room for one more descriptor now. */
int socket_accept(int listener);
/* As write(2) and read(2), without waiting; 0: nothing now; -1: the other side has gone. */
ssize_t socket_send(int fd, const void *data, size_t len);
ssize_t socket_receive(int fd, void *out, size_t len);
/* What a program is given. As read(2); -2: nothing now. */
ssize_t input_read(int fd, void *out, size_t len);
/* A pipe that is written to without waiting; false with errno set. */
bool pipe_make(int ends[2]);
/* 0: there is no room now; -1: nobody reads. */
ssize_t pipe_write(int fd, const void *data, size_t len);
/* The process at the other end. Only one of the same user, or of root, may talk. */
bool socket_peer_allowed(int fd, pid_t *ret_pid, uid_t *ret_uid);

/* The directory of the daemon of a home, made with mode 0700 if asked; NULL with errno set. */
char *daemon_directory(const char *home, bool make);
/* Locks it for this process: the lock's descriptor, -1 if another daemon has it, -2 with errno set.
 */
int daemon_lock(const char *directory);
/* Writes into the lock who has it and where; NULL: nobody any more. */
bool daemon_lock_tell(int lock, const char *socket);
/* Who wrote so last, whether alive or not: its process and its socket, which the caller frees. */
bool daemon_lock_read(const char *directory, pid_t *ret_pid, char **ret_socket);

/* A descriptor of a process, or -1; and waiting for its end. */
int process_open(pid_t pid);
void process_await(int process);

/* Tells the service manager, if there is one (variable NOTIFY_SOCKET). */
void service_notify(const char *state);

/* --- the client's half --- */

struct remote {
	struct wire wire;
	pid_t pid;
	json_t *hello; /* what the daemon said of itself */
	char *socket;
	int input;         /* what is sent of while the request is served; -1: nothing */
	bool input_failed; /* it could not be read, which has been told */
};
/* What the two compare when they meet. */
json_t *hello_json(void);
json_t *settings_fingerprints(const nova_config_t *config);
/* Connects to the daemon of the home that the settings name. `alike`: only to one of the same
 * version and with the same settings. False: there is none that can be used; with --verbose it is
 * told why. */
bool remote_connect(struct remote *remote, const nova_config_t *config, bool alike);
void remote_close(struct remote *remote);

/* Says that there is none that could have instances; STATUS_FAILED. */
int instances_need_daemon(void);

/* What a request came to. */
enum remote_end {
	REMOTE_REPLIED,
	REMOTE_DECLINED, /* nothing was begun: to be done here instead */
	REMOTE_LOST,     /* the daemon ended in the middle: it may have been begun */
};
/* Sends a request, whose reference it takes, with an event or NULL, and waits for the reply.
 * `on_text` gets the texts that come before it, and may be NULL. */
enum remote_end remote_ask(struct remote *remote, json_t *request, const char *event, size_t len,
	void (*on_text)(void *userdata, const json_t *payload), void *userdata, json_t **ret_reply);

/* --- the daemon's half --- */

enum phase {
	PHASE_SERVING,
	PHASE_DRAINING, /* no new calls; those under way may finish */
	PHASE_CUTTING,  /* they have been cancelled */
	PHASE_OVER,     /* at once */
};

struct daemon {
	nova_config_t *config;
	nova_t *nova;
	nova_queue_t *queue;
	char *directory, *socket;
	int lock, listener, signals;
	int wake; /* eventfd: a call has printed something */
	struct client *clients;
	size_t client_count;
	enum phase phase;
	bool signalled;
	pid_t asked_by;             /* a client that wants it to stop; 0: none */
	int64_t phase_end, started; /* milliseconds of now_ms(); phase_end -1: never */
	int64_t accept_after;       /* no descriptor was left: accept nothing before that */
	uint64_t served;            /* calls that were begun, ever */
	uint32_t client_ms, stop_ms;
};

/* With more, requests are refused; with twice as many, nobody is let in. */
#define CLIENTS_MAX 1000

/* Clients, one request each. */
void client_accept(struct daemon *daemon);
void clients_free(struct daemon *daemon);
/* Descriptors to poll, two for each client that has one, in the order of the list: its connection,
 * and where its stdin goes. */
struct pollfd;
size_t clients_poll(const struct daemon *daemon, struct pollfd *fds, int64_t *deadline);
void clients_step(struct daemon *daemon, const struct pollfd *fds);
void clients_flush(struct daemon *daemon);
/* The calls that are finished are answered. */
void clients_collect(struct daemon *daemon);
/* No new request is begun; those that were not begun are declined. */
void clients_drain(struct daemon *daemon);
void clients_cancel(struct daemon *daemon);
/* Those whose call is not over are told that nobody will know; as far as that goes without waiting.
 */
void clients_abandon(struct daemon *daemon);

/* status.c */
json_t *daemon_status(const struct daemon *daemon);

/* Requests that are no calls and take a while: the verbs of instances. */
struct job;
bool job_knows(const char *verb);
/* Copies the request. NULL: no thread can be started. `wake` is written to when it is done. */
struct job *job_begin(nova_t *nova, int wake, const json_t *request);
/* A WIRE_TEXT of its stdin. False: it has none, or the text is malformed. */
bool job_input(struct job *job, const json_t *payload);
/* Passes on what waits of its stdin; the descriptor to poll for it, -1: nothing waits. */
int job_input_flush(struct job *job);
/* So much waits that no more is to be read from its client. */
bool job_is_full(const struct job *job);
/* Passes on what its command has printed. */
void job_printed(struct job *job, struct wire *wire);
/* Ends it as soon as can be. */
void job_cancel(struct job *job);
bool job_is_done(const struct job *job);
/* Waits for its end and frees it. Texts go to the wire, which may be NULL; the reply is returned.
 */
json_t *job_end(struct job *job, struct wire *wire);
/* Ends every instance, and with them the jobs that wait for one. */
void jobs_cut(nova_t *nova);

#endif
