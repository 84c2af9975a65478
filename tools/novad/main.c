/* SPDX-License-Identifier: MIT */
/* novad: from the command line to a server, and its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"
#include "routes.h"

static bool report(nova_error_t *error)
{
	say(NOVA_LOG_ERROR, nova_error_message(error));
	nova_error_free(error);
	return false;
}

/* --- the library --- */

static int set_all(nova_config_t *config, const struct words *words, nova_error_t **error)
{
	int code = 0;
	for (size_t i = 0; code == 0 && i < words->count; i++) {
		char *key = need(strdup(words->at[i])), *value = strchr(key, '=');
		if (value)
			*value++ = 0;
		code = nova_config_set(config, key, value ? value : "", error);
		free(key);
	}
	return code;
}

static void set_log(const struct novad *novad)
{
	bool is_given = nova_config_source(novad->config, "log.level") != NOVA_CONFIG_DEFAULT;
	said_by(is_given ? nova_config_get(novad->config, "log.level") : NULL);
	nova_host_set_log(nova_host_get(novad->nova), say_of, NULL, said_up_to());
}

/* Who serves others wants to know what they use, unless told otherwise. */
static int record_usage(nova_config_t *config, nova_error_t **error)
{
	return nova_config_source(config, "usage.record") == NOVA_CONFIG_DEFAULT ?
		       nova_config_set(config, "usage.record", "on", error) :
		       0;
}

/* As other gateways have it. The library does not look at it: programs of Rust that use that mean
 * themselves by it. */
static bool take_rust_log(nova_config_t *config)
{
	char text[200];
	const char *filter = getenv("RUST_LOG");
	if (!filter || nova_config_source(config, "log.level") != NOVA_CONFIG_DEFAULT ||
		nova_config_set(config, "log.level", filter, NULL) == 0)
		return true;
	snprintf(text, sizeof(text),
		"RUST_LOG: '%.64s' is no filter of the log, as info or warn,pool=debug", filter);
	say(NOVA_LOG_ERROR, text);
	return false;
}

static bool open_nova(struct novad *novad)
{
	nova_error_t *error = NULL;
	const struct settings *settings = &novad->settings;
	if (nova_config_new(&novad->config, &error) != 0 ||
		nova_config_load(novad->config, settings->config, &error) != 0 ||
		nova_config_load_env(novad->config, &error) != 0 ||
		set_all(novad->config, &settings->set, &error) != 0 ||
		record_usage(novad->config, &error) != 0)
		return report(error);
	if (!take_rust_log(novad->config))
		return false;
	if (nova_open(novad->config, &novad->nova, &error) != 0)
		return report(error);
	set_log(novad);
	const char *home = nova_host_home(nova_host_get(novad->nova));
	if (asprintf(&novad->directory, "%s/novad", home) < 0)
		need(NULL);
	return true;
}

/* --- what belongs to its place, which is its own by now --- */

static bool open_signing_key(struct novad *novad)
{
	char *path = NULL;
	const char *given = novad->settings.signing_key;
	if (!given && asprintf(&path, "%s/signing.key", novad->directory) < 0)
		need(NULL);
	bool done = signing_key_open(given ? given : path, novad->signing_key, novad->log);
	free(path);
	return done;
}

static bool open_keys(struct novad *novad)
{
	char *path = NULL;
	const char *given = novad->settings.key_file;
	if (novad->settings.no_keys)
		return true;
	if (!given && asprintf(&path, "%s/keys", novad->directory) < 0)
		need(NULL);
	novad->keys = keys_open(given ? given : path, novad->log);
	free(path);
	return novad->keys && open_signing_key(novad);
}

/* --- what Amazon's clients sign with --- */

/* False: it has been said why. */
static bool find_key(const struct novad *novad, const char *name, struct key *ret_key)
{
	nova_error_t *error = NULL;
	const nova_key *stored = NULL;
	const struct key *known = keys_named(novad->keys, name);
	if (known) {
		*ret_key = *known;
		return true;
	}
	if (nova_key_get(novad->nova, name, &stored, &error) != 0)
		return report(error);
	bool over = stored_is_over(stored);
	stored_key_of(ret_key, stored);
	nova_key_free(stored);
	if (over)
		say(NOVA_LOG_ERROR, "this key is not valid any more");
	return !over;
}

static int print_credentials(struct novad *novad)
{
	struct key key;
	char secret[SIGNING_SECRET_MAX];
	mkdir(novad->directory, 0700); /* else the next says what is wrong */
	bool found = open_keys(novad) && find_key(novad, novad->settings.aws_credentials, &key);
	if (found) {
		signing_secret(novad->signing_key, &key, secret);
		printf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key.name,
			key.name, secret);
		explicit_bzero(secret, sizeof(secret));
	}
	nova_close(novad->nova);
	return found ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The front of the server opens last, when what it needs is there. */
static void *open_front(struct loop *loop, struct jobs *jobs, const struct server_opts *opts,
	char *why, size_t size)
{
	struct novad *novad = opts->userdata;
	snprintf(why, size, "not started");
	nova_host_t *host = nova_host_get(novad->nova);
	if (!facts_open(novad->directory, host) || !open_keys(novad) ||
		(novad->settings.e2b && !sandboxes_open(novad->directory, host)) ||
		(novad->settings.tls &&
			!tls_open(&novad->tls, &novad->settings, novad->directory, novad->log)))
		return NULL;
	return http_front.open(loop, jobs, opts, why, size);
}

static void tell_ready(const struct novad *novad)
{
	printf("ready: process id %d", (int)getpid());
	for (size_t i = 0; i < novad->places.count; i++)
		printf(", %s", novad->places.at[i].name);
	if (*novad->tls.fingerprint)
		printf(", certificate sha256 %s", novad->tls.fingerprint);
	putchar('\n');
	fflush(stdout);
	clearerr(stdout); /* who has closed it does not want to know */
	service_notify("READY=1\nSTATUS=Serving functions");
}

static void tell_held(const struct novad *novad)
{
	pid_t pid;
	char *address, text[600];
	const char *home = nova_host_home(nova_host_get(novad->nova));
	if (!place_holder(novad->directory, &pid, &address)) {
		snprintf(text, sizeof(text), "another novad for '%.300s' is starting or stopping",
			home);
	} else {
		snprintf(text, sizeof(text),
			"the novad with process id %d serves '%.300s' already, at %.200s", (int)pid,
			home, address);
		free(address);
	}
	say(NOVA_LOG_ERROR, text);
}

static int serve(struct novad *novad)
{
	struct front front = http_front;
	front.open = open_front;
	const struct server_opts opts = {
		.name = "gateway",
		.nova = novad->nova,
		.directory = novad->directory,
		.front = &front,
		.stop_ms = novad->settings.stop_ms,
		.log = novad->log,
		.userdata = novad,
	};
	novad->server = server_new(&opts);
	enum server_start start = server_start(novad->server);
	if (start == SERVER_HELD)
		tell_held(novad);
	else if (start == SERVER_FAILED)
		say(NOVA_LOG_ERROR, server_why(novad->server));
	if (start == SERVER_READY) {
		tell_ready(novad);
		server_run(novad->server);
	}
	server_free(novad->server);
	places_close(&novad->places);
	if (start == SERVER_READY)
		say(NOVA_LOG_INFO, "stopped");
	return start == SERVER_READY ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct novad novad = { .routes = routes, .log = say };
	if (!settings_read(&novad.settings, argc, argv))
		return 2;
	if (novad.settings.help || novad.settings.version) {
		if (novad.settings.help)
			settings_help();
		else
			printf("novad %s\n", nova_version());
		return EXIT_SUCCESS;
	}
	if (novad.settings.openapi) {
		char *text = openapi_document(routes);
		puts(text);
		free(text);
		return EXIT_SUCCESS;
	}
	if (novad.settings.aws_credentials && novad.settings.no_keys) {
		say(NOVA_LOG_ERROR, "with --no-keys nobody signs anything");
		return 2;
	}
	server_prepare();
	int status = !open_nova(&novad)             ? EXIT_FAILURE :
		     novad.settings.aws_credentials ? print_credentials(&novad) :
						      serve(&novad);
	nova_config_free(novad.config);
	facts_close();
	sandboxes_close();
	keys_free(novad.keys);
	known_free();
	durable_free();
	said_by(NULL);
	tls_free(&novad.tls);
	free(novad.directory);
	return status;
}
