"""The demonstration of ./quickstart: it ends by itself, says what it promises, and leaves nothing behind."""
import contextlib
import os
import pathlib
import subprocess

import harness
from harness import Case


class Demo(Case):
    def test_the_recorded_attack_is_seen_and_shown(self):
        done = subprocess.run([harness.ROOT / "tests/system/demo.py", "--penstock", harness.BINARY, "--once"],
                              text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * harness.PATIENCE,
                              env={**os.environ, "TMPDIR": str(self.folder)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLess(len(done.stdout.splitlines()), 45, "one screen")
        self.assertRegex(done.stdout, r"IN +339 events")
        self.assertRegex(done.stdout, r"penstock\.signals\.aws +\d+ signals")
        self.assertRegex(done.stdout, r"penstock\.alerts\.soc +\d+ alerts")
        self.assertRegex(done.stdout, r"http://127\.0\.0\.1:\d+/metrics")
        self.assertEqual(list(self.folder.iterdir()), [], "a file is left")
        self.assertEqual([each for each in self.command_lines() if str(self.folder) in each], [], "a process is left")

    @staticmethod
    def command_lines():
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                yield path.read_text().replace("\0", " ")
