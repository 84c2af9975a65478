/* SPDX-License-Identifier: MIT */
#include "engine/tsc.h"
#include "engine/engine.h"
#include "guest.h"

static const char code[] =
	"import json, sys\n"
	"def handler(event):\n"
	"    return {'sum': sum(event['numbers'])}\n"
	"if __name__ == '__main__':\n"
	"    print(json.dumps(handler(json.loads('{\"numbers\": [1, 2, 3]}'))))\n";
static const char payload[] = "{\"numbers\":[1,2,3]}", answer[] = "{\"sum\":6}";

const char *bench_engine(void)
{
	const char *told = getenv("NOVA_ENGINE");
	return told && *told && strcmp(told, "auto") ? told : "qemu";
}

size_t bench_find_engine(const nova_probe_t *probe, const char *name)
{
	size_t i = 0;
	while (i < nova_probe_count(probe) && strcmp(nova_probe_engine(probe, i), name))
		i++;
	return i;
}

int bench_say_engine(
	const struct bench_run *run, nova_host_t *host, const nova_probe_t *probe, const char *what)
{
	size_t i = bench_find_engine(probe, bench_engine());
	if (i == nova_probe_count(probe))
		return bench_skip(run, "this libnova has no engine %s", bench_engine());
	if (!nova_probe_usable(probe, i))
		return bench_skip(
			run, "engine %s: %s", bench_engine(), nova_probe_reason(probe, i));
	bench_note(run, "engine %s %s, accelerator %s, kernel %s/kernel/vmlinux; %s",
		bench_engine(), nova_probe_version(probe, i), nova_probe_accelerator(probe, i),
		nova_host_images(host), what);
	return 0;
}

int guest_failed(const struct guest *g, const nova_error_t *error)
{
	return bench_skip(g->run, "%s", error ? nova_error_message(error) : "out of memory");
}

/* Spaces are the interpreter's taste. */
static bool is_answer(const char *text)
{
	const char *want = answer;
	for (; *text; text++)
		if (*text != ' ' && *text != *want++)
			return false;
	return !*want;
}

static int check_result(nova_result_t *result, nova_error_t **error)
{
	const char *output = nova_result_output(result, NULL);
	if (output && is_answer(output))
		return 0;
	return nova_fail(
		error, NOVA_EFUNCTION, "the function answered %s", output ? output : "nothing");
}

int guest_call(struct guest *g, nova_result_t **ret_result, nova_error_t **error)
{
	int r = nova_invoke(g->nova, FUNCTION, payload, NULL, ret_result, error);
	return r < 0 ? r : check_result(*ret_result, error);
}

int guest_answer(nova_vm_t *vm, nova_error_t **error)
{
	nova_result_t *result;
	int r = nova_vm_invoke(vm, payload, NULL, &result, error);
	if (r == 0)
		r = check_result(result, error);
	nova_result_free(result);
	return r;
}

int guest_take(struct guest *g, const char *shared_key, nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_opts vm = NOVA_VM_OPTS_INIT;
	vm.rootfs = "python";
	vm.code_disk = g->disk;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = "python";
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	want.key = shared_key ? shared_key : "bench";
	want.flags = shared_key ? 0 : NOVA_POOL_FRESH;
	want.vm = &vm;
	want.init = &init;
	return nova_pool_acquire(nova_pool_get(g->nova), &want, ret_vm, NULL, error);
}

void guest_drop(struct guest *g, nova_vm_t *vm)
{
	nova_pool_release(nova_pool_get(g->nova), vm, 0);
}

int guest_renew(struct guest *g, nova_error_t **error)
{
	nova_close(STEAL(g->nova));
	return nova_open(g->config, &g->nova, error);
}

static int configure(struct guest *g, const char *shells, nova_error_t **error)
{
	const char *const settings[][2] = { { "home", g->dir }, { "engine", bench_engine() },
		{ "pool.standby", shells }, { "pool.max_vms", "100000" },
		{ "pool.pause_after", "100ms" }, { "pool.idle_ttl", "1h" } };
	int r = nova_config_new(&g->config, error);
	if (r == 0)
		r = nova_config_load_env(g->config, error);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(settings); i++)
		r = nova_config_set(g->config, settings[i][0], settings[i][1], error);
	return r;
}

int guest_beside(const struct guest *g, const char *const (*settings)[2], size_t count,
	struct guest *ret, nova_error_t **error)
{
	*ret = *g;
	ret->nova = NULL;
	ret->config = NULL;
	int r = configure(ret, "0", error);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = nova_config_set(ret->config, settings[i][0], settings[i][1], error);
	if (r == 0)
		r = nova_open(ret->config, &ret->nova, error);
	if (r < 0)
		guest_leave(ret);
	return r;
}

void guest_leave(struct guest *g)
{
	nova_close(STEAL(g->nova));
	nova_config_free(STEAL(g->config));
}

static int store(struct guest *g, nova_error_t **error)
{
	g->disk = path_join(g->dir, "bench.ext4");
	g->code = path_join(g->dir, "bench.py");
	int r = fs_write_file(g->code, code, strlen(code), 0644);
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", g->code);
	nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
	disk.source = g->code;
	r = nova_disk_build(g->disk, &disk, error);
	nova_function_opts function = NOVA_FUNCTION_OPTS_INIT;
	function.name = FUNCTION;
	function.runtime = "python";
	function.code_path = g->code;
	function.check = NOVA_CHECK_NEVER;
	return r < 0 ? r : nova_function_register(g->nova, &function, NULL, error);
}

/* Both templates: that of the registered function, and that of guest_take(). */
static int make_templates(struct guest *g, nova_error_t **error)
{
	nova_result_t *result = NULL;
	nova_vm_t *vm = NULL;
	int r = guest_call(g, &result, error);
	nova_result_free(result);
	if (r == 0)
		r = guest_take(g, NULL, &vm, error);
	if (r == 0)
		r = guest_answer(vm, error);
	if (vm)
		guest_drop(g, vm);
	return r;
}

static int say_engine(struct guest *g)
{
	AUTO_ERROR nova_error_t *error = NULL;
	if (nova_engine_probe(nova_host_get(g->nova), &g->probe, &error) < 0)
		return guest_failed(g, error);
	g->accel = nova_probe_accelerator(g->probe, bench_find_engine(g->probe, "qemu"));
	g->binary = nova_probe_binary(g->probe, bench_find_engine(g->probe, "qemu"));
	return bench_say_engine(g->run, nova_host_get(g->nova), g->probe,
		"Python function, 128 MB; the clock stops when it has answered");
}

int guest_open(const struct bench_run *run, const char *shells, struct guest *g)
{
	AUTO_ERROR nova_error_t *error = NULL;
	struct tsc_sample before = tsc_take();
	*g = (struct guest){ .run = run, .dir = bench_dir(NULL) };
	if (!g->dir)
		return bench_skip(run, "cannot make a directory in $TMPDIR");
	int r = configure(g, shells, &error);
	if (r == 0)
		r = nova_open(g->config, &g->nova, &error);
	if (r < 0)
		return guest_failed(g, error);
	if (say_engine(g))
		return 1;
	r = store(g, &error);
	if (r == 0)
		r = make_templates(g, &error);
	g->tsc_khz = tsc_khz_since(&before); /* a boot has gone by */
	return r < 0 ? guest_failed(g, error) : 0;
}

void guest_close(struct guest *g)
{
	nova_probe_free(g->probe);
	nova_close(g->nova);
	nova_config_free(g->config);
	if (g->dir)
		fs_remove_tree(g->dir);
	free(g->dir);
	free(g->disk);
	free(g->code);
}

#define ZYGOTE_TRIES 1200
#define ZYGOTE_MS    25

int guest_await_zygote(nova_t *nova, nova_error_t **error)
{
	nova_pool_t *pool = nova_pool_get(nova);
	for (int i = 0; i < ZYGOTE_TRIES; i++) {
		nova_pool_tick(pool);
		if (pool_counter(pool, NOVA_POOL_ZYGOTES))
			return 0;
		sys_poll(NULL, 0, ZYGOTE_MS);
	}
	return nova_fail(error, NOVA_ETIMEDOUT, "no zygote was made");
}

/* --- a state directory with nothing in it --- */

void fresh_close(struct fresh *p)
{
	nova_close(p->nova);
	nova_config_free(p->config);
	if (p->dir)
		fs_remove_tree(p->dir);
	free(p->dir);
	*p = (struct fresh){ .dir = NULL };
}

int fresh_open(struct fresh *p, nova_error_t **error)
{
	return fresh_open_with(p, "engine", bench_engine(), error);
}

int fresh_open_with(struct fresh *p, const char *key, const char *value, nova_error_t **error)
{
	p->dir = bench_dir(NULL);
	if (!p->dir)
		return nova_fail(error, NOVA_EIO, "cannot make a directory in $TMPDIR");
	int r = nova_config_new(&p->config, error);
	if (r == 0)
		r = nova_config_load_env(p->config, error);
	if (r == 0)
		r = nova_config_set(p->config, "home", p->dir, error);
	if (r == 0)
		r = nova_config_set(p->config, "engine", bench_engine(), error);
	if (r == 0)
		r = nova_config_set(p->config, key, value, error);
	return r < 0 ? r : nova_open(p->config, &p->nova, error);
}
