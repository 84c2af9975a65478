/* SPDX-License-Identifier: MIT */
/*
 * What is said before a template is made, and how long that took last time: milliseconds in a file
 * beside the templates, one for each engine and root filesystem. It is a remark only: what cannot
 * be read is not known, and what cannot be written is forgotten.
 */
#include <inttypes.h>

#include "template/recipe.h"

#define MOST_MS 3600000u /* more is no time that anything took */

static char *file_of(const struct recipe *r)
{
	const char *slash = strrchr(r->rootfs, '/'), *name = slash ? slash + 1 : r->rootfs;
	return str_format("%s/.took-%s-%.*s", r->root, r->ops->name, (int)strcspn(name, "."), name);
}

/* 0: nobody knows. */
static uint64_t last_ms(const struct recipe *r)
{
	AUTO_FREE char *path = file_of(r);
	AUTO_BUF struct buf content = BUF_INIT(32);
	AUTO_FREE char *text =
		path && fs_read_file(path, &content) == 0 ? buf_steal_str(&content) : NULL;
	uint64_t ms = text ? strtoull(text, NULL, 10) : 0;
	return ms <= MOST_MS ? ms : 0;
}

void recipe_took(const struct recipe *r, uint64_t us)
{
	AUTO_FREE char *path = file_of(r), *text = str_format("%" PRIu64 "\n", us / 1000u);
	if (path && text)
		fs_write_file(path, text, strlen(text), 0600);
}

static char *sentence(const struct recipe *r)
{
	if (!r->guest)
		return str_format("loading %s into a template, once", r->want->name);
	uint64_t ms = last_ms(r);
	return ms ? str_format("making the template of %s, about %" PRIu64 " s, once", r->guest,
			    ms < 1000u ? 1 : (ms + 500u) / 1000u) :
		    str_format("making the template of %s, 10 s or more, once", r->guest);
}

void recipe_tell(const struct recipe *r)
{
	AUTO_FREE char *text = sentence(r);
	if (!text)
		return;
	log_info(host_log(r->host), "template", "%s", text);
	progress_tell(&r->want->progress, text);
}
