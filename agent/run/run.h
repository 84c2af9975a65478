/* SPDX-License-Identifier: MIT */
/*
 * The door of run: processes, what they may use, and the requests that they answer. A request runs
 * a program, or is handed to the interpreter, of which only worker/ knows.
 */
#ifndef NOVA_AGENT_RUN_H
#define NOVA_AGENT_RUN_H

#include "agent/boot/boot.h"

#define MAX_OPENED         16          /* directories that are opened for a module */
#define MAX_REQUESTS       16          /* under way at once; more are answered with `busy` */
#define OUTPUT_CAP         (1u << 20)  /* bytes kept of what is printed, unless it is the output */
#define FLOW_AHEAD         (64u << 10) /* bytes of a stream that are read before they can be sent */
#define DEFAULT_TIMEOUT_MS 30000u
#define RESULT_HEAD        9 /* kind; length and peak memory, four bytes each: see worker.py */

/* --- cgroup.c: one slot holds the processes of one request --- */

struct slot {
	bool made, taken;
	int procs, kill, events, memory; /* files of its directory, kept open */
	uint64_t oom_seen;
	uint64_t limit; /* memory.max, as it was last set */
};

struct cgroups {
	bool there;
	int worker_procs, worker_kill, worker_memory;
	uint64_t worker_oom_seen;
	uint64_t memory, slot_limit;         /* of all; of one */
	struct slot slots[2 * MAX_REQUESTS]; /* what was killed takes a while to be gone */
};

void cgroups_make(struct cgroups *groups, uint64_t memory);
/* 0 and a slot, or NULL where there are no groups; -EAGAIN. */
int slot_take(struct cgroups *groups, struct slot **ret);
/* What a process writes its number to, to be in it; -1: there are no groups. */
int slot_procs(const struct slot *slot);
void slot_kill(struct slot *slot);
/* Whether the kernel killed something in it since the last time that was asked. */
bool slot_oom(struct slot *slot);
void slot_give_back(struct slot *slot);
/* Of the interpreter. */
int cgroup_worker_procs(const struct cgroups *groups);
void cgroup_kill_worker(struct cgroups *groups);
bool cgroup_worker_oom(struct cgroups *groups);
/* In a copy of the agent: what ends all of the interpreter's group is not its to do. */
void cgroups_be_copy(struct cgroups *groups);
/* Ends all but that process, and removes the slots. Whether that is done: else it is to be asked
 * again a little later. */
bool cgroups_only(struct cgroups *groups, pid_t interpreter);
/* What the interpreter holds once it is ready is not the requests' to fill. */
void cgroup_measure_worker(struct cgroups *groups);

/* --- function.c --- */

struct runtime {
	const char *name;
	const char *programs[4]; /* first that exists; none: /code/handler itself */
	const char *before[4];   /* arguments before the handler */
	bool compiled;           /* its code becomes machine code at Init */
	const char *modules[8];  /* endings of a module's file; none: it is /code/handler only */
	bool handler_is_file;    /* or the file that the handler names */
	const char *single;      /* ending of the copy of code that is one file; NULL: a link */
	const char *main_too;    /* how the module main may be called as well */
	bool warm;
	const char *missing; /* what to say when no program exists */
};

struct function {
	const struct runtime *runtime; /* NULL: no Init yet */
	char **argv; /* the command line, to be filled in, of one that is not in the table; or NULL
		      */
	bool input_on_stdin;         /* as that does not name it */
	const char *program;         /* NULL: the handler itself */
	char file[PATH_MAX];         /* the handler's file */
	char module[128], name[128]; /* main.handler; no name: what the module has */
	char named[256];             /* the same as one; "": nobody has named it */
	bool automatic;              /* nobody has named one */
	bool is_program;             /* nor is one looked for */
	bool once;                   /* there will be one call only */
	char **env;
	/* of a program, instead of the file with its input; NULL: that. And the file that is its
	 * stdin; "": nothing */
	char **args;
	char stdin_path[PATH_MAX];
	char **opened; /* of a module: directories that it may open, as wasmtime has them */
	bool hook_before, hook_after; /* programs in /code/hooks */
};

/* What an Init asks for. */
struct function_order {
	const char *runtime, *handler;
	const char *protocol; /* of a runtime that is not of the table; NULL: it is */
	char **argv;          /* with it; taken over */
	json_t *env, *opened; /* objects of texts; NULL: none */
	bool compiled;        /* the host has brought its machine code */
	int once, program;    /* booleans, as in struct function */
};

/* All return NULL when it is well, else what is wrong (freed by the caller). The first looks at
 * what was asked for, the second at the code. */
char *function_set(
	struct function *function, const struct guest *guest, struct function_order *order);
char *function_find(struct function *function, const struct guest *guest);
void function_clear(struct function *function);
/* The interpreter of a runtime, NULL if this root filesystem has none. */
const char *function_program(const char *runtime);
/* A directory with a link to, or a copy of, the function's file that is called as its module. */
void modules_path(const struct guest *guest, char *path, size_t size);

/* --- argv.c: command lines of calls --- */

#define ARGV_ENTRIES 32u
#define ARGV_BYTES   (4u << 10)

struct run;
struct request;
/* Of a function that has one of its own: NULL, or what is wrong with it (freed by the caller). */
char *argv_check(struct function *function);
/* Freed by strings_free(). NULL: no memory. */
char **argv_make(const struct run *run, const struct request *request);

/* --- requests --- */

enum request_state { REQUEST_FREE, REQUEST_WAITING, REQUEST_RUNNING };

struct output {
	int fd;
	struct buf kept;
	uint64_t total;    /* bytes that were printed, kept or not */
	size_t streamed;   /* of what was kept, sent as Stream */
	bool borrowed;     /* the descriptor is somebody else's to close */
	bool whole;        /* all of it is streamed, kept or not */
	struct buf unsent; /* of that */
	bool truncated;
};

struct request {
	enum request_state state;
	bool command, stream, warm, greeted;
	bool wasm;      /* wasmtime runs it */
	bool tidy;      /* what it leaves in /tmp goes */
	bool rehearses; /* nothing of the function's own runs */
	bool kv;        /* the host says what its function keeps */
	bool in_place;  /* its descriptors are borrowed from the interpreter that runs it */
	unsigned tries; /* how many forks it was handed to */
	char id[MAX_ID + 1];
	unsigned seq;
	struct slot *slot;
	pid_t pid; /* 0 until it is known */
	struct output output[2];
	int result_fd, stdin_fd;
	struct buf result;
	struct buf stdin_data, input;
	bool flows, stdin_ended; /* stdin comes in pieces; the last one is there */
	size_t stdin_taken;      /* by the command, and not told yet */
	size_t window;           /* bytes of its output that may be sent */
	char *input_path;
	char *context; /* what its client tells, as JSON; NULL: nothing */
	/* of a program that is called as such: its arguments; NULL: it is given its input */
	char **args;
	char *start_name, *own_name; /* of a module; NULL: "_start", and none */
	uint64_t start, deadline;
	uint32_t timeout_ms;
	/* how it ended */
	bool timed_out, oom, canceled;
	int exit_code, signal;
	uint64_t peak_kb;
	char kind; /* of the interpreter's result: R value, E exception, X exit, 0 none */
};

/* --- kv.c: what functions ask the host for --- */

#define KV_CLIENTS 8          /* connections at once; more wait */
#define KV_BYTES   (7u << 20) /* of all of them that are held */

struct kv_client {
	int fd; /* -1: nobody */
	enum { KV_READS, KV_WAITS, KV_WRITES, KV_DRAINS } state;
	struct buf bytes; /* of its question, or of the reply */
	int64_t number;   /* of the question */
	char id[MAX_ID + 1];
	uint64_t deadline;
};

struct kv {
	char *path; /* NULL: there is no socket */
	int listener;
	int64_t numbers;
	struct kv_client clients[KV_CLIENTS];
};

/* The Init that is not yet answered. */
struct init {
	bool pending;
	char id[MAX_ID + 1];
	uint64_t start;
};

/* The compiler of a module, while an Init waits for it. */
struct compile {
	bool pending;
	pid_t pid; /* 0: it has ended, or was not started */
	int said_fd;
	struct buf said;
	uint32_t timeout_ms;
	uint64_t deadline;
};

/* A hook that runs, or has run. */
struct hook {
	bool pending, before;
	bool runs; /* else only the next fork is waited for */
	char id[MAX_ID + 1];
	uint32_t timeout_ms;
	uint64_t deadline;
	pid_t pid; /* of a program */
	struct slot *slot;
	int said_fd;
	struct buf said;
};

/* All that runs, and what it runs for. */
struct run {
	const struct guest *guest;
	struct channel *channel;
	unsigned next_seq;
	uint64_t tmp_marks[2]; /* what is newer in /tmp and /dev/shm is a call's */
	bool keeps_tmp;        /* what calls leave there is the interpreter's that runs them */
	pid_t interpreter;     /* no request's process; 0: none */
	struct cgroups cgroups;
	struct function function;
	char **secrets; /* variables that the host has told by Secrets; NULL: none */
	struct init init;
	struct compile compile;
	struct hook hook;
	struct kv kv;
	struct request requests[MAX_REQUESTS];
};

/* --- request.c --- */

struct request *request_new(struct run *run, const char *id);
struct request *request_find(struct run *run, const char *id);
bool request_any(const struct run *run);
void request_watch(struct run *run, struct request *request, struct loop *loop);
/* Answers, and frees all that it has. Every path out of what has begun leads through it. */
void request_finish(struct run *run, struct request *request);
void request_exited(struct run *run, struct request *request, int status, uint64_t peak_kb);
/* Its program has no more time, or is not wanted any more. */
void request_cut_off(struct run *run, struct request *request);
/* Ends it without a result; r: 0, or the -errno that tells more. */
void request_refuse(
	struct run *run, struct request *request, const char *code, const char *why, int r);
void request_kill(struct request *request);
/* Frees all that it has, and ends what it left behind, without an answer. */
void request_release(struct run *run, struct request *request);
/* Nobody wants the answers any more. */
void request_drop_all(struct run *run);
/* Its input becomes a file; 0 or -errno. */
int request_write_input(struct run *run, struct request *request);
void request_lend_ends(struct request *request, int result, const int output[2]);
void request_return_ends(struct request *request);

/* --- program.c: requests that are programs. Both answer by themselves, whatever happens. --- */

/* The function; its input is in request->input. */
void program_function(struct run *run, struct request *request);
void program_command(
	struct run *run, struct request *request, char **argv, char **env, const char *directory);

/* --- kv.c --- */

void kv_open(struct kv *kv, const struct guest *guest);
void kv_close(struct kv *kv);
void kv_watch(struct run *run, struct loop *loop);
/* When kv_check_deadlines() is due. */
uint64_t kv_deadline(const struct kv *kv);
void kv_check_deadlines(struct kv *kv);
/* What the host says to that question of the request. */
void kv_reply(struct run *run, const char *id, int64_t number, struct json_span text);
/* The request is over. */
void kv_forget(struct run *run, const char *id);

/* --- wasm.c --- */

/* Compiles the function's module; its end answers the Init. -errno. */
int compile_begin(struct run *run, uint32_t timeout_ms);
/* The function is the machine code that has been brought. -errno. */
int compile_take(struct run *run);
void compile_watch(struct run *run, struct loop *loop);
void compile_exited(struct run *run, int status);
void compile_check_deadline(struct run *run);
/* Nobody waits for it any more. */
void compile_drop(struct run *run);

/* --- reason.c --- */

/* Of what wasmtime wrote to stderr, what happened. */
struct json_span wasm_reason(struct json_span text);

/* --- output.c: what is printed --- */

/* One read; false at the end, and when there is nothing now. */
bool output_read(struct output *out);
/* What is in the pipes when the process is gone. Bounded: leftovers may be writing still. */
void output_drain(struct output out[2]);

/* --- result.c --- */

void result_answer(struct channel *channel, struct request *request);
/* `all`: the request has ended. */
void result_stream(struct channel *channel, struct request *request, bool all);

/* --- flow.c: a command whose stdin comes, and whose output goes, in pieces while it runs --- */

void flow_begin(struct request *request);
/* A piece of its stdin, and the end of it. NULL, or what is wrong with it. */
const char *flow_input(struct request *request, json_t *payload);
/* The host has taken so much of the output. NULL, or what is wrong with it. */
const char *flow_credit(struct request *request, json_t *payload);
/* The command has taken bytes of its stdin; how many are to be told to the host now, 0 none. */
size_t flow_stdin_taken(struct request *request, size_t len);
/* It will take no more. */
void flow_stdin_refused(struct request *request);
/* Nothing is read of it before more of what was read is sent. */
bool flow_is_full(const struct output *out);

/* --- spawn.c --- */

struct launch {
	const char *program;
	char *const *argv;
	char *const *env;
	const char *directory;
	int fds[3];
	int keep[3];      /* stay open in the child as 3 and up; the first that is -1 ends them */
	int cgroup_procs; /* or -1 */
	bool as_function; /* drop to the function's user */
	bool search;      /* look the program up in the PATH of `env` */
};

/* The pid, or -errno of what went wrong; nothing is left then. */
pid_t spawn(const struct guest *guest, const struct launch *launch);
/* A pipe of which we read, without blocking, or to which we write. */
int pipe_from(int *ret_ours, int *ret_theirs);
int pipe_to(int *ret_ours, int *ret_theirs);

/* --- env.c: lists of NAME=VALUE --- */

/* `first`: names and values in turn, up to NULL; `more`: an object of texts. NULL: no memory. */
char **env_make(const char *const *first, json_t *more);
int env_add(char ***env, const char *name, const char *value);
/* Another list, whose entries take the place of those of the same names; NULL is accepted. */
int env_add_all(char ***env, char **entries);
void strings_free(char **list);
/* Of a JSON list of texts; NULL: it is none, or is empty, or there is no memory. */
char **strings_of(json_t *list);

/* --- tmp.c --- */

/* Sizes /tmp and /dev/shm for a function that has so much memory. */
void tmp_fit(uint64_t memory);
/* What is there by now stays. */
void tmp_mark(struct run *run);
/* Removes what functions have made since. */
void tmp_clean(const struct run *run);

/* --- kill.c --- */

void kill_group(pid_t pid);
/* All that is in the slot; without one the process's group. */
void kill_slot_or_group(struct slot *slot, pid_t pid);
/* Without cgroups: children that were left to us by their parents; all of them if `all`, else those
 * that carry this request's id. */
void kill_orphans(struct run *run, const char *id, bool all);

/* --- init.c --- */

void init_begin(struct init *init, const char *id);
/* What the answer to Init says. */
struct init_report {
	bool warm, hooks;
	const char *draws, *calls; /* of the import; what is called */
};
/* If an Init is pending it is answered. */
void init_done(struct run *run, const struct init_report *report);
/* Of a function that is a program. */
void init_program_done(struct run *run);
void init_failed(struct run *run, const char *error, const void *text, size_t text_len);

/* --- hook.c: one at a time; while one is pending nothing else begins --- */

void hooks_find(struct function *function, const struct guest *guest);
void hook_begin(struct hook *hook, const char *id, bool before, uint32_t timeout_ms);
/* As a program; 0 or -errno. */
int hook_run_program(struct run *run);
/* Answer it, if there is one that has run. */
void hook_settled(struct run *run);
void hook_failed(struct run *run, const char *why, const void *text, size_t len);
void hook_drop(struct run *run);
void hook_exited(struct run *run, int status);
void hook_watch(struct run *run, struct loop *loop);
/* True when it was cut off in its middle. */
bool hook_check_deadline(struct run *run);

#endif
