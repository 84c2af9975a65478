/* SPDX-License-Identifier: MIT */
/* nova: what a function keeps between its calls, for those that are shell scripts or programs
 * (docs/kv.md). It asks the agent, at the socket that NOVA_SOCKET names. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/proto.h"

#define INPUT_MOST (PROTO_KV_MAX / 4 * 3)

static int usage(void)
{
	fputs("nova: what this function keeps between its calls.\n"
	      "  nova kv get KEY              print the value\n"
	      "  nova kv put KEY [VALUE]      or what is on the standard input\n"
	      "      --new                    only if the key is not there\n"
	      "      --if-version N           only if it has this version\n"
	      "      --ttl SECONDS            after this time it is gone\n"
	      "  nova kv delete KEY [--if-version N]\n"
	      "  nova kv list [PREFIX]        [--after KEY] [--limit N]: key, size, version\n"
	      "  nova file get NAME           print the content\n"
	      "  nova file put NAME           [--type TYPE]: what is on the standard input\n"
	      "  nova file delete NAME\n"
	      "  nova file list [PREFIX]      [--after NAME] [--limit N]: name, size, type\n"
	      "Exit status: 0, 1 if it was not done, 2 for a wrong command line, 3 if there is no\n"
	      "such key or file, 4 if it is there already, or has another version.\n",
		stderr);
	return 2;
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "nova: %s: %s\n", what, why);
	return 1;
}

/* --- the command line --- */

struct line {
	const char *kind, *verb, *operands[2];
	int operand_count;
	json_t *ask;
};

static bool take_number(struct line *line, const char *member, const char *text, json_int_t times)
{
	char *end;
	errno = 0;
	long long number = text ? strtoll(text, &end, 10) : -1;
	/* 0 would be the same as not to say it: an empty variable is no condition, nor for ever */
	return number > 0 && number <= INT64_MAX / times && !errno && !*end &&
	       json_object_set_new(line->ask, member, json_integer(number * times)) == 0;
}

static bool take_option(struct line *line, const char *name, const char *value)
{
	if (!strcmp(name, "--if-version"))
		return take_number(line, "if_version", value, 1);
	if (!strcmp(name, "--ttl"))
		return take_number(line, "ttl_ms", value, 1000);
	if (!strcmp(name, "--limit"))
		return take_number(line, "limit", value, 1);
	if (strcmp(name, "--after") && strcmp(name, "--type"))
		return false;
	return value && json_object_set_new(line->ask, name + 2, json_string(value)) == 0;
}

static bool read_line(struct line *line, int argc, char **argv)
{
	line->kind = argc > 1 ? argv[1] : "";
	line->verb = argc > 2 ? argv[2] : "";
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--new")) {
			json_object_set_new(line->ask, "new", json_true());
		} else if (str_starts(argv[i], "--")) {
			if (!take_option(line, argv[i], argv[i + 1]))
				return false;
			i++;
		} else if (line->operand_count == 2) {
			return false;
		} else {
			line->operands[line->operand_count++] = argv[i];
		}
	}
	bool lists = !strcmp(line->verb, "list"), puts = !strcmp(line->verb, "put");
	int most = puts && !strcmp(line->kind, "kv") ? 2 : 1;
	return (!strcmp(line->kind, "kv") || !strcmp(line->kind, "file")) &&
	       (lists || puts || !strcmp(line->verb, "get") || !strcmp(line->verb, "delete")) &&
	       line->operand_count >= !lists && line->operand_count <= most;
}

/* --- the question --- */

static int read_input(struct buf *to)
{
	uint8_t *room;
	ssize_t got = 1;
	while (got > 0 && (room = buf_reserve(to, 4096))) {
		got = sys_read(STDIN_FILENO, room, 4096);
		to->len += got > 0 ? (size_t)got : 0;
	}
	return got < 0 ? (int)got : got > 0 ? -EMSGSIZE : 0;
}

static int add_value(struct line *line)
{
	AUTO_BUF struct buf value = BUF_INIT(INPUT_MOST), coded = BUF_INIT(PROTO_KV_MAX);
	int r = line->operand_count > 1 ? buf_append_str(&value, line->operands[1]) :
					  read_input(&value);
	if (r == 0)
		r = base64_put(&coded, value.data, value.len);
	if (r == 0)
		r = json_object_set_new(line->ask, "value",
			json_stringn(coded.len ? (char *)coded.data : "", coded.len));
	return r < 0 ? fail("the value", strerror(r == -1 ? ENOMEM : -r)) : 0;
}

static int question(struct line *line)
{
	AUTO_FREE char *op = str_format("%s %s", line->kind, line->verb);
	const char *id = getenv("NOVA_REQUEST_ID");
	const char *first = line->operands[0];
	const char *member = !strcmp(line->verb, "list") ? "prefix" : "key";
	if (!op || json_object_set_new(line->ask, "op", json_string(op)) < 0 ||
		(id && json_object_set_new(line->ask, "request_id", json_string(id)) < 0) ||
		(first && json_object_set_new(line->ask, member, json_string(first)) < 0))
		return fail("the command line", "it is not UTF-8, or there is no memory");
	return !strcmp(line->verb, "put") ? add_value(line) : 0;
}

/* --- the reply --- */

static int read_all(int fd, void *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t got = sys_read(fd, (char *)to + at, len - at);
		if (got <= 0)
			return got < 0 ? (int)got : -ECONNRESET;
		at += (size_t)got;
	}
	return 0;
}

static int exchange(int fd, const char *text, json_t **ret_reply)
{
	size_t len = strlen(text);
	uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len };
	int r = sys_write_all(fd, head, sizeof(head));
	if (r == 0)
		r = sys_write_all(fd, text, len);
	if (r == 0)
		r = read_all(fd, head, sizeof(head));
	len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (r < 0 || len > NOVA_FRAME_MAX)
		return r < 0 ? r : -EMSGSIZE;
	AUTO_FREE char *reply = malloc(len + 1);
	r = reply ? read_all(fd, reply, len) : -ENOMEM;
	return r < 0 ? r : json_parse(reply, len, JSON_REJECT_DUPLICATES, ret_reply, NULL);
}

static int ask_agent(const json_t *ask, json_t **ret_reply)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOVA_SOCKET");
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return fail("NOVA_SOCKET", "it names no socket: this is for functions that run");
	memcpy(address.sun_path, path, strlen(path) + 1);
	AUTO_FREE char *text = json_dumps(ask, JSON_COMPACT);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!text || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return fail(path, strerror(errno));
	int r = exchange(fd, text, ret_reply);
	return r < 0 ? fail("the call is over, or no word comes", strerror(-r)) : 0;
}

static int refused(const json_t *reply)
{
	const char *code = json_string_value(json_object_get(reply, "code"));
	const char *error = json_string_value(json_object_get(reply, "error"));
	fail(code, error ? error : "");
	return !strcmp(code, "NOVA_ENOTFOUND")                             ? 3 :
	       !strcmp(code, "NOVA_EEXIST") || !strcmp(code, "NOVA_EBUSY") ? 4 :
									     1;
}

static long long number_of(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

static void print_list(const json_t *reply)
{
	const json_t *entries = json_object_get(reply, "entries");
	const json_t *list = entries ? entries : json_object_get(reply, "files");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *type = json_string_value(json_object_get(one, "type"));
		printf("%s\t%lld\t",
			json_string_value(json_object_get(one, entries ? "key" : "name")),
			number_of(one, "size"));
		if (type)
			printf("%s\n", type);
		else
			printf("%lld\n", number_of(one, "version"));
	}
}

static int print(const struct line *line, const json_t *reply)
{
	const json_t *value = json_object_get(reply, "value");
	AUTO_BUF struct buf bytes = BUF_INIT(PROTO_KV_MAX);
	if (json_object_get(reply, "code"))
		return refused(reply);
	if (value && base64_get(&bytes, json_string_value(value), json_string_length(value)) == 0)
		fwrite(bytes.data, 1, bytes.len, stdout);
	else if (!strcmp(line->verb, "list"))
		print_list(reply);
	else if (json_object_get(reply, "version"))
		printf("%lld\n", number_of(reply, "version"));
	return fflush(stdout) == 0 ? 0 : fail("the standard output", strerror(errno));
}

int main(int argc, char **argv)
{
	AUTO_JSON json_t *ask = json_object(), *reply = NULL;
	struct line line = { .ask = ask };
	if (!read_line(&line, argc, argv))
		return usage();
	int status = question(&line);
	if (status == 0)
		status = ask_agent(ask, &reply);
	return status ? status : print(&line, reply);
}
