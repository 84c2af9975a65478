/* SPDX-License-Identifier: MIT */
/* The modes of a call: which options go together, and what they ask of the VM. */
#include "platform/platform.h"

static const char *const mode_names[] = { "cached", "ephemeral", "checkpointed", "branched",
	"persistent" };

static bool is_private(uint32_t mode)
{
	return mode != NOVA_MODE_CACHED && mode != NOVA_MODE_EPHEMERAL;
}

static bool wants_checkpoint(const nova_invoke_opts *o)
{
	return o->checkpoint_after || o->snapshot_after;
}

static int check(const nova_invoke_opts *o, nova_error_t **error)
{
	if (o->mode >= ARRAY_LEN(mode_names))
		return nova_fail(error, NOVA_EINVAL,
			"mode %u is unknown: cached, ephemeral, checkpointed, branched and "
			"persistent are 0 to 4",
			o->mode);
	const char *name = mode_names[o->mode];
	if (o->snapshot && !is_private(o->mode))
		return nova_fail(error, NOVA_EINVAL,
			"mode %s does not go on from a snapshot: use mode branched, checkpointed "
			"or persistent",
			name);
	if (wants_checkpoint(o) && !is_private(o->mode))
		return nova_fail(error, NOVA_EINVAL,
			"mode %s leaves no snapshot: use mode checkpointed, branched or persistent",
			name);
	if (o->instance && o->mode != NOVA_MODE_PERSISTENT)
		return nova_fail(error, NOVA_EINVAL,
			"mode %s does not run in an instance: use mode persistent", name);
	if (o->instance && o->snapshot)
		return nova_fail(error, NOVA_EINVAL,
			"an instance that lives goes on from its own memory: give either the "
			"instance or a snapshot, not both");
	if (o->mode == NOVA_MODE_BRANCHED && !o->snapshot)
		return nova_fail(
			error, NOVA_EINVAL, "mode branched needs the snapshot to branch from");
	if (o->mode == NOVA_MODE_CHECKPOINTED && !o->snapshot && !wants_checkpoint(o))
		return nova_fail(error, NOVA_EINVAL,
			"mode checkpointed needs a snapshot to go on from, or checkpoint_after, or "
			"both");
	return 0;
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

/* Looked at beforehand, so that a call does not run for a snapshot that cannot be. */
static int check_new_name(struct nova *nova, const char *name, nova_error_t **error)
{
	nova_snapshot_t *other = NULL;
	int code = snapshot_check_name(name, error);
	if (code < 0 || nova_snapshot_open(nova->host, name, &other, NULL) < 0)
		return code;
	nova_snapshot_free(other);
	return nova_fail(error, NOVA_EEXIST,
		"there is a snapshot '%s' already; delete it first or take another name", name);
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
	c->mode = o->mode;
	c->checkpoint_after = wants_checkpoint(o);
	c->request.fresh = o->mode != NOVA_MODE_CACHED;
	c->request.queue_timeout_ms = o->queue_timeout_ms;
	if (!copy_text(&c->request.snapshot, o->snapshot) ||
		!copy_text(&c->snapshot_after, o->snapshot_after))
		return nova_oom(error);
	if (c->checkpoint_after || o->snapshot)
		code = mode_check_engine(c->nova, error);
	if (code == 0 && o->snapshot_after)
		code = check_new_name(c->nova, o->snapshot_after, error);
	return code;
}
