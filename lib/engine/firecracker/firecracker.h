/* SPDX-License-Identifier: MIT */
/* Shared by the files of the firecracker engine only. */
#ifndef NOVA_LIB_ENGINE_FIRECRACKER_H
#define NOVA_LIB_ENGINE_FIRECRACKER_H

#include <jansson.h>

#include "engine/engine.h"

#define FC_AGENT_PORT   9999u
#define FC_GUEST_CID    3u
#define FC_CALL_TIMEOUT 10000u  /* ms; upstream itself asserts 700 for these calls */
#define FC_LONG_TIMEOUT 300000u /* snapshots, pause: as long as a disk takes; the death of the VMM ends the wait */

/* --- version.c: what a Firecracker of some age understands. Pure. ------------------------------------------------------ */

struct fc_version {
	unsigned major, minor, patch;
};
/* From "Firecracker v1.16.1", "v1.10.0" or "1.17.0-dev"; false if it is none. */
bool fc_version_parse(const char *text, struct fc_version *ret);
bool fc_at_least(const struct fc_version *version, unsigned major, unsigned minor, unsigned patch);
/* NOVA_ENOTSUP for one that is too old, or whose restored guests cannot be reached. */
int fc_version_check(const struct fc_version *version, nova_error_t **error);

/* --- plan.c: the requests that make a machine, in their order. Pure. ------------------------------------------------------ */

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
	const char *kernel, *initramfs, *rootfs, *code, *vsock, *log, *metrics;
	uint32_t memory_mb, vcpus;
	uint64_t disk_iops, disk_bandwidth; /* of the code disk; 0: no limit */
	bool console;
};
/* Everything up to and with InstanceStart. */
void fc_plan_boot(struct fc_plan *plan, const struct fc_boot *boot);

struct fc_restore {
	struct fc_version version;
	const char *state, *memory, *vsock, *log, *metrics;
};
/* Restores and lets it run. */
void fc_plan_restore(struct fc_plan *plan, const struct fc_restore *restore);
void fc_plan_state(struct fc_plan *plan, bool running);
void fc_plan_save(struct fc_plan *plan, const char *state, const char *memory, bool diff);

/* {"bandwidth": …, "ops": …}; NULL if both are 0 (or no memory, with *ret_failed). */
json_t *fc_rate_limiter(uint64_t bytes_per_s, uint64_t ops_per_s, bool *ret_failed);
/* The kernel's command line; caller frees. */
char *fc_boot_args(bool console, bool own_root);

/* --- answer.c: what the VMM replies. Pure. ------------------------------------------------------------------------------ */

/* The fault_message in one line of bounded length; NULL if the text holds none (or no memory). Caller frees. */
char *fc_fault(const char *text, size_t len);
/* From the body of GET /. */
bool fc_answer_version(const char *text, size_t len, struct fc_version *ret);

/* --- api.c: one request at a time over the VMM's socket ------------------------------------------------------------------ */

struct fc_api {
	void *curl;           /* CURL *; NULL: not connected yet */
	char *socket;         /* path */
	const struct process *process;
	const struct logger *log;
};
void fc_api_done(struct fc_api *api);
/* `body` may be NULL. ret_answer (may be NULL) receives the body of a 200; the caller frees it. NOVA_EENGINE with the VMM's own words. */
int fc_call(struct fc_api *api, const char *method, const char *path, const char *body, uint64_t deadline, char **ret_answer,
	nova_error_t **error);
int fc_call_plan(struct fc_api *api, const struct fc_plan *plan, uint64_t deadline, nova_error_t **error);
/* Waits until the VMM answers, and learns its version. */
int fc_greet(struct fc_api *api, uint64_t deadline, struct fc_version *ret_version, nova_error_t **error);

/* --- vsock.c: a stream to the guest's agent -------------------------------------------------------------------------------- */

/* Tries until the agent has sent its first byte, which is left in the socket. NOVA_EAGENT at the deadline; NOVA_ELOST when the VMM has ended. */
int fc_vsock_connect(const char *path, uint32_t port, const struct process *process, uint64_t deadline, int *ret_fd, nova_error_t **error);

/* --- machine ----------------------------------------------------------------------------------------------------------------- */

/* Numbers that the descriptors have in the VMM. Snapshots name the disks by them, and the vsock socket by the directory, so clones need not be told of
 * other paths: these must never change. */
enum fc_fd {
	FC_FD_DIAG = 3,
	FC_FD_DIRECTORY,
	FC_FD_ROOTFS,
	FC_FD_CODE,
	FC_FD_MEMORY, /* of a booted machine: where its first snapshot goes; of a clone: its base */
	FC_FD_STATE,  /* device state, out or in */
	FC_FD_DIFF,   /* what has changed since the last snapshot */
	FC_FD_END,
};
#define FC_FDS (FC_FD_END - FC_FD_DIAG)

struct fc_machine {
	struct machine machine;
	struct fc_api api;
	struct fc_version version;
	const struct engine_env *env;
	char *directory;      /* private, by name; removed at the end */
	char *vsock;          /* path of the socket, as seen from here */
	int state, diff;      /* ours of FC_FD_STATE and FC_FD_DIFF */
	int memory;           /* of FC_FD_MEMORY */
	char *whole;          /* file with the memory to load instead of the base; NULL: the base */
	struct pages written; /* since the base */
	uint64_t deadline;    /* for coming up */
	uint32_t memory_mb;
	bool clone, greeted, paused;
};
static inline struct fc_machine *fc_of(struct machine *m)
{
	return (struct fc_machine *)m; /* its first member */
}
/* Waits until the VMM answers. */
int fc_await(struct machine *m, nova_error_t **error);
/* Adds the VMM's last words to the error. */
int fc_with_last_words(struct fc_machine *f, int code, nova_error_t **error);
int fc_connect_agent(struct fc_machine *f, uint64_t deadline, nova_error_t **error);
int fc_set_running(struct fc_machine *f, bool running, nova_error_t **error);

/* --- snapshot.c ---------------------------------------------------------------------------------------------------------------- */

int fc_identity(const struct engine_env *env, char **ret_identity, nova_error_t **error);
int fc_save(struct machine *m, int *ret_state_fd, nova_error_t **error);
int fc_load(struct machine *m, int state_fd, nova_error_t **error);
int fc_take_pages(struct machine *m, struct pages *ret_pages, nova_error_t **error);
int fc_give_pages(struct machine *m, const struct pages *pages, nova_error_t **error);

/* --- probe.c -------------------------------------------------------------------------------------------------------------------- */

/* Path of the program; NOVA_ENOTFOUND with the way out. */
int fc_binary(const struct engine_env *env, char **ret_path, nova_error_t **error);
/* What the program prints for one option such as "--version", first line; remembered in the run directory. Caller frees. */
int fc_ask(const struct engine_env *env, const char *binary, const char *option, char **ret_line, nova_error_t **error);
int fc_probe(const struct engine_env *env, struct engine_report *report, nova_error_t **error);
bool fc_is_preferred(const struct engine_env *env);

#endif
