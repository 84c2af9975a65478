/* SPDX-License-Identifier: MIT */
/* Every message, and what programs may do to the agent. */
#include "agent.h"

/* --- messages --- */

START_TEST(ready_comes_once_and_unasked)
{
	int type;
	AUTO_JSON json_t *ready = receive(&type);
	ck_assert_int_eq(type, NOVA_MSG_READY);
	ck_assert_str_eq(text(ready, "agent"), NOVA_VERSION_STRING);
	ck_assert(json_is_false(json_object_get(ready, "pid1")));
	ck_assert_int_gt(number(ready, "boot_us"), 0);
	ck_assert_ptr_null(json_object_get(ready, "error"));
	send_text(NOVA_MSG_PING, "{\"request_id\":\"a\"}");
	AUTO_JSON json_t *pong = receive(&type);
	ck_assert_int_eq(type, NOVA_MSG_RESP);
	ck_assert_str_eq(text(pong, "request_id"), "a");
}
END_TEST

START_TEST(what_the_agent_does_not_know_is_refused_and_the_connection_goes_on)
{
	static const struct {
		int type;
		const char *payload, *part;
	} cases[] = {
		{ 999, "{\"request_id\":\"x\"}", "type 999" },
		{ -1, "{}", "type -1" },
		{ 0, "{}", "type 0" },
		{ NOVA_MSG_RESP, "{}", "type 3" },
		{ 71, "{}", "type 71" },
		{ NOVA_MSG_EXEC, "{\"input\":1}", "send Init" },
		{ NOVA_MSG_EXEC, "{\"input\":1,\"input\":2}", "duplicate" },
		{ NOVA_MSG_PING, "{\"request_id\":7}", "not a text" },
		{ NOVA_MSG_PING, "{\"a\":1,\"a\":2}", "duplicate" },
		{ NOVA_MSG_PING, "{\"request_id\":\"a\\u0000b\"}", "NUL" },
		{ NOVA_MSG_INIT, "{}", "runtime" },
		{ NOVA_MSG_INIT, "{\"runtime\":\"cobol\"}", "unknown runtime 'cobol'" },
		{ NOVA_MSG_INIT, "{\"runtime\":\"shell\",\"env_vars\":{\"A\":1}}", "as text" },
		{ NOVA_MSG_INIT, "{\"runtime\":\"shell\",\"env_vars\":{\"A=B\":\"\"}}", "as text" },
		{ NOVA_MSG_INIT, "{\"runtime\":\"wasm\",\"preopens\":{\"/a\":1}}", "as text" },
		{ NOVA_MSG_INIT, "{\"runtime\":\"shell\",\"preopens\":{\"/a\":\"/b\"}}",
			"only functions of runtime wasm" },
		{ NOVA_MSG_INIT, "{\"runtime\":\"shell\",\"handler\":\"../x.y\"}",
			"module.function" },
		{ NOVA_MSG_INIT, "{\"runtime\":\"shell\"}", "no " },
		{ NOVA_MSG_COMMAND, "{}", "argv" },
		{ NOVA_MSG_COMMAND, "{\"argv\":[]}", "argv" },
		{ NOVA_MSG_COMMAND, "{\"argv\":[1]}", "argv" },
		{ NOVA_MSG_COMMAND, "{\"argv\":[\"\"]}", "argv" },
		{ NOVA_MSG_COMMAND, "{\"argv\":[\"true\"],\"stdin\":\"%\"}", "base64" },
		{ NOVA_MSG_COMMAND, "{\"argv\":[\"true\"],\"timeout_ms\":-1}", "timeout_ms" },
		{ NOVA_MSG_COMMAND, "{\"argv\":[\"true\"],\"timeout_ms\":\"soon\"}", "timeout_ms" },
		{ NOVA_MSG_RESUME, "{\"entropy\":\"?\"}", "entropy" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *got = ask(cases[i].type, cases[i].payload);
		ck_has(got, "error", cases[i].part);
		ck_assert_str_ne(text(got, "code"), "");
	}
	AUTO_FREE char *id = malloc(201);
	memset(id, 'x', 200);
	id[200] = 0;
	AUTO_FREE char *payload = str_format("{\"request_id\":\"%s\"}", id);
	AUTO_JSON json_t *got = ask(NOVA_MSG_PING, payload);
	ck_has(got, "error", "128");
	ck_alive();
}
END_TEST

START_TEST(a_frame_that_makes_no_sense_ends_the_connection)
{
	static const char *const frames[] = { "\xff\xff\xff\xff", "\0\0\0\2[]", "\0\0\0\0" };
	static const size_t sizes[] = { 4, 6, 4 };
	send_bytes(frames[_i], sizes[_i]);
	int type;
	json_t *got;
	while ((got = receive(&type)))
		json_decref(got); /* Ready, then the end */
}
END_TEST

START_TEST(a_frame_may_come_byte_by_byte_and_be_cut_off)
{
	void *frame;
	size_t len;
	nova_frame_encode(NOVA_MSG_PING, NULL, 0, &frame, &len, NULL);
	for (size_t i = 0; i < len; i++)
		send_bytes((uint8_t *)frame + i, 1);
	json_decref(answer());
	/* and then the host is gone: the agent ends, as teardown checks */
	send_bytes(frame, len - 1);
	nova_free(frame);
}
END_TEST

START_TEST(stop_is_answered_and_ends_everything_that_runs)
{
	send_text(NOVA_MSG_COMMAND, "{\"request_id\":\"c\",\"argv\":[\"sh\",\"-c\",\"setsid sleep "
				    "1000 & sleep 1000\"]}");
	AUTO_JSON json_t *got = ask(NOVA_MSG_STOP, "{\"request_id\":\"s\"}");
	ck_assert_str_eq(text(got, "status"), "stopping");
	ck_assert_str_eq(text(got, "request_id"), "s");
	int type;
	ck_assert_ptr_null(receive(&type));
}
END_TEST

/* Sends an Exec that streams, and waits until its function has said something. */
static void exec_until_it_speaks(const char *id)
{
	int type = 0;
	AUTO_FREE char *payload =
		str_format("{\"request_id\":\"%s\",\"input\":1,\"stream\":true}", id);
	send_text(NOVA_MSG_EXEC, payload);
	while (type != NOVA_MSG_STREAM)
		json_decref(receive(&type));
}

START_TEST(cancel_ends_one_request_with_all_its_processes_and_leaves_the_others)
{
	shell("trap '' TERM INT; (sleep 1000 & sleep 1000) & echo begun; while ! [ -e go ]; do "
	      "sleep 0.05; done");
	exec_until_it_speaks("a");
	exec_until_it_speaks("b");
	AUTO_JSON json_t *got = ask(NOVA_MSG_CANCEL, "{\"request_id\":\"a\"}");
	ck_assert_str_eq(text(got, "request_id"), "a");
	ck_assert(json_is_true(json_object_get(got, "canceled")));
	ck_assert(json_is_false(json_object_get(got, "timed_out")));
	ck_has(got, "error", "canceled");
	ck_assert_str_eq(text(got, "stdout"), "begun\n");
	AUTO_FREE char *go = path_join(code, "go");
	ck_assert_int_eq(fs_write_file(go, "", 0, 0644), 0);
	AUTO_JSON json_t *other = answer();
	ck_assert_str_eq(text(other, "request_id"), "b");
	ck_assert_ptr_null(json_object_get(other, "canceled"));
	ck_assert_ptr_null(json_object_get(other, "error"));
}
END_TEST

START_TEST(cancel_of_what_is_not_under_way_is_passed_over)
{
	send_text(NOVA_MSG_CANCEL, "{\"request_id\":\"nobody\"}");
	send_text(NOVA_MSG_CANCEL, "{}");
	ck_alive();
	AUTO_JSON json_t *wrong = ask(NOVA_MSG_CANCEL, "{\"request_id\":7}");
	ck_has(wrong, "error", "not a text");
}
END_TEST

START_TEST(cancel_before_the_interpreter_is_there_is_a_refusal)
{
	python("import os, time\ndef handler(event):\n    os.kill(os.getppid(), 9)\n    "
	       "time.sleep(1000)\n");
	AUTO_JSON json_t *killed = exec("1", 0);
	ck_assert_str_ne(text(killed, "error"), "");
	/* It is started anew with a module that does not come to an end of its import. */
	write_code("handler",
		"import time\ntime.sleep(1000)\ndef handler(event):\n    return event\n", 0644);
	send_text(NOVA_MSG_EXEC, "{\"request_id\":\"a\",\"input\":1}");
	AUTO_JSON json_t *got = ask(NOVA_MSG_CANCEL, "{\"request_id\":\"a\"}");
	ck_assert_str_eq(text(got, "code"), "canceled");
	ck_assert_str_eq(text(got, "request_id"), "a");
}
END_TEST

START_TEST(a_command_can_be_cancelled_too)
{
	send_text(NOVA_MSG_COMMAND, "{\"request_id\":\"c\",\"argv\":[\"sleep\",\"1000\"]}");
	AUTO_JSON json_t *got = ask(NOVA_MSG_CANCEL, "{\"request_id\":\"c\"}");
	ck_assert(json_is_true(json_object_get(got, "canceled")));
	ck_assert_int_eq(number(got, "exit_code"), 137);
	ck_has(got, "error", "canceled");
}
END_TEST

START_TEST(resume_as_a_plain_process_touches_nothing_but_the_interpreter)
{
	uint64_t before = clock_unix_us();
	AUTO_JSON json_t *got = ask(
		NOVA_MSG_RESUME, "{\"request_id\":\"x\",\"entropy\":\"AAAA\",\"unix_us\":1000000}");
	ck_assert_str_eq(text(got, "status"), "resumed");
	ck_assert_uint_ge(clock_unix_us(), before);
}
END_TEST

START_TEST(a_command_gets_its_input_environment_and_directory)
{
	AUTO_JSON json_t *got = ask(NOVA_MSG_COMMAND,
		"{\"request_id\":\"c\",\"argv\":[\"sh\",\"-c\",\"cat; echo $X; pwd; echo bad >&2; "
		"exit 3\"],\"env\":{\"X\":\"y\"},\"stdin\":\"YWJjCg==\",\"cwd\":\"/\"}");
	ck_assert_str_eq(text(got, "stdout"), "abc\ny\n/\n");
	ck_assert_str_eq(text(got, "stderr"), "bad\n");
	ck_assert_int_eq(number(got, "exit_code"), 3);
	ck_assert_ptr_null(json_object_get(got, "error"));
}
END_TEST

START_TEST(input_that_has_no_place_ends_its_request_and_only_that)
{
	AUTO_BUF struct buf bytes = BUF_INIT(1u << 20), coded = BUF_INIT(1u << 20);
	ck_assert_ptr_nonnull(buf_reserve(&bytes, PROTO_WINDOW + 100000));
	memset(bytes.data, 'x', PROTO_WINDOW + 100000);
	ck_assert_int_eq(base64_put(&coded, bytes.data, PROTO_WINDOW + 100000), 0);
	AUTO_FREE char *much = str_format(
		"{\"request_id\":\"c\",\"base64\":\"%.*s\"}", (int)coded.len, (char *)coded.data);
	const struct {
		const char *flow;
		int type;
		const char *payload, *words;
	} wrong[] = {
		{ "true", NOVA_MSG_INPUT, "{\"request_id\":\"c\",\"base64\":\"@\"}", "base64" },
		{ "true", NOVA_MSG_INPUT, "{\"request_id\":\"c\",\"base64\":7}", "base64" },
		{ "true", NOVA_MSG_INPUT, much, "credit" },
		{ "true", NOVA_MSG_CREDIT, "{\"request_id\":\"c\",\"size\":1}", "Credit" },
		{ "true", NOVA_MSG_CREDIT, "{\"request_id\":\"c\"}", "Credit" },
		{ "false", NOVA_MSG_INPUT, "{\"request_id\":\"c\",\"base64\":\"\"}", "flow" },
		{ "false", NOVA_MSG_CREDIT, "{\"request_id\":\"c\",\"size\":1}", "flow" },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO_FREE char *command = str_format(
			"{\"request_id\":\"c\",\"argv\":[\"sleep\",\"1000\"],\"flow\":%s}",
			wrong[i].flow);
		send_text(NOVA_MSG_COMMAND, command);
		AUTO_JSON json_t *got = ask(wrong[i].type, wrong[i].payload);
		ck_assert_str_eq(text(got, "code"), "invalid");
		ck_has(got, "error", wrong[i].words);
	}
	/* What is for no request has no answer. */
	send_text(NOVA_MSG_INPUT, "{\"request_id\":\"c\",\"base64\":\"\"}");
	send_text(NOVA_MSG_CREDIT, "{\"request_id\":\"c\",\"size\":1}");
	AUTO_JSON json_t *pong = ask(NOVA_MSG_PING, "{\"request_id\":\"p\"}");
	ck_assert_str_eq(text(pong, "request_id"), "p");
}
END_TEST

START_TEST(a_command_that_flows_sends_no_more_than_its_window_before_there_is_credit)
{
	int type = 0;
	size_t got = 0, credit = PROTO_WINDOW;
	AUTO_JSON json_t *ready = receive(&type);
	ck_assert_int_eq(type, NOVA_MSG_READY);
	send_text(NOVA_MSG_COMMAND, "{\"request_id\":\"c\",\"stream\":true,\"flow\":true,\"argv\":["
				    "\"sh\",\"-c\",\"head -c 600000 /dev/zero | tr '\\\\0' x\"]}");
	while (got < PROTO_WINDOW) {
		AUTO_JSON json_t *piece = receive(&type);
		ck_assert_int_eq(type, NOVA_MSG_STREAM);
		got += json_string_length(json_object_get(piece, "data"));
	}
	ck_assert_uint_eq(got, PROTO_WINDOW);
	/* Nothing is ahead of the answer to this. */
	send_text(NOVA_MSG_PING, "{\"request_id\":\"p\"}");
	AUTO_JSON json_t *pong = receive(&type);
	ck_assert_int_eq(type, NOVA_MSG_RESP);
	ck_assert_str_eq(text(pong, "request_id"), "p");
	for (type = 0; type != NOVA_MSG_RESP; got += credit) {
		AUTO_FREE char *more = str_format("{\"request_id\":\"c\",\"size\":%zu}", credit);
		send_text(NOVA_MSG_CREDIT, more);
		AUTO_JSON json_t *piece = receive(&type);
		ck_assert_ptr_nonnull(piece);
		credit = json_string_length(json_object_get(piece, "data"));
	}
	ck_assert_uint_eq(got, 600000);
}
END_TEST

static bool agent_sleeps(void)
{
	AUTO_FREE char *path = str_format("/proc/%d/stat", (int)pid);
	AUTO_BUF struct buf stat = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(path, &stat), 0);
	ck_assert_int_eq(buf_append(&stat, "", 1), 0);
	const char *name_end = strrchr((char *)stat.data, ')');
	return name_end && name_end[2] == 'S';
}

/* Each zero is six bytes of JSON, so the socket is full again and again. */
START_TEST(output_that_the_host_takes_late_comes_whole_while_its_command_is_silent)
{
	static const size_t printed = 200000;
	AUTO_FREE char *said = path_join(dir, "said");
	for (int flows = 0; flows < 2; flows++) {
		int type = 0;
		size_t got = 0;
		AUTO_FREE char *command =
			str_format("{\"request_id\":\"c\",\"timeout_ms\":600000,\"stream\":true,"
				   "\"flow\":%s,\"argv\":[\"sh\",\"-c\",\"head -c %zu /dev/zero; : "
				   ">%s; exec sleep 1000\"]}",
				flows ? "true" : "false", printed, said);
		send_text(NOVA_MSG_COMMAND, command);
		while (got < printed) {
			while ((!flows && fs_exists(said) != 1) || !agent_sleeps())
				sys_poll(NULL, 0, 1);
			AUTO_JSON json_t *piece = receive(&type);
			got += type == NOVA_MSG_STREAM ?
				       json_string_length(json_object_get(piece, "data")) :
				       0;
		}
		ck_assert_uint_eq(got, printed);
		ck_assert_int_eq(fs_unlink(said), 0);
		send_text(NOVA_MSG_CANCEL, "{\"request_id\":\"c\"}");
		json_decref(answer());
	}
}
END_TEST

START_TEST(a_command_that_cannot_be_started_is_told_as_a_shell_would)
{
	AUTO_JSON json_t *none = ask(NOVA_MSG_COMMAND, "{\"argv\":[\"no-such-program\"]}");
	ck_assert_int_eq(number(none, "exit_code"), 127);
	AUTO_JSON json_t *not_one = ask(NOVA_MSG_COMMAND, "{\"argv\":[\"/etc\"]}");
	ck_assert_int_eq(number(not_one, "exit_code"), 126);
	AUTO_JSON json_t *nowhere =
		ask(NOVA_MSG_COMMAND, "{\"argv\":[\"true\"],\"cwd\":\"/nowhere\"}");
	ck_assert_int_eq(number(nowhere, "exit_code"), 127);
}
END_TEST

START_TEST(a_command_with_much_input_that_nobody_reads_ends_all_the_same)
{
	size_t len = 4u << 20;
	AUTO_BUF struct buf payload = BUF_INIT(8u << 20);
	AUTO_FREE char *zeros = calloc(1, len);
	buf_append_str(&payload, "{\"argv\":[\"true\"],\"stdin\":\"");
	ck_assert_int_eq(base64_put(&payload, zeros, len), 0);
	buf_append_str(&payload, "\"}");
	AUTO_FREE char *all = buf_steal_str(&payload);
	AUTO_JSON json_t *got = ask(NOVA_MSG_COMMAND, all);
	ck_assert_int_eq(number(got, "exit_code"), 0);
}
END_TEST

START_TEST(many_requests_run_at_once_and_one_too_many_is_told_so)
{
	for (int i = 0; i < 17; i++) {
		AUTO_FREE char *payload =
			str_format("{\"request_id\":\"c%d\",\"argv\":[\"sleep\",\"1000\"]}", i);
		send_text(NOVA_MSG_COMMAND, payload);
	}
	AUTO_JSON json_t *got = answer();
	ck_assert_str_eq(text(got, "request_id"), "c16");
	ck_assert_str_eq(text(got, "code"), "busy");
	AUTO_JSON json_t *twice =
		ask(NOVA_MSG_COMMAND, "{\"request_id\":\"c3\",\"argv\":[\"true\"]}");
	ck_has(twice, "error", "under way");
	AUTO_JSON json_t *init_now = init_answer("shell", "main.handler");
	ck_assert_str_eq(text(init_now, "code"), "busy");
	ck_alive();
}
END_TEST

/* --- functions that are programs --- */

START_TEST(a_function_reads_its_input_file_and_prints_json)
{
	shell("echo log >&2; cat \"$1\"; [ -n \"$COLOUR\" ] && [ \"$NOVA_REQUEST_ID\" = r1 ] && [ "
	      "\"$NOVA_RUNTIME\" = shell ]");
	AUTO_JSON json_t *got = exec("{\"b\": [1.50, 2],\"a\":12345678}", 0);
	ck_output(got, "{\"a\":12345678,\"b\":[1.5,2]}");
	ck_assert_str_eq(text(got, "stdout"), "{\"b\": [1.50, 2],\"a\":12345678}");
	ck_assert_str_eq(text(got, "stderr"), "log\n");
}
END_TEST

START_TEST(what_is_not_json_becomes_a_string)
{
	shell("printf 'hello\\n\\n'");
	AUTO_JSON json_t *got = exec("null", 0);
	ck_output(got, "\"hello\\n\"");
	shell("printf 'a\\377\\200\\0b'");
	AUTO_JSON json_t *rubbish = exec("null", 0);
	ck_assert_mem_eq(json_string_value(json_object_get(rubbish, "output")),
		"a\xEF\xBF\xBD\xEF\xBF\xBD\0b", 9);
	shell(":");
	AUTO_JSON json_t *nothing = exec("null", 0);
	ck_output(nothing, "\"\"");
}
END_TEST

START_TEST(a_failing_function_is_described_by_its_code_and_last_words)
{
	shell("echo one >&2; echo no such city >&2; exit 3");
	AUTO_JSON json_t *got = exec("{}", 0);
	ck_assert_int_eq(number(got, "exit_code"), 3);
	ck_assert_str_eq(text(got, "error"), "exit 3: one\nno such city");
	ck_assert(json_is_null(json_object_get(got, "output")));
	shell("kill -SEGV $$");
	AUTO_JSON json_t *crash = exec("{}", 0);
	ck_assert_int_eq(number(crash, "signal"), 11);
	ck_assert_int_eq(number(crash, "exit_code"), 139);
	ck_has(crash, "error", "signal 11");
}
END_TEST

START_TEST(a_function_that_never_ends_is_killed_and_keeps_its_text)
{
	shell("trap '' TERM INT HUP; echo begun; echo why >&2; (setsid sleep 1000 &) ; while :; do "
	      "sleep 1000; done");
	AUTO_JSON json_t *got = exec("{}", 2000);
	ck_assert(json_is_true(json_object_get(got, "timed_out")));
	ck_assert_str_eq(text(got, "stdout"), "begun\n");
	ck_assert_str_eq(text(got, "error"), "timeout after 2000 ms: why");
}
END_TEST

START_TEST(a_function_that_stops_itself_is_killed_in_time)
{
	shell("kill -STOP $$");
	AUTO_JSON json_t *got = exec("{}", 200);
	ck_assert(json_is_true(json_object_get(got, "timed_out")));
	ck_alive();
}
END_TEST

START_TEST(output_without_end_is_read_and_dropped)
{
	shell("head -c 100000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y "
	      ">&2");
	AUTO_JSON json_t *got = exec("{}", PATIENCE_MS);
	ck_assert_int_eq(number(got, "exit_code"), 0);
	ck_assert(json_is_null(json_object_get(got, "output")));
	ck_assert_str_eq(text(got, "error"),
		"the function printed 100000000 bytes, over the limit of 6291456 for its output");
	ck_assert(json_is_true(json_object_get(got, "truncated")));
	ck_assert_uint_ge(json_string_length(json_object_get(got, "stdout")), 1u << 20);
	ck_assert_uint_eq(json_string_length(json_object_get(got, "stderr")), 1u << 20);
}
END_TEST

START_TEST(output_that_swells_as_json_is_whole_and_the_texts_beside_it_fit_a_frame)
{
	shell("head -c 1048576 /dev/zero | tr '\\0' '\\1'; head -c 1048576 /dev/zero | tr '\\0' "
	      "'\\2' >&2");
	AUTO_JSON json_t *got = exec("{}", PATIENCE_MS);
	ck_assert_int_eq(number(got, "exit_code"), 0);
	ck_assert_ptr_null(json_object_get(got, "error"));
	ck_assert_uint_eq(json_string_length(json_object_get(got, "output")), 1u << 20);
	ck_assert(json_is_true(json_object_get(got, "truncated")));
}
END_TEST

START_TEST(output_of_up_to_the_limit_is_whole_and_beyond_it_an_error)
{
	static const char *const fits[] = {
		"echo '['; yes 1, | head -c 6291440; echo ' 1]'", /* with white space between */
		"printf '\"'; head -c 6291454 /dev/zero | tr '\\0' x; printf '\"'",
		"head -c 6291456 /dev/zero | tr '\\0' x",    /* a string for who asked */
		"head -c 6291456 /dev/zero | tr '\\0' '\"'", /* which is twice as long */
		"head -c 6291456 /dev/zero",                 /* and six times */
	};
	for (size_t i = 0; i < ARRAY_LEN(fits); i++) {
		shell(fits[i]);
		AUTO_JSON json_t *got = exec("{}", PATIENCE_MS);
		ck_assert_msg(json_object_get(got, "error") == NULL, "%s: %s", fits[i],
			text(got, "error"));
		ck_assert(!json_is_null(json_object_get(got, "output")));
	}
	shell("printf '\"'; head -c 6291455 /dev/zero | tr '\\0' x; printf '\"'");
	AUTO_JSON json_t *got = exec("{}", PATIENCE_MS);
	ck_assert_str_eq(text(got, "error"),
		"the function printed 6291457 bytes, over the limit of 6291456 for its output");
	ck_assert(json_is_null(json_object_get(got, "output")));
}
END_TEST

START_TEST(the_answer_does_not_wait_for_daemons_and_they_do_not_stay)
{
	shell("(setsid sh -c 'while :; do echo alive; sleep 1; done' &) ; sleep 1000 & echo done");
	AUTO_JSON json_t *got = exec("{}", PATIENCE_MS);
	ck_has(got, "stdout", "done");
	ck_assert(json_is_false(json_object_get(got, "timed_out")));
}
END_TEST

START_TEST(a_function_may_close_its_outputs_and_go_on)
{
	shell("exec >&- 2>&-; sleep 0.1; exit 5");
	AUTO_JSON json_t *got = exec("{}", 0);
	ck_assert_int_eq(number(got, "exit_code"), 5);
}
END_TEST

START_TEST(code_that_is_missing_or_no_program_is_told_at_init)
{
	AUTO_JSON json_t *none = init_answer("go", "main.handler");
	ck_assert_str_eq(text(none, "code"), "code");
	ck_has(none, "error", "code is missing");
	write_code("handler", "rubbish", 0755);
	AUTO_JSON json_t *rubbish = init_answer("binary", "main.handler");
	ck_has(rubbish, "error", "statically linked");
	write_code("handler", "#!/bin/sh\necho 1", 0644);
	AUTO_JSON json_t *mode = init_answer("rust", "main.handler");
	ck_has(mode, "error", "cannot be executed");
	write_code("handler", "#!/no/such/loader\n", 0755);
	init("binary");
	AUTO_JSON json_t *loader = exec("{}", 0);
	ck_has(loader, "error", "cannot be started");
	write_code("handler", "#!/bin/sh\necho 42", 0755);
	init("binary");
	AUTO_JSON json_t *good = exec("{}", 0);
	ck_output(good, "42");
}
END_TEST

START_TEST(a_binary_that_wants_another_loader_is_told_what_it_must_be)
{
	AUTO_BUF struct buf elf = BUF_INIT(64u << 20);
	ck_assert_int_eq(fs_read_file("/bin/true", &elf), 0);
	uint8_t *loader = memmem(elf.data, elf.len, "/lib64/ld-linux", 15);
	ck_assert_ptr_nonnull(loader);
	memcpy(loader, "/lib64/ld-musly", 15);
	AUTO_FREE char *path = path_join(code, "handler");
	ck_assert_int_eq(fs_write_file(path, elf.data, elf.len, 0755), 0);
	AUTO_JSON json_t *got = init_answer("go", "main.handler");
	ck_has(got, "error", "/lib64/ld-musly");
	ck_has(got, "error", "statically linked Linux x86_64");
}
END_TEST

/* --- streams, and hosts that are slow or gone --- */

START_TEST(output_is_streamed_while_it_is_produced)
{
	send_text(NOVA_MSG_COMMAND,
		"{\"request_id\":\"s\",\"stream\":true,\"argv\":[\"sh\",\"-c\",\"printf '\\\\303'; "
		"read x; printf '\\\\251\\\\377'; printf no >&2\"],\"stdin\":\"Cg==\"}");
	struct buf out[2] = { BUF_INIT(100), BUF_INIT(100) };
	int type = 0;
	json_t *got = NULL;
	while (type != NOVA_MSG_RESP) {
		json_decref(got);
		got = receive(&type);
		if (type != NOVA_MSG_STREAM)
			continue;
		struct buf *b = &out[number(got, "stream") - 1];
		json_t *plain = json_object_get(got, "data"),
		       *coded = json_object_get(got, "base64");
		ck_assert(!plain != !coded);
		if (plain)
			buf_append(b, json_string_value(plain), json_string_length(plain));
		else
			ck_assert_int_eq(
				base64_get(b, json_string_value(coded), json_string_length(coded)),
				0);
	}
	json_decref(got);
	ck_assert_uint_eq(out[0].len, 3);
	ck_assert_mem_eq(out[0].data, "\303\251\377", 3);
	ck_assert_mem_eq(out[1].data, "no", 2);
	buf_free(&out[0]);
	buf_free(&out[1]);
}
END_TEST

START_TEST(a_slow_reader_gets_everything_that_was_kept)
{
	send_text(NOVA_MSG_COMMAND,
		"{\"request_id\":\"s\",\"stream\":true,\"argv\":[\"sh\",\"-c\","
		"\"head -c 5000000 /dev/zero | tr '\\\\\\\\0' x; sleep 0.2\"]}");
	/* Pings pile up behind it, and are all answered once we read. */
	for (int i = 0; i < 2000; i++)
		send_text(NOVA_MSG_PING, "{\"request_id\":\"p\"}");
	size_t streamed = 0;
	int pongs = 0, type;
	bool done = false;
	while (!done || pongs < 2000) {
		AUTO_JSON json_t *got = receive(&type);
		ck_assert_ptr_nonnull(got);
		if (type == NOVA_MSG_STREAM)
			streamed += json_string_length(json_object_get(got, "data"));
		else if (type == NOVA_MSG_RESP && strcmp(text(got, "request_id"), "p") == 0)
			pongs++;
		else if (type == NOVA_MSG_RESP)
			done = true;
	}
	ck_assert_uint_eq(streamed, 1u << 20);
}
END_TEST

START_TEST(ping_is_answered_while_a_function_runs)
{
	send_text(NOVA_MSG_COMMAND,
		"{\"request_id\":\"c\",\"argv\":[\"sleep\",\"1000\"],\"timeout_ms\":500}");
	ck_alive();
	AUTO_JSON json_t *got = answer();
	ck_assert_str_eq(text(got, "request_id"), "c");
	ck_assert(json_is_true(json_object_get(got, "timed_out")));
}
END_TEST

START_TEST(a_host_that_goes_away_during_a_run_leaves_nothing_running)
{
	python("import time, os\nopen(os.environ['HOME'] + '/begun', 'w')\ndef handler(e):\n    if "
	       "os.fork() == 0: os.setsid()\n    time.sleep(1000)\n");
	send_text(NOVA_MSG_EXEC, "{\"request_id\":\"r\",\"input\":1}");
	send_text(NOVA_MSG_COMMAND, "{\"request_id\":\"c\",\"argv\":[\"sh\",\"-c\",\"echo; (setsid "
				    "sleep 1000 &); sleep 1000\"],\"stream\":true}");
	int type = 0;
	while (type != NOVA_MSG_STREAM)
		/* now both are under way; teardown hangs up and counts */
		json_decref(receive(&type));
}
END_TEST

static Suite *agent_suite(void)
{
	Suite *suite = suite_create("agent");
	TCase *tc = add_case(suite, "messages");
	tcase_add_test(tc, ready_comes_once_and_unasked);
	tcase_add_test(tc, what_the_agent_does_not_know_is_refused_and_the_connection_goes_on);
	tcase_add_loop_test(tc, a_frame_that_makes_no_sense_ends_the_connection, 0, 3);
	tcase_add_test(tc, a_frame_may_come_byte_by_byte_and_be_cut_off);
	tcase_add_test(tc, stop_is_answered_and_ends_everything_that_runs);
	tcase_add_test(tc, cancel_ends_one_request_with_all_its_processes_and_leaves_the_others);
	tcase_add_test(tc, cancel_of_what_is_not_under_way_is_passed_over);
	tcase_add_test(tc, cancel_before_the_interpreter_is_there_is_a_refusal);
	tcase_add_test(tc, a_command_can_be_cancelled_too);
	tcase_add_test(tc, resume_as_a_plain_process_touches_nothing_but_the_interpreter);
	tcase_add_test(tc, a_command_gets_its_input_environment_and_directory);
	tcase_add_test(tc, input_that_has_no_place_ends_its_request_and_only_that);
	tcase_add_test(
		tc, a_command_that_flows_sends_no_more_than_its_window_before_there_is_credit);
	tcase_add_test(tc, output_that_the_host_takes_late_comes_whole_while_its_command_is_silent);
	tcase_add_test(tc, a_command_that_cannot_be_started_is_told_as_a_shell_would);
	tcase_add_test(tc, a_command_with_much_input_that_nobody_reads_ends_all_the_same);
	tcase_add_test(tc, many_requests_run_at_once_and_one_too_many_is_told_so);
	tc = add_case(suite, "programs");
	tcase_add_test(tc, a_function_reads_its_input_file_and_prints_json);
	tcase_add_test(tc, what_is_not_json_becomes_a_string);
	tcase_add_test(tc, a_failing_function_is_described_by_its_code_and_last_words);
	tcase_add_test(tc, a_function_that_never_ends_is_killed_and_keeps_its_text);
	tcase_add_test(tc, a_function_that_stops_itself_is_killed_in_time);
	tcase_add_test(tc, output_without_end_is_read_and_dropped);
	tcase_add_test(tc, output_that_swells_as_json_is_whole_and_the_texts_beside_it_fit_a_frame);
	tcase_add_test(tc, output_of_up_to_the_limit_is_whole_and_beyond_it_an_error);
	tcase_add_test(tc, the_answer_does_not_wait_for_daemons_and_they_do_not_stay);
	tcase_add_test(tc, a_function_may_close_its_outputs_and_go_on);
	tcase_add_test(tc, code_that_is_missing_or_no_program_is_told_at_init);
	tcase_add_test(tc, a_binary_that_wants_another_loader_is_told_what_it_must_be);
	tc = add_case(suite, "streams");
	tcase_add_test(tc, output_is_streamed_while_it_is_produced);
	tcase_add_test(tc, a_slow_reader_gets_everything_that_was_kept);
	tcase_add_test(tc, ping_is_answered_while_a_function_runs);
	tcase_add_test(tc, a_host_that_goes_away_during_a_run_leaves_nothing_running);
	return suite;
}

TEST_MAIN(agent_suite)
