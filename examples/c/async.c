/* SPDX-License-Identifier: MIT */
/* Keeps a hundred calls in flight from one thread, beside whatever else the program waits for:
 * cc async.c $(pkg-config --cflags --libs nova) && ./a.out hello.py */
#include <poll.h>
#include <stdio.h>

#include <nova/nova.h>

#define CALLS 100

static int submit_all(nova_t *nova, nova_queue_t *queue, const char *code, nova_error_t **error)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "hello";
	opts.runtime = "python";
	opts.code_path = code;
	opts.flags = NOVA_REGISTER_REPLACE;
	int status = nova_function_register(nova, &opts, NULL, error);
	for (int i = 0; i < CALLS && status == NOVA_OK; i++)
		status = nova_queue_submit(queue, "hello", "{}", NULL, NULL, error);
	return status;
}

static void collect_some(nova_queue_t *queue, int *left)
{
	nova_call_t *call;
	while (nova_queue_collect(queue, 0, NULL, &call, NULL) == NOVA_OK && call) {
		nova_result_t *result = nova_call_take_result(call);
		printf("%d left: %s\n", --*left,
			result ? nova_result_output(result, NULL) :
				 nova_code_name(nova_call_code(call)));
		nova_result_free(result);
		nova_call_free(call);
	}
}

int main(int argc, char **argv)
{
	nova_t *nova = NULL;
	nova_queue_t *queue = NULL;
	nova_error_t *error = NULL;
	int status = nova_open(NULL, &nova, &error);
	if (status == NOVA_OK)
		status = nova_queue_new(nova, NULL, &queue, &error);
	if (status == NOVA_OK)
		status = submit_all(nova, queue, argc > 1 ? argv[1] : "hello.py", &error);
	for (int left = status == NOVA_OK ? CALLS : 0; left;) {
		struct pollfd ready = { nova_queue_fd(queue), POLLIN, 0 };
		if (poll(&ready, 1, -1) > 0)
			collect_some(queue, &left);
	}
	if (status != NOVA_OK)
		fprintf(stderr, "%s\n", nova_error_message(error));
	nova_error_free(error);
	nova_queue_free(queue);
	nova_close(nova);
	return status != NOVA_OK;
}
