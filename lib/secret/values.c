/* SPDX-License-Identifier: MIT */
/* What stands for secrets among a function's variables, and what it is given in their place. */
#include "hash/hash.h"
#include "json/json.h"
#include "secret/secret.h"

const char *secret_reference(const char *variable)
{
	const char *equals = strchr(variable, '=');
	return equals && str_starts(equals + 1, SECRET_REFERENCE) ?
		       equals + 1 + strlen(SECRET_REFERENCE) :
		       NULL;
}

bool secret_in_list(const struct text_list *variables)
{
	for (size_t i = 0; i < variables->count; i++)
		if (secret_reference(variables->items[i]))
			return true;
	return false;
}

static int name_len(const char *variable)
{
	return (int)strcspn(variable, "=");
}

static int check_variable(const char *variable, nova_error_t **error)
{
	const char *secret = secret_reference(variable);
	if (secret) {
		int code = word_check("the name of a secret", secret, NOVA_EINVAL, error);
		return code < 0 ? nova_wrap(error, code, "variable '%.*s'", name_len(variable),
					  variable) :
				  0;
	}
	if (strstr(variable, SECRET_REFERENCE))
		return nova_fail(error, NOVA_EINVAL,
			"variable '%.*s': " SECRET_REFERENCE
			"name is a value by itself, and nothing may stand beside it: put the whole "
			"text into the secret",
			name_len(variable), variable);
	return 0;
}

int secret_check_variables(const struct text_list *variables, nova_error_t **error)
{
	int code = 0;
	for (size_t i = 0; code == 0 && i < variables->count; i++)
		code = check_variable(variables->items[i], error);
	return code;
}

/* One that comes later counts, as for all variables. */
static bool is_last(const struct text_list *variables, size_t at)
{
	size_t len = (size_t)name_len(variables->items[at]) + 1;
	for (size_t i = at + 1; i < variables->count; i++)
		if (!strncmp(variables->items[i], variables->items[at], len))
			return false;
	return true;
}

/* One that a variable stands for. */
struct wanted {
	const char *variable;
	struct secret_record record;
};

/* Those of a function. The values become JSON in memory that was made for the longest there can
 * be. */
struct secret_set {
	struct secrets *secrets;
	struct wanted *wanted;
	size_t count, bytes; /* of the variables with their values */
	struct keyring *ring;
	char *json;     /* guarded */
	struct buf out; /* in it: does not grow */
	char digest[SHA256_HEX];
};

void secret_set_free(struct secret_set *g)
{
	if (!g)
		return;
	for (size_t i = 0; g->wanted && i < g->count; i++)
		secret_record_clear(&g->wanted[i].record);
	free(g->wanted);
	guarded_free(g->ring);
	guarded_free(g->json);
	free(g);
}

static int find(struct secret_set *g, const char *variable, nova_error_t **error)
{
	struct wanted *to = &g->wanted[g->count];
	const char *name = secret_reference(variable);
	AUTO_ERROR nova_error_t *failure = NULL;
	to->variable = variable;
	int code = secrets_find(g->secrets, name, &to->record, &failure);
	if (code == NOVA_ENOTFOUND)
		return nova_fail(error, NOVA_ECONFIG,
			"there is no secret '%s' for variable '%.*s': set it ('novactl secret set "
			"%s')",
			name, name_len(variable), variable, name);
	if (code < 0 && error)
		*error = STEAL(failure);
	if (code < 0)
		return code;
	g->count++;
	g->bytes += (size_t)name_len(variable) + 1 + to->record.sealed_len - SECRET_SEAL + 1;
	return 0;
}

static int find_all(struct secret_set *g, const struct text_list *variables, nova_error_t **error)
{
	int code = 0;
	for (size_t i = 0; code == 0 && i < variables->count; i++)
		if (secret_reference(variables->items[i]) && is_last(variables, i))
			code = find(g, variables->items[i], error);
	if (code == 0 && g->bytes > SECRET_VARIABLES_MAX)
		return nova_fail(error, NOVA_ETOOBIG,
			"the secrets of one function are limited to %u bytes together with the "
			"names of their variables, and these have %zu",
			SECRET_VARIABLES_MAX, g->bytes);
	return code;
}

/* Each byte may become six; what JSON has beside a name and its value is less. */
static size_t room_for(const struct secret_set *g)
{
	return 3 + 6 * g->bytes;
}

static int put(struct secret_set *g, const struct wanted *wanted, nova_error_t **error)
{
	AUTO_GUARDED char *value = NULL;
	size_t len, name = (size_t)name_len(wanted->variable);
	int code = secrets_open(g->secrets, g->ring, &wanted->record, &value, &len, error);
	if (code < 0)
		return nova_wrap(error, code, "variable '%.*s'", (int)name, wanted->variable);
	int r = buf_append_str(&g->out, g->out.len ? "," : "{");
	if (r == 0)
		r = json_put_string(&g->out, wanted->variable, name);
	if (r == 0)
		r = buf_append_str(&g->out, ":");
	if (r == 0)
		r = json_put_string(&g->out, value, len);
	return r < 0 ? nova_oom(error) : 0;
}

static int put_all(struct secret_set *g, nova_error_t **error)
{
	size_t size = room_for(g);
	int code = g->count ? secrets_keys(g->secrets, &g->ring, error) : 0;
	if (code == 0 && !(g->json = guarded_alloc(size)))
		code = nova_oom(error);
	if (code < 0)
		return code;
	g->out = (struct buf){ (uint8_t *)g->json, 0, size, size };
	for (size_t i = 0; code == 0 && i < g->count; i++)
		code = put(g, &g->wanted[i], error);
	if (code == 0)
		buf_append_str(&g->out, g->count ? "}" : "{}");
	return code;
}

int secret_set_values(struct secret_set *g, char **ret_json, size_t *ret_len, nova_error_t **error)
{
	int code = put_all(g, error);
	guarded_free(STEAL(g->ring));
	if (code < 0)
		return code;
	*ret_len = g->out.len;
	*ret_json = STEAL(g->json);
	return 0;
}

/* Of what is sealed, so that it tells nothing of the values. */
static int make_digest(struct secret_set *g, nova_error_t **error)
{
	AUTO_BUF struct buf text = BUF_INIT(g->bytes + g->count * SECRET_SEAL + 1);
	int r = hash_ready(error);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < g->count; i++) {
		const struct wanted *w = &g->wanted[i];
		r = buf_append(&text, w->variable, (size_t)name_len(w->variable) + 1);
		if (r == 0)
			r = buf_append(&text, w->record.sealed, w->record.sealed_len);
	}
	if (r == 0)
		r = sha256_hex(text.data, text.len, g->digest);
	return r < 0 ? nova_oom(error) : 0;
}

const char *secret_set_digest(const struct secret_set *set)
{
	return set->digest;
}

int secret_set_find(struct secrets *secrets, const struct text_list *variables,
	struct secret_set **ret_set, nova_error_t **error)
{
	*ret_set = NULL;
	if (!secret_in_list(variables))
		return 0;
	struct secret_set *g = calloc(1, sizeof(*g));
	if (!g)
		return nova_oom(error);
	g->secrets = secrets;
	g->wanted = calloc(variables->count, sizeof(*g->wanted));
	int code = g->wanted ? find_all(g, variables, error) : nova_oom(error);
	if (code == 0)
		code = make_digest(g, error);
	if (code < 0)
		secret_set_free(g);
	else
		*ret_set = g;
	return code;
}

/* --- into a guest --- */

int secret_set_entrust(
	struct secret_set *set, nova_vm_t *vm, const struct stop *stop, nova_error_t **error)
{
	AUTO_GUARDED char *values = NULL;
	size_t len;
	if (vm_knows(vm, set->digest))
		return 0;
	int code = secret_set_values(set, &values, &len, error);
	return code < 0 ? code : vm_entrust(vm, set->digest, values, len, stop, error);
}

int secret_entrust(void *secrets, nova_vm_t *vm, const struct text_list *variables,
	const struct stop *stop, nova_error_t **error)
{
	CLEANUP(secret_set_freep) struct secret_set *set = NULL;
	int code = secret_set_find(secrets, variables, &set, error);
	return code < 0 || !set ? code : secret_set_entrust(set, vm, stop, error);
}
