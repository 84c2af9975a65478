/* SPDX-License-Identifier: MIT */
/*
 * The door of io: descriptors that are waited for, the stream of frames to the host, and the
 * answers that go over it.
 *
 * One thread, one poll loop. Whoever watches a descriptor lives in a fixed place: a handler that
 * runs later in the same turn can find it ended, but never freed.
 */
#ifndef NOVA_AGENT_IO_H
#define NOVA_AGENT_IO_H

#include <poll.h>

#include "proto/proto.h"

#define MAX_ID      128   /* bytes of a request_id */
#define MAX_CONTEXT 4096u /* bytes of a client_context */
#define MAX_WATCHES 96
#define VSOCK_PORT  9999

/* --- file.c --- */

int write_text(const char *path, const char *text);
/* Closes it, and makes it -1. */
void close_fd(int *fd);

/* --- loop.c --- */

typedef void (*watch_fn)(void *owner, void *what, short events);

struct watch {
	watch_fn fn;
	void *owner, *what;
	/* where the descriptor is kept: no longer the one that was polled, no call */
	const int *fd;
};

struct loop {
	bool done;
	struct pollfd fds[MAX_WATCHES];
	struct watch watches[MAX_WATCHES];
	nfds_t watched;
};

/* Nothing is watched: what to watch is asked anew each turn. */
void loop_begin(struct loop *loop);
/* -1: not watched. */
void loop_watch(
	struct loop *loop, const int *fd, short events, watch_fn fn, void *owner, void *what);
/* Waits, and calls those whose descriptors are ready, until it is done; false when it cannot. */
bool loop_turn(struct loop *loop, int timeout_ms);

/* --- pieces.c: a long output; what is not needed of it yet is no frame yet --- */

struct pieces {
	char id[MAX_ID + 1];
	struct buf text;       /* as the function wrote it */
	struct json_span left; /* of it */
	bool quote;            /* it becomes a string; else it is JSON */
	size_t sent, size;     /* bytes of the JSON */
	struct buf scratch, frame;
};

/* `part` of `text`, which it takes over; `size` is that of its JSON. NULL: out of memory, and
 * nothing is taken. */
struct pieces *pieces_new(
	const char *id, struct buf *text, struct json_span part, bool quote, size_t size);
void pieces_free(struct pieces *pieces);
/* 1: its `frame` is the next one; 0: there was none left; -errno. */
int pieces_next(struct pieces *pieces);

/* --- channel.c: the stream of frames to the host --- */

struct outgoing {
	struct outgoing *next;
	struct buf frame;
	/* whose frames are sent instead, one by one; NULL: it is one frame */
	struct pieces *pieces;
	size_t sent;
};

struct channel {
	int fd;       /* -1: nobody there */
	int listener; /* vsock, or -1 */
	bool port;    /* a virtio port: hangs up and comes back on the same fd */
	bool away;    /* such a port without a host behind it */
	nova_decoder_t *decoder;
	struct outgoing *first, **last;
	size_t queued;
};

int channel_init(struct channel *channel);
void channel_done(struct channel *channel);
int channel_open_port(struct channel *channel, const char *path);
int channel_listen(struct channel *channel);
/* Of a listener: true when a host is there now. */
bool channel_accept(struct channel *channel);
/* A virtio port without a host is hung up for poll, so it can only be asked from time to time; true
 * when the host has come back. */
bool channel_came_back(struct channel *channel);
/* What to wait for on its descriptor; 0: for nothing, it is away. */
short channel_events(const struct channel *channel);
/* Sends and reads what goes at once; false: the host is lost. */
bool channel_serve(struct channel *channel, short events);
/* The next frame that was read: 1 and the frame, 0 when there is none, < 0: the host is lost. */
int channel_next(struct channel *channel, int *type, const char **payload, size_t *len);
/* The host is lost, and another one may come; false: none can. */
bool channel_reset(struct channel *channel);
/* Whether it has sent all that it was given. */
bool channel_is_idle(const struct channel *channel);
/* Takes the frame over, complete, and sends what goes at once. */
void channel_send(struct channel *channel, struct buf *frame);
/* Takes them over. */
void channel_send_pieces(struct channel *channel, struct pieces *pieces);
/* Bounded: for the last words before the end. */
void channel_flush(struct channel *channel, int ms);

/* --- answer.c --- */

/* A frame with its request_id, and room for as much as is expected; without data: no memory. */
struct buf answer_begin(int type, const char *id, size_t expect);
/* Sends it, unless r says that something went wrong. Frees it. */
void answer_end(struct channel *channel, struct buf *frame, int r);
/* What stands before a value, with comma and colon, and the value; 0 or -errno. */
int put_text(struct buf *frame, const char *name, const char *text);
int put_number(struct buf *frame, const char *name, uint64_t value);
int put_digits(struct buf *text, uint64_t value); /* nothing before it */
int put_bool(struct buf *frame, const char *name, bool value);

void answer_status(struct channel *channel, const char *id, const char *status);
/* `more`: further members, as in ",\"a\":1", or NULL. */
void answer_status_with(
	struct channel *channel, const char *id, const char *status, const char *more);
void answer_refused(struct channel *channel, const char *id, const char *code, const char *format,
	...) PRINTF_LIKE(4, 5);
void answer_refused_text(struct channel *channel, const char *id, const char *code,
	const char *error, const void *text, size_t text_len);
void answer_credit(struct channel *channel, const char *id, size_t size);

/* --- members.c: a payload without a parser. False means that it is not plain enough, not that it
 * is wrong. --- */

struct member {
	const char *name;
	struct json_span value; /* not there: NULL */
};
/* All members must be known, and there once. */
bool members_scan(const char *text, size_t len, struct member *members, size_t count);
/* Missing: "", or left as it was. */
bool member_text(const struct member *member, char *out, size_t size);
bool member_number(const struct member *member, int64_t *ret);
bool member_bool(const struct member *member, bool *ret);

#endif
