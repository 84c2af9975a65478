/* SPDX-License-Identifier: MIT */
/*
 * What a clone has to do before it handles anything: it holds the same memory as its siblings, and
 * an old clock. It is the first code that runs in each clone, so what can be kept open or mapped
 * since the first Resume (that of the boot) is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <linux/random.h>

#include "agent/boot/boot.h"

#define MACHINE_ID_MAX 64

/* Mixed in and used at once: the generator would otherwise go on as in the snapshot for up to a
 * minute. */
static int mix_entropy(struct identity *self, const struct buf *bytes)
{
	union {
		struct rand_pool_info info;
		uint8_t room[sizeof(struct rand_pool_info) + ENTROPY_MAX];
	} pool;
	if (!self->random_open) {
		int fd = sys_open("/dev/urandom", O_RDWR, 0);
		if (fd < 0)
			return fd;
		self->random = fd;
		self->random_open = true;
	}
	pool.info.entropy_count = (int)bytes->len * 8;
	pool.info.buf_size = (int)bytes->len;
	memcpy(pool.info.buf, bytes->data, bytes->len);
	if (ioctl(self->random, RNDADDENTROPY, &pool) < 0 || ioctl(self->random, RNDRESEEDCRNG) < 0)
		return -errno;
	return 0;
}

static int set_clock(int64_t unix_us)
{
	struct timespec now = us_to_timespec(unix_us);
	return clock_settime(CLOCK_REALTIME, &now) < 0 ? -errno : 0;
}

/* The root filesystem is read-only, so the file is covered by one of ours; ours stays mapped. */
static int make_machine_id(struct identity *self, const char *line, size_t len)
{
	bool covered = access("/run/machine-id", F_OK) == 0;
	AUTO_FD int fd = sys_open("/run/machine-id", O_RDWR | O_CREAT | O_TRUNC, 0444);
	int r = fd < 0 ? fd : sys_write_all(fd, line, len);
	if (r < 0)
		return r;
	if (!self->machine) {
		void *page =
			mmap(NULL, MACHINE_ID_MAX + 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		self->machine = page == MAP_FAILED ? NULL : page;
	}
	if (self->machine)
		memcpy(self->machine, line, len); /* it is there from now on: no fault, no call */
	self->machine_len = len;
	if (covered || access("/etc/machine-id", F_OK) < 0)
		return 0;
	return mount("/run/machine-id", "/etc/machine-id", NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int set_machine_id(struct identity *self, const char *id)
{
	char line[MACHINE_ID_MAX + 1];
	size_t len = strnlen(id, MACHINE_ID_MAX);
	memcpy(line, id, len);
	line[len++] = '\n';
	if (!self->machine || len != self->machine_len)
		return make_machine_id(self, line, len);
	memcpy(self->machine, line, len);
	return 0;
}

static char *failed(const char *what, int r)
{
	return r < 0 ? str_format("resume: %s: %s", what, strerror(-r)) : NULL;
}

char *resume_guest(struct identity *self, const struct resume_order *order)
{
	char *wrong = order->entropy.len ?
			      failed("random generator", mix_entropy(self, &order->entropy)) :
			      NULL;
	if (!wrong && order->unix_us > 0)
		wrong = failed("clock", set_clock(order->unix_us));
	if (!wrong && *order->hostname)
		wrong = failed("host name",
			sethostname(order->hostname, strlen(order->hostname)) < 0 ? -errno : 0);
	if (!wrong && *order->machine_id)
		wrong = failed("machine id", set_machine_id(self, order->machine_id));
	if (!wrong && *order->net.address)
		wrong = net_set(&order->net);
	return wrong;
}

/* --- reading the order --- */

void resume_order_done(struct resume_order *order)
{
	buf_free(&order->entropy);
}

static char *bad_entropy(void)
{
	return str_format("resume: \"entropy\" is not base64 of at most %d bytes", ENTROPY_MAX);
}

static void copy_text(char *out, size_t size, json_t *text)
{
	const char *value = json_string_value(text);
	snprintf(out, size, "%s", value ? value : "");
}

char *resume_read(json_t *payload, struct resume_order *order)
{
	json_t *text = json_object_get(payload, "entropy");
	*order = (struct resume_order){ .entropy = BUF_INIT(ENTROPY_MAX) };
	order->unix_us = json_integer_value(json_object_get(payload, "unix_us"));
	copy_text(order->hostname, sizeof(order->hostname), json_object_get(payload, "hostname"));
	copy_text(order->machine_id, sizeof(order->machine_id),
		json_object_get(payload, "machine_id"));
	copy_text(order->net.address, sizeof(order->net.address),
		json_object_get(payload, "address"));
	copy_text(order->net.gateway, sizeof(order->net.gateway),
		json_object_get(payload, "gateway"));
	copy_text(order->net.mac, sizeof(order->net.mac), json_object_get(payload, "mac"));
	copy_text(order->net.nameservers, sizeof(order->net.nameservers),
		json_object_get(payload, "nameservers"));
	if (text && (!json_is_string(text) || base64_get(&order->entropy, json_string_value(text),
						      json_string_length(text)) < 0))
		return bad_entropy();
	return NULL;
}

/* None is well, too. */
static bool entropy_scan(struct json_span coded, struct buf *ret)
{
	return !coded.at ||
	       (coded.at[0] == '"' && base64_get(ret, coded.at + 1, coded.len - 2) == 0);
}

bool resume_scan(const char *text, size_t len, struct resume_order *order, char id[MAX_ID + 1])
{
	enum { ID, ENTROPY, TIME, HOST, MACHINE, ADDRESS, GATEWAY, MAC, SERVERS };
	struct member members[] = { { "request_id" }, { "entropy" }, { "unix_us" }, { "hostname" },
		{ "machine_id" }, { "address" }, { "gateway" }, { "mac" }, { "nameservers" } };
	struct net_order *net = &order->net;
	*order = (struct resume_order){ .entropy = BUF_INIT(ENTROPY_MAX) };
	if (!members_scan(text, len, members, ARRAY_LEN(members)))
		return false;
	return members[TIME].value.at && member_text(&members[ID], id, MAX_ID + 1) &&
	       member_number(&members[TIME], &order->unix_us) &&
	       member_text(&members[HOST], order->hostname, sizeof(order->hostname)) &&
	       member_text(&members[MACHINE], order->machine_id, sizeof(order->machine_id)) &&
	       member_text(&members[ADDRESS], net->address, sizeof(net->address)) &&
	       member_text(&members[GATEWAY], net->gateway, sizeof(net->gateway)) &&
	       member_text(&members[MAC], net->mac, sizeof(net->mac)) &&
	       member_text(&members[SERVERS], net->nameservers, sizeof(net->nameservers)) &&
	       entropy_scan(members[ENTROPY].value, &order->entropy);
}
