/* SPDX-License-Identifier: MIT */
/* Variables that a guest is told once it lives, so that no template has them; and no snapshot, as
 * such a VM is not written to a disk any more. */
#include "base/guarded.h"
#include "vm/channel.h"
#include "vm/object.h"

#define ENVELOPE 128u /* what a frame has besides the values */

bool vm_knows(nova_vm_t *vm, const char digest[SHA256_HEX])
{
	pthread_mutex_lock(&vm->lock);
	bool knows = !strcmp(vm->told, digest);
	pthread_mutex_unlock(&vm->lock);
	return knows;
}

bool vm_is_entrusted(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->lock);
	bool is = vm->function.entrusted;
	pthread_mutex_unlock(&vm->lock);
	return is;
}

int vm_check_not_entrusted(nova_vm_t *vm, nova_error_t **error)
{
	return !vm_is_entrusted(vm) ?
		       0 :
		       nova_fail(error, NOVA_ENOTSUP,
			       "microVM %s has been given secrets, which a snapshot would write to "
			       "the disk: take it before the first call",
			       vm->id);
}

/* From its first byte on it may be in the guest. */
static void note(nova_vm_t *vm, const char *digest)
{
	pthread_mutex_lock(&vm->lock);
	vm->function.entrusted = true;
	snprintf(vm->told, sizeof(vm->told), "%s", digest);
	pthread_mutex_unlock(&vm->lock);
}

/* In guarded memory; free it with guarded_free(). */
static int make_frame(struct vm_request *request, const char *id, const char *values, size_t len,
	nova_error_t **error)
{
	size_t size = len + ENVELOPE;
	AUTO_GUARDED uint8_t *memory = guarded_alloc(size);
	struct buf frame = { memory, 0, size, size };
	char begin[64];
	if (!memory)
		return nova_oom(error);
	snprintf(begin, sizeof(begin), "{\"request_id\":\"%s\",\"values\":", id);
	int r = proto_frame_begin(&frame, NOVA_MSG_SECRETS);
	if (r == 0)
		r = buf_append_str(&frame, begin);
	if (r == 0)
		r = buf_append(&frame, values, len);
	if (r == 0)
		r = buf_append_str(&frame, "}");
	if (r == 0)
		r = proto_frame_end(&frame);
	if (r < 0)
		return nova_oom(error);
	request->id = id;
	request->frame_len = frame.len;
	request->frame = STEAL(memory);
	return 0;
}

static int tell(
	nova_vm_t *vm, struct vm_call *call, struct vm_request *request, nova_error_t **error)
{
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	request->deadline = deadline_in_ms(vm->boot_timeout_ms);
	int code = vm_ask_as(vm, call, request, &answer, error);
	if (code < 0)
		return code;
	code = vm_done(&answer, error);
	if (code == NOVA_EINVAL) /* as an agent refuses what it does not know */
		return nova_wrap(error, NOVA_ENOTSUP,
			"the guest cannot be given secrets, as its agent is older than this "
			"libnova: install images of this version");
	return code < 0 ? nova_wrap(error, code, "the guest cannot be given secrets") : 0;
}

int vm_entrust(nova_vm_t *vm, const char digest[SHA256_HEX], const char *values, size_t len,
	const struct stop *stop, nova_error_t **error)
{
	struct vm_request request = { .stop = stop };
	struct vm_call call;
	char id[9];
	if (random_hex(id, 8) < 0)
		return nova_oom(error);
	int code = make_frame(&request, id, values, len, error);
	if (code < 0)
		return code;
	/* One at a time, so that what is noted is what the guest was told last. */
	vm_call_init(&call, id, stop);
	call.teller = true;
	code = vm_enter(vm, &call, error);
	if (code == 0) {
		if (!vm_knows(vm, digest)) { /* nor has another call told it meanwhile */
			note(vm, "");
			code = tell(vm, &call, &request, error);
			if (code == 0)
				note(vm, digest);
		}
		vm_leave(vm, &call);
	}
	vm_call_done(&call);
	guarded_free((void *)request.frame);
	return code;
}
