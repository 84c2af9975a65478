/* SPDX-License-Identifier: MIT */
/* Inside config only: the table of keys, and the check that every value passes. */
#ifndef NOVA_LIB_CONFIG_KEYS_H
#define NOVA_LIB_CONFIG_KEYS_H

#include "config/config.h"

enum key_kind {
	KEY_STRING,
	KEY_PATH,     /* a leading "~/" is expanded */
	KEY_DURATION, /* kept in milliseconds */
	KEY_MEMORY,   /* kept in MB */
	KEY_INTEGER,
	KEY_ENUM,
	KEY_FILTER, /* of log messages */
};

struct config_key {
	const char *key;
	/* the main one first; the systematic name is implied if it is not here */
	const char *variables[4];
	enum key_kind kind;
	const char *value; /* default */
	uint64_t min, max; /* of the number; of a text, its length (max 0: the general limit) */
	const char *choices[6]; /* of what is a number: a word that is 0 */
	const char *description;
};

#define KEY_COUNT 64

/* In the order of docs/configuration.md; ends with a key NULL. */
extern const struct config_key config_keys[KEY_COUNT + 1];

/* The index of a key, or -1. */
int key_find(const char *key);
/* "NOVA_POOL_IDLE_TTL" for "pool.idle_ttl". */
#define KEY_VARIABLE_MAX 64
void key_systematic_variable(const char *key, char out[KEY_VARIABLE_MAX]);
/* The next variable that can set the key, strongest first: start with *turn 0; NULL after the last.
 */
const char *key_next_variable(
	const struct config_key *key, unsigned *turn, char space[KEY_VARIABLE_MAX]);

/* Brings text into the form that is kept, and reads its number. `where` begins the error message;
 * "~/" is $HOME only with `environment`. */
int key_read(const struct config_key *key, const char *where, const char *text, bool environment,
	char **ret_text, uint64_t *ret_number, nova_error_t **error);

/* Duration text to milliseconds. */
bool parse_duration_ms(const char *text, uint64_t *ret_ms);
bool parse_memory_mb(const char *text, uint64_t *ret_mb);
bool parse_u64(const char *text, uint64_t *ret_number);

/* --- the layers --- */

struct value {
	char *text; /* NULL: this layer says nothing */
	uint64_t number;
	const char *variable; /* of the key's own, that it came from; NULL: from none of them */
};

struct layer {
	struct value values[KEY_COUNT];
};

void layer_clear(struct layer *layer);
static inline void layer_value_move(struct value *to, struct value *from)
{
	free(to->text);
	*to = *from;
	*from = (struct value){ 0 };
}

/* Reads a file's text into a layer that is empty. */
int yaml_read_layer(struct layer *layer, const char *origin, const void *text, size_t len,
	bool environment, nova_error_t **error);

#endif
