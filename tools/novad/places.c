/* SPDX-License-Identifier: MIT */
/*
 * Sockets: those that the service manager hands over, else those that were asked for, else the
 * loopback address and a Unix socket. What other machines can reach has to be wanted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "novad.h"

#define BACKLOG  1024
#define FIRST_FD 3 /* of a service manager */
#define PORT     "8080"
#define PORT_TLS "8443"

struct opening {
	struct places *places;
	const struct settings *settings;
	log_fn log;
};

static bool refuse(const struct opening *o, const char *format, ...) PRINTF_LIKE(2, 3);
static bool refuse(const struct opening *o, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	o->log(NOVA_LOG_ERROR, text);
	return false;
}

/* --- what an address is --- */

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	if (address->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
}

static enum reach reach_of_path(const char *path)
{
	struct stat status;
	bool closed = *path && stat(path, &status) == 0 && !(status.st_mode & 077) &&
		      status.st_uid == geteuid();
	return closed ? REACH_OWNER : REACH_LOOPBACK;
}

/* Fills in reach and name, by what the socket says of itself. */
static bool describe(const struct opening *o, struct place *place)
{
	struct sockaddr_storage address = { 0 };
	const struct sockaddr_un *unix_address = (const void *)&address;
	socklen_t len = sizeof(address);
	char host[64], port[16];
	if (getsockname(place->fd, (struct sockaddr *)&address, &len) != 0)
		return refuse(o, "descriptor %d is no socket: %m", place->fd);
	if (address.ss_family == AF_UNIX) {
		/* Its own name is the one that it had before it could be found. */
		const char *path = place->path ? place->path : unix_address->sun_path;
		place->reach = reach_of_path(path);
		snprintf(place->name, sizeof(place->name), "unix:%s", path);
		return true;
	}
	if (getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return refuse(o, "the address of descriptor %d cannot be read", place->fd);
	place->reach = is_loopback(&address) ? REACH_LOOPBACK : REACH_PUBLIC;
	place->tls = o->settings->tls;
	bool v6 = address.ss_family == AF_INET6;
	snprintf(place->name, sizeof(place->name), "%s://%s%s%s:%s", place->tls ? "https" : "http",
		v6 ? "[" : "", host, v6 ? "]" : "", port);
	return true;
}

static bool is_allowed(const struct opening *o, const struct place *place)
{
	if (place->reach != REACH_PUBLIC)
		return true;
	if (!place->tls && !o->settings->insecure)
		return refuse(o,
			"%s can be reached from outside, and keys would go there in the clear: "
			"--tls encrypts, --insecure says that something else does",
			place->name);
	if (o->settings->no_keys)
		return refuse(o,
			"--no-keys is for loopback addresses and own Unix sockets, and %s "
			"is none",
			place->name);
	return true;
}

static bool keep(const struct opening *o, struct place place)
{
	if (o->places->count == PLACES_MAX || !describe(o, &place) || !is_allowed(o, &place)) {
		close(place.fd);
		if (place.path)
			unlink(place.path);
		free(place.path);
		return o->places->count < PLACES_MAX ? false : refuse(o, "too many addresses");
	}
	o->places->at[o->places->count++] = place;
	return true;
}

/* --- opening --- */

static bool open_unix(const struct opening *o, const char *path)
{
	struct place place = { .fd = socket_listen(path), .path = need(strdup(path)) };
	if (place.fd >= 0)
		return keep(o, place);
	free(place.path);
	return refuse(o, "cannot listen at '%s': %m", path);
}

static int open_address(const struct addrinfo *info)
{
	static const int on = 1;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

static bool open_all(const struct opening *o, const char *host, const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int code = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (code != 0)
		return refuse(o, "cannot listen at port '%s' of '%s': %s", port, host,
			gai_strerror(code));
	bool done = true;
	for (const struct addrinfo *at = list; at && done; at = at->ai_next) {
		struct place place = { .fd = open_address(at) };
		done = place.fd >= 0 ?
			       keep(o, place) :
			       refuse(o,
				       errno == EADDRINUSE ?
					       "cannot listen at port %s of '%s', which another "
					       "program has: --listen gives another" :
					       "cannot listen at port %s of '%s': %m",
				       port, host);
	}
	freeaddrinfo(list);
	return done;
}

static const char *default_port(const struct settings *settings)
{
	const char *given = getenv("FAAS_GATEWAY_PORT");
	return given && *given ? given : settings->tls ? PORT_TLS : PORT;
}

/* ADDRESS, ADDRESS:PORT, :PORT, PORT, [IPV6]:PORT or unix:PATH. */
static bool open_word(const struct opening *o, const char *word)
{
	char host[256] = "127.0.0.1";
	const char *colon = strrchr(word, ':'), *end = strchr(word, ']');
	const char *port = default_port(o->settings);
	if (!strncmp(word, "unix:", 5))
		return open_unix(o, word + 5);
	if (strspn(word, "0123456789") == strlen(word))
		return open_all(o, host, word);
	if (colon && end && colon < end)
		colon = NULL; /* of the address itself */
	if (colon)
		port = colon + 1;
	size_t len = colon ? (size_t)(colon - word) : strlen(word);
	bool bracketed = *word == '[' && len > 1 && word[len - 1] == ']';
	snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? len - 2 : len), word + bracketed);
	return open_all(o, host, port);
}

static bool open_default(const struct opening *o, const char *directory)
{
	char *path;
	if (asprintf(&path, "%s/socket", directory) < 0)
		need(NULL);
	bool done = open_all(o, "127.0.0.1", default_port(o->settings)) && open_unix(o, path);
	free(path);
	return done;
}

/* As sd_listen_fds(3) has it: so many, from descriptor 3 on, for this process. */
static int handed_over(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	if (!pid || !count || strtol(pid, NULL, 10) != getpid())
		return 0;
	return (int)strtol(count, NULL, 10);
}

static bool take_over(const struct opening *o, int count)
{
	int listens = 0;
	socklen_t len = sizeof(listens);
	for (int fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || !listens)
			return refuse(
				o, "descriptor %d of the service manager does not listen", fd);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		if (!keep(o, (struct place){ .fd = fd }))
			return false;
	}
	return true;
}

bool places_open(
	struct places *places, const struct settings *settings, const char *directory, log_fn log)
{
	const struct opening o = { places, settings, log };
	int count = handed_over();
	bool done = true;
	if (count > 0)
		return take_over(&o, count);
	if (!settings->listen.count)
		return open_default(&o, directory);
	for (size_t i = 0; i < settings->listen.count && done; i++)
		done = open_word(&o, settings->listen.at[i]);
	return done;
}

void places_close(struct places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		if (places->at[i].fd >= 0)
			close(places->at[i].fd);
		if (places->at[i].path)
			unlink(places->at[i].path);
		free(places->at[i].path);
	}
	places->count = 0;
}
