/* SPDX-License-Identifier: MIT */
/**
 * @file nova/proto.h
 * The frames that host and agent exchange: 4 bytes length, big-endian, then that many bytes of JSON
 * `{"type":N,"payload":{…}}`. docs/protocol.md describes each message.
 *
 * The codec does no input or output. A decoder may be used by one thread at a time.
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
};

typedef struct nova_decoder nova_decoder_t;

/**
 * Builds a frame around a payload.
 * @param payload JSON text of an object; NULL: "{}". It is not parsed
 * @param ret_frame free with nova_free()
 * @return 0; NOVA_ETOOBIG; NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_frame_encode(int type, const char *payload, size_t payload_len, void **ret_frame,
	size_t *ret_len, nova_error_t **error);

/** A decoder. `max` is the longest frame it accepts; 0: #NOVA_FRAME_MAX. @return 0; NOVA_ENOMEM.
 * Since 0.1. */
NOVA_API int nova_decoder_new(size_t max, nova_decoder_t **ret_decoder, nova_error_t **error);

/** Frees the decoder. NULL is accepted. Since 0.1. */
NOVA_API void nova_decoder_free(nova_decoder_t *decoder);

/**
 * Feeds bytes, as they come. They are copied. A length over the limit is refused as soon as its 4
 * bytes are there, before anything is stored for it.
 * @return 0; NOVA_ETOOBIG; NOVA_ENOMEM. After a failure the decoder stays failed:
 * nova_decoder_feed() and nova_decoder_next() return that code again. Since 0.1.
 */
NOVA_API int nova_decoder_feed(
	nova_decoder_t *decoder, const void *data, size_t len, nova_error_t **error);

/**
 * The next whole frame.
 * @param ret_type    its type
 * @param ret_payload JSON text of its payload object, NUL-terminated; valid until the next call on
 * the decoder
 * @return 1 if there was one, 0 if more bytes are needed; NOVA_EAGENT if the frame is not
 * `{"type":N,"payload":{…}}`, is nested over 514 deep, or has more than 64 other members or 64 KiB
 * of them (sticky, as above). Since 0.1.
 */
NOVA_API int nova_decoder_next(nova_decoder_t *decoder, int *ret_type, const char **ret_payload,
	size_t *ret_len, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
