/* SPDX-License-Identifier: MIT */
/*
 * Where the files of a machine are. Without a jail the VMM inherits them, and finds them below
 * /proc/self/fd. In a jail it inherits nothing and sees nothing but the jail's root, into which
 * they are linked: beside the state directory, so that links are possible.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "engine/user.h"
#include "engine/firecracker/firecracker.h"

#define INSTALLED "/opt/nova/bin/jailer"

static const char *const names[] = {
	[FC_DISK] = "rootfs",
	[FC_DISK + 1] = "code",
	[FC_MEMORY] = "memory",
	[FC_STATE] = "state",
	[FC_DIFF] = "diff",
	[FC_KERNEL] = "kernel",
	[FC_INITRAMFS] = "initramfs",
	[FC_VSOCK] = "vsock",
	[FC_API] = "api",
	[FC_WHOLE] = "whole",
	[FC_LOG] = "log",
	[FC_METRICS] = "metrics",
	[FC_DIAG] = "diag",
};

/* --- the directory --- */

char *fc_jails(const struct engine_env *env)
{
	return path_join(env->run_dir, "jail");
}

/* <base>/<name of the program>/<id>/root, as the jailer will have it. */
static int choose_jail(struct fc_place *place, const struct engine_env *env, const char *binary,
	nova_error_t **error)
{
	AUTO_FREE char *real = realpath(binary, NULL), *jails = fc_jails(env);
	const char *slash = real ? strrchr(real, '/') : NULL;
	if (!slash || !jails)
		return nova_fail(error, NOVA_EIO, "no place for the jail of '%s'", binary);
	if (!fs_allows_devices(env->run_dir))
		return nova_fail(error, NOVA_EENGINE,
			"'%s' is mounted with nodev, so a jail in it has no /dev/kvm: set home to "
			"another file system, or firecracker.jailer to off",
			env->run_dir);
	place->remove = str_format("%s/%s/%s", jails, slash + 1, place->id);
	place->directory = place->remove ? path_join(place->remove, "root") : NULL;
	if (!place->directory)
		return nova_oom(error);
	/* The first is the group of all. */
	return vmm_user_take(
		FIRST_VMM_UID + 1, VMM_UIDS - 1, &place->uid, &place->user_lock, error);
}

int fc_place_make(struct fc_place *place, const struct engine_env *env, const char *binary,
	bool jailed, const char *id, nova_error_t **error)
{
	char suffix[5];
	*place = (struct fc_place){ .jailed = jailed, .fd = -1, .user_lock = -1 };
	/* also beside another machine of the same VM, which goes on as a clone of itself */
	if (random_hex(suffix, 4) < 0)
		return nova_oom(error);
	snprintf(place->id, sizeof(place->id), "nova-%.8s-%s", id, suffix);
	int code = 0;
	if (jailed) {
		code = choose_jail(place, env, binary, error);
	} else {
		place->remove = str_format("%s/fc-%s", env->run_dir, place->id + strlen("nova-"));
		place->directory = place->remove ? strdup(place->remove) : NULL;
	}
	if (code < 0 || !place->directory)
		return code < 0 ? code : nova_oom(error);
	int r = fs_mkdirs(place->directory, 0700);
	if (r == 0)
		r = place->fd = sys_open(place->directory, O_RDONLY | O_DIRECTORY, 0);
	return r < 0 ? nova_fail_os(error, r, "directory '%s'", place->directory) : 0;
}

void fc_place_done(struct fc_place *place)
{
	if (!place->remove)
		return;
	fs_remove_tree(place->remove);
	fd_close(place->fd);
	if (place->jailed)
		fd_close(place->user_lock);
	free(place->remove);
	free(place->directory);
	*place = (struct fc_place){ .fd = -1 };
}

char *fc_seen(const struct fc_place *place, enum fc_file file)
{
	if (place->jailed)
		return str_format("/%s", names[file]);
	return file < FC_FD_FILES ? str_format("/proc/self/fd/%d", FC_FD_FIRST + (int)file) :
				    str_format("/proc/self/fd/%d/%s", FC_FD_DIRECTORY, names[file]);
}

char *fc_path(const struct fc_place *place, enum fc_file file)
{
	return str_format("/proc/self/fd/%d/%s", place->fd, names[file]);
}

/* --- files in it --- */

static int copy(int from, int to)
{
	struct stat st;
	int r = sys_fstat(from, &st);
	if (r < 0 || sys_clone_file(from, to) == 0)
		return r;
	return sys_copy_sparse(from, to, (uint64_t)st.st_size);
}

/* The VMM's user must be able to read it, and no VMM may write what others map: what is not so is
 * given to the group of the jailed, for reading. */
static int let_read(int fd)
{
	struct stat st;
	int r = sys_fstat(fd, &st);
	bool fits = r == 0 && st.st_mode & S_IROTH && !(st.st_mode & (S_IWGRP | S_IWOTH)) &&
		    st.st_uid == 0;
	return r < 0 || fits ? r : sys_set_owner(fd, 0, FIRST_VMM_UID, 0640);
}

/* Rights of an image of the user's are not ours to change. */
static bool may_link(enum fc_file file, int fd)
{
	struct stat st;
	bool ours = file == FC_MEMORY || file == FC_STATE || file == FC_WHOLE;
	return ours || (sys_fstat(fd, &st) == 0 && st.st_mode & S_IROTH &&
			       !(st.st_mode & (S_IWGRP | S_IWOTH)));
}

static int place_fd(const struct fc_place *place, enum fc_file file, int fd)
{
	if (may_link(file, fd) && sys_link_fd(fd, place->fd, names[file]) == 0)
		return file == FC_MEMORY || file == FC_STATE || file == FC_WHOLE ? let_read(fd) : 0;
	AUTO_FD int to = sys_openat(place->fd, names[file], O_RDWR | O_CREAT | O_EXCL, 0600);
	int r = to < 0 ? to : copy(fd, to);
	return r < 0 ? r : let_read(to);
}

int fc_place_fd(const struct fc_place *place, enum fc_file file, int fd, nova_error_t **error)
{
	int r = place_fd(place, file, fd);
	return r < 0 ? nova_fail_os(
			       error, r, "%s in the jail '%s'", names[file], place->directory) :
		       0;
}

int fc_place_path(
	const struct fc_place *place, enum fc_file file, const char *path, nova_error_t **error)
{
	AUTO_FREE char *absolute = NULL;
	AUTO_FD int fd = place->jailed ? sys_open(path, O_RDONLY, 0) : -1;
	int r = path_absolute(path, &absolute);
	if (r == 0)
		r = place->jailed ? (fd < 0 ? fd : place_fd(place, file, fd)) :
				    sys_symlinkat(absolute, place->fd, names[file]);
	return r < 0 ? nova_fail_os(error, r, "'%s' for Firecracker", path) : 0;
}

int fc_place_open(
	const struct fc_place *place, enum fc_file file, int *ret_fd, nova_error_t **error)
{
	/* whoever is in the jail chooses what lies there */
	int fd = sys_openat(place->fd, names[file], O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return nova_fail_os(error, fd, "%s of Firecracker", names[file]);
	fd_close(*ret_fd);
	*ret_fd = fd;
	return 0;
}

int fc_place_clear(const struct fc_place *place, enum fc_file file, nova_error_t **error)
{
	int r = sys_unlinkat(place->fd, names[file]);
	return r < 0 ? nova_fail_os(error, r, "%s of Firecracker", names[file]) : 0;
}

/* --- what people want to look at --- */

static bool is_default(const struct engine_env *env, const char *key)
{
	return nova_config_source(env->config, key) == NOVA_CONFIG_DEFAULT;
}

/* That no VM can be looked at there is no failure of it. */
static void warn_os(const struct engine_env *env, int r, const char *what, const char *path)
{
	AUTO_ERROR nova_error_t *why = NULL;
	nova_fail_os(&why, r, "%s '%s'", what, path);
	log_warn(env->log, "firecracker", "%s", nova_error_message(why));
}

/* The directory that a setting names; NULL: none is wanted. */
static const char *named(const struct engine_env *env, const char *key)
{
	const char *directory = config_str(env->config, key);
	return *directory && strcmp(directory, "off") != 0 ? directory : NULL;
}

/* It, made; NULL also if it cannot be had, which is logged. In the place of the default, /tmp,
 * others can have put what they like. */
static const char *looked_at(const struct engine_env *env, const char *key)
{
	const char *directory = named(env, key);
	if (!directory)
		return NULL;
	if (!is_default(env, key)) {
		int r = fs_mkdirs(directory, 0700);
		if (r < 0)
			warn_os(env, r, key, directory);
		return r < 0 ? NULL : directory;
	}
	if (fs_make_private(directory) == 0)
		return directory;
	log_info(env->log, "firecracker",
		"'%s' is not this user's alone, so nothing is put there (setting %s)", directory,
		key);
	return NULL;
}

int fc_place_diag(
	const struct fc_place *place, int *ret_ours, int *ret_theirs, nova_error_t **error)
{
	const char *name = names[FC_DIAG];
	int r = sys_mkfifoat(place->fd, name, 0600);
	AUTO_FD int ours = r < 0 ? r : sys_openat(place->fd, name, O_RDONLY | O_NONBLOCK, 0);
	AUTO_FD int theirs =
		ours < 0 ? ours : sys_openat(place->fd, name, O_WRONLY | O_NONBLOCK, 0);
	r = theirs;
	if (r >= 0 && place->jailed)
		r = sys_set_owner(theirs, place->uid, FIRST_VMM_UID, 0600);
	if (r < 0)
		return nova_fail_os(error, r, "FIFO in '%s'", place->directory);
	*ret_ours = STEAL_FD(ours);
	*ret_theirs = STEAL_FD(theirs);
	return 0;
}

/* An empty file of metrics, which a VMM of any version can open. */
static int make_metrics(const struct fc_place *place)
{
	AUTO_FD int fd = sys_openat(place->fd, names[FC_METRICS], O_RDWR | O_CREAT | O_EXCL, 0600);
	return fd >= 0 && place->jailed ? sys_set_owner(fd, place->uid, FIRST_VMM_UID, 0600) : fd;
}

void fc_place_logs(struct fc_place *place, const struct engine_env *env, int *ret_log)
{
	if (!looked_at(env, "firecracker.log_dir"))
		return;
	AUTO_FREE char *path = path_join(place->remove, names[FC_LOG]);
	AUTO_FD int log = path ? sys_open(path, O_RDWR | O_CREAT | O_EXCL, 0600) : -ENOMEM;
	int r = log < 0 ? log : make_metrics(place);
	if (r < 0) {
		warn_os(env, r, "log and metrics in", place->remove);
		return;
	}
	place->logs = true;
	*ret_log = STEAL_FD(log);
}

/* The directory of a machine is there before its links and until they are gone; its socket may
 * come later. */
static bool is_stale(const char *link)
{
	AUTO_FREE char *target = NULL;
	char *slash = sys_readlinkat(AT_FDCWD, link, &target) == 0 ? strrchr(target, '/') : NULL;
	if (!slash)
		return false;
	*slash = 0;
	return fs_exists(target) == 0;
}

/* Links of processes that were killed. */
static void sweep_links(const char *directory)
{
	char **found;
	int count = fs_list(directory, &found);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, found[i]);
		if (path && str_starts(found[i], "nova-") && is_stale(path))
			fs_unlink(path);
	}
	if (count >= 0)
		strv_free(found, (size_t)count);
}

static const struct link {
	const char *key;
	enum fc_file file;
	const char *ending, *what;
} links[] = {
	{ "firecracker.socket_dir", FC_API, "sock", "API socket" },
	{ "firecracker.vsock_dir", FC_VSOCK, "sock", "vsock socket" },
	{ "firecracker.log_dir", FC_LOG, "log", "log" },
	{ "firecracker.log_dir", FC_METRICS, "metrics", "metrics" },
};

static int link_one(
	const struct fc_place *place, const char *directory, const struct link *link, bool make)
{
	AUTO_FREE char *path = str_format("%s/%s.%s", directory, place->id, link->ending);
	const char *in = link->file == FC_LOG ? place->remove : place->directory;
	AUTO_FREE char *target = path_join(in, names[link->file]);
	if (!path || !target)
		return -ENOMEM;
	if (!make)
		return fs_unlink(path);
	sweep_links(directory);
	return sys_symlinkat(target, AT_FDCWD, path);
}

void fc_place_links(const struct fc_place *place, const struct engine_env *env, bool make)
{
	for (size_t i = 0; place->directory && i < ARRAY_LEN(links); i++) {
		const char *key = links[i].key, *directory = NULL;
		if (place->logs || (links[i].file != FC_LOG && links[i].file != FC_METRICS))
			directory = make ? looked_at(env, key) : named(env, key);
		int r = directory ? link_one(place, directory, &links[i], make) : 0;
		if (r < 0 && make) /* one that was never made cannot be removed */
			log_warn(env->log, "firecracker",
				"no link to the %s of %s can be made in '%s' (setting %s)",
				links[i].what, place->id, directory, key);
	}
}

/* --- the jailer --- */

/* -ENOENT: there is none. */
static int beside(const char *binary, char **ret_path)
{
	AUTO_FREE char *real = realpath(binary, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;
	AUTO_FREE char *path = slash ? str_format("%.*s/jailer", (int)(slash - real), real) : NULL;
	if (!path)
		return -ENOMEM; /* the binary itself was found just now */
	if (access(path, X_OK) < 0)
		return -ENOENT;
	*ret_path = STEAL(path);
	return 0;
}

int fc_jailer(
	const struct engine_env *env, const char *binary, char **ret_path, nova_error_t **error)
{
	const char *configured = config_str(env->config, "firecracker.jailer");
	*ret_path = NULL;
	if (!strcmp(configured, "off") || geteuid() != 0)
		return 0;
	if (*configured && access(configured, X_OK) < 0)
		return nova_fail(error, NOVA_ENOTFOUND,
			"the setting firecracker.jailer names '%s', which cannot be executed",
			configured);
	int r = *configured ? path_absolute(configured, ret_path) : beside(binary, ret_path);
	if (r == -ENOENT && !*configured)
		r = path_search("jailer", config_environment(env->config), ret_path);
	if (r == -ENOENT && !*configured && access(INSTALLED, X_OK) == 0)
		r = path_absolute(INSTALLED, ret_path);
	if (r < 0 && (r != -ENOENT || *configured)) /* without a jail only where there is none */
		return nova_fail_os(error, r, "looking for Firecracker's jailer");
	if (!*ret_path)
		log_warn(env->log, "firecracker",
			"there is no jailer, so Firecracker runs as root and sees all files: "
			"install it beside '%s'",
			binary);
	return 0;
}

/* The process that a jail's pid file names, if it is still the one: its command line has the jail's
 * id, which nothing else has. */
static void end_jailed(
	const char *jail, const char *id, const char *program, const struct logger *log)
{
	AUTO_FREE char *path = str_format("%s/%s/root/%s.pid", jail, id, program), *pid = NULL,
		       *line = NULL;
	AUTO_BUF struct buf text = BUF_INIT(64), command = BUF_INIT(1u << 20);
	if (!path || fs_read_file(path, &text) < 0 || !(pid = buf_steal_str(&text)))
		return;
	/* before the look at its command line: it is that process which is ended */
	AUTO_FD int process = sys_pidfd_open(strtol(pid, NULL, 10));
	line = str_format("/proc/%.10s/cmdline", pid);
	if (process < 0 || !line || fs_read_file(line, &command) < 0 || !command.len ||
		!memmem(command.data, command.len, id, strlen(id)))
		return;
	log_info(log, "firecracker", "ending %s, which outlived its keeper", id);
	sys_pidfd_signal(process, SIGKILL);
}

/* The change of user in a jail takes away that the kernel ends a VMM together with its parent. */
void fc_sweep(const char *run_dir, const struct logger *log)
{
	AUTO_FREE char *jails = path_join(run_dir, "jail");
	char **programs, **ids;
	int program_count = jails ? fs_list(jails, &programs) : 0;
	for (int i = 0; i < program_count; i++) {
		AUTO_FREE char *jail = path_join(jails, programs[i]);
		int count = jail ? fs_list(jail, &ids) : 0;
		for (int j = 0; j < count; j++)
			end_jailed(jail, ids[j], programs[i], log);
		if (count > 0)
			strv_free(ids, (size_t)count);
	}
	if (program_count > 0)
		strv_free(programs, (size_t)program_count);
}

static void add(struct fc_command *c, size_t *count, const char *text)
{
	if (*count < FC_ARGS - 1)
		c->argv[(*count)++] = text;
}

int fc_command_make(struct fc_command *c, const char *jailer, const char *binary,
	const struct fc_place *place, const char *jails)
{
	size_t count = 0;
	*c = (struct fc_command){
		.api = fc_seen(place, FC_API),
		.diag = fc_seen(place, FC_DIAG),
		.metrics = fc_seen(place, FC_METRICS),
	};
	snprintf(c->uid, sizeof(c->uid), "%u", place->uid);
	snprintf(c->gid, sizeof(c->gid), "%u", FIRST_VMM_UID);
	/* Of version 2 it would join the group "firecracker" where there is one, out of ours and
	 * its limits; of version 1 it joins none unless it is told to. */
	const char *const jail[] = { jailer, "--id", place->id, "--exec-file", binary, "--uid",
		c->uid, "--gid", c->gid, "--chroot-base-dir", jails, "--cgroup-version", "1",
		"--resource-limit", "no-file=1024", "--" };
	const char *const plain[] = { binary, "--id", place->id };
	const char *const both[] = {
		"--api-sock",
		c->api,
		"--log-path",
		c->diag,
		"--level",
		"Warning",
		"--show-level",
	};
	const char *const metrics[] = { "--metrics-path", c->metrics };
	for (size_t i = 0; place->jailed && i < ARRAY_LEN(jail); i++)
		add(c, &count, jail[i]);
	for (size_t i = 0; !place->jailed && i < ARRAY_LEN(plain); i++)
		add(c, &count, plain[i]);
	for (size_t i = 0; i < ARRAY_LEN(both); i++)
		add(c, &count, both[i]);
	for (size_t i = 0; place->logs && i < ARRAY_LEN(metrics); i++)
		add(c, &count, metrics[i]);
	return c->api && c->diag && c->metrics ? 0 : NOVA_ENOMEM;
}

void fc_command_done(struct fc_command *c)
{
	free(c->api);
	free(c->diag);
	free(c->metrics);
	*c = (struct fc_command){ .api = NULL };
}
