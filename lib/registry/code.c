/* SPDX-License-Identifier: MIT */
/*
 * The look at code before it is stored. A function that cannot possibly start is refused at
 * registration, with the command that makes a good one, rather than at its first call from within a
 * guest.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>

#include "disk/disk.h"
#include "registry/internal.h"

#define MAX_SEGMENTS 256u

static bool elf_fits_guest(const Elf64_Ehdr *header)
{
	return header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
	       header->e_machine == EM_X86_64;
}

/* 1: it asks for a dynamic loader; 0: it does not; -1: its headers lead nowhere. */
static int elf_wants_loader(const struct code *code, const Elf64_Ehdr *header)
{
	if (header->e_phentsize != sizeof(Elf64_Phdr) || !header->e_phnum ||
		header->e_phnum > MAX_SEGMENTS)
		return -1;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment;
		uint64_t at;
		if (__builtin_add_overflow(header->e_phoff, i * sizeof(segment), &at) ||
			at > INT64_MAX || !code_read(code, &segment, sizeof(segment), at))
			return -1;
		if (segment.p_type == PT_INTERP)
			return 1;
	}
	return 0;
}

static int check_elf(const struct code *code, const struct runtime *runtime, nova_error_t **error)
{
	Elf64_Ehdr header;
	char magic[SELFMAG];
	bool is_elf = code_read(code, magic, sizeof(magic), 0) && !memcmp(magic, ELFMAG, SELFMAG);
	if (!is_elf)
		return runtime->form == CODE_ELF ?
			       code_refuse(code, runtime, "is not a Linux program (ELF)", error) :
			       0;
	if (!code_read(code, &header, sizeof(header), 0))
		return code_refuse(
			code, runtime, "is a damaged program (ELF header cut short)", error);
	if (!elf_fits_guest(&header))
		return code_refuse(code, runtime,
			"is a program for another kind of machine than x86_64", error);
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return code_refuse(
			code, runtime, "is an object file or core dump, not a program", error);
	int wants_loader = elf_wants_loader(code, &header);
	if (wants_loader < 0)
		return code_refuse(
			code, runtime, "is a damaged program (ELF program headers)", error);
	if (wants_loader)
		return code_refuse(code, runtime,
			"is dynamically linked and the guest has no libraries for it", error);
	return 0;
}

/* A zip is what other platforms take; here it would be run as it is. Python runs one that has a
 * __main__, and no handler of such a one could be found. */
static int check_not_zip(
	const struct code *code, const struct runtime *runtime, nova_error_t **error)
{
	char magic[4];
	if (!code_read(code, magic, sizeof(magic), 0) ||
		memcmp(magic, "PK\3\4", sizeof(magic)) != 0)
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"code: %s is a zip file, not %s code; unpack it and give the directory", code->what,
		runtime->is.name);
}

static int check_form(const struct code *code, const struct runtime *runtime, nova_error_t **error)
{
	if (!code->len)
		return nova_fail(error, NOVA_EINVAL, "code: %s is empty", code->what);
	switch (runtime->form) {
	case CODE_ELF:
	case CODE_SOURCE_OR_ELF:
		return check_elf(code, runtime, error);
	case CODE_WASM:
		return code_check_wasm(code, runtime, error);
	default:
		return check_not_zip(code, runtime, error);
	}
}

static int check_file(const struct runtime *runtime, const char *path, nova_error_t **error)
{
	struct stat st;
	/* Not blocking: the path may be a FIFO. */
	AUTO_FD int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	int r = fd < 0 ? fd : sys_fstat(fd, &st);
	if (r < 0)
		return nova_fail_os(error, r, "code: cannot read %s", path);
	if (!S_ISREG(st.st_mode))
		return nova_fail(error, NOVA_EINVAL, "code: %s is no regular file", path);
	struct code code = { path, fd, NULL, (size_t)st.st_size };
	return check_form(&code, runtime, error);
}

/* --- the entry of a directory --- */

static int fail_entry(int r, const char *path, nova_error_t **error)
{
	if (r == -EXDEV)
		return nova_fail(error, NOVA_EINVAL,
			"code: %s is behind a link that leads out of the directory, which the "
			"guest cannot "
			"follow; put a copy there, or a relative link to a place inside",
			path);
	if (r == -ENXIO) /* a socket */
		return nova_fail(error, NOVA_EINVAL, "code: %s is no regular file", path);
	return nova_fail_os(error, r, "code: cannot read %s", path);
}

/* The modes on the code disk are wider than these: what its owner may do the function may. */
static int check_modes(
	const struct runtime *runtime, const char *path, mode_t mode, nova_error_t **error)
{
	bool runs = runtime->form == CODE_ELF || runtime->form == CODE_SOURCE_OR_ELF;
	mode_t need = runs ? S_IXUSR | S_IXOTH : S_IRUSR | S_IROTH;
	if (mode & need)
		return 0;
	return nova_fail(error, NOVA_EPERM,
		"code: %s has the mode %04o, and its owner cannot %s it: chmod u+%s %s", path,
		(unsigned)mode & 07777, runs ? "execute" : "read", runs ? "x" : "r", path);
}

static int check_opened(
	const struct runtime *runtime, const char *path, int fd, nova_error_t **error)
{
	struct stat st;
	int r = sys_fstat(fd, &st);
	if (r < 0)
		return fail_entry(r, path, error);
	if (S_ISDIR(st.st_mode))
		return 0;
	if (!S_ISREG(st.st_mode))
		return nova_fail(error, NOVA_EINVAL, "code: %s is no regular file", path);
	struct code code = { path, fd, NULL, (size_t)st.st_size };
	r = check_modes(runtime, path, st.st_mode, error);
	if (r == 0)
		r = check_form(&code, runtime, error);
	return r < 0 ? r : 1;
}

/* 1: a regular file, which is then checked; 0: there is none of that name. */
static int check_entry(const struct runtime *runtime, const char *directory, const char *name,
	nova_error_t **error)
{
	AUTO_FREE char *path = path_join(directory, name);
	if (!path)
		return nova_oom(error);
	AUTO_FD int dir = sys_open(directory, O_RDONLY | O_DIRECTORY, 0);
	AUTO_FD int fd = dir < 0 ? dir : sys_open_beneath(dir, name, O_RDONLY | O_NONBLOCK);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	return fd < 0 ? fail_entry(fd, path, error) : check_opened(runtime, path, fd, error);
}

/* Where the module of the handler's name may be: pkg/mod and the ending. */
static char *module_name(const char *module, int len, const char *ending)
{
	char *name = str_format("%.*s%s", len, module, ending);
	for (char *at = name; at && at < name + len; at++)
		if (*at == '.')
			*at = '/';
	return name;
}

/* 1, 0 or what is wrong, as check_entry(). */
static int check_modules(const struct runtime *runtime, const char *path, const char *module,
	int len, nova_error_t **error)
{
	int found = 0;
	for (const char *const *ending = runtime->modules; found == 0 && *ending; ending++) {
		AUTO_FREE char *name = module_name(module, len, *ending);
		found = name ? check_entry(runtime, path, name, error) : nova_oom(error);
	}
	return found;
}

static int check_module_directory(
	const struct runtime *runtime, const char *path, const char *handler, nova_error_t **error)
{
	const char *dot = strrchr(handler, '.'), *module = dot ? handler : "main";
	int len = dot ? (int)(dot - handler) : 4;
	int found = check_modules(runtime, path, module, len, error);
	if (found == 0 && runtime->main_too && len == 4 && !strncmp(module, "main", 4))
		found = check_modules(
			runtime, path, runtime->main_too, (int)strlen(runtime->main_too), error);
	if (found)
		return found < 0 ? found : 0;
	AUTO_FREE char *name = module_name(module, len, runtime->modules[0]);
	return nova_fail(error, NOVA_EINVAL,
		"code: the directory %s has no file 'handler' and no '%s', where the handler would "
		"be",
		path, name ? name : module);
}

/* In a directory the entry is the file `handler`, or what the handler names: a file or a module. */
static int check_directory(
	const struct runtime *runtime, const char *path, const char *handler, nova_error_t **error)
{
	int found = check_entry(runtime, path, "handler", error);
	bool named = found == 0 && runtime->handler_is_file && *handler;
	if (named)
		found = check_entry(runtime, path, handler, error);
	if (found)
		return found < 0 ? found : 0;
	if (runtime->modules[0])
		return check_module_directory(runtime, path, handler, error);
	if (named)
		return nova_fail(error, NOVA_EINVAL,
			"code: the directory %s has no file '%s', and no file 'handler'", path,
			handler);
	if (runtime->handler_is_file)
		return nova_fail(error, NOVA_EINVAL,
			"code: the directory %s has no file 'handler'; name its file as the "
			"handler, such as main.lua",
			path);
	return nova_fail(error, NOVA_EINVAL, "code: the directory %s has no file 'handler'", path);
}

int code_check(const struct runtime *runtime, const nova_function_opts *opts, const char *handler,
	const struct logger *log, nova_error_t **error)
{
	if (!opts->code_path) {
		struct code code = { "what was given", -1, opts->code, opts->code_len };
		return check_form(&code, runtime, error);
	}
	int directory = fs_is_directory(opts->code_path);
	if (directory < 0)
		return nova_fail_os(error, directory, "code: cannot read %s", opts->code_path);
	if (!directory)
		return check_file(runtime, opts->code_path, error);
	int code = check_directory(runtime, opts->code_path, handler, error);
	return code < 0 ? code : nova_wrap(error, disk_look(opts->code_path, log, error), "code");
}
