/* SPDX-License-Identifier: MIT */
/**
 * @file nova/run.h
 * Code that is run once: given as text, run in a microVM of its own, and forgotten.
 *
 *     if (nova_run(nova, "python", "print(6 * 7)", NULL, &result, &error) == 0)
 *             puts(nova_result_stdout(result, NULL));
 *     nova_result_free(result);
 *
 * The VM is a clone of the template of the runtime, which all code of that language shares: a guest
 * that has booted, with its interpreter started. Nothing is registered, and no template is made of
 * the code; when the call returns, the VM and the disk that the code was on are gone.
 *
 * Code that is given an input is called as that of a function of the same runtime is
 * (docs/functions.md): if it defines a handler, that is called with the input, and what it returns
 * is the answer; else it is run as a program, with the file of the input as its argument, and what
 * it prints is the answer. Without an input, and with arguments or a stdin, it always is a program,
 * whatever it calls `handler`; unless its handler is named.
 *
 * Threads: any number of threads may make these calls at once.
 */
#ifndef NOVA_RUN_H
#define NOVA_RUN_H

#include <nova/base.h>
#include <nova/function.h>
#include <nova/result.h>
#include <nova/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes that the code, the files beside it and its stdin may be together. Since 0.1. */
#define NOVA_RUN_SIZE_MAX (64u << 20)
/** Files that may lie beside the code. Since 0.1. */
#define NOVA_RUN_FILES_MAX 256u

/** A file beside the code. Its members are as they are for good. Since 0.1. */
typedef struct nova_run_file {
	/** one plain name, without '/'; not that of the code ("handler", or "main" with the ending
	 * of `code_name`), not "lost+found", and not beginning with ".nova" */
	const char *name;
	const void *data; /**< its content */
	size_t len;       /**< bytes at data */
} nova_run_file;

/** Options of nova_run() and nova_queue_submit_run(). Since 0.1. */
typedef struct nova_run_opts {
	size_t size;     /**< sizeof(nova_run_opts) */
	size_t code_len; /**< bytes of the code; 0: it is a text that ends with a NUL */
	/** name of the file that the code is from; only its ending counts, for Python and Node:
	 * with "job.mjs" it is main.mjs in the guest. NULL: it is called "handler" there */
	const char *code_name;
	const char *handler; /**< as nova_function_opts.handler; NULL: see above */
	/** JSON text of at most 6 MiB, nested at most 512 deep: what a handler is called with. A
	 * program finds it in the file that the variable NOVA_INPUT names, which is also its only
	 * argument unless `args` are given; NULL: "{}", and no handler is looked for */
	const char *input;
	/** arguments of the program; as a list of JSON they may have 32 KiB */
	const char *const *args;
	size_t args_count;
	const void *stdin_data; /**< bytes for its stdin; NULL: it is empty */
	size_t stdin_len;
	const char *const *env; /**< "NAME=value" strings */
	size_t env_count;
	/** files that lie beside the code, in its working directory, which cannot be written; they
	 * can be executed. At most #NOVA_RUN_FILES_MAX */
	const nova_run_file *files;
	size_t files_count;
	uint32_t memory_mb; /**< as nova_function_opts.memory_mb */
	uint32_t vcpus;     /**< 1 to 32; 0: 1 */
	/** the code is killed after this time, at most a day; 0: 30000. To import a handler takes
	 * as long as that of a function may: this time, at least 30 s */
	uint32_t timeout_ms;
	/** how long the call waits for room in the pool; 0: the setting `pool.queue_timeout` */
	uint32_t queue_timeout_ms;
	const char *network;      /**< "none" or "nat", see nova_vm_opts.network; NULL: "none" */
	const char *request_id;   /**< at most 64 letters, digits, '-' and '_'; NULL: one is made */
	nova_output_fn on_output; /**< called with output as it comes, or NULL */
	void *userdata; /**< handed to on_output, and given back by nova_call_userdata() */
	/** ends the call and kills the code; borrowed until the call returns, of
	 * nova_queue_submit_run() until it is finished; NULL: nothing does */
	nova_interrupt_t *interrupt;
	const char *key; /**< to whom its usage belongs, as nova_invoke_opts.key */
} nova_run_opts;
#define NOVA_RUN_OPTS_INIT                                                                         \
	{                                                                                          \
		sizeof(nova_run_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0, 0                                                                       \
	}

/**
 * Runs code once, in a microVM that nobody has used and nobody will use, and waits for its end. The
 * VM counts in the pool, and waits for room there, as those of functions do.
 *
 * If it fails, nova_error_outcome() tells whether the code ran.
 *
 * @param nova the platform
 * @param language the name of a runtime: "python", "node" (or "javascript"), "shell", "wasm", "go",
 * "rust", "binary"
 * @param code the code: text, or what a compiler made of it (then `code_len` is needed: a module of
 * WebAssembly, a static program)
 * @param opts NULL: defaults
 * @param ret_result receives the result if the code ran, also if it failed; else NULL. It is as one
 * of nova_invoke(). Yours: free it with nova_result_free()
 * @param error see nova/base.h
 * @return 0 if the code ran and succeeded, or a code. It did not run:
 *  - NOVA_EINVAL: the language is unknown (the message has those that there are), the code is empty
 *    or of the wrong kind, the input is not JSON, or an option is bad; the message names it
 *  - NOVA_ETOOBIG: the code and what lies beside it, the input or the arguments are too large
 *  - NOVA_ENOTFOUND: there is no guest image of that language; the message has the command that
 *    makes it
 *  - NOVA_ENOTSUP: no engine can be used, or it cannot do what is asked
 *  - NOVA_EFUNCTION: the code cannot be loaded, for example for an error in its syntax
 *  - NOVA_ELIMIT: there was no room for a VM in time, too many calls wait, or the VM is too large;
 *    or what the plan has is used up: see nova_error_limit()
 *  - NOVA_EBUSY: another process makes the template, or after fork()
 *  - NOVA_ECANCELED: by the token, or the platform is closing
 *  - NOVA_EENGINE, NOVA_EAGENT: the VM did not start
 *  - NOVA_ECORRUPT: an image is damaged
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 *
 * It ran:
 *  - NOVA_EFUNCTION: it raised an error, its exit code is not 0, a signal ended it, it needed more
 *    memory than it has, or it printed more than 6 MiB
 *  - NOVA_ETIMEDOUT: it was killed at its time limit
 *  - NOVA_ECANCELED: it was killed by the token
 *
 * It may have run:
 *  - NOVA_ELOST: the VM ended during the call
 *  - NOVA_EAGENT: the guest gave no answer
 *
 * Any thread. Since 0.1.
 */
NOVA_API int nova_run(nova_t *nova, const char *language, const char *code,
	const nova_run_opts *opts, nova_result_t **ret_result, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
