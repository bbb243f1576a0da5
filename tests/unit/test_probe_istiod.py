"""`istiod` probes, against a server that answers like istiod's debug endpoints, and one like an API server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, black_hole, fleet, free_address, http
from meshanswers import CLUSTERZ, HOST, mesh_fleet, proxy, shardz, slices

from blackstart.evidence.records import Reading, Reason
from blackstart.fleet.model import Fleet
from blackstart.probes import istiod, read
from blackstart.probes.base import Scope
from blackstart.probes.istiod import Spec
from blackstart.probes.slices import in_slices, slices_path

DATE = "Date: Wed, 25 Nov 2026 19:06:45 GMT\r\n"
SHARDZ = shardz(us=[("1.1", 1)], eu=[("2.1", 1), ("2.2", 1), ("2.3", 2)])
SLICES = slices("2.1", "2.2", unready=("2.3",))


def spec(**keys: Any) -> Spec:
    usual = {"service": "frontend", "of": "standby", "regions": ["primary"], "deadline": 5.0}
    return Spec(probe="p", **{**usual, **keys})


def pages(**answers: Any) -> Server:
    """Answers each path of istiod with what is given for its last part, else as in health."""
    known = {"clusterz": CLUSTERZ, "endpointShardz": SHARDZ, "syncz": [proxy()], "ready": b"", **answers}

    def answer(head: str) -> bytes:
        found = known[head.split()[1].rpartition("/")[2]]
        return found if isinstance(found, bytes) and found else http(found, headers=DATE)

    return Server(answer)


def with_clusters(found: Fleet, folder: Path, address: str, **keys: Any) -> Fleet:
    """The fleet with the region eu's API server at an address; `keys` are other keys of the fleet's model."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://{address}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "eu", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "eu").write_text(json.dumps(config))
    regions = found.model_dump()["regions"]
    regions["eu"]["cluster"]["kubeconfig"] = str(folder / "eu")
    return fleet(regions=regions, **keys)


def one(folder: Path, own: Any = SLICES, answers: dict[str, Any] | None = None, **keys: Any) -> Reading:
    """One look; `own` is what the cluster says of itself."""
    api = Server(lambda _: own if own is None or isinstance(own, bytes) else http(own))
    with pages(**(answers or {})) as server, api:
        scope = Scope(with_clusters(mesh_fleet({"us": server.url}), folder, api.address))
        (found,) = asyncio.run(read(spec(**keys), scope))
    return found


def own(syncz: Any = None, **keys: Any) -> Reading:
    """One look at istiod itself and its proxies."""
    with pages(syncz=[proxy()] if syncz is None else syncz) as server:
        scope = Scope(mesh_fleet({"us": server.url}))
        (found,) = asyncio.run(read(spec(**{"service": None, "of": None, **keys}), scope))
    return found


@pytest.mark.parametrize(("measure", "value"), [("healthy", 2), ("endpoints", 3), ("synced", 1)])
def test_what_the_cluster_itself_confirms(measure: str, value: float, tmp_path: Path) -> None:
    found = one(tmp_path, measure=measure)
    assert (found.key, found.value, found.no_data) == ("us", value, None), found.detail


def test_the_clusters_own_slices_are_asked_for(tmp_path: Path) -> None:
    with pages() as server, Server(lambda _: http(SLICES)) as api:
        scope = Scope(with_clusters(mesh_fleet({"us": server.url}), tmp_path, api.address))
        asyncio.run(read(spec(), scope))
        wanted = "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices?labelSelector=kubernetes.io%2Fservice-name"
        assert api.heads[0].startswith(f"GET {wanted}%3Dshop ")


@pytest.mark.parametrize("measure", ["healthy", "endpoints", "synced"])
def test_a_cluster_that_does_not_answer_is_never_synced(measure: str, tmp_path: Path) -> None:
    for found in (
        one(tmp_path, b"", measure=measure),
        one(tmp_path, None, measure=measure, deadline=0.5),
        one(tmp_path, http({}, "503 Service Unavailable"), measure=measure),
    ):
        assert (found.value, found.no_data) == (None, Reason.STALE)
        assert "cannot be checked" in found.detail


def test_a_cluster_that_is_gone_leaves_time_to_say_so(tmp_path: Path) -> None:
    with pages() as server, black_hole() as hole:
        scope = Scope(with_clusters(mesh_fleet({"us": server.url}), tmp_path, hole))
        (found,) = asyncio.run(read(spec(deadline=1.0), scope))
    assert found.no_data is Reason.STALE


def test_a_cluster_that_may_not_be_asked(tmp_path: Path) -> None:
    assert one(tmp_path, http({}, "403 Forbidden")).no_data is Reason.UNAUTHORISED
    assert one(tmp_path, {"kind": "Status"}).no_data is Reason.MALFORMED


@pytest.mark.parametrize("others", [slices("2.1"), slices("2.1", "2.9"), slices()])
def test_what_the_cluster_denies_for_longer_than_news_takes(others: Any, tmp_path: Path) -> None:
    assert one(tmp_path, others, lag=0.0).no_data is Reason.STALE
    assert one(tmp_path, others, lag=60.0).value == 2
    assert one(tmp_path, others, verify=False).value == 2


def test_a_difference_is_counted_from_when_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, truth = [100.0], [slices("2.1")]
    monkeypatch.setattr(istiod, "_clock", lambda: now[0])
    with pages() as server, Server(lambda _: http(truth[0])) as api:
        scope = Scope(with_clusters(mesh_fleet({"us": server.url}), tmp_path, api.address))

        def at(second: float, said: Any) -> Reason | None:
            now[0], truth[0] = second, said
            return asyncio.run(read(spec(lag=3.0), scope))[0].no_data

        looks = [at(100, slices("2.1")), at(102, slices("2.1")), at(104, slices("2.1"))]
        assert looks == [None, None, Reason.STALE]
        assert [at(105, SLICES), at(106, slices("2.1"))] == [None, None]


@pytest.mark.parametrize("status", ["syncing", "timeout", "closed"])
def test_a_cluster_that_istiod_knows_it_does_not_follow(status: str, tmp_path: Path) -> None:
    answers = {"clusterz": [{"id": "eu", "secretName": "x", "syncStatus": status}]}
    found = one(tmp_path, answers=answers)
    assert (found.no_data, status in found.detail) == (Reason.STALE, True)
    assert one(tmp_path, answers=answers, measure="synced").value == 0


def test_no_endpoints_are_none_and_an_unknown_service_is_no_data(tmp_path: Path) -> None:
    assert one(tmp_path, slices(), answers={"endpointShardz": shardz(us=[("1.1", 1)])}).value == 0
    found = one(tmp_path, answers={"endpointShardz": {"other.prod.svc.cluster.local": {}}})
    assert (found.no_data, "it has: other.prod" in found.detail) == (Reason.EMPTY, True)
    found = one(tmp_path, answers={"clusterz": CLUSTERZ[:1]})
    assert (found.no_data, found.detail) == (Reason.EMPTY, "istiod has no cluster 'eu'; it has: us")


def test_a_service_outside_of_kubernetes_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no EndpointSlices"):
        spec(service=None, host="db.example.com")
    assert one(tmp_path, service=None, host=HOST, verify=False).value == 2


def test_istiods_call_clusters_as_they_like() -> None:
    answers = {
        "clusterz": [{"id": "west", "secretName": "", "syncStatus": "synced"}],
        "endpointShardz": shardz(west=[("2.1", 1)]),
    }
    with pages(**answers) as server:
        scope = Scope(mesh_fleet({"us": server.url}, cluster="west"))
        (found,) = asyncio.run(read(spec(of="primary", verify=False), scope))
    assert found.value == 1


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"clusterz": http({}, "400 Bad Request")}, Reason.MALFORMED),
        ({"clusterz": http({}, "401 Unauthorized")}, Reason.UNAUTHORISED),
        ({"clusterz": {}}, Reason.EMPTY),
        ({"clusterz": [1]}, Reason.MALFORMED),
        ({"endpointShardz": http(b"<html>")}, Reason.MALFORMED),
        ({"endpointShardz": {HOST: {"prod": {}}}}, Reason.MALFORMED),
        ({"endpointShardz": {HOST: []}}, Reason.MALFORMED),
    ],
)
def test_no_data_has_a_reason(answers: dict[str, Any], reason: Reason, tmp_path: Path) -> None:
    found = one(tmp_path, answers=answers)
    assert (found.value, found.no_data) == (None, reason), found.detail


def test_proxies_that_accepted_everything() -> None:
    assert own(measure="proxies").value == 1
    assert own(measure="unacked").value == 0
    assert own(measure="push_age").value == pytest.approx(4.08, abs=0.01)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (proxy(acked="older"), "istio-ingressgateway-us.istio-system: Cluster not acknowledged yet"),
        (proxy(acked=""), "Cluster not acknowledged yet"),
        (proxy(error="Didn't find a registered implementation"), "Cluster: Didn't find a registered"),
    ],
)
def test_proxies_that_did_not(entry: Any, says: str) -> None:
    found = own([entry, proxy()], measure="unacked")
    assert found.value == 1
    assert says in found.detail


def test_without_proxies_nothing_is_accepted() -> None:
    assert own([], measure="proxies").value == 0
    for measure in ("unacked", "push_age"):
        assert own([], measure=measure).no_data is Reason.EMPTY
    never = {"proxy": "a", "resources": {"x": {"sentTime": "0001-01-01T00:00:00Z"}}}
    assert own([never], measure="push_age").no_data is Reason.EMPTY
    assert own([never], measure="unacked").value == 0


@pytest.mark.parametrize("syncz", [{"a": 1}, [1], [{}], [proxy(at="yesterday")], [proxy(at="")], http(b"[")])
def test_no_data_of_proxies(syncz: Any) -> None:
    assert own(syncz, measure="push_age").no_data is Reason.MALFORMED


@pytest.mark.parametrize(
    ("status", "value", "reason"),
    [
        ("200 OK", 1, None),
        ("503 Service Unavailable", 0, None),
        ("404 Not Found", None, Reason.MALFORMED),
        ("401 Unauthorized", None, Reason.UNAUTHORISED),
    ],
)
def test_readiness(status: str, value: float | None, reason: Reason | None) -> None:
    with pages(ready=http(b"", status)) as server:
        scope = Scope(mesh_fleet({"us": server.url}))
        (found,) = asyncio.run(read(spec(service=None, of=None, measure="ready"), scope))
    assert (found.value, found.no_data) == (value, reason)


def test_each_region_is_asked_and_nobody_is_there() -> None:
    with pages() as server:
        scope = Scope(mesh_fleet({"us": server.url, "eu": f"http://{free_address()}"}))
        found = asyncio.run(read(spec(service=None, of=None, measure="ready", regions=[]), scope))
    assert {r.key: (r.value, r.no_data) for r in found} == {"us": (1, None), "eu": (None, Reason.REFUSED)}


def test_a_region_without_a_mesh() -> None:
    (found,) = asyncio.run(read(spec(), Scope(fleet())))
    assert (found.no_data, found.detail) == (Reason.MALFORMED, "region 'us' has no `mesh` in fleet.yaml")


@pytest.mark.parametrize(
    "keys", [{"of": None}, {"service": None}, {"host": HOST}, {"measure": "ready"}, {"measure": "ready", "of": None}]
)
def test_specs_that_contradict_themselves(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|is not about a service"):
        spec(**keys)


def test_endpoints_of_slices() -> None:
    found = in_slices(slices("1", "2", unready=("3",)))
    assert (sorted(found.all), sorted(found.ready)) == (["1", "2", "3"], ["1", "2"])
    assert slices_path("db.example.com") is None
