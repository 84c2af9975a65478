/* SPDX-License-Identifier: MIT */
/*
 * Threads for what may wait. One that has done its task stays for the next, so that not each task
 * costs a new thread; there are as many as there are tasks under way, and some that are idle.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "serve.h"

#define IDLE_MAX 32u

struct worker {
	LIST_ENTRY(worker) all;
	pthread_t thread;
	struct threads *threads;
};

struct threads {
	pthread_mutex_t lock;
	pthread_cond_t work; /* there is some, or all is to end */
	pthread_cond_t gone; /* a thread has ended */
	TAILQ_HEAD(, task) tasks;
	LIST_HEAD(, worker) alive, ended;
	size_t waiting, idle; /* tasks; threads */
	bool closing;
};

struct threads *threads_new(void)
{
	struct threads *threads = need(calloc(1, sizeof(*threads)));
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->work, NULL);
	pthread_cond_init(&threads->gone, NULL);
	TAILQ_INIT(&threads->tasks);
	return threads;
}

/* With the lock held, which it lets go of while there is nothing. NULL: the thread is to end. */
static struct task *next_task(struct threads *threads)
{
	while (TAILQ_EMPTY(&threads->tasks) && !threads->closing && threads->idle < IDLE_MAX) {
		threads->idle++;
		pthread_cond_wait(&threads->work, &threads->lock);
		threads->idle--;
	}
	struct task *task = TAILQ_FIRST(&threads->tasks);
	if (task) {
		TAILQ_REMOVE(&threads->tasks, task, place);
		threads->waiting--;
	}
	return task;
}

static void *live(void *userdata)
{
	struct task *task;
	struct worker *worker = userdata;
	struct threads *threads = worker->threads;
	pthread_mutex_lock(&threads->lock);
	while ((task = next_task(threads)) != NULL) {
		pthread_mutex_unlock(&threads->lock);
		task->run(task->userdata); /* it may be gone then */
		pthread_mutex_lock(&threads->lock);
	}
	LIST_REMOVE(worker, all);
	LIST_INSERT_HEAD(&threads->ended, worker, all);
	pthread_cond_signal(&threads->gone);
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

/* With the lock held, which they have let go of for the last time. */
static void join_ended(struct threads *threads)
{
	for (struct worker *worker; (worker = LIST_FIRST(&threads->ended)) != NULL;) {
		LIST_REMOVE(worker, all);
		pthread_join(worker->thread, NULL);
		free(worker);
	}
}

/* With the lock held. */
static bool start_worker(struct threads *threads)
{
	struct worker *worker = need(calloc(1, sizeof(*worker)));
	worker->threads = threads;
	if (pthread_create(&worker->thread, NULL, live, worker) != 0) {
		free(worker);
		return false;
	}
	LIST_INSERT_HEAD(&threads->alive, worker, all);
	return true;
}

bool threads_run(struct threads *threads, struct task *task)
{
	pthread_mutex_lock(&threads->lock);
	join_ended(threads);
	TAILQ_INSERT_TAIL(&threads->tasks, task, place);
	bool done = ++threads->waiting <= threads->idle || start_worker(threads);
	if (done) {
		pthread_cond_signal(&threads->work);
	} else {
		TAILQ_REMOVE(&threads->tasks, task, place);
		threads->waiting--;
	}
	pthread_mutex_unlock(&threads->lock);
	return done;
}

void threads_free(struct threads *threads)
{
	pthread_mutex_lock(&threads->lock);
	threads->closing = true;
	pthread_cond_broadcast(&threads->work);
	while (!LIST_EMPTY(&threads->alive))
		pthread_cond_wait(&threads->gone, &threads->lock);
	join_ended(threads);
	pthread_mutex_unlock(&threads->lock);
	pthread_mutex_destroy(&threads->lock);
	pthread_cond_destroy(&threads->work);
	pthread_cond_destroy(&threads->gone);
	free(threads);
}
