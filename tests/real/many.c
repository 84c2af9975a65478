/* SPDX-License-Identifier: MIT */
/* What shows only now and then. */
#include "real.h"

START_TEST(no_fork_loses_its_parent_or_child)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	int forks = times(40, 200) / (_i ? 4 : 1);
	for (int i = 0; i < forks; i++) {
		nova_vm_t *child = fork_one(vm);
		is_call(child, (unsigned)i + 1);
		nova_vm_free(child);
		is_call(vm, (unsigned)i + 1);
	}
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

void add_many_tests(TCase *tc, int variants)
{
	tcase_add_loop_test(tc, no_fork_loses_its_parent_or_child, 0, variants);
}
