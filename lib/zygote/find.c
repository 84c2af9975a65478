/* SPDX-License-Identifier: MIT */
#include "zygote/zygote.h"

#ifdef NOVA_ZYGOTE
int zygote_find(char **ret_path, nova_error_t **error)
{
	return program_find("nova-zygote.so", NULL, ret_path, error);
}
#else
int zygote_find(char **ret_path, nova_error_t **error)
{
	(void)ret_path;
	return nova_fail(error, NOVA_ENOTSUP,
		"running microVMs cannot be forked as processes here: nova-zygote.so is made for "
		"Linux on x86-64 with the GNU C library alone");
}
#endif
