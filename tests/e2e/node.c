/* SPDX-License-Identifier: MIT */
/* A function of runtime node in VMs: what stays, what ends, and what copies draw. On the engine
 * fake it is the Node of this machine. */
#include <jansson.h>

#include "platform.h"
#include "proto/proto.h"

#define COPIES 3
#define PATIENCE                                                                                   \
	600 /* s; no limit but for what hangs: under emulation Node starts in many of them */

/* What it does is in the event. */
static const char source[] =
	"import crypto, { randomUUID, randomInt } from 'crypto';\nlet count = 0; Math.random();\n"
	"const ways = {\n"
	"  count: () => ++count,\n"
	"  draw: () => [Math.random(), randomUUID(), randomInt(2 ** 47), crypto.randomInt(2 ** "
	"47),\n"
	"    crypto.randomBytes(16).toString('hex'), crypto.webcrypto.randomUUID(),\n"
	"    crypto.generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }).x],\n"
	"  print: () => { console.log('said'); console.error('logged'); },\n"
	"  exit: () => process.exit(3),\n"
	"  block: () => { for (;;); },\n"
	"  fail: async () => { throw new TypeError('bad'); },\n"
	"  lose: () => { Promise.reject(new Error('lost')); },\n"
	"  leak: () => { const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1)); },\n"
	"  user: () => process.getuid(),\n"
	"};\nexport const handler = async (event) => ways[event]();\n";

static void make_function(struct function *f, const struct platform *p)
{
	function_write(f, p, "code", "main.mjs", source);
	function_pack(f, "node");
	f->vm.memory_mb = 256;
	f->init.timeout_ms = PATIENCE * 1000;
}

static nova_result_t *call(nova_vm_t *vm, const char *way)
{
	nova_result_t *result;
	AUTO_FREE char *event = str_format("\"%s\"", way);
	nova_vm_invoke_opts o = NOVA_VM_INVOKE_OPTS_INIT;
	o.timeout_ms = PATIENCE * 1000;
	ck_ok(nova_vm_invoke(vm, event, &o, &result, &error));
	return result;
}

static void ck_answers(nova_vm_t *vm, const char *way, const char *output)
{
	nova_result_t *result = call(vm, way);
	ck_assert_str_eq(nova_result_output(result, NULL), output);
	nova_result_free(result);
}

/* It fails with these words, and the next call, if there is one, with that count. */
static void ck_ends(nova_vm_t *vm, const char *way, int code, const char *words, const char *next)
{
	nova_result_t *result;
	nova_vm_invoke_opts o = NOVA_VM_INVOKE_OPTS_INIT;
	AUTO_FREE char *event = str_format("\"%s\"", way);
	o.timeout_ms = code == NOVA_ETIMEDOUT ? 500 : PATIENCE * 1000;
	ck_fails_with(code, words, nova_vm_invoke(vm, event, &o, &result, &error));
	nova_result_free(result);
	if (next)
		ck_answers(vm, "count", next);
}

/* --- one VM --- */

/* Under emulation a new process takes seconds: there it is started once only. */
static void ck_failures(nova_vm_t *vm)
{
	ck_ends(vm, "fail", NOVA_EFUNCTION, "TypeError: bad", "3");
	if (is_fake()) { /* a leak would be this machine's */
		ck_ends(vm, "exit", NOVA_EFUNCTION, "exit 3", "1");
		ck_ends(vm, "lose", NOVA_EFUNCTION, "Error: lost", "1");
	} else {
		ck_answers(vm, "user", "1000");
		ck_ends(vm, "leak", NOVA_EFUNCTION, "out of memory", "1");
	}
	ck_ends(vm, "block", NOVA_ETIMEDOUT, "500 ms", NULL);
}

static void ck_one_vm(nova_vm_t *vm)
{
	ck_answers(vm, "count", "1");
	nova_result_t *result = call(vm, "print");
	ck_assert_str_eq(nova_result_stdout(result, NULL), "said\n");
	ck_assert_str_eq(nova_result_stderr(result, NULL), "logged\n");
	ck_assert_str_eq(nova_result_output(result, NULL), "null");
	nova_result_free(result);
	ck_answers(vm, "count", "2");
	ck_failures(vm);
}

/* --- copies --- */

static void note(json_t *seen, nova_vm_t *vm)
{
	size_t i;
	json_t *value;
	nova_result_t *result = call(vm, "draw");
	AUTO_JSON json_t *drawn = json_loads(nova_result_output(result, NULL), 0, NULL);
	nova_result_free(result);
	ck_assert_uint_eq(json_array_size(drawn), 7);
	json_array_foreach(drawn, i, value)
	{
		AUTO_FREE char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
		ck_assert_msg(!json_object_get(seen, text), "drawn twice, %zu: %s", i, text);
		json_object_set_new(seen, text, json_true());
	}
}

/* Of a VM that has used all of it before, and whose caches are full. */
static void note_forks(json_t *seen, nova_vm_t *vm)
{
	nova_vm_t *forks[COPIES];
	ck_ok(nova_vm_fork(vm, COPIES, NULL, forks, &error));
	for (size_t i = 0; i < COPIES; i++) {
		note(seen, forks[i]);
		note(seen, forks[i]);
		nova_vm_free(forks[i]);
	}
}

START_TEST(functions_of_node_stay_in_one_process_and_no_two_copies_draw_the_same)
{
	struct platform p = platform_open("qemu.boot_timeout", "10m", NULL);
	struct function f;
	json_t *seen = json_object();
	make_function(&f, &p);
	nova_vm_t *vm = function_take(&p, &f);
	note(seen, vm);
	if (!is_fake())
		note_forks(seen, vm);
	note(seen, vm);
	ck_one_vm(vm);
	nova_pool_release(p.pool, vm, 0);
	for (size_t i = 0; i < COPIES; i++) {
		vm = function_take(&p, &f); /* another clone of the template */
		note(seen, vm);
		nova_pool_release(p.pool, vm, 0);
	}
	json_decref(seen);
	function_free(&f);
	platform_close(&p);
}
END_TEST

/* --- at registering --- */

static void ck_default_is_stored(nova_t *nova, nova_function_opts o)
{
	nova_function_t *f;
	o.code = "export default (event) => [typeof event];\n";
	o.code_len = strlen(o.code);
	o.handler = NULL;
	ck_ok(nova_function_register(nova, &o, &f, &error));
	ck_assert_str_eq(nova_function_text(f, "handler", 0), "main.default");
	nova_function_free(f);
	platform_answers(nova, "f", "[\"object\"]");
}

START_TEST(what_node_cannot_import_is_refused_at_registering)
{
	struct platform p = platform_open("qemu.boot_timeout", "10m", NULL);
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "javascript";
	o.timeout_s = PATIENCE;
	o.code = "\nexports.handler = (event) => {\n  let x = ;\n};\n";
	o.code_len = strlen(o.code);
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_NEVER_RAN,
		"SyntaxError: Unexpected token ';' (handler, line 3)",
		nova_function_register(p.nova, &o, NULL, &error));
	o.code = "exports.lambdaHandler = async (event) => event;\n";
	o.code_len = strlen(o.code);
	o.handler = "main.lambdahandler";
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_NEVER_RAN, "did you mean 'lambdaHandler'?",
		nova_function_register(p.nova, &o, NULL, &error));
	if (is_fake())
		ck_default_is_stored(p.nova, o);
	platform_close(&p);
}
END_TEST

/* --- packages --- */

static bool can(const char *directory, const char *command)
{
	AUTO_FREE char *line = str_format("cd '%s' && { %s; } >log 2>&1", directory, command);
	return system(line) == 0;
}

/* package.json and the lock file: an archive of this host and, where its registry is reached, a
 * package that needs another one. */
static bool write_wants(const char *directory)
{
	ck_assert(can(directory,
		"mkdir -p package && cd package && echo \"module.exports = 'tiny'\" >a.js && "
		"echo '{\"name\": \"tiny\", \"version\": \"1.0.0\", \"main\": \"a.js\"}' "
		">package.json && cd .. && tar -czf tiny-1.0.0.tgz package && "
		"echo '{\"name\": \"f\", \"version\": \"1.0.0\"}' >package.json && "
		"npm install --package-lock-only --offline ./tiny-1.0.0.tgz"));
	return !is_fake() && can(directory, "npm install --package-lock-only is-odd@3.0.1");
}

START_TEST(packages_of_npm_are_there_for_both_kinds_of_modules)
{
	struct platform p = platform_open("qemu.boot_timeout", "10m", NULL);
	AUTO_FREE char *directory = path_join(p.dir, "wants"),
		       *file = path_join(directory, "package.json");
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	ck_assert_int_eq(fs_mkdirs(directory, 0755), 0);
	if (!can(directory, "npm --version")) {
		platform_close(&p);
		test_skip("npm is not there");
	}
	bool odd = write_wants(directory);
	AUTO_FREE char *code =
		str_format("import tiny from 'tiny';\nimport { createRequire } from 'module';\n"
			   "const require = createRequire(import.meta.url);\n"
			   "export const handler = () => [tiny, require('tiny')%s];\n",
			odd ? ", require('is-odd')(3)" : "");
	o.name = "f";
	o.runtime = "node";
	o.timeout_s = PATIENCE;
	o.code = code;
	o.code_len = strlen(code);
	o.requirements = file;
	o.check = NOVA_CHECK_NEVER;
	ck_ok(nova_function_register(p.nova, &o, NULL, &error));
	platform_answers(p.nova, "f", odd ? "[\"tiny\",\"tiny\",true]" : "[\"tiny\",\"tiny\"]");
	platform_close(&p);
}
END_TEST

TCase *node_cases(void)
{
	TCase *tc = tcase_create("node");
	tcase_add_test(tc, functions_of_node_stay_in_one_process_and_no_two_copies_draw_the_same);
	tcase_add_test(tc, what_node_cannot_import_is_refused_at_registering);
	tcase_add_test(tc, packages_of_npm_are_there_for_both_kinds_of_modules);
	return tc;
}
