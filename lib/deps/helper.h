/* SPDX-License-Identifier: MIT */
/* Inside the program nova-deps only. */
#ifndef NOVA_LIB_DEPS_HELPER_H
#define NOVA_LIB_DEPS_HELPER_H

#include "base/base.h"
#include "deps/wire.h"

#define LOG_MAX (32u << 20)

/* What is to be done. */
struct job {
	const char *text[DEPS_TEXTS];
	char *target; /* where the packages go */
	uint64_t limit;
};

/* --- run.c --- */

/* What a client printed. */
struct output {
	struct buf text;
	char *line; /* that has not ended yet: where it begins is told by its length */
};

/* Runs a program (found by PATH; `argv` ends with NULL) in the directory of the job's file. 0: its
 * exit status is in *ret_status, and what it printed in *ret_log, which the caller frees.
 * NOVA_ENOTFOUND: there is no such program. NOVA_ETOOBIG: the packages are over the limit. */
int run(const struct job *job, const char *const *argv, int *ret_status, char **ret_log,
	nova_error_t **error);
/* Over the limit: which ones take the most. */
int check_size(const struct job *job, nova_error_t **error);
void report_progress(const char *text);

/* --- explain.c: what pip says, in a sentence --- */

/* Whether `line` has `part`, and what is behind it; NULL: not. */
const char *line_with(const char *log, const char *part);
/* The package of "No matching distribution found for …" of which there is only source; freed by
 * the caller. NULL: something else went wrong. */
char *pip_wants_source(const char *log);
int pip_explain(const struct job *job, const char *log, nova_error_t **error);
/* Of building that package's source. */
int pip_explain_build(const char *package, const char *log, nova_error_t **error);

/* --- the clients --- */

int pip_install(const struct job *job, nova_error_t **error);
int npm_install(const struct job *job, nova_error_t **error);

#endif
