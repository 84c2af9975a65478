/* SPDX-License-Identifier: MIT */
/* The runtimes: everything the library knows about them, in one table. */
#include "platform/platform.h"

static const struct runtime runtimes[] = {
	{ "python", "python", CODE_ANY, "" },
	{ "go", "base", CODE_ELF,
		"build it with: CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -o handler" },
	{ "rust", "base", CODE_ELF,
		"build it with: cargo build --release --target x86_64-unknown-linux-musl" },
	{ "wasm", "wasm", CODE_WASM, "build it for the target wasm32-wasip1" },
	{ "shell", "base", CODE_ANY, "" },
	{ "binary", "base", CODE_SOURCE_OR_ELF, "link it with -static for x86_64 Linux" },
};

const struct runtime *runtime_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
		if (!strcmp(runtimes[i].name, name))
			return &runtimes[i];
	return NULL;
}

const char *const *runtime_names(void)
{
	static const char *const names[] = { "python", "go", "rust", "wasm", "shell", "binary",
		NULL };
	return names;
}
