/* SPDX-License-Identifier: MIT */
/*
 * The door of deps: the packages that a function's code needs, installed by the ordinary client of
 * its language (pip, npm), which the helper program nova-deps runs as a child of the keeper: never
 * in the process of the host program.
 *
 * What was installed is kept in the state directory, by a hash of what was asked for and of the
 * guest's interpreter, as long as it is among those used last.
 */
#ifndef NOVA_LIB_DEPS_DEPS_H
#define NOVA_LIB_DEPS_DEPS_H

#include <nova/function.h>

#include "host/host.h"

struct deps_want {
	const char *client;        /* "pip" or "npm" */
	const char *image;         /* root filesystem of the guest */
	const char *file;          /* requirements.txt, or package.json */
	const char *find_links;    /* where the packages are; NULL: the registry */
	uint64_t limit;            /* bytes that all may be together */
	nova_progress_fn progress; /* NULL: nobody is told */
	void *userdata;
};

/* A directory with what was installed; it stays until deps_done(). */
struct deps {
	char *directory; /* NULL: none */
	char *work;      /* what goes with it; NULL: it is kept for others */
	int lock;
};
#define DEPS_NONE                                                                                  \
	{                                                                                          \
		NULL, NULL, -1                                                                     \
	}

/* The codes of nova_function_register(), of requirements. On failure nothing is left. */
int deps_install(nova_host_t *host, const struct deps_want *want, const struct stop *stop,
	struct deps *ret_deps, nova_error_t **error);
void deps_done(struct deps *deps);
#define AUTO_DEPS CLEANUP(deps_done)

/* What packages must fit; texts of this struct. */
struct deps_guest {
	char python[8];    /* "3.11"; "": the guest is this host */
	char platform[24]; /* "manylinux_2_36" */
};
/* NOVA_ENOTSUP: there is no Python in that root filesystem. */
int deps_guest_python(const char *rootfs, struct deps_guest *ret_guest, nova_error_t **error);

#endif
