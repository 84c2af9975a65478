/* SPDX-License-Identifier: MIT */
/* The runtimes: everything the library knows about them, in one table. */
#include "registry/registry.h"

static const struct runtime runtimes[] = {
	{ "python", "python", CODE_ANY, "", 96 },
	{ "go", "base", CODE_ELF,
		"build it with: CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -o handler", 64 },
	{ "rust", "base", CODE_ELF,
		"build it with: cargo build --release --target x86_64-unknown-linux-musl", 64 },
	{ "wasm", "wasm", CODE_WASM, "build it for the target wasm32-wasip1", 64 },
	{ "shell", "base", CODE_ANY, "", 64 },
	{ "binary", "base", CODE_SOURCE_OR_ELF, "link it with -static for x86_64 Linux", 64 },
};

const struct runtime *runtime_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
		if (!strcmp(runtimes[i].name, name))
			return &runtimes[i];
	return NULL;
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
	static const char *const names[] = { "python", "go", "rust", "wasm", "shell", "binary",
		NULL };
	return names;
}
