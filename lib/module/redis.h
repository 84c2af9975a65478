/* SPDX-License-Identifier: MIT */
/* The protocol of Redis: commands are written and answers read by it, but not sent and received: it
 * would raise SIGPIPE in the program. */
#ifndef NOVA_LIB_MODULE_REDIS_H
#define NOVA_LIB_MODULE_REDIS_H

#include <hiredis/hiredis.h>

#include "module/module.h"

#define REDIS_FUNCTIONS(F)                                                                         \
	F(freeReplyObject)                                                                         \
	F(redisFormatSdsCommandArgv)                                                               \
	F(redisFreeSdsCommand)                                                                     \
	F(redisReaderCreate)                                                                       \
	F(redisReaderFeed)                                                                         \
	F(redisReaderFree)                                                                         \
	F(redisReaderGetReply)

MODULE_DOOR(redis, MODULE_REDIS, REDIS_FUNCTIONS)

#ifndef IN_MODULE
#define freeReplyObject           redis_functions()->freeReplyObject
#define redisFormatSdsCommandArgv redis_functions()->redisFormatSdsCommandArgv
#define redisFreeSdsCommand       redis_functions()->redisFreeSdsCommand
#define redisReaderCreate         redis_functions()->redisReaderCreate
#define redisReaderFeed           redis_functions()->redisReaderFeed
#define redisReaderFree           redis_functions()->redisReaderFree
#define redisReaderGetReply       redis_functions()->redisReaderGetReply
#endif

#endif
