/* SPDX-License-Identifier: MIT */
/*
 * Commands whose stdin comes, and whose output goes, while they run. What is on its way is bounded
 * by a window for each direction: who sends waits for credit, which comes when the other side has
 * passed on what it got.
 */
#include <errno.h>

#include "agent/run/run.h"

#define TOLD_AT (PROTO_WINDOW / 4)
/* What is in the pipes when the command has ended is read and sent at once, past the window. */
#define UNSENT_MAX (4u << 20)

void flow_begin(struct request *request)
{
	request->flows = true;
	request->stdin_ended = false;
	request->stdin_data.max = PROTO_WINDOW;
	request->window = PROTO_WINDOW;
	for (int n = 0; n < 2 && request->stream; n++) {
		request->output[n].whole = true;
		request->output[n].unsent = BUF_INIT(UNSENT_MAX);
	}
}

/* Nobody reads it any more: the rest is passed over. */
void flow_stdin_refused(struct request *request)
{
	close_fd(&request->stdin_fd);
	buf_free(&request->stdin_data);
}

size_t flow_stdin_taken(struct request *request, size_t len)
{
	size_t told = 0;
	request->stdin_taken += request->flows ? len : 0;
	if (request->stdin_taken >= TOLD_AT) {
		told = request->stdin_taken;
		request->stdin_taken = 0;
	}
	if (request->stdin_ended && !request->stdin_data.len)
		close_fd(&request->stdin_fd);
	return told;
}

const char *flow_input(struct request *request, json_t *payload)
{
	json_t *text = json_object_get(payload, "base64");
	const char *coded = text ? json_string_value(text) : "";
	/* Those of a command that takes no more are not kept. */
	AUTO_BUF struct buf passed_over = BUF_INIT(PROTO_WINDOW);
	struct buf *to = request->stdin_fd < 0 ? &passed_over : &request->stdin_data;
	if (!request->flows || request->stdin_ended)
		return "Input is for a Command with \"flow\", and ends once";
	int r = coded ? base64_get(to, coded, text ? json_string_length(text) : 0) : -EINVAL;
	if (r == -ENOMEM)
		return "out of memory";
	/* What has been read is no credit before the host is told of it. */
	if (r < 0 || request->stdin_data.len + request->stdin_taken > PROTO_WINDOW)
		return "Input needs \"base64\", no more than there is credit for";
	request->stdin_ended = json_is_true(json_object_get(payload, "end"));
	if (request->stdin_ended && !request->stdin_data.len)
		close_fd(&request->stdin_fd);
	return NULL;
}

const char *flow_credit(struct request *request, json_t *payload)
{
	json_int_t size = json_integer_value(json_object_get(payload, "size"));
	if (!request->flows || size < 1 || size > (json_int_t)(PROTO_WINDOW - request->window))
		return "Credit is for what a Command with \"flow\" has sent";
	request->window += (size_t)size;
	return NULL;
}

bool flow_is_full(const struct output *out)
{
	return out->whole && out->unsent.len >= FLOW_AHEAD;
}
