# SPDX-License-Identifier: MIT
"""The daemon's life: who may start it, how it ends, and what is left."""
import json
import os
import pathlib
import re
import signal
import socket
import unittest

from daemoncase import DaemonCase
from novatest import FUNCTIONS, NOVACTL, await_that, processes


def agents_of(home):
    """Those whose command line names the state directory: helpers and guests of the engine fake."""
    return [process for process in processes() if process.names(home)]


class Life(DaemonCase):
    def test_socket_and_directory_are_for_nobody_else(self):
        process = self.daemon()
        self.assertEqual(os.stat(self.socket).st_mode & 0o7777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(self.socket)).st_mode & 0o7777, 0o700)
        self.assertTrue(self.socket.startswith(str(self.home)))
        self.stop(process)

    def test_a_directory_that_was_open_to_others_is_closed(self):
        (self.home / "daemon").mkdir(parents=True)
        os.chmod(self.home / "daemon", 0o777)
        self.stop(self.daemon())
        self.assertEqual(os.stat(self.home / "daemon").st_mode & 0o7777, 0o700)

    def test_ready_is_one_line_with_process_and_socket(self):
        process = self.start_program(NOVACTL, "daemon")
        self.assertEqual(process.stdout.readline(),
                         f"ready: process id {process.pid}, socket {self.home}/daemon/socket\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(process.stdout.read(), "")

    def test_with_closed_standard_descriptors_it_serves(self):
        process = self.start_program("sh", "-c", 'exec "$0" daemon <&- >&- 2>&-', NOVACTL)
        await_that((self.home / "daemon/socket").exists, "it listens")
        self.assertEqual(self.status()["pid"], process.pid)
        process.terminate()
        self.assertEqual(process.wait(20), 0)

    def test_the_service_manager_is_told(self):
        for name in (str(self.directory / "notify"), f"@nova-test-{os.getpid()}"):
            with self.subTest(name), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(20)
                manager.bind(name.replace("@", "\0"))
                process = self.daemon(environment={"NOTIFY_SOCKET": name})
                self.assertIn(b"READY=1", manager.recv(4096).splitlines())
                process.send_signal(signal.SIGTERM)
                self.assertEqual(manager.recv(4096), b"STOPPING=1")
                self.ends(process)

    def test_a_second_daemon_says_who_is_first(self):
        process = self.daemon()
        done = self.novactl("daemon", status=1)
        self.assertEqual(done.stderr, f"novactl: the daemon with process id {process.pid} serves "
                                      f"'{self.home}' already; 'novactl daemon stop' ends it\n")
        self.assertEqual(done.stdout, "")
        # It has taken nothing away from the first.
        self.assertEqual(self.status()["pid"], process.pid)
        self.stop(process)

    def test_of_many_that_start_at_once_one_serves(self):
        def start(_number):
            return self.start_program(NOVACTL, "daemon")

        processes = self.all_at_once(8, start)
        lines = [process.stdout.readline() for process in processes]
        served = [process for process, line in zip(processes, lines) if line.startswith("ready:")]
        self.assertEqual(len(served), 1, lines)
        for process in processes:
            if process is not served[0]:
                self.assertEqual(process.wait(20), 1)
        self.assertEqual(self.status()["pid"], served[0].pid)
        served[0].terminate()
        self.assertEqual(served[0].wait(20), 0)

    def test_status_tells_what_it_does_and_fails_without_one(self):
        self.assertIn("no daemon serves", self.novactl("daemon", "status", status=1).stderr)
        self.assertIn("no daemon serves", self.novactl("daemon", "stop", status=1).stderr)
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon()
        self.novactl("invoke", "hello")
        status = self.status()
        self.assertEqual((status["pid"], status["home"], status["engine"], status["calls"]),
                         (process.pid, str(self.home), "fake", 1))
        self.assertEqual((status["pool"]["idle"], status["pool"]["misses"]), (1, 1))
        self.assertRegex(self.novactl("daemon", "status").stdout, rf"(?m)^Process: +{process.pid}$")
        self.stop(process)

    def test_stop_returns_when_it_has_ended(self):
        process = self.daemon()
        self.assertEqual(self.novactl_json("daemon", "stop"), {"stopped": process.pid})
        self.assertEqual(process.wait(0.5), 0)
        self.ends(process)

    def test_stop_works_with_other_settings(self):
        process = self.daemon()
        self.novactl("daemon", "stop", environment={"NOVA_ENGINE": "qemu"})
        self.ends(process)

    def test_a_socket_elsewhere_is_found_too(self):
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon("--socket", self.directory / "mine.sock")
        self.assertEqual(self.socket, str(self.directory / "mine.sock"))
        self.novactl("invoke", "hello")
        self.assertFalse(self.novactl_json("invoke", "hello")["cold_start"])
        self.stop(process)

    def test_what_is_in_the_place_of_the_socket_stays(self):
        path = self.write("precious", "text")
        self.assertIn("precious", self.novactl("daemon", "--socket", path, status=1).stderr)
        self.assertEqual(path.read_text(encoding="utf-8"), "text")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(str(self.directory / "other.sock"))
            other.listen()
            self.refuses("in use", "daemon", "--socket", self.directory / "other.sock")
        self.assertTrue((self.directory / "other.sock").exists())

    def test_a_path_that_no_address_holds_is_served_all_the_same(self):
        home = self.home / ("x" * 90) / ("y" * 90)
        self.environment["NOVA_HOME"] = str(home)
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon()
        self.assertGreater(len(self.socket), 108)
        self.novactl("invoke", "hello")
        self.assertFalse(self.novactl_json("invoke", "hello")["cold_start"])
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertFalse(os.path.exists(self.socket))

    def test_a_name_that_no_address_holds_is_an_error(self):
        done = self.novactl("daemon", "--socket", self.directory / ("z" * 120), status=1)
        self.assertRegex(done.stderr, r"cannot listen at '.*z': File name too long")

    def test_a_home_that_cannot_be_used_is_an_error(self):
        self.home.mkdir()
        (self.home / "daemon").write_text("in the way", encoding="utf-8")
        self.assertRegex(self.novactl("daemon", status=1).stderr,
                         r"cannot make the directory '.*/daemon': Not a directory")

    def test_it_runs_nothing_that_it_was_not_asked_for(self):
        process = self.daemon()
        self.assertEqual(self.status()["pool"]["misses"], 0)
        self.stop(process)


class Ending(DaemonCase):
    def test_a_call_under_way_may_finish(self):
        begun, go = self.register_gate()
        process = self.daemon()
        client = self.start_program(NOVACTL, "invoke", "gate")
        await_that(begun.exists, "the function runs")
        process.terminate()
        await_that(lambda: not os.path.exists(self.socket), "nobody can connect any more")
        go.touch()
        out, err = client.communicate(timeout=20)
        self.assertEqual((client.returncode, err), (0, ""))
        self.assertIn('"through"', out)
        self.ends(process)

    def test_new_calls_during_the_end_are_made_without_it(self):
        begun, go = self.register_gate()
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon()
        late = self.peer()
        late.hello()
        client = self.start_program(NOVACTL, "invoke", "gate")
        await_that(begun.exists, "the function runs")
        process.terminate()
        self.assertIn("stopping", late.reply()[1]["declined"])
        done = self.novactl("invoke", "hello", "-v")
        self.assertIn("Cold Start: true", done.stdout)
        go.touch()
        client.communicate(timeout=20)
        self.ends(process)

    def test_a_call_that_takes_too_long_is_cancelled_and_its_caller_told(self):
        begun, _go = self.register_gate()
        process = self.daemon("--stop-timeout", "200ms")
        client = self.start_program(NOVACTL, "--json", "invoke", "gate")
        await_that(begun.exists, "the function runs")
        process.terminate()
        _out, err = client.communicate(timeout=30)
        error = json.loads(err.splitlines()[-1])["error"]
        self.assertEqual(error["name"], "NOVA_ECANCELED")
        self.assertIn(error["outcome"], ("ran", "unknown"))
        self.assertRegex(error["message"],
                         "^the daemon was stopped, and this call was not over after 200 ms: ")
        self.assertIn(client.returncode, (3, 125))
        self.ends(process)

    def test_a_call_that_waits_for_a_vm_is_cancelled_as_never_run(self):
        begun, _go = self.register_gate("first")
        self.register_gate("second")
        process = self.daemon("--stop-timeout", "200ms", environment={"NOVA_POOL_MAX_VMS": "1"})
        first = self.start_program(NOVACTL, "invoke", "first")
        await_that(begun.exists, "the function runs")
        second = self.start_program(NOVACTL, "--json", "invoke", "second")
        await_that(lambda: self.status()["calls"] == 2, "both calls have come")
        process.terminate()
        _out, err = second.communicate(timeout=30)
        error = json.loads(err.splitlines()[-1])["error"]
        self.assertEqual((error["name"], error["outcome"], second.returncode),
                         ("NOVA_ECANCELED", "never-ran", 1))
        first.communicate(timeout=30)
        self.ends(process)

    def test_a_second_signal_ends_it_at_once(self):
        begun, _go = self.register_gate()
        process = self.daemon("--stop-timeout", "10m")
        client = self.start_program(NOVACTL, "--json", "invoke", "gate")
        await_that(begun.exists, "the function runs")
        process.send_signal(signal.SIGINT)
        await_that(lambda: not os.path.exists(self.socket), "it stops")
        self.ends(process, status=1, by=signal.SIGINT)
        _out, err = client.communicate(timeout=30)
        error = json.loads(err.splitlines()[-1])["error"]
        self.assertEqual((error["name"], error["outcome"], client.returncode),
                         ("NOVA_ELOST", "unknown", 125))
        await_that(lambda: not agents_of(self.home), "no process of it is left")

    def test_the_first_signal_after_daemon_stop_changes_nothing(self):
        begun, go = self.register_gate()
        process = self.daemon()
        client = self.start_program(NOVACTL, "invoke", "gate")
        await_that(begun.exists, "the function runs")
        stopper = self.start_program(NOVACTL, "daemon", "stop")
        await_that(lambda: not os.path.exists(self.socket), "it stops")
        process.terminate()
        await_that(lambda: self.signal_is_taken(process), "the signal has been taken")
        go.touch()
        self.assertIn('"through"', client.communicate(timeout=20)[0])
        self.assertEqual(stopper.wait(20), 0)
        self.ends(process)

    @staticmethod
    def signal_is_taken(process):
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        pending = re.search(r"^ShdPnd:\s*(\w+)$", status, re.M)[1]
        return not int(pending, 16) >> (signal.SIGTERM - 1) & 1

    def test_killed_with_fifty_vms_it_leaves_nothing_and_the_next_begins_clean(self):
        begun, _go = self.register_gate()
        process = self.daemon(environment={"NOVA_POOL_MAX_VMS": "64"})
        peers = [self.peer() for _ in range(50)]
        for peer in peers:
            peer.begin("gate")
        begun.touch()
        await_that(lambda: begun.read_bytes().count(b"\n") == 50, "fifty VMs run", 60)
        client = self.start_program(NOVACTL, "--json", "invoke", "gate", "--timeout", "60")
        await_that(lambda: self.status()["calls"] == 51, "the client's call has come")
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        error = json.loads(client.communicate(timeout=30)[1].splitlines()[-1])["error"]
        self.assertEqual((error["name"], error["outcome"], client.returncode),
                         ("NOVA_ELOST", "unknown", 125))
        await_that(lambda: not agents_of(self.home), "every process of it has ended", 30)
        await_that(self.nothing_runs, "the run directory is empty")
        self.assertTrue(os.path.exists(self.socket), "a killed process cannot tidy up")
        # The dead socket troubles nobody: a client does without, and says so only if asked.
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        self.assertEqual(self.novactl("invoke", "hello").stderr, "")
        self.assertIn(f"process id {process.pid} is not there any more",
                      self.novactl("invoke", "hello", "-v").stderr)
        again = self.daemon()
        self.novactl("invoke", "hello")
        self.assertFalse(self.novactl_json("invoke", "hello")["cold_start"])
        self.stop(again)

    def test_a_daemon_that_is_stopped_while_it_starts_vms_leaves_none(self):
        self.register("many", FUNCTIONS / "shell/hello.sh", "shell", "--min-replicas", "8")
        for _ in range(3):
            process = self.daemon()
            self.ends(process, by=signal.SIGTERM)
            await_that(lambda: not agents_of(self.home), "no process of it is left")


if __name__ == "__main__":
    unittest.main()
