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

struct errand {
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

static void reply_with(struct errand *errand, const char *member, json_t *value)
{
	errand->reply = need(json_pack("{s:o}", member, value));
}

/* --- the verbs. Each fills the reply, or returns the code of its error. --- */

static int do_start(struct errand *errand, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t *instance = NULL;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	opts.function = text_of(errand->request, "function");
	opts.name = text_of(errand->request, "name");
	opts.snapshot = text_of(errand->request, "snapshot");
	opts.memory_mb = number_of(errand->request, "memory_mb");
	opts.vcpus = number_of(errand->request, "vcpus");
	opts.interrupt = errand->interrupt;
	int code = nova_instance_start(errand->nova, &opts, &instance, error);
	if (code == 0)
		reply_with(errand, "instance", instance_json(instance));
	if (code == 0 && __atomic_load_n(&errand->canceled, __ATOMIC_ACQUIRE))
		nova_instance_stop(instance, 1, NULL); /* it has come too late for who wanted it */
	nova_instance_free(instance);
	return code;
}

static int do_list(struct errand *errand, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t **list;
	size_t count;
	int code = nova_instance_list(errand->nova, &list, &count, error);
	if (code < 0)
		return code;
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, instance_json(list[i]));
	nova_instance_list_free(list, count);
	reply_with(errand, "instances", array);
	return 0;
}

static int do_get(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	(void)error;
	reply_with(errand, "instance", instance_json(instance));
	return 0;
}

static nova_wait_opts wait_of(const struct errand *errand)
{
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = errand->interrupt;
	return wait;
}

static int do_pause(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(errand);
	int code = nova_vm_pause(nova_instance_vm(instance), &wait, error);
	return code < 0 ? code : do_get(errand, instance, error);
}

static int do_resume(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(errand);
	int code = nova_vm_resume(nova_instance_vm(instance), &wait, error);
	return code < 0 ? code : do_get(errand, instance, error);
}

static int do_snapshot(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	nova_snapshot_t *snapshot = NULL;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.name = text_of(errand->request, "snapshot");
	opts.interrupt = errand->interrupt;
	int code = nova_vm_snapshot(nova_instance_vm(instance), &opts, &snapshot, error);
	if (code == 0)
		reply_with(errand, "snapshot", need(json_string(nova_snapshot_id(snapshot))));
	nova_snapshot_free(snapshot);
	return code;
}

static int do_stop(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	errand->reply = need(json_object());
	return nova_instance_stop(instance, number_of(errand->request, "grace_ms"), error);
}

static bool is_wanted(const struct errand *errand)
{
	return !__atomic_load_n(&errand->canceled, __ATOMIC_ACQUIRE) &&
	       nova_instance_state(errand->instance) != NOVA_VM_DEAD;
}

/* A client that reads slowly holds its command up. */
static void on_output(void *userdata, int stream, const void *data, size_t len)
{
	struct errand *errand = userdata;
	struct piece piece = { stream, len };
	pthread_mutex_lock(&errand->lock);
	while (errand->printed.len > PRINTED_FULL && is_wanted(errand)) {
		struct timespec look;
		clock_gettime(CLOCK_REALTIME, &look);
		look.tv_nsec += LOOK_NS;
		look.tv_sec += look.tv_nsec / 1000000000;
		look.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&errand->room, &errand->lock, &look);
	}
	bytes_add(&errand->printed, &piece, sizeof(piece));
	bytes_add(&errand->printed, data, len);
	pthread_mutex_unlock(&errand->lock);
	eventfd_write(errand->wake, 1);
}

static int do_exec(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	const json_t *words = json_object_get(errand->request, "argv");
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	CLEANUP(result_freep) nova_result_t *result = NULL;
	opts.argc = json_array_size(words);
	const char **argv = need(calloc(opts.argc + 1, sizeof(*argv)));
	for (size_t i = 0; i < opts.argc; i++)
		argv[i] = json_string_value(json_array_get(words, i));
	opts.argv = argv;
	opts.interrupt = errand->interrupt;
	opts.timeout_ms = number_of(errand->request, "timeout_ms");
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = errand->input[0];
	opts.on_output = on_output;
	opts.userdata = errand;
	errand->instance = instance;
	int code = nova_vm_command(nova_instance_vm(instance), &opts, &result, error);
	if (code == 0)
		reply_with(errand, "exit_code", need(json_integer(nova_result_exit_code(result))));
	free(argv);
	return code;
}

static const struct {
	const char *verb;
	bool of_one; /* the request names an instance */
	int (*run)(struct errand *errand, nova_instance_t *instance, nova_error_t **error);
} errands[] = {
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
	while (i < ARRAY_LEN(errands) && strcmp(errands[i].verb, verb) != 0)
		i++;
	return i;
}

bool errand_knows(const char *verb)
{
	return find(verb) < ARRAY_LEN(errands);
}

static int perform(struct errand *errand, nova_error_t **error)
{
	size_t which = find(text_of(errand->request, "verb"));
	const char *name = text_of(errand->request, "name");
	nova_instance_t *instance = NULL;
	int code = errands[which].of_one ?
			   nova_instance_get(errand->nova, name ? name : "", &instance, error) :
			   0;
	if (code == 0)
		code = errands[which].run(errand, instance, error);
	nova_instance_free(instance);
	return code;
}

/* An error of its VM speaks of that alone. */
static void reply_failure(struct errand *errand, const nova_error_t *error)
{
	char text[2048];
	const char *message = nova_error_message(error);
	const char *name = text_of(errand->request, "name");
	bool names_it = !errands[find(text_of(errand->request, "verb"))].of_one ||
			strstr(message, "instance '");
	snprintf(text, sizeof(text), "instance '%.80s': %.1900s", name ? name : "", message);
	reply_with(errand, "error",
		error_json(nova_error_code(error), nova_error_outcome(error),
			names_it ? message : text));
}

static void *run(void *userdata)
{
	struct errand *errand = userdata;
	nova_error_t *error = NULL;
	if (perform(errand, &error) < 0) {
		json_decref(errand->reply);
		errand->reply = NULL;
		reply_failure(errand, error);
	}
	nova_error_free(error);
	__atomic_store_n(&errand->done, 1, __ATOMIC_RELEASE);
	eventfd_write(errand->wake, 1);
	return NULL;
}

/* --- for the loop --- */

static void errand_free(struct errand *errand)
{
	for (int i = 0; i < 2; i++)
		if (errand->input[i] >= 0)
			close(errand->input[i]);
	bytes_free(&errand->pending);
	bytes_free(&errand->printed);
	pthread_mutex_destroy(&errand->lock);
	pthread_cond_destroy(&errand->room);
	nova_interrupt_free(errand->interrupt);
	json_decref(errand->request);
	free(errand);
}

struct errand *errand_begin(nova_t *nova, int wake, const json_t *request)
{
	struct errand *errand = need(calloc(1, sizeof(*errand)));
	errand->input[0] = errand->input[1] = -1;
	pthread_mutex_init(&errand->lock, NULL);
	pthread_cond_init(&errand->room, NULL);
	errand->nova = nova;
	errand->wake = wake;
	errand->request = need(json_deep_copy(request)); /* counts of references are the loop's */
	bool piped = json_is_true(json_object_get(request, "stdin"));
	if ((!piped || pipe_make(errand->input)) &&
		nova_interrupt_new(&errand->interrupt, NULL) == 0 &&
		pthread_create(&errand->thread, NULL, run, errand) == 0)
		return errand;
	errand_free(errand);
	return NULL;
}

bool errand_input(struct errand *errand, const json_t *payload)
{
	if (errand->input[1] < 0 || errand->input_ended)
		return false;
	errand->input_ended = wire_text_ends(payload, "stdin");
	return errand->input_ended || wire_text_add(&errand->pending, payload, "stdin");
}

int errand_input_flush(struct errand *errand)
{
	struct bytes *pending = &errand->pending;
	ssize_t n = 1;
	while (pending->len && n > 0) {
		n = pipe_write(errand->input[1], pending->data, pending->len);
		if (n > 0)
			bytes_drop(pending, (size_t)n);
	}
	if (pending->len)
		return errand->input[1];
	if (errand->input_ended && errand->input[1] >= 0) {
		close(errand->input[1]);
		errand->input[1] = -1;
	}
	return -1;
}

bool errand_is_full(const struct errand *errand)
{
	return errand->pending.len >= INPUT_FULL;
}

static void put_printed(struct errand *errand, struct wire *wire)
{
	struct piece piece;
	const struct bytes *printed = &errand->printed;
	for (size_t at = 0; at < printed->len; at += sizeof(piece) + piece.len) {
		memcpy(&piece, printed->data + at, sizeof(piece));
		wire_put_text(wire, piece.stream == 2 ? "stderr" : "stdout",
			printed->data + at + sizeof(piece), piece.len);
	}
	bytes_drop(&errand->printed, printed->len);
}

/* Not while much waits to be sent: so both together are bounded. */
void errand_printed(struct errand *errand, struct wire *wire)
{
	if (wire->out.len - wire->sent > PRINTED_FULL)
		return;
	pthread_mutex_lock(&errand->lock);
	put_printed(errand, wire);
	pthread_cond_signal(&errand->room);
	pthread_mutex_unlock(&errand->lock);
}

void errand_cancel(struct errand *errand)
{
	__atomic_store_n(&errand->canceled, 1, __ATOMIC_RELEASE);
	pthread_mutex_lock(&errand->lock);
	pthread_cond_signal(&errand->room);
	pthread_mutex_unlock(&errand->lock);
	nova_interrupt_trigger(errand->interrupt);
}

bool errand_is_done(const struct errand *errand)
{
	return __atomic_load_n(&errand->done, __ATOMIC_ACQUIRE);
}

json_t *errand_end(struct errand *errand, struct wire *wire)
{
	if (!errand_is_done(errand))
		errand_cancel(errand); /* it may wait for a client that has gone */
	pthread_join(errand->thread, NULL);
	json_t *reply = errand->reply;
	if (wire)
		put_printed(errand, wire);
	errand_free(errand);
	return reply;
}

void errands_cut(nova_t *nova)
{
	nova_instance_t **list;
	size_t count;
	if (nova_instance_list(nova, &list, &count, NULL) != 0)
		return;
	for (size_t i = 0; i < count; i++)
		nova_instance_stop(list[i], 1, NULL);
	nova_instance_list_free(list, count);
}
