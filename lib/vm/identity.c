/* SPDX-License-Identifier: MIT */
/* What a guest is told of itself: who it is, and what time it is. */
#include "vm/channel.h"

/* The members of a Resume but for its request_id. NULL: out of memory, or no randomness. */
static char *introduction(const nova_vm_t *vm)
{
	uint8_t seed[64];
	char machine_id[33];
	AUTO_BUF struct buf coded = BUF_INIT(256);
	AUTO_FREE char *network = vm->shape.network ? net_members(&vm->machine->link) : strdup("");
	if (!network || random_bytes(seed, sizeof(seed)) < 0 || random_hex(machine_id, 32) < 0 ||
		base64_put(&coded, seed, sizeof(seed)) < 0)
		return NULL;
	return str_format("\"entropy\":\"%.*s\",\"unix_us\":%llu,\"hostname\":\"nova-%s\","
			  "\"machine_id\":\"%s\"%s",
		(int)coded.len, (char *)coded.data, (unsigned long long)clock_unix_us(), vm->id,
		machine_id, network);
}

/* The same, or for who is no clone but was paused: the time. Without entropy a Resume is neither
 * reseeding nor hook. */
static char *news(const nova_vm_t *vm, enum news kind)
{
	if (kind == NEWS_IS_CLONE)
		return introduction(vm);
	return str_format("\"unix_us\":%llu", (unsigned long long)clock_unix_us());
}

char *news_member(nova_vm_t *vm, enum news kind)
{
	AUTO_FREE char *members = news(vm, kind);
	return members ? str_format("\"resume\":{%s},", members) : NULL;
}

int news_message(
	nova_vm_t *vm, enum news kind, struct vm_request *ret_request, nova_error_t **error)
{
	AUTO_FREE char *members = news(vm, kind);
	AUTO_FREE char *text =
		members ? str_format("{\"request_id\":\"" NEWS_ID "\",%s}", members) : NULL;
	void *frame = NULL;
	*ret_request = (struct vm_request){
		.id = NEWS_ID,
		.deadline = deadline_in_ms(vm->boot_timeout_ms),
	};
	int code = text ? nova_frame_encode(NOVA_MSG_RESUME, text, strlen(text), &frame,
				  &ret_request->frame_len, error) :
			  nova_oom(error);
	ret_request->frame = frame;
	return code;
}
