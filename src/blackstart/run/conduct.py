"""A run on a real fleet: the supervisor with its real parts, shielded from signals until the report is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from blackstart.evidence import failpoints
from blackstart.evidence.promotions import Promotions
from blackstart.evidence.records import Body
from blackstart.evidence.undo import Store
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import check_fence, run_lease
from blackstart.fleet.model import Cluster, Fleet
from blackstart.fleet.objects import Ref
from blackstart.plan.forecast.live import forecasts
from blackstart.plan.locks import homes, lock_lease
from blackstart.plan.resolve import Plan
from blackstart.plan.touched import touched
from blackstart.plan.ward import Ward
from blackstart.plan.wards import wards
from blackstart.probes import read
from blackstart.procedures.base import Ask, Work, nobody
from blackstart.run.addresses import known_addresses
from blackstart.run.census import censuses
from blackstart.run.crossings import Tally
from blackstart.run.gateways import doors
from blackstart.run.header import make_header
from blackstart.run.ledger import ledger_of
from blackstart.run.looks import Look, Wrong
from blackstart.run.measuring import sample_from
from blackstart.run.parts import Outcome, Parts
from blackstart.run.preflight import outstanding, preflight_looks, slate_looks
from blackstart.run.shield import Shielding
from blackstart.run.stop import on_signals
from blackstart.run.streams import client_streams
from blackstart.run.supervisor import Supervisor
from blackstart.safety import watchdog
from blackstart.safety.cuts import Cuts, objects_changed
from blackstart.safety.lock import Lock
from blackstart.safety.protected import Protected
from blackstart.safety.recover import Recovery
from blackstart.safety.watched import Job, Tenure
from blackstart.schema.errors import BlackstartError

Display = AbstractContextManager[Callable[[float, Body], None]]


@dataclass(frozen=True)
class People:
    """Who does the manual steps of a procedure: a prompt, and the steps that were answered beforehand."""

    ask: Ask = nobody
    confirmed: frozenset[str] = frozenset()


async def conduct[R](
    plan: Plan,
    run_id: str,
    folder: Path,
    command: Sequence[str],
    now: datetime,
    display: Callable[[Supervisor], Display],
    finish: Callable[[Outcome], R],
    people: People,
) -> R:
    """Run a plan with its evidence in `folder`, which must exist; what `finish` makes of the outcome.

    `finish` runs while signals are still held off, so that a third Ctrl-C
    does not cost the report. Raises EvidenceError when `folder` cannot be
    written to, UndoError when the undo store cannot; nothing was injected then.
    """
    failpoints.role("supervisor")
    streams = client_streams(plan.drill.client, plan.fleet, plan.services)
    header = make_header(plan, run_id, [stream for stream, _ in streams.values()], command, now)
    parts = with_people(real_parts(plan, run_id, folder), people)
    supervisor = Supervisor(plan, header, streams, folder, parts)
    with parts.alive(), on_signals(supervisor.signalled):
        with display(supervisor) as listener:
            supervisor.listen(listener)
            outcome = await supervisor.run()
        return finish(outcome)


def with_people(parts: Parts, people: People) -> Parts:
    """The parts, with somebody to ask for manual steps."""
    work = parts.work and replace(parts.work, ask=people.ask, confirmed=people.confirmed)
    return replace(parts, work=work)


def real_parts(plan: Plan, run_id: str, folder: Path) -> Parts:
    """What a run on a fleet is made of."""
    store = Store()
    promotions = Promotions(store.state)
    guarded, looks = _guardians(plan)
    return Parts(
        sample=sample_from(plan.fleet.places),
        read=read,
        preflight={**preflight_looks(plan, folder, guarded), **looks},
        slate=slate_looks(plan.fleet, store),
        census=censuses(plan.fleet, plan.services),
        doors=doors(plan.fleet, plan.services),
        injector=[sys.executable, "-m", "blackstart.run.child"],
        job=_job(plan, run_id),
        recover=[sys.executable, "-m", "blackstart", "recover", "--run", run_id],
        outstanding=lambda: outstanding(store, run_id),
        latest=lambda: list(store.read(run_id).latest.values()),
        foretell=partial(forecasts, plan),
        alive=partial(store.alive, run_id),
        shielding=_shielding(plan, guarded, run_id, store),
        addresses=partial(known_addresses, plan.fleet),
        crossings=Tally(store, run_id, plan.fleet).read,
        work=Work(
            plan.fleet, run_id, folder.absolute(), promotions, undo=store, fence=partial(_held, plan, guarded, run_id)
        ),
        away=lambda: _away(promotions, plan.fleet),
        ledger=ledger_of(plan, run_id, folder),
    )


def _held(plan: Plan, guarded: Sequence[Ward], run: str, regions: Collection[str]) -> None:
    """Raises Lost when a Lease of the run in one of the regions was taken over, KubeError when that is not known."""
    for ward in guarded:
        if ward.region in regions:
            with Kube(plan.fleet.regions[ward.region].cluster) as kube:
                check_fence(kube, ward.namespace, run)


def _away(promotions: Promotions, fleet: Fleet) -> list[str]:
    found, damaged = promotions.read()
    told = [f"{each}; {each.advice}" for each in found if each.of(fleet)]
    return told + [f"{path} cannot be read: look at its store by hand" for path in damaged]


def _guardians(plan: Plan) -> tuple[list[Ward], dict[str, Look]]:
    """The guardians that the plan needs; where that cannot be known, a check of the preflight that says why."""
    try:
        return wards(plan.experiment, plan.fleet, plan.drill.procedure), {}
    except BlackstartError as error:
        why = str(error)

    def refuse() -> str:
        raise Wrong(why)

    return [], {"guardians": refuse}


def _shielding(plan: Plan, guarded: Sequence[Ward], run_id: str, store: Store) -> Shielding:
    lease, fleet = plan.drill.lease, plan.fleet
    regions, where = touched(plan.experiment, fleet, plan.victims, plan.drill.procedure), homes(fleet, plan.survivors)
    leases = [_tenure(home.cluster, lock_lease(home.namespace, region)) for home in where for region in regions]
    leases += [
        _tenure(fleet.regions[ward.region].cluster, run_lease(ward.namespace, run_id), nodes=bool(ward.nodes))
        for ward in guarded
    ]
    job = Job(
        run=run_id,
        state=store.state,
        fleet=fleet.source or Path(),
        ttl=lease,
        leases=leases,
    )
    lock = Lock(where, regions, run_id, lease)
    return Shielding(
        protection=Protected(lock, guarded, fleet, run_id, lease, partial(_recover, store, fleet.source)),
        watchdog=([sys.executable, "-m", watchdog.__name__], job),
        cuts=[Cuts(store, run_id, fleet, lease)],
        needed=partial(objects_changed, store, run_id),
    )


def _tenure(cluster: Cluster, ref: Ref, *, nodes: bool = False) -> Tenure:
    return Tenure(cluster=cluster, namespace=ref.namespace, name=ref.name, nodes=nodes)


def _recover(store: Store, fleet: Path | None, run: str) -> None:
    """Put back a run that died, here or on another machine. Raises BlackstartError."""
    said: list[str] = []
    # What a run of another machine left is known to the fleet alone.
    if not Recovery(store, said.append, lambda body: None, fleet).recover(run):
        raise BlackstartError("; ".join(said))


def _job(plan: Plan, run_id: str) -> dict[str, Any]:
    return {"experiment": plan.experiment, "run": run_id, "fleet": str(plan.fleet.source)}
