"""Rules about where what watches the regions is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from blackstart.plan.metrics import links
from blackstart.plan.metrics.model import MetricsConfig
from blackstart.plan.rules import Rules
from blackstart.plan.values import mapping, text
from blackstart.schema.errors import Finding

RULES: Rules[MetricsConfig] = Rules()


@RULES.add(
    "BSP401",
    "warning",
    "The global view is not in one of the regions that it watches, or is in several.",
    why="A querier or a federating Prometheus in a region that is lost is lost with it: nobody sees the failover.",
    fix="run one in every region, or one outside of all",
    link=links.QUERY,
)
def _lost_with(config: MetricsConfig) -> Iterator[Finding]:
    watched = {scraper.cluster for scraper in config.scrapers if scraper.regional}
    watched |= {sidecar.cluster for sidecar in config.sidecars()}
    views = [(part.cluster, part.finding(None, "")) for part in config.queriers()]
    views += [(one.cluster, one.finding((), "")) for one in config.scrapers if one.federating]
    places = {cluster for cluster, _ in views}
    if len(watched) < 2 or len(places) != 1 or not places <= watched:
        return
    for cluster, finding in views:
        yield Finding(finding.place, finding.path, f"the only global view is in {cluster}, which it watches itself")


@RULES.add(
    "BSP402",
    "error",
    "The bucket of old metrics is not in the region that they are of (with Nodes in the input).",
    why="When that region is lost, what was measured before is lost or out of reach with it.",
    fix="use a bucket in another region",
    link=links.STORAGE,
)
def _bucket(config: MetricsConfig) -> Iterator[Finding]:
    regions: defaultdict[str, set[str]] = defaultdict(set)
    for cluster in config.clusters:
        regions[cluster.name] |= cluster.regions
    for store in config.stores:
        settings = mapping(store.manifest.data.get("config"))
        named = {text(settings.get("region")), *text(settings.get("endpoint")).partition(":")[0].split(".")}
        for region in sorted(regions[store.cluster] & named):
            path = ("config", "region" if settings.get("region") == region else "endpoint")
            message = f"bucket {settings.get('bucket')} is in {region}, like the cluster {store.cluster}"
            yield store.finding(path, message)
