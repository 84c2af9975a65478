/* SPDX-License-Identifier: MIT */
/* A VM for a call or an instance: out of the pool, or from a snapshot; and its way back. */
#include "hash/hash.h"
#include "platform/platform.h"
#include "template/template.h"

/* --- what to ask the pool for --- */

void function_pool_key(const struct function_record *record, char out[FUNCTION_POOL_KEY])
{
	snprintf(out, FUNCTION_POOL_KEY, "%s:%u", record->id, record->version);
}

/* VMs of another size are no good for the others: they have keys of their own. */
static int add_machine(
	struct function_want *w, const struct machine_config *machine, nova_error_t **error)
{
	AUTO_BUF struct buf text = BUF_INIT(1u << 16);
	char digest[SHA256_HEX];
	size_t len = strlen(w->key);
	if (machine_config_key(machine, &text) < 0 || sha256_hex(text.data, text.len, digest) < 0)
		return nova_oom(error);
	snprintf(w->key + len, sizeof(w->key) - len, ":%.16s", digest);
	return 0;
}

int function_want_init(struct function_want *w, const struct nova *nova,
	const struct function_record *r, const nova_instance_opts *machine, nova_error_t **error)
{
	int code = function_vm_init(&w->of, &nova->registry, r, NULL, machine, error);
	if (code < 0)
		return code;
	function_pool_key(r, w->key);
	w->want = (struct pool_want){
		.key = w->key,
		.vm = &w->of.vm,
		.concurrency = w->of.config->concurrency,
	};
	return w->of.config == &r->config ? 0 : add_machine(w, &w->of.config->machine, error);
}

void function_want_done(struct function_want *w)
{
	function_vm_done(&w->of);
}

static int acquire(struct nova *nova, const nova_function_t *function,
	const struct lease_request *request, struct lease *lease, nova_error_t **error)
{
	CLEANUP(function_want_done) struct function_want w;
	const struct function_record *r = &function->record;
	int code = function_want_init(&w, nova, r, request->machine, error);
	if (code < 0)
		return code;
	w.want.flags = request->fresh ? NOVA_POOL_FRESH : 0;
	w.want.queue_timeout_ms = request->queue_timeout_ms;
	w.want.name = r->name;
	w.want.progress = request->progress;
	code = pool_acquire(
		nova->pool, &w.want, NULL, request->stop, &lease->vm, &lease->cold, error);
	return code < 0 ? nova_wrap(error, code, "function '%s'", r->name) : 0;
}

/* --- code that is run once --- */

struct maker_once {
	nova_host_t *host;
	struct template_want want;
};

static int make_once(
	void *userdata, const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	const struct maker_once *once = userdata;
	return template_try(once->host, &once->want, stop, ret_vm, error);
}

/* A clone of its runtime's template that has been given the code. Should it not be wanted any more
 * by then, it is ended: its group has no other calls. */
static int acquire_once(struct nova *nova, const nova_function_t *function,
	const struct lease_request *request, struct lease *lease, nova_error_t **error)
{
	CLEANUP(function_want_done) struct function_want w;
	int code = function_want_init(&w, nova, &function->record, NULL, error);
	if (code < 0)
		return code;
	struct maker_once once = {
		.host = nova->host,
		.want = {
			.name = function->record.config.runtime,
			.vm = &w.of.vm,
			.clones = pool_clones(nova->pool),
		},
	};
	const struct pool_maker maker = { make_once, &once };
	w.of.vm.config.machine.code_disk = request->code_disk;
	w.of.vm.compiled = request->compiled;
	w.of.vm.once = true;
	w.of.vm.program = request->program;
	w.want.flags = NOVA_POOL_FRESH;
	w.want.queue_timeout_ms = request->queue_timeout_ms;
	code = pool_acquire(
		nova->pool, &w.want, &maker, request->stop, &lease->vm, &lease->cold, error);
	if (code < 0)
		nova_pool_forget(nova->pool, w.key);
	return code;
}

/* --- functions change while calls are on their way --- */

static bool files_are_there(const struct nova *nova, const nova_function_t *function)
{
	return registry_check_files(&nova->registry, &function->record, NULL) == 0;
}

/* Looks the function up again: another process may have replaced or deleted it since, and its
 * former files with it. */
static int look_again(struct nova *nova, nova_function_t **function, nova_error_t **error)
{
	const struct function_record *old = &(*function)->record;
	AUTO_FUNCTION nova_function_t *now = NULL;
	AUTO_FREE char *version = str_format("%s:%u", old->name, old->version);
	if (!version)
		return nova_oom(error);
	int code = registry_lookup(
		&nova->registry, (*function)->published ? version : old->name, &now, error);
	if (code < 0)
		return code;
	if (now->record.version == old->version && !strcmp(now->record.id, old->id))
		code = registry_check_files(&nova->registry, old, error);
	if (code < 0)
		return code;
	nova_function_free(*function);
	*function = STEAL(now);
	return 0;
}

static int acquire_present(struct nova *nova, nova_function_t **function,
	const struct lease_request *request, struct lease *lease, nova_error_t **error)
{
	for (;;) {
		nova_error_t *failure = NULL;
		int code = acquire(nova, *function, request, lease, &failure);
		if (code != NOVA_ENOTFOUND || files_are_there(nova, *function)) {
			if (error)
				*error = failure;
			else
				nova_error_free(failure);
			return code;
		}
		nova_error_free(failure);
		code = look_again(nova, function, error);
		if (code < 0)
			return code;
	}
}

/* --- snapshots of functions --- */

/* "id:version:name", by which a snapshot is known to be of this function. NULL: out of memory. */
static char *owner_of(const struct function_record *r)
{
	return str_format("%s:%u:%s", r->id, r->version, r->name);
}

/* What owner_of() has made of some function comes apart here. */
static int check_owner(
	const nova_snapshot_t *snapshot, const struct function_record *r, nova_error_t **error)
{
	const char *owner = snapshot_owner(snapshot), *given = nova_snapshot_name(snapshot);
	const char *version = strchr(owner, ':'), *name = version ? strchr(version + 1, ':') : NULL;
	if (!name)
		return nova_fail(error, NOVA_EINVAL,
			"snapshot '%s' was not taken of function '%s' but of a microVM by itself; "
			"nova_vm_restore() goes on from it",
			given, r->name);
	if ((size_t)(version - owner) != strlen(r->id) || strncmp(owner, r->id, strlen(r->id)) != 0)
		return nova_fail(error, NOVA_EINVAL,
			"snapshot '%s' is of another function, '%s', and not of '%s'", given,
			name + 1, r->name);
	unsigned long taken = strtoul(version + 1, NULL, 10);
	if (taken != r->version)
		return nova_fail(error, NOVA_ESTALE,
			"snapshot '%s' is of version %lu of function '%s', which is at version %u "
			"now; make it anew",
			given, taken, r->name, r->version);
	return 0;
}

static int check_engine(struct nova *nova, const nova_snapshot_t *snapshot, nova_error_t **error)
{
	const struct engine_ops *ops;
	int code = host_choose_engine(nova->host, NULL, &ops, error);
	if (code < 0 || !strcmp(ops->name, snapshot_engine(snapshot)))
		return code;
	return nova_fail(error, NOVA_ESTALE,
		"snapshot '%s' was made with the engine %s, and here %s is used; set engine to %s, "
		"or make it anew",
		nova_snapshot_name(snapshot), snapshot_engine(snapshot), ops->name,
		snapshot_engine(snapshot));
}

static void snapshot_freep(nova_snapshot_t **snapshot)
{
	nova_snapshot_free(*snapshot);
}

struct restoring {
	nova_host_t *host;
	nova_snapshot_t *snapshot;
};

static int make_restored(
	void *userdata, const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	const struct restoring *r = userdata;
	return vm_restore(r->host, r->snapshot, stop, ret_vm, error);
}

/* Also a restored VM is one of the pool, and counts there. */
static int acquire_restored(struct nova *nova, nova_snapshot_t *snapshot,
	const struct lease_request *request, struct lease *lease, nova_error_t **error)
{
	char key[64];
	struct restoring restoring = { nova->host, snapshot };
	const struct pool_maker maker = { make_restored, &restoring };
	const struct vm_spec vm = { .config.machine.memory_mb = snapshot_memory_mb(snapshot) };
	const struct pool_want want = {
		.key = key,
		.vm = &vm,
		.flags = NOVA_POOL_FRESH,
		.queue_timeout_ms = request->queue_timeout_ms,
	};
	snprintf(key, sizeof(key), "snapshot:%s", nova_snapshot_id(snapshot));
	return pool_acquire(
		nova->pool, &want, &maker, request->stop, &lease->vm, &lease->cold, error);
}

static int restore(struct nova *nova, const struct function_record *r,
	const struct lease_request *request, struct lease *lease, nova_error_t **error)
{
	CLEANUP(snapshot_freep) nova_snapshot_t *snapshot = NULL;
	int code = nova_snapshot_open(nova->host, request->snapshot, &snapshot, error);
	if (code == 0)
		code = check_owner(snapshot, r, error);
	if (code == 0)
		code = check_engine(nova, snapshot, error);
	if (code == 0)
		code = acquire_restored(nova, snapshot, request, lease, error);
	return code < 0 ? nova_wrap(error, code, "function '%s'", r->name) : 0;
}

int lease_lend(struct lease *lease, const struct function_record *r, nova_error_t **error)
{
	AUTO_FREE char *owner = owner_of(r);
	return owner ? vm_set_owner(lease->vm, owner, error) : nova_oom(error);
}

int lease_snapshot(const struct lease *lease, const struct function_record *r,
	const nova_snapshot_opts *opts, const struct stop *stop, nova_snapshot_t **ret_snapshot,
	nova_error_t **error)
{
	AUTO_FREE char *owner = owner_of(r);
	return owner ? vm_snapshot(lease->vm, owner, opts, stop, ret_snapshot, error) :
		       nova_oom(error);
}

/* --- leases --- */

/* As it is asked for: what the function, the snapshot or the caller says. */
static int hold(struct nova *nova, const nova_function_t *function,
	const struct lease_request *request, struct holding *ret, nova_error_t **error)
{
	CLEANUP(snapshot_freep) nova_snapshot_t *snapshot = NULL;
	const nova_instance_opts *own = request->machine;
	const struct machine_config *machine = &function->record.config.machine;
	if (!request->key || !meter_is_limited(nova->meter))
		return 0;
	ret->vcpus = own && own->vcpus ? own->vcpus : machine->vcpus;
	ret->memory_mb = own && own->memory_mb ? own->memory_mb : machine->memory_mb;
	/* one that cannot be opened is told of by who restores it */
	if (request->snapshot &&
		!nova_snapshot_open(nova->host, request->snapshot, &snapshot, NULL)) {
		ret->vcpus = snapshot_vcpus(snapshot);
		ret->memory_mb = snapshot_memory_mb(snapshot);
	}
	return meter_hold(nova->meter, request->key, ret, error);
}

int lease_take(struct nova *nova, nova_function_t **function, const struct lease_request *request,
	struct lease *ret, nova_error_t **error)
{
	struct lease lease = { .cold = 1 };
	uint64_t begin = clock_ns();
	int code = hold(nova, *function, request, &lease.holding, error);
	if (code < 0)
		return code;
	code = request->snapshot  ? restore(nova, &(*function)->record, request, &lease, error) :
	       request->code_disk ? acquire_once(nova, *function, request, &lease, error) :
				    acquire_present(nova, function, request, &lease, error);
	if (code < 0) {
		meter_let_go(nova->meter, &lease.holding);
		return code;
	}
	lease.took_us = us_since(begin);
	lease.unheard = lease.cold && vm_path(lease.vm) != VM_PATH_CLASSIC && !request->code_disk;
	/* Nobody writes them after the start, and others may share the VM by now. */
	for (int part = NOVA_TIMING_START; lease.cold && part <= NOVA_TIMING_INIT; part++)
		lease.part_us[part] = vm_timing_us(lease.vm, part);
	*ret = lease;
	return 0;
}

void lease_return(struct nova *nova, struct lease *lease, bool reusable)
{
	nova_pool_release(nova->pool, lease->vm, reusable);
	lease->vm = NULL;
	meter_let_go(nova->meter, &lease->holding);
}
