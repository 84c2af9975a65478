/* SPDX-License-Identifier: MIT */
/*
 * The log of calls. A call that ends leaves its record in a queue in memory; whoever ticks the pool
 * writes what is there, half a second later, in one transaction. If nobody ticks, or more calls end
 * than are written, a caller does it after its call. What has no room in the queue is counted, and
 * the next record says how many those were. Nothing here makes a call fail.
 */
#include "base/base.h"
#include "platform/log.h"
#include "platform/stream.h"

#define QUEUE_MOST    4096u
#define QUEUE_BYTES   (16u << 20)
#define BATCH_MOST    500u
#define BATCH_BYTES   (1u << 20)
#define DELAY_MS      500u  /* from the first record of a batch to its writing */
#define LATE_MS       500u  /* more, and nobody ticks */
#define RETRY_MS      1000u /* after a failure; then twice as long, up to the next */
#define RETRY_MOST_MS 30000u
#define LAST_TRIES    3 /* when the log is closed */
#define TRIM_LEAST_MS 1000u
#define TRIM_MOST_MS  600000u
#define TRIM_AT_ONCE  (4u * BATCH_MOST)
#define ERROR_MOST    4096u /* bytes of an error's text */
#define TEXTS         9     /* of a record */

struct pending {
	struct link place;
	struct call_record record; /* its texts are behind this */
	size_t size;
};

struct call_log {
	nova_t *nova;
	bool on;
	size_t output_most;
	uint64_t keep_us, keep_bytes; /* 0: for ever */
	pthread_mutex_t lock;         /* guards the queue: those below */
	struct link queue;
	size_t count, bytes;
	uint64_t trim_at;          /* NEVER: there is no store yet */
	uint64_t lost, due;        /* since the last record; when the pool is to be ticked */
	pthread_mutex_t writing;   /* held by who writes; guards those below */
	struct opened *opened;     /* NULL: not yet, or no more */
	struct log_stream *stream; /* NULL: there is no Redis */
	uint64_t retry_at, retry_ms;
	bool said, said_refused;
};

/* --- the store --- */

static void opened_unref(struct opened *o)
{
	if (!o || atomic_fetch_sub(&o->references, 1) != 1)
		return;
	if (o->own)
		o->store->ops->close(o->store);
	free(o);
}

/* With `writing`. */
static int ensure_open(struct call_log *log, nova_error_t **error)
{
	struct store *store = log->nova->registry.store;
	const struct store_ops *own = store->ops->log;
	if (log->opened)
		return 0;
	int r = own ? own->open(host_config(log->nova->host), &store, error) : 0;
	if (r < 0)
		return r;
	struct opened *o = calloc(1, sizeof(*o));
	if (!o) {
		if (own)
			own->close(store);
		return nova_oom(error);
	}
	atomic_store(&o->references, 1u);
	o->store = store;
	o->own = own;
	log->opened = o;
	return 0;
}

/* --- the queue --- */

/* The first records, as many as one transaction is to have, which stay where they are: who writes
 * them is alone, and others only append. */
static size_t first_records(struct call_log *log, const struct call_record *records[BATCH_MOST])
{
	size_t count = 0, bytes = 0;
	pthread_mutex_lock(&log->lock);
	for (struct link *l = log->queue.next;
		l != &log->queue && count < BATCH_MOST && bytes < BATCH_BYTES; l = l->next) {
		struct pending *p = CONTAINER_OF(l, struct pending, place);
		records[count++] = &p->record;
		bytes += p->size;
	}
	pthread_mutex_unlock(&log->lock);
	return count;
}

/* `lost`: so many of them are not written. */
static void drop_first(struct call_log *log, size_t count, uint64_t lost)
{
	pthread_mutex_lock(&log->lock);
	log->lost += lost;
	while (count--) {
		struct pending *p = CONTAINER_OF(list_pop(&log->queue), struct pending, place);
		log->count--;
		log->bytes -= p->size;
		free(p);
	}
	pthread_mutex_unlock(&log->lock);
}

static bool has_room(const struct call_log *log, size_t size)
{
	return log->count < QUEUE_MOST && log->bytes + size <= QUEUE_BYTES;
}

/* Takes the record over; NULL: there was no memory for it. True: somebody should write now, and
 * nobody else seems to. */
static bool append(struct call_log *log, struct pending *p)
{
	uint64_t now = clock_ns(), due = NEVER;
	pthread_mutex_lock(&log->lock);
	if (p && has_room(log, p->size)) {
		p->record.lost = log->lost;
		log->lost = 0;
		log->bytes += p->size;
		list_append(&log->queue, &p->place);
		if (log->count++ == 0)
			log->due = due = now + DELAY_MS * 1000000u;
		p = NULL;
	} else {
		log->lost++;
	}
	bool full = log->count > QUEUE_MOST / 2 || log->bytes > QUEUE_BYTES / 2;
	bool late = log->count && now > log->due + LATE_MS * 1000000u;
	pthread_mutex_unlock(&log->lock);
	free(p);
	if (due != NEVER)
		pool_want_tick_at(log->nova->pool, due);
	return full || late;
}

/* --- writing; all with `writing` --- */

/* One that the store will never take goes, so that the others come to be written. */
static void drop_refused(struct call_log *log, uint64_t lost_before, const nova_error_t *failure)
{
	if (!log->said_refused)
		log_error(host_log(log->nova->host), "calls",
			"the record of a call is left out, and counted with the next one: %s",
			nova_error_message(failure));
	log->said_refused = true;
	drop_first(log, 1, lost_before + 1);
}

/* *ret_count: so many are no longer in the queue. Of a batch that is refused as it is, the first
 * half is tried, until it is one record. */
static int write_batch(struct call_log *log, size_t *ret_count, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	const struct call_record *records[BATCH_MOST];
	struct store *store = log->opened->store;
	size_t count = first_records(log, records);
	int r = store->ops->calls->append(store, records, count, &failure);
	while (r == NOVA_EINVAL && count > 1) {
		nova_error_free(STEAL(failure));
		count /= 2;
		r = store->ops->calls->append(store, records, count, &failure);
	}
	if (r < 0 && r != NOVA_EINVAL) {
		*error = STEAL(failure);
		return r;
	}
	if (r < 0) {
		drop_refused(log, records[0]->lost, failure);
	} else {
		log_stream_write(log->stream, records, count);
		drop_first(log, count, 0);
	}
	*ret_count = count;
	return 0;
}

static int trim(struct call_log *log, nova_error_t **error)
{
	struct store *store = log->opened->store;
	uint64_t now = clock_unix_us(), removed = 1, all = 0;
	uint64_t before = log->keep_us && now > log->keep_us ? now - log->keep_us : 0;
	int r = 0;
	for (; r == 0 && removed && all < TRIM_AT_ONCE; all += removed)
		r = store->ops->calls->trim(store, before, log->keep_bytes, &removed, error);
	return r;
}

static size_t waiting(struct call_log *log)
{
	pthread_mutex_lock(&log->lock);
	size_t count = log->count;
	pthread_mutex_unlock(&log->lock);
	return count;
}

/* What comes meanwhile waits, or this would last as long as calls end. */
static int write_all(struct call_log *log, nova_error_t **error)
{
	size_t left = waiting(log), written = 0;
	int r = ensure_open(log, error);
	for (; r == 0 && left; left -= left < written ? left : written)
		r = write_batch(log, &written, error);
	return r < 0 ? r : trim(log, error);
}

/* After a failure nobody tries for a while, and it is begun anew: the file may have been put in
 * order, or moved away, or the server be there again. */
static void note_outcome(struct call_log *log, int code, const nova_error_t *failure)
{
	const struct logger *to = host_log(log->nova->host);
	if (code < 0 && !log->said)
		log_error(to, "calls", "calls leave no record for the time being: %s",
			nova_error_message(failure));
	else if (code == 0 && log->said)
		log_warn(to, "calls", "calls are logged again");
	log->said = code < 0;
	log->retry_ms = code == 0 ? 0 : log->retry_ms ? log->retry_ms * 2 : RETRY_MS;
	if (log->retry_ms > RETRY_MOST_MS)
		log->retry_ms = RETRY_MOST_MS;
	log->retry_at = code < 0 ? deadline_in_ms(log->retry_ms) : 0;
	if (code < 0)
		opened_unref(STEAL(log->opened));
}

static int write_now(struct call_log *log, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = write_all(log, &failure);
	note_outcome(log, r, failure);
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

/* --- when --- */

static uint64_t trim_interval_ms(const struct call_log *log)
{
	uint64_t half = log->keep_us / 2000u;
	return !half || half > TRIM_MOST_MS ? TRIM_MOST_MS :
	       half < TRIM_LEAST_MS         ? TRIM_LEAST_MS :
					      half;
}

/* Who was to write has done so, or failed. No tick is asked for because of what will be old some
 * time, but one that comes looks at it. */
static void set_due(struct call_log *log)
{
	uint64_t old_at = log->opened ? deadline_in_ms(trim_interval_ms(log)) : NEVER;
	pthread_mutex_lock(&log->lock);
	log->due = log->count ? deadline_in_ms(log->retry_ms ? log->retry_ms : RETRY_MS) : NEVER;
	log->trim_at = old_at;
	pthread_mutex_unlock(&log->lock);
}

void call_log_tick(struct call_log *log)
{
	pthread_mutex_lock(&log->lock);
	bool due = deadline_passed(log->due) || deadline_passed(log->trim_at);
	pthread_mutex_unlock(&log->lock);
	if (due) {
		pthread_mutex_lock(&log->writing);
		write_now(log, NULL);
		set_due(log);
		pthread_mutex_unlock(&log->writing);
	}
	pthread_mutex_lock(&log->lock);
	uint64_t next = log->due;
	pthread_mutex_unlock(&log->lock);
	pool_want_tick_at(log->nova->pool, next);
}

/* A caller, after its call. Somebody who writes already does it for all. */
static void write_after_call(struct call_log *log)
{
	if (pthread_mutex_trylock(&log->writing))
		return;
	if (!log->retry_at || deadline_passed(log->retry_at)) {
		write_now(log, NULL);
		set_due(log);
	}
	pthread_mutex_unlock(&log->writing);
}

/* --- the record of a call --- */

/* Text and bytes, one behind the other, each with a NUL. */
static char *put(char **at, const void *data, size_t len)
{
	char *begin = *at;
	memcpy(begin, len ? data : "", len);
	begin[len] = 0;
	*at += len + 1;
	return begin;
}

static char *put_text(char **at, const char *text)
{
	return put(at, text, strlen(text));
}

/* The last bytes of what was printed, beginning with a whole character. */
static struct json_span tail_of(struct json_span all, size_t most)
{
	size_t skip = all.len > most ? all.len - most : 0;
	for (int i = 0; skip && i < 3 && skip < all.len && (all.at[skip] & 0xc0) == 0x80; i++)
		skip++;
	return (struct json_span){ all.at ? all.at + skip : "", all.len - skip };
}

/* Records lend texts that nobody changes. */
static char *lend(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* What is always known. */
static void describe_call(struct call_record *r, const struct invocation *c, int code)
{
	const struct function_record *f = &c->function->record;
	bool once = !f->code_hash;
	r->request_id = lend(c->exec.id);
	r->function = lend(once ? "" : f->name);
	r->id = lend(once || !f->id ? "" : f->id);
	r->runtime = f->config.runtime;
	r->instance = lend(c->instance ? c->instance->id : "");
	r->path = lend("");
	r->version = once ? 0 : f->version;
	r->started_us = c->started_us;
	r->duration_us = us_since(c->begin_ns);
	r->input_size = c->input_size;
	r->code = (uint32_t)-code;
	/* Who calls it off asks at any time. */
	r->cold = __atomic_load_n(&c->fate, __ATOMIC_SEQ_CST) == FATE_BEGUN && c->lease.cold;
}

static void describe_result(struct call_record *r, const nova_result_t *result, size_t most)
{
	struct json_span out = tail_of(result->out, most), err = tail_of(result->err, most);
	r->path = lend(vm_path_name(result->path));
	r->duration_us = result->timing_us[NOVA_TIMING_TOTAL];
	r->cold = result->cold_start;
	r->memory_peak = result->memory_peak;
	r->output_size = result->output.len;
	r->out = lend(out.at);
	r->out_len = out.len;
	r->err = lend(err.at);
	r->err_len = err.len;
	r->cut = result->truncated || out.len < result->out.len || err.len < result->err.len;
}

/* A copy in one piece. NULL: out of memory. */
static struct pending *pending_new(const struct call_record *lent, size_t error_len)
{
	size_t size = sizeof(struct pending) + strlen(lent->request_id) + strlen(lent->function) +
		      strlen(lent->id) + strlen(lent->runtime) + strlen(lent->instance) +
		      strlen(lent->path) + error_len + lent->out_len + lent->err_len + TEXTS;
	struct pending *p = malloc(size);
	if (!p)
		return NULL;
	char *at = (char *)(p + 1);
	*p = (struct pending){ .record = *lent, .size = size };
	struct call_record *r = &p->record;
	r->request_id = put_text(&at, lent->request_id);
	r->function = put_text(&at, lent->function);
	r->id = put_text(&at, lent->id);
	r->runtime = put_text(&at, lent->runtime);
	r->instance = put_text(&at, lent->instance);
	r->path = put_text(&at, lent->path);
	r->error = put(&at, lent->error, error_len);
	r->out = put(&at, lent->out, lent->out_len);
	r->err = put(&at, lent->err, lent->err_len);
	return p;
}

void call_log_note(
	struct invocation *c, int code, const nova_result_t *result, const nova_error_t *failure)
{
	/* First: a call that is over may be freed when its platform is no more. */
	if (!c->started_us || atomic_exchange(&c->logged, true))
		return;
	struct call_log *log = c->nova ? c->nova->log : NULL;
	if (!log || !log->on)
		return;
	const char *error = failure  ? nova_error_message(failure) :
			    code < 0 ? "the call was cancelled before its function ran" :
				       "";
	struct call_record lent = { .error = lend(error) };
	describe_call(&lent, c, code);
	if (result)
		describe_result(&lent, result, log->output_most);
	size_t error_len = utf8_valid_prefix((const uint8_t *)error, strnlen(error, ERROR_MOST));
	if (append(log, pending_new(&lent, error_len)))
		write_after_call(log);
}

/* --- the log as a whole --- */

struct call_log *call_log_new(nova_t *nova)
{
	struct call_log *log = calloc(1, sizeof(*log));
	if (!log)
		return NULL;
	log->nova = nova;
	log->due = log->trim_at = NEVER;
	list_init(&log->queue);
	pthread_mutex_init(&log->lock, NULL);
	pthread_mutex_init(&log->writing, NULL);
	return log;
}

int call_log_configure(struct call_log *log, const nova_config_t *config, nova_error_t **error)
{
	log->on = !strcmp(config_str(config, "log.calls"), "on");
	log->output_most = config_u64(config, "log.output_limit");
	log->keep_us = config_ms(config, "log.retention_age") * 1000u;
	log->keep_bytes = config_u64(config, "log.retention_size") << 20;
	if (!log->on)
		return 0;
	/* earlier processes may have left what is old */
	log->trim_at = deadline_in_ms(trim_interval_ms(log));
	return log_stream_open(config, host_log(log->nova->host), &log->stream, error);
}

void call_log_close(struct call_log *log)
{
	if (!log)
		return;
	for (int i = log->said ? LAST_TRIES - 1 : 0; i < LAST_TRIES && log->count; i++)
		write_now(log, NULL);
	uint64_t lost = log->count + log->lost;
	for (struct link *l = log->queue.next; l != &log->queue; l = l->next)
		lost += CONTAINER_OF(l, struct pending, place)->record.lost;
	if (lost)
		log_error(host_log(log->nova->host), "calls",
			"what was to be written is lost: the records of %llu calls",
			(unsigned long long)lost);
	drop_first(log, log->count, 0);
	opened_unref(log->opened);
	log_stream_close(log->stream);
	pthread_mutex_destroy(&log->writing);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

void call_log_give_back(struct call_log *log, struct opened *opened, int code)
{
	bool failed = code == NOVA_EIO || code == NOVA_ECORRUPT;
	if (failed)
		pthread_mutex_lock(&log->writing);
	if (failed && log->opened == opened)
		opened_unref(STEAL(log->opened));
	if (failed)
		pthread_mutex_unlock(&log->writing);
	opened_unref(opened);
}

/* Who only reads has old records go, too. */
static void begin_trimming(struct call_log *log)
{
	pthread_mutex_lock(&log->lock);
	if (log->trim_at == NEVER)
		log->trim_at = deadline_in_ms(trim_interval_ms(log));
	pthread_mutex_unlock(&log->lock);
}

int call_log_borrow(struct call_log *log, struct opened **ret, nova_error_t **error)
{
	pthread_mutex_lock(&log->writing);
	if (waiting(log))
		write_now(log, NULL);
	int r = ensure_open(log, error);
	if (r == 0) {
		*ret = log->opened;
		atomic_fetch_add(&log->opened->references, 1);
		begin_trimming(log);
	}
	pthread_mutex_unlock(&log->writing);
	return r;
}
