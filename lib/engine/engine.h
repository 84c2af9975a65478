/* SPDX-License-Identifier: MIT */
/*
 * The door of engine: what starts, pauses and ends machines.
 *
 * An engine is one const table of operations. It knows devices and snapshots; of what the agent
 * says over the channel it knows at most that a Ping is answered, and it never calls upwards. All
 * machines of all engines begin with struct machine, which the rooms above use directly. What a
 * machine is, and how it ends, its engine alone knows: where it is a child of the keeper, child.h
 * has the operations.
 */
#ifndef NOVA_LIB_ENGINE_ENGINE_H
#define NOVA_LIB_ENGINE_ENGINE_H

#include <pthread.h>

#include <nova/engine.h>

#include "base/base.h"
#include "config/config.h"
#include "engine/kvm.h"
#include "memory/memory.h"
#include "net/net.h"
#include "property/property.h"

/* Bytes of console and VMM output that are kept, in memory and in a file. */
#define CONSOLE_KEPT (64u << 10)

/* Whether QEMU comes up with KVM: found out when it is first asked (qemu/accel.c). */
#define QEMU_CPU 256
struct qemu_kvm {
	pthread_mutex_t lock; /* protects what follows until it is known, which does not change */
	/* file where what was found is kept until the next boot; NULL: nowhere */
	char *memory;
	bool known;
	char cpu[QEMU_CPU]; /* for -cpu */
	nova_error_t *why;  /* why it does not; NULL: it does */
};

/* Whether running machines can be forked as processes (docs/hot.md): found out when that is first
 * asked (qemu/hot.c). */
struct hot_forks {
	pthread_mutex_t lock; /* protects what follows */
	/* file where what was found is kept; NULL: nowhere */
	char *memory;
	bool known;
	unsigned strikes;
	uint64_t again; /* when it is found out anew, if they cannot */
	char why[256];  /* why not; "": they can */
};

/* What an engine may use. Lives as long as the host context; the members do not change. */
struct engine_env {
	const struct logger *log;
	struct keeper *keeper;
	const nova_config_t *config;
	const char *run_dir; /* private directory for files that must exist by name */
	struct net *net;
	struct kvm_fitness kvm;
	struct qemu_kvm *qemu_kvm;
	struct hot_forks *hot;
	uint64_t tsc_khz; /* of this host's time stamp counter */
};

/* Every string is owned; NULL means "". */
struct engine_report {
	bool usable;
	uint32_t features;       /* enum nova_feature */
	const char *accelerator; /* static */
	char *binary, *version, *reason, *advice;
};
void engine_report_done(struct engine_report *report);

struct machine_spec {
	const char *id;                 /* 8 hex digits */
	const char *kernel, *initramfs; /* NULL for an engine that needs none */
	struct machine_config config;   /* limits are for engines that can; texts are borrowed */
	/* -1: boot. Else the machine waits, with this file as memory, for load(); its writes stay
	 * its own */
	int base_fd;
	bool forkable; /* it can be forked, where the engine can do that */
	/* for the start of the VMM; the boot of the guest is waited for by the caller */
	uint64_t deadline;
	const struct stop *stop; /* what may end that early; NULL: nothing */
};

/* How the process of a machine is forked. */
struct machine_fork {
	/* the parent's whole process stands still, until it is used for anything but a fork */
	bool more;
	bool fertile; /* the child may be forked, too */
	/* the child costs next to nothing until its birth(), and does nothing; its code disk is the
	 * same */
	bool waits;
	uint32_t patience_ms;
	/* the child finds this one in the place of the code disk, where there is one; NULL: the
	 * same */
	const char *code_disk;
};

/* A disk of a guest, which only reads it. */
struct machine_disk {
	const char *name; /* for the engine's own use, the same in every clone */
	const char *path;
	uint64_t iops, bandwidth; /* at most, a second; 0: no limit */
};
#define MACHINE_DISKS 2
/* Those of a machine, in the order in which the guest has them; their number. */
size_t machine_disks(const struct machine_config *config, struct machine_disk ret[MACHINE_DISKS]);

struct machine {
	char id[9];           /* of a shell: that it was started under. "": that of its VM */
	int channel;          /* stream to the agent; blocking */
	int serial;           /* what the guest's console prints, -1: none; not blocking */
	int diag;             /* what the VMM prints, -1: none; not blocking */
	struct net_link link; /* its TAP, made before start(); freed after release() */
	/* a booted guest's memory, as a file that the VMM shares or save() has written; -1: a
	 * clone, or not yet */
	int ram;
	struct buf console; /* the last of both, as far as drained */
	int log;            /* file that gets what the VMM prints, too, -1: none */
	uint64_t log_bytes; /* in it */
};

/* Name, machine_size, boot_timeout_key, probe, start, kill, end_fd and end are needed; all else may
 * be missing, but a feature comes with its operations (tests/unit/engine.c). */
struct engine_ops {
	const char *name;
	size_t machine_size; /* of the engine's own struct, whose first member is struct machine */
	/* enum nova_feature: what it can do wherever it is usable; properties of machines that need
	 * another one are refused */
	uint32_t features;
	const char *boot_timeout_key;
	/* settings that name images instead of those in the image directory, if set; NULL: none */
	const char *kernel_key, *rootfs_key, *rootfs_dir_key;

	/* Fills the report; looks, but starts nothing that lasts. 0 or NOVA_ENOMEM. */
	int (*probe)(
		const struct engine_env *env, struct engine_report *report, nova_error_t **error);

	/* Whether `auto` is to take it: a quick look, which starts no machine. NULL: never. */
	bool (*is_preferred)(const struct engine_env *env);

	/* Starts a VMM: with a guest booting, or (base_fd) coming up to wait for load(). `m` is
	 * zeroed but for its descriptors (-1) and its link. On success channel, serial and diag are
	 * set. On failure whatever was set is released by the caller with machine_done(). May block
	 * until spec->deadline. */
	int (*start)(struct machine *m, const struct engine_env *env,
		const struct machine_spec *spec, nova_error_t **error);

	/* --- its end; one that never came up has ended --- */

	/* Has it end, without waiting for that. Any thread, until end(). */
	void (*kill)(struct machine *m);
	/* Readable once it has ended; lent until end(). -1: it has. See machine_ended(). */
	int (*end_fd)(const struct machine *m);
	/* Kills it if need be and waits for its end, some seconds at most. Idempotent. */
	void (*end)(struct machine *m);
	/* The process of this host whose books tell what it costs; 0 after end(). NULL: its
	 * machines are none. */
	int64_t (*pid)(const struct machine *m);

	/* Waits until a machine that start() left coming up at its base can load(). load() does it
	 * too if need be. NULL: nothing to wait for. */
	int (*await)(struct machine *m, nova_error_t **error);

	/* Stop and restart the processors; idempotent; block for milliseconds. NULL: not supported.
	 */
	int (*pause)(struct machine *m, nova_error_t **error);
	int (*resume)(struct machine *m, nova_error_t **error);
	/* As resume(), but does not wait until they run: what is sent over the channel is read
	 * then. NULL: resume() does not wait either. */
	int (*resume_soon)(struct machine *m, nova_error_t **error);
	/* As pause(), but does not wait until they stand still. NULL: not supported. */
	int (*pause_soon)(struct machine *m, nova_error_t **error);

	/* Snapshots; NULL: not supported. */

	/* Text that differs whenever a state of save() would not fit: the VMM's program, and the
	 * processor that it shows to guests. Caller frees. */
	int (*identity)(const struct engine_env *env, char **ret_identity, nova_error_t **error);
	/* Stops the processors and writes the state of the devices (some KB, no memory) to a new
	 * file. A booted machine's memory is in m->ram then. May cut the channel, which resume()
	 * and load() restore. */
	int (*save)(struct machine *m, int *ret_state_fd, nova_error_t **error);
	/* Starts a machine that waits at `base_fd`: from the state of save(), which is read from
	 * its start. The processors run then. */
	int (*load)(struct machine *m, int state_fd, nova_error_t **error);
	/* As load(), but the processors stand still until resume() or resume_soon(), which there is
	 * then. NULL: not supported. */
	int (*load_still)(struct machine *m, int state_fd, nova_error_t **error);
	/* What a clone has written since its base, after save(), and putting it in before load().
	 */
	int (*take_pages)(struct machine *m, struct pages *ret_pages, nova_error_t **error);
	int (*give_pages)(struct machine *m, const struct pages *pages, nova_error_t **error);

	/* --- forking the process of a machine that is paused; NULL: not supported --- */

	/* Why it is not done here; NULL: it is. Lent. `shared`: the children of one are several
	 * owners'. */
	const char *(*fork_obstacle)(const struct engine_env *env, bool shared);
	/* `child`, as for start(), becomes a machine that goes on where this one stands, paused.
	 * NOVA_ENOTSUP, NOVA_EBUSY: it cannot be done, or not now; NOVA_ETIMEDOUT: it took too
	 * long; NOVA_EENGINE: what came of it is of no use. On failure it is released, as by
	 * start(), and this one is as it was. This one may go on when it comes back, while the
	 * child comes up until its await(), which fails in the same ways. */
	int (*fork)(struct machine *m, const struct machine_fork *how, struct machine *child,
		nova_error_t **error);
	/* For a child that waits: its TAP is in its link by now. It is up when this comes back, or
	 * fails as fork() does. */
	int (*birth)(struct machine *child, nova_error_t **error);
	/* The memory of one that has booted becomes its own; the file in m->ram stays as it is. */
	int (*detach)(struct machine *m, nova_error_t **error);
	/* A child was not what it has to be. */
	void (*fork_strike)(const struct engine_env *env, const char *why);

	/* Ends what machines have left of a context that died with its keeper, before `run_dir` is
	 * removed. NULL: the kernel has ended all. */
	void (*sweep)(const char *run_dir, const struct logger *log);

	/* Releases what the engine added to struct machine, after end(). Accepts a machine that was
	 * half started. */
	void (*release)(struct machine *m);
};

/* All engines, in the order in which `auto` prefers them; ends with NULL. */
extern const struct engine_ops *const all_engines[];
const struct engine_ops *engine_find(const char *name);
static inline bool engine_has(const struct engine_ops *ops, uint32_t features)
{
	return (ops->features & features) == features;
}
/* NOVA_ENOTSUP, naming the property, for a machine that needs what the engine cannot do. */
int engine_check(
	const struct engine_ops *ops, const struct machine_config *config, nova_error_t **error);

struct machine *machine_new(const struct engine_ops *ops); /* NULL: out of memory */
/* Whether it has ended, or does until the deadline. */
bool machine_ended(const struct engine_ops *ops, const struct machine *m, uint64_t deadline);
/* Ends it and releases everything but the console text. Idempotent. */
void machine_done(const struct engine_ops *ops, struct machine *m);
void machine_free(const struct engine_ops *ops, struct machine *m); /* NULL is accepted */
/* Moves what console and VMM have printed into m->console. Does not block. */
void machine_drain(struct machine *m);
/* The last lines of the console in one line of at most `max` bytes, for an error message; caller
 * frees. */
char *machine_last_words(struct machine *m, size_t max);

extern const struct engine_ops firecracker_engine;
extern const struct engine_ops qemu_engine;
extern const struct engine_ops process_engine;

#endif
