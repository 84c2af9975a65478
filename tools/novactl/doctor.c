/* SPDX-License-Identifier: MIT */
/* What this host can do for microVMs, and what to type where something is missing. */
#include <unistd.h>

#include "novactl.h"

static bool given_boot;

static const struct opt options[] = {
	{ OPT_FLAG, 0, "boot", NULL, "start a microVM for real and say how long it took",
		&given_boot },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

enum verdict { FINE, WARN, BAD };

/* All that was found out, as it will be printed. */
struct findings {
	json_t *checks; /* array of {name, status, detail, advice} */
	bool bad;
};

static void found(struct findings *findings, const char *name, enum verdict verdict,
	const char *detail, const char *advice)
{
	static const char *const words[] = { "ok", "warn", "bad" };
	findings->bad |= verdict == BAD;
	json_array_append_new(
		findings->checks, need(json_pack("{s:s,s:s,s:s,s:s}", "name", name, "status",
					  words[verdict], "detail", detail, "advice", advice)));
}

/* The library's messages name the way out themselves. */
static void found_error(struct findings *findings, const char *name, nova_error_t *error)
{
	found(findings, name, BAD, nova_error_message(error), "");
	nova_error_free(error);
}

static void check_library(struct findings *findings)
{
	bool same = !strcmp(nova_version(), NOVA_VERSION_STRING);
	found(findings, "library", same ? FINE : WARN, nova_version(),
		same ? "" :
		       "novactl was built with headers of version " NOVA_VERSION_STRING
		       "; install matching packages");
}

/* All of it is read. */
static void check_code(
	struct findings *findings, nova_t *nova, nova_function_t *const *functions, size_t count)
{
	bool fine = true;
	progress_start("reading the code of the functions");
	for (size_t i = 0; i < count; i++) {
		nova_error_t *error = NULL;
		if (nova_function_check(nova, nova_function_name(functions[i]), &error) == 0)
			continue;
		fine = false;
		found_error(findings, "code", error);
	}
	progress_stop();
	if (fine && count)
		found(findings, "code", FINE, "that of every function is sound", "");
}

/* Root filesystems of the user's own are read whole. The others are among the images. */
static void check_runtimes(struct findings *findings, nova_t *nova)
{
	const nova_runtime **runtimes = NULL;
	nova_error_t *error = NULL;
	size_t count = 0, own = 0, bad = 0;
	if (nova_runtime_list(nova, &runtimes, &count, &error) != 0) {
		found_error(findings, "runtimes", error);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		own += !runtimes[i]->built_in;
		if (runtimes[i]->built_in ||
			nova_runtime_check(nova, runtimes[i]->name, &error) == 0)
			continue;
		bad++;
		found_error(findings, "runtimes", error);
	}
	if (own && !bad)
		found(findings, "runtimes", FINE, "the root filesystem of each is sound", "");
	nova_runtime_list_free(runtimes, count);
}

static void check_store(struct findings *findings, const nova_config_t *config)
{
	nova_t *nova = NULL;
	nova_function_t **functions = NULL;
	nova_error_t *error = NULL;
	size_t count = 0;
	char text[64];
	if (nova_open(config, &nova, &error) != 0 ||
		nova_function_list(nova, NULL, &functions, &count, &error) != 0) {
		found_error(findings, "store", error);
	} else {
		snprintf(text, sizeof(text), "%zu function%s registered", count,
			count == 1 ? "" : "s");
		found(findings, "store", FINE, text, "");
		check_code(findings, nova, functions, count);
		check_runtimes(findings, nova);
	}
	nova_function_list_free(functions, count);
	nova_close(nova);
}

static void check_templates(struct findings *findings, nova_host_t *host)
{
	char text[128] = "it cannot be told what they take of the disk";
	bool fine = template_usage(host, text, sizeof(text));
	found(findings, "templates", fine ? FINE : WARN, text,
		fine ? "" :
		       "novactl template prune --all, or raise the setting pool.templates_disk");
}

static void check_images(struct findings *findings, const nova_host_t *host)
{
	char text[4200];
	nova_error_t *error = NULL;
	if (nova_image_check(nova_host_images(host), NULL, &error) != 0) {
		found_error(findings, "images", error);
		return;
	}
	snprintf(
		text, sizeof(text), "%s: every image is present and sound", nova_host_images(host));
	found(findings, "images", FINE, text, "");
}

static json_t *engine_json(const nova_probe_t *probe, size_t i, bool chosen)
{
	return need(json_pack("{s:s,s:b,s:b,s:s,s:s,s:s,s:s,s:s,s:i}", "name",
		nova_probe_engine(probe, i), "usable", nova_probe_usable(probe, i), "chosen",
		chosen, "reason", nova_probe_reason(probe, i), "advice",
		nova_probe_advice(probe, i), "version", nova_probe_version(probe, i), "binary",
		nova_probe_binary(probe, i), "accelerator", nova_probe_accelerator(probe, i),
		"features", (int)nova_probe_features(probe, i)));
}

/* Most VMs have none, so that there can be none is nothing to warn of. */
static void check_network(struct findings *findings, uint32_t features)
{
	bool allowed = geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
	if (!(features & NOVA_FEATURE_NETWORK))
		return;
	found(findings, "network", FINE,
		allowed ? "functions registered with --network nat get one" : "not for this user",
		allowed ? "" :
			  "functions registered with --network nat need root and /dev/net/tun");
}

/* What each is for stands in its line below; without these no function can be registered. */
static bool is_needed(const char *module)
{
	return !strcmp(module, "crypto") || !strcmp(module, "ext2fs") || !strcmp(module, "sqlite");
}

static json_t *check_modules(struct findings *findings)
{
	const char *name, *contents;
	char text[64];
	json_t *modules = need(json_array());
	size_t i, fine = 0;
	enum verdict verdict = FINE;
	for (i = 0; (name = nova_module_name(i)); i++) {
		nova_error_t *error = NULL;
		bool there = nova_module_load(i, &contents, &error) == 0;
		fine += there;
		if (!there && verdict != BAD)
			verdict = is_needed(name) ? BAD : WARN;
		json_array_append_new(
			modules, need(json_pack("{s:s,s:b,s:s,s:s}", "name", name, "usable", there,
					 "purpose", nova_module_purpose(i), "detail",
					 there ? contents : nova_error_message(error))));
		nova_error_free(error);
	}
	snprintf(text, sizeof(text), "%zu of %zu can be used", fine, i);
	found(findings, "modules", verdict, text, verdict == FINE ? "" : "see the modules below");
	return modules;
}

static json_t *check_engines(struct findings *findings, nova_host_t *host)
{
	nova_probe_t *probe = NULL;
	nova_error_t *error = NULL;
	json_t *engines = need(json_array());
	if (nova_engine_probe(host, &probe, &error) != 0) {
		found_error(findings, "engine", error);
		return engines;
	}
	int choice = nova_probe_choice(probe);
	uint32_t features = choice >= 0 ? nova_probe_features(probe, (size_t)choice) : 0;
	found(findings, "kvm", features & NOVA_FEATURE_HARDWARE ? FINE : WARN,
		nova_probe_kvm(probe),
		features & NOVA_FEATURE_HARDWARE ? "" :
						   "without KVM guests are emulated: slower, and "
						   "no boundary against hostile code");
	for (size_t i = 0; i < nova_probe_count(probe); i++)
		json_array_append_new(engines, engine_json(probe, i, (int)i == choice));
	found(findings, "engine",
		choice < 0                       ? BAD :
		features & NOVA_FEATURE_ISOLATES ? FINE :
						   WARN,
		nova_probe_choice_reason(probe), choice < 0 ? "see the engines below" : "");
	check_network(findings, features);
	const char *unlimited = nova_probe_unlimited(probe);
	found(findings, "memory limit", *unlimited ? WARN : FINE,
		*unlimited ? "VMMs may take more memory than their guests have" :
			     "each VMM has a control group of its own",
		unlimited);
	const char *not_hot = nova_probe_not_hot(probe);
	found(findings, "forks", FINE,
		*not_hot ? not_hot : "running microVMs are forked as the processes that they are",
		"");
	nova_probe_free(probe);
	return engines;
}

/* By which of the things that it needs, and how many that is. */
static void check_room(struct findings *findings, nova_host_t *host)
{
	static const char *const names[] = {
		[NOVA_CAPACITY_MEMORY] = "microVMs of the usual size at once: memory allows",
		[NOVA_CAPACITY_PROCESSES] = ", processes allow",
		[NOVA_CAPACITY_DESCRIPTORS] = ", descriptors allow",
		[NOVA_CAPACITY_PROCESSORS] = ", processors allow",
	};
	static const char *const advice[] = {
		[NOVA_CAPACITY_MEMORY] = "end other programs, or lower pool.min_free",
		[NOVA_CAPACITY_PROCESSES] =
			"raise the limit on processes: ulimit -u, kernel.pid_max",
		[NOVA_CAPACITY_DESCRIPTORS] = "raise the limit on open files: ulimit -n",
		[NOVA_CAPACITY_PROCESSORS] = "",
	};
	uint64_t vms[ARRAY_LEN(names)] = { 0 };
	char text[256];
	size_t least = 0, at = 0;
	nova_host_capacity(host, vms, ARRAY_LEN(vms));
	for (size_t i = 1; i < ARRAY_LEN(vms); i++)
		least = vms[i] < vms[least] ? i : least;
	for (size_t i = 0; i < ARRAY_LEN(vms); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s %llu", names[i],
			(unsigned long long)vms[i]);
	found(findings, "room", vms[least] ? FINE : WARN, text, vms[least] ? "" : advice[least]);
}

/* The proof of everything above, helper processes included. */
static void check_boot(struct findings *findings, nova_host_t *host)
{
	nova_vm_t *vm = NULL;
	nova_error_t *error = NULL;
	char text[96];
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.interrupt = interruptible();
	progress_start("starting microVM");
	int code = nova_vm_start(host, &opts, &vm, &error);
	progress_stop();
	if (code != 0) {
		found_error(findings, "boot", error);
		return;
	}
	uint64_t stats[NOVA_VM_STAT_BOOT_US + 1] = { 0 };
	nova_vm_stats(vm, stats, ARRAY_LEN(stats), NULL);
	uint64_t us = stats[NOVA_VM_STAT_START_US] + stats[NOVA_VM_STAT_BOOT_US];
	snprintf(text, sizeof(text), "a microVM on %s answered after %llu ms", nova_vm_engine(vm),
		(unsigned long long)us / 1000);
	found(findings, "boot", FINE, text, "");
	nova_vm_free(vm);
}

static void show_line(const char *status, const char *name, const char *detail, const char *advice)
{
	static const char *const colors[] = { "ok", "\033[32m", "warn", "\033[33m", "bad",
		"\033[31m", "-", "" };
	const char *color = "";
	for (size_t i = 0; i < ARRAY_LEN(colors); i += 2)
		if (!strcmp(colors[i], status))
			color = colors[i + 1];
	bool paint = use_color(stdout) && *color;
	printf("%s%-5s%s %-12s %s\n", paint ? color : "", status, paint ? "\033[0m" : "", name,
		detail);
	while (*advice) { /* one a line */
		size_t len = strcspn(advice, "\n");
		printf("      %-12s -> %.*s\n", "", (int)len, advice);
		advice += len + (advice[len] == '\n');
	}
}

static void show(const struct findings *findings, const json_t *modules, const json_t *engines)
{
	size_t i;
	json_t *item;
	json_array_foreach((json_t *)findings->checks, i, item)
		show_line(member_text(item, "status"), member_text(item, "name"),
			member_text(item, "detail"), member_text(item, "advice"));
	puts("\nModules:");
	json_array_foreach((json_t *)modules, i, item)
		show_line(json_is_true(json_object_get(item, "usable")) ? "ok" : "-",
			member_text(item, "name"), member_text(item, "detail"), "");
	puts("\nEngines:");
	json_array_foreach((json_t *)engines, i, item)
	{
		bool usable = json_is_true(json_object_get(item, "usable"));
		show_line(usable ? "ok" : "-", member_text(item, "name"),
			member_text(item, "reason"), member_text(item, "advice"));
	}
	printf("\n%s\n", findings->bad ?
				 "Functions cannot run here yet: see the lines marked bad." :
				 "Functions can run here.");
}

static int run(char **args, int count)
{
	(void)args;
	(void)count;
	int status;
	CLEANUP(config_freep) nova_config_t *config = session_config(&status);
	if (!config)
		return status;
	struct findings findings = { need(json_array()), false };
	json_t *engines = NULL;
	nova_error_t *error = NULL;
	CLEANUP(host_unrefp) nova_host_t *host = NULL;
	check_library(&findings);
	json_t *modules = check_modules(&findings);
	if (nova_host_new(config, &host, &error) != 0) {
		found_error(&findings, "home", error);
	} else {
		session_log(host, config);
		found(&findings, "home", FINE, nova_host_home(host), "");
		check_store(&findings, config);
		check_templates(&findings, host);
		check_images(&findings, host);
		engines = check_engines(&findings, host);
		check_room(&findings, host);
		if (given_boot)
			check_boot(&findings, host);
	}
	if (globals.json)
		print_json(json_pack("{s:b,s:O,s:O,s:O?}", "ok", !findings.bad, "checks",
			findings.checks, "modules", modules, "engines", engines));
	else
		show(&findings, modules, engines);
	json_decref(findings.checks);
	json_decref(modules);
	json_decref(engines);
	return findings.bad ? STATUS_FAILED : STATUS_OK;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.args = "",
	.purpose = "Explain what this host can do for microVMs, which engine is used and why, and "
		   "how to mend the rest.",
	.examples = "  novactl doctor\n  novactl doctor --boot\n",
	.notes = "The exit status is 0 if functions can run here, else 1.\n",
	.options = options,
	.run = run,
};
