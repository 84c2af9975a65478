/* SPDX-License-Identifier: MIT */
/*
 * The gate: what is wrong with a request is found before it costs anything. Heads are checked
 * before a body is taken, and bodies before there is a job.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"
#include "routes.h"

#define PREFIX           "/api/v1"
#define VALUE_MAX        512         /* of a part of the path or the query */
#define KEY_PROTOCOL     "nova.key." /* and the key */
#define UNVERIFIED_SHARE 4           /* a part of what all may have */
#define GUEST_UNKNOWN    "the key that made this sandbox is not valid any more"

/* --- ids --- */

static bool is_id(const char *text)
{
	size_t len = text ? strlen(text) : 0;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
			return false;
	return len && len <= ID_MAX;
}

/* 00-<32 hex>-<16 hex>-<2 hex>: https://www.w3.org/TR/trace-context/ */
static bool is_trace(const char *text)
{
	static const char form[] = "00-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
	if (!text || strlen(text) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'h' ? !strchr("0123456789abcdef", text[i]) : text[i] != form[i])
			return false;
	return strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}

static void name_it(struct exchange *x)
{
	const char *id = exchange_header(x, "X-Request-Id");
	const char *trace = exchange_header(x, "traceparent");
	char trace_id[33], span[17];
	if (is_id(id))
		memcpy(x->id, id, strlen(id) + 1);
	else
		random_hex(x->id, 16);
	random_hex(span, 8);
	random_hex(trace_id, 16);
	if (is_trace(trace))
		memcpy(trace_id, trace + 3, 32);
	snprintf(x->trace, sizeof(x->trace), "00-%s-%s-%s", trace_id, span,
		is_trace(trace) ? trace + 53 : "00");
}

/* --- who asks, and by which name --- */

static bool is_own_name(const struct exchange *x, const char *host)
{
	static const char *const own[] = { "localhost", "127.0.0.1", "[::1]" };
	const struct words *more = &x->novad->settings.hosts;
	const char *port = strrchr(host, ':');
	size_t len = port && !strchr(port, ']') ? (size_t)(port - host) : strlen(host);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strlen(own[i]) == len && !strncasecmp(own[i], host, len))
			return true;
	for (size_t i = 0; i < more->count; i++)
		if (strlen(more->at[i]) == len && !strncasecmp(more->at[i], host, len))
			return true;
	return false;
}

static bool is_own_origin(const struct exchange *x, const char *origin)
{
	const char *host = strstr(origin, "://");
	const struct words *allowed = &x->novad->settings.origins;
	for (size_t i = 0; i < allowed->count; i++)
		if (!strcmp(allowed->at[i], origin))
			return true;
	return host && is_own_name(x, host + 3);
}

/* A page of the network could else have the browser of somebody here call us: by its own name for
 * this address, or across origins. */
static bool check_origin(struct exchange *x)
{
	const char *host = exchange_header(x, "Host"), *origin = exchange_header(x, "Origin");
	enum reach reach = x->client->endpoint->place->reach;
	if (reach == REACH_LOOPBACK && host && !is_own_name(x, host))
		exchange_problem(x, 421, "wrong_host",
			"this address is not called '%.100s': --host NAME makes it so", host);
	else if (reach != REACH_PUBLIC && origin && !is_own_origin(x, origin))
		exchange_problem(x, 403, "wrong_origin",
			"pages of '%.100s' may not call: --cors ORIGIN lets them", origin);
	return !x->answered;
}

static void preflight(struct exchange *x)
{
	struct bytes none = { 0 };
	exchange_header_add(
		x, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
	exchange_header_add(x, "Access-Control-Allow-Headers",
		"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
		"Traceparent, X-Api-Key, X-Request-Id");
	exchange_header_add(x, "Access-Control-Max-Age", "600");
	exchange_answer(x, 204, "text/plain", &none);
}

/* Pages cannot add headers to a WebSocket, but offer protocols: one of them may be the key. */
static char *protocol_key(const struct exchange *x)
{
	const char *at = exchange_header(x, "Sec-WebSocket-Protocol");
	for (; at && *at; at += strcspn(at, ",")) {
		at += strspn(at, ", \t");
		if (!strncmp(at, KEY_PROTOCOL, strlen(KEY_PROTOCOL)))
			return need(strndup(at + strlen(KEY_PROTOCOL),
				strcspn(at, ", \t") - strlen(KEY_PROTOCOL)));
	}
	return NULL;
}

static void refuse(struct exchange *x, const char *why)
{
	if (x->route->flags & ROUTE_AWS) {
		exchange_problem(x, 403, "UnrecognizedClientException", "%s", SIGNATURE_UNKNOWN);
		return;
	}
	exchange_header_add(x, "WWW-Authenticate", "Bearer");
	exchange_problem(x, 401, "unauthorized", "%s", why);
}

static void ask_for_key(struct exchange *x)
{
	if (x->route->flags & ROUTE_AWS)
		exchange_problem(x, 403, "MissingAuthenticationTokenException",
			"Missing Authentication Token");
	else
		refuse(x, "a key is needed, as header 'x-api-key' or 'Authorization: Bearer'");
}

static bool needs_key(const struct exchange *x)
{
	return x->novad->keys && !(x->route->flags & ROUTE_OPEN) &&
	       x->client->endpoint->place->reach != REACH_OWNER;
}

/* The same of a request that is signed, whose signature is looked at later: take_signer(). */
static bool check_signer(struct exchange *x)
{
	const char *name = signature_read(x);
	if (!name)
		return false;
	struct key *key = keys_named(x->novad->keys, name);
	exchange_take_key(x, key ? key : stored_named(name));
	if (!x->key && !(x->offered = json_pack("{s:s}", "name", name)))
		refuse(x, SIGNATURE_UNKNOWN);
	return x->key;
}

/* The same of a request for what is in a sandbox: who has its token acts for the key that made it,
 * as long as that is valid. */
static bool check_guest(struct exchange *x)
{
	char name[65], hash[65];
	if (!e2b_admit(x, name, hash) || !needs_key(x))
		return !x->answered;
	struct key *key = keys_hashed(x->novad->keys, hash);
	exchange_take_key(x, key ? key : stored_named(name));
	if (!x->key && !(x->offered = json_pack("{s:s}", "name", name)))
		refuse(x, GUEST_UNKNOWN);
	return x->key;
}

/* False: it has been answered, or the store is to be asked. */
static bool check_key(struct exchange *x)
{
	const char *key = exchange_header(x, "x-api-key");
	const char *bearer = exchange_header(x, "Authorization");
	if (needs_key(x) && x->route->flags & ROUTE_AWS && signature_is_there(x))
		return check_signer(x);
	if (x->route->flags & ROUTE_GUEST)
		return check_guest(x);
	if (!key && bearer && !strncasecmp(bearer, "Bearer ", 7))
		key = bearer + 7 + strspn(bearer + 7, " ");
	char *offered = !key && x->route->flags & ROUTE_SOCKET ? protocol_key(x) : NULL;
	if (offered)
		key = offered;
	if (x->novad->keys && key)
		exchange_take_key(x, keys_find(x->novad->keys, key));
	if (needs_key(x) && key && !x->key)
		exchange_take_key(x, stored_find(key));
	if (!x->key && needs_key(x) && !key)
		ask_for_key(x);
	else if (!x->key && needs_key(x) && !(x->offered = json_pack("{s:s}", "key", key)))
		refuse(x, "this key is not known"); /* it is not UTF-8 */
	free(offered);
	return x->key || !needs_key(x);
}

/* False: it has been answered, or something is to be taken from the rate first. */
static bool check_rate(struct exchange *x)
{
	char text[24];
	if (!x->key || !x->key->rate || x->route->flags & ROUTE_OPEN)
		return true;
	x->needs_rate = !x->has_taken;
	if (x->needs_rate || !x->wait_ms)
		return !x->needs_rate;
	x->novad->counters[COUNTER_SHED]++;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(x->wait_ms + 999) / 1000);
	exchange_header_add(x, "Retry-After", text);
	exchange_problem(x, 429, "too_many_requests",
		"this key may have %u requests in %u ms, and may go on in %s s", x->key->rate,
		x->key->period_ms, text);
	return false;
}

/* --- which route --- */

/* The next part of a path, decoded; false: it is none. */
static bool next_part(const char **at, char *out)
{
	size_t len = strcspn(++*at, "/");
	if (!len || len >= VALUE_MAX)
		return false;
	memcpy(out, *at, len);
	out[len] = 0;
	*at += len;
	return percent_read(out) && strcmp(out, ".") != 0 && strcmp(out, "..") != 0 &&
	       !strchr(out, '/');
}

static bool match(const char *path, const char *pattern, json_t *names)
{
	char part[VALUE_MAX], wanted[64];
	while (*path == '/' && *pattern == '/') {
		if (!pattern[1]) /* it ends with a slash */
			return !path[1];
		size_t len = strcspn(pattern + 1, "/");
		snprintf(wanted, sizeof(wanted), "%.*s", (int)len, pattern + 1);
		pattern += len + 1;
		if (!next_part(&path, part))
			return false;
		if (*wanted != '{' && strcmp(wanted, part) != 0)
			return false;
		if (*wanted != '{')
			continue;
		wanted[strlen(wanted) - 1] = 0;
		if (names)
			json_object_set_new(names, wanted + 1, text_json(part, strlen(part)));
	}
	return !*path && !*pattern;
}

static bool is_at(const struct route *route, const char *path)
{
	bool prefixed = !strncmp(path, PREFIX "/", strlen(PREFIX "/"));
	if (prefixed && !(route->flags & ROUTE_ONLY))
		return match(path + strlen(PREFIX), route->path, NULL);
	return (route->flags & (ROUTE_BARE | ROUTE_ONLY)) && match(path, route->path, NULL);
}

/* Who asks for the head of an answer asks the same route. */
static const char *method_of(const struct exchange *x)
{
	return strcmp(x->method, "HEAD") ? x->method : "GET";
}

/* Whether there is something at its path; `allowed` lists the methods. */
static bool find_among(struct exchange *x, const struct route *route, char *allowed, size_t size)
{
	bool found = false;
	for (; route->path && !x->route; route++) {
		if (!is_at(route, x->path))
			continue;
		found = true;
		if (!strcmp(method_of(x), route->method))
			x->route = route;
		size_t len = strlen(allowed);
		snprintf(allowed + len, size - len, ", %s", route->method);
	}
	return found;
}

static bool find_route(struct exchange *x)
{
	char allowed[100] = "OPTIONS";
	bool has_e2b = x->novad->settings.e2b;
	bool found = find_among(x, x->novad->routes, allowed, sizeof(allowed));
	if (!found && has_e2b)
		found = find_among(x, e2b_routes, allowed, sizeof(allowed));
	x->is_e2b = x->route && x->route->flags & ROUTE_E2B;
	if (x->route)
		return true;
	if (!found && has_e2b && e2b_refuse_missing(x))
		return false;
	x->route = found ? NULL : plugged_route(method_of(x), x->path);
	if (x->route)
		return true;
	if (!found) {
		exchange_problem(x, 404, "no_route", "there is nothing at this path");
		return false;
	}
	exchange_header_add(x, "Allow", allowed);
	exchange_problem(x, 405, "wrong_method", "this path knows %s", allowed);
	return false;
}

/* --- what is said about the body --- */

static enum MHD_Result count_header(
	void *counts, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	(void)value;
	size_t *count = counts;
	count[0] += !strcasecmp(name, "Content-Length");
	count[1] += !strcasecmp(name, "Transfer-Encoding");
	count[2] += !strcasecmp(name, "Host");
	count[3] += !*name || strpbrk(name, " \t"); /* "Content-Length : 5" */
	return MHD_YES;
}

/* Two opinions about where a request ends are how requests are smuggled in. */
static bool check_length(struct exchange *x)
{
	size_t counts[4] = { 0 };
	const char *length = exchange_header(x, "Content-Length");
	const char *encoding = exchange_header(x, "Transfer-Encoding");
	MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_header, counts);
	uint64_t most = (uint64_t)x->novad->settings.body_kb << 10;
	if (counts[0] + counts[1] > 1 || counts[2] > 1 || counts[3] ||
		(encoding && strcasecmp(encoding, "chunked") != 0) ||
		(length && strspn(length, "0123456789") != strlen(length)))
		exchange_problem(x, 400, "bad_request",
			"where this request ends is said twice, or not to be understood");
	else if (length && (strlen(length) > 15 || strtoull(length, NULL, 10) > most))
		exchange_problem(
			x, 413, "too_big", "a body may have %u KiB", x->novad->settings.body_kb);
	return !x->answered;
}

static bool check_room(struct exchange *x)
{
	struct novad *novad = x->novad;
	const struct settings *settings = &novad->settings;
	/* Those whose clients have gone are still under way. */
	size_t calls = novad->calls + jobs_abandoned(server_jobs(novad->server));
	if (calls >= settings->calls || novad->body_bytes >> 20 >= settings->bodies_mb)
		exchange_problem(x, 503, "overloaded", "too much is under way: try again later");
	else if (x->key && x->key->calls >= settings->key_calls)
		exchange_problem(x, 429, "too_many_calls",
			"this key has %u calls under way, and may not have more",
			settings->key_calls);
	if (x->answered) {
		novad->counters[COUNTER_SHED]++;
		return false;
	}
	x->admitted = true;
	novad->calls++;
	if (x->key)
		x->key->calls++;
	return true;
}

/* --- signatures: most clients sign the body, and do not say what is in it before it comes. Until
 * then anybody could have sent the head, so that these have a share of their own. --- */

static size_t bodies_most(const struct exchange *x)
{
	const struct settings *settings = &x->novad->settings;
	size_t most = (size_t)settings->bodies_mb << 20, one = (size_t)settings->body_kb << 10;
	if (x->unverified)
		most /= UNVERIFIED_SHARE;
	return x->unverified && most < one ? one : most;
}

static size_t *bodies(const struct exchange *x)
{
	return x->unverified ? &x->novad->unverified_bytes : &x->novad->body_bytes;
}

static bool is_unverified(const struct exchange *x)
{
	return x->signer && !x->key;
}

static bool check_unverified(struct exchange *x)
{
	struct novad *novad = x->novad;
	if (novad->unverified * UNVERIFIED_SHARE >= novad->settings.calls) {
		novad->counters[COUNTER_SHED]++;
		exchange_problem(x, 503, "overloaded",
			"the bodies of too many signed requests are awaited: try again later, or "
			"sign the header X-Amz-Content-Sha256, too");
		return false;
	}
	novad->unverified++;
	x->unverified = true;
	return true;
}

/* It is counted as others are from then on. */
static void verified(struct exchange *x)
{
	x->novad->unverified--;
	x->novad->unverified_bytes -= x->body.len;
	x->novad->body_bytes += x->body.len;
	x->unverified = false;
}

/* The key is only said to be that of who asks until then, and nothing is counted as its own. */
static bool take_signer(struct exchange *x)
{
	char secret[SIGNING_SECRET_MAX];
	signing_secret(x->novad->signing_key, x->signer, secret);
	bool fits = signature_check(x, secret);
	explicit_bzero(secret, sizeof(secret));
	if (fits)
		exchange_take_key(x, x->signer);
	return fits;
}

static bool check_signature(struct exchange *x)
{
	if (!x->signer)
		return true;
	if (is_unverified(x) && !take_signer(x))
		return false;
	if (x->unverified)
		verified(x);
	return signature_check_body(x) && (x->admitted || (check_rate(x) && check_room(x)));
}

void gate_leave(struct exchange *x)
{
	struct novad *novad = x->novad;
	*bodies(x) -= x->body.len;
	novad->body_bytes -= x->held;
	novad->unverified -= x->unverified;
	novad->calls -= x->admitted;
	if (x->admitted && x->key)
		x->key->calls--;
}

/* --- heads and bodies --- */

bool gate_head(struct exchange *x)
{
	name_it(x);
	if (!check_length(x))
		return false;
	if (x->novad->draining)
		exchange_problem(x, 503, "stopping", "novad is stopping: try another one");
	else if (check_origin(x) && !strcmp(x->method, "OPTIONS"))
		preflight(x);
	return !x->answered && find_route(x) && check_key(x) && gate_head_again(x);
}

bool gate_head_again(struct exchange *x)
{
	if (x->signature && !x->signer) {
		x->signer = x->key;
		x->key = NULL;
	}
	if (x->refused)
		refuse(x, x->refused);
	else if (x->key && *x->sandbox && !e2b_is_owner(x))
		refuse(x, GUEST_UNKNOWN);
	else if (x->novad->draining) /* it waited for its key */
		exchange_problem(x, 503, "stopping", "novad is stopping: try another one");
	else if (is_unverified(x) && signature_names_body(x))
		take_signer(x);
	else if (x->route->flags & ROUTE_ADMIN && x->key && !x->key->admin)
		exchange_problem(x, 403, "not_yours", "this is for keys of admins");
	if (x->answered || !check_rate(x))
		return false;
	if (x->route->flags & ROUTE_LATER) {
		exchange_problem(x, 501, "not_there_yet", "%s: not there yet; %s", x->route->doc,
			x->route->answer);
		return false;
	}
	return x->route->direct || (is_unverified(x) ? check_unverified(x) : check_room(x));
}

void gate_body(struct exchange *x, const char *data, size_t len)
{
	size_t most = (size_t)x->novad->settings.body_kb << 10;
	x->body_len += len;
	if (x->answered)
		return;
	if (x->body_len > most)
		exchange_problem(
			x, 413, "too_big", "a body may have %u KiB", x->novad->settings.body_kb);
	else if (*bodies(x) >= bodies_most(x))
		exchange_problem(x, 503, "overloaded", "too many bodies are under way");
	*bodies(x) -= x->body.len;
	if (x->answered)
		bytes_free(&x->body);
	else
		bytes_add(&x->body, data, len);
	*bodies(x) += x->body.len;
}

/* --- the whole request becomes the options of a job --- */

static bool add_query(struct exchange *x, json_t *query, char *pair)
{
	char *value = strchr(pair, '=');
	if (value)
		*value++ = 0;
	for (char *plus = value; plus && (plus = strchr(plus, '+')) != NULL;)
		*plus = ' ';
	bool fits = percent_read(pair) && (!value || percent_read(value));
	json_t *text = fits ? json_string(value ? value : "") : NULL;
	if (text && json_object_set_new(query, pair, text) == 0)
		return true;
	exchange_problem(x, 400, "invalid", "the query is malformed");
	return false;
}

static json_t *read_query(struct exchange *x)
{
	char *copy = x->search ? need(strdup(x->search)) : NULL; /* the whole is needed later */
	char *rest = copy, *pair;
	json_t *query = need(json_object());
	while (!x->answered && (pair = strsep(&rest, "&")) != NULL)
		if (*pair)
			add_query(x, query, pair);
	free(copy);
	return query;
}

/* Its values are texts: numbers among them become such to be checked. */
static void check_query(struct exchange *x, json_t *query)
{
	char why[200], *end;
	json_t *typed = need(json_object()), *value;
	const char *name;
	static const struct field none[] = { { NULL } };
	const struct field *fields = x->route->query ? x->route->query : none;
	json_object_foreach(query, name, value)
	{
		const struct field *field = fields;
		while (field->kind != KIND_END && strcmp(field->name, name) != 0)
			field++;
		const char *text = json_string_value(value);
		json_int_t number = strtoll(text, &end, 10);
		bool is_number = field->kind == KIND_NUMBER && *text && !*end && strlen(text) < 18;
		json_object_set_new(
			typed, name, is_number ? json_integer(number) : json_string(text));
	}
	if (!fields_check(fields, typed, why, sizeof(why)))
		exchange_problem(x, 400, "invalid", "query: %s", why);
	json_decref(typed);
}

/* What the values of a JSON text take at most, besides its bytes: "{}" is 2 bytes, and 230 as a
 * value. */
static size_t weight_of(const struct bytes *text)
{
	size_t weight = 0;
	for (size_t i = 0; i < text->len; i++)
		weight += text->data[i] == '{' ? 384 :
			  text->data[i] == '[' ? 256 :
			  text->data[i] == ',' ? 96 :
						 0;
	return weight;
}

static bool hold(struct exchange *x, size_t weight)
{
	struct novad *novad = x->novad;
	size_t most = (size_t)novad->settings.bodies_mb << 20;
	if (weight > most)
		exchange_problem(x, 413, "too_big", "this body has too many values");
	else if (weight && novad->body_bytes + weight > most)
		exchange_problem(x, 503, "overloaded", "too many bodies are under way");
	if (x->answered)
		return false;
	x->held += weight;
	novad->body_bytes += weight;
	return true;
}

/* NULL: it has been answered. */
static json_t *read_fields(struct exchange *x, const struct bytes *text)
{
	char why[300];
	json_error_t error;
	if (!hold(x, weight_of(text)))
		return NULL;
	size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_t *body = text->len ? json_loadb(text->data, text->len, flags, &error) : json_object();
	if (!body)
		exchange_problem(x, 400, "malformed", "the body is not JSON: %s, line %d",
			error.text, error.line);
	else if (!fields_check(x->route->body, body, why, sizeof(why)))
		exchange_problem(x, 400, "invalid", "%s", why);
	if (!x->answered)
		return body;
	json_decref(body);
	return NULL;
}

json_t *gate_message(struct exchange *x, struct bytes *message)
{
	json_t *fields = check_room(x) ? read_fields(x, message) : NULL;
	bytes_free(message);
	return fields;
}

/* Headers are bytes; json_pack() fails by what is not UTF-8. */
static json_t *header_json(const struct exchange *x, const char *name)
{
	const char *text = exchange_header(x, name);
	return text ? text_json(text, strlen(text)) : NULL;
}

json_t *gate_query(struct exchange *x)
{
	json_t *query = read_query(x);
	if (!x->answered)
		check_query(x, query);
	if (!x->answered)
		return query;
	json_decref(query);
	return NULL;
}

/* What is plugged there may have any query. */
static void add_plugged(struct exchange *x)
{
	const char *search = x->search ? x->search : "";
	json_object_set_new(x->options, "method", json_string(method_of(x)));
	json_object_set_new(x->options, "plugged", json_string(x->path));
	json_object_set_new(x->options, "search", text_json(search, strlen(search)));
}

bool gate_whole(struct exchange *x)
{
	if (!check_signature(x))
		return false;
	bool prefixed = !(x->route->flags & ROUTE_ONLY) &&
			!strncmp(x->path, PREFIX "/", strlen(PREFIX "/"));
	json_t *names = need(json_object()), *query = read_query(x);
	match(x->path + (prefixed ? strlen(PREFIX) : 0), x->route->path, names);
	char run[EXECUTION_SIZE], owner[OWNER_SIZE];
	key_owner(x->key, owner);
	execution_id(owner, run); /* a client may give the same X-Request-Id twice */
	x->options = need(json_pack("{s:o,s:o,s:s,s:o*,s:o*,s:o*}", "path", names, "query", query,
		"run", run, "key", x->key ? text_json(x->key->name, strlen(x->key->name)) : NULL,
		"If-Match", header_json(x, "If-Match"), "If-None-Match",
		header_json(x, "If-None-Match")));
	owner_options(x->options, x->key);
	if (x->route->flags & ROUTE_PLUGGED)
		add_plugged(x);
	else if (!x->answered)
		check_query(x, query);
	if (!x->answered && x->route->flags & ROUTE_ENVELOPE)
		e2b_unwrap(x);
	if (!x->answered && x->route->body && !(x->route->flags & ROUTE_RAW))
		json_object_set_new(x->options, "body", read_fields(x, &x->body));
	if (!x->answered && x->route->verb == &verb_lambda_invoke)
		lambda_begin(x);
	if (!x->answered && x->route->flags & ROUTE_E2B)
		e2b_options(x);
	if (!x->answered && x->route->verb == &verb_execute)
		x->verb = execute_verb(json_object_get(x->options, "body"));
	return !x->answered;
}
