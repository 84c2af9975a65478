/* SPDX-License-Identifier: MIT */
/**
 * @file nova/vm.h
 * One microVM: start it, talk to its agent, pause it, end it. Usable without a pool and without a
 * store.
 *
 * States: RUNNING ⇄ PAUSED → DEAD. A VM is made running; it dies by nova_vm_stop(), nova_vm_kill(),
 * nova_vm_free(), when its guest ends or when its VMM is killed. It never comes back.
 *
 * Threads: every call may be made from any thread. Calls on the same VM take turns, in the order in
 * which they come. nova_vm_invoke(), nova_vm_command(), nova_vm_ping() and what lists, reads and
 * writes files may be under way together, as many as nova_vm_init_opts.concurrency allows (1,
 * unless it says more); everything else (init, pause, resume, stop, snapshots, forks, console and
 * timing) waits until the calls before it are over, and calls that come later wait for it.
 * nova_vm_kill(), nova_vm_cancel(), nova_vm_state(), nova_vm_pid(), nova_vm_stats() and
 * nova_vm_id() act at once. When a VM is killed, or its agent fails one call, all calls under way
 * in it fail, with #NOVA_ELOST, #NOVA_EAGENT and the outcome #NOVA_OUTCOME_UNKNOWN where they had
 * been sent.
 *
 * Ending a call: each takes a token, in its options or by its parameter `wait` (NULL: none), and
 * fails with #NOVA_ECANCELED when that is triggered: nova/interrupt.h.
 */
#ifndef NOVA_VM_H
#define NOVA_VM_H

#include <nova/base.h>
#include <nova/host.h>
#include <nova/interrupt.h>
#include <nova/result.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nova_vm nova_vm_t;

enum nova_vm_state {
	NOVA_VM_RUNNING = 1,
	NOVA_VM_PAUSED = 2,
	NOVA_VM_DEAD = 3,
};

/** Options of nova_vm_start(). Since 0.1. */
typedef struct nova_vm_opts {
	size_t size;        /**< sizeof(nova_vm_opts) */
	const char *engine; /**< "qemu", "firecracker", "fake"; NULL: the setting `engine` */
	/** a name as in "python" (found in the image directory) or a path with '/'; NULL: "base" */
	const char *rootfs;
	const char *code_disk; /**< an image by nova_disk_build(), seen as /code; NULL: none */
	/** guest memory, 32 to 65536; 0: 128. The images of this library need 64, "python" 96: with
	 * less they do not boot */
	uint32_t memory_mb;
	uint32_t vcpus;           /**< 1 to 32; 0: 1 */
	uint32_t boot_timeout_ms; /**< until the agent is ready; 0: the setting of the engine */
	uint32_t flags;           /**< no flags are defined: 0 */
	/** most requests a second to the code disk; 0: no limit. An engine without
	 * #NOVA_FEATURE_DISK_LIMITS refuses it (NOVA_ENOTSUP) */
	uint64_t disk_iops;
	/** most bytes a second from the code disk; 0: no limit. The same */
	uint64_t disk_bandwidth;
	/** "none": no network device; "nat": one with an IPv4 address of its own, from which the
	 * guest reaches this host and whatever it reaches, but no other guest (needs root; see
	 * docs/network.md); NULL: "none" */
	const char *network;
	/** most bytes a second into the guest; 0: no limit. Without network it says nothing. An
	 * engine without #NOVA_FEATURE_NET_LIMITS refuses it (NOVA_ENOTSUP) */
	uint64_t net_rx_bandwidth;
	uint64_t net_tx_bandwidth; /**< most bytes a second out of the guest; the same */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_vm_opts;
#define NOVA_VM_OPTS_INIT                                                                          \
	{                                                                                          \
		sizeof(nova_vm_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                        \
	}

/**
 * Starts a microVM and waits until its agent answers.
 * @return 0; NOVA_EINVAL; NOVA_ENOTFOUND or NOVA_ECORRUPT for an image, with the command that makes
 * it; NOVA_ENOTSUP if no engine is usable here, or it cannot do what is asked; NOVA_EPERM,
 * NOVA_ECONFIG, NOVA_ELIMIT (no address is left) for a network; NOVA_EENGINE with the last words of
 * the VMM; NOVA_EAGENT if the guest did not come up in time, with the last words of its console;
 * NOVA_ENOMEM; NOVA_EIO. On failure nothing is left behind. Since 0.1.
 */
NOVA_API int nova_vm_start(
	nova_host_t *host, const nova_vm_opts *opts, nova_vm_t **ret_vm, nova_error_t **error);

/** Ends the VM at once if it lives, removes all that belongs to it, frees the handle. NULL is
 * accepted. Since 0.1. */
NOVA_API void nova_vm_free(nova_vm_t *vm);

/** 8 hex digits, unique in the context. Since 0.1. */
NOVA_API const char *nova_vm_id(const nova_vm_t *vm);

/** Name of the engine it runs on. Since 0.1. */
NOVA_API const char *nova_vm_engine(const nova_vm_t *vm);

/** One of #nova_vm_state, as of now; NOVA_EBUSY after fork(). Since 0.1. */
NOVA_API int nova_vm_state(nova_vm_t *vm);

/** Process id of the VMM, or 0 once the VM is dead, and after fork(). For looking at, not for
 * signalling. Since 0.1. */
NOVA_API int64_t nova_vm_pid(const nova_vm_t *vm);

/**
 * What makes a VM ready for one function: the agent checks /code, and starts the interpreter where
 * there is one. Since 0.1.
 */
typedef struct nova_vm_init_opts {
	size_t size; /**< sizeof(nova_vm_init_opts) */
	/** "python", "go", "rust", "wasm", "shell", "binary"; required */
	const char *runtime;
	const char *handler;    /**< as nova_function_opts.handler */
	const char *const *env; /**< "NAME=value" strings; NULL: none */
	size_t env_count;
	uint32_t timeout_ms; /**< for this step; 0: the engine's boot timeout */
	/** calls that may be under way in this VM at once, at most 16; more wait for their turn;
	 * 0: 1. Clones and snapshots of the VM have it too */
	uint32_t concurrency;
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_vm_init_opts;
#define NOVA_VM_INIT_OPTS_INIT                                                                     \
	{                                                                                          \
		sizeof(nova_vm_init_opts), 0, 0, 0, 0, 0, 0, 0                                     \
	}

/** Gives the VM its function. Done again, it replaces the former one.
 * @return 0; NOVA_EINVAL for an unknown runtime; NOVA_EFUNCTION if the code is missing or cannot be
 * run at all (the message has the interpreter's words); NOVA_EBUSY when paused; NOVA_EAGENT;
 * NOVA_ELOST. Since 0.1. */
NOVA_API int nova_vm_init(nova_vm_t *vm, const nova_vm_init_opts *opts, nova_error_t **error);

/** Receives output while it is produced: `stream` is 1 for stdout, 2 for stderr. The data dies with
 * the call. It runs in the thread of the call that it was given to, and holds up no other call. It
 * must not call functions on the same VM except nova_vm_cancel() and nova_vm_kill(). */
typedef void (*nova_output_fn)(void *userdata, int stream, const void *data, size_t len);

/** Options of nova_vm_invoke(). Since 0.1. */
typedef struct nova_vm_invoke_opts {
	size_t size;         /**< sizeof(nova_vm_invoke_opts) */
	uint32_t timeout_ms; /**< kill the function after this time; 0: 30000 */
	uint32_t reserved;   /**< 0 */
	/** at most 64 letters, digits, '-' and '_', and no other call in this VM has it now; NULL:
	 * one is made */
	const char *request_id;
	nova_output_fn on_output; /**< called with output as it comes, or NULL */
	void *userdata;
	/** ends the call and kills the function; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_vm_invoke_opts;
#define NOVA_VM_INVOKE_OPTS_INIT                                                                   \
	{                                                                                          \
		sizeof(nova_vm_invoke_opts), 0, 0, 0, 0, 0, 0                                      \
	}

/**
 * Runs the function once.
 * @param payload    JSON text of at most 6 MiB, nested at most 512 deep
 * @param opts       NULL: defaults
 * @param ret_result receives the result on success **and** whenever the function ran (error outcome
 *                   #NOVA_OUTCOME_RAN); otherwise it is set to NULL
 * @return 0; NOVA_EINVAL if the payload is not JSON, or a call of that request id is under way;
 * NOVA_ETOOBIG; NOVA_EBUSY if the VM is paused or has no function; NOVA_EFUNCTION; NOVA_ECANCELED
 * by nova_vm_cancel() or the token; NOVA_ETIMEDOUT; NOVA_EAGENT or NOVA_ELOST with
 *         #NOVA_OUTCOME_UNKNOWN. After the last three codes the VM should be thrown away. Since
 * 0.1.
 */
NOVA_API int nova_vm_invoke(nova_vm_t *vm, const char *payload, const nova_vm_invoke_opts *opts,
	nova_result_t **ret_result, nova_error_t **error);

/**
 * Ends a call of nova_vm_invoke() that is under way in this VM, or waits for its turn there: the
 * function is killed with all its processes, and the call returns NOVA_ECANCELED, with a result and
 * #NOVA_OUTCOME_RAN if it had begun, and #NOVA_OUTCOME_NEVER_RAN if not. The VM can be used as
 * before. An agent that does not end the call within a second is taken for dead: the VM is then
 * killed, and the outcome of the call is #NOVA_OUTCOME_UNKNOWN. A call that is over before it can
 * be ended returns as if nothing had happened.
 *
 * Returns at once; NULL and a request id that is not under way are accepted. Any thread, and
 * nova_output_fn, may call it. Since 0.1.
 */
NOVA_API void nova_vm_cancel(nova_vm_t *vm, const char *request_id);

/** Bits of nova_vm_command_opts.flags. Since 0.1. */
enum nova_command_flags {
	/** What goes in and out is passed on while the command runs, however much it is and however
	 * slow either side: stdin comes from `stdin_fd`, and `on_output` gets all that is printed
	 * (without this flag: what the result has, too, the first MiB of each). A command waits
	 * where `on_output` takes its time. */
	NOVA_COMMAND_STREAMED = 1,
};

/** Options of nova_vm_command(). Since 0.1. */
typedef struct nova_vm_command_opts {
	size_t size; /**< sizeof(nova_vm_command_opts) */
	/** program (looked up in PATH) and arguments, no shell; required */
	const char *const *argv;
	size_t argc;
	const char *const *env; /**< "NAME=value", added to the guest's own */
	size_t env_count;
	const void *stdin_data; /**< bytes for stdin, at most 4 MiB; more: NOVA_COMMAND_STREAMED */
	size_t stdin_len;
	const char *directory;    /**< working directory; NULL: /tmp */
	uint32_t timeout_ms;      /**< 0: 30000 */
	uint32_t reserved;        /**< 0 */
	nova_output_fn on_output; /**< called with output as it comes, or NULL */
	void *userdata;
	/** ends the call and kills the command; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	uint32_t flags; /**< of #nova_command_flags */
	/** with #NOVA_COMMAND_STREAMED: a pipe, socket, terminal or file that is read in the thread
	 * of the call, until its end, whenever poll() says that it can be and the guest has room.
	 * Borrowed until the call returns; its flags stay as they are, and nobody else should read
	 * it meanwhile. Up to 256 KiB may have been read that the command has not taken when it
	 * ends. -1: stdin is empty */
	int stdin_fd;
} nova_vm_command_opts;
#define NOVA_VM_COMMAND_OPTS_INIT                                                                  \
	{                                                                                          \
		sizeof(nova_vm_command_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0             \
	}

/**
 * Runs a command in the guest and waits for its end. A command that fails is no error of this call:
 * see nova_result_exit_code() (127: not found, 126: cannot be executed).
 * @return 0; NOVA_EINVAL; NOVA_ETOOBIG; NOVA_EBUSY; NOVA_ETIMEDOUT (with a result); NOVA_EAGENT;
 * NOVA_ELOST; NOVA_EIO or another code of the system's error if stdin_fd cannot be read, which ends
 * the command. Since 0.1.
 */
NOVA_API int nova_vm_command(nova_vm_t *vm, const nova_vm_command_opts *opts,
	nova_result_t **ret_result, nova_error_t **error);

/* --- files of the guest. Calls like nova_vm_command(): they wait for their turn --- */

/** What a path of a guest is. Since 0.1. */
enum nova_file_kind {
	NOVA_FILE_REGULAR = 1,
	NOVA_FILE_DIRECTORY = 2,
	NOVA_FILE_LINK = 3,  /**< symbolic */
	NOVA_FILE_OTHER = 4, /**< a pipe, socket or device */
};

/** What was in a directory of a guest. Immutable; may be read from any thread. */
typedef struct nova_files nova_files_t;

/**
 * Lists a directory of the guest: everything in it, but not what is mounted there. An entry comes
 * before those within it, siblings are in the order of strcmp(). It is no instant: what the guest
 * changes meanwhile may be in it, or not.
 * @param directory an absolute path, with single slashes and without "." and "..". No part of it
 * may be a symbolic link; the same holds for all paths here
 * @param depth     how many levels; 1: only the directory itself; 0: all, at most 64
 * @param ret_files free with nova_files_free()
 * @return 0; NOVA_EINVAL for a path that is none, no directory, or holds names that are not UTF-8;
 * NOVA_ENOTFOUND; NOVA_ETOOBIG for more than 100,000 entries, or 16 MiB of names; NOVA_EBUSY when
 * paused; NOVA_EIO; NOVA_EAGENT; NOVA_ELOST; NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_vm_list_files(nova_vm_t *vm, const char *directory, uint32_t depth,
	const nova_wait_opts *wait, nova_files_t **ret_files, nova_error_t **error);

NOVA_API size_t nova_files_count(const nova_files_t *files); /**< Since 0.1. */
/** within the directory, as in "sub/name"; NULL behind the last. Since 0.1. */
NOVA_API const char *nova_files_path(const nova_files_t *files, size_t index);
/** one of #nova_file_kind; 0 behind the last. Since 0.1. */
NOVA_API int nova_files_kind(const nova_files_t *files, size_t index);
/** bytes of a regular file. Since 0.1. */
NOVA_API uint64_t nova_files_size(const nova_files_t *files, size_t index);
/** permissions, as in 0644. Since 0.1. */
NOVA_API uint32_t nova_files_mode(const nova_files_t *files, size_t index);
/** last change of the content by the guest's clock, microseconds since 1970. Since 0.1. */
NOVA_API uint64_t nova_files_mtime_us(const nova_files_t *files, size_t index);
/** A number made from the content of a regular file: another number, another content. Equal content
 * has equal numbers; against two files made to have one, it is no proof. 0 for what has none: other
 * kinds, and files over 64 MiB. Since 0.1. */
NOVA_API uint64_t nova_files_digest(const nova_files_t *files, size_t index);
/** where a link leads; "" for other kinds. Since 0.1. */
NOVA_API const char *nova_files_target(const nova_files_t *files, size_t index);
NOVA_API void nova_files_free(nova_files_t *files); /**< NULL is accepted. Since 0.1. */

/** Options of nova_vm_read_file(). Since 0.1. */
typedef struct nova_file_read_opts {
	size_t size;     /**< sizeof(nova_file_read_opts) */
	size_t max_size; /**< bytes; a larger file is refused; 0: 64 MiB */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_file_read_opts;
#define NOVA_FILE_READ_OPTS_INIT                                                                   \
	{                                                                                          \
		sizeof(nova_file_read_opts), 0, 0                                                  \
	}

/**
 * Reads a regular file of the guest.
 * @param opts     NULL: defaults
 * @param ret_data the content, and a NUL behind it; free with nova_free()
 * @return 0; NOVA_ENOTFOUND; NOVA_EINVAL for a path that is none, or no regular file; NOVA_ETOOBIG;
 * NOVA_EBUSY when paused, or if the file was changed meanwhile; NOVA_EIO; NOVA_EAGENT; NOVA_ELOST;
 * NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_vm_read_file(nova_vm_t *vm, const char *path, const nova_file_read_opts *opts,
	void **ret_data, size_t *ret_len, nova_error_t **error);

/** Options of nova_vm_write_file(). Since 0.1. */
typedef struct nova_file_write_opts {
	size_t size;       /**< sizeof(nova_file_write_opts) */
	uint32_t mode;     /**< permissions; 0: 0644 */
	uint32_t reserved; /**< 0 */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_file_write_opts;
#define NOVA_FILE_WRITE_OPTS_INIT                                                                  \
	{                                                                                          \
		sizeof(nova_file_write_opts), 0, 0, 0                                              \
	}

/**
 * Writes a file of the guest, or replaces it: whole, or not at all. It belongs to the user that
 * functions run as. The directory must exist; in a guest with a root filesystem only /tmp and /run
 * can be written, and they are memory.
 * @param opts NULL: defaults
 * @return 0; NOVA_ENOTFOUND for a directory that is missing; NOVA_ENOSPC; the codes of
 * nova_vm_read_file(). Since 0.1.
 */
NOVA_API int nova_vm_write_file(nova_vm_t *vm, const char *path, const void *data, size_t len,
	const nova_file_write_opts *opts, nova_error_t **error);

/** Removes a file, a symbolic link or an empty directory of the guest. @return 0; NOVA_ENOTFOUND;
 * NOVA_EINVAL, also for a directory that is not empty; the codes of nova_vm_read_file(). Since 0.1.
 */
NOVA_API int nova_vm_remove_file(
	nova_vm_t *vm, const char *path, const nova_wait_opts *wait, nova_error_t **error);

/** Asks the agent for a sign of life. @return 0; NOVA_EBUSY when paused; NOVA_EAGENT after
 * `timeout_ms` (0: 3000); NOVA_ELOST. Since 0.1. */
NOVA_API int nova_vm_ping(
	nova_vm_t *vm, uint32_t timeout_ms, const nova_wait_opts *wait, nova_error_t **error);

/** Stops the guest's processors; nothing in it is lost. Pausing a paused VM does nothing.
 * @return 0; NOVA_ENOTSUP; NOVA_EENGINE; NOVA_ELOST if it is dead. Since 0.1. */
NOVA_API int nova_vm_pause(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error);

/** Lets a paused guest go on. Its clock has stood still: the next nova_vm_invoke() tells it the
 * time. Resuming a running VM does nothing, but for a child of a fork that has not been asked
 * anything yet (nova/snapshot.h): it goes on, and is told who it is.
 * @return as nova_vm_pause(); NOVA_EAGENT if such a child does not answer. Since 0.1. */
NOVA_API int nova_vm_resume(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error);

/** Asks the guest to end, waits at most `grace_ms` (0: 2000), then kills it. The VM is dead
 * afterwards in every case. Stopping a VM that was stopped before does nothing.
 * @return 0 if it has ended by itself; NOVA_ETIMEDOUT if it had to be killed, as one that is
 * paused; NOVA_ELOST if it was found dead, or was killed by something else. Since 0.1. */
NOVA_API int nova_vm_stop(
	nova_vm_t *vm, uint32_t grace_ms, const nova_wait_opts *wait, nova_error_t **error);

/** Kills the VMM at once. Never blocks, never fails, may be called at any time from any thread.
 * Since 0.1. */
NOVA_API void nova_vm_kill(nova_vm_t *vm);

/** The last 64 KiB of what the guest's console and the VMM printed, for diagnosis. Free with
 * nova_free(); NULL when out of memory, or after fork(). Works on a dead VM. Since 0.1. */
NOVA_API char *nova_vm_console(nova_vm_t *vm);

/** Microseconds that a part of the start took: #NOVA_TIMING_START, #NOVA_TIMING_BOOT or
 * #NOVA_TIMING_INIT. Since 0.1. */
NOVA_API uint64_t nova_vm_timing_us(nova_vm_t *vm, int timing);

/** What nova_vm_stats() counts: the VMM process as a whole, guest included. Since 0.1. */
enum nova_vm_stat {
	/** bytes of memory, where a page that n processes share counts as an n-th: the fair share
	 */
	NOVA_VM_STAT_PSS = 0,
	NOVA_VM_STAT_PRIVATE = 1, /**< bytes that come free when this VM ends */
	/** bytes that other processes use too: programs, libraries, the memory that clones have in
	   common */
	NOVA_VM_STAT_SHARED = 2,
	NOVA_VM_STAT_RSS = 3,    /**< all bytes in use, shared ones in full */
	NOVA_VM_STAT_CPU_US = 4, /**< microseconds of processor time since the VMM was started */
};

/**
 * What the VM costs this host now. Works on a paused VM and while a call is under way.
 * @param ret_values receives the first `count` values in the order of #nova_vm_stat; those that
 * this library does not know are 0
 * @return 0; NOVA_EINVAL; NOVA_ELOST if the VM is dead; NOVA_EPERM; NOVA_EIO. Since 0.1.
 */
NOVA_API int nova_vm_stats(nova_vm_t *vm, uint64_t *ret_values, size_t count, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
