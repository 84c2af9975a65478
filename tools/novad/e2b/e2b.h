/* SPDX-License-Identifier: MIT */
/*
 * What the E2B SDK speaks: an API for sandboxes, and in each of them, told apart by a header, one
 * for its commands and its files. A sandbox is an instance with a time to live that belongs to a
 * key. Each part stands on those before it.
 */
#ifndef NOVAD_E2B_H
#define NOVAD_E2B_H

#include "../http.h"
#include "../routes.h"

#define ENVD_VERSION "0.5.7" /* of E2B's agent, which the SDK takes ours for */

/* --- problem.c --- */

/* What calls say instead of a status. */
const char *e2b_code(unsigned status);

/* --- access.c: what is asked for, and who may --- */

/* Absolute, without "." and ".."; what is relative is below /tmp. The caller frees it. */
char *e2b_path(const char *path);
/* Microseconds since 1970. */
json_t *e2b_time(int64_t us);
/* A message of a stream. */
void e2b_wrap(struct bytes *out, unsigned char flags, const char *text, size_t len);
void direct_e2b_health(struct exchange *exchange);
#define E2B_ONE_USER "all in a sandbox of novad is done as its one user: leave 'user' away"

/* --- sandboxes.c: what is known of them; by any thread --- */

enum sandbox_state {
	SANDBOX_RUNNING,
	SANDBOX_PAUSED,
	SANDBOX_BUSY, /* between those two, or not there yet: nothing else begins */
};

struct sandbox {
	TAILQ_ENTRY(sandbox) all;
	uint64_t number;   /* later ones have greater ones */
	char id[21];       /* and the name of its instance */
	char owner[65];    /* the hash of the key that made it; "" where none is needed */
	char key[65];      /* the name of that key */
	char token[65];    /* what is needed to get inside */
	char function[80]; /* its template, with the version if one was named */
	char template[65]; /* the id of that: another one may come by its name */
	uint32_t version;  /* of the template, which it runs */
	char snapshot[65]; /* with which it was paused */
	enum sandbox_state state;
	bool auto_pause; /* and no end, when its time is over */
	uint32_t cpus, memory_mb;
	uint32_t commands, room; /* those under way, and how many may be */
	uint64_t started_us;     /* since 1970 */
	uint64_t paused_us;      /* the same */
	int64_t paused_at;       /* as elapsed_ms() */
	int64_t deadline;        /* as now_ms() */
	uint32_t postponed;      /* so often, since it could not be paused then */
	json_t *metadata, *envs;
};

#define SANDBOX_WHY 160

/* Microseconds since 1970. */
uint64_t e2b_now_us(void);

void sandbox_clear(struct sandbox *copy);
/* A copy without metadata and variables; with an owner, if it is theirs. */
bool sandbox_find(const char *id, const char *owner, struct sandbox *copy);
/* Adds them to a copy, which sandbox_clear() frees then. */
void sandbox_add_pairs(struct sandbox *copy);
/* Shows those of an owner, the newest or the oldest first, until `each` says no. All others wait
 * for that meanwhile. */
void sandboxes_each(const char *owner, bool ascends,
	bool (*each)(void *userdata, const struct sandbox *sandbox), void *userdata);
/* As one that is busy, and takes what it points to. False: `why` says how many there are. */
bool sandbox_add(struct sandbox *sandbox, const struct settings *limits, char why[SANDBOX_WHY]);
/* It runs; false: it has been taken out meanwhile. */
bool sandbox_started(const struct sandbox *sandbox);
/* One of a process before this one, which is paused; takes what it points to. */
void sandbox_restore(struct sandbox *sandbox);
/* Takes it out, here alone: see sandbox_remove(). */
bool sandbox_take(const char *id, const char *owner, struct sandbox *ret_sandbox);
/* It is busy from then on; false: it was not in this state. */
bool sandbox_claim(const char *id, enum sandbox_state from);
/* It is busy no more; false: it has been taken out meanwhile. */
bool sandbox_settle(const char *id, enum sandbox_state state, const char *snapshot);
/* The same: it is paused, since then and with that snapshot. */
bool sandbox_paused(const struct sandbox *sandbox);
/* So many seconds are left; `longer`: unless there are more. */
void sandbox_extend(const char *id, uint32_t seconds, bool longer);
/* Its time is over in so many milliseconds, and in twice as many the next time; false: that has
 * been so often enough. */
bool sandbox_postpone(const char *id, uint32_t ms);
/* A command begins, if it may; and ends. */
bool sandbox_enter(const char *id);
void sandbox_leave(const char *id);
/* A copy of one whose time is over, or that has been paused for so long; it is busy from then on.
 */
bool sandbox_expired(uint32_t paused_ms, struct sandbox *copy);
/* A snapshot that nobody needs any more, as soon as no VM uses it. */
void sandbox_drop_snapshot(const char *name);
/* Deletes those, when a VM has ended. */
void sandboxes_sweep(nova_host_t *host);
void sandboxes_free(void);

/* --- records.c: those that are paused, on the disk --- */

/* Writes what is known of one that is to be paused, unless it has been taken out meanwhile. 0, or
 * the number of the system's error by which it could not. */
int record_write(const struct sandbox *sandbox);
/* It is not paused any more. */
void record_drop(const char *id);
/* As sandbox_take(), and nothing of it comes back with the next process. */
bool sandbox_remove(const char *id, const char *owner, struct sandbox *ret_sandbox);

/* --- control.c, pause.c, expire.c: their life --- */

#define E2B_SECONDS_MAX 86400

extern const struct field e2b_create_fields[], e2b_list_query[], e2b_timeout_fields[],
	e2b_pause_fields[], e2b_connect_fields[], e2b_fork_fields[];
extern const struct job_verb verb_e2b_create, verb_e2b_list, verb_e2b_get, verb_e2b_kill,
	verb_e2b_timeout, verb_e2b_pause, verb_e2b_connect, verb_e2b_fork;
/* How long it is to live. */
uint32_t e2b_seconds(const struct job *job);
/* As the SDK is told of one that it may use. */
json_t *sandbox_json(const struct sandbox *sandbox);
/* The one of the path, if it is whose job this is, to be cleared; false: it has been answered. */
bool sandbox_of(struct job *job, struct sandbox *copy);
/* One that is new, with its instance, which it takes. False: there is none, and the job has failed.
 */
bool sandbox_begin(struct job *job, struct sandbox *sandbox);
/* Starts its instance, from its snapshot if it has one. */
int sandbox_start(struct job *job, struct sandbox *sandbox, uint32_t seconds, nova_error_t **error);
/* Kills its instance. */
void sandbox_kill(nova_t *nova, const char *id);
/* Ends one that was taken out, and clears it. */
void sandbox_end(struct job *job, struct sandbox *sandbox);
/* Ends one of which nobody has been told. */
void sandbox_withdraw(struct job *job, const char *id);
/* The same by what a reply would have told. */
void sandbox_take_back(struct job *job, const json_t *told);
/* One that is busy. False: it runs on, and the job has failed. */
bool sandbox_pause(struct job *job, const struct sandbox *sandbox);

/* --- keep.c --- */

/* False: it has been answered that the engine here takes no snapshots. */
bool check_snapshots(struct job *job);
/* As "NAME:VERSION", what it runs. */
void sandbox_kept_as(const struct sandbox *sandbox, char name[80]);
/* False: it has been answered that the version that it runs is not there any more, or cannot be
 * looked at. */
bool sandbox_is_kept(struct job *job, const struct sandbox *sandbox);
/* Has what it runs stay, so that something can go on from its snapshots. False: it has been
 * answered why it does not. */
bool sandbox_keep(struct job *job, const struct sandbox *sandbox);
/* As job_fail_by(); but to the SDK 409 means that it is paused. */
void e2b_fail_by(struct job *job, const nova_error_t *error);

/* --- run.c, process.c: commands --- */

extern const struct job_verb verb_e2b_run;
extern const struct field e2b_start_fields[], e2b_attach_fields[], e2b_signal_fields[],
	e2b_input_fields[];
extern const struct job_verb verb_e2b_processes, verb_e2b_signal, verb_e2b_input, verb_e2b_close;
void e2b_start(struct exchange *exchange);
void e2b_attach(struct exchange *exchange);
/* Kills those of a sandbox; NULL: all. */
void processes_end(const char *sandbox);
/* Says to who listens that there is nothing to be said. */
void listeners_look(int64_t now);

/* --- files.c --- */

extern const struct field e2b_file_query[], e2b_path_fields[], e2b_list_dir_fields[],
	e2b_move_fields[];
extern const struct job_verb verb_e2b_read, verb_e2b_write, verb_e2b_stat, verb_e2b_list_dir,
	verb_e2b_make_dir, verb_e2b_move, verb_e2b_remove;

#endif
