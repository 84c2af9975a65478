/* SPDX-License-Identifier: MIT */
/* Compressions: of kernels, of snapshots (zstd), and of archives (gzip). */
#ifndef NOVA_LIB_MODULE_COMPRESS_H
#define NOVA_LIB_MODULE_COMPRESS_H

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "module/module.h"

#define COMPRESS_FUNCTIONS(F)                                                                      \
	F(LZ4_decompress_safe)                                                                     \
	F(ZSTD_CCtx_setParameter)                                                                  \
	F(ZSTD_CCtx_setPledgedSrcSize)                                                             \
	F(ZSTD_CStreamOutSize)                                                                     \
	F(ZSTD_DStreamInSize)                                                                      \
	F(ZSTD_compressStream2)                                                                    \
	F(ZSTD_createCCtx)                                                                         \
	F(ZSTD_createDCtx)                                                                         \
	F(ZSTD_decompressDCtx)                                                                     \
	F(ZSTD_decompressStream)                                                                   \
	F(ZSTD_freeCCtx)                                                                           \
	F(ZSTD_freeDCtx)                                                                           \
	F(ZSTD_isError)                                                                            \
	F(deflate)                                                                                 \
	F(deflateEnd)                                                                              \
	F(deflateInit2_)                                                                           \
	F(inflate)                                                                                 \
	F(inflateEnd)                                                                              \
	F(inflateInit2_)                                                                           \
	F(lzma_stream_buffer_decode)

MODULE_DOOR(compress, MODULE_COMPRESS, COMPRESS_FUNCTIONS)

#ifndef IN_MODULE
#define LZ4_decompress_safe         compress_functions()->LZ4_decompress_safe
#define ZSTD_CCtx_setParameter      compress_functions()->ZSTD_CCtx_setParameter
#define ZSTD_CCtx_setPledgedSrcSize compress_functions()->ZSTD_CCtx_setPledgedSrcSize
#define ZSTD_CStreamOutSize         compress_functions()->ZSTD_CStreamOutSize
#define ZSTD_DStreamInSize          compress_functions()->ZSTD_DStreamInSize
#define ZSTD_compressStream2        compress_functions()->ZSTD_compressStream2
#define ZSTD_createCCtx             compress_functions()->ZSTD_createCCtx
#define ZSTD_createDCtx             compress_functions()->ZSTD_createDCtx
#define ZSTD_decompressDCtx         compress_functions()->ZSTD_decompressDCtx
#define ZSTD_decompressStream       compress_functions()->ZSTD_decompressStream
#define ZSTD_freeCCtx               compress_functions()->ZSTD_freeCCtx
#define ZSTD_freeDCtx               compress_functions()->ZSTD_freeDCtx
#define ZSTD_isError                compress_functions()->ZSTD_isError
#define deflate                     compress_functions()->deflate
#define deflateEnd                  compress_functions()->deflateEnd
#define deflateInit2_               compress_functions()->deflateInit2_
#define inflate                     compress_functions()->inflate
#define inflateEnd                  compress_functions()->inflateEnd
#define inflateInit2_               compress_functions()->inflateInit2_
#define lzma_stream_buffer_decode   compress_functions()->lzma_stream_buffer_decode
#endif

#endif
