/* SPDX-License-Identifier: MIT */
/*
 * What `novactl daemon` and the verbs that talk to it share: where it is found, the frames between
 * them, and the other side's half of each. docs/daemon.md describes the conversation.
 */
#ifndef NOVACTL_DAEMON_H
#define NOVACTL_DAEMON_H

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

/* --- frames --- */

nova_decoder_t *wire_decoder(void); /* of nova/proto.h, for frames of a conversation */
/* These only append. The second takes the reference. */
void wire_put(struct bytes *out, enum wire_type type, const json_t *payload);
void wire_put_new(struct bytes *out, enum wire_type type, json_t *payload);
void wire_put_text(struct bytes *out, const char *part, const void *data, size_t len);
/* a WIRE_TEXT without text: the last of it */
void wire_put_end(struct bytes *out, const char *part);
/* The next frame, its payload a new reference. 1; 0: none is whole yet; -1: it is no frame. */
int wire_next(nova_decoder_t *decoder, int *ret_type, json_t **ret_payload, nova_error_t **error);
bool wire_text_ends(const json_t *payload, const char *part);
/* Appends the piece that a WIRE_TEXT carries, if it belongs to `part`. False: it is malformed. */
bool wire_text_add(struct bytes *bytes, const json_t *payload, const char *part);
/* What the two compare when they meet. */
json_t *hello_json(void);
json_t *settings_fingerprints(const nova_config_t *config);

/* The directory of the daemon of a home. */
char *daemon_directory(const char *home);

/* --- the client's half --- */

struct remote {
	int fd;
	nova_decoder_t *decoder;
	struct outgoing out;
	pid_t pid;
	json_t *hello; /* what the daemon said of itself */
	char *socket;
	int input; /* what is sent of while the request is served; -1: nothing */
	bool input_begun;
	int input_failed; /* it could not be read: an errno */
};
/* Connects to the daemon of the home that the settings name. `alike`: only to one of the same
 * version and with the same settings. False: there is none that can be used; with --verbose it is
 * told why. */
bool remote_connect(struct remote *remote, const nova_config_t *config, bool alike);
void remote_close(struct remote *remote);

/* How to reach the one that serves HTTP instead, which the caller frees; NULL: there is none. */
char *http_daemon(const nova_config_t *config);
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

/* --- the daemon's half, upon serve/serve.h --- */

struct daemon {
	nova_config_t *config;
	nova_t *nova;
	struct server *server;
	int64_t started; /* milliseconds of now_ms() */
};

extern const struct protocol conversation;
/* The verbs that it serves. The userdata of their jobs is the daemon. */
extern const struct job_verb served_invoke, served_run, served_status, served_stop,
	served_instance_start, served_instance_list, served_instance_get, served_instance_stats,
	served_instance_console, served_instance_exec, served_instance_pause,
	served_instance_resume, served_instance_snapshot, served_instance_stop;

#endif
