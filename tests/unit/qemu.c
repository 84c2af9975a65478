/* SPDX-License-Identifier: MIT */
/* The parts of the qemu engine that only compute. */
#include "engine/qemu/qemu.h"
#include "test.h"

START_TEST(versions_of_qemu_are_digits_and_dots)
{
	struct qemu_version v;
	ck_assert(qemu_version_parse("QEMU emulator version 10.0.3 (Debian 1:10.0.3+ds-0+deb13u1)", &v));
	ck_assert(v.major == 10 && v.minor == 0 && v.patch == 3);
	ck_assert(qemu_version_parse("QEMU emulator version 8.2", &v) && v.minor == 2 && v.patch == 0);
	static const char *const bad[] = { "", "QEMU", "version ", "version 8", "version -8.1.0", "version 8.-1.0", "version 8.1.-1", "version 8. 1", "version 99999.1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(!qemu_version_parse(bad[i], &v), "%s", bad[i]);
}
END_TEST

static Suite *qemu_suite(void)
{
	Suite *suite = suite_create("qemu");
	TCase *tc = tcase_create("qemu");
	tcase_add_test(tc, versions_of_qemu_are_digits_and_dots);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(qemu_suite)
