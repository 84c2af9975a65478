/* SPDX-License-Identifier: MIT */
/* Files of settings. */
#ifndef NOVA_LIB_MODULE_YAML_H
#define NOVA_LIB_MODULE_YAML_H

#include <yaml.h>

#include "module/module.h"

#define YAML_FUNCTIONS(F)                                                                          \
	F(yaml_event_delete)                                                                       \
	F(yaml_parser_delete)                                                                      \
	F(yaml_parser_initialize)                                                                  \
	F(yaml_parser_parse)                                                                       \
	F(yaml_parser_set_encoding)                                                                \
	F(yaml_parser_set_input_string)

MODULE_DOOR(yaml, MODULE_YAML, YAML_FUNCTIONS)

#ifndef IN_MODULE
#define yaml_event_delete            yaml_functions()->yaml_event_delete
#define yaml_parser_delete           yaml_functions()->yaml_parser_delete
#define yaml_parser_initialize       yaml_functions()->yaml_parser_initialize
#define yaml_parser_parse            yaml_functions()->yaml_parser_parse
#define yaml_parser_set_encoding     yaml_functions()->yaml_parser_set_encoding
#define yaml_parser_set_input_string yaml_functions()->yaml_parser_set_input_string
#endif

#endif
