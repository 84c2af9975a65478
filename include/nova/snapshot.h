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
 * Forks a VM: `count` children go on from this instant, with the function that it has.
 * Where the engine can (QEMU), a child with a function without hooks stands still until it is asked
 * something for the first time (nova_vm_invoke(), nova_vm_command(), nova_vm_ping(), nova_vm_fork()
 * …) or nova_vm_resume() is called for it: it needs no processor until then, and is told who it is
 * with that first request. Of children that are more than the processors, each stands still again
 * after its first request as long as there are others who have not been asked: what its guest does
 * after an answer would take the time that they need. Its next request makes it go on.
 * nova_vm_state() is NOVA_VM_RUNNING all the time.
 * @param count        1 to 1000
 * @param ret_children array of at least `count` that receives the children, each to be freed;
 * nothing on failure
 * @return 0; NOVA_EINVAL; NOVA_ENOTSUP if the engine cannot; NOVA_ELOST if the VM is dead;
 * NOVA_EPERM if this user may not trace its own processes; NOVA_EENGINE; NOVA_EAGENT if a child
 * that does not stand still does not answer. Either all children are made or none; the parent goes
 * on in both cases. Since 0.1.
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
 * Makes one VM of several that have gone on from the same instant: a fork of their parent, with the
 * files that the branches have added, changed and deleted since. Only files below one directory are
 * merged: their content, permissions and times, directories and symbolic links. Memory and
 * processes are not; those of the new VM are the parent's. So a function that keeps what it knows
 * in variables of its process loses it by a merge.
 *
 * A path that no branch has changed stays as it is, one that was changed by one branch, or by
 * several in the same way, becomes what they made of it. All else is a conflict. Nothing of
 * `parent` and the branches is changed.
 * @param parent     a VM that still stands where the branches began: it is what they are compared
 * with. Either their parent that has not gone on, or restored from the snapshot that they were
 * restored from
 * @param opts       with the branches
 * @param ret_vm     the new VM, to be freed; written only on success
 * @param ret_report receives the report on success **and** when the merge is refused for conflicts;
 * NULL: none is wanted. Otherwise it is set to NULL. Free with nova_merge_free()
 * @return 0; NOVA_EEXIST for conflicts, naming the first path; NOVA_EINVAL; NOVA_ENOSPC in the new
 * VM; NOVA_EBUSY for a VM that is paused, or files that were changed while they were merged;
 * NOVA_ENOTFOUND for a directory that a guest does not have; NOVA_ETOOBIG as by
 * nova_vm_list_files(); NOVA_ELOST or NOVA_EAGENT naming the VM; the codes of nova_vm_fork(). Since
 * 0.1.
 */
NOVA_API int nova_vm_merge(nova_vm_t *parent, const nova_merge_opts *opts, nova_vm_t **ret_vm,
	nova_merge_t **ret_report, nova_error_t **error);

/** paths that are not as in the parent, and conflicts. Since 0.1. */
NOVA_API size_t nova_merge_count(const nova_merge_t *report);
/** how many of these are conflicts. Since 0.1. */
NOVA_API size_t nova_merge_conflicts(const nova_merge_t *report);
/** absolute, in the order of nova_vm_list_files(); NULL behind the last. Since 0.1. */
NOVA_API const char *nova_merge_path(const nova_merge_t *report, size_t index);
/** one of #nova_merge_kind; 0 behind the last. Since 0.1. */
NOVA_API int nova_merge_kind(const nova_merge_t *report, size_t index);
/** Index of the branch whose path it is, the first if there are several; -1 for none, since the
 * merge was refused. Since 0.1. */
NOVA_API int nova_merge_branch(const nova_merge_t *report, size_t index);
NOVA_API void nova_merge_free(nova_merge_t *report); /**< NULL is accepted. Since 0.1. */

/**
 * Keeps VMM processes on standby for the children of a VM: they have come up and wait at the memory
 * that the VM shares, bound to no child yet. A fork, the restore of a snapshot with the same memory
 * and the pool take one each when there is one, which saves them the start of a process. Each
 * costs the memory of a VMM process and no processor. Those that were taken or died are replaced by
 * nova_pool_tick() of any pool of this context, or by calling this again. They are ended by that
 * too, once their time is over, and in any case with the context. A VM that was booted becomes a
 * clone of itself, as by a fork.
 * @param count   how many shall wait, 0 to 1000; 0: those that wait are ended
 * @param life_ms for how long; 0: a minute
 * @return 0; NOVA_EINVAL; NOVA_ENOTSUP if the engine cannot; NOVA_ELOST if the VM is dead;
 * NOVA_ELIMIT if not all could be started: the setting `pool.max_standby` limits those of the whole
 * context; NOVA_EENGINE; NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_vm_park(nova_vm_t *vm, size_t count, uint32_t life_ms, const nova_wait_opts *wait,
	nova_error_t **error);

/** How the last fork or snapshot of the VM spent its time: microseconds that it stood still; 0 if
 * there was none. Since 0.1. */
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
 * Writes a snapshot of a VM, which goes on. A VM that came from a snapshot or template on disk is
 * stored as what it has written since; otherwise its memory is stored too (as a sparse file). The
 * snapshot appears whole or not at all, whatever happens meanwhile.
 * @param ret_snapshot to be freed with nova_snapshot_free(); may be NULL
 * @return 0; NOVA_EEXIST for a name that is taken; the codes of nova_vm_fork(); NOVA_ENOSPC;
 * NOVA_EIO. Since 0.1.
 */
NOVA_API int nova_vm_snapshot(nova_vm_t *vm, const nova_snapshot_opts *opts,
	nova_snapshot_t **ret_snapshot, nova_error_t **error);

/**
 * Finds a snapshot by name or id, and checks that it is whole: sizes and checksums of its files
 * (read once, then remembered).
 * @return 0; NOVA_ENOTFOUND; NOVA_ECORRUPT naming the file. Since 0.1.
 */
NOVA_API int nova_snapshot_open(
	nova_host_t *host, const char *name, nova_snapshot_t **ret_snapshot, nova_error_t **error);

/** All snapshots whose manifest can be read, by time. Free with nova_snapshot_list_free(). @return
 * 0; NOVA_EIO; NOVA_ENOMEM. Since 0.1. */
NOVA_API int nova_snapshot_list(nova_host_t *host, nova_snapshot_t ***ret_snapshots,
	size_t *ret_count, nova_error_t **error);

/** Deletes a snapshot. @return 0; NOVA_ENOTFOUND; NOVA_EBUSY while VMs run on it or other snapshots
 * are based on it (one is named); NOVA_EIO. Since 0.1. */
NOVA_API int nova_snapshot_delete(nova_host_t *host, const char *name, nova_error_t **error);

/** Deletes the snapshots whose life time is over, but those in use. `ret_count` (may be NULL)
 * receives how many. @return 0; NOVA_EIO. Since 0.1. */
NOVA_API int nova_snapshot_prune(nova_host_t *host, size_t *ret_count, nova_error_t **error);

/**
 * A new VM that goes on from a snapshot.
 * @return 0; NOVA_ESTALE naming what does not fit (engine or its version, processor, guest image or
 * code disk changed); NOVA_ECORRUPT; NOVA_ENOTFOUND for a base that was removed; NOVA_EENGINE;
 * NOVA_EAGENT. Since 0.1.
 */
NOVA_API int nova_vm_restore(nova_host_t *host, const nova_snapshot_t *snapshot,
	const nova_wait_opts *wait, nova_vm_t **ret_vm, nova_error_t **error);

/* --- templates: snapshots that the pool makes by itself: one for each kind of guest, without a
 * function, and from that one for each function at its first call --- */

/** All templates, by time. Their names are "template:" and their id. Free with
 * nova_snapshot_list_free(). @return 0; NOVA_EIO; NOVA_ENOMEM. Since 0.1. */
NOVA_API int nova_template_list(nova_host_t *host, nova_snapshot_t ***ret_snapshots,
	size_t *ret_count, nova_error_t **error);

/**
 * Deletes templates, but those in use: the ones that nothing can use any more, since an input has
 * changed (engine, kernel, agent, root filesystem, code disk), or every one. A deleted template is
 * made anew at the next call that wants it.
 * @param all       0: only those of no more use; else all
 * @param ret_count receives how many; may be NULL
 * @return 0; NOVA_EIO; NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_template_prune(
	nova_host_t *host, int all, size_t *ret_count, nova_error_t **error);

/** Frees one snapshot handle; the snapshot stays on disk. NULL is accepted. Since 0.1. */
NOVA_API void nova_snapshot_free(nova_snapshot_t *snapshot);

/** Frees what nova_snapshot_list() gave. Since 0.1. */
NOVA_API void nova_snapshot_list_free(nova_snapshot_t **snapshots, size_t count);

/** 16 hex digits. Since 0.1. */
NOVA_API const char *nova_snapshot_id(const nova_snapshot_t *snapshot);
NOVA_API const char *nova_snapshot_name(const nova_snapshot_t *snapshot); /**< Since 0.1. */
/** its directory. Since 0.1. */
NOVA_API const char *nova_snapshot_path(const nova_snapshot_t *snapshot);
/** id of the snapshot whose memory it shares; "" if it has its own. Since 0.1. */
NOVA_API const char *nova_snapshot_base(const nova_snapshot_t *snapshot);
/** Id of the snapshot that its VM had gone on from, or had left last: the parent of this branch; ""
 * for the first of a VM that was booted. It may be deleted by now. Since 0.1. */
NOVA_API const char *nova_snapshot_parent(const nova_snapshot_t *snapshot);
/** 1 if its VM has a function; 0: none, as in the template of a runtime. Since 0.1. */
NOVA_API int nova_snapshot_has_function(const nova_snapshot_t *snapshot);
/** Of the template of a function that is imported anew in each VM: the call of its import that is
 * the reason, as "uuid.uuid4() in main.py, line 3", since what it returned would be the same in all
 * clones; else "". Since 0.1. */
NOVA_API const char *nova_snapshot_draws(const nova_snapshot_t *snapshot);
/** microseconds since 1970. Since 0.1. */
NOVA_API uint64_t nova_snapshot_created_us(const nova_snapshot_t *snapshot);
/** 0: no end. Since 0.1. */
NOVA_API uint64_t nova_snapshot_life_time_s(const nova_snapshot_t *snapshot);
/** bytes that it takes on disk, holes not counted. Since 0.1. */
NOVA_API uint64_t nova_snapshot_disk_bytes(const nova_snapshot_t *snapshot);

#ifdef __cplusplus
}
#endif
#endif
