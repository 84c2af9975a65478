/* SPDX-License-Identifier: MIT */
/* Templates on disk: found, or made once by one process. */
#include <errno.h>
#include <unistd.h>

#include "template/recipe.h"

/* By which nothing else is looked at. NULL: out of memory. */
static char *name_of(const struct recipe *r)
{
	return str_format(TEMPLATE_PREFIX "%s", r->id);
}

static int find(const struct recipe *r, struct frozen **ret, nova_error_t **error)
{
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	AUTO_FREE char *name = name_of(r);
	int code = name ? snapshot_find(r->root, name, &m, error) : nova_oom(error);
	if (code == 0)
		code = instant_read(r->host, r->root, &m, ret, error);
	if (code == 0)
		snapshot_note_use(r->root, r->id);
	return code;
}

static int write_it(const struct recipe *r, const struct frozen *f, struct frozen **ret_on_disk,
	nova_error_t **error)
{
	AUTO_FREE char *name = name_of(r);
	AUTO_MANIFEST struct manifest m = { .name = NULL };
	const char *const inputs[] = { r->kernel, r->initramfs };
	struct instant_label label = {
		.id = r->id,
		.name = name,
		.inputs = inputs,
		.input_count = ARRAY_LEN(inputs),
	};
	int code = name ? instant_write(r->host, r->root, f, &label, &m, error) : nova_oom(error);
	return code < 0 ? code : instant_read(r->host, r->root, &m, ret_on_disk, error);
}

/* Said once, as it goes for all that are made from then on. */
static void tell_kept_out(const struct recipe *r, int code, const nova_error_t *failure)
{
	if (code == NOVA_ELIMIT && host_said(r->host, HOST_SAID_TEMPLATES_FULL))
		return;
	log_warn(host_log(r->host), "template", "%s stays in memory: %s", r->id,
		nova_error_message(failure));
}

static int keep(const struct recipe *r, struct frozen **frozen, nova_error_t **error)
{
	struct frozen *on_disk = NULL;
	struct room room;
	int code = instant_refine(*frozen, r->root, error);
	if (code == 0)
		code = room_make(r, instant_need(*frozen, r->root), r->guest, &room, error);
	if (code < 0)
		return code;
	code = write_it(r, *frozen, &on_disk, error);
	room_done(r, &room, snapshot_disk_bytes(r->root, r->id));
	if (code < 0)
		return code;
	frozen_unref(*frozen);
	*frozen = on_disk;
	return 0;
}

/* What cannot be written (a full disk) still serves this process. */
static int keep_if_possible(const struct recipe *r, struct frozen **frozen, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = keep(r, frozen, &failure);
	if (code == 0)
		return 0;
	if (!r->lasting) {
		tell_kept_out(r, code, failure);
		return 0;
	}
	frozen_unref(STEAL(*frozen));
	if (error)
		*error = STEAL(failure);
	return code;
}

/* Whether it was established that this template is of no use. That it could not be read is no
 * reason to throw it away. */
static bool is_worthless(int code)
{
	return code == NOVA_ECORRUPT || code == NOVA_ESTALE;
}

/* Whether there is one to be made: there is none, it is just being deleted, or it is worthless. */
static bool is_to_be_made(int code)
{
	return code == NOVA_ENOTFOUND || code == NOVA_EBUSY || is_worthless(code);
}

/* `why` ends the line of the log. */
static void discard(nova_host_t *host, const char *root, const char *id, const char *why)
{
	AUTO_FREE char *path = path_join(root, id);
	if (path && fs_exists(path) == 1) {
		log_warn(host_log(host), "template", "%s is made anew: %s", id, why);
		snapshot_discard(root, id);
	}
}

#define MAKER_TEXT "%-10lld %-4s\n" /* always as long, so that one replaces another at once */
#define MADE       "made"

/* For those who wait. A full disk is no reason to make no template. */
static void sign(int fd, const char *state)
{
	AUTO_FREE char *maker = str_format(MAKER_TEXT, (long long)getpid(), state);
	if (maker)
		sys_pwrite_all(fd, maker, strlen(maker), 0);
}

static char *read_sign(const char *lock)
{
	AUTO_BUF struct buf text = BUF_INIT(32);
	return fs_read_file(lock, &text) == 0 ? buf_steal_str(&text) : NULL;
}

static bool is_made(const char *lock)
{
	AUTO_FREE char *text = read_sign(lock);
	return text && strstr(text, MADE);
}

static int fail_held(const struct recipe *r, const char *lock, nova_error_t **error)
{
	AUTO_FREE char *maker = read_sign(lock);
	long long pid = maker ? strtoll(maker, NULL, 10) : 0;
	AUTO_FREE char *who = pid > 0 ? str_format("process %lld", pid) : strdup("another process");
	return who ? nova_fail(error, NOVA_EBUSY,
			     "the template of '%s' is still being made by %s: wait longer (setting "
			     "pool.queue_timeout), or end that process if it hangs",
			     r->want->name, who) :
		     nova_oom(error);
}

/* Who has made it serves from memory, and writes it when there is time for that: another need not
 * wait for it longer than its own takes. */
#define MADE_MS 3000u

/* The others wait here, and find the template then. 0 without the lock (-1): it is made, but not
 * written. */
static int wait_for_lock(const struct recipe *r, const char *lock, int *ret_fd)
{
	for (;;) {
		bool made = is_made(lock);
		uint64_t look = deadline_in_ms(MADE_MS);
		int os = fs_lock_unless(
			lock, r->stop, look < r->deadline ? look : r->deadline, ret_fd);
		if (os == -EWOULDBLOCK && made && is_made(lock))
			return 0;
		if (os != -EWOULDBLOCK || deadline_passed(r->deadline))
			return os;
	}
}

static int lock_recipe(const struct recipe *r, const char *lock, int *ret_fd, nova_error_t **error)
{
	int os = fs_mkdirs(r->root, 0700);
	if (os == 0)
		os = wait_for_lock(r, lock, ret_fd);
	if (os == -EWOULDBLOCK)
		return fail_held(r, lock, error);
	if (os == -ECANCELED)
		return stop_check(r->stop, "its template was made", error);
	if (os < 0)
		return nova_fail_os(error, os, "'%s'", r->root);
	if (*ret_fd >= 0)
		sign(*ret_fd, "");
	return 0;
}

static void tell_written(const struct recipe *r, uint64_t made_us, uint64_t written_us)
{
	log_info(host_log(r->host), "template", "%s was made in %llu ms and written in %llu ms",
		r->id, (unsigned long long)(made_us / 1000u),
		(unsigned long long)(written_us / 1000u));
}

static int make(const struct recipe *r, struct frozen **ret, bool *ret_made, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	recipe_tell(r);
	int code = r->make(r, ret, error);
	uint64_t made_us = us_since(begin);
	if (code == 0 && r->later) {
		r->later->frozen = frozen_ref(*ret);
		r->later->made_us = made_us;
	} else if (code == 0) {
		code = keep_if_possible(r, ret, error);
	}
	if (code < 0)
		return code;
	if (r->guest)
		recipe_took(r, us_since(begin));
	if (!r->later)
		tell_written(r, made_us, us_since(begin) - made_us);
	*ret_made = true;
	return 0;
}

/* With the lock. Somebody else may have made it meanwhile. */
static int find_or_make(
	const struct recipe *r, struct frozen **ret, bool *ret_made, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	int code = find(r, ret, &why);
	/* found, or this host could not look: then it may be a good one */
	if (!is_to_be_made(code)) {
		if (error)
			*error = STEAL(why);
		return code;
	}
	if (code != NOVA_EBUSY)
		/* NOVA_ENOTFOUND, too, if its base is what is not there */
		discard(r->host, r->root, r->id, nova_error_message(why));
	return make(r, ret, ret_made, error);
}

static int make_once(
	const struct recipe *r, struct frozen **ret, bool *ret_made, nova_error_t **error)
{
	AUTO_FREE char *lock = str_format("%s/.make-%s", r->root, r->id);
	AUTO_FD int fd = -1;
	int code = lock ? lock_recipe(r, lock, &fd, error) : nova_oom(error);
	if (code < 0)
		return code;
	code = find_or_make(r, ret, ret_made, error);
	if (fd >= 0 && r->later && *ret_made) {
		sign(fd, MADE);
		r->later->lock_path = STEAL(lock);
		r->later->lock = STEAL_FD(fd);
	} else if (fd >= 0) {
		fs_unlink(lock); /* who waits for it locks the next one: see fs_lock() */
	}
	return code;
}

int recipe_obtain(const struct recipe *r, struct frozen **ret, bool *ret_made, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	*ret_made = false;
	int code = find(r, ret, &why);
	if (is_to_be_made(code))
		return make_once(r, ret, ret_made, error);
	if (error)
		*error = STEAL(why);
	return code;
}

/* Of a copy, as clones are made of it meanwhile. */
static int keep_copy(const struct recipe *r, const struct frozen *frozen, struct frozen **ret,
	nova_error_t **error)
{
	AUTO_FROZEN struct frozen *copy = NULL;
	int code = frozen_copy(frozen, &copy, error);
	if (code == 0)
		code = keep(r, &copy, error);
	if (code == 0)
		*ret = STEAL(copy);
	return code;
}

int recipe_write(
	const struct recipe *r, const struct frozen *frozen, uint64_t made_us, struct frozen **ret)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	uint64_t begin = clock_ns();
	*ret = NULL;
	/* another who did not wait may have been quicker */
	if (find(r, ret, NULL) == 0)
		return 0;
	int code = keep_copy(r, frozen, ret, &failure);
	if (code == NOVA_ECANCELED || (code == NOVA_EEXIST && find(r, ret, NULL) == 0))
		return code == NOVA_ECANCELED ? code : 0;
	if (code == 0)
		tell_written(r, made_us, us_since(begin));
	else
		tell_kept_out(r, code, failure);
	return 0;
}

void template_note_use(const struct frozen *frozen)
{
	const char *root, *id;
	if (frozen_on_disk(frozen, &root, &id))
		snapshot_note_use(root, id);
}

void template_discard(nova_host_t *host, const struct frozen *frozen)
{
	const char *root, *id;
	if (frozen_on_disk(frozen, &root, &id))
		discard(host, root, id, "its clones do not work, and a boot does");
}
