/* SPDX-License-Identifier: MIT */
/*
 * The door of keeper: programs started as children of nova-keeper, never of the host program
 * (main.c says why).
 *
 * A struct keeper may be used from many threads; a struct process belongs to one owner, except
 * process_kill().
 */
#ifndef NOVA_LIB_KEEPER_KEEPER_H
#define NOVA_LIB_KEEPER_KEEPER_H

#include "base/base.h"

struct keeper;

/* The keeper process itself is started with the first keeper_spawn(), and anew once one that has
 * died is gone with all its children. It removes `run_dir` when the host program has gone or
 * keeper_free() is called; `lock_fd` (borrowed) stays locked as long as it lives. */
int keeper_new(const char *run_dir, int lock_fd, struct keeper **ret_keeper, nova_error_t **error);

/* What waits for the keeper or for its children has two seconds left from now on, until `hurry` is
 * false. Any thread. */
void keeper_hurry(struct keeper *keeper, bool hurry);

/* Ends the keeper process and with it every child, and waits for that, at most some seconds: false
 * if something would not end. NULL is accepted. */
bool keeper_free(struct keeper *keeper);

/* Where it is said, once, that a memory limit could not be set. Borrowed. */
void keeper_set_log(struct keeper *keeper, const struct logger *log);

/* Whether NOVA_KEEPER may name another program; it may at first. Comes before keeper_spawn(). */
void keeper_obey_environment(struct keeper *keeper, bool obey);

/* Path of the nova-keeper program; 0 or NOVA_ENOTFOUND with the way out. */
int keeper_program(const struct keeper *keeper, char **ret_path, nova_error_t **error);

/* A program that runs, or has run, as a child of the keeper. All zero: none. */
struct process {
	struct keeper *keeper;
	int64_t pid;
	int pidfd; /* readable when it has ended */
};
#define PROCESS_NONE                                                                               \
	{                                                                                          \
		.pid = 0                                                                           \
	}

struct spawn {
	const char *const *argv; /* ends with NULL; argv[0] is the path of the program */
	/* borrowed; they become 3, 4, … in the program, and the first its stdout and stderr too */
	const int *fds;
	size_t fd_count;
	bool change_user; /* become uid and gid, with gid2 (0: none) as only other group */
	uint32_t uid, gid, gid2;
	/* the kernel may merge its pages with equal ones (KSM), where it can */
	bool merge_memory;
	/* it gets no huge pages, even if it asks for some (one that is to be forked: none but those
	 * that it asks for), and one heap for all of its threads */
	bool frugal;
	bool no_stdout;        /* its stdout is /dev/null, not the first of `fds` */
	const char *no_kvm;    /* it needs /dev/kvm; what is said if that is closed. NULL: not */
	bool only_try;         /* it ends where it would be executed */
	const char *zygote;    /* of zygote_find(): process_fork() can fork it. NULL: not */
	uint64_t memory_limit; /* bytes for a control group, where one can be made; 0: none */
};

/* 0; NOVA_ENOTFOUND or NOVA_EPERM for the program; NOVA_EENGINE if the keeper does not do its work
 * (one that does not answer in 10 s is ended, and with it every child); else the code of what this
 * process lacks, of which nothing else suffers. */
int keeper_spawn(struct keeper *keeper, const struct spawn *spawn, struct process *ret_process,
	nova_error_t **error);

/* Forks a program that runs, with all its threads, at a moment when all of them wait. The child is
 * one of the keeper, too, and has what `fds` are for (borrowed) instead of what has the numbers
 * `targets` in the parent. It is there when this comes back, and lives when process_born() does.
 * Without `fds` it gets them only then: until that it costs next to nothing. */
struct process_fork {
	const int *targets, *fds;
	size_t count;
	const int *shared; /* numbers of files that both use at given offsets alone */
	size_t shared_count;
	bool more; /* the parent stays where it stands: another fork, or PROCESS_GO_ON, follows */
	bool fertile; /* the child may be forked again */
	uint32_t patience_ms;
	uint64_t memory_limit; /* as in struct spawn */
};
/* 0; NOVA_ENOTSUP: it was not started for that, or cannot be; NOVA_EBUSY: not at this moment;
 * NOVA_ETIMEDOUT: it took too long, and the parent goes on; NOVA_ELOST: the parent has ended;
 * NOVA_EENGINE: parent or child did what they never may. */
int process_fork(const struct process *parent, const struct process_fork *how,
	struct process *ret_child, nova_error_t **error);

/* Comes once after process_fork(), and before anything else that is ordered of the child; with as
 * many descriptors (borrowed) as it has not been given yet, else 0. On failure it is of no use, and
 * process_done() is its end. */
int process_born(const struct process *child, const int *fds, size_t count, uint32_t patience_ms,
	nova_error_t **error);

enum process_order {
	PROCESS_CONFINE, /* it may do no more than it needs from now on, and be forked */
	PROCESS_GO_ON,
	/* its shared mappings of the file that is `fd` in it become private */
	PROCESS_UNSHARE,
};
/* To a program that can be forked; failures as above. */
int process_order(
	const struct process *process, enum process_order order, int fd, nova_error_t **error);

struct program_answer {
	bool ended;     /* in time; else it was killed */
	int status;     /* as by waitpid(2), -1 if unknown */
	char line[512]; /* the first that it has printed */
};

/* Runs a program to its end. 0, whatever it answers; else the code of why it did not run. */
int keeper_run(struct keeper *keeper, const char *const *argv, uint32_t patience_ms,
	struct program_answer *ret, nova_error_t **error);

/* SIGKILL. Any thread, while the process is not done. */
void process_kill(const struct process *process);
/* SIGSTOP, or SIGCONT. 0 or -errno. */
int process_stop(const struct process *process, bool stop);
/* Waits for the end. True: it has ended. */
bool process_wait(const struct process *process, uint64_t deadline);
/* Kills if needed, waits, reaps; *ret_status (may be NULL) is as by waitpid(2), -1 if unknown. What
 * does not end in 10 s is left to the keeper. Leaves PROCESS_NONE. */
void process_done(struct process *process, int *ret_status);

#endif
