/* SPDX-License-Identifier: MIT */
/**
 * @file nova/backup.h
 * All that a platform keeps, as one archive, and back.
 *
 *     int code = nova_export(nova, "nova.tar.gz", &error); // on one host
 *     if (code == 0)
 *             puts("copy it to the other host, which is empty");
 *     code = nova_import(nova, "nova.tar.gz", 0, &error); // there
 *     if (code < 0)
 *             puts(nova_error_message(error));
 *
 * An archive has the functions with their code, published versions, aliases, runtimes of the user's
 * own with their root filesystems, API keys (as hashes), secrets (encrypted, as the store has
 * them: who imports needs the same keys, settings `secret.key_file` and NOVA_SECRET_KEY) and what
 * functions keep (nova/kv.h). It has no log of calls, no usage, no snapshots and no settings. It
 * can be imported into any store, whichever it came from. docs/backup.md has more.
 *
 * Any thread, and several processes, as in nova/function.h.
 */
#ifndef NOVA_BACKUP_H
#define NOVA_BACKUP_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Writes an archive of everything as it is at one moment. Calls, registering and deleting go on
 * meanwhile; if a function is deleted whose code was still to be read, it is begun anew.
 * @param nova the platform
 * @param path of the archive, a gzip'ed tar. What is there is replaced when the new one is whole.
 * Only its owner can read it
 * @return 0, or a code; then no archive was written, and what was there stays:
 *  - NOVA_ECORRUPT: the store, or the code of a function, is damaged; the message names it
 *  - NOVA_ETOOBIG: a file of a function has 8 GiB or more, the store 1 GiB of rows, or what
 *    functions keep 8 GiB, in which each byte is two digits
 *  - NOVA_EBUSY: functions were deleted all the time; also after fork()
 *  - NOVA_ENOTSUP: a module of the library is missing; the message names it
 *  - NOVA_ENOTFOUND, NOVA_EPERM, NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_export(nova_t *nova, const char *path, nova_error_t **error);

/** How an archive is imported. Since 0.1. */
enum nova_import_flags {
	/** what is there already stays; it is an error if both have something of one name */
	NOVA_IMPORT_MERGE = 1 << 0,
};

/**
 * Adds everything that is in an archive: all of it, or nothing, also if the process is killed. The
 * archive is read to its end and checked before anything counts; it may come from anybody. Others
 * register, call and keep something meanwhile.
 * @param nova the platform; without #NOVA_IMPORT_MERGE its store must be empty
 * @param path of the archive
 * @param flags of enum nova_import_flags
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_EINVAL: a flag that is not known
 *  - NOVA_EEXIST: the store is not empty, or has something of that name; the message names it
 *  - NOVA_ECORRUPT: it is no archive of nova_export(), or is damaged; or the store is
 *  - NOVA_ENOTSUP: a newer libnova made it; or a module of the library is missing
 *  - NOVA_ETOOBIG: it lists more than this library reads
 *  - NOVA_EBUSY: another import into the same store is under way, and was for 10 s; also after
 *    fork()
 *  - NOVA_ENOTFOUND, NOVA_EPERM, NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_import(nova_t *nova, const char *path, uint32_t flags, nova_error_t **error);

#ifdef __cplusplus
}
#endif

#endif
