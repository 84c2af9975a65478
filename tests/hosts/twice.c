/* SPDX-License-Identifier: MIT */
/* Two contexts that use the library for the first time at the same moment, or one of a child: twice
 * threads|fork DIRECTORY CODE. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nova/nova.h>

static const char *directory, *code;
static pthread_barrier_t together;

static int call(nova_t *nova, nova_error_t **error)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	nova_result_t *result = NULL;
	opts.name = "hello";
	opts.runtime = "python";
	opts.code_path = code;
	int status = nova_function_register(nova, &opts, NULL, error);
	if (status == NOVA_OK)
		status = nova_invoke(nova, "hello", "{}", NULL, &result, error);
	nova_result_free(result);
	return status;
}

static int use(const char *name)
{
	char home[4200];
	nova_config_t *config = NULL;
	nova_t *nova = NULL;
	nova_error_t *error = NULL;
	snprintf(home, sizeof(home), "%s/%s", directory, name);
	int status = nova_config_new(&config, &error);
	if (status == NOVA_OK)
		status = nova_config_set(config, "home", home, &error);
	if (status == NOVA_OK)
		status = nova_config_set(config, "engine", "fake", &error);
	if (status == NOVA_OK)
		status = nova_open(config, &nova, &error);
	if (status == NOVA_OK)
		status = call(nova, &error);
	if (status != NOVA_OK)
		fprintf(stderr, "%s: %s\n", name, nova_error_message(error));
	nova_error_free(error);
	nova_close(nova);
	nova_config_free(config);
	return status;
}

static void *use_in_thread(void *name)
{
	pthread_barrier_wait(&together);
	return use(name) == NOVA_OK ? NULL : name;
}

static int in_threads(void)
{
	pthread_t threads[2];
	static char names[2][8] = { "one", "two" };
	void *failed = NULL;
	pthread_barrier_init(&together, NULL, 2);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, use_in_thread, names[i]);
	for (int i = 0; i < 2; i++) {
		void *result;
		pthread_join(threads[i], &result);
		failed = result ? result : failed;
	}
	return failed != NULL;
}

static int in_child(void)
{
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(use("child") != NOVA_OK);
	int mine = use("parent");
	return mine != NOVA_OK || waitpid(child, &status, 0) != child || status != 0;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	directory = argv[2];
	code = argv[3];
	int failed = !strcmp(argv[1], "threads") ? in_threads() : in_child();
	puts(failed ? "failed" : "both answered");
	return failed;
}
