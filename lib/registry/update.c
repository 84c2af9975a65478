/* SPDX-License-Identifier: MIT */
/* Changing a function in place: its record as it is, what is to be another, and then as in
 * registering. */
#include "registry/internal.h"

#define TRIES 10

/* What became of flags is variables: see record_add_options(). */
static const struct {
	const char *name, *variable;
	uint32_t flag;
} switches[] = {
	{ "in_place", "NOVA_IN_PLACE=1", NOVA_REGISTER_IN_PLACE },
	{ "keep_tmp", "NOVA_KEEP_TMP=1", NOVA_REGISTER_KEEP_TMP },
	{ "secrets_at_init", SECRET_AT_INIT, NOVA_REGISTER_SECRETS_AT_INIT },
};

/* Takes the variables out; the flags that they stood for. */
static uint32_t take_switches(struct text_list *env)
{
	uint32_t flags = 0;
	size_t kept = 0;
	for (size_t i = 0; i < env->count; i++) {
		uint32_t flag = 0;
		for (size_t s = 0; s < ARRAY_LEN(switches); s++)
			if (!strcmp(env->items[i], switches[s].variable))
				flag = switches[s].flag;
		if (flag)
			free(env->items[i]);
		else
			env->items[kept++] = env->items[i];
		flags |= flag;
	}
	env->count = kept;
	return flags;
}

static int reset(
	struct function_config *config, const char *name, uint32_t *flags, nova_error_t **error)
{
	for (size_t s = 0; s < ARRAY_LEN(switches); s++)
		if (!strcmp(name, switches[s].name)) {
			*flags &= ~switches[s].flag;
			return 0;
		}
	if (!strcmp(name, "runtime"))
		return nova_fail(error, NOVA_EINVAL, "reset: runtime has no default");
	return property_reset(config, name, error);
}

static int reset_all(struct function_config *config, const nova_function_update_opts *o,
	uint32_t *flags, nova_error_t **error)
{
	int code = 0;
	if (o->reset_count && !o->reset)
		return nova_fail(error, NOVA_EINVAL, "reset: reset_count is %zu, but it is NULL",
			o->reset_count);
	for (size_t i = 0; code == 0 && i < o->reset_count; i++)
		code = o->reset[i] ? reset(config, o->reset[i], flags, error) :
				     nova_fail(error, NOVA_EINVAL, "reset: entry %zu is NULL", i);
	return code;
}

/* --- one attempt --- */

struct update {
	const nova_function_update_opts *opts;
	nova_function_opts change; /* whole, and with the name */
	bool has_code;
	struct function_record base, record;
	struct runtime runtime;       /* by whose rules the code is checked */
	const struct runtime *chosen; /* NULL: it stays */
	char *disk;
	struct deps packages;
};

static void update_done(struct update *u)
{
	record_clear(&u->base);
	record_clear(&u->record);
	runtime_free(u->chosen);
	free(u->disk);
	deps_done(&u->packages);
}

static int check_change(const nova_function_opts *c, bool has_code, nova_error_t **error)
{
	if (c->name)
		return nova_fail(error, NOVA_EINVAL,
			"name: a function keeps its name; register it under another one instead");
	if (c->code_path && c->code)
		return nova_fail(
			error, NOVA_EINVAL, "code: give either code_path or code, not both");
	if (c->code && !c->code_len)
		return nova_fail(error, NOVA_EINVAL, "code: it is empty");
	if (c->check > NOVA_CHECK_NEVER)
		return nova_fail(
			error, NOVA_EINVAL, "check: %u is none of enum nova_check", c->check);
	int code = register_check_flags(c->flags, error);
	if (code < 0 || has_code)
		return code;
	if (c->requirements || c->find_links)
		return nova_fail(error, NOVA_EINVAL,
			"requirements: packages lie beside the code; give the code, too");
	return c->runtime ? nova_fail(error, NOVA_EINVAL, "runtime: give the code for it, too") : 0;
}

/* The runtime that the function has keeps what it was when that was chosen. */
static int choose_runtime(struct registry *registry, struct update *u, nova_error_t **error)
{
	struct function_config *config = &u->record.config;
	const struct runtime *rules = runtime_rules(config);
	if (u->change.runtime) {
		int code = registry_get_runtime(registry, u->change.runtime, &u->chosen, error);
		if (code < 0)
			return code;
		u->runtime = *u->chosen;
		free(STEAL(config->image));
		free(STEAL(config->protocol));
		text_list_done(&config->argv);
		return runtime_give(u->chosen, config, error);
	}
	if (!rules)
		return nova_fail(error, NOVA_ECORRUPT,
			"function '%s' has the runtime '%s', which this libnova does not know",
			u->base.name, config->runtime);
	u->runtime = *rules;
	u->runtime.is.name = u->base.config.runtime;
	if (*config->image)
		u->runtime.image = u->base.config.image;
	return 0;
}

static int set_code_path(struct update *u, nova_error_t **error)
{
	free(STEAL(u->record.code_path));
	int os = u->change.code_path ? path_absolute(u->change.code_path, &u->record.code_path) : 0;
	if (os < 0)
		return nova_fail_os(error, os, "code: '%s'", u->change.code_path);
	if (!u->change.code_path)
		u->record.code_path = strdup("");
	return u->record.code_path ? 0 : nova_oom(error);
}

static bool is_reset(const struct update *u, const char *name)
{
	for (size_t i = 0; i < u->opts->reset_count; i++)
		if (!strcmp(u->opts->reset[i], name))
			return true;
	return false;
}

/* A runtime may have defaults of its own. */
static void set_usual_again(struct update *u)
{
	nova_function_opts given = u->change;
	if (!is_reset(u, "memory_mb"))
		given.memory_mb = 1;
	if (!is_reset(u, "timeout_s"))
		given.timeout_s = 1;
	if (!is_reset(u, "init_timeout_s"))
		given.init_timeout_s = 1;
	config_set_usual(&u->record.config, &u->runtime, &given);
}

/* From the base to the record, without what storing gives it. */
static int make_record(struct registry *registry, struct update *u, nova_error_t **error)
{
	int code = record_copy(&u->record, &u->base, error);
	if (code < 0)
		return code;
	struct function_config *config = &u->record.config;
	free(STEAL(u->record.id));
	free(STEAL(u->record.code_hash));
	uint32_t flags = take_switches(&config->env);
	code = reset_all(config, u->opts, &flags, error);
	if (code == 0)
		code = properties_override(config, IN_REGISTER, &u->change, error);
	if (code == 0)
		code = choose_runtime(registry, u, error);
	if (code == 0)
		set_usual_again(u);
	if (code == 0 && u->has_code)
		code = set_code_path(u, error);
	if (code == 0)
		code = record_add_options(
			&u->record, flags | u->change.flags | take_switches(&config->env), error);
	return code < 0 ? code : record_check_rules(&u->record, error);
}

static int find_code(struct registry *registry, struct update *u, nova_error_t **error)
{
	if (!u->has_code)
		return registry->blobs->ops->get(
			registry->blobs, u->base.code_hash, &u->disk, error);
	int code = code_check(&u->runtime, &u->change, u->record.config.handler,
		registry->host ? host_log(registry->host) : NULL, error);
	return code < 0 ? code :
			  install_packages(registry, &u->change, &u->runtime, &u->packages, error);
}

static int attempt(struct registry *registry, struct update *u, struct function_record *ret_former,
	nova_function_t **ret_function, nova_error_t **error)
{
	int code = make_record(registry, u, error);
	if (code == 0)
		code = registry_check_room(registry, &u->record.config.machine, error);
	if (code == 0)
		code = find_code(registry, u, error);
	const struct code_source source = {
		.opts = &u->change,
		.packages = u->packages.directory,
		.base = &u->base,
		.disk = u->disk,
		.same_runtime = !u->chosen,
	};
	return code < 0 ? code :
			  registry_store_checked(registry, &source, &u->runtime, &u->record,
				  ret_former, ret_function, error);
}

/* --- all of it --- */

/* Whether the function is another than it was: then the attempt says nothing. */
static bool has_moved(struct registry *registry, const struct function_record *base)
{
	AUTO_RECORD struct function_record now = { 0 };
	return registry_read_present(registry, base->name, &now, NULL) == 0 && now.name &&
	       (now.updated_us != base->updated_us || strcmp(now.id, base->id) != 0);
}

static int begin(
	struct registry *registry, const char *name, struct update *u, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	nova_function_opts *c = &u->change;
	int code = opts_import(c, sizeof(*c), u->opts->change, "nova_function_opts", error);
	if (code == 0)
		code = opts_reserved(c->reserved, "nova_function_opts", error);
	if (code < 0)
		return code;
	u->has_code = c->code_path || c->code;
	code = check_change(c, u->has_code, error);
	if (code == 0)
		code = read_function(registry, name, &function, error);
	if (code == 0)
		code = record_copy(&u->base, &function->record, error);
	c->name = u->base.name;
	c->flags |= NOVA_REGISTER_REPLACE;
	return code < 0 ? code : check_expected(c, &u->base, error);
}

int registry_update(struct registry *registry, const char *name,
	const nova_function_update_opts *opts, struct function_record *ret_former,
	nova_function_t **ret_function, nova_error_t **error)
{
	struct split_name split;
	int code = name_plain(registry, name, "update", &split, error);
	if (code < 0)
		return code;
	for (int tries = 1;; tries++) {
		CLEANUP(update_done) struct update u = { .opts = opts, .packages = DEPS_NONE };
		nova_error_t *failure = NULL;
		code = begin(registry, split.base, &u, &failure);
		if (code == 0)
			code = attempt(registry, &u, ret_former, ret_function, &failure);
		if (code < 0 && tries < TRIES && u.base.name && has_moved(registry, &u.base)) {
			nova_error_free(failure);
			continue;
		}
		if (error)
			*error = failure;
		else
			nova_error_free(failure);
		return code;
	}
}
