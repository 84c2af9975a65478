/* SPDX-License-Identifier: MIT */
/* The door of files: the messages about files of the guest. */
#ifndef NOVA_AGENT_FILES_H
#define NOVA_AGENT_FILES_H

#include "agent/boot/boot.h"

/* A message, and who is answered. */
struct files_call {
	const struct guest *guest;
	struct channel *channel;
	const char *id;
	json_t *payload;
	struct json_span content; /* the member base64 of a File write, as text */
};

/* files.c: answers; false: it is no message about files. */
bool files_handle(const struct files_call *call, int type);

/* list.c */
void files_list(const struct files_call *call);

/* --- path.c --- */

/* A normal path, whose last name is in the open directory. */
struct files_entry {
	int directory;
	char name[NAME_MAX + 1];
};
void files_entry_done(struct files_entry *entry);
#define AUTO_FILES_ENTRY CLEANUP(files_entry_done)
/* Opens a directory within another, and follows no link; -errno. */
int files_step(int directory, const char *name, size_t len, int flags);
/* 0 or -errno. "/" is the name "." in itself. */
int files_find(const char *path, struct files_entry *ret);
/* The path of a message, or NULL after a refusal. */
const char *files_path(const struct files_call *call);
/* A number that is not there is 0. */
bool files_number(json_t *payload, const char *name, int64_t most, int64_t *ret);
void files_refuse(const struct files_call *call, const char *path, int r);

#endif
