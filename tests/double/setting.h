/* SPDX-License-Identifier: MIT */
/* What the tests of the firecracker engine on its double share. */
#ifndef NOVA_TESTS_DOUBLE_SETTING_H
#define NOVA_TESTS_DOUBLE_SETTING_H

#include "engine/firecracker/firecracker.h"
#include "host/host.h"
#include "unit/test.h"

#define DOUBLE NOVA_SOURCE_ROOT "/tests/double/firecracker/firecracker"
#define JAILER NOVA_SOURCE_ROOT "/tests/double/firecracker/jailer"

extern nova_error_t *error; /* for ck_ok() and its like */

struct setting {
	char *dir, *program;
	nova_host_t *host;
	const struct engine_env *env;
	struct machine *m; /* not started yet */
};

/* A context whose firecracker is the double. `faults`: members of the control file, with a comma
 * before each. `jailer`: the setting of that name. `key`: the one of the settings of directories to
 * look at that names looked-at, the others being off; NULL: none; "": they are as by default. */
struct setting set_up_with(const char *faults, const char *jailer, const char *key);
struct setting set_up(const char *faults);
/* The same with another program, to which the name firecracker leads. */
struct setting set_up_program(
	const char *program, const char *faults, const char *jailer, const char *key);
/* Asserts that no process and no file is left. */
void tear_down(struct setting *s);
/* Replaces the control file. */
void control(const struct setting *s, const char *text);
/* A boot, or (base_fd) a process that waits. */
int start(struct setting *s, int base_fd, uint32_t ms);
/* A request with this in it was sent. */
void was_asked(const struct setting *s, const char *part);
/* What was asked, one request a line; caller frees. */
char *requests(const struct setting *s);
/* Whether the agent answers on the machine's stream; the double speaks for it. */
bool agent_hears(const struct setting *s);
void agent_answers(const struct setting *s);

void add_host_tests(TCase *tc);    /* host.c */
void add_network_tests(TCase *tc); /* network.c */

#endif
