/* SPDX-License-Identifier: MIT */
/*
 * What novad says on stderr: as far as the setting log.level wants it, which may have a level for
 * each module of the library. novad's own is "novad", or as other gateways call it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "novad.h"

#define OWN   "novad"
#define OTHER "faas_gateway" /* and what is below it, behind "::" */

static const char *const words[] = { "none", "error", "warn", "info", "debug" };
static char *filter;

static bool is_other(const char *name, size_t len)
{
	size_t own = strlen(OTHER);
	return !strncmp(name, OTHER, own) && (len == own || (len > own && name[own] == ':'));
}

/* What is said of novad by another name is said of "novad". */
static char *with_own_name(const char *text)
{
	struct bytes own = { 0 };
	for (size_t len; *text; text += len) {
		len = strcspn(text, ",= ");
		if (text[len] == '=' && is_other(text, len))
			bytes_add(&own, OWN, strlen(OWN));
		else
			bytes_add(&own, text, len);
		size_t rest = strspn(text + len, ",= ");
		bytes_add(&own, text + len, rest);
		len += rest;
	}
	return own.data;
}

void said_by(const char *text)
{
	free(filter);
	filter = text ? with_own_name(text) : NULL;
}

static int level_for(const char *module)
{
	return filter ? nova_log_filter_level(filter, module, NOVA_LOG_INFO) : NOVA_LOG_INFO;
}

int said_up_to(void)
{
	return level_for(NULL);
}

void say_of(void *unused, int level, const char *module, const char *text)
{
	(void)unused;
	if (level <= level_for(module))
		fprintf(stderr, OWN ": %s: %s: %s\n", words[level], module, text);
}

void say(int level, const char *text)
{
	if (level <= level_for(OWN))
		fprintf(stderr, OWN ": %s: %s\n", words[level], text);
}
