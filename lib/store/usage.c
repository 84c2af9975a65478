/* SPDX-License-Identifier: MIT */
/* The memory of records of usage. */
#include "store/store.h"

void usage_record_list_free(struct usage_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(records[i].key);
		free(records[i].function);
	}
	free(records);
}
