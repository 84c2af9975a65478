/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "snapshot/snapshot.h"
#include "template/template.h"
#include "vmtest.h"

const char *engine;
nova_error_t *error;

nova_config_t *vmtest_config(const char *home)
{
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_load_env(config, &error));
	ck_ok(nova_config_set(config, "home", home, &error));
	ck_ok(nova_config_set(config, "engine", engine, &error));
	return config;
}

void vmtest_failed(int expected, int code, int outcome, const char *part)
{
	ck_assert_msg(code == expected, "got %s (%s), expected %s", nova_code_name(code),
		nova_error_message(error), nova_code_name(expected));
	ck_assert_int_eq(nova_error_code(error), expected);
	ck_assert_msg(nova_error_outcome(error) == outcome, "outcome %d, expected %d: %s",
		nova_error_outcome(error), outcome, nova_error_message(error));
	ck_assert_msg(strstr(nova_error_message(error), part) != NULL, "'%s' not in '%s'", part,
		nova_error_message(error));
	ck_assert_ptr_null(strchr(nova_error_message(error), '\n'));
	nova_error_free(error);
	error = NULL;
}

/* --- platform --- */

#define MAX_VMS 512

static struct {
	pthread_mutex_t lock;
	char ids[MAX_VMS][9];
	size_t count;
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Messages of the module vm begin with the VM's id, those about starts that failed too. */
static void note_vm(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)level;
	if (strcmp(module, "vm") != 0 || strspn(text, "0123456789abcdef") != 8 || text[8] != ' ')
		return;
	pthread_mutex_lock(&seen.lock);
	if (seen.count < MAX_VMS)
		memcpy(seen.ids[seen.count++], text, 8);
	pthread_mutex_unlock(&seen.lock);
}

/* --- the state directory of one platform after another --- */

static char *shared_home; /* NULL: each platform has one of its own */
static bool shared_home_is_taken;

/* Whether that is the template of a runtime, which holds nothing of any test. */
static bool is_of_a_runtime(const char *snapshots, const char *id)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	AUTO_FREE char *later = path_join(snapshots, ".code-later");
	return snapshot_find(snapshots, id, &m, NULL) == 0 && m.config.code_disk &&
	       !strcmp(m.config.code_disk, later);
}

static bool is_kept(const char *directory, const char *name)
{
	return !strcmp(name, ".code-later") || is_of_a_runtime(directory, name);
}

static bool is_directory_of_snapshots(const char *directory, const char *name)
{
	(void)directory;
	return !strcmp(name, "snapshots");
}

static void remove_but(const char *directory, bool (*keep)(const char *, const char *))
{
	char **names;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		if (!keep(directory, names[i]))
			ck_assert_int_eq(fs_remove_tree(path), 0);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

static void empty_shared_home(void)
{
	AUTO_FREE char *snapshots = path_join(shared_home, "snapshots");
	remove_but(snapshots, is_kept);
	remove_but(shared_home, is_directory_of_snapshots);
}

char *vmtest_take_home(void)
{
	if (!shared_home || shared_home_is_taken)
		return test_dir();
	shared_home_is_taken = true;
	empty_shared_home(); /* a test that failed may have left anything */
	return shared_home;
}

void vmtest_leave_home(char *dir)
{
	if (dir != shared_home) {
		test_dir_remove(dir);
		return;
	}
	empty_shared_home();
	shared_home_is_taken = false;
}

static struct platform open_in(char *dir, const char *setting, va_list args)
{
	struct platform p = { .dir = dir, .config = vmtest_config(dir) };
	for (; setting; setting = va_arg(args, const char *))
		ck_ok(nova_config_set(p.config, setting, va_arg(args, const char *), &error));
	ck_ok(nova_open(p.config, &p.nova, &error));
	nova_host_set_log(nova_host_get(p.nova), note_vm, NULL, NOVA_LOG_INFO);
	p.pool = nova_pool_get(p.nova);
	return p;
}

struct platform platform_open(const char *setting, ...)
{
	va_list args;
	va_start(args, setting);
	struct platform p = open_in(vmtest_take_home(), setting, args);
	va_end(args);
	return p;
}

struct platform platform_open_empty(const char *setting, ...)
{
	va_list args;
	va_start(args, setting);
	struct platform p = open_in(test_dir(), setting, args);
	va_end(args);
	return p;
}

void platform_close(struct platform *p)
{
	nova_close(p->nova);
	vmtest_nothing_left(p->dir);
	nova_config_free(p->config);
	vmtest_leave_home(p->dir);
}

void platform_add(nova_t *nova, const char *name, const char *runtime, const char *source)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = name;
	opts.runtime = runtime;
	opts.code = source;
	opts.code_len = strlen(source);
	opts.flags = NOVA_REGISTER_REPLACE;
	opts.check = NOVA_CHECK_NEVER;
	ck_ok(nova_function_register(nova, &opts, NULL, &error));
}

int platform_call(nova_t *nova, const char *name, nova_result_t **ret_result)
{
	return nova_invoke(nova, name, "{}", NULL, ret_result, &error);
}

void platform_answers(nova_t *nova, const char *name, const char *output)
{
	nova_result_t *result;
	ck_ok(platform_call(nova, name, &result));
	ck_assert_str_eq(nova_result_output(result, NULL), output);
	nova_result_free(result);
}

nova_vm_t *vmtest_clone(
	nova_host_t *host, const nova_vm_opts *vm_opts, const nova_vm_init_opts *init)
{
	nova_vm_t *vm = NULL;
	AUTO_VM_SPEC struct vm_spec spec = { .engine = NULL };
	ck_ok(vm_spec_import(&spec, vm_opts, init, &error));
	struct template_want want = { .name = "test", .vm = &spec };
	ck_ok(template_try(host, &want, NULL, &vm, &error));
	return vm;
}

/* --- what is left --- */

static bool command_line_has(const char *pid, const char *text)
{
	AUTO_FREE char *path = str_format("/proc/%s/cmdline", pid);
	AUTO_BUF struct buf line = BUF_INIT(1 << 20);
	return fs_read_file(path, &line) == 0 && line.len &&
	       memmem(line.data, line.len, text, strlen(text)) != NULL;
}

static pid_t find_process(const char *text, const char *also)
{
	char **names;
	pid_t found = 0;
	int count = fs_list("/proc", &names);
	ck_assert_int_gt(count, 0);
	for (int i = 0; i < count && !found; i++)
		if (isdigit((unsigned char)names[i][0]) && atoi(names[i]) != getpid() &&
			command_line_has(names[i], text) &&
			(!also || command_line_has(names[i], also)))
			found = (pid_t)atoi(names[i]);
	strv_free(names, (size_t)count);
	return found;
}

pid_t vmtest_process(const char *text)
{
	return find_process(text, NULL);
}

pid_t vmtest_vmm(const char *id)
{
	AUTO_FREE char *name = str_format("%s-%s", is_fake() ? "fake" : "nova", id);
	return find_process(name, is_fake()               ? "nova-agent" :
				  !strcmp(engine, "qemu") ? "-nodefaults" :
							    "--api-sock");
}

void vmtest_nothing_left(const char *home)
{
	AUTO_FREE char *runs = path_join(home, "run");
	char **names;
	int count = fs_list(runs, &names);
	for (int i = 0; i < count; i++)
		ck_assert_msg(!strcmp(names[i], ".lock"), "%s/%s is left", runs, names[i]);
	if (count > 0)
		strv_free(names, (size_t)count);
	ck_assert_msg(vmtest_process(runs) == 0, "process %d of %s is left",
		(int)vmtest_process(runs), runs);
	for (size_t i = 0; i < seen.count; i++) {
		AUTO_FREE char *name = str_format("nova-%s", seen.ids[i]);
		ck_assert_msg(vmtest_process(name) == 0, "the VMM of %s is left", name);
	}
}

int vmtest_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	ck_assert_int_ge(fd, 0);
	return fd;
}

void vmtest_await_end(int pidfd)
{
	struct pollfd p = { pidfd, POLLIN, 0 };
	ck_assert_int_eq(sys_poll(&p, 1, -1), 1);
	fd_close(pidfd);
}

void vmtest_await_none(const char *text)
{
	for (pid_t pid; (pid = vmtest_process(text)) != 0;) {
		int fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (fd >= 0) /* else it ended just now */
			vmtest_await_end(fd);
	}
}

/* --- main --- */

/* Why the engine is not there. The double of Firecracker needs no KVM, but QEMU, which runs its
 * guests. */
static char *engine_obstacle(const nova_probe_t *probe)
{
	if (!getenv("NOVA_TEST_DOUBLE"))
		return nova_probe_choice(probe) < 0 ? strdup(nova_probe_choice_reason(probe)) :
						      NULL;
	for (size_t i = 0; i < nova_probe_count(probe); i++)
		if (!strcmp(nova_probe_engine(probe, i), "qemu") && !nova_probe_usable(probe, i))
			return strdup(nova_probe_reason(probe, i));
	return NULL;
}

/* Why this engine cannot be tested here, or NULL. Outside of a test, so without its assertions. */
static char *obstacle(nova_host_t *host)
{
	nova_probe_t *probe;
	AUTO_ERROR nova_error_t *failure = NULL;
	if (nova_engine_probe(host, &probe, &failure) < 0)
		return strdup(nova_error_message(failure));
	char *why = engine_obstacle(probe);
	nova_probe_free(probe);
	if (!why && !is_fake() && nova_image_check(nova_host_images(host), NULL, &failure) < 0)
		why = strdup(nova_error_message(failure));
	return why;
}

static char *find_obstacle(void)
{
	char home[] = "/tmp/nova-test-XXXXXX";
	nova_host_t *host = NULL;
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!mkdtemp(home) || setenv("NOVA_HOME", home, 1) || setenv("NOVA_ENGINE", engine, 1))
		return strdup("no temporary directory");
	char *why = nova_host_new(NULL, &host, &failure) < 0 ? strdup(nova_error_message(failure)) :
							       obstacle(host);
	nova_host_unref(host);
	fs_remove_tree(home);
	return why;
}

size_t vmtest_memory_kb(pid_t pid, const char *what)
{
	AUTO_FREE char *path = str_format("/proc/%d/status", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(1u << 20);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *status = buf_steal_str(&text);
	const char *line = strstr(status, what);
	ck_assert_ptr_nonnull(line);
	return strtoul(line + strlen(what) + 1, NULL, 10);
}

/* Where guests boot, each kind of them boots once, and the tests go on from its template. */
static int make_shared_home(void)
{
	const char *base = getenv("TMPDIR");
	if (is_fake())
		return 0;
	shared_home = str_format("%s/nova-test-XXXXXX", base ? base : "/tmp");
	return shared_home && mkdtemp(shared_home) ? 0 : -1;
}

#define OF_GUESTS "of-guests"

bool vmtest_host_was_busy(const char *why)
{
	fprintf(stderr, "# %s\n", why);
	return strstr(why, "rest") || strstr(why, "in time");
}

void vmtest_forked_as_set(const nova_vm_t *child, const nova_config_t *config)
{
	const char *set = nova_config_get(config, "pool.hot"), *why = nova_vm_path_why(child);
	if (strcmp(engine, "qemu") != 0)
		return;
	if (!strcmp(set, "off"))
		ck_assert_str_eq(why, "the setting pool.hot is off");
	else if (strcmp(nova_vm_path(child), "hot") != 0)
		ck_assert_msg(vmtest_host_was_busy(why), "not forked as a process: %s", why);
}

TCase *vmtest_case_of_guests(const char *name, int timeout_s)
{
	TCase *tc = tcase_create(name);
	tcase_set_timeout(tc, timeout_s);
	tcase_set_tags(tc, OF_GUESTS);
	return tc;
}

int vmtest_main(int argc, char **argv, Suite *(*make_suite)(void))
{
	if (argc != 2)
		return 2;
	engine = argv[1];
	AUTO_FREE char *why = find_obstacle();
	if (why) {
		printf("1..0 # SKIP %s\n", why);
		return EXIT_SUCCESS; /* with TAP the plan says it all */
	}
	if (make_shared_home() < 0)
		return EXIT_FAILURE;
	if (getenv("NOVA_TEST_DOUBLE") && !getenv("NOVA_TEST_LONG"))
		setenv("CK_EXCLUDE_TAGS", OF_GUESTS, 1);
	int status = test_run(make_suite());
	if (shared_home)
		fs_remove_tree(shared_home);
	free(shared_home);
	return status;
}
