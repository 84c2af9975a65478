/* SPDX-License-Identifier: MIT */
/* What the tests on real VMMs share. Their guest (tests/guest) tells in each answer what has become
 * of it. */
#ifndef NOVA_TESTS_REAL_H
#define NOVA_TESTS_REAL_H

#include "vmtest.h"

/* Loops run without a jail, and (1) in one. */
struct setting {
	char *dir;
	nova_config_t *config;
	nova_host_t *host;
};

/* Pairs of setting and value besides, up to a NULL. */
struct setting set_up(int jailed, ...);
/* With sockets and logs where people look at them by default. */
struct setting set_up_seen(bool jailed);
/* Asserts that nothing is left. */
void tear_down(struct setting *s);

/* A VM that has its function. `disk`: a code disk, or NULL. */
nova_vm_t *start(struct setting *s, const char *disk);
nova_vm_t *start_with(struct setting *s, const nova_vm_opts *opts);
nova_vm_t *fork_one(nova_vm_t *vm);
/* A code disk in the setting's directory; caller frees. */
char *code_disk(const struct setting *s);

/* What the guest has counted. */
struct counters {
	unsigned long long calls, streams, resets, resumes, wrong;
	char devices[64]; /* a letter for each: b(lock), n(et), v(sock), c(onsole) */
};
/* A call that succeeds. The memory that the guest looks at is as it wrote it. */
struct counters call(nova_vm_t *vm, const char *payload);
/* The guest has been called that often, this time included. */
void is_call(nova_vm_t *vm, unsigned number);

/* A device of the same number and of these rights takes the place of /dev/kvm, in a mount namespace
 * of this process. */
bool cover_kvm(mode_t mode);

/* How often something is tried: with NOVA_TEST_LONG the larger number. */
int times(int few, int many);

void add_life_tests(TCase *tc, int variants); /* life.c */
void add_host_tests(TCase *tc, int variants); /* host.c */
void add_many_tests(TCase *tc, int variants); /* many.c */
void add_file_tests(TCase *tc, int variants); /* files.c */
void add_large_tests(TCase *tc);              /* large.c */

#endif
