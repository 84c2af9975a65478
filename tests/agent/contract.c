/* SPDX-License-Identifier: MIT */
/* What functions of other people rely on: who answers for them, how they are found and called, what
 * is said when they fail. */
#include "agent.h"

static json_t *run(const char *source)
{
	python(source);
	return exec("5", 0);
}

/* Sources, and what each answers to 5. */
static void ck_outputs(const char *const cases[][2], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_JSON json_t *got = run(cases[i][0]);
		ck_output(got, cases[i][1]);
	}
}

/* --- who may answer --- */

START_TEST(only_the_process_that_was_asked_answers)
{
	static const char *const bodies[][2] = {
		{ "sys.exit(0)", "[42,0]" },
		{ "return 'a child'", "[42,0]" },
		{ "sys.exit(3)", "[42,768]" },
		{ "raise ValueError('a child')", "[42,256]" },
		{ "os._exit(4)", "[42,1024]" },
		{ "if os.fork() == 0: return 'a grandchild'\n        os.wait(); return 'a child'",
			"[42,0]" },
	};
	static const char *const ways[] = { "", "__nova_in_place__ = True\n" };
	for (size_t way = 0; way < ARRAY_LEN(ways); way++)
		for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
			AUTO_FREE char *source = str_format(
				"import os, sys\n%sdef handler(event):\n    pid = os.fork()\n"
				"    if pid == 0:\n        %s\n    return [42, os.waitpid(pid, "
				"0)[1]]\n",
				ways[way], bodies[i][0]);
			AUTO_JSON json_t *got = run(source);
			ck_output(got, bodies[i][1]);
			AUTO_JSON json_t *again = exec("5", 0);
			ck_output(again, bodies[i][1]);
		}
}
END_TEST

START_TEST(a_child_of_a_script_that_ends_does_not_end_the_script)
{
	AUTO_JSON json_t *got = run("import os, sys\npid = os.fork()\nif pid == 0:\n    "
				    "sys.exit(0)\nos.waitpid(pid, 0)\n"
				    "print('{\"answer\": 42}')\n");
	ck_output(got, "{\"answer\":42}");
}
END_TEST

START_TEST(what_a_function_has_left_in_buffers_is_written)
{
	AUTO_JSON json_t *script =
		run("import os\nout = os.fdopen(1, 'w')\nout.write('{\"answer\": 42}')\n");
	ck_output(script, "{\"answer\":42}");
	AUTO_JSON json_t *binary =
		run("import os\nout = os.fdopen(os.dup(1), 'wb')\nout.write(b'[1]')\n");
	ck_output(binary, "[1]");
	/* One that was opened when the function was imported, and one of the call. */
	AUTO_FREE char *source =
		str_format("early = open('%s/early.csv', 'w')\ndef handler(event):\n"
			   "    global late\n    late = open('%s/late.csv', 'w'); "
			   "early.write('a,b'); late.write('c,d')\n",
			work, work);
	AUTO_JSON json_t *handler = run(source);
	ck_output(handler, "null");
	const char *const names[] = { "early.csv", "late.csv" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = path_join(work, names[i]);
		AUTO_BUF struct buf text = BUF_INIT(100);
		ck_assert_int_eq(fs_read_file(path, &text), 0);
		ck_assert_uint_eq(text.len, 3);
	}
}
END_TEST

/* --- which is the handler --- */

START_TEST(a_handler_that_was_named_and_is_not_there_is_an_error_with_the_nearest_name)
{
	static const char *const cases[][3] = {
		{ "def handler(event): return 1\n", "main.hanlder",
			"there is no 'hanlder' in handler; did you mean 'handler'?" },
		{ "def lambda_handler(event, context): return 1\n", "main.handler",
			"did you mean 'lambda_handler'?" },
		{ "def greet(event): return 1\ndef part(event): return 2\n", "main.main",
			"; there are greet, part" },
		{ "print('a script')\n", "main.handler",
			"there is no 'handler' in handler, and no other function either" },
		{ "", "main.handler", "no other function" },
		{ "handler = 'text'\n", "main.handler", "is no function: it is of type str" },
		{ "def handler(event):\n    yield 1\n", "main.handler",
			"is a generator, as it has a yield in it" },
		{ "async def handler(event):\n    yield 1\n", "main.handler", "is a generator" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_code("handler", cases[i][0], 0644);
		AUTO_JSON json_t *got = init_answer("python", cases[i][1]);
		ck_assert_str_eq(text(got, "code"), "code");
		ck_has(got, "error", cases[i][2]);
	}
}
END_TEST

START_TEST(a_name_is_found_however_it_was_made)
{
	static const char *const cases[][2] = {
		{ "handler, other = (lambda event: event), 1\n", "5" },
		{ "[other, (handler, *rest)] = 1, (lambda event: event, 2, 3)\n", "5" },
		{ "for handler in [lambda event: event]: pass\n", "5" },
		{ "while True:\n    def handler(event): return event\n    break\n", "5" },
		{ "if __name__ == '__main__':\n    print('as a program')\nelse:\n    def "
		  "handler(event): return event\n",
			"5" },
		{ "try:\n    pass\nfinally:\n    handler = lambda event: event\n", "5" },
		{ "match 1:\n    case 1:\n        def handler(event): return event\n", "5" },
		{ "handler: object = lambda event: event\n", "5" },
		{ "class handler:\n    def __new__(cls, event): return event\n", "5" },
		{ "def outer():\n    def handler(event): return event\nprint('a script')\n",
			"\"a script\"" },
		{ "try:\n    1 / 0\nexcept Exception as handler:\n    print('a script')\n",
			"\"a script\"" },
		{ "if __name__ == '__main__':\n    def handler(event): return event\nprint('a "
		  "script')\n",
			"\"a script\"" },
		{ "from impl import *\n", "[5]" },
		{ "from deep import *\n", "[5]" },
		{ "from math import *\nprint('a script')\n", "\"a script\"" },
		{ "def lambda_handler(event, context): return event\n", "5" },
		{ "def lambda_handler(event, context): return 1\ndef handler(event): return "
		  "event\n",
			"5" },
	};
	write_code("impl.py", "def handler(event): return [event]\n", 0644);
	write_code("deep.py", "from impl import *\n", 0644);
	ck_outputs(cases, ARRAY_LEN(cases));
	/* Behind more names than one byte counts. */
	AUTO_BUF struct buf many = BUF_INIT(1u << 16);
	for (int i = 0; i < 300; i++) {
		AUTO_FREE char *line = str_format("name%d = %d\n", i, i);
		ck_assert_int_eq(buf_append_str(&many, line), 0);
	}
	ck_assert_int_eq(buf_append(&many, "def handler(event): return event\n", 34), 0);
	const char *const behind[][2] = { { (char *)many.data, "5" } };
	ck_outputs(behind, 1);
	/* What no text shows is found by its name. */
	write_code("handler", "globals()['made'] = lambda event: event + 1\n", 0644);
	AUTO_JSON json_t *named = init_answer("python", "main.made");
	ck_assert_str_eq(text(named, "status"), "initialized");
	AUTO_JSON json_t *got = exec("5", 0);
	ck_output(got, "6");
}
END_TEST

START_TEST(init_says_what_is_called)
{
	static const char *const cases[][2] = {
		{ "def handler(event): pass\n", "handler" },
		{ "def lambda_handler(event, context): pass\n", "lambda_handler" },
		{ "print(1)\n", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_code("handler", cases[i][0], 0644);
		AUTO_JSON json_t *got = init_answer("python", "");
		ck_assert_str_eq(text(got, "calls"), cases[i][1]);
	}
}
END_TEST

/* --- how it is called --- */

START_TEST(a_second_positional_parameter_gets_the_context_and_a_keyword_only_one_never)
{
	static const char *const cases[][2] = {
		{ "def handler(event, anything): return anything.aws_request_id", "\"r1\"" },
		{ "def handler(event, lambda_context=None): return lambda_context.aws_request_id",
			"\"r1\"" },
		{ "def handler(event, context, /): return context.aws_request_id", "\"r1\"" },
		{ "def handler(event, *, context=None): return context", "null" },
		{ "def handler(event, context, more=1): return more", "1" },
		{ "def handler(*args): return [args[0], args[1].aws_request_id]", "[5,\"r1\"]" },
		{ "def handler(event, *args): return args[0].aws_request_id", "\"r1\"" },
		{ "def handler(event, **more): return more", "{}" },
		{ "def handler(event=None, context=None): return [event, context.aws_request_id]",
			"[5,\"r1\"]" },
	};
	ck_outputs(cases, ARRAY_LEN(cases));
}
END_TEST

#define WRAPPED                                                                                    \
	"import functools\ndef wrap(f):\n    @functools.wraps(f)\n    def wrapper(*args, "         \
	"**more): return f(*args, **more)\n"                                                       \
	"    return wrapper\n"
#define CALLS                                                                                      \
	"class Calls:\n    def __init__(self, f): self.f = f\n    def __call__(self, *args): "     \
	"return self.f(*args)\n"

START_TEST(handlers_behind_other_callables_are_called_as_what_they_are)
{
	static const char *const cases[][2] = {
		{ WRAPPED "@wrap\ndef handler(event, context): return context.aws_request_id",
			"\"r1\"" },
		{ WRAPPED "@wrap\ndef handler(event): return event", "5" },
		{ WRAPPED "@wrap\n@wrap\ndef handler(): return 1", "1" },
		{ "import functools\ndef f(first, event, context): return [first, event, "
		  "context.aws_request_id]\n"
		  "handler = functools.partial(f, 'first')",
			"[\"first\",5,\"r1\"]" },
		{ "import functools\ndef f(event, context): return [event, context]\nhandler = "
		  "functools.partial(f, context=7)",
			"[5,7]" },
		{ CALLS "@Calls\ndef handler(event, context): return context.aws_request_id",
			"\"r1\"" },
		{ "class App:\n    def __call__(self, event, context): return "
		  "context.aws_request_id\nhandler = App()",
			"\"r1\"" },
		{ "class App:\n    def __call__(self, event): return event\nhandler = App()", "5" },
		{ "class App:\n    @classmethod\n    def run(cls, event, context): return "
		  "context.aws_request_id\nhandler = App.run",
			"\"r1\"" },
		{ "class App:\n    @staticmethod\n    def run(event): return event\nhandler = "
		  "App.run",
			"5" },
		{ "class App(dict):\n    def __init__(self, event, context): self['id'] = "
		  "context.aws_request_id\nhandler = App",
			"{\"id\":\"r1\"}" },
		{ "handler = abs", "5" },
		{ "import functools\nasync def f(event, context): return context.aws_request_id\n"
		  "@functools.wraps(f)\nasync def handler(*args): return await f(*args)",
			"\"r1\"" },
	};
	ck_outputs(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(the_context_has_the_names_of_other_platforms)
{
	write_code("handler",
		"def handler(event, context):\n    return [context.aws_request_id, "
		"context.function_name, context.function_version,\n"
		"            context.invoked_function_arn, context.memory_limit_in_mb, "
		"context.log_group_name, bool(context.log_stream_name),\n"
		"            0 < context.get_remaining_time_in_millis() <= 30000, "
		"context.identity, context.client_context,\n"
		"            context.request_id, context.timeout_ms]\n",
		0644);
	AUTO_JSON json_t *ready = ask(NOVA_MSG_INIT,
		"{\"runtime\":\"python\",\"env_vars\":{\"NOVA_FUNCTION_NAME\":\"shop\","
		"\"NOVA_FUNCTION_MEMORY_MB\":\"128\"}}");
	ck_assert_str_eq(text(ready, "status"), "initialized");
	AUTO_JSON json_t *got = exec("{}", 30000);
	ck_output(got, "[\"r1\",\"shop\",\"$LATEST\",\"nova:function:shop\",\"128\",\"/nova/"
		       "shop\",true,true,null,null,\"r1\",30000]");
}
END_TEST

/* By either way in which an Exec is read: a number with an exponent is left to the slow one. */
START_TEST(what_a_client_tells_of_itself_is_in_the_context_of_that_call)
{
	static const char *const execs[] = {
		"{\"request_id\":\"r1\",\"client_context\":{\"custom\":{\"a\":[1]},\"client\":{"
		"\"app_title\":\"t\"}},\"timeout_ms\":30000,\"input\":{}}",
		"{\"request_id\":\"r1\",\"client_context\":{\"custom\":{\"a\":[1]},\"client\":{"
		"\"app_title\":\"t\"}},\"timeout_ms\":3e4,\"input\":{}}",
	};
	write_code("handler",
		"def handler(event, context):\n    told = context.client_context\n"
		"    return told and [told.custom, told.env, told.client.app_title, "
		"told.client.installation_id]\n",
		0644);
	json_decref(ask(NOVA_MSG_INIT, "{\"runtime\":\"python\"}"));
	for (size_t i = 0; i < ARRAY_LEN(execs); i++) {
		AUTO_JSON json_t *got = ask(NOVA_MSG_EXEC, execs[i]);
		ck_output(got, "[{\"a\":[1]},null,\"t\",null]");
		AUTO_JSON json_t *other = exec("{}", 30000);
		ck_output(other, "null");
	}
	write_code("handler", "printf '\"%s\"' \"$NOVA_CLIENT_CONTEXT\"", 0644);
	json_decref(ask(NOVA_MSG_INIT, "{\"runtime\":\"shell\"}"));
	AUTO_JSON json_t *got =
		ask(NOVA_MSG_EXEC, "{\"request_id\":\"r1\",\"client_context\":{},\"input\":{}}");
	ck_output(got, "\"{}\"");
}
END_TEST

START_TEST(a_program_is_called_with_arguments_and_stdin_if_the_host_says_so)
{
	static const char *const wrong[] = { "1", "{}", "{\"args\":[1]}", "{\"args\":{}}",
		"{\"args\":[],\"stdin\":\"%\"}", "{\"args\":[],\"stdin\":1}",
		"{\"args\":[],\"start\":\"add\"}", "{\"args\":[],\"name\":\"x\"}" };
	write_code("handler", "cat; echo \"[$#:$1]\"; cat \"$NOVA_INPUT\"", 0644);
	json_decref(ask(NOVA_MSG_INIT, "{\"runtime\":\"shell\"}"));
	AUTO_JSON json_t *got = ask(NOVA_MSG_EXEC,
		"{\"request_id\":\"r1\",\"program\":{\"args\":[\"a b\"],\"stdin\":\"aW4=\"}}");
	ck_assert_str_eq(text(got, "stdout"), "in[1:a b]\n{}");
	AUTO_JSON json_t *none =
		ask(NOVA_MSG_EXEC, "{\"request_id\":\"r1\",\"program\":{\"args\":[]}}");
	ck_assert_str_eq(text(none, "stdout"), "[0:]\n{}");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO_FREE char *exec_text =
			str_format("{\"request_id\":\"r1\",\"program\":%s}", wrong[i]);
		AUTO_JSON json_t *refused = ask(NOVA_MSG_EXEC, exec_text);
		ck_has(refused, "error", "\"program\" needs \"args\"");
	}
	write_code("handler", "def handler(event): return event", 0644);
	json_decref(ask(NOVA_MSG_INIT, "{\"runtime\":\"python\"}"));
	AUTO_JSON json_t *kept =
		ask(NOVA_MSG_EXEC, "{\"request_id\":\"r1\",\"program\":{\"args\":[]}}");
	ck_has(kept, "error", "a function that is a program");
	ck_alive();
}
END_TEST

START_TEST(state_stays_between_calls_where_the_function_asks_for_it)
{
	static const char source[] = "count = 0\ndef handler(event):\n    global count\n    count "
				     "+= 1\n    return count\n";
	write_code("handler", source, 0644);
	json_decref(ask(
		NOVA_MSG_INIT, "{\"runtime\":\"python\",\"env_vars\":{\"NOVA_IN_PLACE\":\"1\"}}"));
	for (int i = 1; i <= 4; i++) {
		AUTO_JSON json_t *got = exec("5", 0);
		ck_assert_int_eq(number(got, "output"), i);
	}
	for (int i = 1; i <= 4; i++) {
		AUTO_JSON json_t *got = i == 1 ? run(source) : exec("5", 0);
		ck_assert_int_eq(number(got, "output"), 1);
	}
}
END_TEST

/* --- where it lives --- */

static void directory(const char *name)
{
	AUTO_FREE char *path = path_join(code, name);
	ck_assert_int_eq(fs_mkdirs(path, 0755), 0);
}

static void ck_handler(const char *handler, const char *expected)
{
	AUTO_JSON json_t *ready = init_answer("python", handler);
	ck_assert_msg(strcmp(text(ready, "status"), "initialized") == 0, "%s: %s %s", handler,
		text(ready, "error"), text(ready, "stderr"));
	AUTO_JSON json_t *got = exec("5", 0);
	ck_output(got, expected);
}

START_TEST(a_handler_may_live_in_packages_and_in_files_of_every_name)
{
	directory("app/inner");
	directory("space/inner");
	directory("handler");
	write_code("app/__init__.py", "def handler(event): return 'package'\n", 0644);
	write_code("app/util.py", "NAME = 'util'\n", 0644);
	write_code("app/data.txt", "data", 0644);
	write_code("app/api.py",
		"from .util import NAME\nfrom . import util\nimport pkgutil\n"
		"def handler(event): return [NAME, __name__, __spec__.name, "
		"pkgutil.get_data(__name__, 'data.txt').decode()]\n",
		0644);
	write_code("app/inner/__init__.py", "", 0644);
	write_code("app/inner/deep.py",
		"from ..util import NAME\ndef handler(event): return NAME\n", 0644);
	write_code("space/inner/mod.py", "def handler(event): return __name__\n", 0644);
	write_code("my-func.py", "def handler(event): return __name__\n", 0644);
	write_code("handler/__init__.py", "def handle(event): return 'handler'\n", 0644);
	ck_handler("app.handler", "\"package\"");
	ck_handler("app.api.handler", "[\"util\",\"app.api\",\"app.api\",\"data\"]");
	ck_handler("app/api.handler", "[\"util\",\"app.api\",\"app.api\",\"data\"]");
	ck_handler("app.inner.deep.handler", "\"util\"");
	ck_handler("space.inner.mod.handler", "\"space.inner.mod\"");
	ck_handler("my-func.handler", "\"my-func\"");
	ck_handler("handler.handle", "\"handler\"");
}
END_TEST

START_TEST(a_single_file_is_a_module_like_any_other)
{
	AUTO_JSON json_t *spec =
		run("import importlib.util, sys\nassert importlib.util.find_spec(__name__)\n"
		    "def handler(event): return [__name__, __spec__.name, "
		    "__file__.endswith('handler'), sys.modules['main'].__name__]\n");
	ck_output(spec, "[\"main\",\"main\",true,\"main\"]");
	AUTO_JSON json_t *spawn = run("import multiprocessing, concurrent.futures\ndef square(x): "
				      "return x * x\ndef handler(event):\n"
				      "    with concurrent.futures.ProcessPoolExecutor(2, "
				      "multiprocessing.get_context('spawn')) as pool:\n"
				      "        return list(pool.map(square, [1, 2, 3]))\n");
	ck_output(spawn, "[1,4,9]");
}
END_TEST

START_TEST(modules_of_the_function_that_have_names_of_the_librarys_break_nothing)
{
	write_code("random.py", "number = 4\n", 0644);
	write_code("json.py", "raise ImportError('not this one')\n", 0644);
	write_code("nova.py", "mine = True\n", 0644);
	write_code("importlib.py", "raise ImportError('not this one')\n", 0644);
	write_code("asyncio.py", "mine = True\n", 0644);
	AUTO_JSON json_t *got =
		run("import random, nova\ndef handler(event): return [random.number, nova.mine]\n");
	ck_output(got, "[4,true]");
}
END_TEST

START_TEST(the_working_directory_is_the_codes)
{
	write_code("data.txt", "data", 0644);
	AUTO_JSON json_t *got = run("text = open('data.txt').read()\ndef handler(event): return "
				    "[text, open('data.txt').read()]\n");
	ck_output(got, "[\"data\",\"data\"]");
	AUTO_JSON json_t *script = run("print(open('data.txt').read())\n");
	ck_output(script, "\"data\"");
	write_code("handler", "#!/bin/sh\ncat data.txt\n", 0755);
	init("shell");
	AUTO_JSON json_t *shell = exec("5", 0);
	ck_output(shell, "\"data\"");
}
END_TEST

/* --- what is said --- */

START_TEST(a_failing_import_says_where_and_what_it_came_from)
{
	directory("lib");
	write_code("lib/__init__.py", "", 0644);
	write_code("lib/a.py", "from lib import b\n", 0644);
	write_code("lib/b.py", "\n{}['missing']\n", 0644);
	write_code("main.py", "import lib.a\ndef handler(event): pass\n", 0644);
	AUTO_JSON json_t *deep = init_answer("python", "");
	ck_assert_str_eq(text(deep, "error"),
		"main.py cannot be imported: KeyError: 'missing' (lib/b.py, "
		"line 2; lib/a.py, line 1; main.py, line 1)");
	ck_has(deep, "stderr", "Traceback");
	ck_has(deep, "stderr", "{}['missing']");
	ck_assert_ptr_null(strstr(text(deep, "stderr"), "importlib"));
	write_code("lib/b.py",
		"try:\n    1/0\nexcept ZeroDivisionError as error:\n    raise ValueError('bad') "
		"from error\n",
		0644);
	AUTO_JSON json_t *cause = init_answer("python", "");
	ck_has(cause, "error",
		"ValueError: bad (lib/b.py, line 4; lib/a.py, line 1; main.py, line 1), "
		"caused by ZeroDivisionError: division by zero (lib/b.py, line 2)");
	write_code("lib/b.py", "x = (\n", 0644);
	AUTO_JSON json_t *syntax = init_answer("python", "");
	ck_has(syntax, "error",
		"SyntaxError: '(' was never closed (lib/b.py, line 1; lib/a.py, line 1; main.py, "
		"line 1)");
	write_code("main.py", "def handler(event:\n", 0644);
	AUTO_JSON json_t *own = init_answer("python", "main.handler");
	ck_has(own, "error", "SyntaxError: '(' was never closed (main.py, line 1)");
}
END_TEST

START_TEST(an_exception_whose_text_cannot_be_had_is_named_all_the_same)
{
	static const char source[] =
		"class Bad(Exception):\n    def __str__(self): raise RuntimeError('no text')\n"
		"def handler(event): raise Bad()\n%s";
	AUTO_FREE char *call = str_format(source, ""),
		       *import = str_format(source, "raise Bad()\n");
	AUTO_JSON json_t *got = run(call);
	ck_assert_str_eq(text(got, "error"), "Bad (its str() raises RuntimeError)");
	write_code("handler", import, 0644);
	AUTO_JSON json_t *refused = init_answer("python", "main.handler");
	ck_has(refused, "error", "Bad (its str() raises RuntimeError) (handler, line 4)");
}
END_TEST

START_TEST(an_exit_status_never_stands_alone)
{
	AUTO_JSON json_t *quiet = run("import sys\ndef handler(event): sys.exit(1)\n");
	ck_assert_str_eq(text(quiet, "error"), "exit 1, and nothing was written to stderr");
	AUTO_JSON json_t *said =
		run("import sys\ndef handler(event): print('why', file=sys.stderr); sys.exit(1)\n");
	ck_assert_str_eq(text(said, "error"), "exit 1: why");
}
END_TEST

START_TEST(text_that_is_not_unicode_is_refused)
{
	AUTO_JSON json_t *got =
		run("import os\ndef handler(event): return {os.fsdecode(b'caf\\xe9.txt'): 1, "
		    "os.fsdecode(b'caf\\xe8.txt'): 2}\n");
	ck_has(got, "error",
		"ValueError: the handler's return value has text in it that is not Unicode, near "
		"'{\"caf\\udce9.txt");
}
END_TEST

START_TEST(hooks_see_the_true_status_of_what_they_run)
{
	python("import subprocess\nseen = []\ndef run():\n"
	       "    seen.append(subprocess.run(['sh', '-c', 'exit 7'], "
	       "capture_output=True).returncode)\n"
	       "    child = subprocess.Popen(['sh', '-c', 'exit 8'])\n    child.wait(); "
	       "seen.append(child.returncode)\n"
	       "def before_snapshot(): run()\ndef after_restore(): run()\ndef handler(event): "
	       "return seen\n");
	AUTO_JSON json_t *frozen = ask(NOVA_MSG_FREEZE, "{\"request_id\":\"f\"}");
	ck_assert_str_eq(text(frozen, "status"), "frozen");
	AUTO_JSON json_t *resumed =
		ask(NOVA_MSG_RESUME, "{\"request_id\":\"r\",\"entropy\":\"AAAA\"}");
	ck_assert_str_eq(text(resumed, "status"), "resumed");
	AUTO_JSON json_t *got = exec("5", 0);
	ck_output(got, "[7,8,7,8]");
}
END_TEST

/* The interpreter counts its forks in the handler of a signal, which may come while it does so. */
START_TEST(signals_at_any_moment_cost_no_request)
{
	void *frame;
	size_t len;
	python("import os, signal\ndef handler(event):\n    while event and not "
	       "os.path.exists('go'):\n"
	       "        for _ in range(100):\n            os.kill(os.getppid(), signal.SIGCHLD)\n  "
	       "  return os.getppid()\n");
	AUTO_JSON json_t *first = exec("0", 0);
	ck_assert_int_eq(
		proto_exec_frame("flood", "1", 1, PATIENCE_MS, false, &frame, &len, NULL), 0);
	send_bytes(frame, len);
	nova_free(frame);
	for (int i = 0; i < 300; i++) {
		AUTO_JSON json_t *got = exec("0", 0);
		ck_assert_msg(json_object_get(got, "error") == NULL, "call %d: %s", i,
			text(got, "error"));
		ck_assert_int_eq(number(got, "output"), number(first, "output"));
	}
	write_code("go", "", 0644);
	AUTO_JSON json_t *flood = answer();
	ck_assert_str_eq(text(flood, "request_id"), "flood");
}
END_TEST

/* --- how much, and how deep --- */

#define MOST (6u << 20)

/* A text of that many bytes, all the same. */
static void ck_text_of(json_t *got, size_t len, char byte)
{
	json_t *output = json_object_get(got, "output");
	const char *value = json_string_value(output);
	ck_assert_msg(value && !json_object_get(got, "error"), "%s %s", text(got, "error"),
		text(got, "stderr"));
	ck_assert_uint_eq(json_string_length(output), len);
	ck_assert(value[0] == byte && !memcmp(value, value + 1, len - 1));
}

START_TEST(output_of_6_mib_as_the_function_wrote_it_is_whole_in_every_runtime)
{
	static const char *const handlers[] = {
		"def handler(event):\n    return '\"' * (6 << 20)\n",
		"__nova_in_place__ = True\ndef handler(event):\n    return '\"' * (6 << 20)\n",
		"import sys\nsys.stdout.write('\"' * (6 << 20))\n", /* a script */
	};
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
		AUTO_JSON json_t *got = run(handlers[i]);
		ck_text_of(got, MOST, '"');
	}
	AUTO_BUF struct buf program = BUF_INIT(16u << 20);
	ck_assert_int_eq(fs_read_file(QUOTES, &program), 0);
	AUTO_FREE char *path = path_join(code, "handler");
	ck_assert_int_eq(fs_write_file(path, program.data, program.len, 0755), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	init("binary");
	AUTO_JSON json_t *got = exec("{}", 0);
	ck_text_of(got, MOST, '"');
}
END_TEST

START_TEST(a_returned_list_of_6_mib_is_whole_and_one_byte_more_is_an_error_with_the_sizes)
{
	AUTO_JSON json_t *list =
		run("def handler(event):\n    return [1] * (2 << 20)\n"); /* 1, and a comma and a
									     space before each other
									   */
	ck_assert_uint_eq(json_array_size(json_object_get(list, "output")), 2u << 20);
	AUTO_JSON json_t *more = run("def handler(event):\n    return '\\n' * ((6 << 20) + 1)\n");
	ck_assert_str_eq(text(more, "error"),
		"ValueError: the handler's return value is 6291457 bytes "
		"of JSON, over the limit of 6291456");
}
END_TEST

START_TEST(json_nests_to_512_levels_and_what_is_deeper_is_an_error_that_says_so)
{
	static const struct {
		const char *runtime, *source, *words;
	} ways[] = {
		{ "shell", "printf '%%0%ud' 0 | tr 0 '['; printf '%%0%ud' 0 | tr 0 ']'",
			"the function printed JSON that is nested too deeply: 512 levels" },
		{ "python", "print('[' * %u + ']' * %u)",
			"the function printed JSON that is nested too deeply: 512 levels" },
		{ "python",
			"def handler(event):\n    value = []\n    for _ in range(%u - 1): value = "
			"[value]\n    "
			"return value #%u\n",
			"ValueError: the handler's return value is nested too deeply: 512 levels" },
	};
	static const unsigned depths[] = { 512, 513, 5000 };
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		for (size_t n = 0; n < ARRAY_LEN(depths); n++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			AUTO_FREE char *source = str_format(ways[i].source, depths[n], depths[n]);
#pragma GCC diagnostic pop
			write_code("handler", source, 0644);
			init(ways[i].runtime);
			AUTO_JSON json_t *got = exec("{}", 0);
			if (depths[n] > 512)
				ck_has(got, "error", ways[i].words);
			else
				ck_assert_msg(json_is_array(json_object_get(got, "output")), "%s",
					text(got, "error"));
		}
	python("def handler(event):\n    depth = 1\n    while event: event = event[0]; depth += "
	       "1\n    "
	       "return depth\n");
	char deepest[1025] = "";
	memset(deepest, '[', 512);
	memset(deepest + 512, ']', 512);
	AUTO_JSON json_t *got = exec(deepest, 0);
	ck_output(got, "512");
}
END_TEST

static Suite *contract_suite(void)
{
	Suite *suite = suite_create("contract");
	TCase *tc = add_case(suite, "answers");
	tcase_add_test(tc, only_the_process_that_was_asked_answers);
	tcase_add_test(tc, a_child_of_a_script_that_ends_does_not_end_the_script);
	tcase_add_test(tc, what_a_function_has_left_in_buffers_is_written);
	tcase_add_test(tc, signals_at_any_moment_cost_no_request);
	tc = add_case(suite, "handlers");
	tcase_add_test(
		tc, a_handler_that_was_named_and_is_not_there_is_an_error_with_the_nearest_name);
	tcase_add_test(tc, a_name_is_found_however_it_was_made);
	tcase_add_test(tc, init_says_what_is_called);
	tcase_add_test(
		tc, a_second_positional_parameter_gets_the_context_and_a_keyword_only_one_never);
	tcase_add_test(tc, handlers_behind_other_callables_are_called_as_what_they_are);
	tcase_add_test(tc, the_context_has_the_names_of_other_platforms);
	tcase_add_test(tc, what_a_client_tells_of_itself_is_in_the_context_of_that_call);
	tcase_add_test(tc, a_program_is_called_with_arguments_and_stdin_if_the_host_says_so);
	tcase_add_test(tc, state_stays_between_calls_where_the_function_asks_for_it);
	tc = add_case(suite, "places");
	tcase_add_test(tc, a_handler_may_live_in_packages_and_in_files_of_every_name);
	tcase_add_test(tc, a_single_file_is_a_module_like_any_other);
	tcase_add_test(tc, modules_of_the_function_that_have_names_of_the_librarys_break_nothing);
	tcase_add_test(tc, the_working_directory_is_the_codes);
	tc = add_case(suite, "failures");
	tcase_add_test(tc, a_failing_import_says_where_and_what_it_came_from);
	tcase_add_test(tc, an_exception_whose_text_cannot_be_had_is_named_all_the_same);
	tcase_add_test(tc, an_exit_status_never_stands_alone);
	tcase_add_test(tc, text_that_is_not_unicode_is_refused);
	tcase_add_test(tc, hooks_see_the_true_status_of_what_they_run);
	tc = add_case(suite, "sizes");
	tcase_add_test(tc, output_of_6_mib_as_the_function_wrote_it_is_whole_in_every_runtime);
	tcase_add_test(
		tc, a_returned_list_of_6_mib_is_whole_and_one_byte_more_is_an_error_with_the_sizes);
	tcase_add_test(tc, json_nests_to_512_levels_and_what_is_deeper_is_an_error_that_says_so);
	return suite;
}

TEST_MAIN(contract_suite)
