/* SPDX-License-Identifier: MIT */
/*
 * Instances: nova/instance.h.
 *
 * The platform has a list of those that have not been stopped, and one reference to each. `users`
 * counts the calls that are in one: its VM is given back only when there are none, and none begins
 * once `ended` is set.
 */
#include <time.h>

#include "platform/platform.h"

#define STOP_GRACE 2000u

/* --- handles --- */

nova_instance_t *instance_ref(nova_instance_t *instance)
{
	atomic_fetch_add_explicit(&instance->references, 1, memory_order_relaxed);
	return instance;
}

/* Nobody has it any more, nor can find it. */
static void forget(nova_instance_t *instance)
{
	if (!instance->nova)
		return;
	pthread_mutex_lock(&instance->nova->instances_lock);
	link_remove(&instance->link);
	pthread_mutex_unlock(&instance->nova->instances_lock);
}

void nova_instance_free(nova_instance_t *instance)
{
	if (!instance ||
		atomic_fetch_sub_explicit(&instance->references, 1, memory_order_acq_rel) != 1)
		return;
	forget(instance);
	vm_unref(instance->vm);
	pthread_cond_destroy(&instance->left);
	pthread_mutex_destroy(&instance->lock);
	nova_function_free(instance->function);
	free(instance->name);
	free(instance);
}

void nova_instance_list_free(nova_instance_t **instances, size_t count)
{
	for (size_t i = 0; instances && i < count; i++)
		nova_instance_free(instances[i]);
	free(instances);
}

/* --- the list of the platform: all of which there are handles. With nova->instances_lock held. ---
 */

static nova_instance_t *instance_at(struct link *l)
{
	return CONTAINER_OF(l, nova_instance_t, link);
}

static nova_instance_t *find(const struct nova *nova, const char *name)
{
	for (struct link *l = nova->instances.next; l != &nova->instances; l = l->next) {
		nova_instance_t *i = instance_at(l);
		if (i->listed && (!strcmp(i->name, name) || !strcmp(i->id, name)))
			return i;
	}
	return NULL;
}

bool instances_run(
	struct nova *nova, const nova_function_t *function, char ret_name[RECORD_NAME_MAX + 1])
{
	bool found = false;
	const struct function_record *wanted = &function->record;
	pthread_mutex_lock(&nova->instances_lock);
	for (struct link *l = nova->instances.next; !found && l != &nova->instances; l = l->next) {
		const nova_instance_t *i = instance_at(l);
		const struct function_record *r = &i->function->record;
		found = i->listed && !strcmp(r->id, wanted->id) &&
			(!function->published || r->version == wanted->version);
		if (found)
			snprintf(ret_name, RECORD_NAME_MAX + 1, "%s", i->name);
	}
	pthread_mutex_unlock(&nova->instances_lock);
	return found;
}

static int check_free(const struct nova *nova, const char *name, nova_error_t **error)
{
	if (!find(nova, name))
		return 0;
	return nova_fail(error, NOVA_EEXIST,
		"there is an instance '%s' already; stop it first or take another name", name);
}

static int add(struct nova *nova, nova_instance_t *instance, nova_error_t **error)
{
	pthread_mutex_lock(&nova->instances_lock);
	int code = check_free(nova, instance->name, error);
	if (code == 0) {
		list_append(&nova->instances, &instance_ref(instance)->link);
		instance->listed = true;
		instance->nova = nova;
	}
	pthread_mutex_unlock(&nova->instances_lock);
	return code;
}

static void take_out(struct nova *nova, nova_instance_t *instance)
{
	pthread_mutex_lock(&nova->instances_lock);
	bool listed = instance->listed;
	instance->listed = false;
	pthread_mutex_unlock(&nova->instances_lock);
	if (listed)
		nova_instance_free(instance);
}

/* --- start --- */

static int make(const char *name, nova_instance_t **ret, nova_error_t **error)
{
	nova_instance_t *instance = calloc(1, sizeof(*instance));
	if (!instance)
		return nova_oom(error);
	cond_init(&instance->left);
	pthread_mutex_init(&instance->lock, NULL);
	atomic_init(&instance->references, 1);
	if (random_hex(instance->id, 8) < 0 ||
		!(instance->name = strdup(name ? name : instance->id))) {
		nova_instance_free(instance);
		return nova_oom(error);
	}
	instance->created_us = clock_unix_us();
	instance->deadline = NEVER;
	*ret = instance;
	return 0;
}

/* What is not chosen is as the function has it. */
static void note_machine(nova_instance_t *instance, const nova_instance_opts *o)
{
	const struct machine_config *own = &instance->function->record.config.machine;
	instance->memory_mb = o->memory_mb ? o->memory_mb : own->memory_mb;
	instance->vcpus = o->vcpus ? o->vcpus : own->vcpus;
}

static int start(struct nova *nova, nova_function_t **function, const nova_instance_opts *o,
	const struct lease_request *request, nova_instance_t **ret, nova_error_t **error)
{
	nova_instance_t *instance = NULL;
	int code = make(o->name, &instance, error);
	if (code == 0)
		code = meter_check_key(o->key, instance->key, error);
	if (code == 0)
		code = lease_take(nova, function, request, &instance->lease, error);
	if (code < 0) {
		nova_instance_free(instance);
		return code;
	}
	instance->owner = host_owner(nova->host);
	instance->function = function_ref(*function);
	note_machine(instance, o);
	instance->vm = vm_ref(instance->lease.vm);
	snprintf(instance->vm_id, sizeof(instance->vm_id), "%s", nova_vm_id(instance->vm));
	code = lease_lend(&instance->lease, &(*function)->record, error);
	if (code == 0)
		code = add(nova, instance, error);
	if (code < 0) {
		lease_return(nova, &instance->lease, false);
		nova_instance_free(instance);
		return code;
	}
	meter_instance_begin(instance);
	*ret = instance;
	return 0;
}

static bool name_ok(const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
	return len && len <= 64 && !name[len] && !strchr("-_.", *name);
}

/* Also finds a name that is taken before a VM is started for it. */
static int check_opts(struct nova *nova, const nova_instance_opts *o, nova_error_t **error)
{
	if (!o->function)
		return nova_fail(error, NOVA_EINVAL,
			"function: an instance needs the function that it runs");
	if (o->name && !name_ok(o->name))
		return nova_fail(error, NOVA_EINVAL,
			"'%.80s' is no name for an instance: 1 to 64 letters, digits, '-', '_' and "
			"'.', beginning with a letter or digit",
			text_is_utf8(o->name) ? o->name : "(not UTF-8)");
	const char *chosen = properties_given(IN_INSTANCE, o);
	if (o->snapshot && chosen)
		return nova_fail(error, NOVA_EINVAL,
			"%s is that of the snapshot and cannot be chosen", chosen);
	if (o->name) {
		pthread_mutex_lock(&nova->instances_lock);
		int code = check_free(nova, o->name, error);
		pthread_mutex_unlock(&nova->instances_lock);
		if (code < 0)
			return code;
	}
	return o->snapshot ? mode_check_engine(nova, error) : 0;
}

int instance_start(nova_t *nova, const nova_instance_opts *opts, const struct stop *stop,
	nova_instance_t **ret_instance, nova_error_t **error)
{
	nova_instance_opts o;
	AUTO_FUNCTION nova_function_t *function = NULL;
	int code = opts_import(&o, sizeof(o), opts, "nova_instance_opts", error);
	if (code == 0)
		code = host_check_process(nova->host, error);
	if (code == 0)
		code = check_opts(nova, &o, error);
	if (code == 0)
		code = registry_lookup(&nova->registry, o.function, &function, error);
	if (code == 0 && o.memory_mb)
		code = runtime_check_memory(&function->record.config, o.memory_mb, error);
	const struct stop any = { o.interrupt, stop };
	const struct lease_request request = {
		.key = o.key ? o.key : "",
		.fresh = true,
		.snapshot = (char *)o.snapshot,
		.machine = &o,
		.stop = &any,
	};
	if (code == 0)
		code = stop_check(&any, "the instance was started", error);
	if (code == 0)
		code = meter_admit(nova->meter, error);
	return code < 0 ? code : start(nova, &function, &o, &request, ret_instance, error);
}

int nova_instance_start(nova_t *nova, const nova_instance_opts *opts,
	nova_instance_t **ret_instance, nova_error_t **error)
{
	nova_instance_t *instance = NULL;
	if (ANY_NULL(error, nova, opts))
		return NOVA_EINVAL;
	int code = instance_start(nova, opts, NULL, &instance, error);
	if (code < 0)
		return code;
	if (ret_instance)
		*ret_instance = instance;
	else
		nova_instance_free(instance);
	return 0;
}

/* --- looking --- */

int nova_instance_get(
	nova_t *nova, const char *name, nova_instance_t **ret_instance, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name, ret_instance))
		return NOVA_EINVAL;
	int code = host_check_process(nova->host, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&nova->instances_lock);
	nova_instance_t *instance = find(nova, name);
	if (instance)
		*ret_instance = instance_ref(instance);
	pthread_mutex_unlock(&nova->instances_lock);
	if (instance)
		return 0;
	return nova_fail(error, NOVA_ENOTFOUND,
		"there is no instance '%.80s'; it may have been stopped",
		text_is_utf8(name) ? name : "(not UTF-8)");
}

int nova_instance_list(
	nova_t *nova, nova_instance_t ***ret_instances, size_t *ret_count, nova_error_t **error)
{
	size_t count = 0;
	if (ANY_NULL(error, nova, ret_instances, ret_count))
		return NOVA_EINVAL;
	int code = host_check_process(nova->host, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&nova->instances_lock);
	for (struct link *l = nova->instances.next; l != &nova->instances; l = l->next)
		count += instance_at(l)->listed;
	nova_instance_t **list = count ? calloc(count, sizeof(nova_instance_t *)) : NULL;
	size_t at = 0;
	for (struct link *l = nova->instances.next; list && l != &nova->instances; l = l->next)
		if (instance_at(l)->listed)
			list[at++] = instance_ref(instance_at(l));
	pthread_mutex_unlock(&nova->instances_lock);
	if (at < count)
		return nova_oom(error);
	*ret_instances = list;
	*ret_count = count;
	return 0;
}

/* What the getters tell of NULL. */
static const nova_instance_t *or_nothing(const nova_instance_t *instance)
{
	static const nova_instance_t nothing = { .name = (char *)"" };
	return instance ? instance : &nothing;
}

const char *nova_instance_id(const nova_instance_t *instance)
{
	return or_nothing(instance)->id;
}

const char *nova_instance_name(const nova_instance_t *instance)
{
	return or_nothing(instance)->name;
}

const char *nova_instance_function(const nova_instance_t *instance)
{
	return nova_function_name(or_nothing(instance)->function);
}

uint32_t nova_instance_version(const nova_instance_t *instance)
{
	return nova_function_version(or_nothing(instance)->function);
}

nova_vm_t *nova_instance_vm(nova_instance_t *instance)
{
	return instance ? instance->vm : NULL;
}

uint64_t nova_instance_created_us(const nova_instance_t *instance)
{
	return or_nothing(instance)->created_us;
}

int nova_instance_state(nova_instance_t *instance)
{
	if (!instance)
		return NOVA_VM_DEAD;
	int code = host_check_owner(instance->owner, NULL);
	if (code < 0)
		return code;
	pthread_mutex_lock(&instance->lock);
	int state = instance->ended ? NOVA_VM_DEAD : nova_vm_state(instance->vm);
	pthread_mutex_unlock(&instance->lock);
	return state;
}

/* NULL: out of memory. */
static char *labels_of(const nova_instance_t *instance)
{
	AUTO_JSON json_t *labels =
		property_json(property_find("labels"), &instance->function->record.config);
	return labels ? json_dumps(labels, JSON_COMPACT) : NULL;
}

char *nova_instance_to_json(nova_instance_t *instance)
{
	static const char *const states[] = {
		[NOVA_VM_RUNNING] = "running", [NOVA_VM_PAUSED] = "paused", [NOVA_VM_DEAD] = "dead"
	};
	/* No name has a character in it that JSON would have to escape. */
	int state = nova_instance_state(instance);
	if (!instance || state < 0) /* in a fork of the process nobody knows */
		return NULL;
	AUTO_FREE char *labels = labels_of(instance);
	if (!labels)
		return NULL;
	return str_format("{\"id\":\"%s\",\"name\":\"%s\",\"function\":\"%s\",\"version\":%u,"
			  "\"state\":\"%s\",\"vm\":\"%s\",\"created_us\":%llu,\"labels\":%s}",
		instance->id, instance->name, nova_instance_function(instance),
		nova_instance_version(instance), states[state], instance->vm_id,
		(unsigned long long)instance->created_us, labels);
}

/* --- use --- */

int instance_enter(nova_instance_t *instance, nova_error_t **error)
{
	int code = host_check_owner(instance->owner, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&instance->lock);
	bool ended = instance->ended;
	instance->users += !ended;
	pthread_mutex_unlock(&instance->lock);
	return ended ? nova_fail(error, NOVA_ELOST, "the instance has been stopped") : 0;
}

void instance_leave(nova_instance_t *instance)
{
	pthread_mutex_lock(&instance->lock);
	if (--instance->users == 0)
		pthread_cond_broadcast(&instance->left);
	pthread_mutex_unlock(&instance->lock);
}

/* --- the end --- */

/* Waits until `*over`, and kills the VM at the deadline. With instance->lock held. */
static void wait_until(nova_instance_t *instance, bool (*over)(const nova_instance_t *))
{
	while (!over(instance)) {
		uint64_t deadline = instance->killed ? NEVER : instance->deadline;
		if (deadline_passed(deadline)) {
			nova_vm_kill(instance->vm);
			instance->killed = true;
		} else {
			cond_wait_until(&instance->left, &instance->lock, deadline);
		}
	}
}

static bool is_empty(const nova_instance_t *instance)
{
	return !instance->users;
}

static bool is_gone(const nova_instance_t *instance)
{
	return instance->gone;
}

/* By the first who stops it. With instance->lock held, which it lets go of; meanwhile others may
 * kill the VM. */
static void end_alone(nova_instance_t *instance)
{
	vm_close(instance->vm);
	wait_until(instance, is_empty);
	uint64_t deadline = instance->deadline;
	pthread_mutex_unlock(&instance->lock);
	int code = vm_stop_by(instance->vm, deadline);
	meter_instance(instance, true);
	pthread_mutex_lock(&instance->lock);
	instance->end_code = instance->killed || code == NOVA_ETIMEDOUT ? NOVA_ETIMEDOUT : 0;
	instance->killed = true; /* nobody need do it any more */
	struct lease lease = instance->lease;
	instance->lease = (struct lease){ .vm = NULL };
	pthread_mutex_unlock(&instance->lock);
	lease_return(instance->nova, &lease, false);
	take_out(instance->nova, instance);
	pthread_mutex_lock(&instance->lock);
	instance->gone = true;
	pthread_cond_broadcast(&instance->left);
}

int nova_instance_stop(nova_instance_t *instance, uint32_t grace_ms, nova_error_t **error)
{
	if (ANY_NULL(error, instance))
		return NOVA_EINVAL;
	int code = host_check_owner(instance->owner, error);
	if (code < 0)
		return code;
	grace_ms = grace_ms ? grace_ms : STOP_GRACE;
	uint64_t deadline = deadline_in_ms(grace_ms);
	pthread_mutex_lock(&instance->lock);
	bool first = !instance->ended;
	instance->ended = true;
	if (deadline < instance->deadline) {
		instance->deadline = deadline;
		instance->grace_ms = grace_ms;
		pthread_cond_broadcast(&instance->left);
	}
	if (first)
		end_alone(instance);
	else
		wait_until(instance, is_gone);
	code = instance->end_code;
	grace_ms = instance->grace_ms;
	pthread_mutex_unlock(&instance->lock);
	return code == 0 ? 0 :
			   nova_fail(error, code,
				   "instance '%s' was still busy after %u ms and was killed",
				   instance->name, grace_ms);
}

/* Its VM is dead. Who stops the instance may be taking its lease just now. */
static void let_go_of(nova_instance_t *i)
{
	pthread_mutex_lock(&i->lock);
	meter_let_go(i->nova->meter, &i->lease.holding);
	pthread_mutex_unlock(&i->lock);
}

/* What is recorded is written to a disk, which may take its time: meanwhile nobody waits for the
 * list. Without the memory to do so they are measured with the next tick. */
bool instances_measure(nova_t *nova)
{
	nova_instance_t **all = NULL;
	size_t count = 0;
	if (nova_instance_list(nova, &all, &count, NULL) < 0)
		return true;
	bool any = false;
	for (size_t i = 0; i < count; i++) {
		/* one whose VM has died takes nothing any more */
		bool is_over = nova_vm_state(all[i]->vm) == NOVA_VM_DEAD;
		meter_instance(all[i], is_over);
		if (is_over)
			let_go_of(all[i]);
		any = any || !is_over;
	}
	nova_instance_list_free(all, count);
	return any;
}

void instances_end(struct nova *nova)
{
	for (struct link *first; (first = list_pop(&nova->instances));) {
		nova_instance_t *instance = instance_at(first);
		if (instance->listed)
			meter_instance(instance, true);
		instance->nova = NULL;
		if (instance->listed) {
			instance->ended = instance->gone = true; /* no call may be under way */
			lease_return(nova, &instance->lease, false);
		}
		vm_unref(instance->vm);
		instance->vm = NULL;
		if (instance->listed)
			nova_instance_free(instance);
	}
}
