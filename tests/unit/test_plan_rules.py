"""Each lint rule finds what it is for, where it stands, and nothing in good content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import contentkit
import pytest

from blackstart.fleet.load import load_fleet
from blackstart.plan.content import load_content
from blackstart.plan.lint import RULES, lint_drill
from blackstart.schema.errors import Finding

OURS = {"type": "python", "module": "blackstart.activities.faults"}
PROMQL = {"kind": "promql", "service": None, "fresh": "up"}


def ours(func: str = "kill", **arguments: object) -> dict[str, Any]:
    return {"type": "action", "name": func, "provider": {**OURS, "func": func, "arguments": arguments}}


def guard(**keys: object) -> dict[str, Any]:
    return {"drill": {"guards": [keys]}}


def method(*activities: object, **changes: object) -> dict[str, Any]:
    return {"experiment": {"method": list(activities), **changes}}


def chaosk8s(**provider: object) -> dict[str, Any]:
    module = {
        "type": "python",
        "module": "chaosk8s.pod.probes",
        "func": "pods_in_phase",
        "arguments": {"label_selector": "a"},
    }
    return {"type": "probe", "name": "pods", "provider": {**module, **provider}}


def foreign(module: str, func: str, **arguments: object) -> dict[str, Any]:
    provider = {"type": "python", "module": f"chaosk8s.{module}.actions", "func": func, "arguments": arguments}
    return {"type": "action", "name": "y", "provider": {**provider, "secrets": ["k8s"]}}


FOREIGN = {"type": "action", "name": "x", "provider": {"type": "process", "path": "true"}}
ACCEPTED = {**FOREIGN, "undo": "none", "reason": "it changes nothing"}


def stored(func: str) -> dict[str, Any]:
    """A fault on a store of which fleet.yaml says too little."""
    members = {region: {"address": f"db.{region}:3306", "place": "operator"} for region in ("us", "eu")}
    store = {"kind": "mariadb", "primary": "us", "members": members}
    changes = method(ours(func, store="orders", region="standby"))
    return {**changes, "fleet": {"stores": {"orders": store}}}


LOGIN = {"user": "x", "password": "${env:BS_NOT_SET}"}
STORE = {
    "kind": "mariadb",
    "members": {"us": {"address": "127.0.0.1:1", "place": "operator"}},
    "primary": "us",
    "admin": LOGIN,
    "replication": LOGIN,
}


def step(store: dict[str, Any] | None = None, part: str = "procedure", **action: Any) -> dict[str, Any]:
    """A drill with one step, on a fleet with a store `orders` in us."""
    fleet = {"stores": {"orders": {**STORE, **(store or {})}}}
    return {"drill": {part: [{"name": "it", **action}]}, "fleet": fleet}


def restore(part: str = "procedure", **changes: Any) -> dict[str, Any]:
    """A drill with a step that restores a backup."""
    wanted = {"backup": "newest", "from": "us", "to": "eu", **changes}
    return {"drill": {part: [{"name": "it", "restore": wanted}]}}


DUMP = {"prefix": "shop-", "tables": {"shop.orders": 1}}


def restored_elsewhere() -> dict[str, Any]:
    found = restore(namespaces={"other": "other-dr"})
    return {"drill": {**found["drill"], "objectives.2": {"kind": "restored", "service": "frontend"}}}


HOME = {"failback_procedure": [{"name": "home", "switch_back": {"store": "orders", "to": "primary"}}]}


LOST = {"kind": "lost-writes", "service": "frontend"}
LEDGER = {"ledger": {"service": "frontend"}, "objectives.2": LOST}


def ledger(**objective: str) -> dict[str, Any]:
    return {**LEDGER, "objectives.2": {**LOST, **objective}}


def records(**ids: str) -> dict[str, Any]:
    member = {"address": "10.0.0.1:3306", "place": "operator"}
    store = {"kind": "mariadb", "members": {"us": member, "eu": member}, "primary": "us"}
    return {"stores": {"db": {**store, "records": {name: {"ids": select} for name, select in ids.items()}}}}


WRITES = {
    **records(orders="SELECT id FROM o WHERE id LIKE %s"),
    "services.users.stores": ["db"],
    "services.users.writes": {"url": "http://10.0.0.1/orders", "place": "operator"},
}

URLS = {"urls": {region: f"http://10.0.0.1/{region}" for region in ("us", "eu")}, "place": "operator"}
ACTIVE = {
    "stores": {"db": {**WRITES["stores"]["db"], "pattern": "multi-active"}},
    "services.users.stores": ["db"],
    "services.users.writes": URLS,
}
LEVEL = {"ledger": {"service": "frontend"}, "objectives.2": {**LOST, "kind": "convergence", "objective": "9s"}}
SCRAPE = {"regions.us.prometheus": {"url": "http://p", "place": "operator", "scrape": "15s"}}
THANOS = {"url": "http://t", "place": "operator", "kind": "thanos", "stores": {"us": "10.0.0.1:10901"}}
FEDERATION = {"url": "http://f", "place": "operator", "jobs": {"us": "federate-us"}, "scrape": "4s"}


def honest(**keys: object) -> dict[str, Any]:
    view = {"kind": "honest", "service": "frontend", "probe": "ready", "truth": "ready", **keys}
    return {"drill": {"objectives.1": view}}


def query(text: str, **keys: object) -> dict[str, Any]:
    return {"probe": {**PROMQL, "query": text, **keys}}


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("BS101", {"drill": {"experiment": "dmo"}}, 'unknown experiment "dmo"; allowed: '),
    ("BS102", {"drill": {"probes": ["ready", "redy"]}}, 'probes[1]: unknown probe "redy"'),
    (
        "BS103",
        {"drill": {"objectives.1.probe": "avail"}},
        'objectives[1].probe: unknown probe "avail"; allowed: ready',
    ),
    ("BS103", guard(watch="survivor"), 'did you mean "survivors"?'),
    ("BS104", {"drill": {"objectives.0.service": "frontent"}}, 'did you mean "frontend"?'),
    ("BS105", {"drill": {"services": ["frontent"]}}, "unknown service in fleet 'test' \"frontent\""),
    ("BS105", {"drill": {"victims": ["frontend"]}}, "unknown region in fleet 'test' \"frontend\""),
    ("BS106", {"drill": {"drill": "other"}}, 'is called "other", the file demo.yaml'),
    ("BS106", {"probe": {"probe": "other"}}, 'is called "other", the file ready.yaml'),
    ("BS107", {"drill": {"objectives.1": None}}, "no objective or guard uses it"),
    ("BS108", {"drill": {"objectives.1": contentkit.DRILL["objectives"][0]}}, "a second rto objective of frontend"),
    ("BS108", {"drill": {"victims": ["primary", "primary"]}}, 'victims[1]: "primary" is listed twice'),
    ("BS109", guard(watch="ready"), 'watches a probe without a bound; add: bound: ">= 1"'),
    ("BS109", guard(watch="survivors", bound=">= 1"), "guards[0].bound: watches clients"),
    ("BS110", {"drill": {"victims": ["primary", "eu"]}}, "takes every region of fleet 'test' away"),
    ("BS111", method(ours("kill", region="standby")), 'takes region "standby" away'),
    ("BS112", {"probe": {"kind": "envoy"}}, "probe \"ready\" asks the mesh of region 'us', which has no `mesh`"),
    ("BS112", {"probe": {"kind": "envoy", "regions": ["standby"]}}, "asks the mesh of region 'eu'"),
    ("BS113", method(ours("mesh_abort", region="primary")), "rto would prove nothing: mesh_abort is made by"),
    ("BS114", {"drill": {"objectives.0": None}}, "no objective says what the clients of frontend may feel"),
    ("BS201", {"drill": {"objectives.0.objective": "2s"}}, "needs at least 2.1s"),
    ("BS202", {"drill": {"phases": {"hold": "8s"}}}, "needs phases.hold of at least 10s"),
    (
        "BS203",
        {"drill": {"objectives.0": {"kind": "failback", "service": "frontend", "objective": "58s"}}},
        "needs phases.failback of at least 63s",
    ),
    ("BS204", {"drill": {"phases": {"baseline": "4s"}}}, "5s is longer than phases.baseline, which lasts 4s"),
    ("BS205", {"probe": {"every": "11s"}}, "hold lasts 30s, too short for 3 looks"),
    ("BS206", {**query("sum(up)"), "fleet": SCRAPE}, "finer than 16s (scrape, range and looks together), the RTO"),
    ("BS206", query("sum(rate(x[1m]))"), "nothing finer than 61s (scrape, range and looks together), hold is 30s"),
    (
        "BS206",
        {**query("up", at="federation"), "fleet": {"federation": FEDERATION}} | honest(lag="4s"),
        "its lag is 4s",
    ),
    ("BS207", honest(lag="500ms"), 'probe "ready" looks every 1s, `lag` is 0.5s'),
    ("BS207", honest(), 'probe "ready" asks the same as "ready", so it cannot tell'),
    ("BS211", {"drill": {"ledger": {"service": "users"}}}, 'ledger.service: unknown service "users"'),
    ("BS212", {"drill": LEDGER}, "ledger.service: service 'users' has no `writes` in fleet 'test'"),
    ("BS212", {"drill": LEDGER, "fleet": {**WRITES, "services.users.stores": []}}, "nothing could be read back"),
    ("BS212", {"drill": LEDGER, "fleet": {**WRITES, **records()}}, "store 'db' has no `records`"),
    ("BS213", {"drill": LEDGER, "fleet": {**WRITES, **records(o="SELECT id FROM o")}}, "has 0 '%s'; one stands for"),
    ("BS214", {"drill": {"objectives.2": LOST}}, "lost-writes cannot be known without numbered writes; add: ledger"),
    ("BS214", {"drill": ledger(service="other"), "fleet": WRITES}, "writes through 'frontend'"),
    ("BS215", {"drill": ledger(store="bd"), "fleet": WRITES}, 'unknown store "bd"; allowed: db'),
    ("BS215", {"drill": ledger(record="x"), "fleet": WRITES}, 'unknown record "x"'),
    ("BS216", {"drill": {"ledger": {"service": "frontend"}}, "fleet": WRITES}, "no objective says how much may"),
    ("BS217", {"drill": LEVEL, "fleet": WRITES}, "no store of 'users' is multi-active in fleet 'test'"),
    (
        "BS217",
        {"drill": LEVEL, "fleet": {**ACTIVE, "services.users.writes": WRITES["services.users.writes"]}},
        "'db' has a member in us, eu, but nothing is written there; give services.users.writes `urls`",
    ),
    (
        "BS218",
        {"drill": {**LEVEL, "ledger": {"service": "frontend", "writers": 1}}, "fleet": ACTIVE},
        "ledger.writers: 1 writers for 2 entries",
    ),
    (
        "BS301",
        {"probe": {**PROMQL, "query": 'rate(x{a="[1s]"}[1500ms])'}},
        "range [1500ms] is shorter than two scrapes",
    ),
    ("BS301", {"probe": {**PROMQL, "query": "max_over_time(x[1s:1s])"}}, "make it at least 2s"),
    ("BS302", {"probe": {"service": "frontent"}}, "service: unknown name in fleet 'test' \"frontent\""),
    ("BS302", {"probe": {"kind": "tcp", "service": None, "link": "us-eu"}}, "link: unknown name"),
    ("BS302", {"probe": {**PROMQL, "query": "a", "regions": ["primary", "x"]}}, "regions[1]: unknown name"),
    ("BS302", {"probe": {"kind": "envoy", "of": "primry"}}, "of: unknown name in fleet 'test' \"primry\""),
    ("BS303", query("sum(x) or vector(0)"), "`or vector` answers for series that are not there; where none is truly"),
    ("BS303", query("sum(x) or on() vector(1)"), "`or on() vector` answers"),
    ("BS303", query("absent(x)"), "`absent` answers"),
    ("BS303", query("absent_over_time(x[5m])"), "`absent_over_time` answers"),
    ("BS304", query("a", fresh="sum(up)"), "'sum(up)' is no plain selector, so its samples would always be 0 s old"),
    ("BS304", query("a", fresh="up[5m]"), "is no plain selector"),
    ("BS304", query("a", fresh="up offset 1m"), "is no plain selector"),
    ("BS304", query("a", fresh=""), "is no plain selector"),
    (
        "BS304",
        query('a{region="$region"}'),
        "asks for the series of all regions, the query for those of one; add: region=",
    ),
    ("BS305", query("a", at="fleet"), "fleet 'test' has no `prometheus` that sees every region"),
    ("BS305", query("a", at="federation"), "has no `federation` that sees"),
    (
        "BS305",
        {**query("a", at="fleet"), "fleet": {"prometheus": THANOS}},
        "`prometheus.stores` in fleet.yaml names no",
    ),
    ("BS305", {**query("a", at="federation"), "fleet": {"federation": FEDERATION}}, "names no one for eu, so a lost"),
    ("BS401", method({"type": "action", "name": "x"}), "method[0]: Chaos Toolkit refuses this: an activity requires"),
    ("BS401", {"experiment": {"description": None}}, "experiment requires a description"),
    ("BS401", {"experiment": {"method": 3}}, "Chaos Toolkit refuses this"),
    ("BS402", method(ours("kill")), "method[0].provider: names no region and no link"),
    ("BS403", method(ours("kill", region="primry")), 'did you mean "primary"?'),
    ("BS403", method(ours("sever", link=["primary", "standbye"])), "unknown link in fleet 'test' \"standbye\""),
    ("BS404", method(chaosk8s()), "would act on the current kube context"),
    ("BS404", method(chaosk8s(secrets=["k8s"]), secrets={"k8s": {"OTHER": "x"}}), "KUBERNETES_CONTEXT"),
    ("BS405", method(ours("kill", region="primary")), "add blackstart.activities.faults.undo under rollbacks"),
    ("BS405", method(ours("kill", region="primary"), rollbacks=None), "method[0]: nothing puts this back"),
    ("BS406", {"experiment": {"method": []}}, "method: has no action"),
    ("BS407", method(FOREIGN), "method[0]: nobody knows how to put this back; write `undo: none` and a `reason`"),
    ("BS407", method({**FOREIGN, "undo": "none"}), "says `undo: none` without a `reason`"),
    ("BS407", method(foreign("pod", "exec_in_pods", cmd="true")), "nobody knows how to put this back"),
    ("BS408", method(ours("gateway_kill", region="primary")), "region 'us' has no `mesh`; the lab has one with"),
    ("BS403", method(ours("stop_replication", store="databse", region="standby")), "unknown store in fleet"),
    ("BS409", stored("stop_replication"), "stores.orders has no `admin`; add a user"),
    ("BS409", stored("kill_store"), "stores.orders.members.eu has no `power`; say how to kill it"),
    ("BS409", stored("sever_store"), "stores.orders.members.us: a cut needs an IPv4 address, not 'db.us'"),
    ("BS411", method(ours("block_store_api", region="primary")), "region 'us' has no `sidecar`; the lab has one"),
    ("BS411", method(ours("kill_observer", region="primary", part="thanos")), 'unknown part "thanos"; allowed'),
    ("BS411", method(ours("freeze_observer", region="primary", part="prometheus")), "'us' has no `prometheus`"),
    ("BS302", {"probe": {"kind": "mysql", "store": "databse", "service": None}}, "unknown name in fleet"),
    ("BS501", step(promote={"store": "order", "to": "us"}), 'procedure[0].promote.store: unknown store "order"'),
    ("BS501", step(promote={"store": "orders", "to": "eu"}), 'unknown server of orders "eu"; allowed: primary, us'),
    ("BS501", step(part="failback_procedure", rejoin={"store": "users", "region": "us"}), 'unknown store "users"'),
    ("BS502", step({"admin": None}, promote={"store": "orders", "to": "us"}), "no `admin` in fleet.yaml"),
    ("BS502", step({"replication": None}, rebuild={"store": "orders", "region": "us"}), "no `replication`"),
    (
        "BS502",
        step({"kind": "mysql"}, promote={"store": "orders", "to": "us"}),
        "no steps for stores of kind 'mysql'",
    ),
    ("BS503", {"drill": {"procedure": [{"name": "it", "wait": "1s"}] * 2}}, 'procedure[1].name: a second step "it"'),
    (
        "BS511",
        step({"pattern": "multi-active"}, promote={"store": "orders", "to": "us"}),
        "promote: the store is multi",
    ),
    ("BS504", step(promote={"store": "orders", "to": "us"}), "nothing switches orders back"),
    ("BS410", method(ours("kill_bucket")), "fleet 'test' has no `backups`; say where"),
    ("BS505", restore(), "the fleet has no `backups`; say where the bucket of the backups is"),
    ("BS505", restore(to="us"), "us has no `velero` in fleet.yaml"),
    ("BS505", restore(to="as"), 'procedure[0].restore.to: unknown region "as"'),
    ("BS506", restore("failback_procedure"), "nobody takes away what it makes; move it to `procedure`"),
    ("BS507", restore(namespaces={"x": "production"}), "'production' is a namespace of the fleet"),
    ("BS508", restore(backup="fresh"), "the experiment takes no backup"),
    ("BS509", {"drill": {"objectives.2": {"kind": "restored", "service": "frontend"}}}, "no step restores a backup"),
    ("BS509", restored_elsewhere(), "no step restores 'frontend'"),
    ("BS512", restore(dump=DUMP), "procedure[0].restore.dump: the fleet has no `dumps`; say where hooks write"),
    ("BS512", restore(dump={**DUMP, "store": "order"}), 'dump.store: unknown store "order"'),
    (
        "BS512",
        {**restore(dump={**DUMP, "store": "orders"}), "fleet": {"stores": {"orders": STORE}}},
        "what orders has now says nothing of an earlier backup; leave `store` out",
    ),
    (
        "BS512",
        {**restore(**{"from": "eu"}, dump={**DUMP, "store": "orders"}), "fleet": {"stores": {"orders": STORE}}},
        "orders has no server in eu",
    ),
    (
        "BS512",
        {
            **restore(dump={**DUMP, "store": "orders"}),
            "fleet": {"stores": {"orders": {**STORE, "kind": "redis"}}},
        },
        "orders is a redis: it has no tables",
    ),
    ("BS510", restore(), "no objective is about it; add an objective `restored`"),
]


def findings(tmp_path: Path, **changes: Any) -> list[Finding]:
    file = contentkit.write(tmp_path, **changes)
    return lint_drill(load_content(file, load_fleet(tmp_path / "fleet.yaml")))


@pytest.mark.parametrize(("rule", "changes", "said"), CASES)
def test_it_is_found(tmp_path: Path, rule: str, changes: dict[str, Any], said: str) -> None:
    found = [finding for finding in findings(tmp_path, **changes) if finding.rule == rule]
    assert any(said in str(finding) for finding in found), found
    assert all(finding.place.line for finding in found)


def test_every_rule_has_a_case() -> None:
    assert {rule.id for rule in RULES} == {rule for rule, _, _ in CASES}


def test_ids_are_unique() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"drill": {"victims": []}},
        guard(watch="ready", bound="< 500"),
        method(ACCEPTED, rollbacks=None),
        method(ACCEPTED, chaosk8s(secrets=["k8s"]), secrets={"k8s": {"KUBERNETES_CONTEXT": "us"}}),
        method(ACCEPTED, secrets={"a": {"b": {"type": "env", "key": "BS_NOT_SET"}}}),
        method(foreign("node", "cordon_node"), rollbacks=None, secrets={"k8s": {"KUBERNETES_CONTEXT": "us"}}),
        {"probe": {**PROMQL, "query": "increase(x[1m30s])", "regions": ["primary", "eu"]}},
        {**(found := step(promote={"store": "orders", "to": "us"})), "drill": found["drill"] | HOME},
        {"drill": LEDGER, "fleet": WRITES},
        {"drill": LEVEL, "fleet": ACTIVE},
        query('sum(up{job="or vector(0)"}) or 0 * sum(absent_minded)', fresh='up{job="absent(", a!="}"}'),
        query("a", fresh='{__name__="a"}'),
        {**query("a", at="fleet", regions=["primary"]), "fleet": {"prometheus": THANOS}},
        {"fleet": SCRAPE},
    ],
)
def test_good_content_is_left_alone(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert findings(tmp_path, **changes) == []


def test_a_fleet_that_scrapes_slowly_needs_longer_ranges(tmp_path: Path) -> None:
    prometheus = {"url": "http://p", "place": "operator", "scrape": "30s"}
    changes = {
        "probe": {**PROMQL, "query": "rate(x[45s])"},
        "fleet": {"regions.us.prometheus": prometheus},
    }
    assert any("make it at least 60s" in str(finding) for finding in findings(tmp_path, **changes))


def test_without_a_fleet_roles_are_not_looked_up(tmp_path: Path) -> None:
    file = contentkit.write(tmp_path, drill={"victims": ["nobody"]})
    assert lint_drill(load_content(file)) == []
