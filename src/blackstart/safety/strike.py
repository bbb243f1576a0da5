"""What the watchdog does once the supervisor is dead: it ends who injects, and puts back until nothing is left."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time

from blackstart.evidence.records import FaultEvent, FaultState
from blackstart.evidence.undo import Store, now
from blackstart.fleet.clusterroles import discard, run_role
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import LEASES, release
from blackstart.fleet.objects import Ref
from blackstart.safety.clock import boottime
from blackstart.safety.recover import Recovery
from blackstart.safety.sessions import Identity, kill_session, session_members
from blackstart.safety.watched import Job, Tenure
from blackstart.schema.errors import BlackstartError

LEFT = 14
"""Something is left that could not be put back."""

_LAST_BREATH = 5.0
"""Seconds for the kernel to end what was killed."""

_HANGS = 120.0
"""Seconds beyond the deadline after which an attempt to put everything back hangs."""

_TRY = 10.0
"""Seconds for which one attempt asks again. Between attempts the run is free for a person's `blackstart recover`."""

_PAUSE = 2.0


def end_child(child: Identity) -> None:
    """Kill who injects and everything that it started, and wait until they are gone."""
    if child.replaced:
        say(f"process {child.pid} is not the injector any more")
        return
    kill_session(child.pid)
    until = time.monotonic() + _LAST_BREATH
    while (left := session_members(child.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    say(f"killed the injector {child.pid}" + (f"; still there: {left}" if left else ""))


def put_back(job: Job) -> bool:
    """Have the run put back, in a process of its own for each attempt; whether nothing is left."""
    until = boottime() + job.deadline
    while True:
        # Forked: everything is imported, and on a full or broken disk nothing more can be.
        attempt = multiprocessing.get_context("fork").Process(target=_attempt, args=(job,))
        attempt.start()
        attempt.join(max(0.0, until - boottime()) + _HANGS)
        if attempt.exitcode is None and attempt.pid:
            say("the attempt hangs; it is killed")
            kill_session(attempt.pid)
            attempt.kill()
            attempt.join()
        if attempt.exitcode == 0:
            return True
        if _only_conflicts(job):
            say("what is left is a conflict with someone else's change; see `blackstart recover --dry-run`")
            return False
        if boottime() + _PAUSE > until:
            say(f"not everything was put back within {job.deadline:g} s; run `blackstart recover --run {job.run}`")
            return False
        time.sleep(_PAUSE)


def _attempt(job: Job) -> None:
    os.setsid()
    store = Store(job.state)
    # Without records it has not come to breaking anything.
    done = job.run not in store.runs() or Recovery(store, say, _tell, deadline=_TRY).recover(job.run)
    say("nothing is outstanding" if done else "not everything is put back")
    if done:
        # All of them, whatever becomes of each.
        given = [_give_back(lease, job.run) for lease in job.leases]
        done = all(given)
    os._exit(0 if done else LEFT)


def _give_back(lease: Tenure, run: str) -> bool:
    try:
        with Kube(lease.cluster) as kube:
            kube.verify_identity()
            taken = release(kube, Ref(LEASES, lease.namespace, lease.name), run)
            if lease.nodes and not taken:
                discard(kube, run_role(run))
    except BlackstartError as error:
        say(str(error))
        return False
    return True


def _only_conflicts(job: Job) -> bool:
    found = Store(job.state).read(job.run)
    states = {entry.state for entry in found.outstanding}
    return not found.damaged and states == {FaultState.CONFLICT}


def _tell(body: object) -> None:
    if isinstance(body, FaultEvent):
        say(f"{body.fault} ({body.target}): {body.state} {body.detail}".rstrip())


def say(text: str) -> None:
    """A line of the watchdog's log."""
    # The disk may be full; that must not keep anything broken.
    with contextlib.suppress(OSError):
        os.write(2, f"{now()} watchdog {os.getpid()}: {text}\n".encode())
