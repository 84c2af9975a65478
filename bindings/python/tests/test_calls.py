# SPDX-License-Identifier: MIT
"""Asynchronous calls, modes and instances, on the fake engine."""
import os
import selectors
import threading
import unittest

from test_nova import PlatformCase, nova


class Gate:
    """Functions wait at it until they are let go; on the fake engine they see this host's files."""

    def __init__(self, case):
        self.path = case.directory / "gate"
        os.mkfifo(self.path)
        self.descriptor = os.open(self.path, os.O_RDWR)
        case.addCleanup(os.close, self.descriptor)
        self.source = f"echo started >&2; exec 3<>'{self.path}'; read x <&3; cat \"$1\""

    def let_go(self, count):
        os.write(self.descriptor, b"\n" * count)


class Calls(PlatformCase):
    def setUp(self):
        super().setUp()
        self.shell("echo", 'cat "$1"')

    def test_many_calls_are_answered_each_with_its_own(self):
        calls = [self.nova.submit("echo", number) for number in range(50)]
        self.assertEqual([call.result().output for call in calls], list(range(50)))
        self.assertTrue(all(call.done() for call in calls))
        self.assertEqual(calls[0].result().request_id, calls[0].request_id)
        self.assertIsNone(calls[0].exception())
        self.assertFalse(calls[0].cancel())

    def test_a_function_that_fails_raises_when_its_result_is_asked_for(self):
        self.shell("bad", "exit 3")
        call = self.nova.submit("bad")
        with self.assertRaises(nova.FunctionFailed) as caught:
            call.result()
        self.assertEqual(caught.exception.result.exit_code, 3)
        self.assertIs(call.exception(), caught.exception)

    def test_what_a_client_tells_besides_reaches_the_function(self):
        self.shell("told", 'printf %s "$NOVA_CLIENT_CONTEXT"')
        told = {"custom": {"a": [1]}}
        self.assertEqual(self.nova.invoke("told", client_context=told).output, told)
        self.assertEqual(self.nova.submit("told", client_context=told).result().output, told)
        self.assertEqual(self.nova.invoke("told").output, "")
        with self.assertRaisesRegex(ValueError, "JSON object"):
            self.nova.invoke("told", client_context=[1])

    def test_a_program_is_given_arguments_and_stdin(self):
        self.shell("program", 'cat; echo "[$*]"')
        told = {"program": True, "args": ["a", "b"], "stdin": b"in"}
        self.assertEqual(self.nova.invoke("program", **told).stdout, "in[a b]\n")
        self.assertEqual(self.nova.submit("program", **told).result().stdout, "in[a b]\n")
        self.assertEqual(self.nova.invoke("program", program=True).stdout, "[]\n")
        with self.assertRaisesRegex(ValueError, "of runtime wasm"):
            self.nova.invoke("program", program=True, start="add")
        with self.assertRaisesRegex(ValueError, "NOVA_INVOKE_PROGRAM"):
            self.nova.invoke("program", args=["a"])

    def test_what_is_wrong_with_a_request_is_raised_at_once(self):
        self.assertRaises(nova.NotFound, self.nova.submit, "nothing")
        self.assertRaises(ValueError, self.nova.submit, "echo", timeout=-1)
        self.assertRaises(TypeError, self.nova.submit, "echo", colour="red")
        self.assertRaises(TypeError, self.nova.submit("echo")._queue.collect)

    def test_a_call_can_be_cancelled_while_it_runs(self):
        gate, started = Gate(self), threading.Event()
        self.shell("wait", gate.source)
        call = self.nova.submit("wait", on_output=lambda stream, data: started.set())
        self.assertTrue(started.wait(20))
        self.assertFalse(call.done())
        with self.assertRaises(TimeoutError):
            call.result(timeout=0.01)
        self.assertTrue(call.cancel())
        with self.assertRaises(nova.Canceled) as caught:
            call.result(20)
        self.assertTrue(caught.exception.ran)
        self.assertEqual(self.nova.submit("echo", 5).result().output, 5)

    def test_what_an_output_function_raises_comes_out_of_result(self):
        def fail(_stream, _data):
            raise KeyError("mine")

        self.shell("speak", "echo x >&2; echo 1")
        self.assertRaises(KeyError, self.nova.submit("speak", on_output=fail).result)

    def test_threads_may_wait_for_calls_of_one_another(self):
        calls, results = [self.nova.submit("echo", number) for number in range(12)], {}

        def wait(number):
            results[number] = calls[number].result().output

        threads = [threading.Thread(target=wait, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: number for number in range(12)})

    def test_closing_the_platform_cancels_what_is_in_flight(self):
        gate, started = Gate(self), threading.Event()
        self.shell("wait", gate.source)
        running = self.nova.submit("wait", on_output=lambda stream, data: started.set())
        self.assertTrue(started.wait(20))
        self.nova.close()
        self.assertIsInstance(running.exception(), nova.Canceled)


class Queues(PlatformCase):
    def setUp(self):
        super().setUp()
        self.shell("echo", 'cat "$1"')

    def test_an_event_loop_collects_calls_as_they_finish(self):
        got = []
        with self.nova.queue() as queue, selectors.DefaultSelector() as selector:
            selector.register(queue, selectors.EVENT_READ)
            for number in range(20):
                queue.submit("echo", number)
            while len(got) < 20:
                self.assertTrue(selector.select(20))
                while call := queue.collect():
                    got.append(call.result().output)
            self.assertIsNone(queue.collect())
            self.assertIsNone(queue.collect(0.01))
        self.assertEqual(sorted(got), list(range(20)))

    def test_calls_of_one_thread_come_in_order(self):
        with self.nova.queue(threads=1) as queue:
            calls = [queue.submit("echo", number) for number in range(5)]
            self.assertEqual([queue.collect(timeout=None) for _ in calls], calls)

    def test_a_result_that_was_asked_for_is_not_collected_again(self):
        with self.nova.queue() as queue:
            self.assertEqual(queue.submit("echo", 1).result().output, 1)
            self.assertIsNone(queue.collect())

    def test_limits_hold_and_say_so(self):
        gate = Gate(self)
        self.shell("wait", gate.source)
        with self.nova.queue(threads=1, max_calls=2) as queue:
            calls = [queue.submit("wait", 1), queue.submit("wait", 2)]
            with self.assertRaisesRegex(nova.errors.LimitReached, "max_calls"):
                queue.submit("wait", 3)
            self.assertTrue(calls[1].cancel())
            self.assertTrue(calls[1].exception().never_ran)
            gate.let_go(1)
            self.assertEqual(calls[0].result().output, 1)
        self.assertRaises(ValueError, queue.submit, "echo")
        queue.close()

    def test_a_forgotten_queue_ends_with_the_platform(self):
        self.nova.queue().submit("echo", 1)


class Jobs(PlatformCase):
    """What takes long with a VM, as calls of a queue."""

    def setUp(self):
        super().setUp()
        self.disk = f"{self.nova.home}/code.ext4"
        nova.build_disk(self.disk, data=b'cat "$1"')
        self.queue = self.nova.queue()
        self.addCleanup(self.queue.close)

    def start(self, **options):
        vm = self.queue.submit_vm_start(code_disk=self.disk).result()
        self.addCleanup(vm.close)
        self.assertIsNone(self.queue.submit_vm_init(vm, "shell", **options).result())
        return vm

    def test_a_vm_is_started_and_used_through_a_queue(self):
        vm = self.start(env={"WORD": "kept"})
        call = self.queue.submit_vm_invoke(vm, [1], request_id="mine")
        self.assertEqual((call.request_id, call.result().output), ("mine", [1]))
        pieces = []
        call = self.queue.submit_vm_command(
            vm, ["sh", "-c", "cat; exit 3"], stdin=iter([b"a", b"b"]),
            on_output=lambda stream, data: pieces.append(data))
        self.assertEqual((call.request_id, call.result().exit_code), ("", 3))
        self.assertEqual(b"".join(pieces), b"ab")

    def test_what_is_handed_in_for_one_vm_is_done_in_its_order(self):
        vm = self.start()
        note = f"{self.nova.home}/note"
        calls = [self.queue.submit_vm_command(vm, ["sh", "-c", f"echo {n} >>{note}; cat {note}"])
                 for n in range(5)]
        self.assertEqual([self.queue.collect(timeout=None) for _ in calls], calls)
        self.assertEqual(calls[-1].result().stdout, "0\n1\n2\n3\n4\n")

    def test_an_instance_is_started_and_its_vm_used_through_a_queue(self):
        self.shell("f", 'cat "$1"')
        instance = self.queue.submit_instance_start("f", "i").result()
        self.assertEqual(instance.name, "i")
        self.assertEqual(self.queue.submit_vm_invoke(instance.vm, 7).result().output, 7)
        instance.stop()
        with self.assertRaises(nova.Lost):
            self.queue.submit_vm_command(instance.vm, ["true"]).result()

    def test_failures_are_raised_where_the_result_is_asked_for(self):
        vm = self.start()
        call = self.queue.submit_vm_start(engine="none")
        self.assertIsInstance(call.exception(), nova.InvalidArgument)
        for refused in (self.queue.submit_vm_fork(vm, 2), self.queue.submit_vm_snapshot(vm, "s")):
            self.assertRaises(nova.errors.NotSupported, refused.result)
        self.assertRaises(nova.InvalidArgument, self.queue.submit_vm_invoke, vm, b"{")
        self.assertRaises(nova.InvalidArgument, self.queue.submit_vm_command, vm, [])
        self.assertRaises(nova.NotFound, self.queue.submit_vm_restore, "nothing")
        self.assertRaises(TypeError, self.queue.submit_vm_start, colour="red")

    def test_a_command_is_cancelled_and_a_closed_vm_is_lost_to_its_calls(self):
        vm, started = self.start(concurrency=2), threading.Event()
        say_and_wait = ["sh", "-c", "echo; exec sleep 1000"]
        running = self.queue.submit_vm_command(vm, say_and_wait,
                                               on_output=lambda stream, data: started.set())
        self.assertTrue(started.wait(200))
        self.assertTrue(running.cancel())
        self.assertTrue(running.exception().ran)
        started.clear()
        running = self.queue.submit_vm_command(vm, say_and_wait,
                                               on_output=lambda stream, data: started.set())
        self.assertTrue(started.wait(200))
        vm.close()
        self.assertRaises(nova.Lost, running.result)


class Modes(PlatformCase):
    def test_ephemeral_calls_share_nothing(self):
        self.shell("f", "echo 1")
        first, second = (self.nova.invoke("f", fresh=True) for _ in range(2))
        self.assertNotEqual(first.vm_id, second.vm_id)
        self.assertEqual((first.snapshot, first.instance, second.cold_start), ("", "", True))

    def test_modes_that_need_snapshots_are_refused_here(self):
        self.shell("f", "echo 1")
        for options in ({"snapshot": "s"}, {"checkpoint": True}, {"checkpoint": "name"}):
            self.assertRaises(nova.errors.NotSupported, self.nova.invoke, "f", **options)
        with self.nova.start_instance("f") as instance:
            self.assertRaises(nova.InvalidArgument, self.nova.invoke, "f", instance=instance,
                              fresh=True)


class Instances(PlatformCase):
    def setUp(self):
        super().setUp()
        self.shell("f", 'cat "$1"')

    def test_an_instance_is_found_used_and_stopped(self):
        made = self.nova.start_instance("f", "i")
        self.assertEqual((made.name, made.function, made.version, made.state),
                         ("i", "f", 1, "running"))
        self.assertEqual(made.invoke(7).output, 7)
        result = self.nova.invoke("f", 8, instance=made)
        self.assertEqual((result.output, result.instance, result.vm_id), (8, made.id, made.vm_id))
        self.assertEqual(self.nova.instance("i").id, made.id)
        self.assertEqual([i.id for i in self.nova.instances()], [made.id])
        self.assertEqual(made.vm.command(["sh", "-c", "echo out; exit 4"]).exit_code, 4)
        made.stop()
        self.assertEqual((made.state, self.nova.instances()), ("dead", []))
        self.assertRaises(nova.NotFound, self.nova.instance, "i")
        self.assertRaises(nova.Lost, made.invoke)

    def test_a_with_statement_stops_it(self):
        with self.nova.start_instance("f") as instance:
            self.assertEqual(self.nova.submit("f", 3, instance=instance).result().output, 3)
        self.assertEqual(self.nova.instances(), [])

    def test_the_vm_that_it_lends_stays_its_own(self):
        with self.nova.start_instance("f") as instance:
            with instance.vm as vm:
                self.assertEqual(vm.id, instance.vm_id)
            self.assertEqual(instance.invoke(2).output, 2)
        self.assertRaises(nova.Lost, instance.vm.command, ["true"])

    def test_it_is_paused_and_resumed(self):
        with self.nova.start_instance("f") as instance:
            instance.vm.pause()
            self.assertEqual(instance.state, "paused")
            self.assertRaises(nova.errors.Busy, instance.invoke)
            instance.vm.resume()
            self.assertEqual(instance.invoke(1).output, 1)
            self.assertRaises(nova.errors.NotSupported, instance.vm.snapshot)

    def test_a_handle_may_outlive_the_platform(self):
        instance = self.nova.start_instance("f")
        self.nova.close()
        self.assertEqual(instance.state, "dead")


if __name__ == "__main__":
    unittest.main()
