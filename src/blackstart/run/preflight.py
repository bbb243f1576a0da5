"""What must be true before anything is touched: every check says what is wrong and the next step."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from blackstart.evidence.promotions import Promotions
from blackstart.evidence.undo import Store
from blackstart.fleet import nft, power
from blackstart.fleet.headers import revealed
from blackstart.fleet.kube import Kube, WrongCluster
from blackstart.fleet.model import Cluster, Entry, Fleet, Place, Power, Region, Workload
from blackstart.fleet.places import inside
from blackstart.fleet.velero import metadata_key
from blackstart.fleet.web import Answer, BadAnswer, check_host, get, session
from blackstart.plan.permissions import needed, procedure_needs, restore_needs
from blackstart.plan.resolve import Plan
from blackstart.plan.rights import needed as needed_for_guardian
from blackstart.plan.rights import needed_for_nodes
from blackstart.plan.ward import Ward
from blackstart.probes.errors import why
from blackstart.probes.sampler import served_by
from blackstart.run.census import look_at_store
from blackstart.run.looks import Look, Wrong
from blackstart.safety.sweep import marks_at
from blackstart.schema.drill import Guard
from blackstart.schema.secret import SecretError

DISK_FREE = 200 * 1024 * 1024
"""Bytes that must be free for evidence and undo records."""

_ENTRY_DEADLINE = 3.0
_BUCKET_DEADLINE = 5.0


def preflight_looks(plan: Plan, out: Path, guarded: Sequence[Ward]) -> dict[str, Look]:
    """Every check of the preflight for a plan whose reports go below `out`, and its guardians, by name."""
    return {**dict(_preflight(plan, out)), **dict(_guardians(plan.fleet, guarded))}


def slate_looks(fleet: Fleet, store: Store) -> dict[str, Look]:
    """What must not be there before a drill, and not after it either: undo records, held objects, cut links."""
    looks: dict[str, Look] = {"undo": lambda: _nothing_outstanding(store)}
    for region in fleet.regions:
        looks[f"objects/{region}"] = _bind(_no_marks, fleet, region)
    for name, place in fleet.places.items():
        if place.netns is not None:
            looks[f"links/{name}"] = _bind(_no_tables, place)
    return looks


def outstanding(store: Store, run_id: str) -> list[str]:
    """Ids of the faults of a run that are not put back; a damaged record counts as one."""
    found = store.read(run_id)
    return [entry.undo.fault for entry in found.outstanding] + [f"damaged record {path}" for path in found.damaged]


def _preflight(plan: Plan, out: Path) -> Iterator[tuple[str, Look]]:
    fleet = plan.fleet
    yield "disk", _bind(_disk, out)
    for name, place in fleet.places.items():
        yield f"place/{name}", _bind(_place, name, place)
    for name, region in fleet.regions.items():
        yield f"identity/{name}", _bind(_identity, region.cluster)
        if region.power:
            yield f"power/{name}", _bind(_power, name, region.power)
    for service in dict.fromkeys(plan.services.values()):
        described = fleet.services[service]
        entries = {"entry": described.entry, **{f"entry/{r}": e for r, e in described.direct.items()}}
        for name, entry in entries.items():
            yield f"{name}/{service}", _bind(_entry, entry, fleet.places[entry.place])
        for name, workload in described.workloads.items():
            yield f"workload/{service}/{name}", _bind(_workload, fleet.regions[name].cluster, workload)
            if rights := needed(plan.experiment.get("method", []), fleet, name):
                look = _bind(_permission, fleet.regions[name], workload.namespace, rights)
                yield f"permission/{service}/{name}", look
        for name in described.stores:
            yield f"store/{name}", _bind(_store, fleet, name)
    for need in procedure_needs(plan):
        look = _bind(_permission, fleet.regions[need.cluster], need.namespace, need.rights)
        yield f"permission/procedure/{need.cluster}/{need.namespace}", look
    for need in restore_needs(plan):
        look = _bind(_permission, fleet.regions[need.cluster], need.namespace, need.rights)
        yield f"permission/restore/{need.cluster}/{need.namespace}", look
    if any(step.restore for step in plan.drill.procedure):
        yield "bucket", _bind(_bucket, fleet)
    for prefix in dict.fromkeys(s.restore.dump.prefix for s in plan.drill.procedure if s.restore and s.restore.dump):
        yield f"dumps/{prefix}", _bind(_dumps, fleet, prefix)
    for guard in plan.drill.guards:
        yield f"guard/{guard.watch}", _bind(_guard, guard, plan)


def _guardians(fleet: Fleet, guarded: Sequence[Ward]) -> Iterator[tuple[str, Look]]:
    for ward in guarded:
        region = fleet.regions[ward.region]
        yield f"permission/guardian/{ward}", _bind(_permission, region, ward.namespace, needed_for_guardian(ward))
        if ward.nodes:
            yield f"permission/guardian/{ward}/nodes", _bind(_permission, region, "", needed_for_nodes(ward))


def _bucket(fleet: Fleet) -> str:
    from blackstart.fleet import s3  # a third of a second, and most drills restore nothing

    s3.size(fleet, metadata_key("blackstart"), _BUCKET_DEADLINE)
    return "the bucket of the backups answers"


def _dumps(fleet: Fleet, prefix: str) -> str:
    from blackstart.fleet import s3  # as above

    if fleet.dumps is None:
        raise Wrong("the fleet has no `dumps`; say where hooks of backups write database dumps")
    return f"the bucket of the dumps answers: {len(s3.listing(fleet, fleet.dumps, prefix))} objects {prefix}*"


def _disk(out: Path) -> str:
    free = shutil.disk_usage(out).free
    if free < DISK_FREE:
        raise Wrong(f"{free >> 20} MiB free at {out}, {DISK_FREE >> 20} needed; free space or choose another --out")
    return f"{free >> 20} MiB free"


def _place(name: str, place: Place) -> str:
    try:
        with inside(place):
            return str(place.netns or "this machine")
    except OSError as error:
        raise Wrong(
            f"place {name!r}: cannot enter {place.netns}: {error.strerror}; is the fleet up, and are you root?"
        ) from error


def _identity(cluster: Cluster) -> str:
    with Kube(cluster) as kube:
        try:
            kube.verify_identity()
        except WrongCluster as error:
            raise Wrong(str(error)) from error
    return f"kube-system is {cluster.uid}"


def _power(region: str, switch: Power) -> str:
    if (found := power.state(switch)) != "up":
        raise Wrong(f"region {region!r} is {found!r}, not up; bring it back: {' '.join(switch.restore)}")
    return "up"


def _entry(entry: Entry, place: Place) -> str:
    # A loop of its own: the check runs in a thread, like all the others.
    try:
        answer = asyncio.run(_ask(entry, place))
    except OSError as error:
        raise Wrong(f"{entry.url} from {entry.place}: no answer: {why(error)}; is the service up?") from error
    except BadAnswer as error:
        raise Wrong(f"{entry.url} from {entry.place}: {error}; correct `url` in fleet.yaml") from error
    except (ValueError, SecretError) as error:
        raise Wrong(str(error)) from error
    if not answer.good:
        raise Wrong(f"{entry.url} from {entry.place}: HTTP {answer.status}; is the service healthy?")
    region = served_by(answer.body, entry.region_key)
    if region is None:
        raise Wrong(
            f"{entry.url} from {entry.place}: no text at {entry.region_key!r} in the answer says which region "
            "served it; correct `region_key` in fleet.yaml, or have the service say it"
        )
    return f"served by {region}"


async def _ask(entry: Entry, place: Place) -> Answer:
    check_host(entry.url, place)
    async with asyncio.timeout(_ENTRY_DEADLINE), session(place, keep=False) as client:
        return await get(client, entry.url, revealed(entry.headers))


def _workload(cluster: Cluster, workload: Workload) -> str:
    with Kube(cluster) as kube:
        found = kube.deployment(workload.namespace, workload.deployment)
    if found.replicas == 0:
        name = f"{workload.namespace}/{workload.deployment}"
        raise Wrong(
            f"deployment {name} in {cluster.context!r} is scaled to 0: there is nothing to break; scale it up"
        )
    return f"{found.replicas} replicas"


def _store(fleet: Fleet, name: str) -> str:
    found, record = look_at_store(fleet, name), Promotions().find(fleet, name)
    if record:
        raise Wrong(f"{record}, though it is in order now ({found}); run `blackstart recover`, which closes that")
    return found


def _permission(region: Region, namespace: str, needed: Sequence[tuple[str, str, str]]) -> str:
    with Kube(region.cluster) as kube:
        refused = [
            f"{verb} {resource} in {namespace or 'the whole cluster'}"
            for verb, resource, group in needed
            if not kube.can(verb, resource, namespace, group=group)
        ]
        # Its UID is the cluster's identity, looked at before every change.
        if not kube.can("get", "namespaces", "kube-system", name="kube-system"):
            refused.append("get the namespace kube-system")
    if refused:
        raise Wrong(
            f"cluster {region.cluster.context!r}: not allowed to {', '.join(refused)}; "
            "grant it to the user of the kubeconfig"
        )
    return ", ".join(f"{verb} {resource}" for verb, resource, _ in needed)


def _guard(guard: Guard, plan: Plan) -> str:
    services = [plan.fleet.services[name] for name in plan.services.values()]
    if guard.watch == "survivors" and not any(region in s.direct for s in services for region in plan.survivors):
        raise Wrong("no surviving region has a direct entry in fleet.yaml, so the guard sees nothing; add one")
    if guard.watch not in ("survivors", "clients") and guard.watch not in [probe.probe for probe in plan.probes]:
        raise Wrong(f"the guard watches {guard.watch!r}, which the drill does not probe; add it to `probes`")
    return "has something to watch"


def _nothing_outstanding(store: Store) -> str:
    found = store.read()
    left = [f"{e.undo.run}: {e.undo.kind} {e.undo.target} ({e.state.value})" for e in found.outstanding]
    left += [f"damaged record {path}" for path in found.damaged]
    if left:
        raise Wrong(f"an earlier drill left {'; '.join(left)}; run `blackstart recover`")
    return "nothing outstanding"


def _no_marks(fleet: Fleet, region: str) -> str:
    if found := marks_at(fleet, region):
        names = ", ".join(f"{mark.ref} (run {mark.run})" for mark in found)
        context = fleet.regions[region].cluster.context
        raise Wrong(f"cluster {context!r}: a drill still holds {names}; run `blackstart recover`")
    return "no object has a drill's label"


def _no_tables(place: Place) -> str:
    if found := nft.tables(place):
        raise Wrong(f"a drill left the nft tables {', '.join(found)} in {place.netns}; run `blackstart recover`")
    return "no cut"


def _bind[*A](call: Callable[[*A], str], *args: *A) -> Look:
    return lambda: call(*args)
