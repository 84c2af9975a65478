/* SPDX-License-Identifier: MIT */
/* Is there a Firecracker that can be used here, and with what? */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "engine/firecracker/firecracker.h"

#define PROGRAM "firecracker"
/* the default of the setting: one that is not there is no mistake of the user's */
#define STANDARD  "/usr/local/bin/firecracker"
#define INSTALLED "/opt/nova/bin/firecracker"
#define PATIENCE  10000u /* ms */
#define WHERE_FROM                                                                                 \
	"put a release binary of the project firecracker-microvm at " INSTALLED                    \
	", or set NOVA_FIRECRACKER to it"

int fc_binary(const struct engine_env *env, char **ret_path, nova_error_t **error)
{
	const char *configured = config_str(env->config, "firecracker.binary");
	bool there = *configured && access(configured, X_OK) == 0;
	if (*configured && !there && strcmp(configured, STANDARD))
		return nova_fail(error, NOVA_ENOTFOUND,
			"the setting firecracker.binary names '%s', which cannot be executed",
			configured);
	int r = there ? path_absolute(configured, ret_path) :
			path_search(PROGRAM, config_environment(env->config), ret_path);
	if (r == -ENOENT && !there) {
		if (access(INSTALLED, X_OK) < 0)
			return nova_fail(error, NOVA_ENOTFOUND,
				"Firecracker is not installed: no program " PROGRAM
				" in PATH, and no " INSTALLED);
		r = path_absolute(INSTALLED, ret_path);
	}
	return r < 0 ? nova_fail_os(error, r, "looking for " PROGRAM) : 0;
}

/* --- what it says of itself --- */

static int run(const struct engine_env *env, const char *binary, const char *option,
	char **ret_line, nova_error_t **error)
{
	struct program_answer answer;
	const char *const argv[] = { binary, option, NULL };
	int code = keeper_run(env->keeper, argv, PATIENCE, &answer, error);
	if (code < 0)
		return code;
	if (answer.status != 0 || !*answer.line)
		return nova_fail(error, NOVA_EENGINE, "'%s %s' does not work%s", binary, option,
			answer.ended ? "" : ": no answer in 10 s");
	*ret_line = strdup(answer.line);
	return *ret_line ? 0 : nova_oom(error);
}

/* The answer for exactly this program, by size and time. */
static char *memory_of(
	const struct engine_env *env, const char *binary, const char *option, char **ret_key)
{
	uint64_t size, changed;
	if (fs_stat(binary, &size, &changed) < 0)
		return NULL;
	*ret_key = str_format("%s %" PRIu64 " %" PRIu64 "\n", binary, size, changed);
	return str_format("%s/firecracker%s", env->run_dir, option);
}

/* Asked at each restore, and a process each time would cost more than the restore itself. */
int fc_ask(const struct engine_env *env, const char *binary, const char *option, char **ret_line,
	nova_error_t **error)
{
	AUTO_FREE char *key = NULL, *path = memory_of(env, binary, option, &key);
	AUTO_BUF struct buf known = BUF_INIT(16u << 10);
	if (path && key && fs_read_file(path, &known) == 0) {
		AUTO_FREE char *text = buf_steal_str(&known);
		if (text && str_starts(text, key)) {
			*ret_line = strdup(text + strlen(key));
			return *ret_line ? 0 : nova_oom(error);
		}
	}
	int code = run(env, binary, option, ret_line, error);
	AUTO_FREE char *text = code == 0 && path && key ? str_format("%s%s", key, *ret_line) : NULL;
	if (text)
		/* forgetting costs one more question */
		fs_write_file(path, text, strlen(text), 0600);
	return code;
}

/* --- the report --- */

bool fc_is_preferred(const struct engine_env *env)
{
	AUTO_FREE char *binary = NULL, *line = NULL;
	struct fc_version v;
	return env->kvm.state == KVM_FIT && fc_binary(env, &binary, NULL) == 0 &&
	       fc_ask(env, binary, "--version", &line, NULL) == 0 && fc_version_parse(line, &v) &&
	       fc_version_check(&v, NULL) == 0 && fc_api_ready(NULL) == 0;
}

static const char *why_no_kvm(const struct kvm_fitness *kvm)
{
	if (kvm->state == KVM_UNFIT && kvm->pvm)
		return "KVM here is kvm_pvm, which interprets kernels that are not built for it";
	if (kvm->state == KVM_UNFIT)
		return "KVM exists here but is not fit: it is slower than emulation";
	return kvm->state == KVM_DENIED ? "this user may not open /dev/kvm" :
					  "there is no KVM here";
}

static int describe(const struct engine_env *env, struct engine_report *report, const char *jailer)
{
	AUTO_FREE char *jail =
		jailer ? str_format("in the jail of '%s'", jailer) : strdup("without a jail");
	report->features = FC_FEATURES;
	report->usable = env->kvm.state == KVM_FIT;
	report->accelerator = report->usable ? "kvm" : "none";
	if (!jail)
		return NOVA_ENOMEM;
	report->reason =
		report->usable ?
			str_format("Firecracker %s with KVM, %s", report->version, jail) :
			str_format("Firecracker %s ('%s', %s) is there, but %s", report->version,
				report->binary, jail, why_no_kvm(&env->kvm));
	return report->reason ? fc_advice("", geteuid() == 0, jailer, &report->advice) :
				NOVA_ENOMEM;
}

static int fill_known(const struct engine_env *env, struct engine_report *report, const char *line)
{
	struct fc_version v;
	AUTO_ERROR nova_error_t *why = NULL;
	AUTO_FREE char *jailer = NULL;
	if (!fc_version_parse(line, &v)) {
		report->reason = str_format(
			"'%s' is no Firecracker: it says '%.100s'", report->binary, line);
		return report->reason ? 0 : NOVA_ENOMEM;
	}
	report->version = str_format("%u.%u.%u", v.major, v.minor, v.patch);
	if (!report->version)
		return NOVA_ENOMEM;
	bool async;
	if (fc_api_ready(&why) == 0 && fc_version_check(&v, &why) == 0 &&
		fc_jailer(env, report->binary, &jailer, &why) == 0 &&
		fc_wants_async("", env, geteuid() == 0 && !jailer, &async, &why) == 0)
		return describe(env, report, jailer);
	report->reason = strdup(nova_error_message(why));
	return report->reason ? 0 : NOVA_ENOMEM;
}

int fc_probe(const struct engine_env *env, struct engine_report *report, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	AUTO_FREE char *line = NULL;
	report->accelerator = "none";
	int code = fc_binary(env, &report->binary, &why);
	if (code == 0)
		code = fc_ask(env, report->binary, "--version", &line, &why);
	if (code_is_refusal(code)) {
		if (error)
			*error = STEAL(why);
		return code;
	}
	if (code == 0)
		return fill_known(env, report, line) == 0 ? 0 : nova_oom(error);
	report->reason = strdup(nova_error_message(why));
	report->advice =
		strdup("only needed for hardware isolation on hosts with KVM: " WHERE_FROM);
	return report->reason && report->advice ? 0 : nova_oom(error);
}
