/* SPDX-License-Identifier: MIT */
/* kv and file: what functions keep between their calls. */
#include <fcntl.h>
#include <nova/kv.h>
#include <unistd.h>

#include "novactl.h"

#define INPUT_MOST (64u << 20) /* the library tells what is too long, and how long it may be */

static struct {
	const char *file, *prefix, *after, *type;
	uint64_t if_version;
	uint64_t ttl_ms;
	uint32_t limit;
	bool new;
} given;

static const struct opt put_options[] = {
	{ OPT_TEXT, 0, "file", "FILE", "read the value from a file [standard input]", &given.file },
	{ OPT_LONG_DURATION, 0, "ttl", "TIME", "after this time the key is gone [it stays]",
		&given.ttl_ms },
	{ OPT_FLAG, 0, "new", NULL, "only if the key is not there", &given.new },
	{ OPT_SIZE, 0, "if-version", "N", "only if it has this version", &given.if_version },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt delete_options[] = {
	{ OPT_SIZE, 0, "if-version", "N", "only if it has this version", &given.if_version },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt list_options[] = {
	{ OPT_TEXT, 0, "prefix", "TEXT", "only those that begin with it", &given.prefix },
	{ OPT_TEXT, 0, "after", "NAME", "those behind this one, the last of the page before",
		&given.after },
	{ OPT_NUMBER, 'n', "limit", "N", "N at most, up to 1000 [100]", &given.limit },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt file_put_options[] = {
	{ OPT_TEXT, 0, "type", "TYPE",
		"its media type, such as image/png "
		"[application/octet-stream]",
		&given.type },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void entry_freep(const nova_kv_entry **entry)
{
	nova_kv_entry_free(*entry);
}

static void file_freep(const nova_file **file)
{
	nova_file_free(*file);
}

/* --- bytes in and out --- */

static int read_all(struct bytes *to, int fd, const char *where)
{
	char piece[16384];
	ssize_t got;
	while ((got = read(fd, piece, sizeof(piece))) > 0 && to->len <= INPUT_MOST)
		bytes_add(to, piece, (size_t)got);
	return got < 0 ? failure("%s: %m", where) : STATUS_OK;
}

int input_whole(struct bytes *to, const char *file)
{
	bool is_stdin = !file || !strcmp(file, "-");
	int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failure("%s: %m", file);
	int status = read_all(to, fd, is_stdin ? "standard input" : file);
	if (!is_stdin)
		close(fd);
	return status;
}

/* A text as it is, and other bytes in hexadecimal digits. */
static void set_content(json_t *object, const void *data, size_t len)
{
	json_t *text = json_stringn(data, len);
	struct bytes hex = { NULL, 0, 0 };
	if (text) {
		json_object_set_new(object, "value", text);
		return;
	}
	bytes_add(&hex, "", 0);
	for (size_t i = 0; i < len; i++) {
		char digits[3];
		snprintf(digits, sizeof(digits), "%02x", ((const unsigned char *)data)[i]);
		bytes_add(&hex, digits, 2);
	}
	json_object_set_new(object, "hex", need(json_stringn(hex.len ? hex.data : "", hex.len)));
	bytes_free(&hex);
}

/* --- keys --- */

static json_t *entry_json(const nova_kv_entry *e)
{
	json_t *object = need(json_pack("{s:s, s:I, s:I, s:I}", "key", e->key, "size",
		(json_int_t)e->value_len, "version", (json_int_t)e->version, "expires_us",
		(json_int_t)e->expires_us));
	if (e->value)
		set_content(object, e->value, e->value_len);
	return object;
}

static int get_run(char **args, int count)
{
	CLEANUP(entry_freep) const nova_kv_entry *entry = NULL;
	nova_error_t *error = NULL;
	int status;
	(void)count;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (nova_kv_get(nova, args[0], args[1], &entry, &error) != 0)
		return report(error);
	if (!print_structured(entry_json(entry), NULL, &status))
		fwrite(entry->value, 1, entry->value_len, stdout);
	return status;
}

static int put(nova_t *nova, char **args, const void *value, size_t len)
{
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	nova_error_t *error = NULL;
	uint64_t version = 0;
	int status = STATUS_OK;
	opts.key = args[1];
	opts.value = value;
	opts.value_len = len;
	opts.ttl_ms = given.ttl_ms;
	opts.if_version = given.if_version;
	opts.flags = given.new ? NOVA_KV_NEW : 0;
	if (nova_kv_put(nova, args[0], &opts, &version, &error) != 0)
		return report(error);
	json_t *json = json_pack("{s:s, s:I}", "key", args[1], "version", (json_int_t)version);
	if (!print_structured(json, NULL, &status))
		note("Put %s, version %llu.", args[1], (unsigned long long)version);
	return status;
}

static int put_run(char **args, int count)
{
	CLEANUP(bytes_free) struct bytes value = { NULL, 0, 0 };
	int status = STATUS_OK;
	if (count > 2 && given.file)
		return usage_error(NULL, "the value is given twice: as an operand, and by --file");
	if (count > 2)
		bytes_add(&value, args[2], strlen(args[2]));
	else
		status = input_whole(&value, given.file);
	if (status != STATUS_OK)
		return status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? put(nova, args, value.data, value.len) : status;
}

struct place {
	nova_t *nova;
	const char *function;
};

static int delete_key(void *userdata, const char *key)
{
	const struct place *at = userdata;
	nova_error_t *error = NULL;
	if (nova_kv_delete(at->nova, at->function, key, given.if_version, &error) != 0)
		return report(error);
	note("Deleted %s.", key);
	return STATUS_OK;
}

static int delete_run(char **args, int count)
{
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	struct place at = { nova, args[0] };
	return nova ? each_name(args + 1, count - 1, "deleted", delete_key, &at) : status;
}

static nova_kv_list_opts page(void)
{
	nova_kv_list_opts opts = NOVA_KV_LIST_OPTS_INIT;
	opts.prefix = given.prefix;
	opts.after = given.after;
	opts.limit = given.limit;
	return opts;
}

/* There may be more behind a page that is full. */
static void note_more(size_t found, const char *last)
{
	if (found && found == (given.limit ? given.limit : 100))
		note("There may be more: --after '%s'.", last);
}

static void entries_table(const nova_kv_entry *const *entries, size_t count)
{
	static const char *const headings[] = { "KEY", "SIZE", "VERSION", "EXPIRES" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		table_cell(&table, "%s", entries[i]->key);
		table_cell(&table, "%zu", entries[i]->value_len);
		table_cell(&table, "%llu", (unsigned long long)entries[i]->version);
		table_day(&table, entries[i]->expires_us);
	}
	table_end(&table);
	note_more(count, count ? entries[count - 1]->key : "");
}

static int list_run(char **args, int count)
{
	const nova_kv_entry **entries = NULL;
	const nova_kv_list_opts opts = page();
	nova_error_t *error = NULL;
	size_t found = 0;
	int status;
	(void)count;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (nova_kv_list(nova, args[0], &opts, &entries, &found, &error) != 0)
		return report(error);
	json_t *array = need(json_array());
	for (size_t i = 0; i < found; i++)
		json_array_append_new(array, entry_json(entries[i]));
	if (!print_structured(array, NULL, &status))
		entries_table(entries, found);
	nova_kv_list_free(entries, found);
	return status;
}

/* --- files --- */

static json_t *file_json(const nova_file *f)
{
	json_t *object = need(json_pack("{s:s, s:s, s:I, s:s, s:I}", "name", f->name, "type",
		f->type, "size", (json_int_t)f->data_len, "sha256", f->sha256, "updated_us",
		(json_int_t)f->updated_us));
	if (f->data)
		set_content(object, f->data, f->data_len);
	return object;
}

static int file_put(nova_t *nova, char **args, const struct bytes *content)
{
	nova_file_put_opts opts = NOVA_FILE_PUT_OPTS_INIT;
	nova_error_t *error = NULL;
	int status = STATUS_OK;
	opts.name = args[1];
	opts.type = given.type;
	opts.data = content->data;
	opts.data_len = content->len;
	if (nova_file_put(nova, args[0], &opts, &error) != 0)
		return report(error);
	if (!print_structured(
		    json_pack("{s:s, s:I}", "name", args[1], "size", (json_int_t)content->len),
		    NULL, &status))
		note("Put %s, %zu bytes.", args[1], content->len);
	return status;
}

static int file_put_run(char **args, int count)
{
	CLEANUP(bytes_free) struct bytes content = { NULL, 0, 0 };
	int status = input_whole(&content, count > 2 ? args[2] : NULL);
	if (status != STATUS_OK)
		return status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? file_put(nova, args, &content) : status;
}

static int file_get_run(char **args, int count)
{
	CLEANUP(file_freep) const nova_file *file = NULL;
	nova_error_t *error = NULL;
	int status;
	(void)count;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (nova_file_get(nova, args[0], args[1], &file, &error) != 0)
		return report(error);
	if (!print_structured(file_json(file), NULL, &status))
		fwrite(file->data, 1, file->data_len, stdout);
	return status;
}

static int delete_file(void *userdata, const char *name)
{
	const struct place *at = userdata;
	nova_error_t *error = NULL;
	if (nova_file_delete(at->nova, at->function, name, &error) != 0)
		return report(error);
	note("Deleted %s.", name);
	return STATUS_OK;
}

static int file_delete_run(char **args, int count)
{
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	struct place at = { nova, args[0] };
	return nova ? each_name(args + 1, count - 1, "deleted", delete_file, &at) : status;
}

static void files_table(const nova_file *const *files, size_t count)
{
	static const char *const headings[] = { "NAME", "TYPE", "SIZE", "SHA-256", "SET" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		table_cell(&table, "%s", files[i]->name);
		table_cell(&table, "%s", files[i]->type);
		table_cell(&table, "%zu", files[i]->data_len);
		table_cell(&table, "%.12s", files[i]->sha256);
		table_day(&table, files[i]->updated_us);
	}
	table_end(&table);
	note_more(count, count ? files[count - 1]->name : "");
}

static int file_list_run(char **args, int count)
{
	const nova_file **files = NULL;
	const nova_kv_list_opts opts = page();
	nova_error_t *error = NULL;
	size_t found = 0;
	int status;
	(void)count;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (nova_file_list(nova, args[0], &opts, &files, &found, &error) != 0)
		return report(error);
	json_t *array = need(json_array());
	for (size_t i = 0; i < found; i++)
		json_array_append_new(array, file_json(files[i]));
	if (!print_structured(array, NULL, &status))
		files_table(files, found);
	nova_file_list_free(files, found);
	return status;
}

/* --- the verbs --- */

const struct verb verb_kv_get = {
	.name = "kv get",
	.args = "FUNCTION KEY",
	.purpose = "Print the value that a function keeps under a key.",
	.examples = "  novactl kv get hello visits\n",
	.notes = "With --json a value that is no text is in \"hex\".\n",
	.completes_functions = true,
	.min_args = 2,
	.max_args = 2,
	.run = get_run,
};

const struct verb verb_kv_put = {
	.name = "kv put",
	.args = "FUNCTION KEY [VALUE]",
	.purpose = "Put a value under a key of a function.",
	.examples = "  novactl kv put hello greeting 'good day'\n"
		    "  novactl kv put hello lock mine --new --ttl 1m\n",
	.options = put_options,
	.completes_functions = true,
	.min_args = 2,
	.max_args = 3,
	.run = put_run,
};

const struct verb verb_kv_delete = {
	.name = "kv delete",
	.args = "FUNCTION KEY...",
	.purpose = "Delete keys of a function.",
	.examples = "  novactl kv delete hello visits\n",
	.options = delete_options,
	.completes_functions = true,
	.min_args = 2,
	.max_args = 1000,
	.run = delete_run,
};

const struct verb verb_kv_list = {
	.name = "kv list",
	.args = "FUNCTION",
	.purpose = "Show the keys of a function, without their values.",
	.examples = "  novactl kv list hello --prefix user/\n",
	.options = list_options,
	.completes_functions = true,
	.min_args = 1,
	.max_args = 1,
	.run = list_run,
};

const struct verb verb_file_get = {
	.name = "file get",
	.args = "FUNCTION NAME",
	.purpose = "Print a file that a function keeps.",
	.examples = "  novactl file get hello logo.png > logo.png\n",
	.notes = "With --json a content that is no text is in \"hex\".\n",
	.completes_functions = true,
	.min_args = 2,
	.max_args = 2,
	.run = file_get_run,
};

const struct verb verb_file_put = {
	.name = "file put",
	.args = "FUNCTION NAME [FILE]",
	.purpose = "Put a file for a function; one of that name is replaced.",
	.examples = "  novactl file put hello logo.png img/logo.png --type image/png\n",
	.notes = "Without FILE, or with '-', the content is what is on the standard input.\n",
	.options = file_put_options,
	.completes_functions = true,
	.min_args = 2,
	.max_args = 3,
	.run = file_put_run,
};

const struct verb verb_file_delete = {
	.name = "file delete",
	.args = "FUNCTION NAME...",
	.purpose = "Delete files of a function.",
	.examples = "  novactl file delete hello logo.png\n",
	.completes_functions = true,
	.min_args = 2,
	.max_args = 1000,
	.run = file_delete_run,
};

const struct verb verb_file_list = {
	.name = "file list",
	.args = "FUNCTION",
	.purpose = "Show the files of a function.",
	.examples = "  novactl file list hello\n",
	.options = list_options,
	.completes_functions = true,
	.min_args = 1,
	.max_args = 1,
	.run = file_list_run,
};
