# SPDX-License-Identifier: MIT
"""novad as a process: where it listens, who may call, how it ends."""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess

from novadcase import NOVAD, NovadCase, UnixConnection
from novatest import NOVACTL, await_that


class Listening(NovadCase):
    def test_it_serves_loopback_and_a_socket_of_its_owner_without_a_word(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [NOVAD], env={**self.environment, "FAAS_GATEWAY_PORT": str(port)},
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        path = self.home / "novad/socket"
        self.assertEqual(process.stdout.readline(),
                         f"ready: process id {process.pid}, http://127.0.0.1:{port}, unix:{path}\n")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.key = None
        connection = UnixConnection(path)
        self.addCleanup(connection.close)
        answer = self.ask("GET", "/metrics", connection=connection)
        self.assertEqual(answer.status, 200)
        self.log_path = self.write("unused", "")
        self.stops(process)
        self.assertFalse(path.exists())

    def test_the_daemon_of_novactl_serves_http_when_it_is_told_so(self):
        self.register("f", "def handler(event):\n    return event")
        del self.environment["NOVA_HOME"]
        process = self.novad(program=[
            NOVACTL, "--home", self.home, "daemon", "--http", "127.0.0.1:0", "--idle-ttl", "5s"])
        self.assertEqual(self.gets(200, "POST", "/functions/f/invoke", b"[1]"), [1])
        for words in (("status",), ("stop",)):
            told = self.novactl("--home", self.home, "daemon", *words, status=1).stderr
            self.assertIn(f"process id {process.pid} serves '{self.home}' over HTTP", told)
            self.assertIn(f"at http://127.0.0.1:{self.port} with a key", told)
            self.assertIn(f"'{self.home}/novad/keys'", told)
        told = self.novactl("--home", self.home, "instance", "list", status=1).stderr
        self.assertRegex(told, "instances live in the daemon, and the daemon .* over HTTP")
        self.stops(process)
        told = self.novactl("--home", self.home, "daemon", "status", status=1).stderr
        self.assertIn("no daemon serves", told)
        # One that was killed has left its number, which is another's by now.
        with open(f"{self.home}/novad/lock", "w", encoding="utf-8") as lock:
            lock.write(f"{os.getpid()}\nhttp://127.0.0.1:1\n")
        told = self.novactl("--home", self.home, "daemon", "status", status=1).stderr
        self.assertIn("no daemon serves", told)
        self.assertIn("two ways", self.run_program(
            NOVACTL, "daemon", "--http", "1", "--socket", "x").stderr)

    def test_what_is_said_goes_by_levels_and_modules(self):
        for filter_, level, is_said in (
                ("error", None, False), ("off,faas_gateway=info", None, True),
                ("info, novad=warn", None, False), ("error", "info", True)):
            with self.subTest(filter_=filter_, level=level):
                home = self.directory / os.urandom(4).hex()
                environment = {"RUST_LOG": filter_, "NOVA_HOME": str(home)}
                if level:
                    environment["NOVA_LOG"] = level
                before = len(self.log()) if hasattr(self, "log_path") else 0
                self.stops(self.novad(environment=environment))
                self.assertEqual("info: made a key" in self.log()[before:], is_said, self.log())
        self.refuses_to_start("RUST_LOG: 'loud' is no filter", environment={"RUST_LOG": "loud"})

    def test_a_public_address_needs_tls_or_a_word(self):
        self.refuses_to_start("can be reached from outside", "--listen", "0.0.0.0:0")
        self.refuses_to_start("can be reached from outside", "--listen", "[::]:0")
        self.refuses_to_start("--no-keys is for loopback", "--listen", "0.0.0.0:0", "--tls",
                              "--no-keys")
        process = self.novad("--listen", "0.0.0.0:0", "--insecure")
        self.assertIn("http://0.0.0.0:", self.ready)
        self.stops(process)

    def test_a_port_or_state_directory_that_another_has_is_named(self):
        process = self.novad()
        self.refuses_to_start(f"the novad with process id {process.pid} serves '{self.home}'")
        other = {"NOVA_HOME": str(self.directory / "other")}
        self.refuses_to_start(f"port {self.port} of '127.0.0.1', which another program has",
                              "--listen", f"127.0.0.1:{self.port}", environment=other)
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        self.stops(process)

    def test_sockets_of_a_service_manager_are_taken_over(self):
        handed = socket.create_server(("127.0.0.1", 0))
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(handed.close)
        self.addCleanup(notify.close)
        notify.bind(str(self.directory / "notify"))
        notify.settimeout(60)
        # The number of the process is known only in it: a shell puts it in.
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"LISTEN_PID=$$ exec {NOVAD}"],
            env={**self.environment, "LISTEN_FDS": "1",
                 "NOTIFY_SOCKET": str(self.directory / "notify")},
            stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.dup2(handed.fileno(), 3), pass_fds=[3])
        self.addCleanup(self.end, process)
        self.port = handed.getsockname()[1]
        self.assertIn(f"http://127.0.0.1:{self.port}\n", process.stdout.readline())
        self.assertIn(b"READY=1", notify.recv(1000))
        self.assertEqual(self.ask("GET", "/healthz", key=False).status, 200)
        self.log_path = self.write("unused", "")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(notify.recv(1000), b"STOPPING=1")
        self.assertEqual(process.wait(60), 0)

    def test_a_bad_option_is_named(self):
        for part, *words in (("--max-calls 'x': not a whole number", "--max-calls", "x"),
                             ("--idle-timeout '1ms': not from", "--idle-timeout", "1ms"),
                             ("no place for 'word'", "word"),
                             ("belong together", "--tls-cert", "/x"),
                             ("engine", "--set", "engine=none"),
                             ("nowhere.invalid", "--listen", "nowhere.invalid:1")):
            with self.subTest(words=words):
                self.refuses_to_start(part, *words)
        self.assertIn("--key-file FILE", self.run_program(NOVAD, "--help").stdout)


class Certificate(NovadCase):
    def context(self, file):
        context = ssl.create_default_context(cafile=str(file))
        return context

    def ask_tls(self, file, name="localhost"):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain, \
                self.context(file).wrap_socket(plain, server_hostname=name) as secure:
            secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return secure.version(), self.read_all(secure)

    def test_one_is_made_at_the_first_start_and_kept(self):
        first = self.novad("--tls", "--host", "faas.test")
        made = self.home / "novad/tls.cert.pem"
        self.assertEqual((self.home / "novad/tls.key.pem").stat().st_mode & 0o777, 0o600)
        version, answer = self.ask_tls(made)
        self.assertIn(version, ("TLSv1.2", "TLSv1.3"))
        self.assertIn(b"200 OK", answer)
        self.assertIn(b"200 OK", self.ask_tls(made, "faas.test")[1])  # a name of the certificate
        text, fingerprint = made.read_text(), self.ready.split("sha256 ")[1]
        self.stops(first)
        second = self.novad("--tls")
        self.assertEqual((made.read_text(), self.ready.split("sha256 ")[1]), (text, fingerprint))
        with self.assertRaises(ssl.SSLError):
            old = self.context(made)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain:
                old.wrap_socket(plain, server_hostname="localhost")
        self.stops(second)

    def test_without_an_address_it_is_port_8443(self):
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", 8443))
                taken.listen()
            except OSError:
                pass  # somebody else has it, which will do
            self.refuses_to_start("port 8443 of '127.0.0.1'", "--tls")

    def test_files_that_are_missing_unreadable_or_no_certificate_are_named(self):
        self.novad("--tls")  # for files that are good
        for name in ("cert", "key"):
            shutil.copy(self.home / f"novad/tls.{name}.pem", self.directory / f"{name}.pem")
        good = {name: self.directory / f"{name}.pem" for name in ("cert", "key")}
        bad = self.write("bad.pem", "no certificate")
        for cert, key, part in ((self.directory / "gone.pem", good["key"], "gone.pem': No such"),
                                (good["cert"], self.directory / "gone.pem", "gone.pem': No such"),
                                (bad, good["key"], "cannot be used"),
                                (good["cert"], bad, "cannot be used"),
                                (good["cert"], self.directory, "key of the certificate")):
            with self.subTest(cert=cert, key=key):
                self.refuses_to_start(part, "--listen", "127.0.0.1:0", "--tls-cert", cert,
                                      "--tls-key", key, environment={"NOVA_HOME": str(
                                          self.directory / "other")})

    def test_half_a_pair_of_its_own_is_no_reason_for_a_new_one(self):
        self.stops(self.novad("--tls"))
        (self.home / "novad/tls.key.pem").unlink()
        self.refuses_to_start("tls.key.pem': No such file", "--listen", "127.0.0.1:0", "--tls")


class Keys(NovadCase):
    def test_a_key_is_made_and_needed(self):
        self.novad()
        self.assertEqual((self.home / "novad/keys").stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.ask("GET", "/metrics").status, 200)
        bearer = f"Bearer {self.key}"
        self.assertEqual(self.ask("GET", "/metrics", key=False, Authorization=bearer).status, 200)
        answer = self.ask("GET", "/metrics", key=False)
        self.assertEqual((answer.status, answer.headers["WWW-Authenticate"]), (401, "Bearer"))
        for wrong in (self.key[:-1], self.key + "0", "", "x" * 5000):
            self.is_refused(401, "unauthorized", "GET", "/metrics", key=False, x_api_key=wrong)
        self.assertEqual(self.ask("GET", "/healthz", key=False).status, 200)
        self.assertNotIn(self.key, self.log())

    def test_a_file_of_keys_is_read_again_when_it_changes(self):
        hashed = "1c27099b3b84b13d0e3fbd299ba93ae7853ec1d0d3a4e5daa89e68b7ad59d7cb"
        path = self.write("my.keys", "# comment\n\nalice=alice-has-this-key\nbob=sha256:" + hashed)
        path.chmod(0o600)
        self.novad("--key-file", path)
        self.key = "alice-has-this-key"
        self.assertEqual(self.ask("GET", "/metrics").status, 200)
        newer = self.write("newer", "carol=carol-has-this-key\n")
        newer.chmod(0o600)
        newer.rename(path)
        await_that(lambda: self.ask("GET", "/metrics", key=False,
                                    x_api_key="carol-has-this-key").status == 200, "carol's key")
        self.is_refused(401, "unauthorized", "GET", "/metrics")

    def test_a_bad_file_of_keys_is_named(self):
        for mode, text, part in ((0o644, "k" * 16, "others may read"), (0o600, "short", "line 1"),
                                 (0o600, "# none\n", "there is no key"),
                                 (0o600, "x=sha256:12", "line 1")):
            path = self.write("bad.keys", text)
            path.chmod(mode)
            with self.subTest(text=text):
                self.refuses_to_start(part, "--listen", "127.0.0.1:0", "--key-file", path)
        self.refuses_to_start("nowhere", "--key-file", "/nowhere/keys")
        self.refuses_to_start("exclude", "--key-file", "/x", "--no-keys")

    def test_without_keys_anybody_here_may_call(self):
        self.novad("--no-keys")
        self.assertIsNone(self.key)
        self.assertEqual(self.ask("GET", "/metrics").status, 200)


class Pages(NovadCase):
    """What pages in a browser of this machine may do."""

    def test_loopback_has_its_own_names_and_origins_only(self):
        self.novad("--host", "my.example", "--cors", "https://good.example")
        for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]:8080", "my.example:80"):
            self.assertEqual(self.ask("GET", "/metrics", Host=host).status, 200, host)
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "8.8.8.8"):
            self.is_refused(421, "wrong_host", "GET", "/metrics", Host=host)
        for origin in ("http://evil.example", "null", "http://localhost.evil.example"):
            self.is_refused(403, "wrong_origin", "GET", "/metrics", Origin=origin)
        self.assertEqual(self.ask("GET", "/metrics", Origin="http://localhost:3000").status, 200)

    def test_configured_origins_are_let_in(self):
        self.novad("--cors", "https://good.example")
        answer = self.ask("GET", "/metrics", Origin="https://good.example")
        self.assertEqual((answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]),
                         ("https://good.example", "Origin"))
        answer = self.ask("OPTIONS", "/metrics", key=False, Origin="https://good.example",
                          Access_Control_Request_Method="GET")
        self.assertEqual(answer.status, 204)
        self.assertIn("X-Api-Key", answer.headers["Access-Control-Allow-Headers"])
        self.is_refused(403, "wrong_origin", "OPTIONS", "/metrics", Origin="https://bad.example")


class Telling(NovadCase):
    def test_ids_come_back_and_bad_ones_do_not(self):
        self.novad()
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        answer = self.ask("GET", "/metrics", X_Request_Id="my-id_1", traceparent=trace)
        self.assertEqual(answer.headers["X-Request-Id"], "my-id_1")
        self.assertRegex(answer.headers["Traceparent"],
                         "^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$")
        self.assertNotEqual(answer.headers["Traceparent"], trace)
        for bad in ("a b", "x" * 65, "<script>", ""):
            answer = self.ask("GET", "/metrics", X_Request_Id=bad, traceparent=bad)
            self.assertRegex(answer.headers["X-Request-Id"], "^[0-9a-f]{32}$")
            self.assertRegex(answer.headers["Traceparent"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$")

    def test_the_access_log_has_a_line_of_json_for_each_request(self):
        path = self.directory / "access.log"
        self.novad("--access-log", path)
        self.ask("GET", "/healthz", X_Request_Id="one")
        self.ask("GET", "/api/v1/nowhere?secret=1", key=False, X_Request_Id="two")
        await_that(lambda: path.exists() and path.read_text().count("\n") == 2, "two lines")
        first, second = map(json.loads, path.read_text().splitlines())
        self.assertEqual((first["status"], first["route"], first["request_id"], first["method"]),
                         (200, "health", "one", "GET"))
        self.assertEqual((second["status"], second["path"], second["code"]),
                         (404, "/api/v1/nowhere", "no_route"))
        self.assertNotIn(self.key, path.read_text())
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_numbers_are_those_of_prometheus(self):
        self.novad()
        self.ask("GET", "/nowhere")
        text = self.ask("GET", "/metrics").body.decode()
        self.assertIn('novad_requests_total{class="4xx"} 1\n', text)
        self.assertIn("\nnova_pool_idle 0\n", text)
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) \w+ .+|\w+(\{\w+=\"\w+\"\})? [0-9.e+-]+)$")

    def test_the_page_is_open_and_may_use_nothing_but_its_own(self):
        self.novad()
        for path, kind in (("/", "text/html"), ("/page.css", "text/css"),
                           ("/page.js", "text/javascript")):
            answer = self.ask("GET", path, key=False)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers["Content-Type"], f"{kind}; charset=utf-8")
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            policy = answer.headers["Content-Security-Policy"]
            self.assertTrue(policy.startswith("default-src 'none'; "), policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(self.ask("HEAD", path, key=False).body, b"")
            found = re.findall(r"innerHTML *=[^=]|https?://(?!www\.w3\.org/)",
                               answer.body.decode())
            self.assertEqual(found, [], path)
        self.is_refused(405, "wrong_method", "POST", "/")
        for path in ("//", "/page", "/page.js/", "/api/v1/", "/page.html"):
            self.is_refused(404, "no_route", "GET", path)
        document = self.gets(200, "GET", "/openapi.json", key=False)
        self.assertNotIn("/", document["paths"])

    def test_paths_and_methods_that_are_not_there_are_told(self):
        self.novad()
        self.is_refused(404, "no_route", "GET", "/api/v1/healthz")
        answer = self.ask("POST", "/healthz")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "OPTIONS, GET"))
        self.assertEqual(self.ask("HEAD", "/healthz").body, b"")
        connection = self.connection()
        for _ in range(3):  # one connection serves several
            self.assertEqual(self.ask("GET", "/healthz", connection=connection).status, 200)
            connection.sock.getpeername()
