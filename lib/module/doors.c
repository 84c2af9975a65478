/* SPDX-License-Identifier: MIT */
/* All doors, for whoever wants to know of each module, or to have them at once. */
#include <nova/module.h>

#include "module/compress.h"
#include "module/crypto.h"
#include "module/curl.h"
#include "module/ext2fs.h"
#include "module/netlink.h"
#include "module/postgres.h"
#include "module/redis.h"
#include "module/sqlite.h"
#include "module/yaml.h"

static int (*const doors[MODULES])(nova_error_t **error) = {
	[MODULE_COMPRESS] = compress_load,
	[MODULE_CRYPTO] = crypto_load,
	[MODULE_CURL] = curl_load,
	[MODULE_EXT2FS] = ext2fs_load,
	[MODULE_NETLINK] = netlink_load,
	[MODULE_POSTGRES] = postgres_load,
	[MODULE_REDIS] = redis_load,
	[MODULE_SQLITE] = sqlite_load,
	[MODULE_YAML] = yaml_load,
};

int nova_module_load(size_t i, const char **ret_contents, nova_error_t **error)
{
	if (ANY_NULL(error, ret_contents))
		return NOVA_EINVAL;
	if (i >= MODULES)
		return nova_fail(error, NOVA_EINVAL,
			"nova_module_load: there are %d modules, and none of number %zu", MODULES,
			i);
	int code = doors[i](error);
	if (code == 0)
		*ret_contents = module_contents((enum module)i);
	return code;
}
