/* SPDX-License-Identifier: MIT */
/*
 * Limits of disks and networks: held, or refused by name.
 *
 * Rates are taken by this host's clock, around whatever takes that long. So no load can make one
 * look too high, and one that looks too low is taken again over twice the amount.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "platform.h"
#include "property/property.h"
#include "unit/netns.h"

#define IOPS      25u
#define BANDWIDTH 204800u /* bytes a second */
#define ROUNDS    6

/* --- what an engine cannot do --- */

static void set_number(const nova_property *p, void *options, size_t offset)
{
	static const char *const nat = "nat";
	void *member = (char *)options + offset;
	if (p->type == NOVA_PROPERTY_CHOICE)
		memcpy(member, &nat, sizeof(nat));
	else
		*(uint64_t *)member = 1000;
}

static void refuses_at_registering(nova_t *nova, const nova_property *p, const char *sentence)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "limited";
	o.runtime = "shell";
	o.code = "true";
	o.code_len = 4;
	set_number(p, &o, p->offset);
	ck_fails_with(NOVA_ENOTSUP, sentence, nova_function_register(nova, &o, NULL, &error));
}

static void refuses_at_start(nova_t *nova, const nova_property *p, const char *sentence)
{
	nova_vm_t *vm;
	nova_vm_opts o = NOVA_VM_OPTS_INIT;
	set_number(p, &o, property_find(p->name)->in_vm);
	ck_fails_with(NOVA_ENOTSUP, sentence, nova_vm_start(nova_host_get(nova), &o, &vm, &error));
}

START_TEST(what_the_engine_cannot_hold_is_refused_by_name)
{
	struct platform p = platform_open(NULL);
	const nova_property *property;
	size_t refused = 0;
	for (size_t i = 0; (property = nova_property_get(i)); i++) {
		if (!property->features)
			continue;
		AUTO_FREE char *sentence = str_format(
			"the engine fake does not support %s: leave it out", property->name);
		refuses_at_registering(p.nova, property, sentence);
		refuses_at_start(p.nova, property, sentence);
		refused++;
	}
	ck_assert_uint_eq(refused, 5);
	platform_close(&p);
}
END_TEST

/* --- rates --- */

/* `amount` of something in a guest, however long that takes. */
typedef void (*work_fn)(void *with, unsigned amount);

static double rate_of(work_fn work, void *with, unsigned amount)
{
	uint64_t begin = clock_ns();
	work(with, amount);
	return (double)amount * 1e9 / (double)(clock_ns() - begin);
}

static unsigned seconds(void)
{
	const char *longer = getenv("NOVA_TEST_LONG");
	return longer && *longer ? 5 : 2;
}

/* Within a quarter of the limit, which counts what a unit is. */
static void ck_limited(work_fn work, void *with, double limit)
{
	unsigned amount = (unsigned)(limit * seconds());
	double rate = 0;
	for (int round = 0; round < ROUNDS; round++, amount *= 2) {
		rate = rate_of(work, with, amount);
		ck_assert_msg(rate <= limit * 1.25, "%.1f a second, limit %.1f", rate, limit);
		if (rate >= limit * 0.75)
			return;
	}
	ck_abort_msg("only %.1f a second, limit %.1f", rate, limit);
}

static void ck_not_limited(work_fn work, void *with, double limit)
{
	unsigned amount = (unsigned)(limit * 10);
	double rate = 0;
	for (int round = 0; round < ROUNDS && rate < limit * 10; round++, amount *= 2)
		rate = rate_of(work, with, amount);
	ck_assert_msg(rate >= limit * 10, "%.1f a second, limit %.1f", rate, limit);
}

static void run(nova_vm_t *vm, const char *command)
{
	const char *const argv[] = { "sh", "-c", command };
	nova_vm_command_opts o = NOVA_VM_COMMAND_OPTS_INIT;
	nova_result_t *r;
	o.argv = argv;
	o.argc = ARRAY_LEN(argv);
	ck_ok(nova_vm_command(vm, &o, &r, &error));
	ck_assert_msg(
		nova_result_exit_code(r) == 0, "%s: %s", command, nova_result_stderr(r, NULL));
	nova_result_free(r);
}

/* --- the code disk --- */

#define SMALL 4096u
#define LARGE 32768u
#define DISK  (8u << 20)

/* Around caches, and from the begin again where the disk ends. */
static void read_disk(nova_vm_t *vm, unsigned bytes, unsigned count)
{
	while (count) {
		unsigned most = DISK / bytes, now = count < most ? count : most;
		AUTO_FREE char *command = str_format(
			"dd if=/dev/vdb of=/dev/null iflag=direct bs=%u count=%u", bytes, now);
		run(vm, command);
		count -= now;
	}
}

static void read_small(void *vm, unsigned count)
{
	read_disk(vm, SMALL, count);
}

static void read_large(void *vm, unsigned count)
{
	read_disk(vm, LARGE, count);
}

static nova_vm_t *start_with_disk(const struct platform *p, bool limited)
{
	AUTO_FREE char *disk = path_join(p->dir, "code.ext4");
	nova_disk_opts d = NOVA_DISK_OPTS_INIT;
	nova_vm_opts o = NOVA_VM_OPTS_INIT;
	nova_vm_t *vm;
	if (!fs_exists(disk)) {
		d.data = "true";
		d.data_len = 4;
		d.min_size = DISK;
		ck_ok(nova_disk_build(disk, &d, &error));
	}
	o.code_disk = disk;
	o.disk_iops = limited ? IOPS : 0;
	o.disk_bandwidth = limited ? BANDWIDTH : 0;
	ck_ok(nova_vm_start(nova_host_get(p->nova), &o, &vm, &error));
	return vm;
}

START_TEST(a_disk_is_as_fast_as_its_limits_in_every_copy_of_a_guest)
{
	struct platform p = platform_open(NULL);
	nova_vm_t *vm = start_with_disk(&p, true), *child, *restored;
	nova_snapshot_t *snapshot;
	ck_limited(read_small, vm, IOPS);
	ck_limited(read_large, vm, (double)BANDWIDTH / LARGE);
	ck_ok(nova_vm_fork(vm, 1, NULL, &child, &error));
	ck_limited(read_small, child, IOPS);
	nova_vm_free(child);
	ck_ok(nova_vm_snapshot(vm, NULL, &snapshot, &error));
	nova_vm_free(vm);
	ck_ok(nova_vm_restore(nova_host_get(p.nova), snapshot, NULL, &restored, &error));
	ck_limited(read_large, restored, (double)BANDWIDTH / LARGE);
	nova_vm_free(restored);
	nova_snapshot_free(snapshot);
	platform_close(&p);
}
END_TEST

START_TEST(a_disk_without_limits_is_ten_times_faster)
{
	struct platform p = platform_open(NULL);
	nova_vm_t *vm = start_with_disk(&p, false);
	ck_not_limited(read_small, vm, IOPS);
	ck_not_limited(read_large, vm, (double)BANDWIDTH / LARGE);
	nova_vm_free(vm);
	platform_close(&p);
}
END_TEST

/* Reads itself around caches, as often as the payload says. */
static const char reader[] =
	"n=$(tr -dc 0-9 <\"$1\")\n"
	"while [ $n -gt 0 ]; do\n"
	"    c=$((n < 16 ? n : 16)); n=$((n - c))\n"
	"    dd if=\"$0\" of=/dev/null iflag=direct bs=4096 count=$c || exit 1\n"
	"done\n"
	"echo '{}'\n"
	"exit 0\n";

static void add_reader(nova_t *nova)
{
	static char code[64u << 10];
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	memset(code, '#', sizeof(code));
	memcpy(code, reader, strlen(reader));
	o.name = "reader";
	o.runtime = "shell";
	o.code = code;
	o.code_len = sizeof(code);
	o.timeout_s = 600;
	o.disk_iops = IOPS;
	o.check = NOVA_CHECK_NEVER;
	ck_ok(nova_function_register(nova, &o, NULL, &error));
}

static void call_reader(void *with, unsigned count)
{
	nova_result_t *r;
	AUTO_FREE char *payload = str_format("{\"n\": %u}", count);
	ck_ok(nova_invoke(with, "reader", payload, NULL, &r, &error));
	nova_result_free(r);
}

/* Its guest was made of one that had booted for any function. */
START_TEST(a_function_reads_its_code_at_its_own_limit)
{
	struct platform p = platform_open(NULL);
	add_reader(p.nova);
	call_reader(p.nova, 1);
	ck_limited(call_reader, p.nova, IOPS);
	platform_close(&p);
}
END_TEST

/* --- the network --- */

#define NETWORK 51200u /* bytes a second */
#define KB      1024u
#define SENDER  8000 /* port where as many KB are to be had as are asked for, */
#define TAKER   8001 /* and one that takes all, and then says so */

static void send_as_asked(int client)
{
	static const char zeros[KB];
	char request[1024] = "";
	unsigned count = 0;
	if (sys_recv(client, request, sizeof(request) - 1, 0) <= 0 ||
		sscanf(request, "GET /%u", &count) != 1)
		return;
	sys_write_all(client, "HTTP/1.0 200 OK\r\n\r\n", 19);
	while (count-- && sys_write_all(client, zeros, sizeof(zeros)) == 0)
		;
}

static void take_all(int client)
{
	char block[8192];
	while (sys_recv(client, block, sizeof(block), 0) > 0)
		;
	sys_write_all(client, "done", 4);
}

struct service {
	uint16_t port;
	void (*serve)(int client);
};

/* Ends with the process. */
static void *serve(void *with)
{
	const struct service *s = with;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(s->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)) | listen(fd, 4), 0);
	for (;;) {
		int client = accept(fd, NULL, NULL);
		s->serve(client);
		fd_close(client);
	}
	return NULL;
}

static void receive(void *vm, unsigned count)
{
	AUTO_FREE char *command =
		str_format("wget -q -O /dev/null http://172.30.0.1:%d/%u", SENDER, count);
	run(vm, command);
}

static void send_off(void *vm, unsigned count)
{
	AUTO_FREE char *command = str_format(
		"head -c %u /dev/zero | nc 172.30.0.1 %d | grep -q done", count * KB, TAKER);
	run(vm, command);
}

/* nc takes a guest so much time that on a busy host it would look like a limit. */
static void send_at_once(void *vm, unsigned count)
{
	AUTO_FREE char *command = str_format("python3 -c 'import socket; "
					     "s = socket.create_connection((\"172.30.0.1\", %d)); "
					     "s.sendall(bytes(%u)); s.shutdown(1); "
					     "assert s.recv(4) == b\"done\"'",
		TAKER, count * KB);
	run(vm, command);
}

static struct platform open_with_network(void)
{
	static const struct service services[] = { { SENDER, send_as_asked }, { TAKER, take_all } };
	pthread_t thread;
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, serve, (void *)&services[i]), 0);
		pthread_detach(thread);
	}
	return platform_open(NULL);
}

static nova_vm_t *start_with_network(const struct platform *p, uint64_t limit)
{
	nova_vm_t *vm;
	nova_vm_opts o = NOVA_VM_OPTS_INIT;
	o.network = "nat";
	o.rootfs = limit ? "base" : "python";
	o.net_rx_bandwidth = o.net_tx_bandwidth = limit;
	ck_ok(nova_vm_start(nova_host_get(p->nova), &o, &vm, &error));
	return vm;
}

START_TEST(a_network_is_as_fast_as_its_limits_both_ways_and_after_a_fork)
{
	struct platform p = open_with_network();
	nova_vm_t *vm = start_with_network(&p, NETWORK), *child;
	ck_limited(receive, vm, (double)NETWORK / KB);
	ck_limited(send_off, vm, (double)NETWORK / KB);
	ck_assert_uint_eq(netns_count_queues(), 1);
	ck_ok(nova_vm_fork(vm, 1, NULL, &child, &error));
	ck_assert_uint_eq(netns_count_queues(), 2);
	ck_limited(receive, child, (double)NETWORK / KB);
	ck_limited(send_off, vm, (double)NETWORK / KB);
	nova_vm_free(vm);
	ck_assert_uint_eq(netns_count_queues(), 1);
	ck_limited(send_off, child, (double)NETWORK / KB);
	nova_vm_free(child);
	ck_assert_uint_eq(netns_count_queues(), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_network_without_limits_is_ten_times_faster)
{
	struct platform p = open_with_network();
	nova_vm_t *vm = start_with_network(&p, 0);
	ck_not_limited(receive, vm, (double)NETWORK / KB);
	ck_not_limited(send_at_once, vm, (double)NETWORK / KB);
	nova_vm_free(vm);
	platform_close(&p);
}
END_TEST

TCase *limit_cases(void)
{
	TCase *tc = tcase_create("limits");
	if (is_fake()) {
		tcase_add_test(tc, what_the_engine_cannot_hold_is_refused_by_name);
		return tc;
	}
	tcase_add_test(tc, a_disk_is_as_fast_as_its_limits_in_every_copy_of_a_guest);
	tcase_add_test(tc, a_function_reads_its_code_at_its_own_limit);
	tcase_add_test(tc, a_disk_without_limits_is_ten_times_faster);
	return tc;
}

TCase *network_limit_cases(void)
{
	TCase *tc = tcase_create("network-limits");
	if (is_fake())
		return tc;
	if (netns_missing()) {
		netns_add_skip(tc);
		return tc;
	}
	tcase_add_test(tc, a_network_is_as_fast_as_its_limits_both_ways_and_after_a_fork);
	tcase_add_test(tc, a_network_without_limits_is_ten_times_faster);
	return tc;
}
