/* SPDX-License-Identifier: MIT */
/* All routes. What is dispatched and what the document says come from here. */
#include "routes.h"

const struct route routes[] = {
	{ "GET", "/healthz", "health", "Whether it lives", ROUTE_ONLY | ROUTE_OPEN, direct_health,
		NULL, NULL, NULL, "that it does" },
	{ "GET", "/readyz", "ready", "Whether it takes calls", ROUTE_ONLY | ROUTE_OPEN,
		direct_ready, NULL, NULL, NULL, "that it does" },
	{ "GET", "/metrics", "metrics", "Its numbers, for Prometheus", ROUTE_ONLY, direct_metrics,
		NULL, NULL, NULL, "the numbers" },
	{ "GET", "/openapi.json", "openapi", "This document", ROUTE_ONLY | ROUTE_OPEN,
		direct_openapi, NULL, NULL, NULL, "the document" },
	{ NULL },
};
