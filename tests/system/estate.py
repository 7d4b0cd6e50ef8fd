"""estate: the small world that most system tests share: one map, a few routes, events for them.

`stolen` gives a signal for each user, `odd` an alert, everything else is dropped; nothing else is in the way.
"""
import json

ROUTES = """
default_owner: soc
---
map: in
fields:
  id: raw.id
  time: raw.time
  tenant: '"acme"'
  type: '"credential"'
  action: raw.action
  outcome: '"success"'
  subject.id: raw.user
  subject.kind: '"human"'
  net.ip: raw.ip
---
route: stolen
version: 1
mode: enforce
when: event.action == "stolen"
evidence:
  - {name: reported, weight: 0.9, boundary: trust}
thresholds: {alert: 0.4, signal: 0.8}
dedup: {key: [event.subject.id], within: 1h}
allow_unowned: true
signal: {type: credential-compromise, action: revoke}
alert: {severity: high, title: 'Credential of {{event.subject.id}} used from {{event.net.ip}}', owner: soc}
---
route: odd
version: 1
mode: enforce
when: event.action == "odd"
evidence:
  - {name: odd, weight: 0.5}
thresholds: {alert: 0.4, signal: 0.8}
dedup: {key: [event.subject.id], within: 1h}
alert: {severity: low, title: 'Odd: {{event.subject.id}}', owner: soc, acknowledge_within: 15m, resolve_within: 4h}
"""

SIGNALS = 'kind == "signal"'
ALERTS = 'kind == "alert"'


def event(number, action="stolen", user=None, **more):
    """One raw event, as bytes. The same arguments give the same bytes."""
    user = f"user{number}@acme.example" if user is None else user
    return json.dumps({"id": f"e{number}", "time": "2026-01-05T10:00:00Z", "action": action, "user": user,
                       "ip": "203.0.113.7", **more}).encode()


def consumers(**of):
    """A route document with consumers: name -> (accepts, to) or (accepts, to, further settings)."""
    listed = [{"name": name, "accepts": accepts, "format": "json", "to": to, **(more[0] if more else {})}
              for name, (accepts, to, *more) in of.items()]
    return "\n---\n" + json.dumps({"consumers": listed}) + "\n"


def gate(**settings):
    return "\n---\n" + json.dumps({"gate": settings}) + "\n"
