"""The demonstration of ./quickstart: it ends by itself, says what it promises, and leaves nothing behind."""
import contextlib
import pathlib
import re
import subprocess
import tempfile

import harness
from harness import Case


class Demo(Case):
    @staticmethod
    def command_lines():
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                yield path.read_text().replace("\0", " ")

    def test_the_recorded_attack_is_seen_and_shown(self):
        before = set(pathlib.Path(tempfile.gettempdir()).glob("penstock-demo-*"))
        done = subprocess.run([harness.ROOT / "demo/demo.py", "--penstock", harness.BINARY, "--once"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * harness.PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertLess(len(lines), 45, "one screen")
        self.assertRegex(done.stdout, r"IN +339 events")
        self.assertRegex(done.stdout, r"penstock\.signals\.aws +\d+ signals")
        self.assertRegex(done.stdout, r"penstock\.alerts\.soc +\d+ alerts")
        port = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", done.stdout)[1]
        left = [each for each in self.command_lines() if f"{port}" in each or "penstock-demo-" in each]
        self.assertEqual(left, [], "a process is left")
        self.assertEqual(set(pathlib.Path(tempfile.gettempdir()).glob("penstock-demo-*")) - before, set())
