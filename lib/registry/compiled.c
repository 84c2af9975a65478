/* SPDX-License-Identifier: MIT */
/* Where the machine code of modules of WebAssembly is kept: a directory for each code. That of
 * functions goes with them; of what is run once the longest unused goes. */
#include "hash/hash.h"
#include "registry/internal.h"

#define ROOM "compiled" /* in the state directory */
#define ONCE "once-"    /* and the hash of a module that no function has */
#define KEPT 16         /* of those */

char *compiled_path(const struct registry *registry, const char *hash)
{
	return str_format("%s/" ROOM "/%s", registry->home, hash);
}

static uint64_t last_use(const char *path)
{
	uint64_t bytes, used_us;
	return fs_stat_use(path, &bytes, &used_us) == 0 ? used_us : UINT64_MAX;
}

/* The one that was used the longest ago, if there are as many as are kept; freed by the caller. */
static char *oldest_once(const char *room)
{
	char **names, *found = NULL;
	uint64_t least = UINT64_MAX;
	int count = fs_list(room, &names), kept = 0;
	for (int i = 0; i < count; i++) {
		if (!str_starts(names[i], ONCE))
			continue;
		AUTO_FREE char *path = path_join(room, names[i]);
		uint64_t used = path ? last_use(path) : UINT64_MAX;
		kept++;
		if (used >= least)
			continue;
		least = used;
		free(found);
		found = STEAL(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	if (kept < KEPT)
		free(STEAL(found));
	return found;
}

static void make_room(const char *room)
{
	for (int r = 0; r == 0;) {
		AUTO_FREE char *path = oldest_once(room);
		r = path ? fs_remove_tree(path) : -1;
	}
}

char *compiled_once(const struct registry *registry, const void *code, size_t len)
{
	char hash[SHA256_HEX];
	AUTO_FREE char *room = path_join(registry->home, ROOM);
	char *path = room && sha256_hex(code, len, hash) == 0 ?
			     str_format("%s/" ONCE "%s", room, hash) :
			     NULL;
	if (path && fs_set_atime(path, clock_unix_us()) < 0)
		make_room(room); /* it is not there yet */
	return path;
}

void compiled_sweep(
	struct registry *registry, void (*drop)(struct registry *registry, const char *hash))
{
	AUTO_FREE char *room = path_join(registry->home, ROOM);
	char **names;
	int count = room ? fs_list(room, &names) : -1;
	for (int i = 0; i < count; i++)
		if (!str_starts(names[i], ONCE))
			drop(registry, names[i]);
	if (count >= 0)
		strv_free(names, (size_t)count);
}
