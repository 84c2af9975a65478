/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <unistd.h>

#include "engine/qemu/qemu.h"

#define PROGRAM "qemu-system-x86_64"

int qemu_binary(const struct engine_env *env, char **ret_path, nova_error_t **error)
{
	const char *configured = config_str(env->config, "qemu.binary");
	if (*configured) {
		if (access(configured, X_OK) < 0)
			return nova_fail(error, NOVA_ENOTFOUND,
				"the setting qemu.binary names '%s', which cannot be executed",
				configured);
		int r = path_absolute(configured, ret_path);
		return r < 0 ? nova_fail_os(error, r, "the setting qemu.binary, '%s'", configured) :
			       0;
	}
	int r = path_search(PROGRAM, config_environment(env->config), ret_path);
	if (r == -ENOENT)
		return nova_fail(error, NOVA_ENOTFOUND,
			"QEMU is not installed (no " PROGRAM
			" in PATH): apt-get install qemu-system-x86");
	return r < 0 ? nova_fail_os(error, r, "looking for " PROGRAM " in PATH") : 0;
}
