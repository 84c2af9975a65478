/* SPDX-License-Identifier: MIT */
/* The database of functions. */
#ifndef NOVA_LIB_MODULE_SQLITE_H
#define NOVA_LIB_MODULE_SQLITE_H

#include <sqlite3.h>

#include "module/module.h"

#define SQLITE_FUNCTIONS(F)                                                                        \
	F(sqlite3_bind_blob)                                                                       \
	F(sqlite3_bind_int64)                                                                      \
	F(sqlite3_bind_text)                                                                       \
	F(sqlite3_busy_timeout)                                                                    \
	F(sqlite3_changes)                                                                         \
	F(sqlite3_clear_bindings)                                                                  \
	F(sqlite3_close)                                                                           \
	F(sqlite3_column_blob)                                                                     \
	F(sqlite3_column_bytes)                                                                    \
	F(sqlite3_column_int64)                                                                    \
	F(sqlite3_column_name)                                                                     \
	F(sqlite3_column_text)                                                                     \
	F(sqlite3_column_type)                                                                     \
	F(sqlite3_db_config)                                                                       \
	F(sqlite3_db_readonly)                                                                     \
	F(sqlite3_errmsg)                                                                          \
	F(sqlite3_exec)                                                                            \
	F(sqlite3_extended_errcode)                                                                \
	F(sqlite3_extended_result_codes)                                                           \
	F(sqlite3_file_control)                                                                    \
	F(sqlite3_finalize)                                                                        \
	F(sqlite3_get_autocommit)                                                                  \
	F(sqlite3_open_v2)                                                                         \
	F(sqlite3_prepare_v2)                                                                      \
	F(sqlite3_prepare_v3)                                                                      \
	F(sqlite3_reset)                                                                           \
	F(sqlite3_step)                                                                            \
	F(sqlite3_stmt_readonly)                                                                   \
	F(sqlite3_system_errno)

MODULE_DOOR(sqlite, MODULE_SQLITE, SQLITE_FUNCTIONS)

#ifndef IN_MODULE
#define sqlite3_bind_blob             sqlite_functions()->sqlite3_bind_blob
#define sqlite3_bind_int64            sqlite_functions()->sqlite3_bind_int64
#define sqlite3_bind_text             sqlite_functions()->sqlite3_bind_text
#define sqlite3_busy_timeout          sqlite_functions()->sqlite3_busy_timeout
#define sqlite3_changes               sqlite_functions()->sqlite3_changes
#define sqlite3_clear_bindings        sqlite_functions()->sqlite3_clear_bindings
#define sqlite3_close                 sqlite_functions()->sqlite3_close
#define sqlite3_column_blob           sqlite_functions()->sqlite3_column_blob
#define sqlite3_column_bytes          sqlite_functions()->sqlite3_column_bytes
#define sqlite3_column_int64          sqlite_functions()->sqlite3_column_int64
#define sqlite3_column_name           sqlite_functions()->sqlite3_column_name
#define sqlite3_column_text           sqlite_functions()->sqlite3_column_text
#define sqlite3_column_type           sqlite_functions()->sqlite3_column_type
#define sqlite3_db_config             sqlite_functions()->sqlite3_db_config
#define sqlite3_db_readonly           sqlite_functions()->sqlite3_db_readonly
#define sqlite3_errmsg                sqlite_functions()->sqlite3_errmsg
#define sqlite3_exec                  sqlite_functions()->sqlite3_exec
#define sqlite3_extended_errcode      sqlite_functions()->sqlite3_extended_errcode
#define sqlite3_extended_result_codes sqlite_functions()->sqlite3_extended_result_codes
#define sqlite3_file_control          sqlite_functions()->sqlite3_file_control
#define sqlite3_finalize              sqlite_functions()->sqlite3_finalize
#define sqlite3_get_autocommit        sqlite_functions()->sqlite3_get_autocommit
#define sqlite3_open_v2               sqlite_functions()->sqlite3_open_v2
#define sqlite3_prepare_v2            sqlite_functions()->sqlite3_prepare_v2
#define sqlite3_prepare_v3            sqlite_functions()->sqlite3_prepare_v3
#define sqlite3_reset                 sqlite_functions()->sqlite3_reset
#define sqlite3_step                  sqlite_functions()->sqlite3_step
#define sqlite3_stmt_readonly         sqlite_functions()->sqlite3_stmt_readonly
#define sqlite3_system_errno          sqlite_functions()->sqlite3_system_errno
#endif

#endif
