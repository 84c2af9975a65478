/* SPDX-License-Identifier: MIT */
/* The options that every verb knows. */
#include "novactl.h"

struct globals globals;

const struct opt global_options[] = {
	{ OPT_TEXT, 0, "home", "DIR", "state directory (NOVA_HOME)", &globals.home },
	{ OPT_TEXT, 0, "engine", "NAME", "auto, firecracker, qemu or fake (NOVA_ENGINE)",
		&globals.engine },
	{ OPT_TEXT, 0, "config", "FILE", "configuration file (NOVA_CONFIG)", &globals.config },
	{ OPT_TEXT, 0, "log-level", "LEVEL",
		"none, error, warn, info or debug; also warn,pool=debug", &globals.log_level },
	{ OPT_TEXT, 0, "pg-dsn", "DSN", "keep functions in this PostgreSQL (NOVA_PG_DSN)",
		&globals.pg_dsn },
	{ OPT_TEXT, 0, "redis", "HOST:PORT", "Redis (NOVA_REDIS_ADDR)", &globals.redis },
	{ OPT_TEXT, 0, "redis-pass", "TEXT",
		"its password; others can see it in the process list,\nso better use "
		"NOVA_REDIS_PASSWORD",
		&globals.redis_pass },
	{ OPT_TEXT, 0, "redis-db", "N", "its database", &globals.redis_db },
	{ OPT_FLAG, 0, "no-daemon", NULL, "use no daemon, even if one is there",
		&globals.no_daemon },
	{ OPT_FLAG, 0, "json", NULL, "results and errors as JSON", &globals.json },
	{ OPT_FLAG, 'q', "quiet", NULL, "no progress and no remarks, only results and errors",
		&globals.quiet },
	{ OPT_COUNT, 'v', "verbose", NULL, "tell what is being done; twice: every step",
		&globals.verbose },
	{ OPT_FLAG, 0, "no-color", NULL, "no colours (NO_COLOR)", &globals.no_color },
	{ OPT_FLAG, 0, "version", NULL, "print the version", &globals.version },
	{ OPT_FLAG, 'h', "help", NULL, "explain the verb", &globals.help },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};
