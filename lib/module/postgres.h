/* SPDX-License-Identifier: MIT */
/* The client of PostgreSQL. */
#ifndef NOVA_LIB_MODULE_POSTGRES_H
#define NOVA_LIB_MODULE_POSTGRES_H

#include <libpq-fe.h>

#include "module/module.h"

#define POSTGRES_FUNCTIONS(F)                                                                      \
	F(PQclear)                                                                                 \
	F(PQcmdTuples)                                                                             \
	F(PQconnectPoll)                                                                           \
	F(PQconnectionNeedsPassword)                                                               \
	F(PQconnectStartParams)                                                                    \
	F(PQconninfoFree)                                                                          \
	F(PQconninfoParse)                                                                         \
	F(PQconsumeInput)                                                                          \
	F(PQdb)                                                                                    \
	F(PQenterPipelineMode)                                                                     \
	F(PQerrorMessage)                                                                          \
	F(PQexitPipelineMode)                                                                      \
	F(PQfinish)                                                                                \
	F(PQflush)                                                                                 \
	F(PQfname)                                                                                 \
	F(PQfreemem)                                                                               \
	F(PQftype)                                                                                 \
	F(PQgetResult)                                                                             \
	F(PQgetisnull)                                                                             \
	F(PQgetlength)                                                                             \
	F(PQgetvalue)                                                                              \
	F(PQhost)                                                                                  \
	F(PQisBusy)                                                                                \
	F(PQnotifies)                                                                              \
	F(PQntuples)                                                                               \
	F(PQpipelineStatus)                                                                        \
	F(PQpipelineSync)                                                                          \
	F(PQport)                                                                                  \
	F(PQresultErrorField)                                                                      \
	F(PQresultStatus)                                                                          \
	F(PQsendPrepare)                                                                           \
	F(PQsendQuery)                                                                             \
	F(PQsendQueryParams)                                                                       \
	F(PQsendQueryPrepared)                                                                     \
	F(PQsetErrorVerbosity)                                                                     \
	F(PQsetNoticeProcessor)                                                                    \
	F(PQsetSingleRowMode)                                                                      \
	F(PQsetnonblocking)                                                                        \
	F(PQsocket)                                                                                \
	F(PQstatus)                                                                                \
	F(PQtransactionStatus)

MODULE_DOOR(postgres, MODULE_POSTGRES, POSTGRES_FUNCTIONS)

#ifndef IN_MODULE
#define PQclear                   postgres_functions()->PQclear
#define PQcmdTuples               postgres_functions()->PQcmdTuples
#define PQconnectPoll             postgres_functions()->PQconnectPoll
#define PQconnectionNeedsPassword postgres_functions()->PQconnectionNeedsPassword
#define PQconnectStartParams      postgres_functions()->PQconnectStartParams
#define PQconninfoFree            postgres_functions()->PQconninfoFree
#define PQconninfoParse           postgres_functions()->PQconninfoParse
#define PQconsumeInput            postgres_functions()->PQconsumeInput
#define PQdb                      postgres_functions()->PQdb
#define PQenterPipelineMode       postgres_functions()->PQenterPipelineMode
#define PQerrorMessage            postgres_functions()->PQerrorMessage
#define PQexitPipelineMode        postgres_functions()->PQexitPipelineMode
#define PQfinish                  postgres_functions()->PQfinish
#define PQflush                   postgres_functions()->PQflush
#define PQfname                   postgres_functions()->PQfname
#define PQfreemem                 postgres_functions()->PQfreemem
#define PQftype                   postgres_functions()->PQftype
#define PQgetResult               postgres_functions()->PQgetResult
#define PQgetisnull               postgres_functions()->PQgetisnull
#define PQgetlength               postgres_functions()->PQgetlength
#define PQgetvalue                postgres_functions()->PQgetvalue
#define PQhost                    postgres_functions()->PQhost
#define PQisBusy                  postgres_functions()->PQisBusy
#define PQnotifies                postgres_functions()->PQnotifies
#define PQntuples                 postgres_functions()->PQntuples
#define PQpipelineStatus          postgres_functions()->PQpipelineStatus
#define PQpipelineSync            postgres_functions()->PQpipelineSync
#define PQport                    postgres_functions()->PQport
#define PQresultErrorField        postgres_functions()->PQresultErrorField
#define PQresultStatus            postgres_functions()->PQresultStatus
#define PQsendPrepare             postgres_functions()->PQsendPrepare
#define PQsendQuery               postgres_functions()->PQsendQuery
#define PQsendQueryParams         postgres_functions()->PQsendQueryParams
#define PQsendQueryPrepared       postgres_functions()->PQsendQueryPrepared
#define PQsetErrorVerbosity       postgres_functions()->PQsetErrorVerbosity
#define PQsetNoticeProcessor      postgres_functions()->PQsetNoticeProcessor
#define PQsetSingleRowMode        postgres_functions()->PQsetSingleRowMode
#define PQsetnonblocking          postgres_functions()->PQsetnonblocking
#define PQsocket                  postgres_functions()->PQsocket
#define PQstatus                  postgres_functions()->PQstatus
#define PQtransactionStatus       postgres_functions()->PQtransactionStatus
#endif

#endif
