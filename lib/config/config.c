/* SPDX-License-Identifier: MIT */
/* The config object: four layers over the table of keys. */
#include <errno.h>

#include "config/keys.h"

#define LAYERS (NOVA_CONFIG_SET + 1)

struct nova_config {
	struct layer
		layers[LAYERS]; /* by enum nova_config_source; the default layer is always full */
	bool bare;              /* the environment is ignored */
	bool read;              /* something was loaded or set */
};

void layer_clear(struct layer *layer)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		free(layer->values[i].text);
	memset(layer, 0, sizeof(*layer));
}

void nova_config_free(nova_config_t *config)
{
	if (!config)
		return;
	for (int i = 0; i < LAYERS; i++)
		layer_clear(&config->layers[i]);
	free(config);
}

static void config_freep(nova_config_t **config)
{
	nova_config_free(*config);
}

/* A directory of the user after the XDG rules: the variable if it is absolute, else below the home
 * directory. "" when nobody knows where that is. */
static int user_directory(const nova_config_t *config, const char *variable, const char *below_home,
	char **ret_path, nova_error_t **error)
{
	const char *base = config->bare ? NULL : env_get(variable);
	AUTO_FREE char *home = NULL;
	int r = base && base[0] == '/' ? 0 : path_user_home(!config->bare, &home);
	if (r < 0 && r != -ENOENT)
		return nova_fail_os(error, r, "the home directory of this user");
	*ret_path = r < 0 ? strdup("") :
		    home  ? str_format("%s/%s/nova", home, below_home) :
			    path_join(base, "nova");
	return *ret_path ? 0 : nova_oom(error);
}

static int set_default(nova_config_t *config, int index, nova_error_t **error)
{
	const struct config_key *key = &config_keys[index];
	struct value *value = &config->layers[NOVA_CONFIG_DEFAULT].values[index];
	if (!strcmp(key->key, "home")) {
		free(STEAL(value->text));
		return user_directory(config, "XDG_DATA_HOME", ".local/share", &value->text, error);
	}
	return key_read(key, "default", key->value, true, &value->text, &value->number, error);
}

int nova_config_new(nova_config_t **ret_config, nova_error_t **error)
{
	if (ANY_NULL(error, ret_config))
		return NOVA_EINVAL;
	CLEANUP(config_freep) nova_config_t *config = calloc(1, sizeof(*config));
	if (!config)
		return nova_oom(error);
	for (int i = 0; i < KEY_COUNT; i++) {
		int r = set_default(config, i, error);
		if (r < 0)
			return r;
	}
	*ret_config = STEAL(config);
	return 0;
}

int config_copy(const nova_config_t *config, nova_config_t **ret_copy, nova_error_t **error)
{
	CLEANUP(config_freep) nova_config_t *copy = calloc(1, sizeof(*copy));
	if (!copy)
		return nova_oom(error);
	for (int l = 0; l < LAYERS; l++)
		for (int i = 0; i < KEY_COUNT; i++) {
			const struct value *from = &config->layers[l].values[i];
			if (!from->text)
				continue;
			copy->layers[l].values[i] =
				(struct value){ strdup(from->text), from->number, from->variable };
			if (!copy->layers[l].values[i].text)
				return nova_oom(error);
		}
	copy->bare = config->bare;
	copy->read = config->read;
	*ret_copy = STEAL(copy);
	return 0;
}

/* --- reading --- */

static const struct value *value_in_force(const nova_config_t *config, int index, int *ret_layer)
{
	int l = LAYERS - 1;
	while (l > 0 && !config->layers[l].values[index].text)
		l--;
	if (ret_layer)
		*ret_layer = l;
	return &config->layers[l].values[index];
}

const char *nova_config_get(const nova_config_t *config, const char *key)
{
	int index = config && key ? key_find(key) : -1;
	return index < 0 ? NULL : value_in_force(config, index, NULL)->text;
}

int nova_config_source(const nova_config_t *config, const char *key)
{
	int layer, index = config && key ? key_find(key) : -1;
	if (index < 0)
		return NOVA_EINVAL;
	value_in_force(config, index, &layer);
	return layer;
}

const char *config_str(const nova_config_t *config, const char *key)
{
	const char *text = nova_config_get(config, key);
	return text ? text : "";
}

uint64_t config_u64(const nova_config_t *config, const char *key)
{
	int index = key_find(key);
	return index < 0 ? 0 : value_in_force(config, index, NULL)->number;
}

uint64_t config_ms(const nova_config_t *config, const char *key)
{
	return config_u64(config, key);
}

bool config_came_from(const nova_config_t *config, const char *key, const char *variable)
{
	int index = key_find(key);
	const char *name = index < 0 ? NULL : value_in_force(config, index, NULL)->variable;
	return name && !strcmp(name, variable);
}

bool config_environment(const nova_config_t *config)
{
	return !config->bare;
}

const char *nova_config_describe(const char *key)
{
	int index = key ? key_find(key) : -1;
	return index < 0 ? NULL : config_keys[index].description;
}

const char *nova_config_variable(const char *key)
{
	int index = key ? key_find(key) : -1;
	return index < 0 ? NULL : config_keys[index].variables[0];
}

/* --- setting --- */

int nova_config_set(nova_config_t *config, const char *key, const char *value, nova_error_t **error)
{
	if (ANY_NULL(error, config, key))
		return NOVA_EINVAL;
	int index = key_find(key);
	const char *nearest = index < 0 ? str_nearest(key, nova_config_keys()) : NULL;
	if (nearest)
		return nova_fail(error, NOVA_EINVAL, "unknown setting '%.128s'; did you mean '%s'?",
			key, nearest);
	if (index < 0)
		return nova_fail(error, NOVA_EINVAL,
			"unknown setting '%.128s'; docs/configuration.md lists them", key);
	struct value *slot = &config->layers[NOVA_CONFIG_SET].values[index], made = { 0 };
	if (value) {
		int r = key_read(&config_keys[index], "setting", value, !config->bare, &made.text,
			&made.number, error);
		if (r < 0)
			return r;
	}
	layer_value_move(slot, &made);
	config->read = true;
	return 0;
}

int nova_config_ignore_environment(nova_config_t *config, nova_error_t **error)
{
	if (ANY_NULL(error, config))
		return NOVA_EINVAL;
	if (config->read && !config->bare)
		return nova_fail(error, NOVA_EINVAL,
			"nova_config_ignore_environment() comes before anything is loaded or set: "
			"paths of this config may stem from the environment");
	config->bare = true;
	return set_default(config, key_find("home"), error);
}

/* Reads the first variable of the key that is set and not empty. */
static int read_variable(struct layer *layer, int index, nova_error_t **error)
{
	const struct config_key *key = &config_keys[index];
	char space[KEY_VARIABLE_MAX];
	unsigned turn = 0;
	for (const char *name; (name = key_next_variable(key, &turn, space));) {
		const char *text = env_get(name);
		layer->values[index].variable = name == space ? NULL : name;
		if (text && *text)
			return key_read(key, name, text, true, &layer->values[index].text,
				&layer->values[index].number, error);
	}
	return 0;
}

int nova_config_load_env(nova_config_t *config, nova_error_t **error)
{
	CLEANUP(layer_clear) struct layer layer = { 0 };
	if (ANY_NULL(error, config))
		return NOVA_EINVAL;
	if (config->bare)
		return 0;
	config->read = true;
	for (int i = 0; i < KEY_COUNT; i++) {
		int r = read_variable(&layer, i, error);
		if (r < 0)
			return r;
	}
	/* The whole layer: a variable that has gone since the last call no longer counts. */
	for (int i = 0; i < KEY_COUNT; i++)
		layer_value_move(&config->layers[NOVA_CONFIG_ENV].values[i], &layer.values[i]);
	return 0;
}

int config_parse(nova_config_t *config, const char *origin, const void *text, size_t len,
	nova_error_t **error)
{
	CLEANUP(layer_clear) struct layer layer = { 0 };
	config->read = true;
	int r = yaml_read_layer(&layer, origin, text, len, !config->bare, error);
	if (r < 0)
		return r;
	for (int i = 0; i < KEY_COUNT; i++)
		if (layer.values[i].text)
			layer_value_move(
				&config->layers[NOVA_CONFIG_FILE].values[i], &layer.values[i]);
	return 0;
}

static int load_file(nova_config_t *config, const char *path, nova_error_t **error)
{
	/* It names programs that are run. */
	int writers = fs_open_to_writers(path);
	if (writers > 0 && writers & S_IWOTH)
		return nova_fail(error, NOVA_EPERM,
			"anybody may write in the configuration file %s: chmod o-w '%s'", path,
			path);
	AUTO_BUF struct buf text = BUF_INIT(CONFIG_MAX_FILE);
	int r = fs_read_file(path, &text);
	if (r < 0 && nova_code_of_errno(r) == NOVA_ETOOBIG)
		return nova_fail(error, NOVA_ECONFIG, "%s: a configuration file has at most %u KiB",
			path, CONFIG_MAX_FILE >> 10);
	if (r < 0)
		return nova_fail_os(error, r, "cannot read the configuration file %s", path);
	return config_parse(
		config, path, text.data ? (const void *)text.data : "", text.len, error);
}

/* The first of the places of which none need exist. */
static int load_standard_file(nova_config_t *config, nova_error_t **error)
{
	AUTO_FREE char *directory = NULL;
	int r = user_directory(config, "XDG_CONFIG_HOME", ".config", &directory, error);
	AUTO_FREE char *users = r == 0 ? path_join(directory, "nova.yaml") : NULL;
	if (!users)
		return r < 0 ? r : nova_oom(error);
	const char *const places[] = { *directory ? users : "", "/etc/nova/nova.yaml" };
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int there = *places[i] ? fs_exists(places[i]) : 0;
		/* what this user may not see is not meant for this user */
		if (there < 0 && there != -EACCES)
			return nova_fail_os(error, there, "the configuration file %s", places[i]);
		if (there > 0)
			return load_file(config, places[i], error);
	}
	return 0;
}

int nova_config_load(nova_config_t *config, const char *path, nova_error_t **error)
{
	if (ANY_NULL(error, config))
		return NOVA_EINVAL;
	if (path)
		return load_file(config, path, error);
	const char *named = config->bare ? NULL : env_get("NOVA_CONFIG");
	if (!named || !*named)
		return load_standard_file(config, error);
	int r = load_file(config, named, error);
	return r < 0 ? nova_wrap(error, r, "NOVA_CONFIG") : 0;
}

int config_standard(nova_config_t **ret_config, nova_error_t **error)
{
	CLEANUP(config_freep) nova_config_t *config = NULL;
	int r = nova_config_new(&config, error);
	if (r == 0)
		r = nova_config_load(config, NULL, error);
	if (r == 0)
		r = nova_config_load_env(config, error);
	if (r == 0)
		*ret_config = STEAL(config);
	return r;
}
