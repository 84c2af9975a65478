/* SPDX-License-Identifier: MIT */
/* PID 1, second half: the root filesystem and the code disk. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot/boot.h"

#define ROOT_DISK    "/dev/vda"
#define CODE_DISK    "/dev/vdb"
#define VIRTIO_BLOCK 2
#define DISK_WAIT_MS 2000

static bool is_there(void *path)
{
	return access(path, F_OK) == 0;
}

/* Drivers are bound while their module is loaded, so this waits only for a disk that is known to
 * come. */
static bool disk_there(int events, char *path)
{
	return is_there(path) ||
	       (device_exists(VIRTIO_BLOCK) && device_wait(events, is_there, path, DISK_WAIT_MS));
}

static dev_t initramfs;

/* Memory of what was needed for booting only; never leaves the file system that PID 1 was started
 * from. */
static int remove_boot_file(const char *path, const struct stat *st, int type, struct FTW *level)
{
	(void)level;
	if (st->st_dev == initramfs && (type == FTW_F || type == FTW_SL))
		unlink(path);
	return 0;
}

static void free_initramfs(void)
{
	struct stat st;
	if (stat("/", &st) < 0)
		return;
	initramfs = st.st_dev;
	nftw("/", remove_boot_file, 16, FTW_PHYS | FTW_MOUNT);
}

static char *move_mounts(void)
{
	static const char *const points[] = { "/dev", "/proc", "/sys", "/run", "/tmp" };
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		char target[32];
		snprintf(target, sizeof(target), "/newroot%s", points[i]);
		if (mount(points[i], target, NULL, MS_MOVE, NULL) < 0)
			return str_format(
				"the root filesystem has no directory %s to mount on (%s)",
				points[i], strerror(errno));
	}
	return NULL;
}

static char *switch_root(void)
{
	mkdir("/newroot", 0755);
	if (mount(ROOT_DISK, "/newroot", "ext4", MS_RDONLY | MS_NODEV, NULL) < 0)
		return str_format("the root filesystem on " ROOT_DISK " cannot be mounted: %s",
			strerror(errno));
	char *wrong = move_mounts();
	if (wrong)
		return wrong;
	free_initramfs();
	if (chdir("/newroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
		chdir("/") < 0)
		return str_format("the root filesystem cannot be entered: %s", strerror(errno));
	return NULL;
}

static char *mount_code(void)
{
	mkdir("/code", 0755);
	if (mount(CODE_DISK, "/code", "ext4", MS_RDONLY | MS_NODEV | MS_NOSUID, NULL) == 0)
		return NULL;
	return str_format(
		"the code disk on " CODE_DISK " cannot be mounted on /code: %s", strerror(errno));
}

/* --- code that comes later ---
 *
 * A guest that is to serve any function is snapshotted without one. Its code disk is then only a
 * placeholder, and a clone is started with another in that place. The kernel goes on with the size
 * that it has seen, that of the placeholder, which no code disk exceeds. Of its content it has kept
 * nothing, as nobody has the device open.
 */

static bool is_placeholder(void)
{
	char begin[PROTO_CODE_LATER_LEN];
	AUTO_FD int fd = sys_open(CODE_DISK, O_RDONLY, 0);
	return fd >= 0 && sys_pread_all(fd, begin, sizeof(begin), 0) == 0 &&
	       !memcmp(begin, PROTO_CODE_LATER, sizeof(begin));
}

char *code_arrive(struct guest *guest)
{
	if (!guest->code_later)
		return NULL;
	if (is_placeholder())
		return strdup("this guest has no code disk yet");
	guest->code_later = false;
	return mount_code();
}

char *root_enter(struct guest *guest, int events)
{
	if (!disk_there(events, (char[]){ ROOT_DISK }))
		return NULL;
	char *wrong = switch_root();
	if (wrong)
		return wrong;
	guest->root = ROOT_DISK;
	if (!is_there((char[]){ CODE_DISK }))
		return NULL;
	guest->code_later = is_placeholder();
	return guest->code_later ? NULL : mount_code();
}
