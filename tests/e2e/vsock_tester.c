/* SPDX-License-Identifier: MIT */
/*
 * Tries the agent's vsock side from within its own guest: there the host's part is taken by the
 * module vsock_loopback. It is started as PID 1, leaves that to the agent (/init), talks to it as a
 * host would, and prints TAP to the serial port.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define PORT       9999
#define ATTEMPTS   3000
#define LARGE      300000
#define FRAME_MOST (1u << 20)

static int console, number, failures;
static char answer[FRAME_MOST + 1];

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(console, line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1) < 0)
		failures++;
}

static void check(bool good, const char *what)
{
	failures += !good;
	say("%s %d - %s\r\n", good ? "ok" : "not ok", ++number, what);
	if (!good)
		say("# errno %d, last answer: %.200s\r\n", errno, answer);
}

/* The modules are being loaded, or nobody listens yet. */
static int connect_agent(void)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_port = PORT, .svm_cid = VMADDR_CID_LOCAL
	};
	struct timeval patience = { .tv_sec = 30 };
	for (int i = 0; i < ATTEMPTS; i++) {
		int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
		if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
			return fd;
		}
		if (fd >= 0)
			close(fd);
		usleep(10000);
	}
	return -1;
}

static bool send_all(int fd, const void *data, size_t len)
{
	for (const char *at = data; len;) {
		ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
		if (put <= 0)
			return false;
		at += put;
		len -= (size_t)put;
	}
	return true;
}

static bool receive_all(int fd, void *to, size_t len)
{
	for (char *at = to; len;) {
		ssize_t got = recv(fd, at, len, 0);
		if (got <= 0)
			return false;
		at += got;
		len -= (size_t)got;
	}
	return true;
}

static void put_length(uint8_t head[4], size_t len)
{
	for (int i = 0; i < 4; i++)
		head[i] = (uint8_t)(len >> (24 - 8 * i));
}

static bool receive_frame(int fd)
{
	uint8_t head[4];
	answer[0] = 0;
	if (!receive_all(fd, head, sizeof(head)))
		return false;
	size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (len > FRAME_MOST || !receive_all(fd, answer, len))
		return false;
	answer[len] = 0;
	return true;
}

/* A request and its answer, which has these words in it. */
static bool ask(int fd, const char *text, const char *expected)
{
	uint8_t head[4];
	put_length(head, strlen(text));
	return send_all(fd, head, sizeof(head)) && send_all(fd, text, strlen(text)) &&
	       receive_frame(fd) && strstr(answer, expected) != NULL;
}

static bool is_ready(int fd)
{
	return fd >= 0 && receive_frame(fd) && strstr(answer, "\"type\":64") &&
	       !strstr(answer, "\"error\"");
}

static bool ping(int fd)
{
	return ask(fd, "{\"type\":4,\"payload\":{\"request_id\":\"p\"}}", "\"request_id\":\"p\"");
}

static bool call(int fd, const char *input, const char *expected)
{
	size_t size = strlen(input) + 128;
	char *text = malloc(size);
	if (!text)
		return false;
	snprintf(text, size,
		"{\"type\":2,\"payload\":{\"request_id\":\"e\",\"timeout_ms\":30000,\"input\":%s}}",
		input);
	bool good = ask(fd, text, expected);
	free(text);
	return good;
}

static bool large_call(int fd)
{
	char *input = malloc(LARGE + 3);
	if (!input)
		return false;
	memset(input, 'x', LARGE + 2);
	input[0] = input[LARGE + 1] = '"';
	input[LARGE + 2] = 0;
	bool good = call(fd, input, input); /* the function prints its input */
	free(input);
	return good;
}

static void try_agent(void)
{
	char byte;
	int fd = connect_agent();
	check(is_ready(fd), "a connection to port 9999 begins with Ready");
	check(ping(fd), "Ping is answered");
	check(ask(fd,
		      "{\"type\":1,\"payload\":{\"request_id\":\"i\",\"runtime\":\"shell\","
		      "\"handler\":\"main.handler\",\"env_vars\":{}}}",
		      "initialized"),
		"Init takes the code disk");
	check(call(fd, "{\"a\":1}", "{\"a\":1}"), "Exec runs the function");
	check(large_call(fd), "frames of many packets pass both ways");
	int second = connect_agent();
	check(call(fd, "1", "\"output\":1"),
		"who connects later does not end the connection before");
	check(recv(second, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "and has to wait");
	close(fd);
	check(is_ready(second), "until that has ended, and gets a Ready of its own");
	check(call(second, "2", "\"output\":2"), "the function is still there");
	static const uint8_t half[] = { 0, 0, 1, 0, '{' };
	check(send_all(second, half, sizeof(half)), "half a frame is sent");
	close(second);
	int third = connect_agent();
	check(is_ready(third) && ping(third),
		"after a connection that ended in the middle of a frame the next one works");
	check(call(third, "3", "\"output\":3"), "and runs functions");
	close(third);
	say("1..%d\r\n", number);
}

int main(void)
{
	if (getpid() != 1)
		return fputs("this is started as PID 1 of a guest\n", stderr) < 0 ? 1 : 2;
	mknod("/tester-console", S_IFCHR | 0600, makedev(4, 64));
	console = open("/tester-console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	pid_t pid = fork();
	if (pid > 0)
		execl("/init", "/init", (char *)NULL);
	if (pid == 0)
		try_agent();
	else
		say("Bail out! no agent\r\n");
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
