/* SPDX-License-Identifier: MIT */
#include "engine/firecracker/firecracker.h"

bool fc_version_parse(const char *text, struct fc_version *ret)
{
	struct fc_version v;
	int used = 0;
	text += strcspn(text, "0123456789");
	if (sscanf(text, "%4u.%4u.%4u%n", &v.major, &v.minor, &v.patch, &used) != 3)
		return false;
	if (text[used] && !strchr("-+ \n\r", text[used]))
		return false;
	*ret = v;
	return true;
}

bool fc_at_least(const struct fc_version *v, unsigned major, unsigned minor, unsigned patch)
{
	if (v->major != major)
		return v->major > major;
	return v->minor != minor ? v->minor > minor : v->patch >= patch;
}

int fc_version_check(const struct fc_version *v, nova_error_t **error)
{
	/* Before 1.10 restored guests keep dead connections open: their agent would never be heard again. */
	if (!fc_at_least(v, 1, 10, 0))
		return nova_fail(error, NOVA_ENOTSUP, "Firecracker %u.%u.%u is too old; 1.10 or later is needed", v->major, v->minor, v->patch);
	if (v->major == 1 && v->minor == 16 && v->patch == 0)
		return nova_fail(error, NOVA_ENOTSUP, "Firecracker 1.16.0 cannot reach the guests that it restores; install 1.16.1 or later");
	return 0;
}
