/* SPDX-License-Identifier: MIT */
/* Small things with files and descriptors. */
#include <fcntl.h>

#include "agent/io/io.h"

int write_text(const char *path, const char *text)
{
	AUTO_FD int fd = sys_open(path, O_WRONLY, 0);
	return fd < 0 ? fd : sys_write_all(fd, text, strlen(text));
}

void close_fd(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}
