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
	if (!str_take_number(&at, &v.major) || !take_dot(&at) || !str_take_number(&at, &v.minor) ||
		!take_dot(&at) || !str_take_number(&at, &v.patch))
		return false;
	if (*at && !strchr("-+ \n\r", *at))
		return false;
	*ret = v;
	return true;
}

/* The first with it, the first without it again (all 0: none yet), and upstream's number for it. */
static const struct {
	struct fc_version since, until;
	unsigned upstream;
} facts[] = {
	[FC_KEEPS_DEAD_STREAMS] = { { 0, 0, 0 }, { 1, 10, 0 }, 4796 },
	[FC_CLONES_ARE_DEAF] = { { 1, 16, 0 }, { 1, 16, 1 }, 5969 },
	[FC_RESET_COMES_LATE] = { { 0, 0, 0 }, { 1, 16, 0 }, 5882 },
	[FC_PAUSE_STOPS_STREAMS] = { { 1, 16, 0 }, { 1, 17, 0 }, 6100 },
	[FC_NAMES_NETWORKS] = { { 1, 12, 0 }, { 0, 0, 0 }, 4731 },
	[FC_DIFF_WITHOUT_TRACKING] = { { 1, 13, 0 }, { 0, 0, 0 }, 5274 },
	[FC_TRACKS_BY_NEW_NAME] = { { 1, 13, 0 }, { 0, 0, 0 }, 0 },
	[FC_NAMES_VSOCK] = { { 1, 16, 0 }, { 0, 0, 0 }, 5323 },
};

static int compare(const struct fc_version *a, const struct fc_version *b)
{
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	if (a->minor != b->minor)
		return a->minor < b->minor ? -1 : 1;
	return a->patch == b->patch ? 0 : a->patch < b->patch ? -1 : 1;
}

bool fc_has(const struct fc_version *v, enum fc_fact fact)
{
	const struct fc_version *until = &facts[fact].until;
	return compare(v, &facts[fact].since) >= 0 && (!until->major || compare(v, until) < 0);
}

/* Else a Diff holds what is resident, which is not all where some is swapped out. */
bool fc_must_track(const struct fc_version *v, bool swap_is_on)
{
	return swap_is_on || !fc_has(v, FC_DIFF_WITHOUT_TRACKING);
}

unsigned fc_upstream(enum fc_fact fact)
{
	return facts[fact].upstream;
}

int fc_version_check(const struct fc_version *v, nova_error_t **error)
{
	if (fc_has(v, FC_KEEPS_DEAD_STREAMS))
		return nova_fail(error, NOVA_ENOTSUP,
			"Firecracker %u.%u.%u is too old (upstream %u); 1.10 or later is needed",
			v->major, v->minor, v->patch, fc_upstream(FC_KEEPS_DEAD_STREAMS));
	if (fc_has(v, FC_CLONES_ARE_DEAF))
		return nova_fail(error, NOVA_ENOTSUP,
			"Firecracker %u.%u.%u cannot reach the guests that it restores (upstream "
			"%u); install 1.16.1 or later",
			v->major, v->minor, v->patch, fc_upstream(FC_CLONES_ARE_DEAF));
	return 0;
}
