/* SPDX-License-Identifier: MIT */
/* Verbs by their names. */
#include "novactl.h"

const struct verb *const *verbs;

/* How many words of `words` the name of the verb takes up: 0 if it is another verb. */
static int words_matched(const struct verb *verb, char **words, int count)
{
	const char *space = strchr(verb->name, ' ');
	if (!space)
		return !strcmp(verb->name, words[0]) ||
		       (verb->alias && !strcmp(verb->alias, words[0]));
	size_t first = (size_t)(space - verb->name);
	if (count < 2 || strlen(words[0]) != first || strncmp(verb->name, words[0], first) != 0)
		return 0;
	return strcmp(space + 1, words[1]) == 0 ? 2 : 0;
}

const struct verb *verb_find(char **words, int count, int *ret_used)
{
	for (size_t i = 0; count > 0 && verbs[i]; i++) {
		*ret_used = words_matched(verbs[i], words, count);
		if (*ret_used)
			return verbs[i];
	}
	return NULL;
}
