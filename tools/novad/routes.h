/* SPDX-License-Identifier: MIT */
/* The resources, a file for each, and the table of all routes. */
#ifndef NOVAD_ROUTES_H
#define NOVAD_ROUTES_H

#include "novad.h"

void direct_health(struct exchange *exchange);
void direct_ready(struct exchange *exchange);
void direct_metrics(struct exchange *exchange);
void direct_openapi(struct exchange *exchange);

/* ends with one without a path */
extern const struct route routes[];

#endif
