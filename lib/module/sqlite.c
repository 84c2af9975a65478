/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/sqlite.h"

MODULE(sqlite, SQLITE_FUNCTIONS, "SQLite " SQLITE_VERSION);
