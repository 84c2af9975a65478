/* SPDX-License-Identifier: MIT */
/*
 * Forking a QEMU that runs, with the guest code that it has translated: docs/hot.md.
 *
 * The child has the parent's memory, and goes on where that stands; of what leads out of the
 * process it gets all anew. The processors stand still meanwhile, and no command is under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "engine/qemu/qemu.h"

/* --- what both may use --- */

/* Which of its files that is; file_count: none. */
static size_t file_of(const struct qemu_machine *q, const char *number)
{
	struct stat st;
	size_t i = 0;
	AUTO_FREE char *path =
		str_format("/proc/%lld/fd/%s", (long long)q->child.process.pid, number);
	if (!path || stat(path, &st) < 0)
		return q->file_count;
	while (i < q->file_count &&
		(st.st_ino != q->files[i].inode || st.st_dev != q->files[i].device))
		i++;
	return i;
}

/* Memory and disks may have several numbers: QEMU opens them anew. False: too many. */
static bool note_number(struct qemu_machine *q, const char *number)
{
	size_t file = file_of(q, number);
	int fd = (int)strtol(number, NULL, 10);
	bool is_code = q->has_code && file + 1 == q->file_count;
	int *numbers = is_code ? q->code : q->shared;
	size_t most = is_code ? ARRAY_LEN(q->code) : ARRAY_LEN(q->shared);
	size_t *count = is_code ? &q->code_count : &q->shared_count;
	if (file == q->file_count)
		return true;
	if (*count == most)
		return false;
	numbers[(*count)++] = fd;
	return true;
}

static int note_shared(struct qemu_machine *q, nova_error_t **error)
{
	char **names;
	AUTO_FREE char *path = str_format("/proc/%lld/fd", (long long)q->child.process.pid);
	int count = q->shared_count ? 0 : path ? fs_list(path, &names) : -ENOMEM;
	if (count < 0)
		return nova_fail_os(error, count, "descriptors of QEMU");
	bool fit = true;
	for (int i = 0; i < count; i++)
		fit = note_number(q, names[i]) && fit;
	if (count)
		strv_free(names, (size_t)count);
	if (!fit) /* one that was left out would be the parent's in the child */
		q->shared_count = q->code_count = 0;
	return q->shared_count ?
		       0 :
		       nova_fail(error, NOVA_ENOTSUP,
			       "the files of the guest were not found in QEMU, or too often");
}

/* --- what the child gets --- */

struct successors {
	int targets[QEMU_MAX_FDS], fds[QEMU_MAX_FDS]; /* fds: borrowed from `theirs` */
	size_t count;
	int theirs[4], ours[4]; /* in the order of enum qemu_fd */
	int code;               /* the child's own code disk; -1: it is the parent's */
};
#define NO_SUCCESSORS                                                                              \
	{                                                                                          \
		.theirs = { -1, -1, -1, -1 }, .ours = { -1, -1, -1, -1 }, .code = -1               \
	}
static const int streams[] = { QEMU_FD_DIAG, QEMU_FD_CHANNEL, QEMU_FD_QMP, QEMU_FD_SERIAL };

static void successors_done(struct successors *s)
{
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		fd_close(s->theirs[i]);
		fd_close(s->ours[i]);
	}
	fd_close(s->code);
}

static void succeed(struct successors *s, int target, int fd)
{
	s->targets[s->count] = target;
	s->fds[s->count++] = fd;
}

/* What QEMU prints goes where its diagnostics do, whatever the number. */
static int make_successors(struct successors *s, nova_error_t **error)
{
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		int pair[2];
		int r = sys_socketpair(SOCK_STREAM, pair);
		if (r < 0)
			return nova_fail_os(error, r, "socket to QEMU");
		s->ours[i] = pair[0];
		s->theirs[i] = pair[1];
		succeed(s, streams[i], pair[1]);
	}
	succeed(s, 1, s->theirs[0]);
	succeed(s, 2, s->theirs[0]);
	sys_set_nonblock(s->theirs[0], true);
	sys_set_nonblock(s->ours[0], true);
	sys_set_nonblock(s->ours[3], true);
	return 0;
}

/* QEMU has told its TAP what the headers of frames look like. */
static int look_at_tap(struct qemu_machine *q, nova_error_t **error)
{
	const struct net_link *link = &q->child.machine.link;
	int r = link->name[0] && !q->tap_header ? sys_tap_header(link->fd) : q->tap_header;
	if (r < 0)
		return nova_fail_os(error, r, "TAP %s", link->name);
	q->tap_header = r;
	return 0;
}

static int add_tap(struct successors *s, const struct qemu_machine *child, nova_error_t **error)
{
	const struct net_link *link = &child->child.machine.link;
	if (!child->tap_header)
		return 0;
	int r = sys_tap_set_header(link->fd, child->tap_header);
	if (r < 0)
		return nova_fail_os(error, r, "TAP %s", link->name);
	succeed(s, child->tap, link->fd);
	return 0;
}

static int steal_slot(int *fd)
{
	int stolen = *fd;
	*fd = -1;
	return stolen;
}

/* Our ends are the child's. */
static int give_successors(struct successors *s, struct qemu_machine *child, nova_error_t **error)
{
	struct machine *m = &child->child.machine;
	int code = make_successors(s, error);
	if (code == 0)
		code = add_tap(s, child, error);
	if (code < 0)
		return code;
	m->diag = steal_slot(&s->ours[0]);
	m->channel = steal_slot(&s->ours[1]);
	qmp_init(&child->qmp, steal_slot(&s->ours[2]));
	m->serial = steal_slot(&s->ours[3]);
	return 0;
}

/* To one that waits: in the order in which it is given them. */
static void promise_successors(struct successors *s, const struct qemu_machine *child)
{
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		succeed(s, streams[i], -1);
	succeed(s, 1, -1);
	succeed(s, 2, -1);
	if (child->tap_header)
		succeed(s, child->tap, -1);
}

/* Children with disks of their own may be several owners', and have one user where each QEMU has
 * one. */
const char *qemu_sharing_obstacle(bool has_user)
{
	return has_user && !sys_has_landlock() ?
		       "this kernel has no Landlock, which keeps VMs with one user apart" :
		       NULL;
}

/* QEMU goes on with the size that it has seen, which no code disk exceeds; behind the end of a file
 * it reads zeros. */
static int add_code(struct successors *s, const struct qemu_machine *q, const char *path,
	struct qemu_machine *child, nova_error_t **error)
{
	struct stat st;
	if (!path)
		return 0;
	if (!q->code_count)
		return nova_fail(error, NOVA_ENOTSUP, "it has no code disk to be replaced");
	const char *obstacle = qemu_sharing_obstacle(q->has_user);
	if (obstacle)
		return nova_fail(error, NOVA_ENOTSUP, "%s", obstacle);
	s->code = sys_open(path, O_RDONLY, 0);
	int r = s->code < 0 ? s->code : sys_fstat(s->code, &st);
	if (r < 0)
		return nova_fail_os(error, r, "code disk '%s'", path);
	for (size_t i = 0; i < q->code_count; i++)
		succeed(s, q->code[i], s->code);
	child->files[q->file_count - 1] = (struct file_identity){ st.st_dev, st.st_ino };
	return 0;
}

/* --- the fork --- */

/* The same machine in another process: what is known of the one is true of the other. */
static int describe_child(
	const struct qemu_machine *q, struct qemu_machine *child, nova_error_t **error)
{
	child->user_lock = q->has_user ? sys_dup(q->user_lock) : -1;
	child->has_user = child->user_lock >= 0;
	if (q->has_user && !child->has_user)
		return nova_fail_os(error, child->user_lock, "lock of QEMU's user");
	child->paused = child->greeted = child->confined = true;
	child->generation = q->generation + 1;
	child->is_zygote = child->generation < QEMU_GENERATIONS;
	child->tap = q->tap;
	child->tap_header = q->tap_header;
	child->memory_mb = q->memory_mb;
	child->memory_inode = q->memory_inode;
	memcpy(child->files, q->files, sizeof(q->files));
	child->file_count = q->file_count;
	child->memory_limit = q->memory_limit;
	child->ram_address = q->ram_address;
	memcpy(child->shared, q->shared, sizeof(q->shared));
	child->shared_count = q->shared_count;
	child->has_code = q->has_code;
	memcpy(child->code, q->code, sizeof(q->code));
	child->code_count = q->code_count;
	return 0;
}

/* Replies that nobody has waited for would come in the child, or not at all. */
static int settle(struct qemu_machine *q, nova_error_t **error)
{
	return q->qmp.owed ? qmp_do(&q->qmp, "query-status", NULL, deadline_in_ms(MONITOR_TIMEOUT),
				     NULL, error) :
			     0;
}

static int check(const struct qemu_machine *q, nova_error_t **error)
{
	if (q->is_zygote)
		return 0;
	if (q->generation)
		return nova_fail(error, NOVA_ENOTSUP,
			"it is the %uth generation of forks, and the last that is forked so",
			q->generation);
	return nova_fail(error, NOVA_ENOTSUP, "its QEMU was not started so that it can be forked");
}

static int fork_process(struct qemu_machine *q, const struct machine_fork *how,
	const struct successors *s, struct qemu_machine *child, nova_error_t **error)
{
	int shared[ARRAY_LEN(q->shared) + ARRAY_LEN(q->code)];
	size_t own = s->code < 0 ? q->code_count : 0;
	memcpy(shared, q->shared, sizeof(q->shared));
	memcpy(shared + q->shared_count, q->code, own * sizeof(*shared));
	const struct process_fork fork = {
		.targets = s->targets,
		.fds = how->waits ? NULL : s->fds,
		.count = s->count,
		.shared = shared,
		.shared_count = q->shared_count + own,
		.more = how->more,
		.fertile = how->fertile && child->is_zygote,
		.patience_ms = how->patience_ms,
		.memory_limit = q->memory_limit,
	};
	child->is_zygote = fork.fertile;
	child->birth_ms = how->patience_ms;
	int code = process_fork(&q->child.process, &fork, &child->child.process, error);
	/* of one that failed nobody knows whether it stands */
	if (code < 0 && (q->held || how->more))
		process_order(&q->child.process, PROCESS_GO_ON, -1, NULL);
	q->held = code == 0 && how->more;
	return code;
}

int qemu_fork(struct machine *m, const struct machine_fork *how, struct machine *child,
	nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m), *c = qemu_of(child);
	CLEANUP(successors_done) struct successors s = NO_SUCCESSORS;
	c->qmp.fd = -1;
	int code = check(q, error);
	if (code == 0)
		code = settle(q, error);
	if (code == 0)
		code = note_shared(q, error);
	if (code == 0)
		code = look_at_tap(q, error);
	if (code == 0)
		code = describe_child(q, c, error);
	if (how->waits)
		promise_successors(&s, c);
	else if (code == 0)
		code = give_successors(&s, c, error);
	if (code == 0)
		code = add_code(&s, q, how->code_disk, c, error);
	return code == 0 ? fork_process(q, how, &s, c, error) : code;
}

int qemu_birth(struct machine *child, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(child);
	CLEANUP(successors_done) struct successors s = NO_SUCCESSORS;
	uint32_t patience_ms = q->birth_ms;
	q->birth_ms = 0;
	int code = give_successors(&s, q, error);
	return code < 0 ? code :
			  process_born(&q->child.process, s.fds, s.count, patience_ms, error);
}

int qemu_go_on(struct qemu_machine *q, nova_error_t **error)
{
	if (!q->held)
		return 0;
	int code = process_order(&q->child.process, PROCESS_GO_ON, -1, error);
	q->held = code < 0;
	return code;
}

/* While it boots a guest's memory is a file that it shares with us. */
int qemu_detach(struct machine *m, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	int code = check(q, error);
	return code < 0 ? code :
			  process_order(&q->child.process, PROCESS_UNSHARE, QEMU_FD_MEMORY, error);
}
