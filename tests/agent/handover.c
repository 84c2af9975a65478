/* SPDX-License-Identifier: MIT */
/* What is handed over in several pieces, to who ends in between. */
#include <sys/socket.h>

#include "agent/worker/worker.h"
#include "test.h"

/* Its ends; ours takes no piece of more than some kilobytes if it is narrow. */
static void make_talk(int talk[2], bool narrow)
{
	int size = narrow ? 1 : 1 << 20;
	ck_assert_int_eq(sys_socketpair(SOCK_SEQPACKET, talk), 0);
	ck_assert_int_eq(setsockopt(talk[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

START_TEST(an_input_is_there_until_all_has_been_handed_over)
{
	static char text[INLINE_MAX + 1], variable[16 << 10];
	char *secrets[] = { variable, NULL };
	static struct run run;
	struct request request = { .input = BUF_INIT(sizeof(text)) };
	int talk[2];
	run.secrets = secrets;
	memset(text, ' ', sizeof(text));
	memset(variable, 'v', sizeof(variable) - 1);
	ck_assert_int_eq(buf_append(&request.input, text, sizeof(text)), 0);
	for (int narrow = 1; narrow >= 0; narrow--) {
		make_talk(talk, narrow);
		int r = hand_over(talk[0], &run, &request, false);
		ck_assert_int_eq(r < 0, narrow);
		ck_assert_uint_eq(request.input.len, narrow ? sizeof(text) : 0);
		fd_close(talk[0]);
		fd_close(talk[1]);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("handover");
	TCase *tc = tcase_create("handover");
	tcase_add_test(tc, an_input_is_there_until_all_has_been_handed_over);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(make_suite)
