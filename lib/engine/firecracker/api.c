/* SPDX-License-Identifier: MIT */
/*
 * Firecracker's API: HTTP over a Unix socket, one request at a time. Its server is small and has
 * habits: it answers without reason phrases, takes no chunked bodies and no Expect, and after an
 * error of HTTP itself its place in the stream is lost.
 */
#include "engine/firecracker/firecracker.h"
#include "module/curl.h"

#define ANSWER_MOST   (64u << 10) /* its JSON becomes a tree a hundred times its size */
#define RETRY_MS      2u
#define END_MOMENT_MS 200u

/* After anything that is not understood the connection is given up. */
static void hang_up(struct fc_api *api)
{
	if (api->curl) /* else the module may not be there */
		curl_easy_cleanup(api->curl);
	api->curl = NULL;
}

void fc_api_done(struct fc_api *api)
{
	hang_up(api);
	free(api->socket);
	api->socket = NULL;
}

struct exchange {
	struct buf answer;
	bool deprecated;
};

static size_t take_body(char *data, size_t size, size_t count, void *userdata)
{
	struct exchange *x = userdata;
	return buf_append(&x->answer, data, size * count) < 0 ? 0 : size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *userdata)
{
	static const char name[] = "Deprecation: true";
	struct exchange *x = userdata;
	x->deprecated |= size * count >= sizeof(name) - 1 && !memcmp(data, name, sizeof(name) - 1);
	return size * count;
}

int fc_api_ready(nova_error_t **error)
{
	return curl_load(error);
}

static int prepare(struct fc_api *api, nova_error_t **error)
{
	if (api->curl)
		return 0;
	int code = fc_api_ready(error);
	if (code < 0)
		return code;
	CURL *curl = curl_easy_init();
	if (!curl)
		return nova_oom(error);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, api->socket);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	api->curl = curl;
	return 0;
}

static long time_left_ms(uint64_t deadline)
{
	int left = deadline_poll_ms(deadline);
	return left < 0 ? (long)FC_LONG_TIMEOUT : left ? left : 1;
}

static CURLcode perform(struct fc_api *api, const char *method, const char *path, const char *body,
	uint64_t deadline, struct exchange *x)
{
	CURL *curl = api->curl;
	AUTO_FREE char *url = str_format("http://localhost%s", path);
	/* Without these two libcurl asks before it sends 1 KB, and names a form. */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	struct curl_slist *typed =
		headers ? curl_slist_append(headers, "Content-Type: application/json") : NULL;
	if (!url || !typed) {
		curl_slist_free_all(headers);
		return CURLE_OUT_OF_MEMORY;
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, typed);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, time_left_ms(deadline));
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	} else {
		curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	CURLcode result = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
	curl_slist_free_all(headers);
	return result;
}

static int unreachable(struct fc_api *api, CURLcode result, const char *method, const char *path,
	nova_error_t **error)
{
	hang_up(api);
	if (result == CURLE_OUT_OF_MEMORY)
		return nova_oom(error);
	/* The kernel closes its socket a moment before it tells of its end. */
	if (process_wait(api->process,
		    result == CURLE_OPERATION_TIMEDOUT ? 0 : deadline_in_ms(END_MOMENT_MS)))
		return nova_fail(
			error, NOVA_EENGINE, "Firecracker ended during %s %s", method, path);
	return nova_fail(error, NOVA_EENGINE, "Firecracker did not answer %s %s: %s", method, path,
		curl_easy_strerror(result));
}

/* A refusal of the API proper leaves the connection as it was; everything else is the end of it. */
static int refused(struct fc_api *api, long status, const struct exchange *x, const char *method,
	const char *path, nova_error_t **error)
{
	AUTO_FREE char *fault = fc_fault((const char *)x->answer.data, x->answer.len);
	if (fault)
		return nova_fail(
			error, NOVA_EENGINE, "Firecracker refuses %s %s: %s", method, path, fault);
	hang_up(api);
	return nova_fail(error, NOVA_EENGINE,
		"Firecracker answers %s %s with HTTP %ld and no reason", method, path, status);
}

int fc_call(struct fc_api *api, const char *method, const char *path, const char *body,
	uint64_t deadline, char **ret_answer, nova_error_t **error)
{
	struct exchange x = { BUF_INIT(ANSWER_MOST), false };
	int code = prepare(api, error);
	if (code < 0)
		return code;
	CURLcode result = perform(api, method, path, body, deadline, &x);
	long status = 0;
	if (result == CURLE_OK)
		curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
	if (result != CURLE_OK)
		code = unreachable(api, result, method, path, error);
	else if (status != 200 && status != 204)
		code = refused(api, status, &x, method, path, error);
	else if (ret_answer && !(*ret_answer = buf_steal_str(&x.answer)))
		code = nova_oom(error);
	if (x.deprecated)
		log_debug(api->log, "firecracker", "%s %s is deprecated in this version", method,
			path);
	buf_free(&x.answer);
	return code;
}

int fc_call_plan(
	struct fc_api *api, const struct fc_plan *plan, uint64_t deadline, nova_error_t **error)
{
	int code = plan->failed ? nova_oom(error) : 0;
	for (size_t i = 0; code == 0 && i < plan->count; i++)
		code = fc_call(api, plan->list[i].method, plan->list[i].path, plan->list[i].body,
			deadline, NULL, error);
	return code;
}

/* Whether somebody listens already; only then is there something that libcurl could talk to. */
static int await_listener(const struct fc_api *api, uint64_t deadline, nova_error_t **error)
{
	for (;;) {
		AUTO_FD int fd = sys_connect_unix(api->socket);
		if (fd >= 0)
			return 0;
		if (process_wait(api->process, deadline_in_ms(RETRY_MS)))
			return nova_fail(
				error, NOVA_EENGINE, "Firecracker ended before its API was up");
		if (deadline_passed(deadline))
			return nova_fail(error, NOVA_EENGINE,
				"the API of Firecracker did not come up in time");
	}
}

int fc_greet(
	struct fc_api *api, uint64_t deadline, struct fc_version *ret_version, nova_error_t **error)
{
	AUTO_FREE char *answer = NULL;
	int code = await_listener(api, deadline, error);
	if (code == 0)
		code = fc_call(api, "GET", "/", NULL, deadline, &answer, error);
	if (code < 0)
		return code;
	if (!fc_answer_version(answer, strlen(answer), ret_version))
		return nova_fail(
			error, NOVA_EENGINE, "what listens on the API socket is no Firecracker");
	return fc_version_check(ret_version, error);
}
