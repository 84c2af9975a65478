/* SPDX-License-Identifier: MIT */
/* What Firecracker's advice for production hosts or a setting asks for, and this host has not. */
#include "engine/firecracker/firecracker.h"

#define FILE_MOST (1u << 20)

/* The text of a file below `root`; "" if there is none. NULL: out of memory. */
static char *text_of(const char *root, const char *path)
{
	AUTO_FREE char *whole = str_format("%s%s", root, path);
	AUTO_BUF struct buf text = BUF_INIT(FILE_MOST);
	if (!whole)
		return NULL;
	return fs_read_file(whole, &text) < 0 ? strdup("") : buf_steal_str(&text);
}

static bool says(const char *root, const char *path, const char *word)
{
	AUTO_FREE char *text = text_of(root, path);
	return text && str_starts(text, word);
}

/* One advice a line. */
static void advise(struct buf *out, const char *text)
{
	if (out->len)
		buf_append_str(out, "\n");
	buf_append_str(out, text);
}

bool fc_swap_is_on(const char *root)
{
	AUTO_FREE char *swaps = text_of(root, "/proc/swaps");
	const char *second = swaps ? strchr(swaps, '\n') : NULL;
	return !swaps || (second && second[1]);
}

static void look_at_memory(const char *root, struct buf *out)
{
	if (fc_swap_is_on(root))
		advise(out, "swap is on, so guest memory can get onto a disk: swapoff -a");
	if (says(root, "/sys/kernel/mm/ksm/run", "1"))
		advise(out, "the kernel merges equal pages (KSM), which lets tenants find out "
			    "about each other: echo 0 > /sys/kernel/mm/ksm/run");
}

static void look_at_processor(const char *root, struct buf *out)
{
	char **names;
	AUTO_FREE char *directory = str_format("%s/sys/devices/system/cpu/vulnerabilities", root);
	int count = directory ? fs_list(directory, &names) : 0;
	AUTO_BUF struct buf open = BUF_INIT(4096);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path =
			str_format("/sys/devices/system/cpu/vulnerabilities/%s", names[i]);
		if (path && says(root, path, "Vulnerable")) {
			buf_append_str(&open, open.len ? ", " : "");
			buf_append_str(&open, names[i]);
		}
	}
	if (count > 0)
		strv_free(names, (size_t)count);
	if (says(root, "/sys/devices/system/cpu/smt/active", "1"))
		advise(out, "two tenants can share a core (SMT): echo off > "
			    "/sys/devices/system/cpu/smt/control, or use core scheduling");
	AUTO_FREE char *line =
		open.len ? str_format("the processor is open to %.*s: update kernel and microcode",
				   (int)open.len, (char *)open.data) :
			   NULL;
	if (line)
		advise(out, line);
}

/* On Linux 6.1 restoring is slow unless one of two things is done. */
static void look_at_kernel(const char *root, struct buf *out)
{
	AUTO_FREE char *release = text_of(root, "/proc/sys/kernel/osrelease"),
		       *mounts = text_of(root, "/proc/mounts");
	bool old = release && str_starts(release, "6.1."),
	     quick = mounts && strstr(mounts, "favordynmods");
	if (old && !quick && !says(root, "/sys/module/kvm/parameters/nx_huge_pages", "never"))
		advise(out, "Linux 6.1 restores snapshots slowly: mount cgroup2 with favordynmods");
}

/* --- io_uring --- */

/* Whether a release of Linux has io_uring as Firecracker needs it: 5.10.51. */
static bool has_io_uring(const char *release)
{
	unsigned major = 0, minor = 0, patch = 0;
	if (sscanf(release, "%u.%u.%u", &major, &minor, &patch) < 2)
		return false;
	return major * 1000000ull + minor * 1000ull + patch >= 5010051;
}

int fc_wants_async(const char *root, const struct engine_env *env, bool is_root, bool *ret,
	nova_error_t **error)
{
	*ret = !strcmp(config_str(env->config, "firecracker.io_engine"), "Async");
	if (!*ret)
		return 0;
	AUTO_FREE char *release = text_of(root, "/proc/sys/kernel/osrelease");
	AUTO_FREE char *off = text_of(root, "/proc/sys/kernel/io_uring_disabled"); /* Linux 6.6 */
	if (!release || !off)
		return nova_oom(error);
	if (!has_io_uring(release))
		return nova_fail(error, NOVA_ENOTSUP,
			"the setting firecracker.io_engine is Async, which needs Linux 5.10.51 or "
			"later, and this is %.*s: set it to Sync",
			(int)strcspn(release, "\n"), release);
	if (*off == '2' || (*off == '1' && !is_root))
		return nova_fail(error, NOVA_ENOTSUP,
			"the setting firecracker.io_engine is Async, and io_uring is switched off "
			"for the VMM: set it to Sync, or kernel.io_uring_disabled to 0 (sysctl)");
	return 0;
}

int fc_advice(const char *root, bool is_root, const char *jailer, char **ret_text)
{
	AUTO_BUF struct buf out = BUF_INIT(16384);
	if (!is_root)
		advise(&out, "VMMs run as this user, without a jail: for tenants that do not trust "
			     "each other run as root, with the jailer installed");
	else if (!jailer)
		advise(&out,
			"there is no jailer, so VMMs run as root: install it beside firecracker");
	look_at_memory(root, &out);
	look_at_processor(root, &out);
	look_at_kernel(root, &out);
	*ret_text = out.len ? buf_steal_str(&out) : strdup("");
	return *ret_text ? 0 : NOVA_ENOMEM;
}
