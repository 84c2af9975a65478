/* SPDX-License-Identifier: MIT */
/*
 * The line that is updated while a person waits. A thread of the tool's own draws it, since the
 * thread that asked is inside the library until the answer comes.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "novactl.h"

#define FIRST_MS 250 /* an answer that comes sooner needs no explanation */
#define STEP_MS  100

static struct {
	pthread_t thread;
	pthread_mutex_t lock; /* protects the rest */
	pthread_cond_t wake;
	char what[120];
	int64_t since_ms;
	size_t drawn; /* columns of the line on the terminal */
	bool running;
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static void erase(void)
{
	if (progress.drawn)
		fprintf(stderr, "\r%*s\r", (int)progress.drawn, "");
	progress.drawn = 0;
}

static void draw(void)
{
	double seconds = (double)(now_ms() - progress.since_ms) / 1000;
	int columns = fprintf(stderr, "\r%s... %.1f s ", progress.what, seconds);
	progress.drawn = columns > 1 ? (size_t)columns : 0;
	fflush(stderr);
}

static void wait_ms(int ms)
{
	int64_t until = now_ms() + ms;
	struct timespec time = { (time_t)(until / 1000), (long)(until % 1000) * 1000000 };
	pthread_cond_clockwait(&progress.wake, &progress.lock, CLOCK_MONOTONIC, &time);
}

static void *draw_until_stopped(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&progress.lock);
	wait_ms(FIRST_MS);
	while (progress.running) {
		if (now_ms() - progress.since_ms >= FIRST_MS)
			draw();
		wait_ms(STEP_MS);
	}
	pthread_mutex_unlock(&progress.lock);
	return NULL;
}

void progress_start(const char *what)
{
	const char *term = getenv("TERM");
	if (globals.quiet || !isatty(STDERR_FILENO) || !term || !strcmp(term, "dumb"))
		return;
	snprintf(progress.what, sizeof(progress.what), "%s", what);
	progress.since_ms = now_ms();
	progress.running = true;
	if (pthread_create(&progress.thread, NULL, draw_until_stopped, NULL) != 0)
		progress.running = false;
}

void progress_say(const char *what)
{
	pthread_mutex_lock(&progress.lock);
	if (progress.running && strcmp(progress.what, what) != 0) {
		erase();
		snprintf(progress.what, sizeof(progress.what), "%s", what);
	}
	pthread_mutex_unlock(&progress.lock);
}

void progress_told(void *unused, const char *what)
{
	(void)unused;
	progress_say(what);
}

bool progress_is_shown(void)
{
	return progress.running;
}

void progress_stop(void)
{
	pthread_mutex_lock(&progress.lock);
	bool was_running = progress.running;
	progress.running = false;
	erase();
	pthread_cond_signal(&progress.wake);
	pthread_mutex_unlock(&progress.lock);
	if (was_running)
		pthread_join(progress.thread, NULL);
}

void progress_hide(void)
{
	pthread_mutex_lock(&progress.lock);
	erase();
}

void progress_unhide(void)
{
	fflush(stderr);
	pthread_mutex_unlock(&progress.lock);
}
