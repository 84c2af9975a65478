/* SPDX-License-Identifier: MIT */
/*
 * A request on its way to who runs it. Datagrams of the talk:
 *
 *   from a fork      r pid            it waits now (pid: four bytes)
 *   to it            id \0 timeout_ms \0 flags \0 file \0 input
 *                                     by flag m a second one: the input as a descriptor
 *   from it          kind, length, peak memory (four bytes each), text: the result, in pieces
 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"

#define REQUEST_ROOM (INLINE_MAX + MAX_ID + PATH_MAX + 64)

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
 * machine; n: in a rehearsal), file, each ended by NUL; the input. */
static int compose(struct buf *text, const struct request *request, bool large, bool copied)
{
	char flags[5] = "", *flag = flags;
	if (large)
		*flag++ = 'm';
	if (request->stream)
		*flag++ = 's';
	if (copied)
		*flag++ = 'r';
	if (request->rehearses)
		*flag++ = 'n';

	int r = put_word(text, request->id);
	if (r == 0)
		r = put_digits(text, request->timeout_ms);
	if (r == 0)
		r = put_word(text, "");
	if (r == 0)
		r = put_word(text, flags);
	if (r == 0)
		r = put_word(text, request->input_path ? request->input_path : "");
	if (r == 0 && !large)
		r = buf_append(text, request->input.data, request->input.len);
	return r;
}

int hand_over(int talk, struct request *request, bool copied)
{
	static uint8_t room[REQUEST_ROOM];
	struct buf text = { room, 0, sizeof(room), sizeof(room) };
	bool large = request->input.len > INLINE_MAX;
	int r = compose(&text, request, large, copied);
	AUTO_FD int memory = r == 0 && large ? memory_input(request) : -1;
	if (r == 0 && large && memory < 0)
		r = memory;
	ssize_t put = r == 0 ? sys_send(talk, text.data, text.len, MSG_DONTWAIT) : r;
	if (put < 0)
		return put == -ECONNRESET ? -EPIPE : (int)put;
	if (!large)
		return 0;
	buf_free(&request->input); /* it would be there twice */
	return sys_send_fds(talk, "m", 1, &memory, 1);
}
