/* SPDX-License-Identifier: MIT */
/* One installation: nova-deps is started, is told what to do, and tells how it goes. */
#include <errno.h>
#include <sys/socket.h>

#include "deps/internal.h"
#include "deps/wire.h"

/* A running helper, and what it said last. */
struct helper {
	const struct deps_want *want;
	struct process process;
	int socket;
	struct buf said;
	bool done;
	int code;      /* of its failure */
	char *message; /* and its sentence */
};

static void helper_end(struct helper *h)
{
	/* The keeper ends what it has started, too. */
	process_done(&h->process, NULL);
	fd_close(h->socket);
	buf_free(&h->said);
	free(h->message);
}

static int start(struct helper *h, nova_host_t *host, nova_error_t **error)
{
	AUTO_FREE char *program = NULL;
	int pair[2], code = program_find("nova-deps", NULL, &program, error);
	int r = code < 0 ? 0 : sys_socketpair(SOCK_STREAM, pair);
	if (code < 0 || r < 0)
		return code < 0 ? code : nova_fail_os(error, r, "socket to nova-deps");
	AUTO_FD int theirs = pair[1];
	h->socket = pair[0];
	const char *const argv[] = { program, NULL };
	const struct spawn spawn = {
		.argv = argv, .fds = &theirs, .fd_count = 1, .no_stdout = true
	};
	return keeper_spawn(host_engine_env(host)->keeper, &spawn, &h->process, error);
}

/* --- what is said to it --- */

static int put(struct buf *request, const char *text)
{
	return buf_append(request, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* The variables that clients and their way to a registry obey. */
static bool is_passed_on(const char *variable)
{
	static const char *const names[] = { "PATH=", "HOME=", "USER=", "PIP_", "NPM_CONFIG_",
		"npm_config_", "http_proxy=", "https_proxy=", "all_proxy=", "no_proxy=",
		"HTTP_PROXY=", "HTTPS_PROXY=", "ALL_PROXY=", "NO_PROXY=", "SSL_CERT_",
		"REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE=", "NODE_EXTRA_CA_CERTS=", "XDG_", "PYENV_",
		"VIRTUAL_ENV=" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_starts(variable, names[i]))
			return true;
	return false;
}

static int put_environment(struct buf *request, bool obeyed)
{
	int r = 0;
	for (const char *const *at = env_all(); obeyed && r == 0 && *at; at++)
		if (is_passed_on(*at))
			r = put(request, *at);
	return r;
}

static int tell(struct helper *h, nova_host_t *host, const struct deps_guest *guest,
	const char *work, nova_error_t **error)
{
	const struct deps_want *want = h->want;
	AUTO_BUF struct buf request = BUF_INIT(DEPS_REQUEST_MAX);
	char limit[24];
	uint32_t len = 0;
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)want->limit);
	const char *const texts[DEPS_TEXTS] = {
		[DEPS_CLIENT] = want->client,
		[DEPS_FILE] = want->file,
		[DEPS_LINKS] = want->find_links,
		[DEPS_WORK] = work,
		[DEPS_PYTHON] = guest->python,
		[DEPS_PLATFORM] = guest->platform,
		[DEPS_LIMIT] = limit,
	};
	int r = buf_append(&request, &len, sizeof(len));
	for (size_t i = 0; r == 0 && i < DEPS_TEXTS; i++)
		r = put(&request, texts[i]);
	if (r == 0)
		r = put_environment(&request, config_environment(host_config(host)));
	if (r < 0)
		return nova_fail_os(error, r, "what nova-deps is to do");
	len = (uint32_t)(request.len - sizeof(len));
	memcpy(request.data, &len, sizeof(len));
	r = sys_send_fds_until(
		h->socket, request.data, request.len, NULL, 0, deadline_in_ms(10000));
	return r < 0 ? nova_fail_os(error, r, "telling nova-deps what to do") : 0;
}

/* --- what it says --- */

static void hear_line(struct helper *h, char *line)
{
	char *text = line + 1;
	switch (*line) {
	case DEPS_PROGRESS:
		if (h->want->progress)
			h->want->progress(h->want->userdata, text);
		break;
	case DEPS_DONE:
		h->done = true;
		break;
	case DEPS_FAILED:
		h->code = (int)strtol(text, &text, 10);
		free(h->message);
		h->message = strdup(*text ? text + 1 : text);
		break;
	default:
		break;
	}
}

static void hear_lines(struct helper *h)
{
	uint8_t *end;
	while (h->said.len && (end = memchr(h->said.data, '\n', h->said.len))) {
		*end = 0;
		hear_line(h, (char *)h->said.data);
		buf_consume(&h->said, (size_t)(end - h->said.data) + 1);
	}
}

/* Until it has closed its end. */
static int hear(struct helper *h, const struct stop *stop, nova_error_t **error)
{
	for (;;) {
		struct pollfd wait = { h->socket, POLLIN, 0 };
		int r = stop_poll(stop, &wait, 1, -1);
		if (stop_asked(stop))
			return stop_check(stop, "the packages were installed", error);
		uint8_t *room = r < 0 ? NULL : buf_reserve(&h->said, 4096);
		ssize_t got = room ? sys_recv(h->socket, room, 4096, MSG_DONTWAIT) : -ENOMEM;
		if (got == -EAGAIN)
			continue;
		if (got < 0 && got != -ECONNRESET)
			return nova_fail_os(error, r < 0 ? r : (int)got, "listening to nova-deps");
		if (got <= 0)
			return 0;
		h->said.len += (size_t)got;
		hear_lines(h);
	}
}

/* A code that it may give, whatever it says. */
static int code_of(const struct helper *h)
{
	return h->code < 0 && h->code >= NOVA_ESTALE ? h->code : NOVA_EIO;
}

int install_run(nova_host_t *host, const struct deps_want *want, const struct deps_guest *guest,
	const char *work, const struct stop *stop, nova_error_t **error)
{
	CLEANUP(helper_end)
	struct helper h = {
		.want = want, .process = PROCESS_NONE, .socket = -1, .said = BUF_INIT(64u << 10)
	};
	int code = start(&h, host, error);
	if (code == 0)
		code = tell(&h, host, guest, work, error);
	if (code == 0)
		code = hear(&h, stop, error);
	if (code < 0 || h.done)
		return code;
	if (h.message)
		return nova_fail(error, code_of(&h), "%s", h.message);
	return nova_fail(error, NOVA_EIO,
		"nova-deps ended before the packages of %s were installed", want->file);
}
