/* SPDX-License-Identifier: MIT */
/* The context: settings, log, state and run directories, keeper. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "engine/tsc.h"
#include "host/host.h"
#include "image/image.h"

struct nova_host {
	int references; /* atomic */
	pid_t owner;
	nova_config_t *config;
	/* absolute: the keeper, which clears up below it, is in another directory */
	char *home;
	char *images; /* found or configured; need not exist */
	struct image_set image_set;
	char *run_dir;
	int run_lock;
	struct engine_env env;

	pthread_mutex_t log_lock; /* protects sink */
	struct logger sink;       /* what the host program set */
	/* ours: forwards to sink under the lock; its level is read without it */
	struct logger log;

	/* protects measured and, until then, env.kvm and env.tsc_khz */
	pthread_mutex_t measure_lock;
	bool measured;
	struct qemu_kvm qemu_kvm;
	struct hot_forks hot;
	struct tsc_sample born; /* the longer ago, the better the measurement */

	pthread_mutex_t slot_lock; /* protects slot until it is made */
	void *slot;
	void (*slot_done)(void *);

	uint32_t said; /* atomic; bits of host_said() */
};

/* --- log --- */

/* Up to which level messages of a module (NULL: of any) are sent. */
static int level_for(const nova_host_t *host, const char *module)
{
	return host->sink.level == NOVA_LOG_AS_SET ?
		       log_filter_level(
			       config_str(host->config, "log.level"), module, NOVA_LOG_WARN) :
		       host->sink.level;
}

static void forward_log(void *userdata, int level, const char *module, const char *text)
{
	nova_host_t *host = userdata;
	pthread_mutex_lock(&host->log_lock);
	if (host->sink.fn && level <= level_for(host, module))
		host->sink.fn(host->sink.userdata, level, module, text);
	pthread_mutex_unlock(&host->log_lock);
}

void nova_host_set_log(nova_host_t *host, nova_log_fn fn, void *userdata, int level)
{
	if (!host || host_check_process(host, NULL) < 0)
		return;
	pthread_mutex_lock(&host->log_lock);
	host->sink = (struct logger){ fn, userdata, level };
	__atomic_store_n(
		&host->log.level, fn ? level_for(host, NULL) : NOVA_LOG_NONE, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&host->log_lock);
}

/* --- run directory --- */

/* A lock that exists and that nobody holds is of processes that are dead, keeper included. One that
 * cannot be had for any other reason says nothing, and where there is none the directory is empty,
 * or not ours to judge. */
static void sweep_run_directory(const char *dir, const struct logger *log)
{
	AUTO_FREE char *lock = path_join(dir, FS_LOCK_NAME);
	AUTO_FD int fd = lock ? sys_open(lock, O_RDWR | O_NOFOLLOW, 0) : -ENOMEM;
	if (fd == -ENOENT)
		fs_remove_empty(dir);
	if (fd < 0 || sys_flock(fd, true, false) < 0)
		return;
	log_info(log, "host", "removing what a dead process left: %s", dir);
	for (size_t e = 0; all_engines[e]; e++)
		if (all_engines[e]->sweep)
			all_engines[e]->sweep(dir, log);
	net_sweep(dir);
	fs_remove_locked(dir);
}

static void sweep_run_directories(const char *runs, const struct logger *log)
{
	char **names;
	int count = fs_list(runs, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *dir = names[i][0] == '.' ? NULL : path_join(runs, names[i]);
		if (dir)
			sweep_run_directory(dir, log);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

static int make_run_directory(nova_host_t *host, const char *home, nova_error_t **error)
{
	char suffix[9];
	AUTO_FREE char *runs = path_join(home, "run");
	AUTO_FREE char *guard = runs ? path_join(runs, ".lock") : NULL;
	int r = random_hex(suffix, 8);
	if (r < 0 || !guard)
		return nova_oom(error);
	host->run_dir = str_format("%s/%d-%s", runs, (int)getpid(), suffix);
	AUTO_FREE char *lock = host->run_dir ? path_join(host->run_dir, FS_LOCK_NAME) : NULL;
	if (!lock)
		return nova_oom(error);
	r = fs_mkdirs(runs, 0700);
	AUTO_FD int guard_fd = -1;
	if (r == 0)
		/* between mkdir and lock a directory looks dead */
		r = fs_lock(guard, true, &guard_fd);
	if (r == 0) {
		sweep_run_directories(runs, &host->log);
		r = fs_mkdirs(host->run_dir, 0700);
	}
	if (r == 0)
		r = fs_lock(lock, false, &host->run_lock);
	return r < 0 ? nova_fail_os(error, r,
			       "state directory '%s' (setting home, variable NOVA_HOME)", home) :
		       0;
}

/* --- life --- */

int64_t host_owner(const nova_host_t *host)
{
	return host->owner;
}

int host_check_owner(int64_t owner, nova_error_t **error)
{
	if (owner == getpid())
		return 0;
	return nova_fail(error, NOVA_EBUSY,
		"this context belongs to process %d, which has called fork(): the child must make "
		"one of its own",
		(int)owner);
}

int host_check_process(const nova_host_t *host, nova_error_t **error)
{
	return host_check_owner(host->owner, error);
}

static void host_free(nova_host_t *host)
{
	if (host_check_process(host, NULL) < 0)
		return;
	if (host->slot)
		host->slot_done(host->slot);
	net_free(host->env.net);
	/* removes the run directory too, if it was ever started */
	bool ended = keeper_free(host->env.keeper);
	if (ended && host->run_lock >= 0)
		fs_remove_locked(host->run_dir);
	fd_close(host->run_lock);
	if (host->run_dir)
		fs_reserve(host->home, false);
	nova_config_free(host->config);
	pthread_mutex_destroy(&host->log_lock);
	image_set_done(&host->image_set);
	pthread_mutex_destroy(&host->measure_lock);
	pthread_mutex_destroy(&host->slot_lock);
	pthread_mutex_destroy(&host->qemu_kvm.lock);
	pthread_mutex_destroy(&host->hot.lock);
	free(host->hot.memory);
	nova_error_free(host->qemu_kvm.why);
	free(host->qemu_kvm.memory);
	free(host->home);
	free(host->images);
	free(host->run_dir);
	free(host);
}

/* Images are needed when a VM is started and not before, so that functions can be listed without
 * any: where none are, the place is remembered in which they would be made. */
static int choose_images(nova_host_t *host, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *missing = NULL;
	const char *configured = config_str(host->config, "images");
	bool environment = config_environment(host->config);
	int code = image_find_directory(configured, environment, &host->images, &missing);
	if (code != NOVA_ENOTFOUND) {
		if (error && code < 0)
			*error = STEAL(missing);
		return code;
	}
	if (!*configured &&
		(code = image_cache_path("images", environment, &host->images, error)) < 0)
		return code;
	if (!host->images)
		host->images = strdup(*configured ? configured : IMAGE_INSTALLED);
	return host->images ? 0 : nova_oom(error);
}

static int fill(nova_host_t *host, const nova_config_t *config, nova_error_t **error)
{
	int code = config ? config_copy(config, &host->config, error) :
			    config_standard(&host->config, error);
	if (code < 0)
		return code;
	if (!*config_str(host->config, "home"))
		return nova_fail(error, NOVA_ECONFIG,
			"there is no place for the state directory, as nobody knows the home "
			"directory of user %u: name one by the setting home",
			(unsigned)geteuid());
	int r = path_absolute(config_str(host->config, "home"), &host->home);
	if (r < 0)
		return nova_fail_os(error, r,
			"state directory '%s' (setting home, variable NOVA_HOME)",
			config_str(host->config, "home"));
	code = hash_ready(error);
	if (code == 0)
		code = home_open(host->home, error);
	if (code == 0)
		code = choose_images(host, error);
	host->image_set.directory = host->images;
	host->image_set.environment = config_environment(host->config);
	if (code == 0)
		code = make_run_directory(host, host->home, error);
	if (code == 0)
		code = keeper_new(host->run_dir, host->run_lock, &host->env.keeper, error);
	if (code == 0) {
		keeper_obey_environment(host->env.keeper, config_environment(host->config));
		keeper_set_log(host->env.keeper, &host->log);
	}
	host->env.log = &host->log;
	host->env.config = host->config;
	host->env.run_dir = host->run_dir;
	host->env.net = code == 0 ?
				net_new(host->env.keeper, host->config, &host->log, host->run_dir) :
				NULL;
	return code < 0 || host->env.net ? code : nova_oom(error);
}

int nova_host_new(const nova_config_t *config, nova_host_t **ret_host, nova_error_t **error)
{
	if (ANY_NULL(error, ret_host))
		return NOVA_EINVAL;
	nova_host_t *host = calloc(1, sizeof(*host));
	if (!host)
		return nova_oom(error);
	host->references = 1;
	host->owner = getpid();
	host->run_lock = -1;
	host->born = tsc_take();
	pthread_mutex_init(&host->log_lock, NULL);
	image_set_init(&host->image_set);
	pthread_mutex_init(&host->measure_lock, NULL);
	pthread_mutex_init(&host->slot_lock, NULL);
	pthread_mutex_init(&host->qemu_kvm.lock, NULL);
	host->env.qemu_kvm = &host->qemu_kvm;
	pthread_mutex_init(&host->hot.lock, NULL);
	host->env.hot = &host->hot;
	host->log = (struct logger){ forward_log, host, NOVA_LOG_NONE };
	int code = fill(host, config, error);
	if (code < 0) {
		host_free(host);
		return code;
	}
	*ret_host = host;
	return 0;
}

nova_host_t *nova_host_ref(nova_host_t *host)
{
	if (host)
		__atomic_add_fetch(&host->references, 1, __ATOMIC_RELAXED);
	return host;
}

void nova_host_unref(nova_host_t *host)
{
	if (host && __atomic_sub_fetch(&host->references, 1, __ATOMIC_ACQ_REL) == 0)
		host_free(host);
}

/* --- what others ask --- */

const char *nova_host_home(const nova_host_t *host)
{
	return host ? host->home : "";
}

struct image_set *host_image_set(nova_host_t *host)
{
	return &host->image_set;
}

const char *nova_host_images(const nova_host_t *host)
{
	return host ? host->images : "";
}

const char *nova_host_setting(const nova_host_t *host, const char *key)
{
	return host ? nova_config_get(host->config, key) : NULL;
}

const struct logger *host_log(const nova_host_t *host)
{
	return &host->log;
}

const nova_config_t *host_config(const nova_host_t *host)
{
	return host->config;
}

void host_hurry(nova_host_t *host, bool hurry)
{
	keeper_hurry(host->env.keeper, hurry);
}

void *host_slot(nova_host_t *host, const struct host_slot *slot)
{
	pthread_mutex_lock(&host->slot_lock);
	if (!host->slot && slot->make) {
		host->slot = slot->make();
		host->slot_done = slot->done;
	}
	void *found = host->slot;
	pthread_mutex_unlock(&host->slot_lock);
	return found;
}

bool host_said(nova_host_t *host, uint32_t what)
{
	return __atomic_fetch_or(&host->said, what, __ATOMIC_RELAXED) & what;
}

static void measure(nova_host_t *host)
{
	AUTO_FREE char *memory = path_join(host->home, "kvm-fitness");
	host->env.tsc_khz = tsc_khz_since(&host->born);
	kvm_measure(memory, &host->env.kvm);
	host->qemu_kvm.memory = path_join(host->home, "kvm-qemu"); /* NULL: it is kept nowhere */
	host->hot.memory = path_join(host->home, "hot-forks");
}

const struct engine_env *host_engine_env(nova_host_t *host)
{
	pthread_mutex_lock(&host->measure_lock);
	if (!host->measured) {
		measure(host);
		host->measured = true;
	}
	pthread_mutex_unlock(&host->measure_lock);
	return &host->env;
}
