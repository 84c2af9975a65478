/* SPDX-License-Identifier: MIT */
/* Command lines: one getopt_long() run over the options of a verb and the global ones. */
#include <ctype.h>
#include <getopt.h>
#include <limits.h>

#include "novactl.h"

#define MAX_OPTIONS 48
#define FIRST_LONG  256 /* values of long options lie above every letter */

static const void *targets[MAX_OPTIONS]; /* of those that were given */

struct parser {
	const struct opt *specs[MAX_OPTIONS];
	struct option longs[MAX_OPTIONS + 1];
	char letters[2 * MAX_OPTIONS + 3];
	size_t count;
};

static void parser_add(struct parser *parser, const struct opt *options)
{
	for (; options && options->kind != OPT_END && parser->count < MAX_OPTIONS; options++) {
		int value = FIRST_LONG + (int)parser->count;
		parser->specs[parser->count] = options;
		parser->longs[parser->count++] =
			(struct option){ options->name, options->arg != NULL, NULL, value };
		if (!options->letter)
			continue;
		size_t end = strlen(parser->letters);
		parser->letters[end] = options->letter;
		if (options->arg)
			parser->letters[end + 1] = ':';
	}
}

static const struct opt *parser_spec(const struct parser *parser, int value)
{
	if (value >= FIRST_LONG && value - FIRST_LONG < (int)parser->count)
		return parser->specs[value - FIRST_LONG];
	for (size_t i = 0; i < parser->count; i++)
		if (parser->specs[i]->letter == value)
			return parser->specs[i];
	return NULL;
}

/* A number with an optional unit out of a table of names and factors. */
struct unit {
	const char *name;
	uint64_t factor;
};

/* The digits behind a point, as in "0.5G": at most six, in millionths. Returns what follows, or
 * NULL. */
static const char *parse_fraction(const char *text, uint64_t *ret_millionths)
{
	uint64_t weight = 1000000;
	*ret_millionths = 0;
	if (*text != '.')
		return text;
	for (text++; isdigit((unsigned char)*text) && weight > 1; text++) {
		weight /= 10;
		*ret_millionths += (uint64_t)(*text - '0') * weight;
	}
	return weight < 1000000 && !isdigit((unsigned char)*text) ? text : NULL;
}

/* The value has to come out whole. */
static bool parse_scaled(
	const char *text, const struct unit *units, uint64_t maximum, uint64_t *ret)
{
	char *point;
	uint64_t millionths;
	if (!isdigit((unsigned char)*text))
		return false;
	unsigned long long number = strtoull(text, &point, 10); /* ULLONG_MAX: too large */
	const char *end = number == ULLONG_MAX ? NULL : parse_fraction(point, &millionths);
	for (; end && units->name; units++) {
		if (strcmp(units->name, end) != 0)
			continue;
		uint64_t part = millionths * units->factor;
		return part % 1000000 == 0 && !__builtin_mul_overflow(number, units->factor, ret) &&
		       !__builtin_add_overflow(*ret, part / 1000000, ret) && *ret <= maximum;
	}
	return false;
}

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit size_units[] = {
	{ "", 1 },
	{ "K", 1ull << 10 },
	{ "M", 1ull << 20 },
	{ "G", 1ull << 30 },
	{ "KiB", 1ull << 10 },
	{ "MiB", 1ull << 20 },
	{ "GiB", 1ull << 30 },
	{ NULL, 0 },
};
/* Memory is a matter of MB, and a bare number is that. */
static const struct unit memory_units[] = {
	{ "", 1 },
	{ "M", 1 },
	{ "G", 1 << 10 },
	{ "MB", 1 },
	{ "GB", 1 << 10 },
	{ "MiB", 1 },
	{ "GiB", 1 << 10 },
	{ NULL, 0 },
};
static const struct unit time_units[] = {
	{ "", 1000 },
	{ "s", 1000 },
	{ "ms", 1 },
	{ "m", 60000 },
	{ "h", 3600000 },
	{ NULL, 0 },
};

void text_list_add(struct text_list *list, const char *item)
{
	list->items = need(realloc(list->items, (list->count + 1) * sizeof(*list->items)));
	list->items[list->count++] = item;
}

/* Inside, 0 is what was not given. */
static int refuse_0(const struct verb *verb, const struct opt *spec, uint64_t number)
{
	if (number || spec->kind & OPT_FROM_0)
		return 0;
	return usage_error(verb, "--%s cannot be 0; leave it out for its default", spec->name);
}

static int set_number(const struct verb *verb, const struct opt *spec, const char *text)
{
	uint64_t number;
	if (!parse_scaled(text, no_units, UINT32_MAX, &number))
		return usage_error(verb, "--%s: '%s' is not a whole number from 0 to %u",
			spec->name, text, UINT32_MAX);
	*(uint32_t *)spec->target = (uint32_t)number;
	return refuse_0(verb, spec, number);
}

static int set_size(const struct verb *verb, const struct opt *spec, const char *text)
{
	if (!parse_scaled(text, size_units, UINT64_MAX, spec->target))
		return usage_error(verb,
			"--%s: '%s' is not a size such as 1048576, 512K, 16M or 0.5G", spec->name,
			text);
	return refuse_0(verb, spec, *(uint64_t *)spec->target);
}

static int set_memory(const struct verb *verb, const struct opt *spec, const char *text)
{
	uint64_t mb;
	if (!parse_scaled(text, memory_units, UINT32_MAX, &mb))
		return usage_error(verb,
			"--%s: '%s' is not a whole number of MB such as 512, 512M or 0.5G",
			spec->name, text);
	*(uint32_t *)spec->target = (uint32_t)mb;
	return refuse_0(verb, spec, mb);
}

static int set_long_duration(const struct verb *verb, const struct opt *spec, const char *text)
{
	if (!parse_scaled(text, time_units, UINT64_MAX, spec->target))
		return usage_error(verb, "--%s: '%s' is not a time such as 30, 500ms, 90s or 2m",
			spec->name, text);
	return refuse_0(verb, spec, *(uint64_t *)spec->target);
}

static int set_duration(const struct verb *verb, const struct opt *spec, const char *text)
{
	uint64_t ms;
	if (!parse_scaled(text, time_units, UINT32_MAX, &ms))
		return usage_error(verb, "--%s: '%s' is not a time such as 30, 500ms, 90s or 2m",
			spec->name, text);
	*(uint32_t *)spec->target = (uint32_t)ms;
	return refuse_0(verb, spec, ms);
}

static int set_option(const struct verb *verb, const struct opt *spec, const char *text)
{
	switch (spec->kind & ~(unsigned)OPT_FROM_0) {
	case OPT_FLAG:
		*(bool *)spec->target = true;
		return 0;
	case OPT_COUNT:
		++*(int *)spec->target;
		return 0;
	case OPT_TEXT:
		*(const char **)spec->target = text;
		return 0;
	case OPT_LIST:
		text_list_add(spec->target, text);
		return 0;
	case OPT_NUMBER:
		return set_number(verb, spec, text);
	case OPT_SIZE:
		return set_size(verb, spec, text);
	case OPT_MEMORY:
		return set_memory(verb, spec, text);
	case OPT_DURATION:
		return set_duration(verb, spec, text);
	case OPT_LONG_DURATION:
		return set_long_duration(verb, spec, text);
	default:
		return STATUS_USAGE;
	}
}

static void mark_given(const void *target)
{
	size_t i = 0;
	while (i < MAX_OPTIONS - 1 && targets[i] && targets[i] != target)
		i++;
	targets[i] = target;
}

bool option_given(const void *target)
{
	for (size_t i = 0; i < MAX_OPTIONS && targets[i]; i++)
		if (targets[i] == target)
			return true;
	return false;
}

/* "--paylod=x": says so, and which option is near. */
static int unknown_option(const struct verb *verb, const struct parser *parser, const char *word)
{
	char name[64];
	const char *names[MAX_OPTIONS];
	for (size_t i = 0; i < parser->count; i++)
		names[i] = parser->specs[i]->name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	const char *near = nearest_word(name, names, parser->count);
	return near ? usage_error(verb, "there is no option --%s; did you mean --%s?", name, near) :
		      usage_error(verb, "there is no option --%s", name);
}

static int bad_option(const struct verb *verb, const struct parser *parser, const char *word)
{
	const struct opt *spec = parser_spec(parser, optopt);
	if (spec && optopt >= FIRST_LONG)
		return usage_error(verb, "--%s takes no value", spec->name);
	if (optopt)
		return usage_error(verb, "there is no option -%c", optopt);
	return unknown_option(verb, parser, word);
}

int options_parse(const struct verb *verb, int argc, char **argv, int *ret_first)
{
	struct parser parser = { .letters = "" };
	/* '+' stops at the verb; ':' makes a missing value distinguishable from an unknown option.
	 */
	memcpy(parser.letters, verb ? ":" : "+:", verb ? 2 : 3);
	/* The letter of a verb's option goes before that of a global one. */
	parser_add(&parser, verb ? verb->options : NULL);
	parser_add(&parser, more_options(verb));
	parser_add(&parser, global_options);
	optind = 0;
	opterr = 0;
	for (int value;
		(value = getopt_long(argc, argv, parser.letters, parser.longs, NULL)) != -1;) {
		if (value == '?')
			return bad_option(verb, &parser, argv[optind - 1]);
		const struct opt *spec = parser_spec(&parser, value == ':' ? optopt : value);
		if (value == ':')
			return usage_error(verb, "--%s needs a value (%s)", spec->name, spec->arg);
		if (set_option(verb, spec, optarg) != 0)
			return STATUS_USAGE;
		mark_given(spec->target);
	}
	*ret_first = optind;
	return 0;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

/* Insertions, deletions, replacements and swaps of neighbours between two short words. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][65], len = strlen(b);
	if (len > 64 || strlen(a) > 64)
		return SIZE_MAX;
	for (size_t j = 0; j <= len; j++)
		rows[0][j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			row[j] = smallest(above[j] + 1, row[j - 1] + 1,
				above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}
	return rows[strlen(a) % 3][len];
}

const char *nearest_word(const char *word, const char *const *list, size_t count)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3 + 1;
	for (size_t i = 0; i < count; i++) {
		size_t d = list[i] ? distance(word, list[i]) : SIZE_MAX;
		if (d < best_distance) {
			best = list[i];
			best_distance = d;
		}
	}
	return best;
}
