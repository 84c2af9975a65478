/* SPDX-License-Identifier: MIT */
/* Runs code once in each of several languages, with a file beside it; nothing is registered:
 * cc run.c $(pkg-config --cflags --libs nova) && ./a.out "shell" 'wc -l <data.csv' */
#include <stdio.h>

#include <nova/nova.h>

static const nova_run_file data = { "data.csv", "1,2\n3,4\n", 8 };

static int run(nova_t *nova, const char *language, const char *code)
{
	nova_run_opts opts = NOVA_RUN_OPTS_INIT;
	nova_result_t *result = NULL;
	nova_error_t *error = NULL;
	opts.files = &data;
	opts.files_count = 1;
	opts.timeout_ms = 10000;
	int status = nova_run(nova, language, code, &opts, &result, &error);
	if (status == NOVA_OK)
		printf("%s: %s\n", language, nova_result_output(result, NULL));
	else
		fprintf(stderr, "%s: %s\n", language, nova_error_message(error));
	nova_result_free(result);
	nova_error_free(error);
	return status;
}

int main(int argc, char **argv)
{
	const char *defaults[] = { "", "python",
		"print(sum(int(n) for line in open('data.csv') for n in line.split(',')))", "shell",
		"wc -l <data.csv" };
	const char *const *words = argc > 2 ? (const char *const *)argv : defaults;
	int count = argc > 2 ? argc : 5, failed = 0;
	nova_t *nova = NULL;
	nova_error_t *error = NULL;
	if (nova_open(NULL, &nova, &error) != NOVA_OK)
		fprintf(stderr, "%s\n", nova_error_message(error));
	for (int i = 1; nova && i + 1 < count; i += 2)
		failed |= run(nova, words[i], words[i + 1]) != NOVA_OK;
	failed |= !nova;
	nova_error_free(error);
	nova_close(nova);
	return failed;
}
