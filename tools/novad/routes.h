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

/* memo.c: tables, from an id to a name */
enum memo {
	MEMO_FUNCTION, /* of a snapshot: as NAME:VERSION, or NAME */
	MEMO_PARENT,   /* of a branch: the snapshot that it began with */
	MEMO_LEFT,     /* of an execution: the instance or snapshot that it has left */
	MEMO_KINDS,
};
#define MEMO_SIZE 80
void memo_put(enum memo kind, const char *id, const char *name);
bool memo_get(enum memo kind, const char *id, char out[MEMO_SIZE]);
void memo_drop(enum memo kind, const char *id);
void memo_free(void);

/* execute.c */
extern const struct field execute_fields[], stream_fields[], command_fields[];
extern const struct job_verb verb_execute;
int command_submit(struct job *job, const json_t *fields, nova_queue_t *queue,
	nova_call_t **ret_call, nova_error_t **error);
void run_collect(struct job *job, nova_call_t *call);

/* modes.c: whether what has run leaves something */
bool modes_keep(const json_t *fields);
extern const struct job_verb verb_execute_kept;
/* Runs the `code` of the job in an instance that such code has left; it may wait. NULL: it has been
 * answered why it has not. */
json_t *modes_run_in(struct job *job, nova_instance_t *instance);
/* At once, with what runs in it. */
void instance_end(nova_instance_t *instance);

/* invoke.c */
extern const struct field invoke_query[];
extern const struct job_verb verb_invoke;

/* functions.c */
extern const struct field function_fields[], function_put_fields[], function_patch_fields[],
	list_query[], delete_query[];
extern const struct job_verb verb_function_list, verb_function_create, verb_function_get,
	verb_function_replace, verb_function_update, verb_function_delete;
json_t *function_json(const nova_function_t *function);
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

/* kept.c */
extern const struct field kept_query[], kept_value_query[], kept_file_query[];
extern const struct job_verb verb_kept_list, verb_kept_get, verb_kept_put, verb_kept_delete,
	verb_kept_file_list, verb_kept_file_get, verb_kept_file_put, verb_kept_file_delete;

/* lambda.c */
extern const struct field lambda_query[], lambda_list_query[];
extern const struct job_verb verb_lambda_invoke, verb_lambda_check, verb_lambda_list,
	verb_lambda_get;

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
nova_instance_t *instance_collect(struct job *job, nova_call_t *call);
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
/* Of which function it was taken, and at which version; 0: what was latest. */
void snapshot_remember(const char *id, const char *function, uint32_t version);
/* The name of that, without the version; false: it is not known. */
bool snapshot_function(const nova_snapshot_t *snapshot, char name[MEMO_SIZE]);
/* An instance of the function that it was taken of; `function` is room for its name. */
int snapshot_restore_opts(struct job *job, const char *name, char function[MEMO_SIZE],
	nova_instance_opts *opts, nova_error_t **error);

/* branches.c */
extern const struct field branch_fields[], merge_fields[];
extern const struct job_verb verb_branch_begin, verb_branch_merge;

/* ends with one without a path */
extern const struct route routes[];

#endif
