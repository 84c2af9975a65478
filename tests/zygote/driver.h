/* SPDX-License-Identifier: MIT */
/* Starts the program, orders forks, and hears what the children say. */
#ifndef NOVA_TESTS_ZYGOTE_DRIVER_H
#define NOVA_TESTS_ZYGOTE_DRIVER_H

#include <sys/types.h>

#include "../unit/test.h"
#include "zygote/zygote.h"

#define HANG_MS 100000

/* One process, and both of its sockets. */
struct subject {
	pid_t pid;
	int control, command;
};

unsigned driver_seed(void);
/* As long as it works; with a trouble by its name. It is up, and has said hello. */
struct subject subject_start(const char *trouble);
void subject_end(struct subject *s);
/* It proves its state. */
void subject_prove(const struct subject *s);
/* It tries what a filter has to prevent. */
void subject_try(const struct subject *s);
/* Its descriptors; its threads. */
size_t subject_count(const struct subject *s, const char *what);

/* A sound order of that kind. */
struct zygote_order order_of(enum zygote_kind kind);
void order_send(
	const struct subject *s, const void *order, size_t len, const int *fds, size_t fd_count);
/* The next message; it is the answer to an order of that kind and number. */
struct zygote_answer answer_of(const struct subject *s, enum zygote_kind kind, uint64_t number);
struct zygote_answer order(const struct subject *s, enum zygote_kind kind);

/* A child that is not born yet, as a fork gives it; pid 0: refused, as the answer says. */
struct subject fork_try(const struct subject *s, uint32_t flags, struct zygote_answer *ret);
/* The same, as often as it takes for all threads to be at rest. */
struct subject fork_unborn(const struct subject *s, uint32_t flags);
void bear(struct subject *child);
/* With flags, as the user if they say so. */
struct zygote_answer bear_as(struct subject *child, uint32_t flags, uint32_t user);
struct subject fork_born(const struct subject *s);

/* Until the other end is closed. */
void await_gone(int fd);

#endif
