/* SPDX-License-Identifier: MIT */
/* The host, what is found out about it, and pools. */
#include "inject.h"

/* --- host --- */

static int new_host(nova_error_t **error)
{
	nova_host_t *host = NULL;
	int code = nova_host_new(world.config, &host, error);
	nova_host_unref(host);
	return code;
}

static void ignore(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)level, (void)module, (void)text;
}

static int ask_host(nova_error_t **error)
{
	(void)error;
	uint64_t most;
	nova_host_unref(nova_host_ref(world.host));
	nova_host_set_log(world.host, ignore, NULL, NOVA_LOG_DEBUG);
	return !strcmp(nova_host_home(world.host), world.home) && *nova_host_images(world.host) &&
			       *nova_host_setting(world.host, "engine") &&
			       nova_host_capacity(world.host, &most, 1) > 0 &&
			       nova_host_get(world.nova) == world.host &&
			       nova_pool_get(world.nova) == world.pool ?
		       0 :
		       NOVA_EAGENT;
}

static int probe(nova_error_t **error)
{
	nova_probe_t *found = NULL;
	int code = nova_engine_probe(world.host, &found, error);
	if (code < 0)
		return code;
	bool whole = nova_probe_choice(found) >= 0 && *nova_probe_choice_reason(found) &&
		     nova_probe_kvm(found) && nova_probe_unlimited(found) &&
		     nova_probe_not_hot(found);
	for (size_t i = 0; i < nova_probe_count(found); i++)
		whole = whole && *nova_probe_engine(found, i) && *nova_probe_reason(found, i) &&
			nova_probe_advice(found, i) && nova_probe_version(found, i) &&
			nova_probe_binary(found, i) && nova_probe_accelerator(found, i) &&
			(nova_probe_usable(found, i) || nova_probe_features(found, i) < UINT32_MAX);
	nova_probe_free(found);
	return whole ? 0 : NOVA_EAGENT;
}

/* --- pool --- */

static nova_pool_t *pool;
static nova_vm_t *vm;
static int cold;

static int new_pool(nova_error_t **error)
{
	nova_pool_t *made = NULL;
	int code = nova_pool_new(world.host, NULL, &made, error);
	nova_pool_free(made);
	return code;
}

static void make_pool(void)
{
	MUST(nova_pool_new(world.host, NULL, &pool, &world.error));
}

static nova_vm_opts vm_opts = NOVA_VM_OPTS_INIT;
static nova_pool_want want = NOVA_POOL_WANT_INIT;

static const nova_pool_want *plain_want(void)
{
	want.key = "plain";
	want.vm = &vm_opts;
	return &want;
}

static int acquire(nova_error_t **error)
{
	return nova_pool_acquire(pool, plain_want(), &vm, &cold, error);
}

static void give_back_and_forget(void)
{
	nova_pool_release(pool, STEAL(vm), 1);
	nova_pool_forget(pool, "plain");
}

static void prepare_vm_of_pool(void)
{
	MUST(acquire(&world.error));
}

static int release(nova_error_t **error)
{
	(void)error;
	nova_pool_release(pool, STEAL(vm), 1);
	return 0;
}

static void forget(void)
{
	nova_pool_keep(pool, plain_want(), 0, NULL);
	nova_pool_forget(pool, "plain");
}

static int keep(nova_error_t **error)
{
	int code = nova_pool_keep(pool, plain_want(), 1, error);
	if (code == 0)
		nova_pool_tick(pool);
	return code;
}

static int look_at_pool(nova_error_t **error)
{
	(void)error;
	uint64_t values[64], limits[64], counts[64];
	int fd = nova_pool_fd(pool);
	if (fd < 0)
		return fd;
	nova_pool_percentile_us(pool, NOVA_POOL_LATENCY_COLD, 50);
	int code = nova_pool_stats(pool, values, 64);
	return code < 0 ? code :
	       nova_pool_histogram(pool, NOVA_POOL_LATENCY_COLD, limits, counts, 64) < 0 ?
			  NOVA_EAGENT :
			  0;
}

static int drain(nova_error_t **error)
{
	int code = nova_pool_drain(pool, 5000, error);
	nova_pool_free(STEAL(pool));
	return code;
}

const struct inject_case host_cases[] = {
	{ "nova_host_new", .run = new_host, .swept = true },
	{ "nova_host_ref nova_host_unref nova_host_set_log nova_host_home nova_host_images "
	  "nova_host_setting nova_host_capacity nova_host_get nova_pool_get",
		.run = ask_host },
	{ "nova_engine_probe nova_probe_free nova_probe_count nova_probe_engine nova_probe_usable "
	  "nova_probe_reason nova_probe_advice nova_probe_version nova_probe_binary "
	  "nova_probe_accelerator nova_probe_features nova_probe_choice nova_probe_choice_reason "
	  "nova_probe_kvm nova_probe_unlimited nova_probe_not_hot",
		.run = probe },
	{ "nova_pool_new nova_pool_free", .run = new_pool },
	{ "nova_pool_acquire", make_pool, NULL, acquire, give_back_and_forget },
	{ "nova_pool_release nova_pool_forget", make_pool, prepare_vm_of_pool, release, forget },
	{ "nova_pool_keep nova_pool_tick", make_pool, NULL, keep, forget },
	{ "nova_pool_fd nova_pool_stats nova_pool_percentile_us nova_pool_histogram", make_pool,
		.run = look_at_pool, .silent = true },
	{ "nova_pool_drain", NULL, make_pool, drain },
	{ NULL },
};
