/* SPDX-License-Identifier: MIT */
/* The resources, a file for each, and the table of all routes. */
#ifndef NOVAD_ROUTES_H
#define NOVAD_ROUTES_H

#include "novad.h"

/* health.c, openapi.c */
void direct_health(struct exchange *exchange);
void direct_ready(struct exchange *exchange);
void direct_metrics(struct exchange *exchange);
void direct_openapi(struct exchange *exchange);

/* page.c */
void direct_page(struct exchange *exchange);
void direct_page_css(struct exchange *exchange);
void direct_page_js(struct exchange *exchange);

/* facts.c: what the library does not tell of things that were made here; by any thread */
enum facts_of { FACTS_SNAPSHOT, FACTS_INSTANCE, FACTS_EXECUTION, FACTS_KINDS };
struct facts {
	char owner[OWNER_SIZE]; /* "": it belongs to no key */
	/* the function of a snapshot, as NAME:VERSION or NAME; the snapshot that an instance began
	 * with, or ""; what an execution has left */
	char of[80];
	char name[65]; /* of an instance */
};
void facts_put(enum facts_of kind, const char *id, const struct facts *facts);
bool facts_get(enum facts_of kind, const char *id, struct facts *ret); /* else all are "" */
void facts_drop(enum facts_of kind, const char *id);
/* Whether an instance of that name or id has ended with the process before this one. */
bool facts_lost(const char *instance, char owner[OWNER_SIZE]);
/* Reads what the process before this one has left. False: it has been said why not. */
bool facts_open(const char *directory, nova_host_t *host);
void facts_close(void); /* all instances have ended */

/* owners.c: whose things are, and who may do what with them */
const char *job_owner(const struct job *job);
bool job_is_admin(const struct job *job);
/* What is there for who asks, to be freed. NULL: it has been answered. */
nova_function_t *function_find(struct job *job, const char *name);
nova_instance_t *instance_find(struct job *job, const char *name);
nova_snapshot_t *snapshot_find(struct job *job, const char *name);
/* False: it has been answered, for who is no admin, that it is not there or not his. */
bool may_call_function(struct job *job, const char *name);
bool may_change_function(struct job *job, const char *name); /* and see what it keeps */
bool may_use_snapshot(struct job *job, const char *name);
/* The work of verbs whose path names a function, as `id`: what their context points to is done if
 * it is his who asks, or there for him. */
void work_on_own_function(struct job *job);
void work_on_shown_function(struct job *job);
#define VERB_OF_FUNCTION(verb, word, guard, does)                                                  \
	static void (*const guarded_##does)(struct job *) = does;                                  \
	const struct job_verb verb = { .name = (word), .work = (guard), .context = &guarded_##does }
/* The id of one of that name or id; false: there is none for who asks. */
bool snapshot_id_of(struct job *job, const char *name, char id[17]);
void refuse_missing(struct job *job, const char *what, const char *name);
/* What belongs to nobody here is for admins. */
void refuse_shared(struct job *job, const char *what);
bool function_is_shown(const struct job *job, const nova_function_t *function);
bool function_is_own(const struct job *job, const nova_function_t *function);
bool instance_is_shown(const struct job *job, const nova_instance_t *instance);
bool snapshot_is_shown(const struct job *job, const nova_snapshot_t *snapshot);
bool owns_execution(const struct job *job, const char *id);
/* The store keeps whose a function is as a label. */
#define OWNER_LABEL "novad.owner"
/* "" of one that belongs to no key. */
const char *function_owner(const nova_function_t *function);
/* The label that makes a function somebody's, which the caller frees; NULL of "". */
char *owner_label(const char *owner);
bool owner_is_label(const char *label); /* one of those that novad alone sets */
/* From now on it belongs to who asks. */
void instance_note(struct job *job, const nova_instance_t *instance, const char *began_with);
/* Of which function it was taken, and at which version; 0: what was latest. */
void snapshot_note(struct job *job, const char *id, const char *function, uint32_t version);

/* execute.c */
extern const struct field execute_fields[], stream_fields[], command_fields[];
extern const struct job_verb verb_execute;
int command_submit(struct job *job, const json_t *fields, nova_queue_t *queue,
	nova_call_t **ret_call, nova_error_t **error);
void run_collect(struct job *job, nova_call_t *call);

/* modes.c: whether what has run leaves something */
#define MODES_PREFIX "execute-" /* of the functions that run it */
bool modes_keep(const json_t *fields);
extern const struct job_verb verb_execute_kept;
/* Runs the `code` of the job in an instance that such code has left; it may wait. NULL: it has been
 * answered why it has not. */
json_t *modes_run_in(struct job *job, nova_instance_t *instance);
/* The function of instances in which such code runs, by its language, which is made if it is not
 * there. 0, or a code with its error, or after it has been answered. */
int modes_function_of(struct job *job, const char *image, char name[65], nova_error_t **error);
/* At once, with what runs in it. */
void instance_end(nova_instance_t *instance);
/* Takes one that the reply tells of: it ends if nobody waits for that any more. What the job holds
 * is this. */
void instance_hand_over(struct job *job, nova_instance_t *instance);

/* invoke.c */
extern const struct field invoke_query[];
extern const struct job_verb verb_invoke;

/* functions.c */
extern const struct field function_fields[], function_put_fields[], function_patch_fields[],
	list_query[], delete_query[];
extern const struct job_verb verb_function_list, verb_function_create, verb_function_get,
	verb_function_replace, verb_function_update, verb_function_delete;
json_t *function_json(const struct job *job, const nova_function_t *function);
/* A page of those that are there for who asks. */
struct function_page {
	size_t most;
	json_t *(*describe)(const struct job *job, const nova_function_t *function);
	json_t *list; /* to be freed in any case */
	size_t bytes; /* of what is in it, as JSON */
	char last[65];
	bool is_last;
};
/* Of those with the label, if there is one, behind `after`. False: it has been answered. */
bool functions_page(
	struct job *job, struct function_page *page, const char *label, const char *after);
/* With its ETag. */
void function_answer(struct job *job, unsigned status, const nova_function_t *function);

/* versions.c */
extern const struct field alias_fields[];
extern const struct job_verb verb_version_publish, verb_version_list, verb_alias_list,
	verb_alias_get, verb_alias_put, verb_alias_rollback, verb_alias_delete;

/* logs.c */
extern const struct field logs_query[], stats_query[];
extern const struct job_verb verb_logs_list, verb_logs_get, verb_stats;

/* usage.c */
extern const struct field usage_query[], bill_query[], estimate_fields[];
extern const struct job_verb verb_usage_list, verb_usage_bill, verb_usage_estimate;

/* secrets.c */
extern const struct field secret_fields[];
extern const struct job_verb verb_secret_list, verb_secret_set, verb_secret_delete,
	verb_secret_rotate;
/* Secrets that a key names are its own: in variables for the library, and in those that it shows.
 */
void secrets_own(const struct job *job, char **env);
void secrets_as_given(const struct job *job, json_t *env);

/* kept.c */
extern const struct field kept_query[], kept_value_query[], kept_file_query[];
extern const struct job_verb verb_kept_list, verb_kept_get, verb_kept_put, verb_kept_delete,
	verb_kept_file_list, verb_kept_file_get, verb_kept_file_put, verb_kept_file_delete;

/* durable.c */
extern const struct field durable_query[], durable_list_query[];
extern const struct job_verb verb_durable_submit, verb_durable_get, verb_durable_list;
/* Hands in the body as the event of a function; 202, and a header with the id. After a failure
 * there is an error, or it has been answered. */
int durable_submit(
	struct job *job, const char *function, nova_job_opts *opts, nova_error_t **error);
/* Whether Redis would be asked for a job of that id. */
bool may_be_durable(const struct job *job, const char *id);
/* 1: there is a job of that id which may be shown to who asks; 0: there is none; or why nobody
 * knows. */
int owns_durable(const struct job *job, const char *id, nova_error_t **error);

/* lambda.c */
extern const struct field lambda_query[], lambda_list_query[];
extern const struct job_verb verb_lambda_invoke, verb_lambda_event, verb_lambda_check,
	verb_lambda_list, verb_lambda_get;

/* cluster.c */
extern const struct field module_fields[], blob_fields[], file_register_fields[],
	file_plug_fields[], plug_fields[], unplug_fields[], call_fields[];
extern const struct job_verb verb_cluster_module, verb_cluster_blob, verb_cluster_file,
	verb_cluster_plug_file, verb_cluster_plug, verb_cluster_unplug, verb_cluster_call,
	verb_cluster_export;

/* plugged.c: where something may be plugged; NULL: not there. */
const struct route *plugged_route(const char *method, const char *path);

/* instances.c */
extern const struct field instance_fields[], stop_fields[], exec_fields[];
extern const struct job_verb verb_instance_start, verb_instance_list, verb_instance_get,
	verb_instance_stop, verb_instance_pause, verb_instance_resume, verb_instance_exec;
/* As the route of exec; of a stream of the `instance` among the fields. */
int exec_submit(struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error);
void exec_collect(struct job *job, nova_call_t *call);
json_t *instance_json(nova_instance_t *instance);
nova_instance_t *instance_of(struct job *job);
int instance_submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error);
/* The answer of a verb that starts one. */
void instance_collect_started(struct job *job, nova_call_t *call);

/* guest_files.c */
extern const struct field files_query[], file_query[];
extern const struct job_verb verb_files_list, verb_file_read, verb_file_write, verb_file_remove;

/* snapshots.c */
extern const struct field snapshot_fields[], restore_fields[];
extern const struct job_verb verb_snapshot_take, verb_snapshot_list, verb_snapshot_get,
	verb_snapshot_restore, verb_snapshot_delete;
json_t *snapshot_json(const nova_snapshot_t *snapshot);
/* The name of the function that it was taken of, without the version; false: it is not known. */
bool snapshot_function(const nova_snapshot_t *snapshot, char name[65]);
/* For an instance of that function, whose name is among the facts. */
int snapshot_restore_opts(
	struct job *job, const char *name, struct facts *facts, nova_instance_opts *opts);

/* branches.c */
extern const struct field branch_fields[], merge_fields[];
extern const struct job_verb verb_branch_begin, verb_branch_merge;

/* ends with one without a path */
extern const struct route routes[];

#endif
