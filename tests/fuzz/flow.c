/* SPDX-License-Identifier: MIT */
/*
 * Any Input and Credit at both ends of a command's streams: what each keeps, and what it takes to
 * be under way, stays within the window. Each line is a step: its first letter says which, and the
 * rest is the payload or a number.
 */
#include <assert.h>
#include <fcntl.h>

#include "agent/run/run.h"

#define STEPS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool refused;
static size_t told; /* credit for stdin */

static void note(const char *wrong)
{
	assert(!wrong || *wrong);
	refused |= wrong != NULL;
}

/* As agent/run/request.c does when the command has read some of it. */
static void take(struct request *request, size_t most)
{
	size_t len = most < request->stdin_data.len ? most : request->stdin_data.len;
	if (request->stdin_fd < 0 || !len)
		return;
	buf_consume(&request->stdin_data, len);
	size_t credit = flow_stdin_taken(request, len);
	assert(credit <= PROTO_WINDOW);
	told += credit;
}

/* An Input of so many bytes. */
static json_t *filling(size_t size)
{
	AUTO_BUF struct buf bytes = BUF_INIT(2 * PROTO_WINDOW), coded = BUF_INIT(4 * PROTO_WINDOW);
	size %= PROTO_WINDOW + 2;
	assert(buf_reserve(&bytes, size + 1));
	memset(bytes.data, 'x', size);
	assert(base64_put(&coded, bytes.data, size) == 0);
	return json_pack("{s:s%}", "base64", coded.len ? (char *)coded.data : "", coded.len);
}

static void step(struct request *request, char kind, const char *rest, size_t len)
{
	AUTO_JSON json_t *payload = NULL;
	size_t number = strtoul(rest, NULL, 10);
	if (kind == 'i' || kind == 'c')
		payload = json_loadb(rest, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	else if (kind == 'f')
		payload = filling(number);
	if (payload && kind != 'c')
		note(flow_input(request, payload));
	else if (payload)
		note(flow_credit(request, payload));
	else if (kind == 't')
		take(request, number);
	else if (kind == 'x')
		flow_stdin_refused(request);
	else if (kind == 'p')
		request->window -= number < request->window ? number : request->window;
}

static void all_lines(struct request *request, char *text)
{
	size_t taken = 0;
	char *save = NULL;
	int steps = 0;
	for (char *line = strtok_r(text, "\n", &save); line && !refused && steps++ < STEPS_MAX;
		line = strtok_r(NULL, "\n", &save)) {
		size_t before = request->stdin_data.len;
		step(request, *line, line + 1, strlen(line + 1));
		taken += *line == 't' ? before - request->stdin_data.len : 0;
		assert(request->stdin_data.len <= PROTO_WINDOW);
		assert(request->window <= PROTO_WINDOW);
		assert(told + request->stdin_taken == taken);
		assert(!request->stdin_ended || request->stdin_data.len || request->stdin_fd < 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_FREE char *text = strndup((const char *)data, len);
	static struct request request;
	request = (struct request){ .stream = true };
	request.stdin_fd = sys_open("/dev/null", O_WRONLY, 0);
	refused = false;
	told = 0;
	if (len && *data != 'n') /* one that does not flow */
		flow_begin(&request);
	all_lines(&request, text);
	if (request.stdin_fd >= 0)
		fd_close(request.stdin_fd);
	buf_free(&request.stdin_data);
	return 0;
}
