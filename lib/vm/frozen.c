/* SPDX-License-Identifier: MIT */
/* Memory that clones share, and VMs at one instant: counted objects. */
#include <sys/stat.h>

#include "vm/frozen.h"

struct vm_base *base_ref(struct vm_base *base)
{
	__atomic_add_fetch(&base->references, 1, __ATOMIC_RELAXED);
	return base;
}

void base_unref(struct vm_base *base)
{
	if (!base || __atomic_sub_fetch(&base->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	fd_close(base->fd);
	fd_close(base->lock_fd);
	free(base->root);
	free(base->id);
	free(base);
}

struct vm_base *base_new(int fd)
{
	struct stat st;
	struct vm_base *base = sys_fstat(fd, &st) == 0 ? calloc(1, sizeof(*base)) : NULL;
	if (base)
		*base = (struct vm_base){
			.references = 1,
			.fd = fd,
			.device = st.st_dev,
			.inode = st.st_ino,
			.lock_fd = -1,
		};
	return base;
}

struct frozen *frozen_ref(struct frozen *frozen)
{
	__atomic_add_fetch(&frozen->references, 1, __ATOMIC_RELAXED);
	return frozen;
}

void frozen_unref(struct frozen *frozen)
{
	if (!frozen || __atomic_sub_fetch(&frozen->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	base_unref(frozen->base);
	pages_done(&frozen->pages);
	fd_close(frozen->state_fd);
	machine_config_done(&frozen->shape);
	guest_function_done(&frozen->function);
	free(frozen->rehearsal);
	free(frozen);
}

const char *frozen_draws(const struct frozen *frozen)
{
	return frozen->function.draws;
}

void frozen_set_draws(struct frozen *frozen, char *draws)
{
	free(frozen->function.draws);
	frozen->function.draws = draws;
}

uint32_t frozen_memory_mb(const struct frozen *frozen)
{
	return frozen->shape.memory_mb;
}

bool frozen_same_base(const struct frozen *a, const struct frozen *b)
{
	return a->base->device == b->base->device && a->base->inode == b->base->inode;
}

bool frozen_on_disk(const struct frozen *frozen, const char **ret_root, const char **ret_id)
{
	*ret_root = frozen->base->root;
	*ret_id = frozen->snapshot;
	return frozen->is_on_disk;
}

static int copy_state(const struct frozen *from, struct frozen *to, nova_error_t **error)
{
	int fd = sys_dup(from->state_fd);
	if (fd < 0)
		return nova_fail_os(error, fd, "the state of a microVM");
	to->state_fd = fd;
	return 0;
}

int frozen_with_code(const struct frozen *from, const char *code_disk, struct frozen **ret_frozen,
	nova_error_t **error)
{
	AUTO_FROZEN struct frozen *f = calloc(1, sizeof(*f));
	struct machine_config shape = from->shape;
	if (!f)
		return nova_oom(error);
	*f = (struct frozen){
		.references = 1,
		.ops = from->ops,
		.pages = PAGES_NONE,
		.state_fd = -1,
		.base = base_ref(from->base),
		.function = GUEST_FUNCTION_NONE,
	};
	memcpy(f->snapshot, from->snapshot, sizeof(f->snapshot));
	shape.code_disk = (char *)code_disk;
	if (from->function.is_there || from->pages.count)
		return nova_fail(error, NOVA_EINVAL,
			"only an instant without function and with its own memory takes another "
			"code disk");
	if (machine_config_copy(&f->shape, &shape) < 0)
		return nova_oom(error);
	int code = copy_state(from, f, error);
	if (code == 0)
		*ret_frozen = STEAL(f);
	return code;
}

int frozen_copy(const struct frozen *from, struct frozen **ret_frozen, nova_error_t **error)
{
	AUTO_FROZEN struct frozen *f = calloc(1, sizeof(*f));
	if (!f)
		return nova_oom(error);
	*f = (struct frozen){
		.references = 1,
		.ops = from->ops,
		.pages = PAGES_NONE,
		.state_fd = -1,
		.base = base_ref(from->base),
	};
	memcpy(f->snapshot, from->snapshot, sizeof(f->snapshot));
	if (machine_config_copy(&f->shape, &from->shape) < 0 ||
		guest_function_copy(&f->function, &from->function) < 0)
		return nova_oom(error);
	int code = copy_state(from, f, error);
	if (code == 0)
		code = pages_copy(&from->pages, &f->pages, error);
	if (code == 0)
		*ret_frozen = STEAL(f);
	return code;
}

void frozen_set_rehearsal(struct frozen *frozen, char *rehearsal)
{
	free(frozen->rehearsal);
	frozen->rehearsal = rehearsal;
}

int frozen_set_code(struct frozen *f, const char *code_disk, nova_error_t **error)
{
	char *path = strdup(code_disk);
	if (!path)
		return nova_oom(error);
	free(f->shape.code_disk);
	f->shape.code_disk = path;
	return 0;
}
