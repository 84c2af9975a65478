/* SPDX-License-Identifier: MIT */
/*
 * The agent's part. A call's payload may ask for something: {"pages": N} writes to N pages of
 * memory, {"hold": 1} is answered when it is cancelled, {"print": N} prints N lines, {"end": 1}
 * ends the guest, {"fault": 1} does so by a fault, {"ready": N} says when it is ready from then on.
 */
#include "guest.h"

#define AREA       0x1000000u /* in 16 MB, of which the first page is not used */
#define AREA_PAGES 8192u

enum { INIT = 1, EXEC, RESP, PING, STOP, READY = 64, STREAM, RESUME, FREEZE = 74, CANCEL };

struct text {
	const char *at;
	size_t len;
};

struct counters counters;
char devices[256];
static char answer[2048];
static uint32_t answer_len;
static char held[128]; /* the request that waits for its end */
static size_t held_len;
static struct stream *held_by;

/* --- words --- */

static void put(const char *text)
{
	while (*text && answer_len < sizeof(answer))
		answer[answer_len++] = *text++;
}

static void put_number(uint64_t value)
{
	char digits[21];
	unsigned at = sizeof(digits) - 1;
	digits[at] = 0;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	put(digits + at);
}

static void put_counter(const char *name, uint64_t value)
{
	put(name);
	put_number(value);
}

static bool is_there(struct text frame, const char *word)
{
	return find(frame.at, frame.len, word) != NULL;
}

/* The number behind a word; 0 without it. */
static uint64_t number(struct text frame, const char *word)
{
	uint64_t value = 0;
	const char *at = find(frame.at, frame.len, word), *end = frame.at + frame.len;
	while (at && at < end && *at >= '0' && *at <= '9')
		value = value * 10 + (uint64_t)(*at++ - '0');
	return value;
}

static struct text id_of(struct text frame)
{
	struct text id = { find(frame.at, frame.len, "\"request_id\":\""), 0 };
	while (id.at && id.at + id.len < frame.at + frame.len && id.at[id.len] != '"')
		id.len++;
	return id;
}

/* --- answers --- */

static void begin(unsigned type)
{
	answer_len = 4;
	put("{\"type\":");
	put_number(type);
	put(",\"payload\":{");
}

static void begin_with_id(unsigned type, struct text id)
{
	begin(type);
	put("\"request_id\":\"");
	for (size_t i = 0; i < id.len && i < sizeof(held); i++)
		answer[answer_len++] = id.at[i];
	put("\"");
}

static void finish(struct stream *stream)
{
	put("}}");
	uint32_t len = answer_len - 4;
	for (unsigned i = 0; i < 4; i++)
		answer[i] = (char)(len >> (24 - 8 * i));
	if (stream)
		vsock_reply(stream, answer, answer_len);
	else
		console_reply(answer, answer_len);
}

void agent_ready(struct stream *stream)
{
	begin(READY);
	put("\"agent\":\"guest of the "
	    "tests\",\"kernel\":\"none\",\"boot_us\":1,\"pid1\":true,\"root\":\"vda\"");
	finish(stream);
}

static void confirm(struct stream *stream, struct text id, const char *status)
{
	begin_with_id(RESP, id);
	put(",\"status\":\"");
	put(status);
	put("\"");
	finish(stream);
}

static void put_result(bool canceled)
{
	put(",\"output\":{");
	put_counter("\"calls\":", counters.calls);
	put_counter(",\"streams\":", counters.streams);
	put_counter(",\"resets\":", counters.resets);
	put_counter(",\"resumes\":", counters.resumes);
	put_counter(",\"wrong\":", counters.wrong);
	put(",\"devices\":\"");
	put(devices);
	put("\"},\"stdout\":\"\",\"stderr\":\"\",\"exit_code\":0,\"signal\":0,\"timed_out\":false,"
	    "\"truncated\":false,\"duration_ms\":0,\"duration_us\":1,\"peak_kb\":0");
	if (canceled)
		put(",\"canceled\":true,\"error\":\"canceled: by the caller\"");
}

/* --- calls --- */

static volatile uint64_t *page_at(uint64_t i)
{
	return (volatile uint64_t *)(AREA + (i + 1) * 4096);
}

/* Every page that was written to holds the number of the call that did so: what is found must be
 * what is known. */
static void use_pages(uint64_t count)
{
	static uint16_t written[AREA_PAGES];
	static uint64_t most;
	for (uint64_t i = 0; i < most; i++)
		counters.wrong += *page_at(i) != written[i];
	for (uint64_t i = 0; i < count && i < AREA_PAGES; i++) {
		written[i] = (uint16_t)counters.calls;
		*page_at(i) = written[i];
		most = i >= most ? i + 1 : most;
	}
}

/* It says so, and then nothing until it is cancelled. */
static void hold(struct stream *stream, struct text id)
{
	begin_with_id(STREAM, id);
	put(",\"stream\":1,\"data\":\"held\"");
	finish(stream);
	held_len = id.len < sizeof(held) ? id.len : sizeof(held);
	copy(held, id.at, held_len);
	held_by = stream;
}

static void exec(struct stream *stream, struct text frame, struct text id)
{
	counters.calls++;
	counters.resumes += is_there(frame, "\"resume\":");
	if (is_there(frame, "\"ready\":"))
		when_ready = (enum when_ready)number(frame, "\"ready\":");
	use_pages(number(frame, "\"pages\":"));
	for (uint64_t lines = number(frame, "\"print\":"); lines; lines--)
		print("the guest prints a line of words that nobody reads\n");
	if (is_there(frame, "\"end\":"))
		guest_end();
	if (is_there(frame, "\"fault\":"))
		guest_fault();
	if (is_there(frame, "\"hold\":")) {
		hold(stream, id);
		return;
	}
	begin_with_id(RESP, id);
	put_result(false);
	finish(stream);
}

static void cancel(struct text id)
{
	bool same = held_len && id.len == held_len;
	for (size_t i = 0; same && i < held_len; i++)
		same = id.at[i] == held[i];
	if (!same)
		return;
	held_len = 0;
	begin_with_id(RESP, id);
	put_result(true);
	finish(held_by);
}

static void handle(struct stream *stream, struct text frame)
{
	struct text id = id_of(frame);
	switch (number(frame, "\"type\":")) {
	case EXEC:
		exec(stream, frame, id);
		break;
	case INIT:
		begin_with_id(RESP, id);
		put(",\"status\":\"initialized\",\"warm\":false,\"hooks\":false,\"draws\":\"\","
		    "\"calls\":\"\",\"duration_us\":1");
		finish(stream);
		break;
	case PING:
		confirm(stream, id, "ok");
		break;
	case RESUME:
		counters.resumes++;
		confirm(stream, id, "resumed");
		break;
	case FREEZE:
		confirm(stream, id, "frozen");
		break;
	case CANCEL:
		cancel(id);
		break;
	case STOP:
		confirm(stream, id, "stopping");
		guest_end();
	default:
		begin_with_id(RESP, id);
		put(",\"code\":\"invalid\",\"error\":\"this guest does not know that\"");
		finish(stream);
	}
}

void agent_feed(struct stream *stream, struct input *input, const void *data, uint32_t len)
{
	const uint8_t *in = input->bytes;
	if (len > INPUT_MOST - input->have) {
		print("the host sends more than this guest takes\n");
		guest_end();
	}
	copy(input->bytes + input->have, data, len);
	input->have += len;
	while (input->have >= 4) {
		uint32_t size = (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 |
				(uint32_t)in[2] << 8 | in[3];
		if (input->have - 4 < size)
			break;
		handle(stream, (struct text){ (const char *)in + 4, size });
		input->have -= size + 4;
		copy(input->bytes, in + size + 4, input->have);
	}
}
