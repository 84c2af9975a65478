/* SPDX-License-Identifier: MIT */
/* Looks for a secret in files. */
#ifndef NOVA_TESTS_SECRET_FILES_H
#define NOVA_TESTS_SECRET_FILES_H

#include "unit/test.h"

/* Whether a file below the directory has the text: as it is, in base64 (wherever it begins there),
 * or in hexadecimal digits. */
static inline bool secret_in_files(const char *directory, const char *text)
{
	static const char search[] =
		"import base64, mmap, os, sys\n"
		"value = sys.argv[2].encode()\n"
		"forms = [value, value.hex().encode(), value.hex().upper().encode()]\n"
		"for skip in range(3):\n"
		"    code = base64.b64encode(b'-' * skip + value)\n"
		"    forms.append(code[4 if skip else 0:-4])\n"
		"for root, _, names in os.walk(sys.argv[1]):\n"
		"    for name in names:\n"
		"        path = os.path.join(root, name)\n"
		"        if not os.path.isfile(path) or not os.path.getsize(path):\n"
		"            continue\n"
		"        with open(path, 'rb') as file:\n"
		"            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
		"            if any(data.find(form) >= 0 for form in forms):\n"
		"                print(f'# {path} has it', flush=True)\n"
		"                sys.exit(1)\n";
	AUTO_FREE char *command =
		str_format("python3 -c \"%s\" '%s' '%s'", search, directory, text);
	int status = system(command);
	ck_assert(status == 0 || status == 1 << 8);
	return status != 0;
}

#endif
