/* SPDX-License-Identifier: MIT */
/* Lists of texts, among them NAME=VALUE. */
#include <errno.h>

#include "agent/run/run.h"

void strings_free(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

char **strings_of(json_t *list)
{
	size_t count = json_array_size(list), i;
	json_t *item;
	char **strings = count ? calloc(count + 1, sizeof(*strings)) : NULL;
	if (!strings)
		return NULL;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		strings[i] = text && strlen(text) == json_string_length(item) ? strdup(text) : NULL;
		if (!strings[i]) {
			strings_free(strings);
			return NULL;
		}
	}
	return strings;
}

static size_t strings_count(char **list)
{
	size_t count = 0;
	while (list && list[count])
		count++;
	return count;
}

int env_add(char ***env, const char *name, const char *value)
{
	size_t count = strings_count(*env), name_len = strlen(name);
	char *entry = str_format("%s=%s", name, value);
	if (!entry)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (strncmp((*env)[i], entry, name_len + 1) == 0) {
			free((*env)[i]);
			(*env)[i] = entry;
			return 0;
		}
	char **longer = realloc(*env, (count + 2) * sizeof(*longer));
	if (!longer) {
		free(entry);
		return -ENOMEM;
	}
	longer[count] = entry;
	longer[count + 1] = NULL;
	*env = longer;
	return 0;
}

int env_add_all(char ***env, char **entries)
{
	int r = 0;
	for (char **at = entries; r == 0 && at && *at; at++) {
		char *equals = strchr(*at, '=');
		*equals = 0;
		r = env_add(env, *at, equals + 1);
		*equals = '=';
	}
	return r;
}

char **env_make(const char *const *first, json_t *more)
{
	char **env = calloc(1, sizeof(*env));
	const char *name;
	json_t *value;
	int r = env ? 0 : -ENOMEM;
	for (; r == 0 && first && first[0]; first += 2)
		r = env_add(&env, first[0], first[1]);
	json_object_foreach(more, name, value)
	{
		if (r == 0)
			r = env_add(&env, name, json_string_value(value));
	}
	if (r < 0) {
		strings_free(env);
		return NULL;
	}
	return env;
}
