/* SPDX-License-Identifier: MIT */
/* What the suites that run on an engine share. Such a program is run as `NAME ENGINE`; where the
 * engine or the guest images are missing it says why and exits with 77. */
#ifndef NOVA_TESTS_VMTEST_H
#define NOVA_TESTS_VMTEST_H

#include <nova/nova.h>

#include "counter.h"
#include "unit/test.h"

extern const char *engine;  /* the name from the command line */
extern nova_error_t *error; /* for ck_ok() and its like */

static inline bool is_fake(void)
{
	return !strcmp(engine, "fake");
}

/* Settings from the environment, with this engine and that state directory. */
nova_config_t *vmtest_config(const char *home);

/* The call failed in this way, with this outcome, and its message contains `part`; takes the error.
 */
void vmtest_failed(int expected, int code, int outcome, const char *part);
/* ck_assert_int_eq(code, NOVA_E…) and all that vmtest_failed() says. */
#define ck_failed(expected, outcome, part, call)                                                   \
	vmtest_failed((expected), (call), (outcome), (part))

/* The child has come in the way that the setting pool.hot asks for: if not, it says why, and only a
 * host that is too busy may be the reason. */
void vmtest_forked_as_set(const nova_vm_t *child, const nova_config_t *config);
/* Whether that is why a start or a fork went the classic way. */
bool vmtest_host_was_busy(const char *why);

/* A case of what the agent and the library do, which is the same whatever engine runs the guest:
 * on the double of an engine it runs with tools/test --long alone. */
TCase *vmtest_case_of_guests(const char *name, int timeout_s);

/* The platform in a state directory in which nothing is, but, where guests boot, the templates of
 * runtimes that a test before this one has made. The second of two that are open at once has a
 * directory of its own. */
struct platform {
	char *dir;
	nova_config_t *config;
	nova_t *nova;
	nova_pool_t *pool;
};
/* Pairs of setting and value, up to a NULL. */
struct platform platform_open(const char *setting, ...);
/* One without any template: for those who count boots or templates, or damage them. */
struct platform platform_open_empty(const char *setting, ...);
/* Closes it, and asserts that nothing is left: see vmtest_nothing_left(). Removes the directory. */
void platform_close(struct platform *p);
/* Registers (or replaces) a function whose code is one file, unchecked. */
void platform_add(nova_t *nova, const char *name, const char *runtime, const char *source);
/* nova_invoke() with the payload "{}"; the error goes to `error`. */
int platform_call(nova_t *nova, const char *name, nova_result_t **ret_result);
/* It succeeds with this output. */
void platform_answers(nova_t *nova, const char *name, const char *output);

/* Its directory, for those who need no platform. */
char *vmtest_take_home(void);
void vmtest_leave_home(char *dir);
/* A VM with its function, as the platform has it: a clone of its runtime's template where guests
 * boot. */
nova_vm_t *vmtest_clone(
	nova_host_t *host, const nova_vm_opts *vm_opts, const nova_vm_init_opts *init);

/* No run directory under `home`, no process that has `home` on its command line, none of a VM that
 * this program's platforms logged. A zombie counts as gone: its parent is not ours to choose. */
void vmtest_nothing_left(const char *home);
/* The process whose command line contains the text; 0: none. */
pid_t vmtest_process(const char *text);
/* The VMM of a VM; 0: it does not run. */
pid_t vmtest_vmm(const char *id);
/* Waits for the end of processes that are no children of ours. Open the pidfds before whatever is
 * to end them. */
int vmtest_pidfd(pid_t pid);
void vmtest_await_end(int pidfd);
/* Waits for the end of all processes whose command line contains the text. */
void vmtest_await_none(const char *text);

/* A line of /proc/PID/status, as "VmHWM:". */
size_t vmtest_memory_kb(pid_t pid, const char *what);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESSES_ARE_WATCHED true /* what was freed is kept */
#else
#define ADDRESSES_ARE_WATCHED false
#endif

int vmtest_main(int argc, char **argv, Suite *(*make_suite)(void));

#endif
