/* SPDX-License-Identifier: MIT */
/* Shared by the files of the qemu engine only. */
#ifndef NOVA_LIB_ENGINE_QEMU_H
#define NOVA_LIB_ENGINE_QEMU_H

#include "engine/child.h"
#include "json/json.h"

#define QEMU_FEATURES                                                                              \
	(NOVA_FEATURE_ISOLATES | NOVA_FEATURE_PAUSE | NOVA_FEATURE_SNAPSHOT | NOVA_FEATURE_FORK |  \
		NOVA_FEATURE_NETWORK | NOVA_FEATURE_DISK_LIMITS | NOVA_FEATURE_NET_LIMITS |        \
		NOVA_FEATURE_GUEST | NOVA_FEATURE_LATE_CODE)

/* --- QMP (qmp.c): QEMU's monitor, JSON lines over a socket pair --- */

struct qmp {
	int fd;
	struct buf in;
	bool loaded;   /* the event that tells of a whole incoming state has come */
	uint32_t owed; /* replies to qmp_post() that have not been read */
	/* what may end the waiting, while a machine is booted; NULL: nothing */
	const struct stop *stop;
};
#define QMP_NONE                                                                                   \
	{                                                                                          \
		-1, { NULL, 0, 0, 0 }, false, 0, NULL                                              \
	}

struct file_identity {
	uint64_t device, inode;
};

struct qemu_machine {
	struct child_machine child;
	struct qmp qmp;
	bool paused, greeted;
	bool has_user;     /* of its own, */
	int user_lock;     /* which is kept for it by this */
	uint64_t deadline; /* for the greeting */
	uint32_t memory_mb;
	uint64_t memory_inode; /* of the file behind the guest's memory, to find its mapping by */
	uint64_t ram_address;  /* 0: not looked for yet */
	/* it can be forked; how often that was done to get here */
	bool is_zygote, confined;
	bool held; /* its threads stand, for more forks */
	/* sets of descriptors that were removed while it stood still, so that they may be open yet;
	 * more are not closed */
	int old_sets[8];
	size_t old_set_count;
	uint32_t birth_ms; /* how long its birth may take; 0: it is over */
	unsigned generation;
	uint64_t memory_limit;
	int tap;        /* its number in the process, */
	int tap_header; /* and how long the headers of its frames are; 0: there is none */
	/* memory and disks, which it uses at given offsets alone; their numbers in the process */
	struct file_identity files[1 + MACHINE_DISKS];
	size_t file_count;
	int shared[16];
	size_t shared_count;
	bool has_code; /* the last of `files` is the code disk, whose numbers are apart */
	int code[4];
	size_t code_count;
};
/* The page tables that a fork copies grow with each generation. */
#define QEMU_GENERATIONS 8u
static inline struct qemu_machine *qemu_of(struct machine *m)
{
	return (struct qemu_machine *)m; /* its first member */
}
#define MONITOR_TIMEOUT 10000u

/* Takes the socket over. */
void qmp_init(struct qmp *q, int fd);
void qmp_done(struct qmp *q);
/* Reads the greeting and leaves negotiation mode. */
int qmp_hello(struct qmp *q, uint64_t deadline, nova_error_t **error);
/* Waits until an incoming state is in. */
int qmp_await_loaded(struct qmp *q, uint64_t deadline, nova_error_t **error);
/* Hands a descriptor along with the command; -1: none. Otherwise as qmp_do(). */
int qmp_do_with_fd(struct qmp *q, const char *command, json_t *arguments, int fd, uint64_t deadline,
	json_t **ret_value, nova_error_t **error);
/* A command without arguments whose reply nobody waits for: it is passed over when the next one's
 * is read. */
int qmp_post(struct qmp *q, const char *command, nova_error_t **error);
/* One command. `arguments` is stolen and may be NULL. ret_value (may be NULL) receives a new
 * reference. */
int qmp_do(struct qmp *q, const char *command, json_t *arguments, uint64_t deadline,
	json_t **ret_value, nova_error_t **error);

/* --- command line (command.c) --- */

/* Numbers that the descriptors have in QEMU: the order in which they are handed to the keeper. */
enum qemu_fd {
	QEMU_FD_DIAG = 3,
	QEMU_FD_CHANNEL,
	QEMU_FD_QMP,
	QEMU_FD_SERIAL,
	QEMU_FD_MEMORY,
	QEMU_FD_FILES, /* kernel and initramfs when booting, then the disks, then the TAP */
};
#define QEMU_MAX_FDS 12

struct arguments {
	char *list[96];
	size_t count;
	bool failed; /* out of memory, or too many */
};
void arguments_add(struct arguments *a, const char *format, ...) PRINTF_LIKE(2, 3);
void arguments_done(struct arguments *a);

/* The whole command line, for a boot or for waiting at a base. `cpu`: see qemu_cpu(). */
void qemu_command(struct arguments *a, const char *binary, const char *cpu, uint64_t tsc_khz,
	const struct machine_spec *spec, const struct net_link *link);

/* --- start.c --- */

/* As start(), with a processor of qemu_cpu(). */
int qemu_start_as(struct machine *m, const struct engine_env *env, const struct machine_spec *spec,
	const char *cpu, nova_error_t **error);
int qemu_await(struct machine *m, nova_error_t **error);
/* A user for QEMU, if this is root, which q->user_lock keeps. With KVM, who must be able to open
 * its device: *ret_closed, which spawn->no_kvm borrows, says what is to be done if he cannot. */
int qemu_choose_user(struct qemu_machine *q, struct spawn *spawn, bool kvm, char **ret_closed,
	nova_error_t **error);

void qemu_release(struct machine *m);

/* --- fork.c --- */

int qemu_fork(struct machine *m, const struct machine_fork *how, struct machine *child,
	nova_error_t **error);
int qemu_birth(struct machine *child, nova_error_t **error);
/* Before its monitor is told anything: its threads may stand for more forks. */
int qemu_go_on(struct qemu_machine *q, nova_error_t **error);
int qemu_detach(struct machine *m, nova_error_t **error);

/* --- hot.c --- */

/* Why children of one cannot be several owners'; NULL: they can. */
const char *qemu_sharing_obstacle(bool has_user);
/* Whether machines are started so that they can be forked: NULL, or why not, which is lent and
 * stays. The first time one is tried, 2 seconds at most. */
const char *qemu_hot_obstacle(const struct engine_env *env, bool shared);
/* That a child was wrong, or dead; the third time it is the last. */
void qemu_hot_strike(const struct engine_env *env, const char *why);

/* --- pause.c --- */

int qemu_pause(struct machine *m, nova_error_t **error);
int qemu_resume(struct machine *m, nova_error_t **error);
int qemu_pause_soon(struct machine *m, nova_error_t **error);
int qemu_resume_soon(struct machine *m, nova_error_t **error);

/* --- accel.c --- */

/* What follows -cpu with KVM; NULL: guests are emulated. An error if KVM is demanded and cannot be
 * used, NOVA_EPERM where rights are all that is missing. */
int qemu_cpu(const struct engine_env *env, const char **ret_cpu, nova_error_t **error);
/* Takes the feature away for which QEMU set the register that KVM refused; false: that is not what
 * it died of, or nothing is known against it. */
bool qemu_cpu_adapt(char cpu[QEMU_CPU], const char *words);

/* --- probe.c --- */

struct qemu_version {
	unsigned major, minor, patch;
};
/* From the first line that `--version` prints. */
bool qemu_version_parse(const char *line, struct qemu_version *ret);

/* --- snapshot.c --- */

int qemu_identity(const struct engine_env *env, char **ret_identity, nova_error_t **error);
int qemu_save(struct machine *m, int *ret_state_fd, nova_error_t **error);
int qemu_load(struct machine *m, int state_fd, nova_error_t **error);
int qemu_load_still(struct machine *m, int state_fd, nova_error_t **error);
int qemu_take_pages(struct machine *m, struct pages *ret_pages, nova_error_t **error);
int qemu_give_pages(struct machine *m, const struct pages *pages, nova_error_t **error);

/* --- binary.c --- */

/* Path of the program; NOVA_ENOTFOUND with the way out. */
int qemu_binary(const struct engine_env *env, char **ret_path, nova_error_t **error);

/* --- probe.c --- */

int qemu_probe(const struct engine_env *env, struct engine_report *report, nova_error_t **error);

#endif
