/* SPDX-License-Identifier: MIT */
/*
 * A request on its way to who runs it. Datagrams of the talk:
 *
 *   from a fork      r pid            it waits now (pid: four bytes)
 *   to it            id \0 timeout_ms \0 flags \0 file \0 client_context \0 input
 *                                     by flag m a second one: the input as a descriptor
 *            variable \0 …             by flag v another one: variables from now on, NAME=VALUE
 *   from it          kind, length, peak memory (four bytes each), text: the result, in pieces
 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"

/* As much as a host gives a function; less than a datagram of the socket may have, beside an
 * input. */
#define VARIABLES_MAX (96u << 10)
#define REQUEST_ROOM  (INLINE_MAX + MAX_ID + PATH_MAX + MAX_CONTEXT + 64)

pid_t greeting_pid(const uint8_t *bytes)
{
	int32_t pid;
	memcpy(&pid, bytes + 1, sizeof(pid));
	return bytes[0] == 'r' && pid > 1 ? pid : 0;
}

static int memory_input(const struct request *request)
{
	AUTO_FD int fd = sys_memfd("nova-input");
	int r = fd < 0 ? fd : sys_write_all(fd, request->input.data, request->input.len);
	return r < 0 ? r : STEAL_FD(fd);
}

static int put_word(struct buf *text, const char *word)
{
	return buf_append(text, word, strlen(word) + 1);
}

/* id, timeout, flags (m: the input comes as a descriptor; s: stdout by lines; r: in a copy of the
 * machine; n: in a rehearsal; v: variables follow), file, context, each ended by NUL; the input. */
static int compose(
	struct buf *text, const struct request *request, bool large, bool copied, bool variables)
{
	char flags[6] = "", *flag = flags;
	if (large)
		*flag++ = 'm';
	if (request->stream)
		*flag++ = 's';
	if (copied)
		*flag++ = 'r';
	if (request->rehearses)
		*flag++ = 'n';
	if (variables)
		*flag++ = 'v';

	int r = put_word(text, request->id);
	if (r == 0)
		r = put_digits(text, request->timeout_ms);
	if (r == 0)
		r = put_word(text, "");
	if (r == 0)
		r = put_word(text, flags);
	if (r == 0)
		r = put_word(text, request->input_path ? request->input_path : "");
	if (r == 0)
		r = put_word(text, request->context ? request->context : "");
	if (r == 0 && !large)
		r = buf_append(text, request->input.data, request->input.len);
	return r;
}

static int send_input(int talk, const struct request *request)
{
	AUTO_FD int memory = memory_input(request);
	if (memory < 0)
		return memory;
	return sys_send_fds(talk, "m", 1, &memory, 1);
}

static int send_variables(int talk, char *const *variables)
{
	AUTO_BUF struct buf text = BUF_INIT(VARIABLES_MAX);
	int r = 0;
	for (; r == 0 && *variables; variables++)
		r = put_word(&text, *variables);
	ssize_t put = r == 0 ? sys_send(talk, text.data, text.len, MSG_DONTWAIT) : r;
	if (text.data)
		explicit_bzero(text.data, text.len);
	return put < 0 ? put == -ECONNRESET ? -EPIPE : (int)put : 0;
}

int hand_over(int talk, const struct run *run, struct request *request, bool copied)
{
	static uint8_t room[REQUEST_ROOM];
	struct buf text = { room, 0, sizeof(room), sizeof(room) };
	bool large = request->input.len > INLINE_MAX;
	bool variables = run->secrets && *run->secrets && !request->rehearses;
	int r = compose(&text, request, large, copied, variables);
	ssize_t put = r == 0 ? sys_send(talk, text.data, text.len, MSG_DONTWAIT) : r;
	if (put < 0)
		return put == -ECONNRESET ? -EPIPE : (int)put;
	r = large ? send_input(talk, request) : 0;
	if (r == 0 && variables)
		r = send_variables(talk, run->secrets);
	if (r == 0 && large) /* before that somebody else may get it, who has read nothing yet */
		buf_free(&request->input); /* it would be there twice */
	return r;
}
