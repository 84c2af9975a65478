/* SPDX-License-Identifier: MIT */
/* The list of engines. */
#include "engine/engine.h"

const struct engine_ops *const all_engines[] = { &firecracker_engine, &qemu_engine, &process_engine,
	NULL };

const struct engine_ops *engine_find(const char *name)
{
	for (size_t i = 0; all_engines[i]; i++)
		if (!strcmp(all_engines[i]->name, name))
			return all_engines[i];
	return NULL;
}

/* ", ENGINE" for each that can do that; caller frees. NULL: out of memory. */
static char *engines_with(uint32_t features)
{
	AUTO_BUF struct buf names = BUF_INIT(256);
	for (size_t i = 0; all_engines[i]; i++)
		if (engine_has(all_engines[i], features) &&
			(buf_append_str(&names, names.len ? " or " : "") < 0 ||
				buf_append_str(&names, all_engines[i]->name) < 0))
			return NULL;
	return buf_steal_str(&names);
}

int engine_check(
	const struct engine_ops *ops, const struct machine_config *config, nova_error_t **error)
{
	FOR_EACH_PROPERTY(p)
	{
		if (!p->is.features || engine_has(ops, p->is.features) ||
			property_number(p, config) == p->is.standard)
			continue;
		AUTO_FREE char *others = engines_with(p->is.features);
		return !others ? nova_oom(error) :
				 nova_fail(error, NOVA_ENOTSUP,
					 "the engine %s does not support %s: leave it out, or use "
					 "%s",
					 ops->name, p->is.name, others);
	}
	return 0;
}
