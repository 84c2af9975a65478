/* SPDX-License-Identifier: MIT */
/* The real agent as a plain process on a socketpair, and how to talk to it. */
#ifndef NOVA_TESTS_AGENT_H
#define NOVA_TESTS_AGENT_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/proto.h"
#include "test.h"

extern char **environ;

#define PATIENCE_MS 60000 /* a machine under load is slow; nothing here is measured */

static pid_t pid;
static int sock = -1;
static nova_decoder_t *decoder;
static char *dir, *code, *work;

static inline void setup(void)
{
	int ends[2];
	dir = test_dir();
	code = path_join(dir, "code");
	work = path_join(dir, "work");
	ck_assert_int_eq(fs_mkdirs(code, 0755), 0);
	ck_assert_int_eq(fs_mkdirs(work, 0755), 0);
	ck_assert_int_eq(sys_socketpair(SOCK_STREAM, ends), 0);
	/* What the agent leaves behind becomes ours, and can be counted. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 3);
	char *argv[] = { (char *)AGENT, (char *)"--fd", (char *)"3", (char *)"--code", code,
		(char *)"--work", work, NULL };
	ck_assert_int_eq(posix_spawn(&pid, AGENT, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	fd_close(ends[1]);
	sock = ends[0];
	ck_assert_int_eq(nova_decoder_new(0, &decoder, NULL), 0);
}

static inline void hang_up(void)
{
	fd_close(sock);
	sock = -1;
}

/* The agent ends, and with it all that it ever started. */
static inline void teardown(void)
{
	int status;
	hang_up();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		"the agent ended with status %x", status);
	/* zombies at most: a living one would hang here until the test's time is over */
	while (waitpid(-1, &status, 0) > 0)
		ck_assert_msg(
			WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "left behind: %x", status);
	char **names;
	int count = fs_list(work, &names);
	for (int i = 0; i < count; i++)
		ck_assert_msg(
			!str_starts(names[i], "input-"), "an input file was left: %s", names[i]);
	strv_free(names, (size_t)count);
	nova_decoder_free(decoder);
	test_dir_remove(dir);
	free(code);
	free(work);
}

/* --- talking --- */

static inline void send_bytes(const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len) {
		ssize_t put = sys_send(sock, at, len, 0);
		ck_assert_int_gt(put, 0);
		at += put;
		len -= (size_t)put;
	}
}

static inline void send_text(int type, const char *payload)
{
	void *frame;
	size_t len;
	ck_assert_int_eq(nova_frame_encode(type, payload, strlen(payload), &frame, &len, NULL), 0);
	send_bytes(frame, len);
	nova_free(frame);
}

/* The next frame, or NULL when the agent has hung up. */
static inline json_t *receive(int *ret_type)
{
	const char *payload;
	size_t len;
	for (;;) {
		int r = nova_decoder_next(decoder, ret_type, &payload, &len, NULL);
		ck_assert_int_ge(r, 0);
		if (r == 1)
			return json_loadb(
				payload, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
		struct pollfd in = { sock, POLLIN, 0 };
		ck_assert_msg(sys_poll(&in, 1, PATIENCE_MS) > 0, "the agent is silent");
		static uint8_t block[1 << 16];
		ssize_t got = sys_recv(sock, block, sizeof(block), 0);
		if (got <= 0)
			return NULL;
		ck_assert_int_eq(nova_decoder_feed(decoder, block, (size_t)got, NULL), 0);
	}
}

/* A piece of a long output: it follows the one before, and all of them promise the same. */
static inline void gather(json_t *piece, struct buf *output)
{
	json_int_t size = json_integer_value(json_object_get(piece, "size"));
	ck_assert_int_eq(
		json_integer_value(json_object_get(piece, "offset")), (json_int_t)output->len);
	const char *coded = json_string_value(json_object_get(piece, "base64"));
	ck_assert_int_eq(base64_get(output, coded, strlen(coded)), 0);
	ck_assert_uint_le(output->len, (size_t)size);
}

/* The next answer, with its output if that came in pieces; other frames in front of it are dropped.
 */
static inline json_t *answer(void)
{
	int type = 0;
	json_t *got = NULL;
	AUTO_BUF struct buf output = BUF_INIT(PROTO_OUTPUT_JSON_MAX);
	while (type != NOVA_MSG_RESP) {
		json_decref(got);
		got = receive(&type);
		ck_assert_ptr_nonnull(got);
		if (type == NOVA_MSG_OUTPUT)
			gather(got, &output);
	}
	if (output.len) {
		ck_assert_ptr_null(json_object_get(got, "output"));
		json_object_set_new(got, "output",
			json_loadb((char *)output.data, output.len,
				JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
	}
	return got;
}

static inline json_t *ask(int type, const char *payload)
{
	send_text(type, payload);
	return answer();
}

static inline const char *text(json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));
	return value ? value : "";
}

static inline json_int_t number(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

#define ck_has(object, name, part)                                                                 \
	ck_assert_msg(strstr(text((object), (name)), (part)), "%s: '%s' not in %s", (name),        \
		(part), json_dumps((object), JSON_ENCODE_ANY))

static inline void write_code(const char *name, const char *content, mode_t mode)
{
	AUTO_FREE char *path = path_join(code, name);
	ck_assert_int_eq(fs_write_file(path, content, strlen(content), mode), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static inline json_t *init_answer(const char *runtime, const char *handler)
{
	AUTO_FREE char *payload =
		str_format("{\"request_id\":\"init\",\"runtime\":\"%s\",\"handler\":\"%s\","
			   "\"env_vars\":{\"COLOUR\":\"blue\"}}",
			runtime, handler);
	return ask(NOVA_MSG_INIT, payload);
}

static inline void init(const char *runtime)
{
	AUTO_JSON json_t *got = init_answer(runtime, "");
	ck_assert_msg(strcmp(text(got, "status"), "initialized") == 0, "%s %s", text(got, "error"),
		text(got, "stderr"));
}

static inline json_t *exec(const char *input, unsigned timeout_ms)
{
	void *frame;
	size_t len;
	ck_assert_int_eq(
		proto_exec_frame("r1", input, strlen(input), timeout_ms, false, &frame, &len, NULL),
		0);
	send_bytes(frame, len);
	nova_free(frame);
	json_t *got = answer();
	ck_assert_str_eq(text(got, "request_id"), "r1");
	return got;
}

static inline void ck_output(json_t *got, const char *expected)
{
	AUTO_FREE char *output = json_dumps(
		json_object_get(got, "output"), JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
	ck_assert_msg(output && strcmp(output, expected) == 0, "output %s, error %s, stderr %s",
		output, text(got, "error"), text(got, "stderr"));
	ck_assert_int_eq(number(got, "exit_code"), 0);
	ck_assert_ptr_null(json_object_get(got, "error"));
}

/* A shell function; `script` sees the input file as $1. */
static inline void shell(const char *script)
{
	write_code("handler", script, 0644);
	init("shell");
}

static inline void python(const char *source)
{
	write_code("handler", source, 0644);
	init("python");
}

static inline void ck_alive(void)
{
	AUTO_JSON json_t *pong = ask(NOVA_MSG_PING, "{\"request_id\":\"p\"}");
	ck_assert_str_eq(text(pong, "status"), "ok");
}

static inline TCase *add_case(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(suite, tc);
	return tc;
}

#endif
