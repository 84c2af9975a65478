/* SPDX-License-Identifier: MIT */
/*
 * A rehearsal of what a guest without a function is going to be asked. A copy of this agent is
 * asked it, by us, with a copy of the interpreter that waits for a function. Both end then, and
 * what they have left in the machine is taken away: only that they have run stays, which is of use
 * where the code that a guest runs is translated (docs/hot.md).
 */
#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"

#define READ_BLOCK   4096
#define PATIENCE_MS  2000 /* with the end of what was killed, and of its mounts */
#define PAUSE_MS     5
#define LAST_PID     "/proc/sys/kernel/ns_last_pid"
#define LAST_PID_MAX 16

/* --- the copy --- */

/* It goes on in the loop in which we are, until we kill it. The former decoder has the message that
 * is just being handled. */
static void be_copy(struct agent *agent, int sock, const struct interpreter *interpreter)
{
	struct channel *channel = &agent->channel;
	fd_close(channel->fd);
	fd_close(channel->listener);
	if (channel_init(channel) < 0 || sys_set_nonblock(sock, true) < 0)
		_exit(1);
	channel->fd = sock;
	agent->worker.prestarted = *interpreter;
	cgroups_be_copy(&agent->run.cgroups);
}

struct copy {
	pid_t pid;
	int sock;
	uint64_t deadline;
	nova_decoder_t *decoder;
};

/* 1: this is the copy. */
static int copy_begin(struct agent *agent, struct copy *copy)
{
	int sockets[2];
	struct interpreter interpreter;
	int r = prestart_copy(&agent->worker, copy->deadline, &interpreter);
	if (r < 0)
		return r;
	r = sys_socketpair(SOCK_STREAM, sockets);
	if (r < 0) {
		fd_close(interpreter.sock); /* which ends it */
		return r;
	}
	copy->pid = fork();
	if (copy->pid == 0) {
		fd_close(sockets[0]);
		be_copy(agent, sockets[1], &interpreter);
		return 1;
	}
	fd_close(interpreter.sock);
	fd_close(sockets[1]);
	copy->sock = sockets[0];
	if (copy->pid < 0)
		return -errno;
	return nova_decoder_new(0, &copy->decoder, NULL) < 0 ? -ENOMEM : 0;
}

static void copy_end(struct copy *copy)
{
	fd_close(copy->sock);
	nova_decoder_free(copy->decoder);
	if (copy->pid <= 0)
		return;
	kill(copy->pid, SIGKILL);
	while (waitpid(copy->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* --- as its host --- */

static int await_answer(struct copy *copy)
{
	uint8_t block[READ_BLOCK];
	const char *payload;
	size_t len;
	int type, r;
	for (;;) {
		while ((r = nova_decoder_next(copy->decoder, &type, &payload, &len, NULL)) > 0)
			if (type == NOVA_MSG_RESP)
				return memmem(payload, len, "\"code\":", 7) ? -ECANCELED : 0;
		struct pollfd in = { copy->sock, POLLIN, 0 };
		if (r < 0)
			return -EPROTO;
		if (sys_poll(&in, 1, deadline_poll_ms(copy->deadline)) != 1)
			return -ETIMEDOUT;
		ssize_t got = sys_read(copy->sock, block, sizeof(block));
		if (got <= 0)
			return got < 0 ? (int)got : -EPIPE;
		if (nova_decoder_feed(copy->decoder, block, (size_t)got, NULL) < 0)
			return -EPROTO;
	}
}

static int ask(struct copy *copy, json_t *step)
{
	int type = (int)json_integer_value(json_object_get(step, "type"));
	void *frame;
	size_t len;
	if (proto_encode_json(
		    type, json_incref(json_object_get(step, "payload")), &frame, &len, NULL) < 0)
		return -EINVAL;
	int r = sys_write_all(copy->sock, frame, len);
	free(frame);
	return r < 0 ? r : await_answer(copy);
}

/* 1: this is the copy. */
static int rehearse(struct agent *agent, json_t *steps, uint64_t deadline)
{
	struct copy copy = { .sock = -1, .deadline = deadline };
	int r = copy_begin(agent, &copy);
	if (r > 0)
		return r;
	for (size_t i = 0; r == 0 && i < json_array_size(steps); i++)
		r = ask(&copy, json_array_get(steps, i));
	copy_end(&copy);
	return r;
}

/* --- what they leave --- */

static bool wait_a_little(uint64_t deadline)
{
	sys_poll(NULL, 0, PAUSE_MS);
	return !deadline_passed(deadline);
}

/* Of processes that were left to us, but for the interpreter's own end, of which we are told in
 * another place. */
static void reap_others(pid_t interpreter)
{
	siginfo_t info = { .si_pid = 0 };
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid &&
		info.si_pid != interpreter) {
		waitpid(info.si_pid, NULL, WNOHANG);
		info.si_pid = 0;
	}
}

static bool end_processes(struct agent *agent, uint64_t deadline)
{
	pid_t interpreter = agent->worker.prestarted.pid;
	while (!cgroups_only(&agent->run.cgroups, interpreter)) {
		reap_others(interpreter);
		if (!wait_a_little(deadline))
			return false;
	}
	reap_others(interpreter);
	return true;
}

static bool unmount_code(const struct guest *guest, uint64_t deadline)
{
	while (umount2(guest->code_dir, UMOUNT_NOFOLLOW) < 0) {
		if (errno == EINVAL) /* nothing is mounted there */
			return true;
		if (errno != EBUSY || !wait_a_little(deadline))
			return false;
	}
	return true;
}

/* Its directory stays, as it is mounted. */
static bool remove_inputs(const struct guest *guest)
{
	char **names;
	int count = fs_list(guest->input_dir, &names);
	bool well = count >= 0;
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(guest->input_dir, names[i]);
		well = path && fs_remove_tree(path) == 0 && well;
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	return well;
}

/* Whether all of it is as it was. */
static bool undo(struct agent *agent, const char *last_pid)
{
	struct guest *guest = &agent->guest;
	uint64_t deadline = deadline_in_ms(PATIENCE_MS);
	bool well = end_processes(agent, deadline) && unmount_code(guest, deadline) &&
		    remove_inputs(guest);
	prestart_drop_log(&agent->worker);
	tmp_fit(agent->run.cgroups.memory);
	if (*last_pid)
		write_text(LAST_PID, last_pid);
	return well;
}

static void read_last_pid(char out[LAST_PID_MAX])
{
	AUTO_BUF struct buf text = BUF_INIT(LAST_PID_MAX);
	out[0] = 0;
	if (fs_read_file(LAST_PID, &text) == 0)
		snprintf(out, LAST_PID_MAX, "%.*s", (int)text.len, (char *)text.data);
}

/* --- the message --- */

static bool can_rehearse(const struct agent *agent)
{
	const char *program;
	return agent->guest.pid1 && agent->guest.code_later && !agent->run.function.runtime &&
	       !agent->run.init.pending && !request_any(&agent->run) && agent->run.cgroups.there &&
	       (agent->worker.prestarted.pid || !language_here(&program));
}

void on_rehearse(struct agent *agent, const char *id, json_t *payload)
{
	char last_pid[LAST_PID_MAX];
	uint32_t timeout_ms;
	json_t *guests = json_object_get(payload, "guests");
	bool well = true;
	int r = 0;
	if (!json_is_array(guests) || !payload_timeout(payload, &timeout_ms)) {
		answer_refused(&agent->channel, id, "invalid",
			"Rehearse needs what an Exec does, and nothing more; or \"guests\"");
		return;
	}
	if (!can_rehearse(agent)) {
		answer_refused(&agent->channel, id, "invalid",
			"only a guest that waits for a function rehearses being given one");
		return;
	}
	read_last_pid(last_pid);
	uint64_t deadline = deadline_in_ms(timeout_ms);
	for (size_t i = 0; r == 0 && well && i < json_array_size(guests); i++) {
		r = rehearse(agent, json_array_get(guests, i), deadline);
		if (r > 0)
			return; /* the copy, which has its own to answer */
		well = undo(agent, last_pid);
	}
	if (!well)
		answer_refused(&agent->channel, id, "internal",
			"the guest is not as it was before the rehearsal");
	else if (r < 0)
		answer_refused(
			&agent->channel, id, "busy", "the rehearsal failed: %s", strerror(-r));
	else
		answer_status(&agent->channel, id, "rehearsed");
}
