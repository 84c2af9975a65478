/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"
#include "keeper/limits.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#ifndef PR_THP_DISABLE_EXCEPT_ADVISED
#define PR_THP_DISABLE_EXCEPT_ADVISED (1 << 1)
#endif

/* The host gives huge pages to memory for which they are asked for, and to no other. */
static bool huge_if_advised;

void limits_begin(void)
{
	AUTO_BUF struct buf text = BUF_INIT(256);
	huge_if_advised = fs_read_file("/sys/kernel/mm/transparent_hugepage/enabled", &text) == 0 &&
			  memmem(text.data, text.len, "[madvise]", 9);
}

/* What is translated is in memory for which QEMU asks for huge pages. Of one that is forked a child
 * has that in common with its parent, and the fewer pages it is, the sooner it is forked and ended.
 * Before Linux 6.18 nobody can have those alone where the host gives them to all memory. It is set
 * in any case: our memory is still the child's, and has what the last one was given. */
IN_VFORK static void limit_huge_pages(bool frugal, bool is_zygote)
{
	if (!frugal || (is_zygote && huge_if_advised))
		prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	else if (!is_zygote ||
		 prctl(PR_SET_THP_DISABLE, 1, PR_THP_DISABLE_EXCEPT_ADVISED, 0, 0) < 0)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* inherited across exec too */
}

IN_VFORK void limits_take(const struct keeper_request *request)
{
	struct rlimit no_core = { 0, 0 };
	setrlimit(RLIMIT_CORE, &no_core); /* a core of a VMM is the guest's memory on disk */
	/* a guest that takes all memory is what the kernel is to end first, and nobody else */
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "1000", 4);
	if (request->merge_memory)
		/* Linux 6.4; inherited across exec */
		prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0);
	limit_huge_pages(request->frugal, request->zygote);
}
