/* SPDX-License-Identifier: MIT */
/* Any bytes as what Firecracker replies, or prints of itself. */
#include <assert.h>

#include "engine/firecracker/firecracker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fc_version v;
	AUTO_FREE char *fault = fc_fault((const char *)data, len),
		       *text = strndup((const char *)data, len);
	if (fault)
		assert(strlen(fault) <= 600 && !strchr(fault, '\n') && text_is_utf8(fault));
	fc_answer_version((const char *)data, len, &v);
	if (fc_version_parse(text, &v))
		assert(v.major <= 9999 && v.minor <= 9999 && v.patch <= 9999);
	return 0;
}
