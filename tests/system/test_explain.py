"""`penstock explain` and `penstock check --sample`: what they say of small routes, to people who look for a mistake."""
import json
import re

import harness
from harness import ROOT, Case

MAP = """
map: app
unwrap: raw.events
fields:
  id: raw.id
  time: raw.time
  type: {of: raw.action, table: {login: authentication}, else: other}
  action: raw.action
  outcome: {of: raw.result, table: {OK: success}}
  subject.id: [raw.account.mail, raw.user]
  net.ip: raw.ip
  device.id: raw.device
"""
ROUTE = """
---
define: {night: event.action == "login" && raw.hour < 6}
---
route: odd-login
mode: enforce
when: event.type == "authentication" && event.outcome == "success"
evidence:
  - {name: outside, when: '!ip_in(event.net.ip, identity.networks)', weight: 0.6, boundary: trust}
  - {name: script, when: 'raw.agent.contains("python")', weight: 0.5}
  - {name: at-night, when: night, weight: 0.5}
thresholds:
  alert: 0.5
  signal: 0.9
  adjust: [{when: identity.privilege >= 2, signal: -0.15}]
signal: {type: session-revoked, action: revoke}
dedup: {key: [event.subject.id], within: 15m}
---
route: quiet
mode: shadow
when: has(raw.admin) && raw.admin.level > 1
---
route: counted
mode: alert
when: raw.tries > 3
---
route: wrong
mode: alert
when: event.action != "logout" && int(event.action) > 0
"""
END = """
---
gate: {limits: [{name: per-subject, per: [subject], rate: 1/10m}]}
default_owner: soc
consumers:
  - {name: killer, accepts: kind == "signal", to: {stdout: {}}}
  - {name: people, accepts: kind == "alert", to: {stdout: {}}}
"""
INVENTORY = [{"id": "kim@acme.example", "aliases": ["kim"], "owner": "it", "privilege": 2, "networks": ["10.0.0.0/8"]},
             {"id": "ops@acme.example", "networks": ["10.0.0.0/8"]}]


def event(number=1, **more):
    return {"id": f"e{number}", "time": f"2026-01-05T10:0{number}:00Z", "action": "login", "result": "OK",
            "user": "kim", "ip": "203.0.113.7", "agent": "python-requests", **more}


class Small(Case):
    """A routes folder, an inventory, events; the commands on them."""

    def setUp(self):
        super().setUp()
        self.routes = self.folder / "routes"
        self.routes.mkdir()
        self.write(MAP + ROUTE + END)
        self.inventory = self.folder / "inventory.ndjson"
        self.inventory.write_text("".join(json.dumps(each) + "\n" for each in INVENTORY))

    def write(self, text):
        (self.routes / "app.yaml").write_text(text)

    def input(self, *events):
        return "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in events).encode()

    def explain(self, *events, more=(), expect=0):
        code, out, err = harness.run("explain", "--routes", self.routes, "--inventory", self.inventory, "--source",
                                     "app", *more, "-", stdin=self.input(*events))
        self.assertEqual(code, expect, err)
        for line in out.decode().splitlines():
            self.assertLessEqual(len(line), 100, line)
        return out.decode()

    def sample(self, *events, expect=0):
        file = self.folder / "sample.ndjson"
        file.write_bytes(self.input(*events))
        code, out, err = harness.run("check", "--routes", self.routes, "--source", "app", "--sample", file)
        self.assertEqual(code, expect, err)
        return out.decode()

    def route(self, text, name):
        """The lines of one route, without its head and their indentation."""
        found = re.search(rf"^  route {name} .*\n((?:    .*\n)*)", text, re.M)
        self.assertTrue(found, text)
        return [" ".join(line.split()) for line in found[1].splitlines()]


class Explain(Small):
    def test_a_signal_from_map_to_consumer(self):
        self.assertEqual(self.explain(event(ip="203.0.113.7")).split("  route")[0], """\
event 1 (stdin:1)
  map app
    id                   "e1"
    time                 "2026-01-05T10:01:00Z"
    type                 "authentication"
    action               "login"
    outcome              "success"
    subject.id           "kim"
    net.ip               "203.0.113.7"
    not there            device.id
  identity "kim": id "kim@acme.example", owner "it", privilege 2, blast_radius 1, networks
    ["10.0.0.0/8"]
""")
        self.assertEqual(self.route(self.explain(event()), "odd-login"), [
            "when holds",
            "evidence",
            "outside holds weight 0.6, adds 0.6: 75 % of the confidence, crosses trust",
            "script holds weight 0.5, adds 0.2: 25 % of the confidence",
            "at-night absent raw.hour < 6",
            "raw.hour is not there",
            "confidence 0.8 = 1 - (1 - 0.6)(1 - 0.5)",
            "thresholds",
            "alert 0.5",
            "signal 0.9",
            "-0.15 = 0.75: identity.privilege >= 2",
            "verdict signal: revoke",
            "to killer: signal revoke"])

    def test_what_it_says_is_what_replay_sends(self):
        events = [event(1), event(2, user="ops@acme.example"), event(3, agent="x"), event(4, user="", result="OK")]
        code, out, err = harness.run("replay", "--routes", self.routes, "--inventory", self.inventory, "--source",
                                     "app", "-", stdin=self.input(*events))
        self.assertEqual(code, 1, err)
        sent = sorted((record["consumer"], record["kind"]) for record in map(json.loads, out.splitlines()))
        said = re.findall(r"^      to (\w+): (\w+)", self.explain(*events), re.M)
        self.assertGreater(len(sent), 2)
        self.assertEqual(sorted(said), sent)

    def test_each_verdict(self):
        def verdict(text, name="odd-login"):
            return [line for line in self.route(text, name) if line.startswith(("verdict", "to ", "held"))]
        self.assertEqual(verdict(self.explain(event(agent="x", ip="10.1.1.1", hour=3))),
                         ["verdict alert, no signal: below_threshold: it is below the signal threshold",
                          "to people: alert, why below_threshold"])
        self.assertEqual(verdict(self.explain(event(user="ops@acme.example", hour=3))),
                         ["verdict alert, no signal: unowned: the inventory names no owner of the identity",
                          "to people: alert, why unowned"])
        self.assertEqual(verdict(self.explain(event(agent="x", ip="10.1.1.1"))), ["verdict dropped: no evidence fires"])
        second = self.explain(event(1), event(2)).split("event 2")[1]
        self.assertEqual(verdict(second), ["verdict deduplicated: a repeat within 15m, counted into the first"])
        nobody = self.explain(event(user="*", hour=3))
        self.assertIn("identity: nobody in particular", nobody)
        self.assertIn("dead letter: unknown_subject:", nobody)
        self.assertEqual(verdict(nobody)[0], "verdict dead letter: to be enforced, but it names no definite subject")
        self.assertEqual(verdict(self.explain(event(admin={"level": 2})), "quiet"),
                         ["verdict alert, but nothing is sent: the route's mode is shadow"])

    def test_below_the_threshold(self):
        self.write((MAP + ROUTE + END).replace("alert: 0.5\n", "alert: 0.7\n"))
        lines = self.route(self.explain(event(ip="10.1.1.1", user="ops@acme.example")), "odd-login")
        self.assertIn("confidence 0.5 = 1 - (1 - 0.5)", lines)
        self.assertEqual(lines[-1], "verdict dropped: below the alert threshold")

    def test_a_guard_names_itself_and_its_limit(self):
        self.write((MAP + ROUTE + END).replace("dedup: {key: [event.subject.id], within: 15m}", "dedup: none"))
        text = self.explain(event(1), event(2), event(3, time="2026-01-05T10:30:00Z", admin={"level": 2}))
        self.assertEqual(self.route(text.split("event 2")[1], "odd-login")[-2:],
                         ["verdict signal: revoke", "held: 1, by per-subject (per subject, 1/10m burst 1)"])
        meanwhile = text.split("event 3")[0].split("meanwhile, ")[1]
        self.assertIn('route odd-login, subject "kim"', meanwhile)
        self.assertIn("to killer: signal revoke, guard per-subject (per subject, 1/10m burst 1)", meanwhile)
        self.assertNotIn("still wait", text)

    def test_what_still_waits_at_the_end(self):
        self.write((MAP + ROUTE + END).replace("dedup: {key: [event.subject.id], within: 15m}", "dedup: none"))
        self.assertIn("\nat the end 2 held signals still wait\n", self.explain(event(1), event(2), event(3)))

    def test_remembered_evidence(self):
        self.write((MAP + ROUTE + END).replace("thresholds:", "confidence: {within: 1h}\nthresholds:", 1))
        text = self.explain(event(1, ip="10.1.1.1"), event(2, agent="x"))
        self.assertIn("script false weight 0.5, adds 0.2: 25 % of the confidence, remembered",
                      self.route(text.split("event 2")[1], "odd-login"))

    def test_why_a_route_does_not_concern_it(self):
        brief = self.explain(event(action="logout"))
        self.assertIn("4 other routes do not concern it: 3 false, 1 for what is not there, 0 failed", brief)
        self.assertNotIn("route quiet", brief)
        text = self.explain(event(result="NO"), more=["--all"])
        self.assertEqual(self.route(text, "odd-login"), ['when absent: event.outcome == "success"',
                                                         "event.outcome is not there"])
        self.assertEqual(self.route(text, "quiet"), ["when false: has(raw.admin)", "raw.admin is not there"])
        self.assertEqual(self.route(text, "counted"), ["when absent: raw.tries > 3", "raw.tries is not there"])
        failed = self.route(text, "wrong")
        self.assertEqual(failed[0], "when failed: int(event.action) > 0")
        self.assertIn("int", failed[1])
        text = self.explain(event(action="other", tries=1), more=["--all"])
        self.assertEqual(self.route(text, "odd-login"), ['when false: event.type == "authentication"',
                                                         'event.type is "other"'])
        self.assertEqual(self.route(text, "counted"), ["when false: raw.tries > 3", "raw.tries is 1"])

    def test_terms_are_split_where_the_condition_is(self):
        choice = 'raw.b == 2 ? raw.a == "z" && raw.b == 3 : true'
        conditions = {'raw.a == "x && y" && raw.b == 1': ("x && y", 2, 'raw.b == 1'),
                      '(raw.b == 1 || raw.a == "q") && true': ("z", 2, 'raw.b == 1 || raw.a == "q"'),
                      '((raw.a == "z" && (raw.b == 1 && raw.c == 1)))': ("z", 1, 'raw.c == 1'),
                      '[1, 2].exists(n, n == raw.b && n > 5) && raw.a == "z"':
                          ("z", 2, '[1, 2].exists(n, n == raw.b && n > 5)'),
                      'raw.a == "z" // and && then\n  && raw.b == 1': ("z", 2, "raw.b == 1"),
                      choice: ("z", 2, choice)}
        for condition, (a, b, term) in conditions.items():
            with self.subTest(condition):
                self.write(MAP + "\n---\n" + json.dumps({"route": "r", "mode": "alert", "when": condition}) + END)
                lines = self.route(self.explain(event(a=a, b=b, c=0), more=["--all"]), "r")
                self.assertEqual(lines[0], "when false: " + term)

    def test_one_event_of_many_is_decided_after_those_before(self):
        events = [event(1), {"events": [event(2), event(3, user="ops@acme.example")]}, event(4)]
        whole = self.explain(*events)
        self.assertEqual(re.findall(r"^event (\d+)", whole, re.M), ["1", "2", "3", "4"])
        for number in range(1, 5):
            one = self.explain(*events, more=["--event", number])
            self.assertIn(one, whole)
            self.assertEqual(re.findall(r"^event (\d+)", one, re.M), [str(number)])
        self.explain(*events, more=["--event", 5], expect=1)
        self.explain(*events, more=["--event", 0], expect=2)

    def test_what_cannot_be_read_is_an_event_too(self):
        text = self.explain("{broken", {"events": []}, {"events": [7, event(3)]})
        self.assertIn("dead letter: invalid_syntax: not one JSON document", text.split("event 2")[0])
        self.assertIn("an empty list", text.split("event 2")[1].split("event 3")[0])
        self.assertIn("dead letter: not_an_object:", text)
        self.assertEqual(sorted(re.findall(r"^event (\d+)", text, re.M)), ["1", "2", "3", "4"])

    def test_an_event_cannot_write_on_the_terminal(self):
        text = self.explain(event(user="k\x1b[31m\u009b31m\u202ek\n" + "long " * 100, device="é" * 300))
        self.assertFalse(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text))
        self.assertIn("…", text)

    def test_the_shipped_routes_are_explained(self):
        for source in ("okta", "cloudtrail", "github-audit"):
            command = ("explain", "--routes", ROOT / "routes", "--inventory", ROOT / "config/inventory.ndjson",
                       "--source", source, "--all", ROOT / f"tests/data/events/{source}.ndjson")
            first, second = harness.run(*command), harness.run(*command)
            self.assertEqual(first[0], 0, first[2])
            self.assertEqual(first, second)
            self.assertLessEqual(max(map(len, first[1].decode().splitlines())), 100)

    def test_usage(self):
        self.assertEqual(harness.run("explain", "--routes", self.routes)[0], 2)
        code, _, err = harness.run("explain", "--routes", self.routes, "--source", "apps")
        self.assertEqual(code, 2)
        self.assertIn("did you mean 'app'?", err)
        self.assertEqual(harness.run("explain", "--routes", self.routes, "--source", "app", self.folder / "no")[0], 1)


class Sample(Small):
    def row(self, text, name):
        return next(line for line in text.splitlines() if line.startswith(name + " ")).split(None, 4)[1:]

    def test_shares_and_examples(self):
        text = self.sample(*(event(n, ip="192.0.2.1") for n in range(1, 4)), {"action": "login", "user": "x" * 100})
        self.assertIn("app: 4 events, 0 unreadable", text)
        self.assertEqual(self.row(text, "id"), ["3", "75.0", "%", '"e1"'])
        self.assertEqual(self.row(text, "subject.id"), ["4", "100.0", "%", '"kim"'])
        self.assertEqual(self.row(text, "device.id"), ["0", "0.0", "%"])
        self.assertEqual(self.row(text, "odd-login"), ["3", "75.0", "%"])
        self.assertIn("not in the map: tenant,", text)
        self.assertRegex(text, r"concern none of them: .*quiet")

    def test_a_wrong_map_is_seen(self):
        text = self.sample(event(1, action="sign_in", time="yesterday"), event(2, action="sign_in", result="DENIED"),
                           event(3, action="sign_out"), event(4, user=None))
        silent = text.split("expressions that never gave anything")[1].split("\n\n")[0]
        self.assertRegex(silent, r"subject\.id +raw\.account\.mail\n")
        self.assertRegex(silent, r"device\.id +raw\.device\n?")
        self.assertNotIn("raw.user", silent)
        self.assertRegex(text, r'time +1 of them no time, such as "yesterday"')
        tables = text.split("values that no table has")[1]
        self.assertRegex(tables, r'type: not in its table, so other\n +2  "sign_in"\n +1  "sign_out"\n')
        self.assertRegex(tables, r'outcome: not in its table, which has no else, so absent\n +1  "DENIED"\n')
        self.assertEqual(self.row(text, "subject.id")[:2], ["3", "75.0"])

    def test_an_expression_that_fails_says_how(self):
        self.write((MAP + ROUTE + END).replace("device.id: raw.device", "device.id: 'string(1 / int(raw.zero))'"))
        text = self.sample(event(1, zero=0), event(2, zero=0))
        self.assertRegex(text, r"device\.id +string\(1 / int\(raw\.zero\)\): failed 2 times: division by zero")

    def test_a_long_example_is_cut(self):
        text = self.sample(event(1, user="é" * 500))
        example = self.row(text, "subject.id")[3]
        self.assertEqual(len(example), 60)
        self.assertTrue(example.endswith("…"))

    def test_what_could_not_be_read_has_a_reason_and_a_place(self):
        text = self.sample(event(1), "", "{broken", json.dumps([1]), "{broken", expect=1)
        self.assertIn("app: 1 events, 3 unreadable", text)
        self.assertRegex(text, r"2  invalid_syntax: not one JSON document; first:\s+\S*sample\.ndjson:3\n")
        self.assertRegex(text, r"1  not_an_object: .*")

    def test_many_different_values_are_counted(self):
        text = self.sample(*(event(1, action=f"a{n % 1500}") for n in range(1501)))
        self.assertRegex(text, r'so other\n +2  "a0"\n +1  "a1"\n')
        self.assertRegex(text, r"\n +1495  other values\n")

    def test_source_and_sample_go_together(self):
        for more in (["--source", "app"], ["--sample", "x"]):
            self.assertEqual(harness.run("check", "--routes", self.routes, *more)[0], 2)
        code, _, err = harness.run("check", "--routes", self.routes, "--source", "apps", "--sample", "x")
        self.assertEqual(code, 2)
        self.assertIn("did you mean 'app'?", err)
        self.assertEqual(harness.run("check", "--routes", self.routes, "--source", "app", "--sample", "nowhere")[0], 1)
