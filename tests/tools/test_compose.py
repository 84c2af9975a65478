# SPDX-License-Identifier: MIT
"""compose.yaml: both services, on the ports that the library takes for granted, or on others."""
import os
import re
import shutil
import subprocess
import unittest

from novatest import ROOT

try:
    import yaml
except ImportError:
    yaml = None

FILE = ROOT / "compose.yaml"


def by_compose(environment):
    """As Compose understands it; None: it is not here."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if not shutil.which(words[0]):
            continue
        if subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0:
            done = subprocess.run([*words, "-f", FILE, "config"], stdout=subprocess.PIPE,
                                  env={**os.environ, **environment}, check=True)
            return yaml.safe_load(done.stdout)
    return None


def by_hand(environment):
    """The variables that it has, and no other syntax of Compose's."""
    text = re.sub(r"\$\{(\w+):-(\w+)\}", lambda m: environment.get(m[1], m[2]), FILE.read_text())
    return yaml.safe_load(text)


class Compose(unittest.TestCase):
    def ports(self, **environment):
        for name in ("NOVA_PG_PORT", "NOVA_REDIS_PORT"):
            os.environ.pop(name, None)
        services = (by_compose(environment) or by_hand(environment))["services"]
        self.assertEqual(set(services), {"postgres", "redis"})
        found = {}
        for name, service in services.items():
            port, = service["ports"]
            if isinstance(port, str):
                address, published, target = port.split(":")
            else:
                address, published, target = port["host_ip"], port["published"], port["target"]
            self.assertEqual(address, "127.0.0.1")
            found[name] = (int(published), int(target))
        return found

    def setUp(self):
        if yaml is None:
            self.skipTest("no python3-yaml: see test_packages in tools/packages")

    def test_both_services_have_the_ports_that_the_settings_have_by_default(self):
        self.assertEqual(self.ports(), {"postgres": (5432, 5432), "redis": (6379, 6379)})
        account = by_hand({})["services"]["postgres"]["environment"]
        keys = (ROOT / "lib/config/keys.c").read_text()
        self.assertIn("postgres://{POSTGRES_USER}:{POSTGRES_PASSWORD}@localhost:5432/{POSTGRES_DB}"
                      .format(**account), keys)

    def test_ports_can_be_others(self):
        self.assertEqual(self.ports(NOVA_PG_PORT="5433", NOVA_REDIS_PORT="6380"),
                         {"postgres": (5433, 5432), "redis": (6380, 6379)})


if __name__ == "__main__":
    unittest.main()
