/* SPDX-License-Identifier: MIT */
/* Shared by the files of the firecracker engine only. */
#ifndef NOVA_LIB_ENGINE_FIRECRACKER_H
#define NOVA_LIB_ENGINE_FIRECRACKER_H

#include "engine/child.h"
#include "json/json.h"

#define FC_FEATURES                                                                                \
	(NOVA_FEATURE_ISOLATES | NOVA_FEATURE_HARDWARE | NOVA_FEATURE_PAUSE |                      \
		NOVA_FEATURE_SNAPSHOT | NOVA_FEATURE_FORK | NOVA_FEATURE_NETWORK |                 \
		NOVA_FEATURE_DISK_LIMITS | NOVA_FEATURE_NET_LIMITS | NOVA_FEATURE_GUEST)

#define FC_AGENT_PORT   9999u
#define FC_GUEST_CID    3u
#define FC_CALL_TIMEOUT 10000u /* ms; upstream itself asserts 700 for these calls */
/* snapshots, pause: as long as a disk takes; the death of the VMM ends the wait */
#define FC_LONG_TIMEOUT 300000u

/* --- version.c: what a Firecracker of some age understands. Pure. --- */

struct fc_version {
	unsigned major, minor, patch;
};
/* From "Firecracker v1.16.1", "v1.10.0" or "1.17.0-dev"; false if it is none. */
bool fc_version_parse(const char *text, struct fc_version *ret);
/* Facts about versions, each in one row of the table there: what nothing else asks a version for.
 */
enum fc_fact {
	FC_KEEPS_DEAD_STREAMS,    /* agents of restored guests would never be heard again */
	FC_CLONES_ARE_DEAF,       /* restored guests cannot be reached */
	FC_RESET_COMES_LATE,      /* a stream made after a snapshot may be ended by its reset */
	FC_PAUSE_STOPS_STREAMS,   /* nothing reaches a guest after a pause without a snapshot */
	FC_NAMES_NETWORKS,        /* network_overrides at a load */
	FC_DIFF_WITHOUT_TRACKING, /* a Diff of a booted guest holds all that it has touched */
	FC_TRACKS_BY_NEW_NAME,    /* track_dirty_pages at a load, before: enable_diff_snapshots */
	FC_NAMES_VSOCK,           /* vsock_override at a load */
};
bool fc_has(const struct fc_version *version, enum fc_fact fact);
/* Whether what a booted guest writes to must be noted from its start on, for its first snapshot to
 * be a Diff. */
bool fc_must_track(const struct fc_version *version, bool swap_is_on);
/* The issue or request upstream that tells of it; 0: none is known. */
unsigned fc_upstream(enum fc_fact fact);
/* NOVA_ENOTSUP for one that is too old, or whose restored guests cannot be reached. */
int fc_version_check(const struct fc_version *version, nova_error_t **error);

/* --- plan.c: the requests that make a machine, in their order. Pure. --- */

struct fc_request {
	const char *method;
	char *path, *body;
};
struct fc_plan {
	struct fc_request list[12];
	size_t count;
	bool failed; /* out of memory */
};
void fc_plan_done(struct fc_plan *plan);

/* Every path is one that the VMM sees; NULL: none. */
struct fc_boot {
	struct fc_version version;
	const char *kernel, *initramfs, *vsock;
	struct machine_disk disks[MACHINE_DISKS];
	size_t disk_count;
	struct machine_config config; /* but its paths, which are those of the host */
	const struct net_link *link;  /* NULL: no network device */
	bool console;
	bool async; /* disks are read by io_uring */
	bool track; /* what the guest writes to is noted from its start on */
};
/* Everything up to and with InstanceStart. */
void fc_plan_boot(struct fc_plan *plan, const struct fc_boot *boot);

struct fc_restore {
	struct fc_version version;
	const char *state, *memory, *vsock;
	const char *tap; /* in the place of the snapshot's; NULL: it has no network device */
};
/* NOVA_ENOTSUP for a version that cannot do that. */
int fc_restore_check(const struct fc_restore *restore, nova_error_t **error);
/* Restores and lets it run. */
void fc_plan_restore(struct fc_plan *plan, const struct fc_restore *restore);
void fc_plan_state(struct fc_plan *plan, bool running);
void fc_plan_save(struct fc_plan *plan, const char *state, const char *memory, bool diff);

/* {"bandwidth": …, "ops": …}; NULL if both are 0 (or no memory, with *ret_failed). */
json_t *fc_rate_limiter(uint64_t bytes_per_s, uint64_t ops_per_s, bool *ret_failed);
/* The kernel's command line; caller frees. `link` NULL: no network. */
char *fc_boot_args(bool console, bool own_root, const struct net_link *link);

/* --- answer.c: what the VMM replies. Pure. --- */

/* The fault_message in one line of bounded length; NULL if the text holds none (or no memory).
 * Caller frees. */
char *fc_fault(const char *text, size_t len);
/* From the body of GET /. */
bool fc_answer_version(const char *text, size_t len, struct fc_version *ret);

/* --- api.c: one request at a time over the VMM's socket --- */

struct fc_api {
	void *curl;   /* CURL *; NULL: not connected yet */
	char *socket; /* path */
	const struct process *process;
	const struct logger *log;
};
/* Before anything is asked: the module curl is there. */
int fc_api_ready(nova_error_t **error);
void fc_api_done(struct fc_api *api);
/* `body` may be NULL. ret_answer (may be NULL) receives the body of a 200; the caller frees it.
 * NOVA_EENGINE with the VMM's own words. */
int fc_call(struct fc_api *api, const char *method, const char *path, const char *body,
	uint64_t deadline, char **ret_answer, nova_error_t **error);
int fc_call_plan(
	struct fc_api *api, const struct fc_plan *plan, uint64_t deadline, nova_error_t **error);
/* Waits until the VMM answers, and learns its version. */
int fc_greet(struct fc_api *api, uint64_t deadline, struct fc_version *ret_version,
	nova_error_t **error);

/* --- vsock.c: a stream to the guest's agent --- */

/* Tries until the agent has sent its first byte, which is left in the socket; of a `doubtful`
 * stream, which the guest may end yet, until the agent has answered a Ping, with nothing left.
 * NOVA_EAGENT at the deadline; NOVA_ELOST when the VMM has ended. */
int fc_vsock_connect(const char *path, uint32_t port, bool doubtful, const struct process *process,
	uint64_t deadline, const struct stop *stop, int *ret_fd, nova_error_t **error);

/* --- machine --- */

/* What a machine has by name. Snapshots keep the names that the VMM knows, so these and the numbers
 * must never change. */
enum fc_file {
	/* the first of its disks, see fc_disk() */
	FC_DISK,
	/* of a booted machine: where its first snapshot goes; of a clone: its base */
	FC_MEMORY = FC_DISK + MACHINE_DISKS,
	FC_STATE, /* device state, out or in */
	FC_DIFF,  /* what has changed since the last snapshot */
	FC_KERNEL,
	FC_INITRAMFS,
	FC_VSOCK,
	FC_API,
	FC_WHOLE, /* base and pages in one */
	FC_LOG,   /* what it has said, written by us; in a jail outside its root */
	FC_METRICS,
	FC_DIAG, /* FIFO for what it prints and logs */
};
static inline enum fc_file fc_disk(size_t index)
{
	return (enum fc_file)(FC_DISK + index);
}
/* Without a jail the first of them are descriptors that the VMM inherits, numbered in their order,
 * and the rest lie in a directory that it inherits: paths that are the same for every clone. In a
 * jail they lie in its root. */
#define FC_FD_DIAG      3
#define FC_FD_DIRECTORY 4
#define FC_FD_FIRST     5
#define FC_FD_FILES     (MACHINE_DISKS + 3) /* FC_DISK to FC_DIFF */
#define FC_FDS          (2 + FC_FD_FILES)

struct fc_place {
	bool jailed;
	char *remove;    /* directory that is removed at the end; NULL: nothing made yet */
	char *directory; /* private, of the files by name; of a jail: its root */
	int fd;          /* of it */
	char id[24];     /* "nova-…", unique */
	uint32_t uid;    /* of a jailed VMM, */
	int user_lock;   /* which is kept for it by this */
	bool logs;       /* there are a log and metrics */
};

struct fc_machine {
	struct child_machine child;
	struct fc_api api;
	struct fc_version version;
	const struct engine_env *env;
	struct fc_place place;
	/* the stream before a snapshot: the guest is not to see its end before the reset, -1: none
	 */
	int former;
	/* ours of FC_STATE, FC_DIFF, FC_MEMORY; in a jail the first two are opened when they have
	 * been written */
	int state, diff, memory;
	char *whole;          /* file with the memory to load instead of the base; NULL: the base */
	struct pages written; /* since the base */
	uint64_t deadline;    /* for coming up */
	uint32_t memory_mb;
	bool clone, greeted, paused;
	bool async; /* its disks are read by io_uring */
	/* a booted one: what it writes to is noted; a snapshot has been taken */
	bool tracked, saved;
};
static inline struct fc_machine *fc_of(struct machine *m)
{
	return (struct fc_machine *)m; /* its first member */
}
/* --- machine.c --- */

/* Waits until the VMM answers. */
int fc_await(struct machine *m, nova_error_t **error);
/* Adds the VMM's last words to the error. */
int fc_with_last_words(struct fc_machine *f, int code, nova_error_t **error);
/* The stream to the agent is to be renewed: our end of it stays open until the agent has answered
 * on the next one. */
void fc_put_aside(struct fc_machine *f);
/* `renewed`: the guest may end the stream yet. */
int fc_connect_agent(struct fc_machine *f, bool renewed, uint64_t deadline, const struct stop *stop,
	nova_error_t **error);
/* Once a machine goes on after a snapshot. */
int fc_reconnect_agent(struct fc_machine *f, nova_error_t **error);
int fc_set_running(struct fc_machine *f, bool running, nova_error_t **error);

/* --- place.c: where the files of a machine are --- */

/* Makes the directory. `jailer` NULL: no jail. */
int fc_place_make(struct fc_place *place, const struct engine_env *env, const char *binary,
	bool jailed, const char *id, nova_error_t **error);
void fc_place_done(struct fc_place *place);
/* The path as the VMM sees it, and as we do (short enough for a socket's address). NULL: out of
 * memory. Caller frees. */
char *fc_seen(const struct fc_place *place, enum fc_file file);
char *fc_path(const struct fc_place *place, enum fc_file file);
/* Puts a file there, by path or by descriptor: as a link of some kind where that is possible, else
 * as a copy. */
int fc_place_path(
	const struct fc_place *place, enum fc_file file, const char *path, nova_error_t **error);
int fc_place_fd(const struct fc_place *place, enum fc_file file, int fd, nova_error_t **error);
/* Opens, or removes, what the VMM has written there. */
int fc_place_open(
	const struct fc_place *place, enum fc_file file, int *ret_fd, nova_error_t **error);
int fc_place_clear(const struct fc_place *place, enum fc_file file, nova_error_t **error);

/* What the VMM prints and logs comes through a FIFO: *ret_theirs is to be its stderr. What has no
 * room there until we read is dropped, so that no guest can fill anything with it. */
int fc_place_diag(
	const struct fc_place *place, int *ret_ours, int *ret_theirs, nova_error_t **error);
/* Makes files for log and metrics, if the setting names a directory to look at them in; *ret_log is
 * -1 if not, or if they cannot be made, which is logged. */
void fc_place_logs(struct fc_place *place, const struct engine_env *env, int *ret_log);
/* Links to sockets, log and metrics, where the settings want some; or their removal. What cannot be
 * made is logged. */
void fc_place_links(const struct fc_place *place, const struct engine_env *env, bool make);

#define FC_ARGS 32
struct fc_command {
	const char *argv[FC_ARGS];
	char uid[12], gid[12];
	char *api, *diag, *metrics;
};
/* The command line, in a jail through the jailer. Pure. The strings given must live as long.
 * NOVA_ENOMEM. */
int fc_command_make(struct fc_command *command, const char *jailer, const char *binary,
	const struct fc_place *place, const char *jails);
void fc_command_done(struct fc_command *command);
/* *ret_path NULL: none is to be used, as this is not root, or the setting says so, or there is none
 * (which is logged). */
int fc_jailer(
	const struct engine_env *env, const char *binary, char **ret_path, nova_error_t **error);
char *fc_jails(const struct engine_env *env);
void fc_sweep(const char *run_dir, const struct logger *log);

/* --- snapshot.c --- */

int fc_identity(const struct engine_env *env, char **ret_identity, nova_error_t **error);
int fc_save(struct machine *m, int *ret_state_fd, nova_error_t **error);
/* Has a machine that stands still end its guest's streams. */
int fc_reset_streams(struct fc_machine *f, nova_error_t **error);
int fc_load(struct machine *m, int state_fd, nova_error_t **error);
int fc_take_pages(struct machine *m, struct pages *ret_pages, nova_error_t **error);
int fc_give_pages(struct machine *m, const struct pages *pages, nova_error_t **error);

/* --- advice.c: reads files below `root` ("" for this host) --- */

/* Guest memory can be elsewhere than in memory. */
bool fc_swap_is_on(const char *root);
/* What production hosts should have and this one has not, one a line; "": nothing. `jailer` NULL:
 * none. NOVA_ENOMEM. */
int fc_advice(const char *root, bool is_root, const char *jailer, char **ret_text);
/* Whether disks are to be read by io_uring, as the setting says. NOVA_ENOTSUP: this host does not
 * let a VMM do so, which is root's or not. */
int fc_wants_async(const char *root, const struct engine_env *env, bool is_root, bool *ret,
	nova_error_t **error);

/* --- probe.c --- */

/* Path of the program; NOVA_ENOTFOUND with the way out. */
int fc_binary(const struct engine_env *env, char **ret_path, nova_error_t **error);
/* What the program prints for one option such as "--version", first line; remembered in the run
 * directory. Caller frees. */
int fc_ask(const struct engine_env *env, const char *binary, const char *option, char **ret_line,
	nova_error_t **error);
int fc_probe(const struct engine_env *env, struct engine_report *report, nova_error_t **error);
bool fc_is_preferred(const struct engine_env *env);

#endif
