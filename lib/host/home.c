/* SPDX-License-Identifier: MIT */
/* The state directory when a context is opened: who may reach it, and what the dead left in it. */
#include <errno.h>

#include "host/host.h"
#include "snapshot/snapshot.h"

/* Whoever may write here can put functions, snapshots and code of his own in the place of ours. */
static int check_rights(const char *home, nova_error_t **error)
{
	int writers = fs_open_to_writers(home);
	if (writers < 0)
		return nova_fail_os(error, writers, "state directory '%s' (setting home)", home);
	return writers ? nova_fail(error, NOVA_EPERM,
				 "other users may write in the state directory '%s': chmod go-w "
				 "'%s', or name another by the setting home",
				 home, home) :
			 0;
}

/* What lies in them is for this user alone, though the directory itself may be open to readers. */
static int close_rooms(const char *home, nova_error_t **error)
{
	static const char *const rooms[] = { "run", "disks", "disk-cache", "compiled", "snapshots",
		"daemon" };
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		AUTO_FREE char *path = path_join(home, rooms[i]);
		int r = path ? fs_make_own(path) : -ENOMEM;
		if (r < 0)
			return nova_fail_os(error, r,
				"'%s/%s' may be read by other users, and that cannot be changed: "
				"chmod 700 it as its owner",
				home, rooms[i]);
	}
	return 0;
}

int home_open(const char *home, nova_error_t **error)
{
	int r = fs_mkdirs(home, 0700);
	if (r < 0)
		return nova_fail_os(
			error, r, "state directory '%s' (setting home, variable NOVA_HOME)", home);
	int code = check_rights(home, error);
	if (code == 0)
		code = close_rooms(home, error);
	if (code < 0)
		return code;
	fs_sweep_temps(home, NULL);
	fs_reserve(home, true);
	AUTO_FREE char *snapshots = path_join(home, "snapshots");
	if (snapshots)
		snapshot_sweep(snapshots);
	return 0;
}
