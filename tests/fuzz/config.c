/* SPDX-License-Identifier: MIT */
/* Any bytes as a configuration file: refused with an error, or taken with every value valid. */
#include <assert.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	nova_config_t *config;
	nova_error_t *error = NULL;
	int r = nova_config_new(&config, NULL);
	assert(r == 0);
	r = config_parse(config, "fuzz.yaml", data, len, &error);
	assert((r == 0) == (error == NULL));
	uint64_t vms = config_u64(config, "pool.max_vms"), ttl = config_ms(config, "pool.idle_ttl");
	assert(vms <= 100000 /* 0: auto */);
	assert(ttl >= 1 && ttl <= 24u * 3600000u);
	if (r < 0)
		for (const char *const *key = nova_config_keys(); *key; key++)
			assert(nova_config_source(config, *key) == NOVA_CONFIG_DEFAULT);
	nova_error_free(error);
	nova_config_free(config);
	return 0;
}
