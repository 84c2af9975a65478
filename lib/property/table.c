/* SPDX-License-Identifier: MIT */
/* The one table of properties, in the order in which they are shown. */
#include <stddef.h>

#include <nova/function.h>
#include <nova/instance.h>

#include "net/net.h"
#include "property/property.h"

#define ENV_MAX      (64u << 10)
#define LABELS_MAX   (5u << 10) /* 16 of 320 */
#define PREOPENS_MAX (16u << 10)

static const char *const networks[] = { [NET_NONE] = "none", [NET_NAT] = "nat", NULL };

#define PUBLIC(member)                                                                             \
	.size = sizeof(nova_property), .name = #member,                                            \
	.offset = offsetof(nova_function_opts, member)
#define OF_MACHINE(member)                                                                         \
	.of_machine = true, .at = offsetof(struct function_config, machine.member),                \
	.in_vm = offsetof(nova_vm_opts, member)
#define OF_FUNCTION(member)      .at = offsetof(struct function_config, member)
#define ALSO_IN_INIT(member)     .in_init = offsetof(nova_vm_init_opts, member)
#define ALSO_IN_INSTANCE(member) .in_instance = offsetof(nova_instance_opts, member)

/* clang-format off */
const struct property properties[] = {
	{
		.is = { PUBLIC(runtime), .type = NOVA_PROPERTY_TEXT, .since = "0.1",
			.label = "Runtime", .option = "runtime", .letter = "r", .value = "NAME",
			.help = "python, node, go, rust, wasm, shell, binary, or one of your\n"
				"own (required)" },
		OF_FUNCTION(runtime), ALSO_IN_INIT(runtime),
		.json = "runtime", .schema = 1, .check = check_runtime,
	}, {
		.is = { PUBLIC(handler), .type = NOVA_PROPERTY_TEXT, .since = "0.1",
			.label = "Handler", .option = "handler", .letter = "H", .value = "NAME",
			.help = "module and function, as in app.api.run [main.handler, else\n"
				"main.lambda_handler, else the file is a script]" },
		OF_FUNCTION(handler), ALSO_IN_INIT(handler),
		.json = "handler", .none = "main.handler", .schema = 1,
		.check = check_handler, .same = same_handler,
	}, {
		.is = { PUBLIC(memory_mb), .type = NOVA_PROPERTY_U32, .unit = NOVA_UNIT_MB,
			.least = 64, .most = 65536, .standard = MEMORY_MB_STANDARD, .since = "0.1",
			.label = "Memory", .option = "memory", .letter = "m", .value = "MB",
			.help = "memory of the VM (python: from 96)" },
		OF_MACHINE(memory_mb), ALSO_IN_INSTANCE(memory_mb), .least_of_vm = 32,
		.json = "memory_mb", .schema = 1,
	}, {
		.is = { PUBLIC(timeout_s), .type = NOVA_PROPERTY_U32, .unit = NOVA_UNIT_SECONDS,
			.least = 1, .most = 86400, .standard = 30, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE,
			.label = "Timeout", .option = "timeout", .letter = "t", .value = "SECONDS",
			.help = "time limit of one call" },
		OF_FUNCTION(timeout_s), .json = "timeout_s", .schema = 1,
	}, {
		.is = { PUBLIC(init_timeout_s), .type = NOVA_PROPERTY_U32,
			.unit = NOVA_UNIT_SECONDS, .most = 86400, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE,
			.label = "Init timeout", .option = "init-timeout", .letter = "",
			.value = "SECONDS",
			.help = "time limit of its import (0: the timeout, at least 30)" },
		OF_FUNCTION(init_timeout_s), .json = "init_timeout_s", .schema = 4,
	}, {
		.is = { PUBLIC(vcpus), .type = NOVA_PROPERTY_U32,
			.least = 1, .most = 32, .standard = 1, .since = "0.1",
			.label = "vCPUs", .option = "vcpus", .letter = "", .value = "N",
			.help = "processors of the VM" },
		OF_MACHINE(vcpus), ALSO_IN_INSTANCE(vcpus), .json = "limits.vcpus", .schema = 1,
	}, {
		.is = { PUBLIC(min_replicas), .type = NOVA_PROPERTY_U32,
			.least = 0, .most = 1000, .standard = 0, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE | NOVA_PROPERTY_BESIDE,
			.label = "Min replicas", .option = "min-replicas", .letter = "",
			.value = "N",
			.help = "VMs that a daemon keeps warm" },
		OF_FUNCTION(min_replicas), .json = "min_replicas", .schema = 1,
	}, {
		.is = { PUBLIC(concurrency), .type = NOVA_PROPERTY_U32,
			.least = 1, .most = 16, .standard = 1, .since = "0.1",
			.label = "Concurrency", .option = "concurrency", .letter = "", .value = "N",
			.help = "calls at once in one VM" },
		OF_FUNCTION(concurrency), ALSO_IN_INIT(concurrency),
		.json = "concurrency", .schema = 2,
	}, {
		.is = { PUBLIC(network), .type = NOVA_PROPERTY_CHOICE, .choices = networks,
			.most = ARRAY_LEN(networks) - 2, .since = "0.1",
			.features = NOVA_FEATURE_NETWORK,
			.label = "Network", .option = "network", .letter = "", .value = "KIND",
			.help = "none, or nat: the way out to this host's network (root)" },
		OF_MACHINE(network), .json = "network", .schema = 3,
	}, {
		.is = { PUBLIC(disk_iops), .type = NOVA_PROPERTY_U64, .unit = NOVA_UNIT_OPERATIONS,
			.most = INT64_MAX, .since = "0.1", .features = NOVA_FEATURE_DISK_LIMITS,
			.label = "Disk IOPS", .option = "disk-iops", .letter = "", .value = "N",
			.help = "operations a second on its disk" },
		OF_MACHINE(disk_iops), .json = "limits.disk_iops", .schema = 1,
	}, {
		.is = { PUBLIC(disk_bandwidth), .type = NOVA_PROPERTY_U64, .unit = NOVA_UNIT_BYTES,
			.most = INT64_MAX, .since = "0.1", .features = NOVA_FEATURE_DISK_LIMITS,
			.label = "Disk bandwidth", .option = "disk-bandwidth", .letter = "",
			.value = "BYTES", .help = "bytes a second on its disk" },
		OF_MACHINE(disk_bandwidth), .json = "limits.disk_bandwidth", .schema = 1,
	}, {
		.is = { PUBLIC(net_rx_bandwidth), .type = NOVA_PROPERTY_U64,
			.unit = NOVA_UNIT_BYTES,
			.most = INT64_MAX, .since = "0.1", .features = NOVA_FEATURE_NET_LIMITS,
			.label = "Net RX bandwidth", .option = "net-rx-bandwidth", .letter = "",
			.value = "BYTES", .help = "bytes a second into the VM" },
		OF_MACHINE(net_rx_bandwidth), .json = "limits.net_rx_bandwidth", .schema = 1,
	}, {
		.is = { PUBLIC(net_tx_bandwidth), .type = NOVA_PROPERTY_U64,
			.unit = NOVA_UNIT_BYTES,
			.most = INT64_MAX, .since = "0.1", .features = NOVA_FEATURE_NET_LIMITS,
			.label = "Net TX bandwidth", .option = "net-tx-bandwidth", .letter = "",
			.value = "BYTES", .help = "bytes a second out of the VM" },
		OF_MACHINE(net_tx_bandwidth), .json = "limits.net_tx_bandwidth", .schema = 1,
	}, {
		.is = { PUBLIC(env), .type = NOVA_PROPERTY_LIST, .most = ENV_MAX, .since = "0.1",
			.label = "Env", .option = "env", .letter = "e", .value = "NAME=VALUE",
			.help = "variable of its environment; repeatable" },
		OF_FUNCTION(env), ALSO_IN_INIT(env), .most_bytes = ENV_MAX,
		.json = "env_vars", .schema = 1, .check = check_env,
	}, {
		.is = { PUBLIC(labels), .type = NOVA_PROPERTY_LIST, .most = 16, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE | NOVA_PROPERTY_BESIDE,
			.label = "Label", .option = "label", .letter = "", .value = "KEY=VALUE",
			.help = "label for lists and bills; repeatable, at most 16" },
		OF_FUNCTION(labels), .most_bytes = LABELS_MAX,
		.json = "labels", .schema = 5, .check = check_labels,
	}, {
		.is = { PUBLIC(preopens), .type = NOVA_PROPERTY_LIST, .most = 16, .since = "0.1",
			.label = "Preopen", .option = "preopen", .letter = "",
			.value = "NAME=DIRECTORY",
			.help = "wasm: the guest's directory that the module opens as NAME;\n"
				"repeatable [/code and .]" },
		OF_FUNCTION(preopens), ALSO_IN_INIT(preopens), .most_bytes = PREOPENS_MAX,
		.json = "preopens", .schema = 7, .check = check_preopens,
	}, {
		.is = { PUBLIC(rehearse), .type = NOVA_PROPERTY_TEXT, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE,
			.label = "Rehearse", .option = "rehearse", .letter = "", .value = "JSON",
			.help = "an input that it is called with ahead, without network and\n"
				"secrets, so that starts by a fork are faster" },
		OF_FUNCTION(rehearse), .json = "rehearse", .schema = 16, .check = check_rehearse,
	},
	{
		.is = { PUBLIC(rate), .type = NOVA_PROPERTY_U32, .unit = NOVA_UNIT_CALLS,
			.most = RATE_MOST, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE | NOVA_PROPERTY_BESIDE,
			.label = "Rate", .option = "rate", .letter = "", .value = "N",
			.help = "calls of it that may begin in each --rate-period (0: no limit)" },
		OF_FUNCTION(rate), .json = "limits.rate", .schema = 18,
	}, {
		.is = { PUBLIC(rate_period_ms), .type = NOVA_PROPERTY_U32,
			.unit = NOVA_UNIT_MILLISECONDS, .most = RATE_PERIOD_MOST, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE | NOVA_PROPERTY_BESIDE,
			.label = "Rate period", .option = "rate-period", .letter = "",
			.value = "TIME",
			.help = "in which its rate may be used (0: a second)" },
		OF_FUNCTION(rate_period_ms), .json = "limits.rate_period_ms", .schema = 18,
	}, {
		.is = { PUBLIC(rate_burst), .type = NOVA_PROPERTY_U32, .unit = NOVA_UNIT_CALLS,
			.most = RATE_MOST, .since = "0.1",
			.flags = NOVA_PROPERTY_PER_CLONE | NOVA_PROPERTY_BESIDE,
			.label = "Rate burst", .option = "rate-burst", .letter = "", .value = "N",
			.help = "calls at once after a pause (0: as --rate)" },
		OF_FUNCTION(rate_burst), .json = "limits.rate_burst", .schema = 18,
	},
	/* Of functions, which have them by their runtime. */
	{
		.is = { .name = "image", .type = NOVA_PROPERTY_TEXT },
		OF_FUNCTION(image), .schema = 6, .check = check_image,
	}, {
		.is = { .name = "protocol", .type = NOVA_PROPERTY_TEXT },
		OF_FUNCTION(protocol), .schema = 6,
	}, {
		.is = { .name = "argv", .type = NOVA_PROPERTY_LIST, .most = ARGV_MOST },
		OF_FUNCTION(argv), .most_bytes = ARGV_MAX, .ordered = true, .schema = 6,
	},
	/* Of a machine only: a function has them by its runtime and its code. */
	{
		.is = { .name = "rootfs", .type = NOVA_PROPERTY_TEXT }, OF_MACHINE(rootfs),
	}, {
		.is = { .name = "code_disk", .type = NOVA_PROPERTY_TEXT,
			.flags = NOVA_PROPERTY_PER_CLONE, },
		OF_MACHINE(code_disk),
	},
	{ .is = { .name = NULL } },
};
/* clang-format on */

const struct property *property_find(const char *name)
{
	FOR_EACH_PROPERTY(p)
	if (!strcmp(p->is.name, name))
		return p;
	return NULL;
}

const nova_property *nova_property_get(size_t index)
{
	FOR_EACH_PROPERTY(p)
	if (p->is.offset && index-- == 0)
		return &p->is;
	return NULL;
}
