"""Start, stop, crash, reload: nothing is lost, a repeat is the same bytes under the same id."""
import collections
import json
import random
import time

import estate
import harness
from harness import OnBroker, wait_until


class Life(OnBroker):
    def test_sigterm_in_full_flow_exits_cleanly(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        self.put([estate.event(number) for number in range(5000)])
        wait_until("some records", lambda: len(self.take("all")) > 100)
        code, seconds = penstock.stop()
        self.assertEqual(code, 0, penstock.tail())
        self.assertLess(seconds, 10 * harness.PATIENCE)
        penstock.start()
        self.check_all(self.take_at_least("all", 5000, 60), 5000)
        self.assert_stops_well(penstock)

    def test_kill_loses_nothing_and_repeats_only_itself(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        dice = random.Random(1)
        count, step = 4000, 1000
        for first in range(0, count, step):
            self.put([estate.event(number) for number in range(first, first + step)])
            if self.broker.kind == "kafka":  # a group waits minutes for a member that is killed while it joins
                wait_until(lambda: "ready\n" + penstock.tail(), penstock.is_ready, 60)
            time.sleep(dice.uniform(0.05, 1.0))
            penstock.kill()
            penstock.start(ready=False)
        wait_until(lambda: "ready\n" + penstock.tail(), penstock.is_ready, 60)
        wait_until(lambda: f"all subjects; there are {len(self.subjects())}\n{penstock.tail(5)}",
                   lambda: len(self.subjects()) == count, 90, every=0.5)
        self.check_all(self.take("all"), count)
        self.assert_stops_well(penstock)

    def subjects(self):
        return {json.loads(record.payload)["subject"]["id"] for record in self.take("all")}

    def check_all(self, records, count):
        of_id, of_subject = collections.defaultdict(set), collections.defaultdict(set)
        for record in records:
            of_id[record.id].add(record.payload)
            of_subject[json.loads(record.payload)["subject"]["id"]].add(record.id)
        self.assertEqual([each for each, payloads in of_id.items() if len(payloads) > 1], [], "one id, different bytes")
        self.assertEqual([each for each, ids in of_subject.items() if len(ids) > 1], [], "a repeat under another id")
        self.assertEqual(set(of_subject), {f"user{number}@acme.example" for number in range(count)})

    def test_reload_good_bad_and_back(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        consumers = penstock.routes.joinpath("routes.yaml").read_text()[len(estate.ROUTES):]
        first = penstock.metrics().total("penstock_policy_generation")

        def changed(old, new):
            return estate.ROUTES.replace(old, new) + consumers

        penstock.write_routes(changed('event.action == "odd"', 'event.action == "strange"'))
        penstock.reload()
        wait_until("a new generation by SIGHUP", lambda: penstock.metrics().total("penstock_policy_generation") > first)
        self.put([estate.event(1, "strange"), estate.event(2, "odd")])
        [record] = self.take_at_least("all", 1)
        self.assertEqual(json.loads(record.payload)["subject"]["id"], "user1@acme.example")

        penstock.write_routes(changed('event.action == "odd"', 'event.acton == "odd"'))
        penstock.reload()
        wait_until("the bad file to be refused", lambda: penstock.metrics().total("penstock_policy_reload_ok") == 0)
        self.assertRegex(penstock.output(), r"level=error .*acton.*routes\.yaml:\d+:\d+")
        self.assertEqual(penstock.get("/readyz")[0], 200, "the old policy is in force")
        self.put([estate.event(3, "strange")])
        self.take_at_least("all", 2)

        refused_at = penstock.metrics().total("penstock_policy_generation")
        penstock.write_routes(changed("severity: low", "severity: high"))
        wait_until("a new generation by the file's change", lambda:
                   penstock.metrics().total("penstock_policy_reload_ok") == 1
                   and penstock.metrics().total("penstock_policy_generation") > refused_at)
        self.put([estate.event(4, "odd")])
        records = self.take_at_least("all", 3)
        self.assertEqual(json.loads(records[-1].payload)["severity"], "high")
        self.assert_stops_well(penstock)


class BrokerLife(OnBroker):
    brokers = ("nats",)  # ending the one Kafka that all tests share would cost each of them its start

    def test_broker_away_at_start_and_in_between(self):
        from brokers import NatsServer
        from natsclient import Nats
        server = NatsServer(self.folder / "nats")
        self.addCleanup(server.kill)
        config = {"nats": {"url": f"nats://127.0.0.1:{server.port}"},
                  "sources": [{"name": "in", "nats": {"stream": "IN", "subject": "in.x", "durable": "p"}}]}
        consumers = estate.consumers(all=("true", {"nats": {"subject": "out.all"}}))
        penstock = self.penstock(config, estate.ROUTES + consumers)
        penstock.start(ready=False)
        wait_until("alive", lambda: penstock.get("/healthz")[0] == 200)
        self.assertEqual(penstock.get("/readyz")[0], 503)
        wait_until("a word about the broker", lambda: str(server.port) in penstock.output())
        server.start()
        with Nats(server.port) as client:
            client.add_stream("IN", "in.>")
            client.add_stream("OUT", "out.>")
            client.put("in.x", [estate.event(number) for number in range(500)])
        wait_until(lambda: "ready\n" + penstock.tail(), penstock.is_ready, 30)

        def subjects():
            with Nats(server.port) as client:
                return {json.loads(each.data)["subject"]["id"] for each in client.take("OUT")}
        wait_until("the first half", lambda: len(subjects()) == 500, 30)
        server.kill()
        time.sleep(1)
        server.start()
        with Nats(server.port) as client:
            client.put("in.x", [estate.event(number) for number in range(500, 1000)])
        wait_until(lambda: f"the second half, {len(subjects())}\n{penstock.tail()}",
                   lambda: len(subjects()) == 1000, 45)
        self.assert_stops_well(penstock)
