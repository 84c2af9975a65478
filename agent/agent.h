/* SPDX-License-Identifier: MIT */
/*
 * All of the agent, for the files beside this one: they hear the host, and have its messages done
 * by the folders. Everything that lives is in struct agent, in fixed places.
 */
#ifndef NOVA_AGENT_H
#define NOVA_AGENT_H

#include "agent/files/files.h"
#include "agent/worker/worker.h"

_Static_assert(
	MAX_WATCHES >= MAX_REQUESTS * 4 + KV_CLIENTS + PREFORKS + 10, "each has its descriptors");

struct agent {
	bool stopping;
	int signals;
	struct loop loop;
	struct channel channel;
	struct guest guest;
	struct identity identity;
	struct run run;
	struct worker worker;
};

/* serve.c: until the agent is to end. */
void serve(struct agent *agent);
void serve_ready(struct agent *agent);

/* message.c */
void message_handle(struct agent *agent, int type, const char *payload, size_t len);

/* init.c */
void on_init(struct agent *agent, const char *id, json_t *payload);
void on_secrets(struct agent *agent, const char *id, json_t *payload);

/* --- exec.c: Exec, Command and what is sent to those under way --- */

void on_exec(struct agent *agent, const char *id, json_t *payload, struct json_span input);
/* The same without a parser, for what is of the plain shape; false: nothing is done yet. The one
 * way of a Rehearse, too. */
bool on_plain_exec(struct agent *agent, const char *text, size_t len, bool rehearses);
void on_command(struct agent *agent, const char *id, json_t *payload);
void on_cancel(struct agent *agent, const char *id);
void on_flow(struct agent *agent, int type, const char *id, json_t *payload);
void exec_check_deadlines(struct agent *agent);

/* --- snapshot.c: Freeze and Resume --- */

void on_freeze(struct agent *agent, const char *id, json_t *payload);
void on_resume(struct agent *agent, const char *id, json_t *payload);
bool on_plain_resume(struct agent *agent, const char *text, size_t len);
/* Of an Exec: the machine becomes another one, or is only late, before the function runs; false
 * after a refusal. */
bool resume_within(struct agent *agent, const char *id, const struct resume_order *order);
bool resume_within_read(struct agent *agent, const char *id, json_t *payload);

/* --- rehearse.c --- */

/* Of being given a function. That of a call is on_plain_exec(). */
void on_rehearse(struct agent *agent, const char *id, json_t *payload);

/* --- payload.c --- */

/* Milliseconds from "timeout_ms" or "timeout_s"; false for what is no time. */
bool payload_timeout(json_t *payload, uint32_t *ret_ms);
/* An object whose values are strings, and whose names can be names of variables; NULL is one, too.
 */
bool payload_strings_only(json_t *env);
/* NULL, or what is wrong with it. */
const char *payload_id(json_t *payload, char out[MAX_ID + 1]);

#endif
