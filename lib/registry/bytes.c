/* SPDX-License-Identifier: MIT */
/* The bytes of code that is looked at, and what is said of those that are none. */
#include "registry/internal.h"

bool code_read(const struct code *code, void *out, size_t len, uint64_t offset)
{
	if (code->fd >= 0)
		return sys_pread_all(code->fd, out, len, offset) == 0;
	if (offset > code->len || len > code->len - offset)
		return false;
	memcpy(out, code->data + offset, len);
	return true;
}

int code_refuse(const struct code *code, const struct runtime *runtime, const char *why,
	nova_error_t **error)
{
	return nova_fail(error, NOVA_EINVAL, "code: %s %s; %s", code->what, why, runtime->advice);
}
