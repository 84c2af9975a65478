/* SPDX-License-Identifier: MIT */
/* apikey create, list, revoke and delete. */
#include <time.h>

#include "novactl.h"

static struct {
	const char *tier, *rate;
	uint32_t days, burst;
} given;

static const struct opt create_options[] = {
	{ OPT_TEXT, 0, "tier", "WORD", "what who checks the key goes by [default]", &given.tier },
	{ OPT_NUMBER, 0, "days", "N", "how long it is valid [forever]", &given.days },
	{ OPT_TEXT, 0, "rate", "N/s", "so many calls a second, or N/m, N/h, N/d [no limit]",
		&given.rate },
	{ OPT_NUMBER, 0, "burst", "N", "so many of them at once [as in --rate]", &given.burst },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void key_freep(const nova_key **key)
{
	nova_key_free(*key);
}

static bool is_over(const nova_key *k)
{
	return k->expires_us && k->expires_us / 1000000u <= (uint64_t)time(NULL);
}

static const char *state_of(const nova_key *k)
{
	return k->revoked ? "revoked" : is_over(k) ? "expired" : "valid";
}

static json_t *key_json(const nova_key *k)
{
	return need(json_pack("{s:s, s:s*, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
		k->name, "key", k->text, "prefix", k->prefix, "tier", k->tier, "state", state_of(k),
		"expires_us", (json_int_t)k->expires_us, "created_us", (json_int_t)k->created_us,
		"updated_us", (json_int_t)k->updated_us, "rate", (json_int_t)k->rate, "period_ms",
		(json_int_t)k->period_ms, "burst", (json_int_t)k->burst));
}

/* --- create --- */

/* The key alone on stdout, for a script. */
static int create(nova_t *nova, const nova_key_opts *opts)
{
	CLEANUP(key_freep) const nova_key *key = NULL;
	nova_error_t *error = NULL;
	int status = STATUS_OK;
	if (nova_key_create(nova, opts, &key, &error) != 0)
		return report(error);
	if (!print_structured(key_json(key), NULL, &status)) {
		note("The key of '%s'. It is not kept, and not shown again:", key->name);
		printf("%s\n", key->text);
	}
	return status;
}

/* As "100/s". */
static bool read_rate(const char *text, nova_key_opts *opts)
{
	static const char units[] = "smhd";
	static const uint32_t periods[] = { 1000, 60000, 3600000, 86400000 };
	char *rest = NULL;
	unsigned long rate = *text >= '0' && *text <= '9' ? strtoul(text, &rest, 10) : 0;
	const char *unit = rest && rest[0] == '/' && rest[1] ? strchr(units, rest[1]) : NULL;
	if (!rate || rate > UINT32_MAX || !unit || rest[2])
		return false;
	opts->rate = (uint32_t)rate;
	opts->period_ms = periods[unit - units];
	return true;
}

static int create_run(char **args, int count)
{
	int status;
	nova_key_opts opts = NOVA_KEY_OPTS_INIT;
	(void)count;
	if (given.rate && !read_rate(given.rate, &opts))
		return usage_error(&verb_apikey_create,
			"--rate: '%s' is not like 100/s, 100/m, 100/h or 100/d", given.rate);
	opts.name = args[0];
	opts.tier = given.tier;
	opts.burst = given.burst;
	if (given.days)
		opts.expires_us = ((uint64_t)time(NULL) + given.days * (uint64_t)86400) * 1000000u;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? create(nova, &opts) : status;
}

/* --- list --- */

static void keys_table(const nova_key *const *keys, size_t count)
{
	static const char *const headings[] = { "NAME", "KEY", "TIER", "STATE", "MADE", "UNTIL" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		table_cell(&table, "%s", keys[i]->name);
		table_cell(&table, "%s...", keys[i]->prefix);
		table_cell(&table, "%s", keys[i]->tier);
		table_cell(&table, "%s", state_of(keys[i]));
		table_day(&table, keys[i]->created_us);
		table_day(&table, keys[i]->expires_us);
	}
	table_end(&table);
}

static json_t *keys_json(const nova_key *const *keys, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, key_json(keys[i]));
	return array;
}

static int list_run(char **args, int count)
{
	(void)args, (void)count;
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	const nova_key **keys = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	if (nova_key_list(nova, &keys, &found, &error) != 0)
		return report(error);
	if (!print_structured(keys_json(keys, found), NULL, &status))
		keys_table(keys, found);
	if (!found)
		note("There are no keys.");
	nova_key_list_free(keys, found);
	return status;
}

/* --- revoke and delete --- */

static int revoke_one(void *nova, const char *name)
{
	nova_error_t *error = NULL;
	if (nova_key_revoke(nova, name, &error) != 0)
		return report(error);
	note("Revoked %s.", name);
	return STATUS_OK;
}

static int delete_one(void *nova, const char *name)
{
	nova_error_t *error = NULL;
	if (nova_key_delete(nova, name, &error) != 0)
		return report(error);
	note("Deleted %s.", name);
	return STATUS_OK;
}

static int revoke_run(char **args, int count)
{
	return each_in_nova(args, count, "revoked", revoke_one);
}

static int delete_run(char **args, int count)
{
	return each_in_nova(args, count, "deleted", delete_one);
}

/* --- the verbs --- */

const struct verb verb_apikey_create = {
	.name = "apikey create",
	.args = "NAME",
	.purpose = "Make a key for somebody who calls over a network, and show it once.",
	.examples = "  novactl apikey create ci --days 90 --rate 100/s\n",
	.options = create_options,
	.min_args = 1,
	.max_args = 1,
	.run = create_run,
};

const struct verb verb_apikey_list = {
	.name = "apikey list",
	.args = "",
	.purpose = "Show the keys: whose they are, how they begin, whether they are valid.",
	.examples = "  novactl apikey list\n",
	.run = list_run,
};

const struct verb verb_apikey_revoke = {
	.name = "apikey revoke",
	.args = "NAME...",
	.purpose = "Make keys invalid; they stay in the list.",
	.examples = "  novactl apikey revoke ci\n",
	.min_args = 1,
	.max_args = 1000,
	.run = revoke_run,
};

const struct verb verb_apikey_delete = {
	.name = "apikey delete",
	.args = "NAME...",
	.purpose = "Delete keys, valid or not.",
	.examples = "  novactl apikey delete ci\n",
	.min_args = 1,
	.max_args = 1000,
	.run = delete_run,
};
