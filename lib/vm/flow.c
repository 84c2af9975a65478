/* SPDX-License-Identifier: MIT */
/*
 * The streams of a command while it runs. Its stdin is read when the guest has room for it, and no
 * more of its output comes than has been passed on: so whatever is slow, memory stays flat. All is
 * done by the thread of the call, which waits for the descriptor along with what the guest says.
 */
#include <errno.h>

#include "vm/vm.h"

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

static int make_frame(int type, struct buf *text, void **ret_frame, size_t *ret_len,
	nova_error_t **error)
{
	int code = nova_frame_encode(type, (char *)text->data, text->len, ret_frame, ret_len, error);
	return code < 0 ? code : 1;
}

static int credit_frame(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len,
	nova_error_t **error)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "{\"request_id\":\"%s\",\"size\":%zu}", id, flow->taken);
	AUTO_BUF struct buf payload = BUF_INIT(sizeof(text));
	if (buf_append(&payload, text, (size_t)len) < 0)
		return nova_oom(error);
	flow->taken = 0;
	return make_frame(NOVA_MSG_CREDIT, &payload, ret_frame, ret_len, error);
}

/* One read, as poll() has said that it does not wait. */
static int input_frame(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len,
	nova_error_t **error)
{
	AUTO_FREE uint8_t *piece = malloc(PROTO_STDIN_PIECE);
	AUTO_BUF struct buf payload = BUF_INIT(2 * PROTO_STDIN_PIECE);
	if (!piece || buf_append_str(&payload, "{\"request_id\":\"") < 0 ||
		buf_append_str(&payload, id) < 0 || buf_append_str(&payload, "\",\"base64\":\"") < 0)
		return nova_oom(error);
	ssize_t got = flow->fd < 0 ? 0 : sys_read(flow->fd, piece, PROTO_STDIN_PIECE);
	flow->ready = false;
	if (got == -EAGAIN)
		return 0;
	if (got < 0) {
		flow->os = (int)got;
		return 0;
	}
	flow->ended = got == 0;
	flow->on_its_way += (size_t)got;
	if (base64_put(&payload, piece, (size_t)got) < 0 ||
		buf_append_str(&payload, flow->ended ? "\",\"end\":true}" : "\"}") < 0)
		return nova_oom(error);
	return make_frame(NOVA_MSG_INPUT, &payload, ret_frame, ret_len, error);
}

int flow_next(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len,
	nova_error_t **error)
{
	if (flow->taken >= GIVE_AT)
		return credit_frame(flow, id, ret_frame, ret_len, error);
	return input_frame(flow, id, ret_frame, ret_len, error);
}

int flow_take_credit(struct vm_flow *flow, const struct guest_message *said, nova_error_t **error)
{
	if (!flow || said->size < 1 || said->size > (int64_t)flow->on_its_way)
		return nova_fail(error, NOVA_EAGENT, "the guest gives credit for what was not sent to it");
	flow->on_its_way -= (size_t)said->size;
	return 0;
}
