/* SPDX-License-Identifier: MIT */
/* A job from what the server has of it, which may be anybody's. */
#include "job/internal.h"
#include "json/json.h"
#include "module/redis.h"
#include "proto/proto.h"

const char *const job_states[] = {
	[NOVA_JOB_WAITING] = "waiting",
	[NOVA_JOB_RUNNING] = "running",
	[NOVA_JOB_DONE] = "done",
	[NOVA_JOB_DEAD] = "dead",
};

/* "": there is none of that name; NULL: it is no text. */
static const char *field(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		const redisReply *key = fields->element[i], *value = fields->element[i + 1];
		if (key->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
			return NULL;
		if (!strcmp(key->str, name))
			return strlen(value->str) == (size_t)value->len &&
					       text_is_utf8(value->str) ?
				       value->str :
				       NULL;
	}
	return "";
}

/* False: there is no such text, or no memory, which is then NULL. */
static bool take_text(const redisReply *fields, const char *name, char **ret, bool *ret_bad)
{
	const char *text = field(fields, name);
	*ret_bad |= !text;
	*ret = text ? strdup(text) : NULL;
	return *ret;
}

static bool take_number(const redisReply *fields, const char *name, uint64_t most, uint64_t *ret)
{
	const char *text = field(fields, name);
	size_t digits = text ? strspn(text, "0123456789") : 0;
	if (!text || text[digits] || digits > 18)
		return false;
	for (*ret = 0; *text; text++)
		*ret = *ret * 10 + (uint64_t)(*text - '0');
	return *ret <= most;
}

static bool take_u32(const redisReply *fields, const char *name, uint32_t *ret)
{
	uint64_t number;
	bool good = take_number(fields, name, UINT32_MAX, &number);
	*ret = good ? (uint32_t)number : 0;
	return good;
}

static bool take_state(const redisReply *fields, int *ret)
{
	const char *text = field(fields, "state");
	for (int i = 0; text && i <= NOVA_JOB_DEAD; i++)
		if (!strcmp(text, job_states[i])) {
			*ret = i;
			return true;
		}
	return false;
}

/* Whatever a call may be given, with numbers of any size. */
static bool is_json(const char *text)
{
	return !*text || json_text_ok(text, strlen(text), PROTO_DEPTH_USER);
}

static bool take_all(const redisReply *f, nova_job_t *job, bool *ret_bad)
{
	const char *id = field(f, "id");
	bool good = id && strlen(id) == JOB_ID - 1 && take_state(f, &job->state) &&
		    take_u32(f, "attempts", &job->attempts) && take_u32(f, "most", &job->most) &&
		    take_u32(f, "lease_ms", &job->lease_ms) &&
		    take_u32(f, "keep_s", &job->keep_s) &&
		    take_number(f, "submitted_us", INT64_MAX, &job->submitted_us) &&
		    take_number(f, "ended_us", INT64_MAX, &job->ended_us);
	*ret_bad = !good;
	if (!good)
		return false;
	memcpy(job->id, id, JOB_ID);
	good = take_text(f, "function", &job->function, ret_bad) &&
	       take_text(f, "payload", &job->payload, ret_bad) &&
	       take_text(f, "key", &job->key, ret_bad) &&
	       take_text(f, "output", &job->output, ret_bad) &&
	       take_text(f, "error", &job->error, ret_bad) &&
	       take_text(f, "usage_key", &job->usage_key, ret_bad) &&
	       take_text(f, "context", &job->context, ret_bad) &&
	       take_text(f, "owner", &job->owner, ret_bad) &&
	       take_text(f, "if_label", &job->if_label, ret_bad);
	if (good && (!is_json(job->payload) || !is_json(job->output) || !is_json(job->context)))
		*ret_bad = true;
	return good && !*ret_bad;
}

nova_job_t *job_read(const redisReply *fields, bool *ret_bad)
{
	nova_job_t *job = calloc(1, sizeof(*job));
	*ret_bad = false;
	if (!job)
		return NULL;
	*ret_bad = fields->type != REDIS_REPLY_ARRAY || fields->elements % 2;
	if (!*ret_bad && take_all(fields, job, ret_bad))
		return job;
	nova_job_free(job);
	return NULL;
}

/* --- what others see of it --- */

void nova_job_list_free(nova_job_t **jobs, size_t count)
{
	for (size_t i = 0; jobs && i < count; i++)
		nova_job_free(jobs[i]);
	free(jobs);
}

void nova_job_free(nova_job_t *job)
{
	if (!job)
		return;
	free(job->function);
	free(job->payload);
	free(job->key);
	free(job->output);
	free(job->error);
	free(job->usage_key);
	free(job->context);
	free(job->owner);
	free(job->if_label);
	free(job);
}

const char *nova_job_id(const nova_job_t *job)
{
	return job ? job->id : "";
}

const char *nova_job_owner(const nova_job_t *job)
{
	return job ? job->owner : "";
}

int nova_job_state(const nova_job_t *job)
{
	return job ? job->state : NOVA_EINVAL;
}

const char *nova_job_output(const nova_job_t *job, size_t *ret_len)
{
	const char *text = job && *job->output ? job->output : NULL;
	if (ret_len)
		*ret_len = text ? strlen(text) : 0;
	return text;
}

const char *nova_job_error(const nova_job_t *job)
{
	return job ? job->error : "";
}

static int put_text(struct buf *b, const char *name, const char *text)
{
	int r = buf_append_str(b, name);
	return r < 0 ? r : json_put_string(b, text, strlen(text));
}

static int put_number(struct buf *b, const char *name, uint64_t number)
{
	char text[24];
	int r = buf_append_str(b, name);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return r < 0 ? r : buf_append_str(b, text);
}

/* Of what is JSON itself. */
static int put_value(struct buf *b, const char *name, const char *text)
{
	int r = *text ? buf_append_str(b, name) : 0;
	return r < 0 ? r : buf_append_str(b, text);
}

static int put_job(struct buf *b, const nova_job_t *job)
{
	int r = put_text(b, "{\"id\":", job->id);
	if (r == 0)
		r = put_text(b, ",\"function\":", job->function);
	if (r == 0)
		r = put_text(b, ",\"state\":", job_states[job->state]);
	if (r == 0)
		r = put_text(b, ",\"key\":", job->key);
	if (r == 0)
		r = put_text(b, ",\"owner\":", job->owner);
	if (r == 0)
		r = put_text(b, ",\"usage_key\":", job->usage_key);
	if (r == 0)
		r = put_number(b, ",\"attempts\":", job->attempts);
	if (r == 0)
		r = put_number(b, ",\"most_attempts\":", job->most);
	if (r == 0)
		r = put_number(b, ",\"lease_ms\":", job->lease_ms);
	if (r == 0)
		r = put_number(b, ",\"submitted_us\":", job->submitted_us);
	if (r == 0)
		r = put_number(b, ",\"ended_us\":", job->ended_us);
	if (r == 0)
		r = put_value(b, ",\"client_context\":", job->context);
	if (r == 0)
		r = put_value(b, ",\"payload\":", job->payload);
	if (r == 0)
		r = put_value(b, ",\"output\":", job->output);
	if (r == 0)
		r = put_text(b, ",\"error\":", job->error);
	return r < 0 ? r : buf_append_str(b, "}");
}

char *nova_job_to_json(const nova_job_t *job)
{
	AUTO_BUF struct buf b = BUF_INIT(SIZE_MAX / 4);
	return !job || put_job(&b, job) < 0 ? NULL : buf_steal_str(&b);
}
