/* SPDX-License-Identifier: MIT */
/* Modules are inside. */
#include "module/module.h"

#ifdef NOVA_ARCHIVE /* where one that is left out is not linked */
#define LINKED __attribute__((weak))
#else
#define LINKED
#endif

extern const struct module_table LINKED nova_module_compress, nova_module_crypto, nova_module_curl,
	nova_module_ext2fs, nova_module_netlink, nova_module_postgres, nova_module_redis,
	nova_module_sqlite, nova_module_yaml;

const struct module_table *module_builtin(enum module module)
{
	static const struct module_table *const all[MODULES] = {
		[MODULE_COMPRESS] = &nova_module_compress,
		[MODULE_CRYPTO] = &nova_module_crypto,
		[MODULE_CURL] = &nova_module_curl,
		[MODULE_EXT2FS] = &nova_module_ext2fs,
		[MODULE_NETLINK] = &nova_module_netlink,
		[MODULE_POSTGRES] = &nova_module_postgres,
		[MODULE_REDIS] = &nova_module_redis,
		[MODULE_SQLITE] = &nova_module_sqlite,
		[MODULE_YAML] = &nova_module_yaml,
	};
	return all[module];
}
