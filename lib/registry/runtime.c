/* SPDX-License-Identifier: MIT */
/* The runtimes: everything the library knows about them, in one table. */
#include "registry/registry.h"

static const struct runtime runtimes[] = {
	{
		.name = "python",
		.image = "python",
		.client = "pip",
		.advice = "",
		.least_mb = 96,
		.modules = { ".py", "/__init__.py" },
		.no_handler = "neither 'handler' nor 'lambda_handler'",
		.in_place = true,
	},
	{
		.name = "node",
		.alias = "javascript",
		.image = "node",
		.client = "npm",
		.advice = "",
		.least_mb = 160,
		.usual_mb = 256,
		.import_s = 120, /* emulation makes the start of Node last ten seconds and more */
		.modules = { ".js", ".mjs", ".cjs", "/index.js", "/index.mjs", "/index.cjs" },
		.main_too = "index",
		.no_handler = "no exports",
		.in_place = true,
	},
	{
		.name = "go",
		.image = "base",
		.form = CODE_ELF,
		.advice = "build it with: CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -o "
			  "handler",
		.least_mb = 64,
	},
	{
		.name = "rust",
		.image = "base",
		.form = CODE_ELF,
		.advice = "build it with: cargo build --release --target x86_64-unknown-linux-musl",
		.least_mb = 64,
	},
	{
		.name = "wasm",
		.image = "wasm",
		.form = CODE_WASM,
		.advice = "build it for the target wasm32-wasip1",
		.least_mb = 64,
	},
	{ .name = "shell", .image = "base", .advice = "", .least_mb = 64 },
	{
		.name = "binary",
		.image = "base",
		.form = CODE_SOURCE_OR_ELF,
		.advice = "link it with -static for x86_64 Linux",
		.least_mb = 64,
	},
};

const struct runtime *runtime_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
		const char *alias = runtimes[i].alias;
		if (!strcmp(runtimes[i].name, name) || (alias && !strcmp(alias, name)))
			return &runtimes[i];
	}
	return NULL;
}

int runtime_get(const char *name, const struct runtime **ret, nova_error_t **error)
{
	*ret = runtime_find(name);
	if (*ret)
		return 0;
	const char *nearest = str_nearest(name, runtime_names()),
		   *shown = text_is_utf8(name) ? name : "(not UTF-8)";
	if (nearest)
		return nova_fail(error, NOVA_EINVAL,
			"runtime: '%.40s' is unknown; did you mean '%s'?", shown, nearest);
	return nova_fail(error, NOVA_EINVAL,
		"runtime: '%.40s' is unknown; it is one of python, node, go, rust, wasm, shell, "
		"binary",
		shown);
}

int runtime_check_memory(const char *name, uint32_t memory_mb, nova_error_t **error)
{
	const struct runtime *runtime = runtime_find(name);
	if (!runtime || memory_mb >= runtime->least_mb)
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"memory_mb is %u; a function of runtime %s needs at least %u to start", memory_mb,
		name, runtime->least_mb);
}

const char *const *runtime_names(void)
{
	static const char *const names[] = { "python", "node", "javascript", "go", "rust", "wasm",
		"shell", "binary", NULL };
	return names;
}
