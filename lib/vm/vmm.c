/* SPDX-License-Identifier: MIT */
/* The VMM of a machine, with its TAP. */
#include "vm/frozen.h"

int vmm_start(nova_host_t *host, const struct engine_ops *ops, struct machine *m,
	const struct machine_spec *spec, const struct machine *same, nova_error_t **error)
{
	const struct engine_env *env = host_engine_env(host);
	int code = 0;
	if (spec->config.network)
		code = net_attach(env->net, spec->id, same ? &same->link : NULL, &m->link, error);
	return code < 0 ? code : ops->start(m, env, spec, error);
}

int vmm_start_waiting(nova_host_t *host, const struct frozen *f, struct machine *m, const char *id,
	const struct machine *same, nova_error_t **error)
{
	const struct machine_spec spec = {
		.id = id,
		.config = f->shape,
		.base_fd = f->base->fd,
		.deadline = deadline_in_ms(config_ms(host_config(host), f->ops->boot_timeout_key)),
	};
	return vmm_start(host, f->ops, m, &spec, same, error);
}

int vmm_start_standby(nova_host_t *host, struct frozen *frozen, struct machine **ret_machine,
	nova_error_t **error)
{
	char id[9];
	struct machine *m = machine_new(frozen->ops);
	if (!m || random_hex(id, 8) < 0) {
		machine_free(frozen->ops, m);
		return nova_oom(error);
	}
	memcpy(m->id, id, sizeof(id));
	int code = vmm_start_waiting(host, frozen, m, id, NULL, error);
	if (code < 0)
		machine_free(frozen->ops, m);
	else
		*ret_machine = m;
	return code;
}
