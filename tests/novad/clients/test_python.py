# SPDX-License-Identifier: MIT
"""faas_sdk, the Python client, against a real novad."""
import asyncio
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading

import operations
from novadcase import NovadCase
from novatest import BUILD, await_that

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bindings/faas_sdk"))
from faas_sdk import AsyncFaaSClient, FaaSClient, FaaSError  # noqa: E402


class Tables(NovadCase):
    def test_the_clients_know_what_the_document_knows(self):
        table = operations.operations(operations.document(BUILD))
        how = "clients/operations.py BUILD update makes it so"
        for path, text in ((operations.PYTHON, operations.python(table)),
                           (operations.SCRIPT, operations.script(table))):
            self.assertEqual(path.read_text(encoding="utf-8"), text, how)
        self.novad()
        self.assertEqual(self.gets(200, "GET", "/openapi.json"), operations.document(BUILD))
        types = (operations.SCRIPT.parent / "index.d.ts").read_text(encoding="utf-8")
        block = re.search(r"interface ExecuteFields {(.*?)\n}", types, re.S).group(1)
        self.assertEqual(set(re.findall(r"^  (\w+)\?:", block, re.M)),
                         set(table["execute"][3]) - {"timeout_secs"})


class SdkCase(NovadCase):
    def client(self, *words, kind=FaaSClient, **options):
        self.novad(*words)
        client = kind(api_key=self.key, endpoint=f"http://127.0.0.1:{self.port}", timeout=60,
                      **options)
        self.addCleanup(client.close)
        return client

    def fails(self, code, outcome, call, /, *args, **named):
        with self.assertRaises(FaaSError) as caught:
            call(*args, **named)
        error = caught.exception
        self.assertEqual((error.code, error.outcome), (code, outcome), error)
        return error

    def waiting(self):
        """Code that prints, and goes on when a file is there."""
        return {"language": "shell", "code": "echo begun; while ! test -e "
                f"{self.directory / 'go'}; do sleep 0.02; done; echo ended; exit 3"}


class InThreads(SdkCase):
    def test_code_is_run_and_says_what_came_of_it(self):
        client = self.client()
        result = client.execute(code="print('hello')", language="python", mode="cached")
        self.assertEqual((result.stdout, result.exit_code, result.error), ("hello\n", 0, None))
        self.assertEqual(result.execution_id, result["executionId"])
        heard = list(client.stream(result.execution_id))
        self.assertEqual([(event.stream, event.data) for event in heard], [("stdout", "hello\n")])
        with self.assertRaises(AttributeError):
            _ = result.nonsense

    def test_functions_and_their_versions(self):
        client = self.client()
        client.functions.create("f", "python", "def handler(event):\n    return event",
                                memory_mb=256)
        self.assertEqual(client.invoke("f", {"a": ["ä", 1.5, None]}), {"a": ["ä", 1.5, None]})
        self.assertEqual(client.invoke("f"), {})
        self.assertEqual(client.functions.publish("f").version, 1)
        client.functions.update("f", code="def handler(event):\n    return 2")
        client.functions.set_alias("f", "prod", 1)
        self.assertEqual((client.invoke("f:prod", 1), client.invoke("f", 1)), (1, 2))
        self.assertEqual([f.name for f in client.functions.list(limit=5).functions], ["f"])
        self.assertEqual(len(client.functions.versions("f").versions), 1)
        self.assertEqual(len(client.logs.list(function="f", limit=2).invocations), 2)
        record = client.logs.list(order="oldest").invocations[0]
        self.assertEqual(client.logs.get(record.request_id), record)
        self.assertEqual([(s.function, s.calls, s.errors) for s in client.logs.stats().functions],
                         [("f", 4, 0)])
        self.assertEqual(client.usage.bill().calls, 4)
        self.assertEqual(client.usage.list(by="function").usage[0].function, "f")
        self.assertEqual(client.usage.estimate(duration_us=10**6).cpu_nano, 19200)
        self.assertIsNone(client.functions.delete_alias("f", "prod"))
        self.fails("busy", "never_ran", client.functions.delete, "f")
        client.functions.delete("f", force=True)
        self.fails("not_found", "never_ran", client.functions.get, "f")

    def test_secrets_are_set_and_listed_by_name(self):
        keys = self.directory / "secret.key"
        self.novactl("secret", "key", keys)
        client = self.client("--set", f"secret.key_file={keys}")
        self.assertIsNone(client.secrets.set("db", "pw"))
        self.assertEqual([secret.name for secret in client.secrets.list().secrets], ["db"])
        self.assertEqual(client.secrets.rotate().rotated, 0)
        self.assertIsNone(client.secrets.delete("db"))
        self.fails("not_found", "never_ran", client.secrets.delete, "db")

    def test_what_a_function_keeps_is_put_read_listed_and_deleted(self):
        client = self.client()
        self.register("f", "true", "shell")
        version = client.kv.put("f", "a/ä", b"\0\xff", ttl=60, new=True).version
        found = client.kv.get("f", "a/ä")
        self.assertEqual((found, found.version), (b"\0\xff", version))
        self.assertGreater(found.expires_us, 0)
        self.fails("exists", "never_ran", client.kv.put, "f", "a/ä", "x", new=True)
        later = client.kv.put("f", "a/ä", "", if_version=version).version
        self.fails("busy", "never_ran", client.kv.put, "f", "a/ä", "x", if_version=version)
        found = client.kv.get("f", "a/ä")
        self.assertEqual((found, found.version, found.expires_us), (b"", later, 0))
        client.kv.put("f", "b", "2")
        self.assertEqual([k.key for k in client.kv.list("f", prefix="a/")["keys"]], ["a/ä"])
        self.assertEqual([k.key for k in client.kv.list("f", after="a/ä", limit=1)["keys"]], ["b"])
        self.fails("busy", "never_ran", client.kv.delete, "f", "b", if_version=version)
        self.assertIsNone(client.kv.delete("f", "b"))
        self.fails("not_found", "never_ran", client.kv.get, "f", "b")
        self.assertIsNone(client.files.put("f", "logo.png", b"\x89PNG", "image/png"))
        logo = client.files.get("f", "logo.png")
        self.assertEqual((logo, logo.type), (b"\x89PNG", "image/png"))
        one, = client.files.list("f").files
        self.assertEqual((one.name, one.sha256, one.size), ("logo.png", logo.sha256, 4))
        self.assertIsNone(client.files.delete("f", "logo.png"))
        self.fails("not_found", "never_ran", client.files.get, "f", "logo.png")

    def test_what_fails_has_a_code_and_an_outcome(self):
        client = self.client()
        self.register("bad", "def handler(event):\n    raise ValueError('no')")
        error = self.fails("function_failed", "ran", client.invoke, "bad")
        self.assertEqual((error.status, "no" in str(error)), (500, True))
        self.assertEqual(len(error.request_id), 32)
        self.fails("invalid", "never_ran", client.execute, code="1", language="perl")
        self.fails("timed_out", "ran", client.execute, command=["sleep", "1000"], timeout_ms=300)
        error = self.fails("not_there_yet", "never_ran", client.instances.expose, "x", port=80)
        self.assertIn(self.gets(501, "POST", "/api/v1/instances/x/expose")["detail"], str(error))
        with self.assertRaisesRegex(TypeError, "execute takes .*language.*, not languag$"):
            client.execute(code="1", languag="python")
        with self.assertRaisesRegex(TypeError, "getFunction takes id, not less"):
            client.call("getFunction")
        with self.assertRaises(ValueError):
            FaaSClient(endpoint="localhost:8080")
        stranger = FaaSClient(api_key="x" * 20, endpoint=f"http://127.0.0.1:{self.port}")
        self.fails("unauthorized", "never_ran", stranger.functions.list)
        self.fails("unauthorized", "never_ran", list, stranger.stream(command=["true"]))
        stranger.close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nobody = FaaSClient(endpoint=f"http://127.0.0.1:{free.getsockname()[1]}")
            self.fails("connection", "never_ran", nobody.functions.list)

    def test_output_is_listened_to_and_taken_up_again(self):
        client = self.client()
        stream = client.stream(**self.waiting())
        heard = []
        for event in stream:
            heard.append(event.data)
            if len(heard) == 1:  # the connection is lost
                self.assertTrue(stream.execution_id)
                stream._sock.shutdown(socket.SHUT_RDWR)
                (self.directory / "go").touch()
        self.assertEqual(heard, ["begun\n", "ended\n"])
        self.assertEqual((stream.result.exit_code, stream.result["exitCode"]), (3, 3))
        self.fails("not_found", "never_ran", list, client.stream("0" * 32))
        self.fails("invalid", "never_ran", list, client.stream(code="1", language="perl"))
        with self.assertRaises(TypeError):
            client.stream()
        whole = b"".join(event.raw for event in client.stream(command=[
            "sh", "-c", "printf '\\377\\0'; head -c 500000 /dev/zero"]))
        self.assertEqual(whole, b"\xff\0" + bytes(500000))

    def test_stdin_of_a_command_in_an_instance(self):
        client = self.client()
        self.register("home", "cat", "shell")
        instance = client.instances.start("home").id
        stream = client.stream(instance=instance, command=["cat"], stdin=True)
        heard = iter(stream)
        thread = threading.Timer(0, lambda: await_that(lambda: stream.execution_id, "it begins")
                                 or (stream.send("a text\n"), stream.end_stdin()))
        thread.start()
        self.assertEqual([event.data for event in heard], ["a text\n"])
        thread.join()
        self.assertEqual(client.instances.exec(instance, ["echo", "x"]).stdout, "x\n")

    def test_directories_are_made_the_same_both_ways(self):
        client = self.client()
        self.register("home", "cat", "shell")
        instance = client.instances.start("home").id
        where = f"{self.directory}/guest"  # the fake guest sees the files of the host
        here, there = self.directory / "here", self.directory / "there"
        for name, text in (("a", "1"), ("sub/b", "22"), (".git/x", "3"), ("sub/skip.o", "4")):
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).write_text(text)
        named = {"exclude": [".git", "*.o"]}
        wanted = [("write", "a"), ("write", "sub/b")]
        self.assertEqual(client.instances.sync(instance, here, where, dry_run=True, **named),
                         wanted)
        self.assertEqual(client.instances.sync(instance, here, where, **named), wanted)
        self.assertEqual(client.instances.read(instance, f"{where}/sub/b"), b"22")
        self.assertEqual(client.instances.sync(instance, here, where, **named), [])
        (here / "a").unlink()
        (here / "sub/b").write_text("333")
        self.assertEqual(client.instances.sync(instance, here, where, delete=True, **named),
                         [("write", "sub/b"), ("remove", "a")])
        self.assertEqual(client.instances.sync(instance, there, where, direction="down"),
                         [("write", "sub/b")])
        self.assertEqual((there / "sub/b").read_text(), "333")
        with self.assertRaises(ValueError):
            client.instances.sync(instance, here, where, direction="sideways")

    def test_over_tls_and_over_a_socket_of_this_machine(self):
        self.novad("--tls", "--listen", f"unix:{self.directory}/socket")
        context = ssl.create_default_context(cafile=str(self.home / "novad/tls.cert.pem"))
        with FaaSClient(self.key, f"https://localhost:{self.port}", ssl_context=context) as client:
            self.assertEqual(client.execute(command=["echo", "x"]).stdout, "x\n")
            self.assertEqual([e.data for e in client.stream(command=["echo", "y"])], ["y\n"])
        with FaaSClient(endpoint=f"unix:{self.directory}/socket") as client:
            self.assertEqual(client.execute(command=["echo", "x"]).stdout, "x\n")
            self.assertEqual([e.data for e in client.stream(command=["echo", "y"])], ["y\n"])


class WithAsyncio(SdkCase):
    def run_with(self, what, *words):
        client = self.client(*words, kind=AsyncFaaSClient)

        async def main():
            async with client:
                return await asyncio.wait_for(what(client), 60)
        return asyncio.run(main())

    def test_calls_and_streams_are_awaited(self):
        self.register("echo", "cat \"$1\"", "shell")

        async def what(client):
            answers = await asyncio.gather(*[client.invoke("echo", i) for i in range(5)])
            self.assertEqual(answers, [0, 1, 2, 3, 4])
            begun = await client.execute(**self.waiting(), stream=True)
            stream = client.stream(begun.execution_id)
            heard = []
            async for output in stream:
                heard.append(output.data)
                if len(heard) == 1:
                    stream._writer.transport.abort()
                    (self.directory / "go").touch()
            self.assertEqual((heard, stream.result.exit_code), (["begun\n", "ended\n"], 3))
            with self.assertRaises(FaaSError) as caught:
                async for _ in client.stream("0" * 32):
                    pass
            self.assertEqual(caught.exception.code, "not_found")
            with self.assertRaises(FaaSError):
                await client.functions.get("none")
            version = (await client.kv.put("echo", "k", "v")).version
            found = await client.kv.get("echo", "k")
            self.assertEqual((found, found.version), (b"v", version))
            await client.files.put("echo", "f", "text", "text/plain")
            self.assertEqual((await client.files.get("echo", "f")).type, "text/plain")
            here = self.directory / "here"
            here.mkdir()
            (here / "a").write_text("1")
            await client.functions.create("home", "shell", "cat")
            instance = (await client.instances.start("home")).id
            self.assertEqual(await client.instances.sync(
                instance, here, f"{self.directory}/guest"), [("write", "a")])
        self.run_with(what)

    def test_a_call_that_is_cancelled_ends_at_novad(self):
        begun = self.directory / "begun"

        async def what(client):
            call = asyncio.ensure_future(client.execute(
                command=["sh", "-c", f"touch {begun}; sleep 1000"]))
            while not begun.exists():
                await asyncio.sleep(0.01)
            call.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(await_that, lambda: "\nnovad_calls 0\n" in self.ask(
                "GET", "/metrics").body.decode(), "it is cancelled")
        self.run_with(what)


class Pack(SdkCase):
    def test_the_wheel_is_built_installed_and_works(self):
        wheels = self.directory / "wheels"
        built = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels,
             ROOT / "bindings/faas_sdk"], capture_output=True, text=True, timeout=300)
        if built.returncode and "hatchling" in built.stderr:
            self.skipTest("pip cannot get hatchling, which builds the wheel")
        self.assertEqual(built.returncode, 0, built.stderr)
        venv = self.directory / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True,
                       timeout=120)
        python = venv / "bin/python"
        place = subprocess.run([python, "-c", "import site; print(site.getsitepackages()[0])"],
                               check=True, capture_output=True, text=True, timeout=60)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                        "--root-user-action=ignore", "--no-index", "--target", place.stdout.strip(),
                        *wheels.glob("faas_sdk-*.whl")], check=True, timeout=120)
        self.novad()
        code = "from faas_sdk import FaaSClient\n" \
               "with FaaSClient() as client:\n" \
               "    done = client.execute(code='print(6 * 7)', language='python')\n" \
               "    print(done.stdout, end='')\n" \
               "    for output in client.stream(command=['echo', 'heard']): print(output.data)\n" \
               "    client.functions.create('f', 'shell', 'true')\n" \
               "    print(client.kv.put('f', 'k', 'v').version == client.kv.get('f', 'k').version)"
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=60,
            env={"FAAS_API_KEY": self.key, "FAAS_API_URL": f"http://127.0.0.1:{self.port}"})
        self.assertEqual((done.stdout, done.stderr), ("42\nheard\n\nTrue\n", ""))
