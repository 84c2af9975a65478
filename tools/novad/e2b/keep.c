/* SPDX-License-Identifier: MIT */
/* What has to be there for a sandbox to be paused or forked: an engine that can, and, kept, the
 * version of its template that it runs. */
#include <stdio.h>
#include <string.h>

#include "e2b.h"

bool check_snapshots(struct job *job)
{
	nova_error_t *error = NULL;
	nova_probe_t *probe = NULL;
	int code = nova_engine_probe(nova_host_get(job_nova(job)), &probe, &error);
	int choice = nova_probe_choice(probe);
	bool takes = code == 0 && (choice < 0 || nova_probe_features(probe, (size_t)choice) &
							 NOVA_FEATURE_SNAPSHOT);
	if (code != 0)
		job_fail_by(job, error);
	else if (!takes)
		job_problem(job, 501, "not_supported",
			"the engine here takes no snapshots, by which sandboxes are paused and "
			"forked: use another one (setting engine)");
	nova_probe_free(probe);
	nova_error_free(error);
	return takes;
}

void sandbox_kept_as(const struct sandbox *sandbox, char name[80])
{
	snprintf(name, 80, "%.*s:%u", (int)strcspn(sandbox->function, ":"), sandbox->function,
		sandbox->version);
}

/* Whether a function is what the sandbox runs, and has not come in its place. */
static int look_up(nova_t *nova, const char *name, const struct sandbox *sandbox, bool *ret_same,
	nova_error_t **error)
{
	nova_function_t *function = NULL;
	int code = nova_function_get(nova, name, &function, error);
	*ret_same = code == 0 && !strcmp(nova_function_id(function), sandbox->template) &&
		    nova_function_version(function) == sandbox->version;
	nova_function_free(function);
	if (code != NOVA_ENOTFOUND)
		return code;
	nova_error_free(*error);
	*error = NULL;
	return 0;
}

/* What is not published is gone with the next change of the template, and then nothing can go on
 * from the snapshot. */
static int publish(
	nova_t *nova, const struct sandbox *sandbox, bool *ret_kept, nova_error_t **error)
{
	char kept[80], name[65];
	sandbox_kept_as(sandbox, kept);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(kept, ":"), kept);
	int code = look_up(nova, kept, sandbox, ret_kept, error);
	if (code != 0 || *ret_kept)
		return code;
	code = look_up(nova, name, sandbox, ret_kept, error);
	if (code != 0 || !*ret_kept)
		return code;
	code = nova_function_publish(nova, name, NULL, error);
	return code != 0 ? code : look_up(nova, kept, sandbox, ret_kept, error);
}

void e2b_fail_by(struct job *job, const nova_error_t *error)
{
	int code = nova_error_code(error);
	job_fail_by(job, error);
	if (code == NOVA_EBUSY || code == NOVA_EEXIST || code == NOVA_ESTALE)
		job_status(job, 503);
}

bool sandbox_is_kept(struct job *job, const struct sandbox *sandbox)
{
	bool kept;
	char name[80];
	nova_error_t *error = NULL;
	sandbox_kept_as(sandbox, name);
	if (look_up(job_nova(job), name, sandbox, &kept, &error) != 0)
		e2b_fail_by(job, error);
	else if (!kept)
		job_problem(job, 400, "invalid",
			"the template '%s', which the sandbox '%s' runs, has been deleted since it "
			"was paused, so that it cannot go on: it stays paused until it is killed",
			name, sandbox->id);
	bool done = !error && kept;
	nova_error_free(error);
	return done;
}

bool sandbox_keep(struct job *job, const struct sandbox *sandbox)
{
	bool kept;
	nova_error_t *error = NULL;
	if (publish(job_nova(job), sandbox, &kept, &error) != 0)
		e2b_fail_by(job, error);
	else if (!kept)
		job_problem(job, 400, "invalid",
			"the template '%s' has been changed or deleted since the sandbox '%s' "
			"began, so that nothing could go on from a snapshot of it: it runs on; "
			"publish a template before it is changed (novactl version publish)",
			sandbox->function, sandbox->id);
	bool done = !error && kept;
	nova_error_free(error);
	return done;
}
