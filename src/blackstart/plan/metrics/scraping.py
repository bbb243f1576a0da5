"""Rules about scraping and about the labels that tell regions apart."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.metrics import links
from blackstart.plan.metrics.model import REPLICAS, MetricsConfig, Scraper
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding

RULES: Rules[MetricsConfig] = Rules()


@RULES.add(
    "BSP101",
    "warning",
    "Scrapes are close enough together to certify the RTO (--rto).",
    why="The begin and the end of an outage are each seen up to one interval late, so a figure of it is wrong by up "
    "to two; rates, which take several samples, are wrong by more.",
    fix="scrape what a drill is judged by every second or two, or let its clients measure it",
    link=links.CONFIG,
)
def _interval(config: MetricsConfig) -> Iterator[Finding]:
    rto = config.said.rto
    for scraper in config.scrapers:
        seen = [(job.interval, job.at) for job in scraper.jobs] or [scraper.interval]
        for interval, at in dict.fromkeys(seen):
            if 2 * interval >= rto:
                message = f"a scrape every {interval:g}s resolves +-{2 * interval:g}s; the RTO is {rto:g}s"
                yield scraper.finding(at, message)


def told(scraper: Scraper) -> dict[str, object]:
    """The external labels that tell one Prometheus from another's, without those of replicas."""
    return {key: value for key, value in scraper.external[1].items() if not REPLICAS.search(key)}


def _regional(config: MetricsConfig) -> list[Scraper]:
    """The Prometheuses whose series end up in a global view, if there is one in the input."""
    seen = bool(config.parts) or any(scraper.federating for scraper in config.scrapers)
    regional = [scraper for scraper in config.scrapers if scraper.regional]
    return regional if seen or len(regional) > 1 else []


@RULES.add(
    "BSP111",
    "error",
    "Each Prometheus that a global view takes series from has an external label.",
    why="Nothing else says which region a series is of: a global view mixes them, and a lost one is not missed. A "
    "Thanos sidecar does not start without any.",
    fix="set global.external_labels: {region: .., replica: ..}",
    link=links.SIDECAR,
)
def _labelled(config: MetricsConfig) -> Iterator[Finding]:
    for scraper in _regional(config):
        if not told(scraper):
            yield scraper.finding(scraper.external[0], f"{scraper.name} has no external label but those of replicas")


@RULES.add(
    "BSP112",
    "error",
    "No two regions' Prometheuses have the same external labels.",
    why="Thanos takes them for replicas of one: it answers with either's series, and a lost region is not missed.",
    fix="give each a value of its own for region or cluster",
    link=links.QUERY,
)
def _apart(config: MetricsConfig) -> Iterator[Finding]:
    first: dict[str, Scraper] = {}
    for scraper in _regional(config):
        labels = ", ".join(f"{key}={value}" for key, value in sorted(told(scraper).items()))
        other = first.setdefault(labels, scraper)
        if labels and other.cluster != scraper.cluster:
            message = f"{other.name} of {other.cluster} ({other.where}) has {labels}, too"
            yield scraper.finding(scraper.external[0], message)
