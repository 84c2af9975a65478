/* SPDX-License-Identifier: MIT */
/* The calls of nova/invocation.h. */
#include <nova/invocation.h>

#include "platform/log.h"

#define LIMIT_DEFAULT 100u
#define LIMIT_MOST    1000u
#define WAIT_MOST_MS  (24u * 3600u * 1000u)
#define LOOK_MS       100 /* others write, too, and tell nobody */

struct invocation_record {
	nova_invocation is; /* first: what others see of it */
	struct call_record record;
};

void nova_invocation_list_free(const nova_invocation **invocations, size_t count)
{
	for (size_t i = 0; invocations && i < count; i++) {
		struct invocation_record *own =
			(struct invocation_record *)(uintptr_t)invocations[i];
		if (own)
			call_record_clear(&own->record);
		free(own);
	}
	free(invocations);
}

/* Takes the content of the record. NULL: out of memory, and it is as it was. */
static const nova_invocation *invocation_new(struct call_record *record)
{
	struct invocation_record *own = malloc(sizeof(*own));
	if (!own)
		return NULL;
	own->record = *record;
	memset(record, 0, sizeof(*record));
	const struct call_record *r = &own->record;
	own->is = (nova_invocation){
		.size = sizeof(nova_invocation),
		.number = r->number,
		.request_id = r->request_id,
		.function = r->function,
		.function_id = r->id,
		.runtime = r->runtime,
		.instance = r->instance,
		.path = r->path,
		.error = r->error,
		.out = r->out,
		.out_len = r->out_len,
		.err = r->err,
		.err_len = r->err_len,
		.started_us = r->started_us,
		.duration_us = r->duration_us,
		.input_size = r->input_size,
		.output_size = r->output_size,
		.memory_peak = r->memory_peak,
		.lost = r->lost,
		.version = r->version,
		.code = -(int)r->code,
		.cold = r->cold,
		.cut = r->cut,
	};
	return &own->is;
}

/* --- what is asked for --- */

static int check_opts(const nova_invocation_list_opts *o, nova_error_t **error)
{
	int code = opts_text("function", o->function, error);
	if (code == 0)
		code = opts_text("request_id", o->request_id, error);
	if (code == 0)
		code = opts_most("since_us", o->since_us, INT64_MAX, error);
	if (code == 0)
		code = opts_most("until_us", o->until_us, INT64_MAX, error);
	if (code == 0)
		code = opts_most("cursor", o->cursor, INT64_MAX, error);
	if (code == 0)
		code = opts_most("errors", o->errors, 1, error);
	if (code == 0)
		code = opts_most("order", o->order, NOVA_INVOCATION_OLDEST, error);
	if (code == 0)
		code = opts_most("limit", o->limit, LIMIT_MOST, error);
	if (code == 0)
		code = opts_most("wait_ms", o->wait_ms, WAIT_MOST_MS, error);
	if (code == 0 && o->code > 0)
		code = nova_fail(
			error, NOVA_EINVAL, "code is %d; codes of calls are 0 or less", o->code);
	return code;
}

static struct call_filter filter_of(const nova_invocation_list_opts *o)
{
	bool oldest = o->order == NOVA_INVOCATION_OLDEST;
	uint32_t code = (uint32_t) - (int64_t)o->code;
	return (struct call_filter){
		.function = o->function,
		.request_id = o->request_id,
		.since_us = o->since_us,
		.until_us = o->until_us ? o->until_us : INT64_MAX,
		.above = oldest ? o->cursor : 0,
		.below = !oldest && o->cursor ? o->cursor : INT64_MAX,
		.version = o->version,
		.code_least = code ? code : o->errors,
		.code_most = code ? code : INT32_MAX,
		.oldest_first = oldest,
		.most = o->limit ? o->limit : LIMIT_DEFAULT,
	};
}

/* --- looking --- */

static int give(struct call_record *records, size_t count, const nova_invocation ***ret,
	size_t *ret_count, nova_error_t **error)
{
	size_t made = 0;
	const nova_invocation **all = count ? calloc(count, sizeof(*all)) : NULL;
	while (all && made < count && (all[made] = invocation_new(&records[made])))
		made++;
	call_record_list_free(records, count);
	if (made < count) {
		nova_invocation_list_free(all, made);
		return nova_oom(error);
	}
	*ret = all;
	*ret_count = count;
	return 0;
}

/* One question to the log. */
typedef int (*ask_fn)(struct store *store, void *question, nova_error_t **error);

/* Twice if need be: its file may have been moved away since it was opened. */
static int ask(nova_t *nova, ask_fn fn, void *question, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = NOVA_EIO;
	for (int i = 0; i < 2 && (code == NOVA_EIO || code == NOVA_ECORRUPT); i++) {
		struct opened *opened;
		nova_error_free(STEAL(failure));
		code = call_log_borrow(nova->log, &opened, &failure);
		if (code < 0)
			break;
		code = fn(opened->store, question, &failure);
		call_log_give_back(nova->log, opened, code);
	}
	if (code < 0 && error)
		*error = STEAL(failure);
	return code;
}

struct look {
	const struct call_filter *filter;
	struct call_record *records;
	size_t count;
};

static int list_records(struct store *store, void *question, nova_error_t **error)
{
	struct look *look = question;
	return store->ops->calls->list(store, look->filter, &look->records, &look->count, error);
}

static int look(nova_t *nova, const struct call_filter *f, const nova_invocation ***ret,
	size_t *ret_count, nova_error_t **error)
{
	struct look look = { .filter = f };
	int code = ask(nova, list_records, &look, error);
	return code < 0 ? code : give(look.records, look.count, ret, ret_count, error);
}

int nova_invocation_list(nova_t *nova, const nova_invocation_list_opts *opts,
	const nova_invocation ***ret_invocations, size_t *ret_count, nova_error_t **error)
{
	nova_invocation_list_opts o;
	if (ANY_NULL(error, nova, ret_invocations, ret_count))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_invocation_list_opts", error);
	if (code == 0)
		code = check_opts(&o, error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code < 0)
		return code;
	const struct stop stop = { o.interrupt, NULL };
	const struct call_filter filter = filter_of(&o);
	uint64_t deadline = deadline_in_ms(o.wait_ms);
	for (;;) {
		code = look(nova, &filter, ret_invocations, ret_count, error);
		if (code < 0 || *ret_count || !o.wait_ms || deadline_passed(deadline))
			return code;
		stop_poll(&stop, NULL, 0, LOOK_MS);
		code = stop_check(&stop, "there was a record", error);
		if (code < 0)
			return code;
	}
}

/* --- counting --- */

struct invocation_summary {
	nova_invocation_summary is; /* first: what others see of it */
	char *function;
};

void nova_invocation_summaries_free(const nova_invocation_summary **summaries, size_t count)
{
	for (size_t i = 0; summaries && i < count; i++) {
		struct invocation_summary *own =
			(struct invocation_summary *)(uintptr_t)summaries[i];
		if (own)
			free(own->function);
		free(own);
	}
	free(summaries);
}

/* Takes its text. NULL: out of memory. */
static const nova_invocation_summary *summary_new(struct call_summary *s)
{
	struct invocation_summary *own = malloc(sizeof(*own));
	if (!own)
		return NULL;
	own->function = STEAL(s->function);
	own->is = (nova_invocation_summary){
		.size = sizeof(nova_invocation_summary),
		.function = own->function,
		.calls = s->calls,
		.errors = s->errors,
		.cold = s->cold,
		.p50_us = s->median_us,
		.p95_us = s->p95_us,
		.p99_us = s->p99_us,
		.longest_us = s->longest_us,
	};
	return &own->is;
}

struct count {
	const nova_invocation_summary_opts *opts;
	struct call_summary *found;
	size_t count;
};

static int count_calls(struct store *store, void *question, nova_error_t **error)
{
	struct count *c = question;
	const nova_invocation_summary_opts *o = c->opts;
	return store->ops->calls->summarize(store, o->function, o->since_us,
		o->until_us ? o->until_us : INT64_MAX, &c->found, &c->count, error);
}

static int check_summary_opts(const nova_invocation_summary_opts *o, nova_error_t **error)
{
	int code = opts_text("function", o->function, error);
	if (code == 0)
		code = opts_most("since_us", o->since_us, INT64_MAX, error);
	return code < 0 ? code : opts_most("until_us", o->until_us, INT64_MAX, error);
}

int nova_invocation_summarize(nova_t *nova, const nova_invocation_summary_opts *opts,
	const nova_invocation_summary ***ret_summaries, size_t *ret_count, nova_error_t **error)
{
	nova_invocation_summary_opts o;
	struct count c = { .opts = &o };
	size_t made = 0;
	if (ANY_NULL(error, nova, ret_summaries, ret_count))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_invocation_summary_opts", error);
	if (code == 0)
		code = check_summary_opts(&o, error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = ask(nova, count_calls, &c, error);
	if (code < 0)
		return code;
	const nova_invocation_summary **all = c.count ? calloc(c.count, sizeof(*all)) : NULL;
	while (all && made < c.count && (all[made] = summary_new(&c.found[made])))
		made++;
	call_summary_list_free(c.found, c.count);
	if (made < c.count) {
		nova_invocation_summaries_free(all, made);
		return nova_oom(error);
	}
	*ret_summaries = all;
	*ret_count = c.count;
	return 0;
}
