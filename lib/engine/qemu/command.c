/* SPDX-License-Identifier: MIT */
/* QEMU's command line. Everything it opens comes by descriptor, so it needs no path, no rights and
 * no home. */
#include "engine/qemu/qemu.h"

void arguments_add(struct arguments *a, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	if (a->count + 1 >= ARRAY_LEN(a->list) || vasprintf(&text, format, args) < 0)
		a->failed = true;
	else
		a->list[a->count++] = text;
	va_end(args);
	a->list[a->count] = NULL;
}

void arguments_done(struct arguments *a)
{
	while (a->count)
		free(a->list[--a->count]);
}

/*
 * x86-64-v2, which packages of PyPI (numpy) take for granted: without it they die of SIGILL. Not
 * v3: the AVX of QEMU 7.2 is young, and programs ask for it before they use it.
 */
#define TCG_CPU "qemu64,arat=on,+ssse3,+sse4.1,+sse4.2,+popcnt"

static void add_machine(struct arguments *a, const char *cpu, const struct machine_spec *spec)
{
	/* ACPI describes the virtio devices, as Debian's cloud kernel takes none from its command
	 * line. A second IO-APIC would bring 24 places for devices instead of 8, all of which
	 * exist, need memory and are reset. Without pic=off QEMU 10 kills a PVH kernel by a stray
	 * vector 0. */
	arguments_add(a, "-M");
	arguments_add(a, "microvm,acpi=on,pic=off,ioapic2=off,memory-backend=mem,dump-guest-core="
			 "off,mem-merge=off,suppress-vmdesc=on");
	/* device state comes and goes without configuration and description, as
	 * xen-save-devices-state writes it */
	arguments_add(a, "-global");
	arguments_add(a, "migration.send-configuration=off");
	arguments_add(a, "-accel");
	/* what is translated lies in pages that nobody has otherwise; it must not be thrown away
	 * before a fork, for which twice as much was translated */
	arguments_add(a, cpu ? "kvm" : spec->forkable ? "tcg,tb-size=64" : "tcg,tb-size=16");
	arguments_add(a, "-cpu");
	arguments_add(a, "%s", cpu ? cpu : TCG_CPU);
	arguments_add(a, "-m");
	arguments_add(a, "%uM", spec->config.memory_mb);
	arguments_add(a, "-smp");
	arguments_add(a, "%u", spec->config.vcpus);
	arguments_add(a, "-object");
	arguments_add(a, "memory-backend-file,id=mem,size=%uM,mem-path=/proc/self/fd/%d,share=%s",
		spec->config.memory_mb, QEMU_FD_MEMORY, spec->base_fd < 0 ? "on" : "off");
}

static void add_process(struct arguments *a, const struct machine_spec *spec)
{
	arguments_add(a, "-name");
	arguments_add(a, "nova-%s", spec->id);
	arguments_add(a, "-nodefaults");
	arguments_add(a, "-no-user-config");
	arguments_add(a, "-nographic");
	arguments_add(a, "-no-reboot"); /* the guest ends by rebooting, after a panic too */
	arguments_add(a, "-sandbox");
	/* one that can be forked is forbidden all that and more when it is up (PROCESS_CONFINE) */
	arguments_add(a, "on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny%s",
		spec->forkable ? "" : ",spawn=deny");
}

/* tsc_early_khz: see tsc.c. A KVM guest learns the frequency from its clock page. */
static void add_kernel(struct arguments *a, bool kvm, uint64_t tsc_khz)
{
	char tsc[48] = "";
	if (!kvm)
		snprintf(tsc, sizeof(tsc), " tsc_early_khz=%llu", (unsigned long long)tsc_khz);
	arguments_add(a, "-kernel");
	arguments_add(a, "/proc/self/fd/%d", QEMU_FD_FILES);
	arguments_add(a, "-initrd");
	arguments_add(a, "/proc/self/fd/%d", QEMU_FD_FILES + 1);
	arguments_add(a, "-append");
	/* psi and the watchdog would be so much more code to run for the first time in each clone.
	 * The files of the tracer, ten thousand that nobody reads, would need 9 MB. */
	arguments_add(a,
		"console=ttyS0 quiet reboot=t panic=-1 tsc=reliable no_timer_check mitigations=off "
		"psi=0 nowatchdog initcall_blacklist=tracer_init_tracefs%s",
		tsc);
}

static void add_channels(struct arguments *a)
{
	arguments_add(a, "-chardev");
	arguments_add(a, "socket,id=serial,fd=%d", QEMU_FD_SERIAL);
	arguments_add(a, "-serial");
	arguments_add(a, "chardev:serial");
	arguments_add(a, "-device");
	/* ours, and one that is kept for a console: each has two queues to be set up and loaded */
	arguments_add(a, "virtio-serial-device,max_ports=2");
	arguments_add(a, "-chardev");
	arguments_add(a, "socket,id=agent,fd=%d", QEMU_FD_CHANNEL);
	arguments_add(a, "-device");
	arguments_add(a, "virtserialport,chardev=agent,name=nova.agent");
	arguments_add(a, "-chardev");
	arguments_add(a, "socket,id=qmp,fd=%d", QEMU_FD_QMP);
	arguments_add(a, "-mon");
	arguments_add(a, "chardev=qmp,mode=control");
}

/* The most that QEMU takes for a limit. */
#define LIMIT_MOST 1000000000000000ull

static unsigned long long limit(uint64_t a_second)
{
	return a_second < LIMIT_MOST ? a_second : LIMIT_MOST;
}

/* Device state says nothing of limits: what a clone is started with holds. */
static void add_disk(struct arguments *a, const struct machine_disk *disk, int fd)
{
	bool limited = disk->iops || disk->bandwidth;
	AUTO_FREE char *group = str_format(",throttle-group=%s-limits", disk->name);
	if (limited) {
		arguments_add(a, "-object");
		arguments_add(a,
			"{\"qom-type\":\"throttle-group\",\"id\":\"%s-limits\","
			"\"limits\":{\"iops-total\":%llu,\"bps-total\":%llu}}",
			disk->name, limit(disk->iops), limit(disk->bandwidth));
	}
	arguments_add(a, "-add-fd");
	arguments_add(a, "fd=%d,set=%d", fd, fd);
	arguments_add(a, "-blockdev");
	arguments_add(a,
		"node-name=%s,read-only=on,driver=%s%s,file.driver=file,file.filename=/dev/fdset/"
		"%d,file.locking=off",
		disk->name, limited ? "throttle" : "raw", limited && group ? group : "", fd);
	arguments_add(a, "-device");
	arguments_add(a, "virtio-blk-device,drive=%s", disk->name);
}

/* The address is what a guest boots with; a clone has that of its base until the agent sets its
 * own. To announce it is then of no use. */
static void add_network(struct arguments *a, const struct net_link *link, int fd)
{
	uint8_t mac[NET_MAC];
	net_mac(link->address, mac);
	arguments_add(a, "-netdev");
	arguments_add(a, "tap,id=net,fd=%d,vhost=off", fd);
	arguments_add(a, "-device");
	arguments_add(a,
		"virtio-net-device,netdev=net,guest_announce=off,mac=%02x:%02x:%02x:%02x:%02x:%02x",
		mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void qemu_command(struct arguments *a, const char *binary, const char *cpu, uint64_t tsc_khz,
	const struct machine_spec *spec, const struct net_link *link)
{
	struct machine_disk disks[MACHINE_DISKS];
	arguments_add(a, "%s", binary);
	add_process(a, spec);
	add_machine(a, cpu, spec);
	int fd = QEMU_FD_FILES;
	if (spec->base_fd < 0) {
		add_kernel(a, cpu != NULL, tsc_khz);
		fd += 2;
	} else {
		arguments_add(a, "-incoming");
		arguments_add(a, "defer");
		arguments_add(a, "-S"); /* whether it runs once it is loaded is said then */
	}
	add_channels(a);
	size_t count = machine_disks(&spec->config, disks);
	for (size_t i = 0; i < count; i++)
		add_disk(a, &disks[i], fd++);
	if (link->name[0])
		add_network(a, link, fd);
}
