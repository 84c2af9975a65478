/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over every file of the directories given: what libFuzzer found once is tested
 * for ever. */
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	AUTO_BUF struct buf input = BUF_INIT(64u << 20);
	int r = fs_read_file(path, &input);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	/* An allocation of exactly that size, so that sanitizers see a read past its end. */
	AUTO_FREE uint8_t *exact = malloc(input.len);
	if (input.len)
		memcpy(exact, input.data, input.len);
	LLVMFuzzerTestOneInput(exact, input.len);
	return 0;
}

int main(int argc, char **argv)
{
	int total = 0;
	for (int i = 1; i < argc; i++) {
		char **names;
		int count = fs_list(argv[i], &names);
		if (count < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-count));
			return 1;
		}
		for (int n = 0; n < count; n++) {
			AUTO_FREE char *path = path_join(argv[i], names[n]);
			if (!path || replay(path) < 0)
				return 1;
		}
		strv_free(names, (size_t)count);
		total += count;
	}
	printf("%d inputs replayed\n", total);
	return total ? 0 : 1;
}
