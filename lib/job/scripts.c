/* SPDX-License-Identifier: MIT */
/* What the server does as one step. */
#include "job/internal.h"

#define NOW "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] "

/* KEYS: the stream, the hash, what stands for the idempotency key. ARGV: the most that may wait,
 * id, function, payload, key, attempts, lease, keep. The id that there is of that key, or its own;
 * or an error in a word. */
const char script_submit[] = NOW
	"if ARGV[5] ~= '' then "
	"local was = redis.call('GET', KEYS[3]) "
	"local j = was and redis.call('HMGET', 'nova:job:' .. was, 'function', 'payload') "
	"if j and j[2] then return j[1] == ARGV[3] and j[2] == ARGV[4] and was or 'other' end "
	"end "
	"if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 'full' end "
	"redis.call('HSET', KEYS[2], 'id', ARGV[2], 'function', ARGV[3], 'payload', ARGV[4], "
	"'key', ARGV[5], 'most', ARGV[6], 'lease_ms', ARGV[7], 'keep_s', ARGV[8], 'attempts', 0, "
	"'state', 'waiting', 'submitted_us', string.format('%.0f', now)) "
	"redis.call('XADD', KEYS[1], '*', 'id', ARGV[2]) "
	"if ARGV[5] ~= '' then redis.call('SET', KEYS[3], ARGV[2]) end "
	"return ARGV[2]";

/* What has ended is kept for a while, and so is its key; of the dead there is a list. */
#define END                                                                                        \
	"local function ended(key, id, state) "                                                    \
	"local j = redis.call('HMGET', key, 'keep_s', 'key', 'function') "                         \
	"redis.call('HSET', key, 'state', state, 'ended_us', string.format('%.0f', now)) "         \
	"redis.call('EXPIRE', key, j[1]) "                                                         \
	"if j[2] ~= '' then "                                                                      \
	"redis.call('EXPIRE', 'nova:jobs:key:' .. j[3] .. ':' .. j[2], j[1]) "                     \
	"end "                                                                                     \
	"if state == 'dead' then "                                                                 \
	"redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'id', id) "                        \
	"end end "                                                                                 \
	"local function leave(entry) "                                                             \
	"redis.call('XACK', KEYS[1], 'nova', entry) redis.call('XDEL', KEYS[1], entry) end "

/*
 * KEYS: the stream, that of the dead. ARGV: who asks; an entry that it has been given, and the id
 * in that, or "". The entry and the hash, or nothing.
 *
 * First what somebody has had for longer than its lease, then the next that nobody has. One whose
 * attempts are used up has killed those who tried.
 */
const char script_take[] = NOW END
	"local function begin(entry, id) "
	"local key = 'nova:job:' .. id "
	"local j = redis.call('HMGET', key, 'attempts', 'most') "
	"local tried, most = tonumber(j[1]), tonumber(j[2]) "
	"if not tried or not most then leave(entry) return nil end "
	"if tried >= most then "
	"leave(entry) "
	"redis.call('HSET', key, 'error', 'nobody who took it has come to its end in time') "
	"ended(key, id, 'dead') "
	"return nil "
	"end "
	"redis.call('HSET', key, 'attempts', tried + 1, 'state', 'running') "
	"return { entry, redis.call('HGETALL', key) } "
	"end "
	"redis.pcall('XGROUP', 'CREATE', KEYS[1], 'nova', '0', 'MKSTREAM') "
	"if ARGV[2] ~= '' then return begin(ARGV[2], ARGV[3]) or false end "
	"local had = redis.call('XPENDING', KEYS[1], 'nova', 'IDLE', 1000, '-', '+', 1000) "
	"for _, p in ipairs(had) do "
	"local e = redis.call('XRANGE', KEYS[1], p[1], p[1])[1] "
	"local id = e and e[2][2] "
	"local lease = id and tonumber(redis.call('HGET', 'nova:job:' .. id, 'lease_ms') or 0) "
	"if not id then "
	"redis.call('XACK', KEYS[1], 'nova', p[1]) "
	"elseif p[3] >= lease then "
	"redis.call('XCLAIM', KEYS[1], 'nova', ARGV[1], 0, p[1], 'JUSTID') "
	"local job = begin(p[1], id) "
	"if job then return job end "
	"end end "
	"for _ = 1, 1000 do "
	"local r = redis.call('XREADGROUP', 'GROUP', 'nova', ARGV[1], 'COUNT', 1, 'STREAMS', "
	"KEYS[1], '>') "
	"if not r then return false end "
	"local e = r[1][2][1] "
	"local job = begin(e[1], e[2][2]) "
	"if job then return job end "
	"end "
	"return false";

/* KEYS: the stream, that of the dead, the hash. ARGV: entry, id, which attempt this was, what
 * becomes of it, output, error. Its state; '': somebody else has it. */
const char script_finish[] = NOW END
	"local j = redis.call('HMGET', KEYS[3], 'attempts', 'most', 'state') "
	"if j[1] ~= ARGV[3] or j[3] ~= 'running' then return '' end "
	"leave(ARGV[1]) "
	"redis.call('HSET', KEYS[3], 'output', ARGV[5], 'error', ARGV[6]) "
	"local becomes = ARGV[4] "
	"if becomes == 'back' then redis.call('HINCRBY', KEYS[3], 'attempts', -1) end "
	"if becomes == 'again' and tonumber(j[1]) >= tonumber(j[2]) then becomes = 'dead' end "
	"if becomes == 'done' or becomes == 'dead' then "
	"ended(KEYS[3], ARGV[2], becomes) "
	"return becomes "
	"end "
	"redis.call('HSET', KEYS[3], 'state', 'waiting') "
	"redis.call('XADD', KEYS[1], '*', 'id', ARGV[2]) "
	"return 'waiting'";
