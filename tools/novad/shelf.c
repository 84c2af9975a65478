/* SPDX-License-Identifier: MIT */
/*
 * What is to be known after the end of this process, whatever ends it: a directory with a small
 * file of JSON for each thing. A file appears whole or not at all; the end of the machine may lose
 * the last ones, unless the shelf is one that is synced.
 */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "novad.h"

#define NEW      "new.tmp" /* no id has a dot */
#define FACT_MAX (1u << 20)

struct shelf {
	char *path;
	int fd;
	bool synced;
	pthread_mutex_t lock; /* guards the new file */
};

static void complain(const struct shelf *shelf, const char *doing, const char *id)
{
	char text[512];
	snprintf(text, sizeof(text), "cannot %s '%.300s/%.64s': %s", doing, shelf->path, id,
		strerror(errno));
	say(NOVA_LOG_ERROR, text);
}

struct shelf *shelf_open(const char *directory, const char *name, bool synced)
{
	struct shelf *shelf = need(calloc(1, sizeof(*shelf)));
	shelf->synced = synced;
	pthread_mutex_init(&shelf->lock, NULL);
	if (asprintf(&shelf->path, "%s/%s", directory, name) < 0)
		need(NULL);
	mkdir(shelf->path, 0700); /* else the next says what is wrong */
	shelf->fd = open(shelf->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (shelf->fd >= 0)
		return shelf;
	complain(shelf, "open", "");
	shelf_free(shelf);
	return NULL;
}

void shelf_free(struct shelf *shelf)
{
	if (!shelf)
		return;
	if (shelf->fd >= 0)
		close(shelf->fd);
	pthread_mutex_destroy(&shelf->lock);
	free(shelf->path);
	free(shelf);
}

/* --- one --- */

static bool write_file(const struct shelf *shelf, const char *text)
{
	size_t len = strlen(text);
	int fd =
		openat(shelf->fd, NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	ssize_t n = write(fd, text, len);
	if (n >= 0 && (size_t)n < len)
		errno = ENOSPC;
	bool done = n >= 0 && (size_t)n == len && (!shelf->synced || fsync(fd) == 0);
	int why = errno;
	close(fd);
	errno = why;
	return done;
}

/* Under its name. */
static bool publish(const struct shelf *shelf, const char *id)
{
	return renameat(shelf->fd, NEW, shelf->fd, id) == 0 &&
	       (!shelf->synced || fsync(shelf->fd) == 0);
}

int shelf_put(struct shelf *shelf, const char *id, const json_t *facts)
{
	char *text = need(json_dumps(facts, JSON_COMPACT));
	pthread_mutex_lock(&shelf->lock);
	errno = 0;
	bool done = write_file(shelf, text) && publish(shelf, id);
	int why = done ? 0 : errno ? errno : EIO;
	if (!done)
		complain(shelf, "write", id);
	pthread_mutex_unlock(&shelf->lock);
	free(text);
	return why;
}

void shelf_drop(struct shelf *shelf, const char *id)
{
	if (unlinkat(shelf->fd, id, 0) != 0 && errno != ENOENT)
		complain(shelf, "remove", id);
}

/* --- all --- */

/* False: it could not be read. What is no object becomes NULL. */
static bool read_one(const struct shelf *shelf, const char *id, json_t **ret_facts)
{
	struct stat status;
	char *text = need(malloc(FACT_MAX));
	int fd = openat(shelf->fd, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len = fd >= 0 && fstat(fd, &status) == 0 ? read(fd, text, FACT_MAX) : -1;
	*ret_facts = len > 0 && len == status.st_size ?
			     json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, NULL) :
			     NULL;
	if (len >= 0)
		errno = EBADMSG;
	if (!json_is_object(*ret_facts)) {
		complain(shelf, "read", id);
		json_decref(*ret_facts);
		*ret_facts = NULL;
	}
	if (fd >= 0)
		close(fd);
	free(text);
	return len >= 0;
}

json_t *shelf_read(const struct shelf *shelf, json_t *others)
{
	json_t *all = need(json_object()), *facts;
	const struct dirent *entry;
	DIR *directory = opendir(shelf->path);
	while (directory && (errno = 0, entry = readdir(directory)) != NULL) {
		if (strchr(entry->d_name, '.'))
			continue;
		bool is_read = read_one(shelf, entry->d_name, &facts);
		if (facts)
			json_object_set_new(all, entry->d_name, facts);
		else if (others)
			json_object_set_new(others, entry->d_name, json_boolean(is_read));
	}
	if (!directory || errno) {
		complain(shelf, "read", "");
		json_decref(all);
		all = NULL;
	}
	if (directory)
		closedir(directory);
	return all;
}
