/* SPDX-License-Identifier: MIT */
/* The collection of VMMs on standby, with an engine whose VMMs are `sleep` processes that can be
 * told to fail. */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/child.h"
#include "vm/frozen.h"
#include "vm/standby.h"

#include "test.h"

static nova_error_t *error;
static int started, fail_after; /* starts so far; from that one on they fail, 0: never */
static int64_t pids[256];       /* of those started */

static int sleep_start(struct machine *m, const struct engine_env *env,
	const struct machine_spec *spec, nova_error_t **err)
{
	static const char *const argv[] = { "/bin/sleep", "1000", NULL };
	ck_assert_int_ge(spec->base_fd, 0);
	int number = __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
	if (fail_after && number >= fail_after)
		return nova_fail(err, NOVA_EENGINE, "no more");
	struct spawn spawn = { .argv = argv };
	int code = keeper_spawn(env->keeper, &spawn, &child_of(m)->process, err);
	if (number < (int)ARRAY_LEN(pids))
		pids[number] = child_pid(m);
	return code;
}

static const struct engine_ops sleep_engine = {
	.name = "sleep",
	.machine_size = sizeof(struct child_machine),
	.boot_timeout_key = "qemu.boot_timeout",
	.start = sleep_start,
	.kill = child_kill,
	.end_fd = child_end_fd,
	.end = child_end,
};

struct setting {
	char *dir;
	nova_host_t *host;
};

static struct setting set_up(const char *max_standby)
{
	struct setting s = { .dir = test_dir() };
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", s.dir, &error));
	if (max_standby)
		ck_ok(nova_config_set(config, "pool.max_standby", max_standby, &error));
	ck_ok(nova_host_new(config, &s.host, &error));
	nova_config_free(config);
	started = fail_after = 0;
	return s;
}

static void tear_down(struct setting *s)
{
	nova_host_unref(s->host);
	test_dir_remove(s->dir);
}

static struct frozen *make_frozen(struct vm_base *base, const char *rootfs, const char *code)
{
	const struct machine_config shape = {
		.rootfs = (char *)rootfs, .code_disk = (char *)code, .memory_mb = 64, .vcpus = 1
	};
	struct frozen *f = calloc(1, sizeof(*f));
	*f = (struct frozen){
		.references = 1, .ops = &sleep_engine, .pages = PAGES_NONE, .state_fd = -1
	};
	ck_assert_int_eq(machine_config_copy(&f->shape, &shape), 0);
	f->base = base ? base_ref(base) : base_new(sys_memfd("base"));
	ck_assert_ptr_nonnull(f->base);
	return f;
}

static void end(struct machine *m)
{
	ck_assert_ptr_nonnull(m);
	ck_assert(!machine_ended(&sleep_engine, m, 0)); /* nobody is handed a dead one */
	machine_free(&sleep_engine, m);
}

/* Behind the back of the collection. */
static void kill_vmm(int number)
{
	AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, pids[number], 0);
	struct pollfd p = { pidfd, POLLIN, 0 };
	ck_assert_int_ge(pidfd, 0);
	ck_assert_int_eq(kill((pid_t)pids[number], SIGKILL), 0);
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
}

static bool lives(int number)
{
	return kill((pid_t)pids[number], 0) == 0;
}

START_TEST(a_wish_starts_nothing_and_tending_fulfils_it)
{
	struct setting s = set_up(NULL);
	struct frozen *f = make_frozen(NULL, "r", NULL);
	ck_assert_int_eq(standby_tend(s.host), -1);
	ck_assert_uint_eq(standby_count(s.host), 0);
	ck_assert_ptr_null(standby_take(s.host, f));
	ck_assert_int_eq(standby_keep(s.host, f, 2, 60000), 0);
	ck_assert_int_eq(started, 0);
	int64_t ms = standby_tend(s.host);
	ck_assert(ms > 0 && ms <= 60000);
	ck_assert_int_eq(started, 2);
	ck_assert_uint_eq(standby_count(s.host), 2);
	standby_tend(s.host);
	ck_assert_int_eq(started, 2);
	end(standby_take(s.host, f));
	ck_assert_uint_eq(standby_count(s.host), 1);
	standby_tend(s.host);
	ck_assert_uint_eq(standby_count(s.host), 2);
	ck_assert_int_eq(standby_keep(s.host, f, 0, 0), 0);
	ck_assert_int_eq(standby_tend(s.host), -1);
	ck_assert_uint_eq(standby_count(s.host), 0);
	ck_assert_int_eq(__atomic_load_n(&f->references, __ATOMIC_SEQ_CST), 1);
	frozen_unref(f);
	tear_down(&s);
}
END_TEST

START_TEST(a_vmm_fits_one_base_in_one_shape)
{
	struct setting s = set_up(NULL);
	struct frozen *f = make_frozen(NULL, "r", "c"), *other_base = make_frozen(NULL, "r", "c"),
		      *same = make_frozen(f->base, "r", "c"),
		      *other_disk = make_frozen(f->base, "r", "d"),
		      *no_disk = make_frozen(f->base, "r", NULL);
	ck_assert_int_eq(standby_keep(s.host, f, 1, 60000), 0);
	standby_tend(s.host);
	ck_assert_ptr_null(standby_take(s.host, other_base));
	ck_assert_ptr_null(standby_take(s.host, other_disk));
	ck_assert_ptr_null(standby_take(s.host, no_disk));
	standby_drop(s.host, other_base);
	ck_assert_uint_eq(standby_count(s.host), 1);
	end(standby_take(s.host, same));
	ck_assert_ptr_null(standby_take(s.host, f));

	/* as by another look at the same file */
	struct vm_base *reopened = base_new(sys_dup(f->base->fd));
	struct frozen *again = make_frozen(reopened, "r", "c");
	standby_tend(s.host);
	end(standby_take(s.host, again));
	base_unref(reopened);
	struct frozen *const all[] = { f, other_base, same, other_disk, no_disk, again };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		frozen_unref(all[i]);
	tear_down(&s);
}
END_TEST

START_TEST(a_vmm_that_died_is_not_handed_out_and_is_replaced)
{
	struct setting s = set_up(NULL);
	struct frozen *f = make_frozen(NULL, "r", NULL);
	ck_assert_int_eq(standby_keep(s.host, f, 3, 60000), 0);
	standby_tend(s.host);
	kill_vmm(0);
	kill_vmm(2);
	struct machine *m = standby_take(s.host, f);
	ck_assert_int_eq(child_pid(m), pids[1]);
	end(m);
	ck_assert_ptr_null(standby_take(s.host, f));
	standby_tend(s.host);
	ck_assert_uint_eq(standby_count(s.host), 3);

	/* Dead ones that nobody asked for are found by tending; what dies at once is not started
	 * anew all the time. */
	kill_vmm(4);
	int64_t ms = standby_tend(s.host);
	ck_assert(ms >= 0 && ms <= 1000);
	ck_assert_uint_eq(standby_count(s.host), 2);
	while (standby_count(s.host) < 3) {
		ms = standby_tend(s.host);
		ck_assert_int_ge(ms, 0);
		poll(NULL, 0, ms < 1000 ? (int)ms : 1000);
	}
	ck_assert_int_eq(started, 7);
	frozen_unref(f);
	tear_down(&s);
}
END_TEST

START_TEST(what_cannot_be_started_is_told_and_tried_again_later)
{
	struct setting s = set_up(NULL);
	struct frozen *f = make_frozen(NULL, "r", NULL);
	fail_after = 1;
	ck_assert_int_eq(standby_keep(s.host, f, 2, 60000), 0);
	int64_t ms = standby_tend(s.host);
	ck_assert(ms >= 0 && ms <= 1000);
	ck_assert_uint_eq(standby_count(s.host), 1);
	ck_assert_int_eq(started, 2);
	standby_tend(s.host);
	ck_assert_int_eq(started, 2); /* not at once */
	ck_fails_with(NOVA_EENGINE, "no more", standby_fill(s.host, f, &error));
	fail_after = 0;
	ck_ok(standby_fill(s.host, f, &error));
	ck_assert_uint_eq(standby_count(s.host), 2);
	frozen_unref(f);
	tear_down(&s);
}
END_TEST

START_TEST(all_together_are_limited)
{
	struct setting s = set_up("3");
	struct frozen *a = make_frozen(NULL, "a", NULL), *b = make_frozen(NULL, "b", NULL);
	ck_assert_int_eq(standby_keep(s.host, a, 2, 60000), 0);
	ck_ok(standby_fill(s.host, a, &error));
	ck_assert_int_eq(standby_keep(s.host, b, 2, 60000), 0);
	ck_fails_with(NOVA_ELIMIT, "pool.max_standby", standby_fill(s.host, b, &error));
	ck_assert_uint_eq(standby_count(s.host), 3);
	standby_drop(s.host, a);
	ck_assert_uint_eq(standby_count(s.host), 1);
	ck_ok(standby_fill(s.host, b, &error));
	ck_assert_uint_eq(standby_count(s.host), 2);
	frozen_unref(a);
	frozen_unref(b);
	tear_down(&s);
}
END_TEST

START_TEST(standby_end_when_their_time_is_over)
{
	struct setting s = set_up(NULL);
	struct frozen *brief = make_frozen(NULL, "a", NULL),
		      *lasting = make_frozen(NULL, "b", NULL);
	ck_assert_int_eq(standby_keep(s.host, brief, 1, 300), 0);
	ck_assert_int_eq(standby_keep(s.host, lasting, 1, 60000), 0);
	ck_ok(standby_fill(s.host, brief, &error));
	int64_t ms;
	while (ms = standby_tend(s.host), standby_count(s.host) != 1 || lives(0)) {
		ck_assert_int_ge(ms, 0);
		poll(NULL, 0, ms < 300 ? (int)ms : 300);
	}
	ck_assert_ptr_null(standby_take(s.host, brief));
	end(standby_take(s.host, lasting));
	frozen_unref(brief);
	frozen_unref(lasting);
	tear_down(&s);
}
END_TEST

START_TEST(a_deleted_snapshot_takes_its_standby_along)
{
	struct setting s = set_up(NULL);
	struct frozen *f = make_frozen(NULL, "a", NULL), *of_disk = make_frozen(NULL, "a", NULL),
		      *twin = make_frozen(of_disk->base, "b", NULL);
	of_disk->base->root = strdup("/r");
	of_disk->base->id = strdup("x");
	struct frozen *const all[] = { f, of_disk, twin };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		ck_assert_int_eq(standby_keep(s.host, all[i], 1, 60000), 0);
	standby_tend(s.host);
	standby_drop_base(s.host, "/r", "y");
	ck_assert_uint_eq(standby_count(s.host), 3);
	standby_drop_base(s.host, "/r", "x");
	ck_assert_uint_eq(standby_count(s.host), 1);
	/* nothing holds its file but we */
	ck_assert_int_eq(__atomic_load_n(&of_disk->base->references, __ATOMIC_SEQ_CST), 2);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		frozen_unref(all[i]);
	tear_down(&s);
}
END_TEST

START_TEST(standby_end_with_their_context)
{
	struct setting s = set_up(NULL);
	struct frozen *f = make_frozen(NULL, "r", NULL);
	ck_assert_int_eq(standby_keep(s.host, f, 4, 60000), 0);
	standby_tend(s.host);
	nova_host_unref(s.host);
	for (int i = 0; i < 4; i++)
		ck_assert(!lives(i));
	ck_assert_int_eq(__atomic_load_n(&f->references, __ATOMIC_SEQ_CST), 1);
	frozen_unref(f);
	test_dir_remove(s.dir);
}
END_TEST

START_TEST(a_fork_of_the_process_leaves_them_alone)
{
	struct setting s = set_up(NULL);
	struct frozen *f = make_frozen(NULL, "r", NULL);
	ck_assert_int_eq(standby_keep(s.host, f, 2, 60000), 0);
	standby_tend(s.host);
	pid_t pid = fork();
	if (pid == 0) {
		bool untouched = !standby_take(s.host, f) && standby_tend(s.host) == -1 &&
				 standby_count(s.host) == 0 && standby_keep(s.host, f, 0, 0) == 0;
		standby_drop(s.host, f);
		standby_drop_base(s.host, NULL, NULL);
		nova_host_unref(s.host);
		_exit(untouched ? 0 : 1);
	}
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(lives(0) && lives(1));
	ck_assert_uint_eq(standby_count(s.host), 2);
	end(standby_take(s.host, f));
	frozen_unref(f);
	tear_down(&s);
}
END_TEST

/* --- many threads --- */

struct crowd {
	nova_host_t *host;
	struct frozen *kinds[3];
	int taken;
};

static void *jostle(void *userdata)
{
	struct crowd *c = userdata;
	for (int i = 0; i < 30; i++) {
		struct frozen *f = c->kinds[i % 3];
		standby_keep(c->host, f, (size_t)(i % 4), i % 5 ? 60000 : 1);
		if (i % 2)
			standby_tend(c->host);
		struct machine *m = standby_take(c->host, f);
		if (m)
			__atomic_add_fetch(&c->taken, 1, __ATOMIC_SEQ_CST);
		machine_free(&sleep_engine, m);
		if (i % 7 == 0)
			standby_drop(c->host, c->kinds[(i + 1) % 3]);
	}
	return NULL;
}

START_TEST(many_threads_may_keep_take_tend_and_drop)
{
	struct setting s = set_up("5");
	struct crowd c = { .host = s.host };
	pthread_t threads[6];
	for (size_t i = 0; i < 3; i++)
		c.kinds[i] = make_frozen(NULL, "r", NULL);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, jostle, &c), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_gt(c.taken, 0);
	for (size_t i = 0; i < 3; i++)
		standby_drop(s.host, c.kinds[i]);
	ck_assert_uint_eq(standby_count(s.host), 0);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(__atomic_load_n(&c.kinds[i]->references, __ATOMIC_SEQ_CST), 1);
		frozen_unref(c.kinds[i]);
	}
	tear_down(&s);
}
END_TEST

static Suite *standby_suite(void)
{
	Suite *suite = suite_create("standby");
	TCase *tc = tcase_create("standby");
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_test(tc, a_wish_starts_nothing_and_tending_fulfils_it);
	tcase_add_test(tc, a_vmm_fits_one_base_in_one_shape);
	tcase_add_test(tc, a_vmm_that_died_is_not_handed_out_and_is_replaced);
	tcase_add_test(tc, what_cannot_be_started_is_told_and_tried_again_later);
	tcase_add_test(tc, all_together_are_limited);
	tcase_add_test(tc, standby_end_when_their_time_is_over);
	tcase_add_test(tc, a_deleted_snapshot_takes_its_standby_along);
	tcase_add_test(tc, standby_end_with_their_context);
	tcase_add_test(tc, a_fork_of_the_process_leaves_them_alone);
	tcase_add_test(tc, many_threads_may_keep_take_tend_and_drop);
	return suite;
}

TEST_MAIN(standby_suite)
