/* SPDX-License-Identifier: MIT */
/* Hosts with each store, with a Redis beside it and without one. */
#ifndef NOVA_TESTS_COMBINED_H
#define NOVA_TESTS_COMBINED_H

#include <nova/job.h>
#include <nova/key.h>
#include <nova/kv.h>
#include <nova/rate.h>
#include <nova/runtime.h>
#include <nova/secret.h>
#include <nova/version.h>

#include "vmtest.h"

#define COMBINATIONS     4
#define FIRST_WITH_REDIS 2 /* those with it are the last ones */

/* Chooses one of them, for the test, and starts what it needs. */
void begin(int which);
/* A context; with SQLite all have one state directory. */
nova_t *host(const char *name);

/* A function whose output is its input. */
extern const char echo[];
/* Registers, or replaces. */
int add(nova_t *nova, const char *name, const char *code, nova_error_t **ret_error);
size_t count_functions(nova_t *nova);

/* Whether the hosts of the chosen one have a Redis beside their store. */
bool has_redis(void);

/* --- texts.c --- */

void add_tests_of_texts(TCase *tc);

/* --- rates.c --- */

void add_tests_of_rates(TCase *tc);

#endif
