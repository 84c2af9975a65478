/* SPDX-License-Identifier: MIT */
/*
 * Keys, as long as the store has none: a file with a line for each, KEY or NAME=KEY, where KEY is
 * the key itself or "sha256:" and the hash of it; then what it may have, as rate=100/s. Only hashes
 * stay in memory, and what is presented is compared by its hash, in a time that tells nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <nova/rate.h>

#include "novad.h"

#define KEY_MIN   16 /* characters: fewer can be guessed */
#define KEYS_MAX  1000
#define HASHED    "sha256:"
#define LIMIT_MAX 1000000

struct keys {
	char *path;
	log_fn log;
	struct stat seen;
	struct key *at[KEYS_MAX]; /* those that are gone stay, as calls of theirs are under way */
	bool valid[KEYS_MAX];
	size_t count;
};

static void hash(const char *text, size_t len, unsigned char *out)
{
	gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, out);
}

static bool read_hash(const char *text, unsigned char *out)
{
	size_t len = 32;
	gnutls_datum_t hex = { (unsigned char *)(uintptr_t)text, (unsigned)strlen(text) };
	return strlen(text) == 64 && gnutls_hex_decode(&hex, out, &len) == 0 && len == 32;
}

/* --- the file --- */

static struct key *same(struct keys *keys, const struct key *key)
{
	for (size_t i = 0; i < keys->count; i++)
		if (!memcmp(keys->at[i]->hash, key->hash, sizeof(key->hash))) {
			keys->valid[i] = true;
			return keys->at[i];
		}
	return NULL;
}

/* A number and what follows it; 0: it is none. */
static uint32_t number_of(const char *text, char **ret_rest)
{
	unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, ret_rest, 10) : 0;
	return number <= LIMIT_MAX ? (uint32_t)number : 0;
}

/* rate=100/s, 100/m or 100/h; burst=20. False: it is neither. */
static bool take_limit(struct key *key, const char *word)
{
	char *rest = NULL;
	if (!strncmp(word, "burst=", 6)) {
		key->burst = number_of(word + 6, &rest);
		return key->burst && !*rest;
	}
	key->rate = strncmp(word, "rate=", 5) ? 0 : number_of(word + 5, &rest);
	if (!key->rate)
		return false;
	key->period_ms = !strcmp(rest, "/s") ? 1000 :
			 !strcmp(rest, "/m") ? 60000 :
			 !strcmp(rest, "/h") ? 3600000 :
					       0;
	return key->period_ms;
}

static bool take_limits(struct key *key, char *words)
{
	char *word;
	while ((word = strsep(&words, " \t\r\n")) != NULL)
		if (*word && !take_limit(key, word))
			return false;
	if (!key->burst)
		key->burst = key->rate;
	return key->rate || !key->burst;
}

/* Counted by the library, for all hosts where they have a Redis in common. What has nothing to do
 * with the key (no memory) locks nobody out. */
bool key_take(const struct key *key, nova_t *nova, uint64_t *ret_wait_s)
{
	char name[8 + 2 * sizeof(key->hash)] = "apikey:";
	nova_rate_opts opts = NOVA_RATE_OPTS_INIT;
	uint64_t wait_ms = 0;
	if (!key->rate)
		return true;
	hex_of(name + strlen(name), key->hash, sizeof(key->hash));
	opts.name = name;
	opts.rate = key->rate;
	opts.period_ms = key->period_ms;
	opts.burst = key->burst;
	if (nova_rate_take(nova, &opts, &wait_ms, NULL) != NOVA_ELIMIT)
		return true;
	*ret_wait_s = (wait_ms + 999) / 1000;
	return false;
}

static bool add_key(struct keys *keys, const struct key *key)
{
	struct key *known = same(keys, key);
	if (!known && keys->count == KEYS_MAX)
		return false;
	if (!known) {
		keys->at[keys->count] = known = need(calloc(1, sizeof(*known)));
		keys->valid[keys->count++] = true;
		memcpy(known->hash, key->hash, sizeof(key->hash));
	}
	memcpy(known->name, key->name, sizeof(key->name));
	known->rate = key->rate;
	known->period_ms = key->period_ms;
	known->burst = key->burst;
	return true;
}

/* False: it is no key. `keys` NULL: that alone is asked. */
static bool take_line(struct keys *keys, char *line, size_t number)
{
	struct key key = { 0 };
	char *text = line + strspn(line, " \t");
	if (strchr("#\r\n", *text)) /* also the end of the text */
		return true;
	char *rest = text + strcspn(text, " \t\r\n");
	if (*rest)
		*rest++ = 0;
	if (!take_limits(&key, rest))
		return false;
	char *equals = strchr(text, '=');
	snprintf(key.name, sizeof(key.name), "key-%zu", number);
	if (equals) {
		*equals = 0;
		snprintf(key.name, sizeof(key.name), "%s", text);
		text = equals + 1;
	}
	if (!strncmp(text, HASHED, strlen(HASHED))) {
		if (!read_hash(text + strlen(HASHED), key.hash))
			return false;
	} else if (strlen(text) < KEY_MIN) {
		return false;
	} else {
		hash(text, strlen(text), key.hash);
	}
	return !keys || add_key(keys, &key);
}

/* The number of the first line that is no key; 0: all are. */
static size_t take_lines(struct keys *keys, FILE *in)
{
	char *line = NULL;
	size_t capacity = 0, number = 0;
	bool fits = true;
	rewind(in);
	while (fits && getline(&line, &capacity, in) > 0) {
		fits = take_line(keys, line, ++number);
		gnutls_memset(line, 0, capacity);
	}
	free(line);
	return fits ? 0 : number;
}

/* Once to see whether all of it is in order: a broken file changes nothing. */
static bool read_lines(struct keys *keys, FILE *in)
{
	size_t found = 0, broken = take_lines(NULL, in);
	bool fits = !broken;
	if (fits) {
		memset(keys->valid, 0, sizeof(keys->valid));
		broken = take_lines(keys, in);
		fits = !broken;
	}
	if (!fits)
		log_line(keys->log, NOVA_LOG_ERROR,
			"line %zu of '%s' is no key of at least %d characters, alone or with "
			"limits as 'rate=100/s burst=20', or one too many (%d are possible)",
			broken, keys->path, KEY_MIN, KEYS_MAX);
	for (size_t i = 0; fits && i < keys->count; i++)
		found += keys->valid[i];
	if (fits && !found)
		log_line(keys->log, NOVA_LOG_ERROR, "there is no key in '%s'", keys->path);
	return fits && found;
}

static bool read_file(struct keys *keys)
{
	FILE *in = fopen(keys->path, "re");
	bool fits = false;
	if (!in || fstat(fileno(in), &keys->seen) != 0)
		log_line(keys->log, NOVA_LOG_ERROR, "cannot read the keys in '%s': %m", keys->path);
	else if (keys->seen.st_mode & 077)
		log_line(keys->log, NOVA_LOG_ERROR,
			"others may read or write the keys in '%s': chmod 600 changes that",
			keys->path);
	else
		fits = read_lines(keys, in);
	if (in)
		fclose(in);
	return fits;
}

/* One that others need to know makes the file useful at once. */
static bool make_file(const struct keys *keys)
{
	char secret[33], line[64];
	int fd = open(keys->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return access(keys->path, F_OK) == 0;
	random_hex(secret, 16);
	int len = snprintf(line, sizeof(line), "nova_%s\n", secret);
	bool done = write(fd, line, (size_t)len) == len && fsync(fd) == 0;
	close(fd);
	if (done)
		log_line(keys->log, NOVA_LOG_INFO, "made a key: '%s'", keys->path);
	return done;
}

struct keys *keys_open(const char *path, log_fn log)
{
	struct keys *keys = need(calloc(1, sizeof(*keys)));
	keys->path = need(strdup(path));
	keys->log = log;
	if (!make_file(keys))
		log_line(log, NOVA_LOG_ERROR, "cannot make the file of keys '%s': %m", path);
	else if (read_file(keys))
		return keys;
	keys_free(keys);
	return NULL;
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->count; i++)
		free(keys->at[i]);
	free(keys->path);
	free(keys);
}

/* A file that cannot be read changes nothing: who is in the middle of writing it locks out nobody.
 */
void keys_refresh(struct keys *keys)
{
	struct stat now;
	bool valid[KEYS_MAX];
	if (!keys || stat(keys->path, &now) != 0 ||
		(now.st_ino == keys->seen.st_ino && now.st_size == keys->seen.st_size &&
			now.st_ctim.tv_sec == keys->seen.st_ctim.tv_sec && /* also of chmod */
			now.st_ctim.tv_nsec == keys->seen.st_ctim.tv_nsec))
		return;
	memcpy(valid, keys->valid, sizeof(valid));
	if (read_file(keys))
		log_line(keys->log, NOVA_LOG_INFO, "read the keys in '%s' again", keys->path);
	else
		memcpy(keys->valid, valid, sizeof(valid));
}

struct key *keys_find(struct keys *keys, const char *text)
{
	unsigned char given[32];
	struct key *found = NULL;
	hash(text, strlen(text), given);
	for (size_t i = 0; i < keys->count; i++)
		if (gnutls_memcmp(keys->at[i]->hash, given, sizeof(given)) == 0 && keys->valid[i])
			found = keys->at[i];
	return found;
}

struct key *keys_named(struct keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->valid[i] && !strcmp(keys->at[i]->name, name))
			return keys->at[i];
	return NULL;
}
