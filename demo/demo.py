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

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/system"))
from natsclient import Nats  # noqa: E402  (a client of the standard library alone; see there)

EVENTS = ROOT / "tests/data/events/cloudtrail.ndjson"
WIDTH = 100


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


def cut(text, width=WIDTH):
    return text if len(text) <= width else text[:width - 1] + "…"


def short(identity):
    """The telling end of an ARN."""
    return identity.rsplit(":", 1)[-1] if identity.startswith("arn:") else identity


def summary(record, details):
    """One record as a line for people. What a consumer's `fields` left out is looked up in the audit stream."""
    full = {**details.get((record.get("txn"), record["kind"], record.get("action")), {}), **record}
    what = full.get("action") if full["kind"] == "signal" else full.get("severity")
    why = full["guard"]["name"] if "guard" in full else full.get("why")
    parts = [f"{what or '':9}", f"{full.get('confidence', 0):.2f}", full.get("route", ""),
             full.get("title") or full.get("reason") or short(full.get("subject", {}).get("id", "")),
             f"[{why}]" if why else ""]
    return "      " + cut("  ".join(part for part in parts if part), WIDTH - 6)


def show(demo, events, streams):
    details = {}
    for audit in streams.get("penstock.audit", []):
        record = audit.get("data", audit)
        details[record.get("txn"), record["kind"], record.get("action")] = record
    first, last = (json.loads(event)["eventTime"] for event in (events[0], events[-1]))
    print(f"\nIN   {len(events)} events of AWS CloudTrail, {first} to {last}: an access key is stolen and used.\n")
    for subject in sorted(streams, key=lambda each: (".signals." not in each, each)):
        records = [each.get("data", each) for each in streams[subject]]
        kinds = collections.Counter(each["kind"] for each in records)
        print(f"OUT  {subject:26} " + ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in kinds.items()))
        if subject != "penstock.audit":
            seen = set()
            for record in sorted(records, key=lambda each: -each.get("confidence", 0)):
                line = summary(record, details)
                if len(seen) < 3 and line not in seen:
                    seen.add(line)
                    print(line)
    counts = [("dropped: no route concerns them", demo.total("penstock_sift_events_total", 'outcome="dropped"')),
              ("below the thresholds", demo.total("penstock_gate_verdicts_total", 'verdict="below"')),
              ("repeats, counted into their first", demo.total("penstock_gate_verdicts_total", 'verdict="deduplicated"')),
              ("held by a limit, to be let go later", demo.total("penstock_gate_held")),
              ("dead letters", demo.total("penstock_sift_dead_letters_total"))]
    print("\nTHE REST")
    for name, count in counts:
        print(f"     {count:5}  {name}")


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
        print(f"\nMETRICS  curl http://127.0.0.1:{demo.port}/metrics")
        if sys.stdin.isatty() and not arguments.once:
            print("         Ctrl-C ends everything.")
            signal.pause()
    except KeyboardInterrupt:
        print()
    finally:
        demo.end()


if __name__ == "__main__":
    main()
