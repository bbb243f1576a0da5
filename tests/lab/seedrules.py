"""Mesh rules as documents on multi-cluster meshes show them, with the lab's names: what is wrong stays wrong."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import yaml

from blackstart.lab.manifests import NAMESPACE
from blackstart.lab.meshrules import GEO_HEADER, HOST, PARTNER, PARTNER_HOST, rules
from blackstart.lab.topology import topology

Object = dict[str, Any]

REGIONS = ("us", "eu")
_EXAMPLES = Path(__file__).resolve().parents[1] / "unit/mesh_examples/seed.yaml"
_NAMES = (
    # The lab's nodes are in `us` and `eu`; the document calls them by three sets of names.
    (r"\bus-west-2\b|\beu-west-1\b|\beu-west\b|\bcluster2\b", "eu"),
    (r"\bus-east-1\b|\bus-east\b|\bcluster1\b", "us"),
)


def good() -> dict[str, Object]:
    """The lab's own rules, by kind and name."""
    return {
        f"{rule['kind']}/{rule['metadata']['name']}": rule for rule in rules(REGIONS, topology(REGIONS).meeting())
    }


def seed(name: str) -> Object:
    """One of the document's rules, for the lab's service and its regions."""
    found = next(o for o in yaml.safe_load_all(_EXAMPLES.read_text()) if o["metadata"]["name"] == name)
    text = yaml.safe_dump(found)
    for pattern, region in _NAMES:
        text = re.sub(pattern, region, text)
    rule: Object = yaml.safe_load(text)
    rule["metadata"]["namespace"] = NAMESPACE
    if rule["kind"] == "DestinationRule":
        rule["spec"]["host"] = HOST
    return rule


def plain_routes() -> Object:
    """The lab's routes without those that need the subsets of its own DestinationRule."""
    rule = copy.deepcopy(good()["VirtualService/user-service"])
    rule["spec"]["http"] = rule["spec"]["http"][-1:]
    return rule


def geo_routes(*, meant: bool) -> list[Object]:
    """The document's geo routes, at the gateway; as `meant`: subsets are defined, and named where Istio looks."""
    routes, rule = seed("user-service-geo-routing"), copy.deepcopy(good()["DestinationRule/user-service"])
    routes["spec"] |= {"hosts": ["*"], "gateways": ["user-service"]}
    rule["spec"].pop("subsets")
    own = plain_routes()["spec"]["http"][0]
    for route in routes["spec"]["http"]:
        # Not what this is about: the lab's own timeouts and retries.
        route |= {"timeout": own["timeout"], "retries": own["retries"]}
        for target in route["route"]:
            target["destination"] |= {"host": HOST, **({"subset": target.pop("subset")} if meant else {})}
    assert routes["spec"]["http"][0]["match"][0]["headers"][GEO_HEADER]
    if meant:
        labels = {"us-cluster": "us", "eu-cluster": "eu"}
        rule["spec"]["subsets"] = [
            {"name": name, "labels": {"topology.kubernetes.io/region": region}} for name, region in labels.items()
        ]
    return [routes, rule]


def pinned_routes() -> list[Object]:
    """The document's geo routes as meant, but the lab's own for everybody else: those never meet a dead region."""
    routes, rule = geo_routes(meant=True)
    routes["spec"]["http"][-1] = plain_routes()["spec"]["http"][0]
    return [routes, rule]


def one_address() -> Object:
    """An external service as the document has it: with a single endpoint."""
    rule = copy.deepcopy(good()[f"ServiceEntry/{PARTNER}"])
    assert rule["spec"]["hosts"] == [PARTNER_HOST]
    assert len(seed("user-service-cluster2")["spec"]["endpoints"]) == 1
    rule["spec"]["endpoints"] = rule["spec"]["endpoints"][:1]
    return rule


def with_policy(rule: Object, **policy: Any) -> Object:
    """A DestinationRule with parts of its policy replaced; None takes one away."""
    rule = copy.deepcopy(rule)
    for key, value in policy.items():
        rule["spec"]["trafficPolicy"][key] = value
        if value is None:
            del rule["spec"]["trafficPolicy"][key]
    return rule
