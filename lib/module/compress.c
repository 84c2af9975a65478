/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/compress.h"

MODULE(compress, COMPRESS_FUNCTIONS,
	"zlib " ZLIB_VERSION ", zstd " ZSTD_VERSION_STRING ", lz4 " LZ4_VERSION_STRING
	", xz " LZMA_VERSION_STRING);
