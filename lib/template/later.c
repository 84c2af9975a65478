/* SPDX-License-Identifier: MIT */
/* Templates that serve from memory, and are written when nobody waits for that. */
#include "template/recipe.h"

int template_write(struct unwritten *u, const struct stop *stop, struct frozen **ret)
{
	u->recipe.stop = stop;
	int code = recipe_write(&u->recipe, u->frozen, u->made_us, ret);
	if (code == 0)
		unwritten_free(u);
	return code;
}

void unwritten_free(struct unwritten *u)
{
	if (!u)
		return;
	if (u->lock_path)
		fs_unlink(u->lock_path);
	fd_close(u->lock);
	free(u->lock_path);
	frozen_unref(u->frozen);
	recipe_done(&u->recipe);
	free(u);
}
