/* SPDX-License-Identifier: MIT */
/*
 * The door of python: the interpreter that holds the function's module, and the calls that run in
 * forks of it, or in itself.
 */
#ifndef NOVA_AGENT_PYTHON_H
#define NOVA_AGENT_PYTHON_H

#include "agent/run/run.h"

enum python_state { PYTHON_OFF, PYTHON_STARTING, PYTHON_READY };

/* Our ends of what a call uses: its stdout and stderr; a socket for the request and its result. */
struct ends {
	int output[2], talk;
};
#define NO_ENDS                                                                                    \
	{                                                                                          \
		{ -1, -1 }, -1                                                                     \
	}

/* The fork that waits for the next call: with all that a call needs but its input. */
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

/* A process of an interpreter, and our ends of its socket and of what it prints. */
struct interpreter {
	pid_t pid; /* 0: none */
	int sock, log_fd;
};

struct python {
	struct run *run; /* which has the number of its process */
	enum python_state state;
	struct interpreter prestarted; /* not the function's yet */
	struct prefork prefork;
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

/* --- launch.c, ends.c, handover.c --- */

/* `launch` has program, arguments, environment and directory. 0 or -errno. */
int interpreter_launch(struct run *run, struct launch *launch, struct interpreter *ret);
/* Its ends and theirs: stdout, stderr, talk. Ours stay for ends_close() whatever is returned. */
int ends_make(struct ends *ours, int theirs[3]);
void ends_close(struct ends *ours);
/* What a fork says first: its pid, behind an 'r'. */
#define GREETING 5
pid_t greeting_pid(const uint8_t *bytes);
/* Sends a request to who runs it, in a fork or in place; -errno. */
int hand_over(int talk, struct request *request, bool copied);

/* --- prestart.c: an interpreter that waits for a function --- */

/* For PID 1, before the function comes; blocks until the interpreter waits. */
void prestart(struct python *python);
/* At Init: it is the function's now, and imports it. False: there is none, or it does not fit and
 * is ended. */
bool prestart_take(struct python *python, struct interpreter *ret);
void prestart_drop(struct python *python);
void prestart_exited(struct python *python);

/* --- prefork.c --- */

/* Sees to it that a fork waits for a request, or is on its way; -errno. */
int prefork_make(struct python *python);
/* The fork and all its pipes become the request's; -errno, and EPIPE for one that has ended. */
int prefork_hand_over(struct python *python, struct request *request);
void prefork_drop(struct python *python);
void prefork_watch(struct python *python, struct loop *loop);
/* The module can be called: an Init that waits for it is answered. */
void python_init_done(struct python *python);
/* The hooks have run, or there are none: the answer waits for a fork of what they have left. */
void python_settle(struct python *python);

/* --- in_place.c --- */

int in_place_open(struct python *python);
void in_place_close(struct python *python);
/* Whether requests wait for it. */
bool in_place_wanted(struct python *python);
/* Hands the next request over, if the interpreter is free. */
void in_place_next(struct python *python);
int in_place_tell(struct python *python, const char *what);

/* --- worker.c: its life --- */

void python_init(struct python *python, struct run *run);
void python_done(struct python *python);
int python_start(struct python *python);
void python_stop(struct python *python);
/* A new one after its end: for those that wait, or because it was ours to end it. */
void python_revive(struct python *python);
/* It has ended, and is no more: requests of which no word can come any more end. */
void python_gone(struct python *python, bool out_of_memory);
/* It has ended while it started: nothing can run, and who waits is told why. */
void python_start_failed(
	struct python *python, const char *error, const void *text, size_t text_len);
/* What it has printed goes into its log. */
void python_read_log(struct python *python);
/* A child of the interpreter has ended: it looks after them, should it have missed the signal. */
void python_nudge(struct python *python);
/* Has the module's hooks run, in the interpreter itself; -errno. */
int python_hook(struct python *python, bool before);
/* The machine has become another one. */
void python_copied(struct python *python);

/* --- call.c: requests that it answers --- */

/* Its input is in request->input. Answers by itself, whatever happens. */
void call_begin(struct python *python, struct request *request);
/* The interpreter is ready: what waited for it goes on. */
void call_waiting(struct python *python);
/* Its process has ended as a child of ours; or as one of the interpreter, by its word. */
void call_exited(struct python *python, struct request *request, int status, uint64_t peak_kb);
void call_fork_exited(struct python *python, struct request *request, int status);
/* It has no more time, or is not wanted any more. */
void call_cut_off(struct python *python, struct request *request);
/* Nobody wants the answer of any request any more. */
void call_drop_all(struct python *python);
void call_watch(struct python *python, struct loop *loop);

/* --- messages.c: what the interpreter says --- */

void python_watch(struct python *python, struct loop *loop);
void python_exited(struct python *python, int status);
void python_check_deadline(struct python *python);

#endif
