#!/usr/bin/env python3
"""The demonstration behind ./quickstart: a nats-server, penstock, a recorded attack, and what came out on one screen.

Reads as little as it can: the records that the consumers' subjects hold afterwards, and penstock's own metrics.
"""
import argparse
import collections
import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/system"))
from natsclient import Nats  # noqa: E402  (a client of the standard library alone; see there)

EVENTS = ROOT / "tests/data/events/cloudtrail.ndjson"
WIDTH = min(shutil.get_terminal_size((120, 40)).columns, 120)


def free_port(wanted=0):
    with contextlib.closing(socket.socket()) as taken:
        try:
            taken.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return taken.getsockname()[1]


def wait_until(what, condition, process, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"demo: {what} did not happen; the log has more: {process.log}\n{process.log.read_text()[-1500:]}")
        time.sleep(0.05)


class Demo:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.nats_port, self.port = free_port(), free_port(9464)
        self.started = []

    def start(self, name, *command):
        log = self.folder / f"{name}.log"
        with log.open("wb") as opened:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=opened, stderr=opened)
        process.log = log
        self.started.append(process)
        return process

    def end(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(12)
                except subprocess.TimeoutExpired:
                    process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def answers(self, connect):
        try:
            connect()
            return True
        except OSError:
            return False

    def run_nats(self):
        config = self.folder / "nats.conf"
        config.write_text(f'listen: 127.0.0.1:{self.nats_port}\njetstream: {{store_dir: "{self.folder}/jetstream"}}\n')
        server = self.start("nats-server", "nats-server", "-c", str(config))
        wait_until("nats-server", lambda: self.answers(lambda: Nats(self.nats_port).close()), server)
        with Nats(self.nats_port) as nats:
            nats.add_stream("EVENTS", "events.>")
            nats.add_stream("PENSTOCK", "penstock.>", duplicate_window=600_000_000_000)
            return nats.info["version"]

    def run_penstock(self):
        config = self.folder / "penstock.yaml"
        config.write_text(json.dumps({  # JSON is YAML; config/penstock.yaml explains the keys
            "data": str(self.folder / "state"), "routes": str(ROOT / "routes"),
            "inventory": str(ROOT / "config/inventory.ndjson"), "listen": f"127.0.0.1:{self.port}",
            "nats": {"url": f"nats://127.0.0.1:{self.nats_port}"},
            "sources": [{"name": name, "nats": {"stream": "EVENTS", "subject": f"events.{name}", "durable": name}}
                        for name in ("cloudtrail", "okta", "github-audit", "github-webhook")],
            "dead_letters": {"to": {"nats": {"subject": "penstock.dead-letters"}}}}, indent=2))
        self.penstock = self.start("penstock", self.binary, "run", "--config", str(config))
        wait_until("penstock's start", lambda: self.answers(lambda: self.get("/readyz")), self.penstock)

    def get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5).read().decode()

    def metrics(self):
        """{(name, labels as written): number}"""
        lines = (line.rsplit(" ", 1) for line in self.get("/metrics").splitlines() if not line.startswith("#"))
        split = re.compile(r"(\w+)(?:\{(.*)\})?")
        return {split.fullmatch(name).groups(): float(number) for name, number in lines}

    def total(self, name, word=""):
        return int(sum(number for (sample, labels), number in self.metrics().items()
                       if sample == name and word in (labels or "")))

    def held(self):
        """(guard, how many signals it holds) of those that hold any."""
        return [(labels.split('"')[1], int(number)) for (sample, labels), number in self.metrics().items()
                if sample == "penstock_gate_held" and number > 0]

    def feed(self):
        events = EVENTS.read_bytes().splitlines()
        with Nats(self.nats_port) as nats:
            nats.put("events.cloudtrail", events)
        wait_until("the sifting of all events", lambda: self.total("penstock_sift_events_total") >= len(events),
                   self.penstock)
        wait_until("the gate's last verdict", lambda: self.total("penstock_gate_record")
                   >= self.total("penstock_journal_records_total"), self.penstock)
        wait_until("the last delivery", lambda: self.total("penstock_sink_waiting_records") == 0, self.penstock)
        return events

    def streams(self):
        """subject -> records, as the consumers got them."""
        with Nats(self.nats_port) as nats:
            streams = collections.defaultdict(list)
            for message in nats.take("PENSTOCK"):
                streams[message.subject].append(json.loads(message.data))
        return streams


def cut(text):
    return text if len(text) <= WIDTH else text[:WIDTH - 1] + "…"


def short(identity):
    """The telling end of an ARN."""
    return identity.rsplit(":", 1)[-1] if identity.startswith("arn:") else identity


def why(record):
    if "guard" in record:
        return f"waited: {record['guard']['name']}, {record['guard']['limit']}"
    return f"no signal: {record['why']}" if record.get("why") else ""


def lines(record):
    """One record as two lines for people: what and who, then which route and what it says."""
    what = record.get("action") if record["kind"] == "signal" else record.get("severity")
    subject = short(record.get("subject", {}).get("id", "-"))
    yield f"       {what or '-':8}  {record.get('confidence', 0):.2f}  {subject:48} {why(record)}".rstrip()
    yield f"                       {record.get('route', '')}: {record.get('title') or record.get('reason') or ''}"


def telling(records, count):
    """A few that differ: each reason and each subject once before any comes twice; the surest first."""
    records = sorted(records, key=lambda each: -each.get("confidence", 0))
    seen, first, later = set(), [], []
    for record in records:
        mark = why(record) or record.get("subject", {}).get("id")
        (later if mark in seen else first).append(record)
        seen.add(mark)
    return (first + later)[:count]


def show(demo, events, streams):
    audit = [each.get("data", each) for each in streams.get("penstock.audit", [])]
    details = {(each.get("txn"), each["kind"], each.get("action")): each for each in audit}
    first, last = (json.loads(event)["eventTime"][:16].replace("T", " ") for event in (events[0], events[-1]))
    print(f"\nIN   {len(events)} events of AWS CloudTrail, {first} to {last[11:]}: a stolen access key is at work\n")
    for subject in sorted(streams, key=lambda each: (".signals." not in each, each)):
        records = [each.get("data", each) for each in streams[subject]]
        kinds = collections.Counter(each["kind"] for each in records)
        print(f"OUT  {subject:24} " + ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in kinds.items()))
        if subject == "penstock.audit":  # everything once more, for whoever asks later
            print()
            continue
        # What a consumer's `fields` left out of a record stands in the audit stream's.
        full = [{**details.get((each.get("txn"), each["kind"], each.get("action")), {}), **each} for each in records]
        for record in telling(full, 4 if ".signals." in subject else 3):
            for line in lines(record):
                print(cut(line))
        print()
    verdicts = "penstock_gate_verdicts_total"
    rest = [(demo.total("penstock_sift_events_total", '"dropped"'), "events dropped: no route concerns them"),
            (demo.total(verdicts, '"below"'), "matches below their route's thresholds"),
            (demo.total(verdicts, '"deduplicated"'), "repeats, counted into the first of their kind"),
            (demo.total("penstock_sift_dead_letters_total"), "dead letters")]
    rest[3:3] = [(count, f"signals held by the limit {guard}, to be let go later") for guard, count in demo.held()]
    for count, name in rest:
        print(f"REST {count:5} {name}")


def main():
    parser = argparse.ArgumentParser(description="penstock on a recorded attack")
    parser.add_argument("--penstock", required=True, metavar="BINARY")
    parser.add_argument("--once", action="store_true", help="end by itself")
    arguments = parser.parse_args()
    demo = Demo(arguments.penstock, tempfile.mkdtemp(prefix="penstock-demo-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        version = demo.run_nats()
        demo.run_penstock()
        print(f"nats-server {version} on 127.0.0.1:{demo.nats_port}, penstock on 127.0.0.1:{demo.port}")
        events = demo.feed()
        show(demo, events, demo.streams())
        print(f"\nSEE  curl http://127.0.0.1:{demo.port}/metrics")
        if sys.stdin.isatty() and not arguments.once:
            print("     Ctrl-C ends everything.")
            signal.pause()
    except KeyboardInterrupt:
        print()
    finally:
        demo.end()


if __name__ == "__main__":
    main()
