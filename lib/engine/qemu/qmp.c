/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "engine/qemu/qemu.h"
#include "proto/proto.h"

/* a guest may have broken into QEMU, and a line becomes a tree a hundred times its size */
#define QMP_MAX_LINE (64u << 10)
#define READ_AT_ONCE 4096u

void qmp_init(struct qmp *q, int fd)
{
	*q = (struct qmp)QMP_NONE;
	q->fd = fd;
	q->in = BUF_INIT(QMP_MAX_LINE);
}

void qmp_done(struct qmp *q)
{
	if (!q->in.max)
		return; /* never begun: of a machine that was not started, whose descriptor is 0 */
	buf_free(&q->in);
	fd_close(q->fd);
	q->fd = -1;
}

static int lost(nova_error_t **error, const char *what)
{
	return nova_fail(error, NOVA_EENGINE, "QEMU %s", what);
}

/* What ends the conversation, 0 for the end of file, or only this message. */
static int broken(nova_error_t **error, int r)
{
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		return lost(error, "has ended");
	return r == -ETIMEDOUT ? lost(error, "does not read its monitor") :
				 nova_fail_os(error, r, "monitor of QEMU");
}

/* Reads until a whole line is in the buffer; its length without the newline, or a code. */
static ssize_t fill_line(struct qmp *q, uint64_t deadline, nova_error_t **error)
{
	size_t searched = 0;
	for (;;) {
		/* An empty buffer has no memory yet, and memchr() takes no NULL. */
		uint8_t *newline = q->in.len > searched ? memchr(q->in.data + searched, '\n',
								  q->in.len - searched) :
							  NULL;
		if (newline)
			return newline - q->in.data;
		searched = q->in.len;
		struct pollfd p = { q->fd, POLLIN, 0 };
		int n = stop_poll(q->stop, &p, 1, deadline_poll_ms(deadline)),
		    code = stop_check(q->stop, "QEMU came up", error);
		if (code < 0)
			return code;
		if (n <= 0 && deadline_passed(deadline))
			return lost(error, "does not answer its monitor");
		if (n <= 0)
			continue;
		if (q->in.len + READ_AT_ONCE > QMP_MAX_LINE)
			return lost(error, "sends a line without end");
		uint8_t *to = buf_reserve(&q->in, READ_AT_ONCE);
		if (!to)
			return nova_oom(error);
		ssize_t got = sys_recv(q->fd, to, READ_AT_ONCE, 0);
		if (got <= 0)
			return broken(error, (int)got);
		q->in.len += (size_t)got;
	}
}

static int next_message(
	struct qmp *q, uint64_t deadline, json_t **ret_message, nova_error_t **error)
{
	ssize_t len = fill_line(q, deadline, error);
	if (len < 0)
		return (int)len;
	int r = json_parse((const char *)q->in.data, (size_t)len, 0, ret_message, NULL);
	buf_consume(&q->in, (size_t)len + 1);
	return r == -ENOMEM ? nova_oom(error) : r < 0 ? lost(error, "sends what is no JSON") : 0;
}

static void note_event(struct qmp *q, const char *event, const json_t *data)
{
	const char *status = json_string_value(json_object_get(data, "status"));
	if (!strcmp(event, "MIGRATION") && status && !strcmp(status, "completed"))
		q->loaded = true;
}

/* 1: that was the reply; 0: something else. */
static int take_message(struct qmp *q, const char *command, json_t *message, json_t **ret_value,
	nova_error_t **error)
{
	const char *event = json_string_value(json_object_get(message, "event"));
	if (event)
		note_event(q, event, json_object_get(message, "data"));
	json_t *failure = json_object_get(message, "error"),
	       *value = json_object_get(message, "return");
	if ((failure || value) && q->owed) { /* a guest that does not go on shows by its silence */
		q->owed--;
		return 0;
	}
	if (failure) {
		const char *text = json_string_value(json_object_get(failure, "desc"));
		return nova_fail(error, NOVA_EENGINE, "QEMU refuses %s: %s", command,
			text ? text : "no reason given");
	}
	if (value && ret_value)
		*ret_value = json_incref(value);
	return value != NULL;
}

int qmp_do(struct qmp *q, const char *command, json_t *arguments, uint64_t deadline,
	json_t **ret_value, nova_error_t **error)
{
	return qmp_do_with_fd(q, command, arguments, -1, deadline, ret_value, error);
}

int qmp_await_loaded(struct qmp *q, uint64_t deadline, nova_error_t **error)
{
	while (!q->loaded) {
		json_t *message;
		int code = next_message(q, deadline, &message, error);
		if (code < 0)
			return code;
		code = take_message(q, "event", message, NULL, error);
		json_decref(message);
		if (code < 0)
			return code;
	}
	return 0;
}

int qmp_do_with_fd(struct qmp *q, const char *command, json_t *arguments, int fd, uint64_t deadline,
	json_t **ret_value, nova_error_t **error)
{
	json_t *request =
		arguments ? json_pack("{s:s, s:o}", "execute", command, "arguments", arguments) :
			    json_pack("{s:s}", "execute", command);
	AUTO_FREE char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!text)
		return nova_oom(error);
	/* QEMU parses as it reads; one send keeps the command whole. */
	int r = sys_send_fds_until(q->fd, text, strlen(text), &fd, fd >= 0, deadline);
	if (r < 0)
		return broken(error, r);
	for (;;) {
		json_t *message;
		int code = next_message(q, deadline, &message, error);
		if (code < 0) {
			/* should it come after all, it is not taken for the next one's */
			q->owed++;
			return code;
		}
		code = take_message(q, command, message, ret_value, error);
		json_decref(message);
		if (code != 0)
			return code < 0 ? code : 0;
	}
}

int qmp_post(struct qmp *q, const char *command, nova_error_t **error)
{
	AUTO_FREE char *text = str_format("{\"execute\":\"%s\"}", command);
	if (!text)
		return nova_oom(error);
	/* its socket holds hundreds of them, if it does not read */
	int r = sys_send_fds_until(q->fd, text, strlen(text), NULL, 0, 0);
	if (r < 0)
		return broken(error, r);
	q->owed++;
	return 0;
}

int qmp_hello(struct qmp *q, uint64_t deadline, nova_error_t **error)
{
	json_t *greeting;
	int code = next_message(q, deadline, &greeting, error);
	if (code < 0)
		return code;
	bool fits = json_object_get(greeting, "QMP") != NULL;
	json_decref(greeting);
	return fits ? qmp_do(q, "qmp_capabilities", NULL, deadline, NULL, error) :
		      lost(error, "greets in an unknown way");
}
