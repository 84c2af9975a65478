/* SPDX-License-Identifier: MIT */
/* Keys: 64 hexadecimal digits each, in a file or a variable. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/environment.h"
#include "base/lock.h"
#include "base/sys_at.h"
#include "hash/hash.h"
#include "secret/secret.h"

#define DIGITS   (2 * SECRET_KEY)
#define TEXT_MAX 4096u /* of a file */
#define BETWEEN  " \t\r\n,"
#define VARIABLE "NOVA_SECRET_KEY"
#define SETTING  "secret.key_file"

/* --- reading them --- */

static int digit_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				      -1;
}

static bool take_key(const char *text, uint8_t bytes[SECRET_KEY])
{
	for (size_t i = 0; i < SECRET_KEY; i++) {
		int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high * 16 + low);
	}
	return true;
}

/* Tells which key it is, and nothing of it. */
static int identify(struct secret_key *key, nova_error_t **error)
{
	static const char label[] = "nova secret key";
	char digest[SHA256_HEX];
	AUTO_GUARDED uint8_t *text = guarded_alloc(sizeof(label) + SECRET_KEY);
	int code = text ? hash_ready(error) : nova_oom(error);
	if (code < 0)
		return code;
	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), key->bytes, SECRET_KEY);
	int r = sha256_hex(text, sizeof(label) + SECRET_KEY, digest);
	if (r < 0)
		return nova_fail_os(error, r, "hash of a key");
	snprintf(key->id, sizeof(key->id), "%.16s", digest);
	return 0;
}

/* `where` is for errors, which have nothing of the text. */
static int parse(const char *text, const char *where, struct keyring *ring, nova_error_t **error)
{
	int code = 0;
	text += strspn(text, BETWEEN);
	for (; code == 0 && *text; text += strspn(text, BETWEEN)) {
		size_t len = strcspn(text, BETWEEN);
		if (ring->count == KEYS_MOST)
			return nova_fail(
				error, NOVA_ECONFIG, "%s has more than %u keys", where, KEYS_MOST);
		struct secret_key *key = &ring->keys[ring->count];
		if (len != DIGITS || !take_key(text, key->bytes))
			return nova_fail(error, NOVA_ECONFIG,
				"%s: key %u is none: each has %u hexadecimal digits, and there is "
				"white space between them",
				where, ring->count + 1, DIGITS);
		code = identify(key, error);
		ring->count++;
		text += len;
	}
	if (code == 0 && !ring->count)
		return nova_fail(error, NOVA_ECONFIG, "%s has no key for secrets in it", where);
	return code;
}

static int check_file(int fd, const char *file, nova_error_t **error)
{
	struct stat st;
	int r = sys_fstat(fd, &st);
	if (r < 0)
		return nova_fail_os(error, r, "'%s'", file);
	if (!S_ISREG(st.st_mode))
		return nova_fail(error, NOVA_ECONFIG, "'%s' is no file with keys", file);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return nova_fail(error, NOVA_EPERM,
			"others than its owner can use the keys in '%s': chmod 600 '%s'", file,
			file);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return nova_fail(error, NOVA_EPERM,
			"the keys in '%s' are those of another user (%u): they have to be this "
			"user's, or root's",
			file, (unsigned)st.st_uid);
	if (st.st_size > TEXT_MAX)
		return nova_fail(error, NOVA_ECONFIG, "'%s' is too long for a file with keys: %u",
			file, TEXT_MAX);
	return 0;
}

/* Into guarded memory of TEXT_MAX bytes and a NUL. */
static int read_file(const char *file, char **ret_text, nova_error_t **error)
{
	AUTO_FD int fd = sys_open(file, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return nova_fail_os(error, fd, "the file with keys for secrets, '%s'", file);
	AUTO_GUARDED char *text = guarded_alloc(TEXT_MAX + 1);
	int code = text ? check_file(fd, file, error) : nova_oom(error);
	if (code < 0)
		return code;
	size_t len = 0;
	ssize_t got = 1;
	while (got > 0 && len < TEXT_MAX) {
		got = sys_read(fd, text + len, TEXT_MAX - len);
		len += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		return nova_fail_os(error, (int)got, "'%s'", file);
	if (strlen(text) < len)
		return nova_fail(error, NOVA_ECONFIG,
			"'%s' has a NUL in it, and is no file with keys", file);
	*ret_text = STEAL(text);
	return 0;
}

static int read_keys(const char *file, bool environment, struct keyring *ring, nova_error_t **error)
{
	const char *variable = environment ? env_get(VARIABLE) : NULL;
	bool given = variable && *variable;
	AUTO_GUARDED char *text = NULL;
	if (given && *file)
		return nova_fail(error, NOVA_ECONFIG,
			"keys for secrets are given twice, by " VARIABLE " and by the file '%s' "
			"(setting " SETTING "): leave one of them out",
			file);
	if (given)
		return parse(variable, VARIABLE, ring, error);
	if (!*file)
		return nova_fail(error, NOVA_ECONFIG,
			"there is no key for secrets: name the file that has it (setting " SETTING
			"); 'novactl secret key FILE' makes one");
	AUTO_FREE char *where = str_format("'%s'", file);
	int code = where ? read_file(file, &text, error) : nova_oom(error);
	return code < 0 ? code : parse(text, where, ring, error);
}

int keyring_read(
	const char *file, bool environment, struct keyring **ret_ring, nova_error_t **error)
{
	AUTO_KEYRING struct keyring *ring = guarded_alloc(sizeof(*ring));
	int code = ring ? read_keys(file, environment, ring, error) : nova_oom(error);
	if (code == 0)
		*ret_ring = STEAL(ring);
	return code;
}

const struct secret_key *keyring_find(const struct keyring *ring, const char *id)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (!strcmp(ring->keys[i].id, id))
			return &ring->keys[i];
	return NULL;
}

void keyring_tell(const struct keyring *ring, char out[KEYRING_TEXT])
{
	size_t len = 0;
	out[0] = 0;
	for (unsigned i = 0; i < ring->count; i++)
		len += (size_t)snprintf(
			out + len, KEYRING_TEXT - len, "%s%s", i ? ", " : "", ring->keys[i].id);
}

/* --- a new one --- */

/* Its line at the beginning of `text`. The bytes too are nowhere but in guarded memory. */
static int draw(char *text, nova_error_t **error)
{
	static const char hex[] = "0123456789abcdef";
	AUTO_GUARDED uint8_t *bytes = guarded_alloc(SECRET_KEY);
	int r = bytes ? random_bytes(bytes, SECRET_KEY) : -ENOMEM;
	if (r < 0)
		return nova_fail_os(error, r, "random numbers for a key");
	for (size_t i = 0; i < DIGITS; i++)
		text[i] = hex[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
	text[DIGITS] = '\n';
	return 0;
}

static int add(const char *file, nova_error_t **error)
{
	AUTO_GUARDED char *text = guarded_alloc(TEXT_MAX + DIGITS + 2);
	AUTO_GUARDED char *before = NULL;
	AUTO_KEYRING struct keyring *ring = guarded_alloc(sizeof(*ring));
	if (!text || !ring)
		return nova_oom(error);
	int there = fs_exists(file);
	int code = there < 0 ? nova_fail_os(error, there, "'%s'", file) : draw(text, error);
	if (code == 0 && there)
		code = read_file(file, &before, error);
	if (code == 0 && there)
		memcpy(text + DIGITS + 1, before, strlen(before) + 1);
	/* so that nothing is written that could not be read */
	if (code == 0)
		code = parse(text, file, ring, error);
	if (code == 0 && strlen(text) > TEXT_MAX)
		code = nova_fail(error, NOVA_ECONFIG, "'%s' has no room for one more key", file);
	if (code < 0)
		return code;
	int r = fs_write_file(file, text, strlen(text), 0600);
	return r < 0 ? nova_fail_os(error, r, "'%s'", file) : 0;
}

/* What others add meanwhile would be lost. The lock is that of the directory, so that it leaves no
 * file behind. */
static int add_alone(const char *file, nova_error_t **error)
{
	AUTO_FD int directory = fs_open_parent(file);
	int r = directory < 0 ? directory :
				lock_fd_until(directory, deadline_in_ms(LOCK_PATIENCE_MS));
	if (r == -EWOULDBLOCK)
		return nova_fail(error, NOVA_EBUSY,
			"somebody holds a lock of the directory of '%s': try again", file);
	return r < 0 ? nova_fail_os(error, r, "'%s'", file) : add(file, error);
}

/* Of a symbolic link, what it leads to is replaced. */
int keyring_add(const char *file, nova_error_t **error)
{
	struct stat st;
	int there = fs_exists(file);
	if (!there && sys_lstatat(AT_FDCWD, file, &st) == 0)
		return nova_fail(error, NOVA_ENOTFOUND,
			"'%s' is a symbolic link to a file that is not there", file);
	AUTO_FREE char *real = there > 0 ? realpath(file, NULL) : NULL;
	if (there > 0 && !real)
		return nova_fail(error, NOVA_EIO, "nobody can tell where '%s' leads", file);
	return add_alone(real ? real : file, error);
}
