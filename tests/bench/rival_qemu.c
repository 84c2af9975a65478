/* SPDX-License-Identifier: MIT */
/* QEMU started by hand with the same kernel, initramfs and disks, and spoken to as the library
 * would: a cold start as it is without templates, and without our tuning. But the guest is told the
 * frequency of its clock: on a busy host it cannot measure it under emulation, and hangs. */
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "engine/engine.h"
#include "guest.h"

extern char **environ;

#define CHANNEL_FD 9
#define GIVE_UP_MS 60000

static pid_t spawn(const struct guest *g, int channel, uint64_t tsc_khz)
{
	const char *images = nova_host_images(nova_host_get(g->nova));
	AUTO_FREE char *kernel = path_join(images, "kernel/vmlinux"),
		       *initrd = path_join(images, "kernel/initramfs.cpio");
	AUTO_FREE char *root = str_format("driver=raw,node-name=root,read-only=on,file.driver=file,"
					  "file.filename=%s/rootfs/python.ext4",
		images);
	AUTO_FREE char *disk = str_format(
		"driver=raw,node-name=code,read-only=on,file.driver=file,file.filename=%s",
		g->disk);
	AUTO_FREE char *chardev = str_format("socket,id=agent,fd=%d", CHANNEL_FD);
	AUTO_FREE char *kernel_line =
		str_format("console=ttyS0 tsc_early_khz=%llu", (unsigned long long)tsc_khz);
	const char *const argv[] = { g->binary, "-M", "microvm,acpi=on,pic=off", "-accel", g->accel,
		"-m", "128M", "-nodefaults", "-nographic", "-no-reboot", "-serial", "null",
		"-kernel", kernel, "-initrd", initrd, "-append", kernel_line, "-device",
		"virtio-serial-device", "-chardev", chardev, "-device",
		"virtserialport,chardev=agent,name=nova.agent", "-blockdev", root, "-device",
		"virtio-blk-device,drive=root", "-blockdev", disk, "-device",
		"virtio-blk-device,drive=code", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, channel, CHANNEL_FD);
	pid_t pid;
	int r = posix_spawnp(&pid, g->binary, &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r ? -1 : pid;
}

static int say(int channel, int type, const char *payload)
{
	AUTO_FREE void *frame = NULL;
	size_t len;
	if (nova_frame_encode(type, payload, strlen(payload), &frame, &len, NULL) < 0)
		return -1;
	return sys_send(channel, frame, len, 0) == (ssize_t)len ? 0 : -1;
}

/* The next frame of that type, if it has the text in it. */
static int hear(int channel, nova_decoder_t *decoder, int wanted, const char *part)
{
	int type;
	const char *text;
	size_t len;
	for (;;) {
		int got = nova_decoder_next(decoder, &type, &text, &len, NULL);
		if (got < 0)
			return -1;
		if (got && type == wanted)
			return memmem(text, len, part, strlen(part)) ? 0 : -1;
		struct pollfd in = { channel, POLLIN, 0 };
		uint8_t block[4096];
		if (got || sys_poll(&in, 1, GIVE_UP_MS) != 1)
			return -1;
		ssize_t n = sys_recv(channel, block, sizeof(block), 0);
		if (n <= 0 || nova_decoder_feed(decoder, block, (size_t)n, NULL) < 0)
			return -1;
	}
}

static int talk(int channel)
{
	nova_decoder_t *decoder;
	if (nova_decoder_new(0, &decoder, NULL) < 0)
		return -1;
	int r = hear(channel, decoder, NOVA_MSG_READY, "agent");
	if (r == 0)
		r = say(channel, NOVA_MSG_INIT,
			"{\"request_id\":\"1\",\"runtime\":\"python\",\"handler\":\"main.handler\","
			"\"env_vars\":{}}");
	if (r == 0)
		r = hear(channel, decoder, NOVA_MSG_RESP, "initialized");
	if (r == 0)
		r = say(channel, NOVA_MSG_EXEC,
			"{\"request_id\":\"2\",\"input\":{\"numbers\":[1,2,3]},\"timeout_ms\":"
			"30000}");
	if (r == 0)
		r = hear(channel, decoder, NOVA_MSG_RESP, "\"sum\"");
	nova_decoder_free(decoder);
	return r;
}

int rival_qemu(const struct guest *g)
{
	int pair[2];
	if (sys_socketpair(SOCK_STREAM, pair) < 0)
		return -1;
	AUTO_FD int ours = pair[0], theirs = pair[1];
	pid_t pid = spawn(g, theirs, g->tsc_khz);
	fd_close(STEAL_FD(theirs));
	if (pid < 0)
		return -1;
	int r = talk(ours);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r;
}
