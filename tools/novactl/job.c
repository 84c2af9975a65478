/* SPDX-License-Identifier: MIT */
/*
 * What the daemon does for the instance verbs. Each may take as long as a VM takes to start or a
 * command to run, so each request has a thread of its own, and the loop goes on meanwhile.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"

struct job {
	pthread_t thread;
	nova_t *nova;
	int wake; /* eventfd of the loop */
	json_t *request, *reply;
	/* stdin of a command: a pipe, -1 if there is none, and what waits for room there. All but
	 * the reading end is the loop's. */
	int input[2];
	struct bytes pending;
	bool input_ended;
	nova_instance_t *instance;
	/* what is passed on while it is printed: records of a struct piece and its bytes */
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct bytes printed;
	nova_interrupt_t *interrupt; /* triggered when its client has gone */
	int canceled;                /* atomic: the same */
	int done;                    /* atomic: all above is the loop's again */
};

struct piece {
	int stream;
	size_t len;
};

#define INPUT_FULL   (128u << 10)
#define PRINTED_FULL (256u << 10)
#define LOOK_NS      100000000 /* how often a VM is looked at whose client does not read */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint32_t number_of(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static json_t *instance_json(nova_instance_t *instance)
{
	char *text = need(nova_instance_to_json(instance));
	json_t *json = need(json_loads(text, 0, NULL));
	nova_free(text);
	return json;
}

static void reply_with(struct job *job, const char *member, json_t *value)
{
	job->reply = need(json_pack("{s:o}", member, value));
}

/* --- the verbs. Each fills the reply, or returns the code of its error. --- */

static int do_start(struct job *job, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t *instance = NULL;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	opts.function = text_of(job->request, "function");
	opts.name = text_of(job->request, "name");
	opts.snapshot = text_of(job->request, "snapshot");
	opts.memory_mb = number_of(job->request, "memory_mb");
	opts.vcpus = number_of(job->request, "vcpus");
	opts.interrupt = job->interrupt;
	int code = nova_instance_start(job->nova, &opts, &instance, error);
	if (code == 0)
		reply_with(job, "instance", instance_json(instance));
	if (code == 0 && __atomic_load_n(&job->canceled, __ATOMIC_ACQUIRE))
		nova_instance_stop(instance, 1, NULL); /* it has come too late for who wanted it */
	nova_instance_free(instance);
	return code;
}

static int do_list(struct job *job, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t **list;
	size_t count;
	int code = nova_instance_list(job->nova, &list, &count, error);
	if (code < 0)
		return code;
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, instance_json(list[i]));
	nova_instance_list_free(list, count);
	reply_with(job, "instances", array);
	return 0;
}

static int do_get(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	(void)error;
	reply_with(job, "instance", instance_json(instance));
	return 0;
}

static nova_wait_opts wait_of(const struct job *job)
{
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = job->interrupt;
	return wait;
}

static int do_pause(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(job);
	int code = nova_vm_pause(nova_instance_vm(instance), &wait, error);
	return code < 0 ? code : do_get(job, instance, error);
}

static int do_resume(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(job);
	int code = nova_vm_resume(nova_instance_vm(instance), &wait, error);
	return code < 0 ? code : do_get(job, instance, error);
}

static int do_snapshot(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	nova_snapshot_t *snapshot = NULL;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.name = text_of(job->request, "snapshot");
	opts.interrupt = job->interrupt;
	int code = nova_vm_snapshot(nova_instance_vm(instance), &opts, &snapshot, error);
	if (code == 0)
		reply_with(job, "snapshot", need(json_string(nova_snapshot_id(snapshot))));
	nova_snapshot_free(snapshot);
	return code;
}

static int do_stop(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	job->reply = need(json_object());
	return nova_instance_stop(instance, number_of(job->request, "grace_ms"), error);
}

static bool is_wanted(const struct job *job)
{
	return !__atomic_load_n(&job->canceled, __ATOMIC_ACQUIRE) &&
	       nova_instance_state(job->instance) != NOVA_VM_DEAD;
}

/* A client that reads slowly holds its command up. */
static void on_output(void *userdata, int stream, const void *data, size_t len)
{
	struct job *job = userdata;
	struct piece piece = { stream, len };
	pthread_mutex_lock(&job->lock);
	while (job->printed.len > PRINTED_FULL && is_wanted(job)) {
		struct timespec look;
		clock_gettime(CLOCK_REALTIME, &look);
		look.tv_nsec += LOOK_NS;
		look.tv_sec += look.tv_nsec / 1000000000;
		look.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&job->room, &job->lock, &look);
	}
	bytes_add(&job->printed, &piece, sizeof(piece));
	bytes_add(&job->printed, data, len);
	pthread_mutex_unlock(&job->lock);
	eventfd_write(job->wake, 1);
}

static int do_exec(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	const json_t *words = json_object_get(job->request, "argv");
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	CLEANUP(result_freep) nova_result_t *result = NULL;
	opts.argc = json_array_size(words);
	const char **argv = need(calloc(opts.argc + 1, sizeof(*argv)));
	for (size_t i = 0; i < opts.argc; i++)
		argv[i] = json_string_value(json_array_get(words, i));
	opts.argv = argv;
	opts.interrupt = job->interrupt;
	opts.timeout_ms = number_of(job->request, "timeout_ms");
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = job->input[0];
	opts.on_output = on_output;
	opts.userdata = job;
	job->instance = instance;
	int code = nova_vm_command(nova_instance_vm(instance), &opts, &result, error);
	if (code == 0)
		reply_with(job, "exit_code", need(json_integer(nova_result_exit_code(result))));
	free(argv);
	return code;
}

static const struct {
	const char *verb;
	bool of_one; /* the request names an instance */
	int (*run)(struct job *job, nova_instance_t *instance, nova_error_t **error);
} jobs[] = {
	{ "instance start", false, do_start },
	{ "instance list", false, do_list },
	{ "instance get", true, do_get },
	{ "instance exec", true, do_exec },
	{ "instance pause", true, do_pause },
	{ "instance resume", true, do_resume },
	{ "instance snapshot", true, do_snapshot },
	{ "instance stop", true, do_stop },
};

static size_t find(const char *verb)
{
	size_t i = 0;
	while (i < ARRAY_LEN(jobs) && strcmp(jobs[i].verb, verb) != 0)
		i++;
	return i;
}

bool job_knows(const char *verb)
{
	return find(verb) < ARRAY_LEN(jobs);
}

static int perform(struct job *job, nova_error_t **error)
{
	size_t which = find(text_of(job->request, "verb"));
	const char *name = text_of(job->request, "name");
	nova_instance_t *instance = NULL;
	int code = jobs[which].of_one ?
			   nova_instance_get(job->nova, name ? name : "", &instance, error) :
			   0;
	if (code == 0)
		code = jobs[which].run(job, instance, error);
	nova_instance_free(instance);
	return code;
}

/* An error of its VM speaks of that alone. */
static void reply_failure(struct job *job, const nova_error_t *error)
{
	char text[2048];
	const char *message = nova_error_message(error);
	const char *name = text_of(job->request, "name");
	bool names_it =
		!jobs[find(text_of(job->request, "verb"))].of_one || strstr(message, "instance '");
	snprintf(text, sizeof(text), "instance '%.80s': %.1900s", name ? name : "", message);
	reply_with(job, "error",
		error_json(nova_error_code(error), nova_error_outcome(error),
			names_it ? message : text));
}

static void *run(void *userdata)
{
	struct job *job = userdata;
	nova_error_t *error = NULL;
	if (perform(job, &error) < 0) {
		json_decref(job->reply);
		job->reply = NULL;
		reply_failure(job, error);
	}
	nova_error_free(error);
	__atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
	eventfd_write(job->wake, 1);
	return NULL;
}

/* --- for the loop --- */

static void job_free(struct job *job)
{
	for (int i = 0; i < 2; i++)
		if (job->input[i] >= 0)
			close(job->input[i]);
	bytes_free(&job->pending);
	bytes_free(&job->printed);
	pthread_mutex_destroy(&job->lock);
	pthread_cond_destroy(&job->room);
	nova_interrupt_free(job->interrupt);
	json_decref(job->request);
	free(job);
}

struct job *job_begin(nova_t *nova, int wake, const json_t *request)
{
	struct job *job = need(calloc(1, sizeof(*job)));
	job->input[0] = job->input[1] = -1;
	pthread_mutex_init(&job->lock, NULL);
	pthread_cond_init(&job->room, NULL);
	job->nova = nova;
	job->wake = wake;
	job->request = need(json_deep_copy(request)); /* counts of references are the loop's */
	bool piped = json_is_true(json_object_get(request, "stdin"));
	if ((!piped || pipe_make(job->input)) && nova_interrupt_new(&job->interrupt, NULL) == 0 &&
		pthread_create(&job->thread, NULL, run, job) == 0)
		return job;
	job_free(job);
	return NULL;
}

bool job_input(struct job *job, const json_t *payload)
{
	if (job->input[1] < 0 || job->input_ended)
		return false;
	job->input_ended = wire_text_ends(payload, "stdin");
	return job->input_ended || wire_text_add(&job->pending, payload, "stdin");
}

int job_input_flush(struct job *job)
{
	struct bytes *pending = &job->pending;
	ssize_t n = 1;
	while (pending->len && n > 0) {
		n = pipe_write(job->input[1], pending->data, pending->len);
		if (n > 0)
			bytes_drop(pending, (size_t)n);
	}
	if (pending->len)
		return job->input[1];
	if (job->input_ended && job->input[1] >= 0) {
		close(job->input[1]);
		job->input[1] = -1;
	}
	return -1;
}

bool job_is_full(const struct job *job)
{
	return job->pending.len >= INPUT_FULL;
}

static void put_printed(struct job *job, struct wire *wire)
{
	struct piece piece;
	const struct bytes *printed = &job->printed;
	for (size_t at = 0; at < printed->len; at += sizeof(piece) + piece.len) {
		memcpy(&piece, printed->data + at, sizeof(piece));
		wire_put_text(wire, piece.stream == 2 ? "stderr" : "stdout",
			printed->data + at + sizeof(piece), piece.len);
	}
	bytes_drop(&job->printed, printed->len);
}

/* Not while much waits to be sent: so both together are bounded. */
void job_printed(struct job *job, struct wire *wire)
{
	if (wire->out.len - wire->sent > PRINTED_FULL)
		return;
	pthread_mutex_lock(&job->lock);
	put_printed(job, wire);
	pthread_cond_signal(&job->room);
	pthread_mutex_unlock(&job->lock);
}

void job_cancel(struct job *job)
{
	__atomic_store_n(&job->canceled, 1, __ATOMIC_RELEASE);
	pthread_mutex_lock(&job->lock);
	pthread_cond_signal(&job->room);
	pthread_mutex_unlock(&job->lock);
	nova_interrupt_trigger(job->interrupt);
}

bool job_is_done(const struct job *job)
{
	return __atomic_load_n(&job->done, __ATOMIC_ACQUIRE);
}

json_t *job_end(struct job *job, struct wire *wire)
{
	if (!job_is_done(job))
		job_cancel(job); /* it may wait for a client that has gone */
	pthread_join(job->thread, NULL);
	json_t *reply = job->reply;
	if (wire)
		put_printed(job, wire);
	job_free(job);
	return reply;
}

void jobs_cut(nova_t *nova)
{
	nova_instance_t **list;
	size_t count;
	if (nova_instance_list(nova, &list, &count, NULL) != 0)
		return;
	for (size_t i = 0; i < count; i++)
		nova_instance_stop(list[i], 1, NULL);
	nova_instance_list_free(list, count);
}
