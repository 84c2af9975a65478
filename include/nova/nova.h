/* SPDX-License-Identifier: MIT */
/**
 * @file nova/nova.h
 * All headers of libnova in one.
 *
 *     nova_open(NULL, &nova, &error);
 *     nova_invoke(nova, "hello", "{}", NULL, &result, &error);
 *     puts(nova_result_output(result, NULL));
 *     nova_result_free(result);
 *     nova_close(nova);
 *
 * Begin with nova/function.h to register functions and to call them, with nova/run.h for code that
 * is run once, or with nova/vm.h for a VM alone. nova/base.h has the rules for errors, ownership,
 * options and threads. docs/embedding.md is the guide for programs that use the library.
 */
#ifndef NOVA_NOVA_H
#define NOVA_NOVA_H

#include <nova/backup.h>
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
#include <nova/key.h>
#include <nova/invocation.h>
#include <nova/job.h>
#include <nova/kv.h>
#include <nova/module.h>
#include <nova/pool.h>
#include <nova/property.h>
#include <nova/proto.h>
#include <nova/rate.h>
#include <nova/result.h>
#include <nova/run.h>
#include <nova/runtime.h>
#include <nova/secret.h>
#include <nova/snapshot.h>
#include <nova/usage.h>
#include <nova/version.h>
#include <nova/vm.h>

#endif
