"""`chaos`: any Chaos Toolkit probe, such as one of chaosk8s, under a deadline that holds.

Chaos Toolkit gives Python activities no deadline and falls back to the current
kube context. So the probe runs in a process of its own, which is killed with
all its children when the time is up, and sees no cluster but the named one.
Loading Chaos Toolkit takes about a second: leave `deadline` room for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from blackstart.evidence.records import Reason
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.field import FieldPath, field, number
from blackstart.schema.base import Seconds

_LAST_WORDS = 2.0
"""Seconds for what a killed process had written, unless somebody who got away keeps its pipe open."""

_MAX_OUTPUT = 1 << 20
_NEEDS_CLUSTER = ("chaosk8s", "chaosistio")


class Spec(ProbeSpec):
    """Runs `provider`, as an experiment writes it.

    Value: the field at `field` of its output (1 and 0 for true and false), or
    whether the output is within Chaos Toolkit's `tolerance`. With `regions`
    (roles) it runs once for each, with that region's cluster as
    KUBERNETES_CONTEXT; providers of Kubernetes must name them.
    """

    kind: Literal["chaos"] = "chaos"
    provider: dict[str, Any]
    field: FieldPath | None = None
    tolerance: Any = None
    regions: list[str] = []
    every: Seconds = Field(default=5.0, gt=0)
    deadline: Seconds = Field(default=10.0, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.provider.get("type") not in ("python", "process", "http"):
            raise ValueError("`provider` needs a `type`: python, process or http")
        if self.field is not None and self.tolerance is not None:
            raise ValueError("needs either `field` or `tolerance`")
        module = str(self.provider.get("module", ""))
        if module.split(".")[0] in _NEEDS_CLUSTER and not self.regions:
            raise ValueError(f"{module} would ask the current kube context; name the `regions` that it is about")
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look, or one for each region."""
    if not spec.regions:
        return {"": _look(spec, {"KUBECONFIG": os.devnull})}
    clusters = {region: scope.fleet.regions[region].cluster for region in scope.regions(spec.regions)}
    return {
        region: _look(spec, {"KUBECONFIG": str(cluster.kubeconfig), "KUBERNETES_CONTEXT": cluster.context})
        for region, cluster in clusters.items()
    }


async def _look(spec: Spec, environment: dict[str, str]) -> Value:
    request = {
        "activity": {"type": "probe", "name": spec.probe, "provider": spec.provider, "tolerance": spec.tolerance},
        "deadline": spec.deadline,
    }
    outcome = await _run(json.dumps(request).encode(), {**os.environ, **environment})
    if "error" in outcome:
        raise NoData(Reason.REFUSED, str(outcome["error"]))
    if spec.tolerance is not None:
        return Value(float(outcome["tolerated"]), age=0.0)
    if spec.field is not None:
        return Value(field(outcome["output"], spec.field), age=0.0)
    return Value(number(outcome["output"], "the output"), age=0.0)


async def _run(request: bytes, environment: dict[str, str]) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "blackstart.probes.chaos_child"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        out = await _talk(child, request)
        await child.wait()
    finally:
        # Also when the child has ended: what it started may not have.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await _end(child)
    try:
        outcome = json.loads(out)
    except ValueError:
        outcome = None
    if not isinstance(outcome, dict):
        raise NoData(Reason.MALFORMED, f"the probe's process ended with exit code {child.returncode} and no outcome")
    return outcome


async def _talk(child: asyncio.subprocess.Process, request: bytes) -> bytes:
    assert child.stdin is not None  # noqa: S101 - it was asked for
    assert child.stdout is not None  # noqa: S101 - it was asked for
    child.stdin.write(request)
    child.stdin.close()
    out = b""
    while part := await child.stdout.read(1 << 16):
        out += part
        if len(out) > _MAX_OUTPUT:
            raise NoData(Reason.MALFORMED, f"the output is longer than {_MAX_OUTPUT} bytes")
    return out


async def _end(child: asyncio.subprocess.Process) -> None:
    """Wait for a process that was killed.

    asyncio takes it for ended only once its pipe is, and never gets to the
    end of a pipe of which it has read more than anybody wanted.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            while child.stdout and await child.stdout.read(1 << 16):
                pass
            await child.wait()
