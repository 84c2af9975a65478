# SPDX-License-Identifier: MIT
"""Each function of the corpus answers in libnova as it does outside of it: on the fake engine, and
in real VMs (NOVA_CORPUS_ENGINE=qemu) those that are marked "short", with NOVA_TEST_LONG all."""
import os
import shutil
import statistics
import sys
import tempfile
import time
import unittest
from collections import Counter, defaultdict
from pathlib import Path

import host
from corpus import HERE, compile_all, functions
from novatest import BUILD, ROOT

sys.path.insert(0, str(ROOT / "bindings/python"))
os.environ.setdefault("NOVA_LIBRARY", str(BUILD / "lib/libnova.so"))
import nova  # noqa: E402

ENGINE = os.environ.get("NOVA_CORPUS_ENGINE", "fake")
LONG = bool(os.environ.get("NOVA_TEST_LONG"))
IS_FAKE = ENGINE == "fake"
# The engine fake runs programs of this host, and wasmtime is none of them.
TRIED = [one for one in functions()
         if (one.language != "wasm" if IS_FAKE else LONG or one.entry.get("short"))]
LANGUAGES = ("python", "node", "go", "rust", "c", "shell", "wasm")


class Times:
    """Seconds of templates and of calls, by language."""

    def __init__(self):
        self.taken = defaultdict(lambda: defaultdict(list))

    def of(self, language, kind, function, *arguments, **named):
        begin = time.monotonic()
        try:
            return function(*arguments, **named)
        finally:
            self.taken[language][kind].append(time.monotonic() - begin)

    def tell(self):
        for language, kinds in self.taken.items():
            texts = [f"{kind} {statistics.median(taken):.3f}, at most {max(taken):.3f} "
                     f"({len(taken)})" for kind, taken in kinds.items()]
            print(f"# {ENGINE}, {language}, s: {'; '.join(texts)}", flush=True)


class Corpus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        compile_all(TRIED)
        cls.directory = Path(tempfile.mkdtemp(prefix="nova-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.nova = nova.open(home=cls.directory, engine=ENGINE, pool_max_vms=2,
                             pool_queue_timeout="10m", qemu_boot_timeout="10m")
        cls.addClassCleanup(cls.nova.close)
        cls.times = Times()
        cls.addClassCleanup(cls.times.tell)
        if not IS_FAKE:
            try:
                nova.check_images(cls.nova.images)
            except nova.NotFound as error:
                raise unittest.SkipTest(str(error)) from error

    def register(self, function):
        options = {"timeout_s": host.HANG, "init_timeout_s": host.HANG,
                   **function.entry.get("options", {})}
        packages = function.entry.get("packages")
        if packages:
            requirements = self.directory / "requirements.txt"
            requirements.write_text("".join(f"{name}==1.2\n" for name in packages))
            options["requirements"] = requirements
            options["find_links"] = function.wheels()[0].parent
        self.nova.register(function.name, runtime=function.runtime, code=function.code,
                           handler=function.entry.get("handler"), check="never", **options)
        self.addCleanup(self.forget, function)

    def forget(self, function):
        self.nova.delete(function.name)
        self.nova.prune_templates()

    def call(self, function, kind, event, **options):
        """Its answer in the form of host.answers(), and whether a VM was made for it."""
        try:
            result = self.times.of(function.language, kind, self.nova.invoke, function.name, event,
                                   **options)
            answer = {"output": result.output}
        except nova.FunctionFailed as error:
            result, answer = error.result, {"error": error.result.failure}
        answer.update(logged=result.stderr, printed=result.stdout)
        return answer, result.cold_start

    def expected(self, function):
        """What each event has to be answered with."""
        events = function.entry["events"]
        given = function.entry.get("answers") or [None] * len(events)
        found = host.answers(function, [event for event, answer in zip(events, given)
                                        if answer is None])
        return [answer or found.pop(0) for answer in given]

    def compare(self, function, expected, answer, drawn):
        """`drawn` has what the function has drawn before, which must not come again."""
        output, wanted = answer.get("output"), dict(expected)
        for member in function.entry.get("differs", ()):
            self.assertNotIn(str(output[member]), drawn)
            drawn.add(str(output.pop(member)))
            wanted["output"].pop(member, None)
        for member, inside in function.entry.get("inside", {}).items():
            if "output" in wanted:
                wanted["output"] = {**wanted["output"], member: inside}
            if output and IS_FAKE:  # that is no machine of its own
                output[member] = inside
        self.assertEqual({key: answer.get(key) for key in wanted}, wanted)

    def check(self, function):
        missing = function.missing()
        if missing and os.environ.get("CI") == "true":
            self.fail(missing)
        if missing:
            self.skipTest(missing)
        self.register(function)
        expected, drawn = self.expected(function), set()
        if not IS_FAKE:
            # Makes its template, and for the first of a root file system that of the runtime.
            answer, _ = self.call(function, "first", function.entry["events"][0], fresh=True)
            self.compare(function, expected[0], answer, drawn)
        ended = True  # the VM that waits for calls
        for event, wanted in zip(function.entry["events"], expected):
            with self.subTest(event=event):
                answer, is_cold = self.call(function, "cold" if ended else "warm", event)
                self.assertEqual(is_cold, ended)
                self.compare(function, wanted, answer, drawn)
                ended = "timeout" in answer.get("error", "")


def test_of(function):
    return lambda self: self.check(function)


for one in TRIED:
    setattr(Corpus, "test_" + one.name.replace("-", "_") + "_answers_as_elsewhere", test_of(one))


class Manifest(unittest.TestCase):
    def test_there_are_enough_functions_of_each_language(self):
        counts = Counter(function.language for function in functions())
        least = {"node": 8, "go": 6, "rust": 6, "c": 6, "shell": 6, "wasm": 4}
        self.assertGreaterEqual(counts.total(), 60)
        self.assertEqual({language: count for language, count in least.items()
                          if counts[language] < count}, {})

    def test_half_of_them_need_something_of_the_contract(self):
        need = [function for function in functions() if function.entry["needs"]]
        self.assertGreaterEqual(2 * len(need), len(functions()))

    def test_each_has_a_reason_for_an_answer_of_its_own(self):
        self.assertEqual([function.path for function in functions()
                          if {"answers", "inside"} & set(function.entry)
                          and "because" not in function.entry], [])

    def test_each_is_called_warm_too(self):
        self.assertEqual([function.path for function in functions()
                          if len(function.entry["events"]) < 2], [])

    def test_each_file_belongs_to_one(self):
        known = {(HERE / function.path).stem for function in functions()}
        aside = {"event", "wasi", "function", "go"}  # what they share
        files = {path.stem for language in LANGUAGES for path in (HERE / language).iterdir()}
        self.assertEqual(files - known - aside, set())
