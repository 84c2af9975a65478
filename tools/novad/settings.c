/* SPDX-License-Identifier: MIT */
/* The command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "novad.h"

enum shape { SHAPE_WORDS, SHAPE_TEXT, SHAPE_FLAG, SHAPE_NUMBER, SHAPE_TIME };

struct line {
	const char *name;
	enum shape shape;
	size_t at; /* in struct settings */
	const char *value, *doc;
	uint32_t min, max;
};

#define AT(member) offsetof(struct settings, member)
#define DAY_MS     86400000u

static const struct line lines[] = {
	{ "listen", SHAPE_WORDS, AT(listen), "ADDRESS",
		"ADDRESS:PORT, PORT, [IPV6]:PORT or unix:PATH; several times\n"
		"[127.0.0.1 and FAAS_GATEWAY_PORT, else 8080, with --tls 8443; and\n"
		"novad/socket below the state directory]",
		0, 0 },
	{ "tls", SHAPE_FLAG, AT(tls), NULL,
		"encrypt all TCP addresses, with a certificate made at the first start", 0, 0 },
	{ "tls-cert", SHAPE_TEXT, AT(tls_cert), "FILE", "the certificate, in PEM", 0, 0 },
	{ "tls-key", SHAPE_TEXT, AT(tls_key), "FILE", "its key", 0, 0 },
	{ "insecure", SHAPE_FLAG, AT(insecure), NULL,
		"listen without TLS where other machines can reach it", 0, 0 },
	{ "key-file", SHAPE_TEXT, AT(key_file), "FILE",
		"the keys, one a line: KEY or NAME=KEY [novad/keys, made if missing]", 0, 0 },
	{ "signing-key", SHAPE_TEXT, AT(signing_key), "FILE",
		"what the secrets of Amazon's clients are derived from\n"
		"[novad/signing.key, made if missing]",
		0, 0 },
	{ "no-keys", SHAPE_FLAG, AT(no_keys), NULL, "anybody on this machine may call", 0, 0 },
	{ "host", SHAPE_WORDS, AT(hosts), "NAME",
		"a name besides localhost that loopback is called by; several times", 0, 0 },
	{ "cors", SHAPE_WORDS, AT(origins), "ORIGIN",
		"pages of this origin may call, as https://example.org; several times", 0, 0 },
	{ "e2b", SHAPE_FLAG, AT(e2b), NULL, "serve sandboxes to the E2B SDK, too: docs/novad.md", 0,
		0 },
	{ "access-log", SHAPE_TEXT, AT(access_log), "FILE",
		"a line of JSON for each request; '-' is stderr [none]", 0, 0 },
	{ "max-connections", SHAPE_NUMBER, AT(connections), "N", "at once [16000]", 1, 1000000 },
	{ "max-calls", SHAPE_NUMBER, AT(calls), "N",
		"requests under way at once; more get 503 [1000]", 1, 100000 },
	{ "key-calls", SHAPE_NUMBER, AT(key_calls), "N",
		"of one key; more get 429 [half of --max-calls]", 1, 100000 },
	{ "max-body", SHAPE_NUMBER, AT(body_kb), "KIB", "of a request's body [8192]", 1, 1 << 20 },
	{ "max-bodies", SHAPE_NUMBER, AT(bodies_mb), "MIB",
		"of all bodies that are there at once [256]", 1, 1 << 16 },
	{ "max-sandboxes", SHAPE_NUMBER, AT(sandboxes), "N",
		"of E2B's clients, with those that are paused; more get 429 [10000]", 1, 1000000 },
	{ "key-sandboxes", SHAPE_NUMBER, AT(key_sandboxes), "N",
		"of one key; more get 429 [half of --max-sandboxes]", 1, 1000000 },
	{ "paused-timeout", SHAPE_TIME, AT(paused_ms), "TIME",
		"how long a sandbox may be paused before it is killed [720h]", 1, 45 * DAY_MS },
	{ "head-timeout", SHAPE_TIME, AT(head_ms), "TIME",
		"until the head of a request is there [10s]", 1, DAY_MS },
	{ "body-timeout", SHAPE_TIME, AT(body_ms), "TIME", "until its body is there [60s]", 1,
		DAY_MS },
	{ "idle-timeout", SHAPE_TIME, AT(idle_ms), "TIME",
		"how long a connection may wait for its next request, and for a client to read\n"
		"[60s]",
		1000, DAY_MS },
	{ "resume-timeout", SHAPE_TIME, AT(resume_ms), "TIME",
		"how long an execution goes on when nobody listens to its stream any more, and\n"
		"how long its events are kept when it has ended [60s]",
		1, DAY_MS },
	{ "event-retry", SHAPE_TIME, AT(event_retry_ms), "TIME",
		"after which an asynchronous call of Amazon's clients that has failed is begun\n"
		"again, and after twice that once more; the same of a sandbox that cannot be\n"
		"paused, which is killed after four times [60s]",
		1, DAY_MS },
	{ "job-workers", SHAPE_NUMBER, AT(job_workers), "N",
		"how many jobs that wait in Redis are performed here at once [4]", 0, 200 },
	{ "stop-timeout", SHAPE_TIME, AT(stop_ms), "TIME",
		"how long calls under way may go on when it is stopped [10s]", 1, DAY_MS },
	{ "config", SHAPE_TEXT, AT(config), "FILE", "settings of libnova", 0, 0 },
	{ "set", SHAPE_WORDS, AT(set), "KEY=VALUE", "one of them, as engine=qemu; several times", 0,
		0 },
	{ "aws-credentials", SHAPE_TEXT, AT(aws_credentials), "NAME",
		"print what Amazon's clients sign with as the key of that name", 0, 0 },
	{ "openapi", SHAPE_FLAG, AT(openapi), NULL, "print the OpenAPI document", 0, 0 },
	{ "help", SHAPE_FLAG, AT(help), NULL, "print this", 0, 0 },
	{ "version", SHAPE_FLAG, AT(version), NULL, "print the version", 0, 0 },
};

static bool wrong(const struct line *line, const char *value, const char *why)
{
	fprintf(stderr, "novad: --%s '%s': %s\n", line->name, value, why);
	return false;
}

static bool take_word(const struct line *line, struct words *words, const char *value)
{
	if (words->count == LIST_MAX)
		return wrong(line, value, "given too often");
	words->at[words->count++] = value;
	return true;
}

static uint64_t unit_of(const char *word)
{
	static const struct {
		const char *word;
		uint32_t ms;
	} units[] = { { "ms", 1 }, { "", 1000 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (!strcmp(units[i].word, word))
			return units[i].ms;
	return 0;
}

static bool take_number(const struct line *line, uint32_t *out, const char *value)
{
	char *end, why[80];
	bool is_time = line->shape == SHAPE_TIME;
	uint64_t number = strtoull(value, &end, 10);
	uint64_t unit = is_time ? unit_of(end) : !*end;
	if (*value < '0' || *value > '9' || !unit)
		return wrong(line, value,
			is_time ? "not a time, as 500ms, 10s, 5m" : "not a whole number");
	if (number > line->max / unit || number * unit < line->min) {
		snprintf(why, sizeof(why), "not from %u to %u%s", line->min, line->max,
			is_time ? " milliseconds" : "");
		return wrong(line, value, why);
	}
	*out = (uint32_t)(number * unit);
	return true;
}

static bool take(struct settings *settings, const struct line *line, const char *value)
{
	void *at = (char *)settings + line->at;
	switch (line->shape) {
	case SHAPE_WORDS:
		return take_word(line, at, value);
	case SHAPE_TEXT:
		*(const char **)at = value;
		return true;
	case SHAPE_FLAG:
		*(bool *)at = true;
		return true;
	default:
		return take_number(line, at, value);
	}
}

static bool make_sense(struct settings *settings)
{
	const char *wrong_pair = !settings->tls_cert != !settings->tls_key ?
					 "--tls-cert and --tls-key belong together" :
				 settings->no_keys && settings->key_file ?
					 "--no-keys and --key-file exclude one another" :
					 NULL;
	settings->tls = settings->tls || settings->tls_cert;
	if (!settings->key_calls)
		settings->key_calls = (settings->calls + 1) / 2;
	if (!settings->key_sandboxes)
		settings->key_sandboxes = (settings->sandboxes + 1) / 2;
	if (wrong_pair)
		fprintf(stderr, "novad: %s\n", wrong_pair);
	return !wrong_pair;
}

bool settings_read(struct settings *settings, int argc, char **argv)
{
	struct option options[ARRAY_LEN(lines) + 1] = { 0 };
	int index = 0, found;
	*settings = (struct settings){ .connections = 16000,
		.calls = 1000,
		.body_kb = 8192,
		.bodies_mb = 256,
		.sandboxes = 10000,
		.head_ms = 10000,
		.body_ms = 60000,
		.idle_ms = 60000,
		.resume_ms = 60000,
		.stop_ms = 10000,
		.event_retry_ms = 60000,
		.paused_ms = 30 * DAY_MS,
		.job_workers = 4 };
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		options[i] = (struct option){ lines[i].name,
			lines[i].value ? required_argument : no_argument, NULL, 1 };
	while ((found = getopt_long(argc, argv, "", options, &index)) == 1)
		if (!take(settings, &lines[index], optarg))
			return false;
	if (found != -1)
		return false;
	if (optind < argc) {
		fprintf(stderr, "novad: there is no place for '%s'; see novad --help\n",
			argv[optind]);
		return false;
	}
	return make_sense(settings);
}

void settings_help(void)
{
	puts("usage: novad [OPTION]...\n\nServes functions and code over HTTP: docs/novad.md.\n");
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char name[64];
		const char *at = lines[i].doc, *end;
		snprintf(name, sizeof(name), "--%s%s%s", lines[i].name, lines[i].value ? " " : "",
			lines[i].value ? lines[i].value : "");
		for (; (end = strchr(at, '\n')) != NULL; at = end + 1, *name = 0)
			printf("  %-26s %.*s\n", name, (int)(end - at), at);
		printf("  %-26s %s\n", name, at);
	}
}
