"""Everything that can be wrong before the first event: a clear message, no crash, the right exit code, nothing lost."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import unittest

import estate
import harness
import test_hostile
from harness import Case, OnBroker, wait_until

NO_BROKER = {"kafka": {"brokers": "127.0.0.1:9"}, "nats": {"url": "nats://127.0.0.1:9"}}


class Start(Case):
    """Sources and consumers are files here: penstock reads, writes and ends by itself."""

    def files(self, count=10, routes=estate.ROUTES, name="p", events=None):
        lines = [estate.event(number) for number in range(count)] if events is None else events
        (self.folder / "in.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
        config = {"sources": [{"name": "in", "file": {"path": str(self.folder / "in.ndjson")}}]}
        out = {"file": {"path": str(self.folder / f"{name}.out")}}
        return self.penstock(config, routes + estate.consumers(all=("true", out)), name=name)

    def ends_with(self, penstock, code, *words, seconds=20):
        """It ends by itself with this code, and says each of these words."""
        penstock.start(ready=False)
        penstock.process.wait(seconds * harness.PATIENCE)
        output = penstock.output()
        self.assertEqual(penstock.process.returncode, code, output)
        for word in words:
            self.assertIn(word, output)
        return output

    def out(self, name="p"):
        path = self.folder / f"{name}.out"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def test_files_in_files_out_ends_by_itself(self):
        self.ends_with(self.files(count=10), 0)
        self.assertEqual([each["subject"]["id"] for each in self.out()],
                         [f"user{number}@acme.example" for number in range(10)])

    def test_a_second_run_sends_nothing_twice(self):
        penstock = self.files(count=10)
        self.ends_with(penstock, 0)
        self.ends_with(penstock, 0)
        self.assertEqual(len(self.out()), 10)

    def test_bad_lines_are_dead_letters_and_the_good_ones_come_through(self):
        bad = [text for text, _ in test_hostile.BAD.values()]
        lines = [line for number, text in enumerate(bad) for line in (text, b"", estate.event(number))]
        penstock = self.files(events=lines)
        self.ends_with(penstock, 0, seconds=60)
        self.assertEqual({each["subject"]["id"] for each in self.out() if each["kind"] == "signal"},
                         {f"user{number}@acme.example" for number in range(len(bad))})
        letters = penstock.dead_letters()
        must = [name for name, (_, dead) in test_hostile.BAD.items() if dead and name != "white space"]
        self.assertGreaterEqual(len(letters), len(must))
        offsets = [each["offset"] for each in letters]
        self.assertEqual(offsets, sorted(set(offsets)), "each has the position of its line")
        text = (self.folder / "in.ndjson").read_bytes()
        for letter in letters:
            given = test_hostile.Hostile.data_of(letter)
            self.assertTrue(text[letter["offset"]:].startswith(given), letter["reason"])

    def test_broken_yaml_names_line_and_column(self):
        output = self.ends_with(self.files(routes="route: [unclosed\nversion: 1\n"), 1, "error:")
        self.assertRegex(output, r"routes\.yaml:\d+:\d+: error: ")

    def test_an_unknown_key_comes_with_a_suggestion(self):
        self.ends_with(self.files(routes=estate.ROUTES.replace("dedup:", "dedupe:")), 1, "dedupe", "'dedup'")

    def test_an_unknown_setting_comes_with_a_suggestion(self):
        penstock = self.files()
        penstock.config["sift_thread"] = 2
        self.ends_with(penstock, 1, "sift_thread", "'sift_threads'")

    def test_a_field_that_no_event_has_is_refused(self):
        routes = estate.ROUTES.replace("event.action == \"stolen\"", "event.acton == \"stolen\"")
        self.ends_with(self.files(routes=routes), 1, "acton", "'action'")

    def test_the_port_is_taken(self):
        penstock = self.files()
        with contextlib.closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", penstock.port))
            taken.listen()
            self.ends_with(penstock, 1, str(penstock.port), "in use")
        self.ends_with(penstock, 0)
        self.assertEqual(len(self.out()), 10)

    def test_one_data_folder_is_for_one_process(self):
        first = self.files()
        (self.folder / "in.ndjson").write_bytes(b"")
        first.config["sources"] = [{"name": "in", "file": {"path": str(self.folder / "in.ndjson"), "follow": True}}]
        first.start()
        second = self.files(name="q")
        second.config["data"] = first.config["data"]
        self.ends_with(second, 1, str(first.process.pid))
        self.assert_stops_well(first)

    @unittest.skipUnless(os.geteuid() == 0, "a read-only mount needs root")
    def test_a_data_folder_that_cannot_be_written(self):
        penstock = self.files()
        data = pathlib.Path(penstock.config["data"])
        data.mkdir(parents=True)
        with mounted("tmpfs", data, "ro"):
            self.ends_with(penstock, 1, str(data), "ead-only")
        self.ends_with(penstock, 0)
        self.assertEqual(len(self.out()), 10)

    @unittest.skipUnless(os.geteuid() == 0, "a small tmpfs needs root")
    def test_a_full_disk_stops_intake_and_loses_nothing(self):
        count = 20000
        penstock = self.files(count=count)
        data = pathlib.Path(penstock.config["data"])
        data.mkdir(parents=True)
        penstock.config["sources"][0]["file"]["follow"] = True
        with mounted("tmpfs", data, "size=1m"):
            penstock.start(ready=False)
            wait_until(lambda: f"a word about the disk\n{penstock.tail()}", lambda: "pace" in penstock.output(), 30)
            wait_until("not ready", lambda: penstock.get("/readyz")[0] == 503)
            self.assertIsNone(penstock.process.poll(), "it goes on living")
            subprocess.run(["mount", "-o", "remount,size=256m", data], check=True)
            wait_until(lambda: f"all records; there are {len(self.out())}\n{penstock.tail()}",
                       lambda: len(self.out()) >= count, 60, every=0.5)
            self.assertEqual(len({each["id"] for each in self.out()}), count)
            wait_until("ready again", penstock.is_ready, 20)
            self.assert_stops_well(penstock)

    def test_unreachable_brokers_at_start(self):
        for kind, connection in NO_BROKER.items():
            with self.subTest(kind):
                source = {"kafka": {"topic": "t", "group": "g", "offset_reset": "earliest"},
                          "nats": {"stream": "S", "subject": "s", "durable": "d"}}[kind]
                penstock = self.penstock({kind: connection, "sources": [{"name": "in", kind: source}]},
                                         estate.ROUTES + estate.consumers(all=("true", {"stdout": {}})), name=kind)
                penstock.start(ready=False)
                wait_until("alive", lambda: penstock.get("/healthz")[0] == 200)
                status, body = penstock.get("/readyz")
                self.assertEqual(status, 503)
                self.assertIn("source in", body)
                wait_until("a word about it", lambda: "127.0.0.1:9" in penstock.output())
                self.assert_stops_well(penstock)

    def test_usage(self):
        for arguments, code, word in ((["--help"], 0, "replay"), (["--version"], 0, "penstock"), (["rum"], 2, "run"),
                                      ([], 2, "replay"), (["run"], 2, "--config"),
                                      (["run", "--config", "/nowhere.yaml"], 1, "/nowhere.yaml"),
                                      (["check", "--routes", "/nowhere"], 1, "/nowhere")):
            with self.subTest(arguments):
                got, out, err = harness.run(*arguments)
                self.assertEqual(got, code, err)
                self.assertIn(word, out.decode() + err)

    def test_schemas_are_schemas(self):
        import jsonschema
        for name in ("routes", "config", "output"):
            with self.subTest(name):
                code, out, err = harness.run("schema", name)
                self.assertEqual(code, 0, err)
                jsonschema.Draft202012Validator.check_schema(json.loads(out))

    def test_the_shipped_files_fit_their_schemas(self):
        import jsonschema
        import yaml
        schema = {name: jsonschema.Draft202012Validator(json.loads(harness.run("schema", name)[1]))
                  for name in ("routes", "config")}
        for file in [harness.ROOT / "config/penstock.yaml", harness.ROOT / "docker/penstock.yaml"]:
            with self.subTest(file.name):
                schema["config"].validate(yaml.safe_load(file.read_text()))
        for file in sorted((harness.ROOT / "routes").rglob("*.yaml")):
            with self.subTest(file.name):
                for document in yaml.safe_load_all(file.read_text()):
                    schema["routes"].validate(document)


@contextlib.contextmanager
def mounted(kind, place, options):
    subprocess.run(["mount", "-t", kind, "-o", options, kind, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


class Credentials(OnBroker):
    brokers = ("nats",)

    def test_wrong_credentials_are_named_and_no_secret_is_shown(self):
        from brokers import NatsServer
        required = 'authorization {user: "penstock", password: "right-Pa55word"}'
        server = NatsServer(self.folder / "nats", settings=required)
        self.addCleanup(server.kill)
        server.start()
        nats = {"url": f"nats://127.0.0.1:{server.port}", "user": "penstock",
                "password": {"env": "TEST_NATS_PASSWORD"}}
        os.environ["TEST_NATS_PASSWORD"] = "wrong-Pa55word"
        self.addCleanup(os.environ.pop, "TEST_NATS_PASSWORD", None)
        penstock = self.penstock({"nats": nats, "sources": [
            {"name": "in", "nats": {"stream": "IN", "subject": "in.x", "durable": "p"}}]},
            estate.ROUTES + estate.consumers(all=("true", {"nats": {"subject": "out.x"}})))
        penstock.start(ready=False)
        wait_until(lambda: "a word about credentials\n" + penstock.tail(),
                   lambda: "refuses the credentials" in penstock.output(), 20)
        self.assertNotIn("Pa55word", penstock.output())
        self.assertIsNone(penstock.process.poll())
        self.assertEqual(penstock.get("/readyz")[0], 503)
        self.assert_stops_well(penstock)
