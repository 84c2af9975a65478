/* SPDX-License-Identifier: MIT */
/*
 * The agent's one private header: what its files know of each other.
 *
 * One thread, one poll loop (loop.c). Everything that lives is in struct agent, in fixed places: a
 * handler that runs later in the same round can find a request ended, but never freed.
 */
#ifndef NOVA_AGENT_H
#define NOVA_AGENT_H

#include <limits.h>

#include "proto/proto.h"

#define MAX_REQUESTS       16         /* under way at once; more are answered with `busy` */
#define MAX_ID             128        /* bytes of a request_id */
#define OUTPUT_CAP         (1u << 20) /* bytes kept of what is printed, unless it is the output */
#define STDIN_MAX          (4u << 20)
#define FLOW_AHEAD         (64u << 10) /* bytes of a stream that are read before they can be sent */
#define DEFAULT_TIMEOUT_MS 30000u
#define FUNCTION_UID       1000 /* functions are this user, and group, in a guest */
#define MAX_PIDS           512  /* processes of one request */
#define VSOCK_PORT         9999
#define FUNCTION_PATH      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* --- channel.c: the stream of frames to the host --- */

/* pieces.c: a long output; what is not needed of it yet is no frame yet. */
struct pieces {
	char id[MAX_ID + 1];
	struct buf text;       /* as the function wrote it */
	struct json_span left; /* of it */
	bool quote;            /* it becomes a string; else it is JSON */
	size_t sent, size;     /* bytes of the JSON */
	struct buf scratch, frame;
};
/* `part` of `text`, which it takes over; `size` is that of its JSON. NULL: out of memory, and
 * nothing is taken. */
struct pieces *pieces_new(
	const char *id, struct buf *text, struct json_span part, bool quote, size_t size);
void pieces_free(struct pieces *pieces);
/* 1: its `frame` is the next one; 0: there was none left; -errno. */
int pieces_next(struct pieces *pieces);

struct outgoing {
	struct outgoing *next;
	struct buf frame;
	/* whose frames are sent instead, one by one; NULL: it is one frame */
	struct pieces *pieces;
	size_t sent;
};

struct channel {
	int fd;       /* -1: nobody there */
	int listener; /* vsock, or -1 */
	bool port;    /* a virtio port: hangs up and comes back on the same fd */
	bool away;    /* such a port without a host behind it */
	nova_decoder_t *decoder;
	struct outgoing *first, **last;
	size_t queued;
};

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
	uint64_t slot_limit;
	struct slot slots[2 * MAX_REQUESTS]; /* what was killed takes a while to be gone */
};

/* --- function.c --- */

struct runtime {
	const char *name;
	const char *programs[4]; /* first that exists; none: /code/handler itself */
	const char *before[3];   /* arguments before the handler */
	bool warm;
	const char *missing; /* what to say when no program exists */
};

struct function {
	const struct runtime *runtime; /* NULL: no Init yet */
	const char *program;           /* NULL: the handler itself */
	char file[PATH_MAX];           /* the handler's file */
	char module[128], name[128];   /* main.handler; no name: what the module has */
	bool automatic;                /* nobody has named one */
	char **env;
	bool hook_before, hook_after; /* programs in /code/hooks */
};

/* --- warm.c: the interpreter that holds the module --- */

enum worker_state { WORKER_OFF, WORKER_STARTING, WORKER_READY };

/* The fork that waits for the next request: with all that a request needs but its input. */
struct spare {
	bool made, ready; /* ready: it said so, and does nothing but wait */
	bool copied;      /* the machine has become another one since it was made */
	unsigned seq;
	pid_t pid;
	struct slot *slot;
	int output[2], talk; /* our ends */
};

/* Calls in the interpreter itself: its ends are lent to the request that runs. */
struct place {
	bool on, broken;         /* broken: the interpreter is being ended */
	bool copied;             /* the machine has become another one since the last request */
	struct request *current; /* NULL: it is free */
	int output[2], talk;     /* our ends */
};

struct worker {
	enum worker_state state;
	pid_t pid;
	struct spare spare;
	struct place place;
	int sock, log_fd;
	struct buf log;               /* what was printed while importing; the newest part */
	bool hook_before, hook_after; /* the module has declared some */
	char name[128];               /* of the function that is called; "": none, it is a script */
	char draws[256];   /* the first of its import that no reseeding takes back; "": none */
	bool script;       /* each request runs the file, instead of calling a function of it */
	uint64_t deadline; /* of the start */
	uint32_t timeout_ms;
};

/* --- blank.c --- */

struct blank {
	pid_t pid; /* 0: none */
	int sock, log_fd;
};

/* --- request.c --- */

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
	bool tidy;      /* what it leaves in /tmp goes */
	bool in_place;  /* its descriptors are borrowed from the interpreter's place */
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
	uint64_t start, deadline;
	uint32_t timeout_ms;
	/* how it ended */
	bool timed_out, oom, canceled;
	int exit_code, signal;
	uint64_t peak_kb;
	char kind; /* of the interpreter's result: R value, E exception, X exit, 0 none */
};

struct init {
	bool pending;
	char id[MAX_ID + 1];
	uint64_t start;
};

/* --- net.c --- */

/* What eth0 is to be, as texts. address "": nothing is changed. */
struct net_order {
	char address[20], gateway[16], mac[18]; /* 172.30.0.2/24, 172.30.0.1, 02:fc:00:1e:00:02 */
	char nameservers[64];                   /* with spaces between */
};

/* --- resume.c --- */

#define ENTROPY_MAX 1024

/* What makes a clone somebody of its own. Empty: left as it is. */
struct resume_order {
	struct buf entropy;
	int64_t unix_us;
	char hostname[65], machine_id[65];
	struct net_order net;
};

/* Kept open for the next Resume. */
struct identity {
	bool random_open;
	int random;
	char *machine; /* /run/machine-id, mapped; NULL: not yet */
	size_t machine_len;
};

/* --- hook.c --- */

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

/* --- loop.c --- */

struct agent;
typedef void (*watch_fn)(struct agent *agent, void *what, short events);

struct watch {
	watch_fn fn;
	void *what;
	/* where the descriptor is kept: no longer the one that was polled, no call */
	const int *fd;
};

#define MAX_WATCHES (MAX_REQUESTS * 4 + 10)

struct agent {
	bool pid1, done, stopping;
	char code_dir[PATH_MAX - 256], input_dir[PATH_MAX - 256];
	const char *temp_dir;
	const char *root; /* device of the root filesystem, or "none" */
	/* the virtio device that will be the code disk, until Init; "": it is mounted, or there is
	 * none */
	char code_later[32];
	char *missing; /* why no function can run here, for Ready; NULL: all is well */
	int signals;
	unsigned next_seq;
	uint64_t memory_limit;
	uint64_t tmp_marks[2]; /* what is newer in /tmp and /dev/shm is a call's */
	struct channel channel;
	struct cgroups cgroups;
	struct function function;
	struct worker worker;
	struct blank blank;
	struct init init;
	struct identity identity;
	struct hook hook;
	struct request requests[MAX_REQUESTS];
	struct pollfd fds[MAX_WATCHES];
	struct watch watches[MAX_WATCHES];
	nfds_t watched;
};

void agent_loop(struct agent *agent);
void loop_watch(struct agent *agent, const int *fd, short events, watch_fn fn, void *what);
/* Reaps what has ended, now. */
void loop_reap(struct agent *agent);

/* channel.c */
int channel_init(struct channel *channel);
int channel_open_port(struct channel *channel, const char *path);
int channel_listen(struct channel *channel);
void channel_watch(struct agent *agent);
/* Takes the frame over, complete, and sends what goes at once. */
void channel_send(struct agent *agent, struct buf *frame);
/* Takes them over. */
void channel_send_pieces(struct agent *agent, struct pieces *pieces);
/* Bounded: for the last words before the end. */
void channel_flush(struct agent *agent, int ms);
void channel_lost(struct agent *agent);

/* message.c */
void message_handle(struct agent *agent, int type, const char *payload, size_t len);
void message_ready(struct agent *agent);
void message_init_done(struct agent *agent, bool warm);
void message_init_failed(struct agent *agent, const char *error, const void *text, size_t text_len);

/* files.c. False: it is no message about files. */
/* `content`: the member base64 of a File write, as text. */
bool files_handle(
	struct agent *agent, int type, const char *id, json_t *payload, struct json_span content);
/* A normal path, whose last name is in the open directory. */
struct files_place {
	int directory;
	char name[NAME_MAX + 1];
};
void files_place_done(struct files_place *place);
#define AUTO_FILES_PLACE CLEANUP(files_place_done)
/* Opens a directory within another, and follows no link; -errno. */
int files_step(int directory, const char *name, size_t len, int flags);
/* 0 or -errno. "/" is the name "." in itself. */
int files_find(const char *path, struct files_place *ret);
/* The path of a message, or NULL after a refusal. */
const char *files_path(struct agent *agent, const char *id, json_t *payload);
/* A number that is not there is 0. */
bool files_number(json_t *payload, const char *name, int64_t most, int64_t *ret);
void files_refuse(struct agent *agent, const char *id, const char *path, int r);

/* list.c */
void files_list(struct agent *agent, const char *id, json_t *payload);

/* answer.c */
void answer_status(struct agent *agent, const char *id, const char *status);
/* `more`: further members, as in ",\"a\":1", or NULL. */
void answer_status_with(struct agent *agent, const char *id, const char *status, const char *more);
void answer_refused(struct agent *agent, const char *id, const char *code, const char *format, ...)
	PRINTF_LIKE(4, 5);
void answer_refused_text(struct agent *agent, const char *id, const char *code, const char *error,
	const void *text, size_t text_len);
void answer_result(struct agent *agent, struct request *request);
void answer_stream(struct agent *agent, struct request *request, bool all);
void answer_credit(struct agent *agent, const char *id, size_t size);

/* request.c */
struct request *request_new(struct agent *agent, const char *id);
struct request *request_find(struct agent *agent, const char *id);
bool request_any(const struct agent *agent);
/* Starts an Exec; its input is in request->input. Answers by itself, whatever happens. */
void request_exec(struct agent *agent, struct request *request);
void request_command(struct agent *agent, struct request *request, char **argv, char **env,
	const char *directory);
int pipe_from(int *ret_ours, int *ret_theirs);
void request_watch(struct agent *agent, struct request *request);
void request_exited(struct agent *agent, struct request *request, int status, uint64_t peak_kb);
/* As told by the interpreter, whose child it was. */
void request_fork_exited(struct agent *agent, struct request *request, int status);
/* The interpreter is ready (or, with a reason, is not): what waited for it goes on. */
void request_worker_ready(struct agent *agent);
void request_worker_failed(
	struct agent *agent, const char *error, const void *text, size_t text_len);
void request_worker_lost(struct agent *agent, bool out_of_memory);
void request_finish(struct agent *agent, struct request *request);
void request_lend_ends(struct request *request, int talk, const int output[2]);
void request_return_ends(struct request *request);
/* Nobody wants the answers any more. */
void request_drop_all(struct agent *agent);
void request_check_deadlines(struct agent *agent);
/* Ends it as its deadline would, and has it answered. */
void request_cancel(struct agent *agent, struct request *request);
/* Ends it without a result, for what the host has done wrong. */
void request_refuse(struct agent *agent, struct request *request, const char *why);

/* flow.c: a command whose stdin comes, and whose output goes, in pieces while it runs */
void flow_begin(struct request *request);
/* A piece of its stdin, and the end of it. */
void flow_input(struct agent *agent, struct request *request, json_t *payload);
/* The host has taken so much of the output. */
void flow_credit(struct agent *agent, struct request *request, json_t *payload);
/* The command has taken bytes of its stdin, or will take no more. */
void flow_stdin_taken(struct agent *agent, struct request *request, size_t len);
void flow_stdin_refused(struct request *request);
/* Nothing is read of it before more of what was read is sent. */
static inline bool flow_is_full(const struct output *out)
{
	return out->whole && out->unsent.len >= FLOW_AHEAD;
}

/* spawn.c */
struct launch {
	const char *program;
	char *const *argv;
	char *const *env;
	const char *directory;
	int fds[3];
	int keep_fd;      /* stays open in the child as 3, or -1 */
	int cgroup_procs; /* or -1 */
	bool as_function; /* drop to the function's user */
	bool search;      /* look the program up in the PATH of `env` */
};
/* The pid, or -errno of what went wrong; nothing is left then. */
pid_t spawn(const struct agent *agent, const struct launch *launch);
char **env_make(const char *const *first, json_t *more);
int env_add(char ***env, const char *name, const char *value);
void strings_free(char **list);

/* cgroup.c */
void cgroups_make(struct agent *agent);
struct slot *slot_take(struct agent *agent);
void slot_kill(struct slot *slot);
/* Whether the kernel killed something in it since the last time that was asked. */
bool slot_oom(struct slot *slot);
void slot_give_back(struct slot *slot);
void cgroup_kill_worker(struct agent *agent);
bool cgroup_worker_oom(struct agent *agent);
/* What the interpreter holds once it is ready is not the requests' to fill. */
void cgroup_measure_worker(struct agent *agent);

/* --- tmp.c --- */

/* Sizes /tmp and /dev/shm for a function that has so much memory. */
void tmp_fit(const struct agent *agent, uint64_t memory);
/* What is there by now stays. */
void tmp_mark(struct agent *agent);
/* Removes what functions have made since. */
void tmp_clean(const struct agent *agent);

/* hook.c. Answers by itself, when the hooks, if there are any, have run and a fork waits. */
void hook_run(struct agent *agent, const char *id, bool before, uint32_t timeout_ms);
bool hook_wanted(const struct agent *agent, bool before);
void hooks_find(struct agent *agent);
void hook_done(struct agent *agent);
void hook_failed(struct agent *agent, const char *why, const void *text, size_t len);
/* There is a fork now, or none can be had. */
void hook_settled(struct agent *agent);
void hook_exited(struct agent *agent, int status);
void hook_watch(struct agent *agent);
void hook_check_deadline(struct agent *agent);
void hook_drop(struct agent *agent);

/* kill.c: without cgroups */
void kill_group(pid_t pid);
/* Children that were left to us by their parents; all of them if `all`, else those that carry this
 * request's id. */
void kill_orphans(struct agent *agent, const char *id, bool all);

/* function.c */
/* NULL when it is accepted, else what is wrong (freed by the caller); `*code` is then set. */
char *function_set(struct agent *agent, const char *runtime, const char *handler, json_t *env,
	const char **code);
void function_clear(struct function *function);
/* The first file of that name that can be run, NULL if none. */
const char *find_program(const char *const *candidates);

/* The interpreter of the runtime python, NULL if there is none. */
const char *function_python(void);
/* A directory with a link to the function's file that is called as its module. */
void modules_path(const struct agent *agent, char *path, size_t size);

/* blank.c. For PID 1, before the function comes; blocks until the interpreter waits. */
void blank_start(struct agent *agent);
/* At Init: it is the function's now, and imports it. False: there is none, or it does not fit and
 * is ended. */
bool blank_take(struct agent *agent, struct blank *ret_blank);
void blank_drop(struct agent *agent);
void blank_exited(struct agent *agent);

/* warm.c */
void worker_init(struct worker *worker);
int worker_start(struct agent *agent);
void worker_stop(struct agent *agent);
void worker_watch(struct agent *agent);
/* A new one after its end: for those that wait, or because it was ours to end it. */
void worker_revive(struct agent *agent);
/* prefork.c. Sends a request to who runs it, in a fork or in place; -errno. */
int worker_say(int talk, struct request *request, bool copied);
/* Sees to it that a fork waits for a request, or is on its way; -errno. */
int worker_prefork(struct agent *agent);
/* The fork and all its pipes become the request's; -errno, and EPIPE for one that has ended. */
int worker_hand_over(struct agent *agent, struct request *request);
void worker_drop_spare(struct agent *agent);
void worker_watch_spare(struct agent *agent);
/* What it says first: its pid, behind an 'r'. */
#define GREETING 5
pid_t worker_greeting(const uint8_t *bytes);
void worker_exited(struct agent *agent, int status);
/* A child of the interpreter has ended: it looks after them, should it have missed the signal. */
void worker_nudge(struct agent *agent);
/* Has the module's hooks run, in the interpreter itself; -errno. */
int worker_hook(struct agent *agent, bool before);
void worker_check_deadline(struct agent *agent);

/* place.c */
int place_open(struct agent *agent);
void place_close(struct agent *agent);
/* Whether requests wait for it. */
bool place_wanted(struct agent *agent);
/* Hands the next request over, if the place is free. */
void place_next(struct agent *agent);
void place_cut_off(struct agent *agent, struct request *request);
int place_tell(struct agent *agent, const char *what);

/* boot.c, root.c: PID 1 */
void boot(struct agent *agent);
void boot_channel(struct agent *agent, int uevents);
char *boot_root(struct agent *agent, int uevents);
/* The code disk that was put in the place of an empty one is looked at now. NULL, or what is wrong
 * (freed by the caller). */
char *code_arrive(struct agent *agent);
bool boot_wait(int uevents, bool (*there)(void *), void *what, int ms);
bool boot_has_device(unsigned virtio_id);
int write_text(const char *path, const char *text);
_Noreturn void boot_end(void);

/* net.c: what is wrong (freed by the caller), or NULL. */
char *net_set(const struct net_order *order);

/* resume.c: both return what is wrong (freed by the caller), or NULL. */
char *resume(struct agent *agent, const struct resume_order *order);
char *resume_read(json_t *payload, struct resume_order *order);
/* The short way; false: take the other one. `id` receives the request_id. */
bool resume_scan(const char *text, size_t len, struct resume_order *order, char id[MAX_ID + 1]);
void resume_order_done(struct resume_order *order);

/* members.c: a payload without a parser. False means that it is not plain enough, not that it is
 * wrong. */
struct member {
	const char *name;
	struct json_span value; /* not there: NULL */
};
/* All members must be known, and there once. */
bool members_scan(const char *text, size_t len, struct member *members, size_t count);
/* Missing: "", or left as it was. */
bool member_text(const struct member *member, char *out, size_t size);
bool member_number(const struct member *member, int64_t *ret);
bool member_bool(const struct member *member, bool *ret);

#endif
