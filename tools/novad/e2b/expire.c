/* SPDX-License-Identifier: MIT */
/* Sandboxes whose time is over. */
#include <stdlib.h>
#include <string.h>

#include "e2b.h"

#define LOOK_MAX 100    /* ended at once */
#define KEEP_MS  600000 /* after so long it is kept how long they are paused */

static bool pause_it(struct job *job, const char *id)
{
	struct sandbox sandbox;
	bool done = !sandbox_find(id, NULL, &sandbox) || sandbox_pause(job, &sandbox);
	sandbox_clear(&sandbox);
	return done;
}

static void end_it(struct job *job, const char *id)
{
	struct sandbox sandbox;
	if (sandbox_remove(id, NULL, &sandbox))
		sandbox_end(job, &sandbox);
}

/* Nothing is to be lost as long as there is hope. */
static void try_again(struct job *job, const char *id)
{
	const struct novad *novad = job_userdata(job);
	const json_t *error = json_object_get(job_reply(job), "error");
	bool hope = sandbox_postpone(id, novad->settings.event_retry_ms);
	log_line(novad->log, hope ? NOVA_LOG_WARN : NOVA_LOG_ERROR,
		"the time of the sandbox '%s' is over, but it cannot be paused%s: %s", id,
		hope ? "" : ", again and again, and is killed",
		json_string_value(json_object_get(error, "message")));
	if (!hope)
		end_it(job, id);
}

static void expire(struct job *job)
{
	const char *id = job_text(job, "sandbox");
	if (!job_flag(job, "pause"))
		end_it(job, id);
	else if (!pause_it(job, id))
		try_again(job, id);
}

static const struct job_verb verb_expire = { .name = "expire", .work = expire };

/* Nobody waits for it. */
struct expiry {
	struct job *job;
	struct sandbox before; /* without metadata and variables */
};

static void on_woken(void *userdata)
{
	const struct expiry *expiry = userdata;
	job_pass_on(expiry->job);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	(void)userdata, (void)part, (void)data, (void)len;
}

static void on_end(void *userdata, const json_t *reply)
{
	struct expiry *expiry = userdata;
	(void)reply;
	if (!expiry->job) /* there was no thread for it: it is tried again */
		sandbox_settle(expiry->before.id, expiry->before.state, expiry->before.snapshot);
	free(expiry);
}

static void end_expired(const struct novad *novad)
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	struct sandbox sandbox;
	uint32_t paused_ms = novad->settings.paused_ms;
	for (int i = 0; i < LOOK_MAX && !novad->draining && sandbox_expired(paused_ms, &sandbox);
		i++) {
		bool pause = sandbox.auto_pause && sandbox.state == SANDBOX_RUNNING;
		json_t *options =
			need(json_pack("{s:s,s:b}", "sandbox", sandbox.id, "pause", (int)pause));
		struct job_request request = { .verb = &verb_expire, .options = options };
		struct expiry *expiry = need(calloc(1, sizeof(*expiry)));
		expiry->before = sandbox;
		processes_end(sandbox.id);
		struct job *job = job_begin(server_jobs(novad->server), &request, &asker, expiry);
		if (job)
			expiry->job = job; /* else it is over, and gone */
		json_decref(options);
		sandbox_clear(&sandbox);
	}
}

/* --- how long they have been paused --- */

static void keep_elapsed(struct job *job)
{
	(void)job;
	elapsed_keep();
}

static void on_kept(void *userdata, const json_t *reply)
{
	(void)userdata, (void)reply;
}

static void on_nothing(void *userdata)
{
	(void)userdata;
}

/* If the host ends without a word, no more than that is missing. */
static void keep_time(const struct novad *novad, int64_t now)
{
	static const struct job_verb verb = { .name = "elapsed", .work = keep_elapsed };
	static const struct job_asker asker = { on_nothing, on_text, on_kept };
	static int64_t kept_at;
	kept_at = kept_at ? kept_at : now;
	if (now - kept_at < KEEP_MS || novad->draining)
		return;
	kept_at = now;
	json_t *options = need(json_object());
	struct job_request request = { .verb = &verb, .options = options };
	job_begin(server_jobs(novad->server), &request, &asker, &kept_at); /* there to the end */
	json_decref(options);
}

void e2b_look(const struct novad *novad, int64_t now)
{
	listeners_look(now);
	if (novad->settings.e2b)
		keep_time(novad, now);
	end_expired(novad);
}

void e2b_close(void)
{
	processes_end(NULL);
}
