/* SPDX-License-Identifier: MIT */
/* export and import. */
#include "novactl.h"

static struct {
	bool merge;
} given;

static const struct opt import_options[] = {
	{ OPT_FLAG, 0, "merge", NULL, "into a store that is not empty; no name may be in both",
		&given.merge },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* The keys that what is stored now needs, each once. */
static json_t *keys_of(const nova_secret *const *secrets, size_t count)
{
	json_t *keys = need(json_array());
	for (size_t i = 0; i < count; i++) {
		size_t at = 0;
		while (at < json_array_size(keys) &&
			strcmp(json_string_value(json_array_get(keys, at)), secrets[i]->key_id))
			at++;
		if (at == json_array_size(keys))
			json_array_append_new(keys, need(json_string(secrets[i]->key_id)));
	}
	return keys;
}

/* What was done, and which keys are needed besides. */
static int tell(nova_t *nova, const char *done, const char *path)
{
	const nova_secret **secrets = NULL;
	size_t count = 0;
	nova_error_t *error = NULL;
	int status = STATUS_OK;
	if (nova_secret_list(nova, &secrets, &count, &error) != 0)
		return report(error);
	json_t *keys = keys_of(secrets, count);
	json_t *result = json_pack(
		"{s:s,s:I,s:O}", "file", path, "secrets", (json_int_t)count, "secret_keys", keys);
	nova_secret_list_free(secrets, count);
	if (!print_structured(result, NULL, &status)) {
		note("%s '%s'.", done, path);
		for (size_t i = 0; i < json_array_size(keys); i++)
			note("Its secrets are encrypted: to use them, the key %s is needed "
			     "(setting secret.key_file), which is not in the archive.",
				json_string_value(json_array_get(keys, i)));
	}
	json_decref(keys);
	return status;
}

static int export_run(char **args, int count)
{
	(void)count;
	int status;
	nova_error_t *error = NULL;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	return nova_export(nova, args[0], &error) != 0 ? report(error) :
							 tell(nova, "Everything is in", args[0]);
}

static int import_run(char **args, int count)
{
	(void)count;
	int status;
	nova_error_t *error = NULL;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (nova_import(nova, args[0], given.merge ? NOVA_IMPORT_MERGE : 0, &error) != 0)
		return report(error);
	return tell(nova, "Imported all of", args[0]);
}

const struct verb verb_export = {
	.name = "export",
	.args = "FILE",
	.purpose = "Write functions, their code, and all else that is stored, to an archive.",
	.examples = "  novactl export nova.tar.gz\n",
	.notes = "Calls go on meanwhile. Secrets are in it as the store has them, encrypted; their "
		 "key is not.\n",
	.min_args = 1,
	.max_args = 1,
	.run = export_run,
};

const struct verb verb_import = {
	.name = "import",
	.args = "FILE",
	.purpose = "Add everything that is in an archive, or nothing.",
	.examples = "  novactl --home /srv/nova import nova.tar.gz\n"
		    "  novactl --pg-dsn postgres:///nova import nova.tar.gz\n",
	.options = import_options,
	.min_args = 1,
	.max_args = 1,
	.run = import_run,
};
