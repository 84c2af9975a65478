/* SPDX-License-Identifier: MIT */
/*
 * The door of store: where functions are remembered.
 *
 * A store is one const table of operations, and in it one table for each kind of thing that it
 * keeps, which is written and read as a whole: functions, their versions and aliases, runtimes,
 * keys. It keeps records and answers questions about them; it decides nothing: versions, times and
 * the meaning of fields are its caller's. A store never sees a VM or a code disk.
 *
 * Every operation may be called from any thread at any time, and several processes may use the same
 * store.
 */
#ifndef NOVA_LIB_STORE_H
#define NOVA_LIB_STORE_H

#include "config/config.h"
#include "property/property.h"

/* Everything that is stored about a function. Texts are owned by the record and never NULL in a
 * whole one. */
struct function_record {
	char *id; /* UUID, stays through replacements */
	char *name;
	char *code_path; /* "" if the code came from memory */
	char *code_hash;
	struct function_config config; /* the lists are sorted */
	uint32_t version;
	uint64_t created_us;
	uint64_t updated_us;
};

#define RECORD_NAME_MAX 64
#define RECORD_PATH_MAX 4096

void record_clear(struct function_record *record); /* frees what it owns; the struct is then zero */
int record_copy(
	struct function_record *to, const struct function_record *from, nova_error_t **error);
/* Checks what a user gives: everything but id, code_hash, version and times. Fails with `code`,
 * naming the field. */
int record_check_fields(const struct function_record *record, int code, nova_error_t **error);
/* Checks all of it. */
int record_check(const struct function_record *record, int code, nova_error_t **error);
#define AUTO_RECORD CLEANUP(record_clear)

/* A runtime that is not built in. As above, but for `rootfs`. */
struct runtime_record {
	char *name;
	char *rootfs;   /* what the root filesystem was copied from; "": it is an image of each host
			 */
	char *image;    /* IMAGE_BLOB and the hash of a blob, or the name of an image */
	char *protocol; /* "none", or the name of a runtime whose interpreter the agent can keep
			   warm */
	struct text_list argv;
	/* what a function has that does not say; 0: as with others */
	uint32_t memory_mb, timeout_s, init_timeout_s;
	uint64_t created_us;
};

void runtime_record_clear(struct runtime_record *record);
void runtime_record_list_free(struct runtime_record *records, size_t count);
int runtime_record_check(const struct runtime_record *record, int code, nova_error_t **error);
#define AUTO_RUNTIME_RECORD CLEANUP(runtime_record_clear)

/* A name for a published version, or for two that share the calls. */
struct alias_record {
	char *id, *name; /* of the function */
	char *alias;
	uint32_t version;
	uint32_t second, weight; /* of 100 calls so many go to the second one; 0: there is none */
	uint64_t created_us, updated_us;
};

void alias_record_clear(struct alias_record *record);
void alias_record_list_free(struct alias_record *records, size_t count);
int alias_record_check(const struct alias_record *record, int code, nova_error_t **error);
#define AUTO_ALIAS_RECORD CLEANUP(alias_record_clear)
/* That is reserved for the function as it is now. */
#define ALIAS_LATEST "latest"

#define KEY_RATE_MOST   1000000u
#define KEY_PERIOD_MOST 86400000u /* a day */
/* A key of somebody who calls a host program: nova/key.h. */
struct key_record {
	char *name;
	char *hash;   /* SHA-256 of the key */
	char *prefix; /* how it begins */
	char *tier;
	uint64_t expires_us, created_us, updated_us; /* the first: 0: never */
	uint32_t rate, period_ms, burst;             /* calls in a period; 0: no limit */
	bool revoked;
};

void key_record_clear(struct key_record *record);
void key_record_list_free(struct key_record *records, size_t count);
/* Into an empty one. */
int key_record_copy(struct key_record *to, const struct key_record *from, nova_error_t **error);
int key_record_check(const struct key_record *record, int code, nova_error_t **error);
#define AUTO_KEY_RECORD CLEANUP(key_record_clear)

/* 1 to 64 letters, digits, '.', '-' and '_', beginning with a letter or digit. */
int word_check(const char *what, const char *text, int code, nova_error_t **error);

/* A value that only who has the key can read: nova/secret.h. */
#define SECRET_KEY_ID     17u /* 16 hexadecimal digits and a NUL */
#define SECRET_NONCE      12u
#define SECRET_TAG        16u
#define SECRET_SEAL       (SECRET_NONCE + SECRET_TAG)
#define SECRET_VALUE_MAX  (64u << 10)
#define SECRET_SEALED_MAX (SECRET_VALUE_MAX + SECRET_SEAL)
struct secret_record {
	char *name;
	char *key_id;
	/* nonce, ciphertext, tag; NULL in what a list gives */
	void *sealed;
	size_t sealed_len;
	uint64_t created_us, updated_us;
};

void secret_record_clear(struct secret_record *record);
void secret_record_list_free(struct secret_record *records, size_t count);
/* Into an empty one; with what is sealed. */
int secret_record_copy(
	struct secret_record *to, const struct secret_record *from, nova_error_t **error);
int secret_record_check(const struct secret_record *record, int code, nova_error_t **error);
#define AUTO_SECRET_RECORD CLEANUP(secret_record_clear)

/* What one call of a function has left. Texts and bytes are owned by a record that was read, and
 * lent to one that is to be written. */
struct call_record {
	uint64_t number; /* later ones have higher numbers; 0: not written yet */
	char *request_id;
	char *function, *id; /* "": code that was run once */
	char *runtime, *instance, *path, *error;
	void *out, *err;
	size_t out_len, err_len;
	uint64_t started_us, duration_us;
	uint64_t input_size, output_size, memory_peak; /* 0: not known */
	uint64_t lost;                                 /* so many before it could not be kept */
	uint32_t version;
	uint32_t code; /* what the call returned, less its sign */
	bool cold, cut;
};

void call_record_clear(struct call_record *record);
void call_record_list_free(struct call_record *records, size_t count);
/* What it counts for against the limit of the log's size. */
uint64_t call_record_size(const struct call_record *record);

/* Which of them. All of it has to fit. */
struct call_filter {
	const char *function;        /* NULL: any; "": code that was run once */
	const char *request_id;      /* NULL: any */
	uint64_t since_us, until_us; /* when it began: not before, and before */
	uint64_t above, below;       /* numbers, without these */
	uint32_t version;            /* 0: any */
	uint32_t code_least, code_most;
	bool oldest_first;
	size_t most;
};

/* What the calls of one function were like. */
struct call_summary {
	char *function;
	uint64_t calls, errors, cold;
	uint64_t median_us, p95_us, p99_us, longest_us;
};
void call_summary_list_free(struct call_summary *summaries, size_t count);

/* What was used within an hour, or a longer time, by one key, of one function, in one mode. Texts
 * are owned by a record that was read, and lent to one that is to be written. */
enum usage_amount {
	USAGE_CALLS,
	USAGE_VCPU_US,
	USAGE_MEMORY_MB_US,
	USAGE_DISK_MB_US,
	USAGE_GPU_US,
	USAGE_EGRESS, /* bytes */
	USAGE_INGRESS,
	USAGE_SNAPSHOT_KB_S,
	USAGE_LOST, /* records of usage that could not be kept */
	USAGE_AMOUNTS,
};
struct usage_record {
	uint64_t hour, month; /* since 1970; since the year 0. Of a sum `hour` is its period. */
	char *key, *function; /* "": nobody, no function of the store */
	uint32_t mode;
	uint64_t amounts[USAGE_AMOUNTS];
};
void usage_record_list_free(struct usage_record *records, size_t count);

enum usage_period {
	USAGE_EVER,
	USAGE_BY_HOUR,
	USAGE_BY_DAY,   /* its first hour */
	USAGE_BY_MONTH, /* as `month` above */
};
/* What is summed up, and by what. */
struct usage_filter {
	uint64_t since_hour, until_hour;
	const char *key, *function; /* NULL: any */
	enum usage_period period;
	bool by_key, by_function, by_mode;
	const struct usage_record *after; /* the sums behind this one; NULL: all */
	size_t most;
};

/* What a function keeps under a key. Texts and bytes are owned by a record that was read, and lent
 * to one that is to be written. */
struct kv_record {
	char *key;
	void *value; /* NULL in what a list gives */
	size_t len;
	/* about when it was put, in microseconds; each change makes it higher, and no key of the
	 * function has it twice */
	uint64_t version;
	uint64_t expires_us; /* 0: never */
};
#define KV_KEY_MAX     512u
#define KV_NAME_MAX    255u
#define KV_TYPE_MAX    127u
#define KV_VALUE_MAX   (1u << 20) /* of the settings that limit a value and a file: what one */
#define KV_FILE_MAX    (4u << 20) /* message to a guest can hold */
#define KV_VERSION_MAX ((UINT64_C(1) << 53) - 1)
/* 1 to `most` bytes of UTF-8 without control characters. */
int kv_text_check(const char *what, const char *text, size_t most, int code, nova_error_t **error);
bool kv_is_type(const char *type); /* of a file; it may become a line of a header */
/* What may be in a store, whatever the settings say. */
int kv_record_check(const struct kv_record *record, int code, nova_error_t **error);
void kv_record_clear(struct kv_record *record);
void kv_record_list_free(struct kv_record *records, size_t count);
#define AUTO_KV_RECORD CLEANUP(kv_record_clear)

/* A file of a function. Equal contents of one function are kept once. */
struct file_record {
	char *name, *type;
	char *hash; /* SHA-256 of the content */
	void *data; /* NULL in what a list gives */
	size_t len;
	uint64_t updated_us;
};
int file_record_check(const struct file_record *record, int code, nova_error_t **error);
void file_record_clear(struct file_record *record);
void file_record_list_free(struct file_record *records, size_t count);
#define AUTO_FILE_RECORD CLEANUP(file_record_clear)

struct store {
	const struct store_ops *ops;
};

/* What passes has all of these labels ("key=value", or "key"), and a name behind `after` (NULL:
 * any), which is UTF-8. */
struct function_filter {
	const struct text_list *labels; /* NULL: none are wanted */
	const char *after;
	size_t most; /* as many records; 0: all */
};

struct function_ops {
	/*
	 * Writes a record atomically; when it returns 0 the record survives a crash. `replaces` 0:
	 * the name must be free, else NOVA_EEXIST. Otherwise the stored record of that name must
	 * have the same id and `replaces` as its updated_us, which each change makes another one,
	 * else NOVA_EBUSY: somebody else was faster, look again. On failure nothing has changed.
	 */
	int (*put)(struct store *store, const struct function_record *record, uint64_t replaces,
		nova_error_t **error);

	/* Fills an empty record. NOVA_ENOTFOUND; NOVA_ECORRUPT if what is stored is no valid
	 * record. */
	int (*get)(struct store *store, const char *name, struct function_record *ret_record,
		nova_error_t **error);

	/* The records that pass (NULL: every record), by name (bytewise). Free with
	 * record_list_free(). None: NULL and 0. */
	int (*list)(struct store *store, const struct function_filter *filter,
		struct function_record **ret_records, size_t *ret_count, nova_error_t **error);

	/* At most `max` names, of those of a runtime or (NULL) of all; the list ends with NULL.
	 * Free with strv_free(). */
	int (*names)(struct store *store, const char *runtime, size_t max, char ***ret_names,
		size_t *ret_count, nova_error_t **error);

	/* NOVA_ENOTFOUND if there is none of that name; NOVA_EBUSY if it has published versions,
	 * and these are to stay, or if it is not of the moment `if_updated_us`, unless that is 0.
	 * Aliases go with them. */
	int (*remove)(struct store *store, const char *name, bool with_versions,
		uint64_t if_updated_us, nova_error_t **error);
};

/* Published versions: copies of records that never change. */
struct version_ops {
	/* Of the stored record with that id and version. It is there already: nothing changes.
	 * NOVA_EBUSY: the function is at another version, or gone. */
	int (*publish)(
		struct store *store, const struct function_record *record, nova_error_t **error);
	/* As of functions. */
	int (*get)(struct store *store, const char *name, uint32_t version,
		struct function_record *ret_record, nova_error_t **error);
	/* By number; none: NULL and 0. */
	int (*list)(struct store *store, const char *name, struct function_record **ret_records,
		size_t *ret_count, nova_error_t **error);
	int (*has)(struct store *store, const char *id, uint32_t version, bool *ret_has,
		nova_error_t **error);
	/* NOVA_EBUSY if an alias points at it, unless `from_aliases`: those for which it is the
	 * first go with it, others lose it. */
	int (*remove)(struct store *store, const char *name, uint32_t version, bool from_aliases,
		nova_error_t **error);
};

struct alias_ops {
	/* What there is of that name is replaced, but for created_us. NOVA_EBUSY: a version is not
	 * there. */
	int (*put)(struct store *store, const struct alias_record *record, nova_error_t **error);
	int (*get)(struct store *store, const char *name, const char *alias,
		struct alias_record *ret_record, nova_error_t **error);
	/* By name; none: NULL and 0. */
	int (*list)(struct store *store, const char *name, struct alias_record **ret_records,
		size_t *ret_count, nova_error_t **error);
	int (*remove)(
		struct store *store, const char *name, const char *alias, nova_error_t **error);
};

struct runtime_ops {
	/* As of functions. `replaces`: one of that name may be there, whose place it takes; else
	 * NOVA_EEXIST. */
	int (*put)(struct store *store, const struct runtime_record *record, bool replaces,
		nova_error_t **error);
	int (*get)(struct store *store, const char *name, struct runtime_record *ret_record,
		nova_error_t **error);
	/* By name. Free with runtime_record_list_free(). None: NULL and 0. */
	int (*list)(struct store *store, struct runtime_record **ret_records, size_t *ret_count,
		nova_error_t **error);
	int (*remove)(struct store *store, const char *name, nova_error_t **error);
};

struct key_ops {
	/* NOVA_EEXIST: there is one of that name. */
	int (*put)(struct store *store, const struct key_record *record, nova_error_t **error);
	/* As of functions. */
	int (*get)(struct store *store, const char *name, struct key_record *ret_record,
		nova_error_t **error);
	/* The one with that hash. NOVA_ENOTFOUND. */
	int (*find)(struct store *store, const char *hash, struct key_record *ret_record,
		nova_error_t **error);
	/* By name; none: NULL and 0. */
	int (*list)(struct store *store, struct key_record **ret_records, size_t *ret_count,
		nova_error_t **error);
	/* One that was revoked before stays as it is. NOVA_ENOTFOUND. */
	int (*revoke)(struct store *store, const char *name, uint64_t now_us, nova_error_t **error);
	int (*remove)(struct store *store, const char *name, nova_error_t **error);
};

struct secret_ops {
	/* What there is of that name is replaced, but for created_us. */
	int (*put)(struct store *store, const struct secret_record *record, nova_error_t **error);
	/* As of functions. */
	int (*get)(struct store *store, const char *name, struct secret_record *ret_record,
		nova_error_t **error);
	/* By name, without what is sealed; none: NULL and 0. */
	int (*list)(struct store *store, struct secret_record **ret_records, size_t *ret_count,
		nova_error_t **error);
	/* The same value with another key. NOVA_EBUSY: it is not what `before` has any more. */
	int (*reseal)(struct store *store, const struct secret_record *record,
		const struct secret_record *before, nova_error_t **error);
	int (*remove)(struct store *store, const char *name, nova_error_t **error);
};

/* Content that is known by its SHA-256, for hosts that share a store: files of functions, in
 * pieces, of which one is in memory at a time. */
struct content_ops {
	/* 1, 0, or a code. It is then kept for an hour, whoever needs it. */
	int (*has)(struct store *store, const char *hash, nova_error_t **error);
	/* Takes the whole file, unless it is there. It is kept for an hour, and as long as it is
	 * needed. */
	int (*put)(struct store *store, const char *hash, int fd, nova_error_t **error);
	/* Writes it into a new file; what it does not write to is zero. NOVA_ENOTFOUND. */
	int (*get)(struct store *store, const char *hash, int fd, nova_error_t **error);
	/* Removes what neither function nor runtime needs, and nobody has put or asked for within
	 * an hour: whoever registers on another host now has done either. */
	int (*sweep)(struct store *store, nova_error_t **error);
};

/* The log of calls. Who writes waits for others who do, so that numbers are in the order in which
 * records can be seen. */
struct call_ops {
	/* All of them, or none. NOVA_EINVAL: one of them is refused, and would be again. */
	int (*append)(struct store *store, const struct call_record *const *records, size_t count,
		nova_error_t **error);
	/* Free with call_record_list_free(). None: NULL and 0. */
	int (*list)(struct store *store, const struct call_filter *filter,
		struct call_record **ret_records, size_t *ret_count, nova_error_t **error);
	/* By function, of one or (NULL) of all. Free with call_summary_list_free(). */
	int (*summarize)(struct store *store, const char *function, uint64_t since_us,
		uint64_t until_us, struct call_summary **ret_summaries, size_t *ret_count,
		nova_error_t **error);
	/* Removes some of the oldest: of those that began before, or are not among the last
	 * `most` bytes. As long as there are more, *ret_count is not 0. */
	int (*trim)(struct store *store, uint64_t before_us, uint64_t most, uint64_t *ret_count,
		nova_error_t **error);
};

/* Sums of what was used. */
struct usage_ops {
	/* How far something has been read; 0: it is not known. */
	int (*place)(
		struct store *store, const char *name, uint64_t *ret_place, nova_error_t **error);
	/* Adds the records, no two of the same hour, key, function and mode, and moves the place
	 * from there to there: both, or neither. *ret_done false: it was not there any more, and
	 * nothing has changed. */
	int (*fold)(struct store *store, const char *name, uint64_t from, uint64_t to,
		const struct usage_record *records, size_t count, bool *ret_done,
		nova_error_t **error);
	/* There will be no more of it: its place is behind everything until trim(). */
	int (*forget)(struct store *store, const char *name, uint64_t hour, nova_error_t **error);
	/* In the order of period, key, function, mode. Free with usage_record_list_free(). None:
	 * NULL and 0. */
	int (*list)(struct store *store, const struct usage_filter *filter,
		struct usage_record **ret_records, size_t *ret_count, nova_error_t **error);
	/* Removes the records of earlier hours, and what was forgotten before. */
	int (*trim)(struct store *store, uint64_t before_hour, uint64_t forgotten_hour,
		nova_error_t **error);
};

/* How many a function may have, and bytes of values and files together. */
struct kv_limits {
	uint64_t most, total;
};

/* On what an entry is put. */
struct kv_condition {
	uint64_t version; /* there is one with it; 0: whatever there is */
	bool absent;      /* there is none */
	uint64_t now_us;  /* what expires by then is not there */
};

struct kv_page {
	const char *prefix, *after; /* behind `after`, in the order of bytes; "": all */
	uint64_t now_us;
	size_t most;
};

/* What functions keep between their calls. `space` is the id of a function. */
struct kv_ops {
	/* Fills an empty record. NOVA_ENOTFOUND. */
	int (*get)(struct store *store, const char *space, const char *key, uint64_t now_us,
		struct kv_record *ret_record, nova_error_t **error);
	/* record->version is not looked at. NOVA_EBUSY: it has another version, or is not there;
	 * NOVA_EEXIST: it is there; NOVA_ELIMIT. */
	int (*put)(struct store *store, const char *space, const struct kv_record *record,
		const struct kv_condition *condition, const struct kv_limits *limits,
		uint64_t *ret_version, nova_error_t **error);
	/* NOVA_ENOTFOUND; NOVA_EBUSY: it has another version. */
	int (*remove)(struct store *store, const char *space, const char *key,
		const struct kv_condition *condition, nova_error_t **error);
	/* Free with kv_record_list_free(). None: NULL and 0. */
	int (*list)(struct store *store, const char *space, const struct kv_page *page,
		struct kv_record **ret_records, size_t *ret_count, nova_error_t **error);

	/* As above. A file of that name is replaced. */
	int (*get_file)(struct store *store, const char *space, const char *name,
		struct file_record *ret_record, nova_error_t **error);
	int (*put_file)(struct store *store, const char *space, const struct file_record *record,
		const struct kv_limits *limits, nova_error_t **error);
	int (*remove_file)(
		struct store *store, const char *space, const char *name, nova_error_t **error);
	int (*list_files)(struct store *store, const char *space, const struct kv_page *page,
		struct file_record **ret_records, size_t *ret_count, nova_error_t **error);

	/* Removes all of a function. */
	int (*clear)(struct store *store, const char *space, nova_error_t **error);
	/* Removes some of what has expired; *ret_next_us: when the next one expires, or has
	 * expired, 0: none. */
	int (*sweep)(
		struct store *store, uint64_t now_us, uint64_t *ret_next_us, nova_error_t **error);
	/* The functions that have, or had, something. Free with strv_free(). */
	int (*spaces)(
		struct store *store, char ***ret_spaces, size_t *ret_count, nova_error_t **error);
};

/* Rows to and from an archive: of functions and all that belongs to them, or of what functions
 * keep. A row is an object of columns: numbers, texts, and {"hex": "…"}. */
struct transfer_source {
	/* Of its rows, which is not newer than this one: what has come since has its default. */
	int64_t schema;
	bool merges;    /* what is there stays */
	bool rehearses; /* nothing is added: it is only seen whether it could be */
	/* 1: a row, as {"TABLE": row}; 0: that was the last one. */
	int (*next)(void *userdata, json_t **ret_line, nova_error_t **error);
	/* All is there, and nothing counts yet, nor will if this fails. NULL: does nothing. By what
	 * functions keep it is asked for each portion. */
	int (*last)(void *userdata, nova_error_t **error);
	void *userdata;
};

struct transfer_lock;
enum transfer_work {
	TRANSFER_IMPORTS,
	TRANSFER_CLEARS, /* removes what functions keep that are not there */
};

struct transfer_ops {
	/*
	 * Of the store of functions: keeps others, on all hosts that share it, from importing and
	 * from clearing until it is given back. NOVA_EBUSY: another one does so, and still did
	 * after that time.
	 */
	int (*lock)(struct store *store, enum transfer_work work, uint64_t patience_ms,
		struct transfer_lock **ret_lock, nova_error_t **error);
	/* A server may have lost it. */
	int (*check_lock)(struct transfer_lock *lock, nova_error_t **error);
	void (*unlock)(struct transfer_lock *lock); /* NULL is accepted */
	/* The schema of what dump() gives. NULL: rows tell no such thing. */
	int64_t (*schema)(struct store *store);
	/* As it is at one moment, in the order in which restore() wants it. The row is lent. */
	int (*dump)(struct store *store,
		int (*take)(void *userdata, const char *table, json_t *row, nova_error_t **error),
		void *userdata, nova_error_t **error);
	/*
	 * Adds what the source gives: all of it, or nothing. NOVA_EEXIST: there is one of that
	 * name, or, unless it merges, one of any. NOVA_ECORRUPT: the rows are not what dump()
	 * gives, or not what can be in a store.
	 *
	 * What functions keep is added a portion after the other, so that others can write in
	 * between, and takes the place of what their spaces have: with the lock, and before there
	 * are such functions. If it fails, some of it is there.
	 */
	int (*restore)(
		struct store *store, const struct transfer_source *from, nova_error_t **error);
};

struct store_ops {
	/* As in the setting `store`. */
	const char *name;
	/* Of one that is made when it is needed: its file in `home`. NULL: of a server. */
	const char *file;

	/*
	 * Opens the store that the settings describe (sqlite: in `home`, which exists; postgres: a
	 * database of a server, which exists), making or migrating it if needed. They are not kept.
	 * NOVA_ECORRUPT if it is damaged or something else (it is then left as it is), NOVA_ENOTSUP
	 * if a newer libnova made it, NOVA_EPERM if it cannot be written, NOVA_ENOSPC, NOVA_EIO.
	 */
	int (*open)(const nova_config_t *config, struct store **ret_store, nova_error_t **error);

	/* Nothing may be under way. NULL is accepted. */
	void (*close)(struct store *store);

	/*
	 * A number that differs from each one given before if anyone, this or another process, has
	 * changed the store in between. It may also differ without a change. What was read after
	 * stamp N is current as long as the stamp is N. What other hosts change (postgres) is seen
	 * once the server has told of it, a moment later.
	 */
	int (*stamp)(struct store *store, uint64_t *ret_stamp, nova_error_t **error);

	/* How many functions, versions and runtimes need that blob. */
	int (*count_users)(
		struct store *store, const char *hash, uint64_t *ret_count, nova_error_t **error);

	const struct function_ops *functions;
	const struct version_ops *versions;
	const struct alias_ops *aliases;
	const struct runtime_ops *runtimes;
	const struct key_ops *keys;
	const struct secret_ops *secrets;
	const struct content_ops *contents;
	const struct transfer_ops *transfer;
	const struct call_ops *calls;
	/* That which has the log of calls, opened in the same way; NULL: this one has. */
	const struct store_ops *log;
	const struct usage_ops *usage;
	const struct store_ops *usage_store; /* likewise */
	const struct kv_ops *kv;
	const struct store_ops *kv_store; /* likewise, but that there always is one */
	bool shared; /* by several hosts, so that the files of functions are to be in it */
};

void record_list_free(struct function_record *records, size_t count);

extern const struct store_ops store_sqlite, store_postgres;
/* log.db beside nova.db: calls, and nothing else. Whoever looks whether functions have changed does
 * not see those. */
extern const struct store_ops store_sqlite_log;
/* usage.db: what was used. */
extern const struct store_ops store_sqlite_usage;
/* What functions keep: kv.db, or the same database. */
extern const struct store_ops store_sqlite_kv, store_postgres_kv;

/* The operations of the store that the settings ask for. */
const struct store_ops *store_find(const nova_config_t *config);

static inline void store_closep(struct store **store)
{
	if (*store)
		(*store)->ops->close(*store);
}

#endif
