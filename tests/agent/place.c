/* SPDX-License-Identifier: MIT */
/* Python functions that are called in place: in the interpreter itself. */
#include "agent.h"

#define COUNTS                                                                                     \
	"import os\n"                                                                              \
	"__nova_in_place__ = True\n"                                                               \
	"count = 0\n"                                                                              \
	"def handler(event):\n"                                                                    \
	"    global count\n"                                                                       \
	"    count += 1\n"

static void send_exec(const char *id, const char *input, unsigned timeout_ms, bool stream)
{
	void *frame;
	size_t len;
	ck_assert_int_eq(
		proto_exec_frame(id, input, strlen(input), timeout_ms, stream, &frame, &len, NULL),
		0);
	send_bytes(frame, len);
	nova_free(frame);
}

/* A call, and what it gives back. */
static void ck_call(const char *input, const char *output)
{
	AUTO_JSON json_t *got = exec(input, 0);
	ck_output(got, output);
}

START_TEST(what_a_call_changes_is_seen_by_the_next_one)
{
	python(COUNTS "    return [count, event]\n");
	ck_call("1", "[1,1]");
	ck_call("{\"a\":2}", "[2,{\"a\":2}]");
	ck_call("null", "[3,null]");
}
END_TEST

START_TEST(a_decorator_says_the_same_as_a_name_in_the_module)
{
	python("import nova\ncount = 0\n@nova.in_place\ndef handler():\n    global count\n    "
	       "count += 1\n    return count\n");
	ck_call("1", "1");
	ck_call("1", "2");
}
END_TEST

START_TEST(without_either_every_call_has_a_fork_of_its_own)
{
	python("count = 0\ndef handler(event):\n    global count\n    count += 1\n    return "
	       "count\n");
	ck_call("1", "1");
	ck_call("1", "1");
}
END_TEST

START_TEST(every_call_has_its_own_output_and_environment)
{
	python(COUNTS "    print('out', event)\n    os.write(2, b'err %d\\n' % event)\n    return "
		      "os.environ['NOVA_REQUEST_ID']\n");
	for (int i = 1; i < 4; i++) {
		AUTO_FREE char *input = str_format("%d", i), *out = str_format("out %d\n", i),
			       *err = str_format("err %d\n", i);
		AUTO_JSON json_t *got = exec(input, 0);
		ck_output(got, "\"r1\"");
		ck_assert_str_eq(text(got, "stdout"), out);
		ck_assert_str_eq(text(got, "stderr"), err);
	}
}
END_TEST

START_TEST(output_streams_where_it_is_asked_for_and_only_there)
{
	python(COUNTS "    print('a')\n    return count\n");
	for (int i = 0; i < 4; i++) {
		int type, streamed = 0;
		send_exec("s", "1", 0, i % 2);
		json_t *got = receive(&type);
		for (; type != NOVA_MSG_RESP; got = receive(&type)) {
			streamed += type == NOVA_MSG_STREAM;
			json_decref(got);
		}
		ck_assert_int_eq(streamed, i % 2);
		ck_assert_str_eq(text(got, "stdout"), "a\n");
		json_decref(got);
	}
}
END_TEST

START_TEST(failures_of_the_handler_leave_the_interpreter_as_it_is)
{
	python("import sys\n" COUNTS "    if event == 1:\n        raise KeyError('no')\n"
	       "    if event == 2:\n        sys.exit(3)\n"
	       "    if event == 3:\n        return {1, 2}\n"
	       "    return count\n");
	AUTO_JSON json_t *raised = exec("1", 0), *left = exec("2", 0), *odd = exec("3", 0);
	ck_has(raised, "error", "KeyError: 'no'");
	ck_has(raised, "stderr", "Traceback");
	ck_assert_int_eq(number(left, "exit_code"), 3);
	ck_has(odd, "error", "cannot be written as JSON");
	ck_call("4", "4");
}
END_TEST

START_TEST(a_handler_that_ends_the_interpreter_fails_alone)
{
	static const struct {
		const char *end, *error;
		int exit_code;
	} ways[] = { { "os._exit(7)", "exit 7", 7 }, { "os.kill(os.getpid(), 9)", "signal 9", 137 },
		{ "os.kill(os.getpid(), 11)", "signal 11", 139 } };
	AUTO_FREE char *source = str_format(
		COUNTS "    if event == 1:\n        %s\n    return count\n", ways[_i].end);
	python(source);
	ck_call("0", "1");
	AUTO_JSON json_t *got = exec("1", 0);
	ck_has(got, "error", ways[_i].error);
	ck_assert_int_eq(number(got, "exit_code"), ways[_i].exit_code);
	ck_call("0", "1"); /* in a new one */
	ck_call("0", "2");
}
END_TEST

START_TEST(an_interpreter_that_ends_by_itself_is_started_again_by_the_next_call)
{
	AUTO_FREE char *die = path_join(code, "die"), *starts = path_join(code, "starts");
	python("import threading, time\n" COUNTS "    return [os.getpid(), count]\n"
	       "def watch():\n    while not os.path.exists('die'):\n        time.sleep(0.01)\n    "
	       "os._exit(1)\n"
	       "threading.Thread(target=watch, daemon=True).start()\n"
	       "open('starts', 'a').write('x')\n");
	AUTO_JSON json_t *first = exec("0", 0);
	pid_t interpreter =
		(pid_t)json_integer_value(json_array_get(json_object_get(first, "output"), 0));
	ck_assert_int_gt(interpreter, 1);
	ck_assert_int_eq(fs_write_file(die, "", 0, 0644), 0);
	while (kill(interpreter, 0) == 0)
		ck_alive(); /* the agent is asked meanwhile, so that it gets to see the end */
	ck_assert_int_eq(fs_unlink(die), 0);
	AUTO_JSON json_t *second = exec("0", 0);
	ck_assert_int_eq(
		json_integer_value(json_array_get(json_object_get(second, "output"), 1)), 1);
	AUTO_BUF struct buf text = BUF_INIT(100);
	ck_assert_int_eq(fs_read_file(starts, &text), 0);
	ck_assert_uint_eq(text.len, 2);
}
END_TEST

START_TEST(a_handler_that_never_ends_costs_the_interpreter)
{
	python("import time\n" COUNTS "    print('begun', flush=True)\n    while event:\n        "
	       "time.sleep(1)\n    return count\n");
	ck_call("0", "1");
	AUTO_JSON json_t *got = exec("1", 2000);
	ck_has(got, "error", "timeout after 2000 ms");
	ck_assert(json_is_true(json_object_get(got, "timed_out")));
	ck_assert_str_eq(text(got, "stdout"), "begun\n");
	ck_call("0", "1");
}
END_TEST

START_TEST(requests_wait_for_the_place_and_cancel_makes_room)
{
	int type = 0;
	python("import time\n" COUNTS
	       "    print('begun', flush=True)\n    while event == 'stay':\n        "
	       "time.sleep(1)\n    return [count, event]\n");
	send_exec("a", "\"stay\"", 0, true);
	while (type != NOVA_MSG_STREAM)
		json_decref(receive(&type));
	send_exec("b", "2", 0, false);
	send_exec("c", "3", 0, false);
	send_exec("d", "4", 0, false);
	send_text(NOVA_MSG_CANCEL, "{\"request_id\":\"c\"}");
	AUTO_JSON json_t *c = answer();
	ck_assert_str_eq(text(c, "request_id"), "c");
	ck_assert_str_eq(text(c, "code"), "canceled");
	send_text(NOVA_MSG_CANCEL, "{\"request_id\":\"a\"}");
	AUTO_JSON json_t *a = answer(), *b = answer(), *d = answer();
	ck_assert_str_eq(text(a, "request_id"), "a");
	ck_assert(json_is_true(json_object_get(a, "canceled")));
	ck_assert_str_eq(text(b, "request_id"), "b");
	ck_output(b, "[1,2]");
	ck_assert_str_eq(text(d, "request_id"), "d");
	ck_output(d, "[2,4]");
}
END_TEST

START_TEST(a_handler_in_place_can_run_programs)
{
	python("import subprocess\n" COUNTS
	       "    return subprocess.run(['echo', 'x'], capture_output=True, text=True).stdout + "
	       "str(count)\n");
	ck_call("0", "\"x\\n1\"");
	ck_call("0", "\"x\\n2\"");
}
END_TEST

START_TEST(large_inputs_and_outputs_pass_in_place)
{
	python(COUNTS "    return event\n");
	size_t len = 5u << 20;
	AUTO_FREE char *big = malloc(len + 1);
	memset(big, 'x', len);
	big[0] = big[len - 1] = '"';
	big[len] = 0;
	for (int i = 0; i < 2; i++) {
		AUTO_JSON json_t *got = exec(big, 0);
		ck_assert_uint_eq(json_string_length(json_object_get(got, "output")), len - 2);
		ck_call("1", "1");
	}
}
END_TEST

START_TEST(hooks_run_in_place_and_randomness_is_seeded_anew)
{
	python("import random, nova\n" COUNTS "    return [count, told]\n"
	       "told = []\n"
	       "@nova.before_snapshot\ndef before():\n    told.append('before')\n"
	       "@nova.after_restore\ndef after():\n    told.append('after')\n");
	ck_call("0", "[1,[]]");
	AUTO_JSON json_t *frozen = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}");
	ck_assert_str_eq(text(frozen, "status"), "frozen");
	AUTO_JSON json_t *resumed =
		ask(NOVA_MSG_RESUME, "{\"request_id\":\"r\",\"unix_us\":1,\"entropy\":\"AAAA\"}");
	ck_assert_str_eq(text(resumed, "status"), "resumed");
	ck_call("0", "[2,[\"before\",\"after\"]]");
}
END_TEST

/* The state of the generator behind random's functions, as a number. */
#define STATE                                                                                      \
	"import random, _random\n" COUNTS "    if event:\n        random.seed(event)\n"            \
	"    return hash(_random.Random.getstate(random._inst))\n"

static json_int_t state_after(const char *resume, const char *input)
{
	if (resume)
		json_decref(ask(NOVA_MSG_RESUME, resume));
	AUTO_JSON json_t *got = exec(input, 0);
	return number(got, "output");
}

#define LATER "{\"request_id\":\"r\",\"unix_us\":1}"
#define CLONE                                                                                      \
	"{\"request_id\":\"r\",\"unix_us\":1,\"entropy\":\"AAAA\",\"hostname\":\"h\",\"machine_"   \
	"id\":\"m\"}"

START_TEST(a_clone_does_not_go_on_with_the_randomness_of_its_origin)
{
	python(STATE);
	json_int_t first = state_after(NULL, "0");
	ck_assert_int_eq(state_after(NULL, "0"), first);
	ck_assert_int_eq(state_after(LATER, "0"), first); /* the same machine, after a pause */
	json_int_t clone = state_after(CLONE, "0");
	ck_assert_int_ne(clone, first);
	ck_assert_int_eq(state_after(NULL, "0"), clone);
}
END_TEST

START_TEST(a_clone_goes_on_with_what_was_seeded_on_purpose)
{
	python(STATE);
	json_int_t seeded = state_after(NULL, "42");
	ck_assert_int_eq(state_after(CLONE, "0"), seeded);
	ck_assert_int_ne(state_after(NULL, "7"), seeded);
}
END_TEST

START_TEST(a_host_that_goes_away_takes_the_call_in_place_along)
{
	int type = 0;
	python("import time\n" COUNTS "    print('begun', flush=True)\n    time.sleep(1000)\n");
	send_exec("a", "1", 0, true);
	while (type != NOVA_MSG_STREAM)
		json_decref(receive(&type)); /* and then teardown hangs up */
}
END_TEST

static Suite *place_suite(void)
{
	Suite *suite = suite_create("place");
	TCase *tc = add_case(suite, "place");
	tcase_add_test(tc, what_a_call_changes_is_seen_by_the_next_one);
	tcase_add_test(tc, a_decorator_says_the_same_as_a_name_in_the_module);
	tcase_add_test(tc, without_either_every_call_has_a_fork_of_its_own);
	tcase_add_test(tc, every_call_has_its_own_output_and_environment);
	tcase_add_test(tc, output_streams_where_it_is_asked_for_and_only_there);
	tcase_add_test(tc, failures_of_the_handler_leave_the_interpreter_as_it_is);
	tcase_add_loop_test(tc, a_handler_that_ends_the_interpreter_fails_alone, 0, 3);
	tcase_add_test(tc, an_interpreter_that_ends_by_itself_is_started_again_by_the_next_call);
	tcase_add_test(tc, a_handler_that_never_ends_costs_the_interpreter);
	tcase_add_test(tc, requests_wait_for_the_place_and_cancel_makes_room);
	tcase_add_test(tc, a_handler_in_place_can_run_programs);
	tcase_add_test(tc, large_inputs_and_outputs_pass_in_place);
	tcase_add_test(tc, hooks_run_in_place_and_randomness_is_seeded_anew);
	tcase_add_test(tc, a_clone_does_not_go_on_with_the_randomness_of_its_origin);
	tcase_add_test(tc, a_clone_goes_on_with_what_was_seeded_on_purpose);
	tcase_add_test(tc, a_host_that_goes_away_takes_the_call_in_place_along);
	return suite;
}

TEST_MAIN(place_suite)
