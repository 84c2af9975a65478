/* SPDX-License-Identifier: MIT */
/* What the templates of a home take of the disk. There are no VMs: files in memory stand for those
 * of guests, and an engine of the test's own for the one that made them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "template/recipe.h"
#include "vm/frozen.h"

#include "test.h"

#define MEMORY_MB 32u
#define PAGES     4u /* that a function's template differs in */
#define RUNTIME   10000000u

static nova_error_t *error;

/* --- an engine --- */

static int identity(const struct engine_env *env, char **ret, nova_error_t **err)
{
	(void)env;
	return (*ret = strdup("stand-in 1")) ? 0 : nova_oom(err);
}

static int save(struct machine *m, int *ret_state_fd, nova_error_t **err)
{
	(void)m, (void)ret_state_fd;
	return nova_fail(err, NOVA_ENOTSUP, "there is no machine");
}

static const struct engine_ops stand_in = {
	.name = "stand-in",
	.identity = identity,
	.save = save,
};

const struct engine_ops *__wrap_engine_find(const char *name);
const struct engine_ops *__wrap_engine_find(const char *name)
{
	return strcmp(name, stand_in.name) ? NULL : &stand_in;
}

/* --- a disk: it takes no time here, and can refuse --- */

static int refusal; /* an errno; 0: it does not */

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	(void)fd;
	errno = refusal;
	return refusal ? -1 : 0;
}

static unsigned manifests_read;

int __real_fs_read_file(const char *path, struct buf *out);
int __wrap_fs_read_file(const char *path, struct buf *out);
int __wrap_fs_read_file(const char *path, struct buf *out)
{
	manifests_read += strstr(path, "/manifest.json") != NULL;
	return __real_fs_read_file(path, out);
}

/* --- a home --- */

struct home {
	char *dir, *root, *kernel;
	nova_host_t *host;
	int made, told;           /* templates made; lines of the log about memory */
	char *last;               /* of these lines */
	int stale;                /* lines of the log about what has changed */
	unsigned runtime, blocks; /* which one is used; how large it is */
};

static struct home *logging;

static void note_log(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)level, (void)module;
	logging->stale += strstr(text, "has changed or is gone") != NULL;
	if (!strstr(text, "stays in memory"))
		return;
	logging->told++;
	free(logging->last);
	logging->last = strdup(text);
}

static int open_host(struct home *h, const char *limit)
{
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", h->dir, &error));
	int code = nova_config_set(config, "pool.templates_disk", limit, &error);
	if (code == 0)
		code = nova_host_new(config, &h->host, &error);
	nova_config_free(config);
	if (code < 0)
		return code;
	logging = h;
	nova_host_set_log(h->host, note_log, NULL, NOVA_LOG_INFO);
	return 0;
}

/* In memory, where nothing waits for the disk that all others write to. */
static void set_up(struct home *h, const char *limit)
{
	if (fs_writable("/dev/shm") == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	*h = (struct home){ .dir = test_dir(), .runtime = RUNTIME, .blocks = 16 };
	h->root = path_join(h->dir, "snapshots");
	h->kernel = path_join(h->dir, "kernel");
	ck_assert_int_eq(fs_write_file(h->kernel, "1", 1, 0644), 0);
	ck_ok(open_host(h, limit));
}

static void tear_down(struct home *h)
{
	nova_host_unref(h->host);
	free(h->root);
	free(h->kernel);
	free(h->last);
	test_dir_remove(h->dir);
}

/* As du would say. */
static uint64_t bytes_below(const char *directory)
{
	char **names;
	uint64_t total = 0;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		struct stat st;
		AUTO_FREE char *path = path_join(directory, names[i]);
		if (lstat(path, &st) == 0) /* a race may have taken it away */
			total += (uint64_t)st.st_blocks * 512u;
		if (fs_is_directory(path) == 1)
			total += bytes_below(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	return total;
}

/* The locks and notes of the room lie beside the templates. */
static void ck_within(const struct home *h, uint64_t limit_mb)
{
	uint64_t bytes = bytes_below(h->root);
	ck_assert_msg(bytes <= (limit_mb << 20) + 65536, "%llu bytes", (unsigned long long)bytes);
}

/* --- templates: of the runtime, and of functions 0, 1, … --- */

static void id_of(unsigned number, char id[SNAPSHOT_ID])
{
	snprintf(id, SNAPSHOT_ID, "%016x", number);
}

static bool is_there(const struct home *h, unsigned number)
{
	char id[SNAPSHOT_ID];
	id_of(number, id);
	AUTO_FREE char *path = path_join(h->root, id);
	return fs_exists(path) == 1;
}

/* Byte `at` of page `page` of a function. */
static uint8_t content(unsigned number, unsigned page, size_t at)
{
	return (uint8_t)((number + 1) * 31 + page * 7 + at * 13 + (at >> 8) * number);
}

static void fill(uint8_t *out, unsigned number, unsigned page)
{
	for (size_t i = 0; i < PAGE_BYTES; i++)
		out[i] = content(number, page, i);
}

static int obtain(struct home *h, unsigned number, struct frozen **ret);

static struct frozen *frozen_new(void)
{
	struct frozen *f = calloc(1, sizeof(*f));
	*f = (struct frozen){
		.references = 1,
		.ops = &stand_in,
		.shape = { .memory_mb = MEMORY_MB, .vcpus = 1 },
		.pages = PAGES_NONE,
		.state_fd = sys_memfd("state"),
		.function = GUEST_FUNCTION_NONE,
	};
	ck_assert_int_eq(sys_pwrite_all(f->state_fd, "state", 5, 0), 0);
	return f;
}

static struct home *at; /* where is being made */

/* Each is another, as guests that have booted are. */
static int make_runtime(const struct recipe *r, struct frozen **ret, nova_error_t **err)
{
	(void)r, (void)err;
	uint8_t block[16384];
	struct frozen *f = frozen_new();
	int memory = sys_memfd("memory");
	ck_assert_int_eq(random_bytes(block, sizeof(block)), 0);
	ck_assert_int_eq(sys_truncate(memory, (uint64_t)MEMORY_MB << 20), 0);
	for (unsigned i = 0; i < at->blocks; i++)
		ck_assert_int_eq(sys_pwrite_all(memory, block, sizeof(block), i * 64u << 12), 0);
	f->base = base_new(memory);
	*ret = f;
	at->made++;
	return 0;
}

static int make_function(const struct recipe *r, struct frozen **ret, nova_error_t **err)
{
	uint8_t page[PAGE_BYTES];
	size_t cap = 0;
	AUTO_FROZEN struct frozen *runtime = NULL;
	unsigned number = (unsigned)strtoul(r->id, NULL, 16);
	(void)err;
	ck_ok(obtain(at, at->runtime, &runtime));
	struct frozen *f = frozen_new();
	f->base = base_ref(runtime->base);
	f->pages.fd = sys_memfd("pages");
	for (unsigned i = 0; i < PAGES; i++) {
		fill(page, number, i);
		ck_assert_int_eq(sys_pwrite_all(f->pages.fd, page, PAGE_BYTES, i * PAGE_BYTES), 0);
		ck_assert_int_eq(pages_add(&f->pages, &cap, 100 + i * 3), 0);
	}
	*ret = f;
	at->made++;
	return 0;
}

static int obtain_by(struct home *h, unsigned number, uint64_t deadline, struct unwritten *later,
	struct frozen **ret)
{
	AUTO_FREE char *name = str_format("f%u", number);
	const struct template_want want = { .name = name };
	struct recipe r = {
		.host = h->host,
		.want = &want,
		.ops = &stand_in,
		.root = h->root,
		.rootfs = (char *)"stand-in.ext4",
		.kernel = h->kernel,
		.initramfs = h->kernel,
		.guest = number < RUNTIME ? NULL : (char *)"stand-in",
		.make = number < RUNTIME ? make_function : make_runtime,
		.deadline = deadline,
		.later = later,
	};
	bool made;
	id_of(number, r.id);
	at = h;
	return recipe_obtain(&r, ret, &made, &error);
}

static int obtain(struct home *h, unsigned number, struct frozen **ret)
{
	return obtain_by(h, number, deadline_in_ms(300000), NULL, ret);
}

/* What it is, whoever made it, and wherever it is. */
static void ck_is(const struct frozen *f, unsigned number)
{
	uint8_t page[PAGE_BYTES], want[PAGE_BYTES];
	ck_assert_uint_eq(pages_bytes(&f->pages), PAGES * PAGE_BYTES);
	for (unsigned i = 0; i < PAGES; i++) {
		fill(want, number, i);
		ck_assert_int_eq(sys_pread_all(f->pages.fd, page, PAGE_BYTES,
					 f->pages.offset + i * PAGE_BYTES),
			0);
		ck_assert_int_eq(memcmp(page, want, PAGE_BYTES), 0);
	}
	/* of the base nothing was lost, either */
	ck_assert_int_eq(sys_pread_all(f->base->fd, page, PAGE_BYTES, 3 * 64u << 12), 0);
	ck_assert_int_eq(sys_pread_all(f->base->fd, want, PAGE_BYTES, 0), 0);
	ck_assert_int_eq(memcmp(page, want, PAGE_BYTES), 0);
}

static void use(struct home *h, unsigned number)
{
	struct frozen *f;
	ck_ok(obtain(h, number, &f));
	ck_is(f, number);
	frozen_unref(f);
}

/* Used so long ago. */
static void age(const struct home *h, unsigned number, uint64_t seconds)
{
	char id[SNAPSHOT_ID];
	id_of(number, id);
	AUTO_FREE char *path = str_format("%s/%s/manifest.json", h->root, id);
	ck_assert_int_eq(fs_set_mtime(path, (clock_unix_us() - seconds * 1000000u) * 1000u), 0);
}

static bool is_long(void)
{
	const char *set = getenv("NOVA_TEST_LONG");
	return set && *set;
}

/* --- the difference --- */

START_TEST(a_template_on_disk_is_what_differs_from_its_runtimes)
{
	struct home h;
	struct frozen *f;
	set_up(&h, "auto");
	ck_ok(obtain(&h, 1, &f));
	ck_assert_int_eq(h.made, 2);
	ck_assert(f->is_on_disk);
	ck_assert_str_eq(f->base->id, "0000000000989680"); /* the runtime's */
	ck_is(f, 1);
	ck_assert_uint_le(snapshot_disk_bytes(h.root, f->snapshot), PAGES * PAGE_BYTES + 32768);
	frozen_unref(f);
	use(&h, 1);
	use(&h, 2);
	ck_assert_int_eq(h.made, 3);
	tear_down(&h);
}
END_TEST

START_TEST(a_copy_that_finds_no_descriptor_says_so)
{
	struct home h;
	struct frozen *f, *copy = NULL;
	struct rlimit before;
	set_up(&h, "auto");
	ck_ok(obtain(&h, _i ? 1 : RUNTIME, &f));
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	AUTO_FD int last = sys_dup(f->state_fd); /* the first that was free */
	const struct rlimit none = { (rlim_t)last + 1, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	int code = _i ? frozen_copy(f, &copy, &error) : frozen_with_code(f, "code", &copy, &error);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(nova_error_os(error), EMFILE);
	ck_fails(NOVA_EIO, code);
	ck_assert_ptr_null(copy);
	frozen_unref(f);
	tear_down(&h);
}
END_TEST

/* Neither the memory that another has left in its place nor nothing at all is taken for it. */
START_TEST(a_base_that_was_made_anew_or_is_gone_makes_what_stands_on_it_stale)
{
	struct home h;
	struct frozen *f, *held;
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	set_up(&h, "auto");
	use(&h, 1);
	ck_ok(obtain(&h, 2, &held));
	ck_ok(snapshot_find(h.root, "0000000000000002", &m, &error));
	snapshot_discard(h.root, "0000000000989680");
	ck_fails_with(NOVA_ENOTFOUND, "the base of", instant_read(h.host, h.root, &m, &f, &error));
	use(&h, 1);
	ck_assert_int_eq(h.made, 5);
	ck_fails_with(NOVA_ESTALE, "its base '0000000000989680' was made anew",
		instant_read(h.host, h.root, &m, &f, &error));
	ck_fails_with(NOVA_ESTALE, "made anew", instant_check(h.host, h.root, &m, &error));
	use(&h, 2);
	ck_assert_int_eq(h.made, 6);
	use(&h, 1);
	use(&h, 2);
	ck_assert_int_eq(h.made, 6);
	ck_assert_int_eq(h.told, 0);
	ck_is(held, 2); /* who had it still has it */
	frozen_unref(held);
	/* What nobody uses goes as soon as the runtime's is made anew. */
	snapshot_discard(h.root, "0000000000989680");
	use(&h, 1);
	ck_assert(!is_there(&h, 2));
	ck_assert_int_eq(h.stale, 1);
	tear_down(&h);
}
END_TEST

static void flip(const struct home *h, const char *file)
{
	uint8_t byte;
	AUTO_FREE char *path = path_join(h->root, file);
	AUTO_FD int fd = sys_open(path, O_RDWR, 0);
	ck_assert_int_eq(sys_pread_all(fd, &byte, 1, 3), 0);
	byte ^= 1;
	ck_assert_int_eq(sys_pwrite_all(fd, &byte, 1, 3), 0);
}

START_TEST(a_difference_that_is_damaged_is_made_anew)
{
	static const char *const files[] = { "0000000000000001/pages", "0000000000000001/state",
		"0000000000000001/manifest.json", "0000000000989680/memory" };
	struct home h;
	set_up(&h, "auto");
	use(&h, 1);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *path = path_join(h.root, files[i]);
		int before = h.made;
		flip(&h, files[i]);
		use(&h, 1);
		ck_assert_int_eq(h.made, before + (i == 3 ? 2 : 1));
		if (i == 3)
			break;
		ck_assert_int_eq(fs_unlink(path), 0);
		use(&h, 1);
		ck_assert_int_eq(h.made, before + 2);
	}
	tear_down(&h);
}
END_TEST

/* --- the limit --- */

START_TEST(thousands_of_functions_stay_within_the_limit)
{
	struct home h;
	unsigned count = is_long() ? 10000 : 200;
	set_up(&h, "2");
	for (unsigned i = 0; i < count; i++) {
		use(&h, i);
		if (i % 20 == 0 || i + 1 == count)
			ck_within(&h, 2);
	}
	ck_assert_int_eq(h.made, (int)count + 1); /* the runtime's was never given up */
	ck_assert_int_eq(h.told, 0);
	ck_assert(is_there(&h, count - 1));
	ck_assert(!is_there(&h, 0));
	use(&h, 0);
	ck_assert_int_eq(h.made, (int)count + 2);
	ck_within(&h, 2);
	tear_down(&h);
}
END_TEST

START_TEST(those_used_least_lately_go_first_and_none_that_is_in_use)
{
	struct home h;
	struct frozen *held;
	set_up(&h, "2");
	for (unsigned i = 0; i < 20; i++) {
		use(&h, i);
		age(&h, i, i == 7 ? 1000 : 5000);
	}
	age(&h, RUNTIME, 90000);
	ck_ok(obtain(&h, 3, &held));
	age(&h, 3, 80000);
	uint64_t now = clock_unix_us();
	use(&h, 9);
	ck_assert_uint_ge(snapshot_last_use_us(h.root, "0000000000000009"), now - 1000000);
	for (unsigned i = 100; is_there(&h, 7); i++) {
		ck_assert_uint_lt(i, 300);
		use(&h, i);
	}
	for (unsigned i = 0; i < 20; i++) /* the last of these may go with the others */
		ck_assert(i == 9 || is_there(&h, i) == (i == 3));
	ck_assert(is_there(&h, RUNTIME));
	ck_is(held, 3);
	frozen_unref(held);
	tear_down(&h);
}
END_TEST

START_TEST(where_all_are_in_use_the_next_stays_in_memory_which_is_said_once)
{
	struct home h;
	struct frozen *held[100];
	unsigned count = 0;
	set_up(&h, "1");
	for (; !h.told; count++) {
		ck_assert_uint_lt(count, ARRAY_LEN(held));
		ck_ok(obtain(&h, count, &held[count]));
		ck_is(held[count], count);
	}
	ck_assert_uint_gt(count, 5);
	ck_assert(!held[count - 1]->is_on_disk);
	ck_assert_ptr_nonnull(strstr(h.last, "pool.templates_disk"));
	for (unsigned i = 0; i < 5; i++)
		use(&h, 1000 + i);
	ck_assert_int_eq(h.told, 1);
	ck_within(&h, 1);
	while (count--)
		frozen_unref(held[count]);
	use(&h, 2000);
	ck_assert(is_there(&h, 2000));
	ck_within(&h, 1);
	tear_down(&h);
}
END_TEST

/* Another kernel makes another template of the runtime, by another id. */
START_TEST(what_is_of_no_use_any_more_goes_when_a_runtime_is_made)
{
	struct home h;
	set_up(&h, "auto");
	for (unsigned i = 0; i < 5; i++)
		use(&h, i);
	ck_assert_int_eq(fs_write_file(h.kernel, "22", 2, 0644), 0);
	h.runtime++;
	use(&h, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(!is_there(&h, i));
	ck_assert(!is_there(&h, RUNTIME));
	ck_assert(is_there(&h, 5));
	ck_assert_int_eq(h.stale, 1);
	tear_down(&h);
}
END_TEST

START_TEST(a_limit_that_is_none_is_refused_and_one_that_is_too_small_keeps_nothing)
{
	static const char *const wrong[] = { "0", "-1", "x", "", "12 MB", "1T",
		"99999999999999999999" };
	struct home h;
	set_up(&h, "1048576G"); /* more than there is: the disk's own end is the limit */
	h.blocks = 100;
	use(&h, 1);
	ck_assert(is_there(&h, 1));
	nova_host_unref(h.host);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		ck_fails_with(NOVA_ECONFIG, "pool.templates_disk", open_host(&h, wrong[i]));
	ck_ok(open_host(&h, "1"));
	use(&h, 1);
	ck_assert(is_there(&h, 1)); /* it is there, and makes room when something is written */
	for (unsigned i = 2; i < 6; i++)
		use(&h, i);
	ck_assert_int_eq(h.told, 1);
	ck_assert_ptr_nonnull(strstr(h.last, "pool.templates_disk"));
	ck_assert(!is_there(&h, 2) && !is_there(&h, 5));
	tear_down(&h);
}
END_TEST

START_TEST(a_disk_that_is_full_or_read_only_still_serves_each_process)
{
	static const int refusals[] = { ENOSPC, EROFS };
	struct home h;
	set_up(&h, "auto");
	refusal = refusals[_i];
	for (unsigned i = 0; i < 3; i++)
		use(&h, i);
	ck_assert_int_ge(h.told, 3);
	ck_assert(!is_there(&h, RUNTIME) && !is_there(&h, 2));
	refusal = 0;
	use(&h, 2);
	ck_assert(is_there(&h, RUNTIME) && is_there(&h, 2));
	tear_down(&h);
}
END_TEST

START_TEST(pruning_reads_as_many_manifests_for_each_template_however_many_there_are)
{
	struct home h;
	size_t pruned = 0;
	const unsigned bases = 4u << _i;
	set_up(&h, "auto");
	for (unsigned i = 0; i < bases; i++) {
		h.runtime = RUNTIME + i;
		use(&h, i);
	}
	manifests_read = 0;
	ck_ok(nova_template_prune(h.host, 1, &pruned, &error));
	ck_assert_uint_eq(pruned, 2 * bases);
	/* to find them, and of the bases what is left then */
	ck_assert_uint_eq(manifests_read, 3 * bases);
	ck_assert_uint_eq(h.made, 2 * bases);
	ck_assert(!is_there(&h, 0) && !is_there(&h, RUNTIME));
	tear_down(&h);
}
END_TEST

/* --- several at once --- */

static unsigned seed(void)
{
	const char *given = getenv("NOVA_TEST_SEED");
	unsigned value = given && *given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
	fprintf(stderr, "# seed %u (NOVA_TEST_SEED)\n", value);
	return value;
}

/* A process of its own, which uses functions by chance; 0 rounds: for ever. */
static pid_t start_user(const struct home *h, unsigned random, unsigned functions, unsigned rounds)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	struct home own = *h;
	own.last = NULL;
	ck_ok(open_host(&own, "1"));
	for (unsigned i = 0; !rounds || i < rounds; i++)
		use(&own, (unsigned)rand_r(&random) % functions);
	_exit(own.told ? 3 : 0);
}

START_TEST(processes_that_prune_and_use_at_once_lose_nothing)
{
	struct home h;
	pid_t pids[4];
	unsigned first = seed(), rounds = is_long() ? 2000 : 40;
	set_up(&h, "1");
	nova_host_unref(h.host);
	for (unsigned i = 0; i < ARRAY_LEN(pids); i++)
		pids[i] = start_user(&h, first + i, 40, rounds);
	for (unsigned i = 0; i < ARRAY_LEN(pids); i++) {
		int status = -1;
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_within(&h, 1);
	ck_ok(open_host(&h, "1"));
	struct manifest *all;
	size_t count;
	ck_ok(snapshot_list(h.root, &all, &count, &error));
	for (size_t i = 0; i < count; i++) {
		struct frozen *f;
		ck_ok(instant_read(h.host, h.root, &all[i], &f, &error));
		frozen_unref(f);
	}
	manifests_free(all, count);
	tear_down(&h);
}
END_TEST

START_TEST(a_process_that_is_killed_while_it_prunes_spoils_nothing)
{
	struct home h;
	unsigned random = seed(), rounds = is_long() ? 100 : 6;
	set_up(&h, "1");
	for (unsigned i = 0; i < rounds; i++) {
		pid_t pid = start_user(&h, random + i, 40, 0);
		/* anywhere in its work: that it has begun shows when one of its templates does */
		unsigned look = (unsigned)rand_r(&random) % 40;
		while (!is_there(&h, look))
			sched_yield();
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		for (unsigned n = 0; n < 10; n++)
			use(&h, (unsigned)rand_r(&random) % 40);
		ck_within(&h, 1);
	}
	snapshot_sweep(h.root);
	char **names;
	int count = fs_list(h.root, &names);
	for (int i = 0; i < count; i++)
		ck_assert(!str_starts(names[i], ".tmp-") && !str_starts(names[i], ".make-"));
	strv_free(names, (size_t)count);
	tear_down(&h);
}
END_TEST

/* --- written later --- */

static char *lock_of(const struct home *h, unsigned number)
{
	char id[SNAPSHOT_ID];
	id_of(number, id);
	return str_format("%s/.make-%s", h->root, id);
}

/* As template_get() leaves it. */
static struct unwritten *make_later(struct home *h, unsigned number)
{
	struct frozen *f;
	struct unwritten *u = calloc(1, sizeof(*u));
	u->lock = -1;
	ck_ok(obtain_by(h, number, 0, u, &f));
	ck_assert(!f->is_on_disk);
	ck_is(f, number);
	frozen_unref(f);
	u->recipe = (struct recipe){
		.host = h->host,
		.root = strdup(h->root),
		.kernel = strdup(h->kernel),
		.initramfs = strdup(h->kernel),
	};
	id_of(number, u->recipe.id);
	return u;
}

START_TEST(one_that_is_written_later_serves_from_memory_until_then)
{
	struct home h;
	struct frozen *f = NULL;
	set_up(&h, "auto");
	AUTO_FREE char *lock = lock_of(&h, 1);
	struct unwritten *u = make_later(&h, 1);
	ck_assert(!is_there(&h, 1) && is_there(&h, RUNTIME));
	ck_assert_int_eq(fs_exists(lock), 1);
	struct frozen *in_memory = frozen_ref(u->frozen);
	ck_assert_int_eq(template_write(u, NULL, &f), 0);
	ck_assert(f->is_on_disk && is_there(&h, 1));
	ck_is(f, 1);
	ck_is(in_memory, 1); /* clones may be made of it yet */
	ck_assert_int_eq(fs_exists(lock), 0);
	frozen_unref(in_memory);
	frozen_unref(f);
	use(&h, 1);
	ck_assert_int_eq(h.made, 2);
	unwritten_free(make_later(&h, 2)); /* the end of who was to write it */
	ck_assert_int_eq(fs_exists(lock), 0);
	use(&h, 2);
	ck_assert_int_eq(h.made, 4);
	tear_down(&h);
}
END_TEST

START_TEST(who_waits_for_one_that_is_not_written_makes_its_own_and_one_is_kept)
{
	struct home h;
	struct frozen *own, *written;
	set_up(&h, "auto");
	AUTO_FREE char *lock = lock_of(&h, 1);
	struct unwritten *u = make_later(&h, 1);
	ck_ok(obtain_by(&h, 1, deadline_in_ms(100), NULL, &own));
	ck_assert_int_eq(h.made, 3);
	ck_is(own, 1);
	ck_assert_int_eq(fs_exists(lock), 1); /* it is the other's */
	ck_assert_int_eq(template_write(u, NULL, &written), 0);
	ck_assert(written->is_on_disk);
	ck_is(written, 1);
	ck_assert_int_eq(h.told, 0);
	ck_assert_int_eq(fs_exists(lock), 0);
	frozen_unref(own);
	frozen_unref(written);
	tear_down(&h);
}
END_TEST

START_TEST(one_whose_maker_is_killed_before_it_is_written_is_made_by_the_next)
{
	struct home h;
	int ready[2];
	char byte;
	set_up(&h, "auto");
	use(&h, 2); /* the runtime's is there */
	ck_assert_int_eq(sys_pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		make_later(&h, 1);
		sys_write_all(ready[1], "x", 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	use(&h, 1);
	ck_assert(is_there(&h, 1));
	AUTO_FREE char *lock = lock_of(&h, 1);
	ck_assert_int_eq(fs_exists(lock), 0);
	fd_close(ready[0]);
	fd_close(ready[1]);
	tear_down(&h);
}
END_TEST

START_TEST(one_that_cannot_be_written_later_stays_in_memory_and_is_told_of)
{
	struct home h;
	struct frozen *f = NULL;
	set_up(&h, "auto");
	struct unwritten *u = make_later(&h, 1);
	refusal = ENOSPC;
	ck_assert_int_eq(template_write(u, NULL, &f), 0);
	refusal = 0;
	ck_assert_ptr_null(f);
	ck_assert_int_eq(h.told, 1);
	ck_assert(!is_there(&h, 1));
	use(&h, 1);
	ck_assert(is_there(&h, 1));
	tear_down(&h);
}
END_TEST

START_TEST(the_wait_for_room_is_interrupted_and_it_is_written_after_that)
{
	struct home h;
	struct frozen *f = NULL;
	nova_interrupt_t *token;
	int held;
	set_up(&h, "auto");
	AUTO_FREE char *room = path_join(h.root, ".room");
	struct unwritten *u = make_later(&h, 1);
	ck_ok(nova_interrupt_new(&token, &error));
	nova_interrupt_trigger(token);
	const struct stop stop = { token, NULL };
	ck_assert_int_eq(fs_lock(room, true, &held), 0);
	ck_assert_int_eq(template_write(u, &stop, &f), NOVA_ECANCELED);
	fd_close(held);
	ck_assert_int_eq(h.told, 0);
	ck_assert_int_eq(template_write(u, NULL, &f), 0);
	ck_assert(f->is_on_disk);
	frozen_unref(f);
	nova_interrupt_free(token);
	tear_down(&h);
}
END_TEST

static Suite *templates_disk_suite(void)
{
	Suite *suite = suite_create("templates_disk");
	TCase *tc = tcase_create("differences");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_template_on_disk_is_what_differs_from_its_runtimes);
	tcase_add_loop_test(tc, a_copy_that_finds_no_descriptor_says_so, 0, 2);
	tcase_add_test(tc, a_base_that_was_made_anew_or_is_gone_makes_what_stands_on_it_stale);
	tcase_add_test(tc, a_difference_that_is_damaged_is_made_anew);
	suite_add_tcase(suite, tc);
	tc = tcase_create("limit");
	tcase_set_timeout(tc, is_long() ? 1200 : 120);
	tcase_add_test(tc, thousands_of_functions_stay_within_the_limit);
	tcase_add_test(tc, those_used_least_lately_go_first_and_none_that_is_in_use);
	tcase_add_test(tc, where_all_are_in_use_the_next_stays_in_memory_which_is_said_once);
	tcase_add_test(tc, what_is_of_no_use_any_more_goes_when_a_runtime_is_made);
	tcase_add_loop_test(
		tc, pruning_reads_as_many_manifests_for_each_template_however_many_there_are, 0, 2);
	tcase_add_test(tc, a_limit_that_is_none_is_refused_and_one_that_is_too_small_keeps_nothing);
	tcase_add_loop_test(tc, a_disk_that_is_full_or_read_only_still_serves_each_process, 0, 2);
	suite_add_tcase(suite, tc);
	tc = tcase_create("later");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, one_that_is_written_later_serves_from_memory_until_then);
	tcase_add_test(tc, who_waits_for_one_that_is_not_written_makes_its_own_and_one_is_kept);
	tcase_add_test(tc, one_whose_maker_is_killed_before_it_is_written_is_made_by_the_next);
	tcase_add_test(tc, one_that_cannot_be_written_later_stays_in_memory_and_is_told_of);
	tcase_add_test(tc, the_wait_for_room_is_interrupted_and_it_is_written_after_that);
	suite_add_tcase(suite, tc);
	tc = tcase_create("several");
	tcase_set_timeout(tc, is_long() ? 1200 : 120);
	tcase_add_test(tc, processes_that_prune_and_use_at_once_lose_nothing);
	tcase_add_test(tc, a_process_that_is_killed_while_it_prunes_spoils_nothing);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(templates_disk_suite)
