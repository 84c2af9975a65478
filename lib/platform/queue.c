/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous calls: nova/call.h.
 *
 * `lock` guards the queue, its lanes and what is said of the calls in it. A call is in one place:
 * waiting in the lane of its function, with the thread that performs it, among the finished ones,
 * or with whoever collected it. The descriptor is readable exactly while there are finished ones.
 *
 * A lane is one function that has calls waiting or under way. Lanes with calls waiting stand in one
 * of two rings, `fresh` (none under way) and `busy`; who is taken from goes to the end.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include <nova/call.h>

#include "base/table.h"
#include "platform/platform.h"

#define THREADS_DEFAULT 64u
#define THREADS_MOST    4096u
#define CALLS_DEFAULT   10000u
#define CALLS_MOST      10000000u
/* one thread in so many is for functions that have no call under way */
#define RESERVE_PART 8u
#define STACK_SIZE   (1u << 20) /* only what is touched is memory */
#define LANE_BUCKETS 256u

enum call_state { CALL_WAITING, CALL_UNDER_WAY, CALL_FINISHED, CALL_COLLECTED };

struct nova_call {
	/* one for whoever may collect or has collected it, one for the thread that performs it */
	atomic_uint references;
	atomic_int state; /* changed under the queue's lock */
	nova_queue_t *queue;
	struct lane *lane;           /* while it waits or is under way */
	nova_call_t *before, *after; /* in its lane, under way, or among the finished */
	struct invocation invocation;
	struct worker *worker; /* that performs it */
	bool abandoned;        /* freed before it was finished: nobody collects it */
	int code;
	nova_result_t *result;
	nova_error_t *error;
};

struct call_list {
	nova_call_t *first, *last;
	uint32_t count;
};

struct lane {
	struct lane *same_bucket;
	struct lane *before, *after; /* in its ring */
	struct ring *ring;           /* NULL: no call waits */
	struct call_list waiting;
	uint32_t under_way;
	char name[]; /* of the function */
};

struct ring {
	struct lane *first, *last;
};

struct worker {
	struct worker *next;
	pthread_t thread;
	nova_queue_t *queue;
	/* ends the call that it performs; triggered and rearmed with the lock */
	nova_interrupt_t *end;
};

struct nova_queue {
	nova_t *nova;
	uint32_t max_threads, max_calls;
	int fd;

	pthread_mutex_t lock;
	pthread_cond_t work;     /* for threads: a call waits, or the queue closes */
	pthread_cond_t finished; /* for collectors */
	bool closing;
	struct worker *workers;
	uint32_t threads, idle; /* started; of those, without a call */
	uint32_t calls;         /* submitted and not collected */
	/* calls that no thread has begun; threads with a call, which may be finished already */
	uint32_t waiting, occupied;
	struct call_list under_way, done;
	struct ring fresh, busy;
	struct lane *lanes[LANE_BUCKETS];
};

/* --- lists. All with the lock held. --- */

static void list_add(struct call_list *list, nova_call_t *call)
{
	call->before = list->last;
	call->after = NULL;
	*(list->last ? &list->last->after : &list->first) = call;
	list->last = call;
	list->count++;
}

static void list_remove(struct call_list *list, nova_call_t *call)
{
	*(call->before ? &call->before->after : &list->first) = call->after;
	*(call->after ? &call->after->before : &list->last) = call->before;
	call->before = call->after = NULL;
	list->count--;
}

static void ring_leave(struct lane *lane)
{
	struct ring *ring = lane->ring;
	if (!ring)
		return;
	*(lane->before ? &lane->before->after : &ring->first) = lane->after;
	*(lane->after ? &lane->after->before : &ring->last) = lane->before;
	lane->before = lane->after = NULL;
	lane->ring = NULL;
}

/* To the end of the ring where it belongs; nowhere if no call of it waits. */
static void ring_enter(nova_queue_t *q, struct lane *lane)
{
	ring_leave(lane);
	if (!lane->waiting.count)
		return;
	struct ring *ring = lane->under_way ? &q->busy : &q->fresh;
	lane->ring = ring;
	lane->before = ring->last;
	*(ring->last ? &ring->last->after : &ring->first) = lane;
	ring->last = lane;
}

static struct lane **lane_place(nova_queue_t *q, const char *name)
{
	struct lane **place = &q->lanes[hash_text(name) % LANE_BUCKETS];
	while (*place && strcmp((*place)->name, name) != 0)
		place = &(*place)->same_bucket;
	return place;
}

static struct lane *lane_get(nova_queue_t *q, const char *name)
{
	struct lane **place = lane_place(q, name);
	if (!*place) {
		struct lane *lane = calloc(1, sizeof(*lane) + strlen(name) + 1);
		if (!lane)
			return NULL;
		memcpy(lane->name, name, strlen(name) + 1);
		*place = lane;
	}
	return *place;
}

static void lane_put(nova_queue_t *q, struct lane *lane)
{
	if (lane->waiting.count || lane->under_way)
		return;
	struct lane **place = lane_place(q, lane->name);
	*place = lane->same_bucket;
	free(lane);
}

/* --- calls --- */

static void call_unref(nova_call_t *call)
{
	if (atomic_fetch_sub_explicit(&call->references, 1, memory_order_acq_rel) != 1)
		return;
	invocation_done(&call->invocation);
	nova_result_free(call->result);
	nova_error_free(call->error);
	free(call);
}

/* With the lock held. */
static void finish(nova_call_t *call, int code)
{
	nova_queue_t *q = call->queue;
	call->code = code;
	atomic_store_explicit(&call->state, CALL_FINISHED, memory_order_release);
	if (call->abandoned) {
		q->calls--;
		call_unref(call);
		return;
	}
	list_add(&q->done, call);
	if (q->done.count == 1)
		sys_event_raise(q->fd);
	pthread_cond_signal(&q->finished);
}

/* With the lock held: a finished call leaves the queue. */
static void leave_finished(nova_call_t *call)
{
	nova_queue_t *q = call->queue;
	list_remove(&q->done, call);
	q->calls--;
	if (!q->done.count)
		sys_event_clear(q->fd);
}

static void finish_canceled(nova_call_t *call)
{
	finish(call, nova_fail(&call->error, NOVA_ECANCELED,
			     "the call was cancelled before its function ran"));
}

/* With the lock held; a call that nobody has begun. */
static void leave_lane(nova_call_t *call)
{
	struct lane *lane = call->lane;
	list_remove(&lane->waiting, call);
	call->queue->waiting--;
	call->lane = NULL;
	if (!lane->waiting.count)
		ring_leave(lane);
	lane_put(call->queue, lane);
}

/* With the lock held. */
static int cancel(nova_call_t *call)
{
	switch (atomic_load_explicit(&call->state, memory_order_relaxed)) {
	case CALL_WAITING:
		leave_lane(call);
		finish_canceled(call);
		return 0;
	case CALL_UNDER_WAY:
		nova_interrupt_trigger(call->worker->end);
		if (invocation_call_off(&call->invocation)) {
			list_remove(&call->queue->under_way, call);
			finish_canceled(call);
		}
		return 0;
	default:
		return NOVA_EBUSY;
	}
}

/* --- threads --- */

/* The lane whose turn it is, or NULL. With the lock held. */
static struct lane *next_lane(const nova_queue_t *q)
{
	uint32_t free_threads = q->max_threads - q->occupied;
	if (q->fresh.first)
		return q->fresh.first;
	return free_threads > q->max_threads / RESERVE_PART ? q->busy.first : NULL;
}

static void *work(void *argument);

static void free_worker(struct worker *worker)
{
	if (worker)
		nova_interrupt_free(worker->end);
	free(worker);
}

/* 0 or an errno. */
static int new_worker(nova_queue_t *q, struct worker **ret_worker)
{
	AUTO_FREE struct worker *worker = calloc(1, sizeof(*worker));
	AUTO_ERROR nova_error_t *why = NULL;
	if (!worker)
		return ENOMEM;
	worker->queue = q;
	if (nova_interrupt_new(&worker->end, &why) < 0)
		return nova_error_os(why) ? nova_error_os(why) : ENOMEM;
	*ret_worker = STEAL(worker);
	return 0;
}

/* 0 or an errno. With the lock held. */
static int start_thread(nova_queue_t *q)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	struct worker *worker = NULL;
	int r = new_worker(q, &worker);
	if (r == 0)
		r = pthread_attr_init(&attributes);
	if (r) {
		free_worker(worker);
		return r;
	}
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&worker->thread, &attributes, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (r) {
		free_worker(worker);
		return r;
	}
	worker->next = q->workers;
	q->workers = worker;
	q->threads++;
	return 0;
}

/* A call has come to wait: wakes a thread for it, or starts one. It is enough that one thread
 * lives: it comes to that call some time. 0 or an errno. With the lock held. */
static int summon(nova_queue_t *q)
{
	if (q->idle) {
		pthread_cond_signal(&q->work);
		return 0;
	}
	int r = q->threads < q->max_threads && next_lane(q) ? start_thread(q) : 0;
	return q->threads ? 0 : r;
}

static nova_call_t *begin_next(nova_queue_t *q, struct worker *worker)
{
	struct lane *lane = next_lane(q);
	if (!lane)
		return NULL;
	nova_call_t *call = lane->waiting.first;
	list_remove(&lane->waiting, call);
	q->waiting--;
	lane->under_way++;
	ring_enter(q, lane);
	q->occupied++;
	list_add(&q->under_way, call);
	atomic_fetch_add_explicit(&call->references, 1, memory_order_relaxed);
	atomic_store_explicit(&call->state, CALL_UNDER_WAY, memory_order_relaxed);
	call->worker = worker;
	if (next_lane(q)) /* one signal may have stood for several calls */
		summon(q);
	return call;
}

/* With the lock held, which it lets go of meanwhile. The call may be finished, collected and freed
 * by others before its thread is done with it. */
static void perform(nova_queue_t *q, nova_call_t *call)
{
	nova_result_t *result = NULL;
	nova_error_t *error = NULL;
	struct lane *lane = call->lane;
	struct worker *worker = call->worker;
	const struct stop end = { worker->end, NULL };
	call->invocation.stop.outer = &end;
	pthread_mutex_unlock(&q->lock);
	int code = invocation_run(&call->invocation, &result, &error);
	pthread_mutex_lock(&q->lock);
	interrupt_rearm(worker->end);
	q->occupied--;
	if (--lane->under_way == 0)
		ring_enter(q, lane);
	lane_put(q, lane);
	if (atomic_load_explicit(&call->state, memory_order_relaxed) == CALL_UNDER_WAY) {
		list_remove(&q->under_way, call);
		call->result = STEAL(result);
		call->error = STEAL(error);
		finish(call, code);
	}
	nova_result_free(result);
	nova_error_free(error);
	call_unref(call);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	nova_queue_t *q = worker->queue;
	pthread_mutex_lock(&q->lock);
	while (!q->closing) {
		nova_call_t *call = begin_next(q, worker);
		if (call) {
			perform(q, call);
			continue;
		}
		q->idle++;
		pthread_cond_wait(&q->work, &q->lock);
		q->idle--;
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* --- the queue --- */

static int check_opts(nova_queue_opts *o, nova_error_t **error)
{
	o->threads = o->threads ? o->threads : THREADS_DEFAULT;
	o->max_calls = o->max_calls ? o->max_calls : CALLS_DEFAULT;
	if (o->threads > THREADS_MOST)
		return nova_fail(error, NOVA_EINVAL,
			"nova_queue_opts.threads is %u; at most %u are possible", o->threads,
			THREADS_MOST);
	if (o->max_calls > CALLS_MOST)
		return nova_fail(error, NOVA_EINVAL,
			"nova_queue_opts.max_calls is %u; at most %u are possible", o->max_calls,
			CALLS_MOST);
	return 0;
}

int nova_queue_new(
	nova_t *nova, const nova_queue_opts *opts, nova_queue_t **ret_queue, nova_error_t **error)
{
	nova_queue_opts o;
	if (ANY_NULL(error, nova, ret_queue))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_queue_opts", error);
	if (code == 0)
		code = check_opts(&o, error);
	if (code == 0)
		code = host_check_process(nova->host, error);
	if (code < 0)
		return code;
	AUTO_FD int fd = sys_event();
	if (fd < 0)
		return nova_fail_os(error, fd, "a descriptor for finished calls");
	nova_queue_t *q = calloc(1, sizeof(*q));
	if (!q)
		return nova_oom(error);
	q->nova = nova;
	q->max_threads = o.threads;
	q->max_calls = o.max_calls;
	q->fd = STEAL_FD(fd);
	cond_init(&q->finished);
	cond_init(&q->work);
	pthread_mutex_init(&q->lock, NULL);
	*ret_queue = q;
	return 0;
}

static void cancel_all(nova_queue_t *q)
{
	while (q->fresh.first || q->busy.first)
		cancel((q->fresh.first ? q->fresh.first : q->busy.first)->waiting.first);
	for (nova_call_t *call = q->under_way.first, *after; call; call = after) {
		after = call->after; /* one that waits for a VM leaves the list */
		cancel(call);
	}
}

static void join_threads(nova_queue_t *q)
{
	while (q->workers) {
		struct worker *worker = q->workers;
		q->workers = worker->next;
		pthread_join(worker->thread, NULL);
		free_worker(worker);
	}
}

void nova_queue_free(nova_queue_t *q)
{
	if (!q || host_check_process(q->nova->host, NULL) < 0)
		return;
	pthread_mutex_lock(&q->lock);
	q->closing = true;
	cancel_all(q);
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	join_threads(q);
	while (q->done.first) {
		nova_call_t *call = q->done.first;
		list_remove(&q->done, call);
		call_unref(call);
	}
	fd_close(q->fd);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->finished);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int nova_queue_fd(const nova_queue_t *q)
{
	return q ? q->fd : NOVA_EINVAL;
}

uint64_t nova_queue_count(nova_queue_t *q, int counter)
{
	if (!q || counter < NOVA_QUEUE_WAITING || counter > NOVA_QUEUE_THREADS ||
		host_check_process(q->nova->host, NULL) < 0)
		return 0;
	pthread_mutex_lock(&q->lock);
	const uint64_t counts[] = { q->waiting, q->occupied, q->done.count, q->threads };
	pthread_mutex_unlock(&q->lock);
	return counts[counter];
}

/* --- submit and collect --- */

/* Takes the call on success. With the lock held. */
static int enqueue(nova_queue_t *q, nova_call_t *call, nova_error_t **error)
{
	if (q->calls >= q->max_calls)
		return nova_fail(error, NOVA_ELIMIT,
			"%u calls are submitted and not collected, and no more are allowed "
			"(nova_queue_opts.max_calls): collect some first",
			q->calls);
	call->lane = lane_get(q, call->invocation.function->record.name);
	if (!call->lane)
		return nova_oom(error);
	list_add(&call->lane->waiting, call);
	if (!call->lane->ring)
		ring_enter(q, call->lane);
	q->waiting++;
	int r = summon(q);
	if (r) {
		leave_lane(call);
		return nova_fail_os(error, r, "a thread for asynchronous calls");
	}
	q->calls++;
	return 0;
}

static int new_call(nova_queue_t *q, nova_call_t **ret_call, nova_error_t **error)
{
	nova_call_t *call = calloc(1, sizeof(*call));
	if (!call)
		return nova_oom(error);
	atomic_init(&call->references, 1);
	atomic_init(&call->state, CALL_WAITING);
	call->queue = q;
	call->invocation.nova = q->nova;
	*ret_call = call;
	return 0;
}

int nova_queue_submit(nova_queue_t *queue, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_call_t **ret_call, nova_error_t **error)
{
	nova_call_t *call = NULL;
	if (ANY_NULL(error, queue))
		return NOVA_EINVAL;
	int code = new_call(queue, &call, error);
	if (code < 0)
		return code;
	code = invocation_prepare(&call->invocation, function, payload, opts, error);
	if (code == 0) {
		pthread_mutex_lock(&queue->lock);
		code = enqueue(queue, call, error);
		if (code == 0 && ret_call)
			*ret_call = call; /* before another thread can collect it */
		pthread_mutex_unlock(&queue->lock);
	}
	if (code < 0)
		call_unref(call);
	return code;
}

/* False: the deadline has passed. Who may be interrupted waits for the descriptor. */
static bool wait_for_finished(nova_queue_t *q, uint64_t deadline, const struct stop *stop)
{
	if (stop->interrupt) {
		struct pollfd p = { q->fd, POLLIN, 0 };
		pthread_mutex_unlock(&q->lock);
		stop_poll(stop, &p, 1, deadline_poll_ms(deadline));
		pthread_mutex_lock(&q->lock);
	} else {
		cond_wait_until(&q->finished, &q->lock, deadline);
	}
	return !deadline_passed(deadline);
}

int nova_queue_collect(nova_queue_t *queue, uint32_t timeout_ms, const nova_wait_opts *wait,
	nova_call_t **ret_call, nova_error_t **error)
{
	if (ANY_NULL(error, queue, ret_call))
		return NOVA_EINVAL;
	struct stop stop;
	int code = host_check_process(queue->nova->host, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	if (code < 0)
		return code;
	uint64_t deadline = timeout_ms == UINT32_MAX ? NEVER : deadline_in_ms(timeout_ms);
	pthread_mutex_lock(&queue->lock);
	while (!queue->done.first && timeout_ms && !stop_asked(&stop) &&
		wait_for_finished(queue, deadline, &stop))
		;
	nova_call_t *call = queue->done.first;
	code = call ? 0 : stop_check(&stop, "a call was finished", error);
	if (call) {
		leave_finished(call);
		atomic_store_explicit(&call->state, CALL_COLLECTED, memory_order_release);
	}
	pthread_mutex_unlock(&queue->lock);
	if (code == 0)
		*ret_call = call;
	return code;
}

/* --- one call --- */

/* A collected call may outlive its queue, which is then not to be looked at. */
static int state_of(const nova_call_t *call)
{
	return atomic_load_explicit(&call->state, memory_order_acquire);
}

static bool is_finished(const nova_call_t *call)
{
	return call && state_of(call) >= CALL_FINISHED;
}

int nova_call_cancel(nova_call_t *call)
{
	if (!call)
		return NOVA_EINVAL;
	if (is_finished(call))
		return NOVA_EBUSY;
	nova_queue_t *q = call->queue;
	if (host_check_process(q->nova->host, NULL) < 0)
		return NOVA_EBUSY;
	pthread_mutex_lock(&q->lock);
	int code = cancel(call);
	pthread_mutex_unlock(&q->lock);
	return code;
}

int nova_call_is_finished(const nova_call_t *call)
{
	return is_finished(call);
}

int nova_call_code(const nova_call_t *call)
{
	if (!call)
		return NOVA_EINVAL;
	return is_finished(call) ? call->code : NOVA_EBUSY;
}

nova_result_t *nova_call_take_result(nova_call_t *call)
{
	return is_finished(call) ? STEAL(call->result) : NULL;
}

nova_error_t *nova_call_take_error(nova_call_t *call)
{
	return is_finished(call) ? STEAL(call->error) : NULL;
}

void *nova_call_userdata(const nova_call_t *call)
{
	return call ? call->invocation.exec.userdata : NULL;
}

const char *nova_call_request_id(const nova_call_t *call)
{
	return call ? call->invocation.exec.id : "";
}

/* With the lock held: a call that nobody collected is to be gone. */
static void abandon(nova_call_t *call)
{
	if (state_of(call) == CALL_FINISHED) {
		leave_finished(call);
		call_unref(call);
		return;
	}
	call->abandoned = true;
	cancel(call); /* whoever finishes it lets go of it */
}

void nova_call_free(nova_call_t *call)
{
	if (!call)
		return;
	if (state_of(call) == CALL_COLLECTED) {
		call_unref(call);
		return;
	}
	nova_queue_t *q = call->queue;
	if (host_check_process(q->nova->host, NULL) < 0)
		return;
	pthread_mutex_lock(&q->lock);
	abandon(call);
	pthread_mutex_unlock(&q->lock);
}
