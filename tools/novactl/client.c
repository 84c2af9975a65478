/* SPDX-License-Identifier: MIT */
/* How a verb finds the daemon, and asks it. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <unistd.h>

#include "daemon.h"

#define LOOK_MS     100 /* a signal just before poll() does not end it: it is seen then */
#define INPUT_PIECE (16u << 10)
#define READ_SIZE   (16u << 10)
#define HELLO_MS    2000 /* a daemon that is there answers within a millisecond */

/* What makes no difference to the answer, or is the daemon's own affair. */
static bool setting_matters(const char *key)
{
	return strcmp(key, "home") != 0 && strcmp(key, "log.level") != 0 &&
	       strncmp(key, "pool.", 5) != 0;
}

/* Settings are compared without being told: a password may be among them. FNV-1a. */
static json_t *fingerprint(const char *value)
{
	char text[17];
	uint64_t hash = 0xcbf29ce484222325;
	for (; *value; value++)
		hash = (hash ^ (unsigned char)*value) * 0x100000001b3;
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	return need(json_string(text));
}

json_t *settings_fingerprints(const nova_config_t *config)
{
	json_t *all = need(json_object());
	for (const char *const *key = nova_config_keys(); *key; key++)
		if (setting_matters(*key))
			json_object_set_new(all, *key, fingerprint(nova_config_get(config, *key)));
	return all;
}

/* The first setting that was asked for here and is another there, or NULL. Where functions are kept
 * must be the same even if nobody asked for it: the other verbs look there themselves. */
static const char *setting_that_differs(const nova_config_t *config, const json_t *there)
{
	for (const char *const *key = nova_config_keys(); *key; key++) {
		bool asked_for = nova_config_source(config, *key) > NOVA_CONFIG_DEFAULT;
		if (!setting_matters(*key) || !(asked_for || !strcmp(*key, "store")))
			continue;
		json_t *here = fingerprint(nova_config_get(config, *key));
		bool same = json_equal(here, json_object_get(there, *key));
		json_decref(here);
		if (!same)
			return *key;
	}
	return NULL;
}

static void no_daemon(const char *format, ...) PRINTF_LIKE(1, 2);
static void no_daemon(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (globals.verbose)
		note("novactl: info: daemon: not used: %s", text);
}

/* The daemon cancels what it does for a client that goes. */
static void hang_up(struct remote *remote)
{
	progress_stop();
	remote_close(remote);
	interrupt_end(report_error(NOVA_ECANCELED, NOVA_OUTCOME_UNKNOWN,
		"interrupted: the daemon cancels what was asked for, which may have been done in "
		"part"));
	exit(STATUS_UNKNOWN);
}

/* The next piece of what the request is given while it is served. False: it cannot be read. */
static bool send_input(struct remote *remote)
{
	char piece[INPUT_PIECE];
	ssize_t got = input_read(remote->input, piece, sizeof(piece));
	if (got > 0)
		wire_put_text(&remote->out.bytes, "stdin", piece, (size_t)got);
	if (got == 0) {
		wire_put_end(&remote->out.bytes, "stdin");
		remote->input = -1;
	}
	remote->input_failed = got == -1 ? errno : 0;
	remote->input_begun |= got >= 0;
	return !remote->input_failed;
}

/* Reads what is there. False: the other side has gone. */
static bool fill(struct remote *remote)
{
	char data[READ_SIZE];
	ssize_t n = socket_receive(remote->fd, data, sizeof(data));
	if (n > 0) /* a failure stays, and is told by wire_next() */
		nova_decoder_feed(remote->decoder, data, (size_t)n, NULL);
	return n >= 0;
}

/* Sends what waits and reads until a frame is there. 1; 0: the time is over; -1: the other side has
 * gone, or talks nonsense. */
static int next_frame(struct remote *remote, int64_t deadline, int *ret_type, json_t **ret_payload)
{
	bool writable = true;
	for (;;) {
		int got = wire_next(remote->decoder, ret_type, ret_payload, NULL);
		if (got)
			return got;
		int64_t left = deadline < 0 ? LOOK_MS : deadline - now_ms();
		if (interrupted())
			hang_up(remote);
		if (deadline >= 0 && left <= 0)
			return 0;
		/* Who cannot be sent to may still have said why. */
		writable = writable && outgoing_flush(&remote->out, remote->fd);
		bool more = writable && outgoing_left(&remote->out);
		struct pollfd fds[] = {
			{ remote->fd, (short)(POLLIN | (more ? POLLOUT : 0)), 0 },
			{ writable && !more ? remote->input : -1, POLLIN, 0 },
		};
		poll(fds, ARRAY_LEN(fds), (int)left);
		if (fds[1].revents && !send_input(remote))
			return -1;
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && !fill(remote))
			return wire_next(remote->decoder, ret_type, ret_payload, NULL) > 0 ? 1 : -1;
	}
}

json_t *hello_json(void)
{
	return need(json_pack("{s:i,s:s}", "protocol", WIRE_PROTOCOL, "version", nova_version()));
}

static bool hello_fits(const struct remote *remote, const nova_config_t *config)
{
	json_t *protocol = json_object_get(remote->hello, "protocol");
	const char *version = json_string_value(json_object_get(remote->hello, "version"));
	if (json_integer_value(protocol) != WIRE_PROTOCOL || !version ||
		strcmp(version, nova_version()) != 0) {
		no_daemon("the one with process id %d is of version %s, and this is %s",
			(int)remote->pid, version ? version : "(none)", nova_version());
		return false;
	}
	const char *key = setting_that_differs(config, json_object_get(remote->hello, "settings"));
	if (key)
		no_daemon("the one with process id %d has another value of the setting %s",
			(int)remote->pid, key);
	return !key;
}

static bool shake_hands(struct remote *remote, const nova_config_t *config, bool alike)
{
	int type;
	wire_put_new(&remote->out.bytes, WIRE_HELLO, hello_json());
	int got = next_frame(remote, now_ms() + HELLO_MS, &type, &remote->hello);
	if (got > 0 && type == WIRE_HELLO)
		return !alike || hello_fits(remote, config);
	no_daemon(got == 0 ? "the one with process id %d does not answer" :
			     "the one with process id %d hangs up",
		(int)remote->pid);
	return false;
}

char *daemon_directory(const char *home)
{
	char *path;
	if (asprintf(&path, "%s/daemon", home) < 0)
		need(NULL);
	return path;
}

static bool connect_to(struct remote *remote, const char *home)
{
	uid_t uid;
	pid_t pid;
	char *directory = daemon_directory(home);
	bool known = place_holder(directory, &remote->pid, &remote->socket);
	free(directory);
	if (!known) {
		no_daemon("there is none for '%s'", home);
		return false;
	}
	int fd = socket_connect(remote->socket, HELLO_MS);
	if (fd < 0) {
		no_daemon("the one with process id %d is not there any more: %s: %m",
			(int)remote->pid, remote->socket);
		return false;
	}
	remote->fd = fd;
	remote->decoder = wire_decoder();
	if (socket_peer_allowed(fd, &pid, &uid))
		return true;
	no_daemon("the one at %s is of another user (%d)", remote->socket, (int)uid);
	return false;
}

bool remote_connect(struct remote *remote, const nova_config_t *config, bool alike)
{
	*remote = (struct remote){ .fd = -1, .input = -1 };
	if (connect_to(remote, nova_config_get(config, "home")) &&
		shake_hands(remote, config, alike))
		return true;
	remote_close(remote);
	return false;
}

char *http_daemon(const nova_config_t *config)
{
	pid_t pid;
	char *directory, *address = NULL, *text = NULL;
	const char *home = nova_config_get(config, "home");
	if (asprintf(&directory, "%s/novad", home) < 0)
		need(NULL);
	/* Who wrote there may have been killed, and its number be another's. */
	bool serves = place_is_held(directory) && place_holder(directory, &pid, &address);
	if (serves && asprintf(&text,
			      "the daemon with process id %d serves '%s' over HTTP, which novactl "
			      "does not speak: ask it at %s with a key of it, such as that in "
			      "'%s/keys' (docs/novad.md); kill %d ends it",
			      (int)pid, home, address, directory, (int)pid) < 0)
		need(NULL);
	free(address);
	free(directory);
	return text;
}

int instances_need_daemon(void)
{
	int status;
	CLEANUP(config_freep) nova_config_t *config = session_config(&status);
	char *other = config && !globals.no_daemon ? http_daemon(config) : NULL;
	if (other) {
		status = failure("instances live in the daemon, and %s", other);
		free(other);
		return status;
	}
	return failure("instances live in the daemon, and %s: 'novactl daemon' starts it%s",
		globals.no_daemon ? "--no-daemon asks for none" : "there is none to be used here",
		globals.no_daemon || globals.verbose ? "" :
						       " (--verbose tells what was looked for)");
}

void remote_close(struct remote *remote)
{
	if (remote->fd >= 0)
		close(remote->fd);
	nova_decoder_free(remote->decoder);
	bytes_free(&remote->out.bytes);
	json_decref(remote->hello);
	free(remote->socket);
	*remote = (struct remote){ .fd = -1, .input = -1 };
}

static enum remote_end lost(struct remote *remote)
{
	/* Input is read when all of the request is sent: what waits is that of what has begun. */
	if (!outgoing_left(&remote->out) || remote->input_begun)
		return REMOTE_LOST;
	/* It has not even got the whole request. */
	no_daemon("the one with process id %d has gone", (int)remote->pid);
	return REMOTE_DECLINED;
}

static enum remote_end replied(const struct remote *remote, json_t *reply, json_t **ret_reply)
{
	const char *declined = json_string_value(json_object_get(reply, "declined"));
	if (!declined) {
		*ret_reply = reply;
		return REMOTE_REPLIED;
	}
	no_daemon("the one with process id %d %s", (int)remote->pid, declined);
	json_decref(reply);
	return REMOTE_DECLINED;
}

enum remote_end remote_ask(struct remote *remote, json_t *request, const char *event, size_t len,
	void (*on_text)(void *userdata, const json_t *payload), void *userdata, json_t **ret_reply)
{
	int type;
	json_t *payload;
	json_object_set_new(request, "event_len", json_integer((json_int_t)len));
	wire_put_new(&remote->out.bytes, WIRE_REQUEST, request);
	wire_put_text(&remote->out.bytes, "event", event, len);
	interruptible();
	while (next_frame(remote, -1, &type, &payload) > 0) {
		if (type == WIRE_REPLY)
			return replied(remote, payload, ret_reply);
		if (type == WIRE_TEXT && on_text)
			on_text(userdata, payload);
		json_decref(payload);
	}
	return lost(remote);
}
