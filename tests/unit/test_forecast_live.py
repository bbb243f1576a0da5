"""The forecast of shipped drills on the lab's configuration: clusters and balancer are asked, nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubeapi import KubeApi
from loopback import Server, http

from blackstart.cli import invoke
from blackstart.lab import ports
from blackstart.lab.edge import edge_config
from blackstart.lab.fleetfile import THROUGH_MESH, fleet_document, write_fleet
from blackstart.lab.manifests import APP, demo
from blackstart.lab.meshrules import rules
from blackstart.lab.paths import LabPaths
from blackstart.lab.topology import topology
from blackstart.plan.forecast.live import forecasts
from blackstart.plan.resolve import make_plan
from blackstart.schema.forecast import Expected, Forecast

ISTIO = "/apis/networking.istio.io/v1/namespaces/production"
PLURALS = {"DestinationRule": "destinationrules", "VirtualService": "virtualservices", "Gateway": "gateways"}
AT_ONCE = Expected(low=0, high=0)


def dump(config: dict[str, Any]) -> dict[str, Any]:
    """What /config_dump makes of a bootstrap."""
    static = config["static_resources"]
    kind = "type.googleapis.com/envoy.admin.v3"
    route_configs = [
        f["typed_config"]["route_config"]
        for listener in static["listeners"]
        for chain in listener["filter_chains"]
        for f in chain["filters"]
    ]
    return {
        "configs": [
            {"@type": f"{kind}.ClustersConfigDump", "static_clusters": [{"cluster": c} for c in static["clusters"]]},
            {
                "@type": f"{kind}.RoutesConfigDump",
                "static_route_configs": [{"route_config": r} for r in route_configs],
            },
        ]
    }


@dataclass
class Lab:
    """The API servers of two regions, and an edge."""

    apis: dict[str, KubeApi]
    edge: Server
    fleet: Path

    def forecast(self, drill: str, service: str, **settings: str) -> Forecast:
        return forecasts(make_plan(drill, self.fleet, settings))[service]

    def edit(self, kind: str, **changes: Any) -> None:
        """Change values of the spec of a mesh object, by dotted path; None takes one away."""
        for api in self.apis.values():
            spec = api.objects[f"{ISTIO}/{PLURALS[kind]}/{APP}"]["spec"]
            for path, value in changes.items():
                *parents, last = path.split("__")
                inner = spec
                for key in parents:
                    inner = inner[int(key) if key.isdigit() else key]
                if value is None:
                    del inner[last]
                else:
                    inner[last] = value


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    upstreams = [("us", "198.18.0.11", 8088), ("eu", "198.18.0.12", 8088)]
    answer = http(dump(edge_config(("127.0.0.1", 1), ("127.0.0.1", 2), upstreams)))
    with KubeApi() as us, KubeApi() as eu, Server(lambda _: answer) as edge:
        apis = {"us": us, "eu": eu}
        for name, api in apis.items():
            api.add(APP, 3)
            [deployment] = [o for o in demo(name) if o["kind"] == "Deployment"]
            api.deployments[APP]["spec"]["template"] = deployment["spec"]["template"]
            for rule in rules(["us", "eu"]):
                api.objects[f"{ISTIO}/{PLURALS[rule['kind']]}/{APP}"] = json.loads(json.dumps(rule))
        uids = {name: api.uid for name, api in apis.items()}
        document = fleet_document(topology(("us", "eu")), LabPaths(tmp_path), uids, mesh=True)
        document["places"] = {name: {} for name in document["places"]}
        for name, api in apis.items():
            kubeconfig = str(api.kubeconfig(tmp_path, name))
            document["regions"][name]["cluster"] |= {"kubeconfig": kubeconfig, "context": name}
            document["regions"][name].pop("prometheus")
        document["services"][APP]["entry"]["balancer"] = {"url": edge.url, "place": "observer"}
        write_fleet(document, tmp_path / "fleet.yaml")
        yield Lab(apis, edge, tmp_path / "fleet.yaml")


def test_a_region_lost_behind_the_edge(lab: Lab) -> None:
    found = lab.forecast("region-loss", APP)
    assert found.by == "the balancer's health checks"
    assert (found.taken_out, found.recovered) == (Expected(low=1.5, high=2.0), AT_ONCE)
    assert found.failback == Expected(low=0, high=1.5)
    assert found.assumptions[0].startswith("40 requests/s by the drill's own clients")
    assert found.capacity is not None
    assert found.capacity.ready == {"eu": 3}
    assert found.capacity.enough is None
    assert {method for api in lab.apis.values() for method, _ in api.requests} == {"GET"}
    assert len(lab.edge.heads) == 1


def test_a_client_without_patience_feels_the_health_checks(lab: Lab) -> None:
    found = lab.forecast("region-loss", APP, **{"client.timeout": "250ms"})
    assert found.recovered == found.taken_out


def test_endpoints_that_are_silent(lab: Lab) -> None:
    found = lab.forecast("endpoint-blackhole", THROUGH_MESH)
    # 3 errors at 40 requests/s on 3 hosts: one connect timeout is enough; at the most 4 requests a host more.
    assert found.taken_out == Expected(low=1.2, high=1.5)
    assert found.recovered == AT_ONCE
    assert found.failback is not None
    assert found.by == "the gateway's outlier detection"
    lab.edit("VirtualService", http__2__retries={"attempts": 0})
    felt = lab.forecast("endpoint-blackhole", THROUGH_MESH)
    assert felt.taken_out is not None
    # The hosts are tried again after 5 s and once or twice more: no 5 s are left that show a recovery.
    assert felt.recovered == Expected(low=None, high=None)
    lab.edit("DestinationRule", trafficPolicy__outlierDetection__maxEjectionPercent=10)
    never = lab.forecast("endpoint-blackhole", THROUGH_MESH)
    assert never.taken_out == never.recovered == Expected(low=None, high=None)


def test_more_errors_and_longer_timeouts(lab: Lab) -> None:
    lab.edit(
        "DestinationRule",
        trafficPolicy__connectionPool={"tcp": {"connectTimeout": "600ms"}},
        trafficPolicy__outlierDetection__consecutiveGatewayErrors=8,
        trafficPolicy__outlierDetection__consecutive5xxErrors=10,
    )
    lab.edit("VirtualService", http__2__retries__attempts=0)
    assert lab.forecast("endpoint-blackhole", THROUGH_MESH).taken_out == Expected(low=1.525, high=1.875)


def test_what_is_left_open_is_said(lab: Lab) -> None:
    lab.edit("DestinationRule", trafficPolicy__connectionPool=None, trafficPolicy__outlierDetection=None)
    lab.edit("VirtualService", http__2__retries=None, http__2__timeout=None)
    said = " ".join(lab.forecast("endpoint-blackhole", THROUGH_MESH).assumptions)
    assert "no connectTimeout: 10 s" in said
    assert "no outlierDetection" in said
    assert "Istio's own 2" in said


def test_endpoints_that_end(lab: Lab) -> None:
    found = lab.forecast("locality-failover", THROUGH_MESH)
    assert (found.by, found.recovered) == ("the mesh is told", AT_ONCE)
    assert found.taken_out == Expected(low=0, high=0.5)


def test_a_gateway_that_dies(lab: Lab) -> None:
    found = lab.forecast("gateway-loss", APP)
    # Refused tries cost nothing, so clients may be without a detour from the start.
    assert (found.taken_out, found.recovered) == (Expected(low=0, high=1.0), AT_ONCE)
    own = lab.forecast("gateway-loss", THROUGH_MESH, services="[frontend, mesh]")
    assert own.recovered == Expected(low=None, high=None)


@pytest.mark.parametrize("drill", ["control-plane-loss", "link-loss", "remote-api-loss"])
def test_what_no_formula_is_about(drill: str, lab: Lab) -> None:
    found = forecasts(make_plan(drill, lab.fleet))
    assert all("no formula tells" in each.reason and not each.expected() for each in found.values())


@pytest.mark.parametrize("state", [0, 1, None])
def test_a_gateway_that_does_not_hear_istiod_may_go_by_old_rules(lab: Lab, state: int | None) -> None:
    stats = [] if state is None else [{"name": "control_plane.connected_state", "value": state}]
    with Server(lambda _: http({"stats": stats})) as admin:
        text = lab.fleet.read_text()
        lab.fleet.write_text(text.replace(f"http://127.0.0.1:{ports.GATEWAY_ADMIN}", admin.url))
        found = lab.forecast("endpoint-blackhole", THROUGH_MESH)
    if state == 0:
        assert "the gateway of us has no connection to istiod" in found.reason
        assert found.taken_out is None
    else:
        assert found.taken_out is not None
        assumed = "the gateway of us goes by what the clusters hold; it cannot be asked" in " ".join(
            found.assumptions
        )
        assert assumed is (state is None)


def test_no_configuration_is_no_forecast(lab: Lab) -> None:
    lab.edge.answer = lambda _: http({}, "403 Forbidden")
    found = lab.forecast("region-loss", APP)
    assert found.expected() == {}
    assert "cannot be read from observer" in found.reason
    lab.apis["eu"].fail = lambda method, path: (403, "no")
    found = lab.forecast("endpoint-blackhole", THROUGH_MESH)
    assert found.expected() == {}
    assert "HTTP 403" in found.reason or "permission" in found.reason
    assert found.capacity is not None
    assert found.capacity.ready is None


@pytest.mark.parametrize("page", [{}, [], {"configs": [{"@type": "x.ClustersConfigDump"}]}, {"configs": "no"}])
def test_a_balancer_that_says_something_else(page: object, lab: Lab) -> None:
    lab.edge.answer = lambda _: http(page)
    assert "no route to a cluster" in lab.forecast("region-loss", APP).reason


def test_the_plan_says_it(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["plan", "region-loss", "--fleet", str(lab.fleet)]) == 0
    said = capsys.readouterr().out
    assert "Forecast:\n  user-service, by the balancer's health checks\n" in said
    assert "taken out of the routing  1.50 to 2.00 s" in said
    assert "Survivors: 40 requests/s by the drill, other traffic unknown; ready pods: 3 in eu" in said
    assert invoke(["plan", "region-loss", "--fleet", str(lab.fleet), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["forecasts"][APP]
    assert found["taken_out"] == {"low": 1.5, "high": 2.0}


def test_offline(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["plan", "region-loss", "--fleet", str(lab.fleet), "--offline"]) == 0
    assert "user-service: no forecast: asked for offline" in capsys.readouterr().out
    assert not lab.edge.heads
    assert not any(api.requests for api in lab.apis.values())


def test_without_balancer_and_gateway_only_kubernetes_is_left(lab: Lab) -> None:
    document = yaml.safe_load(lab.fleet.read_text())
    del document["services"][APP]["entry"]["balancer"]
    write_fleet(document, lab.fleet)
    found = lab.forecast("region-loss", APP)
    assert (found.by, found.recovered) == ("Kubernetes", Expected(low=2.0, high=55.0))
    assert found.failback is None
    assert "neither `balancer` nor `gateway`" in " ".join(found.assumptions)
    assert "neither a balancer nor a mesh" in lab.forecast("service-failover", APP).reason


def test_pods_that_are_not_there_are_no_settings(lab: Lab) -> None:
    lab.apis["us"].deployments[APP]["status"]["readyReplicas"] = 0
    assert lab.forecast("endpoint-blackhole", THROUGH_MESH).reason == "production/user-service has no ready pod in us"


def test_a_balancer_tells_enough_where_no_mesh_is_behind_it(lab: Lab) -> None:
    document = yaml.safe_load(lab.fleet.read_text())
    for region in document["regions"].values():
        del region["mesh"]
    write_fleet(document, lab.fleet)
    lab.apis["eu"].fail = lambda method, path: (403, "no")
    assert lab.forecast("region-loss", APP).taken_out == Expected(low=1.5, high=2.0)


def test_a_balancer_that_knows_regions_by_other_names(lab: Lab) -> None:
    upstreams = [("us-east-1", "198.18.0.11", 8088), ("eu-west-1", "198.18.0.12", 8088)]
    answer = http(dump(edge_config(("127.0.0.1", 1), ("127.0.0.1", 2), upstreams)))
    lab.edge.answer = lambda _: answer
    found = lab.forecast("region-loss", APP)
    assert found.taken_out == Expected(low=1.5, high=2.0)
    assert "the balancer's first region, us-east-1, is us of the fleet" in found.assumptions


def test_a_region_that_serves_nobody(lab: Lab) -> None:
    upstreams = [("eu", "198.18.0.12", 8088), ("us", "198.18.0.11", 8088)]
    answer = http(dump(edge_config(("127.0.0.1", 1), ("127.0.0.1", 2), upstreams)))
    lab.edge.answer = lambda _: answer
    found = lab.forecast("region-loss", APP)
    assert (found.by, found.taken_out, found.recovered) == ("nobody", AT_ONCE, AT_ONCE)
    assert "clients are served by eu, not us" in found.assumptions


def a_prometheus(head: str) -> bytes:
    value = "1" if "timestamp" in head else "12.5"
    series = [{"metric": {"region": "us" if "US" in head else "eu"}, "value": [0, value]}]
    return http({"status": "success", "data": {"resultType": "vector", "result": series}})


@pytest.mark.parametrize(("regions", "others", "enough"), [(["us", "eu"], 25.0, True), (["eu"], None, None)])
def test_capacity_with_the_traffic_of_others(
    regions: list[str], others: float | None, enough: bool | None, lab: Lab
) -> None:
    document = yaml.safe_load(lab.fleet.read_text())
    document["services"][APP]["pod_capacity"] = 25.0
    with Server(a_prometheus) as prometheus:
        for name in regions:
            url = prometheus.url + ("US" if name == "us" else "")
            document["regions"][name]["prometheus"] = {"url": url, "place": "operator"}
        write_fleet(document, lab.fleet)
        found = lab.forecast("region-loss", APP).capacity
    assert found is not None
    assert (found.others, found.asked, found.enough) == (others, 40 + (others or 0), enough)


def test_gateways_without_priorities_keep_sending_to_a_lost_region(lab: Lab) -> None:
    lab.edit("DestinationRule", trafficPolicy__outlierDetection=None)
    lab.edit("VirtualService", http__2__retries={"attempts": 0})
    found = lab.forecast("region-loss", APP)
    assert found.taken_out == found.recovered == Expected(low=None, high=None)
    assert "without priorities the survivors' gateways, too, send to us until it is ejected" in found.assumptions
