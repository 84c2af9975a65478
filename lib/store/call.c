/* SPDX-License-Identifier: MIT */
/* The record of a call: memory and size. */
#include "store/store.h"

/* What a row takes besides its texts, about. */
#define ROW_SIZE 300u

void call_record_clear(struct call_record *r)
{
	free(r->request_id);
	free(r->function);
	free(r->id);
	free(r->runtime);
	free(r->instance);
	free(r->path);
	free(r->error);
	free(r->out);
	free(r->err);
	memset(r, 0, sizeof(*r));
}

void call_record_list_free(struct call_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		call_record_clear(&records[i]);
	free(records);
}

uint64_t call_record_size(const struct call_record *r)
{
	return ROW_SIZE + strlen(r->function) + strlen(r->request_id) + strlen(r->error) +
	       r->out_len + r->err_len;
}

void call_summary_list_free(struct call_summary *summaries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(summaries[i].function);
	free(summaries);
}
