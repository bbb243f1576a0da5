"""The preflight refuses what would make a drill unsafe or meaningless, and says what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from loopback import Server
from runkit import a_fleet, a_plan

from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Store, Undo
from blackstart.faults.foreign import VIRTUAL_SERVICES
from blackstart.fleet.kube import WrongCluster
from blackstart.fleet.model import Fleet, Place, Power
from blackstart.fleet.objects import Ref
from blackstart.plan.resolve import Plan
from blackstart.plan.wards import wards
from blackstart.run import conduct, preflight
from blackstart.run.looks import Look, Wrong
from blackstart.run.preflight import outstanding, preflight_looks, slate_looks
from blackstart.safety.sweep import Mark


class FakeKube:
    """A cluster in which everything is as it should be, unless a test says otherwise."""

    wrong_cluster: ClassVar[bool] = False
    replicas: ClassVar[int] = 3
    refused: ClassVar[set[str]] = set()

    def __init__(self, cluster: object) -> None:
        pass

    def __enter__(self) -> FakeKube:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def verify_identity(self) -> None:
        if self.wrong_cluster:
            raise WrongCluster("leads to another cluster")

    def deployment(self, namespace: str, name: str) -> SimpleNamespace:
        return SimpleNamespace(namespace=namespace, name=name, replicas=self.replicas)

    def can(self, verb: str, resource: str, namespace: str, *, group: str = "", name: str = "") -> bool:
        return verb not in self.refused


@pytest.fixture(autouse=True)
def kube(monkeypatch: pytest.MonkeyPatch) -> type[FakeKube]:
    class Kube(FakeKube):
        pass

    monkeypatch.setattr(preflight, "Kube", Kube)
    return Kube


def plan(fleet: Fleet | None = None, method: list[dict[str, Any]] | None = None, **changes: Any) -> Plan:
    made = a_plan(**changes)
    return replace(made, fleet=fleet or made.fleet, experiment={"method": method or []})


def scale(region: str) -> dict[str, Any]:
    provider = {"type": "python", "module": "blackstart.activities.faults", "func": "scale"}
    return {
        "type": "action",
        "name": "scale",
        "provider": {**provider, "arguments": {"service": "frontend", "region": region}},
    }


def looks(made: Plan, tmp_path: Path) -> dict[str, Look]:
    return preflight_looks(made, tmp_path, wards(made.experiment, made.fleet))


def look(name: str, made: Plan, tmp_path: Path) -> str:
    return looks(made, tmp_path)[name]()


def test_a_good_fleet_passes_everything_but_its_dead_entries(tmp_path: Path) -> None:
    found = looks(plan(method=[scale("primary")]), tmp_path)
    for name, check in found.items():
        # Nothing answers there.
        if not name.startswith(("entry/", "store/")):
            check()
    assert "store/db" in found
    assert {"disk", "identity/us", "workload/user-service/eu", "permission/user-service/us"} <= set(found)


def test_another_cluster_is_refused(tmp_path: Path, kube: type[FakeKube]) -> None:
    kube.wrong_cluster = True
    with pytest.raises(Wrong, match="another cluster"):
        look("identity/us", plan(), tmp_path)


def test_a_workload_without_replicas_is_refused(tmp_path: Path, kube: type[FakeKube]) -> None:
    kube.replicas = 0
    with pytest.raises(Wrong, match="scaled to 0"):
        look("workload/user-service/us", plan(), tmp_path)


def test_a_missing_permission_is_refused(tmp_path: Path, kube: type[FakeKube]) -> None:
    kube.refused = {"patch"}
    with pytest.raises(Wrong, match="not allowed to patch deployments in demo"):
        look("permission/user-service/us", plan(method=[scale("primary")]), tmp_path)
    kube.refused = {"create"}
    with pytest.raises(Wrong, match="not allowed to create leases in demo, create serviceaccounts in demo"):
        look("permission/guardian/us/demo", plan(method=[scale("primary")]), tmp_path)


def test_permissions_are_asked_only_where_the_fault_goes(tmp_path: Path) -> None:
    assert "permission/user-service/eu" not in looks(plan(method=[scale("primary")]), tmp_path)


def test_a_guardian_that_nobody_can_place_is_refused() -> None:
    found, checks = conduct._guardians(plan(method=[scale("nowhere")]))
    assert found == []
    with pytest.raises(Wrong, match="unknown region or role"):
        checks["guardians"]()


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    fleet = a_fleet().model_copy(update={"places": {"here": Place(netns=tmp_path / "gone")}})
    with pytest.raises(Wrong, match="cannot enter"):
        look("place/here", plan(fleet), tmp_path)


@pytest.mark.parametrize(("state", "fine"), [("up", True), ("dead", False)])
def test_a_region_that_is_not_up_is_refused(tmp_path: Path, state: str, fine: bool) -> None:
    power = Power(kill=["false"], restore=["bring", "back"], state=["echo", state])
    fleet = a_fleet()
    region = fleet.regions["us"].model_copy(update={"power": power})
    made = plan(fleet.model_copy(update={"regions": {**fleet.regions, "us": region}}))
    if fine:
        assert look("power/us", made, tmp_path) == "up"
    else:
        with pytest.raises(Wrong, match="bring back"):
            look("power/us", made, tmp_path)


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(Wrong, match="1 MiB free"):
        look("disk", plan(), tmp_path)


def test_a_guard_that_sees_nothing_is_refused(tmp_path: Path) -> None:
    fleet = a_fleet()
    blind = fleet.services["user-service"].model_copy(update={"direct": {}})
    made = plan(fleet.model_copy(update={"services": {"user-service": blind}}))
    with pytest.raises(Wrong, match="the guard sees nothing"):
        look("guard/survivors", made, tmp_path)
    with pytest.raises(Wrong, match="does not probe"):
        look("guard/lag", plan(guards=[{"watch": "lag", "bound": "< 3"}]), tmp_path)


class Answer(BaseHTTPRequestHandler):
    status, body = 200, b'{"region": "us"}'

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[type[Answer], str]]:
    class Handler(Answer):
        pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield Handler, f"http://127.0.0.1:{serving.server_address[1]}/"
    serving.shutdown()
    thread.join()
    serving.server_close()


def entry(url: str) -> Plan:
    fleet = a_fleet()
    service = fleet.services["user-service"]
    changed = service.model_copy(update={"entry": service.entry.model_copy(update={"url": url})})
    return plan(fleet.model_copy(update={"services": {"user-service": changed}}))


def test_an_entry_that_answers_passes(tmp_path: Path, server: tuple[type[Answer], str]) -> None:
    assert look("entry/user-service", entry(server[1]), tmp_path) == "served by us"


def test_an_entry_that_answers_wrongly_is_refused(tmp_path: Path, server: tuple[type[Answer], str]) -> None:
    handler, url = server
    handler.status = 503
    with pytest.raises(Wrong, match="HTTP 503"):
        look("entry/user-service", entry(url), tmp_path)
    handler.status, handler.body = 200, b"<html>"
    with pytest.raises(Wrong, match="no text at 'region'"):
        look("entry/user-service", entry(url), tmp_path)


def test_an_entry_that_speaks_something_else_is_refused(tmp_path: Path) -> None:
    with (
        Server(lambda head: b"220 mail.example.com\r\n") as mail,
        pytest.raises(Wrong, match=r"here: not an HTTP/1\.1"),
    ):
        look("entry/user-service", entry(mail.url), tmp_path)


def test_an_entry_that_nobody_serves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Wrong, match="refused; is the service up"):
        look("entry/user-service", entry("http://127.0.0.1:1/"), tmp_path)


def an_undo(run: str) -> Undo:
    return Undo(
        run=run, fault="f1", kind="scale", target="us", fleet="/f", clusters={}, data={}, before={}, at="2026-01-01"
    )


def test_what_an_earlier_drill_left_is_refused_and_says_recover(tmp_path: Path) -> None:
    store = Store(tmp_path)
    check = slate_looks(a_fleet(), store)["undo"]
    assert check() == "nothing outstanding"
    store.arm(an_undo("earlier"))
    with pytest.raises(Wrong, match=r"earlier: scale us \(armed\).*blackstart recover"):
        check()
    store.record(an_undo("earlier"), FaultState.CONFIRMED_REVERTED)
    assert check() == "nothing outstanding"


def test_outstanding_is_of_one_run_and_counts_damaged_records(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.arm(an_undo("mine"))
    store.arm(an_undo("other"))
    (store.folder("mine") / "f2.0.armed.json").write_text("{half")
    found = outstanding(store, "mine")
    assert found[0] == "f1"
    assert found[1].startswith("damaged record ")
    assert len(found) == 2


def test_objects_that_a_drill_holds_are_refused_whatever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Mark] = []
    monkeypatch.setattr(preflight, "marks_at", lambda fleet, region: held)
    check = slate_looks(a_fleet(), Store(tmp_path))["objects/us"]
    check()
    held.append(Mark("us", Ref(VIRTUAL_SERVICES, "shop", "web"), "run-7", None))
    with pytest.raises(Wrong, match=r"virtualservice shop/web \(run run-7\).*blackstart recover"):
        check()


def test_a_cut_that_is_still_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = a_fleet().model_copy(update={"places": {"here": Place(netns=tmp_path)}})
    monkeypatch.setattr(preflight.nft, "tables", lambda place: ["bs_fault_x"])
    with pytest.raises(Wrong, match=r"bs_fault_x.*blackstart recover"):
        slate_looks(fleet, Store(tmp_path))["links/here"]()
