/* SPDX-License-Identifier: MIT */
#ifndef NOVA_LIB_ZYGOTE_NEXT_H
#define NOVA_LIB_ZYGOTE_NEXT_H

/* Functions that take the place of the C library's; the only names that are exported. */
#define INTERPOSED __attribute__((visibility("default")))

/* The function that ours takes the place of, in `version` of the C library if there are several
 * (else NULL). It is looked up by the first call: that may come before our constructor runs. */
void *next_function(void *_Atomic *known, const char *name, const char *version);

#endif
