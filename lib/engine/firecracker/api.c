/* SPDX-License-Identifier: MIT */
/*
 * Firecracker's API: HTTP over a Unix socket, one request at a time. Its server is small and has habits: it answers without reason
 * phrases, takes no chunked bodies and no Expect, and after an error of HTTP itself its place in the stream is lost.
 */
#include <errno.h>

#include "engine/firecracker/firecracker.h"

#define ANSWER_MOST (64u << 10) /* its JSON becomes a tree a hundred times its size */
#define RETRY_MS    2u
#define END_MOMENT_MS 200u

void fc_api_done(struct fc_api *api)
{
	http_close(&api->http);
	free(api->socket);
	api->socket = NULL;
}

/* What the answer lacked, if that says nothing of this host; NULL: the errno is to be told. */
static const char *lack(int r)
{
	static const struct {
		int r;
		const char *words;
	} lacks[] = {
		{ -ETIMEDOUT, "nothing came in time" },
		{ -EBADMSG, "what came is no HTTP" },
		{ -EMSGSIZE, "what came is too large" },
		{ -ECONNRESET, "it closed the connection" },
		{ -ECONNREFUSED, "nobody listens" },
		{ -ENOENT, "nobody listens" },
		{ -EAGAIN, "too many wait for it" },
	};
	for (size_t i = 0; i < ARRAY_LEN(lacks); i++)
		if (lacks[i].r == r)
			return lacks[i].words;
	return NULL;
}

static int unreachable(struct fc_api *api, int r, const char *method, const char *path, nova_error_t **error)
{
	if (r == -ENOMEM)
		return nova_oom(error);
	/* The kernel closes its socket a moment before it tells of its end. */
	if (process_wait(api->process, r == -ETIMEDOUT ? 0 : deadline_in_ms(END_MOMENT_MS)))
		return nova_fail(error, NOVA_EENGINE, "Firecracker ended during %s %s", method, path);
	const char *words = lack(r);
	if (!words)
		return nova_fail_os(error, r, "asking Firecracker for %s %s", method, path);
	return nova_fail(error, NOVA_EENGINE, "Firecracker did not answer %s %s: %s", method, path, words);
}

/* A refusal of the API proper leaves the connection as it was; everything else is the end of it. */
static int refused(struct fc_api *api, unsigned status, const struct buf *answer, const char *method, const char *path,
	nova_error_t **error)
{
	AUTO_FREE char *fault = fc_fault((const char *)answer->data, answer->len);
	if (fault)
		return nova_fail(error, NOVA_EENGINE, "Firecracker refuses %s %s: %s", method, path, fault);
	http_close(&api->http);
	return nova_fail(error, NOVA_EENGINE, "Firecracker answers %s %s with HTTP %u and no reason", method, path, status);
}

int fc_call(struct fc_api *api, const char *method, const char *path, const char *body, uint64_t deadline, char **ret_answer,
	nova_error_t **error)
{
	AUTO_BUF struct buf answer = BUF_INIT(ANSWER_MOST);
	const struct http_request request = { method, path, body };
	struct http_head head = { 0 };
	int code = http_do(&api->http, api->socket, &request, deadline, &head, &answer);
	if (code < 0)
		return unreachable(api, code, method, path, error);
	if (head.deprecated)
		log_debug(api->log, "firecracker", "%s %s is deprecated in this version", method, path);
	if (head.status != 200 && head.status != 204)
		return refused(api, head.status, &answer, method, path, error);
	if (ret_answer && !(*ret_answer = buf_steal_str(&answer)))
		return nova_oom(error);
	return 0;
}

int fc_call_plan(struct fc_api *api, const struct fc_plan *plan, uint64_t deadline, nova_error_t **error)
{
	int code = plan->failed ? nova_oom(error) : 0;
	for (size_t i = 0; code == 0 && i < plan->count; i++)
		code = fc_call(api, plan->list[i].method, plan->list[i].path, plan->list[i].body, deadline, NULL, error);
	return code;
}

/* Whether somebody listens already; only then is there something to talk to. */
static int await_listener(const struct fc_api *api, uint64_t deadline, nova_error_t **error)
{
	for (;;) {
		AUTO_FD int fd = sys_connect_unix(api->socket);
		if (fd >= 0)
			return 0;
		if (process_wait(api->process, deadline_in_ms(RETRY_MS)))
			return nova_fail(error, NOVA_EENGINE, "Firecracker ended before its API was up");
		if (deadline_passed(deadline))
			return nova_fail(error, NOVA_EENGINE, "the API of Firecracker did not come up in time");
	}
}

int fc_greet(struct fc_api *api, uint64_t deadline, struct fc_version *ret_version, nova_error_t **error)
{
	AUTO_FREE char *answer = NULL;
	int code = await_listener(api, deadline, error);
	if (code == 0)
		code = fc_call(api, "GET", "/", NULL, deadline, &answer, error);
	if (code < 0)
		return code;
	if (!fc_answer_version(answer, strlen(answer), ret_version))
		return nova_fail(error, NOVA_EENGINE, "what listens on the API socket is no Firecracker");
	return fc_version_check(ret_version, error);
}
