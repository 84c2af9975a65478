/* SPDX-License-Identifier: MIT */
/* The Init under way: begun by its message, answered when the function can be called. */
#include "agent/run/run.h"

void init_begin(struct init *init, const char *id)
{
	*init = (struct init){ .pending = true, .start = clock_ns() };
	snprintf(init->id, sizeof(init->id), "%s", id);
}

void init_done(struct run *run, const struct init_report *report)
{
	struct init *init = &run->init;
	AUTO_BUF struct buf more = BUF_INIT(8192);
	if (!init->pending)
		return;
	init->pending = false;
	tmp_mark(run);
	int r = put_bool(&more, ",\"warm\":", report->warm);
	if (r == 0)
		r = put_bool(&more, ",\"hooks\":", report->hooks);
	if (r == 0)
		r = put_text(&more, ",\"draws\":", report->draws);
	if (r == 0)
		r = put_text(&more, ",\"calls\":", report->calls);
	if (r == 0)
		r = put_number(&more, ",\"duration_us\":", (clock_ns() - init->start) / 1000);
	if (r == 0)
		r = buf_append(&more, "", 1);
	if (r == 0)
		answer_status_with(run->channel, init->id, "initialized", (char *)more.data);
}

void init_program_done(struct run *run)
{
	const struct init_report report = {
		.hooks = run->function.hook_before || run->function.hook_after,
		.draws = "",
		.calls = "",
	};
	init_done(run, &report);
}

void init_failed(struct run *run, const char *error, const void *text, size_t text_len)
{
	if (!run->init.pending)
		return;
	run->init.pending = false;
	function_clear(&run->function);
	answer_refused_text(run->channel, run->init.id, "code", error, text, text_len);
}
