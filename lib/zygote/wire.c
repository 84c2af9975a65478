/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "zygote/wire.h"

static bool are_descriptors(const int32_t *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (fds[i] < 0 || fds[i] > ZYGOTE_MAX_FD)
			return false;
		for (uint32_t j = 0; j < i; j++)
			if (fds[j] == fds[i])
				return false;
	}
	return true;
}

static bool is_zero(const void *at, size_t len)
{
	const unsigned char *bytes = at;
	while (len > 0 && bytes[len - 1] == 0)
		len--;
	return len == 0;
}

/* Members that this version does not use are 0, so that a later one may. */
static bool rest_is_zero(const struct zygote_order *o)
{
	const int32_t *end = o->targets + ZYGOTE_MAX_FDS, *shared_end = o->shared + ZYGOTE_MAX_FDS;
	const int32_t *targets = o->targets + o->target_count,
		      *shared = o->shared + o->shared_count;
	return is_zero(targets, (size_t)(end - targets) * sizeof(*targets)) &&
	       is_zero(shared, (size_t)(shared_end - shared) * sizeof(*shared)) &&
	       is_zero(o->zero, sizeof(o->zero));
}

static bool flags_are_known(const struct zygote_order *o)
{
	uint32_t known = 0;
	if (o->kind == ZYGOTE_FORK)
		known = ZYGOTE_HOLD;
	else if (o->kind == ZYGOTE_BIRTH)
		known = ZYGOTE_USER | ZYGOTE_FILTER | ZYGOTE_FERTILE;
	if (o->flags & ZYGOTE_FERTILE && !(o->flags & (ZYGOTE_USER | ZYGOTE_FILTER)))
		return false;
	return (o->flags & ~known) == 0;
}

static const char *wrong_for_its_kind(const struct zygote_order *o)
{
	bool looks = o->kind == ZYGOTE_FORK || o->kind == ZYGOTE_CHECK;
	bool unshares = o->kind == ZYGOTE_UNSHARE;
	if ((!looks && o->target_count) ||
		(!looks && !unshares && (o->shared_count || o->patience_ms)))
		return "targets, shared files and patience belong to FORK and CHECK";
	if (unshares && o->shared_count != 1)
		return "UNSHARE comes with one file";
	if (!flags_are_known(o))
		return "a flag is not known";
	if (!(o->flags & ZYGOTE_USER) && (o->uid || o->gid || o->extra_gid))
		return "a user is named, and not to be become";
	if (o->kind == ZYGOTE_FORK && o->fd_count != 1)
		return "FORK comes with one descriptor, the socket of the child";
	if (o->kind != ZYGOTE_FORK && o->kind != ZYGOTE_BIRTH && o->fd_count)
		return "descriptors belong to FORK and BIRTH";
	return NULL;
}

const char *zygote_order_wrong(const struct zygote_order *o, size_t len, size_t fd_count)
{
	if (len < sizeof(o->version))
		return "the order is too short";
	if (o->version != ZYGOTE_VERSION)
		return "the order is of another version; install libnova anew";
	if (len != sizeof(*o))
		return "the order has another length";
	if (o->kind < ZYGOTE_CHECK || o->kind > ZYGOTE_UNSHARE)
		return "the kind of order is not known";
	if (o->number == 0)
		return "the order has no number";
	if (o->fd_count > ZYGOTE_MAX_FDS || o->target_count > ZYGOTE_MAX_FDS ||
		o->shared_count > ZYGOTE_MAX_FDS)
		return "the order has too many descriptors";
	if (o->patience_ms > ZYGOTE_PATIENCE_MS)
		return "the order has too much patience";
	if (fd_count != o->fd_count)
		return "not as many descriptors came along as the order says";
	if (!are_descriptors(o->targets, o->target_count) ||
		!are_descriptors(o->shared, o->shared_count))
		return "a descriptor is there twice, or is none";
	if (!rest_is_zero(o))
		return "members that are not used are not 0";
	return wrong_for_its_kind(o);
}

const char *zygote_answer_wrong(
	const struct zygote_answer *a, size_t len, uint32_t kind, uint64_t number)
{
	if (len < sizeof(a->version))
		return "the answer is too short";
	if (a->version != ZYGOTE_VERSION)
		return "the answer is of another version";
	if (len != sizeof(*a))
		return "the answer has another length";
	if (a->kind != kind || a->number != number)
		return "the answer is to another order";
	if (a->refused > 1 || !memchr(a->reason, 0, sizeof(a->reason)))
		return "the answer is not sound";
	if (a->refused ? !a->reason[0] : kind == ZYGOTE_FORK && a->pid <= 0)
		return "the answer lacks what it is for";
	return NULL;
}
