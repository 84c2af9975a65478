/* SPDX-License-Identifier: MIT */
/*
 * The requests that make a machine. Firecracker refuses every field that it does not know, so each
 * is sent only to versions that do, and it refuses requests in another order.
 */
#include "engine/firecracker/firecracker.h"

/* a limiter is looked at every 100 ms, so nothing finer has an effect */
#define LEAST_REFILL_MS 100u
#define NETWORK         "eth0" /* the device's id; no '-' may be in it */
#define LEAST_SIZE      65536u /* under the size of one request a device can stall for ever */

void fc_plan_done(struct fc_plan *plan)
{
	while (plan->count) {
		struct fc_request *gone = &plan->list[--plan->count];
		free(gone->path);
		free(gone->body);
	}
}

/* `body` is stolen. */
static void add(struct fc_plan *plan, const char *method, const char *path, json_t *body)
{
	struct fc_request request = { method, strdup(path),
		body ? json_dumps(body, JSON_COMPACT) : NULL };
	json_decref(body);
	if (!request.path || !request.body || plan->count == ARRAY_LEN(plan->list)) {
		plan->failed = true;
		free(request.path);
		free(request.body);
		return;
	}
	plan->list[plan->count++] = request;
}

/* --- rate limits --- */

static json_t *bucket(uint64_t size, uint64_t refill_ms)
{
	return json_pack(
		"{s:I, s:I}", "size", (json_int_t)size, "refill_time", (json_int_t)refill_ms);
}

static json_t *bandwidth_bucket(uint64_t bytes_per_s)
{
	uint64_t size = bytes_per_s / (1000u / LEAST_REFILL_MS);
	if (size >= LEAST_SIZE)
		return bucket(size, LEAST_REFILL_MS);
	return bucket(LEAST_SIZE, LEAST_SIZE * 1000ull / bytes_per_s);
}

json_t *fc_rate_limiter(uint64_t bytes_per_s, uint64_t ops_per_s, bool *ret_failed)
{
	json_t *limiter = bytes_per_s || ops_per_s ? json_object() : NULL;
	bool ok = limiter || !(bytes_per_s || ops_per_s);
	if (ok && bytes_per_s)
		ok = json_object_set_new(limiter, "bandwidth", bandwidth_bucket(bytes_per_s)) == 0;
	if (ok && ops_per_s)
		ok = json_object_set_new(limiter, "ops", bucket(ops_per_s, 1000)) == 0;
	if (!ok) {
		json_decref(limiter);
		*ret_failed = true;
		return NULL;
	}
	return limiter;
}

/* --- boot --- */

/* Without a serial port nothing that the guest prints costs an exit, and it cannot fill anything on
 * the host. */
char *fc_boot_args(bool console, bool own_root, const struct net_link *link)
{
	AUTO_FREE char *network = link ? net_kernel_argument(link) : strdup("");
	if (!network)
		return NULL;
	return str_format("%s quiet reboot=k panic=1 i8042.noaux i8042.nomux i8042.dumbkbd "
			  "swiotlb=noforce tsc=reliable no_timer_check mitigations=off "
			  "initcall_blacklist=tracer_init_tracefs%s%s%s",
		console ? "console=ttyS0" : "8250.nr_uarts=0", own_root ? " init=/init" : "",
		*network ? " " : "", network);
}

static void plan_disk(struct fc_plan *plan, const struct machine_disk *disk, bool root, bool async)
{
	AUTO_FREE char *where = str_format("/drives/%s", disk->name);
	json_t *drive = json_pack("{s:s, s:s, s:b, s:b}", "drive_id", disk->name, "path_on_host",
		disk->path, "is_root_device", root, "is_read_only", 1);
	json_t *limiter = fc_rate_limiter(disk->bandwidth, disk->iops, &plan->failed);
	if (!where || !drive || (limiter && json_object_set(drive, "rate_limiter", limiter) < 0))
		plan->failed = true;
	if (drive && async && json_object_set_new(drive, "io_engine", json_string("Async")) < 0)
		plan->failed = true;
	json_decref(limiter);
	add(plan, "PUT", where ? where : "", drive);
}

static void add_limiter(struct fc_plan *plan, json_t *to, const char *name, uint64_t bytes_per_s)
{
	json_t *limiter = fc_rate_limiter(bytes_per_s, 0, &plan->failed);
	if (limiter && json_object_set_new(to, name, limiter) < 0)
		plan->failed = true;
}

/* "rx" is what the guest receives. */
static void plan_network(struct fc_plan *plan, const struct fc_boot *b)
{
	uint8_t mac[NET_MAC];
	char text[18];
	net_mac(b->link->address, mac);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	json_t *device = json_pack("{s:s, s:s, s:s}", "iface_id", NETWORK, "host_dev_name",
		b->link->name, "guest_mac", text);
	add_limiter(plan, device, "rx_rate_limiter", b->config.net_rx_bandwidth);
	add_limiter(plan, device, "tx_rate_limiter", b->config.net_tx_bandwidth);
	add(plan, "PUT", "/network-interfaces/" NETWORK, device);
}

static void plan_kernel(struct fc_plan *plan, const struct fc_boot *b)
{
	AUTO_FREE char *args = fc_boot_args(b->console, !b->initramfs, b->link);
	json_t *source =
		args ? json_pack("{s:s, s:s}", "kernel_image_path", b->kernel, "boot_args", args) :
		       NULL;
	if (source && b->initramfs &&
		json_object_set_new(source, "initrd_path", json_string(b->initramfs)) < 0)
		plan->failed = true;
	add(plan, "PUT", "/boot-source", source);
}

void fc_plan_boot(struct fc_plan *plan, const struct fc_boot *b)
{
	json_t *machine = json_pack("{s:i, s:i}", "vcpu_count", (int)b->config.vcpus,
		"mem_size_mib", (int)b->config.memory_mb);
	if (machine && b->track &&
		json_object_set_new(machine, "track_dirty_pages", json_true()) < 0)
		plan->failed = true;
	add(plan, "PUT", "/machine-config", machine);
	plan_kernel(plan, b);
	/* The agent in the initramfs mounts the first disk; a kernel without one is told to. */
	for (size_t i = 0; i < b->disk_count; i++)
		plan_disk(plan, &b->disks[i], i == 0 && !b->initramfs, b->async);
	if (b->link)
		plan_network(plan, b);
	add(plan, "PUT", "/entropy", json_object());
	add(plan, "PUT", "/vsock",
		json_pack("{s:i, s:s}", "guest_cid", (int)FC_GUEST_CID, "uds_path", b->vsock));
	add(plan, "PUT", "/actions", json_pack("{s:s}", "action_type", "InstanceStart"));
}

/* --- snapshots --- */

int fc_restore_check(const struct fc_restore *r, nova_error_t **error)
{
	const struct fc_version *v = &r->version;
	if (!r->tap || fc_has(v, FC_NAMES_NETWORKS))
		return 0;
	return nova_fail(error, NOVA_ENOTSUP,
		"Firecracker %u.%u.%u cannot give a microVM that goes on from a snapshot a network "
		"of its own: install 1.12 or later, or do without snapshots (setting "
		"pool.templates: off)",
		v->major, v->minor, v->patch);
}

void fc_plan_restore(struct fc_plan *plan, const struct fc_restore *r)
{
	json_t *load = json_pack("{s:s, s:{s:s, s:s}, s:b}", "snapshot_path", r->state,
		"mem_backend", "backend_type", "File", "backend_path", r->memory, "resume_vm", 1);
	/* Later instants of the clone are written as what differs from here. */
	const char *tracking = fc_has(&r->version, FC_TRACKS_BY_NEW_NAME) ? "track_dirty_pages" :
									    "enable_diff_snapshots";
	if (load && json_object_set_new(load, tracking, json_true()) < 0)
		plan->failed = true;
	if (load && fc_has(&r->version, FC_NAMES_VSOCK) &&
		json_object_set_new(
			load, "vsock_override", json_pack("{s:s}", "uds_path", r->vsock)) < 0)
		plan->failed = true;
	if (load && r->tap &&
		json_object_set_new(load, "network_overrides",
			json_pack("[{s:s, s:s}]", "iface_id", NETWORK, "host_dev_name", r->tap)) <
			0)
		plan->failed = true;
	add(plan, "PUT", "/snapshot/load", load);
}

void fc_plan_state(struct fc_plan *plan, bool running)
{
	add(plan, "PATCH", "/vm", json_pack("{s:s}", "state", running ? "Resumed" : "Paused"));
}

void fc_plan_save(struct fc_plan *plan, const char *state, const char *memory, bool diff)
{
	add(plan, "PUT", "/snapshot/create",
		json_pack("{s:s, s:s, s:s}", "snapshot_path", state, "mem_file_path", memory,
			"snapshot_type", diff ? "Diff" : "Full"));
}
