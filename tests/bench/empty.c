/* SPDX-License-Identifier: MIT */
/* A program that does nothing, with libnova and without: empty [FILE for its peak memory in kB]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_NOVA
#include <nova/base.h>
#endif

int main(int argc, char **argv)
{
	char line[256];
#ifdef WITH_NOVA
	if (!*nova_version())
		return 1;
#endif
	if (argc < 2)
		return 0;
	FILE *status = fopen("/proc/self/status", "r"), *to = fopen(argv[1], "w");
	if (!status || !to)
		return 1;
	while (fgets(line, sizeof(line), status))
		if (!strncmp(line, "VmHWM:", 6))
			fprintf(to, "%ld\n", atol(line + 6));
	fclose(status);
	return fclose(to) != 0;
}
