/* SPDX-License-Identifier: MIT */
/* A real redis-server on a socket in a directory of its own, that ends with its test case; and
 * servers that are none. */
#ifndef NOVA_TESTS_REDISSERVER_H
#define NOVA_TESTS_REDISSERVER_H

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "unit/test.h"

static char *redis_directory, *redis_address;
static pid_t redis_server;

static bool redis_is_there(void)
{
	AUTO_FD int fd = sys_connect_unix(redis_address);
	return fd >= 0;
}

/* With the words of its command line that are not NULL. */
static void redis_start(const char *name, const char *value)
{
	const char *argv[] = { "redis-server", "--port", "0", "--unixsocket", redis_address,
		"--save", "", "--dir", redis_directory, "--logfile", "log", name, value, NULL };
	redis_server = fork();
	if (redis_server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	while (!redis_is_there()) {
		int status;
		if (waitpid(redis_server, &status, WNOHANG) == redis_server)
			test_skip("no redis-server: see test_packages in tools/packages");
		poll(NULL, 0, 5);
	}
}

static inline void redis_stop(void)
{
	if (redis_server > 0) {
		kill(redis_server, SIGKILL);
		waitpid(redis_server, NULL, 0);
	}
	redis_server = 0;
}

static inline void redis_set_up(void)
{
	redis_directory = test_dir();
	redis_address = path_join(redis_directory, "redis.sock");
}

static inline void redis_tear_down(void)
{
	redis_stop();
	free(redis_address);
	test_dir_remove(redis_directory);
}

/* --- what is no server --- */

struct redis_fake {
	int fd;
	const char *answer; /* to whatever comes; NULL: hangs up */
	pthread_t thread;
};

static inline void *redis_fake_be(void *userdata)
{
	const struct redis_fake *fake = userdata;
	char piece[4096];
	int fd;
	while ((fd = accept4(fake->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		while (fake->answer && read(fd, piece, sizeof(piece)) > 0)
			if (send(fd, fake->answer, strlen(fake->answer), MSG_NOSIGNAL) < 0)
				break;
		close(fd);
	}
	return NULL;
}

static inline void redis_fake_start(struct redis_fake *fake, const char *answer)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	*fake = (struct redis_fake){ socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), answer, 0 };
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", redis_address);
	unlink(at.sun_path);
	ck_assert_int_eq(bind(fake->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fake->fd, 10), 0);
	ck_assert_int_eq(pthread_create(&fake->thread, NULL, redis_fake_be, fake), 0);
}

static inline void redis_fake_stop(struct redis_fake *fake)
{
	shutdown(fake->fd, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	close(fake->fd);
}

#endif
