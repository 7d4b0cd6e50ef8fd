"""Events put in by other clients come out at the right consumers, once, as the published schema says."""
import json
import functools

import jsonschema

import estate
import harness
from harness import OnBroker, wait_until


@functools.cache
def output_schema():
    code, out, err = harness.run("schema", "output")
    assert code == 0, err
    schema = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class Flow(OnBroker):
    def test_events_reach_the_right_consumers_once(self):
        penstock = self.deploy(estate.ROUTES, ("enforcer", estate.SIGNALS), ("soc", estate.ALERTS),
                               ("all", "true")).start()
        stolen = [estate.event(number) for number in range(40)]
        odd = [estate.event(number, "odd") for number in range(40, 60)]
        quiet = [estate.event(number, "login") for number in range(60, 160)]
        self.put(stolen + quiet + odd)
        everything = self.take_at_least("all", 60)
        signals, alerts = self.take_at_least("enforcer", 40), self.take_at_least("soc", 20)
        self.assertEqual((len(everything), len(signals), len(alerts)), (60, 40, 20))
        self.assertEqual(len({record.id for record in everything + signals + alerts}), 120, "an id came twice")
        self.check_records(signals, "signal", "enforcer", range(40))
        self.check_records(alerts, "alert", "soc", range(40, 60))
        self.assert_stops_well(penstock)

    def check_records(self, records, kind, consumer, numbers):
        seen = set()
        for record in records:
            document = json.loads(record.payload)
            output_schema().validate(document)
            self.assertEqual((document["kind"], document["consumer"]), (kind, consumer))
            self.assertEqual(document["id"], record.id)
            if record.key is not None:
                self.assertEqual(record.key, document["subject"]["id"], "Kafka's key is the subject")
            seen.add(document["subject"]["id"])
        self.assertEqual(seen, {f"user{number}@acme.example" for number in numbers})

    def test_a_record_says_what_and_why(self):
        identity = {"id": "user1@acme.example", "tenant": "acme", "owner": "team-a", "kind": "human"}
        penstock = self.deploy(estate.ROUTES, ("all", "true"), inventory=[identity]).start()
        self.put([estate.event(1), estate.event(2, "odd")])
        records = {each["kind"]: each for each in map(lambda r: json.loads(r.payload), self.take_at_least("all", 2))}
        signal, alert = records["signal"], records["alert"]
        self.assertEqual(signal["route"], "stolen")
        self.assertEqual(signal["policy_version"], 1)
        self.assertEqual(signal["action"], "revoke")
        self.assertIn("credential-compromise", signal["type"])
        self.assertAlmostEqual(signal["confidence"], 0.9, 3)
        self.assertEqual([(each["name"], each["boundary"]) for each in signal["evidence"]], [("reported", "trust")])
        self.assertEqual(signal["event"]["id"], "e1")
        self.assertEqual(signal["event"]["source"], "in")
        self.assertEqual(signal["tenant"], "acme")
        self.assertEqual(alert["title"], "Odd: user2@acme.example")
        self.assertEqual(alert["severity"], "low")
        self.assertEqual(alert["owner"], "soc")
        self.assertIn("acknowledge_by", alert)
        self.assertIn("resolve_by", alert)
        self.assert_stops_well(penstock)

    def test_repeats_are_counted_into_the_first(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        self.put([estate.event(number, user="same@acme.example") for number in range(25)])
        self.put([estate.event(99)])
        records = self.take_at_least("all", 2)
        wait_until("the repeats to be counted",
                   lambda: penstock.metrics().total("penstock_gate_verdicts_total", verdict="deduplicated") == 24)
        self.assertEqual(sorted(json.loads(each.payload)["subject"]["id"] for each in records),
                         ["same@acme.example", "user99@acme.example"])
        self.assert_stops_well(penstock)

    def test_a_consumer_gets_only_its_fields_and_format(self):
        slim = {"fields": ["subject", "action"]}
        penstock = self.deploy(estate.ROUTES, ("slim", estate.SIGNALS, slim),
                               ("events", estate.SIGNALS, {"format": "cloudevents"})).start()
        self.put([estate.event(1)])
        [record] = self.take_at_least("slim", 1)
        self.assertEqual(set(json.loads(record.payload)), {"subject", "action"})
        [record] = self.take_at_least("events", 1)
        cloud = json.loads(record.payload)
        self.assertEqual(cloud["specversion"], "1.0")
        self.assertEqual(cloud["id"], record.id)
        for required in ("source", "type"):
            self.assertTrue(cloud[required])
        self.assertEqual(cloud["data"]["subject"]["id"], "user1@acme.example")
        self.assert_stops_well(penstock)

    def test_metrics_are_well_formed_and_tell_what_went_through(self):
        penstock = self.deploy(estate.ROUTES, ("all", "true")).start()
        self.put([estate.event(number) for number in range(10)])
        self.put([estate.event(number, "login") for number in range(5)])
        self.take_at_least("all", 10)
        wait_until("all ten acknowledged",
                   lambda: penstock.metrics().total("penstock_sink_acknowledged_total", consumer="all") == 10)
        metrics = penstock.metrics()
        self.assertEqual(metrics.total("penstock_source_messages_total", source="in"), 15, metrics.text)
        self.assertEqual(metrics.total("penstock_sift_events_total", outcome="dropped"), 5)
        self.assertEqual(metrics.total("penstock_gate_verdicts_total", route="stolen", verdict="signal"), 10)
        self.assertTrue(metrics.has("penstock_build_info"))
        checked = harness.promtool(metrics.text)
        self.assertEqual(checked, "", "promtool check metrics")
        self.assert_stops_well(penstock)


class MissingStream(OnBroker):
    brokers = ("nats",)  # a missing Kafka topic is made by its first record, unless the broker forbids it

    def test_one_consumer_without_a_stream_stops_nobody_else(self):
        penstock = self.deploy(estate.ROUTES, ("good", "true"))
        nowhere = {"nats": {"subject": f"{self.prefix}.nowhere.at-all"}}
        good = self.broker.to(self.prefix, "good")
        penstock.write_routes(estate.ROUTES + estate.consumers(good=("true", good), lost=("true", nowhere)))
        penstock.start(ready=False)
        wait_until("alive", lambda: penstock.get("/healthz")[0] == 200)
        self.put([estate.event(number) for number in range(20)])
        self.assertEqual(len(self.take_at_least("good", 20)), 20)
        wait_until("a word about the missing stream", lambda: "lost" in penstock.output())
        with self.broker.client() as client:
            client.add_stream(f"LATE_{self.prefix}", f"{self.prefix}.nowhere.>")
            wait_until("what waited to arrive",
                       lambda: client.stream_state(f"LATE_{self.prefix}")["messages"] == 20, 40)
        self.assert_stops_well(penstock)
