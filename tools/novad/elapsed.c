/* SPDX-License-Identifier: MIT */
/*
 * Time by a clock that nobody sets. A calendar may be wrong when a host has just started, and be
 * set at any time, so that what it says to have passed may never have been. Within one boot the
 * kernel counts; what it had counted is kept for the next one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "novad.h"

#define FILE_ID "elapsed"

static struct shelf *shelf;
static char boot[40];                                    /* "": it is not known which this is */
static int64_t ahead;                                    /* of the kernel's clock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the last one kept is the latest */

static int64_t since_boot_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void read_boot(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, boot, sizeof(boot) - 1) : 0;
	boot[len > 0 ? len : 0] = 0;
	boot[strcspn(boot, "\n")] = 0;
	if (fd >= 0)
		close(fd);
}

/* Since the last one was kept it has gone on, or it is not known for how long. */
static void go_on_from(const json_t *kept)
{
	json_int_t elapsed = 0, at = 0;
	const char *then = "";
	int64_t now = since_boot_ms();
	bool fits = json_unpack((json_t *)(uintptr_t)kept, "{s:s,s:I,s:I}", "boot", &then, "at_ms",
			    &at, "elapsed_ms", &elapsed) == 0 &&
		    elapsed >= 0;
	bool same_boot = fits && *boot && !strcmp(then, boot) && at <= now;
	ahead = !fits ? -now : same_boot ? elapsed - at : elapsed - now;
}

bool elapsed_open(const char *directory)
{
	shelf = shelf_open(directory, "clock", true);
	json_t *all = shelf ? shelf_read(shelf, NULL) : NULL;
	if (!all)
		return false;
	read_boot();
	go_on_from(json_object_get(all, FILE_ID));
	json_decref(all);
	elapsed_keep();
	return true;
}

int64_t elapsed_ms(void)
{
	return since_boot_ms() + ahead;
}

void elapsed_keep(void)
{
	pthread_mutex_lock(&lock);
	int64_t at = since_boot_ms();
	json_t *kept = need(json_pack("{s:s,s:I,s:I}", "boot", boot, "at_ms", (json_int_t)at,
		"elapsed_ms", (json_int_t)(at + ahead)));
	shelf_put(shelf, FILE_ID, kept);
	json_decref(kept);
	pthread_mutex_unlock(&lock);
}

void elapsed_close(void)
{
	if (shelf)
		elapsed_keep();
	shelf_free(shelf);
	shelf = NULL;
}
