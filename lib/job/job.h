/* SPDX-License-Identifier: MIT */
/*
 * The door of job: calls that whichever host has time performs, and that outlive who has asked for
 * them (nova/job.h). They wait in a stream of Redis, whose consumer group says who has which; what
 * they are, and what has come of them, is a hash each. How they are performed is not known here.
 */
#ifndef NOVA_LIB_JOB_H
#define NOVA_LIB_JOB_H

#include <nova/job.h>

#include "base/base.h"
#include "base/stop.h"
#include "config/config.h"

#define JOB_ID UUID_SIZE

struct nova_job {
	char id[JOB_ID];
	char token[UUID_SIZE]; /* of its taking; "": it was not taken by this process */
	/* never NULL in one that was read */
	char *function, *payload, *key, *output, *error, *usage_key, *context, *owner, *if_label;
	int state;
	uint32_t attempts, most, lease_ms, keep_s;
	uint64_t submitted_us, ended_us; /* by the server's clock; 0: it has not ended */
};

struct jobs;

/* *ret_jobs is NULL if the settings name no server. Nothing is asked yet. The settings and the log
 * live longer. */
int jobs_open(const nova_config_t *config, const struct logger *log, struct jobs **ret_jobs,
	nova_error_t **error);
void jobs_close(struct jobs *jobs); /* NULL does nothing */

/* All below: any thread. NOVA_EIO: the server is away, or has answered so; NOVA_ECORRUPT: what it
 * has is no job. */

/* Of `job` there is what a request has. NOVA_EEXIST: there is one of that key with another payload.
 * NOVA_ELIMIT: too many wait. What was there of that key, or the new one, is put into *job. */
int jobs_submit(struct jobs *jobs, struct nova_job *job, nova_error_t **error);
/* *ret_job is NULL: there was none until then. NOVA_ECANCELED. */
int jobs_take(struct jobs *jobs, uint64_t deadline, const struct stop *stop, nova_job_t **ret_job,
	nova_error_t **error);
/* How an attempt has ended. */
enum job_end {
	JOB_DONE,
	JOB_AGAIN, /* it failed: another one, if there is one left */
	JOB_DEAD,  /* another one would fail as well */
	JOB_BACK,  /* it was no attempt */
	JOB_LATER, /* nor is this; it waits for a while, up to a minute */
	/* The same two, and it is this host that has failed. It takes nothing for a while: who
	 * fails fastest would take the most. */
	JOB_HOST,      /* no attempt */
	JOB_ELSEWHERE, /* an attempt: another host may be able to, or none */
};
/* With the output or the error in it. Its state becomes what it has come to; it stays as it is if
 * somebody else has taken it meanwhile. Tries for a few seconds. */
int jobs_finish(struct jobs *jobs, nova_job_t *job, enum job_end end, nova_error_t **error);
/* NOVA_ENOTFOUND. */
int jobs_get(struct jobs *jobs, const char *id, nova_job_t **ret_job, nova_error_t **error);

struct jobs_query {
	const char *function, *owner; /* NULL: any; "": nobody's */
	uint32_t states;              /* bits 1 << enum nova_job_state; 0: all */
	uint64_t below;               /* `next` of the page before; 0: the newest */
	size_t most;                  /* jobs of a page, at least 1 */
	const struct stop *stop;      /* ends it: NOVA_ECANCELED */
};
struct job_page {
	nova_job_t **list; /* of nova_job_list_free() */
	size_t count;
	uint64_t next; /* 0: there are no more */
};
int jobs_list(struct jobs *jobs, const struct jobs_query *query, struct job_page *ret_page,
	nova_error_t **error);
void job_page_clear(struct job_page *page);

#endif
