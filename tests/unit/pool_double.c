/* SPDX-License-Identifier: MIT */
#include "pool_double.h"

nova_error_t *error;
struct doubles doubles;

/* --- doubles of the room vm --- */

static int no_pause(struct machine *m, nova_error_t **err)
{
	(void)m, (void)err;
	return 0;
}
static const struct engine_ops engine = { .name = "double", .pause = no_pause };

static int get(const int *value)
{
	return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static void note_most(int *most, int value)
{
	int seen = get(most);
	while (value > seen && !__atomic_compare_exchange_n(most, &seen, value, false,
				       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static nova_vm_t *new_vm(int memory)
{
	nova_vm_t *vm = calloc(1, sizeof(*vm));
	vm->references = 1;
	vm->ops = &engine;
	vm->state = NOVA_VM_RUNNING;
	vm->shape.memory_mb = (uint32_t)memory;
	return vm;
}

int __wrap_vm_start(nova_host_t *host, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **err);
int __wrap_vm_start(nova_host_t *host, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **err)
{
	(void)host, (void)stop; /* a double that cannot be called off */
	int memory = (int)spec->config.machine.memory_mb;
	__atomic_add_fetch(&doubles.starts, 1, __ATOMIC_SEQ_CST);
	note_most(&doubles.most_alive, __atomic_add_fetch(&doubles.alive, 1, __ATOMIC_SEQ_CST));
	note_most(&doubles.most_memory,
		__atomic_add_fetch(&doubles.memory, memory, __ATOMIC_SEQ_CST));
	while (get(&doubles.gate))
		sys_poll(NULL, 0, 1);
	if (get(&doubles.failing)) {
		__atomic_sub_fetch(&doubles.alive, 1, __ATOMIC_SEQ_CST);
		__atomic_sub_fetch(&doubles.memory, memory, __ATOMIC_SEQ_CST);
		return nova_fail(err, NOVA_EAGENT, "the double was told to fail");
	}
	*ret_vm = new_vm(memory);
	return 0;
}

void __wrap_vm_unref(nova_vm_t *vm);
void __wrap_vm_unref(nova_vm_t *vm)
{
	if (__atomic_sub_fetch(&vm->references, 1, __ATOMIC_SEQ_CST) == 0)
		free(vm);
}

void __wrap_nova_vm_free(nova_vm_t *vm);
void __wrap_nova_vm_free(nova_vm_t *vm)
{
	if (!vm)
		return;
	__atomic_sub_fetch(&doubles.alive, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&doubles.memory, (int)vm->shape.memory_mb, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&doubles.available_mb, doubles.given_back_mb, __ATOMIC_SEQ_CST);
	kill_double(vm);
	__wrap_vm_unref(vm);
}

/* Its end is awaited by whoever frees it. */
void __wrap_nova_vm_kill(nova_vm_t *vm);
void __wrap_nova_vm_kill(nova_vm_t *vm)
{
	if (vm)
		kill_double(vm);
}

/* VMMs on standby take their time to end. Meanwhile others need the pool. */
void __wrap_standby_drop(nova_host_t *host, const struct frozen *frozen);
void __wrap_standby_drop(nova_host_t *host, const struct frozen *frozen)
{
	(void)host, (void)frozen;
	ck_assert_int_eq(pthread_mutex_trylock(&doubles.dropping->lock), 0);
	pthread_mutex_unlock(&doubles.dropping->lock);
	doubles.dropped++;
}

int __wrap_standby_keep(nova_host_t *host, struct frozen *frozen, size_t count, uint64_t life_ms);
int __wrap_standby_keep(nova_host_t *host, struct frozen *frozen, size_t count, uint64_t life_ms)
{
	(void)host, (void)frozen, (void)count, (void)life_ms;
	return 0;
}

int __wrap_nova_vm_state(nova_vm_t *vm);
int __wrap_nova_vm_state(nova_vm_t *vm)
{
	return get(&vm->state);
}

static int set_state(nova_vm_t *vm, int state, nova_error_t **err)
{
	int seen = state == NOVA_VM_PAUSED ? NOVA_VM_RUNNING : NOVA_VM_PAUSED;
	__atomic_compare_exchange_n(
		&vm->state, &seen, state, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return get(&vm->state) == NOVA_VM_DEAD ? nova_fail(err, NOVA_ELOST, "the double is dead") :
						 0;
}

int __wrap_nova_vm_pause(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **err);
int __wrap_nova_vm_pause(nova_vm_t *vm, const nova_wait_opts *wait, nova_error_t **err)
{
	(void)wait;
	return set_state(vm, NOVA_VM_PAUSED, err);
}

int __wrap_vm_wake(nova_vm_t *vm, nova_error_t **err);
int __wrap_vm_wake(nova_vm_t *vm, nova_error_t **err)
{
	if (doubles.deep_sleep > 0) {
		doubles.deep_sleep--;
		kill_double(vm);
	}
	return set_state(vm, NOVA_VM_RUNNING, err);
}

/* --- doubles of the room template, and of forks --- */

bool __wrap_template_possible(nova_host_t *host, const struct template_want *want);
bool __wrap_template_possible(nova_host_t *host, const struct template_want *want)
{
	(void)host;
	return want->vm->config.runtime;
}

int __wrap_template_get(nova_host_t *host, const struct template_want *want, uint64_t wait_ms,
	const struct stop *stop, struct frozen **ret, struct template_made *ret_made,
	nova_error_t **err);
int __wrap_template_get(nova_host_t *host, const struct template_want *want, uint64_t wait_ms,
	const struct stop *stop, struct frozen **ret, struct template_made *ret_made,
	nova_error_t **err)
{
	(void)host, (void)want, (void)wait_ms, (void)stop, (void)err;
	*ret = frozen_ref(doubles.template);
	*ret_made = (struct template_made){ .vm = STEAL(doubles.origin) };
	return 0;
}

int __wrap_vm_thaw_for_call(nova_host_t *host, struct frozen *frozen, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **err);
int __wrap_vm_thaw_for_call(nova_host_t *host, struct frozen *frozen, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **err)
{
	const struct vm_spec spec = { .config.machine.memory_mb = frozen->shape.memory_mb };
	return __wrap_vm_start(host, &spec, stop, ret_vm, err);
}

int __wrap_vm_init(
	nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop, nova_error_t **err);
int __wrap_vm_init(
	nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop, nova_error_t **err)
{
	(void)vm, (void)spec, (void)stop, (void)err;
	doubles.inits++;
	return 0;
}

const char *__wrap_frozen_hot_obstacle(nova_host_t *host, const struct frozen *frozen);
const char *__wrap_frozen_hot_obstacle(nova_host_t *host, const struct frozen *frozen)
{
	(void)host, (void)frozen;
	return doubles.obstacle;
}

int __wrap_vm_zygote_new(nova_host_t *host, struct frozen *frozen, const struct vm_sample *sample,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **err);
int __wrap_vm_zygote_new(nova_host_t *host, struct frozen *frozen, const struct vm_sample *sample,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **err)
{
	__atomic_add_fetch(&doubles.zygotes, 1, __ATOMIC_SEQ_CST);
	snprintf(doubles.sample, sizeof(doubles.sample), "%s",
		sample && sample->input ? sample->input : "");
	if (doubles.zygotes_failing)
		return nova_fail(err, NOVA_EAGENT, "the double was told to fail");
	int code = __wrap_vm_thaw_for_call(host, frozen, stop, ret_vm, err);
	if (code == 0)
		doubles.zygote = *ret_vm;
	return code;
}

int __wrap_vm_zygote_settle(nova_vm_t *vm, const struct stop *stop, nova_error_t **err);
int __wrap_vm_zygote_settle(nova_vm_t *vm, const struct stop *stop, nova_error_t **err)
{
	(void)stop;
	if (doubles.rehearsing)
		return doubles.rehearsing < 0 ?
			       nova_fail(err, NOVA_EAGENT, "the double cannot be cleared up") :
			       0;
	vm->state = NOVA_VM_PAUSED;
	return 1;
}

int __wrap_vm_zygote_fork(nova_vm_t *zygote, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **err);
int __wrap_vm_zygote_fork(nova_vm_t *zygote, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **err)
{
	doubles.forks++;
	doubles.code_disk = code_disk;
	if (get(&zygote->state) == NOVA_VM_DEAD)
		return nova_fail(err, NOVA_ELOST, "the double is dead");
	if (doubles.reason) {
		snprintf(why, VM_PATH_WHY, "%s", doubles.reason);
		return 0;
	}
	const struct vm_spec spec = { .config.machine.memory_mb = zygote->shape.memory_mb };
	int code = __wrap_vm_start(NULL, &spec, stop, ret_vm, err);
	if (code == 0)
		(*ret_vm)->path = VM_PATH_HOT;
	return code < 0 ? code : 1;
}

int __wrap_vm_zygote_park(nova_vm_t *zygote, const struct stop *stop, nova_vm_t **ret_vm,
	char why[VM_PATH_WHY], nova_error_t **err);
int __wrap_vm_zygote_park(nova_vm_t *zygote, const struct stop *stop, nova_vm_t **ret_vm,
	char why[VM_PATH_WHY], nova_error_t **err)
{
	__atomic_add_fetch(&doubles.parks, 1, __ATOMIC_SEQ_CST);
	int forks = doubles.forks;
	int code = __wrap_vm_zygote_fork(zygote, NULL, stop, ret_vm, why, err);
	doubles.forks = forks;
	if (code == 1) {
		(*ret_vm)->path = VM_PATH_PARKED;
		doubles.parked = *ret_vm;
	}
	return code;
}

int __wrap_vm_unpark(
	nova_vm_t *vm, const struct stop *stop, char why[VM_PATH_WHY], nova_error_t **err);
int __wrap_vm_unpark(
	nova_vm_t *vm, const struct stop *stop, char why[VM_PATH_WHY], nova_error_t **err)
{
	(void)vm, (void)stop, (void)err;
	doubles.births++;
	snprintf(why, VM_PATH_WHY, "%s", doubles.stillborn ? doubles.stillborn : "");
	return !doubles.stillborn;
}

void kill_double(nova_vm_t *vm)
{
	__atomic_store_n(&vm->state, NOVA_VM_DEAD, __ATOMIC_SEQ_CST);
}

void __wrap_host_memory_read(struct host_memory *ret);
void __wrap_host_memory_read(struct host_memory *ret)
{
	if (doubles.meanwhile)
		STEAL(doubles.meanwhile)(doubles.dropping);
	*ret = (struct host_memory){
		.total_mb = 4000,
		.available_mb = __atomic_load_n(&doubles.available_mb, __ATOMIC_SEQ_CST),
		.pressure = __atomic_load_n(&doubles.pressure, __ATOMIC_SEQ_CST),
	};
}

/* --- setting --- */

struct setting set_up(const nova_pool_opts *opts)
{
	return set_up_as(opts, "pool.hot", "off");
}

struct setting set_up_as(const nova_pool_opts *opts, const char *key, const char *value)
{
	nova_config_t *config;
	nova_pool_opts one = limits(1, 0);
	struct setting s = { .dir = test_dir() };
	doubles = (struct doubles){ .available_mb = 100000 };
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", s.dir, &error));
	ck_ok(nova_config_set(config, "pool.hot", "auto", &error));
	ck_ok(nova_config_set(config, "pool.standby", "0", &error));
	ck_ok(nova_config_set(config, key, value, &error));
	ck_ok(nova_host_new(config, &s.host, &error));
	nova_config_free(config);
	ck_ok(nova_pool_new(s.host, opts ? opts : &one, &s.pool, &error));
	return s;
}

void tear_down(struct setting *s)
{
	nova_pool_free(s->pool);
	ck_assert_int_eq(doubles.alive, 0);
	nova_host_unref(s->host);
	test_dir_remove(s->dir);
}

static void *call(void *argument)
{
	struct caller *c = argument;
	AUTO_ERROR nova_error_t *failure = NULL;
	c->code = nova_pool_acquire(c->pool, &c->want, &c->vm, &c->cold, &failure);
	snprintf(c->text, sizeof(c->text), "%s", nova_error_message(failure));
	if (c->order)
		c->place = __atomic_fetch_add(c->order, 1, __ATOMIC_SEQ_CST);
	if (c->code == 0 && !c->keeps)
		nova_pool_release(c->pool, c->vm, 1);
	return NULL;
}

void caller_start(struct setting *s, struct caller *c, const char *key)
{
	c->pool = s->pool;
	if (!c->want.size)
		c->want = want_of(key);
	c->want.key = key;
	ck_assert_int_eq(nova_interrupt_new(&c->want.interrupt, NULL), 0);
	ck_assert_int_eq(pthread_create(&c->thread, NULL, call, c), 0);
}

void caller_end(struct caller *c)
{
	pthread_join(c->thread, NULL);
	nova_interrupt_free(STEAL(c->want.interrupt));
}

void caller_return(struct caller *c)
{
	caller_end(c);
	ck_assert_msg(c->code == 0, "%s", c->text);
	nova_pool_release(c->pool, c->vm, 1);
}

void await_count(nova_pool_t *pool, int counter, uint64_t value)
{
	while (pool_counter(pool, counter) != value)
		sys_poll(NULL, 0, 1);
}

void await_int(const int *value, int expected)
{
	while (get(value) != expected)
		sys_poll(NULL, 0, 1);
}

nova_vm_t *take(struct setting *s, const char *key)
{
	nova_vm_t *vm;
	nova_pool_want want = want_of(key);
	ck_ok(nova_pool_acquire(s->pool, &want, &vm, NULL, &error));
	return vm;
}

void end_turn(struct setting *s, nova_vm_t *vm)
{
	pthread_mutex_lock(&s->pool->lock);
	slot_of_vm(s->pool, vm)->turn_ends = 0;
	pthread_mutex_unlock(&s->pool->lock);
}

static Suite *pool_suite(void)
{
	Suite *suite = suite_create("pool");
	suite_add_tcase(suite, waiting_cases());
	suite_add_tcase(suite, limit_cases());
	suite_add_tcase(suite, idle_cases());
	suite_add_tcase(suite, shortage_cases());
	suite_add_tcase(suite, zygote_cases());
	suite_add_tcase(suite, parked_cases());
	return suite;
}

TEST_MAIN(pool_suite)
