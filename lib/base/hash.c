/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>

#include <openssl/evp.h>

#include "base/base.h"

static void digest_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static int finish_hex(EVP_MD_CTX *ctx, char out[SHA256_HEX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;
	if (!EVP_DigestFinal_ex(ctx, digest, &len) || len != 32)
		return -EIO;
	for (unsigned i = 0; i < len; i++)
		snprintf(out + i * 2, 3, "%02x", digest[i]);
	return 0;
}

int sha256_hex(const void *data, size_t len, char out[SHA256_HEX])
{
	CLEANUP(digest_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) || !EVP_DigestUpdate(ctx, data, len))
		return -ENOMEM;
	return finish_hex(ctx, out);
}

int sha256_file_hex(const char *path, char out[SHA256_HEX])
{
	CLEANUP(digest_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	AUTO_FREE uint8_t *block = malloc(1 << 16);
	if (!ctx || !block || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return -ENOMEM;
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t got = sys_read(fd, block, 1 << 16);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return finish_hex(ctx, out);
		if (!EVP_DigestUpdate(ctx, block, (size_t)got))
			return -ENOMEM;
	}
}
