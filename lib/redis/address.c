/* SPDX-License-Identifier: MIT */
/* Where the server is. */
#include <netdb.h>

#include "redis/redis.h"

#define PORT "6379"

void redis_address_clear(struct redis_address *address)
{
	free(address->host);
	free(address->port);
	if (address->all)
		freeaddrinfo(address->all);
	*address = (struct redis_address){ NULL };
}

static bool is_port(const char *text)
{
	uint64_t number = 0;
	for (const char *at = text; is_digit(*at) && number < 65536; at++)
		number = number * 10 + (uint64_t)(*at - '0');
	return number > 0 && number < 65536 && strspn(text, "0123456789") == strlen(text);
}

/* What a name or a number of an address has. */
static bool is_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_letter(text[i]) && !is_digit(text[i]) && !strchr(".-_:", text[i]))
			return false;
	return len > 0;
}

static int fail(const char *text, nova_error_t **error)
{
	if (strstr(text, "://"))
		return nova_fail(error, str_starts(text, "rediss:") ? NOVA_ENOTSUP : NOVA_EINVAL,
			"redis.addr: '%.100s' is a URL, and HOST:PORT is wanted%s", text,
			str_starts(text, "rediss:") ?
				"; connections to Redis have no TLS here: use a tunnel, or a "
				"socket" :
				"");
	return nova_fail(error, NOVA_EINVAL,
		"redis.addr: '%.100s' is no address; it is like localhost:6379, [::1]:6379 or "
		"/run/redis.sock",
		text);
}

int redis_address_read(const char *text, struct redis_address *ret, nova_error_t **error)
{
	bool is_path = *text == '/', in_brackets = *text == '[';
	const char *host = text + in_brackets;
	size_t len = strcspn(host, in_brackets ? "]" : ":");
	const char *rest = host + len + (in_brackets && host[len]);
	if (!is_path && (!is_host(host, len) || (in_brackets && !host[len]) ||
				(*rest && (*rest != ':' || !is_port(rest + 1)))))
		return fail(text, error);
	struct redis_address made = {
		.host = is_path ? NULL : strndup(host, len),
		.port = strdup(is_path ? text : (*rest ? rest + 1 : PORT)),
	};
	if (!made.port || (!is_path && !made.host)) {
		redis_address_clear(&made);
		return nova_oom(error);
	}
	*ret = made;
	return 0;
}
