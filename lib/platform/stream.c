/* SPDX-License-Identifier: MIT */
/*
 * The log of calls as streams of Redis, one a function, for whoever follows what all hosts do. It
 * is a copy, capped and expiring: what is written while the server is away stands in the store
 * alone.
 */
#include <time.h>

#include "json/json.h"
#include "module/redis.h"
#include "platform/stream.h"
#include "redis/redis.h"

#define STREAM   "nova:logs:" /* and the id of the function */
#define ENTRIES  "10000"      /* about so many */
#define EXPIRE_S "86400"
#define MOST     (16u << 20)

struct log_stream {
	struct redis *redis;
};

int log_stream_open(const nova_config_t *config, const struct logger *log, struct log_stream **ret,
	nova_error_t **error)
{
	static const struct redis_use use = { "calls are logged in the store alone", MOST };
	*ret = NULL;
	if (!redis_is_wanted(config))
		return 0;
	struct log_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return nova_oom(error);
	int r = redis_open(config, &use, log, &stream->redis, error);
	if (r < 0)
		log_stream_close(stream);
	else
		*ret = stream;
	return r;
}

void log_stream_close(struct log_stream *stream)
{
	if (stream)
		redis_close(stream->redis);
	free(stream);
}

/* --- an entry --- */

struct batch {
	size_t left; /* answers */
	bool done;
	struct buf data; /* of one entry */
	/* calls that are written together began within a few seconds */
	uint64_t second; /* UINT64_MAX: none yet */
	char second_text[24];
};

#define FIELD(name) ",\"" name "\":"

static int put_bytes(struct buf *b, const char *field, const void *text, size_t len)
{
	int r = buf_append_str(b, field);
	return r < 0 ? r : json_put_string(b, text, len);
}

static int put_text(struct buf *b, const char *field, const char *text)
{
	return put_bytes(b, field, text, strlen(text));
}

static int put_number(struct buf *b, const char *field, uint64_t number)
{
	char text[20], *end = text + sizeof(text), *at = end;
	int r = buf_append_str(b, field);
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	return r < 0 ? r : buf_append(b, at, (size_t)(end - at));
}

static int put_flag(struct buf *b, const char *field, bool flag)
{
	int r = buf_append_str(b, field);
	return r < 0 ? r : buf_append_str(b, flag ? "true" : "false");
}

static int put_time(struct batch *batch, const char *field, uint64_t us)
{
	struct tm tm;
	char micros[] = "1000000Z";
	uint64_t rest = us % 1000000;
	if (us / 1000000 != batch->second) {
		time_t second = (time_t)(batch->second = us / 1000000);
		strftime(batch->second_text, sizeof(batch->second_text), "%Y-%m-%dT%H:%M:%S",
			gmtime_r(&second, &tm));
	}
	for (size_t i = 6; i > 0; i--, rest /= 10)
		micros[i] = (char)('0' + rest % 10);
	micros[0] = '.';
	struct buf *b = &batch->data;
	int r = buf_append_str(b, field);
	if (r == 0)
		r = buf_append(b, "\"", 1);
	if (r == 0)
		r = buf_append_str(b, batch->second_text);
	if (r == 0)
		r = buf_append_str(b, micros);
	return r < 0 ? r : buf_append(b, "\"", 1);
}

static int put_record(struct batch *batch, const struct call_record *r)
{
	struct buf *b = &batch->data;
	int code = put_text(b, "{\"id\":", r->request_id);
	if (code == 0)
		code = put_text(b, FIELD("function_id"), r->id);
	if (code == 0)
		code = put_text(b, FIELD("function_name"), r->function);
	if (code == 0)
		code = put_number(b, FIELD("version"), r->version);
	if (code == 0)
		code = put_text(b, FIELD("runtime"), r->runtime);
	if (code == 0)
		code = put_number(b, FIELD("duration_ms"), r->duration_us / 1000);
	if (code == 0)
		code = put_flag(b, FIELD("cold_start"), r->cold);
	if (code == 0)
		code = put_flag(b, FIELD("success"), !r->code);
	if (code == 0)
		code = put_text(b, FIELD("error_message"), r->error);
	if (code == 0)
		code = put_number(b, FIELD("input_size"), r->input_size);
	if (code == 0)
		code = put_number(b, FIELD("output_size"), r->output_size);
	if (code == 0)
		code = put_bytes(b, FIELD("stdout"), r->out, r->out_len);
	if (code == 0)
		code = put_bytes(b, FIELD("stderr"), r->err, r->err_len);
	if (code == 0)
		code = put_time(batch, FIELD("created_at"), r->started_us);
	return code < 0 ? code : buf_append_str(b, "}");
}

/* --- sending --- */

static void on_answer(void *userdata, const redisReply *reply)
{
	struct batch *batch = userdata;
	(void)reply;
	batch->done = --batch->left == 0;
}

static bool put_words(
	struct log_stream *s, const char *const *words, size_t count, struct batch *batch)
{
	batch->left++; /* first: a connection that is lost answers at once */
	bool done = redis_put(s->redis, words, count, on_answer, batch);
	batch->left -= !done;
	return done;
}

/* False: there is no connection, or no memory. */
static bool put_entry(
	struct log_stream *s, const char *key, const struct call_record *r, struct batch *batch)
{
	buf_reset(&batch->data);
	if (put_record(batch, r) < 0 || buf_append(&batch->data, "", 1) < 0)
		return false;
	const char *const add[] = { "XADD", key, "MAXLEN", "~", ENTRIES, "*", "data",
		(const char *)batch->data.data };
	return put_words(s, add, ARRAY_LEN(add), batch);
}

/* Those of one function, which begin the records; *ret_count: so many. */
static bool put_entries(struct log_stream *s, const struct call_record *const *records,
	size_t count, size_t *ret_count, struct batch *batch)
{
	AUTO_FREE char *key = str_format(STREAM "%s", records[0]->id);
	const char *const expire[] = { "EXPIRE", key, EXPIRE_S };
	size_t i = 0;
	bool there = key;
	for (; i < count && !strcmp(records[i]->id, records[0]->id); i++)
		there = there && put_entry(s, key, records[i], batch);
	*ret_count = i;
	return there && put_words(s, expire, ARRAY_LEN(expire), batch);
}

void log_stream_write(
	struct log_stream *stream, const struct call_record *const *records, size_t count)
{
	struct batch batch = { .data = BUF_INIT(MOST / 4), .second = UINT64_MAX };
	bool there = stream && redis_ready(stream->redis);
	for (size_t i = 0, some; there && i < count; i += some) {
		some = 1;
		there = !*records[i]->id ||
			put_entries(stream, records + i, count - i, &some, &batch);
	}
	if (batch.left)
		redis_await(stream->redis, &batch.done);
	buf_free(&batch.data);
}
