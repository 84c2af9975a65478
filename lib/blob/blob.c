/* SPDX-License-Identifier: MIT */
/* What does not depend on where blobs are kept. */
#include "blob/blob.h"

int blobs_open(const nova_config_t *config, struct blobs **ret_blobs, nova_error_t **error)
{
	return blobs_directory.open(config, ret_blobs, error);
}

void blobs_sweep(
	struct blobs *blobs, bool (*is_needed)(void *userdata, const char *hash), void *userdata)
{
	char **hashes;
	size_t count;
	blobs->ops->tidy(blobs);
	if (blobs->ops->list(blobs, &hashes, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (!is_needed(userdata, hashes[i]))
			blobs->ops->remove(blobs, hashes[i], NULL);
	strv_free(hashes, count);
}
