"""Input that nobody should have sent: it ends as dead letters with reason and position, and nobody else notices."""
import base64
import json

import estate
from harness import OnBroker, wait_until

NOISE = bytes(range(256)) * 4
# What is sent, and whether it must be a dead letter (True), must not be one (False), or may be either (None).
BAD = {
    "binary noise": (NOISE, True),
    "invalid UTF-8": (b'{"id": "x1", "action": "stolen", "user": "\xff\xfe\xc3("}', True),
    "overlong UTF-8": (b'{"id": "x2", "action": "stolen", "user": "\xc0\xaf"}', True),
    "a lone surrogate": (b'{"id": "x3", "action": "stolen", "user": "\\ud800"}', True),
    "cut short": (b'{"id": "x4", "action": "stol', True),
    "not an object": (b'"just text"', True),
    "depth 10,000": (b"[" * 10_000 + b"]" * 10_000, True),
    "depth 10,000 inside": (b'{"id":"x5","action":"stolen","user":"d","n":' + b"[" * 10000 + b"]" * 10000 + b"}", True),
    "10 MB": (b'{"id":"x6","action":"stolen","user":"big","more":"' + b"x" * 10_000_000 + b'"}', True),
    "number 1e999": (b'{"id":"x7","action":"login","user":"huge","n":1e999}', True),
    "leading zero": (b'{"id":"x8","action":"stolen","user":"zero","n":007}', True),
    "NaN": (b'{"id":"x9","action":"stolen","user":"nan","n":NaN}', True),
    "trailing comma": (b'{"id":"x10","action":"stolen","user":"comma",}', True),
    "two documents": (b'{"id":"x11","action":"login"} {"id":"x12","action":"login"}', True),
    "a byte order mark": (b'\xef\xbb\xbf{"id":"x13","action":"login","user":"bom"}', None),
    "duplicate keys": (b'{"id":"x14","action":"login","action":"stolen","user":"twice"}', True),
    "a NUL inside": (b'{"id":"x15","action":"stolen","user":"a\x00b"}', True),
    "missing subject": (b'{"id":"x16","action":"stolen"}', True),
    "empty subject": (b'{"id":"x17","action":"stolen","user":""}', True),
    "wildcard subject": (b'{"id":"x18","action":"stolen","user":"*"}', True),
    "white space": (b"   ", True),
}


class Hostile(OnBroker):
    def test_bad_input_becomes_dead_letters_and_hurts_nobody(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        for number, (bad, _) in enumerate(BAD.values()):
            self.put([estate.event(number), bad])
        self.put([estate.event(1000)])
        good = {f"user{number}@acme.example" for number in [*range(len(BAD)), 1000]}
        wait_until(lambda: f"the good events, {len(self.subjects() & good)} of {len(good)}\n{penstock.tail()}",
                   lambda: good <= self.subjects(), 60, every=0.5)
        must = [name for name, (_, dead) in BAD.items() if dead]
        wait_until(lambda: f"{len(must)} dead letters: {[each['reason'] for each in penstock.dead_letters()]}",
                   lambda: len(penstock.dead_letters()) >= len(must), 20)
        self.assertEqual(self.subjects() - good, set(), "something bad became a signal")
        self.check_letters(penstock.dead_letters())
        self.assertEqual(penstock.metrics().total("penstock_sift_dead_letters_total"),
                         len(penstock.dead_letters()))
        self.assert_stops_well(penstock)

    def subjects(self):
        """Of the signals. An event without a definite subject is a dead letter and an alert, never a signal."""
        records = [json.loads(record.payload) for record in self.take("all")]
        for record in records:
            self.assertEqual(record.get("why"), None if record["kind"] == "signal" else "unknown_subject")
        return {record["subject"]["id"] for record in records if record["kind"] == "signal"}

    def check_letters(self, letters):
        positions = set()
        for letter in letters:
            self.assertEqual(letter["kind"], "dead_letter")
            self.assertTrue(letter["reason"], letter)
            self.assertEqual(letter["source"], "in")
            positions.add((letter["partition"], letter["offset"], letter["index"]))
        self.assertEqual(len(positions), len(letters), "each has a position of its own")
        held = [self.data_of(letter) for letter in letters]
        for name, (bad, dead) in BAD.items():
            if dead:
                found = [data for data in held if data and (data == bad or len(bad) > 1 << 20 and bad.startswith(data))]
                self.assertTrue(found, f"{name}: its bytes are in no dead letter")

    @staticmethod
    def data_of(letter):
        if "data_base64" in letter:
            return base64.b64decode(letter["data_base64"])
        return letter["data"].encode()

    def test_an_empty_message_is_no_event_and_no_harm(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        self.put([b"", estate.event(1), b""])
        self.assertEqual(len(self.take_at_least("all", 1)), 1)
        self.assert_stops_well(penstock)
