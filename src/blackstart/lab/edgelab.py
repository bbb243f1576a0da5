"""The edge as it runs: started in its own namespace, asked as clients do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from blackstart.fleet.model import Place
from blackstart.lab import commands, ports
from blackstart.lab.api import Request, ask
from blackstart.lab.cgroups import ROOT, Group, Hierarchy
from blackstart.lab.edge import Writes, edge_config
from blackstart.lab.fleetfile import EDGE_ORDERS_PORT, EDGE_PORT
from blackstart.lab.manifests import NODE_PORT, ORDERS_NODE_PORT
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import Processes
from blackstart.lab.regionfiles import EDGE_ADMIN_PORT
from blackstart.lab.shell import wait_for
from blackstart.lab.topology import EDGE, OBSERVER, Topology

_ANYWHERE = "0.0.0.0"  # noqa: S104 - in a namespace of its own


@dataclass(frozen=True)
class EdgeLab:
    """The global load balancer. `orders`: the regions that order-service runs in."""

    net: Topology
    paths: LabPaths
    cgroups: Hierarchy
    mesh: bool
    orders: Sequence[str] = ()

    @property
    def group(self) -> Group:
        return Group(self.cgroups, f"{ROOT}/{EDGE}/sys")

    @cached_property
    def processes(self) -> Processes:
        return Processes(self.net.edge, self.paths.member(EDGE), self.group)

    def alive(self) -> bool:
        """Whether it runs."""
        envoy = self.processes.all().get("envoy")
        return envoy is not None and envoy.alive()

    def start(self, parts: Parts) -> None:
        """Start it, the regions in their order of preference."""
        port = ports.GATEWAY if self.mesh else NODE_PORT
        at = {r.name: self.net.wires[f"{EDGE}-{r.name}"].end_of(r.name).address for r in self.net.regions}
        upstreams = [(name, address, port) for name, address in at.items()]
        orders = [(name, at[name], ORDERS_NODE_PORT) for name in self.orders]
        writes = Writes((_ANYWHERE, EDGE_ORDERS_PORT), orders) if orders else None
        listen, admin = (_ANYWHERE, EDGE_PORT), (_ANYWHERE, EDGE_ADMIN_PORT)
        folder = self.paths.member(EDGE)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "envoy.json"
        config.write_text(json.dumps(edge_config(listen, admin, upstreams, writes=writes), indent=1))
        self.group.make()
        self.processes.start(commands.envoy(parts, config))

    def wait(self, timeout: float) -> None:
        """Until a client's request is answered by the preferred region, and orders are taken anywhere."""
        first = self.net.regions[0].name
        self._wait(f"the edge serves from {first}", EDGE_PORT, [first], timeout)
        if self.orders:
            self._wait("the edge finds a region that takes orders", EDGE_ORDERS_PORT, self.orders, timeout)

    def _wait(self, what: str, port: int, regions: Sequence[str], timeout: float) -> None:
        observer = Place(netns=self.net.observer.netns)
        address = self.net.wires[f"{OBSERVER}-{EDGE}"].end_of(EDGE).address

        def green() -> bool | None:
            try:
                status, body = ask(observer, (address, port), Request("GET", "/"), 1.0)
            except OSError:
                return None
            return True if status == 200 and json.loads(body).get("region") in regions else None

        wait_for(what, green, timeout, hint=f"see {self.processes.logs}/envoy.log")
