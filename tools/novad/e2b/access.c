/* SPDX-License-Identifier: MIT */
/* What the E2B SDK asks for, who may ask, and how it is told that something went wrong. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "e2b.h"

#define DIRECTORY "/tmp" /* where commands begin, and relative paths */

/* --- paths --- */

/* Takes the last part away, if there is one. */
static void go_up(struct bytes *path)
{
	while (path->len && path->data[path->len - 1] != '/')
		path->len--;
	path->len -= path->len != 0;
}

char *e2b_path(const char *path)
{
	struct bytes whole = { 0 };
	if (*path != '/')
		bytes_add(&whole, DIRECTORY, strlen(DIRECTORY));
	while (*path) {
		size_t len = strcspn(path, "/");
		if (len == 2 && !strncmp(path, "..", 2)) {
			go_up(&whole);
		} else if (len && !(len == 1 && *path == '.')) {
			bytes_add(&whole, "/", 1);
			bytes_add(&whole, path, len);
		}
		path += len + (path[len] == '/');
	}
	if (!whole.len)
		bytes_add(&whole, "/", 1);
	bytes_add(&whole, "", 1); /* what has been taken away is still there */
	return whole.data;
}

json_t *e2b_time(int64_t us)
{
	struct tm tm;
	char text[80];
	time_t seconds = (time_t)(us / 1000000);
	gmtime_r(&seconds, &tm);
	size_t len = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(us / 1000 % 1000));
	return json_string(text);
}

/* --- who may --- */

static bool is_same(const char *a, const char *b)
{
	unsigned char differ = strlen(a) != strlen(b);
	for (size_t i = 0; a[i] && b[i]; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return !differ;
}

/* Words by which the SDK knows that a sandbox is not there any more. */
static void refuse_gone(struct exchange *x, const char *id, const struct sandbox *found)
{
	if (found->state == SANDBOX_BUSY)
		exchange_problem(x, 503, "busy",
			"the sandbox '%.60s' is just being started, paused, forked or ended: try "
			"again",
			id);
	else
		exchange_problem(x, 502, "lost", "The sandbox '%.60s' was not found%s", id,
			found->state == SANDBOX_PAUSED ?
				": it is paused, and Sandbox.connect() resumes it" :
				": it was killed, its time is over, or novad has been restarted");
}

static void admit(struct exchange *x, const char *id, char key[65], char hash[65])
{
	struct sandbox sandbox;
	const char *token = exchange_header(x, "X-Access-Token");
	bool found = sandbox_find(id, NULL, &sandbox);
	if (found && (!token || !is_same(token, sandbox.token)))
		exchange_problem(x, 401, "unauthorized",
			"the header 'X-Access-Token' is not that of this sandbox");
	else if (!found || sandbox.state != SANDBOX_RUNNING)
		refuse_gone(x, id, &sandbox);
	snprintf(x->sandbox, sizeof(x->sandbox), "%s", sandbox.id);
	snprintf(key, 65, "%s", sandbox.key);
	snprintf(hash, 65, "%s", sandbox.owner);
	sandbox_clear(&sandbox);
}

bool e2b_admit(struct exchange *x, char key[65], char hash[65])
{
	const char *id = exchange_header(x, "E2b-Sandbox-Id");
	const char *user = exchange_header(x, "Authorization");
	if (!id)
		exchange_problem(x, 401, "unauthorized",
			"the headers 'E2b-Sandbox-Id' and 'X-Access-Token' are missing: what is in "
			"a sandbox is reached by the SDK, and not by links");
	else
		admit(x, id, key, hash);
	if (!x->answered && user && !strncasecmp(user, "Basic ", 6))
		exchange_problem(x, 400, "invalid", E2B_ONE_USER);
	return !x->answered;
}

bool e2b_is_owner(const struct exchange *x)
{
	char owner[65];
	struct sandbox sandbox;
	key_owner(x->key, owner);
	bool is = sandbox_find(x->sandbox, owner, &sandbox);
	sandbox_clear(&sandbox);
	return is;
}

/* --- messages in streams: 1 byte of flags, 4 of length, JSON --- */

void e2b_wrap(struct bytes *out, unsigned char flags, const char *text, size_t len)
{
	const unsigned char head[] = { flags, (unsigned char)(len >> 24),
		(unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len };
	bytes_add(out, head, sizeof(head));
	bytes_add(out, text, len);
}

bool e2b_unwrap(struct exchange *x)
{
	const unsigned char *head = (const unsigned char *)x->body.data;
	size_t len = x->body.len < 5 ? 0 :
				       (size_t)head[1] << 24 | (size_t)head[2] << 16 |
					       (size_t)head[3] << 8 | head[4];
	bool fits = x->body.len >= 5 && !head[0] && len == x->body.len - 5;
	if (!fits) {
		exchange_problem(x, 400, "malformed",
			"the body is not one message of the Connect protocol, uncompressed");
		return false;
	}
	x->novad->body_bytes -= 5;
	bytes_drop(&x->body, 5);
	return true;
}

/* --- what is not there --- */

/* Parts of the API that are not here, as patterns; the first that fits counts. */
static const struct {
	const char *path, *instead;
} missing[] = {
	{ "/sandboxes/*/snapshots", "Sandbox.pause() and fork() keep the state of a sandbox" },
	{ "/sandboxes/*/metrics", "GET /metrics has numbers of the whole server" },
	{ "/sandboxes/*/network", "the network of a sandbox is that of its template" },
	{ "*/sandboxes*", "this is for version " E2B_VERSION " of the SDK" },
	{ "/snapshots*", "Sandbox.pause() and fork() keep the state of a sandbox" },
	{ "/templates/*", "templates are functions, which novactl deletes, and a sandbox that is "
			  "killed takes its snapshots along" },
	{ "*/templates*", "templates are functions: novactl register" },
	{ "/volumes*", "files.write() brings files into a sandbox" },
	{ "/secrets*", "commands have what is in 'envs'" },
	{ "/process.Process/StreamInput", "commands.send_stdin() sends its input" },
	{ "/process.Process/*", "commands run without a terminal" },
	{ "/filesystem.Filesystem/*", "a directory can be listed again, but not watched" },
};

bool e2b_refuse_missing(struct exchange *x)
{
	for (size_t i = 0; i < ARRAY_LEN(missing); i++)
		if (fnmatch(missing[i].path, x->path, 0) == 0) {
			x->is_e2b = true;
			exchange_problem(x, 501, "not_supported",
				"this part of E2B's API is not there; %s", missing[i].instead);
			return true;
		}
	return false;
}

/* --- whether one runs --- */

void direct_e2b_health(struct exchange *x)
{
	struct bytes none = { 0 };
	const struct sandbox gone = { .state = SANDBOX_RUNNING };
	nova_instance_t *instance = NULL;
	nova_instance_get(x->novad->nova, x->sandbox, &instance, NULL);
	if (nova_instance_state(instance) == NOVA_VM_DEAD)
		refuse_gone(x, x->sandbox, &gone);
	else
		exchange_answer(x, 204, "text/plain", &none);
	nova_instance_free(instance);
}
