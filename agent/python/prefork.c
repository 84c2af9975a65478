/* SPDX-License-Identifier: MIT */
/*
 * One request ahead: a fork of the warm interpreter that has its pipes, its group and its user, and
 * waits. A request only hands over its input, and what has to be done for the next one is done
 * after the answer. A snapshot holds the fork too, so the first call of a clone runs little more
 * than the handler. In a clone under emulation every piece of code that runs for the first time
 * costs, which counts more than what is saved in a warm VM.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"

#define INLINE_MAX   (64u << 10) /* a larger input goes as a memory file */
#define REQUEST_ROOM (INLINE_MAX + MAX_ID + PATH_MAX + 64)

static void close_fd(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}

pid_t worker_greeting(const uint8_t *bytes)
{
	int32_t pid;
	memcpy(&pid, bytes + 1, sizeof(pid));
	return bytes[0] == 'r' && pid > 1 ? pid : 0;
}

void worker_drop_spare(struct agent *agent)
{
	struct spare *spare = &agent->worker.spare;
	if (!spare->made)
		return;
	spare->made = false;
	/* One that is on its way still finds nobody to talk to, and ends. */
	close_fd(&spare->talk);
	close_fd(&spare->output[0]);
	close_fd(&spare->output[1]);
	if (spare->slot)
		slot_kill(spare->slot);
	else
		kill_group(spare->pid);
	slot_give_back(spare->slot);
}

/* Their ends go to the interpreter with the message. */
static int send_order(struct agent *agent, const struct spare *spare, const int theirs[3])
{
	int fds[4] = { theirs[0], theirs[1], theirs[2], spare->slot ? spare->slot->procs : -1 };
	char text[16];
	int len = snprintf(text, sizeof(text), "N%u", spare->seq);
	return sys_send_fds(agent->worker.sock, text, (size_t)len, fds, spare->slot ? 4 : 3);
}

static int make(struct agent *agent, struct spare *spare)
{
	AUTO_FD int out = -1, err = -1, talk = -1;
	int ends[2];
	int r = pipe_from(&spare->output[0], &out);
	if (r == 0)
		r = pipe_from(&spare->output[1], &err);
	if (r == 0)
		r = sys_socketpair(SOCK_SEQPACKET, ends);
	if (r < 0)
		return r;
	spare->talk = ends[0];
	talk = ends[1];
	r = sys_set_nonblock(spare->talk, true);
	return r < 0 ? r : send_order(agent, spare, (int[]){ out, err, talk });
}

int worker_prefork(struct agent *agent)
{
	struct spare *spare = &agent->worker.spare;
	if (spare->made)
		return 0;
	if (agent->worker.sock < 0)
		return -EPIPE;
	*spare = (struct spare){
		.made = true, .seq = ++agent->next_seq, .output = { -1, -1 }, .talk = -1
	};
	spare->slot = slot_take(agent);
	int r = agent->cgroups.there && !spare->slot ? -EAGAIN : make(agent, spare);
	if (r < 0)
		worker_drop_spare(agent);
	return r;
}

/* What it says while nobody has asked it for anything: that it is there, or nothing more, ever. */
static void on_talk(struct agent *agent, void *what, short events)
{
	struct spare *spare = what;
	uint8_t greeting[GREETING];
	(void)events;
	ssize_t got = sys_recv(spare->talk, greeting, sizeof(greeting), 0);
	if (got == -EAGAIN)
		return;
	if (got == GREETING) {
		spare->pid = worker_greeting(greeting);
		spare->ready = true;
	} else {
		worker_drop_spare(agent);
	}
	message_init_done(agent, true);
	hook_settled(agent);
}

void worker_watch_spare(struct agent *agent)
{
	struct spare *spare = &agent->worker.spare;
	/* Its end shows when something is handed to it, so a spare that is ready need not be
	 * watched. */
	if (spare->made && !spare->ready)
		loop_watch(agent, &spare->talk, POLLIN, on_talk, spare);
}

/* --- handing over --- */

static int memory_input(const struct request *request)
{
	AUTO_FD int fd = sys_memfd("nova-input");
	int r = fd < 0 ? fd : sys_write_all(fd, request->input.data, request->input.len);
	return r < 0 ? r : STEAL_FD(fd);
}

static int put_number(struct buf *text, uint32_t value)
{
	char digits[12];
	size_t at = sizeof(digits);
	digits[--at] = 0;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	return buf_append(text, digits + at, sizeof(digits) - at);
}

static int put_text(struct buf *text, const char *word)
{
	return buf_append(text, word, strlen(word) + 1);
}

/* id, timeout, flags (m: the input comes as a descriptor; s: stdout by lines; r: in a copy of the
 * machine), file, each ended by NUL; the input. */
static int compose(struct buf *text, const struct request *request, bool large, bool copied)
{
	char flags[4] = "", *flag = flags;
	if (large)
		*flag++ = 'm';
	if (request->stream)
		*flag++ = 's';
	if (copied)
		*flag++ = 'r';

	int r = put_text(text, request->id);
	if (r == 0)
		r = put_number(text, request->timeout_ms);
	if (r == 0)
		r = put_text(text, flags);
	if (r == 0)
		r = put_text(text, request->input_path ? request->input_path : "");
	if (r == 0 && !large)
		r = buf_append(text, request->input.data, request->input.len);
	return r;
}

int worker_say(int talk, struct request *request, bool copied)
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

int worker_hand_over(struct agent *agent, struct request *request)
{
	struct spare *spare = &agent->worker.spare;
	int r = worker_say(spare->talk, request, spare->copied);
	if (r < 0) {
		worker_drop_spare(agent);
		return r;
	}
	request->seq = spare->seq;
	request->pid = spare->pid;
	request->slot = spare->slot;
	request->greeted = spare->ready;
	request->output[0].fd = STEAL_FD(spare->output[0]);
	request->output[1].fd = STEAL_FD(spare->output[1]);
	/* What poll() has found there in this turn is the request's too: on_talk() would take the
	 * greeting from it. */
	request->result_fd = STEAL_FD(spare->talk);
	spare->made = false;
	return 0;
}
