/* SPDX-License-Identifier: MIT */
/* The properties of functions, by the library's table: as options of register, and as shown. */
#include "novactl.h"

#define MOST 40

/* What was given for each, 0 or NULL for nothing. */
static union value {
	uint32_t u32; /* OPT_DURATION: in milliseconds, also for a property in seconds */
	uint64_t u64;
	const char *text;
	struct text_list list;
} given[MOST];
static struct opt options[MOST + 1];
static char helps[MOST][320];

static bool is_time(const nova_property *p)
{
	return p->unit == NOVA_UNIT_SECONDS || p->unit == NOVA_UNIT_MILLISECONDS;
}

static enum opt_kind type_of(const nova_property *p)
{
	switch (p->type) {
	case NOVA_PROPERTY_LIST:
		return OPT_LIST;
	case NOVA_PROPERTY_U64:
		return OPT_SIZE;
	case NOVA_PROPERTY_U32:
		return p->unit == NOVA_UNIT_MB ? OPT_MEMORY :
		       is_time(p)              ? OPT_DURATION :
						 OPT_NUMBER;
	default:
		return OPT_TEXT;
	}
}

static bool is_number(const nova_property *p)
{
	return p->type == NOVA_PROPERTY_U32 || p->type == NOVA_PROPERTY_U64;
}

static unsigned kind_of(const nova_property *p)
{
	return type_of(p) | (is_number(p) && !p->least ? OPT_FROM_0 : 0u);
}

/* Of a rate by itself, of which 0 is no limit. */
static bool is_limit(const nova_property *p)
{
	return p->unit == NOVA_UNIT_OPERATIONS || p->unit == NOVA_UNIT_BYTES;
}

static void write_help(const nova_property *p, char *out, size_t size)
{
	unsigned long long least = p->least, most = p->most, standard = p->standard;
	if (p->type == NOVA_PROPERTY_CHOICE)
		snprintf(out, size, "%s [%s]", p->help, p->choices[0]);
	else if (!is_number(p))
		snprintf(out, size, "%s", p->help);
	else if (is_limit(p))
		snprintf(out, size, "%s [0: no limit]", p->help);
	else
		snprintf(out, size, "%s, %llu to %llu [%llu]", p->help, least, most, standard);
}

const struct opt *property_options(void)
{
	const nova_property *p;
	for (size_t i = 0; i < MOST && (p = nova_property_get(i)) != NULL; i++) {
		write_help(p, helps[i], sizeof(helps[i]));
		options[i] = (struct opt){ kind_of(p), *p->letter, p->option, p->value, helps[i],
			&given[i] };
	}
	return options;
}

static void put(const nova_property *p, const union value *value, void *at)
{
	uint32_t time = p->unit == NOVA_UNIT_SECONDS ? value->u32 / 1000 : value->u32;
	switch (type_of(p)) {
	case OPT_LIST:
		memcpy(at, &value->list.items, sizeof(value->list.items));
		memcpy((char *)at + sizeof(value->list.items), &value->list.count,
			sizeof(value->list.count));
		break;
	case OPT_SIZE:
		memcpy(at, &value->u64, sizeof(value->u64));
		break;
	case OPT_TEXT:
		memcpy(at, &value->text, sizeof(value->text));
		break;
	case OPT_DURATION:
		memcpy(at, &time, sizeof(time));
		break;
	default:
		memcpy(at, &value->u32, sizeof(value->u32));
	}
}

int properties_given(const struct verb *verb, nova_function_opts *opts)
{
	const nova_property *p;
	for (size_t i = 0; i < MOST && (p = nova_property_get(i)) != NULL; i++) {
		if (p->unit == NOVA_UNIT_SECONDS && given[i].u32 % 1000)
			return usage_error(verb, "--%s is counted in whole seconds", p->option);
		put(p, &given[i], (char *)opts + p->offset);
	}
	return STATUS_OK;
}

void properties_zeroed(struct text_list *names)
{
	const nova_property *p;
	for (size_t i = 0; i < MOST && (p = nova_property_get(i)) != NULL; i++)
		if (is_number(p) && option_given(&given[i]) && !given[i].u64)
			text_list_add(names, p->name);
}

/* --- shown --- */

static void show_number(const nova_property *p, unsigned long long number)
{
	static const char *const units[] = { [NOVA_UNIT_MB] = "MB",
		[NOVA_UNIT_SECONDS] = "s",
		[NOVA_UNIT_OPERATIONS] = "operations/s",
		[NOVA_UNIT_BYTES] = "bytes/s",
		[NOVA_UNIT_CALLS] = "calls",
		[NOVA_UNIT_MILLISECONDS] = "ms" };
	const char *unit = p->unit < ARRAY_LEN(units) ? units[p->unit] : NULL;
	bool of_rate = p->unit == NOVA_UNIT_CALLS || p->unit == NOVA_UNIT_MILLISECONDS;
	if (number || !(is_limit(p) || of_rate))
		print_field(p->label, unit ? "%llu %s" : "%llu", number, unit);
}

void properties_show(const nova_function_t *f)
{
	const nova_property *p;
	const char *text;
	for (size_t i = 0; (p = nova_property_get(i)) != NULL; i++) {
		if (is_number(p))
			show_number(p, nova_function_number(f, p->name));
		for (size_t at = 0; (text = nova_function_text(f, p->name, at)) != NULL; at++)
			print_field(p->label, "%s", text);
	}
}
