/* SPDX-License-Identifier: MIT */
/* How the guest begins, and how it ends. It is entered in 32-bit mode, by PVH, with the start info
 * in ebx (the note says where), or in 64-bit mode, with the boot parameters of Linux in rsi. */
	.section .note.xen, "a", @note
	.balign 4
	.long 4, 4, 18 /* the lengths of name and content; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long enter32

	.section .text.start, "ax"
	.code32
enter32:
	cli
	mov $tables, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x20, %eax /* PAE */
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax /* EFER.LME: long mode */
	wrmsr
	lgdt gdt_pointer
	mov %cr0, %eax
	or $0x80000001, %eax /* paging, protection */
	mov %eax, %cr0
	ljmp $8, $have64
	.code64
have64:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %ebx, %edi
	xor %esi, %esi
	jmp begin

	.globl enter64
enter64:
	cli
	mov $tables, %eax
	mov %rax, %cr3
	xor %edi, %edi
begin:
	cld
	mov $stack_top, %esp
	call guest_main

/* Ends the guest: by the keyboard's controller, where there is one, else by a fault. */
	.globl guest_end
guest_end:
	mov $0xfe, %al
	out %al, $0x64
	.globl guest_fault
guest_fault:
	lidt no_interrupts
	ud2

	.section .data
	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
no_interrupts:
	.word 0
	.quad 0

/* The first GB, and the fourth, where the devices are, as they are, in pages of 2 MB. */
	.macro gigabyte from
	.set page, \from
	.rept 512
	.quad page | 0x83
	.set page, page + 0x200000
	.endr
	.endm
	.balign 4096
tables:	.quad below4 + 3
	.fill 511, 8, 0
below4:	.quad first + 3, 0, 0, fourth + 3
	.fill 508, 8, 0
first:	gigabyte 0
fourth:	gigabyte 0xc0000000

	.section .bss
	.balign 16
	.skip 16384
stack_top:
