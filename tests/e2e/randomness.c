/* SPDX-License-Identifier: MIT */
/* Copies of a function: calls of a warm VM, clones of its template, forks and restored snapshots.
 * No two of them draw the same. */
#include <jansson.h>

#include "platform.h"
#include "pool/pool.h"
#include "proto/proto.h"

static size_t copies(void)
{
	const char *is_long = getenv("NOVA_TEST_LONG");
	return is_long && *is_long ? 100 : 20;
}

/* --- the function --- */

/* All has been used once when the import is over. What the import keeps of it is no secret. */
#define GENERATORS                                                                                 \
	"import os, random, secrets, ssl, subprocess, tempfile, uuid\n"                            \
	"class Sampler(random.Random): pass\n"                                                     \
	"own, boxed = random.Random(), {'a': [Sampler()]}\n"                                       \
	"def default(r=random.Random()): return r.randbytes(16).hex()\n"                           \
	"names, context = tempfile._RandomNameSequence(), ssl.create_default_context()\n"          \
	"seeded, hooked = random.Random(42), random.Random(1)\n"                                   \
	"os.register_at_fork(after_in_child=lambda: hooked.seed(os.urandom(16)))\n"                \
	"def hello():\n"                                                                           \
	"    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()\n"                                            \
	"    s = context.wrap_bio(a, b, server_hostname='example.org')\n"                          \
	"    try: s.do_handshake()\n"                                                              \
	"    except ssl.SSLWantReadError: pass\n"                                                  \
	"    return b.read().hex()\n"                                                              \
	"random.random(), own.gauss(0, 1), next(names), tempfile.mktemp(), uuid.uuid1(), "         \
	"hello()\n"                                                                                \
	"try:\n"                                                                                   \
	"    import numpy\n"                                                                       \
	"    numbers, legacy = numpy.random.default_rng(), numpy.random.RandomState()\n"           \
	"    def of_numpy(): return {'numpy': numbers.bytes(16).hex(), 'RandomState': "            \
	"legacy.bytes(16).hex(), 'numpy.random': numpy.random.bytes(16).hex()}\n"                  \
	"except ImportError:\n"                                                                    \
	"    def of_numpy(): return {}\n"                                                          \
	"def of_program(name):\n"                                                                  \
	"    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)\n"              \
	"    return {name: subprocess.run([path], capture_output=True, text=True).stdout} if "     \
	"os.path.exists(path) else {}\n"                                                           \
	"def handler(event):\n"                                                                    \
	"    random_, shake = random.randbytes(16).hex(), hello()\n"                               \
	"    out = {'random': random_, 'instance': own.randbytes(16).hex(), 'gauss': "             \
	"own.gauss(0, 1), 'subclass': boxed['a'][0].randbytes(16).hex(),\n"                        \
	"        'default': default(), 'secrets': secrets.token_hex(16), 'urandom': "              \
	"os.urandom(16).hex(),\n"                                                                  \
	"        'hook': hooked.randbytes(16).hex() if event['copied'] else "                      \
	"secrets.token_hex(16),\n"                                                                 \
	"        'uuid1': str(uuid.uuid1()), 'node': str(uuid.uuid1())[19:] if event['first'] "    \
	"else secrets.token_hex(8), 'uuid4': str(uuid.uuid4()),\n"                                 \
	"        'name': next(names), 'mktemp': tempfile.mktemp(), 'RAND_bytes': "                 \
	"ssl.RAND_bytes(16).hex(), 'hello': shake[22:86], 'share': shake[86:]}\n"                  \
	"    out.update(of_numpy())\n"                                                             \
	"    for name in event['programs']: out.update(of_program(name))\n"                        \
	"    return {'draws': out, 'on purpose': [seeded.random(), seeded.random()]}\n"

/* A program that prints what its language draws at random, if its compiler is here. */
static void compile_program(const char *directory, const char *name, const char *source,
	const char *text, const char *command)
{
	AUTO_FREE char *path = path_join(directory, source);
	AUTO_FREE char *line = str_format("cd '%s' && %s >/dev/null 2>&1", directory, command);
	ck_assert_int_eq(fs_write_file(path, text, strlen(text), 0644), 0);
	if (system(line) != 0)
		printf("# without a program in %s: its compiler does not work here\n", name);
	ck_assert_int_eq(fs_unlink(path), 0);
}

static void compile_programs(const char *directory)
{
	compile_program(directory, "go", "main.go",
		"package main\nimport (\"fmt\"; \"hash/maphash\"; \"math/rand\"; \"runtime\"; "
		"\"strings\")\n"
		"func main() {\n\tfmt.Println(maphash.String(maphash.MakeSeed(), \"\"))\n"
		"\tif !strings.HasPrefix(runtime.Version(), \"go1.1\") { "
		"fmt.Println(rand.Uint64()) } // those seed with 1\n}\n",
		"GO111MODULE=off CGO_ENABLED=0 go build -o go main.go");
	compile_program(directory, "rust", "main.rs",
		"use std::hash::{BuildHasher, Hasher};\nfn main() { println!(\"{}\", "
		"std::collections::hash_map::RandomState::new().build_hasher().finish()); }\n",
		"rustc -O -C target-feature=+crt-static -o rust main.rs");
}

static void make_function(struct function *f, const struct platform *p, const char *key,
	const char *source, bool programs)
{
	function_write(f, p, key, "main.py", source);
	if (programs)
		compile_programs(f->directory);
	function_pack(f, "python");
}

/* --- what was drawn --- */

struct seen {
	json_t *values;  /* "name: value" of all that was drawn -> who drew it */
	json_t *purpose; /* what the generator with a seed of its own said first */
	bool in_place;
};

static json_t *draw(nova_vm_t *vm, const char *payload)
{
	nova_result_t *result;
	ck_ok(nova_vm_invoke(vm, payload, NULL, &result, &error));
	json_t *output = json_loads(nova_result_output(result, NULL), 0, NULL);
	nova_result_free(result);
	ck_assert_ptr_nonnull(output);
	return output;
}

/* `first`: the first call of a copy. In place the streams that were seeded on purpose go on from
 * call to call. */
static void note(struct seen *seen, nova_vm_t *vm, const char *who, bool first, bool programs)
{
	const char *name;
	json_t *value;
	AUTO_FREE char *payload = str_format("{\"first\":%s,\"copied\":%s,\"programs\":[%s]}",
		first ? "true" : "false", is_fake() && seen->in_place ? "false" : "true",
		programs ? "\"go\",\"rust\"" : "");
	AUTO_JSON json_t *output = draw(vm, payload);
	json_object_foreach(json_object_get(output, "draws"), name, value)
	{
		AUTO_FREE char *text = json_dumps(value, JSON_ENCODE_ANY),
			       *key = str_format("%s: %s", name, text);
		const char *other = json_string_value(json_object_get(seen->values, key));
		ck_assert_msg(!other, "%s was drawn by %s and by %s", key, other, who);
		json_object_set_new(seen->values, key, json_string(who));
	}
	json_t *purpose = json_object_get(output, "on purpose");
	ck_assert_uint_eq(json_array_size(purpose), 2);
	if (!seen->purpose)
		seen->purpose = json_incref(purpose);
	ck_assert_msg(json_equal(purpose, seen->purpose) == (first || !seen->in_place),
		"%s: what was seeded on purpose is another stream", who);
}

static void note_clones(struct seen *seen, const struct platform *p, const struct function *f)
{
	/* there they are no clones, but imports of their own */
	for (size_t i = 0; i < (is_fake() ? 3 : copies()); i++) {
		nova_vm_t *vm = function_take(p, f);
		note(seen, vm, "a clone", true, i < 2);
		nova_pool_release(p->pool, vm, 0);
	}
}

/* In pieces, as the memory of the machine is not for a hundred VMMs. */
static void note_forks(struct seen *seen, nova_vm_t *vm)
{
	enum { AT_ONCE = 20 };
	for (size_t done = 0; done < copies(); done += AT_ONCE) {
		nova_vm_t *children[AT_ONCE];
		ck_ok(nova_vm_fork(vm, AT_ONCE, NULL, children, &error));
		for (size_t i = 0; i < AT_ONCE; i++) {
			note(seen, children[i], "a fork", false, i < 2);
			if (i % 10 == 0)
				note(seen, children[i], "a fork's second call", false, false);
			nova_vm_free(children[i]);
		}
	}
}

static void note_restored(struct seen *seen, const struct platform *p, nova_vm_t *vm)
{
	nova_snapshot_t *snapshot;
	nova_host_t *host = nova_host_get(p->nova);
	ck_ok(nova_vm_snapshot(vm, NULL, &snapshot, &error));
	for (int i = 0; i < 2; i++) {
		nova_vm_t *restored;
		ck_ok(nova_vm_restore(host, snapshot, NULL, &restored, &error));
		note(seen, restored, "a restored snapshot", false, false);
		nova_vm_free(restored);
	}
	ck_ok(nova_snapshot_delete(host, nova_snapshot_id(snapshot), &error));
	nova_snapshot_free(snapshot);
}

static void nothing_is_drawn_twice(bool in_place)
{
	struct platform p = platform_open(NULL);
	struct function f;
	struct seen seen = { .values = json_object(), .in_place = in_place };
	AUTO_FREE char *source =
		str_format("%s%s", in_place ? "__nova_in_place__ = True\n" : "", GENERATORS);
	make_function(&f, &p, in_place ? "in-place" : "forked", source, !in_place && !is_fake());
	nova_vm_t *vm = function_take(&p, &f);
	for (size_t i = 0; i < copies(); i++)
		note(&seen, vm, "a call", i == 0, !in_place && i < 2);
	if (!is_fake()) {
		note_forks(&seen, vm);
		note_restored(&seen, &p, vm);
	}
	note(&seen, vm, "the VM that was copied", false, false);
	nova_pool_release(p.pool, vm, 0);
	note_clones(&seen, &p, &f);
	ck_assert_uint_ge(json_object_size(seen.values), copies() * 16);
	json_decref(seen.values);
	json_decref(seen.purpose);
	function_free(&f);
	platform_close(&p);
}

START_TEST(no_two_copies_draw_the_same_if_calls_are_forks)
{
	nothing_is_drawn_twice(false);
}
END_TEST

START_TEST(no_two_copies_draw_the_same_if_calls_are_in_place)
{
	nothing_is_drawn_twice(true);
}
END_TEST

/* --- what the import draws --- */

static void count_words(void *userdata, int level, const char *module, const char *text)
{
	if (level == NOVA_LOG_WARN && !strcmp(module, "function") &&
		strstr(text, "uuid.uuid4() in main.py, line 3"))
		__atomic_add_fetch((int *)userdata, 1, __ATOMIC_SEQ_CST);
}

static size_t templates_that_draw(const struct platform *p)
{
	nova_snapshot_t **list;
	size_t count, found = 0;
	pool_settle_templates(p->pool, NULL);
	ck_ok(nova_template_list(nova_host_get(p->nova), &list, &count, &error));
	for (size_t i = 0; i < count; i++)
		found += strcmp(nova_snapshot_draws(list[i]), "uuid.uuid4() in main.py, line 3") ==
				 0 &&
			 !nova_snapshot_has_function(list[i]);
	nova_snapshot_list_free(list, count);
	return found;
}

static void ck_own_ids(const struct platform *p, const struct function *f, json_t *seen, int count)
{
	for (int i = 0; i < count; i++) {
		nova_vm_t *vm = function_take(p, f);
		AUTO_JSON json_t *first = draw(vm, "{}"), *second = draw(vm, "{}");
		const char *id = json_string_value(json_array_get(first, 0));
		ck_assert_ptr_nonnull(id);
		/* it is warm then, as any other */
		ck_assert_str_eq(id, json_string_value(json_array_get(second, 0)));
		ck_assert_int_eq(json_integer_value(json_array_get(second, 1)), 2);
		ck_assert_msg(!json_object_get(seen, id), "two VMs have the ID %s", id);
		json_object_set_new(seen, id, json_true());
		nova_pool_release(p->pool, vm, 0);
	}
}

START_TEST(what_an_import_draws_is_each_vms_own_and_is_named_once)
{
	int named = 0;
	size_t expected = is_fake() ? 0 : 1;
	json_t *seen = json_object();
	struct function f;
	struct platform p = platform_open(NULL), own = { .dir = p.dir };
	make_function(&f, &p, "draws",
		"import uuid\n\nID = str(uuid.uuid4())\ncount = 0\n__nova_in_place__ = True\n"
		"def handler(event):\n    global count\n    count += 1\n    return [ID, count]\n",
		false);
	/* as two processes would: the second finds the template */
	for (int process = 0; process < 2; process++) {
		ck_ok(nova_open(p.config, &own.nova, &error));
		own.pool = nova_pool_get(own.nova);
		nova_host_set_log(nova_host_get(own.nova), count_words, &named, NOVA_LOG_WARN);
		ck_own_ids(&own, &f, seen, 2 - process);
		ck_assert_uint_eq(templates_that_draw(&own), expected);
		nova_close(own.nova);
	}
	ck_assert_uint_eq((size_t)named, expected);
	function_free(&f);
	json_decref(seen);
	platform_close(&p);
}
END_TEST

TCase *randomness_cases(void)
{
	TCase *tc = tcase_create("randomness");
	tcase_add_test(tc, what_an_import_draws_is_each_vms_own_and_is_named_once);
	tcase_add_test(tc, no_two_copies_draw_the_same_if_calls_are_forks);
	tcase_add_test(tc, no_two_copies_draw_the_same_if_calls_are_in_place);
	return tc;
}
