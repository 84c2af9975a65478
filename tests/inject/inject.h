/* SPDX-License-Identifier: MIT */
/* What a case is, and the world that cases are in: a platform on the fake engine, in a state
 * directory of its own. */
#ifndef NOVA_TESTS_INJECT_H
#define NOVA_TESTS_INJECT_H

#include <nova/nova.h>

#include "base/base.h"

struct inject_case {
	const char *calls;     /* the calls of the symbol map that it makes, between blanks */
	void (*make)(void);    /* once; NULL: nothing */
	void (*prepare)(void); /* before each attempt */
	int (*run)(nova_error_t **error);
	/* after each attempt, whatever came of it: nothing may be left that was not there before
	 * the first */
	void (*undo)(void);
	int expected; /* what comes of it when nothing fails */
	bool silent;  /* it has no error parameter: a code is all that can be told */
	/* an attempt writes or reads megabytes: the short form looks at every fortieth point */
	bool slow;
	/* what it may leave in run/ is for the next context to sweep, as after a crash */
	bool swept;
	bool runs;     /* it runs a function that notes each run: see world.mark */
	bool commands; /* it runs a command, which notes nothing */
	/* a server is asked: that it cannot be reached is told without the errno, which its client
	 * library keeps to itself */
	bool remote;
};

/* Tables that end with an empty row. */
extern const struct inject_case base_cases[], host_cases[], vm_cases[], platform_cases[],
	call_cases[], snapshot_cases[], runtime_cases[], version_cases[], key_cases[],
	secret_cases[], kv_cases[], backup_cases[], job_cases[], server_cases[];

extern struct world {
	char *home, *mark; /* `mark` gets a line for each run of the function "f" */
	char *keys;        /* the file with those for secrets */
	nova_config_t *config;
	nova_t *nova;
	nova_host_t *host;
	nova_pool_t *pool;
	nova_error_t *error;
	nova_vm_t *vm;
	bool persistent; /* the VM is to live on from attempt to attempt */
} world;

void world_open(void); /* with the function "f" */
void world_close(void);
/* A VM with the function, in world.vm, unless it is there and lives; with `make` or `prepare`. */
void world_vm(void);
void world_vm_free(void);
/* Registers a function that notes its runs and answers {}. */
int world_register(const char *name, const char *extra, nova_error_t **error);
const char *world_run_code(const char *code); /* that notes its run first, for nova_run() */
char *world_code(const char *extra);          /* the path of a code disk with the same */

/* In set-up, this must not fail. */
void must(int code, const char *what);
#define MUST(call) must((call), #call)

#endif
