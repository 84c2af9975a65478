/* SPDX-License-Identifier: MIT */
/* Settings: every key from every source, precedence, and every way to get a file wrong. */
#include "config/keys.h"
#include "test.h"

static nova_error_t *error;
static nova_config_t *config;

static void make_config(void)
{
	setenv("HOME", "/nowhere", 1);
	unsetenv("XDG_DATA_HOME");
	unsetenv("NOVA_CONFIG");
	ck_ok(nova_config_new(&config, &error));
}

static void free_config(void)
{
	nova_config_free(config);
	nova_error_free(error);
}

static int parse(const char *text)
{
	return config_parse(config, "t.yaml", text, strlen(text), &error);
}

/* Three values of a key that are valid and differ from each other and from its default. */
struct sample {
	const char *file, *env, *set;
};

static struct sample sample_of(const struct config_key *key)
{
	switch (key->kind) {
	case KEY_DURATION:
		return (struct sample){ "3s", "2s", "4s" };
	case KEY_MEMORY:
		return (struct sample){ "11", "12M", "0.5G" };
	case KEY_INTEGER:
		return (struct sample){ "11", "12", "13" };
	case KEY_ENUM:
		return (struct sample){ key->choices[1], key->choices[0], key->choices[1] };
	case KEY_FILTER:
		return (struct sample){ "debug", "warn,pool=debug", "none" };
	default:
		return (struct sample){ "/a/file", "/an/env", "/a/set" };
	}
}

/* "a.b" and a value as the YAML text "a:\n  b: value\n". */
static char *yaml_of(const char *key, const char *value)
{
	const char *dot = strchr(key, '.');
	if (!dot)
		return str_format("%s: %s\n", key, value);
	return str_format("%.*s:\n  %s: %s\n", (int)(dot - key), key, dot + 1, value);
}

static void ck_value(const char *key, const char *text, int source)
{
	ck_assert_str_eq(nova_config_get(config, key), text);
	ck_assert_int_eq(nova_config_source(config, key), source);
}

/* The order of the calls is the opposite of the order of strength, and then the layers are taken
 * away again. */
START_TEST(each_key_is_taken_from_setter_then_variable_then_file_then_default)
{
	const struct config_key *key = &config_keys[_i];
	struct sample sample = sample_of(key);
	AUTO_FREE char *before = strdup(nova_config_get(config, key->key));
	AUTO_FREE char *yaml = yaml_of(key->key, sample.file);
	ck_value(key->key, before, NOVA_CONFIG_DEFAULT);
	ck_ok(nova_config_set(config, key->key, sample.set, &error));
	ck_value(key->key, sample.set, NOVA_CONFIG_SET);
	setenv(nova_config_variable(key->key), sample.env, 1);
	ck_ok(nova_config_load_env(config, &error));
	ck_value(key->key, sample.set, NOVA_CONFIG_SET);
	ck_ok(parse(yaml));
	ck_value(key->key, sample.set, NOVA_CONFIG_SET);
	ck_ok(nova_config_set(config, key->key, NULL, &error));
	ck_value(key->key, sample.env, NOVA_CONFIG_ENV);
	setenv(nova_config_variable(key->key), "", 1);
	ck_ok(nova_config_load_env(config, &error));
	ck_value(key->key, sample.file, NOVA_CONFIG_FILE);
}
END_TEST

START_TEST(each_key_is_read_from_each_of_its_variables)
{
	const struct config_key *key = &config_keys[_i];
	struct sample sample = sample_of(key);
	char systematic[KEY_VARIABLE_MAX], space[KEY_VARIABLE_MAX];
	unsigned turn = 0;
	bool has_systematic = false;
	key_systematic_variable(key->key, systematic);
	for (const char *name; (name = key_next_variable(key, &turn, space));) {
		has_systematic |= !strcmp(name, systematic);
		setenv(name, sample.env, 1);
		ck_ok(nova_config_load_env(config, &error));
		ck_value(key->key, sample.env, NOVA_CONFIG_ENV);
		unsetenv(name);
	}
	ck_assert_msg(has_systematic, "%s", key->key);
}
END_TEST

START_TEST(the_list_of_keys_and_the_table_agree)
{
	const char *const *names = nova_config_keys();
	for (int i = 0; i < KEY_COUNT; i++) {
		ck_assert_str_eq(names[i], config_keys[i].key);
		ck_assert_str_ne(nova_config_describe(names[i]), "");
		ck_assert_int_eq(key_find(names[i]), i);
	}
	ck_assert_ptr_null(names[KEY_COUNT]);
	ck_assert_ptr_null(config_keys[KEY_COUNT].key);
}
END_TEST

START_TEST(the_document_has_a_row_for_each_key_and_no_other)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(NOVA_SOURCE_ROOT "/docs/configuration.md", &text), 0);
	AUTO_FREE char *document = buf_steal_str(&text);
	char *behind = strstr(document, "\n# Properties of functions");
	ck_assert_ptr_nonnull(behind);
	*behind = 0;
	size_t rows = 0;
	for (const char *at = document; (at = strstr(at, "\n| `")); at++)
		rows++;
	ck_assert_uint_eq(rows, KEY_COUNT);
	for (const struct config_key *key = config_keys; key->key; key++) {
		AUTO_FREE char *start = str_format("\n| `%s` | `%s`", key->key, key->variables[0]);
		AUTO_FREE char *end = str_format(*key->value ? " | `%s` | %s |\n" : " |%s | %s |\n",
			key->value, key->description);
		const char *row = strstr(document, start);
		ck_assert_msg(row, "no row for %s with %s", key->key, key->variables[0]);
		const char *rest = strstr(row, end);
		ck_assert_msg(rest && !memchr(row + 1, '\n', (size_t)(rest - row - 1)),
			"default or meaning of %s", key->key);
		for (size_t i = 1; i < ARRAY_LEN(key->variables) && key->variables[i]; i++)
			ck_assert_ptr_nonnull(strstr(row, key->variables[i]));
	}
}
END_TEST

START_TEST(the_defaults_are_those_that_were_promised)
{
	ck_assert_str_eq(nova_config_get(config, "home"), "/nowhere/.local/share/nova");
	ck_assert_str_eq(nova_config_get(config, "images"), "");
	ck_assert_str_eq(nova_config_get(config, "firecracker.subnet"), "172.30.0.0/24");
	ck_assert_uint_eq(config_ms(config, "pool.idle_ttl"), 60000);
	ck_assert_uint_eq(config_ms(config, "firecracker.boot_timeout"), 10000);
	ck_assert_uint_eq(config_u64(config, "pool.max_vms"), 0); /* auto */
	ck_assert_str_eq(nova_config_get(config, "log.level"), "warn");
}
END_TEST

START_TEST(the_state_directory_follows_the_desktop_rules)
{
	nova_config_t *other;
	setenv("XDG_DATA_HOME", "/data", 1);
	ck_ok(nova_config_new(&other, &error));
	ck_assert_str_eq(nova_config_get(other, "home"), "/data/nova");
	nova_config_free(other);
	setenv("XDG_DATA_HOME", "relative", 1);
	ck_ok(nova_config_new(&other, &error));
	ck_assert_str_eq(nova_config_get(other, "home"), "/nowhere/.local/share/nova");
	nova_config_free(other);
}
END_TEST

START_TEST(a_leading_tilde_is_the_home_directory)
{
	ck_ok(nova_config_set(config, "images", "~/images", &error));
	ck_assert_str_eq(nova_config_get(config, "images"), "/nowhere/images");
	ck_ok(nova_config_set(config, "images", "~", &error));
	ck_assert_str_eq(nova_config_get(config, "images"), "/nowhere");
	ck_ok(nova_config_set(config, "images", "~other/images", &error));
	ck_assert_str_eq(nova_config_get(config, "images"), "~other/images");
	ck_ok(nova_config_set(config, "firecracker.bridge_name", "~/x", &error));
	ck_assert_str_eq(nova_config_get(config, "firecracker.bridge_name"), "~/x");
}
END_TEST

START_TEST(memory_takes_units)
{
	static const struct {
		const char *text;
		uint64_t mb;
	} good[] = { { "512", 512 }, { "512M", 512 }, { "0.5G", 512 }, { "1.125GiB", 1152 },
		{ "2GB", 2048 }, { "1.0", 1 }, { "0", 0 }, { "1048576G", 1u << 30 } };
	static const char *const bad[] = { "", "M", ".5G", "1.G", "1.5", "0.3G", "-1", "1 G",
		"512K", "1T", "1.0001G", "1048577G", "18446744073709551615G", "1e3" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_ok(nova_config_set(config, "pool.max_memory", good[i].text, &error));
		ck_assert_uint_eq(config_u64(config, "pool.max_memory"), good[i].mb);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_fails_with(NOVA_ECONFIG, "pool.max_memory",
			nova_config_set(config, "pool.max_memory", bad[i], &error));
}
END_TEST

START_TEST(durations_take_units)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = { { "500ms", 500 }, { "60s", 60000 }, { "2m", 120000 }, { "1h", 3600000 },
		{ "7", 7000 }, { "24h", 86400000 } };
	static const char *const bad[] = { "", "s", "1.5s", "-1s", "1d", "1 s", "0", "25h",
		"99999999999999999999s", "18446744073709551615h", "1e3s", "+1s" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_ok(nova_config_set(config, "pool.idle_ttl", good[i].text, &error));
		ck_assert_uint_eq(config_ms(config, "pool.idle_ttl"), good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_fails_with(NOVA_ECONFIG, "pool.idle_ttl",
			nova_config_set(config, "pool.idle_ttl", bad[i], &error));
	ck_assert_uint_eq(config_ms(config, "pool.idle_ttl"), 86400000);
}
END_TEST

START_TEST(bad_values_are_refused_and_leave_the_old_one)
{
	ck_fails_with(
		NOVA_ECONFIG, "1 to 100000", nova_config_set(config, "pool.max_vms", "0", &error));
	ck_fails_with(NOVA_ECONFIG, "1 to 100000",
		nova_config_set(config, "pool.max_vms", "100001", &error));
	ck_fails_with(NOVA_ECONFIG, "whole number",
		nova_config_set(config, "pool.max_vms", "many", &error));
	ck_fails_with(NOVA_ECONFIG, "auto, firecracker, qemu, fake",
		nova_config_set(config, "engine", "xen", &error));
	ck_fails_with(NOVA_ECONFIG, "empty", nova_config_set(config, "home", "", &error));
	ck_fails_with(NOVA_ECONFIG, "control", nova_config_set(config, "home", "/a\nb", &error));
	ck_fails_with(NOVA_ECONFIG, "15 bytes",
		nova_config_set(config, "firecracker.bridge_name", "sixteen-letters!", &error));
	AUTO_FREE char *longer = calloc(1, 4098);
	memset(longer, 'x', 4097);
	ck_fails_with(NOVA_ECONFIG, "4096", nova_config_set(config, "home", longer, &error));
	ck_assert_uint_eq(config_u64(config, "pool.max_vms"), 0); /* auto */
	ck_value("engine", "auto", NOVA_CONFIG_DEFAULT);
}
END_TEST

START_TEST(an_unknown_key_is_answered_with_the_nearest)
{
	ck_fails_with(NOVA_EINVAL, "did you mean 'pool.idle_ttl'",
		nova_config_set(config, "pool.idle_tll", "1s", &error));
	ck_fails(NOVA_EINVAL, nova_config_set(config, "something.else.altogether", "1s", &error));
	ck_fails(NOVA_EINVAL, nova_config_set(config, NULL, "1s", &error));
	ck_assert_ptr_null(nova_config_get(config, "pool.idle_tll"));
	ck_assert_int_eq(nova_config_source(config, "nope"), NOVA_EINVAL);
	ck_assert_ptr_null(nova_config_describe("nope"));
	ck_assert_ptr_null(nova_config_variable("nope"));
	ck_assert_str_eq(config_str(config, "nope"), "");
}
END_TEST

START_TEST(a_bad_variable_is_named_and_nothing_is_taken)
{
	setenv("NOVA_ENGINE", "qemu", 1);
	setenv("NOVA_POOL_MAX_VMS", "lots", 1);
	ck_fails_with(NOVA_ECONFIG, "NOVA_POOL_MAX_VMS", nova_config_load_env(config, &error));
	ck_value("engine", "auto", NOVA_CONFIG_DEFAULT);
}
END_TEST

START_TEST(an_ignored_environment_gives_neither_settings_nor_places)
{
	AUTO_FREE char *standard = NULL;
	ck_assert_int_eq(path_user_home(false, &standard), 0);
	AUTO_FREE char *home = str_format("%s/.local/share/nova", standard);
	AUTO_FREE char *below = str_format("%s/x", standard);
	setenv("NOVA_ENGINE", "qemu", 1);
	setenv("XDG_DATA_HOME", "/no/where", 1);
	setenv("HOME", "/no/where", 1);
	setenv("NOVA_CONFIG", "/no/such/file", 1);
	ck_ok(nova_config_ignore_environment(config, &error));
	ck_ok(nova_config_load(config, NULL, &error));
	ck_ok(nova_config_load_env(config, &error));
	ck_ok(nova_config_set(config, "images", "~/x", &error));
	ck_value("engine", "auto", NOVA_CONFIG_DEFAULT);
	ck_value("home", home, NOVA_CONFIG_DEFAULT);
	ck_value("images", below, NOVA_CONFIG_SET);
	nova_config_t *copy;
	ck_ok(config_copy(config, &copy, &error));
	ck_assert(!config_environment(copy));
	nova_config_free(copy);
}
END_TEST

START_TEST(the_environment_cannot_be_ignored_after_it_was_obeyed)
{
	ck_fails(NOVA_EINVAL, nova_config_ignore_environment(NULL, &error));
	ck_ok(nova_config_load_env(config, &error));
	ck_fails_with(NOVA_EINVAL, "before", nova_config_ignore_environment(config, &error));
}
END_TEST

START_TEST(of_two_variables_the_main_one_counts)
{
	setenv("FC_KERNEL_PATH", "/second", 1);
	ck_ok(nova_config_load_env(config, &error));
	ck_value("firecracker.kernel", "/second", NOVA_CONFIG_ENV);
	setenv("NOVA_FIRECRACKER_KERNEL", "/first", 1);
	ck_ok(nova_config_load_env(config, &error));
	ck_value("firecracker.kernel", "/first", NOVA_CONFIG_ENV);
}
END_TEST

static const struct {
	const char *yaml;
	const char *message;
} bad_files[] = {
	{ "pool:\n  idle_tll: 1s\n",
		"t.yaml:2: unknown key 'pool.idle_tll'; did you mean 'pool.idle_ttl'?" },
	{ "\n\npol:\n  x: 1\n", "t.yaml:3: unknown key 'pol'" },
	{ "pool:\n  idle_ttl: soon\n", "t.yaml:2: 'soon' is no duration" },
	{ "pool: 3\n", "t.yaml:1: 'pool' is a group of keys" },
	{ "pool: [1]\n", "t.yaml:1: 'pool' is a group of keys" },
	{ "engine: [qemu]\n", "t.yaml:1: 'engine' takes one value, not a list" },
	{ "engine: {a: b}\n", "t.yaml:1: 'engine' takes one value, not a group" },
	{ "engine: qemu\nengine: fake\n", "t.yaml:2: 'engine' is given twice" },
	{ "pool: {idle_ttl: 1s}\npool: {idle_ttl: 2s}\n",
		"t.yaml:2: 'pool.idle_ttl' is given twice" },
	{ "engine: &e qemu\nqemu: {accel: *e}\n", "aliases" },
	{ "pool: &p\n  x: *p\n", "aliases" },
	{ "engine: \"a\\0b\"\n", "NUL" },
	{ "engine: 'x\n", "not YAML" },
	{ "\tengine: x\n", "not YAML" },
	{ "engine: qemu: c\n", "t.yaml:1: not YAML" },
	{ "engine: \xff\n", "not YAML" },
	{ "- engine\n", "expected keys and values" },
	{ "hello\n", "expected keys and values" },
	{ "? [a]\n: b\n", "no name of a key" },
	{ "engine: qemu\n---\nengine: fake\n", "only one YAML document" },
	{ "{\"pool\": {\"max_vms\": 0}}", "t.yaml:1: '0' is out of range" },
	{ "home: ''\n", "must not be empty" },
};

START_TEST(a_wrong_file_is_refused_with_line_and_reason_and_changes_nothing)
{
	AUTO_FREE char *text = str_format("%s", bad_files[_i].yaml);
	ck_fails_with(NOVA_ECONFIG, bad_files[_i].message, parse(text));
	AUTO_FREE char *with_good = str_format("log: {level: debug}\n%s", bad_files[_i].yaml);
	ck_fails(NOVA_ECONFIG, parse(with_good));
	ck_value("log.level", "warn", NOVA_CONFIG_DEFAULT);
}
END_TEST

START_TEST(a_file_may_be_yaml_json_empty_or_have_empty_parts)
{
	ck_ok(parse(""));
	ck_ok(parse("# nothing\n"));
	ck_ok(parse("~\n"));
	ck_ok(parse("pool:\nengine: ~\nhome: null\nqemu: {}\n"));
	ck_value("engine", "auto", NOVA_CONFIG_DEFAULT);
	ck_ok(parse("{\"pool\": {\"max_vms\": 7, \"idle_ttl\": \"1m\"}, \"qemu\": {\"binary\": "
		    "\"\\/q\"}}\n"));
	ck_value("pool.max_vms", "7", NOVA_CONFIG_FILE);
	ck_value("qemu.binary", "/q", NOVA_CONFIG_FILE);
	ck_assert_uint_eq(config_ms(config, "pool.idle_ttl"), 60000);
	ck_ok(parse("pool:\n  max_vms: 8\n"));
	ck_value("pool.max_vms", "8", NOVA_CONFIG_FILE);
	ck_value("pool.idle_ttl", "1m", NOVA_CONFIG_FILE);
}
END_TEST

START_TEST(deep_nesting_ends_in_an_error)
{
	AUTO_BUF struct buf text = BUF_INIT(CONFIG_MAX_FILE);
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(buf_append_str(&text, i % 2 ? "[" : "{pool: "), 0);
	ck_fails(NOVA_ECONFIG, config_parse(config, "t.yaml", text.data, text.len, &error));
}
END_TEST

START_TEST(the_file_is_found_where_the_user_keeps_it)
{
	char *dir = test_dir();
	AUTO_FREE char *nova = path_join(dir, "nova");
	AUTO_FREE char *path = path_join(nova, "nova.yaml");
	AUTO_FREE char *other = path_join(dir, "other.json");
	setenv("XDG_CONFIG_HOME", dir, 1);
	ck_ok(nova_config_load(config, NULL, &error));
	ck_value("engine", "auto", NOVA_CONFIG_DEFAULT);
	ck_assert_int_eq(fs_mkdirs(nova, 0700), 0);
	ck_assert_int_eq(fs_write_file(path, "engine: qemu\n", 13, 0600), 0);
	ck_ok(nova_config_load(config, NULL, &error));
	ck_value("engine", "qemu", NOVA_CONFIG_FILE);
	setenv("NOVA_CONFIG", other, 1);
	ck_fails_with(NOVA_ENOTFOUND, "NOVA_CONFIG", nova_config_load(config, NULL, &error));
	ck_assert_int_eq(fs_write_file(other, "{\"engine\":\"fake\"}", 17, 0600), 0);
	ck_ok(nova_config_load(config, NULL, &error));
	ck_value("engine", "fake", NOVA_CONFIG_FILE);
	ck_fails_with(
		NOVA_ENOTFOUND, "/missing.yaml", nova_config_load(config, "/missing.yaml", &error));
	test_dir_remove(dir);
}
END_TEST

START_TEST(a_file_over_the_limit_is_refused)
{
	char *dir = test_dir();
	AUTO_FREE char *path = path_join(dir, "big.yaml");
	AUTO_FREE char *text = malloc(CONFIG_MAX_FILE + 1);
	memset(text, '\n', CONFIG_MAX_FILE + 1);
	ck_assert_int_eq(fs_write_file(path, text, CONFIG_MAX_FILE + 1, 0600), 0);
	ck_fails_with(NOVA_ECONFIG, "1024 KiB", nova_config_load(config, path, &error));
	ck_assert_int_eq(fs_write_file(path, text, CONFIG_MAX_FILE, 0600), 0);
	ck_ok(nova_config_load(config, path, &error));
	test_dir_remove(dir);
}
END_TEST

START_TEST(a_copy_has_every_layer_and_a_life_of_its_own)
{
	nova_config_t *copy;
	setenv("NOVA_POOL_MAX_VMS", "5", 1);
	ck_ok(parse("pool: {max_vms: 4, idle_ttl: 9s}\n"));
	ck_ok(nova_config_load_env(config, &error));
	ck_ok(nova_config_set(config, "engine", "fake", &error));
	ck_ok(config_copy(config, &copy, &error));
	nova_config_free(config);
	config = copy;
	ck_value("pool.max_vms", "5", NOVA_CONFIG_ENV);
	ck_value("pool.idle_ttl", "9s", NOVA_CONFIG_FILE);
	ck_value("engine", "fake", NOVA_CONFIG_SET);
	ck_value("qemu.accel", "auto", NOVA_CONFIG_DEFAULT);
	ck_assert_uint_eq(config_u64(config, "pool.max_vms"), 5);
}
END_TEST

static Suite *config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *tc = tcase_create("config");
	tcase_add_checked_fixture(tc, make_config, free_config);
	tcase_add_loop_test(tc, each_key_is_taken_from_setter_then_variable_then_file_then_default,
		0, KEY_COUNT);
	tcase_add_loop_test(tc, each_key_is_read_from_each_of_its_variables, 0, KEY_COUNT);
	tcase_add_test(tc, the_list_of_keys_and_the_table_agree);
	tcase_add_test(tc, the_document_has_a_row_for_each_key_and_no_other);
	tcase_add_test(tc, the_defaults_are_those_that_were_promised);
	tcase_add_test(tc, the_state_directory_follows_the_desktop_rules);
	tcase_add_test(tc, a_leading_tilde_is_the_home_directory);
	tcase_add_test(tc, memory_takes_units);
	tcase_add_test(tc, durations_take_units);
	tcase_add_test(tc, bad_values_are_refused_and_leave_the_old_one);
	tcase_add_test(tc, an_unknown_key_is_answered_with_the_nearest);
	tcase_add_test(tc, a_bad_variable_is_named_and_nothing_is_taken);
	tcase_add_test(tc, of_two_variables_the_main_one_counts);
	tcase_add_test(tc, an_ignored_environment_gives_neither_settings_nor_places);
	tcase_add_test(tc, the_environment_cannot_be_ignored_after_it_was_obeyed);
	tcase_add_loop_test(tc, a_wrong_file_is_refused_with_line_and_reason_and_changes_nothing, 0,
		(int)ARRAY_LEN(bad_files));
	tcase_add_test(tc, a_file_may_be_yaml_json_empty_or_have_empty_parts);
	tcase_add_test(tc, deep_nesting_ends_in_an_error);
	tcase_add_test(tc, the_file_is_found_where_the_user_keeps_it);
	tcase_add_test(tc, a_file_over_the_limit_is_refused);
	tcase_add_test(tc, a_copy_has_every_layer_and_a_life_of_its_own);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(config_suite)
