"""`kubernetes`: a field of an object, in each region's cluster."""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from typing import Any, Literal, Self

import urllib3
from kubernetes import client, config
from pydantic import Field, model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Cluster
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.errors import status_reason
from blackstart.probes.field import FieldPath, field
from blackstart.probes.threads import in_thread

RESOURCE = r"^([a-z0-9.-]+/)?v[0-9a-z]+/[a-z]+$"
_MAX_BODY = 8 << 20


class Spec(ProbeSpec):
    """Reads `field` of an object; key: the region.

    The object is `resource` (`v1/pods`, `apps/v1/deployments`), `namespace`
    and `name`, or the Deployment of `service` in each region. `regions` are
    roles; none means all. `absent` is what a missing field stands for:
    Kubernetes omits counters that are zero.
    """

    kind: Literal["kubernetes"] = "kubernetes"
    service: str | None = None
    resource: str | None = Field(default=None, pattern=RESOURCE)
    namespace: str | None = None
    name: str | None = None
    field: FieldPath
    absent: float | None = None
    regions: list[str] = []

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.service is None) == (self.resource is None):
            raise ValueError("needs either `service` or `resource` and `name`")
        if (self.resource is None) != (self.name is None):
            raise ValueError("`resource` and `name` go together")
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each region."""
    paths = {region: _path(spec, scope, region) for region in _regions(spec, scope)}
    return {region: _look(spec, scope.fleet.regions[region].cluster, path) for region, path in paths.items()}


def parts(spec: Spec, scope: Scope) -> list[Spec]:
    """One for each region."""
    return [spec.model_copy(update={"regions": [region]}) for region in _regions(spec, scope)]


def _regions(spec: Spec, scope: Scope) -> list[str]:
    regions = scope.regions(spec.regions)
    if spec.service is None or spec.regions:
        return regions
    return [region for region in regions if region in _service_workloads(spec.service, scope)]


def _service_workloads(role: str, scope: Scope) -> dict[str, Any]:
    name = scope.resolve(role)
    if name not in scope.fleet.services:
        raise NoData(Reason.MALFORMED, f"{name!r} is not a service of fleet {scope.fleet.fleet!r}")
    return dict(scope.fleet.services[name].workloads)


def _path(spec: Spec, scope: Scope, region: str) -> str:
    """The object's path in the API."""
    if spec.service is None:
        return object_path(spec.resource or "", spec.namespace, spec.name or "")
    workload = _service_workloads(spec.service, scope).get(region)
    if workload is None:
        raise NoData(Reason.MALFORMED, f"service {spec.service!r} has no workload in region {region!r}")
    return object_path("apps/v1/deployments", workload.namespace, workload.deployment)


def object_path(resource: str, namespace: str | None, name: str) -> str:
    """`/apis/apps/v1/namespaces/shop/deployments/web`."""
    version, plural = resource.rsplit("/", 1)
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{plural}/{name}" if namespace else f"{root}/{plural}/{name}"


async def _look(spec: Spec, cluster: Cluster, path: str) -> Value:
    document = await in_thread(lambda: get_object(cluster, path, spec.deadline))
    return Value(field(document, spec.field, spec.absent), age=0.0)


def get_object(cluster: Cluster, path: str, deadline: float) -> Any:
    """The JSON at an API path, asked once, within about `deadline` seconds; blocking. Raises NoData."""
    try:
        # The bare response: RESTResponse.read() would take the body whole, however long it is.
        with _client(cluster) as api, closing(_get(api, path, deadline).response) as response:
            return _document(path, response.status, response.read(_MAX_BODY + 1))
    except (config.ConfigException, urllib3.exceptions.LocationValueError) as error:
        raise NoData(Reason.MALFORMED, f"{cluster.kubeconfig}: {error}") from error
    except (client.ApiException, urllib3.exceptions.SSLError, ssl.SSLError) as error:
        raise NoData(Reason.MALFORMED, f"{path}: {error}") from error
    except urllib3.exceptions.NewConnectionError as error:
        raise NoData(Reason.REFUSED, str(error)) from error
    except urllib3.exceptions.TimeoutError as error:
        raise NoData(Reason.TIMEOUT, str(error)) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NoData(Reason.REFUSED, str(error)) from error


def _client(cluster: Cluster) -> Any:
    settings = client.Configuration()
    # The default is three attempts, each with the whole time limit.
    settings.retries = False
    load: Any = config.load_kube_config
    load(str(cluster.kubeconfig), cluster.context, settings, persist_config=False)
    return client.ApiClient(settings)


def _get(api: Any, path: str, deadline: float) -> Any:
    request = api.param_serialize("GET", path, auth_settings=["BearerToken"])
    return api.call_api(*request, _request_timeout=deadline)


def _document(path: str, status: int, body: bytes) -> Any:
    if status == 404:
        raise NoData(Reason.EMPTY, f"{path} is not there")
    if not 200 <= status < 300:
        raise NoData(status_reason(status), f"{path}: HTTP {status}")
    try:
        return json.loads(body[:_MAX_BODY])
    except ValueError as error:
        raise NoData(Reason.MALFORMED, f"{path}: {error}") from None
