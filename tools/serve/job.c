/* SPDX-License-Identifier: MIT */
/*
 * Jobs. A call is a job of the library's queue, and a thread here hands it in; what the library
 * cannot queue is done by such a thread. Both print from threads: what they print waits, up to a
 * bound, until the loop passes it on.
 *
 * `lock` guards what the threads of jobs and the loop share: the list of those that have something
 * for the loop, and of each job what is printed, `canceled` and `done`. All else of a job is the
 * loop's or, until it is done, its thread's.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "serve.h"

struct job {
	LIST_ENTRY(job) all;
	struct jobs *jobs;
	const struct job_verb *verb;
	const struct job_asker *asker;
	void *asker_userdata; /* NULL: nobody waits for it any more */
	bool abandoned;       /* is counted as such */
	pid_t pid;
	json_t *options, *reply;
	struct bytes body;
	struct task task; /* of work, of submit, and of what comes then */
	bool accepted;    /* its call, by the queue */
	nova_call_t *call;
	bool begun;                    /* the loop knows that it was accepted */
	nova_call_t *finished;         /* before that */
	void (*then)(struct job *job); /* what is left to do with what was collected */
	void (*undo)(struct job *job); /* if nobody waits for the reply */
	nova_interrupt_t *interrupt;
	void *held; /* by the verb */
	void (*release)(void *held);
	/* A pipe, -1 if it takes no input; what waits for room there, which is watched for. */
	int input[2];
	struct bytes pending;
	bool input_ended;
	struct watch *room_for_input;

	/* guarded by the lock */
	TAILQ_ENTRY(job) woken;
	bool is_woken, canceled;
	bool done;            /* its thread has nothing more to do with it */
	struct bytes printed; /* records of a struct piece and its bytes */
	uint64_t dropped;
	pthread_cond_t room; /* to print */
};

struct piece {
	const char *part;
	size_t len;
};

struct jobs {
	struct loop *loop;
	nova_t *nova;
	nova_queue_t *queue;
	struct threads *threads;
	void *userdata;
	int event; /* eventfd: jobs were woken */
	struct watch *woken_watch, *queue_watch;
	LIST_HEAD(, job) all;
	size_t count, abandoned;
	uint64_t submitted;

	pthread_mutex_t lock;
	TAILQ_HEAD(, job) woken;
	size_t woken_count;
	char *why; /* of jobs_cancel() */
};

/* --- from a job to the loop --- */

/* With the lock held. */
static void wake(struct job *job)
{
	struct jobs *jobs = job->jobs;
	if (!job->is_woken) {
		TAILQ_INSERT_TAIL(&jobs->woken, job, woken);
		jobs->woken_count++;
	}
	job->is_woken = true;
	eventfd_write(jobs->event, 1);
}

/* With the lock held. */
static void unwake(struct job *job)
{
	if (!job->is_woken)
		return;
	TAILQ_REMOVE(&job->jobs->woken, job, woken);
	job->jobs->woken_count--;
	job->is_woken = false;
}

/* With the lock held: puts the piece where the loop takes it from, if there is room. */
static bool print(struct job *job, const char *part, const void *data, size_t len)
{
	struct piece piece = { part, len };
	size_t total = job->printed.len + sizeof(piece) + len;
	if (job->canceled)
		return true; /* nobody wants it */
	if (job->printed.len && total > JOB_PRINTED_MAX)
		return false;
	bytes_add(&job->printed, &piece, sizeof(piece));
	bytes_add(&job->printed, data, len);
	wake(job);
	return true;
}

void job_print(struct job *job, const char *part, const void *data, size_t len)
{
	pthread_mutex_lock(&job->jobs->lock);
	if (!print(job, part, data, len))
		job->dropped += len;
	pthread_mutex_unlock(&job->jobs->lock);
}

bool job_print_within(
	struct job *job, const char *part, const void *data, size_t len, uint32_t wait_ms)
{
	pthread_mutex_t *lock = &job->jobs->lock;
	int64_t end_ms = now_ms() + wait_ms;
	struct timespec end = { end_ms / 1000, end_ms % 1000 * 1000000 };
	pthread_mutex_lock(lock);
	bool done = print(job, part, data, len);
	while (!done && now_ms() < end_ms) {
		pthread_cond_clockwait(&job->room, lock, CLOCK_MONOTONIC, &end);
		done = print(job, part, data, len);
	}
	pthread_mutex_unlock(lock);
	return done;
}

uint64_t job_dropped(struct job *job)
{
	pthread_mutex_lock(&job->jobs->lock);
	uint64_t dropped = job->dropped;
	pthread_mutex_unlock(&job->jobs->lock);
	return dropped;
}

bool job_is_canceled(const struct job *job)
{
	pthread_mutex_lock(&job->jobs->lock);
	bool canceled = job->canceled;
	pthread_mutex_unlock(&job->jobs->lock);
	return canceled;
}

/* --- what it is told, and tells --- */

json_t *error_json(int code, int outcome, const char *message)
{
	json_t *error =
		json_pack("{s:i,s:i,s:s}", "code", code, "outcome", outcome, "message", message);
	return need(error ? error :
			    json_pack("{s:i,s:i,s:s}", "code", code, "outcome", outcome, "message",
				    "the text of this error is not UTF-8"));
}

const struct job_verb *job_verb(const struct job *job)
{
	return job->verb;
}

const json_t *job_options(const struct job *job)
{
	return job->options;
}

const char *job_text(const struct job *job, const char *key)
{
	return json_string_value(json_object_get(job->options, key));
}

bool job_flag(const struct job *job, const char *key)
{
	return json_is_true(json_object_get(job->options, key));
}

uint32_t job_number(const struct job *job, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(job->options, key));
	return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

const struct bytes *job_body(const struct job *job)
{
	return &job->body;
}

void *job_userdata(const struct job *job)
{
	return job->jobs->userdata;
}

pid_t job_pid(const struct job *job)
{
	return job->pid;
}

nova_interrupt_t *job_interrupt(const struct job *job)
{
	return job->interrupt;
}

int job_stdin(const struct job *job)
{
	return job->input[0];
}

void job_hold(struct job *job, void *held, void (*release)(void *held))
{
	job->held = held;
	job->release = release;
}

void *job_held(const struct job *job)
{
	return job->held;
}

json_t *job_reply(struct job *job)
{
	return job->reply;
}

void job_then(struct job *job, void (*then)(struct job *job))
{
	job->then = then;
}

void job_undo(struct job *job, void (*undo)(struct job *job))
{
	job->undo = undo;
}

void job_fail(struct job *job, int code, int outcome, const char *message)
{
	char text[2048] = "";
	pthread_mutex_lock(&job->jobs->lock);
	if (job->jobs->why && code == NOVA_ECANCELED)
		snprintf(text, sizeof(text), "%.200s: %.1800s", job->jobs->why, message);
	pthread_mutex_unlock(&job->jobs->lock);
	json_object_set_new(job->reply, "error", error_json(code, outcome, *text ? text : message));
}

void job_fail_by(struct job *job, const nova_error_t *error)
{
	job_fail(job, nova_error_code(error), nova_error_outcome(error), nova_error_message(error));
	uint64_t ms = nova_error_retry_ms(error);
	if (ms)
		json_object_set_new(json_object_get(job->reply, "error"), "retry_ms",
			json_integer(ms == NOVA_RETRY_NEVER ? JOB_RETRY_NEVER : (json_int_t)ms));
	if (nova_error_limit(error) != NOVA_LIMIT_HOST)
		json_object_set_new(json_object_get(job->reply, "error"), "limit",
			json_integer(nova_error_limit(error)));
}

void job_tell(struct job *job, const char *part, const void *data, size_t len)
{
	if (job->asker_userdata)
		job->asker->text(job->asker_userdata, part, data, len);
}

void job_pass_on(struct job *job)
{
	struct piece piece;
	pthread_mutex_lock(&job->jobs->lock);
	struct bytes printed = job->printed;
	job->printed = (struct bytes){ 0 };
	pthread_cond_signal(&job->room);
	pthread_mutex_unlock(&job->jobs->lock);
	for (size_t at = 0; at < printed.len; at += sizeof(piece) + piece.len) {
		memcpy(&piece, printed.data + at, sizeof(piece));
		job_tell(job, piece.part, printed.data + at + sizeof(piece), piece.len);
	}
	bytes_free(&printed);
}

/* --- its input --- */

static void close_input(struct job *job)
{
	watch_end(job->room_for_input);
	job->room_for_input = NULL;
	if (job->input[1] >= 0)
		close(job->input[1]);
	job->input[1] = -1;
	bytes_drop(&job->pending, job->pending.len);
}

static void pass_input(void *userdata, uint32_t events)
{
	(void)events;
	struct job *job = userdata;
	struct bytes *pending = &job->pending;
	bool was_full = job_is_full(job);
	ssize_t n = 1;
	while (pending->len && n > 0) {
		n = pipe_write(job->input[1], pending->data, pending->len);
		if (n > 0)
			bytes_drop(pending, (size_t)n);
	}
	if (n < 0 || (job->input_ended && !pending->len))
		close_input(job);
	else
		watch_for(job->room_for_input, pending->len ? EPOLLOUT : 0);
	if (was_full && !job_is_full(job) && job->asker_userdata)
		job->asker->woken(job->asker_userdata);
}

bool job_input(struct job *job, const void *data, size_t len, bool last)
{
	if (job->input[0] < 0 || job->input_ended)
		return false;
	job->input_ended = last;
	if (job->input[1] < 0)
		return true; /* nobody reads it any more */
	bytes_add(&job->pending, data, len);
	pass_input(job, 0);
	return true;
}

bool job_is_full(const struct job *job)
{
	return job->pending.len >= JOB_INPUT_MAX;
}

static bool open_input(struct job *job)
{
	if (!pipe_make(job->input))
		return false;
	job->room_for_input = loop_watch(job->jobs->loop, job->input[1], 0, pass_input, job);
	return job->room_for_input != NULL;
}

/* --- its life --- */

static void job_free(struct job *job)
{
	pthread_mutex_lock(&job->jobs->lock);
	unwake(job);
	pthread_mutex_unlock(&job->jobs->lock);
	LIST_REMOVE(job, all);
	job->jobs->count--;
	job->jobs->abandoned -= job->abandoned;
	close_input(job);
	if (job->input[0] >= 0)
		close(job->input[0]);
	bytes_free(&job->pending);
	bytes_free(&job->printed);
	bytes_free(&job->body);
	pthread_cond_destroy(&job->room);
	nova_interrupt_free(job->interrupt);
	if (job->release)
		job->release(job->held);
	json_decref(job->options);
	json_decref(job->reply);
	free(job);
}

static void job_end(struct job *job)
{
	if (job->asker_userdata)
		job->asker->end(job->asker_userdata, job->reply);
	job_free(job);
}

static void submit(struct job *job)
{
	nova_error_t *error = NULL;
	int code = job->verb->submit(job, job->jobs->queue, &job->call, &error);
	bytes_free(&job->body);
	if (error)
		job_fail_by(job, error);
	nova_error_free(error);
	job->accepted = code == 0;
}

static void perform(void *userdata)
{
	struct job *job = userdata;
	struct jobs *jobs = job->jobs;
	if (job->then)
		job->then(job);
	else if (job->verb->work)
		job->verb->work(job);
	else
		submit(job);
	pthread_mutex_lock(&jobs->lock);
	job->done = true;
	wake(job);
	pthread_mutex_unlock(&jobs->lock);
}

/* True: it is under way. */
static bool job_start(struct job *job)
{
	if (job->verb->answer) {
		job->verb->answer(job);
		return false;
	}
	job->task = (struct task){ .run = perform, .userdata = job };
	if (threads_run(job->jobs->threads, &job->task))
		return true;
	job_fail(job, NOVA_EIO, NOVA_OUTCOME_NEVER_RAN,
		"no other thread can be started: try again later");
	return false;
}

struct job *job_begin(struct jobs *jobs, struct job_request *request, const struct job_asker *asker,
	void *userdata)
{
	nova_error_t *error = NULL;
	struct job *job = need(calloc(1, sizeof(*job)));
	job->jobs = jobs;
	job->verb = request->verb;
	job->pid = request->pid;
	job->asker = asker;
	job->asker_userdata = userdata;
	job->options =
		need(json_deep_copy(request->options)); /* counts of references are its own */
	job->reply = need(json_object());
	job->body = request->body;
	request->body = (struct bytes){ 0 };
	job->input[0] = job->input[1] = -1;
	pthread_cond_init(&job->room, NULL);
	LIST_INSERT_HEAD(&jobs->all, job, all);
	jobs->count++;
	if (nova_interrupt_new(&job->interrupt, &error) != 0)
		job_fail_by(job, error);
	else if (request->input && !open_input(job))
		job_fail(job, NOVA_EIO, NOVA_OUTCOME_NEVER_RAN,
			"no other descriptor can be opened for the input: try again later");
	else if (job_start(job))
		return job;
	nova_error_free(error);
	job_end(job);
	return NULL;
}

static void cancel(struct job *job)
{
	pthread_mutex_lock(&job->jobs->lock);
	job->canceled = true;
	pthread_cond_signal(&job->room);
	pthread_mutex_unlock(&job->jobs->lock);
	close_input(job); /* who reads there finds its end */
	nova_interrupt_trigger(job->interrupt);
	if (job->begun)
		nova_call_cancel(job->call);
}

void job_abandon(struct job *job)
{
	job->asker_userdata = NULL;
	job->abandoned = true;
	job->jobs->abandoned++;
	cancel(job);
}

/* --- all of them --- */

/* If there is no thread for it, it waits here. */
static void go_on(struct job *job)
{
	pthread_mutex_lock(&job->jobs->lock);
	job->done = false;
	pthread_mutex_unlock(&job->jobs->lock);
	if (!threads_run(job->jobs->threads, &job->task))
		perform(job);
}

static void finish_work(struct job *job)
{
	job_pass_on(job);
	job->then = job->asker_userdata ? NULL : job->undo;
	job->undo = NULL;
	if (job->then)
		go_on(job);
	else
		job_end(job);
}

static void finish_call(struct job *job, nova_call_t *call)
{
	job_pass_on(job);
	job->begun = false; /* the call cannot be cancelled any more */
	job->verb->collect(job, call);
	nova_call_free(call);
	if (job->then)
		go_on(job);
	else
		job_end(job);
}

/* Its call was accepted, and may be finished already; or there is none. */
static void begin_call(struct job *job)
{
	if (!job->accepted) {
		job_end(job);
		return;
	}
	job->begun = true;
	job->jobs->submitted++;
	if (job->asker_userdata && job->asker->begun)
		job->asker->begun(job->asker_userdata);
	if (job->finished)
		finish_call(job, job->finished);
	else if (job_is_canceled(job))
		nova_call_cancel(job->call);
	else
		job->asker->woken(job->asker_userdata); /* it may have printed */
}

/* The next that was woken, or NULL. */
static struct job *next_woken(struct jobs *jobs, bool *ret_done)
{
	pthread_mutex_lock(&jobs->lock);
	struct job *job = TAILQ_FIRST(&jobs->woken);
	if (job)
		unwake(job);
	*ret_done = job && job->done;
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

/* Those that are woken meanwhile come with the next step. */
static void on_woken(void *userdata, uint32_t events)
{
	(void)events;
	bool done;
	eventfd_t count;
	struct jobs *jobs = userdata;
	eventfd_read(jobs->event, &count);
	pthread_mutex_lock(&jobs->lock);
	size_t left = jobs->woken_count;
	pthread_mutex_unlock(&jobs->lock);
	for (struct job *job; left > 0 && (job = next_woken(jobs, &done)) != NULL; left--)
		if (done && (job->verb->work || job->then))
			finish_work(job);
		else if (done && !job->begun)
			begin_call(job);
		else if (job->asker_userdata)
			job->asker->woken(job->asker_userdata);
}

static void on_finished(void *userdata, uint32_t events)
{
	(void)events;
	nova_call_t *call;
	struct jobs *jobs = userdata;
	while (nova_queue_collect(jobs->queue, 0, NULL, &call, NULL) == 0 && call) {
		struct job *job = nova_call_userdata(call);
		if (job->begun)
			finish_call(job, call);
		else
			job->finished = call; /* whose thread still comes back from handing it in */
	}
}

struct jobs *jobs_new(struct loop *loop, nova_t *nova, void *userdata, nova_error_t **error)
{
	nova_queue_t *queue;
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	opts.threads = JOB_THREADS;
	if (nova_queue_new(nova, &opts, &queue, error) != 0)
		return NULL;
	struct jobs *jobs = need(calloc(1, sizeof(*jobs)));
	*jobs = (struct jobs){ .loop = loop, .nova = nova, .queue = queue, .userdata = userdata };
	jobs->threads = threads_new();
	pthread_mutex_init(&jobs->lock, NULL);
	TAILQ_INIT(&jobs->woken);
	/* So early in a process nothing but memory can be missing. */
	jobs->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	jobs->woken_watch = need(loop_watch(loop, jobs->event, EPOLLIN, on_woken, jobs));
	jobs->queue_watch =
		need(loop_watch(loop, nova_queue_fd(queue), EPOLLIN, on_finished, jobs));
	return jobs;
}

/* Ends every instance, and with them the jobs that wait for one. */
static void end_instances(nova_t *nova)
{
	nova_instance_t **list;
	size_t count;
	if (nova_instance_list(nova, &list, &count, NULL) != 0)
		return;
	for (size_t i = 0; i < count; i++)
		nova_instance_stop(list[i], 1, NULL);
	nova_instance_list_free(list, count);
}

void jobs_cancel(struct jobs *jobs, const char *why)
{
	struct job *job;
	pthread_mutex_lock(&jobs->lock);
	jobs->why = why && !jobs->why ? need(strdup(why)) : jobs->why;
	pthread_mutex_unlock(&jobs->lock);
	LIST_FOREACH(job, &jobs->all, all)
	cancel(job);
	end_instances(jobs->nova);
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	jobs_cancel(jobs, NULL);
	watch_end(jobs->woken_watch);
	watch_end(jobs->queue_watch);
	threads_free(jobs->threads);
	nova_queue_free(jobs->queue);
	for (struct job *job; (job = LIST_FIRST(&jobs->all)) != NULL;) {
		nova_call_free(job->finished);
		job_free(job);
	}
	close(jobs->event);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs->why);
	free(jobs);
}

size_t jobs_count(const struct jobs *jobs)
{
	return jobs->count;
}

size_t jobs_abandoned(const struct jobs *jobs)
{
	return jobs->abandoned;
}

uint64_t jobs_submitted(const struct jobs *jobs)
{
	return jobs->submitted;
}

nova_queue_t *jobs_queue(const struct jobs *jobs)
{
	return jobs->queue;
}
