/* SPDX-License-Identifier: MIT */
/* What a request prints, from its pipes into memory. */
#include <errno.h>

#include "agent/run/run.h"

#define READ_BLOCK (64u << 10)

bool output_read(struct output *out)
{
	static uint8_t block[READ_BLOCK];
	ssize_t got = sys_read(out->fd, block, sizeof(block));
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		if (!out->borrowed)
			fd_close(out->fd);
		out->fd = -1;
		return false;
	}
	if (out->whole && buf_append(&out->unsent, block, (size_t)got) < 0)
		out->truncated = true;
	size_t room = out->kept.max - out->kept.len, take = (size_t)got < room ? (size_t)got : room;
	out->total += (size_t)got;
	if (buf_append(&out->kept, block, take) < 0 || take < (size_t)got)
		out->truncated = true;
	return true;
}

void output_drain(struct output out[2])
{
	for (int n = 0; n < 2; n++)
		for (int i = 0; i < 32 && out[n].fd >= 0; i++)
			if (!output_read(&out[n]))
				break;
}
