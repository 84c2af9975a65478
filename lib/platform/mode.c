/* SPDX-License-Identifier: MIT */
/* In which VM a call runs, and what it leaves: docs/modes.md. */
#include "platform/platform.h"

#define PLACE (NOVA_INVOKE_FRESH | NOVA_INVOKE_CHECKPOINT)
#define FLAGS (PLACE | NOVA_INVOKE_PROGRAM)

static int check(const nova_invoke_opts *o, nova_error_t **error)
{
	if (o->flags & ~FLAGS)
		return nova_fail(error, NOVA_EINVAL, "nova_invoke_opts.flags has unknown bits 0x%x",
			o->flags & ~FLAGS);
	if (o->instance && (o->snapshot || o->flags & NOVA_INVOKE_FRESH))
		return nova_fail(error, NOVA_EINVAL,
			"an instance goes on from its own memory: give either the instance, or a "
			"snapshot or a fresh microVM");
	return opts_reserved(o->reserved, "nova_invoke_opts", error);
}

bool needs_new_vm(const nova_invoke_opts *o)
{
	return o->flags & PLACE || o->snapshot || o->checkpoint_name;
}

int mode_check_engine(struct nova *nova, nova_error_t **error)
{
	const struct engine_ops *ops;
	int code = host_choose_engine(nova->host, NULL, &ops, error);
	return code < 0 || ops->save ?
		       code :
		       nova_fail(error, NOVA_ENOTSUP,
			       "the engine %s takes no snapshots: use another one (setting engine)",
			       ops->name);
}

static bool copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

int mode_prepare(struct invocation *c, const nova_invoke_opts *o, nova_error_t **error)
{
	int code = check(o, error);
	if (code < 0)
		return code;
	c->checkpoint = o->flags & NOVA_INVOKE_CHECKPOINT || o->checkpoint_name;
	c->request.fresh = needs_new_vm(o);
	c->request.queue_timeout_ms = o->queue_timeout_ms;
	if (!copy_text(&c->request.snapshot, o->snapshot) ||
		!copy_text(&c->checkpoint_name, o->checkpoint_name))
		return nova_oom(error);
	if (c->checkpoint || o->snapshot)
		code = mode_check_engine(c->nova, error);
	/* looked at beforehand, so that a call does not run for a snapshot that cannot be */
	if (code == 0 && o->checkpoint_name)
		code = snapshot_check_new_name(c->nova->host, o->checkpoint_name, error);
	return code;
}
