# SPDX-License-Identifier: MIT
"""The smallest host program under valgrind's memcheck, which knows neither pidfds nor clone3().
No suppression is ours."""
import json
import shutil
import unittest

import novatest


@unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
class Memcheck(novatest.HomeCase):
    def test_the_embed_example_is_clean_and_loses_nothing(self):
        # The process between the host and the keeper is a copy of the host here; of what it has not
        # freed nothing is said.
        done = self.run_program(
            "valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
            "--child-silent-after-fork=yes", novatest.BUILD / "examples/embed",
            novatest.FUNCTIONS / "python/hello.py", '{"name": "World"}', timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["message"], "Hello, World!")
        self.assertNotIn("ERROR", done.stderr)
        self.assertNotIn("lost in loss record", done.stderr)


if __name__ == "__main__":
    unittest.main()
