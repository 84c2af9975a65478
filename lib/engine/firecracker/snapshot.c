/* SPDX-License-Identifier: MIT */
/*
 * Snapshots. That of a booted machine holds all of its memory, whose file becomes the base. A clone
 * maps its base privately, and writes Diffs, which hold what has changed since the Diff before;
 * added up they are what differs from the base.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "engine/cpu.h"
#include "engine/firecracker/firecracker.h"
#include "hash/hash.h"

#define STATE_MOST (10u << 20) /* Firecracker's own limit */

/* --- what must be the same --- */

int fc_identity(const struct engine_env *env, char **ret_identity, nova_error_t **error)
{
	AUTO_FREE char *binary = NULL, *version = NULL, *format = NULL, *cpu = NULL;
	int code = fc_binary(env, &binary, error);
	if (code == 0)
		code = fc_ask(env, binary, "--version", &version, error);
	if (code == 0)
		code = fc_ask(env, binary, "--snapshot-version", &format, error);
	if (code == 0)
		code = cpu_identity("", &cpu, error);
	if (code < 0)
		return code;
	/* a snapshot knows its disks by name, and in a jail they have others */
	AUTO_FREE char *jailer = NULL;
	code = fc_jailer(env, binary, &jailer, error);
	if (code < 0)
		return code;
	bool async; /* a restored guest's disks are read as before */
	code = fc_wants_async("", env, geteuid() == 0 && !jailer, &async, error);
	if (code < 0)
		return code;
	*ret_identity = str_format("%s snapshots %s cpu %s%s%s", version, format, cpu,
		jailer ? " jailed" : "", async ? " async" : "");
	return *ret_identity ? 0 : nova_oom(error);
}

/* --- out --- */

static int copy_file(int from, int to)
{
	struct stat st;
	int r = sys_fstat(from, &st);
	if (r < 0 || st.st_size > STATE_MOST || st.st_size <= 0)
		return r < 0 ? r : -22;
	void *content = sys_map(from, 0, (size_t)st.st_size, false);
	r = content ? sys_truncate(to, 0) : -12;
	if (r == 0)
		r = sys_pwrite_all(to, content, (size_t)st.st_size, 0);
	sys_unmap(content, (size_t)st.st_size);
	return r;
}

static enum fc_file memory_file(const struct fc_machine *f)
{
	return f->clone ? FC_DIFF : FC_MEMORY;
}

/* Of a booted machine a Diff is all of its memory that is not zero, and takes a moment where a Full
 * takes seconds: but not if what had been noted was forgotten by a snapshot before, or if some may
 * have gone to a swap that was not there when it started. */
static bool wants_diff(const struct fc_machine *f)
{
	if (f->clone)
		return true;
	return f->tracked ? !f->saved : !fc_swap_is_on("");
}

static int create(struct fc_machine *f, nova_error_t **error)
{
	AUTO_FREE char *state = fc_seen(&f->place, FC_STATE),
		       *memory = fc_seen(&f->place, memory_file(f));
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	if (!state || !memory)
		return nova_oom(error);
	fc_plan_save(&plan, state, memory, wants_diff(f));
	int code = 0;
	/* what is there is ours, or written already: it makes them anew, as its own user */
	if (f->place.jailed) {
		code = fc_place_clear(&f->place, FC_STATE, error);
		if (code == 0)
			code = fc_place_clear(&f->place, memory_file(f), error);
	}
	if (code < 0)
		return code;
	f->saved = true;
	fc_put_aside(f); /* the guest's end of it is reset now, also if this fails */
	code = fc_call_plan(&f->api, &plan, deadline_in_ms(FC_LONG_TIMEOUT), error);
	if (code < 0 || !f->place.jailed)
		return code;
	code = fc_place_open(&f->place, FC_STATE, &f->state, error);
	return code < 0 ? code :
			  fc_place_open(&f->place, memory_file(f), f->clone ? &f->diff : &f->memory,
				  error);
}

static int collect_memory(struct fc_machine *f, nova_error_t **error)
{
	uint64_t bytes = (uint64_t)f->memory_mb << 20;
	struct stat st;
	int memory = f->clone ? f->diff : f->memory, r = sys_fstat(memory, &st);
	if (r < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes)
		return nova_fail(error, NOVA_EENGINE, "Firecracker has written no memory of %u MB",
			f->memory_mb);
	if (!f->clone) {
		fd_close(f->child.machine.ram);
		f->child.machine.ram = sys_dup(f->memory);
		return f->child.machine.ram < 0 ?
			       nova_fail_os(error, f->child.machine.ram, "guest memory") :
			       0;
	}
	int code = pages_update(&f->written, f->diff, bytes, error);
	r = code < 0 ? 0 : sys_truncate(f->diff, 0); /* so that the next one is all holes again */
	if (r == 0 && code == 0)
		r = sys_truncate(f->diff, bytes);
	return r < 0 ? nova_fail_os(error, r, "file for changed memory") : code;
}

int fc_save(struct machine *m, int *ret_state_fd, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	AUTO_FD int fd = sys_memfd("nova-device-state");
	if (fd < 0)
		return nova_fail_os(error, fd, "file for a machine's state");
	int code = fc_set_running(f, false, error);
	if (code == 0)
		code = create(f, error);
	if (code < 0)
		return fc_with_last_words(f, code, error);
	code = collect_memory(f, error);
	if (code < 0)
		return code;
	int r = copy_file(f->state, fd);
	if (r < 0)
		return nova_fail_os(error, r, "the state that Firecracker has written");
	*ret_state_fd = STEAL_FD(fd);
	return 0;
}

/* By a snapshot that nobody keeps: only a Diff tells something, which is added up with the others.
 */
int fc_reset_streams(struct fc_machine *f, nova_error_t **error)
{
	int code = create(f, error);
	if (code < 0)
		return fc_with_last_words(f, code, error);
	code = collect_memory(f, error);
	if (code < 0 || f->clone)
		return code;
	fd_close(f->child.machine.ram);
	f->child.machine.ram = -1;
	int r = sys_truncate(f->memory, 0);
	if (r == 0)
		r = sys_truncate(f->memory, (uint64_t)f->memory_mb << 20);
	return r < 0 ? nova_fail_os(error, r, "guest memory") : 0;
}

int fc_take_pages(struct machine *m, struct pages *ret_pages, nova_error_t **error)
{
	return pages_copy(&fc_of(m)->written, ret_pages, error);
}

/* --- in --- */

int fc_give_pages(struct machine *m, const struct pages *pages, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	if (!pages->count)
		return 0;
	int code = pages_copy(pages, &f->written, error);
	if (code == 0)
		code = pages_whole(pages, f->env->run_dir, f->memory, (uint64_t)f->memory_mb << 20,
			&f->whole, error);
	return code;
}

/* Hands state, and memory that is not the base, to a VMM in a jail. */
static int fill_jail(struct fc_machine *f, int state_fd, nova_error_t **error)
{
	int code = fc_place_fd(&f->place, FC_STATE, state_fd, error);
	AUTO_FD int whole = code == 0 && f->whole ? sys_open(f->whole, O_RDONLY, 0) : -1;
	if (code < 0 || !f->whole)
		return code;
	return whole < 0 ? nova_fail_os(error, whole, "'%s'", f->whole) :
			   fc_place_fd(&f->place, FC_WHOLE, whole, error);
}

static int load(struct fc_machine *f, nova_error_t **error)
{
	AUTO_FREE char *state = fc_seen(&f->place, FC_STATE), *vsock = fc_seen(&f->place, FC_VSOCK);
	AUTO_FREE char *memory = !f->whole       ? fc_seen(&f->place, FC_MEMORY) :
				 f->place.jailed ? fc_seen(&f->place, FC_WHOLE) :
						   strdup(f->whole);
	if (!state || !memory || !vsock)
		return nova_oom(error);
	struct fc_restore restore = {
		.version = f->version,
		.state = state,
		.memory = memory,
		.vsock = vsock,
		.tap = f->child.machine.link.name[0] ? f->child.machine.link.name : NULL,
	};
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	int code = fc_restore_check(&restore, error);
	if (code < 0)
		return code;
	fc_plan_restore(&plan, &restore);
	code = fc_call_plan(&f->api, &plan, deadline_in_ms(FC_LONG_TIMEOUT), error);
	return code < 0 ? code : fc_reconnect_agent(f, error);
}

int fc_load(struct machine *m, int state_fd, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	int code = fc_await(m, error);
	if (code == 0 && f->place.jailed)
		code = fill_jail(f, state_fd, error);
	int r = code == 0 && !f->place.jailed ? copy_file(state_fd, f->state) : 0;
	if (r < 0)
		return nova_fail_os(error, r, "the state of a machine");
	if (code == 0)
		code = load(f, error);
	return code < 0 ? fc_with_last_words(f, code, error) : 0;
}
