/* SPDX-License-Identifier: MIT */
/**
 * @file nova/snapshot.h
 * Fork and snapshot: more microVMs from one that already runs.
 *
 *     nova_vm_fork(vm, 2, NULL, children, &error);          // two VMs that go on from here
 *     nova_vm_snapshot(vm, NULL, &snapshot, &error);        // the same, kept on disk
 *     nova_vm_restore(host, snapshot, NULL, &copy, &error); // at any time, in any process
 *     nova_snapshot_free(snapshot);
 *     nova_vm_free(copy);
 *
 * A fork makes children that go on from the state that their parent has now. They share its memory
 * until they write to it, so a child takes as much memory as it changes. A snapshot is such a state
 * in a directory.
 *
 * Before a child or a restored VM runs anything, it is made different from its parent: the random
 * generator of its kernel gets a new seed, its clock is set to the time of this host, and its
 * hostname and machine-id are new.
 *
 * A function may have hooks: before_snapshot runs before a fork or snapshot, after_restore in each
 * child before its first call (docs/protocol.md). If a hook fails or does not end, the fork,
 * snapshot or restore fails.
 *
 * A fork or snapshot waits until no call is under way in the VM, and stops it for some
 * milliseconds. A VM that was booted goes on in a new VMM process: nova_vm_pid() changes.
 *
 * Threads: as in nova/vm.h. Several processes may use the snapshots on disk at once.
 */
#ifndef NOVA_SNAPSHOT_H
#define NOVA_SNAPSHOT_H

#include <nova/base.h>
#include <nova/host.h>
#include <nova/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes children of a VM, with the function that it has. Either all are made or none; the parent
 * goes on in both cases. The state of a child is #NOVA_VM_RUNNING; it may begin to run only with
 * its first call (docs/snapshots.md).
 * @param vm the VM
 * @param count 1 to 1000
 * @param wait what may end the call; NULL: nothing
 * @param ret_children array of at least `count` that receives the children. Yours: free each with
 * nova_vm_free()
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad count
 *  - NOVA_ENOTSUP: the engine cannot
 *  - NOVA_EPERM: this user may not trace its own processes
 *  - NOVA_EENGINE: the VMM refused
 *  - NOVA_EAGENT: a guest gave no answer
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_vm_fork(nova_vm_t *vm, size_t count, const nova_wait_opts *wait,
	nova_vm_t **ret_children, nova_error_t **error);

/* --- merging branches --- */

/** What to do about a conflict: a path that two branches have changed differently, or that one has
 * changed and another deleted. Since 0.1. */
enum nova_merge_conflict {
	NOVA_MERGE_REFUSE = 0, /**< merge nothing */
	/** take the path of the branch that changed it last; a change wins over a deletion. Equal
	   times: as NOVA_MERGE_FIRST */
	NOVA_MERGE_LATEST = 1,
	NOVA_MERGE_FIRST = 2, /**< take that of the first of these branches, in the order given */
	/** take nothing but what all branches have changed in the same way, also where there is no
	   conflict; every other path stays as the parent has it */
	NOVA_MERGE_INTERSECTION = 3,
};

/** Options of nova_vm_merge(). Since 0.1. */
typedef struct nova_merge_opts {
	size_t size;                /**< sizeof(nova_merge_opts) */
	nova_vm_t *const *branches; /**< the VMs to merge, running; required */
	size_t branch_count;        /**< 1 to 64 */
	/** all files below it are merged; NULL: /tmp, where functions write */
	const char *directory;
	uint32_t on_conflict; /**< enum nova_merge_conflict */
	uint32_t reserved;    /**< 0 */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_merge_opts;
#define NOVA_MERGE_OPTS_INIT                                                                       \
	{                                                                                          \
		sizeof(nova_merge_opts), 0, 0, 0, 0, 0, 0                                          \
	}

/** What a merge has done to a path. Since 0.1. */
enum nova_merge_kind {
	NOVA_MERGE_ADDED = 1,
	NOVA_MERGE_CHANGED = 2,
	NOVA_MERGE_DELETED = 3,
	NOVA_MERGE_CONFLICT = 4, /**< nova_merge_branch() tells whose path was taken, if any */
};

/** The report of a merge, path by path. Immutable; may be read from any thread. */
typedef struct nova_merge nova_merge_t;

/**
 * Makes one VM of several branches: of VMs that have gone on from the same state. The new VM is a
 * fork of their parent, with the files that the branches have added, changed and deleted. Only what
 * is below one directory is merged: files with their content, permissions and times, directories
 * and symbolic links. Memory and processes are those of the parent, so a function that keeps
 * something in variables loses it.
 *
 * A path that no branch has changed stays as it is. If one branch has changed it, or several in the
 * same way, the new VM has the changed path. Everything else is a conflict. With
 * #NOVA_MERGE_INTERSECTION the new VM has what all branches have changed in the same way, and
 * nothing else of theirs. The parent and the branches stay as they are.
 * @param parent a VM in the state from which the branches went on: their parent if it has run
 * nothing since, or a VM restored from the same snapshot
 * @param opts the branches and more; required
 * @param ret_vm receives the new VM. Yours: free it with nova_vm_free()
 * @param ret_report receives the report, also if the merge is refused for conflicts; else NULL.
 * Yours: free it with nova_merge_free(). May be NULL
 * @return 0, or a code:
 *  - NOVA_EEXIST: conflicts; the message names the first path
 *  - NOVA_EINVAL: a bad option
 *  - NOVA_ENOTFOUND: a guest does not have the directory
 *  - NOVA_ENOSPC: no room in the new VM
 *  - NOVA_EBUSY: a VM is paused, files were changed meanwhile, or after fork()
 *  - NOVA_ETOOBIG: as of nova_vm_list_files()
 *  - NOVA_ELOST, NOVA_EAGENT: a VM was lost; the message names it
 *  - the other codes of nova_vm_fork()
 * Since 0.1.
 */
NOVA_API int nova_vm_merge(nova_vm_t *parent, const nova_merge_opts *opts, nova_vm_t **ret_vm,
	nova_merge_t **ret_report, nova_error_t **error);

/**
 * How many paths are in a report: those that differ from the parent, and conflicts.
 * @param report may be NULL
 * @return the number. Since 0.1.
 */
NOVA_API size_t nova_merge_count(const nova_merge_t *report);

/**
 * How many of these are conflicts.
 * @param report may be NULL
 * @return the number. Since 0.1.
 */
NOVA_API size_t nova_merge_conflicts(const nova_merge_t *report);

/**
 * A path of a report, in the order of nova_vm_list_files().
 * @param report may be NULL
 * @param index from 0 on
 * @return an absolute path; NULL behind the last. Since 0.1.
 */
NOVA_API const char *nova_merge_path(const nova_merge_t *report, size_t index);

/**
 * What became of a path.
 * @param report may be NULL
 * @param index from 0 on
 * @return one of #nova_merge_kind; 0 behind the last. Since 0.1.
 */
NOVA_API int nova_merge_kind(const nova_merge_t *report, size_t index);

/**
 * The branch whose path was taken; the first of them, if several have the same.
 * @param report may be NULL
 * @param index from 0 on
 * @return its index in nova_merge_opts.branches; -1: none, because the merge was refused. Since
 * 0.1.
 */
NOVA_API int nova_merge_branch(const nova_merge_t *report, size_t index);

/**
 * Frees a report.
 * @param report NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_merge_free(nova_merge_t *report);

/**
 * Starts VMM processes ahead of time for the children of a VM. Each child that is made by
 * nova_vm_fork(), nova_vm_restore() or the pool takes one, which saves the start of a process; a
 * child that is a fork of the process itself (setting `pool.hot`, nova_vm_path()) needs none. A VMM
 * that waits takes some memory and no processor time. nova_pool_tick() of any pool of this
 * context, or another call of this function, replaces those that were taken or have died. They end
 * after `life_ms`, and with the context.
 * @param vm the VM. If it was booted, it goes on in a new VMM process, as after a fork
 * @param count how many wait at the same time, 0 to 1000; 0 ends those that wait
 * @param life_ms milliseconds; 0: a minute
 * @param wait what may end the call; NULL: nothing
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad count
 *  - NOVA_ELIMIT: not all could be started; the setting `pool.max_standby` limits how many the
 *    context has
 *  - NOVA_ENOTSUP: the engine cannot
 *  - NOVA_EPERM: this user may not trace its own processes
 *  - NOVA_EENGINE: the VMM refused
 *  - NOVA_EAGENT: a guest gave no answer
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_vm_park(nova_vm_t *vm, size_t count, uint32_t life_ms, const nova_wait_opts *wait,
	nova_error_t **error);

/* --- snapshots on disk --- */

typedef struct nova_snapshot nova_snapshot_t;

/** Whether a snapshot is compressed (zstd). Then it needs less room on disk, but each restore takes
 * longer, and restored VMs do not share its memory. Since 0.1. */
enum nova_compress {
	NOVA_COMPRESS_DEFAULT = 0, /**< as the setting `snapshot.compress` says */
	NOVA_COMPRESS_ON = 1,
	NOVA_COMPRESS_OFF = 2,
};

/** Options of nova_vm_snapshot(). Since 0.1. */
typedef struct nova_snapshot_opts {
	size_t size; /**< sizeof(nova_snapshot_opts) */
	/** 1 to 64 letters, digits, '-', '_' and '.'; NULL: the id. Names are unique */
	const char *name;
	/** seconds after which nova_snapshot_prune() deletes it; 0: never */
	uint64_t life_time_s;
	uint32_t compress; /**< enum nova_compress */
	uint32_t reserved; /**< 0 */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	void *userdata; /**< given back by nova_call_userdata(), and not used otherwise */
} nova_snapshot_opts;
#define NOVA_SNAPSHOT_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_snapshot_opts), 0, 0, 0, 0, 0, 0                                       \
	}

/**
 * Writes a snapshot of a VM, which goes on. It appears whole or not at all. Of a VM that was made
 * from a snapshot or template on disk only the changes since then are stored; of other VMs the
 * whole memory, in a sparse file.
 * @param vm the VM
 * @param opts NULL: defaults
 * @param ret_snapshot receives the snapshot. Yours: free it with nova_snapshot_free(). May be
 * NULL
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad name or option
 *  - NOVA_EEXIST: the name is taken
 *  - NOVA_ENOTSUP: the engine cannot
 *  - NOVA_EPERM: this user may not trace its own processes
 *  - NOVA_EENGINE: the VMM refused
 *  - NOVA_EAGENT: the guest gave no answer
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_vm_snapshot(nova_vm_t *vm, const nova_snapshot_opts *opts,
	nova_snapshot_t **ret_snapshot, nova_error_t **error);

/**
 * Finds a snapshot and checks that it is whole, by the sizes and checksums of its files. A file
 * that has not changed since the last check is not read again.
 * @param host the context
 * @param name its name or id
 * @param ret_snapshot receives the snapshot. Yours: free it with nova_snapshot_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none
 *  - NOVA_ECORRUPT: it is damaged; the message names the file
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_snapshot_open(
	nova_host_t *host, const char *name, nova_snapshot_t **ret_snapshot, nova_error_t **error);

/**
 * All snapshots whose manifest can be read, the oldest first.
 * @param host the context
 * @param ret_snapshots receives an array. Yours: free it with nova_snapshot_list_free(). NULL if
 * there are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_snapshot_list(nova_host_t *host, nova_snapshot_t ***ret_snapshots,
	size_t *ret_count, nova_error_t **error);

/**
 * Deletes a snapshot.
 * @param host the context
 * @param name its name or id
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none
 *  - NOVA_EBUSY: VMs use it, another snapshot is based on it (the message names one), or after
 *    fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_snapshot_delete(nova_host_t *host, const char *name, nova_error_t **error);

/**
 * Deletes the snapshots whose life time is over, except those in use.
 * @param host the context
 * @param ret_count receives how many; may be NULL
 * @return 0, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_snapshot_prune(nova_host_t *host, size_t *ret_count, nova_error_t **error);

/**
 * Makes a VM that goes on from a snapshot.
 * @param host the context
 * @param snapshot the snapshot
 * @param wait what may end the call; NULL: nothing
 * @param ret_vm receives the VM. Yours: free it with nova_vm_free()
 * @return 0, or a code:
 *  - NOVA_ESTALE: the engine or its version, the processor, the guest image or the code disk is
 *    not the same as then; the message says which
 *  - NOVA_ECORRUPT: the snapshot is damaged
 *  - NOVA_ENOTFOUND: the snapshot that it is based on is gone
 *  - NOVA_ENOTSUP: the engine cannot
 *  - NOVA_EPERM: this user may not trace its own processes
 *  - NOVA_EENGINE: the VMM refused
 *  - NOVA_EAGENT: a guest gave no answer
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_vm_restore(nova_host_t *host, const nova_snapshot_t *snapshot,
	const nova_wait_opts *wait, nova_vm_t **ret_vm, nova_error_t **error);

/* --- templates: snapshots that the pool makes by itself: one for each kind of guest, without a
 * function, and from that another one for each function at its first call --- */

/**
 * All templates, the oldest first. The name of each is "template:" and its id.
 * @param host the context
 * @param ret_snapshots receives an array. Yours: free it with nova_snapshot_list_free(). NULL if
 * there are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_template_list(nova_host_t *host, nova_snapshot_t ***ret_snapshots,
	size_t *ret_count, nova_error_t **error);

/**
 * Deletes templates, except those in use. A template cannot be used any more when something that it
 * was made from has changed: engine, kernel, agent, root filesystem or code. One that is missing is
 * made again by the next call that needs it.
 * @param host the context
 * @param all 0: only those that cannot be used any more; else all
 * @param ret_count receives how many; may be NULL
 * @return 0, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_template_prune(
	nova_host_t *host, int all, size_t *ret_count, nova_error_t **error);

/** Indexes into what nova_template_stats() gives. Since 0.1. */
enum nova_template_stat {
	NOVA_TEMPLATE_COUNT = 0, /**< templates on disk */
	NOVA_TEMPLATE_BASES = 1, /**< of COUNT: with memory of their own, as those of runtimes */
	NOVA_TEMPLATE_BYTES = 2, /**< what all of them take on disk, holes not counted */
	/** the most that they may take: setting `pool.templates_disk` */
	NOVA_TEMPLATE_LIMIT_BYTES = 3,
};

/**
 * What the templates take of the disk, and may take. Whoever writes one makes room for it: those
 * that were used least lately go, but none in use.
 * @param host the context
 * @param ret_values receives the numbers of enum nova_template_stat
 * @param room how many it has room for
 * @return how many there are, which may be more, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_template_stats(
	nova_host_t *host, uint64_t *ret_values, size_t room, nova_error_t **error);

/**
 * Frees a snapshot object. The snapshot stays on disk.
 * @param snapshot NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_snapshot_free(nova_snapshot_t *snapshot);

/**
 * Frees what nova_snapshot_list() or nova_template_list() gave, with the snapshots in it.
 * @param snapshots the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_snapshot_list_free(nova_snapshot_t **snapshots, size_t count);

/**
 * The id of a snapshot.
 * @param snapshot may be NULL
 * @return 16 hex digits. Since 0.1.
 */
NOVA_API const char *nova_snapshot_id(const nova_snapshot_t *snapshot);

/**
 * The name of a snapshot.
 * @param snapshot may be NULL
 * @return the name; its id if it was given none. Since 0.1.
 */
NOVA_API const char *nova_snapshot_name(const nova_snapshot_t *snapshot);

/**
 * The directory of a snapshot.
 * @param snapshot may be NULL
 * @return its path. Since 0.1.
 */
NOVA_API const char *nova_snapshot_path(const nova_snapshot_t *snapshot);

/**
 * The snapshot whose memory a snapshot shares.
 * @param snapshot may be NULL
 * @return its id; "" if it has its own. Since 0.1.
 */
NOVA_API const char *nova_snapshot_base(const nova_snapshot_t *snapshot);

/**
 * The parent of a snapshot: the last snapshot that its VM had been made from, or that had been
 * taken of it. It may be deleted by now.
 * @param snapshot may be NULL
 * @return its id; "" for the first one of a VM that was booted. Since 0.1.
 */
NOVA_API const char *nova_snapshot_parent(const nova_snapshot_t *snapshot);

/**
 * Whether the VM of a snapshot has a function.
 * @param snapshot may be NULL
 * @return 1; 0 if not, as in the template of a runtime. Since 0.1.
 */
NOVA_API int nova_snapshot_has_function(const nova_snapshot_t *snapshot);

/**
 * Why the template of a function has no function in it, so that each VM imports the code again: a
 * call during the import whose result no two VMs may share.
 * @param snapshot may be NULL
 * @return text such as "uuid.uuid4() in main.py, line 3"; "" for all other snapshots. Since 0.1.
 */
NOVA_API const char *nova_snapshot_draws(const nova_snapshot_t *snapshot);

/**
 * When a snapshot was taken.
 * @param snapshot may be NULL
 * @return microseconds since 1970. Since 0.1.
 */
NOVA_API uint64_t nova_snapshot_created_us(const nova_snapshot_t *snapshot);

/**
 * When a VM was last made from a snapshot or template.
 * @param snapshot may be NULL
 * @return microseconds since 1970, a minute late at most; when it was written if it was not used
 * since. Since 0.1.
 */
NOVA_API uint64_t nova_snapshot_used_us(const nova_snapshot_t *snapshot);

/**
 * After what time nova_snapshot_prune() deletes a snapshot.
 * @param snapshot may be NULL
 * @return seconds; 0: never. Since 0.1.
 */
NOVA_API uint64_t nova_snapshot_life_time_s(const nova_snapshot_t *snapshot);

/**
 * What a snapshot takes on disk.
 * @param snapshot may be NULL
 * @return bytes, holes not counted. Since 0.1.
 */
NOVA_API uint64_t nova_snapshot_disk_bytes(const nova_snapshot_t *snapshot);

#ifdef __cplusplus
}
#endif
#endif
