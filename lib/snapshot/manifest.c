/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "proto/proto.h"
#include "snapshot/manifest.h"

#define FORMAT     2
#define INPUTS_MAX 64u

int guest_function_copy(struct guest_function *to, const struct guest_function *from)
{
	*to = *from;
	to->draws = from->draws ? strdup(from->draws) : NULL;
	return from->draws && !to->draws ? NOVA_ENOMEM : 0;
}

void guest_function_done(struct guest_function *function)
{
	free(function->draws);
	*function = (struct guest_function)GUEST_FUNCTION_NONE;
}

void manifest_done(struct manifest *m)
{
	char *const texts[] = { m->name, m->engine, m->engine_identity, m->rootfs_identity,
		m->code_identity, m->owner };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
	strv_free(m->inputs, m->input_count);
	machine_config_done(&m->config);
	guest_function_done(&m->function);
	memset(m, 0, sizeof(*m));
}

int file_identity(const char *path, char **ret_identity, nova_error_t **error)
{
	struct stat st;
	AUTO_FD int fd = sys_open(path, 0, 0);
	int r = fd < 0 ? fd : sys_fstat(fd, &st);
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", path);
	*ret_identity = str_format("%" PRIu64 ":%" PRId64 ".%09ld:%" PRIu64, (uint64_t)st.st_size,
		(int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (uint64_t)st.st_ino);
	return *ret_identity ? 0 : nova_oom(error);
}

static json_t *sum_json(const struct file_sum *sum)
{
	if (!sum->size)
		return json_null();
	return json_pack("{s:I, s:I, s:s}", "size", (json_int_t)sum->size, "unpacked",
		(json_int_t)sum->unpacked, "sha256", sum->sha256);
}

static const char *text(const char *value)
{
	return value ? value : "";
}

static json_t *list_json(char *const *texts, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, json_string(texts[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

char *manifest_to_json(const struct manifest *m)
{
	const struct machine_config *c = &m->config;
	AUTO_JSON json_t *json =
		json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s}", "format",
			FORMAT, "id", m->id, "base", m->base, "base_sum", m->base_sum, "parent",
			m->parent, "name", text(m->name), "owner", text(m->owner), "created_us",
			(json_int_t)m->created_us, "life_time_s", (json_int_t)m->life_time_s,
			"engine", text(m->engine), "engine_identity", text(m->engine_identity));
	AUTO_JSON json_t *rest =
		json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:s, s:i, s:o, s:o, s:o}", "rootfs",
			text(c->rootfs), "rootfs_identity", text(m->rootfs_identity), "code_disk",
			text(c->code_disk), "code_identity", text(m->code_identity), "inputs",
			list_json(m->inputs, m->input_count), "has_function", m->function.is_there,
			"has_hooks", m->function.has_hooks, "draws", text(m->function.draws),
			"concurrency", (int)m->function.concurrency, "memory", sum_json(&m->memory),
			"pages", sum_json(&m->pages), "state", sum_json(&m->state));
	bool whole = json && rest && machine_config_to_json(c, json) &&
		     json_object_update(json, rest) == 0;
	return whole ? json_dumps(json, JSON_INDENT(2)) : NULL;
}

/* Hexadecimal digits that fill `out`, or none. */
static bool read_digits(const json_t *json, const char *key, char *out, size_t room)
{
	const char *value = json_string_value(json_object_get(json, key));
	size_t len = value ? strlen(value) : 0;
	if (!value || (len && (len != room - 1 || strspn(value, "0123456789abcdef") != len)))
		return false;
	memcpy(out, value, len + 1);
	return true;
}

static bool read_id(const json_t *json, const char *key, char out[SNAPSHOT_ID])
{
	return read_digits(json, key, out, SNAPSHOT_ID);
}

/* Manifests of before do not tell the sum of the base. */
static bool read_base(const json_t *json, struct manifest *m)
{
	return read_id(json, "base", m->base) &&
	       (!json_object_get(json, "base_sum") ||
		       read_digits(json, "base_sum", m->base_sum, sizeof(m->base_sum)));
}

/* A manifest that is read. It is of no fault if there was no memory for what it says. */
struct reading {
	json_t *json;
	bool no_memory;
};

static bool keep(struct reading *in, const char *value, char **out)
{
	*out = value ? strdup(value) : NULL;
	in->no_memory |= value && !*out;
	return *out;
}

static bool read_text(struct reading *in, const char *key, char **out)
{
	return keep(in, json_string_value(json_object_get(in->json, key)), out);
}

/* "": none, which is NULL. */
static bool read_some(struct reading *in, const char *key, char **out)
{
	const char *path = json_string_value(json_object_get(in->json, key));
	return path && (!*path || keep(in, path, out));
}

/* Manifests of before have no such member. */
static bool read_optional(struct reading *in, const char *key, char **out)
{
	return json_object_get(in->json, key) ? read_text(in, key, out) : keep(in, "", out);
}

static bool read_sum(const json_t *json, const char *key, struct file_sum *out)
{
	const json_t *sum = json_object_get(json, key);
	const char *sha = json_string_value(json_object_get(sum, "sha256"));
	json_int_t size = json_integer_value(json_object_get(sum, "size")),
		   unpacked = json_integer_value(json_object_get(sum, "unpacked"));
	if (json_is_null(sum))
		return true;
	if (size <= 0 || unpacked < 0 || !sha || strlen(sha) != SHA256_HEX - 1)
		return false;
	out->size = (uint64_t)size;
	out->unpacked = (uint64_t)unpacked;
	memcpy(out->sha256, sha, SHA256_HEX);
	return true;
}

/* Not there: none. */
static bool read_list(struct reading *in, const char *key, char ***ret_texts, size_t *ret_count)
{
	const json_t *list = json_object_get(in->json, key), *item;
	size_t count = json_array_size(list), i;
	if (!list || !count)
		return !list || json_is_array(list);
	*ret_texts = count <= INPUTS_MAX ? calloc(count, sizeof(char *)) : NULL;
	in->no_memory |= count <= INPUTS_MAX && !*ret_texts;
	if (!*ret_texts)
		return false;
	json_array_foreach(list, i, item)
	{
		if (!keep(in, json_string_value(item), &(*ret_texts)[i]))
			return false;
		*ret_count = i + 1;
	}
	return true;
}

static bool fits_memory(const struct manifest *m)
{
	const uint64_t size = (uint64_t)m->config.memory_mb << 20;
	/* A list of pages has at most all of them, and a run for each. */
	return (!m->memory.size ||
		       (m->memory.unpacked ? m->memory.unpacked : m->memory.size) == size) &&
	       m->pages.unpacked <= 2 * size && !m->state.unpacked;
}

/* Snapshots from before there was such a thing have neither `draws` nor a concurrency. */
static bool read_function(struct reading *in, struct guest_function *f)
{
	json_int_t most = json_integer_value(json_object_get(in->json, "concurrency"));
	f->is_there = json_is_true(json_object_get(in->json, "has_function"));
	f->has_hooks = json_is_true(json_object_get(in->json, "has_hooks"));
	f->concurrency = most >= 1 && most <= 16 ? (uint32_t)most : 1;
	return !json_object_get(in->json, "draws") || read_some(in, "draws", &f->draws);
}

static bool read_all(struct reading *in, struct manifest *m)
{
	const json_t *json = in->json;
	m->created_us = (uint64_t)json_integer_value(json_object_get(json, "created_us"));
	m->life_time_s = (uint64_t)json_integer_value(json_object_get(json, "life_time_s"));
	return json_integer_value(json_object_get(json, "format")) == FORMAT &&
	       json_object_get(json, "memory_mb") && json_object_get(json, "vcpus") &&
	       machine_config_from_json(&m->config, json) && read_id(json, "id", m->id) && *m->id &&
	       read_base(json, m) && read_text(in, "name", &m->name) &&
	       (!json_object_get(json, "parent") || read_id(json, "parent", m->parent)) &&
	       read_optional(in, "owner", &m->owner) && read_function(in, &m->function) &&
	       read_text(in, "engine", &m->engine) &&
	       read_text(in, "engine_identity", &m->engine_identity) &&
	       read_some(in, "rootfs", &m->config.rootfs) &&
	       read_text(in, "rootfs_identity", &m->rootfs_identity) &&
	       read_some(in, "code_disk", &m->config.code_disk) &&
	       read_text(in, "code_identity", &m->code_identity) &&
	       read_list(in, "inputs", &m->inputs, &m->input_count) &&
	       read_sum(json, "memory", &m->memory) && read_sum(json, "pages", &m->pages) &&
	       read_sum(json, "state", &m->state) && *m->name && m->state.size && fits_memory(m) &&
	       !m->memory.size == !!m->pages.size && !!*m->base == !!m->pages.size;
}

int manifest_from_json(const char *text_in, size_t len, const char *where, struct manifest *ret,
	nova_error_t **error)
{
	AUTO_JSON json_t *json = NULL;
	struct manifest m = { .name = NULL };
	int r = json_parse(text_in, len, JSON_REJECT_DUPLICATES, &json, NULL);
	struct reading in = { json, r == -ENOMEM };
	bool whole = r == 0 && read_all(&in, &m);
	if (!whole) {
		manifest_done(&m);
		if (in.no_memory)
			return nova_oom(error);
		return nova_fail(error, NOVA_ECORRUPT,
			"'%s' is not the manifest of a snapshot that this libnova can read; delete "
			"its directory",
			where);
	}
	*ret = m;
	return 0;
}
