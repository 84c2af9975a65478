/* SPDX-License-Identifier: MIT */
#include "net/net.h"

/* what container engines take, too, where a host names no server that can be reached from elsewhere
 */
#define PUBLIC "8.8.8.8 8.8.4.4"

static void add_server(const char *word, size_t len, char out[NET_SERVERS_MAX])
{
	char text[NET_TEXT];
	uint32_t address;
	size_t used = strlen(out);
	if (len >= sizeof(text))
		return;
	memcpy(text, word, len);
	text[len] = 0;
	if (net_address_parse(text, &address) && address >> 24 != 127 && address)
		snprintf(out + used, NET_SERVERS_MAX - used, "%s%s", used ? " " : "", text);
}

void net_servers_in(const char *text, char out[NET_SERVERS_MAX])
{
	unsigned found = 0;
	*out = 0;
	for (const char *line = text; line && *line && found < NET_SERVERS;
		line = strchr(line, '\n'), line += line != NULL) {
		const char *word = line + strspn(line, " \t");
		if (!str_starts(word, "nameserver") || !strspn(word + strlen("nameserver"), " \t"))
			continue;
		size_t before = strlen(out);
		word += strlen("nameserver");
		word += strspn(word, " \t");
		add_server(word, strcspn(word, " \t\r\n"), out);
		found += strlen(out) > before;
	}
}

/* The resolver of systemd is on the loopback, and has the real ones in a file of its own. */
void net_servers(const char *root, char out[NET_SERVERS_MAX])
{
	static const char *const files[] = { "/etc/resolv.conf",
		"/run/systemd/resolve/resolv.conf" };
	*out = 0;
	for (size_t i = 0; i < ARRAY_LEN(files) && !*out; i++) {
		AUTO_BUF struct buf content = BUF_INIT(64u << 10);
		AUTO_FREE char *path = str_format("%s%s", root, files[i]);
		AUTO_FREE char *text =
			path && fs_read_file(path, &content) == 0 ? buf_steal_str(&content) : NULL;
		if (text)
			net_servers_in(text, out);
	}
	if (!*out)
		snprintf(out, NET_SERVERS_MAX, "%s", PUBLIC);
}
