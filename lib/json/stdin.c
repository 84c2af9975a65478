/* SPDX-License-Identifier: MIT */
/*
 * Distributions compile the archive of jansson for programs, in which stdin can be addressed
 * directly. In a shared object that needs one of its own: the linker is told to take this
 * (--defsym). json_loadf() compares its file with it, and is not called.
 */
#include <stdio.h>

extern FILE *const nova_json_stdin;
FILE *const nova_json_stdin = NULL;
