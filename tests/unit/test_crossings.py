"""Counting who tries to get through: the kernel's counters, the gateways', and whose addresses they are."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from faultkit import RUN, Bench, bench
from loopback import Server, http
from meshfaultkit import Tables, meshed

from blackstart.evidence.records import Addresses, Body, Crossing, FaultState, Note, Tried
from blackstart.faults import isolate
from blackstart.faults.inject import inject, restore
from blackstart.fleet import drops, nft
from blackstart.fleet.model import LinkEnd, Place
from blackstart.fleet.places import addresses, source_of
from blackstart.run import crossings
from blackstart.run.addresses import known_addresses, nodes_known, pods_known, services_known, workload_of
from blackstart.run.crossings import Gateway, Tally, book, counting

TRIES = """
import socket, sys
for n in range({times}):
    with socket.socket() as sock:
        sock.settimeout(1.5 if n == 0 else 0.05)
        try:
            sock.connect(("127.0.0.1", 7))
        except TimeoutError:
            continue
    sys.exit("it got through")
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.sendto(b"no connection", ("127.0.0.1", 53))
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


@pytest.fixture
def tables(here: Bench, monkeypatch: pytest.MonkeyPatch) -> Tables:
    found = Tables(here)
    monkeypatch.setattr(nft, "_nft", found)
    return found


def told(here: Bench) -> list[Crossing]:
    return [event for event in here.events if isinstance(event, Crossing)]


def test_the_kernel_counts_an_attempt_once_however_often_its_syn_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a namespace of its own that ends with the process; skipped where users may not make one."""
    script = drops.cut_script("bs_fault_x", drops.of_ends([LinkEnd(place="x", interface="lo")]), 60)
    shell = (
        f"PATH=$PATH:/usr/sbin:/sbin\nip link set lo up\nnft -f - <<'END'\n{script}END\n"
        f"{sys.executable} - <<'END'\n{TRIES.format(times=5)}END\n"
        "nft -jn list set inet bs_fault_x tried\nnft list chain inet bs_fault_x drop_in >&2\n"
    )
    argv = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", shell]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "unshare" in done.stderr or "not found" in done.stderr or "not permitted" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(nft, "_nft", lambda *_, **__: done.stdout)
    (row,) = nft.tried(Place(), "x")
    assert row[:3] == ("127.0.0.1", "127.0.0.1:7", 5)
    assert 0 <= row.idle < 10
    # Five SYNs, one of them again, one datagram: all are dropped, counted or not.
    assert "counter packets 7 " in done.stderr


def test_a_kernel_that_cannot_count_cuts_all_the_same(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts: list[str] = []

    def old(place: Place, *arguments: str, script: str = "", deadline: float = 0.0) -> str:
        scripts.append(script)
        if "tried" in script or "tried" in arguments:
            raise nft.NftError("Operation not supported")
        return ""

    monkeypatch.setattr(nft, "_nft", old)
    nft.cut(here.fleet, nft.of_links(here.fleet.links_of("us").values()), "f", 5)
    assert "tried" not in scripts[1]
    assert "iifname @cut_interfaces counter drop" in scripts[1]
    with pytest.raises(nft.NftError, match="not supported"):
        nft.tried(Place(), "f")


@pytest.mark.parametrize("answer", ["", "{}", '{"nftables": []}', '{"nftables": [{"set": {"name": "other"}}]}'])
def test_no_counters_are_not_no_attempts(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(nft, "_nft", lambda *_, **__: answer)
    with pytest.raises(nft.NftError):
        nft.tried(Place(), "f")


def test_counters_in_another_shape_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    element = {"elem": {"val": {"concat": ["10.0.0.1", "10.0.0.2"]}, "counter": {"packets": 1}}}
    document = {"nftables": [{"set": {"name": "tried", "elem": [element]}}]}
    monkeypatch.setattr(nft, "_nft", lambda *_, **__: json.dumps(document))
    with pytest.raises(nft.NftError, match="no counters"):
        nft.tried(Place(), "f")


def test_it_is_told_after_the_proof_and_before_the_undo(here: Bench, tables: Tables) -> None:
    host, _, port = here.service.address.rpartition(":")
    tables.counters = [(host, host, int(port), 40), ("10.1.1.1", "10.2.2.2", 80, 3)]
    inject(isolate.FAULT, here.fleet, {"region": "us"}, here.context())
    proof = told(here)
    assert {crossing.place for crossing in proof} == {"here", "there"}
    # The control probe's own addresses, and no others.
    assert all([row.attempts for row in crossing.own or ()] == [40] for crossing in proof)
    tables.counters = [(host, host, int(port), 41)]
    (entry,) = here.store.read(RUN).outstanding
    restore(entry, here.fleet, here.context())
    last = told(here)[len(proof) :]
    assert [(c.tried[0].attempts, c.own) for c in last] == [(41, None)] * 2
    kinds = [getattr(event, "state", type(event).__name__) for event in here.events]
    assert kinds.index(FaultState.REVERTED) > len(kinds) - 1 - kinds[::-1].index("Crossing")


def test_counters_that_cannot_be_read_keep_nothing_broken(
    here: Bench, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(place: Place, fault_id: str) -> Any:
        raise nft.NftError("no end after 3 s")

    monkeypatch.setattr(nft, "tried", broken)
    inject(isolate.FAULT, here.fleet, {"region": "us"}, here.context())
    monkeypatch.setattr(nft, "tried", lambda *_: 1 / 0)
    (entry,) = here.store.read(RUN).outstanding
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert {crossing.unread for crossing in told(here)} == {"no end after 3 s"}
    assert "division by zero" in here.said()
    assert tables.names == set()


def test_only_the_most_eager_are_told_of_a_crowd(here: Bench, tables: Tables) -> None:
    tables.counters = [(f"10.0.{n // 250}.{n % 250}", "10.2.2.2", 80, n + 1) for n in range(1200)]
    inject(isolate.FAULT, here.fleet, {"region": "us"}, here.context())
    crossing = told(here)[0]
    assert (len(crossing.tried), crossing.left_out) == (1000, 200)
    assert crossing.tried[0].attempts == 1200
    # One line of the pipe to the supervisor.
    assert len(crossing.model_dump_json()) < 1 << 20


def test_the_tally_reads_the_cuts_of_its_run(here: Bench, tables: Tables) -> None:
    tally = Tally(here.store, RUN, here.fleet)
    assert tally.read() == []
    inject(isolate.FAULT, here.fleet, {"region": "us"}, here.context())
    tables.counters = [("10.1.1.1", "10.2.2.2", 80, 3)]
    assert [crossing.tried[0].attempts for crossing in tally.read()] == [3, 3]
    assert Tally(here.store, "another", here.fleet).read() == []


def test_what_is_as_before_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossings, "EVERY", 0.02)
    looks, log = iter([0, 1, 1, 1, 2]), list[Body]()
    last = 2

    def read() -> list[Crossing]:
        row = Tried(source="a", destination="b:1", attempts=next(looks, last), idle=time.monotonic())
        return [Crossing(by="nft", place="us", fault="f", tried=[row])]

    async def watch() -> None:
        async with counting(read, log.append):
            assert len(log) == 1, "before anything is broken"
            await asyncio.sleep(0.3)

    asyncio.run(watch())
    assert [body.tried[0].attempts for body in log if isinstance(body, Crossing)] == [0, 1, 2]


def test_a_reader_that_fails_ends_no_drill_and_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossings, "EVERY", 0.02)
    log: list[Body] = []

    async def watch() -> None:
        async with counting(lambda: 1 / 0, log.append):  # type: ignore[arg-type,return-value]  # it never returns
            await asyncio.sleep(0.1)
        await book(lambda: 1 / 0, log.append)  # type: ignore[arg-type,return-value]  # as above

    asyncio.run(watch())
    (note, addresses) = log
    assert isinstance(note, Note)
    assert "ZeroDivisionError" in note.text
    assert isinstance(addresses, Addresses)
    assert "ZeroDivisionError" in addresses.missing[0]


def host(address: str, region: str, failed: int | None) -> dict[str, Any]:
    ip, _, port = address.rpartition(":")
    stats = [{"name": "rq_total", "value": "8"}, {"name": "cx_connect_fail"}]
    if failed is not None:
        stats[1]["value"] = str(failed)
    socket_address = {"address": ip, "port_value": int(port)}
    return {"address": {"socket_address": socket_address}, "locality": {"region": region}, "stats": stats}


def clusters(*hosts: dict[str, Any]) -> dict[str, Any]:
    pipe = {"address": {"pipe": {"path": "/run/x"}}}
    return {"cluster_statuses": [{"name": "outbound|80||a", "host_statuses": [pipe, *hosts]}, {"name": "empty"}]}


def test_a_gateway_tells_of_other_regions_since_the_first_look(here: Bench) -> None:
    answers: list[Any] = []
    with Server(lambda _: http(answers[-1])) as admin:
        meshed(here)
        document = yaml.safe_load(here.fleet_file.read_text())
        document["regions"]["us"]["mesh"]["gateway"]["url"] = admin.url
        here.fleet_file.write_text(yaml.safe_dump(document))
        gateway = Gateway(here.fleet, "us")

        def look(*hosts: dict[str, Any]) -> dict[str, int]:
            answers.append(clusters(*hosts))
            return {row.destination: row.attempts for row in gateway.read().tried}

        assert look(host("10.2.0.1:80", "eu", 100), host("10.1.0.1:80", "us", 5)) == {}
        assert look(host("10.2.0.1:80", "eu", 103), host("10.1.0.1:80", "us", 50)) == {"10.2.0.1:80": 3}
        # A host that is new counts from nought; one without a locality is no host of the mesh.
        more = (host("10.2.0.2:80", "eu", 2), host("10.9.0.1:15012", "", 70))
        assert look(host("10.2.0.1:80", "eu", 103), *more) == {"10.2.0.1:80": 3, "10.2.0.2:80": 2}
        # Hosts that are taken away keep what they had; a gateway that was away begins anew.
        assert look() == {"10.2.0.1:80": 3, "10.2.0.2:80": 2}
        assert look(host("10.2.0.1:80", "eu", 4)) == {"10.2.0.1:80": 7, "10.2.0.2:80": 2}
        answers.append({"cluster_statuses": 7})
        assert "MALFORMED" in gateway.read().unread.upper()
    assert gateway.read().unread != ""


def pod(name: str, ip: str, **more: Any) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": "basket-7f9c", "controller": True}
    meta = {"name": name, "namespace": "shop", "labels": {"pod-template-hash": "7f9c"}, "ownerReferences": [owner]}
    base = {"metadata": meta, "spec": {}, "status": {"podIP": ip, "phase": "Running"}}
    return {**base, **more}


def test_a_pod_is_known_by_its_workload() -> None:
    assert workload_of(pod("basket-7f9c-x", "")) == "shop/basket"
    stateful = {"kind": "StatefulSet", "name": "db", "controller": True}
    assert workload_of({"metadata": {"name": "db-0", "namespace": "s", "ownerReferences": [stateful]}}) == "s/db"
    assert workload_of({"metadata": {"name": "alone", "namespace": "s"}}) == "s/alone"


def test_addresses_that_a_pod_does_not_own_are_not_its() -> None:
    found = pods_known(
        [
            pod("a", "10.0.0.1"),
            pod("b", "10.0.0.2", spec={"hostNetwork": True}),
            pod("c", "10.0.0.3", status={"podIP": "10.0.0.3", "phase": "Succeeded"}),
            pod("d", "", status={"phase": "Pending"}),
        ],
        "us",
    )
    assert [(known.address, known.name, known.region) for known in found] == [("10.0.0.1", "shop/basket", "us")]


def test_ports_of_nodes_and_of_load_balancers_are_known() -> None:
    service = {
        "metadata": {"name": "stock", "namespace": "shop"},
        "spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 443}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}, {"hostname": "lb.example"}]}},
    }
    found = [known.address for known in services_known([service], "eu")]
    assert found == [":30080", "203.0.113.1:80", "203.0.113.1:443"]
    node = {"metadata": {"name": "n1"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.1.1.1"}]}}
    assert [(k.address, k.name, k.kind) for k in nodes_known([node], "eu")] == [("10.1.1.1", "n1", "node")]


def test_a_cluster_that_says_nothing_is_told_and_costs_no_drill(here: Bench) -> None:
    here.api.fail = lambda method, path: (403, "pods is forbidden")
    found = known_addresses(here.fleet)
    assert len(found.missing) == 3
    assert "HTTP 403 pods is forbidden" in found.missing[0]
    assert found.known, "what fleet.yaml and the places say"


def test_two_names_of_one_place_are_one_client(here: Bench) -> None:
    """`here` and `there` are this machine; clients ask from the first, so nothing from here is a dependency."""
    ours = [known for known in known_addresses(here.fleet).known if known.kind in ("client", "place", "node")]
    assert {(known.name, known.kind) for known in ours} <= {("here", "client")}
    assert len({known.address for known in ours}) == len(ours)


def test_a_place_knows_its_own_addresses() -> None:
    assert not any(address.startswith("127.") for address in addresses(Place()))
    assert source_of(Place(), "127.0.0.1", 9) == "127.0.0.1"
