/* SPDX-License-Identifier: MIT */
/*
 * The door of property: what a machine and a function are, as two structs and one table.
 *
 * Each property is a member of a struct here and a row in table.c. Whatever is done to all of them
 * alike (checking, defaults, copying, comparing, keys, JSON, columns of the store, options of
 * novactl, keywords in Python, the table in docs/configuration.md) walks the rows, so that nothing
 * has to name them. Who needs one of them uses the member.
 *
 *     nova_function_opts -> function_config (in the record of the store, lent to what the pool and
 * a VM's start are given) -> machine_config (in the VM, its instants, manifests, and the engine's
 * spec)
 *
 * Texts and lists are owned by the struct that they stand in. Nothing here keeps state.
 */
#ifndef NOVA_LIB_PROPERTY_H
#define NOVA_LIB_PROPERTY_H

#include <nova/property.h>

#include "base/base.h"
#include "json/json.h"

/* "NAME=value", in the order of their bytes once they are sorted. */
struct text_list {
	char **items;
	size_t count;
};

/* What a machine is made of besides the content of its memory: a clone must be made of the same. */
struct machine_config {
	char *rootfs, *code_disk; /* paths; NULL: none. Of a function: NULL */
	uint32_t memory_mb, vcpus;
	uint64_t disk_iops, disk_bandwidth; /* of the code disk, a second; 0: no limit */
	/* bytes a second, into the guest and out of it */
	uint64_t net_rx_bandwidth, net_tx_bandwidth;
	uint32_t network; /* enum net_kind */
};
#define MEMORY_MB_STANDARD 128u

/* Of the template of a command line: entries, and bytes of all, each with one more. */
#define ARGV_MOST 32u
#define ARGV_MAX  (4u << 10)

/* Of a rate, as in nova/rate.h. */
#define RATE_MOST        1000000u
#define RATE_PERIOD_MOST 86400000u

#define IMAGE_BLOB "sha256:" /* begins an image that is a blob; the rest is its hash */

struct function_config {
	struct machine_config machine; /* first: a row's place in one is its place in the other */
	char *runtime;
	char *handler; /* "": none was named */
	/* What a runtime that is not built in was when the function was registered; else "" and
	 * none: the root filesystem, as in struct runtime_record, its warm protocol, and how it is
	 * started. */
	char *image, *protocol;
	struct text_list argv;
	uint32_t timeout_s;
	uint32_t init_timeout_s; /* 0: by timeout_s */
	uint32_t min_replicas;
	uint32_t concurrency;
	/* calls that may begin in a period; 0: no limit, a second, as many as in a period */
	uint32_t rate, rate_period_ms, rate_burst;
	struct text_list env, labels, preopens;
	char *rehearse; /* JSON; "": nothing */
};

struct property {
	nova_property is; /* what everybody may know of it; offset 0: only VMs have it */
	bool of_machine;
	size_t at; /* in struct function_config and, of_machine, in struct machine_config */
	/* in nova_vm_opts, nova_vm_init_opts and nova_instance_opts; 0: it is not there */
	size_t in_vm, in_init, in_instance;
	uint64_t least_of_vm; /* where a machine without a function may have less; 0: not */
	size_t most_bytes;    /* of a list: all entries together, each with one byte more */
	bool ordered;         /* a list whose entries stay where they are, and are no NAME=value */
	const char *json;     /* where it stands in nova_function_to_json(): "limits.vcpus" */
	const char *none;     /* of a text: what is shown for "" */
	/* the version of the store's schema that brought its column; 0: none */
	unsigned schema;
	/* Of texts and lists: what else must be true; NULL: nothing. */
	int (*check)(const struct property *p, const void *value, int code, nova_error_t **error);
	/* Of texts: whether two mean the same; NULL: if they are equal. */
	bool (*same)(const char *a, const char *b);
};

extern const struct property properties[]; /* ends with one without a name */
#define FOR_EACH_PROPERTY(p) for (const struct property *p = properties; p->is.name; p++)
const struct property *property_find(const char *name);

/* --- values (config.c) --- */

void machine_config_done(struct machine_config *config);
void function_config_done(struct function_config *config);
/* Into an empty one. NOVA_ENOMEM: what was copied is there. */
int machine_config_copy(struct machine_config *to, const struct machine_config *from);
int function_config_copy(struct function_config *to, const struct function_config *from);
bool machine_config_same(const struct machine_config *a, const struct machine_config *b);
/* The name of the first in which they differ, or NULL. */
const char *function_config_difference(
	const struct function_config *a, const struct function_config *b);
/* Whether VMs and calls are the same by both. */
bool function_config_same_version(const struct function_config *a, const struct function_config *b);
#define AUTO_FUNCTION_CONFIG CLEANUP(function_config_done)
#define AUTO_MACHINE_CONFIG  CLEANUP(machine_config_done)

/* The value as a number: of a choice, its index. */
uint64_t property_number(const struct property *p, const void *config);
void property_set_number(const struct property *p, void *config, uint64_t number);
char **property_text(const struct property *p, const void *config);
struct text_list *property_list(const struct property *p, const void *config);

/* Puts a copy behind the last. NOVA_ENOMEM. */
int text_list_add(struct text_list *list, const char *text);
void text_list_done(struct text_list *list);
bool text_list_same(const struct text_list *a, const struct text_list *b);

/* --- option structs of the public headers that have properties as members (options.c) --- */

enum property_face {
	IN_REGISTER, /* nova_function_opts */
	IN_VM,       /* nova_vm_opts */
	IN_INIT,     /* nova_vm_init_opts */
	IN_INSTANCE, /* nova_instance_opts */
};
/* Copies what the options say into an empty config, and defaults for what they do not. On failure
 * (NOVA_EINVAL, NOVA_ENOMEM) what was copied is there. */
int properties_import(struct function_config *to, enum property_face face, const void *opts,
	nova_error_t **error);
/* The name of the first of which the options say something, or NULL. */
const char *properties_given(enum property_face face, const void *opts);
/* Those take the place of what the config has; it keeps the others. */
int properties_override(struct function_config *config, enum property_face face, const void *opts,
	nova_error_t **error);

/* Gives a property of functions, by its name in the options, its default again. NOVA_EINVAL: there
 * is none of that name; NOVA_ENOMEM. */
int property_reset(struct function_config *config, const char *name, nova_error_t **error);

/* --- rules (check.c) --- */

/* Fails with `code`, naming the property. */
int machine_config_check(const struct machine_config *config, int code, nova_error_t **error);
int function_config_check(const struct function_config *config, int code, nova_error_t **error);
/* Brings lists into the one order; fails with NOVA_EINVAL if a name comes twice. */
int function_config_sort(struct function_config *config, nova_error_t **error);
/* Labels that functions are looked for by: "key=value", or "key". NOVA_EINVAL, NOVA_ENOMEM. */
int check_wanted_labels(const struct text_list *labels, nova_error_t **error);
/* Whether there is "key=value"; of "key=", also whether there is none of that key. */
bool label_is_there(const struct text_list *labels, const char *label);
/* form.c: what rows of the table refer to */
int check_runtime(const struct property *p, const void *value, int code, nova_error_t **error);
int check_image(const struct property *p, const void *value, int code, nova_error_t **error);
int check_handler(const struct property *p, const void *value, int code, nova_error_t **error);
int check_env(const struct property *p, const void *value, int code, nova_error_t **error);
int check_labels(const struct property *p, const void *value, int code, nova_error_t **error);
int check_preopens(const struct property *p, const void *value, int code, nova_error_t **error);
int check_rehearse(const struct property *p, const void *value, int code, nova_error_t **error);
bool same_handler(const char *a, const char *b);
/* Whether a runtime, or an image, may have this name. */
bool runtime_name_ok(const char *name);
/* The hash of the blob that the root filesystem is; NULL: it is an image of this host. */
const char *image_blob(const char *image);

/* --- text forms (text.c) --- */

/* What is shown of a text or a choice (index 0), or of an entry of a list; NULL: nothing. */
const char *property_shown(const struct property *p, const void *config, size_t index);

/* "name=value" of each, with a NUL: what went into an instant of a machine, but for its files, and
 * of its function, for a hash. -ENOMEM or -EMSGSIZE. */
int machine_config_key(const struct machine_config *config, struct buf *key);
int function_config_key(const struct function_config *config, struct buf *key);
/* A number, a text, or a list as an object. NULL: out of memory. */
json_t *property_json(const struct property *p, const void *config);
/* Adds the members of a function, each where its row says. False: out of memory. */
bool function_config_to_json(const struct function_config *config, json_t *object);
/* Adds the numbers and choices of a machine. False: out of memory. */
bool machine_config_to_json(const struct machine_config *config, json_t *object);
/* Reads them; what is not there has its default. False: something there cannot be a value. */
bool machine_config_from_json(struct machine_config *config, const json_t *object);
/* A list as a JSON array of texts, and back. NULL: out of memory. -EINVAL: not such an array. */
char *text_list_to_json(const struct text_list *list);
int text_list_from_json(struct text_list *list, const char *json, size_t len);

#endif
