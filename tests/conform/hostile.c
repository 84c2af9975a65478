/* SPDX-License-Identifier: MIT */
/*
 * What a hostile guest may say to its host: it is refused, or ended by the deadline, and the host's
 * memory stays the host's own. The agent is tests/conform/liar.c, whose script stands in each case.
 * Run as `hostile fake`.
 */
#include <pthread.h>
#include <semaphore.h>

#include "proto/proto.h"
#include "vm/vm.h"
#include "conform/setting.h"

#define MIB (1u << 20)

/* --- setting --- */

static struct setting set_up_liar(void)
{
	struct setting s = { .dir = test_dir() };
	ck_assert_int_eq(setenv("NOVA_AGENT", NOVA_LIAR, 1), 0);
	s.config = vmtest_config(s.dir);
	ck_ok(nova_config_set(s.config, "qemu.boot_timeout", "2s", &error));
	ck_ok(nova_host_new(s.config, &s.host, &error));
	return s;
}

static int begin(const struct setting *s, const char *disk, nova_vm_t **ret_vm, nova_error_t **err)
{
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	opts.code_disk = disk;
	init.runtime = "shell";
	init.timeout_ms = 2000;
	*ret_vm = NULL;
	int code = nova_vm_start(s->host, &opts, ret_vm, err);
	return code < 0 ? code : nova_vm_init(*ret_vm, &init, err);
}

static void ignore(void *userdata, int stream, const void *data, size_t len)
{
	(void)data;
	ck_assert_msg(stream == 1 || stream == 2, "%d", stream);
	*(size_t *)userdata += len;
}

/* Starts it, gives it a function, and calls that; the first failure. */
static int try(const struct setting *s, const char *script, bool output, nova_result_t **ret_result)
{
	AUTO_FREE char *disk = code_disk(s, "script", script);
	nova_vm_t *vm;
	size_t got = 0;
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	opts.timeout_ms = 1000;
	opts.on_output = output ? ignore : NULL;
	opts.userdata = &got;
	int code = begin(s, disk, &vm, &error);
	*ret_result = NULL;
	if (code == 0)
		code = nova_vm_invoke(vm, "{}", &opts, ret_result, &error);
	nova_vm_free(vm);
	return code;
}

/* --- one lie --- */

#define RESP(members)  "{\"type\":3,\"payload\":{\"request_id\":\"$\"," members "}}"
#define GOOD           "\"output\":1,\"exit_code\":0"
#define PIECE(members) "{\"type\":73,\"payload\":{\"request_id\":\"$\"," members "}}"
#define ENDED          "\nexec " RESP("\"exit_code\":0")
#define DEEP           "514" /* what is around it makes it too much by one */

static const struct {
	const char *script, *words;
	int code;
} lies[] = {
	/* Ready */
	{ "ready {\"type\":64,\"payload\":{\"error\":5}}", "\"error\"", NOVA_EAGENT },
	{ "ready {\"type\":64,\"payload\":{\"error\":\"%s%n\\u0000\\n<5000*x>\"}}",
		"cannot work: %s%n", NOVA_EAGENT },
	{ "ready {\"type\":64,\"payload\":{\"pid1\":1}}", "\"pid1\"", NOVA_EAGENT },
	{ "ready {\"type\":3,\"payload\":{\"request_id\":\"\"}}", "instead of Ready", NOVA_EAGENT },
	{ "ready {\"type\":64,\"type\":64,\"payload\":{}}", "twice", NOVA_EAGENT },
	{ "ready {\"type\":64,\"payload\":{},\"x\":\"<70000*y>\"}", "too much", NOVA_EAGENT },
	{ "ready {\"type\":64,\"payload\":{<70*\"x\":0,>\"pid1\":true}}", "too much", NOVA_EAGENT },
	{ "ready {\"type\":80,\"payload\":{\"number\":1,\"ask\":{}}}", "instead of Ready",
		NOVA_EAGENT },
	{ "ready! ", "ended before its agent", NOVA_ELOST },
	/* Init */
	{ "init " RESP("\"status\":{}"), "\"status\"", NOVA_EAGENT },
	{ "init " RESP("\"status\":\"initialized\",\"hooks\":\"x\""), "\"hooks\"", NOVA_EAGENT },
	{ "init " RESP("\"warm\":true"), "without saying that it is done", NOVA_EAGENT },
	{ "init " RESP("\"code\":\"zzz\",\"error\":\"%s%n\""), "the agent failed: %s%n",
		NOVA_EAGENT },
	{ "init " RESP("\"code\":\"code\",\"error\":\"no\",\"stderr\":\"<1000000*\\n>the "
		       "<100000*\xc3\xa9>\""),
		"no: the \xc3\xa9", NOVA_EFUNCTION },
	/* Exec: what is no answer */
	{ "exec hello", "not a JSON object", NOVA_EAGENT },
	{ "exec {\"type\":\"3\",\"payload\":{}}", "\"type\"", NOVA_EAGENT },
	{ "exec {\"type\":99999999999,\"payload\":{}}", "\"type\"", NOVA_EAGENT },
	{ "exec {\"type\":3,\"payload\":[]}", "\"payload\"", NOVA_EAGENT },
	{ "exec {\"type\":3,\"payload\":{\"request_id\":5,\"output\":1}}", "\"request_id\"",
		NOVA_EAGENT },
	{ "exec {\"type\":3,\"payload\":{\"output\":1,\"request_id\":[\"$\"]}}", "\"request_id\"",
		NOVA_EAGENT },
	{ "exec! {\"type\":3", "", NOVA_EAGENT },
	{ "exec+! " RESP(GOOD), "", NOVA_ELOST },
	{ "exec <8388609*x>", "over the limit", NOVA_ETOOBIG },
	/* Exec: what is no result */
	{ "exec " RESP("\"output\":1"), "no result", NOVA_EAGENT },
	{ "exec " RESP("\"exit_code\":0"), "no result", NOVA_EAGENT },
	{ "exec " RESP(GOOD ",\"timed_out\":true"), "without a reason", NOVA_EAGENT },
	{ "exec " RESP(GOOD ",\"output\":2"), "\"output\" twice", NOVA_EAGENT },
	{ "exec " RESP(GOOD ",\"request_id\":\"$\""), "\"request_id\" twice", NOVA_EAGENT },
	{ "exec " RESP(GOOD ",\"stdout\":7"), "\"stdout\"", NOVA_EAGENT },
	{ "exec " RESP(GOOD ",\"truncated\":\"y\""), "\"truncated\"", NOVA_EAGENT },
	{ "exec " RESP(GOOD ",\"duration_us\":-1"), "\"duration_us\"", NOVA_EAGENT },
	{ "exec " RESP("\"output\":1,\"exit_code\":<4000000*9>"), "\"exit_code\"", NOVA_EAGENT },
	{ "exec " RESP("\"output\":1,\"exit_code\":1e99999"), "\"exit_code\"", NOVA_EAGENT },
	{ "exec " RESP(GOOD ",\"signal\":65"), "\"signal\"", NOVA_EAGENT },
	/* Exec: too much */
	{ "exec " RESP(GOOD ",\"x\":[<2700000*{},>{}]"), "not known", NOVA_EAGENT },
	{ "exec " RESP("<400000*\"k\":0,>" GOOD), "not known", NOVA_EAGENT },
	{ "exec " RESP("\"output\":<" DEEP "*[><" DEEP "*]>,\"exit_code\":0"), "not a JSON object",
		NOVA_EAGENT },
	{ "exec " RESP("\"output\":<1000000*{\"a\":>"), "not a JSON object", NOVA_EAGENT },
	{ "exec " RESP("\"output\":\"\xff\xfe\",\"exit_code\":0"), "not a JSON object",
		NOVA_EAGENT },
	{ "exec " RESP("\"output\":\"\\ud800\",\"exit_code\":0"), "not a JSON object",
		NOVA_EAGENT },
	/* Output in pieces: IiJh is ""a, MQ== is 1 */
	{ "exec " PIECE("\"offset\":0,\"size\":1"), "as a piece of output is none", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":1,\"base64\":\"\""), "as a piece of output is none",
		NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":1,\"base64\":\"@@@@\""),
		"as a piece of output is none", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"base64\":\"MQ==\""), "promises an output of -1 bytes",
		NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":0,\"base64\":\"MQ==\""),
		"promises an output of 0 bytes", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":37748739,\"base64\":\"MQ==\""),
		"promises an output of 37748739 bytes", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":9223372036854775808,\"base64\":\"MQ==\""),
		"\"size\"", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":1,\"size\":2,\"base64\":\"MQ==\""), "does not follow",
		NOVA_EAGENT },
	{ "exec " PIECE("\"size\":2,\"base64\":\"MQ==\""), "does not follow", NOVA_EAGENT },
	{ "exec* " PIECE("\"offset\":0,\"size\":5,\"base64\":\"MQ==\""), "does not follow",
		NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":2,\"base64\":\"MQ==\"") "\nexec " PIECE(
		  "\"offset\":1,\"size\":3,\"base64\":\"MQ==\""),
		"does not follow", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":2,\"base64\":\"IiJh\""),
		"more output than it promised", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":2,\"base64\":\"MQ==\"") ENDED,
		"less output than it promised", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":1,\"base64\":\"MQ==\"") "\nexec " RESP(GOOD),
		"output twice", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":3,\"base64\":\"IiJh\"") ENDED,
		"output that is not JSON", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":1026,\"base64\":\"<171*W1tb><171*XV1d>\"") ENDED,
		"nested more than 512 levels deep", NOVA_EAGENT },
	{ "exec " PIECE("\"offset\":0,\"size\":1,\"base64\":\"MQ==\"") "\nexec! ", "", NOVA_ELOST },
	{ "init " PIECE("\"offset\":0,\"size\":1,\"base64\":\"MQ==\""), "for what has none",
		NOVA_EAGENT },
	/* Output */
	{ "exec {\"type\":65,\"payload\":{\"request_id\":\"$\",\"data\":\"x\"}}", "none",
		NOVA_EAGENT },
	{ "exec {\"type\":65,\"payload\":{\"request_id\":\"$\",\"stream\":3,\"data\":\"x\"}}",
		"\"stream\"", NOVA_EAGENT },
	{ "exec {\"type\":65,\"payload\":{\"request_id\":\"$\",\"stream\":1,\"base64\":\"@@@@\"}}",
		"none", NOVA_EAGENT },
	{ "exec {\"type\":65,\"payload\":{\"request_id\":\"$\",\"stream\":1}}", "none",
		NOVA_EAGENT },
};

START_TEST(why_secrets_are_refused_is_told_apart)
{
	static const struct {
		const char *script, *words;
		int code;
	} refusals[] = {
		{ "secrets " RESP("\"code\":\"invalid\",\"error\":\"no message of type 79\""),
			"older than this libnova", NOVA_ENOTSUP },
		{ "secrets " RESP("\"code\":\"internal\",\"error\":\"out of memory\""),
			"the guest cannot be given secrets: the agent failed: out of memory",
			NOVA_EAGENT },
	};
	static const char digest[SHA256_HEX] = "1";
	struct setting s = set_up_liar();
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		AUTO_FREE char *disk = code_disk(&s, "script", refusals[i].script);
		nova_vm_t *vm;
		ck_ok(begin(&s, disk, &vm, &error));
		ck_fails_with(refusals[i].code, refusals[i].words,
			vm_entrust(vm, digest, "{}", 2, NULL, &error));
		nova_vm_free(vm);
	}
	tear_down(&s);
}
END_TEST

static void refuses(const struct setting *s, size_t i)
{
	nova_result_t *result;
	const char *script = lies[i].script;
	int code = try(s, script, true, &result);
	ck_assert_msg(code == lies[i].code, "%s: %s %s", script, nova_code_name(code),
		nova_error_message(error));
	ck_assert_msg(strstr(nova_error_message(error), lies[i].words), "%s: %s", script,
		nova_error_message(error));
	ck_assert_msg(strlen(nova_error_message(error)) < 10000 &&
			      text_is_utf8(nova_error_message(error)),
		"%s", script);
	ck_assert_msg(!result, "%s", script);
	nova_error_free(error);
	error = NULL;
}

START_TEST(a_lie_is_refused_by_name_and_never_taken_for_a_result)
{
	struct setting s = set_up_liar();
	for (size_t i = 0; i < ARRAY_LEN(lies); i++)
		refuses(&s, i);
	tear_down(&s);
}
END_TEST

/* --- what may be strange, and is no lie --- */

static const struct {
	const char *script, *output, *out;
} truths[] = {
	{ "exec " RESP(GOOD), "1", "" },
	{ "exec "
	  "{\"type\":3,\"payload\":{\"output\":2,\"exit_code\":0,\"request_id\":\"$\"},\"x\":{}}",
		"2", "" },
	{ "exec " RESP("\"output\" : [1.10, 123456789012345678901234567890e5 ] , "
		       "\"exit_code\":0,\"later\":{\"a\":[1]}"),
		"[1.10, 123456789012345678901234567890e5 ]", "" },
	{ "exec " RESP(
		  GOOD ",\"stdout\":\"\\u0061\\n\\\"\\\\\\/\\b\\u00e9\\u20ac\\ud83d\\ude00z\""),
		"1", "a\n\"\\/\b\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z" },
	{ "exec "
	  "{\"type\":3,\"payload\":{\"request_id\":\"deadbeef\",\"output\":\"wrong\",\"exit_code\":"
	  "0}}\nexec " RESP(GOOD),
		"1", "" },
	{ "exec " PIECE(
		  "\"offset\":0,\"size\":5,\"base64\":\"WzEs\"") "\nexec "
								 "{\"type\":73,\"payload\":{"
								 "\"request_id\":\"deadbeef\"}}\n"
								 "exec " PIECE(
									 "\"offset\":3,\"size\":5,"
									 "\"base64\":\"MV0=\"")
									 ENDED,
		"[1,1]", "" },
	{ "exec " RESP(GOOD) "\nexec " PIECE("\"offset\":7,\"size\":4,\"base64\":\"XQ==\""), "1",
		"" },
	{ "exec {\"type\":99,\"payload\":{\"request_id\":\"$\"}}\nexec "
	  "{\"type\":65,\"payload\":{}}\nexec " RESP(GOOD),
		"1", "" },
};

START_TEST(what_is_strange_but_true_is_taken_letter_by_letter)
{
	struct setting s = set_up_liar();
	for (size_t i = 0; i < ARRAY_LEN(truths); i++) {
		nova_result_t *result;
		size_t len;
		ck_ok(try(&s, truths[i].script, false, &result));
		ck_assert_str_eq(nova_result_output(result, &len), truths[i].output);
		ck_assert_uint_eq(len, strlen(truths[i].output));
		ck_assert_str_eq(nova_result_stdout(result, NULL), truths[i].out);
		nova_result_free(result);
	}
	tear_down(&s);
}
END_TEST

static const struct {
	const char *script;
	size_t len;
	char first, last;
} large[] = {
	{ "exec " RESP("\"output\":\"<3145700*\\\">\",\"exit_code\":0"), 6291402, '"', '"' },
	{ "exec " RESP("\"output\":[<3145700*1,>1],\"exit_code\":0"), 6291403, '[', ']' },
	{ "exec " RESP("\"output\":<512*[><512*]>,\"exit_code\":0"), 1024, '[', ']' },
	{ "exec " PIECE("\"offset\":0,\"size\":1024,\"base64\":\"<170*W1tb>W1td<170*XV1d>XQ==\"")
			ENDED,
		1024, '[', ']' },
	/* [1,1,1,…]: a tree of it would take hundreds of MB */
	{ "exec " PIECE("\"offset\":0,\"size\":6291455,\"base64\":\"WzEs<500000*MSwxLDEs>"
			"\"") "\n"
			      "exec " PIECE("\"offset\":3000003,\"size\":6291455,"
					    "\"base64\":\"<548575*MSwxLDEs>MV0=\"") ENDED,
		6291455, '[', ']' },
};

START_TEST(large_and_deep_output_is_taken_whole)
{
	struct setting s = set_up_liar();
	nova_result_t *result;
	size_t len, before = vmtest_memory_kb(getpid(), "VmRSS:");
	ck_ok(try(&s, large[_i].script, false, &result));
	size_t peak = vmtest_memory_kb(getpid(), "VmHWM:");
	if (!ADDRESSES_ARE_WATCHED)
		ck_assert_msg(
			peak < before + 32 * 1024, "%zu KB before, %zu KB at most", before, peak);
	const char *output = nova_result_output(result, &len);
	ck_assert_uint_eq(len, large[_i].len);
	ck_assert_uint_eq(strlen(output), len);
	ck_assert(output[0] == large[_i].first && output[len - 1] == large[_i].last);
	char *json = nova_result_to_json(result);
	ck_assert_ptr_nonnull(json);
	ck_assert(json_text_ok(json, strlen(json), PROTO_DEPTH));
	nova_free(json);
	nova_result_free(result);
	tear_down(&s);
}
END_TEST

/* Its time is 1 s, and 5 s more for the answer. */
START_TEST(an_output_that_has_begun_to_come_is_waited_for_and_a_silent_agent_is_not)
{
	struct setting s = set_up_liar();
	nova_result_t *result;
	const char *late = "exec " PIECE(
		"\"offset\":0,\"size\":1,\"base64\":\"MQ==\"") "\nexec~~ " RESP("\"exit_code\":0");
	ck_ok(try(&s, late, false, &result));
	ck_assert_str_eq(nova_result_output(result, NULL), "1");
	nova_result_free(result);
	ck_fails(NOVA_EAGENT, try(&s, "exec~~ " RESP(GOOD), false, &result));
	tear_down(&s);
}
END_TEST

/* A command whose streams flow, which has been sent the end of its stdin and nothing else. */
static int try_command(const struct setting *s, const char *script, nova_result_t **ret_result)
{
	AUTO_FREE char *disk = code_disk(s, "script", script);
	nova_vm_t *vm;
	size_t got = 0;
	const char *const argv[] = { "true" };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = 1;
	opts.timeout_ms = 1000;
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = -1;
	opts.on_output = ignore;
	opts.userdata = &got;
	ck_ok(begin(s, disk, &vm, &error));
	int code = nova_vm_command(vm, &opts, ret_result, &error);
	nova_vm_free(vm);
	return code;
}

#define CREDIT(members) "{\"type\":77,\"payload\":{\"request_id\":\"$\"" members "}}"

START_TEST(credit_for_what_was_not_sent_is_refused)
{
	static const struct {
		const char *script, *words;
	} credits[] = {
		{ "command " CREDIT(""), "gives credit" },
		{ "command " CREDIT(",\"size\":0"), "gives credit" },
		{ "command " CREDIT(",\"size\":1"), "gives credit" },
		{ "command* " CREDIT(",\"size\":9223372036854775807"), "gives credit" },
		{ "command " CREDIT(",\"size\":-1"), "\"size\"" },
	};
	struct setting s = set_up_liar();
	nova_result_t *result;
	for (size_t i = 0; i < ARRAY_LEN(credits); i++)
		ck_fails_with(
			NOVA_EAGENT, credits[i].words, try_command(&s, credits[i].script, &result));
	ck_fails_with(NOVA_EAGENT, "gives credit",
		try(&s, "exec " CREDIT(",\"size\":1"), false, &result));
	ck_ok(try_command(&s, "command " RESP(GOOD) "\ncommand " CREDIT(",\"size\":1"), &result));
	nova_result_free(result);
	tear_down(&s);
}
END_TEST

/* --- other messages --- */

START_TEST(a_ping_is_answered_by_saying_so)
{
	static const char *const answers[] = { RESP("\"x\":1"), RESP("\"status\":7"),
		RESP("\"code\":\"io\",\"error\":\"broken\"") };
	static const int codes[] = { NOVA_EAGENT, NOVA_EAGENT, NOVA_EIO };
	struct setting s = set_up_liar();
	AUTO_FREE char *script = str_format("ping %s", answers[_i]),
		       *disk = code_disk(&s, "script", script);
	nova_vm_t *vm;
	ck_ok(begin(&s, disk, &vm, &error));
	ck_fails(codes[_i], nova_vm_ping(vm, 1000, NULL, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_listing_of_wrong_things_is_refused)
{
	static const char *const answers[] = {
		RESP("\"status\":\"ok\",\"entries\":7"),
		RESP("\"status\":\"ok\",\"entries\":[[<100000*[],>[]]]"),
		RESP("\"status\":\"ok\",\"entries\":[<1000000*{},>{}]"),
		RESP("\"status\":\"ok\",\"entries\":[],\"more\":1"),
	};
	struct setting s = set_up_liar();
	AUTO_FREE char *script = str_format("list %s", answers[_i]),
		       *disk = code_disk(&s, "script", script);
	nova_vm_t *vm;
	nova_files_t *files = NULL;
	ck_ok(begin(&s, disk, &vm, &error));
	ck_fails(NOVA_EAGENT, nova_vm_list_files(vm, "/tmp", 0, NULL, &files, &error));
	ck_assert_ptr_null(files);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- eight at once --- */

#define AT_ONCE 8

struct hostile_call {
	pthread_t thread;
	pthread_barrier_t *together;
	nova_vm_t *vm;
	int code;
	size_t streamed;
	nova_result_t *result;
	nova_error_t *error;
};

static void *call(void *argument)
{
	struct hostile_call *c = argument;
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	opts.timeout_ms = 100;
	opts.on_output = ignore;
	opts.userdata = &c->streamed;
	pthread_barrier_wait(c->together);
	c->code = nova_vm_invoke(c->vm, "{}", &opts, &c->result, &c->error);
	return NULL;
}

/* Eight calls, each in its own VM: all fail, and the peak of memory is at most `most_mb` over what
 * it was before. */
static void eight_at_once(const char *const scripts[AT_ONCE], size_t most_mb)
{
	struct setting s = set_up_liar();
	struct hostile_call calls[AT_ONCE] = { 0 };
	pthread_barrier_t together;
	pthread_barrier_init(&together, NULL, AT_ONCE);
	for (int i = 0; i < AT_ONCE; i++) {
		AUTO_FREE char *disk = code_disk(&s, "script", scripts[i]);
		calls[i].together = &together;
		ck_ok(begin(&s, disk, &calls[i].vm, &error));
	}
	uint64_t limit = deadline_in_ms(60000);
	size_t before = vmtest_memory_kb(getpid(), "VmRSS:");
	for (int i = 0; i < AT_ONCE; i++)
		ck_assert_int_eq(pthread_create(&calls[i].thread, NULL, call, &calls[i]), 0);
	for (int i = 0; i < AT_ONCE; i++)
		pthread_join(calls[i].thread, NULL);
	size_t peak = vmtest_memory_kb(getpid(), "VmHWM:");
	ck_assert(!deadline_passed(limit));
	if (!ADDRESSES_ARE_WATCHED)
		ck_assert_msg(peak < before + most_mb * 1024, "%zu KB before, %zu KB at most",
			before, peak);
	for (int i = 0; i < AT_ONCE; i++) {
		ck_assert_msg(calls[i].code == NOVA_EAGENT, "%s: %s (%s)", scripts[i],
			nova_code_name(calls[i].code), nova_error_message(calls[i].error));
		ck_assert_int_eq(nova_error_outcome(calls[i].error), NOVA_OUTCOME_UNKNOWN);
		ck_assert_ptr_null(calls[i].result);
		nova_error_free(calls[i].error);
		nova_vm_free(calls[i].vm);
	}
	pthread_barrier_destroy(&together);
	tear_down(&s);
}

START_TEST(eight_answers_of_many_small_values_do_not_fill_the_memory_of_the_host)
{
	static const char *const values[] = { "{},", "0,", "[],", "\"\"," };
	const char *scripts[AT_ONCE];
	for (int i = 0; i < AT_ONCE; i++) {
		const char *value = values[i % 4];
		scripts[i] = str_format("exec " RESP(GOOD ",\"x\":[<%zu*%s>0]"),
			(size_t)(MIB * 15 / 2) / strlen(value), value);
	}
	eight_at_once(scripts, 64);
	for (int i = 0; i < AT_ONCE; i++)
		free((char *)scripts[i]);
}
END_TEST

START_TEST(eight_agents_that_never_answer_are_ended_by_the_deadline)
{
	static const char *const scripts[AT_ONCE] = {
		"exec* "
		"{\"type\":65,\"payload\":{\"request_id\":\"$\",\"stream\":1,\"data\":\"<60000*x>"
		"\"}}",
		"exec* "
		"{\"type\":65,\"payload\":{\"request_id\":\"$\",\"stream\":2,\"base64\":\"<1000000*"
		"AAAA>\"}}",
		"exec* {\"type\":65,\"payload\":{\"request_id\":\"$\",\"stream\":1,\"data\":\"\"}}",
		"exec* {\"type\":65,\"payload\":{}}",
		"exec* {\"type\":3,\"payload\":{\"request_id\":\"ffffffff\"," GOOD "}}",
		"exec* "
		"{\"type\":3,\"payload\":{\"x\":[<2000000*0,>0],\"request_id\":\"ffffffff\"}}",
		"exec+ " RESP("\"output\":[<2000000*{},>{}],\"exit_code\":0"),
		"exec- " RESP(GOOD),
	};
	eight_at_once(scripts, 64);
}
END_TEST

/* --- what it asks for --- */

#define KV(members) "exec {\"type\":80,\"payload\":{" members "}}\n"
#define OWN         "\"request_id\":\"$\","

/* Counts, and lets nothing be known. */
static int reply_with_nothing(void *userdata, char *ask, size_t len, struct buf *reply)
{
	ck_assert_uint_eq(strlen(ask), len);
	++*(unsigned *)userdata;
	return buf_append_str(reply, "{}");
}

static int call_with_kv(const struct setting *s, const char *script, unsigned *ret_asked)
{
	AUTO_FREE char *disk = code_disk(s, "script", script);
	AUTO_EXEC struct vm_exec exec = { .on_kv = reply_with_nothing, .kv_userdata = ret_asked };
	nova_result_t *result = NULL;
	nova_vm_t *vm;
	*ret_asked = 0;
	ck_ok(begin(s, disk, &vm, &error));
	ck_ok(vm_exec_prepare(&exec, "{}", 2, 1000, NULL, &error));
	int code = vm_exec(vm, &exec, NULL, &result, &error);
	nova_result_free(result);
	nova_vm_free(vm);
	return code;
}

START_TEST(what_is_asked_for_counts_for_its_own_call_and_has_bounds)
{
	static const struct {
		const char *script;
		unsigned asked;
		int code;
	} asks[] = {
		{ KV(OWN "\"number\":1,\"ask\":{\"op\":5}")
				KV(OWN "\"number\":1,\"ask\":[]") "exec " RESP(GOOD),
			2, 0 },
		/* of nobody's call */
		{ KV("\"request_id\":\"other\",\"number\":1,\"ask\":{}")
				KV("\"number\":1,\"ask\":{}") "exec " RESP(GOOD),
			0, 0 },
		{ KV(OWN "\"ask\":{}"), 0, NOVA_EAGENT },
		{ KV(OWN "\"number\":-1,\"ask\":{}"), 0, NOVA_EAGENT },
		{ KV(OWN "\"number\":1,\"number\":2,\"ask\":{}"), 0, NOVA_EAGENT },
		{ KV(OWN "\"number\":1"), 0, NOVA_EAGENT },
		{ KV(OWN "\"number\":1,\"ask\":\"<6300000*x>\""), 0, NOVA_EAGENT },
		{ KV(OWN "\"number\":1,\"ask\":{]"), 0, NOVA_EAGENT },
	};
	struct setting s = set_up_liar();
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		unsigned asked;
		int code = call_with_kv(&s, asks[i].script, &asked);
		ck_assert_msg(code == asks[i].code && asked == asks[i].asked,
			"%s: %d, asked %u: %s", asks[i].script, code, asked,
			nova_error_message(error));
		nova_error_free(STEAL(error));
	}
	tear_down(&s);
}
END_TEST

/* It reads no reply, either. */
START_TEST(who_asks_without_end_is_ended_by_the_deadline)
{
	struct setting s = set_up_liar();
	unsigned asked;
	int code = call_with_kv(
		&s, "exec* {\"type\":80,\"payload\":{" OWN "\"number\":1,\"ask\":{}}}", &asked);
	ck_assert_msg(code == NOVA_EAGENT || code == NOVA_ELOST, "%d: %s", code,
		nova_error_message(error));
	ck_assert_uint_gt(asked, 0);
	nova_error_free(STEAL(error));
	tear_down(&s);
}
END_TEST

static int cancel_and_reply(void *userdata, char *ask, size_t len, struct buf *reply)
{
	(void)ask, (void)len;
	nova_interrupt_trigger(userdata);
	return buf_append_str(reply, "{}");
}

/* Else it would go on in a VM that the next call is given. */
START_TEST(who_asks_while_its_call_is_cancelled_is_told_of_that_and_ended)
{
	struct setting s = set_up_liar();
	AUTO_FREE char *disk = code_disk(
		&s, "script", "exec* {\"type\":80,\"payload\":{" OWN "\"number\":1,\"ask\":{}}}");
	nova_interrupt_t *interrupt;
	nova_result_t *result = NULL;
	nova_vm_t *vm;
	ck_ok(nova_interrupt_new(&interrupt, &error));
	const struct stop stop = { interrupt, NULL };
	AUTO_EXEC struct vm_exec exec = { .on_kv = cancel_and_reply, .kv_userdata = interrupt };
	ck_ok(begin(&s, disk, &vm, &error));
	ck_ok(vm_exec_prepare(&exec, "{}", 2, 60000, NULL, &error));
	ck_fails_with(NOVA_ECANCELED, "the microVM was ended",
		vm_exec(vm, &exec, &stop, &result, &error));
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	nova_vm_free(vm);
	nova_interrupt_free(interrupt);
	tear_down(&s);
}
END_TEST

/* --- one that is busy --- */

struct busy_call {
	pthread_t thread;
	nova_vm_t *vm;
	sem_t begun;
	bool ended; /* atomic */
};

static void note_begun(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream, (void)data, (void)len;
	sem_post(userdata);
}

static void *be_busy(void *argument)
{
	struct busy_call *c = argument;
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	opts.timeout_ms = 60000;
	opts.on_output = note_begun;
	opts.userdata = &c->begun;
	ck_ok(nova_vm_invoke(c->vm, "{}", &opts, &result, NULL));
	__atomic_store_n(&c->ended, true, __ATOMIC_SEQ_CST);
	nova_result_free(result);
	return NULL;
}

static int tell_a_secret(nova_vm_t *vm, const char *digest, const struct stop *stop)
{
	char padded[SHA256_HEX];
	snprintf(padded, sizeof(padded), "%s", digest);
	return vm_entrust(vm, padded, "{\"A\":\"b\"}", 9, stop, &error);
}

static void *tell_one(void *argument)
{
	struct busy_call *c = argument;
	ck_ok(tell_a_secret(c->vm, "1", NULL));
	return NULL;
}

/* It works for four seconds, which is longer than it may take for anything else; and whoever waits
 * behind another can be called off. */
START_TEST(a_guest_that_works_on_another_call_is_not_late)
{
	struct setting s = set_up_liar();
	AUTO_FREE char *disk = code_disk(&s, "script",
		"exec {\"type\":65,\"payload\":{\"request_id\":\"$\",\"stream\":1,"
		"\"data\":\"x\"}}\n"
		"exec~ " RESP(GOOD));
	struct busy_call c = { .ended = false };
	nova_interrupt_t *interrupt;
	pthread_t teller;
	ck_ok(begin(&s, disk, &c.vm, &error));
	ck_ok(nova_interrupt_new(&interrupt, &error));
	nova_interrupt_trigger(interrupt);
	const struct stop stop = { interrupt, NULL };
	sem_init(&c.begun, 0, 0);
	ck_assert_int_eq(pthread_create(&c.thread, NULL, be_busy, &c), 0);
	sem_wait(&c.begun);
	ck_assert_int_eq(pthread_create(&teller, NULL, tell_one, &c), 0);
	ck_assert_int_eq(tell_a_secret(c.vm, "2", &stop), NOVA_ECANCELED);
	nova_error_free(STEAL(error));
	ck_ok(vm_wake(c.vm, &error)); /* as who shares it with that call may, not knowing better */
	ck_assert(!__atomic_load_n(&c.ended, __ATOMIC_SEQ_CST));
	ck_ok(nova_vm_ping(c.vm, 1000, NULL, &error));
	pthread_join(c.thread, NULL);
	pthread_join(teller, NULL);
	nova_interrupt_free(interrupt);
	nova_vm_free(c.vm);
	sem_destroy(&c.begun);
	tear_down(&s);
}
END_TEST

static Suite *hostile_suite(void)
{
	Suite *suite = suite_create("hostile");
	TCase *tc = tcase_create("hostile");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_lie_is_refused_by_name_and_never_taken_for_a_result);
	tcase_add_test(tc, why_secrets_are_refused_is_told_apart);
	tcase_add_test(tc, what_is_strange_but_true_is_taken_letter_by_letter);
	const char *is_long = getenv("NOVA_TEST_LONG");
	if (is_long && *is_long)
		tcase_add_test(tc,
			an_output_that_has_begun_to_come_is_waited_for_and_a_silent_agent_is_not);
	tcase_add_loop_test(tc, large_and_deep_output_is_taken_whole, 0, ARRAY_LEN(large));
	tcase_add_test(tc, credit_for_what_was_not_sent_is_refused);
	tcase_add_test(tc, what_is_asked_for_counts_for_its_own_call_and_has_bounds);
	tcase_add_test(tc, who_asks_without_end_is_ended_by_the_deadline);
	tcase_add_test(tc, who_asks_while_its_call_is_cancelled_is_told_of_that_and_ended);
	tcase_add_test(tc, a_guest_that_works_on_another_call_is_not_late);
	tcase_add_loop_test(tc, a_ping_is_answered_by_saying_so, 0, 3);
	tcase_add_loop_test(tc, a_listing_of_wrong_things_is_refused, 0, 4);
	tcase_add_test(tc, eight_answers_of_many_small_values_do_not_fill_the_memory_of_the_host);
	tcase_add_test(tc, eight_agents_that_never_answer_are_ended_by_the_deadline);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, hostile_suite);
}
