/* SPDX-License-Identifier: MIT */
#include "novactl.h"

static struct {
	const char *runtime, *code, *handler, *network, *check;
	uint32_t memory, timeout_ms, min_replicas, concurrency, vcpus;
	uint64_t disk_iops, disk_bandwidth, net_rx_bandwidth, net_tx_bandwidth;
	struct text_list env;
	bool in_place, keep_tmp, replace;
} given;

static const struct opt options[] = {
	{ OPT_TEXT, 'r', "runtime", "NAME", "python, go, rust, wasm, shell or binary (required)",
		&given.runtime },
	{ OPT_TEXT, 'c', "code", "PATH", "file or directory with the code (required)",
		&given.code },
	{ OPT_TEXT, 'H', "handler", "NAME",
		"module and function, as in app.api.run [main.handler, else\n"
		"main.lambda_handler, else the file is a script]",
		&given.handler },
	{ OPT_TEXT, 0, "check", "WHEN",
		"import it in a VM before it is stored: auto (python, where\n"
		"there is an engine), always or never [auto]",
		&given.check },
	{ OPT_FLAG, 0, "in-place", NULL,
		"python: what a call leaves in the module the next one finds\n"
		"[each call begins with the module as it was imported]",
		&given.in_place },
	{ OPT_FLAG, 0, "keep-tmp", NULL,
		"what a call leaves in /tmp the next one finds\n"
		"[cleaned between calls, unless they are in place]",
		&given.keep_tmp },
	{ OPT_MEMORY, 'm', "memory", "MB", "memory of the VM, at least 64, python 96 [128]",
		&given.memory },
	{ OPT_DURATION, 't', "timeout", "SECONDS", "time limit of one call [30]",
		&given.timeout_ms },
	{ OPT_NUMBER, 0, "min-replicas", "N", "VMs that a daemon keeps warm [0]",
		&given.min_replicas },
	{ OPT_NUMBER, 0, "concurrency", "N", "calls at once in one VM, 1 to 16 [1]",
		&given.concurrency },
	{ OPT_LIST, 'e', "env", "NAME=VALUE", "variable of its environment; repeatable",
		&given.env },
	{ OPT_NUMBER, 0, "vcpus", "N", "processors of the VM, 1 to 32 [1]", &given.vcpus },
	{ OPT_SIZE, 0, "disk-iops", "N", "operations a second on its disk [0: no limit]",
		&given.disk_iops },
	{ OPT_SIZE, 0, "disk-bandwidth", "BYTES", "bytes a second on its disk [0: no limit]",
		&given.disk_bandwidth },
	{ OPT_SIZE, 0, "net-rx-bandwidth", "BYTES", "bytes a second into the VM [0: no limit]",
		&given.net_rx_bandwidth },
	{ OPT_SIZE, 0, "net-tx-bandwidth", "BYTES", "bytes a second out of the VM [0: no limit]",
		&given.net_tx_bandwidth },
	{ OPT_TEXT, 0, "network", "KIND", "none, or nat: the way out to this host's network (root) [none]",
		&given.network },
	{ OPT_FLAG, 0, "replace", NULL, "take the place of another function of that name",
		&given.replace },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* The number of the word, or -1 after telling what is wrong. */
static int check_of(const char *word)
{
	static const char *const words[] = { "auto", "always", "never" };
	for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i], word))
			return (int)i;
	if (!word)
		return NOVA_CHECK_AUTO;
	usage_error(&verb_register, "--check: '%s' is not auto, always or never", word);
	return -1;
}

static int check_given(void)
{
	if (!given.runtime)
		return usage_error(&verb_register,
			"--runtime is required: python, go, rust, wasm, shell or binary");
	if (!given.code)
		return usage_error(
			&verb_register, "--code is required: the file or directory with the code");
	if (given.timeout_ms % 1000)
		return usage_error(&verb_register, "--timeout is counted in whole seconds");
	return 0;
}

static int run(char **args, int count)
{
	(void)count;
	int status = check_given(), check = check_of(given.check);
	if (status || check < 0)
		return STATUS_USAGE;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	nova_register_opts opts = NOVA_REGISTER_OPTS_INIT;
	opts.name = args[0];
	opts.runtime = given.runtime;
	opts.code_path = given.code;
	opts.handler = given.handler;
	opts.memory_mb = given.memory;
	opts.timeout_s = given.timeout_ms / 1000;
	opts.vcpus = given.vcpus;
	opts.min_replicas = given.min_replicas;
	opts.concurrency = given.concurrency;
	opts.disk_iops = given.disk_iops;
	opts.disk_bandwidth = given.disk_bandwidth;
	opts.net_rx_bandwidth = given.net_rx_bandwidth;
	opts.net_tx_bandwidth = given.net_tx_bandwidth;
	opts.network = given.network;
	opts.env = given.env.items;
	opts.env_count = given.env.count;
	opts.flags = (given.replace ? NOVA_REGISTER_REPLACE : 0) |
		     (given.in_place ? NOVA_REGISTER_IN_PLACE : 0) |
		     (given.keep_tmp ? NOVA_REGISTER_KEEP_TMP : 0);
	opts.check = (uint32_t)check;
	opts.interrupt = interruptible();
	CLEANUP(function_freep) nova_function_t *function = NULL;
	nova_error_t *error = NULL;
	progress_start("checking");
	int code = nova_register(nova, &opts, &function, &error);
	progress_stop();
	if (code != 0)
		return report(error);
	if (!print_structured(function_json(function), NULL, &status)) {
		function_show(function);
		note("Next: novactl invoke %s --payload '{}'", args[0]);
	}
	return status;
}

const struct verb verb_register = {
	.name = "register",
	.args = "NAME",
	.purpose = "Store a function: its code is copied, so the original may change or go away.",
	.examples = "  novactl register hello --runtime python --code "
		    "examples/functions/python/hello.py\n"
		    "  novactl register api -r go -c ./handler --memory 512 --timeout 120 --env "
		    "REGION=eu\n"
		    "  novactl register hello -r python -c hello.py --replace\n",
	.notes = "Registering the very same thing again changes nothing. Programs (go, rust, "
		 "binary) must be\n"
		 "statically linked for Linux.\n",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
