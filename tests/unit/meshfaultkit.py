"""A mesh for the bench of faultkit, and nft in memory."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
import yaml
from faultkit import Bench, switch

from blackstart.fleet import power
from blackstart.fleet.model import Fleet, Place, Power

UID = os.getuid()


def meshed(here: Bench, **more: Any) -> Fleet:
    """The bench's fleet with a mesh whose parts answer at the service's address; `more` goes into region us."""
    document = yaml.safe_load(here.fleet_file.read_text())
    part = {"url": here.service.url, "place": "here"}
    powers = {name: _power(here, name) for name in ("istiod", "gateway")}
    mesh = {
        "istiod": {**part, "power": powers["istiod"]},
        "gateway": {**part, "power": powers["gateway"], "uid": UID},
        "remotes": {"us": here.service.address},
    }
    document["regions"]["us"] |= {"mesh": mesh, "pods": ["127.0.0.0/8"], **more}
    here.fleet_file.write_text(yaml.safe_dump(document))
    return here.fleet


def _power(here: Bench, name: str) -> dict[str, object]:
    file = here.folder / name
    return {
        "kill": ["sh", "-c", f"echo dead > {file}"],
        "restore": ["sh", "-c", f"echo up > {file}"],
        "state": ["sh", "-c", f"cat {file} || echo up"],
        "deadline": "2s",
    }


class Tables:
    """nft in memory; the service is reachable while no table drops."""

    def __init__(self, here: Bench) -> None:
        self.here, self.names, self.expired, self.bites = here, set[str](), False, True
        self.scripts: list[str] = []
        self.counters: list[tuple[str, str, int, int]] = []
        """Source, destination, port, attempts: what every table has counted."""

    def __call__(self, place: Place, *arguments: str, script: str = "", deadline: float = 0.0) -> str:
        if arguments[-1] == "tried":
            return json.dumps({"nftables": [{"set": {"name": "tried", "elem": [*map(_counter, self.counters)]}}]})
        if "list" in arguments:
            elements = {} if self.expired else {"elem": ["x"]}
            found: list[Any] = [{"table": {"name": name}} for name in sorted(self.names)]
            return json.dumps({"nftables": [*found, {"set": {"name": "cut_interfaces", **elements}}]})
        self.scripts.append(script)
        name = re.findall(r"(?:table|element) inet (\w+)", script)[0]
        self.names = self.names | {name} if "add element" in script else self.names - {name}
        switch(self.here.service, not (self.names and self.bites))
        return ""


def switched(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the service answer only while what the power commands switch is on."""
    kill, restore = power.kill, power.restore

    def off(switch_: Power) -> None:
        kill(switch_)
        switch(here.service, False)

    def on(switch_: Power) -> None:
        restore(switch_)
        switch(here.service, True)

    monkeypatch.setattr(power, "kill", off)
    monkeypatch.setattr(power, "restore", on)


def _counter(row: tuple[str, str, int, int]) -> dict[str, Any]:
    source, destination, port, attempts = row
    counted = {"packets": attempts, "bytes": 60 * attempts}
    return {"elem": {"val": {"concat": [source, destination, port]}, "expires": 86_397, "counter": counted}}
