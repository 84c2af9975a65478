/* SPDX-License-Identifier: MIT */
/*
 * Nothing waits for a process, another program's lock, a disk or the host program's log, and
 * nothing reads /proc, while it holds a lock that others need at once. The locks that each thread
 * holds are counted by doubles of pthread_mutex_lock() and its like; those of all that may take its
 * time look at the count. So one thread that does everything once shows what a thousand would
 * suffer from.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "vmtest.h"

#include "platform/platform.h"
#include "pool/internal.h"
#include "store/sqlite/sqlite.h"

/* --- the count --- */

#define LOCKS_MOST 16

static __thread struct {
	const void *lock, *place; /* taken there */
} held[LOCKS_MOST];
static __thread size_t held_count;

static struct {
	const char *begin;
	size_t size;
} quiet[4]; /* objects whose locks only those wait for who want the same slow thing */
static bool judging;
static int wrong;

static bool is_quiet_lock(const void *lock)
{
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		if ((const char *)lock >= quiet[i].begin &&
			(const char *)lock < quiet[i].begin + quiet[i].size)
			return true;
	return false;
}

static void exempt(size_t at, const void *object, size_t size)
{
	quiet[at].begin = object;
	quiet[at].size = size ? size : malloc_usable_size((void *)object);
}

/* For addr2line. */
static size_t place_of(const void *address)
{
	Dl_info info;
	return dladdr(address, &info) ?
		       (size_t)((const char *)address - (const char *)info.dli_fbase) :
		       0;
}

static void judge(const char *what, const void *place, const void *but)
{
	for (size_t i = 0; judging && i < held_count; i++) {
		if (held[i].lock == but || is_quiet_lock(held[i].lock))
			continue;
		__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
		fprintf(stderr, "# %s at %#zx under the lock taken at %#zx\n", what,
			place_of(place), place_of(held[i].place));
	}
}

static void note_lock(const void *lock, const void *place)
{
	if (held_count == LOCKS_MOST)
		abort();
	held[held_count].lock = lock;
	held[held_count++].place = place;
}

static void note_unlock(const void *lock)
{
	size_t i = held_count;
	while (i && held[i - 1].lock != lock)
		i--;
	if (i)
		held[i - 1] = held[--held_count];
}

#define HERE __builtin_return_address(0)

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
	note_lock(lock, HERE);
	return __real_pthread_mutex_lock(lock);
}

int __real_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
	note_unlock(lock);
	return __real_pthread_mutex_unlock(lock);
}

int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock)
{
	judge("waits", HERE, lock);
	return __real_pthread_cond_wait(condition, lock);
}

int __real_pthread_cond_timedwait(
	pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until);
int __wrap_pthread_cond_timedwait(
	pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until);
int __wrap_pthread_cond_timedwait(
	pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until)
{
	judge("waits", HERE, lock);
	return __real_pthread_cond_timedwait(condition, lock, until);
}

int __real_pthread_join(pthread_t thread, void **ret);
int __wrap_pthread_join(pthread_t thread, void **ret);
int __wrap_pthread_join(pthread_t thread, void **ret)
{
	judge("waits for a thread", HERE, NULL);
	return __real_pthread_join(thread, ret);
}

/* --- what may take its time --- */

bool __real_sys_await_readable(int fd, uint64_t deadline);
bool __wrap_sys_await_readable(int fd, uint64_t deadline);
bool __wrap_sys_await_readable(int fd, uint64_t deadline)
{
	if (deadline)
		judge("waits for a descriptor, such as the end of a process", HERE, NULL);
	return __real_sys_await_readable(fd, deadline);
}

void __real_process_done(struct process *process, int *ret_status);
void __wrap_process_done(struct process *process, int *ret_status);
void __wrap_process_done(struct process *process, int *ret_status)
{
	judge("ends a process", HERE, NULL);
	__real_process_done(process, ret_status);
}

int __real_keeper_spawn(struct keeper *keeper, const struct spawn *spawn,
	struct process *ret_process, nova_error_t **err);
int __wrap_keeper_spawn(struct keeper *keeper, const struct spawn *spawn,
	struct process *ret_process, nova_error_t **err);
int __wrap_keeper_spawn(struct keeper *keeper, const struct spawn *spawn,
	struct process *ret_process, nova_error_t **err)
{
	judge("starts a process", HERE, NULL);
	return __real_keeper_spawn(keeper, spawn, ret_process, err);
}

int __real_sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (timeout_ms)
		judge("polls", HERE, NULL);
	return __real_sys_poll(fds, count, timeout_ms);
}

int __real_sys_flock(int fd, bool exclusive, bool wait);
int __wrap_sys_flock(int fd, bool exclusive, bool wait);
int __wrap_sys_flock(int fd, bool exclusive, bool wait)
{
	if (wait)
		judge("waits for a file's lock", HERE, NULL);
	return __real_sys_flock(fd, exclusive, wait);
}

int __real_sys_fsync(int fd);
int __wrap_sys_fsync(int fd);
int __wrap_sys_fsync(int fd)
{
	judge("waits for the disk", HERE, NULL);
	return __real_sys_fsync(fd);
}

static sem_t reading, read_on; /* of a_vm_is_killed_while_... */
static bool slow_proc;

int __real_fs_read_file(const char *path, struct buf *out);
int __wrap_fs_read_file(const char *path, struct buf *out);
int __wrap_fs_read_file(const char *path, struct buf *out)
{
	judge("reads a file", HERE, NULL);
	if (slow_proc && str_starts(path, "/proc/")) {
		sem_post(&reading);
		while (sem_wait(&read_on) < 0)
			;
	}
	return __real_fs_read_file(path, out);
}

/* In the place of the host program's. */
static void look_at_log(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)level, (void)module, (void)text;
	judge("logs", HERE, NULL);
}

static void look_at_output(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream, (void)data;
	judge("calls the host program", HERE, NULL);
	*(size_t *)userdata += len;
}

/* --- all that a platform does --- */

static void use_functions(struct platform *p)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_function_t **list;
	nova_result_t *r;
	size_t count, heard = 0;
	platform_add(p->nova, "f", "shell", "echo heard >&2; echo 1");
	opts.on_output = look_at_output;
	opts.userdata = &heard;
	ck_ok(nova_invoke(p->nova, "f", "{}", &opts, &r, &error));
	nova_result_free(r);
	ck_assert_uint_gt(heard, 0);
	platform_add(p->nova, "f", "shell", "echo 2"); /* its VM ends */
	platform_answers(p->nova, "f", "2");
	ck_ok(nova_function_list(p->nova, NULL, &list, &count, &error));
	nova_function_list_free(list, count);
	nova_pool_tick(p->pool);
	ck_ok(nova_function_delete(p->nova, "f", 0, &error));
	nova_pool_tick(p->pool);
}

static nova_vm_t *lend(struct platform *p, const char *key)
{
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_vm_t *vm;
	want.key = key;
	ck_ok(nova_pool_acquire(p->pool, &want, &vm, NULL, &error));
	return vm;
}

static void use_pool(struct platform *p)
{
	nova_vm_t *vm = lend(p, "a");
	AUTO_FD int pidfd = vmtest_pidfd((pid_t)nova_vm_pid(vm));
	nova_pool_release(p->pool, vm, 1);
	nova_vm_kill(vm);
	vmtest_await_end(pidfd);
	/* in the place of one that died while it waited */
	nova_pool_release(p->pool, lend(p, "a"), 1);
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_vm_opts bad = NOVA_VM_OPTS_INIT;
	bad.code_disk = "/no/such/disk";
	want.key = "bad";
	want.vm = &bad;
	ck_ok(nova_pool_keep(p->pool, &want, 1, &error));
	nova_pool_tick(p->pool);
	ck_ok(nova_pool_keep(p->pool, &want, 0, &error));
	want.key = "kept";
	want.vm = NULL;
	ck_ok(nova_pool_keep(p->pool, &want, 1, &error));
	while (pool_counter(p->pool, NOVA_POOL_PAUSED) < 1)
		nova_pool_tick(p->pool);
	nova_pool_release(p->pool, lend(p, "kept"), 1);
	nova_pool_forget(p->pool, "kept");
	while (pool_counter(p->pool, NOVA_POOL_IDLE))
		nova_pool_tick(p->pool); /* until all are too old */
}

static void use_queue(struct platform *p)
{
	nova_queue_t *q;
	nova_call_t *calls[4], *got;
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	opts.threads = 3; /* and two VMs */
	platform_add(p->nova, "slow", "shell", "sleep 1000");
	platform_add(p->nova, "f", "shell", "echo 1");
	ck_ok(nova_queue_new(p->nova, &opts, &q, &error));
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		ck_ok(nova_queue_submit(q, i < 3 ? "slow" : "f", "{}", NULL, &calls[i], &error));
	while (pool_counter(p->pool, NOVA_POOL_WAITING) < 1)
		sys_poll(NULL, 0, 1);
	for (size_t i = 0; i < 2; i++)
		ck_ok(nova_call_cancel(calls[i]));
	for (size_t i = 0; i < 2; i++) {
		ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &got, &error));
		nova_call_free(got);
	}
	nova_call_free(calls[2]);
	nova_queue_free(q);
}

static void use_instance(struct platform *p)
{
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance;
	nova_result_t *r;
	opts.function = "f";
	ck_ok(nova_instance_start(p->nova, &opts, &instance, &error));
	nova_invoke_opts in = { sizeof(in), .instance = instance };
	ck_ok(nova_invoke(p->nova, "f", "{}", &in, &r, &error));
	ck_ok(nova_vm_pause(nova_instance_vm(instance), NULL, &error));
	ck_ok(nova_vm_resume(nova_instance_vm(instance), NULL, &error));
	ck_ok(nova_instance_stop(instance, 0, &error));
	nova_instance_free(instance);
	nova_result_free(r);
}

static void use_vm(struct platform *p)
{
	nova_vm_t *vm;
	uint64_t values[5];
	ck_ok(nova_vm_start(nova_host_get(p->nova), NULL, &vm, &error));
	ck_ok(nova_vm_ping(vm, 0, NULL, &error));
	ck_ok(nova_vm_stats(vm, values, 5, &error));
	nova_free(nova_vm_console(vm));
	ck_ok(nova_vm_pause(vm, NULL, &error));
	ck_ok(nova_vm_resume(vm, NULL, &error));
	ck_ok(nova_vm_stop(vm, 0, NULL, &error));
	nova_vm_free(vm);
	ck_ok(nova_vm_start(nova_host_get(p->nova), NULL, &vm, &error));
	nova_vm_kill(vm);
	ck_fails(NOVA_ELOST, nova_vm_ping(vm, 0, NULL, &error));
	nova_vm_free(vm);
}

START_TEST(nothing_that_may_take_its_time_is_done_under_a_lock)
{
	struct platform p = platform_open(
		"pool.max_vms", "2", "pool.idle_ttl", "20ms", "pool.pause_after", "1ms", NULL);
	nova_host_t *host = nova_host_get(p.nova);
	exempt(0, host_engine_env(host)->keeper, 0); /* one request to the keeper at a time */
	exempt(1, &p.nova->replicas.lock, sizeof(pthread_mutex_t)); /* ticks only */
	/* the log's: one line at a time. The host was measured by the line before */
	exempt(2, host, 0);
	nova_host_set_log(host, look_at_log, NULL, NOVA_LOG_DEBUG);
	judging = true;
	use_functions(&p);
	use_pool(&p);
	use_queue(&p);
	use_instance(&p);
	use_vm(&p);
	platform_close(&p);
	judging = false;
	ck_assert_uint_eq(held_count, 0);
	ck_assert_int_eq(wrong, 0);
}
END_TEST

/* --- for ever --- */

static void *read_stats(void *vm)
{
	uint64_t values[5];
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = nova_vm_stats(vm, values, 5, &failure);
	return (void *)(intptr_t)code;
}

START_TEST(a_vm_is_killed_while_another_thread_reads_what_it_costs)
{
	struct platform p = platform_open(NULL);
	nova_vm_t *vm;
	pthread_t thread;
	void *code;
	ck_ok(nova_vm_start(nova_host_get(p.nova), NULL, &vm, &error));
	sem_init(&reading, 0, 0);
	sem_init(&read_on, 0, 0);
	slow_proc = true;
	ck_assert_int_eq(pthread_create(&thread, NULL, read_stats, vm), 0);
	while (sem_wait(&reading) < 0)
		;
	slow_proc = false; /* which ends when this test says so */
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_RUNNING);
	AUTO_FD int pidfd = vmtest_pidfd((pid_t)nova_vm_pid(vm));
	nova_vm_kill(vm);
	vmtest_await_end(pidfd);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	sem_post(&read_on);
	pthread_join(thread, &code);
	/* nothing is told of who has that number now */
	ck_assert_int_eq((int)(intptr_t)code, NOVA_ELOST);
	nova_vm_free(vm);
	platform_close(&p);
}
END_TEST

/* --- another process writes to the store for ever --- */

struct other {
	pid_t pid;
	int to, from;
};

/* Made while this process has no thread and no database. It writes once it is told where. */
static struct other other_process(void)
{
	int to[2], from[2];
	char path[4096];
	ck_assert(sys_pipe(to) == 0 && sys_pipe(from) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		sqlite3 *db;
		fd_close(to[1]);
		ssize_t len = read(to[0], path, sizeof(path) - 1);
		path[len < 0 ? 0 : len] = 0;
		bool ok = sqlite_load(NULL) == 0 &&
			  sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
			  sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
		sys_write_all(from[1], ok ? "y" : "n", 1);
		ssize_t over = read(to[0], path, 1);
		_exit(over != 0);
	}
	fd_close(to[0]);
	fd_close(from[1]);
	return (struct other){ pid, to[1], from[0] };
}

static void other_begins(struct other *o, const char *path)
{
	char answer;
	ck_assert_int_eq(sys_write_all(o->to, path, strlen(path)), 0);
	ck_assert_int_eq(read(o->from, &answer, 1), 1);
	ck_assert_int_eq(answer, 'y');
}

static void other_ends(struct other *o)
{
	int status;
	fd_close(o->to);
	fd_close(o->from);
	ck_assert_int_eq(waitpid(o->pid, &status, 0), o->pid);
	ck_assert_int_eq(status, 0);
}

static bool registered;

static void *register_another(void *nova)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "another";
	opts.runtime = "shell";
	opts.code = "echo 2";
	opts.code_len = 6;
	int code = nova_function_register(nova, &opts, NULL, NULL);
	__atomic_store_n(&registered, true, __ATOMIC_RELEASE);
	return (void *)(intptr_t)code;
}

static void await_writer(struct store *store)
{
	struct connection *writer = &((struct sqlite_store *)store)->writer;
	while (pthread_mutex_trylock(&writer->lock) == 0) {
		pthread_mutex_unlock(&writer->lock);
		sched_yield();
	}
}

START_TEST(calls_go_on_while_a_registration_waits_for_another_process_that_writes)
{
	struct other o = other_process();
	struct platform p = platform_open(NULL);
	AUTO_FREE char *path = path_join(p.dir, "nova.db");
	nova_function_t *function;
	pthread_t thread;
	void *code;
	platform_add(p.nova, "one", "shell", "echo 1");
	platform_answers(p.nova, "one", "1");
	other_begins(&o, path);
	ck_assert_int_eq(pthread_create(&thread, NULL, register_another, p.nova), 0);
	await_writer(p.nova->registry.store);
	for (int i = 0; i < 3; i++)
		platform_answers(p.nova, "one", "1");
	ck_ok(nova_function_get(p.nova, "one", &function, &error));
	nova_function_free(function);
	ck_fails(NOVA_ENOTFOUND, nova_function_get(p.nova, "another", &function, &error));
	ck_assert_msg(!__atomic_load_n(&registered, __ATOMIC_ACQUIRE), "the calls waited for it");
	other_ends(&o);
	pthread_join(thread, &code);
	ck_assert_int_eq((int)(intptr_t)code, 0);
	platform_answers(p.nova, "another", "2"); /* the reader knows what the writer wrote */
	platform_close(&p);
}
END_TEST

static Suite *waits_suite(void)
{
	Suite *suite = suite_create("waits");
	TCase *tc = tcase_create("waits");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, nothing_that_may_take_its_time_is_done_under_a_lock);
	tcase_add_test(tc, a_vm_is_killed_while_another_thread_reads_what_it_costs);
	tcase_add_test(tc, calls_go_on_while_a_registration_waits_for_another_process_that_writes);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, waits_suite);
}
