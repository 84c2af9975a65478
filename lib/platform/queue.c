/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous calls: nova/call.h.
 *
 * `lock` guards the queue, its groups and what is said of the calls in it. A call is in one place:
 * waiting in its group, with the thread that performs it, among the finished ones, or with whoever
 * collected it. The descriptor is readable exactly while there are finished ones. What a call has
 * made, or was submitted with, may be VMs, whose end takes time: it is let go of without the lock.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "platform/platform.h"
#include "platform/queue.h"

#define THREADS_DEFAULT 64u
#define THREADS_MOST    4096u
#define CALLS_DEFAULT   10000u
#define CALLS_MOST      10000000u
/* one thread in so many is for groups that have no call under way */
#define RESERVE_PART 8u
#define STACK_SIZE   (1u << 20) /* only what is touched is memory */

enum call_state { CALL_WAITING, CALL_UNDER_WAY, CALL_FINISHED, CALL_COLLECTED };

struct worker {
	struct link link; /* in queue->workers */
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
	struct link workers;
	uint32_t threads, idle; /* started; of those, without a call */
	uint32_t calls;         /* submitted and not collected */
	uint32_t occupied;      /* threads with a call, which may be finished already */
	struct groups groups;   /* of the calls that no thread has begun */
	struct link under_way, done;
	uint32_t done_count;
};

/* --- what came of a call --- */

int yield_vms(struct yield *yield, size_t count)
{
	yield->vms = calloc(count, sizeof(nova_vm_t *));
	return yield->vms ? 0 : nova_oom(&yield->error);
}

static void yield_done(struct yield *yield)
{
	for (size_t i = yield->vms_taken; i < yield->vm_count; i++)
		nova_vm_free(yield->vms[i]);
	free(yield->vms);
	nova_result_free(yield->result);
	nova_error_free(yield->error);
	nova_snapshot_free(yield->snapshot);
	nova_instance_free(yield->instance);
}

/* --- calls --- */

static nova_call_t *call_at(struct link *place)
{
	return CONTAINER_OF(place, nova_call_t, place);
}

static nova_call_t *call_of(struct turn *turn)
{
	return turn ? CONTAINER_OF(turn, nova_call_t, turn) : NULL;
}

/* A collected call may outlive its queue, which is then not to be looked at. */
static int state_of(const nova_call_t *call)
{
	return atomic_load_explicit(&call->state, memory_order_acquire);
}

static void call_ref(nova_call_t *call)
{
	atomic_fetch_add_explicit(&call->references, 1, memory_order_relaxed);
}

/* What it was submitted with. */
static void drop_request(nova_call_t *call)
{
	call->kind->done(call);
	vm_unref(STEAL(call->vm));
}

/* Not with the lock held, unless somebody else has a reference for certain. */
static void call_unref(nova_call_t *call)
{
	if (atomic_fetch_sub_explicit(&call->references, 1, memory_order_acq_rel) != 1)
		return;
	drop_request(call);
	yield_done(&call->yield);
	free(call);
}

/* With the lock held. */
static void finish(nova_call_t *call)
{
	nova_queue_t *q = call->queue;
	atomic_store_explicit(&call->state, CALL_FINISHED, memory_order_release);
	if (call->abandoned) {
		q->calls--;
		call_unref(call); /* its thread, or nova_call_free(), has another one */
		return;
	}
	list_append(&q->done, &call->place);
	if (q->done_count++ == 0)
		sys_event_raise(q->fd);
	pthread_cond_signal(&q->finished);
}

/* With the lock held: a finished call leaves the queue. */
static void leave_finished(nova_call_t *call)
{
	nova_queue_t *q = call->queue;
	link_remove(&call->place);
	q->calls--;
	if (--q->done_count == 0)
		sys_event_clear(q->fd);
}

static void finish_canceled(nova_call_t *call)
{
	call->yield.code = nova_fail(&call->yield.error, NOVA_ECANCELED,
		"the call was cancelled before %s", call->kind->before);
	finish(call);
}

/* --- threads --- */

/* The call whose turn it is, or NULL. With the lock held. */
static nova_call_t *next_call(const nova_queue_t *q)
{
	uint32_t free_threads = q->max_threads - q->occupied;
	return call_of(groups_next(&q->groups, free_threads <= q->max_threads / RESERVE_PART));
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
	list_append(&q->workers, &worker->link);
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
	int r = q->threads < q->max_threads && next_call(q) ? start_thread(q) : 0;
	return q->threads ? 0 : r;
}

/* With the lock held. */
static int cancel(nova_call_t *call)
{
	nova_queue_t *q = call->queue;
	switch (atomic_load_explicit(&call->state, memory_order_relaxed)) {
	case CALL_WAITING:
		groups_leave(&q->groups, &call->turn);
		finish_canceled(call);
		if (!q->closing && next_call(q)) /* those behind it may have waited for it */
			summon(q);
		return 0;
	case CALL_UNDER_WAY:
		nova_interrupt_trigger(call->worker->end);
		if (call->kind->call_off && call->kind->call_off(call)) {
			link_remove(&call->place);
			finish_canceled(call);
		}
		return 0;
	default:
		return NOVA_EBUSY;
	}
}

static nova_call_t *begin_next(nova_queue_t *q, struct worker *worker)
{
	nova_call_t *call = next_call(q);
	if (!call)
		return NULL;
	groups_begin(&q->groups, &call->turn);
	q->occupied++;
	list_append(&q->under_way, &call->place);
	call_ref(call);
	atomic_store_explicit(&call->state, CALL_UNDER_WAY, memory_order_relaxed);
	call->worker = worker;
	if (next_call(q)) /* one signal may have stood for several calls */
		summon(q);
	return call;
}

/* With the lock held: the thread has done with it. What came of it too late is left in `yield`. */
static void end(nova_queue_t *q, nova_call_t *call, struct yield *yield)
{
	interrupt_rearm(call->worker->end);
	q->occupied--;
	groups_end(&q->groups, &call->turn);
	if (atomic_load_explicit(&call->state, memory_order_relaxed) != CALL_UNDER_WAY)
		return;
	link_remove(&call->place);
	call->yield = *yield;
	*yield = (struct yield){ .code = 0 };
	finish(call);
}

/* With the lock held, which it lets go of meanwhile. The call may be finished, collected and freed
 * by others before its thread is done with it. */
static void perform(nova_queue_t *q, nova_call_t *call)
{
	const struct stop stop = { call->worker->end, NULL };
	struct yield yield = { .code = 0 };
	pthread_mutex_unlock(&q->lock);
	yield.code = call->kind->run(call, &stop, &yield);
	pthread_mutex_lock(&q->lock);
	end(q, call, &yield);
	pthread_mutex_unlock(&q->lock);
	yield_done(&yield);
	drop_request(call); /* it may be collected long before it is freed */
	call_unref(call);
	pthread_mutex_lock(&q->lock);
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
	AUTO_FREE nova_queue_t *q = calloc(1, sizeof(*q));
	if (!q || groups_init(&q->groups) < 0)
		return nova_oom(error);
	list_init(&q->workers);
	list_init(&q->under_way);
	list_init(&q->done);
	q->nova = nova;
	q->max_threads = o.threads;
	q->max_calls = o.max_calls;
	q->fd = STEAL_FD(fd);
	cond_init(&q->finished);
	cond_init(&q->work);
	pthread_mutex_init(&q->lock, NULL);
	*ret_queue = STEAL(q);
	return 0;
}

static void cancel_all(nova_queue_t *q)
{
	for (struct turn *turn; (turn = groups_any(&q->groups));)
		cancel(call_of(turn));
	for (struct link *l = q->under_way.next, *next; l != &q->under_way; l = next) {
		next = l->next; /* one that is called off leaves the list */
		cancel(call_at(l));
	}
}

static void join_threads(nova_queue_t *q)
{
	for (struct link *l; (l = list_pop(&q->workers));) {
		struct worker *worker = CONTAINER_OF(l, struct worker, link);
		pthread_join(worker->thread, NULL);
		free_worker(worker);
	}
}

/* With the lock held. */
static bool is_worker(const nova_queue_t *q, pthread_t thread)
{
	for (const struct link *l = q->workers.next; l != &q->workers; l = l->next)
		if (pthread_equal(CONTAINER_OF(l, struct worker, link)->thread, thread))
			return true;
	return false;
}

void nova_queue_free(nova_queue_t *q)
{
	if (!q || host_check_process(q->nova->host, NULL) < 0)
		return;
	pthread_mutex_lock(&q->lock);
	if (is_worker(q, pthread_self())) { /* which cannot wait for itself */
		pthread_mutex_unlock(&q->lock);
		return;
	}
	q->closing = true;
	cancel_all(q);
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	join_threads(q);
	for (struct link *l; (l = list_pop(&q->done));)
		call_unref(call_at(l));
	groups_done(&q->groups);
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
	const uint64_t counts[] = { q->groups.waiting, q->occupied, q->done_count, q->threads };
	pthread_mutex_unlock(&q->lock);
	return counts[counter];
}

/* --- submit and collect --- */

void *call_new(nova_queue_t *queue, const struct call_kind *kind, size_t size)
{
	nova_call_t *call = calloc(1, size);
	if (!call)
		return NULL;
	call->kind = kind;
	call->queue = queue;
	call->request_id = "";
	call->turn.alone = kind->alone;
	atomic_init(&call->references, 1);
	atomic_init(&call->state, CALL_WAITING);
	return call;
}

nova_t *queue_platform(const nova_queue_t *queue)
{
	return queue->nova;
}

/* With the lock held. */
static int check_room(const nova_queue_t *q, nova_error_t **error)
{
	if (q->calls < q->max_calls)
		return 0;
	return nova_fail(error, NOVA_ELIMIT,
		"%u calls are submitted and not collected, and no more are allowed "
		"(nova_queue_opts.max_calls): collect some first",
		q->calls);
}

int queue_check_room(nova_queue_t *q, nova_error_t **error)
{
	int code = host_check_process(q->nova->host, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&q->lock);
	code = check_room(q, error);
	pthread_mutex_unlock(&q->lock);
	return code;
}

/* With the lock held. */
static int enqueue(nova_queue_t *q, nova_call_t *call, const char *group, nova_error_t **error)
{
	int code = check_room(q, error);
	if (code < 0)
		return code;
	if (groups_add(&q->groups, &call->turn, group, call->vm) < 0)
		return nova_oom(error);
	int r = summon(q);
	if (r) {
		groups_leave(&q->groups, &call->turn);
		return nova_fail_os(error, r, "a thread for asynchronous calls");
	}
	q->calls++;
	call->accepted = true;
	return 0;
}

int call_submit(nova_call_t *call, int code, const char *group, nova_call_t **ret_call,
	nova_error_t **error)
{
	char of_vm[32];
	nova_queue_t *q = call->queue;
	snprintf(of_vm, sizeof(of_vm), "vm %p", (void *)call->vm);
	if (code == 0)
		code = host_check_process(q->nova->host, error);
	if (code == 0) {
		pthread_mutex_lock(&q->lock);
		code = enqueue(q, call, call->vm ? of_vm : group, error);
		if (code == 0 && ret_call)
			*ret_call = call; /* before another thread can collect it */
		pthread_mutex_unlock(&q->lock);
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
	while (!queue->done_count && timeout_ms && !stop_asked(&stop) &&
		wait_for_finished(queue, deadline, &stop))
		;
	struct link *first = list_first(&queue->done);
	nova_call_t *call = first ? call_at(first) : NULL;
	code = call ? 0 : stop_check(&stop, "a call was finished", error);
	if (call) {
		leave_finished(call);
		atomic_store_explicit(&call->state, CALL_COLLECTED, memory_order_release);
	}
	pthread_mutex_unlock(&queue->lock);
	if (call && !call->worker)
		/* No thread ever had it, and its platform may be gone when it is freed. */
		drop_request(call);
	if (code == 0)
		*ret_call = call;
	return code;
}

/* --- one call --- */

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
	return is_finished(call) ? call->yield.code : NOVA_EBUSY;
}

nova_result_t *nova_call_take_result(nova_call_t *call)
{
	return is_finished(call) ? STEAL(call->yield.result) : NULL;
}

nova_error_t *nova_call_take_error(nova_call_t *call)
{
	return is_finished(call) ? STEAL(call->yield.error) : NULL;
}

nova_vm_t *nova_call_take_vm(nova_call_t *call)
{
	bool more = is_finished(call) && call->yield.vms_taken < call->yield.vm_count;
	return more ? call->yield.vms[call->yield.vms_taken++] : NULL;
}

nova_snapshot_t *nova_call_take_snapshot(nova_call_t *call)
{
	return is_finished(call) ? STEAL(call->yield.snapshot) : NULL;
}

nova_instance_t *nova_call_take_instance(nova_call_t *call)
{
	return is_finished(call) ? STEAL(call->yield.instance) : NULL;
}

void *nova_call_userdata(const nova_call_t *call)
{
	return call ? call->userdata : NULL;
}

const char *nova_call_request_id(const nova_call_t *call)
{
	return call ? call->request_id : "";
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
	call_ref(call); /* it goes without the lock */
	pthread_mutex_lock(&q->lock);
	abandon(call);
	pthread_mutex_unlock(&q->lock);
	call_unref(call);
}
