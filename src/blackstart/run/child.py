"""The child that injects: `python -m blackstart.run.child`, one experiment in one process.

The first line on stdin is the job. Events go to the pipe of
BLACKSTART_EVENTS_FD. When the method is done the child says so and holds,
until stdin says `undo` or ends: if the supervisor dies, that is the end of
the faults. Then the experiment's rollbacks run, and whatever of the run is
still outstanding is put back. Exit code 0: nothing is outstanding; 14 else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Collection
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

from pydantic import Field, ValidationError

from blackstart.evidence import failpoints
from blackstart.evidence.events import HELD, Emit, Pipe, emitter
from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.records import Activity
from blackstart.evidence.undo import Store
from blackstart.faults.contexts import unnamed_contexts
from blackstart.faults.foreign import refused
from blackstart.faults.inject import Context, restore_all, still_there
from blackstart.fleet.environment import environment
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import check_fence
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.run.conductor import Conductor
from blackstart.run.orders import Orders
from blackstart.safety.fence import Fence, install
from blackstart.schema.base import Model, Seconds
from blackstart.schema.errors import BlackstartError

OUTSTANDING = 14
_USAGE = 2


class Job(Model):
    """What to do.

    `state`: the state folder; `log`: where Chaos Toolkit's own words go;
    `env`: secrets' variables; `lease`: seconds after which what nobody renews
    is put back; `fenced`: region and namespace of each Lease that the run must
    still hold when it changes something there.
    """

    experiment: dict[str, Any]
    run: str
    fleet: Path
    state: Path | None = None
    log: Path | None = None
    env: dict[str, str] = Field(default={}, repr=False)
    lease: Seconds | None = None
    fenced: list[tuple[str, str]] = []


def main(stdin: IO[bytes] | None = None) -> int:
    """Read the job from stdin, do it, and return the exit code."""
    # Unbuffered: at exit Python may not wait for the lock of a buffer that a thread still reads from.
    lines = stdin or open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - it lasts as long as the process
    try:
        job = Job.model_validate_json(lines.readline())
    except ValidationError as error:
        sys.stderr.write(f"child: the first line on stdin is no job: {error.error_count()} errors\n")
        return _USAGE
    failpoints.role("child")
    _leave_the_terminal()
    _quiet(job.log)
    emit = emitter(os.environ)
    try:
        fleet = _prepare(job)
        context, orders = Context(job.run, Store(), emit), Orders(lines)
        if job.lease:
            install(Fence([orders.check, partial(_leases_held, job, fleet)], job.lease))
        with context.store.alive(job.run):
            return _run(job, fleet, context, orders)
    except BlackstartError as error:
        _early_end(emit, error)
        return 0


def _run(job: Job, fleet: Fleet, context: Context, orders: Orders) -> int:
    conductor = Conductor(context.emit, lambda: _held(context.emit))
    threading.Thread(target=_listen, args=(orders, conductor), name="stdin", daemon=True).start()
    signal.signal(signal.SIGTERM, conductor.on_signal)
    try:
        if problems := [*unnamed_contexts(job.experiment), *refused(job.experiment)]:
            raise BlackstartError("; ".join(problems))
        conductor.conduct(job.experiment)
    except BaseException as error:
        # Whatever happened, what was broken is put back below.
        _early_end(context.emit, error)
        logging.getLogger("chaostoolkit").exception("the experiment ended early")
    signal.signal(signal.SIGTERM, _unheard)
    return _put_back(fleet, context)


def _put_back(fleet: Fleet, context: Context) -> int:
    contents = context.store.read(context.run)
    still_there(contents.outstanding, fleet, context)
    restore_all(contents.outstanding, fleet, context)
    after = context.store.read(context.run)
    return OUTSTANDING if after.outstanding or after.damaged else 0


def _early_end(emit: Emit, error: BaseException) -> None:
    text = f"{type(error).__name__}: {error}"
    emit(Activity(section="method", name="experiment", status="failed", injects=True, detail=text))


def _prepare(job: Job) -> Fleet:
    """The environment that activities see. Raises ContentError, FleetError."""
    if job.state:
        os.environ["BLACKSTART_STATE"] = str(job.state)
    fleet = load_fleet(job.fleet)
    # A context from outside would be used by an activity that names none.
    os.environ.pop("KUBERNETES_CONTEXT", None)
    os.environ.update(job.env)
    os.environ.update(environment(fleet, Store().state))
    os.environ["BLACKSTART_RUN"] = job.run
    if job.lease:
        os.environ["BLACKSTART_LEASE"] = str(job.lease)
    # The shipped experiments pause by this much under plain `chaos run`; here the hold comes after them.
    os.environ["BLACKSTART_STAY"] = "0"
    return fleet


def _leases_held(job: Job, fleet: Fleet, regions: Collection[str]) -> None:
    """Raises Lost when a Lease of the run in one of the regions was taken over, KubeError when that is not known."""
    for region, namespace in job.fenced:
        if region in regions:
            with Kube(fleet.regions[region].cluster) as kube:
                check_fence(kube, namespace, job.run)


def _listen(orders: Orders, conductor: Conductor) -> None:
    orders.wait()
    conductor.release()


def _held(emit: Emit) -> None:
    emit(Activity(section="method", name="hold", status="succeeded", detail="the method is done"))
    if isinstance(emit, Pipe):
        emit.write(HELD)
    failpoint("held")


def _leave_the_terminal() -> None:
    # Ctrl-C is for the supervisor. It may have given this process a session already.
    with contextlib.suppress(PermissionError):
        os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _unheard)


def _unheard(number: int, frame: FrameType | None) -> None:
    # Not SIG_IGN: a region that is started from here would inherit that.
    return None


def _quiet(log: Path | None) -> None:
    """Send Chaos Toolkit's log, and all that anybody prints, to a file (stderr without one)."""
    sys.stdout.flush()
    sys.stderr.flush()
    if log:
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(fd, 2)
        os.close(fd)
    os.dup2(2, 1)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)


if __name__ == "__main__":
    # Chaos Toolkit's activities must meet the same module as this process.
    from blackstart.run.child import main as entry

    sys.exit(entry())
