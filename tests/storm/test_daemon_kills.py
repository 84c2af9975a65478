# SPDX-License-Identifier: MIT
"""A daemon and its clients, killed at random instants."""
import json
import subprocess
import time

import storm
from novatest import NOVACTL
from stormcase import StormCase

CLIENTS = 5
LONGEST = {"fake": 0.3, "qemu": 1.5}
NEVER_RAN, UNKNOWN = 1, 125  # exit statuses of novactl


class StormOfDaemons(StormCase):
    def storm(self, engine, kills):
        self.set_up_storm(engine, "a daemon and its clients")
        self.codes = {str(value): self.write(f"code-{value}", f"echo {value}")
                      for value in range(3)}
        self.rounds(kills)

    # --- clients

    def client(self, number):
        """Begins something of its own name; the process."""
        name, value = f"d{number}", str(self.rng.randrange(3))
        verb = self.rng.choice(("invoke", "register", "delete", "start"))
        code = ["--runtime", "shell", "--code", self.codes[value], "--replace"]
        words = {"invoke": ["invoke", name], "delete": ["delete", name],
                 "register": ["register", name, *code],
                 "start": ["instance", "start", "keeps", "--name", name]}[verb]
        self.model.begin(f"d{number}", verb, f"{name}-instance" if verb == "start" else name, value)
        process = self.start_program(NOVACTL, "--json", *words, stdin=subprocess.DEVNULL)
        process.worker, process.verb = f"d{number}", verb
        return process

    def judge(self, client, daemon_died):
        """What came of a client that was not killed."""
        out, err = client.communicate(timeout=storm.HANG_S)
        said = f"{client.verb}: {client.returncode} {out} {err}"
        by_daemon = client.verb in ("invoke", "start")
        if client.returncode == 0:
            answer = json.loads(out)["output"] if client.verb == "invoke" else ""
            self.model.end(client.worker, "NOVA_OK", str(answer))
        elif "NOVA_ENOTFOUND" in err:
            self.model.end(client.worker, "NOVA_ENOTFOUND", err.strip())
        else:
            self.assertTrue(by_daemon and daemon_died, said)
            self.assertIn(client.returncode, (NEVER_RAN, UNKNOWN), said)
            self.model.wounded.add(client.worker[0])
            error = json.loads(err.splitlines()[-1])["error"]
            self.model.end(client.worker, error["name"], err.strip())

    # --- one round

    def round(self):
        daemon = self.daemon("--idle-ttl", "60s")
        clients = [self.client(number) for number in range(CLIENTS)]
        time.sleep(self.rng.random() * LONGEST[self.engine])  # the instant itself, by chance
        kills = 1
        if self.rng.random() < 0.5:
            victim = clients.pop(self.rng.randrange(CLIENTS))
            storm.kill(victim.pid)
            victim.communicate()
            kills = 2
        early = self.rng.random() < 0.7
        if not early:
            for client in clients:
                self.judge(client, False)
        storm.kill(daemon.pid)
        daemon.wait()
        daemon.stdout.close()
        for client in clients if early else ():
            self.judge(client, True)
        self.check()
        return kills


class FakeDaemon(StormOfDaemons):
    def test_kills_leave_nothing_and_lose_nothing(self):
        self.storm("fake", 100 if storm.LONG else 10)


class QemuDaemon(StormOfDaemons):
    def test_kills_leave_nothing_and_lose_nothing(self):
        self.storm("qemu", 100 if storm.LONG else 4)
