/* SPDX-License-Identifier: MIT */
/*
 * The firecracker engine against a double that is as unfriendly as the real program
 * (firecracker/README.md). No guest is needed here: the double speaks for the agent itself. What it
 * is to do wrong stands in a control file beside the name that it is started by.
 */
#include <sys/socket.h>

#include "setting.h"

/* --- start --- */

static const char *const versions[] = { "1.10.0", "1.11.0", "1.12.1", "1.13.1", "1.14.0", "1.15.1",
	"1.16.1", "1.17.0" };

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

/* A booted machine's state and memory; the machine is gone. */
static void make_instant(struct setting *s, int *ret_state, int *ret_base)
{
	ck_ok(start(s, -1, 10000));
	ck_ok(firecracker_engine.save(s->m, ret_state, &error));
	*ret_base = sys_dup(s->m->ram);
	machine_free(&firecracker_engine, s->m);
	s->m = machine_new(&firecracker_engine);
}

/* The double of an old version ends the first stream after a snapshot, when the agent has said
 * Ready on it. */
START_TEST(a_stream_after_a_snapshot_outlives_the_reset_that_comes_late)
{
	struct setting s = set_up(",\"version\":\"1.12.1\"");
	int state, base;
	make_instant(&s, &state, &base);
	ck_ok(start(&s, base, 10000));
	ck_ok(firecracker_engine.load(s.m, state, &error));
	agent_answers(&s);
	fd_close(state);
	ck_ok(firecracker_engine.save(s.m, &state, &error));
	ck_ok(firecracker_engine.resume(s.m, &error));
	agent_answers(&s);
	fd_close(state);
	fd_close(base);
	tear_down(&s);
}
END_TEST

/* The double of 1.16 lets nothing through after a pause until there is a snapshot. */
START_TEST(a_guest_hears_after_a_pause_whatever_the_version)
{
	AUTO_FREE char *faults = str_format(",\"version\":\"%s\"", versions[_i]);
	struct setting s = set_up(faults);
	int state, base;
	make_instant(&s, &state, &base);
	for (int clone = 0; clone < 2; clone++) {
		ck_ok(start(&s, clone ? base : -1, 10000));
		if (clone)
			ck_ok(firecracker_engine.load(s.m, state, &error));
		for (int i = 0; i < 2; i++) {
			ck_ok(firecracker_engine.pause(s.m, &error));
			ck_ok(firecracker_engine.resume(s.m, &error));
			agent_answers(&s);
		}
		ck_assert_int_lt(s.m->ram, 0); /* nothing of a snapshot is kept */
		machine_free(&firecracker_engine, s.m);
		s.m = machine_new(&firecracker_engine);
	}
	fd_close(state);
	fd_close(base);
	tear_down(&s);
}
END_TEST

START_TEST(a_paused_machine_is_paused_once)
{
	struct setting s = set_up(",\"version\":\"1.17.0\"");
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
	{ ",\"exit_at_start\":1,\"words\":\"Failed to open the API socket\"",
		"Failed to open the API socket", NOVA_EENGINE },
	{ ",\"exit_at_start\":148", "ended before its API was up", NOVA_EENGINE },
	{ ",\"version\":\"1.9.1\"", "too old", NOVA_ENOTSUP },
	{ ",\"version\":\"1.16.0\"", "1.16.1 or later", NOVA_ENOTSUP },
	{ ",\"deaf\":1", "did not come up in time", NOVA_EENGINE },
	/* with or without its words: they come with the end of the connection */
	{ ",\"too_many\":2", "GET /", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"raw\":\"SSH-2.0-OpenSSH\\r\\n\\r\\n\"}}", "did not answer GET /",
		NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"raw\":\"HTTP/1.1 200 \\r\\nContent-Length: "
	  "9999\\r\\n\\r\\n{\",\"fatal\":1}}",
		"GET /", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"raw\":\"HTTP/1.1 200 \\r\\nContent-Length: 2\\r\\n\\r\\n{}\"}}",
		"is no Firecracker", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"huge\":2000000}}", "did not answer GET /", NOVA_EENGINE },
	{ ",\"on\":{\"GET /\":{\"hang\":1}}", "did not answer GET /", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /boot-source\":{\"lost\":\"Invalid header.\"}}",
		"PUT /boot-source with HTTP 400", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /boot-source\":{\"status\":500}}", "HTTP 500", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /machine-config\":{\"fault\":\"two\\nlines\"}}",
		"refuses PUT /machine-config: two lines", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /vsock\":{\"fault\":\"Vsock config error: Address in use (os error "
	  "98)\"}}",
		"os error 98", NOVA_EENGINE },
	{ ",\"on\":{\"PUT /actions\":{\"die\":\"sigsys\"}}", "ended during PUT /actions",
		NOVA_EENGINE },
	{ ",\"on\":{\"PUT /actions\":{\"die\":\"signal\"}}", "ended during PUT /actions",
		NOVA_EENGINE },
	{ ",\"on\":{\"PUT /actions\":{\"die\":\"exit\"}}", "ended during PUT /actions",
		NOVA_EENGINE },
	{ ",\"vsock_silent\":1000", "did not answer on vsock port 9999", NOVA_EAGENT },
	{ ",\"vsock_eof\":1000000", "did not answer on vsock port 9999", NOVA_EAGENT },
	{ ",\"vsock_odd\":\"NO\\n\"", "did not answer on vsock port 9999", NOVA_EAGENT },
	{ ",\"vsock_odd\":\"OK 1073741824 and more\\n\"", "did not answer on vsock port 9999",
		NOVA_EAGENT },
	{ ",\"vsock_odd\":\"OK 10737418241073741824107374182410737418241073741824\\n\"",
		"did not answer", NOVA_EAGENT },
};

static void starting_fails(const char *faults, int code, const char *part)
{
	struct setting s = set_up(faults);
	ck_fails_with(code, part, start(&s, -1, 2000));
	tear_down(&s);
}

START_TEST(a_start_that_fails_says_why_and_leaves_nothing)
{
	starting_fails(failures[_i].faults, failures[_i].code, failures[_i].part);
}
END_TEST

/* What is odd, but no failure. */
static const char *const patience[] = {
	",\"start_ms\":400",
	",\"vsock_silent\":2",
	",\"vsock_eof\":20",
	",\"vsock_glued\":1",
	",\"deprecation\":1",
	",\"too_many\":0",
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
	/* libcurl would ask before it sends this much */
	body = str_format("{\"log_path\":null,\"module\":\"%s\"}", long_args);
	ck_ok(fc_call(
		&fc_of(s.m)->api, "PUT", "/logger", body, deadline_in_ms(5000), NULL, &error));
	ck_fails_with(NOVA_EENGINE, "unknown field `colour`",
		fc_call(&fc_of(s.m)->api, "PUT", "/logger", "{\"colour\":1}", deadline_in_ms(5000),
			NULL, &error));
	ck_fails_with(NOVA_EENGINE, "not supported after starting",
		fc_call(&fc_of(s.m)->api, "PUT", "/entropy", "{}", deadline_in_ms(5000), NULL,
			&error));
	tear_down(&s);
}
END_TEST

START_TEST(a_call_after_a_lost_connection_makes_a_new_one)
{
	struct setting s = set_up(",\"on\":{\"PUT /logger\":{\"lost\":\"Invalid request line.\"}}");
	struct fc_api *api = &fc_of(s.m)->api;
	ck_ok(start(&s, -1, 10000));
	for (int i = 0; i < 12; i++) /* more often than there may be connections */
		ck_fails_with(NOVA_EENGINE, "HTTP 400",
			fc_call(api, "PUT", "/logger", "{}", deadline_in_ms(5000), NULL, &error));
	ck_ok(firecracker_engine.pause(s.m, &error));
	tear_down(&s);
}
END_TEST

/* --- snapshots --- */

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
	ck_ok(firecracker_engine.take_pages(s.m, &pages, &error));
	ck_assert_uint_eq(pages.count, 2);
	pages_done(&pages);
	ck_ok(firecracker_engine.resume(s.m, &error));
	ck_ok(firecracker_engine.save(s.m, &third, &error));
	ck_ok(firecracker_engine.take_pages(s.m, &pages, &error));
	ck_assert_uint_eq(pages.count, 3);
	ck_assert_uint_eq(word_of(base, 5), 1); /* whoever else is mapped to it sees what it saw */
	machine_free(&firecracker_engine, s.m);

	s.m = machine_new(&firecracker_engine);
	ck_ok(start(&s, base, 10000));
	ck_ok(firecracker_engine.give_pages(s.m, &pages, &error));
	AUTO_FREE char *whole = strdup(fc_of(s.m)->whole);
	ck_ok(firecracker_engine.load(s.m, third, &error));
	was_asked(&s, whole);
	AUTO_FD int memory = sys_open(whole, 0, 0);
	ck_assert_uint_eq(word_of(memory, 5), 3);
	ck_assert_uint_eq(word_of(memory, 1), 1);
	AUTO_FD int fourth = -1;
	struct pages more = PAGES_NONE;
	ck_ok(firecracker_engine.save(s.m, &fourth, &error));
	ck_ok(firecracker_engine.take_pages(s.m, &more, &error));
	/* with what it was loaded with: all of it is beyond the base */
	ck_assert_uint_eq(more.count, 4);
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
	{ ",\"on\":{\"PUT /snapshot/create\":{\"fault\":\"Create snapshot error: no space\"}}",
		"Create snapshot error: no space" },
	{ ",\"on\":{\"PATCH /vm\":{\"fault\":\"vCPU did not answer\"}}", "vCPU did not answer" },
};

START_TEST(a_save_that_is_refused_costs_the_connection_and_nothing_else)
{
	struct setting s = set_up(bad_saves[_i].faults);
	int state;
	ck_ok(start(&s, -1, 10000));
	ck_fails_with(
		NOVA_EENGINE, bad_saves[_i].part, firecracker_engine.save(s.m, &state, &error));
	if (_i == 0)
		ck_ok(firecracker_engine.resume(s.m, &error));
	agent_answers(&s);
	tear_down(&s);
}
END_TEST

START_TEST(one_who_may_not_open_kvm_is_told_so_when_the_vmm_fails)
{
	struct setting s = set_up(",\"on\":{\"PUT /actions\":{\"die\":\"sigsys\"}}");
	struct engine_env env = *s.env;
	env.kvm.state = KVM_DENIED;
	s.env = &env;
	bool is_there = fs_exists("/dev/kvm") == 1;
	ck_fails_with(NOVA_EENGINE, is_there ? "setfacl -m u:" : "it said:", start(&s, -1, 10000));
	tear_down(&s);
}
END_TEST

START_TEST(a_save_may_take_its_time)
{
	struct setting s = set_up(",\"on\":{\"PUT /snapshot/create\":{\"delay_ms\":1500}, \"PATCH "
				  "/vm\":{\"delay_ms\":900}}");
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
		fc_call(&fc_of(s.m)->api, "PUT", "/snapshot/create",
			"{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\"}", deadline_in_ms(5000),
			NULL, &error));
	tear_down(&s);
}
END_TEST

static const struct {
	const char *faults, *part;
} deaths[] = {
	{ ",\"on\":{\"PUT /snapshot/create\":{\"die\":\"sigsys\"}}",
		"ended during PUT /snapshot/create" },
	{ ",\"on\":{\"PATCH /vm\":{\"die\":\"signal\"}}", "ended during PATCH /vm" },
};

START_TEST(a_vmm_that_dies_in_a_request_is_told)
{
	struct setting s = set_up(deaths[_i].faults);
	int state;
	ck_ok(start(&s, -1, 10000));
	ck_fails_with(NOVA_EENGINE, deaths[_i].part, firecracker_engine.save(s.m, &state, &error));
	ck_assert(machine_ended(&firecracker_engine, s.m, deadline_in_ms(5000)));
	tear_down(&s);
}
END_TEST

static const struct {
	const char *faults, *part;
	bool damaged;
} bad_loads[] = {
	{ "", "CRC64 validation failed", true },
	{ ",\"version\":\"1.15.0\"", "Invalid format version of snapshot file: 10.0.0", false },
	{ ",\"on\":{\"PUT /snapshot/load\":{\"die\":\"exit\"}}", "ended during PUT /snapshot/load",
		false },
	{ ",\"on\":{\"PUT /snapshot/load\":{\"fault\":\"Load snapshot error: no\",\"fatal\":1}}",
		"Load snapshot error: no", false },
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
	ck_assert_msg(strstr(nova_error_message(error), bad_loads[_i].part) != NULL, "%s",
		nova_error_message(error));
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
	static const char other[] = "#!/bin/sh\ncase $1 in --version) echo Firecracker v1.15.0;; "
				    "*) echo v9.0.0;; esac\n";
	ck_assert_int_eq(fs_write_file(s.program, other, strlen(other), 0700), 0);
	ck_ok(firecracker_engine.identity(s.env, &third, &error));
	ck_assert(strstr(third, "1.15.0") && strstr(third, "9.0.0"));
	tear_down(&s);
}
END_TEST

START_TEST(how_disks_are_read_is_asked_for_and_belongs_to_a_snapshot)
{
	struct setting s = set_up("");
	struct engine_env env = *s.env;
	AUTO_FREE char *before = NULL, *after = NULL;
	nova_config_t *config;
	ck_ok(config_copy(s.env->config, &config, &error));
	ck_ok(nova_config_set(config, "firecracker.io_engine", "Async", &error));
	env.config = config;
	ck_ok(firecracker_engine.identity(s.env, &before, &error));
	ck_ok(firecracker_engine.identity(&env, &after, &error));
	ck_assert_str_ne(before, after);
	s.env = &env;
	ck_ok(start(&s, -1, 10000));
	was_asked(&s, "\"io_engine\":\"Async\"");
	agent_answers(&s);
	tear_down(&s);
	nova_config_free(config);
}
END_TEST

static Suite *client_suite(void)
{
	Suite *suite = suite_create("firecracker-client");
	TCase *tc = tcase_create("client");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, every_version_boots_saves_and_restores, 0, ARRAY_LEN(versions));
	tcase_add_test(tc, a_stream_after_a_snapshot_outlives_the_reset_that_comes_late);
	tcase_add_loop_test(
		tc, a_guest_hears_after_a_pause_whatever_the_version, 0, ARRAY_LEN(versions));
	tcase_add_test(tc, a_paused_machine_is_paused_once);
	tcase_add_loop_test(
		tc, a_start_that_fails_says_why_and_leaves_nothing, 0, ARRAY_LEN(failures));
	tcase_add_loop_test(
		tc, what_only_takes_time_or_looks_odd_is_no_failure, 0, ARRAY_LEN(patience));
	tcase_add_test(tc, bodies_are_sent_with_their_length_and_nothing_is_expected_first);
	tcase_add_test(tc, a_call_after_a_lost_connection_makes_a_new_one);
	tcase_add_test(tc, the_differences_of_a_clone_add_up_over_its_life);
	tcase_add_loop_test(tc, a_save_that_is_refused_costs_the_connection_and_nothing_else, 0,
		ARRAY_LEN(bad_saves));
	tcase_add_test(tc, one_who_may_not_open_kvm_is_told_so_when_the_vmm_fails);
	tcase_add_test(tc, a_save_may_take_its_time);
	tcase_add_test(tc, a_snapshot_of_a_running_machine_is_refused_and_resets_its_connections);
	tcase_add_loop_test(tc, a_vmm_that_dies_in_a_request_is_told, 0, ARRAY_LEN(deaths));
	tcase_add_loop_test(
		tc, a_load_that_fails_is_one_event_whatever_ends_with_it, 0, ARRAY_LEN(bad_loads));
	tcase_add_test(tc, a_parked_process_waits_with_nothing_loaded_and_serves_any_instant);
	tcase_add_test(tc, an_identity_names_program_format_and_processor);
	tcase_add_test(tc, how_disks_are_read_is_asked_for_and_belongs_to_a_snapshot);
	add_host_tests(tc);
	add_network_tests(tc);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(client_suite)
