/* SPDX-License-Identifier: MIT */
/*
 * The door of novactl: what its verbs share. Every verb is one file with one table entry, from
 * which parsing, help and shell completion are made; it uses nothing of libnova but the public
 * headers.
 */
#ifndef NOVACTL_H
#define NOVACTL_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/serve.h"

/* What the process ends with; docs/novactl.1 and `novactl help` tell the same. */
enum exit_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,    /* it could not be done; the function did not run */
	STATUS_USAGE = 2,     /* the command line, or a value in it, is wrong */
	STATUS_FUNCTION = 3,  /* the function ran and failed, or its code cannot be run */
	STATUS_OUTPUT = 4,    /* it was done, but not all of its output could be written */
	STATUS_TIMEOUT = 124, /* the function was killed at its time limit */
	STATUS_UNKNOWN = 125, /* the VM was lost: the function may have run, wholly or in part */
};

/* --- options --- */

struct text_list {
	const char **items;
	size_t count;
};
void text_list_add(struct text_list *list, const char *item);

enum opt_kind {
	OPT_END = 0,
	OPT_FLAG,     /* bool: set to true */
	OPT_COUNT,    /* int: one more each time */
	OPT_TEXT,     /* const char * */
	OPT_LIST,     /* struct text_list: one more each time */
	OPT_NUMBER,   /* uint32_t */
	OPT_SIZE,     /* uint64_t: bytes or a rate; K, M, G behind the number are powers of 1024 */
	OPT_MEMORY,   /* uint32_t, MB: "512", "512M", "0.5G" */
	OPT_DURATION, /* uint32_t, milliseconds: "500ms", "2s", "1m"; a bare number is seconds */
	OPT_LONG_DURATION,   /* uint64_t, the same */
	OPT_FROM_0 = 1 << 8, /* with a kind of numbers: 0 is a value, too */
};

struct opt {
	unsigned kind; /* enum opt_kind */
	char letter;   /* 0: none */
	const char *name;
	const char *arg; /* how help calls the value; NULL for a flag */
	const char *help;
	void *target;
};

struct verb {
	const char *name;  /* one word, or two as in "disk build" */
	const char *alias; /* NULL: none */
	const char *args;  /* operands, as shown in help */
	const char *purpose;
	const char *examples;      /* whole lines */
	const char *notes;         /* whole lines, or NULL */
	const struct opt *options; /* ends with OPT_END; NULL: none */
	/* that are made when they are needed; NULL: none */
	const struct opt *(*more_options)(void);
	int min_args, max_args;
	int own_status; /* for failures of its own, if those of another program come through */
	bool completes_functions; /* operands are names of functions */
	int (*run)(char **args, int count);
};

/* The options that every verb knows. */
struct globals {
	const char *home, *engine, *config, *log_level, *pg_dsn, *redis, *redis_pass;
	const char *redis_db;
	bool json, quiet, no_color, no_daemon, version, help;
	int verbose;
};
extern struct globals globals;
extern const struct opt global_options[];
extern const struct verb *const *verbs; /* ends with NULL */

static inline const struct opt *more_options(const struct verb *verb)
{
	return verb && verb->more_options ? verb->more_options() : NULL;
}

/* --- properties of functions --- */

/* Options for all of them, ends with OPT_END. */
const struct opt *property_options(void);
/* Puts what was given by them in its place; STATUS_USAGE after telling what is wrong. */
int properties_given(const struct verb *verb, nova_function_opts *opts);
/* Adds the names of those that were given as 0, which the options of the library cannot say. */
void properties_zeroed(struct text_list *names);
void properties_show(const nova_function_t *function);
/* When a function is checked, an enum nova_check; -1 after telling what is wrong. */
int check_of(const struct verb *verb, const char *word);

/* Parses the options of a verb (NULL: only the global ones, up to the first operand). Operands are
 * moved to the end of argv; their index comes back. Returns 0, or STATUS_USAGE after telling what
 * is wrong. */
int options_parse(const struct verb *verb, int argc, char **argv, int *ret_first);
/* Whether the command line had the option of this target. */
bool option_given(const void *target);
/* The candidate nearest to a mistyped word, or NULL if none is near. */
const char *nearest_word(const char *word, const char *const *list, size_t count);

/* The verb that the words name, and how many of them did (1 or 2); NULL if none. */
const struct verb *verb_find(char **words, int count, int *ret_used);
void help_general(FILE *out);
void help_verb(FILE *out, const struct verb *verb);
/* All that begin with that word; false: none does. */
bool help_group(FILE *out, const char *word);

/* --- output --- */

/* Tells what is wrong with the command line and returns STATUS_USAGE. */
int usage_error(const struct verb *verb, const char *format, ...) PRINTF_LIKE(2, 3);
/* Tells a failure that the library did not report, and returns STATUS_FAILED. */
int failure(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same for what may have been done all the same; returns STATUS_UNKNOWN. */
int failure_unknown(int code, const char *format, ...) PRINTF_LIKE(2, 3);
/* The library's limit; one byte more is read, so that it can refuse. */
#define PAYLOAD_MAX (6u << 20)
/* The event of a call, which @FILE or - may stand for, as text that the caller frees; NULL after
 * telling why. */
char *payload_read(const char *given, size_t *ret_len, int *ret_status);
#define EVENT_HAS_NUL "the payload is not JSON: it has a NUL byte in it"
/* Tells an error of the library, frees it, and returns the status that belongs to it. */
int report(nova_error_t *error);
/* The same for an error that has come from elsewhere. */
int report_error(int code, int outcome, const char *message);
/* What has become of the function, should its answer be lost on the way out. */
void output_is_of(int outcome);
/* Writes what is buffered for stdout; what fails is remembered for output_end(). */
void output_flush(void);
/* The status in the end: an answer that was not written whole is no success. */
int output_end(const struct verb *verb, int status);
/* The status that belongs to an error. */
int status_of(int code, int outcome);
/* A remark for the person at the terminal; not with --quiet. */
void note(const char *format, ...) PRINTF_LIKE(1, 2);
bool use_color(FILE *out);

/* Of an object; of a member that is missing "" and 0. */
const char *member_text(const json_t *object, const char *key);
json_int_t member_number(const json_t *object, const char *key);

/* As jansson's flags say, but without a newline. The control characters that JSON lets stand in
 * strings are escaped, too: what a guest says must not steer a terminal. */
void print_json_value(const json_t *value, size_t flags);
int print_json(json_t *value); /* takes the reference; STATUS_OK or STATUS_FAILED */
/* JSON text by libnova, indented; its numbers keep every digit. */
void print_json_text(const char *text, size_t len);
/* JSON as it is, which steers no terminal. */
void print_json_line(const char *text);
int print_yaml(const json_t *value);
/* One value as YAML or JSON when asked for: true if it was printed. `format` may be NULL. */
bool print_structured(json_t *value, const char *format, int *ret_status);
/* One line, as are fields and cells: nothing of it steers a terminal, or begins another line. */
void print_line(const char *format, ...) PRINTF_LIKE(1, 2);
/* "Label:      value" with the value in a fixed column. */
void print_field(const char *label, const char *format, ...) PRINTF_LIKE(2, 3);

/* Rows of text under headings, as wide as their longest cell. Cells are copied. */
struct table {
	char **cells;
	size_t columns, count, capacity;
};
void table_begin(struct table *table, size_t columns, const char *const *headings);
void table_cell(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);
/* The day of a time in microseconds since 1970; "-" for 0. */
void table_day(struct table *table, uint64_t us);
void table_end(struct table *table); /* prints and frees */

/* --- input --- */

/* All of a file; NULL or "-": of the standard input. The status, after telling what is wrong. */
int input_whole(struct bytes *to, const char *file);

/* --- progress --- */

/* One line on a terminal that tells what is awaited and since when; nothing elsewhere. */
void progress_start(const char *what);
void progress_say(const char *what); /* another thing is awaited now */
void progress_stop(void);
/* A nova_progress_fn: as the former. */
void progress_told(void *unused, const char *what);
bool progress_is_shown(void);
/* Takes the line away while other text is written to stderr. */
void progress_hide(void);
void progress_unhide(void);

/* --- signals --- */

/* From now on SIGINT and SIGTERM trigger this token (NULL: none could be made), which is for every
 * call that may wait. */
nova_interrupt_t *interruptible(void);
bool interrupted(void);
/* Ends the process by the signal that came, unless all was done in spite of it; else the status. */
int interrupt_end(int status);

/* --- the library --- */

/* Settings from file, environment and command line. *ret_status is STATUS_OK, or what is to be
 * returned with NULL, after telling why. */
nova_config_t *session_config(int *ret_status);
nova_t *session_open(int *ret_status);
/* For verbs that need no functions. */
nova_host_t *session_host(int *ret_status);
/* Sends the library's messages to stderr, as far as --log-level, --verbose or the setting log.level
 * ask for them. */
void session_log(nova_host_t *host, const nova_config_t *config);
/* A message of the tool's own among them. */
/* A nova_log_fn: what is wanted of it goes to stderr. */
void session_log_line(void *unused, int level, const char *module, const char *text);
void session_say(int level, const char *module, const char *format, ...) PRINTF_LIKE(3, 4);

static inline void config_freep(nova_config_t **config)
{
	nova_config_free(*config);
}
static inline void nova_closep(nova_t **nova)
{
	nova_close(*nova);
}
static inline void host_unrefp(nova_host_t **host)
{
	nova_host_unref(*host);
}
static inline void function_freep(nova_function_t **function)
{
	nova_function_free(*function);
}
static inline void result_freep(nova_result_t **result)
{
	nova_result_free(*result);
}

/* What register, get and list show of a function. */
json_t *function_json(const nova_function_t *function); /* new reference */
void function_show(const nova_function_t *function);
/* Registers it, shows it, and says what to type next, before and after its name. */
int function_store(nova_t *nova, nova_function_opts *opts, const char *before, const char *after);

json_t *aliases_json(const nova_alias *const *aliases, size_t count);
void aliases_table(const nova_alias *const *aliases, size_t count);

/* What came of a call. */
struct answer {
	bool ran; /* the next ones are known */
	char *request_id, *failure, *snapshot, *instance;
	bool cold_start;
	uint64_t duration_ms;
	struct bytes output, printed; /* JSON text; what it printed besides */
	struct bytes whole;           /* with --json: the result as one object */
	uint64_t dropped;             /* bytes of a stream */
	int code, outcome;            /* code 0: no error */
	char *message;
};
uint64_t result_ms(const nova_result_t *result); /* how long its call took, rounded */
/* Whether there is more of it than what was printed: what a handler returned. */
bool result_has_answer(const nova_result_t *result);
/* What a function printed besides its output. */
void result_printed(struct bytes *bytes, const nova_result_t *result);
void answer_take(struct answer *answer, const nova_result_t *result, const nova_error_t *error);
void answer_text(struct answer *answer, const json_t *payload); /* a WIRE_TEXT */
void answer_reply(struct answer *answer, const json_t *reply);  /* a WIRE_REPLY */
void answer_lost(struct answer *answer, int pid);
int answer_show(const struct answer *answer, bool streamed); /* returns the status */
void answer_free(struct answer *answer);

/* Snapshots or templates; `none` is said when there is none. All return the status. */
typedef int (*snapshot_list_fn)(
	nova_host_t *host, nova_snapshot_t ***ret_list, size_t *ret_count, nova_error_t **error);
typedef int (*snapshot_prune_fn)(nova_host_t *host, size_t *ret_count, nova_error_t **error);
int snapshots_list(snapshot_list_fn list, const char *none);
int snapshots_prune(snapshot_prune_fn prune, const char *what);
#define LEFT_OUT (-1) /* it was not done, which is no failure */
/* Every name is tried, until a signal comes: `one` tells what became of it, and returns the status
 * or LEFT_OUT. With --json those that were done are printed under `member`. The first failure
 * decides. */
int each_name(char **names, int count, const char *member,
	int (*one)(void *userdata, const char *name), void *userdata);
/* The same with the platform, which is opened for it, as their userdata. */
int each_in_nova(
	char **names, int count, const char *member, int (*one)(void *nova, const char *name));

/* A list of them; NULL: one is no UTF-8. */
json_t *words_json(const char *const *words, size_t count);

/* template.c: what the templates take of the disk, and may take; whether that is within the limit.
 */
bool template_usage(nova_host_t *host, char *ret_text, size_t room);

extern const struct verb verb_register, verb_invoke, verb_run, verb_list, verb_get, verb_delete,
	verb_daemon, verb_daemon_status, verb_daemon_stop, verb_doctor, verb_version, verb_config,
	verb_disk_build, verb_disk_extract, verb_image_kernel, verb_image_check, verb_snapshot_list,
	verb_snapshot_delete, verb_snapshot_merge, verb_snapshot_prune, verb_instance_start,
	verb_instance_list, verb_instance_get, verb_instance_exec, verb_instance_pause,
	verb_instance_resume, verb_instance_snapshot, verb_instance_stats, verb_instance_console,
	verb_instance_stop, verb_template_list, verb_template_build, verb_template_delete,
	verb_template_prepare, verb_template_prune, verb_runtime_add, verb_runtime_list,
	verb_runtime_show, verb_runtime_remove, verb_update, verb_version_publish,
	verb_version_list, verb_version_delete, verb_alias_set, verb_alias_list, verb_alias_delete,
	verb_alias_rollback, verb_apikey_create, verb_apikey_list, verb_apikey_revoke,
	verb_apikey_delete, verb_secret_set, verb_secret_list, verb_secret_delete,
	verb_secret_rotate, verb_secret_key, verb_export, verb_import, verb_completion, verb_help,
	verb_logs, verb_stats, verb_usage, verb_bill, verb_estimate, verb_kv_get, verb_kv_put,
	verb_kv_delete, verb_kv_list, verb_file_get, verb_file_put, verb_file_delete,
	verb_file_list, verb_push, verb_upload, verb_plug, verb_unplug, verb_job_submit,
	verb_job_get, verb_job_list, verb_job_work;

#endif
