# SPDX-License-Identifier: MIT
"""The warm interpreter: gets ready, waits to be told whose it is, imports that function once, and
then answers each request in a fork of itself; or in place, if the module says so or there will be
one request only.

Run by prestart.py, with SOCKET in sys.argv; launch.c, messages.c and handover.c describe the
messages. reseed.py and handler.py stand in front of this file, in the same program. All that the
hot path needs is imported here, before the function is known: snapshots of a guest that waits for
its function hold it. But for calls in place a handler runs in a child only, so what it breaks is
its own.
"""
import _io
import _socket
import gc
import json
import os
import signal
import sys
import time

try:
    import resource
except ImportError:
    resource = None

MAX_RESULT = 6 << 20  # an escape counts as what it stands for
MAX_DEPTH = 512       # the agent counts
ROOM = 80 << 10   # for a request without its large input
PIECE = 32 << 10  # of a result
ORDER = 1 << 17   # of the message that tells whose it is
FIELDS = 6        # of that, before the variables
BUFFERED = (_io.TextIOWrapper, _io.BufferedWriter, _io.BufferedRandom)


def print_traceback(error, directory):
    """As the interpreter would, without our own frames. Written in C, so nothing has to be imported
    for it."""
    trace = first = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(directory + "/"):
        trace = trace.tb_next
    while trace is None and first is not None and first.tb_frame.f_code.co_filename == "<string>":
        first = first.tb_next  # none of the function's own
    trace = trace or first
    sys.__excepthook__(type(error), error.with_traceback(trace), trace)


def nothing(event):
    return event


def rehearsed(event, context):
    """In the place of the function, in a rehearsal that the host asks for."""
    print("rehearsal")
    print("rehearsal", file=sys.stderr)
    try:
        raise ValueError(event)
    except ValueError as error:
        describe(error)
    return event if context.get_remaining_time_in_millis() else None


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def open_files():
    """Files with a buffer of their own, as far as the collector sees them."""
    return [one for one in gc.get_objects() if issubclass(type(one), BUFFERED)]


class Hooks:
    """Module `nova`, for functions that have none of that name: declares what snapshots are to be
    told to, and has what they keep."""

    before, after = [], []

    @classmethod
    def before_snapshot(cls, function):
        cls.before.append(function)
        return function

    @classmethod
    def after_restore(cls, function):
        cls.after.append(function)
        return function

    @staticmethod
    def in_place(function):
        """For a handler that may be called in the interpreter itself, one call after the other,
        without a fork."""
        function.__nova_in_place__ = True
        return function

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return type(json.__spec__)(name, cls) if name == "nova" else None

    @staticmethod
    def create_module(spec):
        return None

    @classmethod
    def exec_module(cls, module):
        module.before_snapshot, module.after_restore = cls.before_snapshot, cls.after_restore
        module.in_place = cls.in_place
        module.kv, module.files, module.Error = KeepKv, KeepFiles, KeepError

    @classmethod
    def by_name(cls, module):
        """Functions of the handler's module that have the names of hooks."""
        for name, hooks in (("before_snapshot", cls.before), ("after_restore", cls.after)):
            function = module.__dict__.get(name)
            if type(function) is type(nothing) and function not in hooks:
                hooks.append(function)


class Worker:
    def __init__(self, sock):
        self.sock = _socket.socket(fileno=sock)
        self.me = os.getpid()  # of who answers: not what the function has forked
        self.once = self.program = False
        self.files = []
        self.function = self.code = None
        self.running = {}  # forks that have not ended, and the requests that they are for
        self.signals, self.reaping = 0, False
        self.sigchld = signal.SIG_DFL  # what the function had chosen
        self.count = 1
        self.in_place = self.by_lines = False
        self.serving = False  # in place, one call after the other
        self.randomness = Randomness()
        # A fork needs only those of its pages that it writes to.
        self.room = memoryview(bytearray(ROOM))
        self.environ = getattr(os.environ, "_data", {})  # as bytes; the other name is putenv()'s
        self.scan = json.JSONDecoder().scan_once
        self.encode = self.encoder()

    @staticmethod
    def encoder():
        """As json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode, but made once instead of
        for each value."""
        plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
        try:
            open_now = {}  # lists and objects that are being written: one within itself has no JSON
            chunks = json.encoder.c_make_encoder(
                open_now, plain.default, json.encoder.encode_basestring, None, ": ", ", ",
                False, False, False)
            if "".join(chunks({"a": [1, "b"]}, 0)) != '{"a": [1, "b"]}':
                return plain.encode
        except Exception:  # another interpreter, with another module
            return plain.encode

        def encode(value):
            try:
                return "".join(chunks(value, 0))
            finally:
                open_now.clear()
        return encode

    def prepare(self):
        """All that does not depend on the function."""
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        sys.dont_write_bytecode = True
        sys.meta_path.append(Hooks)
        gc.disable()
        self.settle()
        tree_of(b"", "")  # makes the types of such trees
        for _ in range(16):
            self.rehearse()
        del self.environ[b"NOVA_REQUEST_ID"]
        os.unsetenv("NOVA_REQUEST_ID")
        self.settle()
        gc.enable()

    def take_order(self):
        """Waits for whose it is."""
        self.sock.send(b"w")
        text, control, _, _ = self.sock.recvmsg(ORDER, 64)
        while text == b"F":
            self.copy(self.descriptors(control)[0])
            text, control, _, _ = self.sock.recvmsg(ORDER, 64)
        if not text:
            os._exit(0)
        fields = text.split(b"\0")
        if fields[FIELDS:]:
            os.environ.clear()
        for entry in fields[FIELDS:]:
            name, _, value = entry.partition(b"=")
            os.environb[name] = value
        time.tzset()
        # `modules`: a directory in which code that is one file has the name of its module.
        self.path, self.module, self.name, self.directory, self.modules, flags = [
            os.fsdecode(field) for field in fields[:FIELDS]]
        self.once, self.program = "1" in flags, "p" in flags
        os.chdir(self.directory)  # the code was not there before
        self.randomness.belongs(self.directory)

    def copy(self, sock):
        """Another one waits there, which is no child of this one."""
        pid = os.fork()
        if pid:
            os.close(sock)
            os.waitpid(pid, 0)
            return
        if os.fork():
            os._exit(0)
        os.setsid()
        self.sock.close()
        self.sock, self.me = _socket.socket(fileno=sock), os.getpid()
        self.sock.send(b"w" + self.me.to_bytes(4, sys.byteorder))

    def load(self):
        sys.argv = [self.path]
        sys.path.insert(0, self.directory)
        sys.path.append(self.modules)
        code = None if self.name else self.choose()
        if not self.name:
            self.code = code
            return
        module = import_handler(self.path, self.module, self.directory, code)
        self.function = find_function(module, self.short_path(), self.name, self.directory)
        Hooks.by_name(module)
        self.count = how_to_call(self.function)
        self.in_place = bool(getattr(self.function, "__nova_in_place__", False)
                             or module.__dict__.get("__nova_in_place__")
                             or os.environ.get("NOVA_IN_PLACE") == "1")
        if code_of(self.function)[1] & IS_COROUTINE:
            from_library("asyncio", self.directory)  # now rather than in each request

    def choose(self):
        """Nobody has named what is called: a handler that there is, else the file is run. Returns
        what was compiled of it."""
        source = source_of(self.path)
        code = compile(source, self.path, "exec", dont_inherit=True)
        if not self.program and may_define(source, AUTOMATIC):
            self.name = automatic_of(source, code, self.path, self.directory)
        return code

    def short_path(self):
        return os.path.relpath(self.path, self.directory)

    def start(self):
        try:
            self.load()
        except NoHandler as error:
            self.refuse(str(error))
        except BaseException as error:
            print_traceback(error, self.directory)
            flush()
            self.refuse(f"{self.short_path()} cannot be imported: {tell(error, self.directory)}")
        draws = self.randomness.imported()
        flush()
        self.sigchld = signal.signal(signal.SIGCHLD, self.reap)
        if not self.once:
            gc.disable()
            self.settle()
        self.in_place |= self.once
        letters = b"b" * bool(Hooks.before) + b"a" * bool(Hooks.after) + b"p" * self.in_place
        fields = [b"Rhandler" if self.function else b"Rscript", letters,
                  draws.encode("utf-8", "replace")[:400], self.name.encode()]
        self.sock.send(b"\0".join(fields))

    def refuse(self, text):
        self.sock.send(b"E" + text.encode("utf-8", "replace").replace(b"\0", b" ")[:4000])
        os._exit(1)

    def settle(self):
        """What there is now stays, in all forks: the collector need not write to it."""
        gc.collect()
        self.randomness.settle()
        files = [file for file in (one() for one in self.files) if file is not None]
        self.files = [_weakref.ref(file) for file in files + open_files()]
        del files
        if hasattr(gc, "freeze"):
            gc.freeze()

    def hook(self, hooks):
        (self.randomness.copied if hooks is Hooks.after else self.randomness.renew)()
        try:
            for function in hooks:
                function()
        except BaseException as error:
            print_traceback(error, self.directory)
            flush()
            text = tell(error, self.directory)[:400].encode("utf-8", "replace")
            self.say(b"F" + text.replace(b"\0", b" "))
            os._exit(1)
        flush()
        self.settle()
        self.say(b"D")

    def reap(self, *_):
        """Only forks for requests: others are waited for by who has made them, such as a hook. It
        is the handler of a signal, too, which may come in the middle of it: then it only begins
        anew."""
        self.signals += 1
        while not self.reaping:
            self.reaping = True
            seen = self.signals
            for pid in list(self.running):
                self.reap_one(pid)
            self.reaping = False
            if seen == self.signals:
                break

    def reap_one(self, pid):
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # the function has waited for all children there are
            ended, status = pid, 0
        if ended:
            self.say(b"X%s %d" % (self.running.pop(pid), status))

    def say(self, text):
        try:
            self.sock.send(text)
        except OSError:
            pass

    def serve(self):
        while True:
            text, control, _, _ = self.sock.recvmsg(64, 128)
            if text[:1] == b"N":
                self.begin(text[1:], control)
            elif text == b"W":
                self.reap()
            elif text == b"B":
                self.hook(Hooks.before)
            elif text == b"A":
                self.hook(Hooks.after)
            elif text == b"P":
                self.serve_in_place(self.descriptors(control))
            elif not text:
                self.end()

    def end(self):
        """The agent is gone: nobody is there to read what comes of it."""
        for pid in list(self.running):
            for target in (-pid, pid):
                try:
                    os.kill(target, signal.SIGKILL)
                except OSError:
                    pass
        os._exit(0)

    @staticmethod
    def descriptors(control):
        data = control[0][2]
        whole = len(data) // 4 * 4
        return [int.from_bytes(data[at:at + 4], sys.byteorder) for at in range(0, whole, 4)]

    def serve_in_place(self, fds):
        """One request after the other, in this process. What it changes stays; what it leaves
        behind is its own affair."""
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
        os.close(fds[0])
        os.close(fds[1])
        talk = fds[2]
        signal.signal(signal.SIGCHLD, self.sigchld)
        gc.enable()
        self.serving = not self.once
        while True:
            text = os.read(talk, ROOM)
            if text in (b"B", b"A"):
                self.hook(Hooks.before if text == b"B" else Hooks.after)
            elif text:
                self.reply(talk, self.answer(talk, text))
            else:
                os._exit(0)

    def begin(self, seq, control):
        fds = self.descriptors(control)
        signals = self.signals
        self.randomness.forks.for_request = True
        try:
            pid = os.fork()
        except OSError as error:
            text = describe(error).encode()
            os.write(fds[2], b"r" + bytes(4))
            os.write(fds[2], self.head(b"E", text, 0) + text)
            for fd in fds:
                os.close(fd)
            return
        finally:
            self.randomness.forks.for_request = False
        if pid == 0:
            try:
                self.child(fds)
            finally:
                os._exit(1)
        self.running[pid] = seq
        for fd in fds:
            os.close(fd)
        if signals != self.signals:  # it may have ended before it was known
            self.reap()

    @staticmethod
    def head(kind, text, peak):
        return kind + len(text).to_bytes(4, sys.byteorder) + peak.to_bytes(4, sys.byteorder)

    # --- from here on in the child ---

    def child(self, fds):
        self.me = os.getpid()
        signal.signal(signal.SIGCHLD, self.sigchld)
        if len(fds) > 3:
            os.write(fds[3], b"0")
            os.close(fds[3])
        os.setsid()
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
        os.close(fds[0])
        os.close(fds[1])
        self.sock.close()
        talk = fds[2]
        gc.enable()
        self.randomness.renew(forked=True)
        count = self.look(talk)
        if count < 0:
            self.rehearse()
            self.touch()
        os.write(talk, b"r" + os.getpid().to_bytes(4, sys.byteorder))
        # What comes now is the request, and in a clone of the machine nothing before it counted.
        if count < 0:
            count = os.readv(talk, (self.room,))
        if not count:
            os._exit(0)
        self.reply(talk, self.answer(talk, bytes(self.room[:count])))
        os._exit(0)

    def look(self, talk):
        """The request, if it is there already: then there is nothing to prepare for. -1: not
        yet."""
        os.set_blocking(talk, False)
        try:
            return os.readv(talk, (self.room,))
        except BlockingIOError:
            return -1
        finally:
            os.set_blocking(talk, True)

    @staticmethod
    def reply(talk, message):
        if len(message) > PIECE:
            for at in range(0, len(message), PIECE):
                os.write(talk, message[at:at + PIECE])
        else:
            os.write(talk, message)

    def answer(self, talk, text):
        request_id, timeout_ms, flags, path, told, event = text.split(b"\0", 5)
        if not self.serving:  # the C library keeps every value that it was ever given
            os.putenv(b"NOVA_REQUEST_ID", request_id)
        self.environ[b"NOVA_REQUEST_ID"] = request_id
        if flags or self.by_lines:
            event = self.special(talk, flags, event)
        outcome = self.rehearsal if b"n" in flags else self.outcome
        kind, value = outcome(path, event, request_id, timeout_ms, told)
        flush()
        if os.getpid() != self.me:
            self.end_as_child(kind, value)
        if not self.serving:
            self.flush_files()
        peak = 0
        if resource and not self.serving:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return self.head(kind, value, peak) + value

    def end_as_child(self, kind, value):
        """The function has forked, and this is not the one that was asked: it ends as it would in
        any program."""
        self.flush_files()
        os._exit(int(value) if kind == b"X" else kind == b"E")

    def flush_files(self):
        """There is no orderly end of the interpreter, in which they would be written."""
        for file in [one() for one in self.files] + open_files():
            try:
                if file is not None and not file.closed:
                    file.flush()
            except (AttributeError, OSError, ValueError):
                pass

    def rehearse(self):
        """All that a request runs, but the function: its pages are then there, its symbols looked
        up, its code made fast."""
        function, count = self.function, self.count
        self.function, self.count = nothing, 1
        self.answer(-1, b"\0000\0\0\0\0{}")
        self.function, self.count = function, count

    def rehearsal(self, *request):
        function, count = self.function, self.count
        self.function, self.count = rehearsed, 2
        try:
            return self.outcome(*request)
        finally:
            self.function, self.count = function, count

    def touch(self):
        """Takes hold of what the function will use, so that its pages are this process's own."""
        function = getattr(self.function, "__func__", self.function)
        code = getattr(function, "__code__", None)
        for things in (getattr(function, "__globals__", {}).values(),
                       getattr(code, "co_consts", ()), getattr(code, "co_names", ())):
            for _ in things:
                pass

    def special(self, talk, flags, event):
        if (b"s" in flags) != self.by_lines:
            self.by_lines = not self.by_lines
            sys.stdout.reconfigure(line_buffering=self.by_lines)
        if b"r" in flags:
            self.randomness.copied()
        if b"m" in flags:
            sock = _socket.socket(fileno=talk)
            _, control, _, _ = sock.recvmsg(1, 64)
            sock.detach()
            with open(int.from_bytes(control[0][2][:4], sys.byteorder), "rb") as file:
                file.seek(0)
                event = file.read()
        if b"v" in flags:
            variables = os.read(talk, ORDER)
            if not variables:  # nobody is there to give them, nor to get an answer
                os._exit(0)
            self.set_variables(variables)
        return event

    def set_variables(self, text):
        """What the host keeps out of templates. The C library keeps every value that it was ever
        given, so one that is there already is not given again."""
        for entry in text.split(b"\0")[:-1]:
            name, _, value = entry.partition(b"=")
            if self.environ.get(name) != value:
                os.environb[name] = value

    def outcome(self, path, event, request_id, timeout_ms, told):
        try:
            if self.function is None:
                return self.run_script(path.decode(), told.decode())
            value = self.call(event, request_id, timeout_ms, told)
            return b"R", self.to_json(value)
        except SystemExit as error:
            return b"X", str(self.exit_code(error)).encode()
        except BaseException as error:
            print_traceback(error, self.directory)
            return b"E", describe(error)[:4000].encode("utf-8", "replace")

    def call(self, event, request_id, timeout_ms, told):
        if self.count == 0:
            value = self.function()
        else:
            # The agent has checked it: one value, without white space around it.
            event = self.scan(event.decode(), 0)[0]
            if self.count == 1:
                value = self.function(event)
            else:
                context = Context(request_id.decode(), int(timeout_ms), time.monotonic)
                if told:
                    context.client_context = client_context(json.loads(told))
                value = self.function(event, context)
        if hasattr(value, "__await__"):
            import asyncio
            value = asyncio.run(value)
        return value

    def to_json(self, value):
        try:
            text = self.encode(value).encode()
        except UnicodeEncodeError as error:
            near = error.object[max(0, error.start - 20):error.end + 20]
            raise ValueError("the handler's return value has text in it that is not Unicode, "
                             f"near {ascii(near)}") from None
        except (TypeError, ValueError) as error:
            raise type(error)("the handler's return value cannot be written as JSON: "
                              f"{error}") from None
        except RecursionError:
            raise ValueError("the handler's return value is nested too deeply: "
                             f"{MAX_DEPTH} levels are the limit") from None
        size = len(text) if len(text) <= MAX_RESULT else self.size_as_written(text)
        if size > MAX_RESULT:
            raise ValueError(f"the handler's return value is {size} bytes of JSON, "
                             f"over the limit of {MAX_RESULT}")
        return text

    @staticmethod
    def size_as_written(text):
        """A text of quotes is twice as long as JSON, one of control characters six times."""
        quotes = 2 * text.startswith(b'"')
        text = text.replace(b"\\\\", b"-")
        return len(text) - quotes - text.count(b"\\") - 4 * text.count(b"\\u")

    def run_script(self, path, told):
        main = type(sys)("__main__")
        main.__file__ = self.path
        sys.modules["__main__"] = main
        os.environ["NOVA_INPUT"] = path
        if told:
            os.environ["NOVA_CLIENT_CONTEXT"] = told
        args, stdin = os.environ.get("NOVA_ARGS"), os.environ.get("NOVA_STDIN")
        sys.argv = [self.path] + (json.loads(args) if args else [path])
        if stdin:
            with open(f"{self.directory}/{stdin}", "rb") as file:
                os.dup2(file.fileno(), 0)
        try:
            exec(self.code, main.__dict__)
        finally:
            if "threading" in sys.modules:
                sys.modules["threading"]._shutdown()
            if "atexit" in sys.modules:
                sys.modules["atexit"]._run_exitfuncs()
        return b"X", b"0"

    @staticmethod
    def exit_code(error):
        if error.code is None:
            return 0
        if isinstance(error.code, int):
            return error.code & 255
        print(error.code, file=sys.stderr)
        return 1


def main():
    worker = Worker(int(sys.argv[1]))
    worker.prepare()
    worker.take_order()
    worker.start()
    worker.serve()


main()
