/* SPDX-License-Identifier: MIT */
/*
 * Is KVM fit? On some nested hosts the device opens and every call succeeds, but guests are
 * interpreted so slowly that Linux never gets up. So a tiny guest counts down a register in real
 * mode, in rounds, until 20 ms are over or it has proved itself.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "engine/kvm.h"

/* two instructions each: at most some ms even where it is a thousand times too slow */
#define ROUND_LOOPS  2000u
#define BUDGET_NS    20000000u
#define ENOUGH       4000000u  /* instructions after which a fast host need not go on */
#define FIT_PER_S    50000000u /* emulation does some hundred millions; real KVM thousands */
#define GUEST_MEMORY 4096u

/* mov cx, ROUND_LOOPS; 1: dec cx; jnz 1b; hlt; jmp 0 */
static const uint8_t guest_code[] = { 0xb9, ROUND_LOOPS & 0xff, ROUND_LOOPS >> 8, 0x49, 0x75, 0xfd,
	0xf4, 0xeb, 0xf7 };

struct tiny_vm {
	int kvm, vm, vcpu;
	void *memory;
	struct kvm_run *run;
	size_t run_size;
};

static void tiny_vm_done(struct tiny_vm *t)
{
	if (t->run)
		munmap(t->run, t->run_size);
	fd_close(t->vcpu);
	fd_close(t->vm);
	fd_close(t->kvm);
	if (t->memory)
		munmap(t->memory, GUEST_MEMORY);
}

static bool map_guest(struct tiny_vm *t)
{
	void *memory = mmap(
		NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	t->memory = memory;
	memcpy(memory, guest_code, sizeof(guest_code));
	struct kvm_userspace_memory_region region = {
		.memory_size = GUEST_MEMORY,
		.userspace_addr = (uint64_t)(uintptr_t)memory,
	};
	return ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

static bool make_vcpu(struct tiny_vm *t)
{
	int size = ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size <= 0 || (t->vcpu = ioctl(t->vm, KVM_CREATE_VCPU, 0)) < 0)
		return false;
	void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
	if (run == MAP_FAILED)
		return false;
	t->run = run;
	t->run_size = (size_t)size;
	struct kvm_sregs sregs;
	if (ioctl(t->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cs.base = sregs.cs.selector = 0;
	struct kvm_regs regs = { .rip = 0, .rflags = 2 };
	return ioctl(t->vcpu, KVM_SET_SREGS, &sregs) == 0 &&
	       ioctl(t->vcpu, KVM_SET_REGS, &regs) == 0;
}

static uint64_t count_instructions(struct tiny_vm *t, uint64_t *ret_ns)
{
	uint64_t done = 0, begin = clock_ns();
	do {
		if (ioctl(t->vcpu, KVM_RUN, 0) < 0 || t->run->exit_reason != KVM_EXIT_HLT)
			break;
		done += ROUND_LOOPS * 2;
		*ret_ns = clock_ns() - begin;
	} while (*ret_ns < BUDGET_NS && done < ENOUGH);
	return done;
}

/* Virtual registers that upstream's kvm_pvm has and nothing else; not all kinds of it do. */
static bool has_pvm_registers(int kvm)
{
	enum { FIRST = 0x4b564df0, LAST = 0x4b564dff, MOST = 1024 };
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MOST * sizeof(list->indices[0]));
	bool found = false;
	if (!list)
		return false;
	list->nmsrs = MOST;
	if (ioctl(kvm, KVM_GET_MSR_INDEX_LIST, list) == 0)
		for (uint32_t i = 0; i < list->nmsrs; i++)
			found |= list->indices[i] >= FIRST && list->indices[i] <= LAST;
	free(list);
	return found;
}

/* Instructions a second. */
static uint64_t measure_speed(struct tiny_vm *t)
{
	uint64_t ns = 1, done = 0;
	t->vm = ioctl(t->kvm, KVM_CREATE_VM, 0);
	if (t->vm >= 0 && map_guest(t) && make_vcpu(t))
		done = count_instructions(t, &ns);
	return done * 1000000000u / (ns ? ns : 1);
}

/* --- remembered --- */

/* What must be the same for an older measurement to hold: this boot of the host. */
static char *boot_id(void)
{
	AUTO_BUF struct buf text = BUF_INIT(256);
	if (fs_read_file("/proc/sys/kernel/random/boot_id", &text) < 0)
		return NULL;
	AUTO_FREE char *id = buf_steal_str(&text);
	return id ? str_format("%.36s", id) : NULL;
}

static bool recall(const char *memory, uint64_t *ret_speed)
{
	AUTO_BUF struct buf text = BUF_INIT(256);
	if (!memory || fs_read_file(memory, &text) < 0)
		return false;
	AUTO_FREE char *line = buf_steal_str(&text), *now = boot_id();
	unsigned long long speed;
	if (!line || !now || !str_starts(line, now) ||
		sscanf(line + strlen(now), " speed %llu", &speed) != 1)
		return false;
	*ret_speed = speed;
	return true;
}

static void remember(const char *memory, uint64_t speed)
{
	AUTO_FREE char *now = memory ? boot_id() : NULL;
	AUTO_FREE char *line =
		now ? str_format("%s speed %llu\n", now, (unsigned long long)speed) : NULL;
	if (line)
		fs_write_file(memory, line, strlen(line), 0600); /* else it is measured once more */
}

void kvm_measure(const char *memory, struct kvm_fitness *ret)
{
	struct tiny_vm t = { -1, -1, -1, NULL, NULL, 0 };
	*ret = (struct kvm_fitness){ .state = KVM_ABSENT, .pvm = kvm_is_pvm("") };
	t.kvm = sys_open("/dev/kvm", O_RDWR, 0);
	if (t.kvm < 0) {
		ret->os_error = -t.kvm;
		ret->state = nova_code_of_errno(t.kvm) == NOVA_EPERM ? KVM_DENIED : KVM_ABSENT;
		return;
	}
	ret->pvm |= has_pvm_registers(t.kvm);
	if (!recall(memory, &ret->instructions_per_s)) {
		ret->instructions_per_s = measure_speed(&t);
		if (ret->instructions_per_s) /* what fails may be mended */
			remember(memory, ret->instructions_per_s);
	}
	tiny_vm_done(&t);
	if (ret->instructions_per_s)
		ret->state =
			ret->instructions_per_s >= FIT_PER_S && !ret->pvm ? KVM_FIT : KVM_UNFIT;
}
