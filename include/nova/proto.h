/* SPDX-License-Identifier: MIT */
/**
 * @file nova/proto.h
 * The frames between host and agent, for those who write an agent or a host of their own: 4 bytes
 * with a length, big-endian, then so many bytes of JSON, `{"type":N,"payload":{...}}`.
 * docs/protocol.md describes each message.
 *
 *     void *frame;
 *     nova_frame_encode(NOVA_MSG_PING, "{}", 2, &frame, &len, &error);
 *     // write(2) it; give what read(2) gets to nova_decoder_feed()
 *     while (nova_decoder_next(decoder, &type, &payload, &len, &error) == 1)
 *             printf("%d %s\n", type, payload);
 *
 * These calls read and write nothing themselves. One thread at a time may use a decoder.
 */
#ifndef NOVA_PROTO_H
#define NOVA_PROTO_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NOVA_FRAME_MAX    (8u << 20) /**< bytes of JSON in one frame */
#define NOVA_FRAME_HEADER 4u         /**< bytes before them */

/** Types of messages. 1 to 63 are the protocol's core, 64 and up its additions. Since 0.1. */
enum nova_message {
	NOVA_MSG_INIT = 1,       /**< host to guest: runtime, handler, environment */
	NOVA_MSG_EXEC = 2,       /**< host to guest: request_id, input, timeout */
	NOVA_MSG_RESP = 3,       /**< guest to host: answer to any of the others */
	NOVA_MSG_PING = 4,       /**< host to guest: health check */
	NOVA_MSG_STOP = 5,       /**< host to guest: end */
	NOVA_MSG_READY = 64,     /**< guest to host: the agent is up */
	NOVA_MSG_STREAM = 65,    /**< guest to host: a piece of stdout or stderr */
	NOVA_MSG_RESUME = 66,    /**< host to guest: you are a clone, or the clock has jumped */
	NOVA_MSG_COMMAND = 67,   /**< host to guest: run a program */
	NOVA_MSG_FILE_READ = 68, /**< host to guest: a piece of a file */
	NOVA_MSG_FILE_WRITE =
		69, /**< host to guest: a piece of a file, a directory or link, or that one goes */
	NOVA_MSG_FILE_LIST = 70, /**< host to guest: what is in a directory */
	NOVA_MSG_FREEZE = 74,    /**< host to guest: a snapshot is about to be taken */
	NOVA_MSG_OUTPUT = 73,    /**< guest to host: a piece of a long output */
	NOVA_MSG_CANCEL =
		75, /**< host to guest: end the request of that request_id; not answered itself */
	NOVA_MSG_INPUT = 76,  /**< host to guest: a piece of a command's stdin */
	NOVA_MSG_CREDIT = 77, /**< both ways: so much more of a command's streams may be sent */
	NOVA_MSG_REHEARSE =
		78, /**< host to guest: an Exec that runs nothing of the function's own */
	NOVA_MSG_SECRETS = 79,  /**< host to guest: variables that are in no template */
	NOVA_MSG_KV = 80,       /**< guest to host: asks for what its function keeps */
	NOVA_MSG_KV_REPLY = 81, /**< host to guest: the reply to that */
};

typedef struct nova_decoder nova_decoder_t;

/**
 * Builds a frame around a payload.
 * @param type one of #nova_message
 * @param payload JSON text of an object, which is not parsed; NULL: "{}"
 * @param payload_len bytes of the payload, at most #NOVA_FRAME_MAX
 * @param ret_frame receives the frame. Yours: free it with nova_free()
 * @param ret_len receives its bytes
 * @return 0, or a code:
 *  - NOVA_ETOOBIG: the payload is too long
 *  - NOVA_ENOMEM: no memory
 * Any thread. Since 0.1.
 */
NOVA_API int nova_frame_encode(int type, const char *payload, size_t payload_len, void **ret_frame,
	size_t *ret_len, nova_error_t **error);

/**
 * Makes a decoder.
 * @param max bytes of the longest frame that it takes; 0: #NOVA_FRAME_MAX
 * @param ret_decoder receives the decoder. Yours: free it with nova_decoder_free()
 * @return 0, or a code:
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_decoder_new(size_t max, nova_decoder_t **ret_decoder, nova_error_t **error);

/**
 * Frees a decoder.
 * @param decoder NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_decoder_free(nova_decoder_t *decoder);

/**
 * Gives bytes to a decoder, in pieces of any size. They are copied. A length over the limit is
 * refused as soon as its 4 bytes are there. After a failure nova_decoder_feed() and
 * nova_decoder_next() return the same code again.
 * @param decoder the decoder
 * @param data the bytes
 * @param len their number
 * @return 0, or a code:
 *  - NOVA_ETOOBIG: a frame is too long
 *  - NOVA_ENOMEM: no memory
 * One thread at a time. Since 0.1.
 */
NOVA_API int nova_decoder_feed(
	nova_decoder_t *decoder, const void *data, size_t len, nova_error_t **error);

/**
 * The next whole frame.
 * @param decoder the decoder
 * @param ret_type receives the type: one of #nova_message, or another number
 * @param ret_payload receives the JSON text of its payload, with a NUL behind it; it lives until
 * the next call on the decoder
 * @param ret_len receives its bytes; may be NULL
 * @return 1 if there was one, 0 if more bytes are needed, or a code:
 *  - NOVA_EAGENT: the frame is not `{"type":N,"payload":{…}}`, is nested over 514 deep, or has
 *    more than 64 other members or 64 KiB of them
 *  - NOVA_ETOOBIG, NOVA_ENOMEM: as nova_decoder_feed()
 * One thread at a time. Since 0.1.
 */
NOVA_API int nova_decoder_next(nova_decoder_t *decoder, int *ret_type, const char **ret_payload,
	size_t *ret_len, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
