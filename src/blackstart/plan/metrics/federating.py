"""Rules about a Prometheus that takes the series of others by /federate."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.metrics import links
from blackstart.plan.metrics.model import MetricsConfig
from blackstart.plan.rules import Rules
from blackstart.plan.values import items, mapping, texts
from blackstart.schema.errors import Finding

RULES: Rules[MetricsConfig] = Rules()


@RULES.add(
    "BSP301",
    "error",
    "Federation keeps the labels that series have (honor_labels).",
    why="Without it job and instance become those of the federating scrape; queries by job find nothing.",
    fix="set honor_labels: true",
    link=links.FEDERATION,
)
def _honoured(config: MetricsConfig) -> Iterator[Finding]:
    for scraper in config.scrapers:
        for job in scraper.federating:
            if job.data.get("honor_labels") is not True:
                yield scraper.finding((*job.path, "honor_labels"), f"{job.name} has no honor_labels: true")


@RULES.add(
    "BSP302",
    "warning",
    "With honor_labels, what names a region comes from its own Prometheus.",
    why="A label of the target is only put where a series lacks it: one that has a cluster label of its own keeps "
    "that, whatever region it came from.",
    fix="set the label in external_labels of the Prometheus that is federated, and take it out of static_configs",
    link=links.CONFIG,
)
def _overruled(config: MetricsConfig) -> Iterator[Finding]:
    for scraper in config.scrapers:
        for job in scraper.federating:
            for i, target in items(job.data.get("static_configs")):
                labels = ", ".join(mapping(target.get("labels")))
                if labels and job.data.get("honor_labels") is True:
                    path = (*job.path, "static_configs", i, "labels")
                    yield scraper.finding(path, f"a series of {job.name} that has {labels} keeps its own")


@RULES.add(
    "BSP303",
    "error",
    "Federation says what it takes (match[]).",
    why="Without match[] a Prometheus gives nothing.",
    fix="set params: {'match[]': ['{__name__=~\"job:.*\"}']}",
    link=links.FEDERATION,
)
def _something(config: MetricsConfig) -> Iterator[Finding]:
    for scraper in config.scrapers:
        for job in scraper.federating:
            if not job.matches:
                yield scraper.finding((*job.path, "params"), f"{job.name} has no match[]")


@RULES.add(
    "BSP304",
    "error",
    "Federation takes the same of every region.",
    why="A query over all regions finds nothing of the one that lacks a match[]: it looks idle, or lost.",
    fix="give all jobs that federate the same match[]",
    link=links.FEDERATION,
)
def _alike(config: MetricsConfig) -> Iterator[Finding]:
    for scraper in config.scrapers:
        wanted = list(dict.fromkeys(match for job in scraper.federating for match in job.matches))
        for job in scraper.federating:
            missing = [match for match in wanted if match not in job.matches]
            if job.matches and missing:
                path = (*job.path, "params", "match[]")
                yield scraper.finding(path, f"{job.name} lacks {', '.join(missing)}, which others take")


@RULES.add(
    "BSP305",
    "warning",
    "Each region is federated by a job of its own.",
    why="Federated samples stay for five minutes after a loss, unchanged. What tells at once that a region is out of "
    "reach is the scrape's own up, which has only job and instance.",
    fix="make one job for each region: federate-us, federate-eu",
    link=links.STALENESS,
)
def _one_each(config: MetricsConfig) -> Iterator[Finding]:
    for scraper in config.scrapers:
        for job in scraper.federating:
            targets = [
                t for _, entry in items(job.data.get("static_configs")) for _, t in texts(entry.get("targets"))
            ]
            if len(targets) > 1:
                path = (*job.path, "static_configs")
                yield scraper.finding(path, f"{job.name} takes {', '.join(targets)} as one")
