"""The watchdog: `python -m blackstart.run.watchdog`, beside every run, for when the supervisor dies or stands still.

The first line on stdin is the job; then come lines of the supervisor: `beat`
(it lives), `child PID START` (who injects), `quit` (all is well). When stdin
ends, or nothing comes for the time to live, the watchdog kills the child, so
that a stopped one cannot wake up and inject, and puts the run back, again and
again until nothing is left or its deadline is over.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from blackstart.evidence import failpoints
from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.records import FaultEvent, FaultState
from blackstart.evidence.undo import Store, now
from blackstart.fleet.clusterroles import discard, run_role
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import LEASES, release
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Cluster
from blackstart.fleet.objects import Ref
from blackstart.run.clock import boottime
from blackstart.run.recover import Recovery
from blackstart.run.sessions import Identity, kill_session, session_members
from blackstart.schema.base import Model, Seconds
from blackstart.schema.errors import BlackstartError

READY = b"ready\n"

_USAGE, _LEFT = 2, 14
_LOOK = 0.5
_LAST_BREATH = 5.0
"""Seconds for the kernel to end what was killed."""

_HANGS = 120.0
"""Seconds beyond the deadline after which an attempt to put everything back hangs."""

_TRY = 10.0
"""Seconds for which one attempt asks again. Between attempts the run is free for a person's `blackstart recover`."""

_PAUSE = 2.0


class Tenure(Model):
    """A Lease that the run may hold, in some cluster. nodes: its guardian has a ClusterRole, which goes with it."""

    cluster: Cluster
    namespace: str
    name: str
    nodes: bool = False


class Job(Model):
    """Whom to watch.

    ttl: seconds of silence that mean death. deadline: seconds to put the run
    back. leases: what the run may hold, to be given back when all is as it
    was; otherwise they are left to guardians, and to the next run.
    """

    run: str
    state: Path
    fleet: Path
    ttl: Seconds
    deadline: Seconds = 600.0
    leases: list[Tenure] = []


class Silence(Model):
    """Why the watchdog must act, and who injects for the run."""

    reason: str
    child: Identity | None


def main() -> int:
    """Watch until told to quit; 14 when something is left that could not be put back."""
    failpoints.role("watchdog")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # Not SIG_IGN: what is started from here would inherit that.
        signal.signal(number, lambda *_: None)
    stdin = Lines(0)
    try:
        job = Job.model_validate_json(stdin.first())
    except ValidationError as error:
        _say(f"the first line on stdin is no job: {error.error_count()} errors")
        return _USAGE
    os.environ["BLACKSTART_STATE"] = str(job.state)
    _warm_up(job)
    failpoint("watchdog.ready")
    # Whoever started this may be dead by now; then there is work to do.
    with contextlib.suppress(OSError):
        os.write(1, READY)
    _let_go_of_stdout()
    silence = watch(stdin, job.ttl)
    if silence is None:
        return 0
    # A supervisor that wakes up again learns from this that it was taken for dead.
    os.close(0)
    _say(silence.reason)
    failpoint("watchdog.strikes")
    if silence.child:
        end_child(silence.child)
    failpoint("watchdog.killed")
    done = put_back(job)
    failpoint("watchdog.recovered")
    return 0 if done else _LEFT


class Lines:
    """Lines from a file descriptor, as they come."""

    def __init__(self, fd: int) -> None:
        self.fd, self._rest = fd, b""

    def first(self) -> bytes:
        """The first line; what there was of it when the other side ended before."""
        while b"\n" not in self._rest:
            chunk = os.read(self.fd, 1 << 16)
            if not chunk:
                break
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def wait(self, seconds: float) -> list[str] | None:
        """Whole lines that came within so many seconds, at once when there are any; None at the end."""
        if b"\n" not in self._rest:
            if not select.select([self.fd], [], [], seconds)[0]:
                return []
            chunk = os.read(self.fd, 1 << 16)
            if not chunk:
                return None
            self._rest += chunk
        whole, _, self._rest = self._rest.rpartition(b"\n")
        return whole.decode(errors="replace").splitlines()


def watch(lines: Lines, ttl: float) -> Silence | None:
    """Return when the supervisor is dead, or silent for `ttl` seconds; None when it says that all is well."""
    child, heard = None, boottime()
    while True:
        # Short waits: a machine that slept must notice by its clock.
        said = lines.wait(_LOOK)
        if said is None:
            return Silence(reason="the supervisor is gone", child=child)
        if "quit" in said:
            return None
        for line in said:
            if line.startswith("child "):
                child = Identity.parse(line.removeprefix("child "))
        if said:
            heard = boottime()
        elif boottime() - heard >= ttl:
            return Silence(reason=f"no sign of life from the supervisor for {ttl:g} s", child=child)


def end_child(child: Identity) -> None:
    """Kill who injects and everything that it started, and wait until they are gone."""
    if child.replaced:
        _say(f"process {child.pid} is not the injector any more")
        return
    kill_session(child.pid)
    until = time.monotonic() + _LAST_BREATH
    while (left := session_members(child.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    _say(f"killed the injector {child.pid}" + (f"; still there: {left}" if left else ""))


def put_back(job: Job) -> bool:
    """Have the run put back, in a process of its own for each attempt; whether nothing is left."""
    until = boottime() + job.deadline
    while True:
        # Forked: everything is imported, and on a full or broken disk nothing more can be.
        attempt = multiprocessing.get_context("fork").Process(target=_attempt, args=(job,))
        attempt.start()
        attempt.join(max(0.0, until - boottime()) + _HANGS)
        if attempt.exitcode is None and attempt.pid:
            _say("the attempt hangs; it is killed")
            kill_session(attempt.pid)
            attempt.kill()
            attempt.join()
        if attempt.exitcode == 0:
            return True
        if _only_conflicts(job):
            _say("what is left is a conflict with someone else's change; see `blackstart recover --dry-run`")
            return False
        if boottime() + _PAUSE > until:
            _say(f"not everything was put back within {job.deadline:g} s; run `blackstart recover --run {job.run}`")
            return False
        time.sleep(_PAUSE)


def _attempt(job: Job) -> None:
    os.setsid()
    store = Store(job.state)
    # Without records it has not come to breaking anything.
    done = job.run not in store.runs() or Recovery(store, _say, _tell, deadline=_TRY).recover(job.run)
    _say("nothing is outstanding" if done else "not everything is put back")
    if done:
        # All of them, whatever becomes of each.
        given = [_give_back(lease, job.run) for lease in job.leases]
        done = all(given)
    os._exit(0 if done else _LEFT)


def _give_back(lease: Tenure, run: str) -> bool:
    try:
        with Kube(lease.cluster) as kube:
            kube.verify_identity()
            taken = release(kube, Ref(LEASES, lease.namespace, lease.name), run)
            if lease.nodes and not taken:
                discard(kube, run_role(run))
    except BlackstartError as error:
        _say(str(error))
        return False
    return True


def _only_conflicts(job: Job) -> bool:
    found = Store(job.state).read(job.run)
    states = {entry.state for entry in found.outstanding}
    return not found.damaged and states == {FaultState.CONFLICT}


def _warm_up(job: Job) -> None:
    """Import now what will be needed then: the Kubernetes client alone costs half a second."""
    import kubernetes.client  # noqa: F401 - for its side effect of being loaded

    with contextlib.suppress(BlackstartError):
        load_fleet(job.fleet)


def _tell(body: object) -> None:
    if isinstance(body, FaultEvent):
        _say(f"{body.fault} ({body.target}): {body.state} {body.detail}".rstrip())


def _say(text: str) -> None:
    # The disk may be full; that must not keep anything broken.
    with contextlib.suppress(OSError):
        os.write(2, f"{now()} watchdog {os.getpid()}: {text}\n".encode())


def _let_go_of_stdout() -> None:
    fd = os.open(os.devnull, os.O_RDWR)
    os.dup2(fd, 1)
    os.close(fd)


if __name__ == "__main__":
    # Under its own name, so that a forked attempt meets the same module.
    from blackstart.run.watchdog import main as entry

    sys.exit(entry())
