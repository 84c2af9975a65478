/* SPDX-License-Identifier: MIT */
/* Any bytes as what QEMU says on its monitor, and prints of its version: each command comes to an
 * end, with a reason where it fails. */
#include <assert.h>
#include <sys/socket.h>

#include "engine/qemu/qemu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void ended(int code, nova_error_t **error)
{
	assert(code == 0 || code == NOVA_EENGINE || code == NOVA_ENOMEM);
	assert((code == 0) == (*error == NULL));
	assert(!*error || text_is_utf8(nova_error_message(*error)));
	nova_error_free(STEAL(*error));
}

static void talk(int fd)
{
	struct qmp q;
	nova_error_t *error = NULL;
	json_t *value = NULL;
	/* the other side has ended: nothing is waited for */
	uint64_t deadline = deadline_in_ms(5000);
	qmp_init(&q, fd);
	ended(qmp_hello(&q, deadline, &error), &error);
	ended(qmp_post(&q, "cont", &error), &error);
	ended(qmp_do(&q, "add-fd", NULL, deadline, &value, &error), &error);
	json_decref(value);
	ended(qmp_await_loaded(&q, deadline, &error), &error);
	qmp_done(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int pair[2];
	struct qemu_version v;
	AUTO_FREE char *line = strndup((const char *)data, len);
	if (qemu_version_parse(line, &v))
		assert(v.major <= 9999 && v.minor <= 9999 && v.patch <= 9999);
	assert(sys_socketpair(SOCK_STREAM, pair) == 0);
	sys_send(pair[1], data, len, MSG_DONTWAIT);
	sys_shutdown_write(pair[1]);
	talk(pair[0]);
	fd_close(pair[1]);
	return 0;
}
