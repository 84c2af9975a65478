/* SPDX-License-Identifier: MIT */
/* The platform as a whole: host context, store, registry and pool. */
#include "host/host.h"
#include "platform/platform.h"

static void tick(void *userdata)
{
	struct nova *nova = userdata;
	replicas_apply(nova);
	call_log_tick(nova->log);
	meter_tick(nova->meter);
	kv_tick(&nova->kv);
}

static int fill(struct nova *nova, const nova_config_t *config, nova_error_t **error)
{
	int code = nova_host_new(config, &nova->host, error);
	if (code < 0)
		return code;
	nova->registry.host = nova->host;
	nova->registry.secrets = &nova->secrets;
	code = registry_open(&nova->registry, host_config(nova->host), error);
	keys_init(&nova->keys, nova->registry.store);
	secrets_init(&nova->secrets, nova->registry.store, host_config(nova->host));
	kv_init(&nova->kv, nova->registry.store, host_config(nova->host));
	if (code == 0)
		code = rates_open(
			host_config(nova->host), host_log(nova->host), &nova->rates, error);
	nova->kv.rates = nova->rates;
	if (code == 0)
		code = jobs_open(host_config(nova->host), host_log(nova->host), &nova->jobs, error);
	if (code == 0)
		code = call_log_configure(nova->log, host_config(nova->host), error);
	if (code == 0)
		code = nova_pool_new(nova->host, NULL, &nova->pool, error);
	if (code == 0)
		code = meter_configure(nova->meter, host_config(nova->host), error);
	if (code < 0)
		return code;
	nova->registry.clones = pool_clones(nova->pool);
	nova->kv.pool = nova->pool;
	nova->kv.want_tick = pool_want_tick_at;
	pool_on_tick(nova->pool, tick, nova);
	pool_want_tick(nova->pool);
	return 0;
}

int nova_open(const nova_config_t *config, nova_t **ret_nova, nova_error_t **error)
{
	if (ANY_NULL(error, ret_nova))
		return NOVA_EINVAL;
	nova_t *nova = calloc(1, sizeof(*nova));
	if (!nova)
		return nova_oom(error);
	pthread_mutex_init(&nova->instances_lock, NULL);
	list_init(&nova->instances);
	int code = replicas_init(&nova->replicas, error);
	if (code == 0 && (!(nova->log = call_log_new(nova)) ||
				 !(nova->meter = meter_new(nova, instances_measure))))
		code = nova_oom(error);
	if (code == 0)
		code = fill(nova, config, error);
	if (code < 0)
		nova_close(nova);
	else
		*ret_nova = nova;
	return code;
}

void nova_close(nova_t *nova)
{
	if (!nova || (nova->host && host_check_process(nova->host, NULL) < 0))
		return;
	if (nova->host)
		host_hurry(nova->host, true);
	if (nova->pool)
		pool_end_ticks(nova->pool); /* one looks at the instances */
	instances_end(nova);
	nova_pool_free(nova->pool);
	rates_close(nova->rates);
	jobs_close(nova->jobs);
	keys_done(&nova->keys);
	secrets_done(&nova->secrets);
	call_log_close(nova->log);
	meter_close(nova->meter);
	kv_done(&nova->kv);
	registry_close(&nova->registry);
	if (nova->host) /* which others may go on with */
		host_hurry(nova->host, false);
	nova_host_unref(nova->host);
	replicas_done(&nova->replicas);
	pthread_mutex_destroy(&nova->instances_lock);
	free(nova);
}

nova_host_t *nova_host_get(nova_t *nova)
{
	return nova ? nova->host : NULL;
}

nova_pool_t *nova_pool_get(nova_t *nova)
{
	return nova ? nova->pool : NULL;
}
