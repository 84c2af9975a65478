/* SPDX-License-Identifier: MIT */
/* KVM of this host: whether it is there, may be used, and is fast enough. */
#ifndef NOVA_LIB_ENGINE_KVM_H
#define NOVA_LIB_ENGINE_KVM_H

#include "base/base.h"

/* How fast guests really run under /dev/kvm (kvm.c). */
enum kvm_state {
	KVM_ABSENT = 0, /* no device, or not a usable one */
	KVM_DENIED,     /* no rights to open it */
	KVM_UNFIT,      /* works, but interprets guests: slower than emulation */
	KVM_FIT,
};
struct kvm_fitness {
	enum kvm_state state;
	uint64_t instructions_per_s; /* measured; 0 if it could not be */
	int os_error;                /* why it could not be opened; 0: it could */
	/* kvm_pvm: runs only kernels that are made for it, and is never fit for others */
	bool pvm;
};
/* The measurement takes 20 ms, which a short-lived host program need not spend each time: it is
 * kept in the file `memory` (NULL: nowhere) until the next boot. Rights are looked at each time. */
void kvm_measure(const char *memory, struct kvm_fitness *ret);

/* Whether what is behind /dev/kvm is kvm_pvm; below `root` ("" for this host) (kvm_host.c). */
bool kvm_is_pvm(const char *root);
/* The sentence for one who may not open the device, with the way out: this process, or a VMM that
 * is given a user without rights. Caller frees; NULL: no memory. */
struct stat;
char *kvm_closed(const struct stat *device, bool is_vmm);
/* The one for this process, if it may not. */
char *kvm_is_closed(const struct kvm_fitness *kvm);

#endif
