/* SPDX-License-Identifier: MIT */
/*
 * The descriptor behind libext2fs. Unlike its own manager this one never syncs (that is done once,
 * when the image is published), takes a descriptor instead of a path that could change, and joins
 * the sixteen writes that sixteen inodes of one block make.
 */
#include <errno.h>

#include "disk/disk.h"

struct channel {
	struct struct_io_channel base; /* first: libext2fs sees only this */
	int fd;
	bool dirty;
	uint64_t held; /* offset of `block` */
	uint8_t block[DISK_BLOCK];
};

static errcode_t ext2_code(int r)
{
	if (r == -ENODATA)
		return EXT2_ET_SHORT_READ;
	return r < 0 ? -r : 0;
}

static errcode_t put_held(struct channel *ch)
{
	if (!ch->dirty)
		return 0;
	ch->dirty = false;
	return ext2_code(sys_pwrite_all(ch->fd, ch->block, sizeof(ch->block), ch->held));
}

void disk_io_name(char out[32], int fd)
{
	snprintf(out, 32, "%d", fd);
}

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
	(void)flags;
	struct channel *ch = calloc(1, sizeof(*ch));
	char *copy = strdup(name);
	if (!ch || !copy) {
		free(ch);
		free(copy);
		return ENOMEM;
	}
	ch->base.magic = EXT2_ET_MAGIC_IO_CHANNEL;
	ch->base.manager = (io_manager)&disk_io_manager;
	ch->base.name = copy;
	ch->base.block_size = 1024;
	ch->base.refcount = 1;
	ch->fd = (int)strtol(name, NULL, 10);
	*ret = &ch->base;
	return 0;
}

static errcode_t io_close(io_channel channel)
{
	struct channel *ch = (struct channel *)channel;
	if (--ch->base.refcount > 0)
		return 0;
	errcode_t code = put_held(ch);
	free(ch->base.name);
	free(ch);
	return code;
}

static errcode_t io_set_blksize(io_channel channel, int size)
{
	channel->block_size = size;
	return 0;
}

/* A negative count is a number of bytes. */
static size_t length_of(io_channel channel, int count)
{
	return count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)channel->block_size;
}

static errcode_t io_read(io_channel channel, unsigned long long block, int count, void *data)
{
	struct channel *ch = (struct channel *)channel;
	uint64_t at = block * (uint64_t)channel->block_size;
	size_t len = length_of(channel, count);
	if (ch->dirty && ch->held == at && len == sizeof(ch->block)) {
		memcpy(data, ch->block, len);
		return 0;
	}
	errcode_t code = put_held(ch);
	return code ? code : ext2_code(sys_pread_all(ch->fd, data, len, at));
}

static errcode_t io_write(io_channel channel, unsigned long long block, int count, const void *data)
{
	struct channel *ch = (struct channel *)channel;
	uint64_t at = block * (uint64_t)channel->block_size;
	size_t len = length_of(channel, count);
	errcode_t code = ch->held == at && len == sizeof(ch->block) ? 0 : put_held(ch);
	if (code)
		return code;
	if (len != sizeof(ch->block))
		return ext2_code(sys_pwrite_all(ch->fd, data, len, at));
	memcpy(ch->block, data, len);
	ch->held = at;
	ch->dirty = true;
	return 0;
}

static errcode_t io_read32(io_channel channel, unsigned long block, int count, void *data)
{
	return io_read(channel, block, count, data);
}

static errcode_t io_write32(io_channel channel, unsigned long block, int count, const void *data)
{
	return io_write(channel, block, count, data);
}

static errcode_t io_write_byte(
	io_channel channel, unsigned long offset, int count, const void *data)
{
	struct channel *ch = (struct channel *)channel;
	errcode_t code = put_held(ch);
	return code ? code : ext2_code(sys_pwrite_all(ch->fd, data, (size_t)count, offset));
}

static errcode_t io_flush(io_channel channel)
{
	return put_held((struct channel *)channel);
}

const struct struct_io_manager disk_io_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "nova",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read32,
	.write_blk = io_write32,
	.flush = io_flush,
	.write_byte = io_write_byte,
	.read_blk64 = io_read,
	.write_blk64 = io_write,
};

int disk_fail_ext2(nova_error_t **error, errcode_t code, const char *what)
{
	if (code == ENOMEM || code == EXT2_ET_NO_MEMORY)
		return nova_oom(error);
	if (code > 0 && code < 4096)
		return nova_fail_os(error, (int)code, "%s", what);
	/* Not error_message(): it has a static buffer, and tables that one would have to register.
	 */
	return nova_fail(error, NOVA_ECORRUPT, "%s is damaged: libext2fs gives error %ld", what,
		(long)(code & 255));
}
