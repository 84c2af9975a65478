/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/socket.h>

#include <nova/proto.h>

#include "setting.h"

nova_error_t *error;

void control(const struct setting *s, const char *text)
{
	AUTO_FREE char *path = str_format("%s.control", s->program);
	ck_assert_int_eq(fs_write_file(path, text, strlen(text), 0644), 0);
}

struct setting set_up_with(const char *faults, const char *jailer, const char *key)
{
	return set_up_program(DOUBLE, faults, jailer, key);
}

struct setting set_up_program(
	const char *program, const char *faults, const char *jailer, const char *key)
{
	struct setting s = { .dir = test_dir() };
	nova_config_t *config;
	s.program = path_join(s.dir, "firecracker");
	ck_assert_int_eq(symlink(program, s.program), 0);
	AUTO_FREE char *text =
		str_format("{\"guest\":\"none\",\"record\":\"%s/requests\"%s}", s.dir, faults);
	control(&s, text);
	/* also for the double of another user */
	AUTO_FREE char *record = path_join(s.dir, "requests");
	ck_assert_int_eq(fs_write_file(record, "", 0, 0666), 0);
	ck_assert_int_eq(fs_chmod(record, 0666), 0);
	ck_assert_int_eq(fs_chmod(s.dir, 0755), 0);
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", s.dir, &error));
	ck_ok(nova_config_set(config, "firecracker.binary", s.program, &error));
	ck_ok(nova_config_set(config, "firecracker.jailer", jailer, &error));
	AUTO_FREE char *looked_at = path_join(s.dir, "looked-at");
	static const char *const keys[] = { "firecracker.log_dir", "firecracker.socket_dir",
		"firecracker.vsock_dir" };
	for (size_t i = 0; i < ARRAY_LEN(keys) && !(key && !*key); i++)
		ck_ok(nova_config_set(
			config, keys[i], key && !strcmp(key, keys[i]) ? looked_at : "off", &error));
	ck_ok(nova_host_new(config, &s.host, &error));
	nova_config_free(config);
	s.env = host_engine_env(s.host);
	s.m = machine_new(&firecracker_engine);
	return s;
}

struct setting set_up(const char *faults)
{
	return set_up_with(faults, "off", NULL);
}

int start(struct setting *s, int base_fd, uint32_t ms)
{
	struct machine_spec spec = {
		.id = "0123abcd",
		.kernel = "/dev/null",
		.initramfs = "/dev/null",
		.config.rootfs = (char[]){ "/dev/null" },
		.config.memory_mb = 32,
		.config.vcpus = 1,
		.base_fd = base_fd,
		.deadline = deadline_in_ms(ms),
	};
	return firecracker_engine.start(s->m, s->env, &spec, &error);
}

static void nothing_is_left(const struct setting *s)
{
	char **names;
	int count = fs_list(s->env->run_dir, &names);
	for (int i = 0; i < count; i++)
		ck_assert_msg(!str_starts(names[i], "fc-") && !str_starts(names[i], "memory-"),
			"%s is left", names[i]);
	strv_free(names, (size_t)count);
	AUTO_FREE char *jails = path_join(s->env->run_dir, "jail/firecracker");
	count = fs_list(jails, &names);
	ck_assert_msg(count <= 0, "%s is left in the jails", names[0]);
	if (count == 0)
		strv_free(names, 0);
}

void tear_down(struct setting *s)
{
	pid_t pid = (pid_t)firecracker_engine.pid(s->m);
	machine_free(&firecracker_engine, s->m);
	if (pid)
		ck_assert_int_ne(kill(pid, 0), 0);
	nothing_is_left(s);
	nova_host_unref(s->host);
	free(s->program);
	test_dir_remove(s->dir);
}

char *requests(const struct setting *s)
{
	AUTO_FREE char *path = path_join(s->dir, "requests");
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	return buf_steal_str(&text);
}

void was_asked(const struct setting *s, const char *part)
{
	AUTO_FREE char *all = requests(s);
	ck_assert_msg(strstr(all, part) != NULL, "'%s' not in: %s", part, all);
}

/* Whole; false at the end of the stream, or after a time that no answer takes. */
static bool has_come(int fd, void *to, size_t len)
{
	uint8_t *at = to;
	while (len) {
		struct pollfd p = { fd, POLLIN, 0 };
		ssize_t got = sys_poll(&p, 1, 20000) > 0 ? sys_recv(fd, at, len, 0) : 0;
		if (got <= 0)
			return false;
		at += got;
		len -= (size_t)got;
	}
	return true;
}

bool agent_hears(const struct setting *s)
{
	char frame[1024];
	AUTO_FREE void *ping = NULL;
	size_t len;
	ck_ok(nova_frame_encode(NOVA_MSG_PING, "{\"request_id\":\"1\"}", 18, &ping, &len, &error));
	if (sys_send(s->m->channel, ping, len, 0) != (ssize_t)len)
		return false;
	do { /* Ready may come first */
		if (!has_come(s->m->channel, frame, NOVA_FRAME_HEADER))
			return false;
		len = (size_t)(uint8_t)frame[2] << 8 | (uint8_t)frame[3];
		ck_assert_uint_lt(len, sizeof(frame));
		if (!has_come(s->m->channel, frame, len))
			return false;
		frame[len] = 0;
	} while (!strstr(frame, "\"status\""));
	return true;
}

void agent_answers(const struct setting *s)
{
	ck_assert_int_ge(s->m->channel, 0);
	ck_assert(agent_hears(s));
}
