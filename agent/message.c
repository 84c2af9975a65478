/* SPDX-License-Identifier: MIT */
/* Which function has a message done. */
#include "agent/agent.h"

/* Ping and Stop, which say nothing more. */
static void on_word(struct agent *agent, int type, const char *id)
{
	bool stop = type == NOVA_MSG_STOP;
	answer_status(&agent->channel, id, stop ? "stopping" : "ok");
	agent->stopping |= stop;
	agent->loop.done |= stop;
}

/* Of a question that nobody waits for any more nothing is said. */
static void on_kv_reply(
	struct agent *agent, const char *id, json_t *payload, struct json_span reply)
{
	json_int_t number = json_integer_value(json_object_get(payload, "number"));
	if (reply.at)
		kv_reply(&agent->run, id, number, reply);
}

static void on_other(
	struct agent *agent, int type, const char *id, json_t *payload, struct json_span content)
{
	const struct files_call call = { &agent->guest, &agent->channel, id, payload, content };
	if (type == NOVA_MSG_KV_REPLY)
		on_kv_reply(agent, id, payload, content);
	else if (!files_handle(&call, type))
		answer_refused(&agent->channel, id, "invalid",
			"this agent (%s) has no message of type %d", NOVA_VERSION_STRING, type);
}

/* `raw`: the member that was not parsed. */
static void dispatch(
	struct agent *agent, int type, const char *id, json_t *payload, struct json_span raw)
{
	switch (type) {
	case NOVA_MSG_INIT:
		on_init(agent, id, payload);
		break;
	case NOVA_MSG_EXEC:
		on_exec(agent, id, payload, raw);
		break;
	case NOVA_MSG_REHEARSE:
		on_rehearse(agent, id, payload);
		break;
	case NOVA_MSG_SECRETS:
		on_secrets(agent, id, payload);
		break;
	case NOVA_MSG_PING:
	case NOVA_MSG_STOP:
		on_word(agent, type, id);
		break;
	case NOVA_MSG_RESUME:
		on_resume(agent, id, payload);
		break;
	case NOVA_MSG_FREEZE:
		on_freeze(agent, id, payload);
		break;
	case NOVA_MSG_COMMAND:
		on_command(agent, id, payload);
		break;
	case NOVA_MSG_CANCEL:
		on_cancel(agent, id);
		break;
	case NOVA_MSG_INPUT:
	case NOVA_MSG_CREDIT:
		on_flow(agent, type, id, payload);
		break;
	default:
		on_other(agent, type, id, payload, raw);
	}
}

void message_handle(struct agent *agent, int type, const char *payload, size_t len)
{
	char id[MAX_ID + 1] = "";
	AUTO_JSON json_t *object = NULL;
	AUTO_ERROR nova_error_t *error = NULL;
	struct json_span part = { NULL, 0 };
	if ((type == NOVA_MSG_EXEC && on_plain_exec(agent, payload, len, false)) ||
		(type == NOVA_MSG_REHEARSE && on_plain_exec(agent, payload, len, true)) ||
		(type == NOVA_MSG_RESUME && on_plain_resume(agent, payload, len)))
		return;
	const char *raw = type == NOVA_MSG_EXEC       ? "input" :
			  type == NOVA_MSG_FILE_WRITE ? "base64" :
			  type == NOVA_MSG_KV_REPLY   ? "reply" :
							NULL;
	const char *wrong = proto_decode_payload(payload, len, raw, &object, &part, &error) < 0 ?
				    nova_error_message(error) :
				    payload_id(object, id);
	if (wrong)
		answer_refused(&agent->channel, id, "invalid", "%s", wrong);
	else
		dispatch(agent, type, id, object, part);
}
