/* SPDX-License-Identifier: MIT */
/* What is different from one interpreter to the other, as data. */
#include "agent/worker/worker.h"
#include "native_so.h"
#include "prestart_py.h"
#include "worker_js.h"
#include "worker_py.h"

#define NO_HEAP_MB    40 /* what Node needs besides its heap */
#define HEAP_LEAST_MB 32

/* Variables that count only at the start of any program. */
#define OF_THE_LOADER "LD_", "LC_", "LANGUAGE=", "MALLOC_", "GLIBC_"

static const struct language languages[] = {
	{
		.runtime = "python",
		.forks = true,
		.value_error = "ValueError",
		.argv = { "-c", (const char *)prestart_py, "3" },
		.program = { worker_py, worker_py_len },
		.at_start = { "PYTHON", OF_THE_LOADER },
	},
	{
		.runtime = "node",
		.heap = true,
		.value_error = "RangeError",
		/* It comes as a file, as Node makes all its modules global for -e. */
		.argv = { "--preserve-symlinks-main", "/proc/self/fd/0" },
		.program = { worker_js, worker_js_len },
		.native = { native_so, native_so_len },
		.at_start = { "NODE_", "UV_", "OPENSSL_", "SSL_CERT_", "ICU_", OF_THE_LOADER },
	},
};

const struct language *language_find(const char *runtime)
{
	for (size_t i = 0; i < ARRAY_LEN(languages); i++)
		if (strcmp(languages[i].runtime, runtime) == 0)
			return &languages[i];
	return NULL;
}

/* V8 takes half of the machine's memory for all that there is, and ends when it is full. */
void language_heap(const struct language *language, const struct run *run, char *out, size_t size)
{
	uint64_t mb = run->cgroups.memory >> 20;
	*out = 0;
	for (char **variable = run->function.env; variable && *variable; variable++)
		if (str_starts(*variable, "NODE_OPTIONS=") && strstr(*variable, "old-space-size"))
			return;
	if (language->heap && mb > HEAP_LEAST_MB + NO_HEAP_MB)
		snprintf(out, size, "--max-old-space-size=%llu",
			(unsigned long long)(mb - NO_HEAP_MB));
}

const struct language *language_here(const char **ret_program)
{
	for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
		*ret_program = function_program(languages[i].runtime);
		if (*ret_program)
			return &languages[i];
	}
	return NULL;
}
