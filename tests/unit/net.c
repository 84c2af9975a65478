/* SPDX-License-Identifier: MIT */
/* The network of VMs: addresses, names and what guests are told; and, for root, real TAPs at a real
 * bridge in a network namespace of the test's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net/net.h"
#include "netns.h"

static nova_error_t *error;

/* --- what is only computed --- */

START_TEST(a_subnet_is_an_address_and_a_length)
{
	static const struct {
		const char *text, *network, *mask, *gateway;
	} good[] = {
		{ "172.30.0.0/24", "172.30.0.0", "255.255.255.0", "172.30.0.1" },
		{ "10.1.2.3/8", "10.0.0.0", "255.0.0.0", "10.0.0.1" },
		{ "192.168.7.77/30", "192.168.7.76", "255.255.255.252", "192.168.7.77" },
		{ "172.30.4.0/22", "172.30.4.0", "255.255.252.0", "172.30.4.1" },
		{ "10.0.0.0/1", "0.0.0.0", "128.0.0.0", "0.0.0.1" },
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct net_subnet s;
		char text[NET_TEXT];
		ck_assert_msg(net_subnet_parse(good[i].text, &s), "%s", good[i].text);
		net_address_text(s.address, text);
		ck_assert_str_eq(text, good[i].network);
		net_address_text(net_mask(&s), text);
		ck_assert_str_eq(text, good[i].mask);
		net_address_text(net_gateway(&s), text);
		ck_assert_str_eq(text, good[i].gateway);
	}
	static const char *const bad[] = { "", "172.30.0.0", "172.30.0.0/", "172.30.0.0/31",
		"172.30.0.0/0", "172.30.0.0/024", "172.30.0.0/2x", "172.30.0/24", "172.30.0.256/24",
		"fd00::/64", "/24", "172.30.0.0/24 ", "0172.030.0000.00000000/24" };
	struct net_subnet s;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!net_subnet_parse(bad[i], &s), "%s", bad[i]);
}
END_TEST

static uint32_t number(const char *text)
{
	uint32_t address;
	ck_assert_msg(net_address_parse(text, &address), "%s", text);
	return address;
}

START_TEST(addresses_for_guests_go_round)
{
	struct net_subnet s;
	ck_assert(net_subnet_parse("172.30.0.0/24", &s));
	ck_assert_uint_eq(net_address_count(&s), 253);
	ck_assert_uint_eq(net_next_address(&s, 0), number("172.30.0.2"));
	ck_assert_uint_eq(net_next_address(&s, number("172.30.0.2")), number("172.30.0.3"));
	ck_assert_uint_eq(net_next_address(&s, number("172.30.0.253")), number("172.30.0.254"));
	ck_assert_uint_eq(net_next_address(&s, number("172.30.0.254")), number("172.30.0.2"));
	ck_assert_uint_eq(net_next_address(&s, number("10.0.0.9")), number("172.30.0.2"));
}
END_TEST

START_TEST(the_smallest_subnet_has_room_for_one_guest)
{
	struct net_subnet s;
	ck_assert(net_subnet_parse("10.0.0.4/30", &s));
	ck_assert_uint_eq(net_address_count(&s), 1);
	ck_assert_uint_eq(net_next_address(&s, 0), number("10.0.0.6"));
	ck_assert_uint_eq(net_next_address(&s, number("10.0.0.6")), number("10.0.0.6"));
}
END_TEST

START_TEST(a_hardware_address_is_local_and_comes_from_the_address)
{
	uint8_t mac[NET_MAC];
	net_mac(number("172.30.1.2"), mac);
	ck_assert_mem_eq(mac, ((uint8_t[]){ 0x02, 0xfc, 0x00, 30, 1, 2 }), NET_MAC);
}
END_TEST

START_TEST(a_tap_is_called_after_its_vm)
{
	char name[NET_NAME];
	net_tap_name("89abcdef", 0, name);
	ck_assert_str_eq(name, "nova-89abcd");
	net_tap_name("89abcdef", 999, name);
	ck_assert_str_eq(name, "nova-89abcd-999");
	ck_assert_uint_lt(strlen(name), NET_NAME);
}
END_TEST

START_TEST(a_guest_is_told_its_address_in_two_ways)
{
	struct net_link link = NET_LINK_NONE;
	ck_assert(net_subnet_parse("172.30.0.0/22", &link.subnet));
	link.address = number("172.30.3.9");
	AUTO_FREE char *argument = net_kernel_argument(&link), *members = net_members(&link);
	ck_assert_str_eq(argument, "ip=172.30.3.9::172.30.0.1:255.255.252.0::eth0:off");
	ck_assert_msg(str_starts(members, ",\"address\":\"172.30.3.9/"
					  "22\",\"gateway\":\"172.30.0.1\",\"mac\":\"02:fc:00:1e:"
					  "03:09\",\"nameservers\":\""),
		"%s", members);
}
END_TEST

START_TEST(kinds_of_network_have_names)
{
	enum net_kind kind = NET_NAT;
	ck_assert(net_kind_parse(NULL, &kind) && kind == NET_NONE);
	ck_assert(net_kind_parse("nat", &kind) && kind == NET_NAT);
	ck_assert(net_kind_parse("none", &kind) && kind == NET_NONE);
	ck_assert(!net_kind_parse("", &kind) && !net_kind_parse("bridge", &kind));
	ck_assert_str_eq(net_kind_name(NET_NAT), "nat");
}
END_TEST

START_TEST(name_servers_that_a_guest_can_ask_are_taken)
{
	static const struct {
		const char *text, *servers;
	} cases[] = {
		{ "nameserver 10.0.0.53\nsearch example.org\nnameserver\t192.168.1.1 \n",
			"10.0.0.53 192.168.1.1" },
		{ "nameserver 127.0.0.53\n", "" },
		{ "# nameserver 1.1.1.1\nnameserver fe80::1\nnameserver 127.0.0.1\n nameserver "
		  "9.9.9.9",
			"9.9.9.9" },
		{ "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver "
		  "1.0.0.4\n",
			"1.0.0.1 1.0.0.2 1.0.0.3" },
		{ "nameservers 1.1.1.1\nnameserver 1.1.1.1x\nnameserver\n", "" },
		{ "", "" },
	};
	char servers[NET_SERVERS_MAX];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		net_servers_in(cases[i].text, servers);
		ck_assert_str_eq(servers, cases[i].servers);
	}
}
END_TEST

START_TEST(a_resolver_on_the_loopback_is_replaced_by_those_behind_it)
{
	char *root = test_dir(), servers[NET_SERVERS_MAX];
	AUTO_FREE char *etc = path_join(root, "etc"), *run = path_join(root, "run/systemd/resolve");
	AUTO_FREE char *stub = path_join(etc, "resolv.conf"), *real = path_join(run, "resolv.conf");
	ck_assert_int_eq(fs_mkdirs(etc, 0700) | fs_mkdirs(run, 0700), 0);
	net_servers(root, servers);
	ck_assert_str_eq(servers, "8.8.8.8 8.8.4.4");
	ck_assert_int_eq(fs_write_file(stub, "nameserver 127.0.0.53\n", 22, 0600), 0);
	ck_assert_int_eq(fs_write_file(real, "nameserver 10.9.8.7\n", 20, 0600), 0);
	net_servers(root, servers);
	ck_assert_str_eq(servers, "10.9.8.7");
	test_dir_remove(root);
}
END_TEST

/* --- the kernel's side: root, in a namespace of its own --- */

static char *dir, *run_dir;
static nova_config_t *config;
static struct keeper *keeper;
static struct net *net;
static struct net_link first = NET_LINK_NONE, second = NET_LINK_NONE;

static void open_net(void)
{
	dir = test_dir();
	run_dir = path_join(dir, "run");
	AUTO_FREE char *lock = path_join(run_dir, "lock");
	int lock_fd;
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(fs_mkdirs(run_dir, 0700), 0);
	ck_assert_int_eq(fs_lock(lock, true, &lock_fd), 0);
	ck_ok(nova_config_new(&config, &error));
	ck_ok(keeper_new(run_dir, lock_fd, &keeper, &error));
	net = net_new(keeper, config, NULL, run_dir);
	ck_assert_ptr_nonnull(net);
}

static void close_net(void)
{
	net_detach(&first);
	net_detach(&second);
	net_free(net);
	keeper_free(keeper);
	nova_config_free(config);
	free(run_dir);
	test_dir_remove(dir);
}

static bool runs_with(const char *command)
{
	FILE *out = popen(command, "r");
	char line[256];
	bool found = out && fgets(line, sizeof(line), out);
	if (out)
		pclose(out);
	return found;
}

START_TEST(each_link_has_a_tap_at_the_bridge_and_an_address_until_it_goes)
{
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(net, "44556677", NULL, &second, &error));
	ck_assert_str_eq(first.name, "nova-001122");
	ck_assert_uint_eq(first.address, number("172.30.0.2"));
	ck_assert_uint_eq(second.address, number("172.30.0.3"));
	ck_assert(fs_exists("/proc/sys/net/ipv4/conf/novabr0/forwarding"));
	ck_assert_uint_eq(netns_count_taps(), 2);
	net_detach(&first);
	ck_assert_uint_eq(sys_link_index("nova-001122"), 0);
	ck_ok(net_attach(net, "8899aabb", NULL, &first, &error));
	ck_assert_uint_eq(first.address, number("172.30.0.4"));
}
END_TEST

START_TEST(an_address_comes_round_when_it_is_free)
{
	struct net_link third = NET_LINK_NONE;
	ck_ok(nova_config_set(config, "firecracker.subnet", "10.99.0.0/29", &error));
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	for (uint32_t i = 3; i <= 6; i++) {
		net_detach(&second);
		ck_ok(net_attach(net, "44556677", NULL, &second, &error));
		ck_assert_uint_eq(second.address, number("10.99.0.0") + i);
	}
	ck_ok(net_attach(net, "8899aabb", NULL, &third, &error));
	ck_assert_uint_eq(third.address, number("10.99.0.3")); /* 2 is in use */
	net_detach(&third);
}
END_TEST

START_TEST(names_that_begin_alike_are_told_apart)
{
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(net, "001122ff", NULL, &second, &error));
	ck_assert_str_eq(second.name, "nova-001122-1");
	ck_assert_uint_ne(first.address, second.address);
}
END_TEST

/* Ethernet for local experiments; a TAP's frames have a virtio header of 10 bytes before them. */
#define ETHERTYPE 0x88b5
struct frame {
	uint8_t virtio[10], to[6], from[6], type[2];
	char text[46];
} __attribute__((packed));

static struct frame frame_to(const uint8_t to[6], const char *text)
{
	struct frame f = { .type = { ETHERTYPE >> 8, ETHERTYPE & 255 } };
	memcpy(f.to, to, 6);
	net_mac(first.address, f.from);
	snprintf(f.text, sizeof(f.text), "%s", text);
	return f;
}

static void put_frame(int tap, struct frame frame)
{
	ck_assert_int_eq(sys_write(tap, &frame, sizeof(frame)), sizeof(frame));
}

/* The text of the next frame of ours that the guest of a TAP would get. */
static void next_frame(int tap, char out[64])
{
	struct frame f;
	struct pollfd in = { tap, POLLIN, 0 };
	do {
		ck_assert_msg(sys_poll(&in, 1, 10000) == 1, "no frame came");
		memset(&f, 0, sizeof(f));
		ck_assert_int_ge(sys_read(tap, &f, sizeof(f)), 0);
	} while (f.type[0] != ETHERTYPE >> 8 || f.type[1] != (ETHERTYPE & 255));
	snprintf(out, 64, "%.46s", f.text);
}

static int on_bridge(void)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
		.sll_ifindex = (int)sys_link_index("novabr0"),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETHERTYPE));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

START_TEST(guests_reach_the_host_but_not_each_other)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	uint8_t mac[NET_MAC];
	char got[64];
	struct frame f;
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(net, "44556677", NULL, &second, &error));
	AUTO_FD int host = on_bridge();
	net_mac(second.address, mac);
	put_frame(first.fd, frame_to(mac, "to the other one"));
	put_frame(first.fd, frame_to(all, "to everybody"));
	ck_assert_int_gt(sys_recv(host, f.to, sizeof(f) - 10, 0), 0);
	ck_assert_str_eq(f.text, "to everybody"); /* and by then the other guest would have both */
	f = frame_to(mac, "from the host");
	ck_assert_int_gt(sys_send(host, f.to, sizeof(f) - 10, 0), 0);
	next_frame(second.fd, got);
	ck_assert_str_eq(got, "from the host");
}
END_TEST

/* What the test above would see of two ports that are not isolated. */
START_TEST(without_isolation_the_same_frame_arrives)
{
	uint8_t mac[NET_MAC];
	char got[64];
	if (!fs_exists("/sbin/bridge"))
		return;
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(net, "44556677", NULL, &second, &error));
	net_mac(second.address, mac);
	ck_assert_int_eq(
		system("bridge link set dev nova-001122 isolated off"), 0); // NOLINT: a control
	put_frame(first.fd, frame_to(mac, "to the other one"));
	next_frame(second.fd, got);
	ck_assert_str_eq(got, "to the other one");
}
END_TEST

/* A guest that claims another's hardware address is not heard, and gets nothing of what is the
 * other's. */
START_TEST(a_forged_sender_is_not_heard_and_draws_no_frames_to_itself)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	uint8_t mac[NET_MAC];
	char got[64];
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(net, "44556677", NULL, &second, &error));
	AUTO_FD int host = on_bridge();
	net_mac(second.address, mac);
	struct frame f = frame_to(all, "I am the other one"),
		     answer = frame_to(mac, "for the other one");
	memcpy(f.from, mac, 6);
	put_frame(first.fd, f);
	put_frame(first.fd, frame_to(all, "I am myself"));
	ck_assert_int_gt(sys_recv(host, f.to, sizeof(f) - 10, 0), 0);
	ck_assert_str_eq(f.text, "I am myself");
	ck_assert_int_gt(sys_send(host, answer.to, sizeof(answer) - 10, 0), 0);
	next_frame(second.fd, got);
	ck_assert_str_eq(got, "for the other one");
}
END_TEST

struct arp {
	uint8_t virtio[10], to[6], from[6], type[2], kind[8], sender[6], sender_ip[4], target[6],
		target_ip[4];
} __attribute__((packed));

/* The next frame of a type that the guest of a TAP would get, from its Ethernet header on. False:
 * none comes. */
static bool next_of_type(int tap, uint16_t type, int patience_ms, uint8_t out[64])
{
	uint8_t f[10 + 2048];
	struct pollfd in = { tap, POLLIN, 0 };
	do {
		if (sys_poll(&in, 1, patience_ms) != 1)
			return false;
		ck_assert_int_ge(sys_read(tap, f, sizeof(f)), 10 + 14);
	} while (f[22] != type >> 8 || f[23] != (type & 255));
	memcpy(out, f + 10, 64);
	return true;
}

/* The first guest asks for the host's hardware address, as if an address was its own, until it is
 * answered: so the host has taken note. A bridge sends nothing before the kernel has seen to it
 * that it has a port. */
static void say_by_arp(uint32_t address)
{
	uint8_t answer[64];
	bool answered = false;
	uint32_t mine = htonl(address), hosts = htonl(number("172.30.0.1"));
	struct arp f = { .type = { 8, 6 }, .kind = { 0, 1, 8, 0, 6, 4, 0, 1 } };
	memset(f.to, 255, sizeof(f.to));
	net_mac(first.address, f.from);
	net_mac(first.address, f.sender);
	memcpy(f.sender_ip, &mine, 4);
	memcpy(f.target_ip, &hosts, 4);
	for (int i = 0; !answered && i < 50; i++) {
		ck_assert_int_eq(sys_write(first.fd, &f, sizeof(f)), sizeof(f));
		answered = next_of_type(first.fd, 0x0806, 200, answer) &&
			   !memcmp(answer + 38, f.sender_ip, 4);
	}
	ck_assert(answered);
}

static void comes_to(const struct net_link *guest)
{
	uint8_t mac[NET_MAC], got[64];
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(guest->address),
	};
	AUTO_FD int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	do
		ck_assert_msg(next_of_type(guest->fd, 0x0800, 10000, got), "no packet came");
	while (got[14 + 9] != IPPROTO_UDP);
	net_mac(guest->address, mac);
	ck_assert_mem_eq(got, mac, NET_MAC);
	ck_assert_mem_eq(got + 14 + 16, &to.sin_addr.s_addr, 4);
}

/* Neither one in use, nor one that is given later, to a new guest or to one that continues it. */
START_TEST(a_guest_that_claims_another_address_by_arp_gets_nothing_of_it)
{
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(net, "44556677", NULL, &second, &error));
	say_by_arp(second.address);
	comes_to(&second);
	say_by_arp(second.address + 1);
	struct net_link third = NET_LINK_NONE, again = NET_LINK_NONE;
	ck_ok(net_attach(net, "8899aabb", NULL, &third, &error));
	ck_assert_uint_eq(third.address, second.address + 1);
	comes_to(&third);
	ck_ok(net_hand_over(net, &third, 0, &error)); /* by name, so that there is a second TAP */
	ck_ok(net_attach(net, "8899aabb", &third, &again, &error));
	ck_assert_str_ne(again.name, third.name);
	say_by_arp(again.address);
	comes_to(&again);
	net_detach(&again);
	net_detach(&third);
}
END_TEST

/* In a child of its own: it says its address, and waits to be killed. */
static pid_t holder(int ready, bool hands_over)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	struct net_link link = NET_LINK_NONE;
	char id[9];
	random_hex(id, 8);
	uint32_t address =
		net_attach(net, id, NULL, &link, NULL) == 0 &&
				(!hands_over || net_hand_over(net, &link, 0, NULL) == 0) ?
			link.address :
			0;
	sys_write(ready, &address, sizeof(address));
	for (;;)
		pause();
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(processes_that_choose_at_once_choose_different_addresses_and_kill_9_leaves_none)
{
	enum { MANY = 8 };
	int pipe[2];
	pid_t pids[MANY];
	uint32_t seen = 0;
	/* The keeper must not be started by several at once: the rules are there already. */
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_assert_int_eq(sys_pipe(pipe), 0);
	for (int i = 0; i < MANY; i++)
		pids[i] = holder(pipe[1], false);
	for (int i = 0; i < MANY; i++) {
		uint32_t address;
		ck_assert_int_eq(sys_read(pipe[0], &address, sizeof(address)), sizeof(address));
		ck_assert_uint_gt(address, number("172.30.0.2"));
		ck_assert_uint_le(address, number("172.30.0.2") + MANY);
		seen |= 1u << (address & 31);
	}
	ck_assert_int_eq(__builtin_popcount(seen), MANY);
	ck_assert_uint_eq(netns_count_taps(), MANY + 1);
	for (int i = 0; i < MANY; i++)
		end(pids[i]);
	ck_assert_uint_eq(netns_count_taps(), 1);
}
END_TEST

START_TEST(a_tap_that_stays_without_its_process_is_removed_by_its_record)
{
	int pipe[2];
	uint32_t address;
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_assert_int_eq(sys_pipe(pipe), 0);
	pid_t pid = holder(pipe[1], true);
	ck_assert_int_eq(sys_read(pipe[0], &address, sizeof(address)), sizeof(address));
	ck_assert_uint_eq(address, number("172.30.0.3"));
	end(pid);
	ck_assert_uint_eq(netns_count_taps(), 2);
	net_sweep(run_dir);
	ck_assert_uint_eq(netns_count_taps(), 1);
}
END_TEST

/* Also a second time, as those of a machine that comes in the place of another. */
START_TEST(limits_go_with_the_last_that_has_the_tap)
{
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_limit(net, &first, 1, 1, &error));
	ck_ok(net_limit(net, &first, UINT64_MAX, UINT64_MAX, &error));
	ck_ok(net_attach(net, "44556677", &first, &second, &error));
	ck_ok(net_limit(net, &second, 1, 1, &error));
	ck_assert_uint_eq(netns_count_queues(), 1);
	net_detach(&first);
	ck_assert_uint_eq(netns_count_queues(), 1);
	net_detach(&second);
	ck_assert_uint_eq(netns_count_queues(), 0);
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_limit(net, &first, UINT64_MAX, 0, &error));
	ck_assert_uint_eq(netns_count_queues(), 0);
}
END_TEST

/* By a sweep, or by the keeper. */
START_TEST(what_limits_leave_behind_is_removed_by_its_record)
{
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_limit(net, &first, 1, UINT64_MAX, &error));
	AUTO_FREE char *taps = path_join(run_dir, "taps");
	fd_close(first.fd);
	first.fd = -1;
	ck_assert_uint_eq(netns_count_queues(), 1);
	if (_i)
		net_sweep(run_dir);
	else
		sys_taps_remove(taps);
	ck_assert_uint_eq(netns_count_queues(), 0);
}
END_TEST

START_TEST(the_keeper_removes_what_stays_when_its_host_has_ended)
{
	/* with the keeper, which has run iptables */
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_hand_over(net, &first, 0, &error));
	ck_assert_int_eq(first.fd, -1);
	ck_assert_uint_eq(netns_count_taps(), 1);
	keeper_free(keeper);
	keeper = NULL;
	ck_assert_uint_eq(netns_count_taps(), 0);
}
END_TEST

START_TEST(a_machine_that_takes_anothers_place_keeps_its_address)
{
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(net, "00112233", &first, &second, &error));
	ck_assert_str_eq(second.name, first.name);
	ck_assert_int_ne(second.fd, first.fd);
	net_detach(&first);
	ck_assert_uint_ne(sys_link_index("nova-001122"), 0);
	ck_ok(net_hand_over(net, &second, 0, &error));
	ck_ok(net_attach(net, "00112233", &second, &first, &error)); /* by name: a TAP of its own */
	ck_assert_str_eq(first.name, "nova-001122-1");
	ck_assert_uint_eq(first.address, second.address);
}
END_TEST

START_TEST(a_full_subnet_is_said_to_be_full)
{
	ck_ok(nova_config_set(config, "firecracker.subnet", "10.99.0.0/30", &error));
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_fails_with(NOVA_ELIMIT, "firecracker.subnet",
		net_attach(net, "44556677", NULL, &second, &error));
	ck_assert_uint_eq(netns_count_taps(), 1);
	net_detach(&first);
	ck_ok(net_attach(net, "44556677", NULL, &second, &error));
}
END_TEST

START_TEST(settings_that_cannot_be_are_named)
{
	ck_ok(nova_config_set(config, "firecracker.subnet", "172.30.0.0/33", &error));
	ck_fails_with(NOVA_ECONFIG, "firecracker.subnet",
		net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(nova_config_set(config, "firecracker.subnet", "172.30.0.0/24", &error));
	ck_ok(nova_config_set(config, "firecracker.bridge_name", "a/b", &error));
	ck_fails_with(NOVA_ECONFIG, "firecracker.bridge_name",
		net_attach(net, "00112233", NULL, &first, &error));
}
END_TEST

START_TEST(the_way_out_is_made_once)
{
	if (!runs_with("PATH=$PATH:/usr/sbin:/sbin iptables -V 2>/dev/null"))
		return;
	struct net *other = net_new(keeper, config, NULL, run_dir);
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_ok(net_attach(other, "44556677", NULL, &second, &error));
	net_free(other);
	ck_assert(runs_with("PATH=$PATH:/usr/sbin:/sbin iptables -t nat -S POSTROUTING | grep -- "
			    "'-s 172.30.0.0/24 ! -o novabr0 -j MASQUERADE'"));
	ck_assert(runs_with("PATH=$PATH:/usr/sbin:/sbin iptables -S FORWARD | sed -n 2p | grep -- "
			    "'-i novabr0 -o novabr0 -j DROP'"));
	ck_assert(!runs_with(
		"PATH=$PATH:/usr/sbin:/sbin iptables-save | grep novabr0 | sort | uniq -d"));
	ck_assert(runs_with("grep 1 /proc/sys/net/ipv4/ip_forward"));
}
END_TEST

START_TEST(where_iptables_fails_nft_makes_the_way_out)
{
	if (!runs_with("PATH=$PATH:/usr/sbin:/sbin; command -v nft"))
		return;
	AUTO_FREE char *broken = path_join(dir, "iptables"),
		       *path = str_format("%s:/usr/sbin:/usr/bin:/sbin:/bin", dir);
	ck_assert_int_eq(fs_write_file(broken, "#!/bin/sh\nexit 3\n", 17, 0755), 0);
	ck_assert_int_eq(fs_chmod(dir, 0755) | setenv("PATH", path, 1), 0);
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_assert(runs_with("nft list table ip nova-novabr0 | grep masquerade"));
	ck_assert(runs_with("nft list table ip nova-novabr0 | grep drop"));
}
END_TEST

START_TEST(without_the_rights_it_says_what_to_do)
{
	ck_ok(net_attach(net, "00112233", NULL, &first, &error));
	ck_assert_int_eq(setegid(65534) | seteuid(65534), 0);
	int code = net_attach(net, "44556677", NULL, &second, &error);
	ck_assert_int_eq(seteuid(0) | setegid(0), 0);
	ck_assert_int_eq(code, NOVA_EPERM);
	ck_assert_ptr_nonnull(
		strstr(nova_error_message(error), "run as root, or ask for the network none"));
	nova_error_free(error);
	ck_assert_uint_eq(netns_count_taps(), 1);
}
END_TEST

/* --- together --- */

static Suite *net_suite(void)
{
	Suite *suite = suite_create("net");
	TCase *tc = tcase_create("computed");
	tcase_add_test(tc, a_subnet_is_an_address_and_a_length);
	tcase_add_test(tc, addresses_for_guests_go_round);
	tcase_add_test(tc, the_smallest_subnet_has_room_for_one_guest);
	tcase_add_test(tc, a_hardware_address_is_local_and_comes_from_the_address);
	tcase_add_test(tc, a_tap_is_called_after_its_vm);
	tcase_add_test(tc, a_guest_is_told_its_address_in_two_ways);
	tcase_add_test(tc, kinds_of_network_have_names);
	tcase_add_test(tc, name_servers_that_a_guest_can_ask_are_taken);
	tcase_add_test(tc, a_resolver_on_the_loopback_is_replaced_by_those_behind_it);
	suite_add_tcase(suite, tc);
	if (netns_missing()) {
		netns_add_skip(tc);
		return suite;
	}
	tc = tcase_create("kernel");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, open_net, close_net);
	tcase_add_test(tc, each_link_has_a_tap_at_the_bridge_and_an_address_until_it_goes);
	tcase_add_test(tc, an_address_comes_round_when_it_is_free);
	tcase_add_test(tc, names_that_begin_alike_are_told_apart);
	tcase_add_test(tc, guests_reach_the_host_but_not_each_other);
	tcase_add_test(tc, without_isolation_the_same_frame_arrives);
	tcase_add_test(tc, a_forged_sender_is_not_heard_and_draws_no_frames_to_itself);
	tcase_add_test(tc, a_guest_that_claims_another_address_by_arp_gets_nothing_of_it);
	tcase_add_test(tc,
		processes_that_choose_at_once_choose_different_addresses_and_kill_9_leaves_none);
	tcase_add_test(tc, a_tap_that_stays_without_its_process_is_removed_by_its_record);
	tcase_add_test(tc, limits_go_with_the_last_that_has_the_tap);
	tcase_add_loop_test(tc, what_limits_leave_behind_is_removed_by_its_record, 0, 2);
	tcase_add_test(tc, the_keeper_removes_what_stays_when_its_host_has_ended);
	tcase_add_test(tc, a_machine_that_takes_anothers_place_keeps_its_address);
	tcase_add_test(tc, a_full_subnet_is_said_to_be_full);
	tcase_add_test(tc, settings_that_cannot_be_are_named);
	tcase_add_test(tc, the_way_out_is_made_once);
	tcase_add_test(tc, where_iptables_fails_nft_makes_the_way_out);
	tcase_add_test(tc, without_the_rights_it_says_what_to_do);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(net_suite)
