# SPDX-License-Identifier: MIT
"""What VMs, queues, the pool and instances tell of themselves, on the fake engine."""
import math
import unittest

from test_calls import Gate
from test_nova import GREET, PlatformCase, nova


class VmFigures(PlatformCase):
    def test_a_vm_tells_what_it_costs(self):
        with self.nova.start_vm("base") as vm:
            stats = vm.stats()
        self.assertEqual(list(stats), ["pss", "private", "shared", "rss", "cpu_us",
                                       "start_us", "boot_us", "init_us", "stood_still_us",
                                       "merged"])
        self.assertGreater(stats["private"], 0)
        self.assertLessEqual(stats["private"], stats["pss"])
        self.assertLessEqual(stats["pss"], stats["rss"])

    def test_a_paused_vm_tells_what_it_costs(self):
        with self.nova.start_vm("base") as vm:
            vm.pause()
            self.assertGreater(vm.stats()["rss"], 0)

    def test_a_dead_vm_tells_no_cost_but_that_it_is_lost(self):
        with self.nova.start_vm("base") as vm:
            vm.kill()
            self.assertRaises(nova.Lost, vm.stop)
            self.assertRaisesRegex(nova.Lost, "dead", vm.stats)
        self.assertRaises(ValueError, vm.stats)

    def test_a_vm_tells_how_long_each_part_of_its_start_took(self):
        image = self.directory / "code.ext4"
        nova.build_disk(image, data=GREET)
        with self.nova.start_vm("base", code_disk=image) as vm:
            before = vm.stats()
            vm.init("python")
            after = vm.stats()
        self.assertEqual(before["init_us"], 0)
        self.assertGreater(before["start_us"], 0)
        self.assertGreater(after["init_us"], 0)
        self.assertEqual(after["stood_still_us"], 0)  # nobody forked it

    def test_a_vm_tells_what_its_console_printed(self):
        with self.nova.start_vm("base") as vm:
            self.assertIsInstance(vm.console, str)
        self.assertRaises(ValueError, lambda: vm.console)


class QueueFigures(PlatformCase):
    def test_a_queue_counts_what_waits_what_runs_and_what_is_finished(self):
        gate = Gate(self)
        self.shell("wait", gate.source)
        with self.nova.queue(threads=1) as queue:
            self.assertEqual(queue.counts(), {
                "waiting": 0, "under_way": 0, "finished": 0, "threads": 0})
            calls = [queue.submit("wait", number) for number in range(3)]
            counts = queue.counts()
            self.assertEqual((counts["waiting"] + counts["under_way"], counts["threads"]), (3, 1))
            self.assertEqual(counts["finished"], 0)
            calls[2].cancel()
            self.assertEqual(queue.counts()["finished"], 1)
            gate.let_go(1)
            gate.let_go(1)
            self.assertEqual([call.result().output for call in calls[:2]], [0, 1])
            self.assertEqual(queue.counts()["finished"], 0)

    def test_a_closed_queue_counts_nothing_more(self):
        queue = self.nova.queue()
        queue.close()
        self.assertRaises(ValueError, queue.counts)


class PoolFigures(PlatformCase):
    def test_the_histogram_of_a_time_counts_every_call_once(self):
        self.nova.register("hello", runtime="python", code=GREET)
        for _ in range(3):
            self.nova.invoke("hello")
        limits, counts = zip(*self.nova.pool_histogram("cold"))
        self.assertEqual(list(limits), sorted(set(limits)))
        self.assertEqual(limits[-1], math.inf)
        self.assertEqual(sum(counts), self.nova.pool_stats()["misses"])
        highest = max(limit for limit, count in zip(limits, counts) if count)
        # Each took less than the limit, in whole microseconds.
        self.assertAlmostEqual(self.nova.pool_latency("cold", 100), highest - 1e-6, 9)

    def test_a_time_that_nobody_measures_has_no_histogram(self):
        self.assertRaises(ValueError, self.nova.pool_histogram, "hot")
        self.assertEqual(sum(count for _, count in self.nova.pool_histogram("wait")), 0)


class InstanceFigures(PlatformCase):
    def test_an_instance_has_the_labels_of_its_function(self):
        labels = {"team": 'a="b"', "cost-center": "7"}
        self.shell("f", "echo 1", labels=labels)
        with self.nova.start_instance("f", "i") as made:
            self.assertEqual(made.labels, labels)
            self.assertEqual(self.nova.instance("i").labels, labels)
            self.assertEqual([i.labels for i in self.nova.instances()], [labels])

    def test_an_instance_of_a_function_without_labels_has_none(self):
        self.shell("f", "echo 1")
        with self.nova.start_instance("f") as made:
            self.assertEqual(made.labels, {})


if __name__ == "__main__":
    unittest.main()
