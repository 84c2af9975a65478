/* SPDX-License-Identifier: MIT */
/* A host context in a directory of its own, after which nothing may be left. */
#ifndef NOVA_TESTS_CONFORM_SETTING_H
#define NOVA_TESTS_CONFORM_SETTING_H

#include "vmtest.h"

struct setting {
	char *dir;
	nova_config_t *config;
	nova_host_t *host;
};

static inline struct setting set_up(void)
{
	struct setting s = { .dir = vmtest_take_home() };
	s.config = vmtest_config(s.dir);
	ck_ok(nova_host_new(s.config, &s.host, &error));
	return s;
}

static inline char *code_disk(const struct setting *s, const char *name, const char *source)
{
	char *path = str_format("%s/%s.ext4", s->dir, name);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = source;
	opts.data_len = strlen(source);
	ck_ok(nova_disk_build(path, &opts, &error));
	return path;
}

static inline nova_vm_t *start_vm(const struct setting *s, const char *rootfs, const char *disk)
{
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.rootfs = rootfs;
	opts.code_disk = disk;
	nova_vm_t *vm = NULL;
	ck_ok(nova_vm_start(s->host, &opts, &vm, &error));
	return vm;
}

/* One with a function, whose code disk is `runtime`.ext4. */
static inline nova_vm_t *boot_function(
	const struct setting *s, const char *runtime, const char *source)
{
	AUTO_FREE char *disk = code_disk(s, runtime, source);
	nova_vm_t *vm = start_vm(s, !strcmp(runtime, "python") ? "python" : "base", disk);
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = runtime;
	ck_ok(nova_vm_init(vm, &init, &error));
	return vm;
}

/* As that, but a clone, for those to whom it does not matter. */
static inline nova_vm_t *start_function(
	const struct setting *s, const char *runtime, const char *source)
{
	AUTO_FREE char *disk = code_disk(s, runtime, source);
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	opts.rootfs = !strcmp(runtime, "python") ? "python" : "base";
	opts.code_disk = disk;
	init.runtime = runtime;
	return vmtest_clone(s->host, &opts, &init);
}

static inline void tear_down(struct setting *s)
{
	nova_host_unref(s->host);
	vmtest_nothing_left(s->dir);
	nova_config_free(s->config);
	vmtest_leave_home(s->dir);
}

#endif
