"""docker/compose.yaml against what it starts: its mounts exist, its topics and streams are those that are used."""
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"


class Compose(unittest.TestCase):
    def setUp(self):
        self.services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
        self.config = yaml.safe_load((DOCKER / "penstock.yaml").read_text())

    def assert_passes(self, *command):
        if not shutil.which(command[0]):
            self.skipTest(f"{command[0]} is not installed")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_compose_takes_the_file(self):
        self.assert_passes("docker-compose", "-f", DOCKER / "compose.yaml", "config", "-q")

    def test_prometheus_takes_its_file(self):
        self.assert_passes("promtool", "check", "config", DOCKER / "prometheus.yml")

    def test_mounted_files_are_there(self):
        mounts = [mount.split(":")[0] for service in self.services.values() for mount in service.get("volumes", [])]
        files = [mount for mount in mounts if mount.startswith(".")]
        self.assertTrue(files)
        for file in files:
            self.assertTrue((DOCKER / file).exists(), file)

    def test_ports_are_on_loopback(self):
        ports = [port for service in self.services.values() for port in service.get("ports", [])]
        self.assertTrue(ports)
        for port in ports:
            self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_topics_that_are_read_are_made(self):
        made = re.search(r"for topic in (.*?);", self.services["kafka-topics"]["command"][0]).group(1).split()
        used = [source["kafka"]["topic"] for source in self.config["sources"] if "kafka" in source]
        self.assertEqual(sorted(made), sorted(used))

    def test_streams_cover_the_subjects(self):
        made = dict(re.findall(r"make (\w+) '(.*?)>'", self.services["nats-streams"]["command"][0]))
        for source in self.config["sources"]:
            if "nats" in source:
                self.assertTrue(source["nats"]["subject"].startswith(made[source["nats"]["stream"]]), source)
        consumers = yaml.safe_load((ROOT / "routes/consumers.yaml").read_text())["consumers"]
        subjects = [consumer["to"]["nats"]["subject"] for consumer in consumers]
        subjects.append(self.config["dead_letters"]["to"]["nats"]["subject"])
        for subject in subjects:
            self.assertTrue(any(subject.startswith(prefix) for prefix in made.values()), subject)
