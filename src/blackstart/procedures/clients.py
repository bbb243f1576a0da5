"""Tells clients where the primary is: the ConfigMap that fleet.yaml names, in every member's cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.model import Cluster, Fleet
from blackstart.fleet.objects import Ref
from blackstart.fleet.stores import Address, Store
from blackstart.procedures.base import StepError
from blackstart.schema.errors import BlackstartError

CONFIG_MAPS = "v1/configmaps"

_TRIES = 5


class Taken(StepError):  # noqa: N818 - a state of the world, not a mistake
    """Someone else wrote another address; it is left alone."""


Knocks = Mapping[str, Future[KubeError | None]]
"""Region -> how its cluster was silent when it was asked; None: it answered something."""


@contextmanager
def knocking(fleet: Fleet, store: Store) -> Iterator[Knocks]:
    """Ask every cluster of a store who it is, while the block goes on: a dead one has had its time by then."""
    clusters = {region: fleet.regions[region].cluster for region in store.members} if store.clients else {}
    with ThreadPoolExecutor(max_workers=max(1, len(clusters))) as pool:
        yield {region: pool.submit(_knock, cluster) for region, cluster in clusters.items()}


def _knock(cluster: Cluster) -> KubeError | None:
    try:
        with Kube(cluster) as kube:
            kube.verify_identity()
    except KubeError as error:
        return error if error.status is None else None
    except BlackstartError:
        return None  # Whoever writes there is told.
    return None


def point(fleet: Fleet, store: Store, address: str, knocks: Knocks | None = None) -> str:
    """Write the address everywhere, all clusters at once; who was told, and who was not.

    A cluster that does not answer, or did not answer to `knocks`, is only told
    about: its turn comes with the next step. Raises StepError when somebody
    else wrote another address, or nobody could be told.
    """
    if (where := store.clients) is None:
        return "clients were not told: the store has no `clients` in fleet.yaml"
    known = [member.client_address for member in store.members.values()]
    with ThreadPoolExecutor(max_workers=len(store.members)) as pool:
        clusters = {region: fleet.regions[region].cluster for region in store.members}
        knocked = knocks or {}
        jobs = {
            r: pool.submit(_outcome, cluster, where, address, known, knocked.get(r))
            for r, cluster in clusters.items()
        }
        found = {region: job.result() for region, job in jobs.items()}
    taken = [str(error) for error in found.values() if isinstance(error, Taken)]
    away = [f"{region} ({error})" for region, error in found.items() if error and not isinstance(error, Taken)]
    told = [region for region, error in found.items() if error is None]
    said = f"clients told in {', '.join(told) or 'no region'}" + (f"; not told: {'; '.join(away)}" if away else "")
    if taken or not told:
        raise StepError("; ".join([*taken, said]))
    return said


def _outcome(
    cluster: Cluster,
    where: Address,
    address: str,
    known: Sequence[str],
    knock: Future[KubeError | None] | None,
) -> BlackstartError | None:
    if knock and (silent := knock.result()):
        return silent
    try:
        _write(cluster, where, address, known)
    except BlackstartError as error:
        return error
    return None


def _write(cluster: Cluster, where: Address, address: str, known: Sequence[str]) -> None:
    ref = Ref(CONFIG_MAPS, where.namespace, where.configmap)
    with Kube(cluster) as kube:
        kube.verify_identity()
        for left in reversed(range(_TRIES)):
            found = kube.get(ref)
            value = (found.get("data") or {}).get(where.key)
            if value == address:
                return
            if value not in (None, *known):
                raise Taken(
                    f"cluster {cluster.context!r}: {ref} has {where.key}={value!r}, which is no server of the store; "
                    f"it is left alone; set it to {address} if that is right"
                )
            version = found["metadata"]["resourceVersion"]
            try:
                kube.patch(ref, {"metadata": {"resourceVersion": version}, "data": {where.key: address}})
            except KubeError as error:
                if error.status != 409 or not left:
                    raise
            else:
                return
