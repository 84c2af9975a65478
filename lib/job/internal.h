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

/* --- scripts.c --- */

extern const char script_submit[], script_take[], script_finish[];

/* --- stored.c --- */

/* Of HGETALL. NULL: out of memory, or (*ret_bad) it is no job. */
nova_job_t *job_read(const struct redisReply *fields, bool *ret_bad);

#endif
