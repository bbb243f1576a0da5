"""A fleet on 127.0.0.1 for faults: a fake API server, a service that answers, a store, the events that were told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from kubeapi import NAMESPACE, UID, KubeApi
from loopback import Server, http

from blackstart.evidence.records import Body, FaultEvent, FaultState, Note
from blackstart.evidence.undo import Store
from blackstart.faults.inject import Context
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.probes import control

RUN = "run-1"
APP = "user-service"


class Told:
    """The undo store of a folder, and what was told while faults were made there."""

    folder: Path
    events: list[Body]

    @property
    def store(self) -> Store:
        return Store(self.folder / "state")

    def context(self, run: str = RUN) -> Context:
        return Context(run, self.store, self.events.append)

    def states(self) -> list[FaultState]:
        return [event.state for event in self.events if isinstance(event, FaultEvent)]

    def said(self) -> str:
        return "\n".join(
            e.detail if isinstance(e, FaultEvent) else e.text for e in self.events if isinstance(e, FaultEvent | Note)
        )


@dataclass
class Bench(Told):
    """Region us of a fleet, within reach of a test."""

    api: KubeApi
    service: Server
    folder: Path
    fleet_file: Path
    events: list[Body] = field(default_factory=list)

    @property
    def fleet(self) -> Fleet:
        return load_fleet(self.fleet_file)

    @property
    def replicas(self) -> int:
        found: int = self.api.deployments[APP]["spec"]["replicas"]
        return found


@contextmanager
def bench(folder: Path, *, replicas: int = 3, uid: str = UID) -> Iterator[Bench]:
    """A bench whose service falls silent at zero replicas and answers above."""
    with (
        pytest.MonkeyPatch.context() as patch,
        Server(lambda head: http({"region": "us"})) as service,
        KubeApi(address=service.address) as api,
    ):
        # On 127.0.0.1 silence is known sooner.
        patch.setattr(control, "_PATIENCE", 0.1)
        api.add(APP, replicas)
        api.on_scale = lambda count: switch(service, bool(count))
        file = folder / "fleet.yaml"
        file.write_text(yaml.safe_dump(_fleet(folder, api, service, uid)))
        yield Bench(api, service, folder, file)


def switch(service: Server, on: bool) -> None:
    """Let the service answer, or refuse."""
    listening = not service._listener._closed  # type: ignore[attr-defined]
    if on and not listening:
        service.again()
    elif listening and not on:
        service.shut()


def _fleet(folder: Path, api: KubeApi, service: Server, uid: str) -> dict[str, object]:
    entry = {"url": service.url, "place": "here", "timeout": "1s"}
    power = {
        "kill": ["sh", "-c", f"echo dead > {folder}/power"],
        "restore": ["sh", "-c", f"echo up > {folder}/power"],
        "state": ["sh", "-c", f"cat {folder}/power || echo up"],
        "deadline": "2s",
    }
    return {
        "fleet": "fake",
        "regions": {
            "us": {
                "cluster": {"kubeconfig": str(api.kubeconfig(folder)), "context": "here", "uid": uid},
                "place": "here",
                "power": power,
            }
        },
        "places": {"here": {}, "there": {}},
        "links": {
            "us-there": {
                "between": ["us", "there"],
                "ends": [{"place": "here", "interface": "to-there"}, {"place": "there", "interface": "to-us"}],
                "paths": [{"place": "there", "address": service.address}],
            }
        },
        "services": {
            APP: {
                "tier": 0,
                "entry": entry,
                "direct": {"us": entry},
                "workloads": {"us": {"namespace": NAMESPACE, "deployment": APP}},
            }
        },
        "roles": {"primary": "us", "frontend": APP},
    }
