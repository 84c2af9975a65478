/* SPDX-License-Identifier: MIT */
/**
 * @file nova/nova.h
 * Everything. Begin with nova/function.h (register and invoke), or with nova/vm.h if you want a VM
 * and nothing else; nova/base.h holds the conventions for errors, ownership and options.
 */
#ifndef NOVA_NOVA_H
#define NOVA_NOVA_H

#include <nova/base.h>
#include <nova/call.h>
#include <nova/config.h>
#include <nova/disk.h>
#include <nova/engine.h>
#include <nova/function.h>
#include <nova/host.h>
#include <nova/image.h>
#include <nova/instance.h>
#include <nova/interrupt.h>
#include <nova/module.h>
#include <nova/pool.h>
#include <nova/property.h>
#include <nova/proto.h>
#include <nova/result.h>
#include <nova/snapshot.h>
#include <nova/vm.h>

#endif
