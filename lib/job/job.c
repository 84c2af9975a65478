/* SPDX-License-Identifier: MIT */
/* The queue: who asks the server has a connection to himself meanwhile. */
#include <unistd.h>

#include "base/list.h"
#include "job/internal.h"
#include "module/redis.h"

#define WAITING_MOST    100000u
#define IDLE_MOST       8u
#define ANSWER_MOST     (32u << 20) /* a payload and an output, with what JSON adds */
#define SLICE_MS        1000u       /* then it looks again who has taken too long */
#define FINISH_TRIES_MS 10000u
#define PAUSE_MS        50
#define REST_MS         100u /* of a host that has failed; twice that after the next failure */
#define REST_MOST_MS    10000u
#define NUMBER          24

struct line {
	struct link link; /* in jobs->idle */
	struct redis *redis;
	char token[UUID_SIZE]; /* of a taking whose answer may be on its way; "": there is none */
};

struct jobs {
	const nova_config_t *config;
	const struct logger *log;
	char consumer[300]; /* this host */
	pthread_mutex_t lock;
	struct link idle;
	size_t idle_count;
	uint32_t rest_ms; /* the last one; 0: the host has not failed */
	uint64_t rest_until;
};

int jobs_open(const nova_config_t *config, const struct logger *log, struct jobs **ret,
	nova_error_t **error)
{
	*ret = NULL;
	if (!redis_is_wanted(config))
		return 0;
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	if (!jobs)
		return nova_oom(error);
	jobs->config = config;
	jobs->log = log;
	gethostname(jobs->consumer, sizeof(jobs->consumer) - 1);
	if (!*jobs->consumer)
		snprintf(jobs->consumer, sizeof(jobs->consumer), "a host");
	pthread_mutex_init(&jobs->lock, NULL);
	list_init(&jobs->idle);
	*ret = jobs;
	return 0;
}

static void line_free(struct line *line)
{
	if (line)
		redis_close(line->redis);
	free(line);
}

void jobs_close(struct jobs *jobs)
{
	if (!jobs)
		return;
	for (struct link *l; (l = list_pop(&jobs->idle));)
		line_free(CONTAINER_OF(l, struct line, link));
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

/* --- connections --- */

static int line_take(struct jobs *jobs, struct line **ret, nova_error_t **error)
{
	static const struct redis_use use = { "jobs wait", ANSWER_MOST };
	pthread_mutex_lock(&jobs->lock);
	struct link *l = list_pop(&jobs->idle);
	jobs->idle_count -= l ? 1 : 0;
	pthread_mutex_unlock(&jobs->lock);
	if (l) {
		*ret = CONTAINER_OF(l, struct line, link);
		return 0;
	}
	struct line *line = calloc(1, sizeof(*line));
	if (!line)
		return nova_oom(error);
	int r = redis_open(jobs->config, &use, jobs->log, &line->redis, error);
	if (r < 0)
		line_free(line);
	else
		*ret = line;
	return r;
}

static void line_give(struct jobs *jobs, struct line *line)
{
	pthread_mutex_lock(&jobs->lock);
	bool kept = jobs->idle_count < IDLE_MOST;
	if (kept) {
		list_append(&jobs->idle, &line->link);
		jobs->idle_count++;
	}
	pthread_mutex_unlock(&jobs->lock);
	if (!kept)
		line_free(line);
}

int jobs_ask(struct jobs *jobs, const struct redis_question *question, nova_error_t **error)
{
	struct line *line = NULL;
	int r = line_take(jobs, &line, error);
	if (r < 0)
		return r;
	r = redis_ask(line->redis, question, error);
	line_give(jobs, line);
	return r;
}

int job_fail_strange(nova_error_t **error)
{
	return nova_fail(error, NOVA_ECORRUPT,
		"Redis has a job that is none: does somebody else use the keys " JOB_STREAM
		" and " JOB_PREFIX "…?");
}

/* --- handing in --- */

struct words {
	const char *list[REDIS_WORDS];
	size_t count;
	char numbers[4][NUMBER];
	size_t number_count;
};

static void add(struct words *words, const char *word)
{
	words->list[words->count++] = word;
}

static void add_number(struct words *words, uint64_t number)
{
	char *text = words->numbers[words->number_count++];
	snprintf(text, NUMBER, "%llu", (unsigned long long)number);
	add(words, text);
}

static int take_id(void *userdata, const redisReply *reply, nova_error_t **error)
{
	nova_job_t *job = userdata;
	if (reply->type != REDIS_REPLY_STRING)
		return job_fail_strange(error);
	if (!strcmp(reply->str, "other"))
		return nova_fail(error, NOVA_EEXIST,
			"key: there is a job of '%s' with the key '%s' and another payload",
			job->function, job->key);
	if (!strcmp(reply->str, "full"))
		return nova_fail(error, NOVA_ELIMIT,
			"%u jobs wait in Redis, and no more are taken: is there nobody who "
			"performs them (nova_job_perform())?",
			WAITING_MOST);
	if (strlen(reply->str) != JOB_ID - 1)
		return job_fail_strange(error);
	memcpy(job->id, reply->str, JOB_ID);
	return 0;
}

/* What stands for the idempotency key. NULL: out of memory. */
static char *key_name(const nova_job_t *job)
{
	size_t len = strlen(job->function);
	if (!*job->owner)
		return str_format(JOB_KEY "%zu:%s:%s", len, job->function, job->key);
	return str_format(JOB_OWNED "%zu:%s:%zu:%s:%s", strlen(job->owner), job->owner, len,
		job->function, job->key);
}

int jobs_submit(struct jobs *jobs, nova_job_t *job, nova_error_t **error)
{
	struct words w = { .count = 0 };
	AUTO_FREE char *hash = str_format(JOB_PREFIX "%s", job->id);
	AUTO_FREE char *key = key_name(job);
	if (!hash || !key)
		return nova_oom(error);
	add(&w, "EVAL");
	add(&w, script_submit);
	add(&w, "4");
	add(&w, JOB_STREAM);
	add(&w, JOB_DUE);
	add(&w, hash);
	add(&w, key);
	add_number(&w, WAITING_MOST);
	add(&w, job->id);
	add(&w, job->function);
	add(&w, job->payload);
	add(&w, job->key);
	add_number(&w, job->most);
	add_number(&w, job->lease_ms);
	add_number(&w, job->keep_s);
	add(&w, job->usage_key);
	add(&w, job->context);
	add(&w, job->owner);
	add(&w, job->if_label);
	return jobs_ask(jobs,
		&(struct redis_question){ w.list, w.count, .take = take_id, .userdata = job },
		error);
}

/* --- taking one --- */

#define ENTRY 48u

struct taken {
	nova_job_t *job;
	char entry[ENTRY], id[JOB_ID]; /* "": none was given */
};

static bool copy_text(const redisReply *from, char *to, size_t size)
{
	if (from->type != REDIS_REPLY_STRING || strlen(from->str) >= size)
		return false;
	snprintf(to, size, "%s", from->str);
	return true;
}

/* Its fields, or nothing. */
static int take_job(void *userdata, const redisReply *reply, nova_error_t **error)
{
	struct taken *taken = userdata;
	bool bad = false;
	if (reply->type == REDIS_REPLY_NIL)
		return 0;
	taken->job = job_read(reply, &bad);
	return taken->job ? 0 : bad ? job_fail_strange(error) : nova_oom(error);
}

static const redisReply *at(const redisReply *reply, size_t index)
{
	return reply && reply->type == REDIS_REPLY_ARRAY && index < reply->elements ?
		       reply->element[index] :
		       NULL;
}

/* { { stream, { { entry, { "id", id } } } } }, or nothing */
static int take_entry(void *userdata, const redisReply *reply, nova_error_t **error)
{
	struct taken *taken = userdata;
	if (reply->type == REDIS_REPLY_NIL)
		return 0;
	const redisReply *entry = at(at(at(reply, 0), 1), 0), *id = at(at(entry, 1), 1);
	return at(entry, 0) && id && copy_text(at(entry, 0), taken->entry, ENTRY) &&
			       copy_text(id, taken->id, JOB_ID) ?
		       0 :
		       job_fail_strange(error);
}

static int begin_on(struct jobs *jobs, struct line *line, struct taken *taken, nova_error_t **error)
{
	int os = *line->token ? 0 : random_uuid(line->token);
	if (os < 0)
		return nova_fail_os(error, os, "cannot get random bytes");
	AUTO_FREE char *key = str_format(JOB_TAKEN "%s", line->token);
	if (!key)
		return nova_oom(error);
	const char *const words[] = { "EVAL", script_take, "4", JOB_STREAM, JOB_DUE, JOB_DEAD_, key,
		jobs->consumer, taken->entry, taken->id, line->token };
	int r = redis_ask(line->redis,
		&(struct redis_question){
			words, ARRAY_LEN(words), .take = take_job, .userdata = taken },
		error);
	if (taken->job)
		memcpy(taken->job->token, line->token, UUID_SIZE);
	/* What was lost on its way is given to who asks with the same token. */
	if (r != NOVA_EIO)
		line->token[0] = 0;
	return r;
}

/* The entry that was given, or what is there now. */
static int begin(struct jobs *jobs, struct taken *taken, nova_error_t **error)
{
	struct line *line = NULL;
	int r = line_take(jobs, &line, error);
	if (r < 0)
		return r;
	r = begin_on(jobs, line, taken, error);
	line_give(jobs, line);
	taken->entry[0] = taken->id[0] = 0;
	return r;
}

/* Until there is a new one, or somebody may have had one for too long. */
static int wait_for_entry(struct jobs *jobs, struct taken *taken, uint64_t deadline,
	const struct stop *stop, nova_error_t **error)
{
	/* As a server says that is emptied meanwhile; what is begun next makes the group anew. */
	static const char *const emptied[] = { "UNBLOCKED", "NOGROUP", NULL };
	char ms[NUMBER];
	int left = deadline_poll_ms(deadline);
	snprintf(ms, sizeof(ms), "%u",
		left < 0 || (unsigned)left > SLICE_MS ? SLICE_MS :
		left                                  ? (unsigned)left :
							1);
	const char *const words[] = { "XREADGROUP", "GROUP", JOB_GROUP, jobs->consumer, "COUNT",
		"1", "BLOCK", ms, "STREAMS", JOB_STREAM, ">" };
	return jobs_ask(jobs,
		&(struct redis_question){ words, ARRAY_LEN(words), .more_ms = SLICE_MS,
			.stop = stop, .take = take_entry, .userdata = taken, .nothing = emptied },
		error);
}

/* The host has failed, or it has not. */
static void rest(struct jobs *jobs, bool failed)
{
	pthread_mutex_lock(&jobs->lock);
	uint32_t twice = jobs->rest_ms ? 2 * jobs->rest_ms : REST_MS;
	/* Threads that have failed at once have failed once. */
	if (!failed)
		jobs->rest_ms = 0;
	else if (deadline_passed(jobs->rest_until)) {
		jobs->rest_ms = twice < REST_MOST_MS ? twice : REST_MOST_MS;
		jobs->rest_until = deadline_in_ms(jobs->rest_ms);
	}
	pthread_mutex_unlock(&jobs->lock);
}

/* False: the time is over, or it was asked to stop. */
static bool rested(struct jobs *jobs, uint64_t deadline, const struct stop *stop)
{
	pthread_mutex_lock(&jobs->lock);
	uint64_t until = jobs->rest_ms ? jobs->rest_until : 0;
	pthread_mutex_unlock(&jobs->lock);
	while (!deadline_passed(until)) {
		if (stop_asked(stop) || deadline_passed(deadline))
			return false;
		stop_poll(stop, NULL, 0, deadline_poll_ms(until < deadline ? until : deadline));
	}
	return true;
}

int jobs_take(struct jobs *jobs, uint64_t deadline, const struct stop *stop, nova_job_t **ret,
	nova_error_t **error)
{
	struct taken taken = { NULL };
	*ret = NULL;
	if (!rested(jobs, deadline, stop))
		return stop_check(stop, "a job was taken", error);
	int r = begin(jobs, &taken, error);
	while (r == 0 && !taken.job && !deadline_passed(deadline)) {
		r = wait_for_entry(jobs, &taken, deadline, stop, error);
		if (r == 0)
			r = begin(jobs, &taken, error);
	}
	if (r < 0)
		nova_job_free(STEAL(taken.job));
	*ret = taken.job;
	return r;
}

/* --- giving it back --- */

static int take_state(void *userdata, const redisReply *reply, nova_error_t **error)
{
	nova_job_t *job = userdata;
	if (reply->type != REDIS_REPLY_STRING)
		return job_fail_strange(error);
	if (!strcmp(reply->str, "done"))
		job->state = NOVA_JOB_DONE;
	else if (!strcmp(reply->str, "dead"))
		job->state = NOVA_JOB_DEAD;
	else if (*reply->str)
		job->state = NOVA_JOB_WAITING;
	return 0;
}

int jobs_finish(struct jobs *jobs, nova_job_t *job, enum job_end end, nova_error_t **error)
{
	static const char *const becomes[] = { "done", "again", "dead", "back", "later", "later",
		"elsewhere" };
	AUTO_FREE char *hash = str_format(JOB_PREFIX "%s", job->id);
	AUTO_ERROR nova_error_t *failure = NULL;
	const char *const words[] = { "EVAL", script_finish, "4", JOB_STREAM, JOB_DUE, JOB_DEAD_,
		hash, job->id, job->token, becomes[end], job->output, job->error };
	const struct redis_question question = { words, ARRAY_LEN(words), .take = take_state,
		.userdata = job };
	uint64_t deadline = deadline_in_ms(FINISH_TRIES_MS);
	if (end != JOB_BACK && end != JOB_LATER)
		rest(jobs, end == JOB_HOST || end == JOB_ELSEWHERE);
	int r = hash ? jobs_ask(jobs, &question, &failure) : nova_oom(&failure);
	while (r == NOVA_EIO && !deadline_passed(deadline)) {
		nova_error_free(STEAL(failure));
		sys_poll(NULL, 0, PAUSE_MS);
		r = jobs_ask(jobs, &question, &failure);
	}
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

/* --- looking at it --- */

struct looked {
	const char *id;
	nova_job_t *job;
};

static int take_fields(void *userdata, const redisReply *reply, nova_error_t **error)
{
	struct looked *looked = userdata;
	bool bad = false;
	if (reply->type == REDIS_REPLY_ARRAY && !reply->elements)
		return nova_fail(error, NOVA_ENOTFOUND,
			"there is no job '%s'; one that has ended is kept for a while only",
			looked->id);
	looked->job = job_read(reply, &bad);
	return looked->job ? 0 : bad ? job_fail_strange(error) : nova_oom(error);
}

int jobs_get(struct jobs *jobs, const char *id, nova_job_t **ret, nova_error_t **error)
{
	struct looked looked = { id, NULL };
	AUTO_FREE char *hash = str_format(JOB_PREFIX "%s", id);
	const char *const words[] = { "HGETALL", hash };
	int r = hash ? jobs_ask(jobs,
			       &(struct redis_question){
				       words, 2, .take = take_fields, .userdata = &looked },
			       error) :
		       nova_oom(error);
	*ret = looked.job;
	return r;
}
