/* SPDX-License-Identifier: MIT */
/*
 * What the library and nova-deps say to each other over one stream. The library: the length of what
 * follows (four bytes), the texts below, and variables for the client, each with its NUL. The
 * helper: lines, each a letter and what belongs to it. Its end of the stream is closed when it
 * ends.
 */
#ifndef NOVA_LIB_DEPS_WIRE_H
#define NOVA_LIB_DEPS_WIRE_H

#define DEPS_SOCKET_FD   3
#define DEPS_REQUEST_MAX (1u << 20)

enum deps_text {
	DEPS_CLIENT,   /* "pip" or "npm" */
	DEPS_FILE,     /* requirements.txt, package.json: an absolute path */
	DEPS_LINKS,    /* where the packages are; "": the registry */
	DEPS_WORK,     /* an empty directory; the packages go into `target` in it */
	DEPS_PYTHON,   /* "3.11"; "": that of this host */
	DEPS_PLATFORM, /* "manylinux_2_36" */
	DEPS_LIMIT,    /* bytes */
	DEPS_TEXTS,
};

#define DEPS_PROGRESS 'P' /* what is being done now */
#define DEPS_FAILED   'E' /* a code of nova_code, a space, a sentence */
#define DEPS_DONE     'D' /* all is in `target` */

#endif
