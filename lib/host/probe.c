/* SPDX-License-Identifier: MIT */
/* Which engines can be used here, which one is, and why. */
#include "host/host.h"
#include "keeper/cgroup.h"

#define MAX_ENGINES 8

struct nova_probe {
	struct engine_report reports[MAX_ENGINES];
	size_t count;
	int choice;
	char *choice_reason;
	char *kvm;
	const char *unlimited; /* static; NULL: memory can be limited */
	char *not_hot;
};

static char *describe_kvm(const struct kvm_fitness *kvm)
{
	double millions = (double)kvm->instructions_per_s / 1e6;
	char *closed;
	if (kvm->pvm && kvm->state == KVM_UNFIT)
		return str_format(
			"KVM here is kvm_pvm, which needs no virtualisation by the processor, but "
			"runs only kernels that are built as its guests (CONFIG_PVM_GUEST), and "
			"interprets all others (a test guest ran at %.1f million instructions a "
			"second); auto treats it as absent: give VMs such a kernel and set engine "
			"to firecracker or qemu.accel to kvm, or use a host with VT-x or AMD-V",
			millions);
	switch (kvm->state) {
	case KVM_FIT:
		return str_format(
			"KVM is fit: a test guest ran at %.0f million instructions a second",
			millions);
	case KVM_UNFIT:
		return str_format("KVM exists but is not fit: a test guest ran at %.1f million "
				  "instructions a second, slower than emulation (a nested host "
				  "that interprets guests); it is treated as absent",
			millions);
	case KVM_DENIED:
		closed = kvm_is_closed(kvm);
		return closed ? closed : strdup("KVM: this user may not open /dev/kvm");
	default:
		return strdup("KVM is absent: no usable /dev/kvm (enable virtualisation in the "
			      "firmware, or nested virtualisation on the outer host)");
	}
}

/* Of all that isolate, qemu needs the least. */
static char *why_none(const nova_probe_t *probe)
{
	for (size_t i = 0; i < probe->count; i++)
		if (!strcmp(all_engines[i]->name, "qemu"))
			return str_format("no engine that isolates can be used here; qemu: %s",
				probe->reports[i].reason);
	return strdup("no engine that isolates is part of this libnova");
}

/* `auto` never takes an engine that isolates less than a VM. */
static void choose(nova_probe_t *probe, const char *wanted)
{
	bool automatic = !strcmp(wanted, "auto");
	probe->choice = -1;
	for (size_t i = 0; i < probe->count; i++) {
		const struct engine_report *report = &probe->reports[i];
		bool eligible = automatic ? (report->features & NOVA_FEATURE_ISOLATES) != 0 :
					    !strcmp(all_engines[i]->name, wanted);
		if (!eligible)
			continue;
		if (report->usable) {
			probe->choice = (int)i;
			probe->choice_reason = str_format("%s was chosen %s: %s",
				all_engines[i]->name,
				automatic ? "as the first usable engine" : "by the setting engine",
				report->reason);
			return;
		}
		if (!automatic) {
			probe->choice_reason = str_format(
				"the engine %s, which the setting engine names, cannot be used: %s",
				wanted, report->reason);
			return;
		}
	}
	probe->choice_reason =
		automatic ? why_none(probe) :
			    str_format("there is no engine '%s' in this libnova", wanted);
}

void nova_probe_free(nova_probe_t *probe)
{
	if (!probe)
		return;
	for (size_t i = 0; i < probe->count; i++)
		engine_report_done(&probe->reports[i]);
	free(probe->choice_reason);
	free(probe->kvm);
	free(probe->not_hot);
	free(probe);
}

/* NULL: there is none. */
static const char *hot_obstacle(const struct engine_env *env, int choice)
{
	const struct engine_ops *ops = choice < 0 ? NULL : all_engines[choice];
	if (!ops || !ops->fork_obstacle)
		return "no engine is used that can fork the process of a microVM";
	return ops->fork_obstacle(env, false);
}

static int fill(nova_host_t *host, nova_probe_t *probe, nova_error_t **error)
{
	const struct engine_env *env = host_engine_env(host);
	for (size_t i = 0; all_engines[i] && i < MAX_ENGINES; i++) {
		probe->count = i + 1;
		int code = all_engines[i]->probe(env, &probe->reports[i], error);
		if (code < 0)
			return code;
	}
	for (size_t i = 0; i < probe->count && link_ready(NULL) < 0; i++)
		probe->reports[i].features &= ~(NOVA_FEATURE_NETWORK | NOVA_FEATURE_NET_LIMITS);
	probe->unlimited = cgroup_obstacle();
	probe->kvm = describe_kvm(&env->kvm);
	choose(probe, config_str(env->config, "engine"));
	const char *obstacle = hot_obstacle(env, probe->choice);
	probe->not_hot = strdup(obstacle ? obstacle : "");
	return probe->kvm && probe->choice_reason && probe->not_hot ? 0 : nova_oom(error);
}

int nova_engine_probe(nova_host_t *host, nova_probe_t **ret_probe, nova_error_t **error)
{
	if (ANY_NULL(error, host, ret_probe))
		return NOVA_EINVAL;
	int code = host_check_process(host, error);
	if (code < 0)
		return code;
	nova_probe_t *probe = calloc(1, sizeof(*probe));
	if (!probe)
		return nova_oom(error);
	code = fill(host, probe, error);
	if (code < 0)
		nova_probe_free(probe);
	else
		*ret_probe = probe;
	return code;
}

/* Probing starts the engines' programs, so a VM is started without: the engine's own start says
 * what is missing. */
static const struct engine_ops *preferred(nova_host_t *host)
{
	const struct engine_env *env = host_engine_env(host);
	for (size_t i = 0; all_engines[i]; i++)
		if (all_engines[i]->is_preferred && all_engines[i]->is_preferred(env))
			return all_engines[i];
	return &qemu_engine;
}

int host_choose_engine(nova_host_t *host, const char *name, const struct engine_ops **ret_ops,
	nova_error_t **error)
{
	const char *wanted = name && *name ? name : config_str(host_config(host), "engine");
	if (!strcmp(wanted, "auto")) {
		*ret_ops = preferred(host);
		log_info(host_log(host), "engine", "%s was chosen by auto", (*ret_ops)->name);
		return 0;
	}
	*ret_ops = engine_find(wanted);
	if (*ret_ops)
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"there is no engine '%s' in this libnova; firecracker, qemu and fake are there",
		wanted);
}

size_t nova_probe_count(const nova_probe_t *probe)
{
	return probe ? probe->count : 0;
}

const char *nova_probe_engine(const nova_probe_t *probe, size_t i)
{
	return i < nova_probe_count(probe) ? all_engines[i]->name : NULL;
}

static const struct engine_report nothing = { .accelerator = "none" };

static const struct engine_report *report_of(const nova_probe_t *probe, size_t i)
{
	return i < nova_probe_count(probe) ? &probe->reports[i] : &nothing;
}

static const char *text_of(const char *text)
{
	return text ? text : "";
}

int nova_probe_usable(const nova_probe_t *probe, size_t i)
{
	return report_of(probe, i)->usable;
}

const char *nova_probe_reason(const nova_probe_t *probe, size_t i)
{
	return text_of(report_of(probe, i)->reason);
}

const char *nova_probe_advice(const nova_probe_t *probe, size_t i)
{
	return text_of(report_of(probe, i)->advice);
}

const char *nova_probe_version(const nova_probe_t *probe, size_t i)
{
	return text_of(report_of(probe, i)->version);
}

const char *nova_probe_binary(const nova_probe_t *probe, size_t i)
{
	return text_of(report_of(probe, i)->binary);
}

const char *nova_probe_accelerator(const nova_probe_t *probe, size_t i)
{
	return report_of(probe, i)->accelerator;
}

uint32_t nova_probe_features(const nova_probe_t *probe, size_t i)
{
	return report_of(probe, i)->features;
}

int nova_probe_choice(const nova_probe_t *probe)
{
	return probe ? probe->choice : -1;
}

const char *nova_probe_choice_reason(const nova_probe_t *probe)
{
	return probe ? probe->choice_reason : "";
}

const char *nova_probe_unlimited(const nova_probe_t *probe)
{
	return text_of(probe ? probe->unlimited : NULL);
}

const char *nova_probe_not_hot(const nova_probe_t *probe)
{
	return text_of(probe ? probe->not_hot : NULL);
}

const char *nova_probe_kvm(const nova_probe_t *probe)
{
	return probe ? probe->kvm : "";
}
