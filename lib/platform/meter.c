/* SPDX-License-Identifier: MIT */
/*
 * The meter: what calls, instances and snapshots use goes into the journal of this context, and
 * from there, now and then, into the store of usage.
 */
#include <errno.h>

#include "platform/holding.h"
#include "platform/meter.h"

#define TICK_MS      1000u
#define FOLD_MS      5000u
#define LOOK_MS      (FOLD_MS + 2 * TICK_MS)
#define RETRY_MS     5000u
#define SNAPSHOTS_US 60000000u
#define RETIRE_BYTES (1u << 20)
#define TRIM_MS      3600000u
#define FORGOTTEN_H  48u

struct meter {
	nova_t *nova;
	bool (*measure)(nova_t *); /* what goes on and takes time; false: there is nothing */
	bool on, limited;
	uint64_t keep_hours; /* 0: for ever */
	struct usage_journal journal;
	char plan[USAGE_WORD];
	struct holders holders;
	atomic_bool failing;          /* which has been said */
	atomic_bool has_looked;       /* at the MCUs of the plan, */
	atomic_bool used_up;          /* of which there are none any more, */
	atomic_uint_fast64_t look_at; /* and when it is to look again, if no tick does */
	atomic_uint_fast64_t due;     /* the next tick */
	pthread_mutex_t folding;      /* guards those below */
	struct store *store;          /* NULL: not open */
	bool own;                     /* the store is the meter's alone */
	uint64_t fold_at, trim_at;
	bool has_rates;
	struct usage_rates rates;
	/* until when it has counted snapshots, by the calendar and by the clock; 0: not yet */
	uint64_t counted_us, counted_ns;
};

struct meter *meter_new(nova_t *nova, bool (*measure)(nova_t *))
{
	AUTO_FREE struct meter *m = calloc(1, sizeof(*m));
	if (!m || holders_init(&m->holders) < 0)
		return NULL;
	m->nova = nova;
	m->measure = measure;
	m->due = NEVER;
	m->journal.fd = -1;
	pthread_mutex_init(&m->folding, NULL);
	return STEAL(m);
}

/* --- prices; with `folding` --- */

static int open_rates(struct meter *m, nova_error_t **error)
{
	const char *path = config_str(host_config(m->nova->host), "usage.rates");
	int code = m->has_rates ? 0 : usage_rates_open(path, &m->rates, error);
	m->has_rates = code == 0;
	return code;
}

static int check_plan(struct meter *m, nova_error_t **error)
{
	int code = open_rates(m, error);
	if (code < 0 || !*m->plan || usage_plan_find(&m->rates, m->plan))
		return code;
	return nova_fail(error, NOVA_ECONFIG,
		"the setting usage.plan is '%s', and the prices have no such plan", m->plan);
}

int meter_rates(struct meter *m, const struct usage_rates **ret_rates,
	const struct usage_plan **ret_plan, nova_error_t **error)
{
	pthread_mutex_lock(&m->folding);
	int code = open_rates(m, error);
	pthread_mutex_unlock(&m->folding);
	*ret_rates = &m->rates;
	*ret_plan = code == 0 && *m->plan ? usage_plan_find(&m->rates, m->plan) : NULL;
	return code;
}

int meter_configure(struct meter *m, const nova_config_t *config, nova_error_t **error)
{
	m->on = !strcmp(config_str(config, "usage.record"), "on");
	m->limited = !strcmp(config_str(config, "usage.limit"), "on");
	m->keep_hours = (config_ms(config, "usage.retention") + 3599999u) / 3600000u;
	snprintf(m->plan, sizeof(m->plan), "%s", config_str(config, "usage.plan"));
	bool shared = !m->nova->registry.store->ops->usage_store;
	int code = usage_journal_init(&m->journal, nova_host_home(m->nova->host), shared, error);
	if (code == 0 && (*config_str(config, "usage.rates") || *m->plan))
		code = check_plan(m, error);
	if (code == 0 && m->limited && (!*m->plan || !m->on))
		code = nova_fail(error, NOVA_ECONFIG,
			"the setting usage.limit needs usage.plan and usage.record");
	return code;
}

/* --- the store; with `folding` --- */

static int open_store(struct meter *m, nova_error_t **error)
{
	struct store *shared = m->nova->registry.store;
	const struct store_ops *own = shared->ops->usage_store;
	if (m->store)
		return 0;
	m->own = own != NULL;
	if (own)
		return own->open(host_config(m->nova->host), &m->store, error);
	m->store = shared;
	return 0;
}

static void close_store(struct meter *m)
{
	if (m->own && m->store)
		m->store->ops->close(m->store);
	m->store = NULL;
}

/* It is opened anew: its file may have been put in order, or moved away. */
static void close_if_broken(struct meter *m, int code)
{
	if (code == NOVA_EIO || code == NOVA_ECORRUPT)
		close_store(m);
}

/* Too few descriptors say nothing of a file. */
static bool is_shortage(const nova_error_t *failure)
{
	int os = nova_error_os(failure);
	return os == EMFILE || os == ENFILE;
}

static void note_outcome(struct meter *m, int code, const nova_error_t *failure)
{
	const struct logger *to = host_log(m->nova->host);
	bool failed = atomic_exchange(&m->failing, code < 0);
	if (code < 0 && !failed)
		log_error(to, "usage", "what is used waits to be recorded: %s",
			nova_error_message(failure));
	else if (code == 0 && failed)
		log_warn(to, "usage", "usage is recorded again");
}

/* --- snapshots --- */

static int measure_snapshots(
	struct meter *m, uint64_t since_us, uint64_t now_us, uint64_t *ret, nova_error_t **error)
{
	size_t count = 0;
	nova_snapshot_t **all = NULL;
	*ret = 0;
	int code = nova_snapshot_list(m->nova->host, &all, &count, error);
	for (size_t i = 0; i < count; i++) {
		uint64_t created = nova_snapshot_created_us(all[i]);
		uint64_t from = created > since_us ? created : since_us;
		uint64_t ms = now_us > from ? (now_us - from) / 1000u : 0;
		*ret += (nova_snapshot_disk_bytes(all[i]) / 1024u) * ms / 1000u;
	}
	nova_snapshot_list_free(all, count);
	return code;
}

/* What the clock that does not jump says, if this is where it was looked at. */
static uint64_t passed_since(const struct meter *m, uint64_t last_us)
{
	return last_us == m->counted_us ? (clock_ns() - m->counted_ns) / 1000u : UINT64_MAX;
}

/* How far has been counted is in the store, and moves with what comes to it; and in the home, as
 * that may be counted into another store. A clock that went back counts nothing twice. */
static int count_snapshots(struct meter *m, struct usage_storage *home, nova_error_t **error)
{
	uint64_t place = 0, now = clock_unix_us();
	bool done = false;
	const struct usage_ops *ops = m->store->ops->usage;
	AUTO_FREE char *name = str_format("snapshots %s", home->id);
	int code = name ? ops->place(m->store, name, &place, error) : nova_oom(error);
	uint64_t last = place > home->last_us ? place : home->last_us;
	bool is_due = !last || now < last || now - last >= SNAPSHOTS_US;
	if (code < 0 || !is_due)
		return code;
	struct usage_record r = { .hour = now / USAGE_HOUR_US,
		.month = usage_month_of(now),
		.key = (char *)"",
		.function = (char *)"" };
	uint64_t since = usage_storage_from(last, now, passed_since(m, last));
	if (since < now)
		code = measure_snapshots(m, since, now, &r.amounts[USAGE_SNAPSHOT_KB_S], error);
	size_t count = r.amounts[USAGE_SNAPSHOT_KB_S] ? 1 : 0;
	if (code == 0)
		code = ops->fold(m->store, name, place, now, &r, count, &done, error);
	if (code < 0 || !done)
		return code;
	usage_storage_note(home, now); /* if it cannot, it is in this store at least */
	m->counted_us = now;
	m->counted_ns = clock_ns();
	return 0;
}

static int fold_snapshots(struct meter *m, nova_error_t **error)
{
	CLEANUP(usage_storage_done) struct usage_storage home;
	int code = usage_storage_open(nova_host_home(m->nova->host), &home, error);
	return code > 0 ? count_snapshots(m, &home, error) : code;
}

/* --- folding; with `folding` --- */

static int look_at_limit(struct meter *m, nova_error_t **error)
{
	struct usage_record *found = NULL;
	size_t count = 0;
	uint64_t micro = 0, month = usage_month_of(clock_unix_us());
	const struct usage_plan *plan = usage_plan_find(&m->rates, m->plan);
	const struct usage_filter filter = {
		.since_hour = usage_month_begin_us(month) / USAGE_HOUR_US,
		.until_hour = usage_month_begin_us(month + 1) / USAGE_HOUR_US,
		.period = USAGE_BY_DAY,
		.most = USAGE_OF_MONTH,
	};
	int code = m->store->ops->usage->list(m->store, &filter, &found, &count, error);
	bool fits = code == 0 && usage_mcu_of(found, count, &micro);
	usage_record_list_free(found, count);
	if (code < 0)
		return code;
	atomic_store(&m->used_up, !fits || micro >= plan->mcu * 1000000u);
	atomic_store(&m->look_at, deadline_in_ms(LOOK_MS));
	atomic_store(&m->has_looked, true);
	return 0;
}

static int trim(struct meter *m, nova_error_t **error)
{
	uint64_t hour = clock_unix_us() / USAGE_HOUR_US;
	uint64_t before = m->keep_hours && hour > m->keep_hours ? hour - m->keep_hours : 0;
	if (!deadline_passed(m->trim_at))
		return 0;
	m->trim_at = deadline_in_ms(TRIM_MS);
	return m->store->ops->usage->trim(
		m->store, before, hour > FORGOTTEN_H ? hour - FORGOTTEN_H : 0, error);
}

static int fold_all(struct meter *m, nova_error_t **error)
{
	uint64_t bad = 0;
	int code = open_store(m, error);
	if (code == 0)
		code = usage_journal_leave(&m->journal, RETIRE_BYTES, error);
	if (code == 0)
		code = usage_fold(m->journal.directory, m->store, &bad, error);
	if (bad)
		log_error(host_log(m->nova->host), "usage",
			"%llu lines of the journals of usage are damaged, and count as nothing",
			(unsigned long long)bad);
	if (code == 0 && m->on)
		code = fold_snapshots(m, error);
	if (code == 0 && m->limited)
		code = look_at_limit(m, error);
	return code == 0 ? trim(m, error) : code;
}

static int fold(struct meter *m, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = fold_all(m, &failure);
	if (!is_shortage(failure))
		close_if_broken(m, code);
	if (error)
		*error = STEAL(failure);
	return code;
}

static int flush_and_fold(struct meter *m, nova_error_t **error)
{
	int code = usage_journal_flush(&m->journal, error);
	int folded = fold(m, code == 0 ? error : NULL);
	return code < 0 ? code : folded;
}

int meter_borrow(struct meter *m, struct store **ret_store, nova_error_t **error)
{
	pthread_mutex_lock(&m->folding);
	int code = flush_and_fold(m, error);
	*ret_store = m->store;
	if (code < 0)
		pthread_mutex_unlock(&m->folding);
	return code;
}

void meter_give_back(struct meter *m, int code)
{
	close_if_broken(m, code);
	pthread_mutex_unlock(&m->folding);
}

/* --- recording --- */

static void want_tick(struct meter *m)
{
	uint64_t due = deadline_in_ms(TICK_MS), never = NEVER;
	if (atomic_compare_exchange_strong(&m->due, &never, due))
		pool_want_tick_at(m->nova->pool, due);
}

static void record(struct meter *m, const struct usage_record *r)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = usage_journal_append(&m->journal, clock_unix_us(), r, &failure);
	if (code < 0 || atomic_load(&m->failing))
		note_outcome(m, code, failure);
	want_tick(m);
}

/* Records lend texts that nobody changes. */
static char *lend(const char *text)
{
	return (char *)(uintptr_t)text;
}

static uint32_t mode_of(const struct invocation *c)
{
	return c->instance                                        ? NOVA_USAGE_PERSISTENT :
	       c->request.snapshot                                ? NOVA_USAGE_BRANCHED :
	       c->checkpoint                                      ? NOVA_USAGE_CHECKPOINTED :
	       c->request.fresh || !c->function->record.code_hash ? NOVA_USAGE_EPHEMERAL :
								    NOVA_USAGE_CACHED;
}

/* An instance's seconds are recorded by themselves. */
void meter_call(const struct invocation *c, const nova_result_t *result)
{
	struct meter *m = c->nova->meter;
	if (!m || !m->on || !c->has_run)
		return;
	const struct function_record *f = &c->function->record;
	uint64_t used = c->instance ? 0 : c->used_us;
	struct usage_record r = {
		.key = lend(c->key),
		.function = lend(f->code_hash ? f->name : ""),
		.mode = mode_of(c),
	};
	r.amounts[USAGE_CALLS] = 1;
	r.amounts[USAGE_VCPU_US] = used * f->config.machine.vcpus;
	r.amounts[USAGE_MEMORY_MB_US] = used * f->config.machine.memory_mb;
	r.amounts[USAGE_INGRESS] = c->input_size;
	if (result)
		r.amounts[USAGE_EGRESS] = result->output.len + result->out.len + result->err.len;
	record(m, &r);
}

void meter_instance(nova_instance_t *i, bool last)
{
	struct meter *m = i->nova->meter;
	uint64_t now = clock_ns() / 1000u, from = atomic_load(&i->metered_us);
	do
		if (!from || from >= now)
			return;
	while (!atomic_compare_exchange_weak(&i->metered_us, &from, last ? UINT64_MAX : now));
	struct usage_record r = {
		.key = i->key,
		.function = lend(i->function->record.name),
		.mode = NOVA_USAGE_PERSISTENT,
	};
	r.amounts[USAGE_VCPU_US] = (now - from) * i->vcpus;
	r.amounts[USAGE_MEMORY_MB_US] = (now - from) * i->memory_mb;
	record(m, &r);
}

void meter_instance_begin(nova_instance_t *i)
{
	if (i->nova->meter->on) {
		atomic_store(&i->metered_us, clock_ns() / 1000u);
		want_tick(i->nova->meter);
	}
}

/* --- when --- */

void meter_tick(struct meter *m)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	uint64_t due = atomic_load(&m->due);
	if (!m->on || due == NEVER)
		return;
	if (!deadline_passed(due) || pthread_mutex_trylock(&m->folding) != 0) {
		/* a tick that comes for others forgets who is waited for */
		pool_want_tick_at(
			m->nova->pool, deadline_passed(due) ? deadline_in_ms(TICK_MS) : due);
		return;
	}
	atomic_store(&m->due, NEVER);
	bool more = m->measure(m->nova);
	int code = usage_journal_flush(&m->journal, &failure);
	bool folds = code == 0 && deadline_passed(m->fold_at);
	if (folds) {
		code = fold(m, &failure);
		m->fold_at = deadline_in_ms(code < 0 ? RETRY_MS : FOLD_MS);
	}
	if (code < 0 || folds)
		note_outcome(m, code, failure);
	if (more || !folds || code < 0)
		want_tick(m);
	pthread_mutex_unlock(&m->folding);
}

static bool is_fresh(struct meter *m)
{
	return atomic_load(&m->has_looked) && !deadline_passed(atomic_load(&m->look_at));
}

/* Where nothing is recorded, as all is refused, no tick looks. What was seen last counts on if this
 * fails, or somebody else looks just now. */
static int look_again(struct meter *m, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = 0;
	if (is_fresh(m))
		return 0;
	bool first = !atomic_load(&m->has_looked);
	if (first)
		pthread_mutex_lock(&m->folding);
	else if (pthread_mutex_trylock(&m->folding) != 0)
		return 0;
	if (!is_fresh(m)) {
		code = flush_and_fold(m, &failure);
		atomic_store(&m->look_at, deadline_in_ms(LOOK_MS));
		note_outcome(m, code, failure);
	}
	pthread_mutex_unlock(&m->folding);
	if (first && code < 0 && error)
		*error = STEAL(failure);
	return first ? code : 0;
}

int meter_admit(struct meter *m, nova_error_t **error)
{
	if (!m || !m->limited)
		return 0;
	int code = look_again(m, error);
	if (code < 0 || !atomic_load(&m->used_up))
		return code;
	uint64_t now = clock_unix_us(), next = usage_month_begin_us(usage_month_of(now) + 1);
	nova_fail(error, NOVA_ELIMIT,
		"the MCUs that the plan '%s' has in a month are used up: a larger one (setting "
		"usage.plan), or usage.limit=off, lets calls go on",
		m->plan);
	nova_set_limit(error, NOVA_ELIMIT, NOVA_LIMIT_PLAN);
	return nova_set_retry(error, NOVA_ELIMIT, (next - now) / 1000 + 1);
}

bool meter_is_limited(const struct meter *m)
{
	return m && m->limited;
}

int meter_hold(struct meter *m, const char *key, struct holding *more, nova_error_t **error)
{
	return holding_take(&m->holders, usage_plan_find(&m->rates, m->plan), key, more, error);
}

void meter_let_go(struct meter *m, struct holding *holding)
{
	if (m)
		holding_end(&m->holders, holding);
}

int meter_check_key(const char *key, char out[USAGE_TEXT + 1], nova_error_t **error)
{
	if (key && (strlen(key) > USAGE_TEXT || !text_is_utf8(key) || text_has_control(key)))
		return nova_fail(error, NOVA_EINVAL,
			"key: it has at most %u bytes of UTF-8, without control characters",
			USAGE_TEXT);
	snprintf(out, USAGE_TEXT + 1, "%s", key ? key : "");
	return 0;
}

/* --- the end --- */

void meter_close(struct meter *m)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!m)
		return;
	if (m->on && (m->journal.fd >= 0 || m->journal.pending.len)) {
		int code = usage_journal_flush(&m->journal, &failure);
		if (code == 0)
			code = usage_journal_leave(&m->journal, 0, &failure);
		if (code == 0)
			code = fold(m, &failure);
		note_outcome(m, code, failure);
	}
	close_store(m);
	usage_journal_done(&m->journal);
	holders_done(&m->holders);
	pthread_mutex_destroy(&m->folding);
	free(m);
}
