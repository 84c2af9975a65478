/* SPDX-License-Identifier: MIT */
/* Runtimes as data, and the check that a function can be run at all: at Init, so that a call need
 * not find out. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/run.h"

#define CODE_COPY_MAX (16u << 20)

static const struct runtime runtimes[] = {
	{
		.name = "python",
		.programs = { "/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3" },
		.modules = { ".py", "/__init__.py" },
		.warm = true,
		.missing = "there is no python3 in this root filesystem; use the rootfs 'python'",
	},
	{
		.name = "node",
		.programs = { "/usr/bin/node", "/usr/local/bin/node", "/usr/bin/nodejs" },
		.modules = { ".js", ".mjs", ".cjs", "/index.js", "/index.mjs", "/index.cjs" },
		/* Node tells an ES module by its name. */
		.single = "mjs",
		.main_too = "index",
		.warm = true,
		.missing = "there is no node in this root filesystem; use the rootfs 'node'",
	},
	/* What those have in common that are not here and whose calls start a program each. */
	{ .name = "none", .handler_is_file = true },
	{ .name = "go" },
	{ .name = "rust" },
	{ .name = "binary" },
	{
		.name = "shell",
		.programs = { "/bin/sh", "/usr/bin/sh" },
		.missing = "there is no /bin/sh in this root filesystem; use the rootfs 'base' or "
			   "'python'",
	},
	{
		.name = "wasm",
		.programs = { "/usr/bin/wasmtime", "/usr/local/bin/wasmtime" },
		.before = { "--allow-precompiled", "-Sinherit-env", "--dir=/tmp" },
		.compiled = true,
		.missing = "there is no wasmtime in this root filesystem; use the rootfs 'wasm'",
	},
};

static const char *find_program(const char *const *candidates)
{
	for (; *candidates; candidates++)
		if (access(*candidates, X_OK) == 0)
			return *candidates;
	return NULL;
}

static const struct runtime *find_runtime(const char *name)
{
	if (strcmp(name, "javascript") == 0)
		name = "node";
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
		if (strcmp(runtimes[i].name, name) == 0)
			return &runtimes[i];
	return NULL;
}

const char *function_program(const char *runtime)
{
	return find_program(find_runtime(runtime)->programs);
}

void function_clear(struct function *function)
{
	strings_free(function->env);
	strings_free(function->args);
	strings_free(function->argv);
	strings_free(function->opened);
	*function = (struct function){ 0 };
}

/* "pkg.mod.fn" is function fn of module pkg.mod, "dir/mod.fn" of dir.mod; without a dot it is a
 * function of main. "": the interpreter shall see what there is in main. */
static bool split_handler(struct function *function, const char *handler)
{
	const char *dot = strrchr(handler, '.');
	function->automatic = !*handler;
	snprintf(function->named, sizeof(function->named), "%s", handler);
	if (function->automatic) {
		snprintf(function->module, sizeof(function->module), "main");
		return true;
	}
	size_t module = dot ? (size_t)(dot - handler) : 4;
	const char *name = dot ? dot + 1 : handler;
	if (!module || !*name || module >= sizeof(function->module) ||
		strlen(name) >= sizeof(function->name) || handler[0] == '/' || strchr(name, '/') ||
		strstr(handler, "..") || strstr(handler, "//"))
		return false;
	snprintf(function->module, sizeof(function->module), "%.*s", (int)module,
		dot ? handler : "main");
	for (char *slash = function->module; (slash = strchr(slash, '/'));)
		*slash = '.';
	snprintf(function->name, sizeof(function->name), "%s", name);
	return true;
}

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int copy_file(const char *from, const char *to)
{
	AUTO_BUF struct buf content = BUF_INIT(CODE_COPY_MAX);
	int r = fs_read_file(from, &content);
	return r < 0 ? r : fs_write_file(to, content.data, content.len, 0644);
}

/* What packages are in lies beside the code; it is looked for beside the copy. */
static void link_packages(const struct guest *guest, const char *modules)
{
	char from[PATH_MAX], to[PATH_MAX];
	if ((size_t)snprintf(from, sizeof(from), "%s/node_modules", guest->code_dir) >=
			sizeof(from) ||
		(size_t)snprintf(to, sizeof(to), "%s/node_modules", modules) >= sizeof(to))
		return;
	unlink(to);
	(void)!symlink(from, to); /* without it what is missing is told */
}

/* Code that is one file has the name of no module. A program that the interpreter starts, such as a
 * process of its multiprocessing, finds it by a link; an interpreter that goes by the name, in a
 * copy. */
static void name_module(const struct function *function, const struct guest *guest)
{
	char path[PATH_MAX];
	const char *ending = function->runtime->single;
	modules_path(guest, path, sizeof(path));
	mkdir(path, 0755);
	if (ending)
		link_packages(guest, path);
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "/%s.%s", function->module,
		ending ? ending : "py");
	unlink(path);
	/* without it only such programs fail, and say what they miss */
	(void)!(ending ? copy_file(function->file, path) : symlink(function->file, path));
}

void modules_path(const struct guest *guest, char *path, size_t size)
{
	snprintf(path, size, "%s/modules", guest->input_dir);
}

/* /code/<module> with one of the endings; dots lead into directories. */
static bool find_module(struct function *function, const struct guest *guest, const char *module)
{
	char *file = function->file;
	size_t size = sizeof(function->file);
	size_t prefix = (size_t)snprintf(file, size, "%s/", guest->code_dir);
	snprintf(file + prefix, size - prefix, "%s", module);
	for (char *at = file + prefix; *at; at++)
		if (*at == '.')
			*at = '/';
	size_t used = strlen(file);
	for (const char *const *ending = function->runtime->modules; *ending; ending++) {
		snprintf(file + used, size - used, "%s", *ending);
		if (is_file(file))
			return true;
	}
	return false;
}

/* /code/handler, else the module, or the file that the handler names. */
static bool find_file(struct function *function, const struct guest *guest)
{
	const struct runtime *runtime = function->runtime;
	snprintf(function->file, sizeof(function->file), "%s/handler", guest->code_dir);
	if (is_file(function->file)) {
		if (runtime->warm)
			name_module(function, guest);
		return true;
	}
	if (runtime->handler_is_file && *function->named) {
		snprintf(function->file, sizeof(function->file), "%s/%s", guest->code_dir,
			function->named);
		return is_file(function->file);
	}
	if (find_module(function, guest, function->module))
		return true;
	return runtime->main_too && strcmp(function->module, "main") == 0 &&
	       find_module(function, guest, runtime->main_too);
}

static char *check_rights(const struct function *function, const struct guest *guest)
{
	struct stat st;
	bool run = !function->program;
	if (stat(function->file, &st) < 0)
		return str_format("%s: %s", function->file, strerror(errno));
	mode_t need = guest->pid1 ? (run ? 0001 : 0004) : (run ? 0100 : 0400);
	if (st.st_mode & need)
		return NULL;
	return str_format("%s (mode %04o) cannot be %s by the function's user; chmod %s it before "
			  "the code disk is made",
		function->file, (unsigned)st.st_mode & 07777, run ? "executed" : "read",
		run ? "755" : "644");
}

/* The loader that an ELF file asks for: 1 and its path, 0 if it needs none, -1 if the file makes no
 * sense. */
static int elf_loader(int fd, const Elf64_Ehdr *elf, char *ret_path, size_t size)
{
	for (unsigned i = 0; i < elf->e_phnum && i < 64; i++) {
		Elf64_Phdr part;
		if (sys_pread_all(fd, &part, sizeof(part), elf->e_phoff + i * sizeof(part)) < 0)
			return -1;
		if (part.p_type != PT_INTERP)
			continue;
		if (!part.p_filesz || part.p_filesz >= size ||
			sys_pread_all(fd, ret_path, part.p_filesz, part.p_offset) < 0)
			return -1;
		ret_path[part.p_filesz] = 0;
		return 1;
	}
	return 0;
}

static char *check_binary(const struct function *function)
{
	static const char rule[] = "it must be a statically linked Linux x86_64 program";
	char loader[256] = "";
	Elf64_Ehdr elf;
	AUTO_FD int fd = sys_open(function->file, O_RDONLY, 0);
	if (fd < 0)
		return str_format("%s cannot be read: %s", function->file, strerror(-fd));
	if (sys_pread_all(fd, &elf, 2, 0) == 0 && memcmp(&elf, "#!", 2) == 0)
		return NULL;
	if (sys_pread_all(fd, &elf, sizeof(elf), 0) < 0 ||
		memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
		return str_format("%s is not an executable file: %s", function->file, rule);
	if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != EM_X86_64 ||
		elf.e_phentsize != sizeof(Elf64_Phdr))
		return str_format(
			"%s was built for another kind of machine: %s", function->file, rule);
	int has = elf_loader(fd, &elf, loader, sizeof(loader));
	if (has < 0)
		return str_format("%s is damaged: %s", function->file, rule);
	if (has && access(loader, X_OK) < 0)
		return str_format("%s needs the loader %s, which this root filesystem has not: %s",
			function->file, loader, rule);
	return NULL;
}

static char *set_program(struct function *function)
{
	const struct runtime *runtime = function->runtime;
	if (function->argv && strcmp(function->argv[0], ARGV_FILE) == 0)
		return NULL;
	if (function->argv) {
		function->program = function->argv[0];
		return access(function->program, X_OK) == 0 ?
			       NULL :
			       str_format("there is no %s in this root filesystem that can be "
					  "executed",
				       function->program);
	}
	if (!runtime->programs[0])
		return NULL;
	function->program = find_program(runtime->programs);
	return function->program ? NULL : strdup(runtime->missing);
}

static char *no_code(const struct function *function, const struct guest *guest)
{
	const char *directory = guest->code_dir, *named = function->named;
	if (function->runtime->warm)
		return str_format("the function's code is missing: there is no module %s in %s, "
				  "and no file handler",
			function->module, directory);
	if (function->runtime->handler_is_file && *named)
		return str_format("the function's code is missing: there is no %s/%s, and no %s",
			directory, named, "file handler");
	return str_format("the function's code is missing: there is no %s/handler", directory);
}

char *function_find(struct function *function, const struct guest *guest)
{
	char *missing = set_program(function);
	if (missing)
		return missing;
	if (!find_file(function, guest))
		return no_code(function, guest);
	char *wrong = check_rights(function, guest);
	return wrong || function->program ? wrong : check_binary(function);
}

/* What a module can open besides /tmp, where its input is, as wasmtime has it: DIRECTORY::NAME. */
static char *set_opened(struct function *function, json_t *opened)
{
	size_t count = json_object_size(opened);
	if (!function->runtime->compiled)
		return count ? strdup("preopens: only functions of runtime wasm have them") : NULL;
	if (count > MAX_OPENED)
		return str_format("preopens: more than %d directories", MAX_OPENED);
	AUTO_JSON json_t *list = count ? json_array() : json_pack("[s, s]", "/code", ".");
	const char *name;
	json_t *directory;
	json_object_foreach(opened, name, directory)
	{
		AUTO_FREE char *text = str_format("%s::%s", json_string_value(directory), name);
		if (!text || json_array_append_new(list, json_string(text)) < 0)
			return strdup("out of memory");
	}
	function->opened = strings_of(list);
	return function->opened ? NULL : strdup("out of memory");
}

/* What a program is given besides its input: NOVA_ARGS, a list of JSON, and NOVA_STDIN, the name of
 * a file beside the code. */
static char *set_program_input(struct function *function, const struct guest *guest, json_t *env)
{
	const char *args = json_string_value(json_object_get(env, "NOVA_ARGS"));
	const char *name = json_string_value(json_object_get(env, "NOVA_STDIN"));
	AUTO_JSON json_t *list = args ? json_loads(args, 0, NULL) : NULL;
	function->args = strings_of(list);
	if (args && !function->args)
		return strdup("NOVA_ARGS is no list of texts in JSON");
	if (name)
		snprintf(function->stdin_path, sizeof(function->stdin_path), "%s/%s",
			guest->code_dir, name);
	return NULL;
}

/* The row of the table that has the rules for it; NULL: there is none. */
static const struct runtime *rules_of(const struct function_order *order)
{
	const struct runtime *found =
		find_runtime(order->protocol ? order->protocol : order->runtime);
	return !order->protocol || !found || found->warm || found->handler_is_file ? found : NULL;
}

char *function_set(
	struct function *function, const struct guest *guest, struct function_order *order)
{
	function_clear(function);
	const struct runtime *found = rules_of(order);
	if (!found && order->protocol)
		return str_format(
			"unknown protocol '%s'; there are python, node and none", order->protocol);
	if (!found)
		return str_format(
			"unknown runtime '%s'; there are python, node, go, rust, wasm, shell and "
			"binary",
			order->runtime);
	if (found->handler_is_file && !order->argv)
		return str_format("the runtime '%s' has no \"argv\"", order->runtime);
	if (!split_handler(function, order->handler))
		return str_format(
			"the handler '%s' is not of the form module.function", order->handler);
	const char *const first[] = { "PATH", FUNCTION_PATH, "HOME", guest->temp_dir, "LANG",
		"C.UTF-8", "NOVA_RUNTIME", order->protocol ? order->runtime : found->name,
		"NOVA_HANDLER", order->handler, guest->kv ? "NOVA_SOCKET" : NULL, guest->kv, NULL };
	function->env = env_make(first, order->env);
	function->argv = STEAL(order->argv);
	function->runtime = found;
	function->once = order->once;
	function->is_program = order->program;
	char *wrong = function->argv ? argv_check(function) : NULL;
	if (!wrong)
		wrong = set_program_input(function, guest, order->env);
	return wrong ? wrong : set_opened(function, order->opened);
}
