"""`penstock replay`: the same input gives the same bytes, and they are the bytes that stand in tests/system/golden."""
import json
import os
import re

import harness
from harness import ROOT, Case

EVENTS = ROOT / "tests/data/events"
GOLDEN = ROOT / "tests/system/golden"
SOURCES = ("cloudtrail", "okta", "github-audit", "github-webhook")


def replay(source, *files, stdin=b""):
    return harness.run("replay", "--routes", ROOT / "routes", "--inventory", ROOT / "config/inventory.ndjson",
                       "--source", source, *(files or [EVENTS / f"{source}.ndjson"]), stdin=stdin)


def summary(err):
    """The line with the counts: (as written, {name: number})."""
    line = next(line for line in err.splitlines() if line.startswith("in="))
    return line, {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}


class Replay(Case):
    def test_twice_gives_the_same_bytes(self):
        for source in SOURCES:
            with self.subTest(source):
                first, second = replay(source), replay(source)
                self.assertEqual(first[0], 0, first[2])
                self.assertEqual(first, second)

    def test_standard_input_is_a_file_like_any_other(self):
        code, out, err = replay("okta", "-", stdin=(EVENTS / "okta.ndjson").read_bytes())
        self.assertEqual(code, 0, err)
        self.assertEqual(summary(err), summary(replay("okta")[2]))
        self.assertGreater(len(out), 0)

    def test_the_golden_outputs(self):
        """PENSTOCK_GOLDEN=write writes them anew; the diff is then for people to judge."""
        for source in SOURCES:
            with self.subTest(source):
                code, text, err = replay(source)
                self.assertEqual(code, 0, err)
                golden = GOLDEN / f"replay-{source}.ndjson"
                if os.environ.get("PENSTOCK_GOLDEN") == "write":
                    golden.write_bytes(text)
                self.assertEqual(text.decode().splitlines(), golden.read_text().splitlines())

    def test_every_event_is_counted(self):
        for source in SOURCES:
            with self.subTest(source):
                counts = summary(replay(source)[2])[1]
                self.assertEqual(counts["in"], len((EVENTS / f"{source}.ndjson").read_bytes().splitlines()))
                self.assertGreater(counts["alert"] + counts["signal"], 0, "the shipped routes see nothing in them")
                # An event may concern several routes; each of them counts it once.
                self.assertLessEqual(counts["in"], sum(counts.values()) - counts["in"] - counts["held"])

    def test_outputs_fit_the_schema(self):
        from test_flow import output_schema
        for source in SOURCES:
            for line in replay(source)[1].splitlines():
                document = json.loads(line)
                output_schema().validate(document.get("data", document) if "specversion" in document else document)

    def test_a_dead_letter_makes_it_exit_1(self):
        bad = self.folder / "bad.ndjson"
        bad.write_bytes(b'{"uuid": "1"}\n{broken\n\n{"uuid": "2"}\n')
        code, _, err = replay("okta", bad)
        self.assertEqual(code, 1, err)
        self.assertEqual(summary(err)[1]["dead"], 1, err)
        self.assertEqual(replay("okta", self.folder / "nothing.ndjson")[0], 1)
        self.assertEqual(harness.run("replay", "--routes", ROOT / "routes")[0], 2)
