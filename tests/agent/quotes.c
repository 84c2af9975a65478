/* SPDX-License-Identifier: MIT */
/* A function as a static program: prints as many quotes as an output may have. */
#include <stdio.h>

int main(void)
{
	for (int i = 0; i < 6 << 20; i++)
		putchar('"');
	return 0;
}
