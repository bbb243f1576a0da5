"""Prometheus and Thanos of a fleet: a region's own, and those that see every region."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from blackstart.fleet.switch import Power
from blackstart.schema.base import Model, Seconds
from blackstart.schema.secret import Secret


class Prometheus(Model):
    """A Prometheus-compatible API.

    `labels` are the external labels that its series must carry; `token` is a
    bearer token; `scrape` is how often it scrapes, for lint to judge ranges.
    `stores`, of a Thanos querier: region -> address (host:port) of the store
    that must have answered for it. `jobs`, of a Prometheus that federates:
    region -> the job with which it scrapes that region's.
    """

    url: str
    place: str
    kind: Literal["prometheus", "thanos"] = "prometheus"
    labels: dict[str, str] = {}
    token: Secret | None = None
    scrape: Seconds | None = Field(default=None, gt=0)
    stores: dict[str, str] = {}
    jobs: dict[str, str] = {}
    power: Power | None = None


class Sidecar(Model):
    """A region's Thanos sidecar: `url` of its HTTP server, `address` (host:port) of its store, asked from `place`."""

    url: str
    address: str = Field(pattern=r"^[^\s:]+:\d+$")
    place: str
    power: Power | None = None
