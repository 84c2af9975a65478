/* SPDX-License-Identifier: MIT */
/*
 * Registering: from options to a checked record, a code disk and a row, in this order
 * and under one lock:
 *
 *     image under a temporary name -> its hash -> what is stored under the name -> image to its
 * place -> row written
 *
 * A row is written only when its image is in place, and an image is removed only when no row has
 * it.
 */
#include "registry/internal.h"

#define RACES_MOST 20u

/* --- options to a record --- */

int register_check_flags(uint32_t flags, nova_error_t **error)
{
	uint32_t unknown =
		flags & ~(NOVA_REGISTER_REPLACE | NOVA_REGISTER_IN_PLACE | NOVA_REGISTER_KEEP_TMP |
				NOVA_REGISTER_TEMPLATE | NOVA_REGISTER_SECRETS_AT_INIT);
	return unknown ? nova_fail(error, NOVA_EINVAL, "flags: 0x%x has bits that are not defined",
				 flags) :
			 0;
}

static int check_presence(const nova_function_opts *o, nova_error_t **error)
{
	if (!o->name)
		return nova_fail(error, NOVA_EINVAL, "name: a function needs a name");
	if (!o->runtime)
		return nova_fail(error, NOVA_EINVAL,
			"runtime: required; one of python, node, go, rust, wasm, shell, binary, or "
			"one of your own");
	if (!o->code_path && !o->code)
		return nova_fail(error, NOVA_EINVAL,
			"code: give the function's code as code_path or in memory");
	if (o->code_path && o->code)
		return nova_fail(
			error, NOVA_EINVAL, "code: give either code_path or code, not both");
	if (!o->code_path && !o->code_len)
		return nova_fail(error, NOVA_EINVAL, "code: it is empty");
	if (o->check > NOVA_CHECK_NEVER)
		return nova_fail(
			error, NOVA_EINVAL, "check: %u is none of enum nova_check", o->check);
	return register_check_flags(o->flags, error);
}

/* Options that are kept as variables: the interpreter obeys the first one, calls the other. */
int record_add_options(struct function_record *r, uint32_t flags, nova_error_t **error)
{
	int code = 0;
	if (flags & NOVA_REGISTER_IN_PLACE && !runtime_rules(&r->config)->in_place)
		return nova_fail(error, NOVA_EINVAL,
			"in place: only functions of runtimes python and node can be called so");
	if (flags & NOVA_REGISTER_IN_PLACE)
		code = text_list_add(&r->config.env, "NOVA_IN_PLACE=1");
	if (code == 0 && flags & NOVA_REGISTER_KEEP_TMP)
		code = text_list_add(&r->config.env, "NOVA_KEEP_TMP=1");
	if (code == 0 && flags & NOVA_REGISTER_SECRETS_AT_INIT)
		code = text_list_add(&r->config.env, SECRET_AT_INIT);
	return code < 0 ? nova_oom(error) : 0;
}

static int copy_texts(struct function_record *r, const nova_function_opts *o, nova_error_t **error)
{
	r->name = strdup(o->name);
	int os = o->code_path ? path_absolute(o->code_path, &r->code_path) : 0;
	if (os < 0)
		return nova_fail_os(error, os, "code: '%s'", o->code_path);
	if (!o->code_path)
		r->code_path = strdup("");
	return r->name && r->code_path ? 0 : nova_oom(error);
}

void config_set_usual(
	struct function_config *config, const struct runtime *runtime, const nova_function_opts *o)
{
	if (!o->memory_mb && runtime->is.memory_mb)
		config->machine.memory_mb = runtime->is.memory_mb;
	if (!o->timeout_s && runtime->is.timeout_s)
		config->timeout_s = runtime->is.timeout_s;
	if (!o->init_timeout_s && runtime->is.init_timeout_s)
		config->init_timeout_s = runtime->is.init_timeout_s;
}

int runtime_give(
	const struct runtime *runtime, struct function_config *config, nova_error_t **error)
{
	bool own = !runtime->is.built_in;
	free(config->runtime);
	config->runtime = strdup(runtime->is.name);
	config->image = strdup(own ? runtime->image : "");
	config->protocol = strdup(own ? runtime->is.protocol : "");
	if (!config->runtime || !config->image || !config->protocol)
		return nova_oom(error);
	for (size_t i = 0; i < runtime->is.argv_count; i++)
		if (text_list_add(&config->argv, runtime->is.argv[i]) < 0)
			return nova_oom(error);
	return 0;
}

static int check_rate(const struct function_config *config, nova_error_t **error)
{
	const char *name = config->rate_burst ? "rate_burst" : "rate_period_ms";
	if (config->rate || (!config->rate_burst && !config->rate_period_ms))
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"%s is given, but there is no rate: the function may be called at any time", name);
}

int record_check_rules(struct function_record *r, nova_error_t **error)
{
	int code = runtime_check_memory(&r->config, r->config.machine.memory_mb, error);
	if (code == 0)
		code = function_config_sort(&r->config, error);
	if (code == 0)
		code = record_check_fields(r, NOVA_EINVAL, error);
	if (code == 0)
		code = secret_check_variables(&r->config.env, error);
	if (code == 0)
		code = check_rate(&r->config, error);
	return code < 0 ? code : runtime_check_preopens(&r->config, error);
}

/* Everything but id, code_hash, version and times. */
static int record_from_opts(struct function_record *r, const struct runtime *runtime,
	const nova_function_opts *o, nova_error_t **error)
{
	int code = properties_import(&r->config, IN_REGISTER, o, error);
	if (code == 0)
		code = runtime_give(runtime, &r->config, error);
	config_set_usual(&r->config, runtime, o);
	if (code == 0)
		code = copy_texts(r, o, error);
	if (code == 0)
		code = record_add_options(r, o->flags, error);
	return code < 0 ? code : record_check_rules(r, error);
}

/* --- storing --- */

static char *make_uuid(void)
{
	char uuid[UUID_SIZE];
	return random_uuid(uuid) < 0 ? NULL : strdup(uuid);
}

/* A version has one handler, and the check that found it is not made again. */
static int take_version(struct function_record *r, const struct function_record *old)
{
	bool same = record_same_version(old, r);
	r->version = old->version + !same;
	if (!same || *r->config.handler)
		return 0;
	free(r->config.handler);
	r->config.handler = strdup(old->config.handler);
	return r->config.handler ? 0 : NOVA_ENOMEM;
}

/* Fills in what a record has from the one before it, or from nothing. No two states of a function
 * have the same time, also if the clock was set back. */
static int complete(
	struct function_record *r, const struct function_record *old, nova_error_t **error)
{
	r->updated_us = clock_unix_us();
	if (old && r->updated_us <= old->updated_us)
		r->updated_us = old->updated_us + 1;
	r->created_us = old ? old->created_us : r->updated_us;
	r->version = 1;
	r->id = old ? strdup(old->id) : make_uuid();
	if (!r->id || (old && take_version(r, old) < 0))
		return nova_oom(error);
	return record_check(r, NOVA_EINVAL, error);
}

/* *ret_raced: another host was faster. */
static int store_record(struct registry *registry, struct function_record *r,
	const struct function_record *old, struct unfinished *u, bool *ret_raced,
	nova_error_t **error)
{
	bool unneeded = false;
	int code = complete(r, old, error);
	if (code == 0 && old && strcmp(old->code_hash, r->code_hash))
		code = blob_unneeded(registry, old->code_hash, 1, &unneeded, error);
	if (code < 0)
		return code;
	code = registry->blobs->ops->put(registry->blobs, u->path, r->code_hash, error);
	if (code == 0) {
		code = registry->store->ops->functions->put(
			registry->store, r, old ? old->updated_us : 0, error);
		*ret_raced = code == NOVA_EEXIST || code == NOVA_EBUSY;
	}
	if (code < 0) {
		blob_drop(registry, r->code_hash);
		return code;
	}
	if (unneeded)
		code_remove(registry, old->code_hash);
	if (old)
		image_drop(registry, old->config.image);
	return 0;
}

static void record_move(struct function_record *to, struct function_record *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
}

int fail_changed(const char *name, nova_error_t **error)
{
	return nova_fail(error, NOVA_EBUSY,
		"the function '%s' was changed by somebody else meanwhile", name);
}

int check_expected(
	const nova_function_opts *o, const struct function_record *present, nova_error_t **error)
{
	if (!o->if_updated_us || (present->name && present->updated_us == o->if_updated_us))
		return 0;
	return fail_changed(o->name, error);
}

/* Whether nobody has changed what an update began with. */
static int check_base(const struct function_record *base, const struct function_record *present,
	nova_error_t **error)
{
	if (present->name && !strcmp(present->id, base->id) &&
		present->updated_us == base->updated_us)
		return 0;
	return fail_changed(base->name, error);
}

/* Makes the image of the code, and finds what is stored under that name now. */
static int look_before(struct registry *registry, const struct code_source *source,
	struct function_record *record, struct unfinished *image, struct function_record *present,
	nova_error_t **error)
{
	char hash[SHA256_HEX];
	int r = code_disk_new(registry, source, image, hash, error);
	if (r == 0 && !(record->code_hash = strdup(hash)))
		r = nova_oom(error);
	if (r == 0 && !source->same_runtime)
		r = runtime_is_still(registry, record, error);
	if (r == 0)
		r = registry_read_present(registry, record->name, present, error);
	if (r == 0)
		r = check_expected(source->opts, present, error);
	return r == 0 && source->base ? check_base(source->base, present, error) : r;
}

/* Under the lock. On success `record` is what is stored, and `ret_former` the version that it
 * replaces, if it does. */
static int store(struct registry *registry, const struct code_source *source,
	struct function_record *record, struct function_record *ret_former, bool *ret_raced,
	nova_error_t **error)
{
	bool replace = source->opts->flags & NOVA_REGISTER_REPLACE;
	CLEANUP(unfinished_remove) struct unfinished image = { 0 };
	AUTO_RECORD struct function_record present = { 0 };
	int r = look_before(registry, source, record, &image, &present, error);
	if (r < 0)
		return r;
	if (!present.name)
		return store_record(registry, record, NULL, &image, ret_raced, error);
	const char *what = record_difference(&present, record);
	if (what && !replace)
		return nova_fail(error, NOVA_EEXIST,
			"a function '%s' exists and differs in its %s; choose another name, delete "
			"it first, or ask to replace it (NOVA_REGISTER_REPLACE)",
			record->name, what);
	if (what) {
		r = store_record(registry, record, &present, &image, ret_raced, error);
		if (r == 0 && record->version != present.version)
			record_move(ret_former, &present);
		return r;
	}
	/* The same again; its image is put back should somebody have removed it. */
	r = registry->blobs->ops->put(registry->blobs, image.path, record->code_hash, error);
	if (r < 0)
		return r;
	record_clear(record);
	record_move(record, &present);
	return 0;
}

/* The lock excludes this host alone. Who finds that another one has changed the function since it
 * was looked at looks again. */
static int store_locked(struct registry *registry, const struct code_source *source,
	struct function_record *record, struct function_record *ret_former, nova_error_t **error)
{
	AUTO_FD int lock = -1;
	AUTO_ERROR nova_error_t *failure = NULL;
	bool raced = true;
	int r = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	if (r < 0)
		return r;
	for (unsigned i = 0; raced && i < RACES_MOST; i++) {
		nova_error_free(STEAL(failure));
		free(STEAL(record->id));
		free(STEAL(record->code_hash));
		raced = false;
		r = store(registry, source, record, ret_former, &raced, &failure);
	}
	if (r < 0 && error)
		*error = STEAL(failure);
	return r;
}

/* Whether what runs functions here can do what this one is to have. */
static int engine_fits(
	struct registry *registry, const struct machine_config *machine, nova_error_t **error)
{
	const struct engine_ops *ops;
	if (!registry->host)
		return 0; /* a store by itself */
	int r = host_choose_engine(registry->host, NULL, &ops, error);
	return r < 0 ? r : engine_check(ops, machine, error);
}

int registry_check_room(
	struct registry *registry, const struct machine_config *machine, nova_error_t **error)
{
	int r = engine_fits(registry, machine, error);
	if (r < 0 || !fs_reserve_is_spent(registry->home))
		return r;
	return nova_fail(error, NOVA_ENOSPC,
		"there is no room for a function in %s (No space left on device): delete some, or "
		"something else on that file system",
		registry->home);
}

int registry_check_opts(struct registry *registry, const nova_function_opts *o,
	struct function_record *record, const struct runtime **ret_runtime, nova_error_t **error)
{
	int r = check_presence(o, error);
	if (r == 0)
		r = registry_get_runtime(registry, o->runtime, ret_runtime, error);
	if (r == 0)
		r = record_from_opts(record, *ret_runtime, o, error);
	if (r == 0)
		r = code_check(*ret_runtime, o, record->config.handler,
			registry->host ? host_log(registry->host) : NULL, error);
	return r < 0 ? r : registry_check_room(registry, &record->config.machine, error);
}

int install_packages(struct registry *registry, const nova_function_opts *o,
	const struct runtime *runtime, struct deps *ret, nova_error_t **error)
{
	AUTO_FREE char *rootfs = NULL;
	struct deps_want want = {
		.client = runtime->client,
		.file = o->requirements,
		.find_links = o->find_links,
		.limit = NOVA_REQUIREMENTS_MAX,
		.progress = o->on_progress,
		.userdata = o->userdata,
	};
	const struct stop stop = { o->interrupt, NULL };
	if (!o->requirements && o->find_links)
		return nova_fail(error, NOVA_EINVAL,
			"find_links: without requirements there is nothing to look for");
	if (!o->requirements)
		return 0;
	if (!runtime->client)
		return nova_fail(error, NOVA_EINVAL,
			"requirements: functions of runtime %s have none; build what they need "
			"into their code",
			runtime->is.name);
	if (!registry->host)
		return nova_fail(error, NOVA_ENOTSUP, "requirements: a store by itself has none");
	int code = runtime_rootfs(registry, runtime->is.name, runtime->image, &rootfs, error);
	if (code < 0)
		return code;
	want.image = rootfs;
	return deps_install(registry->host, &want, &stop, ret, error);
}

int registry_store_checked(struct registry *registry, const struct code_source *source,
	const struct runtime *runtime, struct function_record *record,
	struct function_record *ret_former, nova_function_t **ret_function, nova_error_t **error)
{
	CLEANUP(trial_done) struct trial trial = { .vm = NULL };
	int r = function_check(registry, source, runtime, record, &trial, error);
	if (r < 0)
		return r;
	/* Made before anything is stored, so that nothing can fail once it is. */
	AUTO_FUNCTION nova_function_t *function = function_new(record);
	if (!function)
		return nova_oom(error);
	r = store_locked(registry, source, &function->record, ret_former, error);
	if (r < 0)
		return r;
	trial_keep(registry, &function->record, source->opts, &trial);
	*ret_function = STEAL(function);
	return 0;
}

int registry_register(struct registry *registry, const nova_function_opts *o,
	struct function_record *ret_former, nova_function_t **ret_function, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	AUTO_DEPS struct deps packages = DEPS_NONE;
	AUTO_RUNTIME const struct runtime *runtime = NULL;
	int r = registry_check_opts(registry, o, &record, &runtime, error);
	if (r == 0)
		r = install_packages(registry, o, runtime, &packages, error);
	const struct code_source source = { .opts = o, .packages = packages.directory };
	return r < 0 ? r :
		       registry_store_checked(registry, &source, runtime, &record, ret_former,
			       ret_function, error);
}
