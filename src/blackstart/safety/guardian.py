"""What runs in a cluster while a drill changes objects there, and puts them back when the drill cannot.

It looks at the run's Lease. Once that has expired it takes it over, so that
the run knows; touches every object that the run may change, so that a write
based on an older version fails; reverts what carries the run's label; says
what it did in Events; and deletes the Lease, or the ClusterRole that it has
where it looks after nodes: that ends all that is owned by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from blackstart.fleet import lease as leases
from blackstart.fleet.clusterroles import discard, run_role
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import GUARDIAN, Lease, Lost
from blackstart.fleet.model import Cluster
from blackstart.fleet.objects import Ref
from blackstart.plan.ward import Ward, grants
from blackstart.safety.expiry import Step, Watch, decide, see
from blackstart.safety.rescue import Rescue
from blackstart.schema.base import Model

STATE = "blackstart.dev/guardian"
"""The annotation on the Lease in which the guardian says how it is."""

POLL = 0.5
"""Seconds between two looks at the Lease, and between two attempts at what failed."""

_BEAT = 1.0
"""Seconds between two signs of life."""

State = Literal["refused", "watching", "restoring"]


class Beat(Model):
    """A sign of life: `n` counts up; `said`: what it may not do, or what became of the objects so far.

    mark, age: for how many seconds it has seen the Lease's last renewal; a
    guardian that starts again goes on from there.
    """

    pod: str
    n: int
    state: State
    mark: tuple[str, str, str] = ("", "", "")
    age: float = 0.0
    said: list[str] = []


@dataclass(frozen=True)
class Post:
    """Where a guardian stands: the run and its Lease, the cluster that it is in, what it looks after, its pod."""

    run: str
    lease: Ref
    cluster: Cluster
    ward: Ward
    pod: str

    def rescue(self, *, fence: bool = True) -> Rescue:
        """What puts back everything that it looks after."""
        bearers = self.ward.bearers(self.run)
        return Rescue(self.run, self.ward.region, self.cluster, bearers, fence=fence)


class Guardian:
    """One guardian. `watch` returns when there is nothing left to guard.

    clock: monotonic seconds; pause: sleeps for so many seconds.
    """

    def __init__(
        self,
        post: Post,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._post, self._say, self._clock, self._pause = post, say, clock, pause
        self._watch = Watch()
        self._rescue = post.rescue()
        self._beat = Beat(pod=post.pod, n=0, state="refused")
        self._beaten = float("-inf")
        self._last_words = ""

    def watch(self) -> None:
        """Watch the Lease until the run has ended, or until everything is put back in its place."""
        while not self._done():
            self._pause(POLL)

    def _done(self) -> bool:
        try:
            # Opened again after each trouble: a new token, no stale connection.
            with Kube(self._post.cluster) as kube:
                while not self._step(kube):
                    self._pause(POLL)
        except Lost as lost:
            self._tell(str(lost))
            return False
        except KubeError as error:
            self._watch = self._watch.lost_sight()
            self._tell(str(error))
            return False
        return True

    def _step(self, kube: Kube) -> bool:
        """One look and what follows from it; whether that was all. Raises KubeError, Lost."""
        lease = leases.find(kube, self._post.lease)
        now = self._clock()
        self._watch = see(self._watch, lease, now, _age(lease))
        if lease is None:
            return self._look_once(kube)
        match decide(self._watch, lease, now):
            case Step.WAIT:
                return self._live(kube, lease, now)
            case Step.TAKE_OVER:
                self._tell(f"{lease.ref}: {lease.holder} has not renewed it for {lease.seconds:g} s; taking over")
                return self._restore(kube, leases.take_over(kube, lease, GUARDIAN))
            case Step.RESTORE:
                return self._restore(kube, lease)

    def _live(self, kube: Kube, lease: Lease, now: float) -> bool:
        if now - self._beaten >= _BEAT:
            # Permissions become known to an API server a moment after they are made.
            refused = refusals(kube, self._post) if self._beat.state == "refused" else []
            self._tell_lease(kube, lease, "refused" if refused else "watching", refused)
            self._beaten = now if not refused else self._beaten
        return False

    def _restore(self, kube: Kube, lease: Lease) -> bool:
        self._tell_lease(kube, lease, "restoring", [])
        while left := self._rescue.attempt(kube):
            self._tell("; ".join(left))
            self._pause(POLL)
        self._rescue.confirm()
        self._tell_lease(kube, lease, "restoring", self._rescue.said())
        self._tell("; ".join(self._rescue.said()) or "nothing had to be put back")
        self._rescue.publish(kube, lease)
        kube.delete(lease.ref, lease.uid)
        self._leave(kube)
        return True

    def _look_once(self, kube: Kube) -> bool:
        """The Lease is gone: the run ended well, or someone deleted it. The permissions go, too."""
        rescue = self._post.rescue(fence=False)
        left = rescue.attempt(kube)
        said = [*self._rescue.said(), *rescue.said(), *left]
        self._tell(f"{self._post.lease} is gone; {'; '.join(said) or 'nothing is left of the run'}")
        self._leave(kube)
        return True

    def _leave(self, kube: Kube) -> None:
        """The last act: without the ClusterRole nothing is allowed any more. Raises KubeError."""
        if self._post.ward.nodes:
            discard(kube, run_role(self._post.run), own=True)

    def _tell_lease(self, kube: Kube, lease: Lease, state: State, said: list[str]) -> None:
        age = max(0.0, self._clock() - self._watch.since)
        pod, n = self._post.pod, self._beat.n + 1
        self._beat = Beat(pod=pod, n=n, state=state, mark=lease.mark, age=age, said=said)
        leases.annotate(kube, lease, {STATE: self._beat.model_dump_json()})

    def _tell(self, words: str) -> None:
        if words != self._last_words:
            self._say(words)
            self._last_words = words


def _age(lease: Lease | None) -> float:
    """For how many seconds a guardian before this one had seen the Lease's last renewal; 0 where none says so."""
    try:
        beat = Beat.model_validate_json(lease.annotations.get(STATE, "") if lease else "")
    except ValidationError:
        return 0.0
    return beat.age if lease and beat.mark == lease.mark else 0.0


def refusals(kube: Kube, post: Post) -> list[str]:
    """What the service account may not do though it must; the API server's own answer. Raises KubeError."""
    wanted = [(verb, grant.ref) for grant in grants(post.ward, post.run) for verb in grant.verbs]
    return [
        f"not allowed to {verb} {ref}"
        for verb, ref in wanted
        if not kube.can(verb, ref.plural, ref.namespace, group=ref.group, name=ref.name)
    ]
