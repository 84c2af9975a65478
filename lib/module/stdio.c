/* SPDX-License-Identifier: MIT */
/*
 * Distributions compile their archives for programs, in which stderr and its like can be addressed
 * directly. In a shared object that needs some of its own: the linker is told to take these
 * (--defsym). They are for messages that are off.
 */
#include <stdio.h>

extern FILE _IO_2_1_stdout_, _IO_2_1_stderr_;
extern FILE *const module_stdout, *const module_stderr;
FILE *const module_stdout = &_IO_2_1_stdout_;
FILE *const module_stderr = &_IO_2_1_stderr_;
