/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM end what waits in the library, and then this process; a second one at once. */
#include <signal.h>

#include "novactl.h"

static const int stops[] = { SIGINT, SIGTERM };
static nova_interrupt_t *token; /* for as long as the process lives: a handler may trigger it */
static volatile sig_atomic_t came;

static void on_signal(int number)
{
	came = number;
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		signal(stops[i], SIG_DFL);
	nova_interrupt_trigger(token);
}

nova_interrupt_t *interruptible(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;
	if (token || nova_interrupt_new(&token, NULL) != 0)
		return token; /* without one, a signal ends the process as it always does */
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		if (sigaction(stops[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(stops[i], &action, NULL);
	return token;
}

bool interrupted(void)
{
	return came != 0;
}

/* A shell sees 128 + the signal, and a script ends with it, as with any other program. */
int interrupt_end(int status)
{
	if (came && status != STATUS_OK) {
		fflush(NULL);
		raise(came);
	}
	return status;
}
