/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/yaml.h"

MODULE(yaml, YAML_FUNCTIONS, "libyaml " NOVA_YAML_VERSION);
