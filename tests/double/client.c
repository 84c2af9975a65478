/* SPDX-License-Identifier: MIT */
/*
 * The firecracker engine against a double that is as unfriendly as the real program (firecracker/README.md). No guest is needed here: the double
 * speaks for the agent itself. What it is to do wrong stands in a control file beside the name that it is started by.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/firecracker/firecracker.h"
#include "host/host.h"
#include "unit/test.h"
#include "vm/vm.h"

#define DOUBLE NOVA_SOURCE_ROOT "/tests/double/firecracker/firecracker"

static nova_error_t *error;

/* --- setting --------------------------------------------------------------------------------------------------------- */

struct setting {
	char *dir, *program;
	nova_host_t *host;
	const struct engine_env *env;
	struct machine *m;
};

static void control(const struct setting *s, const char *text)
{
	AUTO_FREE char *path = str_format("%s.control", s->program);
	ck_assert_int_eq(fs_write_file(path, text, strlen(text), 0644), 0);
}

/* `faults`: members of the control file, with a comma before each. */
static struct setting set_up_with(const char *faults, const char *jailer, const char *key)
{
	struct setting s = { .dir = test_dir() };
	nova_config_t *config;
	s.program = path_join(s.dir, "firecracker");
	ck_assert_int_eq(symlink(DOUBLE, s.program), 0);
	AUTO_FREE char *text = str_format("{\"guest\":\"none\",\"record\":\"%s/requests\"%s}", s.dir, faults);
	control(&s, text);
	AUTO_FREE char *record = path_join(s.dir, "requests"); /* also for the double of another user */
	ck_assert_int_eq(fs_write_file(record, "", 0, 0666), 0);
	ck_assert_int_eq(fs_chmod(record, 0666), 0);
	ck_assert_int_eq(fs_chmod(s.dir, 0755), 0);
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", s.dir, &error));
	ck_ok(nova_config_set(config, "firecracker.binary", s.program, &error));
	ck_ok(nova_config_set(config, "firecracker.jailer", jailer, &error));
	AUTO_FREE char *looked_at = path_join(s.dir, "looked-at");
	if (key)
		ck_ok(nova_config_set(config, key, looked_at, &error));
	ck_ok(nova_host_new(config, &s.host, &error));
	nova_config_free(config);
	s.env = host_engine_env(s.host);
	s.m = machine_new(&firecracker_engine);
	return s;
}

static struct setting set_up(const char *faults)
{
	return set_up_with(faults, "off", NULL);
}

static int start(struct setting *s, int base_fd, uint32_t ms)
{
	struct machine_spec spec = {
		.id = "0123abcd", .kernel = "/dev/null", .initramfs = "/dev/null", .rootfs = "/dev/null", .memory_mb = 32, .vcpus = 1,
		.base_fd = base_fd, .deadline = deadline_in_ms(ms),
	};
	return firecracker_engine.start(s->m, s->env, &spec, &error);
}

static void nothing_is_left(const struct setting *s)
{
	char **names;
	int count = fs_list(s->env->run_dir, &names);
	for (int i = 0; i < count; i++)
		ck_assert_msg(!str_starts(names[i], "fc-") && !str_starts(names[i], "memory-"), "%s is left", names[i]);
	strv_free(names, (size_t)count);
	AUTO_FREE char *jails = path_join(s->env->run_dir, "jail/firecracker");
	count = fs_list(jails, &names);
	ck_assert_msg(count <= 0, "%s is left in the jails", names[0]);
	if (count == 0)
		strv_free(names, 0);
}

static void tear_down(struct setting *s)
{
	pid_t pid = (pid_t)s->m->process.pid;
	machine_free(&firecracker_engine, s->m);
	if (pid)
		ck_assert_int_ne(kill(pid, 0), 0);
	nothing_is_left(s);
	nova_host_unref(s->host);
	free(s->program);
	test_dir_remove(s->dir);
}

/* What was asked, one request a line; caller frees. */
static char *requests(const struct setting *s)
{
	AUTO_FREE char *path = path_join(s->dir, "requests");
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	return buf_steal_str(&text);
}

static void was_asked(const struct setting *s, const char *part)
{
	AUTO_FREE char *all = requests(s);
	ck_assert_msg(strstr(all, part) != NULL, "'%s' not in: %s", part, all);
}

/* The agent's Ready, which the double sends. */
static void agent_answers(const struct setting *s)
{
	char head[8];
	ck_assert_int_ge(s->m->channel, 0);
	ck_assert_int_eq(sys_recv(s->m->channel, head, sizeof(head), MSG_PEEK), 8);
	ck_assert_int_eq(head[4], '{');
}

static void starting_fails(const char *faults, int code, const char *part)
{
	struct setting s = set_up(faults);
	ck_fails_with(code, part, start(&s, -1, 2000));
	tear_down(&s);
}

/* --- start ------------------------------------------------------------------------------------------------------------- */

static const char *const versions[] = { "1.10.0", "1.11.0", "1.12.1", "1.13.1", "1.14.0", "1.15.1", "1.16.1", "1.17.0" };

/* The double refuses every field that its version does not know. */
START_TEST(every_version_boots_saves_and_restores)
{
	AUTO_FREE char *faults = str_format(",\"version\":\"%s\"", versions[_i]);
	struct setting s = set_up(faults);
	AUTO_FD int state = -1;
	ck_ok(start(&s, -1, 10000));
	agent_answers(&s);
	ck_ok(firecracker_engine.save(s.m, &state, &error));
	ck_assert_int_lt(s.m->channel, 0);
	AUTO_FD int base = sys_dup(s.m->ram);
	ck_ok(firecracker_engine.resume(s.m, &error));
	agent_answers(&s);
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	ck_ok(start(&s, base, 10000));
	ck_assert_int_lt(s.m->channel, 0);
	ck_ok(firecracker_engine.load(s.m, state, &error));
	agent_answers(&s);
	tear_down(&s);
}
END_TEST

START_TEST(a_paused_machine_is_paused_once)
{
	struct setting s = set_up("");
	ck_ok(start(&s, -1, 10000));
	int channel = s.m->channel;
	for (int i = 0; i < 2; i++)
		ck_ok(firecracker_engine.pause(s.m, &error));
	for (int i = 0; i < 2; i++)
		ck_ok(firecracker_engine.resume(s.m, &error));
	ck_assert_int_eq(s.m->channel, channel); /* nothing has cut it */
	AUTO_FREE char *all = requests(&s);
	const char *first = strstr(all, "Paused");
	ck_assert(first && !strstr(first + 1, "Paused"));
	tear_down(&s);
}
END_TEST

static const struct {
	const char *faults, *part;
	int code;
} failures[] = {
	{ ",\"no_kvm\":1", "/dev/kvm file's ACL", NOVA_EENGINE },
	{ ",\"exit_at_start\":1,\"words\":\"Failed to open the API socket\"", "Failed to open the API socket", NOVA_EENGINE },
	{ ",\"exit_at_start\":148", "ended before its API was up", NOVA_EENGINE },
	{ ",\"version\":\"1.9.1\"", "too old", NOVA_ENOTSUP },
	{ ",\"version\":\"1.16.0\"", "1.16.1 or later", NOVA_ENOTSUP },
	{ ",\"deaf\":1", "did not come up in time", NOVA_EENGINE },
	{ ",\"too_many\":2", "GET /", NOVA_EENGINE }, /* with or without its words: they come with the end of the connection */
	{ ",\"on\":{\"GET /\":{\"raw\":\"SSH-2.0-OpenSSH\\r\\n\\r\\n\"}}", "did not answer GET /", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"raw\":\"HTTP/1.1 200 \\r\\nContent-Length: 9999\\r\\n\\r\\n{\",\"fatal\":1}}", "GET /", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"raw\":\"HTTP/1.1 200 \\r\\nContent-Length: 2\\r\\n\\r\\n{}\"}}", "is no Firecracker", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"huge\":2000000}}", "did not answer GET /", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"hang\":1}}", "did not answer GET /", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /boot-source\":{\"lost\":\"Invalid header.\"}}", "PUT /boot-source with HTTP 400", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /boot-source\":{\"status\":500}}", "HTTP 500", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /machine-config\":{\"fault\":\"two\\nlines\"}}", "refuses PUT /machine-config: two lines", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /vsock\":{\"fault\":\"Vsock config error: Address in use (os error 98)\"}}", "os error 98", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /actions\":{\"die\":\"sigsys\"}}", "ended during PUT /actions", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /actions\":{\"die\":\"signal\"}}", "ended during PUT /actions", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /actions\":{\"die\":\"exit\"}}", "ended during PUT /actions", NOVA_EENGINE },
	{ ",\"vsock_silent\":1000", "did not answer on vsock port 9999", NOVA_EAGENT },
	{ ",\"vsock_eof\":1000000", "did not answer on vsock port 9999", NOVA_EAGENT },
	{ ",\"vsock_odd\":\"NO\\n\"", "did not answer on vsock port 9999", NOVA_EAGENT },
	{ ",\"vsock_odd\":\"OK 1073741824 and more\\n\"", "did not answer on vsock port 9999", NOVA_EAGENT },
	{ ",\"vsock_odd\":\"OK 10737418241073741824107374182410737418241073741824\\n\"", "did not answer", NOVA_EAGENT },
};

START_TEST(a_start_that_fails_says_why_and_leaves_nothing)
{
	starting_fails(failures[_i].faults, failures[_i].code, failures[_i].part);
}
END_TEST

/* What is odd, but no failure. */
static const char *const patience[] = {
	",\"start_ms\":400", ",\"vsock_silent\":2", ",\"vsock_eof\":20", ",\"vsock_glued\":1", ",\"deprecation\":1", ",\"too_many\":0",
	",\"on\":{\"PUT /actions\":{\"delay_ms\":1500}}",
};

START_TEST(what_only_takes_time_or_looks_odd_is_no_failure)
{
	struct setting s = set_up(patience[_i]);
	ck_ok(start(&s, -1, 20000));
	agent_answers(&s);
	tear_down(&s);
}
END_TEST

START_TEST(bodies_are_sent_with_their_length_and_nothing_is_expected_first)
{
	struct setting s = set_up("");
	ck_ok(start(&s, -1, 10000));
	was_asked(&s, "PUT /machine-config {\"vcpu_count\":1,\"mem_size_mib\":32}");
	AUTO_FREE char *long_args = malloc(2001), *body = NULL;
	memset(long_args, 'a', 2000);
	long_args[2000] = 0;
	body = str_format("{\"log_path\":null,\"module\":\"%s\"}", long_args); /* libcurl would ask before it sends this much */
	ck_ok(fc_call(&fc_of(s.m)->api, "PUT", "/logger", body, deadline_in_ms(5000), NULL, &error));
	ck_fails_with(NOVA_EENGINE, "unknown field `colour`",
		fc_call(&fc_of(s.m)->api, "PUT", "/logger", "{\"colour\":1}", deadline_in_ms(5000), NULL, &error));
	ck_fails_with(NOVA_EENGINE, "not supported after starting",
		fc_call(&fc_of(s.m)->api, "PUT", "/entropy", "{}", deadline_in_ms(5000), NULL, &error));
	tear_down(&s);
}
END_TEST

START_TEST(a_call_after_a_lost_connection_makes_a_new_one)
{
	struct setting s = set_up(",\"on\":{\"PUT /logger\":{\"lost\":\"Invalid request line.\"}}");
	struct fc_api *api = &fc_of(s.m)->api;
	ck_ok(start(&s, -1, 10000));
	for (int i = 0; i < 12; i++) /* more often than there may be connections */
		ck_fails_with(NOVA_EENGINE, "HTTP 400", fc_call(api, "PUT", "/logger", "{}", deadline_in_ms(5000), NULL, &error));
	ck_ok(firecracker_engine.pause(s.m, &error));
	tear_down(&s);
}
END_TEST

/* --- snapshots ----------------------------------------------------------------------------------------------------------- */

/* A booted machine's state and memory; the machine is gone. */
static void make_instant(struct setting *s, int *ret_state, int *ret_base)
{
	ck_ok(start(s, -1, 10000));
	ck_ok(firecracker_engine.save(s->m, ret_state, &error));
	*ret_base = sys_dup(s->m->ram);
	machine_free(&firecracker_engine, s->m);
	s->m = machine_new(&firecracker_engine);
}

static uint64_t word_of(int fd, uint64_t page)
{
	uint64_t word = 0;
	ck_assert_int_eq(sys_pread_all(fd, &word, sizeof(word), page * PAGE_BYTES), 0);
	return word;
}

/* The double writes the number of its snapshot into page 5 and one page of its own each time. */
START_TEST(the_differences_of_a_clone_add_up_over_its_life)
{
	struct setting s = set_up("");
	int state, base, second, third;
	make_instant(&s, &state, &base);
	ck_assert_uint_eq(word_of(base, 5), 1);
	ck_ok(start(&s, base, 10000));
	ck_ok(firecracker_engine.load(s.m, state, &error));
	struct pages pages = PAGES_NONE;
	ck_ok(firecracker_engine.save(s.m, &second, &error));
	ck_ok(pages_read(&firecracker_engine, s.m, &pages, &error));
	ck_assert_uint_eq(pages.page_count, 2);
	pages_done(&pages);
	ck_ok(firecracker_engine.resume(s.m, &error));
	ck_ok(firecracker_engine.save(s.m, &third, &error));
	ck_ok(pages_read(&firecracker_engine, s.m, &pages, &error));
	ck_assert_uint_eq(pages.page_count, 3);
	ck_assert_uint_eq(word_of(base, 5), 1); /* whoever else is mapped to it sees what it saw */
	machine_free(&firecracker_engine, s.m);

	s.m = machine_new(&firecracker_engine);
	ck_ok(start(&s, base, 10000));
	ck_ok(pages_write(&firecracker_engine, s.m, &pages, &error));
	AUTO_FREE char *whole = strdup(fc_of(s.m)->whole);
	ck_ok(firecracker_engine.load(s.m, third, &error));
	was_asked(&s, whole);
	AUTO_FD int memory = sys_open(whole, 0, 0);
	ck_assert_uint_eq(word_of(memory, 5), 3);
	ck_assert_uint_eq(word_of(memory, 1), 1);
	AUTO_FD int fourth = -1;
	struct pages more = PAGES_NONE;
	ck_ok(firecracker_engine.save(s.m, &fourth, &error));
	ck_ok(pages_read(&firecracker_engine, s.m, &more, &error));
	ck_assert_uint_eq(more.page_count, 4); /* with what it was loaded with: all of it is beyond the base */
	pages_done(&more);
	pages_done(&pages);
	int fds[] = { state, base, second, third };
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fd_close(fds[i]);
	tear_down(&s);
}
END_TEST

static const struct {
	const char *faults, *part;
} bad_saves[] = {
	{ ",\"on\":{\"PUT /snapshot/create\":{\"fault\":\"Create snapshot error: no space\"}}", "Create snapshot error: no space" },
	{ ",\"on\":{\"PATCH /vm\":{\"fault\":\"vCPU did not answer\"}}", "vCPU did not answer" },
};

START_TEST(a_save_that_is_refused_costs_the_connection_and_nothing_else)
{
	struct setting s = set_up(bad_saves[_i].faults);
	int state;
	ck_ok(start(&s, -1, 10000));
	ck_fails_with(NOVA_EENGINE, bad_saves[_i].part, firecracker_engine.save(s.m, &state, &error));
	if (_i == 0)
		ck_ok(firecracker_engine.resume(s.m, &error));
	agent_answers(&s);
	tear_down(&s);
}
END_TEST

START_TEST(a_save_may_take_its_time)
{
	struct setting s = set_up(",\"on\":{\"PUT /snapshot/create\":{\"delay_ms\":1500}, \"PATCH /vm\":{\"delay_ms\":900}}");
	AUTO_FD int state = -1;
	ck_ok(start(&s, -1, 1000)); /* and no deadline of the start counts */
	ck_ok(firecracker_engine.save(s.m, &state, &error));
	tear_down(&s);
}
END_TEST

START_TEST(a_snapshot_of_a_running_machine_is_refused_and_resets_its_connections)
{
	struct setting s = set_up("");
	ck_ok(start(&s, -1, 10000));
	ck_fails_with(NOVA_EENGINE, "unavailable while running",
		fc_call(&fc_of(s.m)->api, "PUT", "/snapshot/create", "{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\"}", deadline_in_ms(5000),
			NULL, &error));
	tear_down(&s);
}
END_TEST

static const struct {
	const char *faults, *part;
} deaths[] = {
	{ ",\"on\":{\"PUT /snapshot/create\":{\"die\":\"sigsys\"}}", "ended during PUT /snapshot/create" },
	{ ",\"on\":{\"PATCH /vm\":{\"die\":\"signal\"}}", "ended during PATCH /vm" },
};

START_TEST(a_vmm_that_dies_in_a_request_is_told)
{
	struct setting s = set_up(deaths[_i].faults);
	int state;
	ck_ok(start(&s, -1, 10000));
	ck_fails_with(NOVA_EENGINE, deaths[_i].part, firecracker_engine.save(s.m, &state, &error));
	ck_assert(process_wait(&s.m->process, deadline_in_ms(5000)));
	tear_down(&s);
}
END_TEST

static const struct {
	const char *faults, *part;
	bool damaged;
} bad_loads[] = {
	{ "", "CRC64 validation failed", true },
	{ ",\"version\":\"1.15.0\"", "Invalid format version of snapshot file: 10.0.0", false },
	{ ",\"on\":{\"PUT /snapshot/load\":{\"die\":\"exit\"}}", "ended during PUT /snapshot/load", false },
	{ ",\"on\":{\"PUT /snapshot/load\":{\"fault\":\"Load snapshot error: no\",\"fatal\":1}}", "Load snapshot error: no", false },
	{ ",\"vsock_eof\":1000000", "did not answer on vsock port", false },
};

START_TEST(a_load_that_fails_is_one_event_whatever_ends_with_it)
{
	struct setting s = set_up("");
	int state, base;
	make_instant(&s, &state, &base);
	if (bad_loads[_i].damaged)
		ck_assert_int_eq(sys_pwrite_all(state, "?", 1, 20), 0);
	AUTO_FREE char *text = str_format("{\"guest\":\"none\"%s}", bad_loads[_i].faults);
	control(&s, text);
	ck_ok(start(&s, base, 10000));
	int code = firecracker_engine.load(s.m, state, &error);
	ck_assert_int_lt(code, 0);
	ck_assert_msg(strstr(nova_error_message(error), bad_loads[_i].part) != NULL, "%s", nova_error_message(error));
	nova_error_free(error);
	error = NULL;
	fd_close(state);
	fd_close(base);
	tear_down(&s);
}
END_TEST

START_TEST(a_parked_process_waits_with_nothing_loaded_and_serves_any_instant)
{
	struct setting s = set_up(",\"start_ms\":200");
	int state, base;
	make_instant(&s, &state, &base);
	ck_ok(start(&s, base, 10000)); /* does not wait for it */
	ck_assert(!fc_of(s.m)->greeted);
	ck_ok(firecracker_engine.await(s.m, &error));
	ck_assert(fc_of(s.m)->greeted);
	ck_ok(firecracker_engine.load(s.m, state, &error));
	agent_answers(&s);
	fd_close(state);
	fd_close(base);
	tear_down(&s);
}
END_TEST

START_TEST(an_identity_names_program_format_and_processor)
{
	struct setting s = set_up("");
	AUTO_FREE char *first = NULL, *second = NULL, *third = NULL;
	ck_ok(firecracker_engine.identity(s.env, &first, &error));
	ck_ok(firecracker_engine.identity(s.env, &second, &error));
	ck_assert_str_eq(first, second);
	ck_assert(strstr(first, "1.16.1") && strstr(first, "10.0.0") && strstr(first, " cpu "));
	fs_unlink(s.program); /* another program under the same name */
	static const char other[] = "#!/bin/sh\ncase $1 in --version) echo Firecracker v1.15.0;; *) echo v9.0.0;; esac\n";
	ck_assert_int_eq(fs_write_file(s.program, other, strlen(other), 0700), 0);
	ck_ok(firecracker_engine.identity(s.env, &third, &error));
	ck_assert(strstr(third, "1.15.0") && strstr(third, "9.0.0"));
	tear_down(&s);
}
END_TEST

/* --- the jail --------------------------------------------------------------------------------------------------------------- */

#define JAILER NOVA_SOURCE_ROOT "/tests/double/firecracker/jailer"

static void is_owned(const struct setting *s, const char *name, bool by_root)
{
	struct stat st;
	AUTO_FREE char *path = path_join(fc_of(s->m)->place.directory, name);
	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	ck_assert_msg((st.st_uid == 0) == by_root, "%s belongs to %u", path, st.st_uid);
	ck_assert_msg(by_root || st.st_uid == fc_of(s->m)->place.uid, "%s belongs to %u", path, st.st_uid);
	ck_assert_msg((st.st_mode & 022) == 0, "%s has mode %o", path, st.st_mode);
}

static void start_jailed(struct setting *s, int base)
{
	ck_ok(start(s, base, 10000));
	ck_assert(fc_of(s->m)->place.jailed);
	ck_assert_uint_ne(fc_of(s->m)->place.uid, 0);
}

START_TEST(in_a_jail_files_are_linked_and_everything_goes_with_it)
{
	if (geteuid() != 0)
		return; /* only root can make one */
	struct setting s = set_up_with("", JAILER, NULL);
	AUTO_FD int state = -1, later = -1;
	struct pages pages = PAGES_NONE;
	start_jailed(&s, -1);
	agent_answers(&s);
	is_owned(&s, "kernel", true);
	was_asked(&s, "\"kernel_image_path\":\"/kernel\"");
	ck_ok(firecracker_engine.save(s.m, &state, &error));
	AUTO_FD int base = sys_dup(s.m->ram);
	struct machine *booted = s.m;
	s.m = machine_new(&firecracker_engine);
	start_jailed(&s, base);
	ck_assert_uint_ne(fc_of(s.m)->place.uid, fc_of(booted)->place.uid);
	ck_ok(firecracker_engine.load(s.m, state, &error));
	is_owned(&s, "memory", true);
	machine_free(&firecracker_engine, booted);
	agent_answers(&s);
	for (int i = 0; i < 2; i++) { /* the second time there are files of the first */
		fd_close(later);
		ck_ok(firecracker_engine.save(s.m, &later, &error));
		ck_ok(firecracker_engine.resume(s.m, &error));
	}
	ck_ok(pages_read(&firecracker_engine, s.m, &pages, &error));
	ck_assert_uint_eq(pages.page_count, 3);
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	start_jailed(&s, base); /* whose last name went with the machine before */
	ck_ok(pages_write(&firecracker_engine, s.m, &pages, &error));
	ck_ok(firecracker_engine.load(s.m, later, &error));
	agent_answers(&s);
	is_owned(&s, "whole", true);
	is_owned(&s, "memory", true); /* and no VMM may write it: siblings map it */
	was_asked(&s, "\"backend_path\":\"/whole\"");
	pages_done(&pages);
	tear_down(&s);
}
END_TEST

START_TEST(a_jailer_that_fails_is_told_and_leaves_no_jail)
{
	if (geteuid() != 0)
		return;
	struct setting s = set_up_with("", "/bin/false", NULL);
	ck_fails_with(NOVA_EENGINE, "ended before its API was up", start(&s, -1, 2000));
	tear_down(&s);
	s = set_up_with("", "/no/such/jailer", NULL);
	ck_fails_with(NOVA_ENOTFOUND, "/no/such/jailer", start(&s, -1, 2000));
	tear_down(&s);
}
END_TEST

/* A process with that word on its command line. */
static pid_t bystander(const char *word)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "while :; do sleep 60; done", word, (char *)NULL);
		_exit(127);
	}
	AUTO_FREE char *path = str_format("/proc/%d/cmdline", (int)pid);
	for (bool there = false; !there;) { /* exec */
		AUTO_BUF struct buf line = BUF_INIT(1 << 20);
		there = fs_read_file(path, &line) == 0 && line.len && memmem(line.data, line.len, word, strlen(word));
	}
	return pid;
}

static void leave_jail(const char *home, const char *id, pid_t pid)
{
	AUTO_FREE char *root = str_format("%s/run/1-deadbeef/jail/firecracker/%s/root", home, id), *file = path_join(root, "firecracker.pid");
	AUTO_FREE char *text = str_format("%d", (int)pid);
	ck_assert_int_eq(fs_mkdirs(root, 0700), 0);
	ck_assert_int_eq(fs_write_file(file, text, strlen(text), 0600), 0);
}

START_TEST(the_next_context_ends_jailed_processes_that_outlived_their_keeper)
{
	char *home = test_dir();
	pid_t ours = bystander("nova-0123abcd-ffff"), other = bystander("nova-something-else");
	leave_jail(home, "nova-0123abcd-ffff", ours);
	leave_jail(home, "nova-76543210-ffff", other); /* the number has been given to another process since */
	nova_config_t *config;
	nova_host_t *host;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", home, &error));
	ck_ok(nova_host_new(config, &host, &error));
	int status;
	ck_assert_int_eq(waitpid(ours, &status, 0), ours);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(waitpid(other, &status, WNOHANG), 0);
	kill(other, SIGKILL);
	waitpid(other, &status, 0);
	AUTO_FREE char *left = path_join(home, "run/1-deadbeef");
	ck_assert(!fs_exists(left));
	nova_host_unref(host);
	nova_config_free(config);
	test_dir_remove(home);
}
END_TEST

/* --- what people want to look at --------------------------------------------------------------------------------------------- */

/* The file whose name ends so; NULL: none. */
static char *looked_at(const struct setting *s, const char *ending)
{
	AUTO_FREE char *directory = path_join(s->dir, "looked-at");
	char **names, *found = NULL;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++)
		if (str_starts(names[i], "nova-0123abcd-") && strlen(names[i]) > strlen(ending) &&
			!strcmp(names[i] + strlen(names[i]) - strlen(ending), ending) && !found)
			found = path_join(directory, names[i]);
	if (count >= 0)
		strv_free(names, (size_t)count);
	return found;
}

START_TEST(logs_and_metrics_go_where_the_setting_says_and_stay)
{
	const char *jailer = _i ? JAILER : "off";
	if (_i && geteuid() != 0)
		return;
	struct setting s = set_up_with("", jailer, "firecracker.log_dir");
	ck_ok(start(&s, -1, 10000));
	was_asked(&s, "PUT /logger");
	was_asked(&s, "PUT /metrics");
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	AUTO_FREE char *log = looked_at(&s, ".log"), *metrics = looked_at(&s, ".metrics");
	ck_assert(log && metrics);
	tear_down(&s);
}
END_TEST

START_TEST(links_to_the_sockets_live_as_long_as_they)
{
	struct setting s = set_up_with("", "off", _i ? "firecracker.vsock_dir" : "firecracker.socket_dir");
	ck_ok(start(&s, -1, 10000));
	AUTO_FREE char *link = looked_at(&s, ".sock");
	ck_assert_ptr_nonnull(link);
	int fd = sys_connect_unix(link);
	ck_assert_int_ge(fd, 0);
	fd_close(fd);
	/* One whose process was killed together with us. */
	AUTO_FREE char *directory = path_join(s.dir, "looked-at"), *stale = path_join(directory, "nova-deadbeef-0000.sock");
	ck_assert_int_eq(symlink("/no/such/socket", stale), 0);
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	ck_assert(!fs_exists(link));
	ck_ok(start(&s, -1, 10000));
	struct stat st;
	ck_assert_int_ne(lstat(stale, &st), 0);
	tear_down(&s);
}
END_TEST

START_TEST(the_limits_of_the_code_disk_are_the_functions)
{
	struct setting s = set_up("");
	struct machine_spec spec = {
		.id = "0123abcd", .kernel = "/dev/null", .code_disk = "/dev/null", .memory_mb = 32, .vcpus = 1, .base_fd = -1,
		.disk_iops = 250, .disk_bandwidth = 10485760, .deadline = deadline_in_ms(10000),
	};
	ck_ok(firecracker_engine.start(s.m, s.env, &spec, &error));
	was_asked(&s, "\"rate_limiter\":{\"bandwidth\":{\"size\":1048576,\"refill_time\":100},\"ops\":{\"size\":250,\"refill_time\":1000}}");
	tear_down(&s);
}
END_TEST

/* --- probe ---------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *faults, *part;
} probes[] = {
	{ "", "Firecracker 1.16.1" },
	{ ",\"version\":\"1.9.0\"", "too old" },
	{ ",\"version_line\":\"hello\"", "is no Firecracker" },
	{ ",\"version_status\":153", "does not work" },
};

START_TEST(the_probe_says_what_is_there)
{
	struct setting s = set_up(probes[_i].faults);
	struct engine_report report = { .usable = false };
	ck_ok(firecracker_engine.probe(s.env, &report, &error));
	ck_assert_msg(strstr(report.reason, probes[_i].part) != NULL, "%s", report.reason);
	ck_assert(!report.usable || s.env->kvm.state == KVM_FIT);
	engine_report_done(&report);
	tear_down(&s);
}
END_TEST

/* --- images ------------------------------------------------------------------------------------------------------------------ */

/* A file that looks enough like a root filesystem, and its line of a MANIFEST. */
static void put_image(const char *directory, const char *path, struct buf *manifest)
{
	static const uint8_t magic[] = { 0x53, 0xef };
	uint8_t content[2048] = { 0 };
	char sum[SHA256_HEX];
	memcpy(content + 1080, magic, sizeof(magic));
	AUTO_FREE char *whole = path_join(directory, path), *parent = strdup(whole);
	*strrchr(parent, '/') = 0;
	ck_assert_int_eq(fs_mkdirs(parent, 0700), 0);
	ck_assert_int_eq(fs_write_file(whole, content, sizeof(content), 0600), 0);
	ck_assert_int_eq(sha256_hex(content, sizeof(content), sum), 0);
	AUTO_FREE char *line = str_format("%s  %zu  %s\n", sum, sizeof(content), path);
	ck_assert_int_eq(manifest ? buf_append_str(manifest, line) : 0, 0);
}

static void finds(nova_config_t *config, const char *kernel, const char *rootfs)
{
	nova_host_t *host;
	AUTO_FREE char *found_kernel = NULL, *initramfs = NULL, *found_rootfs = NULL;
	ck_ok(nova_host_new(config, &host, &error));
	ck_ok(vm_find_images(host, &firecracker_engine, "base", &found_kernel, &initramfs, &found_rootfs, &error));
	const char *const ends[][2] = { { found_kernel, kernel }, { found_rootfs, rootfs }, { initramfs, "/images/kernel/initramfs.cpio" } };
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		ck_assert_msg(strlen(ends[i][0]) > strlen(ends[i][1]) && !strcmp(ends[i][0] + strlen(ends[i][0]) - strlen(ends[i][1]), ends[i][1]),
			"%s is not %s", ends[i][0], ends[i][1]);
	nova_host_unref(host);
}

START_TEST(settings_name_images_of_the_users_own)
{
	char *dir = test_dir();
	nova_config_t *config;
	AUTO_BUF struct buf manifest = BUF_INIT(4096);
	AUTO_FREE char *images = path_join(dir, "images"), *list = path_join(images, "MANIFEST"), *own = path_join(dir, "own");
	AUTO_FREE char *kernel = path_join(own, "vmlinux"), *rootfs = path_join(own, "all.ext4");
	put_image(images, "kernel/vmlinux", &manifest);
	put_image(images, "kernel/initramfs.cpio", &manifest);
	put_image(images, "rootfs/base.ext4", &manifest);
	put_image(own, "vmlinux", NULL);
	put_image(own, "base.ext4", NULL);
	put_image(own, "all.ext4", NULL);
	ck_assert_int_eq(fs_write_file(list, manifest.data, manifest.len, 0600), 0);
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", dir, &error));
	ck_ok(nova_config_set(config, "images", images, &error));
	finds(config, "/images/kernel/vmlinux", "/images/rootfs/base.ext4");
	ck_ok(nova_config_set(config, "firecracker.kernel", kernel, &error));
	ck_ok(nova_config_set(config, "firecracker.rootfs_dir", own, &error));
	finds(config, "/own/vmlinux", "/own/base.ext4");
	ck_ok(nova_config_set(config, "firecracker.rootfs", rootfs, &error));
	finds(config, "/own/vmlinux", "/own/all.ext4");
	ck_ok(nova_config_set(config, "firecracker.kernel", "/no/such/kernel", &error));
	nova_host_t *host;
	AUTO_FREE char *k = NULL, *i = NULL, *r = NULL;
	ck_ok(nova_host_new(config, &host, &error));
	ck_fails_with(NOVA_ENOTFOUND, "firecracker.kernel names '/no/such/kernel'", vm_find_images(host, &firecracker_engine, "base", &k, &i, &r, &error));
	nova_host_unref(host);
	nova_config_free(config);
	test_dir_remove(dir);
}
END_TEST

START_TEST(auto_takes_it_only_with_a_program_and_kvm_that_is_fit)
{
	struct setting s = set_up("");
	struct engine_env env = *s.env;
	static const enum kvm_state states[] = { KVM_ABSENT, KVM_DENIED, KVM_UNFIT, KVM_FIT };
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		env.kvm.state = states[i];
		ck_assert_int_eq(firecracker_engine.is_preferred(&env), states[i] == KVM_FIT);
	}
	fs_unlink(s.program);
	ck_assert(!firecracker_engine.is_preferred(&env));
	tear_down(&s);
}
END_TEST

static Suite *client_suite(void)
{
	Suite *suite = suite_create("firecracker-client");
	TCase *tc = tcase_create("client");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, every_version_boots_saves_and_restores, 0, ARRAY_LEN(versions));
	tcase_add_test(tc, a_paused_machine_is_paused_once);
	tcase_add_loop_test(tc, a_start_that_fails_says_why_and_leaves_nothing, 0, ARRAY_LEN(failures));
	tcase_add_loop_test(tc, what_only_takes_time_or_looks_odd_is_no_failure, 0, ARRAY_LEN(patience));
	tcase_add_test(tc, bodies_are_sent_with_their_length_and_nothing_is_expected_first);
	tcase_add_test(tc, a_call_after_a_lost_connection_makes_a_new_one);
	tcase_add_test(tc, the_differences_of_a_clone_add_up_over_its_life);
	tcase_add_loop_test(tc, a_save_that_is_refused_costs_the_connection_and_nothing_else, 0, ARRAY_LEN(bad_saves));
	tcase_add_test(tc, a_save_may_take_its_time);
	tcase_add_test(tc, a_snapshot_of_a_running_machine_is_refused_and_resets_its_connections);
	tcase_add_loop_test(tc, a_vmm_that_dies_in_a_request_is_told, 0, ARRAY_LEN(deaths));
	tcase_add_loop_test(tc, a_load_that_fails_is_one_event_whatever_ends_with_it, 0, ARRAY_LEN(bad_loads));
	tcase_add_test(tc, a_parked_process_waits_with_nothing_loaded_and_serves_any_instant);
	tcase_add_test(tc, an_identity_names_program_format_and_processor);
	tcase_add_test(tc, in_a_jail_files_are_linked_and_everything_goes_with_it);
	tcase_add_test(tc, a_jailer_that_fails_is_told_and_leaves_no_jail);
	tcase_add_test(tc, the_next_context_ends_jailed_processes_that_outlived_their_keeper);
	tcase_add_loop_test(tc, logs_and_metrics_go_where_the_setting_says_and_stay, 0, 2);
	tcase_add_loop_test(tc, links_to_the_sockets_live_as_long_as_they, 0, 2);
	tcase_add_test(tc, the_limits_of_the_code_disk_are_the_functions);
	tcase_add_loop_test(tc, the_probe_says_what_is_there, 0, ARRAY_LEN(probes));
	tcase_add_test(tc, settings_name_images_of_the_users_own);
	tcase_add_test(tc, auto_takes_it_only_with_a_program_and_kvm_that_is_fit);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(client_suite)
