/* SPDX-License-Identifier: MIT */
/* Is there a QEMU that can be used here, and with what? */
#include "engine/qemu/qemu.h"

#define LEAST_MAJOR 7
#define LEAST_MINOR 2
#define PATIENCE    10000u /* ms */

/* The first line of `qemu --version`, with a few seconds to answer. */
static int ask_version(
	const struct engine_env *env, const char *binary, char **ret_line, nova_error_t **error)
{
	struct program_answer answer;
	const char *const argv[] = { binary, "--version", NULL };
	int code = keeper_run(env->keeper, argv, PATIENCE, &answer, error);
	if (code < 0)
		return code;
	if (answer.status != 0 || !*answer.line)
		return nova_fail(error, NOVA_EENGINE, "'%s --version' does not work%s", binary,
			answer.ended ? "" : ": no answer in 10 s");
	*ret_line = strdup(answer.line);
	return *ret_line ? 0 : nova_oom(error);
}

/* What stands behind "version "; the third number may be missing. */
bool qemu_version_parse(const char *line, struct qemu_version *ret)
{
	const char *at = strstr(line, "version ");
	struct qemu_version v = { 0 };
	if (!at)
		return false;
	at += strlen("version ");
	if (!str_take_number(&at, &v.major) || *at++ != '.' || !str_take_number(&at, &v.minor))
		return false;
	if (*at == '.' && (at++, !str_take_number(&at, &v.patch)))
		return false;
	*ret = v;
	return true;
}

static char *describe(const struct engine_report *report, bool kvm, const struct qemu_kvm *tried)
{
	if (kvm)
		return str_format("QEMU %s with KVM", report->version);
	return str_format("QEMU %s with TCG emulation: works everywhere, but is slower, and no "
			  "security boundary against hostile code by QEMU's own policy%s%s",
		report->version, tried->why ? "; KVM is not used because " : "",
		tried->why ? nova_error_message(tried->why) : "");
}

static int fill_usable(
	const struct engine_env *env, struct engine_report *report, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	const char *cpu;
	int code = qemu_cpu(env, &cpu, &why);
	bool kvm = cpu != NULL;
	if (code_is_refusal(code)) {
		error_copy(error, why);
		return code;
	}
	report->usable = code == 0;
	report->accelerator = code < 0 ? "none" : kvm ? "kvm" : "tcg";
	report->features = QEMU_FEATURES | (kvm ? NOVA_FEATURE_HARDWARE : 0);
	report->reason =
		code < 0 ? strdup(nova_error_message(why)) : describe(report, kvm, env->qemu_kvm);
	if (code == 0 && !kvm)
		report->advice =
			strdup("use a host with fit KVM before running code that you do not trust");
	return report->reason ? 0 : nova_oom(error);
}

int qemu_probe(const struct engine_env *env, struct engine_report *report, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	AUTO_FREE char *line = NULL;
	report->accelerator = "none";
	int code = qemu_binary(env, &report->binary, &why);
	if (code == 0)
		code = ask_version(env, report->binary, &line, &why);
	if (code_is_refusal(code)) {
		if (error)
			*error = STEAL(why);
		return code;
	}
	if (code < 0) {
		report->reason = strdup(nova_error_message(why));
		report->advice = strdup("apt-get install qemu-system-x86");
		return report->reason ? 0 : nova_oom(error);
	}
	struct qemu_version v;
	if (!qemu_version_parse(line, &v) || v.major < LEAST_MAJOR ||
		(v.major == LEAST_MAJOR && v.minor < LEAST_MINOR)) {
		report->reason = str_format("'%s' is too old or no QEMU (%s); %d.%d is needed",
			report->binary, line, LEAST_MAJOR, LEAST_MINOR);
		report->advice = strdup("install the QEMU of Debian 12 or later");
		return report->reason ? 0 : nova_oom(error);
	}
	report->version = str_format("%u.%u.%u", v.major, v.minor, v.patch);
	return report->version ? fill_usable(env, report, error) : nova_oom(error);
}
