/* SPDX-License-Identifier: MIT */
/* The calls of nova/backup.h. */
#include <nova/backup.h>

#include "platform/platform.h"

static struct kept kept_of(nova_t *nova)
{
	return (struct kept){ kv_open, &nova->kv };
}

int nova_export(nova_t *nova, const char *path, nova_error_t **error)
{
	if (ANY_NULL(error, nova, path))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	const struct kept kept = kept_of(nova);
	return code < 0 ? code : registry_export(&nova->registry, &kept, path, error);
}

int nova_import(nova_t *nova, const char *path, uint32_t flags, nova_error_t **error)
{
	if (ANY_NULL(error, nova, path))
		return NOVA_EINVAL;
	if (flags & ~(uint32_t)NOVA_IMPORT_MERGE)
		return nova_fail(error, NOVA_EINVAL,
			"flags is %#x: NOVA_IMPORT_MERGE is all there is", (unsigned)flags);
	int code = registry_check_process(&nova->registry, error);
	const struct kept kept = kept_of(nova);
	if (code == 0)
		code = registry_import(
			&nova->registry, &kept, path, flags & NOVA_IMPORT_MERGE, error);
	if (code == 0)
		kv_note_ttl(&nova->kv, 0); /* of what was imported; none is known */
	return code;
}
