/* SPDX-License-Identifier: MIT */
/* A host context in a directory of its own, after which nothing may be left. */
#ifndef NOVA_TESTS_CONFORM_SETTING_H
#define NOVA_TESTS_CONFORM_SETTING_H

#include "vmtest.h"

struct setting {
	char *dir;
	nova_config_t *config;
	nova_host_t *host;
};

static inline struct setting set_up(void)
{
	struct setting s = { .dir = test_dir() };
	s.config = vmtest_config(s.dir);
	ck_ok(nova_host_new(s.config, &s.host, &error));
	return s;
}

static inline void tear_down(struct setting *s)
{
	nova_host_unref(s->host);
	vmtest_nothing_left(s->dir);
	nova_config_free(s->config);
	test_dir_remove(s->dir);
}

#endif
