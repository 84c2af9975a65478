/* SPDX-License-Identifier: MIT */
/* A guest's memory is a file while it boots. From its first fork on the file is what all have in
 * common, and each writes to pages of its own. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "zygote/proc.h"
#include "zygote/process.h"
#include "zygote/raw.h"

#define MAX_MAPPINGS 16

struct mapping {
	uint64_t from, to, offset;
	int protection;
};

struct mappings {
	struct stat file;
	struct reason *reason;
	struct mapping list[MAX_MAPPINGS];
	size_t count;
};

static const char *next_word(const char *at)
{
	while (*at && *at != ' ')
		at++;
	while (*at == ' ')
		at++;
	return at;
}

static bool is_of(const struct stat *file, const char *device)
{
	const char *colon = strchr(device, ':');
	return colon && proc_number(next_word(device), 10) == file->st_ino &&
	       proc_number(device, 16) == major(file->st_dev) &&
	       proc_number(colon + 1, 16) == minor(file->st_dev);
}

/* "from-to perms offset major:minor inode   path" */
static int note_mapping(const char *line, void *context)
{
	struct mappings *all = context;
	const char *to = strchr(line, '-'), *perms = next_word(line), *offset = next_word(perms);
	if (!to || strlen(perms) < 6)
		return refuse(
			all->reason, "/proc/self/maps has a line that is not understood: %s", line);
	if (perms[3] != 's' || !is_of(&all->file, next_word(offset)))
		return 0;
	if (all->count == MAX_MAPPINGS)
		return refuse(all->reason, "the file is mapped too many times");
	all->list[all->count++] = (struct mapping){
		.from = proc_number(line, 16),
		.to = proc_number(to + 1, 16),
		.offset = proc_number(offset, 16),
		.protection =
			(perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0),
	};
	return 0;
}

/* In one step: what is there is never not there. */
static int map_anew(const struct mapping *m, int fd, struct reason *reason)
{
	long r = raw7(SYS_mmap, (long)m->from, (long)(m->to - m->from), m->protection,
		MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, (long)m->offset);
	return r == (long)m->from ?
		       0 :
		       refuse(reason, "memory cannot be mapped anew (errno %d)", (int)-r);
}

int process_unshare(int fd, struct reason *reason)
{
	struct mappings all = { .reason = reason };
	long r = raw(SYS_fstat, fd, (long)&all.file, 0);
	if (r < 0)
		return refuse(reason, "descriptor %d is none (errno %d)", fd, (int)-r);
	r = proc_each_line("/proc/self/maps", note_mapping, &all);
	if (r < -1)
		return refuse(reason, "/proc/self/maps cannot be read");
	if (r == 0 && all.count == 0)
		return refuse(reason, "no shared mapping of descriptor %d was found", fd);
	for (size_t i = 0; r == 0 && i < all.count; i++) {
		r = map_anew(&all.list[i], fd, reason);
		if (r < 0 && i > 0)
			raw_exit(1); /* half of it is in the file: of no use to anybody */
	}
	return (int)r;
}
