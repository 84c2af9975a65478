/* SPDX-License-Identifier: MIT */
/* Hosts with jobs, and what their server has. */
#ifndef NOVA_TESTS_JOBHOST_H
#define NOVA_TESTS_JOBHOST_H

#include <nova/job.h>

#include "vmtest.h"

struct redisReply;

/* A function that greets, in Python. */
extern const char greet[];
struct platform a_host(void);
void start_server(void);

/* Reads an integer into a long long. */
int take_number(void *userdata, const struct redisReply *reply, nova_error_t **ret_error);
void ask_server(const struct platform *p, const char *const *words, size_t count,
	int (*take)(void *, const struct redisReply *, nova_error_t **), void *userdata);
/* What a command says of a key. */
long long number(const struct platform *p, const char *command, const char *key);

/* --- job_list.c --- */

void add_tests_of_lists(TCase *tc);

#endif
