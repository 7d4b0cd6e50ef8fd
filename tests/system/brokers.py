"""brokers: a real nats-server and a real Apache Kafka behind one small face, so that a test's body is written once.

Events go in and records are taken out by other clients than penstock's libraries' own calls: natsclient.py and kcat. A
broker starts when the first test asks for it and serves all of them; what a test puts there has the test's prefix.
"""
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import unittest

from harness import ROOT, free_port, wait_until
from natsclient import Nats, NatsError


class Record:
    """What a consumer got: the id and key that travel beside it, and the bytes."""

    def __init__(self, identifier, key, payload):
        self.id, self.key, self.payload = identifier, key, payload


class NatsServer:
    """One nats-server with JetStream on loopback; it may be ended and started again on the same port and store."""

    def __init__(self, folder, port=None, settings=""):
        self.folder, self.port, self.process = pathlib.Path(folder), port or free_port(), None
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "nats.conf").write_text(
            f"listen: 127.0.0.1:{self.port}\nmax_payload: 16MB\nmax_pending: 128MB\n"
            f"jetstream: {{store_dir: \"{self.folder}/store\", max_mem: 64MB, max_file: 4GB}}\n{settings}\n")

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["nats-server", "-c", self.folder / "nats.conf"], stdout=log, stderr=log)
        wait_until("nats-server", self.answers)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("nats-server ended: " + (self.folder / "log").read_text()[-800:])
        try:
            Nats(self.port, timeout=1).close()
        except OSError:
            return False
        except NatsError as error:
            return "Authorization" in str(error)
        return True

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


class OnNats:
    kind = "nats"

    def __init__(self):
        if not shutil.which("nats-server"):
            raise unittest.SkipTest("nats-server is not installed")
        self.folder = tempfile.mkdtemp(prefix="penstock-nats-")
        self.server = NatsServer(self.folder).start()
        with self.client() as client:
            self.version = "nats-server " + client.info["version"]

    def close(self):
        self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, **more):
        return Nats(self.server.port, **more)

    def connection(self):
        return {"nats": {"url": f"nats://127.0.0.1:{self.server.port}"}}

    def prepare(self, prefix, consumers=()):
        with self.client() as client:
            client.add_stream(f"IN_{prefix}", f"{prefix}.in.>")
            if consumers:
                client.add_stream(f"OUT_{prefix}", f"{prefix}.out.>", duplicate_window=600_000_000_000)

    def source(self, prefix, name="in", **more):
        return {"name": name, **more,
                "nats": {"stream": f"IN_{prefix}", "subject": f"{prefix}.in.{name}", "durable": f"{prefix}-{name}"}}

    def to(self, prefix, consumer):
        return {"nats": {"subject": f"{prefix}.out.{consumer}"}}

    def put(self, prefix, payloads, name="in"):
        with self.client(timeout=30) as client:
            client.put(f"{prefix}.in.{name}", payloads)

    def take(self, prefix, consumer):
        with self.client() as client:
            return [Record(each.headers.get("Nats-Msg-Id"), None, each.data)
                    for each in client.take(f"OUT_{prefix}", f"{prefix}.out.{consumer}")]


def create_topics(broker, names, partitions=1):
    """CreateTopics, version 2, of the Kafka protocol: kcat has no word for it, Kafka's own tool takes seconds."""
    def text(value):
        return struct.pack(">h", len(value)) + value.encode()
    topics = b"".join(text(name) + struct.pack(">ihii", partitions, 1, 0, 1) + text("max.message.bytes")
                      + text("16000000") for name in names)
    body = (struct.pack(">hhi", 19, 2, 1) + text("test") + struct.pack(">i", len(names)) + topics
            + struct.pack(">i?", 30000, False))
    host, port = broker.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answer = connection.makefile("rb")
        size, = struct.unpack(">i", answer.read(4))
        rest = answer.read(size)[8:]
    count, = struct.unpack_from(">i", rest)
    at = 4
    for _ in range(count):
        length, = struct.unpack_from(">h", rest, at)
        name = rest[at + 2:at + 2 + length].decode()
        error, message = struct.unpack_from(">hh", rest, at + 2 + length)
        if error not in (0, 36):  # 36: it exists
            raise AssertionError(f"topic {name}: error {error}")
        at += 6 + length + max(message, 0)


class OnKafka:
    kind = "kafka"
    LARGE = ("-X", "message.max.bytes=16000000")

    def __init__(self):
        if not shutil.which("kcat"):
            raise unittest.SkipTest("kcat is not installed")
        self.own = None
        self.brokers = os.environ.get("PENSTOCK_TEST_KAFKA") or self.start(os.environ.get("PENSTOCK_KAFKA", "4.3"))

    def start(self, version):
        script = ROOT / "tests/kafka/broker"
        done = subprocess.run([script, "start", "--version", version], capture_output=True, text=True, timeout=1200)
        if done.returncode != 0:
            why = (re.findall(r"\[ERROR\] (.*)|^broker: (.*)", done.stderr, re.M) or [("", done.stderr)])[0]
            why = " ".join("".join(why).split())[:250]
            raise unittest.SkipTest(f"no Kafka {version}, nor PENSTOCK_TEST_KAFKA: {why}")
        brokers, pid, folder = done.stdout.split()
        self.own = [script, "stop", pid, folder]
        fetched = subprocess.run([script, "fetch", "--version", version], capture_output=True, text=True, timeout=60)
        self.version = "Apache Kafka " + fetched.stdout.strip()
        return brokers

    version = "Apache Kafka named by PENSTOCK_TEST_KAFKA"

    def close(self):
        if self.own:
            subprocess.run(self.own, timeout=60, stdout=subprocess.DEVNULL)

    def connection(self):
        # A killed member is missed by its group for so long; 45 s, the default, would be most of what a test takes.
        return {"kafka": {"brokers": self.brokers, "settings": {"session.timeout.ms": "6000"}}}

    def prepare(self, prefix, consumers=()):
        create_topics(self.brokers, [f"{prefix}-in", *(f"{prefix}-out-{each}" for each in consumers)])

    def source(self, prefix, name="in", **more):
        return {"name": name, **more,
                "kafka": {"topic": f"{prefix}-{name}", "group": prefix, "offset_reset": "earliest"}}

    def to(self, prefix, consumer):
        return {"kafka": {"topic": f"{prefix}-out-{consumer}"}}

    def put(self, prefix, payloads, name="in"):
        """Each payload is a file to kcat, so that any bytes may be in it; plain ones go as lines, all at once."""
        payloads = list(payloads)
        with tempfile.TemporaryDirectory() as folder:
            if all(each and b"\n" not in each for each in payloads):
                lines = pathlib.Path(folder, "lines")
                lines.write_bytes(b"".join(each + b"\n" for each in payloads))
                self.kcat("-P", "-t", f"{prefix}-{name}", *self.LARGE, "-l", str(lines))
                return
            files = [pathlib.Path(folder, f"{number:06}") for number in range(len(payloads))]
            for file, payload in zip(files, payloads):
                file.write_bytes(payload)
            self.kcat("-P", "-t", f"{prefix}-{name}", *self.LARGE, *map(str, files))

    def take(self, prefix, consumer):
        """Up to where the topic ended when asked: one that is being written to has no end to stop at."""
        topic = f"{prefix}-out-{consumer}"
        end = int(self.kcat("-Q", "-t", f"{topic}:0:-1").split()[-1])
        if end == 0:
            return []
        out = self.kcat("-C", "-t", topic, "-o", "beginning", "-c", str(end), "-q", "-f", "%h\t%k\t%s\n")
        return [Record(*self.parse(line)) for line in out.split(b"\n") if line]

    @staticmethod
    def parse(line):
        headers, key, payload = line.split(b"\t", 2)
        found = re.search(rb"(?:^|,)id=([0-9a-f]+)", headers)
        return found[1].decode() if found else None, key.decode(), payload

    def kcat(self, *arguments):
        done = subprocess.run(["kcat", "-b", self.brokers, *arguments], capture_output=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f"kcat {' '.join(arguments[:3])}: {done.stderr.decode('utf-8', 'replace')[-500:]}")
        return done.stdout


KINDS = {"nats": OnNats, "kafka": OnKafka}
