/* SPDX-License-Identifier: MIT */
/* The processor's time stamp counter. */
#ifndef NOVA_LIB_ENGINE_TSC_H
#define NOVA_LIB_ENGINE_TSC_H

#include "base/base.h"

/* The processor's time stamp counter, measured between two moments at least some ms apart.
 */
struct tsc_sample {
	uint64_t ticks, ns;
};
struct tsc_sample tsc_take(void);
uint64_t tsc_khz_since(const struct tsc_sample *begin);

#endif
