/* SPDX-License-Identifier: MIT */
/*
 * The way out, by one program of this host: iptables where it is, because the hosts that drop what
 * is forwarded (those with a container engine) do that in its chains, and what they drop no other
 * table can let through; else, or where that fails, nft.
 */
#include <errno.h>
#include <fcntl.h>

#include "net/net.h"

#define FORWARDING "/proc/sys/net/ipv4/ip_forward"
#define WORDS      16
#define PATIENCE   20000u /* ms; the program waits for others that change rules */

/* --- running it --- */

/* Whether it did not succeed, or a negative code. */
static int run(struct keeper *keeper, const char *const *argv, struct program_answer *ret,
	nova_error_t **error)
{
	int code = keeper_run(keeper, argv, PATIENCE, ret, error);
	if (code == 0 && !ret->ended)
		return nova_fail(error, NOVA_ETIMEDOUT, "'%s' does not end", argv[0]);
	return code < 0 ? code : ret->status != 0;
}

static int run_well(struct keeper *keeper, const char *const *argv, nova_error_t **error)
{
	struct program_answer answer;
	int code = run(keeper, argv, &answer, error);
	return code > 0 ? nova_fail(error, NOVA_EIO,
				  "'%s' cannot make the way out of the guests' network: %s",
				  argv[0], answer.line) :
			  code;
}

/* --- iptables --- */

struct rule {
	const char *table, *how, *chain;
	const char *words[WORDS]; /* "BRIDGE" and "SUBNET" stand for those */
};

/* The last one comes first in its chain: what goes from guest to guest by way of this host ends
 * there, as the bridge lets none through either. */
static const struct rule rules[] = {
	{ "nat", "-A", "POSTROUTING", { "-s", "SUBNET", "!", "-o", "BRIDGE", "-j", "MASQUERADE" } },
	{ "filter", "-I", "FORWARD", { "-i", "BRIDGE", "-j", "ACCEPT" } },
	{ "filter", "-I", "FORWARD",
		{ "-o", "BRIDGE", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j",
			"ACCEPT" } },
	{ "filter", "-I", "FORWARD", { "-i", "BRIDGE", "-o", "BRIDGE", "-j", "DROP" } },
};

static void fill(const char *argv[], const char *program, const struct rule *rule, const char *how,
	const char *bridge, const char *subnet)
{
	const char *const begin[] = { program, "-w", "-t", rule->table, how, rule->chain };
	size_t count = 0;
	for (; count < ARRAY_LEN(begin); count++)
		argv[count] = begin[count];
	for (size_t i = 0; i < WORDS && rule->words[i]; i++)
		argv[count++] = !strcmp(rule->words[i], "BRIDGE") ? bridge :
				!strcmp(rule->words[i], "SUBNET") ? subnet :
								    rule->words[i];
	argv[count] = NULL;
}

static int add_rule(struct keeper *keeper, const char *program, const struct rule *rule,
	const char *bridge, const char *subnet, nova_error_t **error)
{
	const char *argv[WORDS + 8];
	struct program_answer answer;
	fill(argv, program, rule, "-C", bridge, subnet);
	int code = run(keeper, argv, &answer, error);
	if (code <= 0)
		return code;
	fill(argv, program, rule, rule->how, bridge, subnet);
	return run_well(keeper, argv, error);
}

static int by_iptables(struct keeper *keeper, const char *program, const char *bridge,
	const char *subnet, nova_error_t **error)
{
	int code = 0;
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(rules); i++)
		code = add_rule(keeper, program, &rules[i], bridge, subnet, error);
	return code;
}

/* --- nft --- */

/* A table of our own, emptied and filled in one step. */
static int by_nft(struct keeper *keeper, const char *program, const char *bridge,
	const char *subnet, nova_error_t **error)
{
	AUTO_FREE char *script = str_format(
		"add table ip nova-%s; flush table ip nova-%s; add chain ip nova-%s out { type nat "
		"hook postrouting priority 100; policy accept; }; add rule ip nova-%s out ip saddr "
		"%s oifname != \"%s\" masquerade; add chain ip nova-%s across { type filter hook "
		"forward priority 0; policy accept; }; add rule ip nova-%s across iifname \"%s\" "
		"oifname \"%s\" drop",
		bridge, bridge, bridge, bridge, subnet, bridge, bridge, bridge, bridge, bridge);
	const char *const argv[] = { program, script, NULL };
	return script ? run_well(keeper, argv, error) : nova_oom(error);
}

/* --- the door --- */

static int forward(nova_error_t **error)
{
	AUTO_BUF struct buf now = BUF_INIT(16);
	if (fs_read_file(FORWARDING, &now) == 0 && now.len && now.data[0] == '1')
		return 0;
	AUTO_FD int fd = sys_open(FORWARDING, O_WRONLY, 0);
	int r = fd < 0 ? fd : sys_write_all(fd, "1", 1);
	return r < 0 ? nova_fail_os(error, r,
			       "this host cannot be told to forward what guests send (" FORWARDING
			       ")") :
		       0;
}

/* As root, whose PATH may lack what only root needs. */
static int find(const char *name, bool environment, char **ret_path)
{
	static const char *const places[] = { "/usr/sbin", "/sbin", "/usr/bin" };
	int r = path_search(name, environment, ret_path);
	for (size_t i = 0; r == -ENOENT && i < ARRAY_LEN(places); i++) {
		AUTO_FREE char *candidate = path_join(places[i], name);
		int there = candidate ? fs_exists(candidate) : -ENOMEM;
		if (there > 0)
			*ret_path = STEAL(candidate);
		if (there)
			r = there < 0 ? there : 0;
	}
	return r;
}

int nat_make(struct keeper *keeper, bool environment, const char *bridge,
	const struct net_subnet *subnet, nova_error_t **error)
{
	char address[NET_TEXT];
	net_address_text(subnet->address, address);
	AUTO_FREE char *range = str_format("%s/%u", address, subnet->prefix), *iptables = NULL,
		       *nft = NULL;
	int r = range ? find("iptables", environment, &iptables) : -ENOMEM;
	if (r == 0 || r == -ENOENT)
		r = find("nft", environment, &nft);
	if (r < 0 && r != -ENOENT)
		return nova_fail_os(error, r, "looking for iptables and nft");
	if (!iptables && !nft)
		return nova_fail(error, NOVA_ENOTFOUND,
			"guests with a network need iptables or nft on this host: apt-get install "
			"iptables");
	int code = forward(error);
	if (code < 0)
		return code;
	if (iptables) /* which may be one that this kernel has no tables for */
		code = by_iptables(keeper, iptables, bridge, range, nft ? NULL : error);
	return nft && (!iptables || code < 0) ? by_nft(keeper, nft, bridge, range, error) : code;
}
