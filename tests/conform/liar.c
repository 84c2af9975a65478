/* SPDX-License-Identifier: MIT */
/*
 * An agent that says what it is told to, for tests of a host that does not believe it. It has none
 * of the library's code.
 *
 * Its function is its script. A line is `WHEN TEXT`: with that text, as the JSON of a frame, it
 * answers the message WHEN (ready, init, exec, command, ping, list or secrets; what no line is for
 * gets an honest answer). Several lines for one are sent one after the other. In the text `$` is
 * the request's id, and <COUNT*PIECE> is the piece that often. Signs behind WHEN: `*` the frame is
 * sent without end; `+` its length is announced 100 bytes too large; `-` it comes byte by byte, a
 * second apart; `~` it comes four seconds late; `!` the agent ends after it. An empty text sends no
 * frame at all.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST (16u << 20)

static int channel;
static char script[1 << 16];
static char message[MOST], frame[MOST];

static void await(short events)
{
	struct pollfd p = { channel, events, 0 };
	poll(&p, 1, -1);
}

static void put(const char *at, size_t len)
{
	while (len) {
		ssize_t n = write(channel, at, len);
		if (n < 0 && errno != EAGAIN)
			_exit(0); /* the host has had enough */
		if (n < 0)
			await(POLLOUT);
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

static void get(char *to, size_t len)
{
	while (len) {
		ssize_t n = read(channel, to, len);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			_exit(0);
		if (n < 0)
			await(POLLIN);
		to += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* The text with its signs replaced, behind four bytes for the length; how long it is. */
static size_t expand(const char *text, size_t len, const char *id)
{
	size_t at = 4;
	for (const char *end = text + len; text < end; text++) {
		char *behind;
		unsigned long times = *text == '<' ? strtoul(text + 1, &behind, 10) : 0;
		if (*text == '$') {
			at += (size_t)snprintf(frame + at, MOST - at, "%s", id);
		} else if (times) {
			const char *piece = behind + 1,
				   *close = memchr(piece, '>', (size_t)(end - piece));
			size_t size = (size_t)(close - piece);
			for (; times && at + size < MOST; times--, at += size)
				memcpy(frame + at, piece, size);
			text = close;
		} else {
			frame[at++] = *text;
		}
	}
	return at - 4;
}

static void send_frame(const char *signs, const char *text, size_t text_len, const char *id)
{
	size_t len = expand(text, text_len, id), said = len + (strchr(signs, '+') ? 100 : 0);
	for (int i = 0; i < 4; i++)
		frame[i] = (char)(said >> (24 - 8 * i));
	for (const char *sign = signs; *sign; sign++)
		if (*sign == '~')
			sleep(4);
	if (strchr(signs, '-'))
		for (size_t i = 0; i < len + 4; i++, sleep(1))
			put(frame + i, 1);
	do
		put(frame, text_len ? len + 4 : 0);
	while (strchr(signs, '*'));
	if (strchr(signs, '!'))
		_exit(0);
}

/* All lines for it, or what an honest agent says. */
static void answer(const char *when, const char *id, const char *honest)
{
	size_t len = strlen(when), found = 0;
	for (const char *line = script; *line;) {
		size_t size = strcspn(line, "\n"), word = strcspn(line, " \n");
		char signs[8] = "";
		if (!strncmp(line, when, len) && strspn(line + len, "*+-~!") == word - len &&
			word < size) {
			memcpy(signs, line + len, word - len);
			send_frame(signs, line + word + 1, size - word - 1, id);
			found++;
		}
		line += size + (line[size] == '\n');
	}
	if (!found)
		send_frame("", honest, strlen(honest), id);
}

static void serve(void)
{
	char id[200] = "";
	get(message, 4);
	uint32_t len = (uint32_t)(uint8_t)message[0] << 24 | (uint32_t)(uint8_t)message[1] << 16 |
		       (uint32_t)(uint8_t)message[2] << 8 | (uint8_t)message[3];
	if (len >= MOST)
		_exit(1);
	get(message, len);
	message[len] = 0;
	const char *type = strstr(message, "\"type\":"), *at = strstr(message, "\"request_id\":\"");
	if (at)
		sscanf(at, "\"request_id\":\"%199[^\"]", id);
	static const struct {
		int type;
		const char *name;
	} names[] = { { 1, "init" }, { 4, "ping" }, { 70, "list" }, { 67, "command" },
		{ 2, "exec" }, { 79, "secrets" } };
	for (size_t i = 0; type && i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == atoi(type + 7))
			answer(names[i].name, id,
				names[i].type == 2 || names[i].type == 67 ?
					"{\"type\":3,\"payload\":{\"request_id\":\"$\",\"output\":"
					"1,\"exit_code\":0}}" :
					"{\"type\":3,\"payload\":{\"request_id\":\"$\",\"status\":"
					"\"ok\"}}");
}

int main(int argc, char **argv)
{
	char path[4096] = "";
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "--fd"))
			channel = atoi(argv[i + 1]);
		if (!strcmp(argv[i], "--code"))
			snprintf(path, sizeof(path), "%s/handler", argv[i + 1]);
	}
	FILE *file = fopen(path, "r");
	if (file)
		script[fread(script, 1, sizeof(script) - 1, file)] = 0;
	signal(SIGPIPE, SIG_IGN);
	answer("ready", "", "{\"type\":64,\"payload\":{}}");
	for (;;)
		serve();
}
