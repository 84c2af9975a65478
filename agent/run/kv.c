/* SPDX-License-Identifier: MIT */
/*
 * What functions ask the host for while they run: a Unix socket on which each connection has one
 * question, 4 bytes with its length and JSON, and gets one reply of the same form. The host does
 * what is asked for, and says which function it is for; here it is only passed on.
 *
 * Who connects is the function, or a process of its. It holds no more than a few connections, for
 * some seconds, and so many bytes in all.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/run/run.h"

#define PATIENCE_MS 30000u
#define READ_BLOCK  (64u << 10)
#define HEAD        4u

static void client_end(struct kv_client *client)
{
	close_fd(&client->fd);
	buf_free(&client->bytes);
	*client = (struct kv_client){ .fd = -1 };
}

/* --- the socket --- */

/* A host that is asked for nothing notices nothing of a failure; the function does. */
void kv_open(struct kv *kv, const struct guest *guest)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	kv->listener = -1;
	for (size_t i = 0; i < KV_CLIENTS; i++)
		kv->clients[i].fd = -1;
	/* a plain process has files of its function there */
	AUTO_FREE char *path = str_format("%s%s", guest->input_dir, guest->pid1 ? "/kv" : ".kv");
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path) + 1);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		chmod(path, 0666) < 0 || listen(fd, 64) < 0)
		return;
	kv->path = STEAL(path);
	kv->listener = STEAL_FD(fd);
}

void kv_close(struct kv *kv)
{
	for (size_t i = 0; i < KV_CLIENTS; i++)
		client_end(&kv->clients[i]);
	close_fd(&kv->listener);
	if (kv->path)
		unlink(kv->path);
	free(STEAL(kv->path));
}

static struct kv_client *find_free(struct kv *kv)
{
	for (size_t i = 0; i < KV_CLIENTS; i++)
		if (kv->clients[i].fd < 0)
			return &kv->clients[i];
	return NULL;
}

static void on_connection(void *owner, void *what, short events)
{
	struct run *run = owner;
	struct kv_client *client = find_free(&run->kv);
	(void)what, (void)events;
	if (!client)
		return;
	client->fd = accept4(run->kv.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	client->bytes = BUF_INIT(PROTO_KV_MAX + HEAD);
	client->deadline = deadline_in_ms(PATIENCE_MS);
	client->state = KV_READS;
}

/* --- replies --- */

static void write_some(struct kv_client *client)
{
	while (client->bytes.len) {
		ssize_t put = sys_write(client->fd, client->bytes.data, client->bytes.len);
		if (put == -EAGAIN)
			return;
		if (put < 0)
			break;
		buf_consume(&client->bytes, (size_t)put);
	}
	/* Closed with something unread, it would lose the reply. */
	shutdown(client->fd, SHUT_WR);
	client->state = KV_DRAINS;
}

static void drain_some(struct kv_client *client)
{
	static uint8_t block[READ_BLOCK];
	ssize_t got = sys_read(client->fd, block, sizeof(block));
	if (got <= 0 && got != -EAGAIN)
		client_end(client);
}

static void reply(struct kv_client *client, const char *text, size_t len)
{
	const uint8_t head[HEAD] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16),
		(uint8_t)(len >> 8), (uint8_t)len };
	buf_free(&client->bytes);
	client->bytes = BUF_INIT(PROTO_KV_MAX + HEAD);
	client->deadline = deadline_in_ms(PATIENCE_MS);
	client->state = KV_WRITES;
	if (buf_append(&client->bytes, head, HEAD) < 0 || buf_append(&client->bytes, text, len) < 0)
		client_end(client);
	else
		write_some(client);
}

static void refuse(struct kv_client *client, const char *code, const char *error)
{
	AUTO_FREE char *text = str_format("{\"code\":\"%s\",\"error\":\"%s\"}", code, error);
	if (text)
		reply(client, text, strlen(text));
	else
		client_end(client);
}

static size_t bytes_held(const struct kv *kv)
{
	size_t held = 0;
	for (size_t i = 0; i < KV_CLIENTS; i++)
		held += kv->clients[i].bytes.len;
	return held;
}

void kv_reply(struct run *run, const char *id, int64_t number, struct json_span text)
{
	for (size_t i = 0; i < KV_CLIENTS; i++) {
		struct kv_client *client = &run->kv.clients[i];
		if (client->fd < 0 || client->state != KV_WAITS || client->number != number ||
			strcmp(client->id, id) != 0)
			continue;
		/* What is short, as after a change, is always told. */
		if (text.len > READ_BLOCK && bytes_held(&run->kv) + text.len > KV_BYTES)
			refuse(client, "NOVA_ELIMIT",
				"too much is asked for at once, and not read: try again");
		else
			reply(client, text.at, text.len);
	}
}

void kv_forget(struct run *run, const char *id)
{
	for (size_t i = 0; i < KV_CLIENTS; i++)
		if (run->kv.clients[i].fd >= 0 && run->kv.clients[i].state == KV_WAITS &&
			!strcmp(run->kv.clients[i].id, id))
			refuse(&run->kv.clients[i], "NOVA_ELOST", "the call is over");
}

/* --- questions --- */

/* The one that it names, or any: all are calls of one function. */
static struct request *request_of(struct run *run, const char *named)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &run->requests[i];
		if (request->state == REQUEST_RUNNING && !request->command && !request->rehearses &&
			(!*named || !strcmp(request->id, named)))
			return request;
	}
	return NULL;
}

/* Its "request_id"; "": none. False: it is no JSON object. */
static bool name_of(const char *text, size_t len, char named[MAX_ID + 1])
{
	struct json_walk walk;
	struct json_span key, value;
	struct json_fault fault;
	*named = 0;
	if (!json_text_check(text, len, PROTO_DEPTH_USER, &fault))
		return false;
	int more = json_walk_start(&walk, text, len, PROTO_DEPTH_USER) ? 1 : -1;
	while (more > 0 && (more = json_walk_next(&walk, &key, &value)) > 0) {
		const struct member member = { "request_id", value };
		if (json_is(key, "request_id") && !member_text(&member, named, MAX_ID + 1))
			return false;
	}
	return more == 0;
}

/* What it has read becomes a message of the request. */
static void ask(struct run *run, struct kv_client *client, const struct request *request)
{
	size_t len = client->bytes.len - HEAD;
	struct buf frame = answer_begin(NOVA_MSG_KV, request->id, len);
	client->number = ++run->kv.numbers;
	memcpy(client->id, request->id, sizeof(client->id));
	client->state = KV_WAITS;
	client->deadline = NEVER; /* that of the call counts */
	int r = put_number(&frame, ",\"number\":", (uint64_t)client->number);
	if (r == 0)
		r = buf_append_str(&frame, ",\"ask\":");
	if (r == 0)
		r = buf_append(&frame, client->bytes.data + HEAD, len);
	buf_free(&client->bytes);
	answer_end(run->channel, &frame, r);
	if (r < 0)
		refuse(client, "NOVA_ENOMEM", "the guest is out of memory");
}

static void take_question(struct run *run, struct kv_client *client)
{
	char named[MAX_ID + 1];
	if (!name_of((char *)client->bytes.data + HEAD, client->bytes.len - HEAD, named)) {
		refuse(client, "NOVA_EINVAL", "what is asked for is no JSON object");
		return;
	}
	const struct request *request = request_of(run, named);
	if (!request)
		refuse(client, "NOVA_ENOTSUP",
			"no such call is running: a function reaches what it keeps while it is "
			"called, and not while its module is imported");
	else if (!request->kv)
		refuse(client, "NOVA_ENOTSUP",
			"the host lets this call keep nothing: it is a rehearsal, or code that is "
			"run once, or the libnova there is older");
	else
		ask(run, client, request);
}

static size_t wanted(const struct kv_client *client)
{
	const uint8_t *at = client->bytes.data;
	if (client->bytes.len < HEAD)
		return HEAD;
	return HEAD + ((size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3]);
}

static void read_some(struct run *run, struct kv_client *client)
{
	size_t want = wanted(client) - client->bytes.len;
	want = want < READ_BLOCK ? want : READ_BLOCK;
	uint8_t *to = buf_reserve(&client->bytes, want);
	ssize_t got = to ? sys_read(client->fd, to, want) : 0;
	if (got == -EAGAIN)
		return;
	if (got <= 0) {
		client_end(client);
		return;
	}
	client->bytes.len += (size_t)got;
	if (wanted(client) > PROTO_KV_MAX)
		refuse(client, "NOVA_ETOOBIG", "what is asked for is over the limit of 6 MiB");
	else if (bytes_held(&run->kv) > KV_BYTES)
		refuse(client, "NOVA_ELIMIT", "too much is asked for at once: try again");
	else if (client->bytes.len >= HEAD && client->bytes.len == wanted(client))
		take_question(run, client);
}

static void on_client(void *owner, void *what, short events)
{
	struct kv_client *client = what;
	(void)events;
	if (client->state == KV_READS)
		read_some(owner, client);
	else if (client->state == KV_WRITES)
		write_some(client);
	else if (client->state == KV_DRAINS)
		drain_some(client);
}

void kv_watch(struct run *run, struct loop *loop)
{
	struct kv *kv = &run->kv;
	if (find_free(kv))
		loop_watch(loop, &kv->listener, POLLIN, on_connection, run, NULL);
	for (size_t i = 0; i < KV_CLIENTS; i++) {
		struct kv_client *client = &kv->clients[i];
		if (client->state != KV_WAITS)
			loop_watch(loop, &client->fd, client->state == KV_WRITES ? POLLOUT : POLLIN,
				on_client, run, client);
	}
}

uint64_t kv_deadline(const struct kv *kv)
{
	uint64_t next = NEVER;
	for (size_t i = 0; i < KV_CLIENTS; i++)
		if (kv->clients[i].fd >= 0 && kv->clients[i].deadline < next)
			next = kv->clients[i].deadline;
	return next;
}

void kv_check_deadlines(struct kv *kv)
{
	for (size_t i = 0; i < KV_CLIENTS; i++)
		if (kv->clients[i].fd >= 0 && deadline_passed(kv->clients[i].deadline))
			client_end(&kv->clients[i]);
}
