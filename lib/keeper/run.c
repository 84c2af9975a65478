/* SPDX-License-Identifier: MIT */
/* Programs that answer and end. */
#include "keeper/keeper.h"

int keeper_run(struct keeper *keeper, const char *const *argv, uint32_t patience_ms,
	struct program_answer *ret, nova_error_t **error)
{
	int pair[2];
	int r = sys_pipe(pair);
	if (r < 0)
		return nova_fail_os(error, r, "pipe to '%s'", argv[0]);
	AUTO_FD int ours = pair[0], theirs = pair[1];
	struct spawn spawn = { .argv = argv, .fds = &theirs, .fd_count = 1 };
	struct process process = PROCESS_NONE;
	int code = keeper_spawn(keeper, &spawn, &process, error);
	if (code < 0)
		return code;
	fd_close(STEAL_FD(theirs));
	ret->ended = process_wait(&process, deadline_in_ms(patience_ms));
	process_done(&process, &ret->status);
	ssize_t got = ret->ended ? sys_read(ours, ret->line, sizeof(ret->line) - 1) : 0;
	ret->line[got > 0 ? got : 0] = 0;
	ret->line[strcspn(ret->line, "\n")] = 0;
	return 0;
}
