/* SPDX-License-Identifier: MIT */
/* What the suites of the keeper share: a directory with its lock, and the keeper that owns it. */
#ifndef NOVA_TESTS_UNIT_KEEPER_H
#define NOVA_TESTS_UNIT_KEEPER_H

#include <signal.h>

#include "keeper/keeper.h"
#include "test.h"

static nova_error_t *error;

struct setting {
	char *dir, *run_dir;
	int lock_fd;
	struct keeper *keeper;
};

static const char *const sleeper[] = { "/bin/sleep", "1000", NULL };

static inline struct setting set_up(void)
{
	struct setting s = { .dir = test_dir() };
	s.run_dir = path_join(s.dir, "run");
	ck_assert_int_eq(fs_mkdirs(s.run_dir, 0700), 0);
	AUTO_FREE char *lock = path_join(s.run_dir, FS_LOCK_NAME);
	ck_assert_int_eq(fs_lock(lock, false, &s.lock_fd), 0);
	ck_ok(keeper_new(s.run_dir, s.lock_fd, &s.keeper, &error));
	return s;
}

static inline void tear_down(struct setting *s)
{
	ck_assert(keeper_free(s->keeper));
	fd_close(s->lock_fd);
	free(s->run_dir);
	test_dir_remove(s->dir);
}

static inline bool pid_exists(int64_t pid)
{
	return kill((pid_t)pid, 0) == 0;
}

static inline pid_t parent_of(int64_t pid)
{
	AUTO_FREE char *path = str_format("/proc/%lld/stat", (long long)pid);
	AUTO_BUF struct buf stat = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(path, &stat), 0);
	AUTO_FREE char *text = buf_steal_str(&stat);
	int parent = 0;
	ck_assert_int_eq(sscanf(strrchr(text, ')'), ") %*c %d", &parent), 1);
	return parent;
}

#endif
