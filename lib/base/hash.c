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

static int add_pages(EVP_MD_CTX *ctx, const uint8_t *block, size_t len, uint64_t at)
{
	static const uint8_t zeros[4096];
	for (size_t done = 0; done < len; done += sizeof(zeros)) {
		size_t n = len - done < sizeof(zeros) ? len - done : sizeof(zeros);
		uint64_t number = (at + done) / sizeof(zeros);
		if (n == sizeof(zeros) && !memcmp(block + done, zeros, n))
			continue;
		if (!EVP_DigestUpdate(ctx, &number, sizeof(number)) || !EVP_DigestUpdate(ctx, block + done, n))
			return -ENOMEM;
	}
	return 0;
}

int sha256_pages_hex(const char *path, char out[SHA256_HEX])
{
	CLEANUP(digest_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	AUTO_FREE uint8_t *block = malloc(1 << 18);
	if (!ctx || !block || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return -ENOMEM;
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	struct stat st;
	int r = fd < 0 ? fd : sys_fstat(fd, &st);
	for (uint64_t at = 0; r == 0 && at < (uint64_t)st.st_size; at += 1 << 18) {
		size_t n = (uint64_t)st.st_size - at < 1 << 18 ? (size_t)((uint64_t)st.st_size - at) : 1 << 18;
		r = sys_pread_all(fd, block, n, at);
		if (r == 0)
			r = add_pages(ctx, block, n, at);
	}
	return r < 0 ? r : finish_hex(ctx, out);
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
