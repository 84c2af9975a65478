/* SPDX-License-Identifier: MIT */
/**
 * @file nova/snapshot.h
 * Fork and snapshot: more microVMs from one that already runs, in milliseconds.
 *
 * A fork makes children that go on from the same instant as their parent. They share its memory
 * copy-on-write, so a child costs what it writes. A snapshot is such an instant in a directory, to
 * go on from later and in other processes.
 *
 * Every child and every restored VM is somebody of its own before it handles a byte of work: the
 * kernel's random generator is reseeded from this host, its clock is stepped to this host's, and
 * hostname and machine-id are new.
 *
 * A function may have hooks that its guest runs: before_snapshot before the instant, after_restore
 * in each child before its first call (docs/protocol.md); one that fails or does not end makes the
 * fork, snapshot or restore fail.
 *
 * The VM that is forked or snapshotted must be between two calls: a call under way is waited for.
 * It stands still for some milliseconds. When it was booted (not restored or forked) its memory
 * becomes the common base and the VM itself goes on in a new VMM process: nova_vm_pid() changes.
 *
 * Threads: as in nova/vm.h. Snapshots on disk may be used by several processes at once.
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
 * Forks a VM: children go on from this instant, with the function that it has. Either all are
 * made or none; the parent goes on in both cases. A child may stand still until it is used for
 * the first time (docs/snapshots.md); its state is #NOVA_VM_RUNNING.
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

/** What happens to a path that two branches have changed differently, or one has changed and
 * another deleted. Since 0.1. */
enum nova_merge_conflict {
	NOVA_MERGE_REFUSE = 0, /**< nothing is merged */
	/** the branch whose path has the latest time of change has its way; a deletion gives way to
	   a change. Equal times: as FIRST */
	NOVA_MERGE_LATEST = 1,
	NOVA_MERGE_FIRST = 2, /**< the first of these branches, in the order given, has its way */
};

/** Options of nova_vm_merge(). Since 0.1. */
typedef struct nova_merge_opts {
	size_t size;                /**< sizeof(nova_merge_opts) */
	nova_vm_t *const *branches; /**< what is merged: running VMs; required */
	size_t branch_count;        /**< 1 to 64 */
	/** what is merged: all that is below it; NULL: /tmp, where functions write */
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
	NOVA_MERGE_CONFLICT = 4, /**< nova_merge_branch() had its way, if anyone */
};

/** What came of a merge, path by path. Immutable; may be read from any thread. */
typedef struct nova_merge nova_merge_t;

/**
 * Makes one VM of several that have gone on from the same instant: a fork of their parent with
 * the files that the branches have added, changed and deleted since. Only files below one
 * directory are merged: their content, permissions and times, directories and symbolic links.
 * Memory and processes are the parent's: a function that keeps what it knows in variables of its
 * process loses it.
 *
 * A path that no branch has changed stays as it is. One that was changed by one branch, or by
 * several in the same way, becomes what they made of it. All else is a conflict. Nothing of the
 * parent and the branches is changed.
 * @param parent a VM that still stands where the branches began: their parent that has not gone
 * on, or a VM restored from the same snapshot
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
 * How many paths are in a report: those that are not as in the parent, and conflicts.
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
 * The branch whose path it is, the first if there are several.
 * @param report may be NULL
 * @param index from 0 on
 * @return its index; -1 for none, since the merge was refused. Since 0.1.
 */
NOVA_API int nova_merge_branch(const nova_merge_t *report, size_t index);

/**
 * Frees a report.
 * @param report NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_merge_free(nova_merge_t *report);

/**
 * Keeps VMMs that have been started and wait for the children of a VM. A fork, the restore of a
 * snapshot with the same memory and the pool take one each if there is one: that saves the start
 * of a process. One costs the memory of a VMM process and no processor time. Those that were
 * taken or died are replaced by nova_pool_tick() of any pool of this context, or by this call.
 * They end when their time is over, and with the context. A VM that was booted becomes a clone of
 * itself, as by a fork.
 * @param vm the VM
 * @param count how many shall wait, 0 to 1000; 0 ends those that wait
 * @param life_ms milliseconds; 0: a minute
 * @param wait what may end the call; NULL: nothing
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad count
 *  - NOVA_ELIMIT: not all could be started; the setting `pool.max_standby` limits those of the
 *    context
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

/**
 * How long a VM stood still at its last fork or snapshot.
 * @param vm may be NULL
 * @return microseconds; 0 if there was none, and after fork(). Since 0.1.
 */
NOVA_API uint64_t nova_vm_stood_still_us(nova_vm_t *vm);

/* --- snapshots on disk --- */

typedef struct nova_snapshot nova_snapshot_t;

/** Whether a snapshot is compressed (zstd): it takes a fraction of the room, but is uncompressed
 * into memory at each restore, which takes longer and is then not shared between restored VMs.
 * Since 0.1. */
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
	uint64_t life_time_s; /**< nova_snapshot_prune() deletes it when it is older; 0: never */
	uint32_t compress;    /**< enum nova_compress */
	uint32_t reserved;    /**< 0 */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_snapshot_opts;
#define NOVA_SNAPSHOT_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_snapshot_opts), 0, 0, 0, 0, 0                                          \
	}

/**
 * Writes a snapshot of a VM, which goes on. It appears whole or not at all. A VM that came from a
 * snapshot or template on disk is stored as what it has written since; of others the memory is
 * stored, too, as a sparse file.
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
 *  - NOVA_EAGENT: a guest gave no answer
 *  - NOVA_ELOST: the VM is dead
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_vm_snapshot(nova_vm_t *vm, const nova_snapshot_opts *opts,
	nova_snapshot_t **ret_snapshot, nova_error_t **error);

/**
 * Finds a snapshot and checks that it is whole: sizes and checksums of its files, which are read
 * once and then remembered.
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
 * All snapshots whose manifest can be read, by time.
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
 *  - NOVA_EBUSY: VMs run on it, another snapshot is based on it (one is named), or after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_snapshot_delete(nova_host_t *host, const char *name, nova_error_t **error);

/**
 * Deletes the snapshots whose life time is over, but those in use.
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
 *  - NOVA_ESTALE: engine or its version, processor, guest image or code disk is another one; the
 *    message says which
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
 * function, and from that one for each function at its first call --- */

/**
 * All templates, by time. Their names are "template:" and their id.
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
 * Deletes templates, but those in use: the ones that nothing can use any more since an input has
 * changed (engine, kernel, agent, root filesystem, code), or every one. A deleted template is
 * made anew at the next call that wants it.
 * @param host the context
 * @param all 0: only those of no more use; else all
 * @param ret_count receives how many; may be NULL
 * @return 0, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_template_prune(
	nova_host_t *host, int all, size_t *ret_count, nova_error_t **error);

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
 * The snapshot that the VM had gone on from, or had left last: the parent of this branch. It may
 * be deleted by now.
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
 * Of the template of a function that is imported anew in each VM, the reason: the call of its
 * import whose result would be the same in all clones, as "uuid.uuid4() in main.py, line 3".
 * @param snapshot may be NULL
 * @return text; "" for all others. Since 0.1.
 */
NOVA_API const char *nova_snapshot_draws(const nova_snapshot_t *snapshot);

/**
 * When a snapshot was taken.
 * @param snapshot may be NULL
 * @return microseconds since 1970. Since 0.1.
 */
NOVA_API uint64_t nova_snapshot_created_us(const nova_snapshot_t *snapshot);

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
