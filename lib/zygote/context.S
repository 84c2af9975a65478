/* SPDX-License-Identifier: MIT */
/* What C cannot say about threads of x86-64. */
	.text

/* A handler of ours returns here; the C library's own way is not exported. */
	.globl	context_restorer
	.hidden	context_restorer
	.type	context_restorer, @function
context_restorer:
	mov	$15, %eax		/* rt_sigreturn */
	syscall
	hlt
	.size	context_restorer, . - context_restorer

/* void context_resume(void *frame): goes on where a signal interrupted the thread whose frame the
 * kernel has made; with the mask and the alternate stack that the frame holds. */
	.globl	context_resume
	.hidden	context_resume
	.type	context_resume, @function
context_resume:
	mov	%rdi, %rsp
	mov	$15, %eax
	syscall
	hlt
	.size	context_resume, . - context_resume

/* long context_clone(unsigned long flags, void *stack_end, int *tid, uintptr_t tls, void *argument,
 * void (*function)(void *)): a thread that calls the function on that stack, which never returns. */
	.globl	context_clone
	.hidden	context_clone
	.type	context_clone, @function
context_clone:
	sub	$16, %rsi
	mov	%r8, (%rsi)
	mov	%r9, 8(%rsi)
	mov	%rdx, %r10
	mov	%rcx, %r8
	mov	$56, %eax		/* clone */
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	xor	%ebp, %ebp
	mov	(%rsp), %rdi
	call	*8(%rsp)
	hlt
	.size	context_clone, . - context_clone

	.section .note.GNU-stack, "", @progbits
