"""Probes for the hypothesis of an experiment. One look each, no retries; the measuring is done elsewhere."""

# Not `from __future__ import annotations`: `chaos discover` reads the types of arguments.

import os

import yaml
from chaoslib.exceptions import ActivityFailed
from chaoslib.types import Configuration, Secrets

from blackstart.activities.session import fleet_of
from blackstart.faults import roles
from blackstart.faults.clusters import open_kube
from blackstart.faults.paths import answers, path_of
from blackstart.fleet.headers import revealed
from blackstart.schema.errors import BlackstartError

__all__ = ["context_is_pinned", "service_answers", "workload_ready"]


def service_answers(service: str, configuration: Configuration = None, secrets: Secrets = None) -> bool:
    """Whether a service answers at the entry where its clients come in."""
    try:
        fleet = fleet_of(configuration)
        name = roles.service(fleet, service)
        entry = fleet.services[name].entry
        path = path_of(entry, f"services.{name}.entry")
        return answers(fleet, path, entry.timeout, revealed(entry.headers))
    except BlackstartError as error:
        raise ActivityFailed(str(error)) from error


def workload_ready(service: str, region: str, configuration: Configuration = None, secrets: Secrets = None) -> bool:
    """Whether every replica of a service in a region is up to date and available."""
    try:
        fleet = fleet_of(configuration)
        name = roles.region(fleet, region)
        workload = roles.workload(fleet, roles.service(fleet, service), name)
        with open_kube(fleet, name) as kube:
            found = kube.deployment(workload.namespace, workload.deployment)
    except BlackstartError as error:
        raise ActivityFailed(str(error)) from error
    return found.settled and found.replicas > 0


def context_is_pinned(region: str, configuration: Configuration = None, secrets: Secrets = None) -> bool:
    """Whether the KUBERNETES_CONTEXT in `secrets` leads to the cluster that fleet.yaml pins for a region.

    For experiments that use other Kubernetes extensions: put it first.
    """
    context = (secrets or {}).get("KUBERNETES_CONTEXT")
    try:
        fleet = fleet_of(configuration)
        name = roles.region(fleet, region)
        cluster = fleet.regions[name].cluster
        if context != cluster.context:
            raise ActivityFailed(f"the context is {context!r}, but {region} ({name}) is {cluster.context!r}")
        with open_kube(fleet, name):
            return _server(os.environ.get("KUBECONFIG", ""), context) == _server(str(cluster.kubeconfig), context)
    except (BlackstartError, OSError, yaml.YAMLError, LookupError) as error:
        raise ActivityFailed(str(error)) from error


def _server(kubeconfig: str, context: str) -> str:
    """Where a context of a kubeconfig leads."""
    with open(kubeconfig) as file:
        config = yaml.safe_load(file)
    cluster = {c["name"]: c["context"]["cluster"] for c in config["contexts"]}[context]
    server: str = {c["name"]: c["cluster"]["server"] for c in config["clusters"]}[cluster]
    return server
