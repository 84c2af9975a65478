/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/ext2fs.h"

MODULE(ext2fs, EXT2FS_FUNCTIONS, "e2fsprogs " NOVA_EXT2FS_VERSION);

#ifdef NOVA_MODULE_FILE
/*
 * libext2fs tells the terminal of bits of a bitmap that it is asked for and has not. Ours has one
 * caller, who asks for none of these, and the library does not print. Besides, the archive of
 * com_err cannot be linked into a shared object.
 */
void com_err(const char *who, errcode_t code, const char *format, ...)
{
	(void)who;
	(void)code;
	(void)format;
}
#endif
