/* SPDX-License-Identifier: MIT */
/* Functions that wait until the test lets them go on. */
#ifndef NOVA_TESTS_GATE_H
#define NOVA_TESTS_GATE_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "vmtest.h"

/* On the fake engine a function sees this host's files. Each one that waits takes one byte. The
 * agent does not wait for the end of those that it kills, so one that was killed while it waited
 * may still take one: let one more go for each. */
struct gate {
	char *path;
	int fd;
};

static inline struct gate gate_new(const char *dir)
{
	struct gate gate = { path_join(dir, "gate"), -1 };
	ck_assert_int_eq(mkfifo(gate.path, 0600), 0);
	gate.fd = sys_open(gate.path, O_RDWR, 0);
	ck_assert_int_ge(gate.fd, 0);
	return gate;
}

static inline void gate_let_go(struct gate *gate, int count)
{
	while (count--)
		ck_assert_int_eq(sys_write_all(gate->fd, "\n", 1), 0);
}

static inline void gate_free(struct gate *gate)
{
	fd_close(gate->fd);
	free(gate->path);
}

static inline void add_waiting(struct platform *p, struct gate *gate, const char *name)
{
	AUTO_FREE char *source =
		str_format("echo started >&2; exec 3<>'%s'; read x <&3; cat \"$1\"", gate->path);
	platform_add(p->nova, name, "shell", source);
}

/* Counts the functions that have said that they run. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int count;
} started = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static inline void note_start(void *userdata, int stream, const void *data, size_t len)
{
	(void)userdata, (void)data, (void)len;
	if (stream != 2)
		return;
	pthread_mutex_lock(&started.lock);
	started.count++;
	pthread_cond_signal(&started.changed);
	pthread_mutex_unlock(&started.lock);
}

static inline void await_starts(int count)
{
	pthread_mutex_lock(&started.lock);
	while (started.count < count)
		pthread_cond_wait(&started.changed, &started.lock);
	started.count -= count;
	pthread_mutex_unlock(&started.lock);
}

#endif
