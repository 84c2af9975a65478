/* SPDX-License-Identifier: MIT */
/* Starts a guest as the settings say: guest none|nat. A network is made in a namespace of its own.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <nova/nova.h>

static int start(const char *network, nova_error_t **error)
{
	nova_config_t *config = NULL;
	nova_host_t *host = NULL;
	nova_vm_t *vm = NULL;
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.network = network;
	int code = nova_config_new(&config, error);
	if (code == NOVA_OK)
		code = nova_config_load_env(config, error);
	if (code == NOVA_OK)
		code = nova_host_new(config, &host, error);
	if (code == NOVA_OK)
		code = nova_vm_start(host, &opts, &vm, error);
	if (code == NOVA_OK)
		printf("started on %s\n", nova_vm_engine(vm));
	nova_vm_free(vm);
	nova_host_unref(host);
	nova_config_free(config);
	return code;
}

int main(int argc, char **argv)
{
	nova_error_t *error = NULL;
	if (argc != 2)
		return 2;
	if (!strcmp(argv[1], "nat") && unshare(CLONE_NEWNET) < 0) {
		puts("no namespace");
		return 0;
	}
	int code = start(argv[1], &error);
	if (code != NOVA_OK)
		fprintf(stderr, "%s\n", nova_error_message(error));
	nova_error_free(error);
	return code != NOVA_OK;
}
