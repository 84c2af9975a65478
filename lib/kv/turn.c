/* SPDX-License-Identifier: MIT */
/*
 * Who changes what a function keeps waits here for others who do, and not in the store: there one
 * would have the space, and each of those who wait for it a connection, until none is left for
 * other functions.
 */
#include "kv/kv.h"

/* Of those of its space. With the lock. */
static bool is_first(const struct kv *kv, const struct kv_turn *turn)
{
	const struct kv_turn *other = kv->turns;
	while (strcmp(other->space, turn->space) != 0)
		other = other->next;
	return other == turn;
}

static void remove_turn(struct kv *kv, const struct kv_turn *turn)
{
	struct kv_turn **at = &kv->turns;
	while (*at != turn)
		at = &(*at)->next;
	*at = turn->next;
	for (struct kv_turn *next = turn->next; next; next = next->next)
		if (!strcmp(next->space, turn->space)) {
			pthread_cond_signal(&next->come);
			break;
		}
}

static int await_turn(struct kv *kv, struct kv_turn *turn, nova_error_t **error)
{
	uint64_t patience_ms = config_ms(kv->config, "postgres.timeout");
	uint64_t deadline = deadline_in_ms(patience_ms);
	struct kv_turn **end = &kv->turns;
	pthread_mutex_lock(&kv->turns_lock);
	while (*end)
		end = &(*end)->next;
	*end = turn;
	bool come;
	while (!(come = is_first(kv, turn)) && !deadline_passed(deadline))
		cond_wait_until(&turn->come, &kv->turns_lock, deadline);
	pthread_mutex_unlock(&kv->turns_lock);
	if (come)
		return 0;
	return nova_fail(error, NOVA_EIO,
		"what the function keeps cannot be changed: others of this process have been "
		"changing it for %llu ms (setting 'postgres.timeout')",
		(unsigned long long)patience_ms);
}

int kv_enter(struct kv *kv, const char *space, struct kv_turn *turn, struct store **ret_store,
	nova_error_t **error)
{
	*turn = (struct kv_turn){ .space = space };
	cond_init(&turn->come);
	int code = await_turn(kv, turn, error);
	if (code == 0)
		code = kv_store(kv, ret_store, error);
	if (code < 0)
		kv_leave(kv, turn);
	return code;
}

void kv_leave(struct kv *kv, struct kv_turn *turn)
{
	pthread_mutex_lock(&kv->turns_lock);
	remove_turn(kv, turn);
	pthread_mutex_unlock(&kv->turns_lock);
	pthread_cond_destroy(&turn->come);
}
