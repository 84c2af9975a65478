/* SPDX-License-Identifier: MIT */
/* The warm interpreter. */
#include "agent.h"

START_TEST(a_python_handler_is_called_with_the_event)
{
	python("import sys, os\nprint('only once')\n"
	       "def handler(event):\n    print('said'); print('logged', file=sys.stderr)\n"
	       "    return {'hello': event['name'], 'colour': os.environ['COLOUR'], 'id': "
	       "os.environ['NOVA_REQUEST_ID']}\n");
	AUTO_JSON json_t *got = exec("{\"name\":\"W\xc3\xb6rld\"}", 0);
	ck_output(got, "{\"colour\":\"blue\",\"hello\":\"W\xc3\xb6rld\",\"id\":\"r1\"}");
	ck_assert_str_eq(text(got, "stdout"), "said\n");
	ck_assert_str_eq(text(got, "stderr"), "logged\n");
}
END_TEST

START_TEST(init_says_whether_an_interpreter_is_warm)
{
	write_code("handler", "def handler(event): return 1\n", 0644);
	AUTO_JSON json_t *warm = init_answer("python", "main.handler");
	ck_assert(json_is_true(json_object_get(warm, "warm")));
	write_code("handler", "echo 1", 0644);
	AUTO_JSON json_t *cold = init_answer("shell", "main.handler");
	ck_assert(json_is_false(json_object_get(cold, "warm")));
}
END_TEST

START_TEST(a_module_in_a_directory_is_found_by_its_name)
{
	write_code("app.py",
		"import helper\ndef run(event, context):\n    return [helper.twice(event), "
		"context.request_id]\n",
		0644);
	write_code("helper.py", "def twice(x): return 2 * x\n", 0644);
	AUTO_JSON json_t *ready = init_answer("python", "app.run");
	ck_assert_str_eq(text(ready, "status"), "initialized");
	AUTO_JSON json_t *got = exec("21", 0);
	ck_output(got, "[42,\"r1\"]");
}
END_TEST

START_TEST(the_same_file_without_the_name_runs_as_a_script)
{
	python("import json, sys\nif __name__ == '__main__':\n    def handler(e): return e\n"
	       "    print(json.dumps([handler(json.load(open(sys.argv[1]))), len(sys.argv), "
	       "__file__.endswith('handler')]))\n");
	AUTO_JSON json_t *got = exec("{\"a\":1}", 0);
	ck_output(got, "[{\"a\":1},2,true]");
	python("print('hello')\nimport sys\nsys.exit(4)\n");
	AUTO_JSON json_t *exits = exec("{}", 0);
	ck_assert_int_eq(number(exits, "exit_code"), 4);
	ck_assert_str_eq(text(exits, "stdout"), "hello\n");
	ck_has(exits, "error", "exit 4");
}
END_TEST

START_TEST(an_exception_is_named_and_its_traceback_kept)
{
	python("def handler(event):\n    return event['missing']\n");
	AUTO_JSON json_t *got = exec("{}", 0);
	ck_assert_str_eq(text(got, "error"), "KeyError: 'missing'");
	ck_assert_int_eq(number(got, "exit_code"), 1);
	ck_has(got, "stderr", "Traceback");
	ck_has(got, "stderr", "return event['missing']");
	ck_assert_ptr_null(strstr(text(got, "stderr"), "worker"));
	ck_assert_ptr_null(strstr(text(got, "stderr"), "<string>"));
}
END_TEST

START_TEST(every_way_out_of_a_handler_is_told_apart)
{
	static const struct {
		const char *body, *error;
		int exit_code;
	} cases[] = {
		{ "sys.exit(7)", "exit 7", 7 },
		{ "sys.exit('no luck')", "exit 1: no luck", 1 },
		{ "os._exit(9)", "exit 9", 9 },
		{ "os.kill(os.getpid(), 6)", "signal 6", 134 },
		{ "return {1, 2}",
			"TypeError: the handler's return value cannot be written as JSON", 1 },
		{ "return float('nan')",
			"ValueError: the handler's return value cannot be written as JSON", 1 },
		{ "return 'x' * (7 << 20)", "ValueError: the handler's return value is", 1 },
		{ "return [[]] * 2 if event else deep()", "RecursionError", 1 },
		{ "os.closerange(0, 100)", "exit 1", 1 },
		{ "raise KeyboardInterrupt", "KeyboardInterrupt", 1 },
		{ "1/0", "ZeroDivisionError: division by zero", 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *source = str_format("import os, sys\ndef deep(): return "
						    "[deep()]\ndef handler(event):\n    %s\n",
			cases[i].body);
		python(source);
		AUTO_JSON json_t *got = exec("null", 0);
		ck_has(got, "error", cases[i].error);
		ck_assert_int_eq(number(got, "exit_code"), cases[i].exit_code);
		ck_alive();
	}
}
END_TEST

START_TEST(a_module_that_cannot_be_imported_is_told_at_init_with_the_interpreters_words)
{
	static const char *const cases[][2] = {
		{ "def handler(event: return 1\n", "SyntaxError" },
		{ "import no_such_module\ndef handler(e): pass\n",
			"ModuleNotFoundError: No module named 'no_such_module'" },
		{ "def handler(e): pass\nraise ValueError('at import')\n",
			"ValueError: at import" },
		{ "handler = 5\n", "is no function: it is of type int" },
		{ "import os\ndef handler(e): pass\nos._exit(3)\n", "exit status 3" },
		{ "import os\ndef handler(e): pass\nos.kill(os.getpid(), 9)\n", "signal 9" },
		{ "import sys\ndef handler(e): pass\nsys.exit(2)\n", "SystemExit: 2" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_code("handler", cases[i][0], 0644);
		AUTO_JSON json_t *got = init_answer("python", "main.handler");
		ck_assert_str_eq(text(got, "code"), "code");
		ck_has(got, "error", cases[i][1]);
		AUTO_JSON json_t *none = exec("{}", 0);
		ck_has(none, "error", "send Init");
	}
	write_code("handler", "def handler(e): pass\nraise ValueError('x')\n", 0644);
	AUTO_JSON json_t *got = init_answer("python", "main.handler");
	ck_has(got, "stderr", "Traceback");
}
END_TEST

START_TEST(an_import_without_end_is_given_up)
{
	write_code("handler", "def handler(e): pass\nwhile True: pass\n", 0644);
	AUTO_JSON json_t *got = ask(NOVA_MSG_INIT, "{\"runtime\":\"python\",\"timeout_ms\":300}");
	ck_has(got, "error", "longer than 300 ms");
	ck_alive();
}
END_TEST

START_TEST(forks_of_one_interpreter_share_no_randomness)
{
	python("import random, uuid, os, tempfile\nr = random.Random()\n"
	       "def handler(event): return [random.random(), r.random(), "
	       "next(tempfile._get_candidate_names()), str(uuid.uuid4()), os.urandom(4).hex()]\n");
	AUTO_JSON json_t *a = exec("{}", 0);
	AUTO_JSON json_t *b = exec("{}", 0);
	for (size_t i = 0; i < 5; i++) {
		json_t *left = json_array_get(json_object_get(a, "output"), i);
		ck_assert_ptr_nonnull(left);
		ck_assert(!json_equal(left, json_array_get(json_object_get(b, "output"), i)));
	}
}
END_TEST

START_TEST(forks_of_one_interpreter_go_on_with_what_was_seeded_on_purpose)
{
	python("import random, os\nrandom.seed(42)\nr = random.Random(42)\n"
	       "def child():\n    pid = os.fork()\n    if pid == 0:\n        "
	       "os._exit(int(random.random() * 100))\n    return os.waitpid(pid, 0)[1] >> 8\n"
	       "def handler(event): return [random.random() == r.random() == 0.6394267984578837] "
	       "if event else len({child() for _ in range(4)}) > 1\n");
	for (int i = 0; i < 2; i++) {
		AUTO_JSON json_t *got = exec("1", 0);
		ck_output(got, "[true]");
	}
	AUTO_JSON json_t *forks = exec("0", 0);
	ck_output(forks, "true"); /* in forks of the function's own Python does as always */
}
END_TEST

START_TEST(hooks_for_forks_run_again_in_a_clone_whose_fork_was_there_before)
{
	static const char clone[] = "{\"request_id\":\"r\",\"unix_us\":1,\"entropy\":\"AAAA\","
				    "\"hostname\":\"h\",\"machine_id\":\"m\"}";
	python("import os\nlog = []\nos.register_at_fork(after_in_child=lambda: "
	       "log.append(1))\ndef handler(event): return log\n");
	AUTO_JSON json_t *before = exec("0", 0);
	ck_output(before, "[1]");
	/* a fork waits when that is answered */
	json_decref(ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}"));
	json_decref(ask(NOVA_MSG_RESUME, clone));
	AUTO_JSON json_t *first = exec("0", 0);
	ck_output(first, "[1,1]");
	json_decref(exec("0", 0)); /* its fork may have been there, too */
	AUTO_JSON json_t *third = exec("0", 0);
	ck_output(third, "[1]");
}
END_TEST

/* In a fork, or in the interpreter itself. */
START_TEST(a_rehearsal_goes_the_whole_way_and_runs_nothing_of_the_function)
{
	static const char rehearse[] = "{\"request_id\":\"r\",\"timeout_ms\":9000,"
				       "\"input\":{\"a\":[1,\"b\"]}}";
	AUTO_FREE char *module =
		str_format("__nova_in_place__ = %s\ncalls = []\ndef handler(event):\n"
			   "    calls.append(event)\n    return calls\n",
			_i ? "True" : "False");
	python(module);
	for (int i = 0; i < 2; i++) {
		AUTO_JSON json_t *told = ask(NOVA_MSG_REHEARSE, rehearse);
		ck_output(told, "{\"a\":[1,\"b\"]}");
		ck_assert_str_eq(text(told, "stdout"), "rehearsal\n");
		ck_assert_str_eq(text(told, "stderr"), "rehearsal\n");
	}
	AUTO_JSON json_t *first = exec("1", 0);
	ck_output(first, "[1]");
	ck_assert_str_eq(text(first, "stdout"), "");
	AUTO_JSON json_t *refused = ask(NOVA_MSG_REHEARSE, "{\"request_id\":\"r\",\"x\":1}");
	ck_assert_str_eq(text(refused, "code"), "invalid");
}
END_TEST

START_TEST(init_names_what_the_import_drew_and_cannot_be_drawn_anew)
{
	static const char *const cases[][2] = {
		{ "import os\nSALT = os.urandom(16)\ndef handler(event): return 1\n",
			"os.urandom() in handler, line 2" },
		{ "import uuid\nID = uuid.uuid4()\ndef handler(event): return 1\n",
			"uuid.uuid4() in handler, line 2" },
		{ "import random\nrandom.random()\ndef handler(event): return 1\n", "" },
		{ "import os\ndef handler(event): return len(os.urandom(1))\n", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_code("handler", cases[i][0], 0644);
		AUTO_JSON json_t *ready = init_answer("python", "main.handler");
		ck_assert_str_eq(text(ready, "draws"), cases[i][1]);
		AUTO_JSON json_t *got = exec("0", 0);
		ck_output(got, "1");
	}
	write_code("handler", "echo 1", 0644);
	AUTO_JSON json_t *shell = init_answer("shell", "main.handler");
	ck_assert_str_eq(text(shell, "draws"), "");
}
END_TEST

/* The interpreter's children, in the order in which they were made. */
static size_t forks_of(int worker, int pids[4])
{
	AUTO_FREE char *path = str_format("/proc/%d/task/%d/children", worker, worker);
	AUTO_BUF struct buf list = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(path, &list), 0);
	ck_assert_int_eq(buf_append(&list, "", 1), 0);
	size_t count = 0;
	for (char *at = (char *)list.data, *end; count < 4; at = end) {
		pids[count] = (int)strtol(at, &end, 10);
		if (end == at)
			break;
		count++;
	}
	return count;
}

static void kill_and_await(pid_t spare)
{
	AUTO_FREE char *path = str_format("/proc/%d/stat", (int)spare);
	struct pollfd never = { -1, 0, 0 };
	ck_assert_int_gt(spare, 1);
	while (kill(spare, SIGKILL) == 0) {
		AUTO_BUF struct buf stat = BUF_INIT(4096);
		if (fs_read_file(path, &stat) < 0 || buf_append(&stat, "", 1) < 0 ||
			strstr((char *)stat.data, ") Z"))
			return;
		sys_poll(&never, 1, 1);
	}
}

START_TEST(forks_that_die_while_they_wait_cost_no_request)
{
	python("import os\ndef handler(event): return os.getppid()\n");
	AUTO_JSON json_t *first = exec("0", 0);
	int worker = (int)json_integer_value(json_object_get(first, "output"));
	for (int round = 0; round < 5; round++) {
		/* a fork waits when that is answered */
		json_decref(ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}"));
		int pids[4];
		for (size_t i = forks_of(worker, pids); i-- > 0;)
			kill_and_await(pids[i]);
		AUTO_JSON json_t *got = exec("0", 0);
		ck_assert_int_eq(number(got, "output"), worker);
	}
}
END_TEST

START_TEST(a_copied_machine_has_a_fork_for_the_call_behind_the_next_too)
{
	int before[4];
	python("import os\ndef handler(event): return [os.getpid(), os.getppid()][event]\n");
	AUTO_JSON json_t *parent = exec("1", 0);
	int worker = number(parent, "output");
	/* what is there after a hook, or before anybody called, is made by Freeze */
	json_decref(ask(NOVA_MSG_REHEARSE, "{\"request_id\":\"r\",\"input\":1}"));
	json_decref(ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}"));
	while (forks_of(worker, before) > 2) /* one that was killed */
		ck_alive();
	for (int i = 0; i < 2; i++) {
		AUTO_JSON json_t *got = exec("0", 0);
		ck_assert_int_eq(number(got, "output"), before[i]);
	}
}
END_TEST

START_TEST(a_freeze_right_after_a_call_keeps_the_fork_that_waits)
{
	int before[4], after[4];
	python("import os\ndef handler(event): return [os.getpid(), os.getppid()][event]\n");
	AUTO_JSON json_t *parent = exec("1", 0);
	int worker = number(parent, "output");
	json_decref(ask(NOVA_MSG_REHEARSE, "{\"request_id\":\"r\",\"input\":1}"));
	json_decref(ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}"));
	while (forks_of(worker, before) > 2)
		ck_alive();
	json_decref(exec("0", 0));
	json_decref(ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}"));
	while (forks_of(worker, after) && after[0] == before[0]) /* that has answered */
		ck_alive();
	ck_assert_int_eq(after[0], before[1]);
	AUTO_JSON json_t *got = exec("0", 0);
	ck_assert_int_eq(number(got, "output"), before[1]);
}
END_TEST

/* --- hooks --- */

START_TEST(the_hooks_of_a_module_run_once_and_every_request_sees_what_they_did)
{
	python("import nova\nlog = []\n@nova.before_snapshot\ndef close(): log.append('close')\n"
	       "def after_restore(): log.append('open')\ndef handler(event): return log\n");
	AUTO_JSON json_t *before = exec("0", 0);
	ck_output(before, "[]");
	AUTO_JSON json_t *frozen = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}");
	ck_assert_str_eq(text(frozen, "status"), "frozen");
	AUTO_JSON json_t *closed = exec("0", 0);
	ck_output(closed, "[\"close\"]");
	AUTO_JSON json_t *resumed =
		ask(NOVA_MSG_RESUME, "{\"request_id\":\"r\",\"entropy\":\"AAAA\"}");
	ck_assert_str_eq(text(resumed, "status"), "resumed");
	for (int i = 0; i < 2; i++) {
		AUTO_JSON json_t *open = exec("0", 0);
		ck_output(open, "[\"close\",\"open\"]");
	}
}
END_TEST

START_TEST(a_machine_that_is_only_late_runs_no_hook)
{
	python("log = []\ndef after_restore(): log.append('open')\ndef handler(event): return "
	       "log\n");
	AUTO_JSON json_t *late = ask(NOVA_MSG_RESUME, "{\"request_id\":\"r\",\"unix_us\":1}");
	ck_assert_str_eq(text(late, "status"), "resumed");
	AUTO_JSON json_t *got = exec("0", 0);
	ck_output(got, "[]");
}
END_TEST

START_TEST(init_tells_of_hooks_and_then_resume_cannot_ride_in_a_request)
{
	static const char exec_with[] =
		"{\"request_id\":\"r1\",\"input\":7,\"resume\":{\"entropy\":\"AAAA\",\"unix_us\":1,"
		"\"hostname\":\"h\",\"machine_id\":\"m\"}}";
	write_code("handler", "def handler(event): return event\n", 0644);
	AUTO_JSON json_t *plain = init_answer("python", "main.handler");
	ck_assert(json_is_false(json_object_get(plain, "hooks")));
	AUTO_JSON json_t *ridden = ask(NOVA_MSG_EXEC, exec_with);
	ck_output(ridden, "7");
	write_code(
		"handler", "def after_restore(): pass\ndef handler(event): return event\n", 0644);
	AUTO_JSON json_t *hooked = init_answer("python", "main.handler");
	ck_assert(json_is_true(json_object_get(hooked, "hooks")));
	AUTO_JSON json_t *refused = ask(NOVA_MSG_EXEC, exec_with);
	ck_assert_str_eq(text(refused, "code"), "invalid");
	ck_has(refused, "error", "send Resume by itself");
	AUTO_JSON json_t *late = ask(
		NOVA_MSG_EXEC, "{\"request_id\":\"r2\",\"input\":8,\"resume\":{\"unix_us\":1}}");
	ck_output(late, "8");
}
END_TEST

START_TEST(a_hook_that_fails_refuses_and_the_next_request_has_a_new_interpreter)
{
	python("broken = []\ndef before_snapshot():\n    broken.append(1)\n    raise OSError('no "
	       "way')\ndef handler(event): return broken\n");
	AUTO_JSON json_t *refused = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}");
	ck_assert_str_eq(text(refused, "code"), "code");
	ck_assert_str_eq(
		text(refused, "error"), "before_snapshot: OSError: no way (handler, line 4)");
	ck_has(refused, "stderr", "Traceback");
	AUTO_JSON json_t *next = exec("0", 0);
	ck_output(next, "[]");
}
END_TEST

START_TEST(a_hook_without_end_is_given_up_and_one_that_kills_its_interpreter_is_told)
{
	python("import os, time\ndef before_snapshot(): time.sleep(1000)\ndef after_restore(): "
	       "os._exit(3)\ndef handler(event): return 1\n");
	AUTO_JSON json_t *late = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\",\"timeout_ms\":300}");
	ck_assert_str_eq(text(late, "error"), "before_snapshot: timeout after 300 ms");
	AUTO_JSON json_t *next = exec("0", 0);
	ck_output(next, "1");
	AUTO_JSON json_t *dead =
		ask(NOVA_MSG_RESUME, "{\"request_id\":\"r\",\"entropy\":\"AAAA\"}");
	ck_has(dead, "error", "after_restore: the interpreter has ended");
	AUTO_JSON json_t *again = exec("0", 0);
	ck_output(again, "1");
}
END_TEST

START_TEST(a_function_that_brings_a_module_of_the_name_nova_has_its_own)
{
	write_code("nova.py", "mine = 5\n", 0644);
	python("import nova\ndef handler(event): return nova.mine\n");
	AUTO_JSON json_t *got = exec("0", 0);
	ck_output(got, "5");
}
END_TEST

START_TEST(programs_are_the_hooks_of_other_runtimes)
{
	AUTO_FREE char *hooks = path_join(code, "hooks");
	ck_assert_int_eq(fs_mkdirs(hooks, 0755), 0);
	write_code("hooks/before_snapshot", "#!/bin/sh\necho $COLOUR > frozen\n", 0755);
	write_code("hooks/after_restore", "#!/bin/sh\necho bad luck >&2; exit 4\n", 0755);
	shell("cat frozen\n");
	AUTO_JSON json_t *frozen = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}");
	ck_assert_str_eq(text(frozen, "status"), "frozen");
	AUTO_JSON json_t *got = exec("0", 0);
	ck_output(got, "\"blue\"");
	AUTO_JSON json_t *failed =
		ask(NOVA_MSG_RESUME, "{\"request_id\":\"r\",\"entropy\":\"AAAA\"}");
	ck_assert_str_eq(text(failed, "error"), "after_restore: exit 4");
	ck_assert_str_eq(text(failed, "stderr"), "bad luck\n");
}
END_TEST

START_TEST(freeze_waits_for_no_hook_and_is_refused_while_a_request_runs)
{
	AUTO_JSON json_t *bare = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}");
	ck_assert_str_eq(text(bare, "status"), "frozen");
	shell("sleep 1000\n");
	send_text(NOVA_MSG_EXEC, "{\"request_id\":\"r1\",\"input\":1,\"timeout_ms\":1500}");
	AUTO_JSON json_t *busy = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}");
	ck_assert_str_eq(text(busy, "code"), "busy");
	AUTO_JSON json_t *over = answer();
	ck_assert_str_eq(text(over, "request_id"), "r1");
}
END_TEST

START_TEST(a_request_cannot_change_the_next_one)
{
	python("import os\nstate = []\ndef handler(event):\n    state.append(1); os.environ['X'] = "
	       "'y'; os.chdir('/')\n"
	       "    return [len(state), os.environ.get('Y', ''), os.getcwd() != '/' ]\n");
	for (int i = 0; i < 2; i++) {
		AUTO_JSON json_t *got = exec("{}", 0);
		ck_output(got, "[1,\"\",false]");
	}
}
END_TEST

START_TEST(handlers_of_every_shape_are_called)
{
	static const char *const cases[][2] = {
		{ "async def handler(event): return event", "5" },
		{ "handler = lambda event: event + 1", "6" },
		{ "def handler(): return 'none'", "\"none\"" },
		{ "def handler(event, context): return context.get_remaining_time_in_millis() > 0",
			"true" },
		{ "class C:\n    def __call__(self, event): return 'called'\nhandler = C()",
			"\"called\"" },
		{ "class C:\n    def m(self, event, ctx): return ctx.request_id\nhandler = C().m",
			"\"r1\"" },
		{ "try:\n    from nowhere import handler\nexcept ImportError:\n    def handler(e): "
		  "return 'fallback'",
			"\"fallback\"" },
		{ "def handler(event): return None", "null" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		python(cases[i][0]);
		AUTO_JSON json_t *got = exec("5", 0);
		ck_output(got, cases[i][1]);
	}
}
END_TEST

START_TEST(large_inputs_and_outputs_pass)
{
	python("def handler(event): return [len(event), event[:3000000]]\n");
	AUTO_FREE char *input = malloc((5u << 20) + 3);
	memset(input, 'x', (5u << 20) + 2);
	input[0] = input[(5u << 20) + 1] = '"';
	input[(5u << 20) + 2] = 0;
	AUTO_JSON json_t *got = exec(input, PATIENCE_MS);
	json_t *output = json_object_get(got, "output");
	ck_assert_int_eq(json_integer_value(json_array_get(output, 0)), 5 << 20);
	ck_assert_uint_eq(json_string_length(json_array_get(output, 1)), 3000000);
}
END_TEST

START_TEST(a_handler_that_never_ends_is_killed_and_the_next_one_runs)
{
	python("import signal, os, sys\ndef handler(event):\n    if not event: return 'fine'\n"
	       "    signal.signal(signal.SIGTERM, signal.SIG_IGN); print('begun', flush=True)\n"
	       "    if os.fork() == 0:\n        os.setsid()\n    while True: pass\n");
	AUTO_JSON json_t *got = exec("1", 2000);
	ck_assert(json_is_true(json_object_get(got, "timed_out")));
	ck_assert_str_eq(text(got, "stdout"), "begun\n");
	ck_has(got, "error", "timeout after 2000 ms");
	AUTO_JSON json_t *next = exec("0", 0);
	ck_output(next, "\"fine\"");
}
END_TEST

START_TEST(an_interpreter_that_was_killed_or_stopped_is_started_again)
{
	python("import os, signal, time\ndef handler(event):\n    if event == 'kill': "
	       "os.kill(os.getppid(), 9); time.sleep(1000)\n"
	       "    if event == 'stop': os.kill(os.getppid(), signal.SIGSTOP)\n    return "
	       "'fine'\n");
	AUTO_JSON json_t *killed = exec("\"kill\"", 0);
	ck_assert_str_ne(text(killed, "error"), "");
	AUTO_JSON json_t *next = exec("0", 0);
	ck_output(next, "\"fine\"");
	json_decref(exec("\"stop\"", 0));
	AUTO_JSON json_t *stuck = exec("0", 300);
	ck_assert(json_is_true(json_object_get(stuck, "timed_out")));
	AUTO_JSON json_t *after = exec("0", 0);
	ck_output(after, "\"fine\"");
}
END_TEST

START_TEST(the_children_of_a_handler_do_not_stay)
{
	python("import subprocess, os\ndef handler(event):\n    subprocess.Popen(['sleep', "
	       "'1000'], start_new_session=True)\n"
	       "    if os.fork() == 0:\n        import time\n        time.sleep(1000)\n    return "
	       "'gone'\n");
	AUTO_JSON json_t *got = exec("{}", PATIENCE_MS);
	ck_output(got, "\"gone\"");
}
END_TEST

static void init_once(const char *source, const char *more)
{
	AUTO_FREE char *payload = str_format(
		"{\"request_id\":\"init\",\"runtime\":\"python\",\"once\":true%s}", more);
	write_code("handler", source, 0644);
	AUTO_JSON json_t *got = ask(NOVA_MSG_INIT, payload);
	ck_assert_str_eq(text(got, "status"), "initialized");
}

START_TEST(the_only_call_runs_in_the_interpreter_and_leaves_what_one_in_a_fork_does)
{
	AUTO_FREE char *left = path_join(dir, "left");
	AUTO_FREE char *source = str_format(
		"import os\nPID = os.getpid()\ndef handler(event):\n    global f\n"
		"    f = open('%s', 'w'); f.write('written')\n    print('said')\n"
		"    os.system('printf $NOVA_REQUEST_ID')\n    return os.getpid() == PID\n",
		left);
	AUTO_BUF struct buf content = BUF_INIT(16);
	python(source);
	AUTO_JSON json_t *forked = exec("{}", 0);
	ck_output(forked, "false");
	init_once(source, "");
	AUTO_JSON json_t *got = exec("{}", 0);
	ck_output(got, "true");
	ck_assert_str_eq(text(got, "stdout"), "r1said\n");
	ck_assert_int_gt(number(got, "peak_kb"), 0);
	ck_assert_int_eq(fs_read_file(left, &content), 0);
	ck_assert_uint_eq(content.len, 7);
	init_once("import sys\nprint('x' * (2 << 20))\nsys.exit(3)\n", "");
	AUTO_JSON json_t *script = exec("{}", 0);
	ck_assert_uint_eq(strlen(text(script, "stdout")), (2 << 20) + 1);
	ck_assert_int_eq(number(script, "exit_code"), 3);
}
END_TEST

static bool has_child(void)
{
	char path[64];
	AUTO_BUF struct buf numbers = BUF_INIT(4096);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	ck_assert_int_eq(fs_read_file(path, &numbers), 0);
	return numbers.len;
}

START_TEST(after_the_only_call_was_killed_the_code_is_not_imported_again)
{
	python("def handler(event):\n    while True: pass\n");
	json_decref(exec("{}", 300));
	ck_alive();
	ck_assert(has_child());
	init_once("def handler(event):\n    while True: pass\n", "");
	AUTO_JSON json_t *got = exec("{}", 300);
	ck_assert(json_is_true(json_object_get(got, "timed_out")));
	while (has_child()) /* that was killed */
		ck_alive();
}
END_TEST

START_TEST(a_program_is_run_whatever_it_calls_its_handler)
{
	init_once("def handler(number, frame): pass\nprint('ran')\n", ",\"program\":true");
	AUTO_JSON json_t *got = exec("{}", 0);
	ck_assert_str_eq(text(got, "stdout"), "ran\n");
	init_once("def handler(event): return 1\nprint('ran')\n",
		",\"program\":true,\"handler\":\"main.handler\"");
	AUTO_JSON json_t *named = exec("{}", 0);
	ck_output(named, "1");
}
END_TEST

static Suite *python_suite(void)
{
	Suite *suite = suite_create("python");
	TCase *tc = add_case(suite, "python");
	tcase_add_test(tc, a_python_handler_is_called_with_the_event);
	tcase_add_test(tc, init_says_whether_an_interpreter_is_warm);
	tcase_add_test(tc, a_module_in_a_directory_is_found_by_its_name);
	tcase_add_test(tc, the_same_file_without_the_name_runs_as_a_script);
	tcase_add_test(tc, an_exception_is_named_and_its_traceback_kept);
	tcase_add_test(tc, every_way_out_of_a_handler_is_told_apart);
	tcase_add_test(
		tc, a_module_that_cannot_be_imported_is_told_at_init_with_the_interpreters_words);
	tcase_add_test(tc, an_import_without_end_is_given_up);
	tcase_add_test(tc, forks_of_one_interpreter_share_no_randomness);
	tcase_add_test(tc, forks_of_one_interpreter_go_on_with_what_was_seeded_on_purpose);
	tcase_add_test(tc, hooks_for_forks_run_again_in_a_clone_whose_fork_was_there_before);
	tcase_add_loop_test(
		tc, a_rehearsal_goes_the_whole_way_and_runs_nothing_of_the_function, 0, 2);
	tcase_add_test(tc, init_names_what_the_import_drew_and_cannot_be_drawn_anew);
	tcase_add_test(tc, forks_that_die_while_they_wait_cost_no_request);
	tcase_add_test(tc, a_copied_machine_has_a_fork_for_the_call_behind_the_next_too);
	tcase_add_test(tc, a_freeze_right_after_a_call_keeps_the_fork_that_waits);
	tcase_add_test(tc, a_request_cannot_change_the_next_one);
	tcase_add_test(tc, handlers_of_every_shape_are_called);
	tcase_add_test(tc, large_inputs_and_outputs_pass);
	tcase_add_test(tc, a_handler_that_never_ends_is_killed_and_the_next_one_runs);
	tcase_add_test(tc, an_interpreter_that_was_killed_or_stopped_is_started_again);
	tcase_add_test(tc, the_children_of_a_handler_do_not_stay);
	tcase_add_test(tc, the_hooks_of_a_module_run_once_and_every_request_sees_what_they_did);
	tcase_add_test(tc, a_machine_that_is_only_late_runs_no_hook);
	tcase_add_test(tc, init_tells_of_hooks_and_then_resume_cannot_ride_in_a_request);
	tcase_add_test(tc, a_hook_that_fails_refuses_and_the_next_request_has_a_new_interpreter);
	tcase_add_test(
		tc, a_hook_without_end_is_given_up_and_one_that_kills_its_interpreter_is_told);
	tcase_add_test(tc, a_function_that_brings_a_module_of_the_name_nova_has_its_own);
	tcase_add_test(tc, programs_are_the_hooks_of_other_runtimes);
	tcase_add_test(
		tc, the_only_call_runs_in_the_interpreter_and_leaves_what_one_in_a_fork_does);
	tcase_add_test(tc, after_the_only_call_was_killed_the_code_is_not_imported_again);
	tcase_add_test(tc, a_program_is_run_whatever_it_calls_its_handler);
	tcase_add_test(tc, freeze_waits_for_no_hook_and_is_refused_while_a_request_runs);
	return suite;
}

TEST_MAIN(python_suite)
