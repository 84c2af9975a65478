/* SPDX-License-Identifier: MIT */
/* Instances that have just been started, by whichever route, and what ends them. */
#include "routes.h"

json_t *instance_json(nova_instance_t *instance)
{
	char *text = need(nova_instance_to_json(instance));
	json_t *json = need(json_loads(text, 0, NULL));
	nova_free(text);
	return json;
}

void instance_end(nova_instance_t *instance)
{
	facts_drop(FACTS_INSTANCE, nova_instance_id(instance));
	nova_vm_kill(nova_instance_vm(instance));
	nova_instance_stop(instance, 1, NULL);
}

static void release(void *instance)
{
	nova_instance_free(instance);
}

static void take_back(struct job *job)
{
	instance_end(job_held(job));
}

void instance_hand_over(struct job *job, nova_instance_t *instance)
{
	job_hold(job, instance, release);
	job_undo(job, take_back);
}

static void answer(struct job *job)
{
	nova_instance_t *instance = job_held(job);
	instance_note(job, instance, "");
	job_status(job, 201);
	job_answer(job, instance_json(instance));
}

void instance_collect_started(struct job *job, nova_call_t *call)
{
	nova_instance_t *instance = nova_call_take_instance(call);
	nova_error_t *error = nova_call_take_error(call);
	if (error)
		job_fail_by(job, error);
	if (instance) {
		instance_hand_over(job, instance);
		job_then(job, answer); /* it may wait for the disk */
	}
	nova_error_free(error);
}
