/* SPDX-License-Identifier: MIT */
/* secret set, list, delete, rotate and key. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "novactl.h"

/* The longest value, a line end, and one byte more: what is longer is told by the library. */
#define VALUE_MAX ((64u << 10) + 3)
#define TYPED_MAX 4095u /* of a longer line a terminal hands out the beginning */
#define PASTE_MS  100   /* what is pasted comes in pieces */

static struct {
	const char *file;
} given;

static const struct opt set_options[] = {
	{ OPT_TEXT, 0, "file", "FILE", "read the value from a file [standard input]", &given.file },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* --- set --- */

/* In no core dump, and wiped when the verb ends. */
struct value {
	char *at;
	size_t len;
};

static void value_done(struct value *value)
{
	if (!value->at)
		return;
	explicit_bzero(value->at, VALUE_MAX);
	munmap(value->at, VALUE_MAX);
}

static int value_new(struct value *value)
{
	void *at =
		mmap(NULL, VALUE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED || madvise(at, VALUE_MAX, MADV_DONTDUMP) < 0)
		return failure("no memory for the value: %m");
	value->at = at;
	return STATUS_OK;
}

static int read_all(struct value *value, int fd, const char *where)
{
	ssize_t got = 1;
	while (got != 0 && value->len < VALUE_MAX) {
		got = read(fd, value->at + value->len, VALUE_MAX - value->len);
		if (got < 0)
			return failure("%s: %m", where);
		value->len += (size_t)got;
	}
	return STATUS_OK;
}

/* The terminal as it was: a signal that ends the verb must not leave it without echo. */
static struct termios shown;

static void show_again(int number)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	signal(number, SIG_DFL);
	raise(number);
}

/* On or off; what the user ignores stays ignored. */
static void show_again_on_signals(bool on)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on ? show_again : SIG_DFL }, before;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(ends[i], &action, NULL);
}

/* Whether there is more than the line that was read, also if that does not end with a line. */
static bool more_was_typed(const struct termios *silent)
{
	struct termios raw = *silent;
	struct pollfd waiting = { STDIN_FILENO, POLLIN, 0 };
	raw.c_lflag &= ~(tcflag_t)ICANON;
	raw.c_cc[VMIN] = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return poll(&waiting, 1, PASTE_MS) > 0;
}

static int check_typed(const struct value *value, bool more)
{
	if (!value->len)
		return failure("no value was typed, and nothing is changed");
	if (value->len > TYPED_MAX)
		return failure("the line is longer than a terminal takes: give the value on the "
			       "standard input, or with --file");
	if (more || value->at[value->len - 1] != '\n')
		return failure("a value that is typed is one whole line: give one of several on "
			       "the standard input, or with --file");
	return STATUS_OK;
}

/* What is typed is not shown, and one line. */
static int read_terminal(struct value *value)
{
	if (tcgetattr(STDIN_FILENO, &shown) < 0)
		return failure("the terminal: %m");
	struct termios silent = shown;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	show_again_on_signals(true);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fprintf(stderr, "Value: ");
	ssize_t got = read(STDIN_FILENO, value->at, VALUE_MAX);
	bool more = got > 0 && more_was_typed(&silent);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown); /* takes away what is waiting */
	show_again_on_signals(false);
	fprintf(stderr, "\n");
	if (got < 0)
		return failure("the terminal cannot be read");
	value->len = (size_t)got;
	return check_typed(value, more);
}

static int read_value(struct value *value)
{
	if (!given.file && isatty(STDIN_FILENO))
		return read_terminal(value);
	int fd = given.file ? open(given.file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (fd < 0)
		return failure("%s: %m", given.file);
	int status = read_all(value, fd, given.file ? given.file : "standard input");
	if (given.file)
		close(fd);
	return status;
}

/* A text that a program or an editor has written ends with a line feed, which is not meant. */
static void cut_line_end(struct value *value)
{
	if (!value->len || value->at[value->len - 1] != '\n')
		return;
	value->len--;
	if (value->len && value->at[value->len - 1] == '\r')
		value->len--;
}

static int set(nova_t *nova, const char *name, const struct value *value)
{
	nova_error_t *error = NULL;
	int status = STATUS_OK;
	if (nova_secret_set(nova, name, value->at, value->len, &error) != 0)
		return report(error);
	if (!print_structured(json_pack("{s:s}", "set", name), NULL, &status))
		note("Set %s.", name);
	return status;
}

static int set_run(char **args, int count)
{
	CLEANUP(value_done) struct value value = { NULL, 0 };
	(void)count;
	int status = value_new(&value);
	if (status == STATUS_OK)
		status = read_value(&value);
	if (status != STATUS_OK)
		return status;
	cut_line_end(&value);
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? set(nova, args[0], &value) : status;
}

/* --- list --- */

static json_t *secret_json(const nova_secret *s)
{
	return need(json_pack("{s:s, s:s, s:I, s:I}", "name", s->name, "key_id", s->key_id,
		"created_us", (json_int_t)s->created_us, "updated_us", (json_int_t)s->updated_us));
}

static json_t *secrets_json(const nova_secret *const *secrets, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, secret_json(secrets[i]));
	return array;
}

static void secrets_table(const nova_secret *const *secrets, size_t count)
{
	static const char *const headings[] = { "NAME", "KEY", "SET" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		table_cell(&table, "%s", secrets[i]->name);
		table_cell(&table, "%s", secrets[i]->key_id);
		table_day(&table, secrets[i]->updated_us);
	}
	table_end(&table);
}

static int list_run(char **args, int count)
{
	(void)args, (void)count;
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	const nova_secret **secrets = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	if (nova_secret_list(nova, &secrets, &found, &error) != 0)
		return report(error);
	if (!print_structured(secrets_json(secrets, found), NULL, &status))
		secrets_table(secrets, found);
	if (!found)
		note("There are no secrets.");
	nova_secret_list_free(secrets, found);
	return status;
}

/* --- delete and rotate --- */

static int delete_one(void *nova, const char *name)
{
	nova_error_t *error = NULL;
	if (nova_secret_delete(nova, name, &error) != 0)
		return report(error);
	note("Deleted %s.", name);
	return STATUS_OK;
}

static int delete_run(char **args, int count)
{
	return each_in_nova(args, count, "deleted", delete_one);
}

static int rotate_run(char **args, int count)
{
	(void)args, (void)count;
	int status;
	size_t done;
	nova_error_t *error = NULL;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (nova_secret_rotate(nova, &done, &error) != 0)
		return report(error);
	if (!print_structured(json_pack("{s:I}", "rotated", (json_int_t)done), NULL, &status))
		note("%zu encrypted with the first key; the others are not needed any more.", done);
	return status;
}

/* --- key --- */

static int key_run(char **args, int count)
{
	int status = STATUS_OK;
	nova_error_t *error = NULL;
	(void)count;
	if (nova_secret_key_create(args[0], &error) != 0)
		return report(error);
	if (!print_structured(json_pack("{s:s}", "file", args[0]), NULL, &status))
		note("A new key is in '%s', before those that were there. Keep a copy apart from "
		     "the "
		     "state directory: without it no secret can be read.\n"
		     "To use it: export NOVA_SECRET_KEY_FILE=FILE, or the setting "
		     "secret.key_file.",
			args[0]);
	return status;
}

/* --- the verbs --- */

const struct verb verb_secret_set = {
	.name = "secret set",
	.args = "NAME",
	.purpose = "Set a secret, new or not, to what is on the standard input.",
	.examples = "  novactl secret set db < password.txt\n"
		    "  novactl register app --code app.py -e 'DB_PASSWORD=$SECRET:db'\n",
	.notes = "A line feed at the end is not part of the value. A key is needed: see 'novactl "
		 "secret key'.\n",
	.options = set_options,
	.min_args = 1,
	.max_args = 1,
	.run = set_run,
};

const struct verb verb_secret_list = {
	.name = "secret list",
	.args = "",
	.purpose = "Show the secrets, without their values: nothing shows those.",
	.examples = "  novactl secret list\n",
	.run = list_run,
};

const struct verb verb_secret_delete = {
	.name = "secret delete",
	.args = "NAME...",
	.purpose = "Delete secrets; functions that name them fail from then on.",
	.examples = "  novactl secret delete db\n",
	.min_args = 1,
	.max_args = 1000,
	.run = delete_run,
};

const struct verb verb_secret_rotate = {
	.name = "secret rotate",
	.args = "",
	.purpose = "Encrypt all secrets with the first key that is given.",
	.examples = "  novactl secret key /etc/nova/secret.key && novactl secret rotate\n",
	.notes = "If it is interrupted, run it again.\n",
	.run = rotate_run,
};

const struct verb verb_secret_key = {
	.name = "secret key",
	.args = "FILE",
	.purpose = "Make a new key for secrets, in front of those that the file has.",
	.examples = "  novactl secret key /etc/nova/secret.key\n",
	.min_args = 1,
	.max_args = 1,
	.run = key_run,
};
