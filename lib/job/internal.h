/* SPDX-License-Identifier: MIT */
/* Inside job only. */
#ifndef NOVA_LIB_JOB_INTERNAL_H
#define NOVA_LIB_JOB_INTERNAL_H

#include "job/job.h"
#include "redis/redis.h"

#define JOB_STREAM "nova:jobs"
#define JOB_GROUP  "nova"
#define JOB_PREFIX "nova:job:" /* and the id */
#define JOB_DEAD_  "nova:jobs:dead"
#define JOB_DUE    "nova:jobs:due"    /* when to look at which: its lease or its pause is over */
#define JOB_TAKEN  "nova:jobs:taken:" /* and the token */
#define JOB_KEY    "nova:jobs:key:"   /* length of the function, function and idempotency key */
#define JOB_OWNED  "nova:jobs:owned:" /* length of the owner, owner, and the same */
#define JOB_ALL    "nova:jobs:all"    /* what is listed, in the order in which it was handed in */
#define JOB_OF     "nova:jobs:of:"    /* and the owner: those of it, likewise */
#define JOB_ENDED  "nova:jobs:ended"  /* when to take which from the two above */
#define JOB_NUMBER "nova:jobs:number" /* of the last one in that order */

/* --- scripts.c --- */

extern const char script_submit[], script_take[], script_finish[], script_list[];

/* --- job.c --- */

/* By a connection that nobody else has meanwhile. */
int jobs_ask(struct jobs *jobs, const struct redis_question *question, nova_error_t **error);
int job_fail_strange(nova_error_t **error);

/* --- stored.c --- */

extern const char *const job_states[]; /* as words, by enum nova_job_state */

/* Of HGETALL. NULL: out of memory, or (*ret_bad) it is no job. */
nova_job_t *job_read(const struct redisReply *fields, bool *ret_bad);

#endif
