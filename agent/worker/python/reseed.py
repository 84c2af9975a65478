# SPDX-License-Identifier: MIT
"""Randomness in the warm interpreter, which is copied: by fork() for each request, and with its
whole machine into clones.

Whatever was seeded from entropy is seeded anew in each copy; what the function seeded on purpose
keeps its stream. Which of the two it is, is noted when the seeding happens. What an import got from
a generator for secrets cannot be told from any other value later: it is reported, and such a
function's templates are made without it. Goes in front of worker.py.

Nothing is imported here for its own sake: the library's modules are looked at when the function
imports them, if it does.
"""
import _weakref
import builtins
import gc
import io
import os
import sys
import time

entropy = os.urandom  # whoever takes its place
LIBRARY = os.path.dirname(os.__file__) + "/"
SEED = 16  # bytes
MOST_NOTES = 1024


def is_librarys(path):
    """A file of the standard library, or code that is in no file."""
    return path.startswith("<frozen ") or path.startswith(LIBRARY) and "-packages/" not in path


def is_library(module):
    """Not a module of the function's own that only has the name."""
    return is_librarys(getattr(module, "__file__", None) or LIBRARY)


def loaded(name):
    module = sys.modules.get(name)
    return module if module is not None and is_library(module) else None


def is_time(seed):
    """Whether it is the time now, in some unit: that is to make each start another one, too."""
    if type(seed) not in (int, float) or not 0 < seed < 1e20:
        return False
    now = time.time()
    return any(abs(seed / unit - now) < 2 for unit in (1, 1e3, 1e6, 1e9))


def like(function, model):
    """Looks as the function that it stands for."""
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(function, name, getattr(model, name, None))
    return function


def remember(notes, value):
    notes[value] = None
    if len(notes) > MOST_NOTES:
        del notes[next(iter(notes))]


class Imports:
    """A finder that finds nothing, but sees to it that some modules are looked at as soon as they
    have run."""

    def __init__(self, looks):
        self.looks = looks

    def find_spec(self, name, path=None, target=None):
        look = self.looks.get(name)
        if look is None:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                self.follow(spec.loader, look)
                return spec
        return None

    @staticmethod
    def follow(loader, look):
        run = getattr(loader, "exec_module", None)

        def exec_module(module):
            del loader.exec_module
            run(module)
            look_at(module, look)
        try:
            loader.exec_module = exec_module
        except (AttributeError, TypeError):
            pass


def look_at(module, look):
    try:
        look(module)
    except Exception:  # a module of another version, or of the function's own
        pass


class Draws:
    """What the import of the function was given by the generators for secrets."""

    def __init__(self):
        self.directory = "/"
        self.watching = False
        self.first = ""
        self.wrapped = []

    def watch(self):
        self.watching = True
        self.wrap(os, "urandom")
        if hasattr(os, "getrandom"):
            self.wrap(os, "getrandom")
        for module in (builtins, io, os):
            self.wrap(module, "open", self.is_device)

    @staticmethod
    def is_device(path=None, *_, **named):
        path = named.get("file", path)
        devices = (b"/dev/urandom", b"/dev/random")
        return isinstance(path, (str, bytes, os.PathLike)) and os.fsencode(path) in devices

    def rest(self):
        """The import is over. Who has taken one of the functions by its name keeps it: it only
        passes on now."""
        self.watching = False
        for module, name, wrapper, function in self.wrapped:
            if getattr(module, name, None) is wrapper:
                setattr(module, name, function)
        random = loaded("random")
        if random is not None:
            random._urandom = os.urandom

    def wrap(self, module, name, counts=lambda *_, **named: True):
        function = getattr(module, name)
        call = name + "()" if module is builtins else f"{module.__name__}.{name}()"

        def draw(*args, **named):
            value = function(*args, **named)
            if self.watching and counts(*args, **named):
                self.note(value, call)
            return value
        setattr(module, name, like(draw, function))
        self.wrapped.append((module, name, draw, function))

    def note(self, value, call):
        frame = sys._getframe(2)
        if frame.f_globals.get("__name__") == "multiprocessing.process":
            Library.authkey = value  # which a copy gets anew
            return
        self.first = self.first or self.describe(frame, call)

    def describe(self, frame, call):
        """The call as the function's own code has it, and where that is."""
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(self.directory):
                return f"{call} in {code.co_filename[len(self.directory):]}, line {frame.f_lineno}"
            if not code.co_filename.startswith("<") and code.co_name != "<module>":
                call = f"{frame.f_globals.get('__name__')}.{code.co_name}()"
            frame = frame.f_back
        return call


class Python:
    """Instances of random.Random and of what is derived from it, the one behind the functions of
    the module among them."""

    def __init__(self):
        self.entropic = {}  # id -> weak reference, of those that were seeded from entropy last
        self.states = {}    # taken from such
        self.seed = None

    def look(self, module):
        kind, hidden = module.Random, module._inst
        if not is_library(module) or kind.__base__.__module__ != "_random":
            return
        seed, getstate, setstate = kind.seed, kind.getstate, kind.setstate

        def seed_and_note(self, a=None, version=2):
            seed(self, a, version)
            note(self, a is None or is_time(a))

        def getstate_and_note(self):
            state = getstate(self)
            if id(self) in entropic:
                remember(states, hash(state[1]))
            return state

        def setstate_and_note(self, state):
            setstate(self, state)
            note(self, hash(tuple(state[1])) in states)
        note, entropic, states = self.note, self.entropic, self.states
        self.seed = seed
        kind.seed = like(seed_and_note, seed)
        kind.getstate = like(getstate_and_note, getstate)
        kind.setstate = like(setstate_and_note, setstate)
        module.seed, module.getstate = hidden.seed, hidden.getstate
        module.setstate = hidden.setstate
        self.note(hidden, True)

    def note(self, generator, from_entropy):
        key, entropic = id(generator), self.entropic
        if from_entropy:
            if key not in entropic:
                entropic[key] = _weakref.ref(generator, lambda _: entropic.pop(key, None))
        else:
            entropic.pop(key, None)

    def renew(self):
        for reference in list(self.entropic.values()):
            generator = reference()
            if generator is not None:
                self.seed(generator)


class Numpy:
    """Bit generators and seed sequences of numpy. They know their entropy; numpy's own draws of it
    are noted here."""

    def __init__(self):
        self.entropies, self.most = set(), MOST_NOTES
        # id of the bit generator behind numpy's functions -> whether entropy seeded it, where it
        # does not know
        self.chosen = {}
        self.states = {}
        self.sequences, self.generators = [], []  # that will not be found any more

    def look(self, module):
        """numpy.random.bit_generator, before anything has been seeded."""
        module.randbits  # noqa: B018, it has to be there

        def randbits(bits):
            value = int.from_bytes(entropy((bits + 7) // 8), "big") >> -bits % 8
            self.note(value)
            return value
        module.randbits = randbits

    def note(self, value):
        if len(self.entropies) >= self.most:  # most are of generators that are gone
            known = self.sequences + self.find()[0]
            self.entropies &= {one.entropy for one in known if self.is_noted(one)}
            self.most = max(MOST_NOTES, 2 * len(self.entropies))
        self.entropies.add(value)

    def is_noted(self, sequence):
        value = getattr(sequence, "entropy", None)
        return type(value) is int and value in self.entropies

    def look_at_functions(self, module):
        """numpy.random: seed() and set_state() leave no trace in the generator."""
        hidden = module.mtrand._rand._bit_generator
        seed, get_state, set_state = module.seed, module.get_state, module.set_state

        def seed_and_note(seed_=None):
            seed(seed_)
            self.chosen[id(hidden)] = seed_ is None or is_time(seed_)

        def get_state_and_note(*args, **named):
            state = get_state(*args, **named)
            if self.is_entropic(hidden):
                remember(self.states, self.key(hidden))
            return state

        def set_state_and_note(state):
            set_state(state)
            self.chosen[id(hidden)] = self.key(hidden) in self.states
        for name, function, model in (("seed", seed_and_note, seed),
                                      ("get_state", get_state_and_note, get_state),
                                      ("set_state", set_state_and_note, set_state)):
            like(function, model)
            setattr(module, name, function)
            setattr(module.mtrand, name, function)
        self.generators.append(hidden)

    @staticmethod
    def key(generator):
        return hash(generator.state["state"]["key"].tobytes())

    def is_entropic(self, generator):
        return self.chosen.get(id(generator), self.is_noted(getattr(generator, "_seed_seq", None)))

    @staticmethod
    def kinds():
        module = sys.modules.get("numpy.random.bit_generator")
        if hasattr(module, "BitGenerator"):
            return module.SeedSequence, module.BitGenerator
        return None, None

    def find(self):
        """Those that live and are not known yet. Slow: it looks at all objects."""
        sequence, generator = self.kinds()
        if sequence is None:
            return [], []
        found = [one for one in gc.get_objects() if issubclass(type(one), (sequence, generator))]
        return ([one for one in found if isinstance(one, sequence)],
                [one for one in found if isinstance(one, generator)])

    def settle(self):
        """Before all that there is gets out of the collector's sight, and into every fork."""
        sequences, generators = self.find()
        self.sequences += sequences
        self.generators += generators

    def renew(self, everything):
        sequences, generators = self.find() if everything else ([], [])
        sequences, generators = sequences + self.sequences, generators + self.generators
        if not generators and not sequences:
            return
        generators = [one for one in {id(one): one for one in generators}.values()
                      if self.is_entropic(one) and not self.was_set(one)]
        sequences = sequences + [getattr(one, "_seed_seq", None) for one in generators]
        self.renew_sequences({id(one): one for one in sequences}.values())
        for one in generators:
            own = getattr(one, "_seed_seq", None)
            one.state = (type(one)(own) if own is not None else type(one)()).state

    def renew_sequences(self, sequences):
        """Those that had the same entropy, as a parent and what it spawned, have the same again."""
        new = {}
        for one in sequences:
            if not self.is_noted(one):
                continue
            old = one.entropy
            if old not in new:
                new[old] = int.from_bytes(entropy(SEED), "big")
            one.__init__(new[old], spawn_key=one.spawn_key, pool_size=one.pool_size,
                         n_children_spawned=one.n_children_spawned)
        self.entropies.difference_update(new)
        self.entropies.update(new.values())

    @staticmethod
    def was_set(generator):
        """Its state was set by hand, as far as that shows: the increment of a PCG64 is its seed's
        for ever."""
        state = generator.state["state"]
        own = getattr(generator, "_seed_seq", None)
        if own is None or "inc" not in state:
            return False
        return type(generator)(own).state["state"]["inc"] != state["inc"]


class Forks:
    """What was registered by os.register_at_fork(): a clone of a machine is a copy too, but there
    is no fork in it."""

    def __init__(self):
        self.for_request = False  # the fork that is made now, and not by the function
        self.before, self.after = [], []
        register = getattr(os, "register_at_fork", None)
        if register is not None:
            os.register_at_fork = like(lambda **hooks: self.register(
                register, sys._getframe(1).f_code.co_filename, hooks), register)

    def register(self, register, path, hooks):
        after = hooks.get("after_in_child")
        # It seeds, whoever had seeded before: what is renewed in a request is our affair.
        if path == LIBRARY + "random.py":
            hooks["after_in_child"] = lambda: None if self.for_request else after()
        register(**hooks)
        if after is not None and not is_librarys(path):
            self.after.append(after)
            if "before" in hooks:
                self.before.insert(0, hooks["before"])

    def run(self):
        for hook in self.before + self.after:
            try:
                hook()
            except Exception as error:
                print(f"Exception ignored in: {hook!r}", file=sys.stderr)
                sys.__excepthook__(type(error), error, error.__traceback__)


class Library:
    """The rest of the standard library: what it draws once and keeps."""

    authkey = None

    @staticmethod
    def renew_ids(uuid):
        """libuuid keeps clock sequence and node where nobody can reach them: what it makes gets
        others."""
        generate = getattr(uuid._generate_time_safe, "of_libuuid", uuid._generate_time_safe)
        mine = bytearray(entropy(8))
        mine[0] = mine[0] & 0x3f | 0x80
        mine[2] |= 1  # no card's address

        def generate_time_safe():
            value, safe = generate()
            return value[:8] + bytes(mine), safe
        generate_time_safe.of_libuuid = generate
        uuid._generate_time_safe = generate and generate_time_safe
        uuid._node = uuid._last_timestamp = None

    @staticmethod
    def renew_openssl():
        """Adding to it makes OpenSSL's generator read the kernel's again, and those of all threads
        follow."""
        ssl = sys.modules.get("_ssl")
        if ssl is not None:
            ssl.RAND_add(entropy(SEED), 0.0)
        names = "cryptography.hazmat.bindings._"
        # It may bring its own OpenSSL.
        own = sys.modules.get(names + "openssl")
        own = own or getattr(sys.modules.get(names + "rust"), "_openssl", None)
        if own is not None:
            own.lib.RAND_add(entropy(SEED), SEED, 0.0)

    @classmethod
    def renew_authkey(cls):
        """The key of multiprocessing, unless a manager may be running that knows the old one."""
        process = loaded("multiprocessing.process")
        if process is None or "multiprocessing.managers" in sys.modules:
            return
        config = process.current_process()._config
        if config.get("authkey") == cls.authkey:
            cls.authkey = entropy(32)
            config["authkey"] = process.AuthenticationString(cls.authkey)


class Randomness:
    """All of it, for the interpreter. Made before the function is imported."""

    def __init__(self):
        self.draws, self.python, self.numpy = Draws(), Python(), Numpy()
        self.forks = Forks()
        looks = {"random": self.python.look, "ssl": self.look_at_ssl,
                 "numpy.random.bit_generator": self.numpy.look,
                 "numpy.random": self.numpy.look_at_functions}
        for name in [name for name in looks if name in sys.modules]:
            look_at(sys.modules[name], looks[name])
        sys.meta_path.insert(0, Imports(looks))
        self.draws.watch()

    def look_at_ssl(self, module):
        if self.draws.watching:
            self.draws.wrap(module, "RAND_bytes")

    def belongs(self, directory):
        """Where the code of the function is, which is about to be imported."""
        self.draws.directory = directory.rstrip("/") + "/"

    def imported(self):
        """The function is there. The first of its draws that cannot be taken back, as a text; "":
        none."""
        self.draws.rest()
        return self.draws.first

    def settle(self):
        if "numpy.random" in sys.modules:
            self.numpy.settle()

    def renew(self, forked=False):
        """Before the function draws, in what may be a copy. `forked`: it is one by fork(), which
        OpenSSL sees by itself."""
        self.python.renew()
        if loaded("uuid") is not None:
            look_at(sys.modules["uuid"], Library.renew_ids)
        if "numpy.random" in sys.modules:
            self.renew_numpy(not forked)
        if not forked:
            Library.renew_openssl()

    def copied(self):
        """In a clone of the machine, which may be in the middle of anything."""
        self.renew()
        Library.renew_authkey()
        self.forks.run()

    def renew_numpy(self, everything):
        try:
            self.numpy.renew(everything)
        except Exception as error:  # a version that has changed inside
            print(f"nova: numpy's generators are as they were before the copy: {error!r}",
                  file=sys.stderr)
