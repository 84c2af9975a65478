/* SPDX-License-Identifier: MIT */
/* The descriptor by which a host program knows when a tick is due. */
#include "pool/internal.h"

void pool_due(nova_pool_t *pool, uint64_t when)
{
	if (when >= pool->armed)
		return;
	pool->armed = when;
	if (pool->timer >= 0)
		sys_timer_set(pool->timer, when);
}

int pool_timer_open(nova_pool_t *pool)
{
	if (pool->timer < 0) {
		pool->timer = sys_timer_open();
		if (pool->timer >= 0)
			sys_timer_set(pool->timer, pool->armed);
	}
	return pool->timer;
}

int nova_pool_fd(nova_pool_t *pool)
{
	if (!pool)
		return NOVA_EINVAL;
	int code = host_check_process(pool->host, NULL);
	if (code < 0)
		return code;
	pthread_mutex_lock(&pool->lock);
	int fd = pool_timer_open(pool);
	pthread_mutex_unlock(&pool->lock);
	return fd < 0 ? NOVA_EIO : fd;
}
