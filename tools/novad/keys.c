/* SPDX-License-Identifier: MIT */
/*
 * Keys, as long as the store has none: a file with a line for each, KEY or NAME=KEY, where KEY is
 * the key itself or "sha256:" and the hash of it; then what it may have, as rate=100/s, or admin.
 * Only hashes stay in memory, and what is presented is compared by its hash, in a time that tells
 * nothing. A
 * key without a name is called by a part of its hash, and not by its line, which others change.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "novad.h"

#define KEY_MIN   16 /* characters: fewer can be guessed */
#define KEYS_MAX  1000
#define HASHED    "sha256:"
#define LIMIT_MAX 1000000

static const char no_key[] = "is no key of at least 16 characters, alone or with 'admin' and "
			     "limits as 'rate=100/s burst=20'";

struct keys {
	char *path;
	log_fn log;
	struct stat seen;
	struct key **at; /* those that are gone stay as long as somebody holds them */
	size_t count;
};

/* What a file says. */
struct reading {
	struct key at[KEYS_MAX];
	size_t count;
};

struct key *key_hold(struct key *key)
{
	if (key)
		key->holders++;
	return key;
}

void key_release(struct key *key)
{
	if (key)
		key->holders--;
}

void key_change(struct key *key, const struct key *to)
{
	memcpy(key->name, to->name, sizeof(key->name));
	memcpy(key->hash, to->hash, sizeof(key->hash));
	key->admin = to->admin;
	key->rate = to->rate;
	key->period_ms = to->period_ms;
	key->burst = to->burst;
	key->valid = to->valid;
}

void key_owner(const struct key *key, char owner[OWNER_SIZE])
{
	*owner = 0;
	if (key)
		hex_of(owner, key->hash, sizeof(key->hash));
}

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

/* A number and what follows it; 0: it is none. */
static uint32_t number_of(const char *text, char **ret_rest)
{
	unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, ret_rest, 10) : 0;
	return number <= LIMIT_MAX ? (uint32_t)number : 0;
}

/* admin; rate=100/s, 100/m or 100/h; burst=20. False: it is none of them. */
static bool take_word(struct key *key, const char *word)
{
	char *rest = NULL;
	if (!strcmp(word, "admin")) {
		key->admin = true;
		return true;
	}
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

static bool take_words(struct key *key, char *words)
{
	char *word;
	while ((word = strsep(&words, " \t\r\n")) != NULL)
		if (*word && !take_word(key, word))
			return false;
	if (!key->burst)
		key->burst = key->rate;
	return key->rate || !key->burst;
}

/* NULL, or what is wrong with the line. */
static const char *add_key(struct reading *reading, const struct key *key)
{
	for (size_t i = 0; i < reading->count; i++)
		if (!memcmp(reading->at[i].hash, key->hash, sizeof(key->hash)))
			return "has the key of another line";
		else if (!strcmp(reading->at[i].name, key->name))
			return "has the name of another line: each key needs one of its own";
	if (reading->count == KEYS_MAX)
		return "is one too many: 1000 keys are possible";
	reading->at[reading->count++] = *key;
	return NULL;
}

static void name_key(struct key *key, const char *given)
{
	char hex[65];
	hex_of(hex, key->hash, sizeof(key->hash));
	if (given)
		snprintf(key->name, sizeof(key->name), "%s", given);
	else
		snprintf(key->name, sizeof(key->name), "key-%.12s", hex);
}

/* NULL, or what is wrong with the line. */
static const char *take_line(struct reading *reading, char *line)
{
	struct key key = { .valid = true };
	char *text = line + strspn(line, " \t"), *name = NULL;
	if (strchr("#\r\n", *text)) /* also the end of the text */
		return NULL;
	char *rest = text + strcspn(text, " \t\r\n");
	if (*rest)
		*rest++ = 0;
	if (!take_words(&key, rest))
		return no_key;
	char *equals = strchr(text, '=');
	if (equals) {
		*equals = 0;
		name = text;
		text = equals + 1;
	} else {
		key.admin = true; /* that of who runs this server */
	}
	if (!strncmp(text, HASHED, strlen(HASHED))) {
		if (!read_hash(text + strlen(HASHED), key.hash))
			return no_key;
	} else if (strlen(text) < KEY_MIN) {
		return no_key;
	} else {
		hash(text, strlen(text), key.hash);
	}
	name_key(&key, name);
	return add_key(reading, &key);
}

/* False: it has been logged why. */
static bool read_lines(const struct keys *keys, struct reading *reading, FILE *in)
{
	char *line = NULL;
	const char *wrong = NULL;
	size_t capacity = 0, number = 0;
	while (!wrong && getline(&line, &capacity, in) > 0) {
		number++;
		wrong = take_line(reading, line);
		gnutls_memset(line, 0, capacity);
	}
	free(line);
	if (wrong)
		log_line(keys->log, NOVA_LOG_ERROR, "line %zu of '%s' %s", number, keys->path,
			wrong);
	else if (!reading->count)
		log_line(keys->log, NOVA_LOG_ERROR, "there is no key in '%s'", keys->path);
	return !wrong && reading->count;
}

/* --- from one file to the next --- */

static struct key *with_hash(const struct keys *keys, const unsigned char *hash)
{
	struct key *found = NULL;
	for (size_t i = 0; i < keys->count; i++)
		if (gnutls_memcmp(keys->at[i]->hash, hash, sizeof(keys->at[i]->hash)) == 0)
			found = keys->at[i];
	return found;
}

static void forget_gone(struct keys *keys)
{
	size_t kept = 0;
	for (size_t i = 0; i < keys->count; i++)
		if (keys->at[i]->valid || keys->at[i]->holders)
			keys->at[kept++] = keys->at[i];
		else
			free(keys->at[i]);
	keys->count = kept;
}

/* What is counted of a key goes on, whatever it is called and may have now. */
static void take_over(struct keys *keys, const struct reading *reading)
{
	keys->at = need(realloc(keys->at, (keys->count + reading->count) * sizeof(*keys->at)));
	for (size_t i = 0; i < keys->count; i++)
		keys->at[i]->valid = false;
	for (size_t i = 0; i < reading->count; i++) {
		struct key *known = with_hash(keys, reading->at[i].hash);
		if (!known)
			keys->at[keys->count++] = known = need(calloc(1, sizeof(*known)));
		key_change(known, &reading->at[i]);
	}
	forget_gone(keys);
}

static bool read_file(struct keys *keys)
{
	FILE *in = fopen(keys->path, "re");
	struct reading *reading = need(calloc(1, sizeof(*reading)));
	bool fits = false;
	if (!in || fstat(fileno(in), &keys->seen) != 0)
		log_line(keys->log, NOVA_LOG_ERROR, "cannot read the keys in '%s': %m", keys->path);
	else if (keys->seen.st_mode & 077)
		log_line(keys->log, NOVA_LOG_ERROR,
			"others may read or write the keys in '%s': chmod 600 changes that",
			keys->path);
	else
		fits = read_lines(keys, reading, in);
	if (fits)
		take_over(keys, reading);
	if (in)
		fclose(in);
	free(reading);
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
	free(keys->at);
	free(keys->path);
	free(keys);
}

/* A file that cannot be read changes nothing: who is in the middle of writing it locks out nobody.
 */
void keys_refresh(struct keys *keys)
{
	struct stat now;
	if (!keys || stat(keys->path, &now) != 0 ||
		(now.st_ino == keys->seen.st_ino && now.st_size == keys->seen.st_size &&
			now.st_ctim.tv_sec == keys->seen.st_ctim.tv_sec && /* also of chmod */
			now.st_ctim.tv_nsec == keys->seen.st_ctim.tv_nsec))
		return;
	if (read_file(keys))
		log_line(keys->log, NOVA_LOG_INFO, "read the keys in '%s' again", keys->path);
}

static struct key *valid_one(struct key *key)
{
	return key && key->valid ? key : NULL;
}

struct key *keys_find(struct keys *keys, const char *text)
{
	unsigned char given[32];
	hash(text, strlen(text), given);
	return valid_one(with_hash(keys, given));
}

struct key *keys_hashed(struct keys *keys, const char *hex)
{
	unsigned char given[32];
	return read_hash(hex, given) ? valid_one(with_hash(keys, given)) : NULL;
}

struct key *keys_named(struct keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->at[i]->valid && !strcmp(keys->at[i]->name, name))
			return keys->at[i];
	return NULL;
}
