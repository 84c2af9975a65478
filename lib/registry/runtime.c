/* SPDX-License-Identifier: MIT */
/* The runtimes that are built in: everything the library knows about them, in one table. */
#include "registry/registry.h"

#define BUILT_IN(its_name, its_image, its_protocol)                                                \
	.is.size = sizeof(nova_runtime), .is.name = (its_name), .is.built_in = 1,                  \
	.is.rootfs = (its_image), .is.protocol = (its_protocol), .image = (its_image)
#define LEAST_MB 72 /* with 64 the kernel has nothing left as it boots, and may panic */

static const struct runtime runtimes[] = {
	{
		BUILT_IN("python", "python", "python"),
		.is.least_memory_mb = 96,
		.programs = { "/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3" },
		.client = "pip",
		.advice = "",
		.modules = { ".py", "/__init__.py" },
		.no_handler = "neither 'handler' nor 'lambda_handler'",
		.in_place = true,
	},
	{
		BUILT_IN("node", "node", "node"),
		.is.alias = "javascript",
		.is.least_memory_mb = 160,
		.is.memory_mb = 256,
		.programs = { "/usr/bin/node", "/usr/local/bin/node", "/usr/bin/nodejs" },
		.client = "npm",
		.advice = "",
		.import_s = 120, /* emulation makes the start of Node last ten seconds and more */
		.modules = { ".js", ".mjs", ".cjs", "/index.js", "/index.mjs", "/index.cjs" },
		.main_too = "index",
		.no_handler = "no exports",
		.in_place = true,
	},
	{
		BUILT_IN("go", "base", "none"),
		.is.least_memory_mb = LEAST_MB,
		.form = CODE_ELF,
		.advice = "build it with: CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -o "
			  "handler",
	},
	{
		BUILT_IN("rust", "base", "none"),
		.is.least_memory_mb = LEAST_MB,
		.form = CODE_ELF,
		.advice = "build it with: cargo build --release --target x86_64-unknown-linux-musl",
	},
	{
		BUILT_IN("wasm", "wasm", "none"),
		.is.least_memory_mb = LEAST_MB,
		.opens = true,
		.form = CODE_WASM,
		.advice = "build it for the target wasm32-wasip1",
	},
	{
		BUILT_IN("shell", "base", "none"),
		.is.least_memory_mb = LEAST_MB,
		.advice = "",
	},
	{
		BUILT_IN("binary", "base", "none"),
		.is.least_memory_mb = LEAST_MB,
		.form = CODE_SOURCE_OR_ELF,
		.advice = "link it with -static for x86_64 Linux",
	},
};

/* What the user's own have in common whose calls start a program each. */
static const struct runtime of_programs = {
	.is.protocol = "none",
	.is.least_memory_mb = LEAST_MB,
	.advice = "",
	.handler_is_file = true,
};

const struct runtime *runtime_built_in(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
		const char *alias = runtimes[i].is.alias;
		if (!strcmp(runtimes[i].is.name, name) || (alias && !strcmp(alias, name)))
			return &runtimes[i];
	}
	return NULL;
}

const struct runtime *runtime_at(size_t index)
{
	return index < ARRAY_LEN(runtimes) ? &runtimes[index] : NULL;
}

const struct runtime *runtime_of_protocol(const char *protocol)
{
	if (!strcmp(protocol, of_programs.is.protocol))
		return &of_programs;
	const struct runtime *found = runtime_built_in(protocol);
	return found && !strcmp(found->is.protocol, protocol) ? found : NULL;
}

const struct runtime *runtime_rules(const struct function_config *config)
{
	return config->protocol && *config->protocol ? runtime_of_protocol(config->protocol) :
						       runtime_built_in(config->runtime);
}

int runtime_check_memory(
	const struct function_config *config, uint32_t memory_mb, nova_error_t **error)
{
	const struct runtime *rules = runtime_rules(config);
	if (!rules || memory_mb >= rules->is.least_memory_mb)
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"memory_mb is %u; a function of runtime %s needs at least %u to start", memory_mb,
		config->runtime, rules->is.least_memory_mb);
}

int runtime_check_preopens(const struct function_config *config, nova_error_t **error)
{
	const struct runtime *rules = runtime_rules(config);
	if (!config->preopens.count || !rules || rules->opens)
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"preopens: only functions of runtime wasm have them; one of %s may open all that "
		"it finds",
		config->runtime);
}

int runtime_check_program(
	const struct function_config *config, bool is_module, nova_error_t **error)
{
	const struct runtime *rules = runtime_rules(config);
	if (rules && rules->no_handler)
		return nova_fail(error, NOVA_EINVAL,
			"a function of runtime %s is called with a payload: programs (go, rust, "
			"binary, shell, wasm) are called with arguments and stdin",
			config->runtime);
	if (is_module && (!rules || rules->form != CODE_WASM))
		return nova_fail(error, NOVA_EINVAL,
			"start and program_name are for functions of runtime wasm, and this one is "
			"of %s",
			config->runtime);
	return 0;
}
