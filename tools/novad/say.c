/* SPDX-License-Identifier: MIT */
/*
 * What novad says on stderr: by levels, which the variable RUST_LOG may give for each module of the
 * library by itself, as "warn,pool=debug". novad's own is "novad", or as other gateways call it.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "novad.h"

#define RULES_MAX 32
#define OWN       "novad"

static const struct {
	const char *word;
	int level;
} levels[] = {
	{ "none", NOVA_LOG_NONE },
	{ "error", NOVA_LOG_ERROR },
	{ "warn", NOVA_LOG_WARN },
	{ "info", NOVA_LOG_INFO },
	{ "debug", NOVA_LOG_DEBUG },
	{ "off", NOVA_LOG_NONE },
	{ "trace", NOVA_LOG_DEBUG },
};

static struct rule {
	char module[32];
	int level;
} rules[RULES_MAX];
static size_t rules_count;
static int otherwise = NOVA_LOG_INFO;

/* -1: it is none. */
static int level_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (!strcasecmp(levels[i].word, word))
			return levels[i].level;
	return -1;
}

static bool is_own(const char *module)
{
	return !strncmp(module, "faas_gateway", 12) && (!module[12] || module[12] == ':');
}

static bool take_rule(char *text)
{
	char *value = strchr(text, '=');
	int level = level_of(value ? value + 1 : text);
	if (level < 0 || (value && rules_count == RULES_MAX))
		return false;
	if (!value) {
		otherwise = level;
		return true;
	}
	*value = 0;
	struct rule *rule = &rules[rules_count++];
	snprintf(rule->module, sizeof(rule->module), "%s", is_own(text) ? OWN : text);
	rule->level = level;
	return true;
}

bool said_read(const char *text)
{
	bool fits = true;
	char *copy = need(strdup(text)), *rest = copy, *rule;
	while (fits && (rule = strsep(&rest, ", ")) != NULL)
		fits = !*rule || take_rule(rule);
	free(copy);
	return fits;
}

int said_up_to(void)
{
	int most = otherwise;
	for (size_t i = 0; i < rules_count; i++)
		most = rules[i].level > most ? rules[i].level : most;
	return most;
}

static int level_for(const char *module)
{
	for (size_t i = rules_count; i-- > 0;)
		if (!strcmp(rules[i].module, module))
			return rules[i].level;
	return otherwise;
}

void say_of(void *unused, int level, const char *module, const char *text)
{
	(void)unused;
	if (level <= level_for(module))
		fprintf(stderr, OWN ": %s: %s: %s\n", levels[level].word, module, text);
}

void say(int level, const char *text)
{
	if (level <= level_for(OWN))
		fprintf(stderr, OWN ": %s: %s\n", levels[level].word, text);
}
