/* SPDX-License-Identifier: MIT */
/* Programs that are no children of this process. */
#ifndef NOVA_LIB_BASE_SYS_DETACH_H
#define NOVA_LIB_BASE_SYS_DETACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A program of which, with all that it starts, no wait() of this process sees anything, and whose
 * end sends it no signal: not even if this process is init or a subreaper (sys_detach.c says how).
 */
struct detached {
	int64_t reaper; /* the process in between; 0: none */
	int life;       /* nobody holds its other end but the reaper, which ends last */
	void *memory;   /* the reaper's */
};
#define DETACHED_NONE                                                                              \
	{                                                                                          \
		0, -1, NULL                                                                        \
	}
/* `environment` ends with NULL, and is static, as is what is in it: this process may have secrets
 * in its own. `fds` become 3, 4, … and are followed by `life`, on which the program finds something
 * to read when this process has ended, and only its end when the reaper was killed; nothing else is
 * inherited. Safe in a program with threads. The program is being executed when it returns. */
int sys_detached_start(const char *const *argv, const char *const *environment, const int *fds,
	size_t fd_count, struct detached *ret);
void sys_detached_kill(const struct detached *d); /* all of it, with SIGKILL */
/* True: all has ended. */
bool sys_detached_wait(const struct detached *d, uint64_t deadline);
/* The same, and what was held is released then. DETACHED_NONE is accepted. */
bool sys_detached_end(struct detached *d, uint64_t deadline);

#endif
