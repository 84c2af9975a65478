/* SPDX-License-Identifier: MIT */
/* What the tools of coreutils call and WASI has not: there are one thread, one process, and no
 * copies of descriptors. Types are those that the callers believe in: other ones would trap. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int flockfile(FILE *file)
{
	(void)file;
	return 0;
}

int funlockfile(FILE *file)
{
	(void)file;
	return 0;
}

int mtx_init(void *lock, int type)
{
	(void)lock, (void)type;
	return 0;
}

int mtx_lock(void *lock)
{
	(void)lock;
	return 0;
}

int mtx_unlock(void *lock)
{
	(void)lock;
	return 0;
}

void call_once(int *done, void (*function)(void))
{
	if (!*done)
		function();
	*done = 1;
}

int rpl_open(const char *path, int flags, ...)
{
	return open(path, flags, 0666);
}

int rpl_fcntl(int fd, int command, ...)
{
	va_list list;
	va_start(list, command);
	int argument = va_arg(list, int);
	va_end(list);
	return fcntl(fd, command, argument);
}

int dup2(int from, int to)
{
	(void)from, (void)to;
	return -1;
}

int kill(int pid, int signal)
{
	(void)pid, (void)signal;
	return -1;
}

int pipe(int ends[2])
{
	(void)ends;
	return -1;
}

int rpl_posix_memalign(void **ret, size_t alignment, size_t size)
{
	*ret = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
	return *ret ? 0 : ENOMEM;
}

double cl_strtod(const char *text, char **end)
{
	return strtod(text, end);
}

long double cl_strtold(const char *text, char **end)
{
	return strtold(text, end);
}

/* The library keeps paths of directories for systems without fchdir(). */
void _gl_unregister_fd(int fd)
{
	(void)fd;
}

int _gl_register_fd(int fd, const char *path)
{
	(void)path;
	return fd;
}

int _gl_register_dup(int from, int to)
{
	(void)from;
	return to;
}

const char *_gl_directory_name(int fd)
{
	(void)fd;
	return NULL;
}

/* What messages begin with. */
extern const char *program_name;
const char *getprogname(void)
{
	return program_name;
}
