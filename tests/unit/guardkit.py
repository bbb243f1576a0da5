"""A bench in which a created Job starts a real guardian."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faultkit import APP, RUN, Bench, bench
from kubeapi import NAMESPACE

from blackstart.fleet.model import Fleet
from blackstart.fleet.model import Guardian as Image
from blackstart.fleet.objects import Ref
from blackstart.plan.locks import homes
from blackstart.plan.ward import Charge, Ward, ward_of
from blackstart.plan.wards import wards
from blackstart.safety.guardian import Guardian, Post
from blackstart.safety.lock import Lock
from blackstart.safety.protected import Protected

SCALE = {"module": "blackstart.activities.faults", "func": "scale"}
EXPERIMENT = {
    "method": [
        {"type": "probe", "provider": {"module": "blackstart.activities.probes", "func": "service_answers"}},
        {"provider": {**SCALE, "arguments": {"service": "frontend", "region": "primary"}}},
        {"provider": {"module": "blackstart.activities.faults", "func": "kill", "arguments": {"region": "primary"}}},
    ]
}
WARD = Ward("us", NAMESPACE, (Charge(Ref("apps/v1/deployments", NAMESPACE, APP)),))


@dataclasses.dataclass
class Place:
    """A bench with a cluster that runs Jobs, unless `deaf`."""

    here: Bench
    deaf: bool = False
    jobs: list[Any] = dataclasses.field(default_factory=list)
    threads: list[threading.Thread] = dataclasses.field(default_factory=list)

    @property
    def fleet(self) -> Fleet:
        return self.here.fleet.model_copy(update={"guardian": Image(image="blackstart:1")})

    def created(self, obj: dict[str, Any]) -> None:
        if obj["kind"] == "Job":
            self.jobs.append(obj)
            if not self.deaf:
                self.threads.append(threading.Thread(target=self.work, args=(obj,), daemon=True))
                self.threads[-1].start()

    def work(self, job: dict[str, Any]) -> None:
        args = job["spec"]["template"]["spec"]["containers"][0]["args"]
        pairs = list(zip(args[1::2], args[2::2], strict=True))
        given, all_of = dict(pairs), lambda wanted: [value for option, value in pairs if option == wanted]
        namespace, _, name = given["--lease"].partition("/")
        ward = ward_of(given["--region"], namespace, all_of("--target"), all_of("--slip"))
        cluster = self.fleet.regions[ward.region].cluster
        lease = Ref("coordination.k8s.io/v1/leases", namespace, name)
        Guardian(Post(given["--run"], lease, cluster, ward, "pod"), lambda text: None).watch()

    def protected(self, ttl: float = 3.0, experiment: dict[str, Any] = EXPERIMENT) -> Protected:
        lock = Lock(homes(self.fleet, []), ["us"], RUN, ttl)
        return Protected(lock, wards(experiment, self.fleet), self.fleet, RUN, ttl, lambda run: None)

    def left(self) -> list[str]:
        """What is there of any run."""
        theirs = ("events", "nodes", "services")
        return [path for path in self.here.api.objects if path.split("/")[-2] not in theirs]


@contextmanager
def guarded_place(folder: Path) -> Iterator[Place]:
    """A bench whose guardians have all ended when the block does."""
    with bench(folder) as here:
        found = Place(here)
        here.api.on_create = found.created
        yield found
        here.api.objects.clear()
        for thread in found.threads:
            thread.join(10)
