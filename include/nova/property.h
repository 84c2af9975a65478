/* SPDX-License-Identifier: MIT */
/**
 * @file nova/property.h
 * The properties that a function can have, as a table: for programs that ask for them, check or
 * show them without knowing each by name. The library itself works from this table.
 *
 *     const nova_property *p;
 *     for (size_t i = 0; (p = nova_property_get(i)); i++)
 *             if (p->type == NOVA_PROPERTY_U32 || p->type == NOVA_PROPERTY_U64)
 *                     printf("%s: %llu\n", p->label,
 *                             (unsigned long long)nova_function_number(function, p->name));
 */
#ifndef NOVA_PROPERTY_H
#define NOVA_PROPERTY_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a property is in nova_function_opts. Since 0.1. */
enum nova_property_type {
	NOVA_PROPERTY_U32 = 1,    /**< uint32_t */
	NOVA_PROPERTY_U64 = 2,    /**< uint64_t */
	NOVA_PROPERTY_TEXT = 3,   /**< const char * */
	NOVA_PROPERTY_CHOICE = 4, /**< const char *, one of nova_property.choices */
	/** const char *const *, and behind it a size_t with their number: "NAME=value", each name
	   once */
	NOVA_PROPERTY_LIST = 5,
};

/** What a number counts. Since 0.1. */
enum nova_property_unit {
	NOVA_UNIT_NONE = 0,
	NOVA_UNIT_MB = 1,
	NOVA_UNIT_SECONDS = 2,
	NOVA_UNIT_OPERATIONS = 3, /**< a second */
	NOVA_UNIT_BYTES = 4,      /**< a second */
	NOVA_UNIT_CALLS = 5,      /**< in each `rate_period_ms` */
	NOVA_UNIT_MILLISECONDS = 6,
};

/** In nova_property.flags: a clone may have another value than the VM that it was made from. Since
 * 0.1. */
#define NOVA_PROPERTY_PER_CLONE 1u
/** In nova_property.flags: it tells nothing about VMs and calls, so a function that differs in it
 * alone is the same version, and keeps its VMs. Since 0.1. */
#define NOVA_PROPERTY_BESIDE 2u

/** One property. Later releases add members at its end: `size` tells which there are. Since 0.1. */
typedef struct nova_property {
	size_t size;
	const char *name;  /**< of the member of nova_function_opts, in JSON, SQL and Python */
	uint32_t type;     /**< enum nova_property_type */
	uint32_t unit;     /**< enum nova_property_unit, of a number */
	uint64_t least;    /**< of a number */
	uint64_t most;     /**< of a number; of a list: entries */
	uint64_t standard; /**< the number that 0 stands for */
	/** of a choice; NULL stands for the first; ends with NULL */
	const char *const *choices;
	const char *since; /**< release that brought it */
	/** bits of enum nova_feature that an engine needs for it; 0: every engine has it */
	uint32_t features;
	uint32_t flags;     /**< NOVA_PROPERTY_… */
	const char *label;  /**< what it is called where it is shown */
	const char *option; /**< of `novactl register`, without "--" and any letter */
	const char *letter; /**< its short form; "": it has none */
	const char *value;  /**< what help calls its value */
	/** one or two lines without the range and what 0 or NULL stands for */
	const char *help;
	size_t offset; /**< of the member in nova_function_opts */
} nova_property;

/**
 * A property of functions.
 * @param index from 0 on
 * @return a constant record that lives as long as the library; NULL behind the last. Any thread.
 * Since 0.1.
 */
NOVA_API const nova_property *nova_property_get(size_t index);

#ifdef __cplusplus
}
#endif
#endif
