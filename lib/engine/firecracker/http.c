/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <strings.h>

#include "engine/firecracker/http.h"

#define READ_AT_ONCE 4096u

/* --- the head of an answer --------------------------------------------------------------------- */

struct span {
	const char *at;
	size_t len;
};

static bool is(struct span s, const char *word)
{
	return s.len == strlen(word) && !strncasecmp(s.at, word, s.len);
}

/* The next line, without its CR LF. False: there is no whole one. */
static bool take_line(struct span *rest, struct span *ret)
{
	const char *end = memmem(rest->at, rest->len, "\r\n", 2);
	if (!end)
		return false;
	*ret = (struct span){ rest->at, (size_t)(end - rest->at) };
	*rest = (struct span){ end + 2, rest->len - ret->len - 2 };
	return true;
}

/* "HTTP/1.1 200 Reason": the reason may be missing, with the space before it or without. */
static bool read_status(struct span line, unsigned *ret)
{
	static const char protocol[] = "HTTP/1.";
	const size_t at = sizeof(protocol) + 1;
	if (line.len < at + 3 || memcmp(line.at, protocol, sizeof(protocol) - 1) || line.at[at - 1] != ' ')
		return false;
	if (line.len > at + 3 && line.at[at + 3] != ' ')
		return false;
	*ret = 0;
	for (size_t i = at; i < at + 3; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return false;
		*ret = *ret * 10 + (unsigned)(line.at[i] - '0');
	}
	return *ret >= 200 && *ret <= 599;
}

/* At most nine digits: more than anybody here takes. Another length of the same body is refused. */
static bool read_length(struct span value, uint64_t *length)
{
	uint64_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(value.at[i] - '0');
	}
	if (value.len == 0 || value.len > 9 || (*length != HTTP_TO_THE_END && *length != n))
		return false;
	*length = n;
	return true;
}

static bool read_field(struct span line, struct http_head *head)
{
	const char *colon = memchr(line.at, ':', line.len);
	if (!colon || colon == line.at || *line.at == ' ' || *line.at == '\t')
		return false;
	struct span name = { line.at, (size_t)(colon - line.at) };
	struct span value = { colon + 1, line.len - name.len - 1 };
	while (value.len && (*value.at == ' ' || *value.at == '\t'))
		value = (struct span){ value.at + 1, value.len - 1 };
	while (value.len && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\t'))
		value.len--;
	if (is(name, "content-length"))
		return read_length(value, &head->length);
	if (is(name, "transfer-encoding"))
		return false; /* Firecracker has none, and a body in pieces would be taken for the next answer */
	head->deprecated |= is(name, "deprecation") && is(value, "true");
	head->last |= is(name, "connection") && is(value, "close");
	return true;
}

ssize_t http_read_head(const uint8_t *text, size_t len, struct http_head *ret)
{
	struct http_head head = { .length = HTTP_TO_THE_END };
	struct span rest = { (const char *)text, len }, line;
	if (len == 0 || !take_line(&rest, &line))
		return len > HTTP_HEAD_MOST ? -EMSGSIZE : 0;
	if (!read_status(line, &head.status))
		return -EBADMSG;
	while (take_line(&rest, &line)) {
		if (line.len == 0) {
			if (head.status == 204 || head.status == 304)
				head.length = 0;
			*ret = head;
			return rest.at - (const char *)text;
		}
		if (!read_field(line, &head))
			return -EBADMSG;
	}
	return len > HTTP_HEAD_MOST ? -EMSGSIZE : 0;
}

/* --- the connection ------------------------------------------------------------------------------ */

void http_close(struct http *http)
{
	fd_close(http->fd);
	http->fd = -1;
}

/* One that has something to read before it was asked has ended, or lost its place. */
static bool is_fit(const struct http *http)
{
	struct pollfd p = { http->fd, POLLIN, 0 };
	return http->fd >= 0 && sys_poll(&p, 1, 0) == 0;
}

static int connect_to(struct http *http, const char *socket)
{
	if (is_fit(http))
		return 0;
	http_close(http);
	http->fd = sys_connect_unix(socket);
	return http->fd < 0 ? http->fd : 0;
}

static int send_request(struct http *http, const struct http_request *r, uint64_t deadline)
{
	size_t len = r->json ? strlen(r->json) : 0;
	AUTO_FREE char *fields =
		r->json ? str_format("Content-Type: application/json\r\nContent-Length: %zu\r\n", len) : strdup("");
	AUTO_FREE char *text = !fields ? NULL :
		str_format("%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n%s\r\n%s", r->method, r->path, fields,
			r->json ? r->json : "");
	if (!text)
		return -ENOMEM;
	int code = sys_send_fds_until(http->fd, text, strlen(text), NULL, 0, deadline);
	return code == -EPIPE ? 0 : code; /* what it had to say before it closed may still be read */
}

/* More bytes at the end of the buffer; how many, 0 at the end of the stream, or -errno. */
static ssize_t receive(const struct http *http, struct buf *in, uint64_t deadline)
{
	struct pollfd p = { http->fd, POLLIN, 0 };
	while (sys_poll(&p, 1, deadline_poll_ms(deadline)) <= 0)
		if (deadline_passed(deadline))
			return -ETIMEDOUT;
	size_t room = in->max - in->len < READ_AT_ONCE ? in->max - in->len : READ_AT_ONCE;
	uint8_t *to = room ? buf_reserve(in, room) : NULL;
	if (!to)
		return room ? -ENOMEM : -EMSGSIZE;
	ssize_t got = sys_recv(http->fd, to, room, 0);
	if (got > 0)
		in->len += (size_t)got;
	return got;
}

static int receive_head(const struct http *http, struct buf *in, uint64_t deadline, struct http_head *ret)
{
	for (;;) {
		ssize_t head = http_read_head(in->data, in->len, ret);
		if (head > 0)
			buf_consume(in, (size_t)head);
		if (head != 0)
			return head < 0 ? (int)head : 0;
		ssize_t got = receive(http, in, deadline);
		if (got <= 0)
			return got < 0 ? (int)got : -ECONNRESET;
	}
}

static int receive_body(const struct http *http, struct buf *in, uint64_t deadline, uint64_t length)
{
	while (in->len < length) {
		if (length != HTTP_TO_THE_END && length > in->max)
			return -EMSGSIZE;
		ssize_t got = receive(http, in, deadline);
		if (got == 0)
			return length == HTTP_TO_THE_END ? 0 : -ECONNRESET;
		if (got < 0)
			return (int)got;
	}
	return in->len > length ? -EBADMSG : 0;
}

int http_do(struct http *http, const char *socket, const struct http_request *request, uint64_t deadline, struct http_head *ret,
	struct buf *body)
{
	AUTO_BUF struct buf in = BUF_INIT(body->max + HTTP_HEAD_MOST);
	int r = connect_to(http, socket);
	if (r == 0)
		r = send_request(http, request, deadline);
	if (r == 0)
		r = receive_head(http, &in, deadline, ret);
	in.max = body->max > in.len ? body->max : in.len;
	if (r == 0)
		r = receive_body(http, &in, deadline, ret->length);
	if (r == 0 && in.len)
		r = buf_append(body, in.data, in.len);
	if (r < 0 || ret->last || ret->length == HTTP_TO_THE_END)
		http_close(http);
	return r;
}
