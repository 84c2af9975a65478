/* SPDX-License-Identifier: MIT */
/* A request under way: its pipes, its processes, its end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/run.h"

struct request *request_find(struct run *run, const char *id)
{
	for (size_t i = 0; i < MAX_REQUESTS && *id; i++)
		if (run->requests[i].state != REQUEST_FREE && strcmp(run->requests[i].id, id) == 0)
			return &run->requests[i];
	return NULL;
}

bool request_any(const struct run *run)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state != REQUEST_FREE)
			return true;
	return false;
}

struct request *request_new(struct run *run, const char *id)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &run->requests[i];
		if (request->state != REQUEST_FREE)
			continue;
		*request = (struct request){
			.state = REQUEST_WAITING, .seq = ++run->next_seq, .start = clock_ns()
		};
		request->result_fd = request->stdin_fd = -1;
		request->result = BUF_INIT(PROTO_OUTPUT_JSON_MAX + RESULT_HEAD);
		for (int n = 0; n < 2; n++)
			request->output[n] =
				(struct output){ .fd = -1, .kept = BUF_INIT(OUTPUT_CAP) };
		memcpy(request->id, id, strlen(id) + 1);
		return request;
	}
	return NULL;
}

/* In a file system of its own, which a full /tmp cannot deny us. */
int request_write_input(struct run *run, struct request *request)
{
	const struct guest *guest = run->guest;
	request->input_path = str_format("%s/input-%u.json", guest->input_dir, request->seq);
	if (!request->input_path)
		return -ENOMEM;
	AUTO_FD int fd = sys_open(request->input_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	int r = fd < 0 ? fd : sys_write_all(fd, request->input.data, request->input.len);
	if (r == 0 && guest->pid1 && fchown(fd, FUNCTION_UID, FUNCTION_UID) < 0)
		r = -errno;
	buf_free(&request->input);
	return r;
}

/* --- while it runs --- */

static void on_output(void *owner, void *what, short events)
{
	struct output *out = what;
	(void)owner, (void)events;
	for (int i = 0; i < 4 && out->fd >= 0 && !flow_is_full(out); i++)
		if (!output_read(out))
			break;
}

static void on_stdin(void *owner, void *what, short events)
{
	struct run *run = owner;
	struct request *request = what;
	(void)events;
	ssize_t put =
		sys_write(request->stdin_fd, request->stdin_data.data, request->stdin_data.len);
	if (put > 0)
		buf_consume(&request->stdin_data, (size_t)put);
	if (put < 0 && put != -EAGAIN)
		flow_stdin_refused(request);
	size_t credit = put > 0 ? flow_stdin_taken(request, (size_t)put) : 0;
	if (credit)
		answer_credit(run->channel, request->id, credit);
}

void request_watch(struct run *run, struct request *request, struct loop *loop)
{
	for (int n = 0; n < 2; n++)
		if (!flow_is_full(&request->output[n]))
			loop_watch(loop, &request->output[n].fd, POLLIN, on_output, run,
				&request->output[n]);
	if (request->stdin_data.len)
		loop_watch(loop, &request->stdin_fd, POLLOUT, on_stdin, run, request);
}

void request_lend_ends(struct request *request, int result, const int output[2])
{
	request->state = REQUEST_RUNNING;
	request->in_place = request->greeted = true;
	request->result_fd = result;
	for (int n = 0; n < 2; n++) {
		request->output[n].fd = output[n];
		request->output[n].borrowed = true;
	}
}

void request_return_ends(struct request *request)
{
	request->result_fd = request->output[0].fd = request->output[1].fd = -1;
}

/* --- the end --- */

void request_kill(struct request *request)
{
	kill_slot_or_group(request->slot, request->pid);
}

void request_release(struct run *run, struct request *request)
{
	bool in_place = request->in_place;
	if (in_place)
		request_return_ends(request);
	else
		request_kill(request);
	request->state = REQUEST_FREE;
	kv_forget(run, request->id);
	slot_give_back(request->slot);
	for (int n = 0; n < 2; n++) {
		close_fd(&request->output[n].fd);
		buf_free(&request->output[n].kept);
		buf_free(&request->output[n].unsent);
	}
	close_fd(&request->result_fd);
	close_fd(&request->stdin_fd);
	buf_free(&request->result);
	buf_free(&request->input);
	buf_free(&request->stdin_data);
	if (request->input_path)
		unlink(request->input_path);
	free(request->input_path);
	request->input_path = NULL;
	free(request->context);
	request->context = NULL;
	strings_free(request->args);
	request->args = NULL;
	free(request->start_name);
	free(request->own_name);
	request->start_name = request->own_name = NULL;
	if (!run->cgroups.there && !in_place)
		kill_orphans(run, request->id, !request_any(run));
}

void request_finish(struct run *run, struct request *request)
{
	output_drain(request->output);
	if (request->signal == SIGKILL || request->timed_out || request->exit_code)
		request->oom = (slot_oom(request->slot) || request->oom) && !request->timed_out &&
			       !request->canceled;
	result_stream(run->channel, request, true);
	result_answer(run->channel, request);
	bool tidy = request->tidy && !run->keeps_tmp;
	request_release(run, request);
	if (tidy && !request_any(run))
		tmp_clean(run);
}

void request_exited(struct run *run, struct request *request, int status, uint64_t peak_kb)
{
	request->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	request->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	request->peak_kb = peak_kb;
	/* The group still holds what it left, but its own number may be given to another from now
	 * on. */
	/* 0: it had not said its name yet; that would be our own group */
	if (!request->slot && request->pid > 1)
		kill(-request->pid, SIGKILL);
	request->pid = 0;
	request_finish(run, request);
}

void request_cut_off(struct run *run, struct request *request)
{
	/* As a shell's user knows it from a process that was killed. */
	request->signal = SIGKILL;
	request_kill(request);
	request_finish(run, request);
}

void request_refuse(
	struct run *run, struct request *request, const char *code, const char *why, int r)
{
	answer_refused(run->channel, request->id, code, "%s%s%s", why, r < 0 ? ": " : "",
		r < 0 ? strerror(-r) : "");
	request_release(run, request);
}

void request_drop_all(struct run *run)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state != REQUEST_FREE)
			request_release(run, &run->requests[i]);
}
