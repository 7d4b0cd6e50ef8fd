"""A storm of events never becomes a storm of revocations, and every event is accounted for."""
import json
import time

import estate
import harness
from harness import OnBroker, wait_until

COUNT = 100_000
RATE, BURST = 50, 100


class Storm(OnBroker):
    def test_a_hundred_thousand_revocations_leave_as_the_limit_allows(self):
        gate = estate.gate(limits=[{"name": "per-consumer", "per": ["consumer"], "rate": f"{RATE}/s", "burst": BURST,
                                    "over": "hold"}], hold={"ttl": "1h", "max": 100000})
        penstock = self.deploy(estate.ROUTES + gate, ("enforcer", estate.SIGNALS), ("soc", estate.ALERTS))
        self.put([estate.event(number) for number in range(COUNT)])
        began = time.monotonic()
        penstock.start()
        wait_until(lambda: f"all to be taken in\n{penstock.tail(5)}",
                   lambda: penstock.metrics().total("penstock_sift_events_total") >= COUNT
                   and self.judged(penstock) >= COUNT, 120, every=0.5)
        self.check_rate(penstock, began)
        code, _ = penstock.stop()
        self.assertEqual(code, 0, penstock.tail())
        self.check_restart(penstock)

    def judged(self, penstock):
        return penstock.metrics().total("penstock_gate_verdicts_total", route="stolen", verdict="signal")

    def check_rate(self, penstock, began):
        sent = len(self.take("enforcer"))
        allowed = BURST + RATE * (time.monotonic() - began)
        self.assertLessEqual(sent, allowed, "more left than the limit allows")
        self.assertGreaterEqual(sent, BURST, "not even the burst left")
        self.assertEqual(len(self.take("soc")), 0)
        metrics = penstock.metrics()
        held = metrics.total("penstock_gate_held")
        decided = metrics.total("penstock_sink_outputs_total", consumer="enforcer", kind="signal")
        self.assertEqual(COUNT, decided + held, metrics.text)

    def check_restart(self, penstock):
        """What was held is still held after a restart, and goes on leaving."""
        before = {record.id for record in self.take("enforcer")}
        penstock.start()
        time.sleep(2)
        records = self.take("enforcer")
        self.assertGreater(len({record.id for record in records}), len(before))
        self.assertEqual(len({record.id for record in records}), len(records), "something left twice")
        self.assertTrue(any("guard" in json.loads(record.payload) for record in records[BURST:]),
                        "a released signal names the guard that held it")
        wait_until("the law", lambda: self.holds(penstock.metrics()), 10)
        self.assert_stops_well(penstock)

    def holds(self, metrics):
        held = metrics.total("penstock_gate_held")
        return len({record.id for record in self.take("enforcer")}) + held <= COUNT and held > 0

    def test_every_event_is_accounted_for(self):
        """in = dropped + delivered + deduplicated + held + alerts + dead, from the counters and from the outputs."""
        gate = estate.gate(limits=[{"name": "few", "per": ["tenant"], "rate": "1/h", "burst": 30, "over": "hold"}])
        penstock = self.deploy(estate.ROUTES + gate, ("enforcer", estate.SIGNALS), ("soc", estate.ALERTS)).start()
        events = [estate.event(number) for number in range(200)]                        # 30 signals, 170 held
        events += [estate.event(number, user="user0@acme.example") for number in range(200, 250)]  # 50 repeats
        events += [estate.event(number, "odd") for number in range(300, 340)]           # 40 alerts
        events += [estate.event(number, "login") for number in range(400, 1000)]        # 600 dropped
        events += [b"{broken" for _ in range(7)]                                        # 7 dead
        self.put(events)
        self.take_at_least("soc", 40)
        wait_until("all events", lambda: penstock.metrics().total("penstock_sift_events_total") == len(events))
        wait_until("dead letters", lambda: len(penstock.dead_letters()) == 7)
        wait_until("the last verdict", lambda: penstock.metrics().total("penstock_gate_held") == 170)
        self.assertEqual((len(self.take("enforcer")), len(self.take("soc"))), (30, 40))
        metrics = penstock.metrics()
        verdicts = {verdict: metrics.total("penstock_gate_verdicts_total", verdict=verdict)
                    for verdict in ("signal", "alert", "deduplicated")}
        self.assertEqual(verdicts, {"signal": 200, "alert": 40, "deduplicated": 50}, metrics.text)
        dropped = metrics.total("penstock_sift_events_total", outcome="dropped")
        dead = metrics.total("penstock_sift_events_total", outcome="unreadable")
        self.assertEqual((dropped, dead), (600, 7), metrics.text)
        self.assertEqual(len(events), dropped + 30 + 50 + 170 + 40 + dead)
        self.assert_stops_well(penstock)
