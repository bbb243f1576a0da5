"""Crashes a real drill at a named point, in a named way, and watches the fleet come back without help."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from labdrill import ROOT, end, kubectl

from blackstart.faults import observerparts
from blackstart.faults.marks import LABEL
from blackstart.faults.meshparts import ready_path
from blackstart.faults.paths import ask
from blackstart.fleet import nft
from blackstart.fleet.model import Fleet
from blackstart.fleet.places import open_socket
from blackstart.lab import commands, native
from blackstart.lab.parts import find_parts
from blackstart.lab.paths import LabPaths

TTL = 4.0
"""Seconds after which a run that says nothing counts as dead."""

BACK_WITHIN = 90.0
"""Seconds that a test waits. How long it really takes is the bench's business."""

EXPERIMENTS = {
    "scale": "service-failover",
    "delete-pods": "pods-deleted",
    "sever": "link-loss",
    "isolate": "region-isolation",
    "kill": "region-loss",
    "chaosk8s": "service-failover-chaosk8s",
    "cordon": "crash-cordon",
    "policy": "crash-policy",
    "service": "crash-service",
}

MESH_EXPERIMENTS = {
    "gateway-kill": "gateway-loss",
    "istiod-kill": "control-plane-loss",
    "blackhole-endpoints": "endpoint-blackhole",
    "block-remote-api": "remote-api-loss",
}
"""Those that need a mesh."""

ACTIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cordon": ("node", "cordon_node", {}),
    "policy": ("networking", "deny_all_egress", {"ns": "production"}),
    "service": ("service", "delete_service", {"ns": "production", "name": "user-service"}),
}
"""Experiments that are made here, of one action of chaosk8s each: module, function, arguments."""

FAULTS: dict[str, dict[str, Any]] = {
    "mesh-abort": {"service": "mesh", "region": "primary", "status": 418},
    "mesh-delay": {"service": "mesh", "region": "primary", "delay": 0.1},
    "drain-subset": {"service": "mesh", "region": "primary", "subset": "blue", "virtual_service": "split"},
}
OBSERVER_FAULTS: dict[str, dict[str, Any]] = {
    "kill-observer": {"region": "primary", "part": "sidecar"},
    "freeze-observer": {"region": "primary", "part": "prometheus"},
    "block-store-api": {"region": "primary"},
}
STORE_FAULTS = {name: {"store": "database", "region": "standby"} for name in ("stop-replication", "sever-store")}
_MADE = {**FAULTS, **OBSERVER_FAULTS, **STORE_FAULTS}
"""Experiments that are made here, of one fault of ours each: its arguments."""

_KINDS = "deployments,leases,jobs,serviceaccounts,roles,rolebindings,networkpolicies,services,configmaps"
_OF_A_MESH = ",virtualservices.networking.istio.io"
_TABLES = "tables at"
_CLUSTER_KINDS = "clusterroles,clusterrolebindings"
_NOBODY_LEFT = ("machine", "machine+guardian")
_MOVING = ("deployment.kubernetes.io/revision",)


@dataclass(frozen=True)
class Case:
    """`how`: kill or stop the process at the point; kill both it and its other half; kill everything (machine);
    kill everything and the guardian (machine+guardian); or leave it and break something around it: the management
    network (network), the region's API server (api), or the guardian (guardian)."""

    fault: str
    how: str
    role: str
    point: str

    def __str__(self) -> str:
        return f"{self.fault}-{self.how}-{self.role}-{self.point}"


@dataclass(frozen=True)
class Crashed:
    """How it went. seconds: from the crash until everything was as before; None: it did not come to that."""

    seconds: float | None
    differs: str
    output: str


def crash(case: Case, fleet: Fleet, paths: LabPaths, folder: Path) -> Crashed:
    """Run a drill, crash it, wait until the fleet is as before and every process of the run is gone."""
    # Where clients are while a region comes back is no state to go back to.
    assert wait(lambda: _home(fleet), 60.0), "the edge is not served by the first region"
    before = picture(fleet)
    mark, log = folder / "struck", folder / "run.log"
    action = "kill" if case.how == "kill" else "stop"
    env = {
        **os.environ,
        "BLACKSTART_FAILPOINT": f"{case.point}={action}",
        "BLACKSTART_FAILPOINT_ROLE": case.role,
        "BLACKSTART_FAILPOINT_LOG": str(mark),
        "BLACKSTART_STATE": str(folder / "state"),
    }
    argv = [sys.executable, "-m", "blackstart", "run", str(drill(case, folder)), "--out", str(folder / "out")]
    with log.open("wb") as out:
        runner = subprocess.Popen(
            [*argv, "--fleet", str(fleet.source)], cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait(lambda: bool(_struck(mark)) or runner.poll() is not None, 60.0)
        if not (line := _struck(mark)):
            return Crashed(None, f"{case.point} was never reached", log.read_text())
        crashed = time.monotonic()
        pid = int(line.split()[-1])
        with _happening(case, fleet, paths, pid, mark):
            # Where nobody is left, the next run releases the lock and removes the table of an expired cut.
            seconds, differs = _back(fleet, before, crashed, husks=case.how not in _NOBODY_LEFT)
        if case.how in _NOBODY_LEFT:
            _recover(fleet, env)
            _, differs = _back(fleet, before, crashed)
        if not wait(lambda: not members(mark), BACK_WITHIN):
            return Crashed(None, f"still running: {members(mark)}", log.read_text())
        # Whatever woke up late must not have broken it again.
        late, differs = _back(fleet, before, crashed)
        return Crashed(seconds if late is not None else None, differs, log.read_text())
    finally:
        for left in members(mark):
            os.kill(left, signal.SIGKILL)
        runner.wait(10)


def drill(case: Case, folder: Path) -> Path:
    """A drill as short as can be."""
    made = {fault: f"crash-{fault}" for fault in _MADE}
    name, service = {**EXPERIMENTS, **MESH_EXPERIMENTS, **made}[case.fault], _service(case)
    document = {
        "drill": "crash",
        "title": str(case),
        "experiment": name,
        "services": [service],
        "victims": [] if case.fault in ("sever", *STORE_FAULTS) else ["primary"],
        "lease": f"{TTL:g}s",
        "client": {"interval": "100ms", "timeout": "500ms"},
        "steady": {"success": "90%", "window": "1s"},
        "phases": {"baseline": "1s", "hold": "3s", "failback": "5s", "settle": "0s"},
        "objectives": [{"kind": "completeness", "service": service}],
        "guards": [],
    }
    if case.fault in ACTIONS:
        _write(folder / "experiments" / f"{name}.yaml", experiment(*ACTIONS[case.fault]))
    if case.fault in _MADE:
        _write(folder / "experiments" / f"{name}.yaml", _experiment_of_ours(case))
    return _write(folder / "drills" / "crash.yaml", document)


def experiment(module: str, func: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One action of chaosk8s in the primary region, and nothing else: what is left is put back without rollbacks."""
    provider = {"type": "python", "module": f"chaosk8s.{module}.actions", "func": func, "arguments": arguments}
    return {
        "title": f"{module} {func}",
        "description": "For the crash matrix.",
        "configuration": {
            "fleet": {"type": "env", "key": "BLACKSTART_FLEET", "default": ".blackstart/lab/fleet.yaml"}
        },
        "secrets": {"primary": {"KUBERNETES_CONTEXT": {"type": "env", "key": "BLACKSTART_CONTEXT_PRIMARY"}}},
        "controls": [
            {"name": "blackstart", "provider": {"type": "python", "module": "blackstart.activities.control"}}
        ],
        "method": [{"type": "action", "name": func, "provider": {**provider, "secrets": ["primary"]}}],
        "rollbacks": [],
    }


def _service(case: Case) -> str:
    if case.fault in STORE_FAULTS:
        return "orders"
    return "mesh" if case.fault in (*MESH_EXPERIMENTS, *FAULTS) else "frontend"


def _experiment_of_ours(case: Case) -> dict[str, Any]:
    def provider(func: str, **arguments: Any) -> dict[str, Any]:
        return {"type": "python", "module": "blackstart.activities.faults", "func": func, "arguments": arguments}

    provided = provider(case.fault.replace("-", "_"), **_MADE[case.fault])
    action = {"type": "action", "name": "break", "provider": provided}
    return {
        "title": str(case),
        "description": "For the crash matrix.",
        "configuration": {"fleet": {"type": "env", "key": "BLACKSTART_FLEET"}},
        "runtime": {"rollbacks": {"strategy": "always"}},
        "method": [action],
        "rollbacks": [{"type": "action", "name": "undo", "provider": provider("undo")}],
    }


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def members(mark: Path) -> list[int]:
    """Every living process of the run: they all inherited the name of the mark."""
    needle = f"BLACKSTART_FAILPOINT_LOG={mark}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if needle in environ.read_bytes().split(b"\0") and _state(environ.parent) not in "ZX":
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found


def picture(fleet: Fleet) -> dict[str, Any]:
    """Everything that a drill may change and must put back."""
    found: dict[str, Any] = {"edge": served_by(fleet)}
    for name, place in fleet.places.items():
        tables = nft.tables(place)
        found[f"cuts at {name}"] = [table for table in tables if nft.drops(place, table)]
        found[f"{_TABLES} {name}"] = tables
    for name, region in fleet.regions.items():
        kinds = _KINDS + (_OF_A_MESH if region.mesh else "")
        for part in ("istiod", "gateway") if region.mesh else ():
            answered = ask(fleet, ready_path(fleet, name, part))
            found[f"{name} {part}"] = answered and answered.status
        for part in get_args(observerparts.Name) if region.sidecar else ():
            answered = ask(fleet, observerparts.own_path(fleet, observerparts.Where(region=name, part=part)))
            found[f"{name} {part}"] = answered and answered.status
        for namespace in ("production", "default"):
            listed = json.loads(kubectl(region, "-n", namespace, "get", kinds, "-o", "json", "--request-timeout=3s"))
            found |= {f"{name} {key}": value for key, value in map(_told, listed["items"])}
        listed = json.loads(kubectl(region, "get", _CLUSTER_KINDS, "-l", LABEL, "-o", "json", "--request-timeout=3s"))
        found |= {f"{name} {item['kind']} {item['metadata']['name']}": True for item in listed["items"]}
        nodes = json.loads(kubectl(region, "get", "nodes", "-o", "json", "--request-timeout=3s"))["items"]
        found[f"{name} nodes"] = [(n["spec"].get("unschedulable"), n["metadata"]["labels"]) for n in nodes]
    return found


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What is not as before, a line each."""
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return "\n".join(f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys)


def _bare(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if "blackstart-lock-" not in k and not k.startswith(_TABLES)}


def _told(item: dict[str, Any]) -> tuple[str, Any]:
    meta = item["metadata"]
    key = f"{item['kind']} {meta['namespace']}/{meta['name']}"
    annotations = {k: v for k, v in meta.get("annotations", {}).items() if k not in _MOVING}
    if item["kind"] == "Service":
        return key, item["spec"]
    if item["kind"] == "VirtualService":
        return key, (item["spec"], meta.get("labels", {}), annotations)
    if item["kind"] != "Deployment":
        return key, True
    status = item.get("status", {})
    return key, (item["spec"]["replicas"], status.get("availableReplicas"), meta.get("labels", {}), annotations)


@contextmanager
def _happening(case: Case, fleet: Fleet, paths: LabPaths, pid: int, mark: Path) -> Iterator[None]:
    """What the case does at its point, and what ends by itself later."""
    if case.how == "kill":
        yield
    elif case.how == "stop":
        time.sleep(TTL + 3)
        _signal(pid, signal.SIGCONT)
        yield
    elif case.how in ("both", *_NOBODY_LEFT):
        if "guardian" in case.how:
            kill_guardians()
        for member in members(mark):
            if case.how != "both" or b"blackstart.safety.watchdog" not in _command(member):
                _signal(member, signal.SIGKILL)
        yield
    elif case.how == "guardian":
        kill_guardians()
        _signal(pid, signal.SIGCONT)
        yield
    elif case.how == "network":
        # The operator is cut off from the region; the runner lives.
        with operator_cut_off(fleet, "us"):
            _signal(pid, signal.SIGCONT)
            time.sleep(TTL + 8)
        yield
    elif case.how == "api":
        us = native.load(paths).region("us")
        end(us.processes.all()["kube-apiserver"].pid)
        _signal(pid, signal.SIGCONT)
        us.processes.start(commands.api_server(find_parts(), us.files, us.net))
        yield
    else:
        raise AssertionError(case.how)


def kill_guardians() -> None:
    """Kill the processes of the guardians; the kubelets start them again."""
    found = [int(p.name) for p in Path("/proc").glob("[0-9]*") if b"\0guardian\0--run\0" in _command(int(p.name))]
    assert found, "there is no guardian"
    for pid in found:
        _signal(pid, signal.SIGKILL)


@contextmanager
def operator_cut_off(fleet: Fleet, region: str) -> Iterator[None]:
    """Nothing reaches the region over the management network; its own inside works."""
    enter = ["nsenter", f"--net={fleet.places[region].netns}", "nft"]
    rules = (
        "table inet bs_test_cut {\n  chain drop_in {\n    type filter hook prerouting priority -400;\n"
        '    iifname "mgmt0" drop\n  }\n}\n'
    )
    subprocess.run([*enter, "-f", "-"], input=rules.encode(), check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run([*enter, "delete", "table", "inet", "bs_test_cut"], check=True, timeout=10)


def _back(fleet: Fleet, before: dict[str, Any], since: float, *, husks: bool = True) -> tuple[float | None, str]:
    """husks: whether locks, and tables that no longer drop anything, must be gone as well."""
    end, differs = time.monotonic() + BACK_WITHIN, "never looked"
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            differs = difference(*(found if husks else _bare(found) for found in (before, picture(fleet))))
        except (AssertionError, OSError, ValueError, KeyError, http.client.HTTPException) as error:
            differs = str(error)
        if not differs:
            return began - since, ""
        time.sleep(0.2)
    return None, differs


def _recover(fleet: Fleet, env: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "blackstart", "recover", "--all", "--fleet", str(fleet.source)]
    clean = {key: value for key, value in env.items() if not key.startswith("BLACKSTART_FAILPOINT")}
    done = subprocess.run(argv, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def served_by(fleet: Fleet) -> str:
    """The region that answers at the edge."""
    entry = fleet.services["user-service"].entry
    host, _, port = entry.url.split("/")[2].partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=1.0)
    connection.sock = open_socket(fleet.places[entry.place])
    try:
        connection.sock.settimeout(1.0)
        connection.sock.connect((host, int(port)))
        connection.request("GET", "/")
        return str(json.loads(connection.getresponse().read())["region"])
    finally:
        connection.close()


def _home(fleet: Fleet) -> bool:
    try:
        return served_by(fleet) == next(iter(fleet.regions))
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False


def wait(done: Callable[[], bool], seconds: float) -> bool:
    """Look until it is so; whether it is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.05)
    return done()


def _struck(mark: Path) -> str:
    """The line of the process that struck; "" until all of it is there: the file is made before it is written."""
    line = mark.read_text() if mark.exists() else ""
    return line if line.endswith("\n") else ""


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _state(process: Path) -> str:
    return (process / "stat").read_text().rpartition(")")[2].split()[0]
