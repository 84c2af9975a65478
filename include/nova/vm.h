/* SPDX-License-Identifier: MIT */
/**
 * @file nova/vm.h
 * One microVM: start it, run something in it, pause it, end it. It needs no pool and no store.
 *
 *     const char *const argv[] = { "uname", "-a" };
 *     nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
 *     opts.argv = argv, opts.argc = 2;
 *     if (nova_vm_start(host, NULL, &vm, &error) == 0)
 *             nova_vm_command(vm, &opts, &result, &error);
 *
 * States: RUNNING ⇄ PAUSED → DEAD. A VM is made running. It dies by nova_vm_stop(), nova_vm_kill()
 * or nova_vm_free(), when its guest ends, or when its VMM is killed. It never comes back.
 *
 * Threads: every call may be made from any thread. Calls on the same VM take turns, in the order in
 * which they come:
 *  - nova_vm_invoke(), nova_vm_command(), nova_vm_ping() and what lists, reads and writes files may
 *    be under way together, as many as nova_vm_init_opts.concurrency allows (1 by default).
 *  - nova_vm_id(), nova_vm_engine(), nova_vm_state(), nova_vm_pid(), nova_vm_stats(),
 *    nova_vm_cancel() and nova_vm_kill() act at once.
 *  - All others wait until the calls before them are over, and calls that come later wait for them.
 *
 * When a VM is killed, or its agent fails one call, all calls under way in it fail: with
 * #NOVA_ELOST or #NOVA_EAGENT, and the outcome #NOVA_OUTCOME_UNKNOWN if they had been sent.
 *
 * A call can be ended: by a token in its options or in its parameter `wait` (NULL: none). When that
 * is triggered, the call fails with #NOVA_ECANCELED (nova/interrupt.h).
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

/** Since 0.1. */
enum nova_vm_state {
	NOVA_VM_RUNNING = 1,
	NOVA_VM_PAUSED = 2,
	NOVA_VM_DEAD = 3,
};

/** Options of nova_vm_start(). Since 0.1. */
typedef struct nova_vm_opts {
	size_t size;        /**< sizeof(nova_vm_opts) */
	const char *engine; /**< "qemu", "firecracker", "fake"; NULL: the setting `engine` */
	/** a root filesystem: a name such as "python", which is found in the image directory, or a
	 * path with '/' in it; NULL: "base" */
	const char *rootfs;
	const char *code_disk; /**< an image by nova_disk_build(), seen as /code; NULL: none */
	/** memory of the guest, 32 to 65536; 0: 128. The guest images of this library need 64,
	 * "python" 96, "node" 160: with less they do not boot */
	uint32_t memory_mb;
	uint32_t vcpus;           /**< 1 to 32; 0: 1 */
	uint32_t boot_timeout_ms; /**< until the agent is ready; 0: the setting of the engine */
	uint32_t flags;           /**< no flags are defined: 0 */
	/** most requests a second to the code disk; 0: no limit. An engine without
	 * #NOVA_FEATURE_DISK_LIMITS refuses it (NOVA_ENOTSUP) */
	uint64_t disk_iops;
	/** most bytes a second from the code disk; 0: no limit. It needs the same feature */
	uint64_t disk_bandwidth;
	/** "none": no network device. "nat": one with an IPv4 address of its own; through it the
	 * guest reaches this host and all that this host reaches, but no other guest. It needs
	 * root (docs/network.md). NULL: "none" */
	const char *network;
	/** most bytes a second into the guest; 0: no limit. Without a network it has no effect.
	 * An engine without #NOVA_FEATURE_NET_LIMITS refuses it (NOVA_ENOTSUP) */
	uint64_t net_rx_bandwidth;
	/** most bytes a second out of the guest; 0: no limit. It needs the same feature */
	uint64_t net_tx_bandwidth;
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	void *userdata; /**< given back by nova_call_userdata(), and not used otherwise */
} nova_vm_opts;
#define NOVA_VM_OPTS_INIT                                                                          \
	{                                                                                          \
		sizeof(nova_vm_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                     \
	}

/**
 * Boots a VM and waits until its agent answers. After a failure nothing is left.
 * @param host the context
 * @param opts NULL: defaults
 * @param ret_vm receives the VM. Yours: free it with nova_vm_free()
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option
 *  - NOVA_ENOTFOUND, NOVA_ECORRUPT: an image; the message has the command that makes it
 *  - NOVA_ENOTSUP: no engine can be used here, or it cannot do what is asked
 *  - NOVA_EENGINE: the VMM did not start; the message ends with what it printed last
 *  - NOVA_EAGENT: the guest was not ready in time; the message ends with what its console printed
 *    last
 *  - NOVA_EPERM, NOVA_ECONFIG, NOVA_ELIMIT: of the network: missing rights, a bad setting, or no
 *    free address
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_vm_start(
	nova_host_t *host, const nova_vm_opts *opts, nova_vm_t **ret_vm, nova_error_t **error);

/**
 * Ends a VM at once if it lives, removes all that belongs to it and frees it. Not for a VM that
 * nova_pool_acquire() or nova_instance_vm() lent you.
 * @param vm NULL does nothing
 * No other call on the VM may be under way, but for those of a queue (nova/call.h): they fail with
 * #NOVA_ELOST, and those that are inside are waited for. Since 0.1.
 */
NOVA_API void nova_vm_free(nova_vm_t *vm);

/**
 * The id of a VM.
 * @param vm may be NULL
 * @return 8 hex digits, unique in the context. Acts at once. Since 0.1.
 */
NOVA_API const char *nova_vm_id(const nova_vm_t *vm);

/**
 * The engine of a VM.
 * @param vm may be NULL
 * @return "qemu", "firecracker" or "fake". Acts at once. Since 0.1.
 */
NOVA_API const char *nova_vm_engine(const nova_vm_t *vm);

/**
 * How a VM has come to be (docs/hot.md).
 * @param vm may be NULL
 * @return "hot", "parked" or "classic", as nova_result_path() says. Acts at once. Since 0.1.
 */
NOVA_API const char *nova_vm_path(const nova_vm_t *vm);

/**
 * Why it was not "hot" or "parked".
 * @param vm may be NULL
 * @return text for people, which lives as long as the VM; "" if it was, or nobody has tried. Acts
 *  at once. Since 0.1.
 */
NOVA_API const char *nova_vm_path_why(const nova_vm_t *vm);

/**
 * The state of a VM, as of now.
 * @param vm NULL is #NOVA_VM_DEAD
 * @return one of #nova_vm_state, or a code:
 *  - NOVA_EBUSY: after fork()
 * Acts at once. Since 0.1.
 */
NOVA_API int nova_vm_state(nova_vm_t *vm);

/**
 * The process of the VMM, for example to look at it in /proc. Do not send signals to it.
 * @param vm may be NULL
 * @return its process id; 0 once the VM is dead, and after fork(). Acts at once. Since 0.1.
 */
NOVA_API int64_t nova_vm_pid(const nova_vm_t *vm);

/**
 * Options of nova_vm_init(). Since 0.1.
 */
typedef struct nova_vm_init_opts {
	size_t size; /**< sizeof(nova_vm_init_opts) */
	/** "python", "node", "go", "rust", "wasm", "shell", "binary"; required */
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
	void *userdata; /**< given back by nova_call_userdata(), and not used otherwise */
	const char *const *preopens; /**< as nova_function_opts.preopens */
	size_t preopens_count;
} nova_vm_init_opts;
#define NOVA_VM_INIT_OPTS_INIT                                                                     \
	{                                                                                          \
		sizeof(nova_vm_init_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                            \
	}

/**
 * Gives a VM its function: the agent looks for the code in /code and, where the runtime has an
 * interpreter, starts it and imports the code. Another nova_vm_init() takes the place of this one.
 * @param vm the VM
 * @param opts the function; required
 * @return 0, or a code:
 *  - NOVA_EINVAL: an unknown runtime, or a bad option
 *  - NOVA_EFUNCTION: the code is missing or cannot be run; the message has the interpreter's words
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: the VM is paused, or after fork()
 * Since 0.1.
 */
NOVA_API int nova_vm_init(nova_vm_t *vm, const nova_vm_init_opts *opts, nova_error_t **error);

/** Receives output while it is produced: `stream` is 1 for stdout, 2 for stderr. `data` may be used
 * until this function returns. It runs in the thread of the call that it was given to, and holds up
 * no other call. On the same VM it may call nova_vm_cancel() and nova_vm_kill(), and nothing else.
 */
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
	void *userdata; /**< handed to on_output, and given back by nova_call_userdata() */
	/** ends the call and kills the function; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_vm_invoke_opts;
#define NOVA_VM_INVOKE_OPTS_INIT                                                                   \
	{                                                                                          \
		sizeof(nova_vm_invoke_opts), 0, 0, 0, 0, 0, 0                                      \
	}

/**
 * Runs the function of a VM once and waits for its answer. After NOVA_ETIMEDOUT, NOVA_EAGENT and
 * NOVA_ELOST the VM should not be used any more: free it.
 * @param vm the VM
 * @param payload JSON text of at most 6 MiB, nested at most 512 deep
 * @param opts NULL: defaults
 * @param ret_result receives the result if the function ran, also if it failed; else NULL. Yours:
 * free it with nova_result_free()
 * @return 0 if the function ran and succeeded, or a code; nova_error_outcome() tells whether it
 * ran:
 *  - NOVA_EINVAL: the payload is not JSON, or a call of that request id is under way
 *  - NOVA_ETOOBIG: the payload is too long or nested too deep
 *  - NOVA_EBUSY: the VM is paused or has no function, or after fork()
 *  - NOVA_EFUNCTION: it raised an error, or its exit code is not 0
 *  - NOVA_ETIMEDOUT: it was killed at its time limit
 *  - NOVA_ECANCELED: by nova_vm_cancel() or the token
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_ELOST: the VM is dead, or ended during the call
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_vm_invoke(nova_vm_t *vm, const char *payload, const nova_vm_invoke_opts *opts,
	nova_result_t **ret_result, nova_error_t **error);

/**
 * Ends a call of nova_vm_invoke() that is under way in a VM or waits for its turn. It returns
 * #NOVA_ECANCELED. If the function had begun, it is killed with all its processes, and the call
 * gives a result and #NOVA_OUTCOME_RAN; else #NOVA_OUTCOME_NEVER_RAN. The VM can be used as before.
 * If the agent does not end the call within a second, the VM is killed, and the outcome is
 * #NOVA_OUTCOME_UNKNOWN. A call that finishes before it can be ended returns its ordinary result.
 * @param vm NULL does nothing
 * @param request_id of the call; one that is not under way does nothing
 * Acts at once; #nova_output_fn may call it, too. Since 0.1.
 */
NOVA_API void nova_vm_cancel(nova_vm_t *vm, const char *request_id);

/** Bits of nova_vm_command_opts.flags. Since 0.1. */
enum nova_command_flags {
	/** Input and output are passed on while the command runs, without a limit: stdin comes from
	 * `stdin_fd`, and `on_output` gets all that is printed. If `on_output` is slow, the command
	 * waits. Without this flag `on_output` gets what the result has: the first MiB of stdout
	 * and of stderr. */
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
	void *userdata; /**< handed to on_output, and given back by nova_call_userdata() */
	/** ends the call and kills the command; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	uint32_t flags; /**< of #nova_command_flags */
	/** with #NOVA_COMMAND_STREAMED: a pipe, socket, terminal or file that becomes stdin; -1:
	 * stdin is empty. It is read until its end, in the thread of the call, as fast as the guest
	 * takes it. Borrowed until the call returns; its flags stay as they are, and nobody else
	 * should read it meanwhile. When the command ends, up to 256 KiB may have been read that it
	 * has not taken */
	int stdin_fd;
} nova_vm_command_opts;
#define NOVA_VM_COMMAND_OPTS_INIT                                                                  \
	{                                                                                          \
		sizeof(nova_vm_command_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0             \
	}

/**
 * Runs a command in the guest and waits for its end. A command that fails is no error of this
 * call: nova_result_exit_code() tells (127: not found, 126: cannot be executed).
 * @param vm the VM
 * @param opts the command; required
 * @param ret_result receives the result if the command ran; else NULL. Yours: free it with
 * nova_result_free()
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option
 *  - NOVA_ETOOBIG: arguments or stdin are too long
 *  - NOVA_ETIMEDOUT: it was killed at its time limit; there is a result
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_EIO, or the code for what the system reports: `stdin_fd` cannot be read, which ends the
 *    command
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: the VM is paused, or after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_vm_command(nova_vm_t *vm, const nova_vm_command_opts *opts,
	nova_result_t **ret_result, nova_error_t **error);

/* --- files of the guest --- */

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
 * Lists a directory of the guest with all that is below it, but not what is mounted there. A
 * directory comes before its entries; those of one directory are in the order of strcmp(). A change
 * that the guest makes meanwhile may be seen, or not.
 * @param vm the VM
 * @param directory an absolute path with single slashes, without "." and "..". No part of it may
 * be a symbolic link. The same is true for all paths of these calls
 * @param depth levels, 1 to 64; 1: only the directory itself; 0: all, at most 64
 * @param wait what may end the call; NULL: nothing
 * @param ret_files receives the entries. Yours: free it with nova_files_free()
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad path, no directory, or names that are not UTF-8
 *  - NOVA_ENOTFOUND: it is not there
 *  - NOVA_ETOOBIG: more than 100,000 entries, or 16 MiB of names
 *  - NOVA_EIO: the guest cannot read it
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: the VM is paused, or after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_vm_list_files(nova_vm_t *vm, const char *directory, uint32_t depth,
	const nova_wait_opts *wait, nova_files_t **ret_files, nova_error_t **error);

/**
 * How many entries a listing has.
 * @param files may be NULL
 * @return the number. Since 0.1.
 */
NOVA_API size_t nova_files_count(const nova_files_t *files);

/**
 * The path of an entry.
 * @param files may be NULL
 * @param index of the entry, from 0 on
 * @return within the directory, as in "sub/name"; NULL behind the last. Since 0.1.
 */
NOVA_API const char *nova_files_path(const nova_files_t *files, size_t index);

/**
 * What an entry is.
 * @param files may be NULL
 * @param index of the entry, from 0 on
 * @return one of #nova_file_kind; 0 behind the last. Since 0.1.
 */
NOVA_API int nova_files_kind(const nova_files_t *files, size_t index);

/**
 * The size of a regular file.
 * @param files may be NULL
 * @param index of the entry, from 0 on
 * @return bytes. Since 0.1.
 */
NOVA_API uint64_t nova_files_size(const nova_files_t *files, size_t index);

/**
 * The permissions of an entry.
 * @param files may be NULL
 * @param index of the entry, from 0 on
 * @return as in 0644. Since 0.1.
 */
NOVA_API uint32_t nova_files_mode(const nova_files_t *files, size_t index);

/**
 * When the content of an entry was last changed, by the clock of the guest.
 * @param files may be NULL
 * @param index of the entry, from 0 on
 * @return microseconds since 1970. Since 0.1.
 */
NOVA_API uint64_t nova_files_mtime_us(const nova_files_t *files, size_t index);

/**
 * A hash of the content of a regular file, to see whether it has changed. It is no protection
 * against somebody who makes two files with the same hash.
 * @param files may be NULL
 * @param index of the entry, from 0 on
 * @return the hash; 0 for other kinds, and for files over 64 MiB. Since 0.1.
 */
NOVA_API uint64_t nova_files_digest(const nova_files_t *files, size_t index);

/**
 * Where a symbolic link leads.
 * @param files may be NULL
 * @param index of the entry, from 0 on
 * @return text; "" for other kinds. Since 0.1.
 */
NOVA_API const char *nova_files_target(const nova_files_t *files, size_t index);

/**
 * Frees a listing.
 * @param files NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_files_free(nova_files_t *files);

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
 * @param vm the VM
 * @param path as of nova_vm_list_files()
 * @param opts NULL: defaults
 * @param ret_data receives the content, with a NUL behind it. Yours: free it with nova_free()
 * @param ret_len receives its bytes
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad path, or no regular file
 *  - NOVA_ENOTFOUND: it is not there
 *  - NOVA_ETOOBIG: it is larger than `max_size`
 *  - NOVA_EBUSY: the VM is paused, the file was changed meanwhile, or after fork()
 *  - NOVA_EIO: the guest cannot read it
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
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
 * functions run as. The directory must exist. Only /tmp and /run can be written, and they are in
 * the memory of the guest.
 * @param vm the VM
 * @param path as of nova_vm_list_files()
 * @param data the content
 * @param len its bytes
 * @param opts NULL: defaults
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad path, or a bad mode
 *  - NOVA_ENOTFOUND: the directory is missing
 *  - NOVA_ENOSPC: no room in the guest
 *  - NOVA_EIO: the guest cannot write it
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: the VM is paused, or after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_vm_write_file(nova_vm_t *vm, const char *path, const void *data, size_t len,
	const nova_file_write_opts *opts, nova_error_t **error);

/**
 * Removes a file, a symbolic link or an empty directory of the guest.
 * @param vm the VM
 * @param path as of nova_vm_list_files()
 * @param wait what may end the call; NULL: nothing
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad path, or a directory that is not empty
 *  - NOVA_ENOTFOUND: it is not there
 *  - NOVA_EIO: the guest cannot remove it
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: the VM is paused, or after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_vm_remove_file(
	nova_vm_t *vm, const char *path, const nova_wait_opts *wait, nova_error_t **error);

/**
 * Asks the agent for a sign of life.
 * @param vm the VM
 * @param timeout_ms milliseconds from its turn on; 0: 3000
 * @param wait what may end the call; NULL: nothing
 * @return 0, or a code:
 *  - NOVA_EAGENT: no answer in time; the VM is ended
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: the VM is paused, or after fork()
 * Since 0.1.
 */
NOVA_API int nova_vm_ping(
	nova_vm_t *vm, uint32_t timeout_ms, const nova_wait_opts *wait, nova_error_t **error);

/**
 * Stops the processors of a guest. Nothing in it is lost. Pausing a paused VM does nothing.
 * @param vm the VM
 * @param wait what may end the call; NULL: nothing
 * @return 0, or a code:
 *  - NOVA_ENOTSUP: the engine cannot
 *  - NOVA_EENGINE: the VMM refused
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_vm_pause(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error);

/**
 * Lets a paused guest go on. Its clock has stood still: the next call tells it the time. Resuming
 * a running VM does nothing, except that a child of a fork is made ready now and not by its first
 * call (nova/snapshot.h).
 * @param vm the VM
 * @param wait what may end the call; NULL: nothing
 * @return 0, or a code:
 *  - NOVA_ENOTSUP: the engine cannot
 *  - NOVA_EENGINE: the VMM refused
 *  - NOVA_EAGENT: the guest of such a child gave no answer
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_vm_resume(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **error);

/**
 * Asks a guest to end and kills it if it does not. The VM is dead afterwards. Stopping a VM that
 * was stopped before does nothing.
 * @param vm the VM
 * @param grace_ms milliseconds for the guest to end; 0: 2000
 * @param wait what may end the call; NULL: nothing
 * @return 0 if it ended by itself, or a code:
 *  - NOVA_ETIMEDOUT: it had to be killed, as one that is paused
 *  - NOVA_ELOST: it was found dead, or something else killed it
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_vm_stop(
	nova_vm_t *vm, uint32_t grace_ms, const nova_wait_opts *wait, nova_error_t **error);

/**
 * Kills the VMM.
 * @param vm NULL does nothing
 * Acts at once, at any time, in any thread; never fails. Since 0.1.
 */
NOVA_API void nova_vm_kill(nova_vm_t *vm);

/**
 * The last 64 KiB that the console of the guest and the VMM printed, to find out what went wrong.
 * Works on a dead VM, too.
 * @param vm the VM
 * @return text. Yours: free it with nova_free(). NULL if there is no memory, and after fork().
 * Since 0.1.
 */
NOVA_API char *nova_vm_console(nova_vm_t *vm);

/** The numbers of nova_vm_stats(). Memory and processor time are those of the VMM process, guest
 * included. Since 0.1. */
enum nova_vm_stat {
	/** bytes of memory, its fair share: a page that n processes use counts as an n-th */
	NOVA_VM_STAT_PSS = 0,
	NOVA_VM_STAT_PRIVATE = 1, /**< bytes that come free when this VM ends */
	/** bytes that other processes use too: programs, libraries, the memory that clones have in
	   common */
	NOVA_VM_STAT_SHARED = 2,
	NOVA_VM_STAT_RSS = 3,    /**< all bytes in use, shared ones in full */
	NOVA_VM_STAT_CPU_US = 4, /**< microseconds of processor time since the VMM was started */
	/** microseconds that its start took, in the parts of #nova_timing */
	NOVA_VM_STAT_START_US = 5,
	NOVA_VM_STAT_BOOT_US = 6,
	NOVA_VM_STAT_INIT_US = 7,
	/** microseconds that it stood still for its last fork or snapshot; 0: there was none */
	NOVA_VM_STAT_STOOD_STILL_US = 8,
	/** bytes that the kernel has merged with equal ones (setting `qemu.merge_memory`): pages
	   which it keeps once, whoever they are of. 0 also before Linux 5.19, which does not tell
	 */
	NOVA_VM_STAT_MERGED = 9,
};

/**
 * What a VM costs this host now, and what it took to start it. Works on a paused VM and while a
 * call is under way.
 * @param vm the VM
 * @param ret_values receives the first `count` values, in the order of #nova_vm_stat; those that
 * this library does not know are 0
 * @param count how many are wanted
 * @return 0, or a code:
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EPERM, NOVA_EIO: the host refused something
 * Acts at once. Since 0.1.
 */
NOVA_API int nova_vm_stats(nova_vm_t *vm, uint64_t *ret_values, size_t count, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
