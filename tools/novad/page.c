/* SPDX-License-Identifier: MIT */
/* The page for people: three files that are built in. What it shows comes from the API, for which
 * it asks for a key. */
#include "page_css.h"
#include "page_html.h"
#include "page_js.h"
#include "routes.h"

/* Its own script and style, and novad's API, are all that it may use: what a function has printed
 * stays a text even if the script should make an element of it. */
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "                 \
	"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

static struct MHD_Response *made_of(const char *type, const unsigned char *data, size_t len)
{
	static const struct {
		const char *name, *value;
	} headers[] = {
		{ "Cache-Control", "no-cache" },
		{ "Content-Security-Policy", POLICY },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Referrer-Policy", "no-referrer" },
		{ "X-Content-Type-Options", "nosniff" },
	};
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT);
	need(response);
	MHD_add_response_header(response, "Content-Type", type);
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		MHD_add_response_header(response, headers[i].name, headers[i].value);
	return response;
}

#define FILE_ANSWER(function, type, name)                                                          \
	void function(struct exchange *exchange)                                                   \
	{                                                                                          \
		static struct MHD_Response *ready;                                                 \
		if (!ready)                                                                        \
			ready = made_of(type, name, name##_len);                                   \
		exchange_answer_ready(exchange, 200, ready);                                       \
	}

FILE_ANSWER(direct_page, "text/html; charset=utf-8", page_html)
FILE_ANSWER(direct_page_css, "text/css; charset=utf-8", page_css)
FILE_ANSWER(direct_page_js, "text/javascript; charset=utf-8", page_js)
