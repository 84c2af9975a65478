/* SPDX-License-Identifier: MIT */
/* By what an installation is found again. */
#include <errno.h>

#include "deps/internal.h"
#include "hash/hash.h"

#define FILE_MAX (4u << 20)
#define FORMAT   "1" /* another number: nothing that was kept is found any more */

static int put(struct buf *key, const char *text)
{
	return buf_append(key, text, strlen(text) + 1);
}

static int put_file(struct buf *key, const char *path)
{
	AUTO_BUF struct buf content = BUF_INIT(FILE_MAX);
	int r = fs_read_file(path, &content);
	if (r == 0)
		r = buf_append(key, &content.len, sizeof(content.len));
	return r < 0 || !content.len ? r : buf_append(key, content.data, content.len);
}

/* A wheel that was made anew has another time. */
static int put_place(struct buf *key, const char *directory)
{
	char **names;
	int r = put(key, directory), count = r == 0 ? fs_list(directory, &names) : r;
	for (int i = 0; r == 0 && i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		uint64_t about[2] = { 0, 0 };
		if (path)
			fs_stat(path, &about[0], &about[1]);
		r = put(key, names[i]);
		if (r == 0)
			r = buf_append(key, about, sizeof(about));
	}
	if (count > 0)
		strv_free(names, (size_t)count);
	return r;
}

/* Whether a line of requirements leads to a file, or says what a variable says. */
static bool refers(const char *line, size_t len)
{
	static const char *const options[] = { "-r", "-c", "-e", "--requirement", "--constraint",
		"--editable", ".", "/" };
	AUTO_FREE char *text = strndup(line, len);
	const char *at = text ? text + strspn(text, " \t") : "/";
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (str_starts(at, options[i]))
			return true;
	return strstr(at, "${") || strstr(at, "file:") || (strchr(at, '/') && !strstr(at, "://"));
}

static bool file_refers(const char *path)
{
	AUTO_BUF struct buf content = BUF_INIT(FILE_MAX);
	if (fs_read_file(path, &content) < 0)
		return true;
	AUTO_FREE char *text = buf_steal_str(&content);
	for (const char *at = text; at && *at;) {
		size_t len = strcspn(at, "\r\n");
		if (*at != '#' && refers(at, len))
			return true;
		at += len + (at[len] != 0);
	}
	return !text;
}

/* Beside package.json. */
static int put_lock_file(struct buf *key, const char *file)
{
	const char *slash = strrchr(file, '/');
	AUTO_FREE char *path =
		str_format("%.*s/package-lock.json", (int)(slash ? slash - file : 0), file);
	int r = path ? fs_exists(path) : -ENOMEM;
	return r <= 0 ? r : put_file(key, path);
}

int deps_key(const struct deps_want *want, const struct deps_guest *guest, char out[SHA256_HEX],
	nova_error_t **error)
{
	AUTO_BUF struct buf key = BUF_INIT(64u << 20);
	bool npm = !strcmp(want->client, "npm"), place = want->find_links != NULL;
	const char *const texts[] = { FORMAT, want->client, guest->python, guest->platform };
	int r = 0;
	*out = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
		r = put(&key, texts[i]);
	if (r == 0)
		r = put_file(&key, want->file);
	if (r < 0)
		return nova_fail_os(error, r, "requirements: cannot read %s", want->file);
	if (npm)
		r = put_lock_file(&key, want->file);
	else if (place)
		r = put_place(&key, want->find_links);
	if (r == 0 && (npm || !file_refers(want->file)))
		r = sha256_hex(key.data, key.len, out);
	return r < 0 ? nova_fail_os(error, r, "a hash of %s", want->file) : 0;
}
