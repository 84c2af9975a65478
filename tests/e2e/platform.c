/* SPDX-License-Identifier: MIT */
/* The whole way through nova/function.h, on the engine that is named. */
#include "platform.h"

void function_write(struct function *f, const struct platform *p, const char *key, const char *file,
	const char *content)
{
	*f = (struct function){
		.directory = path_join(p->dir, key),
		.disk = str_format("%s/%s.ext4", p->dir, key),
		.vm = NOVA_VM_OPTS_INIT,
		.init = NOVA_VM_INIT_OPTS_INIT,
		.want = NOVA_POOL_WANT_INIT,
	};
	AUTO_FREE char *path = path_join(f->directory, file);
	ck_assert_int_eq(fs_mkdirs(f->directory, 0755), 0);
	ck_assert_int_eq(fs_write_file(path, content, strlen(content), 0644), 0);
	f->vm.code_disk = f->disk;
	f->want.key = key;
	f->want.vm = &f->vm;
	f->want.init = &f->init;
}

void function_pack(struct function *f, const char *runtime)
{
	nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
	disk.source = f->directory;
	ck_ok(nova_disk_build(f->disk, &disk, &error));
	f->vm.rootfs = runtime;
	f->init.runtime = runtime;
}

nova_vm_t *function_take(const struct platform *p, const struct function *f)
{
	nova_vm_t *vm = NULL;
	ck_ok(nova_pool_acquire(p->pool, &f->want, &vm, NULL, &error));
	return vm;
}

void function_free(struct function *f)
{
	free(f->directory);
	free(f->disk);
}

/* The tags are the programs' that run them side by side: see meson.build. */
static const struct part {
	TCase *(*make)(void);
	const char *tag;
	double seconds; /* 0: 180. Sixty VMs, or three hundred in the long form; Node's start */
} parts[] = {
	{ call_cases, "calls" },
	{ check_cases, "calls" },
	{ pool_cases, "calls" },
	{ sharing_cases, "calls" },
	{ broken_cases, "calls" },
	{ keeper_cases, "calls" },
	{ room_cases, "calls" },
	{ template_cases, "templates", 1200 },
	{ runtime_cases, "templates" },
	{ standby_cases, "templates" },
	{ network_cases, "limits" },
	{ limit_cases, "limits" },
	{ network_limit_cases, "limits" },
	{ randomness_cases, "draws", 1200 },
	{ node_cases, "draws", 1200 },
};

static Suite *platform_suite(void)
{
	Suite *suite = suite_create("platform");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		TCase *tc = parts[i].make();
		tcase_set_timeout(tc, parts[i].seconds > 0 ? parts[i].seconds : 180);
		tcase_set_tags(tc, parts[i].tag);
		suite_add_tcase(suite, tc);
	}
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, platform_suite);
}
