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

int want_import(nova_pool_t *pool, nova_pool_want *w, const nova_pool_want *want,
	uint32_t *ret_memory_mb, nova_error_t **error)
{
	nova_vm_opts vm = NOVA_VM_OPTS_INIT;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	int code = opts_import(w, sizeof(*w), want, "nova_pool_want", error);
	if (code == 0)
		code = opts_reserved(w->reserved, "nova_pool_want", error);
	if (code == 0)
		code = check_want(w, error);
	if (code == 0 && w->vm)
		code = opts_import(&vm, sizeof(vm), w->vm, "nova_vm_opts", error);
	if (code == 0 && w->init)
		code = opts_import(&init, sizeof(init), w->init, "nova_vm_init_opts", error);
	if (code == 0 && (vm.interrupt || init.interrupt))
		code = nova_fail(error, NOVA_EINVAL,
			"the token of nova_pool_acquire() stands in nova_pool_want.interrupt, not "
			"in its vm or init");
	*ret_memory_mb = vm.memory_mb ? vm.memory_mb : MEMORY_MB_STANDARD;
	return code < 0 ? code : host_check_process(pool->host, error);
}

/* Also the texts that vm and init hold are copies of its own. */
void request_free(struct request *request)
{
	if (!request || --request->references)
		return;
	properties_disown(IN_VM, &request->vm);
	properties_disown(IN_INIT, &request->init);
	free((char *)request->vm.engine);
	free((char *)request->want.key);
	free(request);
}

static int own_text(const char **text)
{
	const char *borrowed = *text;
	*text = borrowed ? strdup(borrowed) : NULL;
	return !borrowed || *text ? 0 : NOVA_ENOMEM;
}

/* Each of them in any case: what could not be copied is no longer held then. */
static int own_texts(struct request *request)
{
	const int codes[] = { own_text(&request->want.key), own_text(&request->vm.engine),
		properties_own(IN_VM, &request->vm), properties_own(IN_INIT, &request->init) };
	int code = 0;
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(codes); i++)
		code = codes[i];
	return code;
}

int request_new(const nova_pool_want *want, struct request **ret_request, nova_error_t **error)
{
	struct request *request = calloc(1, sizeof(*request));
	if (!request)
		return nova_oom(error);
	request->references = 1;
	request->want = *want;
	request->want.interrupt = NULL; /* a request outlives it */
	int code = want->vm ? opts_import(&request->vm, sizeof(request->vm), want->vm,
				      "nova_vm_opts", error) :
			      0;
	if (code == 0 && want->init)
		code = opts_import(&request->init, sizeof(request->init), want->init,
			"nova_vm_init_opts", error);
	if (code < 0) {
		free(request); /* holds nothing of its own yet */
		return code;
	}
	request->want.vm = want->vm ? &request->vm : NULL;
	request->want.init = want->init ? &request->init : NULL;
	code = own_texts(request);
	if (code < 0) {
		request_free(request);
		return code == NOVA_EINVAL ?
			       nova_fail(error, code,
				       "nova_pool_keep: env, or a variable of it, is NULL") :
			       nova_oom(error);
	}
	*ret_request = request;
	return 0;
}
