"""Rules about Thanos: queriers and sidecars."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.metrics import links
from blackstart.plan.metrics.model import REPLICAS, MetricsConfig, duration
from blackstart.plan.metrics.scraping import told
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding

RULES: Rules[MetricsConfig] = Rules()

_LOOSE = ("endpoint", "endpoint-group")
_HEARTBEAT = ("prometheus.get_config_interval", "prometheus.get_config_timeout")
_UNSAID_HEARTBEAT = 30.0


@RULES.add(
    "BSP201",
    "error",
    "A querier's endpoints are strict.",
    why="One that is not strict leaves the querier's set after a failed check: from then on answers lack its region, "
    "with HTTP 200 and without a warning, even with partial_response=false.",
    fix="use --endpoint-strict, or strict: true in the file of --endpoint.sd-config-file",
    link=links.QUERY,
)
def _strict(config: MetricsConfig) -> Iterator[Finding]:
    for querier in config.queriers():
        for flag in querier.of(*_LOOSE):
            yield querier.finding(flag, f"--{flag.name}={flag.value} is not strict")
    for listing in config.endpoints:
        for i, entry in enumerate(listing.manifest.data["endpoints"]):
            if isinstance(entry, dict) and entry.get("strict") is not True:
                yield listing.finding(("endpoints", i), f"{entry.get('address')} is not strict")


@RULES.add(
    "BSP202",
    "error",
    "A querier does not name its endpoints by --store.",
    why="It is not strict: a lost region is missing without a warning. Thanos 0.38 and later do not start with it.",
    fix="use --endpoint-strict, or --endpoint.sd-config-file with strict: true",
    link=links.QUERY,
)
def _removed(config: MetricsConfig) -> Iterator[Finding]:
    for querier in config.queriers():
        for flag in querier.of("store"):
            yield querier.finding(flag, f"--store={flag.value} is not strict, and gone from 0.38 on")


@RULES.add(
    "BSP203",
    "warning",
    "A querier knows the label that tells replicas apart.",
    why="Without --query.replica-label every series counts once for each replica, and sums change when one is lost.",
    fix="set --query.replica-label=replica, and an external label replica in every Prometheus",
    link=links.QUERY,
)
def _replicas(config: MetricsConfig) -> Iterator[Finding]:
    used = {key for scraper in config.scrapers for key in scraper.external[1] if REPLICAS.search(key)}
    for querier in config.queriers():
        named = {name for flag in querier.of("query.replica-label") for name in flag.value.split(",")}
        if not named:
            yield querier.finding(None, f"{querier.name} has no --query.replica-label")
        elif missing := sorted(used - named):
            flag = querier.get("query.replica-label")
            yield querier.finding(flag, f"Prometheuses have the label {', '.join(missing)}, which is not among them")


@RULES.add(
    "BSP204",
    "error",
    "The label that tells regions apart is not taken for one of replicas.",
    why="Thanos drops replica labels and answers with one of the series: two regions become one, and a lost one is "
    "not missed.",
    fix="name only the label of replicas in --query.replica-label",
    link=links.QUERY,
)
def _merged(config: MetricsConfig) -> Iterator[Finding]:
    telling = {key for scraper in config.scrapers for key in told(scraper)} | {"region", "cluster"}
    for querier in config.queriers():
        for flag in querier.of("query.replica-label"):
            for name in sorted(telling & set(flag.value.split(","))):
                yield querier.finding(flag, f"{name} tells regions apart")


@RULES.add(
    "BSP205",
    "warning",
    "A querier does not wait long for a store that says nothing.",
    why="Without --store.response-timeout one frozen region holds up every query for --query.timeout (2m if unset), "
    "also those about other regions.",
    fix="set --store.response-timeout=3s and --query.timeout=15s",
    link=links.QUERY,
)
def _waiting(config: MetricsConfig) -> Iterator[Finding]:
    for querier in config.queriers():
        flag = querier.get("store.response-timeout")
        found = duration(flag.value) if flag else 0.0
        if not found or found > config.said.rto:
            said = f"is {flag.value}" if flag else "is not set"
            yield querier.finding(flag, f"--store.response-timeout of {querier.name} {said}")


@RULES.add(
    "BSP211",
    "warning",
    "A sidecar notices a Prometheus that hangs within the RTO (--rto).",
    why="It asks for its configuration every get_config_interval and waits get_config_timeout (30 s each if unset): "
    "so long it calls a frozen Prometheus healthy.",
    fix="set --prometheus.get_config_interval=5s and --prometheus.get_config_timeout=3s",
    link=links.SIDECAR,
)
def _heartbeat(config: MetricsConfig) -> Iterator[Finding]:
    for sidecar in config.sidecars():
        flags = [sidecar.get(name) for name in _HEARTBEAT]
        late = sum((duration(flag.value) if flag else None) or _UNSAID_HEARTBEAT for flag in flags)
        if late >= config.said.rto:
            message = f"{sidecar.name} notices it after up to {late:g}s; the RTO is {config.said.rto:g}s"
            yield sidecar.finding(next((flag for flag in flags if flag), None), message)
