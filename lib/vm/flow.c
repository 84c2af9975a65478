/* SPDX-License-Identifier: MIT */
/*
 * The streams of a command while it runs. Its stdin is read when the guest has room for it, and no
 * more of its output comes than has been passed on: so whatever is slow, memory stays flat. All is
 * done by the thread of the call, which waits for the descriptor along with what the guest says.
 */
#include <errno.h>

#include "vm/channel.h"

#define GIVE_AT (PROTO_WINDOW / 4)

int flow_wants(const struct vm_flow *flow)
{
	bool room = flow && flow->on_its_way + PROTO_STDIN_PIECE <= PROTO_WINDOW;
	return room && !flow->ended && !flow->ready && !flow->os ? flow->fd : -1;
}

bool flow_is_due(const struct vm_flow *flow)
{
	bool reads = flow->ready || (flow->fd < 0 && !flow->ended);
	return !flow->os && (flow->taken >= GIVE_AT || reads);
}

void flow_fail(struct vm_flow *flow, int os, const char *what)
{
	flow->os = os;
	flow->what = what;
}

/* Whoever is short of memory ends the command, as one that cannot read its stdin does. */
static int no_memory(struct vm_flow *flow)
{
	flow_fail(flow, -ENOMEM, "out of memory");
	return 0;
}

static int make_frame(
	struct vm_flow *flow, int type, const struct buf *text, void **ret_frame, size_t *ret_len)
{
	if (nova_frame_encode(type, (char *)text->data, text->len, ret_frame, ret_len, NULL) < 0)
		return no_memory(flow);
	return 1;
}

static int credit_frame(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len)
{
	char text[192];
	int len = snprintf(
		text, sizeof(text), "{\"request_id\":\"%s\",\"size\":%zu}", id, flow->taken);
	AUTO_BUF struct buf payload = BUF_INIT(sizeof(text));
	if (buf_append(&payload, text, (size_t)len) < 0)
		return no_memory(flow);
	flow->taken = 0;
	return make_frame(flow, NOVA_MSG_CREDIT, &payload, ret_frame, ret_len);
}

/* One read, as poll() has said that it does not wait. */
static int input_frame(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len)
{
	AUTO_FREE uint8_t *piece = malloc(PROTO_STDIN_PIECE);
	AUTO_BUF struct buf payload = BUF_INIT(2 * PROTO_STDIN_PIECE);
	if (!piece || buf_append_str(&payload, "{\"request_id\":\"") < 0 ||
		buf_append_str(&payload, id) < 0 ||
		buf_append_str(&payload, "\",\"base64\":\"") < 0)
		return no_memory(flow);
	ssize_t got = flow->fd < 0 ? 0 : sys_read(flow->fd, piece, PROTO_STDIN_PIECE);
	flow->ready = false;
	if (got == -EAGAIN)
		return 0;
	if (got < 0) {
		flow_fail(flow, (int)got, "stdin of the command cannot be read");
		return 0;
	}
	flow->ended = got == 0;
	flow->on_its_way += (size_t)got;
	if (base64_put(&payload, piece, (size_t)got) < 0 ||
		buf_append_str(&payload, flow->ended ? "\",\"end\":true}" : "\"}") < 0)
		return no_memory(flow);
	return make_frame(flow, NOVA_MSG_INPUT, &payload, ret_frame, ret_len);
}

int flow_next(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len)
{
	if (flow->taken >= GIVE_AT)
		return credit_frame(flow, id, ret_frame, ret_len);
	return input_frame(flow, id, ret_frame, ret_len);
}

int flow_take_credit(struct vm_flow *flow, const struct guest_message *said, nova_error_t **error)
{
	if (!flow || said->size < 1 || said->size > (int64_t)flow->on_its_way)
		return nova_fail(
			error, NOVA_EAGENT, "the guest gives credit for what was not sent to it");
	flow->on_its_way -= (size_t)said->size;
	return 0;
}

int flow_failure(const struct vm_flow *flow, int code, nova_error_t **error)
{
	int outcome = code < 0 ? NOVA_OUTCOME_UNKNOWN : NOVA_OUTCOME_RAN;
	if (error && *error)
		nova_error_free(STEAL(*error));
	if (flow->os == -ENOMEM)
		code = nova_oom(error);
	else
		code = nova_fail_os(error, flow->os, "%s", flow->what);
	return nova_set_outcome(error, code, outcome);
}
