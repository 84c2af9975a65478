/* SPDX-License-Identifier: MIT */
/* What a caller wants, looked at, and a copy of it. */
#include "pool/internal.h"

static int check_want(const nova_pool_want *w, nova_error_t **error)
{
	if (!w->key || !*w->key || strlen(w->key) > KEY_MAX)
		return nova_fail(error, NOVA_EINVAL,
			"nova_pool_want: a key of 1 to %u bytes is needed", KEY_MAX);
	if (w->flags & ~(uint32_t)NOVA_POOL_FRESH)
		return nova_fail(
			error, NOVA_EINVAL, "nova_pool_want.flags has unknown bits 0x%x", w->flags);
	return 0;
}

int want_import(struct pool_want *ret, struct vm_spec *ret_spec, nova_interrupt_t **ret_interrupt,
	const nova_pool_want *want, nova_error_t **error)
{
	nova_pool_want w;
	nova_vm_opts vm = NOVA_VM_OPTS_INIT;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	int code = opts_import(&w, sizeof(w), want, "nova_pool_want", error);
	if (code == 0)
		code = opts_reserved(w.reserved, "nova_pool_want", error);
	if (code == 0)
		code = check_want(&w, error);
	if (code == 0 && w.vm)
		code = opts_import(&vm, sizeof(vm), w.vm, "nova_vm_opts", error);
	if (code == 0 && w.init)
		code = opts_import(&init, sizeof(init), w.init, "nova_vm_init_opts", error);
	if (code == 0 && (vm.interrupt || init.interrupt))
		code = nova_fail(error, NOVA_EINVAL,
			"the token of nova_pool_acquire() stands in nova_pool_want.interrupt, not "
			"in its vm or init");
	if (code == 0)
		code = vm_spec_import(ret_spec, &vm, w.init ? &init : NULL, error);
	*ret = (struct pool_want){
		.key = w.key,
		.vm = ret_spec,
		.concurrency = w.concurrency,
		.flags = w.flags,
		.queue_timeout_ms = w.queue_timeout_ms,
	};
	*ret_interrupt = w.interrupt;
	return code;
}

void request_free(struct request *request)
{
	if (!request || --request->references)
		return;
	vm_spec_done(&request->vm);
	free((char *)request->want.key);
	free(request);
}

int request_new(const struct pool_want *want, struct request **ret_request, nova_error_t **error)
{
	struct request *request = calloc(1, sizeof(*request));
	if (!request)
		return nova_oom(error);
	request->references = 1;
	request->want = *want;
	request->want.name = NULL; /* these two are the caller's */
	request->want.progress = (struct progress){ NULL, NULL };
	request->want.vm = &request->vm;
	request->want.key = strdup(want->key);
	if (!request->want.key || vm_spec_copy(&request->vm, want->vm) < 0) {
		request_free(request);
		return nova_oom(error);
	}
	*ret_request = request;
	return 0;
}
