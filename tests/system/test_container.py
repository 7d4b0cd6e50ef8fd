"""The container image, built from docker/Dockerfile and run as docker/compose.yaml runs it: unprivileged, read-only."""
import os
import pathlib
import subprocess
import unittest

import estate
import image
from harness import OnBroker, Penstock, wait_until


class InContainer(Penstock):
    """The same penstock, but its process is podman's, and its files are mounted where they stand outside."""
    tag = None
    name = None

    def command(self):
        config = self.write_config()
        pathlib.Path(self.config["data"]).mkdir(exist_ok=True)
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, image.UID, image.UID)
        return ["podman", "run", "--rm", "--name", self.name, *image.HARDENED, "--read-only-tmpfs=false",
                "-v", f"{self.folder}:{self.folder}", "-v", f"{config}:/etc/penstock/penstock.yaml:ro", self.tag]


class Container(OnBroker):
    brokers = ("nats",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tag = image.build()

    def setUp(self):
        super().setUp()
        self.saved = dict(os.environ)
        os.environ.update(image.environment())
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(self.saved)))

    def penstock(self, config, routes, inventory=(), name="p"):
        made = InContainer(self.folder / name, config, routes, inventory)
        made.tag, made.name = self.tag, f"penstock-{self.prefix}"
        self.addCleanup(made.end)
        self.addCleanup(subprocess.run, ["podman", "rm", "-f", "-i", made.name], stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL, timeout=60)
        return made

    def podman(self, *arguments):
        return image.tool("podman", *arguments, seconds=60)

    def test_it_runs_as_it_will_in_production(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        self.put([estate.event(number) for number in range(100)])
        self.assertEqual(len(self.take_at_least("all", 100)), 100)
        self.podman("healthcheck", "run", penstock.name)  # fails unless it is healthy
        status = self.podman("exec", penstock.name, "cat", "/proc/1/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        self.assertEqual(fields["Uid"].split()[0], str(image.UID))
        self.assertEqual(int(fields["CapEff"], 16), 0)
        self.assertEqual(fields["NoNewPrivs"], "1")
        with self.assertRaises(AssertionError, msg="the root file system is read-only"):
            self.podman("exec", penstock.name, "touch", "/etc/penstock/mark")
        self.assert_stops_well(penstock)
        penstock.start()
        self.put([estate.event(number) for number in range(100, 150)])
        wait_until("the rest", lambda: len(self.take("all")) == 150)
        self.assert_stops_well(penstock)

    def test_what_the_image_says_about_itself(self):
        about = image.inspect(self.tag)
        self.assertEqual(about["Config"]["User"], f"{image.UID}:{image.UID}")
        self.assertEqual(about["Config"]["Entrypoint"], ["/usr/bin/penstock"])
        health = about.get("HealthCheck") or about.get("Healthcheck") or about["Config"]["Healthcheck"]
        self.assertEqual(health["Test"][:3], ["CMD", "/usr/bin/penstock", "health"])
        self.assertLess(about["Size"], 200_000_000)

    def test_the_shipped_configuration_is_sound(self):
        self.podman("run", "--rm", *image.HARDENED, self.tag, "check", "--config", "/etc/penstock/penstock.yaml")
