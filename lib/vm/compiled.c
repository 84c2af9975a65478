/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "hash/hash.h"
#include "vm/compiled.h"

#define KEY_DIGITS 16
#define NAME_LEN   (KEY_DIGITS + SHA256_HEX) /* KEY-CHECKSUM */
#define KEPT_MOST  4 /* of one code, for different compilers and processors */

/* --- the directory --- */

static int make_key(const nova_vm_t *vm, char key[SHA256_HEX], nova_error_t **error)
{
	AUTO_FREE char *engine = NULL, *compiler = NULL;
	int code = vm->ops->identity(host_engine_env(vm->host), &engine, error);
	if (code == 0)
		code = file_identity(vm->shape.rootfs, &compiler, error);
	if (code < 0)
		return code;
	AUTO_FREE char *text = str_format("%s\n%s", engine, compiler);
	if (!text || sha256_hex(text, strlen(text), key) < 0)
		return nova_oom(error);
	key[KEY_DIGITS] = 0;
	return 0;
}

/* Opens it; one that is not what it was is removed. */
static int open_whole(const char *directory, const char *name)
{
	char sum[SHA256_HEX];
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_FD int fd = path ? sys_open(path, O_RDONLY | O_NOFOLLOW, 0) : -1;
	if (fd < 0 || sha256_file_hex(path, sum) < 0)
		return -1;
	if (strcmp(sum, name + KEY_DIGITS + 1) == 0)
		return STEAL_FD(fd);
	fs_unlink(path);
	return -1;
}

/* -1: there is none. */
static int find(const char *directory, const char *key)
{
	char **names;
	int count = fs_list(directory, &names), fd = -1;
	for (int i = 0; i < count && fd < 0; i++)
		if (strlen(names[i]) == NAME_LEN && str_starts(names[i], key))
			fd = open_whole(directory, names[i]);
	if (count >= 0)
		strv_free(names, (size_t)count);
	return fd;
}

/* Removes what the new one replaces and, of many, those of compilers and processors that may be no
 * more. */
static void make_room(const char *directory, const char *key)
{
	char **names;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		bool goes = count > KEPT_MOST || str_starts(names[i], key);
		if (path && goes && strlen(names[i]) == NAME_LEN)
			fs_unlink(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	fs_sweep_temps(directory, NULL);
}

/* --- to the guest --- */

struct piece {
	int fd;
	uint64_t offset, size; /* size: of the whole */
	char part[17];
};

static int send_piece(nova_vm_t *vm, struct piece *p, const struct vm_request *how)
{
	uint64_t left = p->size - p->offset;
	size_t len = left < PROTO_FILE_PIECE ? (size_t)left : PROTO_FILE_PIECE;
	AUTO_BUF struct buf coded = BUF_INIT(PROTO_FILE_PIECE * 2);
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	AUTO_FREE void *data = malloc(len + 1);
	if (!data || sys_pread_all(p->fd, data, len, p->offset) < 0 ||
		base64_put(&coded, data, len) < 0)
		return NOVA_EIO;
	json_t *payload = json_pack("{s:s, s:s, s:s, s:i, s:I, s:b, s:s%}", "path",
		PROTO_MACHINE_CODE, "kind", "file", "part", p->part, "mode", 0444, "offset",
		(json_int_t)p->offset, "last", len == left, "base64", (char *)coded.data,
		coded.len);
	int code = vm_ask_json_as(vm, NOVA_MSG_FILE_WRITE, payload, how, &answer, NULL);
	p->offset += len;
	return code < 0 ? code : vm_done(&answer, NULL);
}

bool compiled_give(nova_vm_t *vm, const char *directory, const struct vm_request *how)
{
	char key[SHA256_HEX];
	struct stat st = { 0 };
	AUTO_FD int fd = make_key(vm, key, NULL) < 0 ? -1 : find(directory, key);
	struct piece p = { .fd = fd };
	if (fd < 0 || sys_fstat(fd, &st) < 0 || !st.st_size || random_hex(p.part, 16) < 0)
		return false;
	p.size = (uint64_t)st.st_size;
	int code = 0;
	while (code == 0 && p.offset < p.size)
		code = send_piece(vm, &p, how);
	return code == 0;
}

/* --- from the guest --- */

/* What the guest says of the size is believed up to that of its memory. */
static int fetch_piece(
	nova_vm_t *vm, struct piece *p, const struct vm_request *how, nova_error_t **error)
{
	AUTO_BUF struct buf bytes = BUF_INIT(PROTO_FILE_PIECE + 1);
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	const struct guest_message *said = &answer.said;
	json_t *payload = json_pack("{s:s, s:I, s:I}", "path", PROTO_MACHINE_CODE, "offset",
		(json_int_t)p->offset, "length", (json_int_t)PROTO_FILE_PIECE);
	int code = vm_ask_json_as(vm, NOVA_MSG_FILE_READ, payload, how, &answer, error);
	if (code == 0)
		code = vm_done(&answer, error);
	if (code < 0)
		return code;
	int r = said->base64.at ? base64_get(&bytes, said->base64.at, said->base64.len) : -EINVAL;
	if (r < 0 || !bytes.len || said->size < (int64_t)(p->offset + bytes.len) ||
		said->size > (int64_t)vm->shape.memory_mb << 20)
		return nova_fail(error, NOVA_EAGENT, "the guest's answer holds no machine code");
	p->size = (uint64_t)said->size;
	r = sys_pwrite_all(p->fd, bytes.data, bytes.len, p->offset);
	p->offset += bytes.len;
	return r < 0 ? nova_fail_os(error, r, "it cannot be written") : 0;
}

/* Under its name once it is whole. */
static int publish(const char *directory, const char *key, int fd, const char *temp)
{
	char sum[SHA256_HEX];
	int r = sha256_file_hex(temp, sum);
	AUTO_FREE char *path = r < 0 ? NULL : str_format("%s/%s-%s", directory, key, sum);
	if (!path)
		return r < 0 ? r : -ENOMEM;
	make_room(directory, key);
	return fs_publish(fd, temp, path);
}

static int fetch(
	nova_vm_t *vm, const char *directory, const struct vm_request *how, nova_error_t **error)
{
	char key[SHA256_HEX];
	AUTO_FREE char *begin = path_join(directory, "new"), *temp = NULL;
	AUTO_FD int fd = -1;
	int code = make_key(vm, key, error);
	if (code < 0)
		return code;
	int r = begin ? fs_mkdirs(directory, 0700) : -ENOMEM;
	if (r == 0)
		r = fs_temp_beside(begin, 0600, &fd, &temp);
	struct piece p = { .fd = fd };
	do
		code = r < 0 ? 0 : fetch_piece(vm, &p, how, error);
	while (r == 0 && code == 0 && p.offset < p.size);
	if (r == 0 && code == 0)
		r = publish(directory, key, fd, temp);
	if (temp && (r < 0 || code < 0))
		fs_unlink(temp);
	return r < 0 ? nova_fail_os(error, r, "'%s'", directory) : code;
}

void compiled_keep(nova_vm_t *vm, const char *directory, const struct vm_request *how)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	if (fetch(vm, directory, how, &failure) < 0 && nova_error_code(failure) != NOVA_ECANCELED)
		log_warn(host_log(vm->host), "wasm",
			"the machine code of a module is not kept, and is made again: %s",
			nova_error_message(failure));
}
