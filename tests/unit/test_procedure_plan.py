"""The plan lists the steps of a procedure, and what they need."""

from __future__ import annotations

from dataclasses import replace

from loopback import fleet
from runkit import a_plan

from blackstart.cli.planview import text
from blackstart.plan.outline import outline
from blackstart.plan.permissions import procedure_needs
from blackstart.plan.resolve import Plan

STORE = {
    "kind": "mariadb",
    "members": {r: {"address": "127.0.0.1:1", "place": "here"} for r in ("us", "eu")},
    "primary": "us",
    "clients": {"namespace": "prod", "configmap": "stores", "key": "orders"},
}
STEPS = {
    "procedure": [
        {"name": "the team decides", "wait": 30.0},
        {"name": "promote orders", "deadline": 20.0, "promote": {"store": "orders", "to": "standby"}},
        {"name": "flip", "manual": "flip the DNS"},
    ],
    "failback_procedure": [{"name": "home", "switch_back": {"store": "orders", "to": "primary"}}],
}


def planned() -> Plan:
    found = a_plan(**STEPS)
    digests = dict.fromkeys(("drill", "fleet", "experiment", "probes", "plan"), "0")
    return replace(found, fleet=fleet(stores={"orders": STORE}), services={"frontend": "shop"}, digests=digests)


def test_the_steps_are_listed_with_what_they_need() -> None:
    found = text(outline(planned()))
    section = found[found.index("Procedure:") : found.index("Locks:")]
    for line in (
        "once clients see the outage",
        "the team decides: wait, by a person, within 30 s",
        "promote orders: promote orders to eu, by a machine, within 20 s",
        "needs: in the servers of orders, as `admin`: READ ONLY ADMIN",
        "needs: a person at the terminal, or `--confirm 'flip'`",
        "after the undo",
        "home: switch back orders to us, by a machine, within 60 s",
    ):
        assert line in section
    assert [step["name"] for step in outline(planned()).plain()["procedure"]][-1] == "home"


def test_telling_clients_takes_rights_in_every_cluster_of_the_store() -> None:
    needs = [(need.cluster, need.namespace, need.rights) for need in procedure_needs(planned())]
    rights = (("get", "configmaps", ""), ("patch", "configmaps", ""))
    assert needs == [("us", "prod", rights), ("eu", "prod", rights)]
    assert procedure_needs(a_plan()) == []
