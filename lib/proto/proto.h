/* SPDX-License-Identifier: MIT */
/*
 * The door of proto: frames, and the pieces of messages that host and agent both need. No input or
 * output.
 */
#ifndef NOVA_LIB_PROTO_H
#define NOVA_LIB_PROTO_H

#include <nova/proto.h>

#include "base/base.h"
#include "base/list.h"
#include "json/json.h"

#define PROTO_INPUT_MAX (6u << 20) /* JSON of one input */
/* An output as the function wrote it, and as JSON: of a text each byte may become six, between two
 * quotes. */
#define PROTO_OUTPUT_MAX      (6u << 20)
#define PROTO_OUTPUT_JSON_MAX (6 * PROTO_OUTPUT_MAX + 2)
/* JSON that is longer comes in pieces, before the answer \ */
#define PROTO_OUTPUT_INLINE (1u << 20)
#define PROTO_OUTPUT_PIECE  (96u << 10) /* bytes of one; base64 has no rest */
/* Of a command whose streams flow: bytes that may be on their way, of its stdin and of what it
 * prints, and those of one piece of stdin. */
#define PROTO_WINDOW      (256u << 10)
#define PROTO_STDIN_PIECE (48u << 10)
/* Nesting of one input or output. Every other limit of depth follows from this one. */
#define PROTO_DEPTH_USER 512u
/* of a frame: its envelope and its payload are around that */
#define PROTO_DEPTH (PROTO_DEPTH_USER + 2)
_Static_assert(PROTO_DEPTH <= JSON_DEPTH, "the reader of JSON text counts no deeper");

/* The code disk of a guest whose function comes later begins with this; it is exchanged for the
 * function's own before Init. */
#define PROTO_CODE_LATER     "nova: code later\n"
#define PROTO_CODE_LATER_LEN (sizeof(PROTO_CODE_LATER) - 1)

/* Where a guest has the machine code of a module of WebAssembly. An Init with "compiled" finds it
 * there. */
#define PROTO_MACHINE_CODE "/run/handler.cwasm"

/* --- templates of command lines --- */

#define ARGV_FILE "{file}" /* an entry that is the function's file itself */

struct argv_value {
	const char *name, *value;
	bool used; /* set to true */
};
/* Appends an entry with its placeholders filled in, "{name}" by the value of that name, "{{" and
 * "}}" by a brace. `values` ends with one without a name. -EINVAL: at *ret_wrong begins a
 * placeholder that is none of them, or a brace that stands alone. -ENOMEM. */
int argv_fill(
	const char *entry, struct argv_value *values, struct buf *out, const char **ret_wrong);

/* --- paths of a guest's files --- */

#define PROTO_PATH_MAX 4096u /* bytes, with a NUL */
/* Bytes of one question for what a function keeps, and of one reply: a file of 4 MiB in base64. */
#define PROTO_KV_MAX (6u << 20)
/* bytes of a file in one message: the agent holds it three times */
#define PROTO_FILE_PIECE (1u << 20)

/* Names between single slashes, none of them "." or "..", in UTF-8. */
bool proto_path_ok(const char *path, size_t len);
/* The same behind a slash; or "/". */
bool proto_path_absolute_ok(const char *path, size_t len);
/* The order of a listing, as strcmp(): a directory comes before what is in it, and that before
 * everything else. */
int proto_path_order(const char *a, const char *b);

/* --- frames --- */

/* A frame is built in a buffer that is empty at first and has this maximum: begin, append the
 * payload, end. */
#define PROTO_FRAME_BUF BUF_INIT((size_t)NOVA_FRAME_MAX + NOVA_FRAME_HEADER)
int proto_frame_begin(struct buf *frame, int type);
int proto_frame_end(struct buf *frame);

/* A frame as it came. */
struct proto_frame {
	struct link link; /* for who has it */
	int type;
	char *payload; /* JSON text of an object, with a NUL behind it */
	size_t payload_len, size;
	char text[]; /* `size` bytes, and one more */
};
/* As nova_decoder_next(), but the frame is the caller's, who frees it with free(). */
int proto_decoder_take(
	nova_decoder_t *decoder, struct proto_frame **ret_frame, nova_error_t **error);

/* A frame around a JSON object. */
int proto_encode_json(
	int type, json_t *payload, void **ret_frame, size_t *ret_len, nova_error_t **error);

/*
 * An Exec frame. The input is checked once and spliced in as it is: NOVA_EINVAL with the place if
 * it is not JSON, NOVA_ETOOBIG over PROTO_INPUT_MAX. `timeout_ms` 0 leaves it to the agent.
 */
#define PROTO_EXEC_STREAM 1u /* what is printed comes while it is printed */
#define PROTO_EXEC_TIDY   2u /* what the call leaves in /tmp goes */
#define PROTO_EXEC_KV     4u /* it may ask for what its function keeps */
int proto_exec_frame(const char *request_id, const void *input, size_t input_len,
	uint32_t timeout_ms, unsigned flags, void **ret_frame, size_t *ret_len,
	nova_error_t **error);

/* The same frame with more at the beginning of its payload: `member` is JSON text that ends in a
 * comma. */
int proto_add_member(const void *frame, size_t len, const char *member, size_t member_len,
	void **ret_frame, size_t *ret_len, nova_error_t **error);

/*
 * Parses a payload as nova_decoder_next() gave it. The member `raw` (NULL: none) is not parsed but
 * handed out as the text it is (`ret_raw` points into `text`, and is {NULL, 0} if there is no such
 * member); in the object it is null. NOVA_EAGENT for duplicate members and numbers out of range.
 */
int proto_decode_payload(const char *text, size_t len, const char *raw, json_t **ret_object,
	struct json_span *ret_raw, nova_error_t **error);

/* --- what a guest says (guest.c) --- */

/*
 * The members of all messages that guests send: each has one name and one kind, in whichever
 * message. No tree is built of them: texts and JSON lie in the payload itself, so a message costs
 * what its bytes do.
 */
struct guest_message {
	/* Text, with a NUL behind it; {NULL, 0}: not there. */
	struct json_span request_id, status, code, error, out, err, data, base64, agent, kernel,
		root, draws, calls;
	/* JSON as the text it is, with a NUL behind it; {NULL, 0}: not there. */
	struct json_span output, entries, ask;
	/* -1: not there. */
	int64_t exit_code, signal, stream, offset, size, mode, mtime_us, duration_ms, duration_us,
		peak_kb, boot_us, number;
	/* false: not there, too. */
	bool warm, hooks, more, timed_out, truncated, canceled, pid1;
};
/* Reads a payload, which it writes to. NOVA_EAGENT, naming the member: one is there twice, or of
 * another kind, or out of range; or there are more unknown ones than JSON_UNKNOWN_MEMBERS or
 * JSON_UNKNOWN_BYTES. */
int guest_message_read(char *payload, size_t len, struct guest_message *ret, nova_error_t **error);

/*
 * An output that comes in pieces. What it promises is believed up to PROTO_OUTPUT_JSON_MAX; each
 * piece follows the one before. Without memory for it the rest is passed over, and told at the end.
 */
struct output_pieces {
	struct buf text;
	size_t size, got; /* promised; 0: nothing has come */
	bool no_memory;
};
/* NOVA_EAGENT: it is no piece, or not the one that follows. */
int output_pieces_add(
	struct output_pieces *pieces, struct guest_message *said, nova_error_t **error);
/* After the last one: puts it into the answer, whose `output` then lies in the pieces. NOVA_EAGENT:
 * it is not whole, or no JSON, or there is another one in the answer; NOVA_ENOMEM. */
int output_pieces_end(
	struct output_pieces *pieces, struct guest_message *answer, nova_error_t **error);
void output_pieces_free(struct output_pieces *pieces);

#endif
