/* SPDX-License-Identifier: MIT */
/*
 * Until when the snapshots of a home have been counted, by whoever has it open and into whichever
 * store: a file beside the journals, with an identity of the home, as names of hosts and of
 * directories repeat.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "usage/usage.h"

#define RECORD 38u                         /* "ID TIME\n" */
#define MOST   (31ull * 86400u * 1000000u) /* of a time in which nobody looked */

static int read_record(struct usage_storage *s)
{
	struct stat about;
	char text[RECORD + 1] = "";
	int r = sys_fstat(s->fd, &about);
	if (r == 0 && about.st_size == RECORD)
		r = sys_pread_all(s->fd, text, RECORD, 0);
	if (r == 0 && sscanf(text, "%16[0-9a-f] %20" SCNu64, s->id, &s->last_us) != 2)
		r = random_hex(s->id, 16);
	return r;
}

int usage_storage_note(struct usage_storage *s, uint64_t last_us)
{
	char text[RECORD + 1];
	snprintf(text, sizeof(text), "%s %020" PRIu64 "\n", s->id, last_us);
	return sys_pwrite_all(s->fd, text, RECORD, 0);
}

int usage_storage_open(const char *home, struct usage_storage *s, nova_error_t **error)
{
	*s = (struct usage_storage){ .fd = -1 };
	AUTO_FREE char *directory = path_join(home, "usage");
	AUTO_FREE char *path = directory ? path_join(directory, "snapshots") : NULL;
	if (!path)
		return nova_oom(error);
	int r = fs_mkdirs(directory, 0700);
	if (r == 0)
		r = s->fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (r >= 0)
		r = sys_flock(s->fd, true, false);
	if (r == -EWOULDBLOCK)
		return 0;
	if (r == 0)
		r = read_record(s);
	/* who cannot note its identity would have another one each time */
	if (r == 0)
		r = usage_storage_note(s, s->last_us);
	return r < 0 ? nova_fail_os(error, r, "'%s', until when snapshots were counted", path) : 1;
}

void usage_storage_done(struct usage_storage *s)
{
	fd_close(s->fd);
	s->fd = -1;
}

uint64_t usage_storage_from(uint64_t last_us, uint64_t now_us, uint64_t passed_us)
{
	uint64_t most = passed_us < MOST ? passed_us : MOST;
	if (!last_us || now_us < last_us)
		return now_us;
	return now_us - last_us > most ? now_us - most : last_us;
}
