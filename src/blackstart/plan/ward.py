"""What one guardian looks after, and what it must be allowed to do for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blackstart.faults.marks import slip_of
from blackstart.faults.restored import KIND as RESTORED
from blackstart.fleet.clusterroles import run_role
from blackstart.fleet.lease import run_lease
from blackstart.fleet.objects import CLUSTERED, Ref
from blackstart.fleet.velero import restore_ref

_POLICIES = "networking.k8s.io/v1/networkpolicies"


@dataclass(frozen=True)
class Charge:
    """An object that a drill changes, and what putting it back takes: verbs of the API."""

    ref: Ref
    verbs: tuple[str, ...] = ("get", "patch")


@dataclass(frozen=True)
class Ward:
    """What one guardian looks after: the objects of one namespace that faults of a plan change, and nodes.

    slips: the faults (`foreign-create-1`) whose record is on a slip there.
    """

    region: str
    namespace: str
    charges: tuple[Charge, ...]
    slips: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.region}/{self.namespace}"

    @property
    def nodes(self) -> tuple[Ref, ...]:
        """The objects that are in no namespace: nodes, namespaces."""
        return tuple(charge.ref for charge in self.charges if not charge.ref.namespace)

    @property
    def shut_in(self) -> bool:
        """Whether a policy that the drill makes or deletes may keep the guardian from the API server."""
        return any(charge.ref.resource == _POLICIES for charge in self.charges)

    def slip_refs(self, run: str) -> tuple[Ref, ...]:
        """The slips of the faults, in a run."""
        return tuple(slip_of(f"{run}/{fault}", self.namespace) for fault in self.slips)

    def bearers(self, run: str) -> tuple[Ref, ...]:
        """Every object that may come to carry the run's label and an undo record."""
        changed = (charge.ref for charge in self.charges if "patch" in charge.verbs)
        return (*changed, *self.slip_refs(run))

    def options(self) -> list[str]:
        """As options of `blackstart guardian`."""
        charges = [f"{charge.ref.resource}/{charge.ref.name}={','.join(charge.verbs)}" for charge in self.charges]
        targets = [option for charge in charges for option in ("--target", charge)]
        return ["--region", self.region, *targets, *(o for slip in self.slips for o in ("--slip", slip))]


def ward_of(region: str, namespace: str, targets: Iterable[str], slips: Iterable[str]) -> Ward:
    """What `Ward.options` says. Raises ValueError."""
    return Ward(region, namespace, tuple(_charge(target, namespace) for target in targets), tuple(slips))


def _charge(text: str, namespace: str) -> Charge:
    what, equals, verbs = text.partition("=")
    resource, _, name = what.rpartition("/")
    if not (resource and name and equals and verbs):
        raise ValueError(f"{text!r} is not API/NAME=VERBS, such as apps/v1/deployments/web=get,patch")
    return Charge(Ref(resource, "" if resource in CLUSTERED else namespace, name), tuple(verbs.split(",")))


def grants(ward: Ward, run: str) -> list[Charge]:
    """All that the guardian may do: its own Lease, Events, the very objects that the plan names, their slips.

    Kubernetes cannot restrict `create` to names: the name is empty there.
    """
    own = ("get", "patch", "delete")
    found = {run_lease(ward.namespace, run): own, Ref("v1/events", ward.namespace, ""): ("create",)}
    for charge in ward.charges:
        found[charge.ref] = tuple(verb for verb in charge.verbs if verb != "create")
        if "create" in charge.verbs:
            found[Ref(charge.ref.resource, ward.namespace, "")] = ("create",)
    slips = ward.slip_refs(run)
    found |= dict.fromkeys(slips, own)
    # The Restore of a step is named like its slip.
    restores = [ref for ref, fault in zip(slips, ward.slips, strict=True) if fault.startswith(f"{RESTORED}-")]
    found |= {restore_ref(ref.namespace, ref.name): own for ref in restores}
    if ward.nodes:
        found[run_role(run)] = ("delete",)
    return [Charge(ref, verbs) for ref, verbs in found.items()]
