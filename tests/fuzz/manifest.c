/* SPDX-License-Identifier: MIT */
/* Any bytes as the manifest of a snapshot: refused with an error, or taken, and then the same after
 * being written and read again. */
#include <assert.h>

#include "snapshot/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void sound(const struct manifest *m)
{
	assert(strlen(m->id) == SNAPSHOT_ID - 1 &&
		(!*m->base || strlen(m->base) == SNAPSHOT_ID - 1));
	const struct machine_config *c = &m->config;
	assert(c->memory_mb >= 32 && c->memory_mb <= 65536 && c->vcpus >= 1 && c->vcpus <= 32);
	assert(*m->name && m->engine && m->engine_identity && m->rootfs_identity &&
		m->code_identity);
	assert(m->state.size && (m->memory.size != 0) != (m->pages.size != 0));
	const uint64_t size = (uint64_t)c->memory_mb << 20;
	assert(!m->memory.size ||
		(m->memory.unpacked ? m->memory.unpacked : m->memory.size) == size);
	assert(m->pages.unpacked <= 2 * size && !m->state.unpacked && m->input_count <= 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct manifest m = { .name = NULL }, again = { .name = NULL };
	nova_error_t *error = NULL;
	int code = manifest_from_json((const char *)data, len, "fuzz", &m, &error);
	assert((code == 0) == (error == NULL));
	if (code < 0) {
		assert(code == NOVA_ECORRUPT);
		nova_error_free(error);
		return 0;
	}
	sound(&m);
	char *text = manifest_to_json(&m);
	assert(text);
	code = manifest_from_json(text, strlen(text), "again", &again, NULL);
	assert(code == 0 && !strcmp(again.id, m.id) && !strcmp(again.name, m.name) &&
		again.created_us == m.created_us);
	assert(again.state.size == m.state.size && again.pages.size == m.pages.size &&
		again.function.is_there == m.function.is_there);
	free(text);
	manifest_done(&again);
	manifest_done(&m);
	return 0;
}
