/* SPDX-License-Identifier: MIT */
/* One number out of the many that nova_pool_stats() and nova_vm_stats() give. */
#ifndef NOVA_TESTS_COUNTER_H
#define NOVA_TESTS_COUNTER_H

#include <nova/pool.h>

#define COUNTERS_MOST 64

/* 0 if there is none. */
static inline uint64_t pool_counter(nova_pool_t *pool, int counter)
{
	uint64_t values[COUNTERS_MOST] = { 0 };
	return nova_pool_stats(pool, values, COUNTERS_MOST) < 0 ? 0 : values[counter];
}

/* 0 if the VM is dead. */
static inline uint64_t vm_stat(nova_vm_t *vm, int stat)
{
	uint64_t values[COUNTERS_MOST] = { 0 };
	return nova_vm_stats(vm, values, COUNTERS_MOST, NULL) < 0 ? 0 : values[stat];
}

#endif
