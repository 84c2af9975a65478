/* SPDX-License-Identifier: MIT */
/* What the machines of all engines have in common. */
#include "engine/engine.h"

void engine_report_done(struct engine_report *report)
{
	free(report->binary);
	free(report->version);
	free(report->reason);
	free(report->advice);
	memset(report, 0, sizeof(*report));
}

size_t machine_disks(const struct machine_config *config, struct machine_disk ret[MACHINE_DISKS])
{
	size_t count = 0;
	if (config->rootfs)
		ret[count++] = (struct machine_disk){ .name = "rootfs", .path = config->rootfs };
	if (config->code_disk)
		ret[count++] = (struct machine_disk){
			.name = "code",
			.path = config->code_disk,
			.iops = config->disk_iops,
			.bandwidth = config->disk_bandwidth,
		};
	return count;
}

struct machine *machine_new(const struct engine_ops *ops)
{
	struct machine *m = calloc(1, ops->machine_size);
	if (!m)
		return NULL;
	m->channel = m->serial = m->diag = m->ram = m->log = -1;
	m->link = (struct net_link)NET_LINK_NONE;
	m->console = BUF_INIT(CONSOLE_KEPT * 2);
	return m;
}

bool machine_ended(const struct engine_ops *ops, const struct machine *m, uint64_t deadline)
{
	int fd = ops->end_fd(m);
	return fd < 0 || sys_await_readable(fd, deadline);
}

static void close_slot(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}

void machine_done(const struct engine_ops *ops, struct machine *m)
{
	ops->end(m);
	machine_drain(m);
	if (ops->release)
		ops->release(m);
	net_detach(&m->link);
	close_slot(&m->channel);
	close_slot(&m->serial);
	close_slot(&m->diag);
	close_slot(&m->ram);
	close_slot(&m->log);
}

void machine_free(const struct engine_ops *ops, struct machine *m)
{
	if (!m)
		return;
	machine_done(ops, m);
	buf_free(&m->console);
	free(m);
}

/* A log that would grow too long begins anew: it is the guest that decides how much is written. */
static void keep_in_log(struct machine *m, const void *text, size_t len)
{
	if (m->log_bytes + len > CONSOLE_KEPT && sys_truncate(m->log, 0) == 0)
		m->log_bytes = 0;
	if (m->log_bytes + len <= CONSOLE_KEPT &&
		sys_pwrite_all(m->log, text, len, m->log_bytes) == 0)
		m->log_bytes += len;
}

static void drain_one(struct machine *m, int *fd)
{
	struct buf *console = &m->console;
	while (*fd >= 0) {
		if (console->len > CONSOLE_KEPT)
			buf_consume(console, console->len - CONSOLE_KEPT);
		uint8_t *to = buf_reserve(console, 4096);
		if (!to)
			return;
		ssize_t got = sys_read(*fd, to, 4096);
		if (got > 0) {
			if (fd == &m->diag && m->log >= 0)
				keep_in_log(m, to, (size_t)got);
			console->len += (size_t)got;
			continue;
		}
		if (got == 0)
			close_slot(fd);
		return;
	}
}

void machine_drain(struct machine *m)
{
	drain_one(m, &m->serial);
	drain_one(m, &m->diag);
}

char *machine_last_words(struct machine *m, size_t max)
{
	machine_drain(m);
	size_t len = m->console.len;
	while (len && (m->console.data[len - 1] <= ' '))
		len--;
	size_t from = len > max ? len - max : 0;
	/* What a panic is about stands at its beginning; its end is registers. */
	const uint8_t *panic = len ? memmem(m->console.data, len, "Kernel panic", 12) : NULL;
	if (panic && (size_t)(panic - m->console.data) < from) {
		from = (size_t)(panic - m->console.data);
		len = from + max;
	}
	return len ? str_format("%.*s", (int)(len - from), (const char *)m->console.data + from) :
		     strdup("nothing was printed");
}
