/* SPDX-License-Identifier: MIT */
/* The processor as guests of KVM see it. */
#include <fcntl.h>

#include "engine/cpu.h"
#include "engine/kvm.h"
#include "hash/hash.h"

/* bytes that hold the first processor; of hundreds the rest would cost */
#define FIRST_OF_ALL 16384

/* What a guest can find out and rely on. Frequency, microcode and numbers of cores may differ. */
static bool counts(const char *line)
{
	static const char *const wanted[] = {
		"vendor_id", "cpu family", "model", "stepping", "flags", /* as far as a tab */
	};
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (str_starts(line, wanted[i]) && strchr("\t:", line[strlen(wanted[i])]))
			return true;
	return false;
}

static int choose_lines(char *text, struct buf *chosen)
{
	char *save = NULL;
	int r = 0;
	for (char *line = strtok_r(text, "\n", &save); r == 0 && line;
		line = strtok_r(NULL, "\n", &save)) {
		if (chosen->len && str_starts(line, "processor"))
			break; /* the others are the same */
		r = counts(line) ? buf_append_str(chosen, line) : 0;
	}
	return r;
}

int cpu_identity(const char *root, char **ret, nova_error_t **error)
{
	char text[FIRST_OF_ALL], sum[SHA256_HEX];
	AUTO_BUF struct buf chosen = BUF_INIT(FIRST_OF_ALL);
	AUTO_FREE char *path = str_format("%s/proc/cpuinfo", root);
	if (!path)
		return nova_oom(error);
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	ssize_t got = fd < 0 ? fd : sys_read(fd, text, sizeof(text) - 1);
	if (got < 0)
		return nova_fail_os(error, (int)got, "the processor cannot be told: '%s'", path);
	text[got] = 0;
	if (choose_lines(text, &chosen) < 0)
		return nova_oom(error);
	/* shows guests less of it */
	if (kvm_is_pvm(root) && buf_append_str(&chosen, "kvm_pvm") < 0)
		return nova_oom(error);
	if (!chosen.len || sha256_hex(chosen.data, chosen.len, sum) < 0)
		return nova_fail(error, NOVA_EIO, "the processor cannot be told from '%s'", path);
	*ret = str_format("%.16s", sum);
	return *ret ? 0 : nova_oom(error);
}
