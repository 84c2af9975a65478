/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>

#include "hash/hash.h"
#include "module/crypto.h"

int hash_ready(nova_error_t **error)
{
	return crypto_load(error);
}

static int begin(SHA256_CTX *ctx)
{
	int code = crypto_load(NULL);
	if (code < 0)
		return code == NOVA_ENOMEM ? -ENOMEM : -ELIBACC;
	SHA256_Init(ctx);
	return 0;
}

static int finish_hex(SHA256_CTX *ctx, char out[SHA256_HEX])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256_Final(digest, ctx);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(out + i * 2, 3, "%02x", digest[i]);
	return 0;
}

int sha256_hex(const void *data, size_t len, char out[SHA256_HEX])
{
	SHA256_CTX ctx;
	int r = begin(&ctx);
	if (r < 0)
		return r;
	SHA256_Update(&ctx, data, len);
	return finish_hex(&ctx, out);
}

static void add_pages(SHA256_CTX *ctx, const uint8_t *block, size_t len, uint64_t at)
{
	static const uint8_t zeros[4096];
	for (size_t done = 0; done < len; done += sizeof(zeros)) {
		size_t n = len - done < sizeof(zeros) ? len - done : sizeof(zeros);
		uint64_t number = (at + done) / sizeof(zeros);
		if (n == sizeof(zeros) && !memcmp(block + done, zeros, n))
			continue;
		SHA256_Update(ctx, &number, sizeof(number));
		SHA256_Update(ctx, block + done, n);
	}
}

int sha256_pages_hex(const char *path, char out[SHA256_HEX])
{
	SHA256_CTX ctx;
	AUTO_FREE uint8_t *block = malloc(1 << 18);
	int r = block ? begin(&ctx) : -ENOMEM;
	if (r < 0)
		return r;
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	struct stat st;
	r = fd < 0 ? fd : sys_fstat(fd, &st);
	for (uint64_t at = 0; r == 0 && at < (uint64_t)st.st_size; at += 1 << 18) {
		size_t n = (uint64_t)st.st_size - at < 1 << 18 ?
				   (size_t)((uint64_t)st.st_size - at) :
				   1 << 18;
		r = sys_pread_all(fd, block, n, at);
		if (r == 0)
			add_pages(&ctx, block, n, at);
	}
	return r < 0 ? r : finish_hex(&ctx, out);
}

int sha256_file_hex(const char *path, char out[SHA256_HEX])
{
	SHA256_CTX ctx;
	AUTO_FREE uint8_t *block = malloc(1 << 16);
	int r = block ? begin(&ctx) : -ENOMEM;
	if (r < 0)
		return r;
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t got = sys_read(fd, block, 1 << 16);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return finish_hex(&ctx, out);
		SHA256_Update(&ctx, block, (size_t)got);
	}
}
