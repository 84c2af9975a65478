/* SPDX-License-Identifier: MIT */
/* What a guest asks for, done and told. */
#include <errno.h>

#include "kv/kv.h"

#define PIECE 16384u /* bytes of an ask, or a reply, that count as another question */
#define AWAY  "the host cannot reach what its functions keep"

/* A question, and where its reply goes. */
struct question {
	struct kv *kv;
	const char *space;
	struct kv_ask ask;
	struct buf *reply;
	int r; /* of what was appended: 0 or -errno */
};

static void say(struct question *q, const char *text)
{
	if (q->r == 0)
		q->r = buf_append_str(q->reply, text);
}

static void say_text(struct question *q, const char *name, const char *text)
{
	say(q, name);
	if (q->r == 0)
		q->r = json_put_string(q->reply, text, strlen(text));
}

static void say_number(struct question *q, const char *name, uint64_t number)
{
	char digits[24];
	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
	say(q, name);
	say(q, digits);
}

static void say_bytes(struct question *q, const void *data, size_t len)
{
	say(q, ",\"value\":\"");
	if (q->r == 0)
		q->r = base64_put(q->reply, data, len);
	say(q, "\"");
}

/* The bytes of "value", in its own place. */
static int value_of(
	const struct kv_ask *ask, void **ret_data, size_t *ret_len, nova_error_t **error)
{
	ssize_t len = ask->value.at ?
			      base64_decode(ask->value.at, ask->value.len, (char *)ask->value.at) :
			      -1;
	*ret_data = (char *)ask->value.at;
	*ret_len = (size_t)len;
	return len >= 0 ? 0 : nova_fail(error, NOVA_EINVAL, "\"value\": required, in base64");
}

static nova_kv_list_opts page_of(const struct kv_ask *ask)
{
	nova_kv_list_opts opts = NOVA_KV_LIST_OPTS_INIT;
	opts.prefix = ask->prefix.at;
	opts.after = ask->after.at;
	opts.limit = ask->limit > UINT32_MAX ? UINT32_MAX : (uint32_t)ask->limit;
	return opts;
}

/* --- keys --- */

static int get(struct question *q, nova_error_t **error)
{
	const nova_kv_entry *entry = NULL;
	int code = kv_get(q->kv, q->space, q->ask.key.at, &entry, error);
	if (code < 0)
		return code;
	say_number(q, "{\"version\":", entry->version);
	say_number(q, ",\"expires_us\":", entry->expires_us);
	say_bytes(q, entry->value, entry->value_len);
	say(q, "}");
	nova_kv_entry_free(entry);
	return 0;
}

static int put(struct question *q, nova_error_t **error)
{
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	uint64_t version = 0;
	void *value;
	int code = value_of(&q->ask, &value, &opts.value_len, error);
	opts.key = q->ask.key.at;
	opts.value = value;
	opts.ttl_ms = (uint64_t)q->ask.ttl_ms;
	opts.if_version = (uint64_t)q->ask.if_version;
	opts.flags = q->ask.is_new ? NOVA_KV_NEW : 0;
	if (code == 0)
		code = kv_put(q->kv, q->space, &opts, &version, error);
	if (code == 0) {
		say_number(q, "{\"version\":", version);
		say(q, "}");
	}
	return code;
}

static int delete (struct question *q, nova_error_t **error)
{
	int code = kv_delete(q->kv, q->space, q->ask.key.at, (uint64_t)q->ask.if_version, error);
	if (code == 0)
		say(q, "{}");
	return code;
}

static int list(struct question *q, nova_error_t **error)
{
	const nova_kv_list_opts opts = page_of(&q->ask);
	const nova_kv_entry **entries = NULL;
	size_t count = 0;
	int code = kv_list(q->kv, q->space, &opts, &entries, &count, error);
	if (code < 0)
		return code;
	say(q, "{\"entries\":[");
	for (size_t i = 0; i < count; i++) {
		say_text(q, i ? ",{\"key\":" : "{\"key\":", entries[i]->key);
		say_number(q, ",\"size\":", entries[i]->value_len);
		say_number(q, ",\"version\":", entries[i]->version);
		say_number(q, ",\"expires_us\":", entries[i]->expires_us);
		say(q, "}");
	}
	say(q, "]}");
	nova_kv_list_free(entries, count);
	return 0;
}

/* --- files --- */

static void say_file(struct question *q, const nova_file *file)
{
	say_text(q, "{\"name\":", file->name);
	say_text(q, ",\"type\":", file->type);
	say_text(q, ",\"sha256\":", file->sha256);
	say_number(q, ",\"size\":", file->data_len);
	say_number(q, ",\"updated_us\":", file->updated_us);
	if (file->data)
		say_bytes(q, file->data, file->data_len);
	say(q, "}");
}

static int get_file(struct question *q, nova_error_t **error)
{
	const nova_file *file = NULL;
	int code = kv_file_get(q->kv, q->space, q->ask.key.at, &file, error);
	if (code == 0)
		say_file(q, file);
	nova_file_free(file);
	return code;
}

static int put_file(struct question *q, nova_error_t **error)
{
	nova_file_put_opts opts = NOVA_FILE_PUT_OPTS_INIT;
	void *data;
	int code = value_of(&q->ask, &data, &opts.data_len, error);
	opts.name = q->ask.key.at;
	opts.type = q->ask.type.at;
	opts.data = data;
	if (code == 0)
		code = kv_file_put(q->kv, q->space, &opts, error);
	if (code == 0)
		say(q, "{}");
	return code;
}

static int delete_file(struct question *q, nova_error_t **error)
{
	int code = kv_file_delete(q->kv, q->space, q->ask.key.at, error);
	if (code == 0)
		say(q, "{}");
	return code;
}

static int list_files(struct question *q, nova_error_t **error)
{
	const nova_kv_list_opts opts = page_of(&q->ask);
	const nova_file **files = NULL;
	size_t count = 0;
	int code = kv_file_list(q->kv, q->space, &opts, &files, &count, error);
	if (code < 0)
		return code;
	say(q, "{\"files\":[");
	for (size_t i = 0; i < count; i++) {
		say(q, i ? "," : "");
		say_file(q, files[i]);
	}
	say(q, "]}");
	nova_file_list_free(files, count);
	return 0;
}

/* --- all --- */

static const struct op {
	const char *name;
	int (*run)(struct question *q, nova_error_t **error);
} ops[] = {
	{ "kv get", get },
	{ "kv put", put },
	{ "kv delete", delete },
	{ "kv list", list },
	{ "file get", get_file },
	{ "file put", put_file },
	{ "file delete", delete_file },
	{ "file list", list_files },
};

#define RATE_NAME 64
static void rate_name(const char *space, char name[RATE_NAME])
{
	snprintf(name, RATE_NAME, "kv:%.50s", space);
}

/* Of all VMs of a function together, and of this host alone, or with Redis of all. */
static int take_rate(const struct kv *kv, const char *space, size_t len, nova_error_t **error)
{
	const struct rate limit = { kv->rate, 1000000, kv->rate };
	uint64_t wait_us = 0, tokens = 1 + len / PIECE;
	char name[RATE_NAME];
	rate_name(space, name);
	if (!kv->rate || !kv->rates)
		return 0;
	int code = rates_take(kv->rates, name, &limit, tokens, &wait_us);
	if (code != NOVA_ELIMIT)
		return code < 0 ? nova_oom(error) : 0;
	return nova_fail(error, NOVA_ELIMIT,
		"the function asks for what it keeps more than %llu times a second, each 16 KiB "
		"counted as one (setting kv.rate); try again in %llu ms",
		(unsigned long long)kv->rate, (unsigned long long)(wait_us / 1000 + 1));
}

/* How long a reply is is known when it has been made. */
static void owe_rate(const struct kv *kv, const char *space, size_t len)
{
	char name[RATE_NAME];
	rate_name(space, name);
	if (kv->rate && kv->rates && len >= PIECE)
		rates_owe(kv->rates, name, len / PIECE);
}

/* A store that is away is not one that lacks the key, whatever its opening says. */
static int reach(struct kv *kv, nova_error_t **error)
{
	struct store *store;
	int code = kv_store(kv, &store, NULL);
	return code == 0 || code == NOVA_ENOMEM ? code : nova_fail(error, NOVA_EIO, "%s", AWAY);
}

static int run(struct question *q, char *ask, size_t len, nova_error_t **error)
{
	int code = take_rate(q->kv, q->space, len, error);
	if (code == 0)
		code = kv_ask_read(ask, len, &q->ask, error);
	if (code == 0)
		code = reach(q->kv, error);
	if (code < 0)
		return code;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (q->ask.op.at && !strcmp(q->ask.op.at, ops[i].name))
			return ops[i].run(q, error);
	return nova_fail(error, NOVA_EINVAL,
		"\"op\": one of kv get, put, delete and list, and file get, put, delete and list");
}

/* What the host cannot do, whatever the reason, is told to the function without the places of the
 * host. */
static bool is_own(int code)
{
	return code == NOVA_EINVAL || code == NOVA_ENOTFOUND || code == NOVA_EEXIST ||
	       code == NOVA_EBUSY || code == NOVA_ETOOBIG || code == NOVA_ELIMIT;
}

int kv_answer(struct kv *kv, const char *space, char *ask, size_t len, struct buf *reply)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	struct question q = { .kv = kv, .space = space, .reply = reply };
	size_t before = reply->len;
	int code = run(&q, ask, len, &failure);
	owe_rate(kv, space, reply->len - before);
	if (code == 0)
		return q.r;
	say_text(&q, "{\"code\":", nova_code_name(is_own(code) ? code : NOVA_EIO));
	say_text(&q, ",\"error\":", is_own(code) ? nova_error_message(failure) : AWAY);
	say(&q, "}");
	return q.r;
}
