# SPDX-License-Identifier: MIT
"""What the interpreter of a function does about randomness in a copy of its machine
(agent/worker/python/reseed.py).

A copy is made as a machine's is: the process goes on in another one with the same memory and the
same process number, and nothing in it is told. That is a clone() into a new namespace of process
numbers, without the C library's or Python's fork().
"""
import json
import os
import subprocess
import tempfile
import textwrap
import unittest

PYTHON = "/usr/bin/python3"  # the one that the agent takes
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COPIES = 200 if os.environ.get("NOVA_TEST_LONG") else 20

# Arguments: reseed.py, directory of the function, how many copies, how many calls in each.
# Prints a line of JSON for each.
DRIVER = r"""
import ctypes, json, os, sys
exec(open(sys.argv[1]).read())
libc = ctypes.CDLL(None, use_errno=True)

def copy():
    CLONE_NEWUSER, CLONE_NEWPID, SIGCHLD = 0x10000000, 0x20000000, 17
    flags = CLONE_NEWPID | (CLONE_NEWUSER if os.getuid() else 0) | SIGCHLD
    pid = libc.syscall(56, flags, 0, 0, 0, 0)
    if pid < 0:
        print("no:", os.strerror(ctypes.get_errno()), flush=True)
        os._exit(0)
    return pid

def wait():
    libc.wait4(-1, None, 0, None)

if copy():
    wait()
    os._exit(0)
directory = sys.argv[2]
randomness = Randomness()
randomness.belongs(directory)
sys.path.insert(0, directory)
main = __import__("main")
draws = randomness.imported()
randomness.settle()
print(json.dumps({"draws": draws, "pid": os.getpid()}), flush=True)
for number in range(int(sys.argv[3])):
    if copy():
        wait()
        continue
    randomness.copied()
    out = {"pid": os.getpid(), "values": [main.handler(number) for _ in range(int(sys.argv[4]))]}
    print(json.dumps(out), flush=True)
    os._exit(0)
"""


def has(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True,
                          check=False).returncode == 0


class Reseed(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(PYTHON):
            self.skipTest(f"there is no {PYTHON}")
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name, text):
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            file.write(text)

    def copies(self, source, copies=COPIES, calls=2):
        """What the import drew, and the values of each copy."""
        self.write("main.py", textwrap.dedent(source))
        done = subprocess.run([PYTHON, "-c", DRIVER,
                               os.path.join(ROOT, "agent/worker/python/reseed.py"),
                               self.directory, str(copies), str(calls)], capture_output=True,
                              text=True, check=False, timeout=120)
        if done.stdout.startswith("no: "):
            self.skipTest("no namespaces of process numbers: " + done.stdout[4:].strip())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        first, *rest = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(rest), copies)
        self.assertEqual({one["pid"] for one in [first, *rest]}, {1})  # else it proves nothing
        return first["draws"], [one["values"] for one in rest]

    def all_differ(self, source, **how):
        draws, values = self.copies(source, **how)
        self.assertEqual(draws, "")
        flat = [json.dumps(call) for copy in values for call in copy]
        self.assertEqual(len(set(flat)), len(flat), source)

    def each_differs(self, prepare, *draws, copies=5):
        """Each of the expressions in all copies and calls, and no one's value is another's."""
        handler = f"\ndef handler(e): return [{', '.join(draws)}]\n"
        drawn, values = self.copies(textwrap.dedent(prepare) + handler, copies)
        self.assertEqual(drawn, "")
        for at, draw in enumerate(draws):
            seen = [json.dumps(call[at]) for copy in values for call in copy]
            self.assertEqual(len(set(seen)), len(seen), draw)

    def all_agree(self, source, **how):
        draws, values = self.copies(source, **how)
        self.assertEqual(draws, "")
        self.assertEqual(len({json.dumps(copy) for copy in values}), 1, source)
        return values[0]

    # --- seeded from entropy ---

    def test_instances_of_random_wherever_they_are(self):
        self.each_differs("""
            import random
            from random import Random, getrandbits
            r = Random()
            class Sampler(random.Random): pass
            s = [{'a': (Sampler(),)}]
            class Odd(random.Random):
                __slots__ = ()
                def __eq__(self, other): return True
                __hash__ = None
            odd = Odd()
            again = random.Random(7)
            again.seed()
            none = random.Random(7)
            none.seed(None)
            def default(r=random.Random()): return r.random()
            def make():
                r = random.Random()
                return lambda: r.getrandbits(128)
            closed = make()
            """, "getrandbits(128)", "random.randbytes(16).hex()", "r.getrandbits(128)",
            "s[0]['a'][0].random()", "odd.random()", "again.random()", "none.random()",
            "default()", "closed()")
        for seed in ("random.seed()", "random.seed(5); random.seed(None)"):
            self.each_differs(f"import random\n{seed}\n", "random.random()", copies=2)

    def test_the_gaussian_number_that_was_kept_is_not_given_twice(self):
        self.all_differ("""
            import random
            r = random.Random()
            r.gauss(0, 1)
            def handler(e): return r.gauss(0, 1)
            """, copies=5)

    def test_a_seed_that_is_the_time_is_not_on_purpose(self):
        self.each_differs("""
            import random, time
            now = time.time()
            seeds = (now, time.time_ns(), int(now), int(now * 1000))
            a, b, c, d = [random.Random(seed) for seed in seeds]
            """, "a.random()", "b.random()", "c.random()", "d.random()", copies=2)

    def test_a_state_from_entropy_that_is_put_back_is_still_from_entropy(self):
        self.each_differs("""
            import random, copy
            s = random.getstate()
            random.seed(1)
            random.setstate(s)
            r = copy.deepcopy(random.Random())
            """, "random.random()", "r.random()", copies=2)

    def test_each_generator_of_the_standard_library(self):
        self.each_differs("""
            import multiprocessing, os, random, secrets, ssl, tempfile, threading, uuid
            context = ssl.create_default_context()
            def hello():
                a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
                s = context.wrap_bio(a, b, server_hostname='example.org')
                try: s.do_handshake()
                except ssl.SSLWantReadError: pass
                return b.read().hex()
            calls = []
            def once(value):
                calls.append(1)
                return value if len(calls) <= 3 else random.random()
            def threads():
                out = []
                def draw(): out.append(ssl.RAND_bytes(16).hex())
                threads = [threading.Thread(target=draw) for _ in range(3)]
                for t in threads: t.start()
                for t in threads: t.join()
                return out
            def authkey(): return bytes(multiprocessing.current_process().authkey).hex()
            names = tempfile._RandomNameSequence()
            random.random(); tempfile.mktemp(); next(names); uuid.uuid1(); uuid.getnode(); hello()
            t = threading.Thread(target=hello)
            t.start()
            t.join()
            """, "random.randbytes(16).hex()", "tempfile.mktemp()", "next(names)",
            "once(str(uuid.uuid1())[14:])", "once(uuid.getnode())", "ssl.RAND_bytes(16).hex()",
            "threads()", "hello()[22:86]", "hello()[86:]", "secrets.token_hex(16)",
            "os.urandom(16).hex()", "str(uuid.uuid4())", "once(authkey())", copies=COPIES)

    def test_hooks_for_forks_run_in_a_copy_as_around_a_fork(self):
        _, values = self.copies("""
            import os
            log = []
            def logs(word): return lambda: log.append(word)
            os.register_at_fork(before=logs('before'), after_in_child=logs('child'))
            os.register_at_fork(after_in_child=logs('2'), after_in_parent=logs('no'))
            os.register_at_fork(after_in_parent=logs('no'))
            def handler(e): return log
            """, copies=2, calls=1)
        self.assertEqual(values, [[["before", "child", "2"]]] * 2)

    # --- seeded on purpose ---

    def test_what_was_seeded_on_purpose_goes_on(self):
        for prepare, draw in (
            ("r = random.Random(42)\nrandom.seed(7)\nfirst = r.random()",
             "[r.random(), random.random()]"),
            ("r = random.Random()\nr.seed('x')", "r.random()"),
            ("random.setstate(random.Random(3).getstate())", "random.random()"),
            ("import copy\nr = copy.copy(random.Random(3))", "r.random()"),
            ("class S(random.Random):\n    def __init__(self): super().__init__(9)\ns = S()",
             "s.gauss(0, 1)"),
        ):
            with self.subTest(prepare):
                first, second = self.all_agree(
                    f"import random\n{prepare}\ndef handler(e): return {draw}\n", copies=2)
                self.assertNotEqual(first, second)
        first, _ = self.all_agree("""
            import random
            random.seed(42)
            def handler(e): return random.random()
            """, copies=2)
        self.assertEqual(first, 0.6394267984578837)

    # --- numpy ---

    def test_numpy_from_entropy(self):
        if not has("numpy"):
            self.skipTest("there is no numpy")
        self.each_differs("""
            import numpy as np
            def hex(generator): return generator.bytes(16).hex()
            def grown(seed): return np.random.default_rng(seed.spawn(1)[0])
            own, state = np.random.default_rng(), np.random.RandomState()
            s, t = np.random.SeedSequence(), np.random.SeedSequence()
            children = [np.random.default_rng(one) for one in t.spawn(2)]
            kinds = [np.random.Generator(getattr(np.random, kind)())
                     for kind in ('MT19937', 'Philox', 'SFC64', 'PCG64DXSM')]
            """, "hex(own)", "hex(np.random)", "hex(state)", "hex(grown(s))", "hex(children[0])",
            "hex(children[1])", "hex(grown(own.bit_generator._seed_seq))",
            *[f"hex(kinds[{n}])" for n in range(4)])
        for prepare in ("np.random.seed(3)\nnp.random.seed()\n",
                        "s = np.random.get_state()\nnp.random.seed(3)\nnp.random.set_state(s)\n"):
            self.each_differs("import numpy as np\n" + prepare, "np.random.bytes(16).hex()",
                              copies=2)

    def test_numpy_on_purpose(self):
        if not has("numpy"):
            self.skipTest("there is no numpy")
        seeded = "np.random.seed(42)\n"
        for prepare in (seeded, seeded + "s = np.random.get_state()\nnp.random.seed()\n"
                                         "np.random.set_state(s)\n"):
            first, second = self.all_agree("import numpy as np\n" + prepare + textwrap.dedent("""
                own, state = np.random.default_rng(42), np.random.RandomState(42)
                s = np.random.SeedSequence(5)
                put = np.random.default_rng()
                put.bit_generator.state = np.random.default_rng(8).bit_generator.state
                def handler(e):
                    grown = np.random.default_rng(s.spawn(1)[0])
                    return [r.bytes(16).hex() for r in (own, state, np.random, put, grown)]
                """), copies=2)
            self.assertTrue(all(a != b for a, b in zip(first, second)))

    def test_the_openssl_that_cryptography_brings(self):
        if not has("cryptography"):
            self.skipTest("there is no cryptography")
        self.all_differ("""
            from cryptography.hazmat.primitives.asymmetric import ec
            from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
            X25519PrivateKey.generate()
            def handler(e):
                return ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
            """, copies=5)

    # --- what an import draws ---

    def test_a_secret_that_an_import_draws_is_named_with_its_call(self):
        for source, call in (
            ("import os\nSALT = os.urandom(16)\n", "os.urandom() in main.py, line 2"),
            ("from os import urandom as u\nSALT = u(16)\n", "os.urandom() in main.py, line 2"),
            ("import os\nSALT = os.getrandom(16)\n", "os.getrandom() in main.py, line 2"),
            ("import uuid\n\nID = uuid.uuid4()\n", "uuid.uuid4() in main.py, line 3"),
            ("import secrets\nID = secrets.token_hex()\n",
             "secrets.token_hex() in main.py, line 2"),
            ("import random\nr = random.Random(random.SystemRandom().random())\n",
             "random.random() in main.py, line 2"),
            ("import ssl\nID = ssl.RAND_bytes(4)\n", "ssl.RAND_bytes() in main.py, line 2"),
            ("ID = open('/dev/urandom', 'rb').read(4)\n", "open() in main.py, line 1"),
            ("from pathlib import Path\nID = Path('/dev/random').open('rb', 0).read(4)\n",
             "pathlib.open() in main.py, line 2"),
            ("from helper import ID\n", "os.urandom() in helper.py, line 3"),
        ):
            with self.subTest(source):
                self.write("helper.py",
                           "import os\ndef make():\n    return os.urandom(4)\nID = make()\n")
                draws, _ = self.copies(source + "def handler(e): return 1\n", copies=1)
                self.assertEqual(draws, call)

    def test_what_the_library_draws_for_itself_does_not_count(self):
        draws, _ = self.copies("""
            import asyncio, concurrent.futures.process, http.server, multiprocessing, random
            import secrets, ssl, tempfile, uuid
            random.random(); random.seed(); ssl.create_default_context(); tempfile.mkdtemp
            def handler(e): return 1
            """, copies=1)
        self.assertEqual(draws, "")

    def test_what_is_drawn_after_the_import_does_not_count(self):
        self.all_differ("""
            import os
            from os import urandom
            def handler(e):
                return [urandom(16).hex(), os.urandom(16).hex(), os.urandom.__module__]
            """, copies=3)

    def test_modules_of_the_functions_own_that_have_names_of_the_librarys(self):
        for name in ("random", "uuid", "ssl", "secrets", "numpy"):
            self.write(f"{name}.py", "value = 4\nclass Random: pass\n_inst = None\n")
        draws, values = self.copies("""
            import random, uuid, ssl, secrets, numpy
            def handler(e): return random.value + uuid.value
            """, copies=2, calls=1)
        self.assertEqual((draws, values), ("", [[8], [8]]))


if __name__ == "__main__":
    unittest.main()
