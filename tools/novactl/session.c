/* SPDX-License-Identifier: MIT */
/* From the command line to an open library. */
#include <stdarg.h>

#include "novactl.h"

static const char *const level_names[] = { "none", "error", "warn", "info", "debug" };

/* Only what was given: an unknown key is an error of the library, not a silent nothing. */
static int apply_options(nova_config_t *config, nova_error_t **error)
{
	const struct {
		const char *key, *value;
	} settings[] = {
		{ "home", globals.home },
		{ "engine", globals.engine },
		{ "store", globals.pg_dsn ? "postgres" : NULL },
		{ "postgres.dsn", globals.pg_dsn },
		{ "redis.addr", globals.redis },
		{ "redis.password", globals.redis_pass },
		{ "redis.db", globals.redis_db },
	};
	int code = 0;
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(settings); i++)
		if (settings[i].value)
			code = nova_config_set(config, settings[i].key, settings[i].value, error);
	return code;
}

nova_config_t *session_config(int *ret_status)
{
	nova_config_t *config = NULL;
	nova_error_t *error = NULL;
	*ret_status = STATUS_OK;
	if (globals.log_level && nova_log_filter_level(globals.log_level, NULL, 0) < 0) {
		*ret_status = usage_error(NULL,
			"--log-level: '%s' is not none, error, warn, info or debug, nor a list as "
			"warn,pool=debug",
			globals.log_level);
		return NULL;
	}
	if (nova_config_new(&config, &error) == 0 &&
		nova_config_load(config, globals.config, &error) == 0 &&
		nova_config_load_env(config, &error) == 0 && apply_options(config, &error) == 0)
		return config;
	nova_config_free(config);
	*ret_status = report(error);
	return NULL;
}

/* the log's name for what somebody can change in their code: it is always shown */
#define ABOUT_CODE "function"

/* As of the setting log.level. */
static char *filter;

/* NULL: of any module. */
static int said_up_to(const char *module)
{
	return filter ? nova_log_filter_level(filter, module, NOVA_LOG_ERROR) : NOVA_LOG_ERROR;
}

void session_log_line(void *unused, int level, const char *module, const char *text)
{
	(void)unused;
	if (level > said_up_to(module) && strcmp(module, ABOUT_CODE))
		return;
	progress_hide();
	fprintf(stderr, "novactl: %s: %s: %s\n", level_names[level], module, text);
	progress_unhide();
}

/* A person wants warnings with `doctor`, not with every call: without a word from them, only errors
 * are shown. */
static const char *filter_of(const nova_config_t *config)
{
	if (globals.log_level)
		return globals.log_level;
	if (globals.verbose)
		return globals.verbose > 1 ? "debug" : "info";
	bool asked_for = nova_config_source(config, "log.level") > NOVA_CONFIG_DEFAULT;
	return asked_for ? nova_config_get(config, "log.level") : "error";
}

void session_log(nova_host_t *host, const nova_config_t *config)
{
	free(filter);
	filter = need(strdup(filter_of(config)));
	int most = said_up_to(NULL);
	nova_host_set_log(
		host, session_log_line, NULL, !most || most > NOVA_LOG_WARN ? most : NOVA_LOG_WARN);
}

void session_say(int level, const char *module, const char *format, ...)
{
	char text[1024];
	va_list args;
	if (level > said_up_to(module))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	session_log_line(NULL, level, module, text);
}

nova_t *session_open(int *ret_status)
{
	nova_t *nova = NULL;
	nova_error_t *error = NULL;
	CLEANUP(config_freep) nova_config_t *config = session_config(ret_status);
	if (!config)
		return NULL;
	if (nova_open(config, &nova, &error) != 0) {
		*ret_status = report(error);
		return NULL;
	}
	session_log(nova_host_get(nova), config);
	return nova;
}

nova_host_t *session_host(int *ret_status)
{
	nova_host_t *host = NULL;
	nova_error_t *error = NULL;
	CLEANUP(config_freep) nova_config_t *config = session_config(ret_status);
	if (!config)
		return NULL;
	if (nova_host_new(config, &host, &error) != 0) {
		*ret_status = report(error);
		return NULL;
	}
	session_log(host, config);
	return host;
}
