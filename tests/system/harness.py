"""harness: a penstock process under test, seen only from outside: its files, signals, exit code, log lines and metrics.

Nothing here knows a broker; brokers.py does. Every wait is bounded, every process started is ended by its own pid.
"""
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import estate

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("PENSTOCK_BINARY", str(ROOT / "build/penstock"))
WRAP = shlex.split(os.environ.get("PENSTOCK_WRAP", ""))  # valgrind and its options, say
PATIENCE = float(os.environ.get("PENSTOCK_PATIENCE", "1"))  # multiplies every wait; not what is measured
SANITIZED = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def wait_until(what, condition, seconds=20.0, every=0.05):
    """Asks until the answer is true; the answer. Fails with `what` (a text, or a function that gives one)."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds * PATIENCE:g} s: {what() if callable(what) else what}")
        time.sleep(every)


def free_port():
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def run(*arguments, stdin=b"", seconds=60.0):
    """Runs penstock to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([*WRAP, BINARY, *map(str, arguments)], input=stdin, capture_output=True,
                          timeout=seconds * PATIENCE)
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def promtool(text):
    """What `promtool check metrics` finds; nothing if all is well."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


class Metrics:
    """One scrape. Labels are compared only where they are given; `total` adds what is left."""
    LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            match = not line.startswith("#") and self.LINE.match(line)
            if match:
                self.samples.append((match[1], dict(self.LABEL.findall(match[2] or "")), float(match[3])))

    def total(self, name, **labels):
        return sum(value for sample, has, value in self.samples
                   if sample == name and all(has.get(key) == wanted for key, wanted in labels.items()))

    def has(self, name):
        return any(sample == name for sample, _, _ in self.samples)


class Penstock:
    """One deployment in a folder of its own: configuration, routes, inventory, data."""

    def __init__(self, folder, config, routes, inventory=()):
        self.folder = pathlib.Path(folder)
        self.routes = self.folder / "routes"
        self.routes.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.config = {"data": str(self.folder / "data"), "routes": str(self.routes),
                       "inventory": str(self.folder / "inventory.ndjson"), "listen": f"127.0.0.1:{self.port}",
                       "dead_letters": {"to": {"file": {"path": str(self.folder / "dead.ndjson")}}}, **config}
        self.log = self.folder / "log"
        self.process = None
        (self.folder / "inventory.ndjson").write_text("".join(json.dumps(each) + "\n" for each in inventory))
        self.write_routes(routes)

    def write_routes(self, text, name="routes.yaml"):
        """As a careful editor does it: the new file takes the old one's place at once."""
        (self.routes / (name + ".new")).write_text(text)
        (self.routes / (name + ".new")).rename(self.routes / name)

    def write_config(self):
        path = self.folder / "penstock.yaml"
        path.write_text(json.dumps(self.config, indent=2))  # JSON is YAML
        return path

    def command(self):
        return [*WRAP, BINARY, "run", "--config", str(self.write_config())]

    def start(self, ready=True):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if ready:
            wait_until(lambda: "ready\n" + self.tail(), self.is_ready, 30)
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"penstock ended with {self.process.returncode}\n{self.tail()}")
        return self.get("/readyz")[0] == 200

    def get(self, path):
        """(HTTP status, body); 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
        except OSError:
            return 0, ""

    def metrics(self):
        return Metrics(self.get("/metrics")[1])

    def output(self):
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def tail(self, lines=25):
        return "\n".join(self.output().splitlines()[-lines:])

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, within=10.0):
        """SIGTERM; (exit code, seconds it took). Fails when it takes longer than the promise."""
        began = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(within * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {within * PATIENCE:g} s after SIGTERM\n{self.tail()}") from None
        return code, time.monotonic() - began

    def end(self):
        """Whatever happened before: not running afterwards, and no sanitizer had anything to say."""
        if self.process and self.process.poll() is None:
            self.kill()
        found = SANITIZED.search(self.output())
        if found:
            raise AssertionError("a sanitizer spoke:\n" + self.output()[found.start():][:2000])

    def dead_letters(self):
        path = self.folder / "dead.ndjson"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


class Case(unittest.TestCase):
    """A test with a folder of its own and penstocks that end with it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-test-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def penstock(self, config, routes, inventory=(), name="p"):
        made = Penstock(self.folder / name, config, routes, inventory)
        self.addCleanup(made.end)
        return made

    def assert_laws(self, metrics):
        """What comes into the gate leaves it in exactly one way, whatever the test was about."""
        gate = {name: metrics.total(f"penstock_gate_{name}_total") for name in (
            "hits", "below", "alerts", "signals", "deduplicated", "shadow_alerts", "shadow_signals", "unknown_subject",
            "signal_units", "sent_units", "expired", "hold_full", "over_alerts", "unrouted")}
        self.assertEqual(gate["hits"], sum(gate[name] for name in (
            "below", "alerts", "signals", "deduplicated", "shadow_alerts", "shadow_signals", "unknown_subject")), gate)
        held = metrics.total("penstock_gate_held")
        self.assertEqual(gate["signal_units"], held + sum(gate[name] for name in (
            "sent_units", "expired", "hold_full", "over_alerts", "unrouted")), f"held {held}, {gate}")

    def assert_stops_well(self, penstock):
        self.assert_laws(penstock.metrics())
        code, _ = penstock.stop()
        self.assertEqual(code, 0, penstock.tail())

    def skip_unless(self, condition, reason):
        if not condition:
            self.skipTest(reason)


class OnBroker(Case):
    """A test whose body is the same on each of `brokers`; the runner makes a subclass for each and sets `broker`."""
    brokers = ("nats", "kafka")
    broker = None
    count = 0

    def setUp(self):
        super().setUp()
        OnBroker.count += 1
        self.prefix = f"t{os.getpid()}x{OnBroker.count}"

    def deploy(self, routes, *consumers, more=None, inventory=(), name="p"):
        """A penstock on this broker: one source `in`, and for each consumer (name, accepts[, settings]) a stream."""
        self.broker.prepare(self.prefix, [each[0] for each in consumers])
        listed = {each[0]: (each[1], self.broker.to(self.prefix, each[0]), *each[2:]) for each in consumers}
        config = {**self.broker.connection(), "sources": [self.broker.source(self.prefix)], **(more or {})}
        return self.penstock(config, routes + estate.consumers(**listed), inventory, name)

    def put(self, payloads):
        self.broker.put(self.prefix, payloads)

    def take(self, consumer):
        return self.broker.take(self.prefix, consumer)

    def take_at_least(self, consumer, count, seconds=30.0):
        """All records of a consumer once there are so many; those that came meanwhile as well."""
        taken = []

        def enough():
            taken[:] = self.take(consumer)
            return len(taken) >= count
        wait_until(lambda: f"{count} records for {consumer}; there are {len(taken)}", enough, seconds, every=0.3)
        return taken
