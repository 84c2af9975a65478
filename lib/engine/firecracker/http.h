/* SPDX-License-Identifier: MIT */
/* A client of HTTP/1.1 over a Unix socket, for small answers: one request at a time on one connection that is kept. */
#ifndef NOVA_LIB_ENGINE_FIRECRACKER_HTTP_H
#define NOVA_LIB_ENGINE_FIRECRACKER_HTTP_H

#include "base/base.h"

#define HTTP_HEAD_MOST (16u << 10)

/* What stands before the body of an answer. */
struct http_head {
	unsigned status;  /* 200 to 599 */
	uint64_t length;  /* of the body; HTTP_TO_THE_END: until the connection ends */
	bool deprecated;  /* Deprecation: true */
	bool last;        /* Connection: close */
};
#define HTTP_TO_THE_END UINT64_MAX

/* Bytes of a whole head at the beginning of a text; 0: it is not whole yet; -EBADMSG: it is none, or a kind that is not understood
 * here; -EMSGSIZE: it would be larger than HTTP_HEAD_MOST. */
ssize_t http_read_head(const uint8_t *text, size_t len, struct http_head *ret);

struct http {
	int fd; /* -1: not connected */
};
#define HTTP_NONE { -1 }
void http_close(struct http *http);

struct http_request {
	const char *method, *path;
	const char *json; /* body; NULL: none */
};
/*
 * Sends a request and appends what comes as the body to `body`, whose maximum holds. 0, or -errno after which the connection is
 * closed: -ETIMEDOUT; -EBADMSG: what came is no HTTP; -EMSGSIZE: it is too large; -ECONNRESET: the other end has gone.
 */
int http_do(struct http *http, const char *socket, const struct http_request *request, uint64_t deadline, struct http_head *ret,
	struct buf *body);

#endif
