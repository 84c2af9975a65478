/* SPDX-License-Identifier: MIT */
/* Functions of runtime node, with the Node of this machine. */
#include "agent.h"

static void need_node(void)
{
	static const char *const paths[] = { "/usr/bin/node", "/usr/local/bin/node",
		"/usr/bin/nodejs" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return;
	test_skip("there is no node: install nodejs");
}

static json_t *node_init(const char *source, const char *handler)
{
	need_node();
	write_code("handler", source, 0644);
	return init_answer("node", handler);
}

static void node(const char *source)
{
	AUTO_JSON json_t *got = node_init(source, "");
	ck_assert_msg(strcmp(text(got, "status"), "initialized") == 0, "%s %s", text(got, "error"),
		text(got, "stderr"));
}

/* What a call of this source with 5 answers. */
static void ck_answers(const char *source, const char *expected)
{
	node(source);
	AUTO_JSON json_t *got = exec("5", 0);
	ck_output(got, expected);
}

static void ck_next(const char *input, const char *expected)
{
	AUTO_JSON json_t *got = exec(input, 0);
	ck_output(got, expected);
}

/* --- which is the handler, and how it answers --- */

START_TEST(a_handler_answers_in_every_way_that_node_has)
{
	static const char *const cases[][2] = {
		{ "exports.handler = async (event) => event + 1", "6" },
		{ "exports.handler = (event) => event + 1", "6" },
		{ "exports.handler = (e, c, done) => setTimeout(() => done(null, e + 2), 1)", "7" },
		{ "exports.handler = (e, context) => context.succeed([e])", "[5]" },
		{ "exports.handler = async () => {}", "null" },
		{ "exports.handler = (event) => { console.log(event); }", "null" },
		{ "exports.handler = () => ({ then(done) { done('thenable'); } })",
			"\"thenable\"" },
		{ "module.exports = (event) => event * 2", "10" },
		{ "import fs from 'fs';\nexport async function handler(e) { return [typeof fs, e]; "
		  "}",
			"[\"object\",5]" },
		{ "export default async (event) => event - 1", "4" },
		{ "export default { handler: (event) => -event }", "-5" },
		{ "exports.handler = () => [NaN, undefined, new Date(0)]",
			"[null,null,\"1970-01-01T00:00:00.000Z\"]" },
		{ "exports.handler = () => [require.main === module, typeof globalThis.fs]",
			"[false,\"undefined\"]" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_answers(cases[i][0], cases[i][1]);
}
END_TEST

START_TEST(a_handler_is_found_in_modules_of_every_kind)
{
	static const struct {
		const char *name, *source, *handler;
	} cases[] = {
		{ "main.js", "exports.handler = require('./lib/twice').twice", "" },
		{ "index.js", "exports.handler = require('./lib/twice').twice", "main.handler" },
		{ "app/api.cjs", "exports.run = require('../lib/twice').twice", "app/api.run" },
		{ "app/esm.mjs", "import lib from '../lib/twice.js'; export const run = lib.twice",
			"app.esm.run" },
		{ "typed/index.js",
			"import lib from '../lib/twice.js'; export { lib as default };"
			"export const run = (e) => lib.twice(e)",
			"typed.run" },
	};
	need_node();
	AUTO_FREE char *lib = path_join(code, "lib"), *app = path_join(code, "app"),
		       *typed = path_join(code, "typed");
	fs_mkdirs(lib, 0755);
	fs_mkdirs(app, 0755);
	fs_mkdirs(typed, 0755);
	write_code("lib/twice.js", "exports.twice = (event) => event * 2", 0644);
	write_code("typed/package.json", "{\"type\": \"module\"}", 0644);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_code(cases[i].name, cases[i].source, 0644);
		AUTO_JSON json_t *ready = init_answer("javascript", cases[i].handler);
		ck_assert_msg(strcmp(text(ready, "status"), "initialized") == 0, "%s: %s",
			cases[i].name, text(ready, "error"));
		ck_next("4", "8");
		AUTO_FREE char *path = path_join(code, cases[i].name);
		ck_assert_int_eq(fs_unlink(path), 0);
	}
}
END_TEST

START_TEST(a_file_that_exports_nothing_is_a_script_with_the_input_as_a_file)
{
	static const char body[] =
		"const input = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));\n"
		"if (input.status) { console.error('no luck'); process.exit(input.status); }\n"
		"globalThis.count = (globalThis.count ?? 0) + 1;\n"
		"setTimeout(() => console.log(JSON.stringify([input, count])), 1);\n";
	static const char *const heads[] = { "const fs = require('fs'); // exports.handler\n",
		"import fs from 'fs';\n" };
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		AUTO_FREE char *source = str_format("%s%s", heads[i], body);
		node(source);
		ck_next("{\"a\":1}", "[{\"a\":1},1]");
		ck_next("2", "[2,1]");
		AUTO_JSON json_t *failed = exec("{\"status\":3}", 0);
		ck_assert_str_eq(text(failed, "error"), "exit 3: no luck");
		ck_assert_int_eq(number(failed, "exit_code"), 3);
		ck_next("3", "[3,1]");
	}
}
END_TEST

START_TEST(the_context_has_lambdas_names)
{
	ck_answers("exports.handler = async (event, context) => [context.awsRequestId, "
		   "context.functionVersion, context.memoryLimitInMB, context.functionName, "
		   "context.getRemainingTimeInMillis() > 0, process.env.NOVA_REQUEST_ID, "
		   "process.env.COLOUR, require('child_process').execFileSync('sh', ['-c', 'echo "
		   "$NOVA_REQUEST_ID']).toString(), process.argv.length]",
		"[\"r1\",\"$LATEST\",\"\",\"\",true,\"r1\",\"blue\",\"r1\\n\",2]");
}
END_TEST

START_TEST(the_module_stays_between_calls_and_a_call_is_in_no_context_of_another)
{
	node("const { AsyncLocalStorage } = require('async_hooks');\n"
	     "const store = new AsyncLocalStorage(); let count = 0;\n"
	     "exports.handler = async (event) => {\n"
	     "  const before = store.getStore(); store.enterWith(event);\n"
	     "  await null; return [++count, before === undefined, store.getStore()];\n};\n");
	ck_next("7", "[1,true,7]");
	ck_next("8", "[2,true,8]");
}
END_TEST

START_TEST(a_callback_waits_for_an_empty_event_loop_unless_it_is_told_not_to)
{
	static const char source[] =
		"let n = 0;\nexports.handler = (event, context, callback) => {\n"
		"  context.callbackWaitsForEmptyEventLoop = event;\n"
		"  setTimeout(() => { n++; }, event ? 1 : 100000);\n  callback(null, n);\n};\n";
	node(source);
	ck_next("true", "0");
	ck_next("false", "1"); /* the one before has waited; this one does not */
	ck_next("false", "1");
}
END_TEST

/* --- what cannot be imported --- */

START_TEST(what_cannot_be_imported_is_refused_with_its_place)
{
	static const char *const cases[][3] = {
		{ "exports.handler = async () => {\n  let x = ;\n};", "",
			"SyntaxError: Unexpected token ';' (handler, line 2)" },
		{ "export const handler = async () => {\n  let x = ;\n};", "",
			"SyntaxError: Unexpected token ';' (main.mjs, line 2)" },
		{ "\nconst x = require('left-pad');\nexports.handler = x;", "",
			"Cannot find module 'left-pad' (handler, line 2)" },
		{ "import x from 'left-pad';\nexport const handler = x;", "",
			"Cannot find package 'left-pad'" },
		{ "exports.handler = 1; throw new TypeError('no', { cause: new Error('why') })", "",
			"TypeError: no (handler, line 1), caused by Error: why (handler, line 1)" },
		{ "exports.hanlder = () => 1", "main.handler",
			"there is no 'handler' in handler; did you mean 'hanlder'?" },
		{ "exports.add = () => 1; exports.sub = () => 2", "",
			"handler exports no 'handler'; there are add, sub" },
		{ "console.log('a script')", "main.handler",
			"there is no 'handler' in handler, and it exports no other function" },
		{ "exports.handler = 5", "main.handler", "is no function: it is of type number" },
		{ "exports.handler = function* () {}", "", "is a generator" },
		{ "await new Promise(() => {}); export const handler = 1", "",
			"the import of main.mjs never ends" },
		{ "exports.handler = 1; process.exit(4)", "", "ended with exit status 4" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *got = node_init(cases[i][0], cases[i][1]);
		ck_assert_str_eq(text(got, "code"), "code");
		ck_has(got, "error", cases[i][2]);
	}
	ck_answers("exports.handler = () => 'well again'", "\"well again\"");
}
END_TEST

/* --- how calls fail --- */

/* The call fails, and tells so; the next one is answered with how many calls the module has seen.
 */
static void ck_fails_then(
	const char *body, const char *error, int exit_code, const char *said, const char *next)
{
	AUTO_FREE char *source = str_format(
		"let n = 0;\nexports.handler = (event) => {\n  n++;\n  if (event === 1) return n;\n"
		"  %s\n};\n",
		body);
	node(source);
	AUTO_JSON json_t *got = exec("0", 0);
	ck_has(got, "error", error);
	ck_has(got, "stderr", said);
	ck_assert(json_is_null(json_object_get(got, "output")));
	ck_assert_int_eq(number(got, "exit_code"), exit_code);
	ck_next("1", next);
}

START_TEST(an_error_is_told_with_its_name_text_and_stack)
{
	ck_fails_then("throw Object.assign(new RangeError('bad'), { code: 'E1' })",
		"RangeError: bad", 1, "handler:5:", "2");
	ck_fails_then("return Promise.reject(new Error('lost', { cause: new Error('deep') }))",
		"Error: lost", 1, "[cause]: Error: deep", "2");
	ck_fails_then("return Promise.reject('text')", "'text' was thrown, which is no Error", 1,
		"Uncaught 'text'", "2");
	ck_fails_then("throw null", "null was thrown", 1, "Uncaught null", "2");
	ck_fails_then("return new Promise(() => {})", "ended without an answer", 1, "", "2");
	node("exports.handler = (event, context, callback) => callback('went wrong')");
	AUTO_JSON json_t *got = exec("0", 0);
	ck_assert_str_eq(text(got, "error"), "Error: went wrong");
	ck_assert_ptr_null(strstr(text(got, "stderr"), "/proc/self"));
}
END_TEST

START_TEST(what_ends_the_process_fails_its_call_and_the_next_one_has_a_new_process)
{
	ck_fails_then(
		"console.error('leaving'); process.exit(3)", "exit 3: leaving", 3, "leaving", "1");
	ck_fails_then("Promise.reject(new Error('not caught')); return 1", "Error: not caught", 1,
		"handler:5:", "1");
	ck_fails_then("return new Promise(() => setTimeout(() => { throw new Error('late'); }, 1))",
		"Error: late", 1, "handler:5:", "1");
	ck_fails_then("process.abort()", "signal 6", 134, "", "1");
	ck_fails_then("process.kill(process.pid, 'SIGKILL')", "signal 9", 137, "", "1");
	node("exports.handler = () => { console.log('[1]'); process.exit(); }");
	ck_next("0", "[1]");
}
END_TEST

START_TEST(a_blocked_event_loop_ends_at_the_time_limit)
{
	node("let n = 0;\nexports.handler = (event) => {\n  n++;\n"
	     "  if (event === 0) for (;;);\n  return event === 1 ? n : new Promise((r) => "
	     "setTimeout(r, 1e6));\n};\n");
	static const char *const inputs[] = { "0", "2" };
	for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
		AUTO_JSON json_t *got = exec(inputs[i], 200);
		ck_assert(json_is_true(json_object_get(got, "timed_out")));
		ck_has(got, "error", "timeout after 200 ms");
		ck_next("1", "1");
	}
}
END_TEST

START_TEST(what_is_printed_streams_and_a_call_that_is_cancelled_ends)
{
	int type = 0;
	node("exports.handler = () => { console.log('begun'); for (;;); }");
	send_text(NOVA_MSG_EXEC, "{\"request_id\":\"a\",\"input\":1,\"stream\":true}");
	while (type != NOVA_MSG_STREAM) {
		AUTO_JSON json_t *piece = receive(&type);
		if (type == NOVA_MSG_STREAM)
			ck_assert_str_eq(text(piece, "data"), "begun\n");
	}
	AUTO_JSON json_t *got = ask(NOVA_MSG_CANCEL, "{\"request_id\":\"a\"}");
	ck_assert_str_eq(text(got, "request_id"), "a");
	ck_assert(json_is_true(json_object_get(got, "canceled")));
	ck_assert_str_eq(text(got, "stdout"), "begun\n");
}
END_TEST

START_TEST(a_heap_that_is_full_is_out_of_memory)
{
	need_node();
	write_code("handler",
		"let n = 0;\nexports.handler = (event) => {\n  n++; const kept = [];\n"
		"  while (event === 0) kept.push(new Array(1000).fill(event));\n  return n;\n};\n",
		0644);
	AUTO_JSON json_t *ready = ask(NOVA_MSG_INIT,
		"{\"request_id\":\"init\",\"runtime\":\"node\",\"env_vars\":{\"NODE_OPTIONS\":"
		"\"--max-old-space-size=16\"}}");
	ck_assert_str_eq(text(ready, "status"), "initialized");
	AUTO_JSON json_t *got = exec("0", 0);
	ck_has(got, "error", "out of memory: ");
	ck_has(got, "stderr", "heap out of memory");
	ck_next("1", "1");
}
END_TEST

/* --- what goes in and out --- */

START_TEST(values_that_are_no_json_are_refused_by_name)
{
	static const char *const cases[][2] = {
		{ "10n", "cannot be written as JSON: Do not know how to serialize a BigInt" },
		{ "(() => { const a = {}; a.a = a; return a; })()",
			"Converting circular structure" },
		{ "'ab\\ud800cd'", "text in it that is not Unicode, near \"ab\\ud800cd" },
		{ "[...Array(600)].reduce((a) => [a], 1)",
			"RangeError: the handler's return value is nested too deeply: 512 levels" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *source = str_format("exports.handler = () => (%s)", cases[i][0]);
		node(source);
		AUTO_JSON json_t *got = exec("0", 0);
		ck_has(got, "error", cases[i][1]);
	}
	ck_answers("exports.handler = () => '\\\\ud800 \\ud83d\\ude00'",
		"\"\\\\ud800 \xf0\x9f\x98\x80\"");
}
END_TEST

START_TEST(large_input_and_output_are_whole_and_one_byte_too_much_is_told)
{
	enum { LARGE = 200000 };
	AUTO_FREE char *input = malloc(LARGE + 3);
	memset(input, 'x', LARGE + 2);
	input[0] = input[LARGE + 1] = '"';
	input[LARGE + 2] = 0;
	node("exports.handler = (e) => { console.log(e); return typeof e === 'string' ? e.length : "
	     "'\"'.repeat(e); }");
	ck_next(input, "200000");
	AUTO_JSON json_t *most = exec("6291456", 0);
	ck_assert_uint_eq(json_string_length(json_object_get(most, "output")), 6291456);
	AUTO_JSON json_t *more = exec("6291457", 0);
	ck_has(more, "error", "is 6291457 bytes of JSON, over the limit of 6291456");
}
END_TEST

/* --- snapshots --- */

START_TEST(what_the_import_draws_for_secrets_is_told_with_its_place)
{
	static const char *const cases[][2] = {
		{ "const id = require('crypto').randomUUID();\nexports.handler = () => id",
			"crypto.randomUUID() in handler, line 1" },
		{ "import { randomBytes } from 'crypto';\nconst key = randomBytes(4);\n"
		  "export const handler = () => key",
			"crypto.randomBytes() in main.mjs, line 2" },
		{ "const { Worker } = require('worker_threads');\n"
		  "new Worker('', { eval: true });\nexports.handler = () => 1",
			"new Worker() in handler, line 2" },
		{ "import { randomInt } from 'crypto'; Math.random();\n"
		  "export const handler = () => randomInt(3)",
			"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *got = node_init(cases[i][0], "");
		ck_assert_str_eq(text(got, "status"), "initialized");
		ck_assert_str_eq(text(got, "draws"), cases[i][1]);
	}
}
END_TEST

#define FREEZE "{\"request_id\":\"freeze\"}"
#define RESUME "{\"request_id\":\"resume\",\"unix_us\":1,\"entropy\":\"QUJD\"}"

START_TEST(hooks_run_around_a_snapshot)
{
	node("const seen = [];\nexports.beforeSnapshot = async () => { seen.push('before'); };\n"
	     "exports.afterRestore = () => { console.log('no call prints this'); "
	     "seen.push('after'); };\n"
	     "exports.handler = () => seen");
	AUTO_JSON json_t *frozen = ask(NOVA_MSG_FREEZE, FREEZE);
	ck_assert_str_eq(text(frozen, "status"), "frozen");
	AUTO_JSON json_t *resumed = ask(NOVA_MSG_RESUME, RESUME);
	ck_assert_str_eq(text(resumed, "status"), "resumed");
	AUTO_JSON json_t *got = exec("0", 0);
	ck_output(got, "[\"before\",\"after\"]");
	ck_assert_str_eq(text(got, "stdout"), "");
	node("exports.beforeSnapshot = () => { console.error('why'); throw new Error('not now'); "
	     "}; "
	     "exports.handler = () => 1");
	AUTO_JSON json_t *failed = ask(NOVA_MSG_FREEZE, FREEZE);
	ck_has(failed, "error", "before_snapshot: Error: not now");
	ck_has(failed, "stderr", "why");
	node("exports.beforeSnapshot = () => new Promise(() => {}); exports.handler = () => 1");
	AUTO_JSON json_t *endless = ask(NOVA_MSG_FREEZE, FREEZE);
	ck_has(endless, "error", "it never ends");
	ck_next("0", "1");
}
END_TEST

START_TEST(in_a_copy_of_the_machine_caches_of_random_numbers_are_used_up)
{
	/* Not what they are, which a clone shows: that they are there, and of their kinds. */
	node("const crypto = require('crypto'); const { randomUUID, randomInt } = crypto;\n"
	     "randomInt(9); Math.random();\nexports.handler = () => [crypto.randomInt(5, 6), "
	     "/^[0-9a-f-]{36}$/.test(randomUUID()), randomInt(0, 1), Math.random() < 1,\n"
	     "  crypto.webcrypto.randomUUID().length, (() => { try { randomUUID(1); } catch (e) { "
	     "return e.code; } })()]");
	AUTO_JSON json_t *resumed = ask(NOVA_MSG_RESUME, RESUME);
	ck_assert_str_eq(text(resumed, "status"), "resumed");
	ck_next("0", "[5,true,0,true,36,\"ERR_INVALID_ARG_TYPE\"]");
}
END_TEST

static Suite *node_suite(void)
{
	Suite *suite = suite_create("node");
	TCase *tc = add_case(suite, "handlers");
	tcase_add_test(tc, a_handler_answers_in_every_way_that_node_has);
	tcase_add_test(tc, a_handler_is_found_in_modules_of_every_kind);
	tcase_add_test(tc, a_file_that_exports_nothing_is_a_script_with_the_input_as_a_file);
	tcase_add_test(tc, the_context_has_lambdas_names);
	tcase_add_test(tc, the_module_stays_between_calls_and_a_call_is_in_no_context_of_another);
	tcase_add_test(tc, a_callback_waits_for_an_empty_event_loop_unless_it_is_told_not_to);
	tcase_add_test(tc, what_cannot_be_imported_is_refused_with_its_place);
	tc = add_case(suite, "failures");
	tcase_add_test(tc, an_error_is_told_with_its_name_text_and_stack);
	tcase_add_test(tc, what_ends_the_process_fails_its_call_and_the_next_one_has_a_new_process);
	tcase_add_test(tc, a_blocked_event_loop_ends_at_the_time_limit);
	tcase_add_test(tc, what_is_printed_streams_and_a_call_that_is_cancelled_ends);
	tcase_add_test(tc, a_heap_that_is_full_is_out_of_memory);
	tc = add_case(suite, "values");
	tcase_add_test(tc, values_that_are_no_json_are_refused_by_name);
	tcase_add_test(tc, large_input_and_output_are_whole_and_one_byte_too_much_is_told);
	tc = add_case(suite, "snapshots");
	tcase_add_test(tc, what_the_import_draws_for_secrets_is_told_with_its_place);
	tcase_add_test(tc, hooks_run_around_a_snapshot);
	tcase_add_test(tc, in_a_copy_of_the_machine_caches_of_random_numbers_are_used_up);
	return suite;
}

TEST_MAIN(node_suite)
