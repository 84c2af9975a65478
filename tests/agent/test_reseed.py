# SPDX-License-Identifier: MIT
"""What the interpreter of a function does about randomness in a copy of its machine (agent/python/reseed.py).

A copy is made as a machine's is: the process goes on in another one with the same memory and the same process number, and
nothing in it is told. That is a clone() into a new namespace of process numbers, without the C library's or Python's fork().
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PYTHON = "/usr/bin/python3"  # the one that the agent takes
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COPIES = 200 if os.environ.get("NOVA_TEST_LONG") else 20

# Arguments: reseed.py, directory of the function, how many copies, how many calls in each. Prints a line of JSON for each.
DRIVER = r"""
import ctypes, json, os, sys
exec(open(sys.argv[1]).read())
libc = ctypes.CDLL(None, use_errno=True)

def copy():
    flags = 0x20000000 | (0x10000000 if os.getuid() else 0) | 17  # CLONE_NEWPID, CLONE_NEWUSER, SIGCHLD
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
randomness = Randomness(directory)
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
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


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
        self.write("main.py", source)
        done = subprocess.run([PYTHON, "-c", DRIVER, os.path.join(ROOT, "agent/python/reseed.py"), self.directory, str(copies), str(calls)],
                              capture_output=True, text=True, check=False, timeout=120)
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
        drawn, values = self.copies(f"{prepare}\ndef handler(e): return [{', '.join(draws)}]\n", copies)
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
        self.each_differs(
            "import random\nfrom random import Random, getrandbits\nr = Random()\nclass Sampler(random.Random): pass\ns = [{'a': (Sampler(),)}]\n"
            "class Odd(random.Random):\n    __slots__ = ()\n    def __eq__(self, other): return True\n    __hash__ = None\nodd = Odd()\n"
            "again = random.Random(7)\nagain.seed()\nnone = random.Random(7)\nnone.seed(None)\n"
            "def default(r=random.Random()): return r.random()\n"
            "def make():\n    r = random.Random()\n    return lambda: r.getrandbits(128)\nclosed = make()\n",
            "getrandbits(128)", "random.randbytes(16).hex()", "r.getrandbits(128)", "s[0]['a'][0].random()", "odd.random()", "again.random()",
            "none.random()", "default()", "closed()")
        for seed in ("random.seed()", "random.seed(5); random.seed(None)"):
            self.each_differs(f"import random\n{seed}\n", "random.random()", copies=2)

    def test_the_gaussian_number_that_was_kept_is_not_given_twice(self):
        self.all_differ("import random\nr = random.Random()\nr.gauss(0, 1)\ndef handler(e): return r.gauss(0, 1)\n", copies=5)

    def test_a_seed_that_is_the_time_is_not_on_purpose(self):
        self.each_differs("import random, time\na, b, c, d = [random.Random(t) for t in (time.time(), time.time_ns(), int(time.time()), int(time.time() * 1000))]\n",
                          "a.random()", "b.random()", "c.random()", "d.random()", copies=2)

    def test_a_state_from_entropy_that_is_put_back_is_still_from_entropy(self):
        self.each_differs("import random, copy\ns = random.getstate()\nrandom.seed(1)\nrandom.setstate(s)\nr = copy.deepcopy(random.Random())\n",
                          "random.random()", "r.random()", copies=2)

    def test_each_generator_of_the_standard_library(self):
        self.each_differs(
            "import multiprocessing, os, random, secrets, ssl, tempfile, threading, uuid\n"
            "context = ssl.create_default_context()\n"
            "def hello():\n    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()\n    s = context.wrap_bio(a, b, server_hostname='example.org')\n"
            "    try: s.do_handshake()\n    except ssl.SSLWantReadError: pass\n    return b.read().hex()\n"
            "calls = []\n"
            "def once(value):\n    calls.append(1)\n    return value if len(calls) <= 3 else random.random()\n"
            "def threads():\n    out = []\n"
            "    threads = [threading.Thread(target=lambda: out.append(ssl.RAND_bytes(16).hex())) for _ in range(3)]\n"
            "    for t in threads: t.start()\n    for t in threads: t.join()\n    return out\n"
            "names = tempfile._RandomNameSequence()\n"
            "random.random(); tempfile.mktemp(); next(names); uuid.uuid1(); uuid.getnode(); hello()\n"
            "t = threading.Thread(target=hello)\nt.start()\nt.join()\n",
            "random.randbytes(16).hex()", "tempfile.mktemp()", "next(names)", "once(str(uuid.uuid1())[14:])", "once(uuid.getnode())",
            "ssl.RAND_bytes(16).hex()", "threads()", "hello()[22:86]", "hello()[86:]", "secrets.token_hex(16)",
            "os.urandom(16).hex()", "str(uuid.uuid4())", "once(bytes(multiprocessing.current_process().authkey).hex())", copies=COPIES)

    def test_hooks_for_forks_run_in_a_copy_as_around_a_fork(self):
        _, values = self.copies(
            "import os\nlog = []\nos.register_at_fork(before=lambda: log.append('before'), after_in_child=lambda: log.append('child'))\n"
            "os.register_at_fork(after_in_child=lambda: log.append('2'), after_in_parent=lambda: log.append('no'))\n"
            "os.register_at_fork(after_in_parent=lambda: log.append('no'))\n"
            "def handler(e): return log\n", copies=2, calls=1)
        self.assertEqual(values, [[["before", "child", "2"]]] * 2)

    # --- seeded on purpose ---

    def test_what_was_seeded_on_purpose_goes_on(self):
        for source in (
            "import random\nr = random.Random(42)\nrandom.seed(7)\nfirst = r.random()\ndef handler(e): return [r.random(), random.random()]\n",
            "import random\nr = random.Random()\nr.seed('x')\ndef handler(e): return r.random()\n",
            "import random\nrandom.setstate(random.Random(3).getstate())\ndef handler(e): return random.random()\n",
            "import random, copy\nr = copy.copy(random.Random(3))\ndef handler(e): return r.random()\n",
            "import random\nclass S(random.Random):\n    def __init__(self): super().__init__(9)\ns = S()\ndef handler(e): return s.gauss(0, 1)\n",
        ):
            with self.subTest(source):
                first, second = self.all_agree(source, copies=2)
                self.assertNotEqual(first, second)
        value = self.all_agree("import random\nrandom.seed(42)\ndef handler(e): return random.random()\n", copies=2)[0]
        self.assertEqual(value, 0.6394267984578837)

    # --- numpy ---

    def test_numpy_from_entropy(self):
        if not has("numpy"):
            self.skipTest("there is no numpy")
        self.each_differs(
            "import numpy as np\nown, state = np.random.default_rng(), np.random.RandomState()\ns, t = np.random.SeedSequence(), np.random.SeedSequence()\n"
            "children = [np.random.default_rng(one) for one in t.spawn(2)]\n"
            "kinds = [np.random.Generator(getattr(np.random, kind)()) for kind in ('MT19937', 'Philox', 'SFC64', 'PCG64DXSM')]\n",
            "own.bytes(16).hex()", "np.random.bytes(16).hex()", "state.bytes(16).hex()", "np.random.default_rng(s.spawn(1)[0]).bytes(16).hex()",
            "children[0].bytes(16).hex()", "children[1].bytes(16).hex()", "np.random.default_rng(own.bit_generator._seed_seq.spawn(1)[0]).bytes(16).hex()",
            *[f"kinds[{n}].bytes(16).hex()" for n in range(4)])
        for prepare in ("np.random.seed(3)\nnp.random.seed()\n", "s = np.random.get_state()\nnp.random.seed(3)\nnp.random.set_state(s)\n"):
            self.each_differs("import numpy as np\n" + prepare, "np.random.bytes(16).hex()", copies=2)

    def test_numpy_on_purpose(self):
        if not has("numpy"):
            self.skipTest("there is no numpy")
        for prepare in ("np.random.seed(42)\n", "np.random.seed(42)\ns = np.random.get_state()\nnp.random.seed()\nnp.random.set_state(s)\n"):
            first, second = self.all_agree(
                "import numpy as np\n" + prepare + "own, state, s = np.random.default_rng(42), np.random.RandomState(42), np.random.SeedSequence(5)\n"
                "put = np.random.default_rng()\nput.bit_generator.state = np.random.default_rng(8).bit_generator.state\n"
                "def handler(e): return [r.bytes(16).hex() for r in (own, state, np.random, put, np.random.default_rng(s.spawn(1)[0]))]\n", copies=2)
            self.assertTrue(all(a != b for a, b in zip(first, second)))

    def test_the_openssl_that_cryptography_brings(self):
        if not has("cryptography"):
            self.skipTest("there is no cryptography")
        self.all_differ("from cryptography.hazmat.primitives.asymmetric import ec\n"
                        "from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey\nX25519PrivateKey.generate()\n"
                        "def handler(e): return ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value\n", copies=5)

    # --- what an import draws ---

    def test_a_secret_that_an_import_draws_is_named_with_its_call(self):
        for source, call in (
            ("import os\nSALT = os.urandom(16)\n", "os.urandom() in main.py, line 2"),
            ("from os import urandom as u\nSALT = u(16)\n", "os.urandom() in main.py, line 2"),
            ("import os\nSALT = os.getrandom(16)\n", "os.getrandom() in main.py, line 2"),
            ("import uuid\n\nID = uuid.uuid4()\n", "uuid.uuid4() in main.py, line 3"),
            ("import secrets\nID = secrets.token_hex()\n", "secrets.token_hex() in main.py, line 2"),
            ("import random\nr = random.Random(random.SystemRandom().random())\n", "random.random() in main.py, line 2"),
            ("import ssl\nID = ssl.RAND_bytes(4)\n", "ssl.RAND_bytes() in main.py, line 2"),
            ("ID = open('/dev/urandom', 'rb').read(4)\n", "open() in main.py, line 1"),
            ("from pathlib import Path\nID = Path('/dev/random').open('rb', 0).read(4)\n", "pathlib.open() in main.py, line 2"),
            ("from helper import ID\n", "os.urandom() in helper.py, line 3"),
        ):
            with self.subTest(source):
                self.write("helper.py", "import os\ndef make():\n    return os.urandom(4)\nID = make()\n")
                draws, _ = self.copies(source + "def handler(e): return 1\n", copies=1)
                self.assertEqual(draws, call)

    def test_what_the_library_draws_for_itself_does_not_count(self):
        draws, _ = self.copies("import random, uuid, tempfile, secrets, ssl, multiprocessing, asyncio, http.server, concurrent.futures.process\n"
                               "random.random(); random.seed(); ssl.create_default_context(); tempfile.mkdtemp\ndef handler(e): return 1\n", copies=1)
        self.assertEqual(draws, "")

    def test_what_is_drawn_after_the_import_does_not_count(self):
        self.all_differ("import os\nfrom os import urandom\ndef handler(e): return [urandom(16).hex(), os.urandom(16).hex(), os.urandom.__module__]\n", copies=3)

    def test_modules_of_the_functions_own_that_have_names_of_the_librarys(self):
        for name in ("random", "uuid", "ssl", "secrets", "numpy"):
            self.write(f"{name}.py", "value = 4\nclass Random: pass\n_inst = None\n")
        draws, values = self.copies("import random, uuid, ssl, secrets, numpy\ndef handler(e): return random.value + uuid.value\n", copies=2, calls=1)
        self.assertEqual((draws, values), ("", [[8], [8]]))


if __name__ == "__main__":
    unittest.main()
