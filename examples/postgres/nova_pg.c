/* SPDX-License-Identifier: MIT */
/*
 * A PostgreSQL function that runs a registered function in a microVM:
 *
 *     cc -shared -fPIC -I"$(pg_config --includedir-server)" nova_pg.c \
 *             $(pkg-config --cflags --libs nova) -o nova_pg.so
 *
 *     CREATE FUNCTION nova_invoke(name text, event text) RETURNS text
 *             AS '/path/to/nova_pg', 'nova_invoke_pg' LANGUAGE C STRICT;
 *     SELECT nova_invoke('hello', '{"name":"World"}');
 *
 * Each backend has a context of its own, which is made by its first call and ends with it, and
 * keeps its VMs warm in between. The settings are those of the server's environment.
 * statement_timeout, pg_cancel_backend() and pg_terminate_backend() end a call: all of them end up
 * as one of two signals, of which this tells the library as well, and only while it is called.
 */
#include <postgres.h>

#include <fmgr.h>
#include <miscadmin.h>
#include <signal.h>
#include <storage/ipc.h>
#include <utils/builtins.h>

#include <nova/nova.h>

PG_MODULE_MAGIC;

static nova_t *nova;
static nova_interrupt_t *stop;
static const int signals[2] = { SIGINT, SIGTERM };
static struct sigaction before[2];

static void on_signal(int number)
{
	nova_interrupt_trigger(stop);
	before[number == SIGTERM].sa_handler(number);
}

static void close_nova(int code, Datum unused)
{
	(void)code;
	(void)unused;
	nova_close(nova);
}

static int open_once(nova_error_t **error)
{
	int code = nova ? NOVA_OK : nova_open(NULL, &nova, error);
	static bool told;
	if (code == NOVA_OK && !told)
		on_proc_exit(close_nova, 0);
	told |= code == NOVA_OK;
	return code;
}

/* Nothing in here jumps out, as errors of PostgreSQL do. */
static int invoke(const char *name, const char *event, nova_result_t **result, nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	int code = open_once(error);
	if (code == NOVA_OK)
		code = nova_interrupt_new(&stop, error);
	if (code != NOVA_OK)
		return code;
	for (int i = 0; i < 2; i++) {
		sigaction(signals[i], NULL, &before[i]);
		struct sigaction with_stop = before[i];
		with_stop.sa_handler = on_signal;
		if (before[i].sa_handler != SIG_IGN && before[i].sa_handler != SIG_DFL)
			sigaction(signals[i], &with_stop, NULL);
	}
	if (InterruptPending) /* a signal that came before */
		nova_interrupt_trigger(stop);
	opts.interrupt = stop;
	code = nova_invoke(nova, name, event, &opts, result, error);
	for (int i = 0; i < 2; i++)
		sigaction(signals[i], &before[i], NULL);
	nova_interrupt_free(stop);
	return code;
}

PG_FUNCTION_INFO_V1(nova_invoke_pg);
Datum nova_invoke_pg(PG_FUNCTION_ARGS)
{
	nova_result_t *result = NULL;
	nova_error_t *error = NULL;
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *event = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int code = invoke(name, event, &result, &error);
	/* Freed with the query, also if that ends here. */
	const char *said =
		code == NOVA_OK ? nova_result_output(result, NULL) : nova_error_message(error);
	char *text = MemoryContextAllocExtended(
		CurrentMemoryContext, strlen(said) + 1, MCXT_ALLOC_NO_OOM);
	if (text)
		memcpy(text, said, strlen(said) + 1);
	nova_result_free(result);
	nova_error_free(error);
	CHECK_FOR_INTERRUPTS();
	if (code != NOVA_OK || !text)
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				       errmsg("%s", text ? text : "no memory for the answer")));
	PG_RETURN_TEXT_P(cstring_to_text(text));
}
