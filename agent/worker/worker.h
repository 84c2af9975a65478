/* SPDX-License-Identifier: MIT */
/*
 * The door of worker: the interpreter that holds the function's module, and the calls that run in
 * forks of it, or in itself.
 */
#ifndef NOVA_AGENT_WORKER_H
#define NOVA_AGENT_WORKER_H

#include "agent/run/run.h"

enum worker_state { WORKER_OFF, WORKER_STARTING, WORKER_READY };

/* Our ends of what a call uses: its stdout and stderr; a socket for the request and its result. */
struct ends {
	int output[2], talk;
};
#define NO_ENDS                                                                                    \
	{                                                                                          \
		{ -1, -1 }, -1                                                                     \
	}

/* A fork that waits for a call: with all that a call needs but its input. */
#define PREFORKS 2 /* made ahead: the one behind the next is for a call that comes at once */
struct prefork {
	bool made, ready; /* ready: it said so, and does nothing but wait */
	bool copied;      /* the machine has become another one since it was made */
	unsigned seq;
	pid_t pid;
	struct slot *slot;
	struct ends ends;
};

/* Calls in the interpreter itself: its ends are lent to the request that runs. */
struct in_place {
	bool on, broken;         /* broken: the interpreter is being ended */
	bool copied;             /* the machine has become another one since the last call */
	struct request *current; /* NULL: it is free */
	struct ends ends;
};

/* A file that is part of the agent. */
struct embedded {
	const unsigned char *data;
	size_t len;
};

struct language {
	const char *runtime;
	bool forks;               /* else all calls are in place */
	bool heap;                /* has to be told how much memory there is */
	const char *value_error;  /* what it calls a value that cannot be returned */
	const char *argv[4];      /* behind its program */
	struct embedded program;  /* comes on its stdin */
	struct embedded native;   /* a library for it, as descriptor 5 */
	const char *at_start[12]; /* variables that begin so count only when it starts */
};

/* A process of an interpreter, and our ends of its socket and of what it prints: while it imports
 * the function and runs hooks, or in calls, too. */
struct interpreter {
	const struct language *language;
	pid_t pid; /* 0: none */
	int sock, log_fd;
	struct ends ends; /* of calls in place, where there are no others; else none */
};
#define INTERPRETER_INIT                                                                           \
	{                                                                                          \
		NULL, 0, -1, -1, NO_ENDS                                                           \
	}

struct worker {
	struct run *run; /* which has the number of its process */
	const struct language *language;
	enum worker_state state;
	struct interpreter prestarted; /* not the function's yet */
	struct prefork preforks[PREFORKS];
	uint64_t refill_at; /* when forks that are lacking are made, if no request runs */
	struct in_place in_place;
	int sock, log_fd;
	struct buf log;               /* what was printed while importing; the newest part */
	bool hook_before, hook_after; /* the module has declared some */
	char name[128];               /* of the function that is called; "": none, it is a script */
	char draws[256];   /* the first of its import that no reseeding takes back; "": none */
	bool script;       /* each call runs the file, instead of a function of it */
	uint64_t deadline; /* of the start */
	uint32_t timeout_ms;
};

/* --- language.c --- */

/* NULL: none of that runtime. */
const struct language *language_find(const char *runtime);
/* One whose program this root filesystem has. */
const struct language *language_here(const char **ret_program);
/* An argument that tells it of the memory; "": none. */
void language_heap(const struct language *language, const struct run *run, char *out, size_t size);

/* --- launch.c, ends.c, handover.c --- */

/* `launch` has program, environment and directory, and as its argv options (NULL: none). 0 or
 * -errno. */
int interpreter_launch(struct run *run, const struct language *language, struct launch *launch,
	struct interpreter *ret);
/* Closes what is ours of it. */
void interpreter_forget(struct interpreter *interpreter);
/* Whose it is: it imports the function. `env`: variables instead of those that it has, or NULL. */
int interpreter_tell(
	const struct run *run, char *const *env, const struct interpreter *interpreter);
/* Its ends and theirs: stdout, stderr, talk. Ours stay for ends_close() whatever is returned. */
int ends_make(struct ends *ours, int theirs[3]);
void ends_close(struct ends *ours);
/* What a fork says first: its pid, behind an 'r'. */
#define GREETING 5
pid_t greeting_pid(const uint8_t *bytes);
#define INLINE_MAX (64u << 10) /* a larger input goes as a file */
/* Sends a request to who runs it, in a fork or in place; -errno. */
int hand_over(int talk, const struct run *run, struct request *request, bool copied);

/* --- prestart.c: an interpreter that waits for a function --- */

/* For PID 1, before the function comes; blocks until the interpreter waits. */
void prestart(struct worker *worker);
/* At Init: it is the function's now, and imports it. False: there is none, or it does not fit and
 * is ended. */
bool prestart_take(struct worker *worker, const struct language *language, struct interpreter *ret);
void prestart_drop(struct worker *worker);
void prestart_exited(struct worker *worker);
/* Another one like it, in a process that is nobody's child but PID 1's; without any, or of a
 * language that cannot: none. Its log is the same, and its socket the caller's. -errno. */
int prestart_copy(const struct worker *worker, uint64_t deadline, struct interpreter *ret);
/* What copies have printed is nobody's. */
void prestart_drop_log(const struct worker *worker);

/* --- prefork.c --- */

/* Sees to it that a fork waits for a request, or is on its way; -errno. */
int prefork_make(struct worker *worker);
/* All that are to wait. Failing is no harm: the next request tries it again, and tells. */
void prefork_make_all(struct worker *worker);
/* A request has ended: what it took is made anew, in a while. */
void prefork_make_later(struct worker *worker);
/* When that is. */
uint64_t prefork_deadline(const struct worker *worker);
void prefork_check_deadline(struct worker *worker);
/* A fork and all its pipes become the request's; -errno, and EPIPE for one that has ended. */
int prefork_hand_over(struct worker *worker, struct request *request);
void prefork_drop_all(struct worker *worker);
/* It has ended, by the interpreter's word; false: there is none with that number. */
bool prefork_exited(struct worker *worker, unsigned seq);
/* The machine has become another one. */
void prefork_copied(struct worker *worker);
void prefork_watch(struct worker *worker, struct loop *loop);
/* The module can be called: an Init that waits for it is answered. */
void worker_init_done(struct worker *worker);
/* The hooks have run, or there are none: the answer waits for a fork of what they have left. */
void worker_settle(struct worker *worker);

/* --- in_place.c --- */

int in_place_open(struct worker *worker);
void in_place_close(struct worker *worker);
/* Whether requests wait for it. */
bool in_place_wanted(struct worker *worker);
/* Hands the next request over, if the interpreter is free. */
void in_place_next(struct worker *worker);
int in_place_tell(struct worker *worker, const char *what);

/* --- worker.c: its life --- */

void worker_init(struct worker *worker, struct run *run);
void worker_done(struct worker *worker);
int worker_start(struct worker *worker);
void worker_stop(struct worker *worker);
/* A new one after its end: for those that wait, or because it was ours to end it. */
void worker_revive(struct worker *worker);
/* It has ended, and is no more: requests of which no word can come any more end. */
void worker_gone(struct worker *worker, bool out_of_memory);
/* It has ended while it started: nothing can run, and who waits is told why. */
void worker_start_failed(
	struct worker *worker, const char *error, const void *text, size_t text_len);
/* What it has printed goes into its log. */
void worker_read_log(struct worker *worker);
/* A child of the interpreter has ended: it looks after them, should it have missed the signal. */
void worker_nudge(struct worker *worker);
/* Has the module's hooks run, in the interpreter itself; -errno. */
int worker_hook(struct worker *worker, bool before);
/* The machine has become another one. */
void worker_copied(struct worker *worker);

/* --- call.c: requests that it answers --- */

/* Its input is in request->input. Answers by itself, whatever happens. */
void call_begin(struct worker *worker, struct request *request);
/* The interpreter is ready: what waited for it goes on. */
void call_waiting(struct worker *worker);
/* Its process has ended as a child of ours; or as one of the interpreter, by its word. */
void call_exited(struct worker *worker, struct request *request, int status, uint64_t peak_kb);
/* In place, the interpreter has ended: its answer may be there still. */
void call_last_words(struct worker *worker, struct request *request);
void call_fork_exited(struct worker *worker, struct request *request, int status);
/* It has no more time, or is not wanted any more. */
void call_cut_off(struct worker *worker, struct request *request);
/* Nobody wants the answer of any request any more. */
void call_drop_all(struct worker *worker);
void call_watch(struct worker *worker, struct loop *loop);

/* --- messages.c: what the interpreter says --- */

void worker_watch(struct worker *worker, struct loop *loop);
void worker_exited(struct worker *worker, int status);
void worker_check_deadline(struct worker *worker);

#endif
