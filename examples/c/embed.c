/* SPDX-License-Identifier: MIT */
/* Runs a Python function in a microVM:
 * cc embed.c $(pkg-config --cflags --libs nova) && ./a.out hello.py '{"name":"World"}' */
#include <stdio.h>
#include <string.h>

#include <nova/nova.h>

static int run(nova_t *nova, const char *code, const char *event, nova_error_t **error)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	nova_result_t *result = NULL;
	opts.name = "hello";
	opts.runtime = "python";
	opts.code_path = code;
	opts.flags = NOVA_REGISTER_REPLACE;
	int status = nova_function_register(nova, &opts, NULL, error);
	if (status == NOVA_OK)
		status = nova_invoke(nova, "hello", event, NULL, &result, error);
	if (status == NOVA_OK)
		printf("%s\n", nova_result_output(result, NULL));
	nova_result_free(result);
	return status;
}

int main(int argc, char **argv)
{
	nova_t *nova = NULL;
	nova_error_t *error = NULL;
	int status = nova_open(NULL, &nova, &error);
	if (status == NOVA_OK)
		status = run(
			nova, argc > 1 ? argv[1] : "hello.py", argc > 2 ? argv[2] : "{}", &error);
	if (status != NOVA_OK)
		fprintf(stderr, "%s\n", nova_error_message(error));
	nova_error_free(error);
	nova_close(nova);
	return status != NOVA_OK;
}
