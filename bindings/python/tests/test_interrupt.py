# SPDX-License-Identifier: MIT
"""Ctrl-C and tokens, on the fake engine:
a child process gets a real SIGINT while it is in a call."""
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
import unittest

from test_nova import PlatformCase, nova

LIMIT = 1.0  # ten times what a call may take to end; the time only bounds a failure

# What runs in the child. `calling(call)` says that a call begins, and what has come of it.
CHILD = """
    import json, pathlib, signal, sys, threading, time
    import nova

    directory = pathlib.Path(sys.argv[1])
    platform = nova.open(home=directory / "home", engine="fake")

    begins = []  # the next job of the main thread says that it begins

    class Job(nova._interrupt._Job):
        def __init__(self, work):
            def announced():
                if begins:
                    print(begins.pop(), flush=True)
                return work()

            super().__init__(announced)

    nova._interrupt._Job = Job

    def calling(call):
        told = {}
        try:
            begins.append("calling")
            value = call()
            told["value"] = getattr(value, "output", None)
        except BaseException as raised:
            error = raised.__context__
            told["raised"] = type(raised).__name__
            told["error"] = type(error).__name__
            if isinstance(error, nova.NovaError):
                told["outcome"] = error.outcome
        print(json.dumps(told), flush=True)

    def begun():
        while not (directory / "begun").exists():
            time.sleep(0.005)

    def busy(vm):
        def command():
            try:
                vm.command(["sh", "-c", f"echo >{directory}/begun; exec sleep 600"], timeout=600)
            except nova.Lost:
                pass  # the VM was closed

        threading.Thread(target=command).start()
        begun()
"""


class Child:
    def __init__(self, case, text):
        program = (textwrap.dedent(CHILD) + textwrap.dedent(text)
                   + "\nplatform.close()\nprint('end', flush=True)\n")
        environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(nova.__file__).parents[1])}
        self.process = subprocess.Popen([sys.executable, "-c", program, str(case.directory)],
                                        env=environment, stdout=subprocess.PIPE, bufsize=0)
        case.addCleanup(self.process.stdout.close)
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.kill)

    def line(self, seconds=20):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            raise AssertionError(f"the child has said nothing for {seconds} s")
        return self.process.stdout.readline().decode().strip()

    def signal(self):
        self.process.send_signal(signal.SIGINT)


class CtrlC(PlatformCase):
    def setUp(self):
        super().setUp()
        self.begun, self.go, self.through = (self.directory / name
                                             for name in ("begun", "go", "through"))
        waits = (f"echo >>'{self.begun}'; while ! test -e '{self.go}'; do sleep 0.01; done; "
                 f"echo >'{self.through}'; echo 5")
        self.shell("waits", waits)
        self.shell("echo", 'cat "$1"')
        self.shell("talks", "echo x >&2; sleep 600")
        self.nova.close()

    def await_begun(self):
        end = time.monotonic() + 20
        while not self.begun.exists():
            self.assertLess(time.monotonic(), end, "the function does not begin")
            time.sleep(0.005)

    def interrupted(self, text, begins=True):
        """Runs the text in a child, with a SIGINT in its call; what the call came to.
        Nothing of the call is left."""
        child = Child(self, text)
        self.assertEqual(child.line(), "calling")
        if begins:
            self.await_begun()
        child.signal()
        told = json.loads(child.line(LIMIT))
        self.go.touch()
        self.assertEqual(child.line(), "end")
        self.assertEqual(child.process.wait(20), 0)
        self.assertFalse(self.through.exists(), "the function has gone on")
        self.assertEqual([path.name for path in (self.directory / "home/run").iterdir()
                          if path.name != ".lock"], [])
        return told

    def ran(self, text):
        self.assertEqual(self.interrupted(text),
                         {"raised": "KeyboardInterrupt", "error": "Canceled", "outcome": 1})

    def test_invoke_ends_at_once_and_the_platform_can_be_used_again(self):
        self.ran("""
            calling(lambda: platform.invoke("waits"))
            assert platform.invoke("echo", 3).output == 3
            """)

    def test_result_ends_at_once_and_cancels_its_call(self):
        self.ran("""
            call = platform.submit("waits")
            calling(call.result)
            assert call.done() and isinstance(call.exception(), nova.Canceled)
            assert platform.submit("echo", 3).result().output == 3
            """)

    def test_result_ends_at_once_while_another_thread_collects(self):
        self.ran("""
            call = platform.submit("waits")
            thread = threading.Thread(target=call.exception)
            thread.start()
            begun()
            calling(call.result)
            thread.join()
            """)

    def test_calls_of_an_instance_end_at_once(self):
        command = "vm.command(['sh', '-c', f'echo >{directory}/begun; sleep 600'])"
        for number, call in enumerate(("invoke()", command)):
            with self.subTest(call):
                self.ran(f"""
                    instance = platform.start_instance("waits", "i{number}")
                    calling(lambda: instance.{call})
                    assert instance.state == "running"
                    assert instance.vm.command(["true"]).exit_code == 0
                    """)
                self.begun.unlink()
                self.go.unlink()

    def test_calls_of_a_vm_end_at_once(self):
        code = self.directory / "handler"
        code.write_text(f"echo >'{self.begun}'; sleep 600\n", encoding="utf-8")
        disk = self.directory / "code.img"
        nova.build_disk(disk, code, entry_name="handler")
        for call in ("invoke()", "command(['sh', '-c', f'echo >{directory}/begun; sleep 600'])"):
            with self.subTest(call):
                self.ran(f"""
                    vm = platform.start_vm(code_disk=directory / "code.img")
                    vm.init("shell")
                    calling(lambda: vm.{call})
                    assert vm.command(["true"]).exit_code == 0
                    vm.close()
                    """)
                self.begun.unlink()

    def test_calls_that_wait_for_their_turn_in_a_vm_never_run(self):
        child = Child(self, """
            vm = platform.start_vm()
            busy(vm)
            for call in (vm.ping, vm.pause, vm.resume, lambda: vm.init("shell"),
                         lambda: vm.command(["touch", f"{directory}/through"]),
                         lambda: vm.list_files("/tmp"), lambda: vm.read_file("/etc/passwd"),
                         lambda: vm.write_file(f"{directory}/through", b""),
                         lambda: vm.remove_file(f"{directory}/begun")):
                calling(call)
            assert vm.state == "running"
            vm.close()
            """)
        for number in range(9):
            with self.subTest(number):
                self.assertEqual(child.line(), "calling")
                child.signal()
                self.assertEqual(json.loads(child.line(LIMIT)),
                                 {"raised": "KeyboardInterrupt", "error": "Canceled", "outcome": 0})
        self.assertEqual((child.line(), child.process.wait(20)), ("end", 0))
        self.assertEqual((self.begun.exists(), self.through.exists()), (True, False))

    def test_init_ends_at_once(self):
        code = self.directory / "main.py"
        code.write_text(f"open({str(self.begun)!r}, 'w').close()\n"
                        "import time\ntime.sleep(600)\ndef handler(event): pass\n",
                        encoding="utf-8")
        nova.build_disk(self.directory / "code.img", code, entry_name="main.py")
        told = self.interrupted("""
            vm = platform.start_vm(code_disk=directory / "code.img")
            calling(lambda: vm.init("python"))
            vm.close()
            """)
        self.assertEqual((told["raised"], told["error"]), ("KeyboardInterrupt", "Canceled"))

    def test_a_call_that_waits_for_a_vm_gives_up_its_place(self):
        told = self.interrupted("""
            platform.close()
            platform = nova.open(home=directory / "home", engine="fake", pool_max_vms=1)
            holder = platform.start_instance("echo")
            busy(holder.vm)
            calling(lambda: platform.invoke("waits"))
            assert platform.pool_stats()["waiting"] == 0
            """, begins=False)
        self.assertEqual(told, {"raised": "KeyboardInterrupt", "error": "Canceled", "outcome": 0})

    def test_collect_ends_at_once_and_loses_no_call(self):
        told = self.interrupted("""
            with platform.queue() as queue:
                calling(lambda: queue.collect(timeout=None))
                call = queue.submit("echo", 3)
                assert queue.collect(timeout=None) is call
            """, begins=False)
        self.assertEqual((told["raised"], told["error"]), ("KeyboardInterrupt", "Canceled"))

    def test_the_user_s_own_exception_is_raised(self):
        told = self.interrupted("""
            class Enough(Exception):
                pass

            def handler(number, frame):
                raise Enough

            signal.signal(signal.SIGINT, handler)
            calling(lambda: platform.invoke("waits"))
            """)
        self.assertEqual(told, {"raised": "Enough", "error": "Canceled", "outcome": 1})

    def test_a_handler_that_raises_nothing_is_called_at_once_and_the_call_goes_on(self):
        child = Child(self, """
            signal.signal(signal.SIGINT, lambda number, frame: print("handled", flush=True))
            calling(lambda: platform.invoke("waits"))
            """)
        self.assertEqual(child.line(), "calling")
        self.await_begun()
        child.signal()
        self.assertEqual(child.line(LIMIT), "handled")
        self.go.touch()
        self.assertEqual(json.loads(child.line()), {"value": 5})
        self.assertEqual(child.line(), "end")

    def test_an_output_function_is_called_in_the_thread_of_the_call_and_can_be_interrupted(self):
        told = self.interrupted("""
            def on_output(stream, data):
                assert threading.current_thread() is threading.main_thread()
                (directory / "begun").touch()
                time.sleep(600)

            calling(lambda: platform.invoke("talks", on_output=on_output))
            """)
        self.assertEqual(told, {"raised": "KeyboardInterrupt", "error": "Canceled", "outcome": 1})


class Tokens(PlatformCase):
    def setUp(self):
        super().setUp()
        self.begun = threading.Event()
        self.shell("waits", "echo x >&2; sleep 600")
        self.shell("echo", 'cat "$1"')

    def heard(self, _stream, _data):
        self.begun.set()

    def test_a_token_ends_calls_of_all_threads_and_stays_triggered(self):
        errors, begun = [], threading.Barrier(3)
        with nova.Interrupt() as stop:
            def call():
                heard = []
                try:
                    self.nova.invoke("waits", interrupt=stop,
                                     on_output=lambda *_: heard or heard.append(begun.wait(20)))
                except nova.Canceled as error:
                    errors.append(error)

            threads = [threading.Thread(target=call) for _ in range(2)]
            for thread in threads:
                thread.start()
            begun.wait(20)
            self.assertFalse(stop.triggered)
        for thread in threads:
            thread.join(20)
        self.assertEqual([error.ran for error in errors], [True, True])
        self.assertTrue(stop.triggered)
        with self.assertRaises(nova.Canceled) as caught:
            self.nova.invoke("echo", interrupt=stop)
        self.assertTrue(caught.exception.never_ran)
        self.assertEqual(self.nova.invoke("echo", 3, interrupt=nova.Interrupt()).output, 3)

    def test_a_token_ends_a_call_of_the_main_thread(self):
        stop = nova.Interrupt()
        with self.assertRaises(nova.Canceled) as caught:
            self.nova.invoke("waits", interrupt=stop, on_output=lambda stream, data: stop.trigger())
        self.assertTrue(caught.exception.ran)
        self.assertEqual(stop._inner, set())

    def test_a_call_that_asks_for_what_it_keeps_without_end_is_ended_in_its_guest(self):
        self.nova.register("asks", runtime="python", code=b"""
import nova, sys

def handler(event):
    print("x", file=sys.stderr, flush=True)
    while True:
        nova.kv.get("k")
""")
        stop = nova.Interrupt()
        with self.assertRaises(nova.Canceled) as caught:
            self.nova.invoke("asks", interrupt=stop, on_output=lambda stream, data: stop.trigger())
        self.assertTrue(caught.exception.ran)

    def test_a_submitted_call_keeps_its_token_until_it_is_finished(self):
        call = self.nova.submit("waits", interrupt=nova.Interrupt(), on_output=self.heard)
        self.assertTrue(self.begun.wait(20))
        call._interrupt.trigger()
        self.assertRaises(nova.Canceled, call.result)
        self.assertIsNone(call._interrupt)

    def test_a_token_given_to_result_cancels_the_call(self):
        stop = nova.Interrupt()
        call = self.nova.submit("waits", on_output=lambda stream, data: stop.trigger())
        self.assertRaises(nova.Canceled, call.result, interrupt=stop)

    def test_every_call_that_may_wait_takes_one(self):
        stop = nova.Interrupt()
        vm, instance = self.nova.start_vm(), self.nova.start_instance("echo")
        self.addCleanup(vm.close)
        stop.trigger()
        for call, *arguments in (
                (self.nova.start_vm,), (self.nova.start_instance, "echo"), (instance.invoke,),
                (vm.fork,), (vm.ping,), (vm.pause,), (vm.resume,), (vm.stop,), (vm.invoke,),
                (vm.command, ["true"]), (vm.merge, [vm]), (vm.park, 1), (vm.init, "shell"),
                (vm.list_files, "/"), (vm.read_file, "/x"), (vm.write_file, "/x", b""),
                (vm.remove_file, "/x"), (instance.vm.command, ["true"]), (instance.vm.pause,),
                (instance.vm.resume,)):
            with self.assertRaises(nova.Canceled) as caught:
                call(*arguments, interrupt=stop)
            self.assertTrue(caught.exception.never_ran)
        self.assertEqual((vm.state, instance.state, len(self.nova.instances())),
                         ("running", "running", 1))

    def test_calls_in_a_child_made_by_fork_find_no_helper_of_the_parent(self):
        self.nova.invoke("echo", 1)
        child = os.fork()
        if child == 0:
            try:
                with nova.open(home=self.directory / "home", engine="fake") as platform:
                    os._exit(platform.invoke("echo", 7).output)
            finally:
                os._exit(1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 7)


if __name__ == "__main__":
    unittest.main()
