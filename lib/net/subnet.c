/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>

#include "net/net.h"

#define LARGEST_PREFIX 30u /* a gateway and one guest */

static const char *const kinds[] = { [NET_NONE] = "none", [NET_NAT] = "nat" };

bool net_kind_parse(const char *text, enum net_kind *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i], text ? text : "none")) {
			*ret = (enum net_kind)i;
			return true;
		}
	return false;
}

const char *net_kind_name(enum net_kind kind)
{
	return kinds[kind];
}

bool net_address_parse(const char *text, uint32_t *ret)
{
	struct in_addr address;
	if (inet_pton(AF_INET, text, &address) != 1)
		return false;
	*ret = ntohl(address.s_addr);
	return true;
}

void net_address_text(uint32_t address, char out[NET_TEXT])
{
	snprintf(out, NET_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
		address >> 8 & 255, address & 255);
}

uint32_t net_mask(const struct net_subnet *subnet)
{
	return ~0u << (32 - subnet->prefix);
}

bool net_subnet_parse(const char *text, struct net_subnet *ret)
{
	char address[NET_TEXT];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0,
	       digits = slash ? strspn(slash + 1, "0123456789") : 0;
	if (!len || len >= sizeof(address) || !digits || digits > 2 || slash[1 + digits])
		return false;
	memcpy(address, text, len);
	address[len] = 0;
	unsigned long prefix = strtoul(slash + 1, NULL, 10);
	if (!net_address_parse(address, &ret->address) || prefix < 1 || prefix > LARGEST_PREFIX)
		return false;
	ret->prefix = (uint8_t)prefix;
	ret->address &= net_mask(ret);
	return true;
}

uint32_t net_gateway(const struct net_subnet *subnet)
{
	return subnet->address + 1;
}

uint32_t net_address_count(const struct net_subnet *subnet)
{
	/* without the gateway, the network itself and the broadcast */
	return ~net_mask(subnet) - 2;
}

uint32_t net_next_address(const struct net_subnet *subnet, uint32_t address)
{
	uint32_t first = net_gateway(subnet) + 1, last = first + net_address_count(subnet) - 1;
	return address >= first && address < last ? address + 1 : first;
}

void net_mac(uint32_t address, uint8_t out[NET_MAC])
{
	const uint8_t mac[NET_MAC] = { 0x02, 0xfc, 0x00, (uint8_t)(address >> 16),
		(uint8_t)(address >> 8), (uint8_t)address };
	memcpy(out, mac, NET_MAC);
}

void net_tap_name(const char *id, unsigned turn, char out[NET_NAME])
{
	if (turn)
		snprintf(out, NET_NAME, "nova-%.6s-%u", id, turn % 1000);
	else
		snprintf(out, NET_NAME, "nova-%.6s", id);
}

void net_queue_name(const char *tap, char out[NET_NAME])
{
	snprintf(out, NET_NAME, "novq%.11s", tap + strlen("nova"));
}
