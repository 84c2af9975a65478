/* SPDX-License-Identifier: MIT */
/*
 * Whether a running QEMU can be forked here.
 *
 * A fork stands on what C library, kernel and QEMU do, so nothing is taken for granted: one QEMU
 * that runs no guest is forked twice, and one of its children again, before any machine is started
 * so that it can be. What was found is kept for as long as all three are the same. A machine whose
 * fork goes wrong later counts against it.
 */
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <unistd.h>

#include "engine/qemu/qemu.h"
#include "zygote/zygote.h"

#define TRIAL_MB     16u
#define TRIAL_TURNS  8u /* times the patience with one fork */
#define MOST_STRIKES 3u
#define AGAIN_S      600u /* after it was found not to work */
#define PASSED       "works\n"

/* --- the trial --- */

static const struct engine_ops trial = {
	.name = "qemu",
	.machine_size = sizeof(struct qemu_machine),
	.end = child_end,
	.release = qemu_release,
};

struct trial {
	const struct engine_env *env;
	uint64_t deadline;
	struct machine *parent, *children[2], *grandchild;
};

static void trial_done(struct trial *t)
{
	machine_free(&trial, t->grandchild);
	machine_free(&trial, t->children[0]);
	machine_free(&trial, t->children[1]);
	machine_free(&trial, t->parent);
}

static int start(struct trial *t, nova_error_t **error)
{
	struct machine_spec spec = {
		.id = "00000000",
		.config = { .memory_mb = TRIAL_MB, .vcpus = 1 },
		.forkable = true,
		.deadline = t->deadline,
	};
	AUTO_FD int memory = sys_memfd("nova-trial");
	int r = memory < 0 ? memory : sys_truncate(memory, (uint64_t)TRIAL_MB << 20);
	if (r < 0)
		return nova_fail_os(error, r, "memory for a trial of QEMU");
	spec.base_fd = memory;
	t->parent = machine_new(&trial);
	int code =
		t->parent ? qemu_start_as(t->parent, t->env, &spec, NULL, error) : nova_oom(error);
	return code == 0 ? qemu_await(t->parent, error) : code;
}

static int fork_one(struct trial *t, struct machine *parent, bool more, struct machine **ret,
	nova_error_t **error)
{
	const struct machine_fork how = {
		.more = more,
		.fertile = true,
		.patience_ms = (uint32_t)config_ms(t->env->config, "pool.hot_patience"),
	};
	*ret = machine_new(&trial);
	int code = *ret ? qemu_fork(parent, &how, *ret, error) : nova_oom(error);
	return code == 0 ? qemu_await(*ret, error) : code;
}

/* A number that QEMU keeps, and that means nothing to a machine that stands still. */
static int mark(struct trial *t, struct machine *m, int number, nova_error_t **error)
{
	return qmp_do(&qemu_of(m)->qmp, "migrate-set-parameters",
		json_pack("{s:i}", "downtime-limit", number), t->deadline, NULL, error);
}

static int expect(struct trial *t, struct machine *m, int number, nova_error_t **error)
{
	json_t *value = NULL;
	int code = qmp_do(
		&qemu_of(m)->qmp, "query-migrate-parameters", NULL, t->deadline, &value, error);
	int found = (int)json_integer_value(json_object_get(value, "downtime-limit"));
	json_decref(value);
	if (code == 0 && found != number)
		return nova_fail(error, NOVA_EENGINE,
			"a child and its parent are not independent of each other");
	return code;
}

static int perform(struct trial *t, nova_error_t **error)
{
	int code = start(t, error);
	if (code == 0)
		code = mark(t, t->parent, 101, error);
	if (code == 0)
		code = fork_one(t, t->parent, true, &t->children[0], error);
	if (code == 0)
		code = fork_one(t, t->parent, false, &t->children[1], error);
	if (code == 0)
		code = mark(t, t->children[0], 102, error);
	if (code == 0)
		code = fork_one(t, t->children[0], false, &t->grandchild, error);
	if (code == 0)
		code = expect(t, t->grandchild, 102, error);
	if (code == 0)
		code = mark(t, t->grandchild, 103, error);
	if (code == 0)
		code = expect(t, t->children[0], 102, error);
	if (code == 0)
		code = expect(t, t->children[1], 101, error);
	return code == 0 ? expect(t, t->parent, 101, error) : code;
}

static int try_forks(const struct engine_env *env, nova_error_t **error)
{
	uint64_t patience = config_ms(env->config, "pool.hot_patience") * TRIAL_TURNS;
	CLEANUP(trial_done)
	struct trial t = { .env = env, .deadline = deadline_in_ms(patience) };
	int code = perform(&t, error);
	return deadline_passed(t.deadline) && code < 0 && code != NOVA_ENOTSUP ?
		       nova_wrap(error, NOVA_ETIMEDOUT, "the self-check was too slow") :
		       code;
}

/* --- remembered --- */

/* What must be the same for an older finding to hold. */
static char *circumstances(const struct engine_env *env)
{
	AUTO_FREE char *binary = NULL, *zygote = NULL;
	uint64_t size[2], changed[2];
	AUTO_BUF struct buf text = BUF_INIT(4096);
	if (qemu_binary(env, &binary, NULL) < 0 || zygote_find(&zygote, NULL) < 0 ||
		fs_stat(binary, &size[0], &changed[0]) < 0 ||
		fs_stat(zygote, &size[1], &changed[1]) < 0 ||
		fs_read_file("/proc/version", &text) < 0)
		return NULL;
	AUTO_FREE char *kernel = buf_steal_str(&text);
	return kernel ? str_format("%s %" PRIu64 " %" PRIu64 " shim %" PRIu64 " %" PRIu64
				   " libc %s %s",
				binary, size[0], changed[0], size[1], changed[1],
				gnu_get_libc_version(), kernel) :
			NULL;
}

/* That it works, or (in *ret_why) that it has not worked a short time ago. */
static bool recall(const char *memory, const char *now, char *why, size_t size)
{
	AUTO_BUF struct buf text = BUF_INIT(8192);
	uint64_t bytes, written;
	if (!memory || !now || fs_stat(memory, &bytes, &written) < 0 ||
		fs_read_file(memory, &text) < 0)
		return false;
	AUTO_FREE char *known = buf_steal_str(&text);
	if (!known || !str_starts(known, now))
		return false;
	const char *found = known + strlen(now);
	if (!strcmp(found, PASSED))
		return true;
	bool is_old = clock_unix_us() / 1000000u > written / 1000000000u + AGAIN_S;
	if (*found && !is_old)
		snprintf(why, size, "%.*s", (int)strcspn(found, "\n"), found);
	return *found && !is_old;
}

static void remember(const char *memory, const char *now, const char *found)
{
	AUTO_FREE char *text = now ? str_format("%s%s", now, found) : NULL;
	if (text && memory) /* else it is tried once more */
		fs_write_file(memory, text, strlen(text), 0600);
}

/* --- what is asked --- */

static void find_out(const struct engine_env *env, struct hot_forks *hot)
{
	AUTO_FREE char *now = circumstances(env);
	AUTO_ERROR nova_error_t *why = NULL;
	if (recall(hot->memory, now, hot->why, sizeof(hot->why)))
		return;
	int code = try_forks(env, &why);
	if (code == 0) {
		log_info(env->log, "qemu", "a running QEMU can be forked here");
		remember(hot->memory, now, PASSED);
		return;
	}
	snprintf(hot->why, sizeof(hot->why), "%s", nova_error_message(why));
	log_warn(env->log, "qemu", "running microVMs are not forked as processes: %s", hot->why);
	if (code != NOVA_ETIMEDOUT && !code_is_refusal(code))
		remember(hot->memory, now, hot->why);
}

static const char *plain_obstacle(const struct engine_env *env, bool shared)
{
	const char *cpu = NULL;
	if (!strcmp(config_str(env->config, "pool.hot"), "off"))
		return "the setting pool.hot is off";
	if (qemu_cpu(env, &cpu, NULL) < 0 || cpu)
		return "guests run by KVM, whose machines belong to the process that made them";
	AUTO_FREE char *zygote = NULL;
	if (zygote_find(&zygote, NULL) < 0)
		return "nova-zygote.so is not there: it is made for x86-64 and glibc alone";
	return shared ? qemu_sharing_obstacle(geteuid() == 0) : NULL;
}

const char *qemu_hot_obstacle(const struct engine_env *env, bool shared)
{
	struct hot_forks *hot = env->hot;
	const char *plain = plain_obstacle(env, shared);
	if (plain)
		return plain;
	pthread_mutex_lock(&hot->lock);
	if (!hot->known || (*hot->why && deadline_passed(hot->again))) {
		hot->why[0] = 0;
		hot->strikes = 0;
		hot->again = deadline_in_ms((AGAIN_S + 1) * 1000u);
		find_out(env, hot);
	}
	hot->known = true;
	const char *why = *hot->why ? hot->why : NULL;
	pthread_mutex_unlock(&hot->lock);
	return why;
}

void qemu_hot_strike(const struct engine_env *env, const char *why)
{
	struct hot_forks *hot = env->hot;
	pthread_mutex_lock(&hot->lock);
	bool last = ++hot->strikes == MOST_STRIKES;
	if (last) {
		AUTO_FREE char *now = circumstances(env);
		hot->again = deadline_in_ms((AGAIN_S + 1) * 1000u);
		snprintf(hot->why, sizeof(hot->why), "%u forks have gone wrong, the last so: %s",
			MOST_STRIKES, why);
		remember(hot->memory, now, hot->why);
	}
	pthread_mutex_unlock(&hot->lock);
	log_warn(env->log, "qemu", "a fork of a microVM has gone wrong%s: %s",
		last ? ", and there will be no more of them" : "", why);
}
