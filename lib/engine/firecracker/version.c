/* SPDX-License-Identifier: MIT */
#include "engine/firecracker/firecracker.h"

static bool take_dot(const char **at)
{
	return *(*at)++ == '.';
}

bool fc_version_parse(const char *text, struct fc_version *ret)
{
	struct fc_version v;
	const char *at = text + strcspn(text, "0123456789");
	if (!str_take_number(&at, &v.major) || !take_dot(&at) || !str_take_number(&at, &v.minor) || !take_dot(&at) || !str_take_number(&at, &v.patch))
		return false;
	if (*at && !strchr("-+ \n\r", *at))
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
