/* SPDX-License-Identifier: MIT */
/* What the host has for microVMs: memory, processes, descriptors and processors. */
#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/host.h"
#include "keeper/cgroup.h"
#include "property/property.h"

#define CAPACITIES (NOVA_CAPACITY_PROCESSORS + 1)

/* What a VM of QEMU has at most, measured: threads of all its processes, and descriptors here. */
#define TASKS_OF_A_VM       8u
#define DESCRIPTORS_OF_A_VM 8u
/* What is left to the host, and to the program that uses the library. */
#define TASKS_LEFT       256u
#define DESCRIPTORS_LEFT 64u
/* More guests that are emulated than that are only in each other's way: the timer of each takes its
 * share of a processor whatever it gets of it. */
#define VMS_OF_A_PROCESSOR          64u
#define EMULATED_VMS_OF_A_PROCESSOR 8u
#define EMULATED_VMS_AT_LEAST       16u

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* --- files of the kernel --- */

static char *read_text(const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	return fs_read_file(path, &text) == 0 ? buf_steal_str(&text) : NULL;
}

/* The number behind `word` in a file; UINT64_MAX: there is none. */
static uint64_t read_number(const char *path, const char *word)
{
	AUTO_FREE char *text = read_text(path);
	const char *at = text ? strstr(text, word) : NULL;
	uint64_t number;
	return at && sscanf(at + strlen(word), "%" SCNu64, &number) == 1 ? number : UINT64_MAX;
}

/* --- memory --- */

/* Of the last ten seconds, how much some program waited for memory. A kernel without it: 0. */
static uint32_t read_pressure(void)
{
	uint64_t per_cent = read_number("/proc/pressure/memory", "some avg10=");
	return per_cent <= 100 ? (uint32_t)per_cent : 0;
}

void host_memory_read(struct host_memory *ret)
{
	struct cgroup_room room;
	uint64_t total_kb = read_number("/proc/meminfo", "MemTotal:");
	uint64_t available_kb = read_number("/proc/meminfo", "MemAvailable:");
	cgroup_room(&room);
	*ret = (struct host_memory){
		.total_mb = least(total_kb >> 10, room.memory_limit >> 20),
		.available_mb = least(available_kb >> 10, room.memory >> 20),
		.pressure = read_pressure(),
	};
}

static uint64_t vms_by_memory(const nova_config_t *config)
{
	struct host_memory memory;
	host_memory_read(&memory);
	uint64_t free_mb = memory.total_mb / 100 * config_u64(config, "pool.min_free");
	return less(memory.available_mb, free_mb) / MEMORY_MB_STANDARD;
}

/* --- processes --- */

static uint64_t read_limit(int resource)
{
	struct rlimit limit;
	return getrlimit((__rlimit_resource_t)resource, &limit) == 0 &&
			       limit.rlim_cur != RLIM_INFINITY ?
		       limit.rlim_cur :
		       UINT64_MAX;
}

static uint64_t vms_by_processes(void)
{
	struct cgroup_room room;
	uint64_t tasks = read_number("/proc/loadavg", "/");
	uint64_t most = least(read_number("/proc/sys/kernel/pid_max", ""),
		read_number("/proc/sys/kernel/threads-max", ""));
	cgroup_room(&room);
	if (geteuid() != 0)
		most = least(most, read_limit(RLIMIT_NPROC));
	most = least(less(most, tasks == UINT64_MAX ? 0 : tasks), room.processes);
	return less(most, TASKS_LEFT) / TASKS_OF_A_VM;
}

/* --- descriptors and processors --- */

static uint64_t vms_by_descriptors(void)
{
	char **names;
	int open = fs_list("/proc/self/fd", &names);
	if (open >= 0)
		strv_free(names, (size_t)open);
	uint64_t used = DESCRIPTORS_LEFT + (open > 0 ? (uint64_t)open : 0);
	return less(read_limit(RLIMIT_NOFILE), used) / DESCRIPTORS_OF_A_VM;
}

static uint64_t vms_by_processors(nova_host_t *host)
{
	const struct engine_env *env = host_engine_env(host);
	bool emulated =
		env->kvm.state != KVM_FIT && strcmp(config_str(env->config, "engine"), "fake") != 0;
	if (!emulated)
		return (uint64_t)sys_processors() * VMS_OF_A_PROCESSOR;
	uint64_t vms = (uint64_t)sys_processors() * EMULATED_VMS_OF_A_PROCESSOR;
	return vms > EMULATED_VMS_AT_LEAST ? vms : EMULATED_VMS_AT_LEAST;
}

/* --- together --- */

static void look(nova_host_t *host, uint64_t vms[CAPACITIES])
{
	vms[NOVA_CAPACITY_MEMORY] = vms_by_memory(host_config(host));
	vms[NOVA_CAPACITY_PROCESSES] = vms_by_processes();
	vms[NOVA_CAPACITY_DESCRIPTORS] = vms_by_descriptors();
	vms[NOVA_CAPACITY_PROCESSORS] = vms_by_processors(host);
}

uint32_t host_most_vms(nova_host_t *host)
{
	uint64_t vms[CAPACITIES], most = 100000;
	look(host, vms);
	for (size_t i = 0; i < CAPACITIES; i++)
		most = least(most, vms[i]);
	return most ? (uint32_t)most : 1; /* whether there is room for it is seen when it is due */
}

int nova_host_capacity(nova_host_t *host, uint64_t *ret_vms, size_t count)
{
	uint64_t vms[CAPACITIES];
	if (!host || !ret_vms)
		return NOVA_EINVAL;
	int code = host_check_process(host, NULL);
	if (code < 0)
		return code;
	look(host, vms);
	memcpy(ret_vms, vms, sizeof(*vms) * (count < CAPACITIES ? count : CAPACITIES));
	return CAPACITIES;
}
