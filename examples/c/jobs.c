/* SPDX-License-Identifier: MIT */
/* One thread starts microVMs side by side, and runs a command in each as soon as it is up:
 * cc jobs.c $(pkg-config --cflags --libs nova) && ./a.out uname -a */
#include <stdio.h>

#include <nova/nova.h>

#define VMS 3

static int start_all(nova_queue_t *queue, nova_error_t **error)
{
	int status = NOVA_OK;
	for (int i = 0; i < VMS && status == NOVA_OK; i++)
		status = nova_queue_submit_vm_start(queue, NULL, NULL, error);
	return status;
}

/* What belongs to the call comes back with it: nova_call_userdata(). */
static int run_in(nova_queue_t *queue, nova_vm_t *vm, const char *const *argv, size_t argc)
{
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = argc;
	opts.userdata = vm;
	return nova_queue_submit_vm_command(queue, vm, &opts, NULL, NULL);
}

static void print(nova_call_t *call)
{
	nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	if (result)
		fputs(nova_result_stdout(result, NULL), stdout);
	if (error)
		fprintf(stderr, "%s\n", nova_error_message(error));
	nova_error_free(error);
	nova_result_free(result);
}

/* True: a VM has come and gone. */
static int go_on(nova_queue_t *queue, nova_call_t *call, const char *const *argv, size_t argc)
{
	nova_vm_t *vm = nova_call_take_vm(call);
	if (vm && run_in(queue, vm, argv, argc) == NOVA_OK)
		return 0;
	print(call);
	nova_vm_free(vm ? vm : nova_call_userdata(call));
	return 1;
}

int main(int argc, char **argv)
{
	const char *const usual[] = { "echo", "hello from a microVM" };
	const char *const *command = argc > 1 ? (const char *const *)argv + 1 : usual;
	size_t words = argc > 1 ? (size_t)argc - 1 : 2;
	nova_t *nova = NULL;
	nova_queue_t *queue = NULL;
	nova_call_t *call;
	nova_error_t *error = NULL;
	int status = nova_open(NULL, &nova, &error);
	if (status == NOVA_OK)
		status = nova_queue_new(nova, NULL, &queue, &error);
	if (status == NOVA_OK)
		status = start_all(queue, &error);
	for (int left = VMS; left && status == NOVA_OK;) {
		status = nova_queue_collect(queue, UINT32_MAX, NULL, &call, &error);
		if (status != NOVA_OK)
			break;
		left -= go_on(queue, call, command, words);
		nova_call_free(call);
	}
	if (status != NOVA_OK)
		fprintf(stderr, "%s\n", nova_error_message(error));
	nova_error_free(error);
	nova_queue_free(queue);
	nova_close(nova);
	return status != NOVA_OK;
}
