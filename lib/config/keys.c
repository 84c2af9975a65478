/* SPDX-License-Identifier: MIT */
/* The one table of settings, and the check of a value against it. */
#include <ctype.h>
#include <inttypes.h>

#include "config/keys.h"

#define HOUR_MS    3600000u
#define TEXT_LIMIT 4096u

/* clang-format off */
const struct config_key config_keys[KEY_COUNT + 1] = {
	{ "home", { "NOVA_HOME" }, KEY_PATH, "", 1, 0, { 0 },
		"State directory: function store, code disks, run files. Default: "
		"$XDG_DATA_HOME/nova, else ~/.local/share/nova" },
	{ "images", { "NOVA_IMAGES" }, KEY_PATH, "", 0, 0, { 0 },
		"Directory with kernel and root filesystems; empty: the user's cache, then "
		"/opt/nova" },
	{ "store", { "NOVA_STORE" }, KEY_ENUM, "auto", 0, 0, { "auto", "sqlite", "postgres" },
		"Where functions are kept: sqlite (a file in the state directory) or postgres (a "
		"database that several hosts may share); auto: postgres if postgres.dsn is set "
		"(other than by DATABASE_URL), else sqlite" },
	{ "engine", { "NOVA_ENGINE" }, KEY_ENUM, "auto", 0, 0,
		{ "auto", "firecracker", "qemu", "fake" },
		"Virtual machine monitor: auto, firecracker, qemu, or fake (for tests: isolates "
		"nothing)" },
	{ "log.level", { "NOVA_LOG" }, KEY_FILTER, "warn", 1, 0, { 0 },
		"Least important log messages that are passed on: none, error, warn, info or "
		"debug; also by module, as in warn,pool=debug" },
	{ "log.calls", { "NOVA_LOG_CALLS" }, KEY_ENUM, "on", 0, 0, { "on", "off" },
		"Whether each call of a function leaves a record in the log of calls" },
	{ "log.output_limit", { "NOVA_LOG_OUTPUT_LIMIT" }, KEY_INTEGER, "16384", 0, 1u << 20,
		{ 0 },
		"Bytes of stdout, and as many of stderr, that such a record keeps: the last ones" },
	{ "log.retention_age", { "NOVA_LOG_RETENTION_AGE" }, KEY_DURATION, "168h", 1000,
		87600ull * HOUR_MS, { "off" },
		"How long records are kept; off: until there are too many" },
	{ "log.retention_size", { "NOVA_LOG_RETENTION_SIZE" }, KEY_MEMORY, "256", 1, 1u << 30,
		{ 0 },
		"How much of records is kept: the oldest make room for new ones" },
	{ "usage.record", { "NOVA_USAGE_RECORD" }, KEY_ENUM, "off", 0, 0, { "off", "on" },
		"Whether what calls, instances and snapshots use is recorded, for bills" },
	{ "usage.rates", { "NOVA_USAGE_RATES" }, KEY_PATH, "", 0, 0, { 0 },
		"File with prices, as the shipped rates.json; empty: those" },
	{ "usage.plan", { "NOVA_USAGE_PLAN" }, KEY_STRING, "", 0, 31, { 0 },
		"Plan of that file by which MCUs are billed, such as developer; empty: none" },
	{ "usage.limit", { "NOVA_USAGE_LIMIT" }, KEY_ENUM, "off", 0, 0, { "off", "on" },
		"Whether calls and instances are refused once the MCUs of the plan are used up in "
		"a month, or their key holds as many processors or as much memory as the plan has; "
		"off: what is over costs more" },
	{ "usage.retention", { "NOVA_USAGE_RETENTION" }, KEY_DURATION, "10000h", 1000,
		876000ull * HOUR_MS, { "off" },
		"How long usage is kept; off: for ever" },
	{ "kv.max_value", { "NOVA_KV_MAX_VALUE" }, KEY_INTEGER, "65536", 0, 1u << 20, { 0 },
		"Bytes of a value that a function keeps under a key" },
	{ "kv.max_keys", { "NOVA_KV_MAX_KEYS" }, KEY_INTEGER, "10000", 1, 1000000, { 0 },
		"How many keys a function may have" },
	{ "kv.max_file", { "NOVA_KV_MAX_FILE" }, KEY_INTEGER, "4194304", 0, 4u << 20, { 0 },
		"Bytes of a file that a function keeps" },
	{ "kv.max_files", { "NOVA_KV_MAX_FILES" }, KEY_INTEGER, "1000", 1, 100000, { 0 },
		"How many files a function may have" },
	{ "kv.max_total", { "NOVA_KV_MAX_TOTAL" }, KEY_MEMORY, "256", 1, 1u << 20, { 0 },
		"What the values and files of a function may have together" },
	{ "kv.rate", { "NOVA_KV_RATE" }, KEY_INTEGER, "1000", 0, 1000000, { 0 },
		"How often a second all VMs of a function together may ask for what it keeps, each "
		"16 KiB of a question or an answer counted as one; 0: no limit" },
	{ "pool.idle_ttl", { "NOVA_POOL_IDLE_TTL" }, KEY_DURATION, "60s", 1, 24u * HOUR_MS, { 0 },
		"How long a VM waits for the next call of its function" },
	{ "pool.max_vms", { "NOVA_POOL_MAX_VMS" }, KEY_INTEGER, "auto", 1, 100000, { "auto" },
		"VMs alive at once; auto: as many as memory, processes, descriptors and "
		"processors are there for (novactl doctor tells)" },
	{ "pool.min_free", { "NOVA_POOL_MIN_FREE" }, KEY_INTEGER, "5", 0, 90, { 0 },
		"Per cent of the host's memory that new VMs leave free: calls wait until there "
		"is more; 0: VMs start whatever is free" },
	{ "pool.max_pressure", { "NOVA_POOL_MAX_PRESSURE" }, KEY_INTEGER, "20", 1, 100, { 0 },
		"Per cent of the time that programs of the host may wait for memory before no "
		"VM is started beside others (/proc/pressure/memory); 100: not looked at" },
	{ "pool.queue_timeout", { "NOVA_POOL_QUEUE_TIMEOUT" }, KEY_DURATION, "60s", 1,
		24u * HOUR_MS, { 0 },
		"How long a call waits for a free VM" },
	{ "pool.max_memory", { "NOVA_POOL_MAX_MEMORY" }, KEY_MEMORY, "0", 0, 1u << 30, { 0 },
		"Guest memory of all VMs together; 0: no limit" },
	{ "pool.max_queue", { "NOVA_POOL_MAX_QUEUE" }, KEY_INTEGER, "1000", 1, 1000000, { 0 },
		"Calls that may wait for a VM at once" },
	{ "pool.pause_after", { "NOVA_POOL_PAUSE_AFTER" }, KEY_DURATION, "500ms", 1,
		24u * HOUR_MS, { "off" },
		"After what time a VM that waits is paused until its next call, so that it "
		"costs no processor time; off: never" },
	{ "pool.thread", { "NOVA_POOL_THREAD" }, KEY_ENUM, "off", 0, 0, { "off", "on" },
		"Whether a pool does what is due by time in a thread of its own; off: when the "
		"program calls nova_pool_tick()" },
	{ "pool.templates", { "NOVA_POOL_TEMPLATES" }, KEY_ENUM, "on", 0, 0, { "on", "off" },
		"Whether functions start from a snapshot that is made at their first call" },
	{ "pool.templates_disk", { "NOVA_POOL_TEMPLATES_DISK" }, KEY_MEMORY, "auto", 1, 1u << 30,
		{ "auto" },
		"What these may take of the disk: those used least lately make room for new "
		"ones; auto: 10 GiB or a tenth of the disk, whichever is less" },
	{ "pool.standby", { "NOVA_POOL_STANDBY" }, KEY_INTEGER, "auto", 0, 1000, { "auto" },
		"VMM processes that nova_pool_tick() keeps waiting for the next cold call of "
		"each function in use: forks of its zygote, where there is one; auto: one of these "
		"for each processor, 4 at most, and no other ones" },
	{ "pool.max_standby", { "NOVA_POOL_MAX_STANDBY" }, KEY_INTEGER, "64", 0, 100000, { 0 },
		"VMM processes that wait for a clone to come, for all functions and VMs together" },
	{ "pool.hot", { "NOVA_POOL_HOT" }, KEY_ENUM, "auto", 0, 0, { "off", "auto" },
		"Whether a microVM is forked as the process that it is; auto: where it is emulated "
		"and that is possible (docs/hot.md)" },
	{ "pool.zygotes", { "NOVA_POOL_ZYGOTES" }, KEY_INTEGER, "auto", 0, 100000, { "auto" },
		"With pool.hot, VMs that stand still at most, each to be forked for the starts of "
		"one function or runtime; auto: a quarter of pool.max_vms, but no more than 64" },
	{ "pool.hot_patience", { "NOVA_POOL_HOT_PATIENCE" }, KEY_DURATION, "250ms", 1, 5000, { 0 },
		"How long such a fork may take; the usual way is gone then" },
	{ "snapshot.compress", { "NOVA_SNAPSHOT_COMPRESS" }, KEY_ENUM, "off", 0, 0, { "off", "on" },
		"Whether snapshots are compressed (zstd): smaller, but slower to take and to "
		"restore; templates never are" },
	{ "qemu.binary", { "NOVA_QEMU" }, KEY_PATH, "", 0, 0, { 0 },
		"Program of the qemu engine; empty: qemu-system-x86_64 is searched in PATH" },
	{ "qemu.accel", { "NOVA_QEMU_ACCEL" }, KEY_ENUM, "auto", 0, 0, { "auto", "kvm", "tcg" },
		"What executes guest code: kvm, tcg (emulation), or auto (kvm where it is fit "
		"and QEMU comes up with it)" },
	{ "qemu.merge_memory", { "NOVA_QEMU_MERGE_MEMORY" }, KEY_ENUM, "off", 0, 0, { "off", "on" },
		"Whether the kernel may merge equal pages of VMs (KSM): saves memory, but lets "
		"tenants find out what others have in theirs" },
	{ "qemu.boot_timeout", { "NOVA_QEMU_BOOT_TIMEOUT" }, KEY_DURATION, "60s", 1, HOUR_MS, { 0 },
		"How long a guest of the qemu engine may take until its agent answers" },
	{ "firecracker.binary",
		{ "NOVA_FIRECRACKER", "NOVA_FIRECRACKER_BINARY", "FC_BINARY_PATH" }, KEY_PATH,
		"/usr/local/bin/firecracker", 0, 0, { 0 },
		"Program of the firecracker engine; if the default is not there: firecracker in "
		"PATH, then /opt/nova/bin" },
	{ "firecracker.kernel", { "NOVA_FIRECRACKER_KERNEL", "FC_KERNEL_PATH" }, KEY_PATH,
		"/opt/nova/kernel/vmlinux", 0, 0, { 0 },
		"Guest kernel (vmlinux) of the firecracker engine, if set; else that of the "
		"images" },
	{ "firecracker.rootfs_dir", { "NOVA_FIRECRACKER_ROOTFS_DIR" }, KEY_PATH,
		"/opt/nova/rootfs", 0, 0, { 0 },
		"Directory with root filesystems (python.ext4 …) of the firecracker engine, if "
		"set; else those of the images" },
	{ "firecracker.rootfs", { "NOVA_FIRECRACKER_ROOTFS", "FC_ROOTFS_PATH" }, KEY_PATH, "", 0,
		0, { 0 },
		"One root filesystem for every runtime instead of those in "
		"firecracker.rootfs_dir" },
	{ "firecracker.socket_dir", { "NOVA_FIRECRACKER_SOCKET_DIR" }, KEY_PATH,
		"/tmp/nova/sockets", 0, 0, { 0 },
		"Directory for links to the API sockets, <id>.sock; off: none. The default is "
		"left alone if another user has it" },
	{ "firecracker.vsock_dir", { "NOVA_FIRECRACKER_VSOCK_DIR" }, KEY_PATH, "/tmp/nova/vsock",
		0, 0, { 0 },
		"Directory for links to the vsock sockets, <id>.sock; off: none. The same" },
	{ "firecracker.log_dir", { "NOVA_FIRECRACKER_LOG_DIR" }, KEY_PATH, "/tmp/nova/logs", 0, 0,
		{ 0 },
		"Directory for links to log and metrics of each firecracker process, <id>.log "
		"and <id>.metrics, which end with it; off: none. The default is left alone if "
		"another user has it" },
	{ "firecracker.boot_timeout", { "NOVA_FIRECRACKER_BOOT_TIMEOUT" }, KEY_DURATION, "10s", 1,
		HOUR_MS, { 0 },
		"How long a guest of the firecracker engine may take until its agent answers" },
	{ "firecracker.jailer", { "NOVA_FIRECRACKER_JAILER" }, KEY_PATH, "", 0, 0, { 0 },
		"The jailer, used by root only; empty: beside the firecracker program, in PATH "
		"and /opt/nova/bin; off: do without" },
	{ "firecracker.console", { "NOVA_FIRECRACKER_CONSOLE" }, KEY_ENUM, "off", 0, 0,
		{ "off", "on" },
		"Whether guests of the firecracker engine have a serial console: on helps to "
		"find out why one dies, and costs time" },
	{ "firecracker.io_engine", { "NOVA_FIRECRACKER_IO_ENGINE" }, KEY_ENUM, "Sync", 0, 0,
		{ "Sync", "Async" },
		"How firecracker reads disks: Sync, or Async (io_uring; Linux 5.10.51), which "
		"does not hold a guest's processor up" },
	{ "firecracker.bridge_name", { "NOVA_FIRECRACKER_BRIDGE_NAME" }, KEY_STRING, "novabr0", 1,
		15, { 0 },
		"Network bridge that guests are attached to" },
	{ "firecracker.subnet", { "NOVA_FIRECRACKER_SUBNET" }, KEY_STRING, "172.30.0.0/24", 1, 0,
		{ 0 },
		"Addresses of the guests on that bridge" },
	{ "postgres.dsn", { "NOVA_PG_DSN", "NOVA_POSTGRES_DSN", "DATABASE_URL" }, KEY_STRING,
		"postgres://nova:nova@localhost:5432/nova?sslmode=disable", 0, 0, { 0 },
		"Database of the postgres store, as libpq understands it" },
	{ "postgres.connections", { "NOVA_PG_CONNECTIONS" }, KEY_INTEGER, "4", 1, 1000, { 0 },
		"Connections to it that a context may have at once, as many for what functions "
		"keep, and one more for being told of changes" },
	{ "postgres.timeout", { "NOVA_PG_TIMEOUT" }, KEY_DURATION, "10s", 1, HOUR_MS, { 0 },
		"How long connecting, one statement, and waiting for a connection may take" },
	{ "postgres.ttl", { "NOVA_PG_TTL" }, KEY_DURATION, "60s", 1, 24u * HOUR_MS, { 0 },
		"How often changes are asked for although the server tells of them, and how long "
		"what was read is good while it cannot be reached" },
	{ "postgres.cache", { "NOVA_PG_CACHE" }, KEY_MEMORY, "10240", 0, 1u << 30, { 0 },
		"What files of functions may take of the disk of this host, as all are in the "
		"database; 0: no limit" },
	{ "secret.key_file", { "NOVA_SECRET_KEY_FILE" }, KEY_PATH, "", 0, 0, { 0 },
		"File with the keys that secrets of functions are encrypted with in the store: 64 "
		"hexadecimal digits each, the one in use first. NOVA_SECRET_KEY may hold them "
		"instead" },
	{ "redis.addr", { "NOVA_REDIS_ADDR" }, KEY_STRING, "localhost:6379", 0, 0, { 0 },
		"Redis server that hosts share limits, jobs and a copy of the log in: host:port, "
		"or the path of a socket; used if this, the password or the database is set" },
	{ "redis.password", { "NOVA_REDIS_PASSWORD" }, KEY_STRING, "", 0, 0, { 0 },
		"Password of the Redis server" },
	{ "redis.db", { "NOVA_REDIS_DB" }, KEY_INTEGER, "0", 0, 1000000, { 0 },
		"Number of the Redis database" },
	{ "redis.timeout", { "NOVA_REDIS_TIMEOUT" }, KEY_DURATION, "250ms", 1, 60000, { 0 },
		"How long connecting and one answer may take; then the host goes on by itself "
		"for a while" },
	{ NULL },
};
/* clang-format on */

int key_find(const char *key)
{
	for (int i = 0; config_keys[i].key; i++)
		if (!strcmp(config_keys[i].key, key))
			return i;
	return -1;
}

void key_systematic_variable(const char *key, char out[KEY_VARIABLE_MAX])
{
	int at = snprintf(out, KEY_VARIABLE_MAX, "NOVA_");
	for (; *key && at < KEY_VARIABLE_MAX - 1; key++)
		out[at++] = *key == '.' ? '_' : (char)toupper((unsigned char)*key);
	out[at] = 0;
}

const char *key_next_variable(
	const struct config_key *key, unsigned *turn, char space[KEY_VARIABLE_MAX])
{
	if (*turn < ARRAY_LEN(key->variables) && key->variables[*turn])
		return key->variables[(*turn)++];
	if (*turn > ARRAY_LEN(key->variables))
		return NULL;
	*turn = ARRAY_LEN(key->variables) + 1;
	key_systematic_variable(key->key, space);
	for (unsigned i = 0; i < ARRAY_LEN(key->variables) && key->variables[i]; i++)
		if (!strcmp(key->variables[i], space))
			return NULL;
	return space;
}

bool parse_u64(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(number, 10u, &number) ||
			__builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return false;
	}
	*ret_number = number;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* The whole number that a text begins with; false: there is none, or it is too large. */
static bool take_number(const char **text, uint64_t *ret)
{
	size_t digits = strspn(*text, "0123456789");
	char number[24];
	if (digits >= sizeof(number))
		return false;
	memcpy(number, *text, digits);
	number[digits] = 0;
	*text += digits;
	return parse_u64(number, ret);
}

static uint64_t unit_factor(const char *name, const struct unit *units, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(name, units[i].name))
			return units[i].factor;
	return 0;
}

bool parse_duration_ms(const char *text, uint64_t *ret_ms)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "h", HOUR_MS }, { "", 1000 } };
	uint64_t count;
	if (!take_number(&text, &count))
		return false;
	uint64_t factor = unit_factor(text, units, ARRAY_LEN(units));
	return factor && !__builtin_mul_overflow(count, factor, ret_ms);
}

/* "512", "512M", "0.5G": what comes out has to be whole. */
bool parse_memory_mb(const char *text, uint64_t *ret_mb)
{
	static const struct unit units[] = { { "", 1 }, { "M", 1 }, { "MB", 1 }, { "MiB", 1 },
		{ "G", 1024 }, { "GB", 1024 }, { "GiB", 1024 } };
	uint64_t count, thousandths = 0;
	if (!take_number(&text, &count))
		return false;
	if (*text == '.') {
		uint64_t weight = 100;
		for (text++; *text >= '0' && *text <= '9'; text++, weight /= 10) {
			if (!weight)
				return false;
			thousandths += (uint64_t)(*text - '0') * weight;
		}
		if (weight == 100)
			return false;
	}
	uint64_t factor = unit_factor(text, units, ARRAY_LEN(units)), part = thousandths * factor;
	return factor && part % 1000 == 0 && !__builtin_mul_overflow(count, factor, ret_mb) &&
	       !__builtin_add_overflow(*ret_mb, part / 1000, ret_mb);
}

static int accept_choice(
	const struct config_key *key, const char *where, const char *text, nova_error_t **error)
{
	AUTO_BUF struct buf list = BUF_INIT(256);
	for (size_t i = 0; key->choices[i]; i++) {
		if (!strcmp(key->choices[i], text))
			return 0;
		if ((i && buf_append_str(&list, ", ") < 0) ||
			buf_append_str(&list, key->choices[i]) < 0)
			return nova_oom(error);
	}
	return nova_fail(error, NOVA_ECONFIG,
		"%s: '%.64s' is not possible for '%s'; it takes one of %.*s", where, text, key->key,
		(int)list.len, (const char *)list.data);
}

static int accept_text(
	const struct config_key *key, const char *where, const char *text, nova_error_t **error)
{
	size_t len = strlen(text), max = key->max ? key->max : TEXT_LIMIT;
	if (len < key->min)
		return nova_fail(
			error, NOVA_ECONFIG, "%s: '%s' must not be empty", where, key->key);
	if (len > max)
		return nova_fail(error, NOVA_ECONFIG, "%s: '%s' is longer than %zu bytes", where,
			key->key, max);
	if (text_has_control(text))
		return nova_fail(error, NOVA_ECONFIG, "%s: '%s' contains a control character",
			where, key->key);
	return 0;
}

static int accept_filter(
	const struct config_key *key, const char *where, const char *text, nova_error_t **error)
{
	int r = accept_text(key, where, text, error);
	if (r < 0 || log_filter_level(text, NULL, NOVA_LOG_WARN) >= 0)
		return r;
	return nova_fail(error, NOVA_ECONFIG,
		"%s: '%.64s' is no filter of the log for '%s'; it takes none, error, warn, info or "
		"debug, also for a module, as in warn,pool=debug",
		where, text, key->key);
}

static int accept_number(const struct config_key *key, const char *where, const char *text,
	uint64_t *ret, nova_error_t **error)
{
	*ret = 0;
	if (key->choices[0] && !strcmp(text, key->choices[0]))
		return 0;
	if (key->kind == KEY_DURATION) {
		if (!parse_duration_ms(text, ret))
			return nova_fail(error, NOVA_ECONFIG,
				"%s: '%.64s' is no duration for '%s'; write a whole number and a "
				"unit, as in 500ms, 60s, 2m or 1h",
				where, text, key->key);
	} else if (key->kind == KEY_MEMORY) {
		if (!parse_memory_mb(text, ret))
			return nova_fail(error, NOVA_ECONFIG,
				"%s: '%.64s' is no amount of memory for '%s'; write MB, or a "
				"number and a unit, as in 512M or 0.5G",
				where, text, key->key);
	} else if (!parse_u64(text, ret)) {
		return nova_fail(error, NOVA_ECONFIG, "%s: '%.64s' is no whole number for '%s'",
			where, text, key->key);
	}
	if (*ret < key->min || *ret > key->max)
		return nova_fail(error, NOVA_ECONFIG,
			"%s: '%.64s' is out of range for '%s', which takes %" PRIu64 " to %" PRIu64
			"%s%s%s",
			where, text, key->key, key->min, key->max,
			key->kind == KEY_DURATION ? " ms" :
			key->kind == KEY_MEMORY   ? " MB" :
						    "",
			key->choices[0] ? ", or " : "", key->choices[0] ? key->choices[0] : "");
	return 0;
}

int key_read(const struct config_key *key, const char *where, const char *text, bool environment,
	char **ret_text, uint64_t *ret_number, nova_error_t **error)
{
	uint64_t number = 0;
	int r;
	if (key->kind == KEY_ENUM)
		r = accept_choice(key, where, text, error);
	else if (key->kind == KEY_STRING || key->kind == KEY_PATH)
		r = accept_text(key, where, text, error);
	else if (key->kind == KEY_FILTER)
		r = accept_filter(key, where, text, error);
	else
		r = accept_number(key, where, text, &number, error);
	if (r < 0)
		return r;
	char *kept = key->kind == KEY_PATH ? NULL : strdup(text);
	if (key->kind == KEY_PATH && (r = path_expand_user(text, environment, &kept)) < 0)
		return nova_fail_os(error, r, "%s: '%.64s' for '%s'", where, text, key->key);
	if (!kept)
		return nova_oom(error);
	*ret_text = kept;
	*ret_number = number;
	return 0;
}

const char *const *nova_config_keys(void)
{
	/* In step with the table by a test; a list of its own because the caller walks an array of
	 * names. */
	static const char *const names[KEY_COUNT + 1] = { "home", "images", "store", "engine",
		"log.level", "log.calls", "log.output_limit", "log.retention_age",
		"log.retention_size", "usage.record", "usage.rates", "usage.plan", "usage.limit",
		"usage.retention", "kv.max_value", "kv.max_keys", "kv.max_file", "kv.max_files",
		"kv.max_total", "kv.rate", "pool.idle_ttl", "pool.max_vms", "pool.min_free",
		"pool.max_pressure", "pool.queue_timeout", "pool.max_memory", "pool.max_queue",
		"pool.pause_after", "pool.thread", "pool.templates", "pool.templates_disk",
		"pool.standby", "pool.max_standby", "pool.hot", "pool.zygotes", "pool.hot_patience",
		"snapshot.compress", "qemu.binary", "qemu.accel", "qemu.merge_memory",
		"qemu.boot_timeout", "firecracker.binary", "firecracker.kernel",
		"firecracker.rootfs_dir", "firecracker.rootfs", "firecracker.socket_dir",
		"firecracker.vsock_dir", "firecracker.log_dir", "firecracker.boot_timeout",
		"firecracker.jailer", "firecracker.console", "firecracker.io_engine",
		"firecracker.bridge_name", "firecracker.subnet", "postgres.dsn",
		"postgres.connections", "postgres.timeout", "postgres.ttl", "postgres.cache",
		"secret.key_file", "redis.addr", "redis.password", "redis.db", "redis.timeout",
		NULL };
	return names;
}
