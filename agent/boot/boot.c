/* SPDX-License-Identifier: MIT */
/* PID 1, first half: kernel file systems, modules, devices, the channel. Waits for events, never
 * for time to pass. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/boot/boot.h"

#define PORT_NAME      "nova.agent"
#define PORTS          "/sys/class/virtio-ports"
#define VIRTIO_CONSOLE 3
#define DEVICE_WAIT_MS 5000
#define AGENT_MEMORY   (8u << 20) /* kept from functions, for a large answer */

static void complain(const char *what, int r)
{
	fprintf(stderr, "nova-agent: %s: %s\n", what, strerror(-r));
}

struct mount_point {
	const char *source, *target, *type, *options;
	unsigned long flags;
};

static void mount_list(const struct mount_point *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		mkdir(list[i].target, 0755);
		if (mount(list[i].source, list[i].target, list[i].type, list[i].flags,
			    list[i].options) < 0 &&
			errno != EBUSY)
			complain(list[i].target, -errno);
	}
}

/* favordynmods (Linux 6.0): without it, moving a process into its group waits for an RCU grace
 * period, tens of ms. */
static void mount_cgroups(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, "favordynmods") < 0 &&
		mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, NULL) < 0)
		complain("/sys/fs/cgroup", -errno);
}

static void mount_kernel(void)
{
	static const struct mount_point list[] = {
		{ "dev", "/dev", "devtmpfs", "mode=0755", MS_NOSUID },
		{ "proc", "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "sys", "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		/* The machine code of a module is here. It may be large, but has to leave room for
		 * the one that runs it. */
		{ "run", "/run", "tmpfs", "mode=0755,size=50%", MS_NOSUID | MS_NODEV },
		{ "tmp", "/tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV }, /* see tmp.c */
		/* Input files: a place within /tmp that functions can neither fill nor remove. */
		{ "input", "/tmp/.nova", "tmpfs", "mode=0711,size=32m",
			MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "devpts", "/dev/pts", "devpts", "mode=0620,ptmxmode=0666",
			MS_NOSUID | MS_NOEXEC },
		{ "shm", "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV },
	};
	mount_list(list, ARRAY_LEN(list));
	mount_cgroups();
	static const char *const links[][2] = { { "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" }, { "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" } };
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		(void)!symlink(links[i][0], links[i][1]);
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);
	for (int i = 0; i < 3; i++)
		if (fd >= 0 && fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void load_module(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "/modules/%s", name);
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	if (fd == -ENOENT)
		return; /* built into this kernel, or not needed by it */
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
		complain(path, fd < 0 ? fd : -errno);
}

static void load_modules(void)
{
	AUTO_BUF struct buf order = BUF_INIT(64u << 10);
	if (fs_read_file("/modules/order", &order) < 0 || buf_append(&order, "", 1) < 0)
		return;
	char *rest = (char *)order.data, *name;
	while ((name = strsep(&rest, "\r\n")))
		if (*name && *name != '#')
			load_module(name);
}

/* Finds the port by its name; its device is /dev/<entry>. */
static bool find_port(void *what)
{
	char **names, *found = what;
	int count = fs_list(PORTS, &names);
	for (int i = 0; i < count && !*found; i++) {
		char path[300];
		AUTO_BUF struct buf text = BUF_INIT(128);
		snprintf(path, sizeof(path), PORTS "/%s/name", names[i]);
		if (fs_read_file(path, &text) == 0 && text.len >= strlen(PORT_NAME) &&
			memcmp(text.data, PORT_NAME, strlen(PORT_NAME)) == 0)
			snprintf(found, 64, "/dev/%.50s", names[i]);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	return *found && access(found, F_OK) == 0;
}

static void open_channel(struct channel *channel, int events)
{
	char port[64] = "";
	int r = -ENODEV;
	if (device_exists(VIRTIO_CONSOLE) && device_wait(events, find_port, port, DEVICE_WAIT_MS))
		r = channel_open_port(channel, port);
	if (r < 0)
		r = channel_listen(channel);
	if (r < 0)
		complain("no virtio port named " PORT_NAME
			 " and no vsock: nobody can reach this guest",
			r);
}

static void loopback_up(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
		return;
	lo.ifr_flags |= IFF_UP;
	ioctl(fd, SIOCSIFFLAGS, &lo);
}

/* Less what the agent needs for a large request. */
uint64_t boot_function_memory(void)
{
	AUTO_BUF struct buf text = BUF_INIT(8192);
	uint64_t available = 0;
	if (fs_read_file("/proc/meminfo", &text) == 0 && buf_append(&text, "", 1) == 0) {
		char *at = strstr((char *)text.data, "MemAvailable:");
		available = at ? strtoull(at + 13, NULL, 10) * 1024 : 0;
	}
	return available > 2 * AGENT_MEMORY ? available - AGENT_MEMORY : AGENT_MEMORY;
}

/* The agent goes first, however many processes a function has made, and is the last to be killed
 * for memory. A real-time class would do it too, but its code is more for each clone to run for the
 * first time. */
static void be_first(void)
{
	setpriority(PRIO_PROCESS, 0, -20);
	write_text("/proc/self/oom_score_adj", "-1000");
	/* The fork that handles a request goes before the interpreter that only waits for the next
	 * one. */
	write_text("/proc/sys/kernel/sched_child_runs_first", "1");
}

/* Housekeeping that would wake in each clone, to find nothing to do: the folding of counters, and
 * the moving of pages. */
static void be_quiet(void)
{
	write_text("/proc/sys/vm/stat_interval", "86400");
	write_text("/proc/sys/vm/compaction_proactiveness", "0");
}

/* As root of a namespace of its own a function would have all capabilities there. */
static void deny_namespaces(void)
{
	write_text("/proc/sys/user/max_user_namespaces", "0");
	write_text("/proc/sys/kernel/io_uring_disabled", "2"); /* Linux 6.6; see spawn.c */
}

void boot(struct guest *guest, struct channel *channel)
{
	umask(0);
	mount_kernel();
	open_console();
	int events = device_events();
	load_modules();
	sethostname("nova", 4);
	setenv("PATH", FUNCTION_PATH, 1);
	loopback_up();
	open_channel(channel, events);
	guest->root = "none";
	guest->temp_dir = "/tmp";
	snprintf(guest->code_dir, sizeof(guest->code_dir), "/code");
	snprintf(guest->input_dir, sizeof(guest->input_dir), "/tmp/.nova");
	guest->missing = root_enter(guest, events);
	if (guest->missing)
		fprintf(stderr, "nova-agent: %s\n", guest->missing);
	fd_close(events);
	umask(022);
	be_first();
	be_quiet();
	deny_namespaces();
}

/* The kernel's command line decides what a restart means: with reboot=t and a VMM that does not
 * reboot, the end. */
_Noreturn void boot_end(void)
{
	kill(-1, SIGKILL);
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
