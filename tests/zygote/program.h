/* SPDX-License-Identifier: MIT */
/* A program that has some of everything, for being forked: see program.c. */
#ifndef NOVA_TESTS_ZYGOTE_PROGRAM_H
#define NOVA_TESTS_ZYGOTE_PROGRAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors that the program is started with. */
#define PROGRAM_CONTROL 3
#define PROGRAM_COMMAND 4

/* Ends the proof with what is wrong; the driver is told. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define require(truth) ((truth) ? (void)0 : fault("%s:%d: %s", __FILE__, __LINE__, #truth))

/* workers.c: threads that work, each with attributes of its own */
void workers_start(unsigned seed);
/* Each of them proves that it is what it was, and all have gone on since. */
void workers_prove(void);

/* things.c: descriptors, timers, memory */
void things_start(void);
void things_prove(void);

/* trouble.c: what makes a fork impossible, by name; false: not known */
bool trouble_start(const char *name);

/* attempts.c: what a filter of system calls has to prevent */
void attempts_fail(void);

/* Until the truth, which `mutex` protects and `cond` tells of; a fault if it takes for ever. */
void await(pthread_cond_t *cond, pthread_mutex_t *mutex, bool (*truth)(void));

#endif
