/* SPDX-License-Identifier: MIT */
/*
 * Private to the room: machine code of modules of WebAssembly, which takes seconds to make.
 *
 * The compiler is that of the guest. The first Init of some code compiles it, before anything of
 * the code has run, and what came of it is kept in a directory of that code; guests that come later
 * are given it.
 *
 *     directory / KEY-CHECKSUM
 *
 * KEY stands for the compiler, which is in the root filesystem, and for the processor, which the
 * identity of the engine tells. So what another compiler made, or for another processor, is not
 * found, what is damaged is removed, and in both cases the guest compiles anew.
 */
#ifndef NOVA_LIB_VM_COMPILED_H
#define NOVA_LIB_VM_COMPILED_H

#include "vm/channel.h"

/* For who is alone in a guest, before and after its Init. `how`: deadline and stop. */

/* Whether the guest has been given machine code. What goes wrong is no failure: it compiles then,
 * or Init tells. */
bool compiled_give(nova_vm_t *vm, const char *directory, const struct vm_request *how);
/* Of an Init that has compiled. Without it the next guest compiles, too, which the log says. */
void compiled_keep(nova_vm_t *vm, const char *directory, const struct vm_request *how);

#endif
