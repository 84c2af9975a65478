/* SPDX-License-Identifier: MIT */
/* What is told of KVM without running anything: what is behind it, and for whom it is. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/kvm.h"

static bool has_module(const char *root, const char *name)
{
	AUTO_FREE char *path = str_format("%s/sys/module/%s", root, name);
	return path && fs_exists(path) == 1;
}

/* Whether the processor can run guests itself (VT-x or AMD-V). */
static bool has_virtualisation(const char *root)
{
	char text[16384]; /* the first processor, and more */
	AUTO_FREE char *path = str_format("%s/proc/cpuinfo", root);
	AUTO_FD int fd = path ? sys_open(path, O_RDONLY, 0) : -1;
	ssize_t got = fd < 0 ? -1 : sys_read(fd, text, sizeof(text) - 1);
	if (got < 0)
		return false;
	text[got] = 0;
	char *flags = strstr(text, "\nflags");
	char *end = flags ? strchr(flags + 1, '\n') : NULL;
	if (end)
		*end = 0;
	return flags && (strstr(flags, " vmx") || strstr(flags, " svm"));
}

/* Where both are built in, the one for the processor comes first, if that can. */
bool kvm_is_pvm(const char *root)
{
	if (!has_module(root, "kvm_pvm"))
		return false;
	bool other = has_module(root, "kvm_intel") || has_module(root, "kvm_amd");
	return !other || !has_virtualisation(root);
}

char *kvm_closed(const struct stat *device, bool is_vmm)
{
	unsigned mode = device->st_mode & 0777, gid = device->st_gid;
	if (is_vmm)
		return str_format("/dev/kvm (group %u, mode %04o) is closed to the user that QEMU "
				  "runs as, which has no rights of root's but the device's group: "
				  "chgrp kvm /dev/kvm && chmod g+rw /dev/kvm",
			gid, mode);
	if (gid && (mode & 060) == 060)
		return str_format("/dev/kvm is there, but this user is not in its group (%u): "
				  "usermod -aG $(stat -c %%G /dev/kvm) USER and log in again, or "
				  "setfacl -m u:%u:rw /dev/kvm",
			gid, (unsigned)geteuid());
	return str_format("/dev/kvm (group %u, mode %04o) is there, but closed to this user: "
			  "setfacl -m u:%u:rw /dev/kvm, or chgrp kvm /dev/kvm && chmod g+rw "
			  "/dev/kvm and join the group kvm",
		gid, mode, (unsigned)geteuid());
}

char *kvm_is_closed(const struct kvm_fitness *kvm)
{
	struct stat device;
	bool is_closed = kvm->state == KVM_DENIED && stat("/dev/kvm", &device) == 0;
	return is_closed ? kvm_closed(&device, false) : NULL;
}
