"""A guardian as the operator sees it: started with its Lease, renewed, ended."""

from __future__ import annotations

import time

from pydantic import ValidationError

from blackstart.evidence.failpoints import failpoint
from blackstart.fleet import lease as leases
from blackstart.fleet.clusterroles import discard, run_role
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import RUN_LABEL, Lost
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object, Ref, ref_of
from blackstart.plan.guardians import LABELS, RBAC, cluster_role, manifests
from blackstart.plan.ward import Ward
from blackstart.safety.guardian import STATE, Beat
from blackstart.schema.errors import BlackstartError

START = 60.0
"""Seconds in which a guardian must say that it is alive: its image may have to be pulled."""

END = 20.0
"""Seconds in which everything of a guardian must be gone once its Lease is."""

RESCUE = 150.0
"""As END, when the guardian has taken over and puts things back first."""

_LOOK = 0.25
_SELECTOR = f"app.kubernetes.io/name={LABELS['app.kubernetes.io/name']},{RUN_LABEL}="


class GuardianError(BlackstartError):
    """A guardian did not start, or something of it is still there."""


class Guarded:
    """A ward with its Lease and its guardian; renewable.

    ttl: seconds without a renewal after which the guardian takes over. Raises
    GuardianError when the fleet has no image for guardians, KubeError when
    its kubeconfig is of no use.
    """

    def __init__(self, ward: Ward, fleet: Fleet, run: str, ttl: float) -> None:
        if fleet.guardian is None:
            raise GuardianError(
                f"fleet {fleet.fleet!r} has no `guardian.image`, and this drill changes objects in {ward}; "
                "see `blackstart guardian-image`"
            )
        self.ward, self.region, self.name = ward, ward.region, f"the Lease of {ward}"
        self._run, self._ttl = run, ttl
        self._cluster, self._image = fleet.regions[ward.region].cluster, fleet.guardian.image
        self._ref = leases.run_lease(ward.namespace, run)
        self._refs = [self._ref]
        self._kube = Kube(self._cluster)

    def start(self, deadline: float) -> str:
        """Take the Lease, start the guardian, and wait until it says that it is alive and allowed to do its work.

        Raises GuardianError, KubeError; `end` clears what was made.
        """
        self._kube.verify_identity()
        # The Lease first: by it others know that the run is alive.
        lease = leases.create(self._kube, self._ref, self._run, self._ttl)
        owner = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": lease.ref.name, "uid": lease.uid}
        if self.ward.nodes:
            role = self._create(cluster_role(self.ward, self._run))["metadata"]
            failpoint("clusterrole.after")
            owner = {"apiVersion": RBAC, "kind": "ClusterRole", "name": role["name"], "uid": role["uid"]}
        for manifest in manifests(self.ward, owner, self._run, self._cluster.uid, self._image):
            self._create(manifest)
        began = renewed = time.monotonic()
        beat, trouble = None, ""
        while (now := time.monotonic()) < began + deadline:
            try:
                beat, trouble = self.beat(), ""
                if beat and beat.state == "watching":
                    return f"guardian of {self.ward} alive after {now - began:.1f} s"
                if now - renewed > self._ttl / 5:
                    self.renew()
                    renewed = now
            except Lost:
                raise
            except KubeError as error:
                # An API server that is busy may answer the next time.
                trouble = str(error)
            time.sleep(_LOOK)
        raise GuardianError(f"guardian of {self.ward}: not alive after {deadline:g} s: {trouble or self._why(beat)}")

    def beat(self) -> Beat | None:
        """The guardian's last sign of life, None before the first. Raises Lost, KubeError."""
        lease = leases.held(self._kube, self._ref, self._run)
        try:
            return Beat.model_validate_json(lease.annotations.get(STATE, ""))
        except ValidationError:
            return None

    def renew(self) -> None:
        """Keep the guardian from taking over. Raises Lost, KubeError."""
        leases.renew(self._kube, leases.held(self._kube, self._ref, self._run))

    def end(self) -> list[str]:
        """Delete the Lease, and the ClusterRole where there is one, and wait until everything is gone.

        Returns what the guardian did if it had taken over: it finishes its
        work first then. Raises GuardianError, KubeError.
        """
        began, patience = time.monotonic(), END
        left = [str(self._ref)]
        trouble = ""
        while left and time.monotonic() < began + patience:
            try:
                if leases.release(self._kube, self._ref, self._run):
                    patience = RESCUE
                elif self.ward.nodes:
                    failpoint("lease.released")
                    discard(self._kube, run_role(self._run))
                left = self._left()
                trouble = ""
            except KubeError as error:
                trouble = str(error)
            if left:
                time.sleep(_LOOK)
        if left:
            raise GuardianError(f"guardian of {self.ward}: still there: {trouble or ', '.join(left)}")
        try:
            return self.reports()
        finally:
            self._kube.close()

    def reports(self) -> list[str]:
        """What guardians of this run wrote about this namespace. Raises KubeError."""
        events = self._kube.select("v1/events", self.ward.namespace, f"{RUN_LABEL}={self._run}")
        return [str(event.get("message", "")) for event in events]

    def _create(self, manifest: Object) -> Object:
        self._refs.append(ref_of(manifest))
        return self._kube.create(self._refs[-1], manifest)

    def _left(self) -> list[str]:
        left = [str(ref) for ref in self._refs if self._kube.find(ref) is not None]
        return left + [str(Ref("v1/pods", self.ward.namespace, p["metadata"]["name"])) for p in self._pods()]

    def _pods(self) -> list[Object]:
        return self._kube.select("v1/pods", self.ward.namespace, f"{_SELECTOR}{self._run}")

    def _why(self, beat: Beat | None) -> str:
        """Why it is not alive, as far as the cluster says."""
        if beat and beat.said:
            return ", ".join(beat.said)
        return "; ".join(_trouble(pod) for pod in self._pods()) or f"no pod was made for job {self._ref.name}"


def _trouble(pod: Object) -> str:
    status = pod.get("status") or {}
    waiting = [(c.get("state") or {}).get("waiting") or {} for c in status.get("containerStatuses") or []]
    unready = [c for c in status.get("conditions") or [] if c.get("status") != "True"]
    reasons = [f"{w.get('reason')}: {w.get('message', '')}" for w in waiting if w]
    reasons += [f"{c.get('type')}: {c.get('reason', '')} {c.get('message', '')}".strip() for c in unready]
    return f"its pod is {status.get('phase')}: {reasons[0] if reasons else 'no reason given'}"
