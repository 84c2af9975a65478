/* SPDX-License-Identifier: MIT */
/* What the server does as one step. */
#include "job/internal.h"

#define NOW "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] "

/* A job is listed from when it is handed in until it is forgotten, which nobody is told of: its
 * hash expires. So whoever hands in or takes one looks which are over, a few at a time. */
#define LISTING                                                                                    \
	"local function list(key, id, owner) "                                                     \
	"local number = redis.call('INCR', '" JOB_NUMBER "') "                                     \
	"redis.call('HSET', key, 'number', number) "                                               \
	"redis.call('ZADD', '" JOB_ALL "', number, id) "                                           \
	"redis.call('ZADD', '" JOB_OF "' .. owner, number, id) "                                   \
	"end "                                                                                     \
	"local function forget() "                                                                 \
	"local over = redis.call('ZRANGEBYSCORE', '" JOB_ENDED "', '-inf', "                       \
	"string.format('%.0f', now), 'LIMIT', 0, 100) "                                            \
	"for _, entry in ipairs(over) do "                                                         \
	"redis.call('ZREM', '" JOB_ALL "', entry:sub(1, 36)) "                                     \
	"redis.call('ZREM', '" JOB_OF "' .. entry:sub(37), entry:sub(1, 36)) "                     \
	"redis.call('ZREM', '" JOB_ENDED "', entry) "                                              \
	"end end "

/* What there is between the function and the key says where the one ends. KEYS: the stream, what
 * is to be looked at, the hash, what stands for the idempotency key. ARGV: the most that may wait
 * or be under way, id, function, payload, key, attempts, lease, keep, whose usage it is, context,
 * owner, label that the function must have.
 * The id that there is of that key, or its own; or an error in a word. */
const char script_submit[] = NOW LISTING
	"forget() "
	"if ARGV[5] ~= '' then "
	"local was = redis.call('GET', KEYS[4]) "
	"local j = was and redis.call('HMGET', 'nova:job:' .. was, 'function', 'payload') "
	"if j and j[2] then return j[1] == ARGV[3] and j[2] == ARGV[4] and was or 'other' end "
	"end "
	"if redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then "
	"return 'full' end "
	"redis.call('HSET', KEYS[3], 'id', ARGV[2], 'function', ARGV[3], 'payload', ARGV[4], "
	"'key', ARGV[5], 'most', ARGV[6], 'lease_ms', ARGV[7], 'keep_s', ARGV[8], 'attempts', 0, "
	"'usage_key', ARGV[9], 'context', ARGV[10], 'owner', ARGV[11], 'if_label', ARGV[12], "
	"'state', 'waiting', 'submitted_us', string.format('%.0f', now)) "
	"list(KEYS[3], ARGV[2], ARGV[11]) "
	"redis.call('XADD', KEYS[1], '*', 'id', ARGV[2]) "
	"if ARGV[5] ~= '' then redis.call('SET', KEYS[4], ARGV[2]) end "
	"return ARGV[2]";

/* What has ended is kept for a while, and so is its key; of the dead there is a list. */
#define END                                                                                        \
	"local function ended(key, id, state) "                                                    \
	"local j = redis.call('HMGET', key, 'keep_s', 'key', 'function', 'owner') "                \
	"redis.call('HSET', key, 'state', state, 'ended_us', string.format('%.0f', now)) "         \
	"redis.call('EXPIRE', key, j[1]) "                                                         \
	"redis.call('ZADD', '" JOB_ENDED "', string.format('%.0f', now + j[1] * 1000000), "        \
	"id .. (j[4] or '')) "                                                                     \
	"if j[2] ~= '' then "                                                                      \
	"local owner = j[4] or '' "                                                                \
	"local of = owner ~= '' and 'nova:jobs:owned:' .. #owner .. ':' .. owner .. ':' "          \
	"or 'nova:jobs:key:' "                                                                     \
	"redis.call('EXPIRE', of .. #j[3] .. ':' .. j[3] .. ':' .. j[2], j[1]) "                   \
	"end "                                                                                     \
	"if state == 'dead' then "                                                                 \
	"redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'id', id) "                        \
	"end end "

/*
 * KEYS: the stream, what is to be looked at, the stream of the dead, what stands for this taking.
 * ARGV: who asks; an entry that it has been given, and the id in that, or ""; the token of this
 * taking. The hash, or nothing.
 *
 * First what it was given without having heard of it. Then what is due: whoever had that for
 * longer than its lease has died, or its pause is over. Then what others were given and have not
 * begun, and the next that nobody has. One whose attempts are used up has killed those who tried.
 * What an earlier library was given is not listed yet.
 */
const char script_take[] = NOW LISTING END
	"local function begin(id) "
	"local key = 'nova:job:' .. id "
	"local j = redis.call('HMGET', key, 'attempts', 'most', 'lease_ms', 'state', 'number', "
	"'owner') "
	"local tried, most, lease = tonumber(j[1]), tonumber(j[2]), tonumber(j[3]) "
	"redis.call('ZREM', KEYS[2], id) "
	"if not tried or not most or not lease or j[4] == 'done' or j[4] == 'dead' then "
	"return nil "
	"end "
	"if not j[5] then list(key, id, j[6] or '') end "
	"if tried >= most then "
	"redis.call('HSET', key, 'error', 'nobody who took it has come to its end in time') "
	"ended(key, id, 'dead') "
	"return nil "
	"end "
	"redis.call('HSET', key, 'attempts', tried + 1, 'state', 'running', 'token', ARGV[4]) "
	"redis.call('ZADD', KEYS[2], string.format('%.0f', now + lease * 1000), id) "
	"redis.call('SET', KEYS[4], id, 'EX', 60) "
	"return redis.call('HGETALL', key) "
	"end "
	"local function given(entry, id) "
	"local mine = redis.call('XACK', KEYS[1], 'nova', entry) == 1 "
	"redis.call('XDEL', KEYS[1], entry) "
	"return mine and id and begin(id) "
	"end "
	"forget() "
	"redis.pcall('XGROUP', 'CREATE', KEYS[1], 'nova', '0', 'MKSTREAM') "
	"local was = redis.call('GET', KEYS[4]) "
	"local j = was and redis.call('HMGET', 'nova:job:' .. was, 'token', 'state') "
	"if j and j[1] == ARGV[4] and j[2] == 'running' then "
	"return redis.call('HGETALL', 'nova:job:' .. was) "
	"end "
	"if ARGV[2] ~= '' then return given(ARGV[2], ARGV[3]) or false end "
	"for _ = 1, 1000 do "
	"local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), "
	"'LIMIT', 0, 1) "
	"if not due[1] then break end "
	"local job = begin(due[1]) "
	"if job then return job end "
	"end "
	"for _, p in ipairs(redis.call('XPENDING', KEYS[1], 'nova', 'IDLE', 1000, '-', '+', 10)) "
	"do "
	"local e = redis.call('XRANGE', KEYS[1], p[1], p[1])[1] "
	"local job = given(p[1], e and e[2][2]) "
	"if job then return job end "
	"end "
	"for _ = 1, 1000 do "
	"local r = redis.call('XREADGROUP', 'GROUP', 'nova', ARGV[1], 'COUNT', 1, 'STREAMS', "
	"KEYS[1], '>') "
	"if not r then return false end "
	"local e = r[1][2][1] "
	"local job = given(e[1], e[2][2]) "
	"if job then return job end "
	"end "
	"return false";

/* KEYS: the stream, what is to be looked at, the stream of the dead, the hash. ARGV: id, the token
 * of its taking, what becomes of it, output, error. Its state, which is the same for who asks
 * again; '': somebody else has it. */
const char script_finish[] = NOW END
	"local j = redis.call('HMGET', KEYS[4], 'attempts', 'most', 'state', 'token', 'pauses') "
	"local becomes = ARGV[3] "
	"if j[4] ~= ARGV[2] then return '' end "
	"if j[3] ~= 'running' then return j[3] end "
	"redis.call('ZREM', KEYS[2], ARGV[1]) "
	"redis.call('HSET', KEYS[4], 'output', ARGV[4], 'error', ARGV[5]) "
	"if becomes == 'back' or becomes == 'later' then "
	"redis.call('HINCRBY', KEYS[4], 'attempts', -1) "
	"elseif becomes ~= 'done' and tonumber(j[1]) >= tonumber(j[2]) then "
	"becomes = 'dead' "
	"end "
	"if becomes == 'done' or becomes == 'dead' then "
	"ended(KEYS[4], ARGV[1], becomes) "
	"return becomes "
	"end "
	"redis.call('HSET', KEYS[4], 'state', 'waiting') "
	"if becomes == 'later' or becomes == 'elsewhere' then "
	"local pauses = tonumber(j[5] or 0) or 0 "
	"local us = math.min(2 ^ pauses, 60) * 1000000 "
	"redis.call('HSET', KEYS[4], 'pauses', math.min(pauses + 1, 6)) "
	"redis.call('ZADD', KEYS[2], string.format('%.0f', now + us), ARGV[1]) "
	"else "
	"redis.call('XADD', KEYS[1], '*', 'id', ARGV[1]) "
	"end "
	"return 'waiting'";

/* KEYS: what is listed. ARGV: where the page begins, and for this part of it the most jobs, bytes
 * and jobs looked at; the function or ''; the states that are wanted, each behind a comma, or ''.
 * The number behind which there is more, or ''; and the fields of each, without what may be large.
 * What the server has thrown away by itself is listed no more, unless the server is a replica. */
const char script_list[] =
	"local names = { 'id', 'function', 'state', 'key', 'owner', 'usage_key', 'if_label', "
	"'attempts', 'most', 'lease_ms', 'keep_s', 'submitted_us', 'ended_us', 'error' } "
	"local page, bytes = { '' }, 0 "
	"local function add(key) "
	"local fields = {} "
	"for i, value in ipairs(redis.call('HMGET', key, unpack(names))) do "
	"if value then "
	"fields[#fields + 1] = names[i] "
	"fields[#fields + 1] = value "
	"bytes = bytes + #value "
	"end end "
	"page[#page + 1] = fields "
	"end "
	"local function is_wanted(of, state) "
	"local name = ARGV[5] "
	"return (name == '' or of == name or of:sub(1, #name + 1) == name .. ':') "
	"and (ARGV[6] == '' or (ARGV[6] .. ','):find(',' .. state .. ',', 1, true)) "
	"end "
	"local listed = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], '-inf', 'WITHSCORES', "
	"'LIMIT', 0, ARGV[4]) "
	"for i = 1, #listed, 2 do "
	"if #page > tonumber(ARGV[2]) or bytes >= tonumber(ARGV[3]) then return page end "
	"local key = 'nova:job:' .. listed[i] "
	"local j = redis.call('HMGET', key, 'function', 'state') "
	"if not j[1] then redis.pcall('ZREM', KEYS[1], listed[i]) "
	"elseif is_wanted(j[1], j[2] or '') then add(key) end "
	"page[1] = listed[i + 1] "
	"end "
	"if #listed < 2 * tonumber(ARGV[4]) then page[1] = '' end "
	"return page";
