/* SPDX-License-Identifier: MIT */
/* The OpenAPI document, made of the table of routes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

/* {name} of the path, and the query. */
static json_t *parameters_of(const struct route *route)
{
	json_t *list = need(json_array());
	char name[64];
	for (const char *at = route->path; (at = strchr(at, '{')) != NULL; at++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 1, "}"), at + 1);
		json_array_append_new(
			list, need(json_pack("{s:s,s:s,s:b,s:{s:s,s:i,s:i}}", "name", name, "in",
				      "path", "required", 1, "schema", "type", "string",
				      "minLength", 1, "maxLength", 100)));
	}
	json_t *schema = route->query ? fields_schema(route->query) : NULL, *value;
	const char *key;
	json_object_foreach(
		json_object_get(schema, "properties"), key, value) json_array_append_new(list,
		need(json_pack("{s:s,s:s,s:O}", "name", key, "in", "query", "schema", value)));
	json_decref(schema);
	return list;
}

static json_t *body_of(const struct route *route)
{
	if (route->body)
		return json_pack("{s:b,s:{s:{s:o}}}", "required", 1, "content", "application/json",
			"schema", fields_schema(route->body));
	return json_pack("{s:{s:{s:{}}}}", "content",
		route->flags & ROUTE_RAW ? "application/json" : "application/octet-stream",
		"schema");
}

static json_t *operation_of(const struct route *route)
{
	json_t *operation = need(json_pack("{s:s,s:s,s:o,s:{s:{s:s},s:{s:s,s:{s:{s:{s:s}}}}}}",
		"operationId", route->name, "summary", route->doc, "parameters",
		parameters_of(route), "responses", "2XX", "description", route->answer, "default",
		"description", "a problem", "content", "application/problem+json", "schema", "$ref",
		"#/components/schemas/Problem"));
	if (strcmp(route->method, "GET") != 0 && (route->body || route->flags & ROUTE_RAW))
		json_object_set_new(operation, "requestBody", need(body_of(route)));
	if (route->flags & ROUTE_OPEN)
		json_object_set_new(operation, "security", json_array());
	return operation;
}

static void add(json_t *paths, const struct route *route, const char *prefix, bool again)
{
	char path[128], method[8], name[80];
	json_t *operation = operation_of(route);
	snprintf(path, sizeof(path), "%s%s", prefix, route->path);
	for (size_t i = 0; i <= strlen(route->method) && i < sizeof(method); i++)
		method[i] = (char)(route->method[i] | (route->method[i] ? 0x20 : 0));
	if (again) { /* names are unique */
		snprintf(name, sizeof(name), "%sBare", route->name);
		json_object_set_new(operation, "operationId", json_string(name));
	}
	if (!json_object_get(paths, path))
		json_object_set_new(paths, path, json_object());
	json_object_set_new(json_object_get(paths, path), method, operation);
}

static json_t *paths_of(const struct route *route)
{
	json_t *paths = need(json_object());
	for (; route->path; route++) {
		if (route->flags & (ROUTE_LATER | ROUTE_PAGE | ROUTE_AWS))
			continue;
		if (!(route->flags & ROUTE_ONLY))
			add(paths, route, "/api/v1", false);
		if (route->flags & (ROUTE_ONLY | ROUTE_BARE))
			add(paths, route, "", route->flags & ROUTE_BARE);
	}
	return paths;
}

static json_t *problem_schema(void)
{
	return json_pack("{s:s,s:[ssss],s:{s:{s:s},s:{s:s},s:{s:s},s:{s:s},s:{s:s,s:s},s:{s:s,s:s},"
			 "s:{s:s,s:[sss],s:s},s:{s:s}}}",
		"type", "object", "required", "status", "code", "error", "outcome", "properties",
		"type", "type", "string", "title", "type", "string", "status", "type", "integer",
		"detail", "type", "string", "code", "type", "string", "description",
		"for programs: it never changes its meaning", "error", "type", "string",
		"description", "the same as detail", "outcome", "type", "string", "enum",
		"never_ran", "ran", "unknown", "description", "whether the function ran",
		"request_id", "type", "string");
}

char *openapi_document(const struct route *all)
{
	json_t *whole = need(json_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:{s:{s:o},s:{s:{s:s,s:s,s:s},"
				       "s:{s:s,s:s}}},s:[{s:[]},{s:[]}]}",
		"openapi", "3.1.0", "info", "title", "novad", "version", nova_version(),
		"description", "Functions and code, each in a microVM of its own", "paths",
		paths_of(all), "components", "schemas", "Problem", need(problem_schema()),
		"securitySchemes", "key", "type", "apiKey", "in", "header", "name", "x-api-key",
		"bearer", "type", "http", "scheme", "bearer", "security", "key", "bearer"));
	char *text = need(json_dumps(whole, JSON_INDENT(1) | JSON_SORT_KEYS));
	json_decref(whole);
	return text;
}

void direct_openapi(struct exchange *exchange)
{
	struct bytes out = { 0 };
	char *text = openapi_document(exchange_novad(exchange)->routes);
	bytes_add(&out, text, strlen(text));
	free(text);
	exchange_answer(exchange, 200, "application/json", &out);
}
