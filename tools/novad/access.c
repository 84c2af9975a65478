/* SPDX-License-Identifier: MIT */
/* The access log: a line of JSON for each request, written when the loop's step is over. */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

#define WAITING_MAX (1u << 20) /* a log that nobody takes costs lines, and no memory */

static struct {
	int fd;
	struct bytes lines;
	uint64_t dropped;
} access_log = { .fd = -1 };

bool access_open(const char *path, log_fn log)
{
	if (!path)
		return true;
	access_log.fd =
		strcmp(path, "-") ?
			open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600) :
			STDERR_FILENO;
	if (access_log.fd < 0)
		log_line(log, NOVA_LOG_ERROR, "cannot write the access log '%s': %m", path);
	return access_log.fd >= 0;
}

static json_t *line_of(const struct exchange *x)
{
	size_t path_len = x->path ? strlen(x->path) : 0;
	const char *at = x->client->endpoint->place->name;
	return need(json_pack("{s:f,s:o,s:o,s:s*,s:i,s:I,s:I,s:f,s:s,s:s,s:o*,s:s*,s:s*,s:o}",
		"time", (double)time(NULL), "method", text_json(x->method, strlen(x->method)),
		"path", text_json(x->path ? x->path : "", path_len), "route",
		x->route ? x->route->name : NULL, "status", x->gone ? 499 : (int)x->status,
		"bytes_in", (json_int_t)x->body_len, "bytes_out", (json_int_t)x->out.len,
		"milliseconds", (double)(now_us() - x->begun_us) / 1000, "request_id", x->id,
		"trace", x->trace, "key",
		x->key ? text_json(x->key->name, strlen(x->key->name)) : NULL, "code",
		*x->code ? x->code : NULL, "outcome", x->outcome, "at", text_json(at, strlen(at))));
}

void access_line(const struct exchange *x)
{
	if (access_log.fd < 0)
		return;
	if (access_log.lines.len > WAITING_MAX) {
		access_log.dropped++;
		return;
	}
	json_t *line = line_of(x);
	char *text = need(json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(12)));
	bytes_add(&access_log.lines, text, strlen(text));
	bytes_add(&access_log.lines, "\n", 1);
	free(text);
	json_decref(line);
}

void access_flush(void)
{
	struct bytes *lines = &access_log.lines;
	if (!lines->len)
		return;
	ssize_t n = pipe_write(access_log.fd, lines->data, lines->len);
	bytes_drop(lines, n < 0 ? lines->len : (size_t)n);
}

void access_close(void)
{
	access_flush();
	bytes_free(&access_log.lines);
	if (access_log.fd > STDERR_FILENO)
		close(access_log.fd);
	access_log.fd = -1;
}
