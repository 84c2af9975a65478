/* SPDX-License-Identifier: MIT */
/*
 * The door of boot: the machine around the agent, made ready as PID 1, and made another one in each
 * clone.
 */
#ifndef NOVA_AGENT_BOOT_H
#define NOVA_AGENT_BOOT_H

#include <limits.h>

#include "agent/io/io.h"

#define FUNCTION_UID  1000 /* functions are this user, and group, in a guest */
#define FUNCTION_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ENTROPY_MAX   1024

/* Where the agent runs. */
struct guest {
	bool pid1; /* else it is a plain process, and the machine is somebody else's */
	char code_dir[PATH_MAX - 256], input_dir[PATH_MAX - 256];
	const char *temp_dir;
	const char *root; /* device of the root filesystem, or "none" */
	const char *kv;   /* socket at which functions ask for what they keep; NULL: none */
	bool code_later;  /* the code disk is a placeholder, until Init */
	char *missing;    /* why no function can run here, for Ready; NULL: all is well */
};

/* --- boot.c --- */

/* All that PID 1 has to do before it can serve; it goes on with what it can without the rest. */
void boot(struct guest *guest, struct channel *channel);
/* What functions may use of the memory that is free now. */
uint64_t boot_function_memory(void);
_Noreturn void boot_end(void);

/* --- device.c --- */

/* The kernel announces devices on it; opened before the modules are loaded, so nothing is missed.
 */
int device_events(void);
/* Until it is there, or the time is over. */
bool device_wait(int events, bool (*there)(void *), void *what, int ms);
/* Whether a virtio device of this kind exists, with or without its driver. */
bool device_exists(unsigned virtio_id);

/* --- root.c; both return what is wrong (freed by the caller), or NULL --- */

char *root_enter(struct guest *guest, int events);
/* The code disk that was put in the place of an empty one is looked at now. */
char *code_arrive(struct guest *guest);

/* --- net.c --- */

/* What eth0 is to be, as texts. address "": nothing is changed. */
struct net_order {
	char address[20], gateway[16], mac[18]; /* 172.30.0.2/24, 172.30.0.1, 02:fc:00:1e:00:02 */
	char nameservers[64];                   /* with spaces between */
};

/* What is wrong (freed by the caller), or NULL. */
char *net_set(const struct net_order *order);

/* --- resume.c --- */

/* What makes a clone somebody of its own. Empty: left as it is. */
struct resume_order {
	struct buf entropy;
	int64_t unix_us;
	char hostname[65], machine_id[65];
	struct net_order net;
};

/* Kept open for the next Resume. */
struct identity {
	bool random_open;
	int random;
	char *machine; /* /run/machine-id, mapped; NULL: not yet */
	size_t machine_len;
};

/* Both return what is wrong (freed by the caller), or NULL. */
char *resume_guest(struct identity *self, const struct resume_order *order);
char *resume_read(json_t *payload, struct resume_order *order);
/* The short way; false: take the other one. `id` receives the request_id. */
bool resume_scan(const char *text, size_t len, struct resume_order *order, char id[MAX_ID + 1]);
void resume_order_done(struct resume_order *order);

#endif
