/* SPDX-License-Identifier: MIT */
/* Jobs by pages: the server looks at some, which keeps others waiting but for a moment, and is
 * asked again until the page is full. */
#include "job/internal.h"
#include "module/redis.h"

#define PAGE_BYTES 1048576u /* what jobs have besides this is listed by nobody */
#define LOOK_MOST  1000u    /* in one step of the server */
#define STEPS_MOST 100u     /* then the page ends, however many were found */
#define NUMBER     24

struct search {
	const struct jobs_query *query;
	struct job_page *page;
	size_t bytes;
};

/* The number of the last job that was looked at. False: it is none. */
static bool read_next(const redisReply *reply, uint64_t *ret)
{
	if (reply->type != REDIS_REPLY_STRING ||
		strspn(reply->str, "0123456789") != (size_t)reply->len || reply->len > 18)
		return false;
	*ret = strtoull(reply->str, NULL, 10);
	return true;
}

static int add_job(struct search *s, const redisReply *fields, nova_error_t **error)
{
	bool bad = false;
	nova_job_t *job = job_read(fields, &bad);
	if (!job && bad)
		return 0; /* of a later libnova, or damaged: nova_job_get() tells; others follow */
	if (!job)
		return nova_oom(error);
	for (size_t i = 0; i < fields->elements; i++)
		s->bytes += (size_t)fields->element[i]->len;
	s->page->list[s->page->count++] = job;
	return 0;
}

static int take_part(void *userdata, const redisReply *reply, nova_error_t **error)
{
	struct search *s = userdata;
	int r = 0;
	if (reply->type != REDIS_REPLY_ARRAY || !reply->elements ||
		reply->elements - 1 > s->query->most - s->page->count ||
		!read_next(reply->element[0], &s->page->next))
		return job_fail_strange(error);
	for (size_t i = 1; i < reply->elements && r == 0; i++)
		r = add_job(s, reply->element[i], error);
	return r;
}

/* ",waiting,dead"; "": all */
static void name_states(uint32_t states, char out[64])
{
	size_t len = 0;
	out[0] = 0;
	for (int i = 0; i <= NOVA_JOB_DEAD; i++)
		if (states & 1u << i)
			len += (size_t)snprintf(out + len, 64 - len, ",%s", job_states[i]);
}

static int look(
	struct jobs *jobs, struct search *s, const char *key, uint64_t below, nova_error_t **error)
{
	char from[NUMBER] = "+inf", most[NUMBER], bytes[NUMBER], looks[NUMBER], states[64];
	const char *const words[] = { "EVAL", script_list, "1", key, from, most, bytes, looks,
		s->query->function ? s->query->function : "", states };
	int r = stop_check(s->query->stop, "the jobs were listed", error);
	if (r < 0)
		return r;
	if (below)
		snprintf(from, sizeof(from), "(%llu", (unsigned long long)below);
	snprintf(most, sizeof(most), "%zu", s->query->most - s->page->count);
	snprintf(bytes, sizeof(bytes), "%zu", PAGE_BYTES - s->bytes);
	snprintf(looks, sizeof(looks), "%u", LOOK_MOST);
	name_states(s->query->states, states);
	return jobs_ask(jobs,
		&(struct redis_question){ words, ARRAY_LEN(words), .stop = s->query->stop,
			.take = take_part, .userdata = s },
		error);
}

void job_page_clear(struct job_page *page)
{
	nova_job_list_free(page->list, page->count);
	*page = (struct job_page){ NULL };
}

int jobs_list(struct jobs *jobs, const struct jobs_query *query, struct job_page *page,
	nova_error_t **error)
{
	struct search s = { .query = query, .page = page };
	AUTO_FREE char *key =
		query->owner ? str_format(JOB_OF "%s", query->owner) : strdup(JOB_ALL);
	*page = (struct job_page){ .list = calloc(query->most, sizeof(nova_job_t *)) };
	int r = key && page->list ? look(jobs, &s, key, query->below, error) : nova_oom(error);
	for (size_t i = 1; r == 0 && page->next && page->count < query->most &&
			   s.bytes < PAGE_BYTES && i < STEPS_MOST;
		i++)
		r = look(jobs, &s, key, page->next, error);
	if (r < 0)
		job_page_clear(page);
	return r;
}
