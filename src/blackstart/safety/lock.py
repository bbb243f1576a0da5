"""One drill a region at a time: a Lease for each region, in the control cluster or in most survivors' clusters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from blackstart.fleet import lease as leases
from blackstart.fleet.kube import Kube, KubeError, WrongCluster
from blackstart.fleet.lease import Lease, Lost
from blackstart.fleet.objects import Ref
from blackstart.plan.locks import Home, lock_lease, majority
from blackstart.safety.clock import boottime
from blackstart.safety.protection import Gone, Held
from blackstart.safety.rounds import Rounds
from blackstart.schema.errors import BlackstartError

_LOOK = 0.25


class Lock:
    """The locks of one run on some regions.

    Everyone takes them in the same order, of clusters and then of regions,
    and gives up at the first that another run holds: of many that start at
    once exactly one gets all.
    """

    name = "the lock"
    region = None

    def __init__(self, where: Sequence[Home], regions: Iterable[str], run: str, ttl: float) -> None:
        self._homes = {home.name: home for home in where}
        self._regions, self._run, self._ttl = sorted(set(regions)), run, ttl
        self._kubes: dict[str, Kube] = {}
        self._mine: dict[str, list[Ref]] = {}
        self._kept: dict[str, float] = {}
        """Clusters whose locks are all this run's, and when (seconds of boottime) they last said so."""
        self._next = 0.0
        self._renewals = Rounds[str, str](len(self._homes))

    def acquire(self, recover: Callable[[str], None]) -> str:
        """Take all locks; says where. Raises Held or WrongCluster, with nothing taken.

        A lock that nobody renewed for its whole duration is of a run that
        died: `recover` must put that run back, or raise BlackstartError.
        """
        away = []
        try:
            for name, home in self._homes.items():
                try:
                    self._take_all(home, recover)
                except WrongCluster:
                    # Not a matter of waiting: fleet.yaml is wrong, and the run is refused.
                    raise
                except KubeError as error:
                    away.append(str(error))
                    self._release(name)
            if len(self._kept) < self._majority:
                raise Held(
                    f"the lock could be taken in {len(self._kept)} of {len(self._homes)} clusters, "
                    f"{self._majority} needed: {'; '.join(away)}"
                )
        except BaseException:
            self.release()
            raise
        return f"{', '.join(self._regions)}: locked in {', '.join(self._kept)}"

    def renew(self) -> None:
        """Renew all: each ttl/5 seconds, for at most that long. Raises Gone when too few clusters still agree."""
        calls = {name: partial(self._renew, name) for name in list(self._kept)}
        trouble = [text for text in self._renewals.turn(calls, self._ttl / 5).values() if text]
        now = boottime()
        if sum(now - last < self._ttl for last in self._kept.values()) < self._majority:
            raise Gone(f"most of the clusters no longer say so: {'; '.join(trouble) or 'no answer'}")

    def release(self) -> list[str]:
        """Give all back; what could not be given back and expires by itself."""
        trouble = [text for name in list(self._kubes) if (text := self._release(name))]
        self._renewals.close()
        return trouble

    @property
    def _majority(self) -> int:
        return majority(len(self._homes))

    def _refs(self, name: str) -> list[Ref]:
        return [lock_lease(self._homes[name].namespace, region) for region in self._regions]

    def _take_all(self, home: Home, recover: Callable[[str], None]) -> None:
        kube = self._kubes[home.name] = Kube(home.cluster)
        kube.verify_identity()
        mine = self._mine[home.name] = []
        for ref in self._refs(home.name):
            while not self._take(kube, ref, recover):
                pass
            mine.append(ref)
        self._kept[home.name] = boottime()

    def _take(self, kube: Kube, ref: Ref, recover: Callable[[str], None]) -> bool:
        """Take one lock; False: it changed hands meanwhile, try again. Raises Held, KubeError."""
        try:
            leases.create(kube, ref, self._run, self._ttl)
        except KubeError as error:
            if error.status != 409:
                raise
        else:
            return True
        found = leases.find(kube, ref)
        if found is None:
            return False
        if found.holder == self._run:
            return True
        stale = self._wait_until_stale(kube, found)
        if stale is None:
            return False
        try:
            self._recover(stale.holder, recover)
        except BlackstartError as error:
            raise Held(
                f"{ref}: its run {stale.holder} died and is not put back: {error}; "
                f"run `blackstart recover --run {stale.holder}`"
            ) from error
        try:
            leases.take_over(kube, stale, self._run, self._run)
        except Lost:
            return False
        return True

    def _wait_until_stale(self, kube: Kube, lease: Lease) -> Lease | None:
        """The Lease once nobody has renewed it for its duration by our clock; None when it goes. Raises Held."""
        end = boottime() + lease.seconds
        while boottime() < end:
            time.sleep(_LOOK)
            self._keep()
            found = leases.find(kube, lease.ref)
            if found is None:
                return None
            if found.mark != lease.mark:
                raise Held(f"{lease.ref}: run {found.holder} holds it and is alive; wait for its end")
            lease = found
        return lease

    def _recover(self, run: str, recover: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(max_workers=1) as pool:
            job = pool.submit(recover, run)
            while not wait([job], timeout=_LOOK).done:
                self._keep()
            job.result()

    def _keep(self) -> None:
        """Renew what was taken so far, while another lock takes its time."""
        if (now := boottime()) > self._next:
            self._next = now + self._ttl / 5
            for name in self._mine:
                self._renew(name)

    def _renew(self, name: str) -> str:
        """Renew one cluster's locks; what went wrong."""
        began, kube = boottime(), self._kubes[name]
        try:
            for ref in self._mine[name]:
                leases.renew(kube, leases.held(kube, ref, self._run))
        except KubeError as error:
            if isinstance(error, Lost) and name in self._kept:
                self._kept[name] = float("-inf")
            return str(error)
        if name in self._kept:
            self._kept[name] = began
        return ""

    def _release(self, name: str) -> str:
        """Delete one cluster's locks as far as they are this run's; what went wrong."""
        self._kept.pop(name, None)
        self._mine.pop(name, None)
        kube = self._kubes.pop(name, None)
        if kube is None:
            return ""
        with kube:
            try:
                for ref in self._refs(name):
                    leases.release(kube, ref, self._run)
            except KubeError as error:
                return str(error)
        return ""
