import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from faultkit import APP, RUN, Bench, bench

from blackstart.cli import cli
from blackstart.faults.inject import inject
from blackstart.faults.marks import LABEL
from blackstart.faults.scale import FAULT


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BLACKSTART_FLEET", str(tmp_path / "fleet.yaml"))
    with bench(tmp_path) as found:
        yield found


def broken(here: Bench) -> None:
    inject(FAULT, here.fleet, {"service": "frontend", "region": "primary"}, here.context())


def status(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["status", *options], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.return_value, result.output


def plain(code: int) -> dict[str, Any]:
    found, text = status("-o", "json")
    assert found == code, text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def leave(here: Bench, path: str, **content: Any) -> None:
    namespace, name = path.split("/")[-3], path.split("/")[-1]
    meta = {"name": name, "namespace": namespace, "uid": "u", "resourceVersion": "1", "labels": {LABEL: RUN}}
    here.api.objects[path] = {"metadata": meta, **content}


def test_nothing_goes_on(here: Bench) -> None:
    assert status() == (
        0,
        "Runs: none\nLocks: none\nLeases of runs: none\nOutstanding undo: none\n"
        "Guardians: none\nCluster roles: none\nCut links: none\nStores away from home: none\n",
    )


def test_a_run_that_goes_on(here: Bench) -> None:
    broken(here)
    with here.store.alive(RUN):
        found = plain(0)
        assert found["runs"] == [{"run": RUN, "alive": True, "outstanding": 1}]
        assert found["outstanding"][0]["owned"] is True
        assert not found["ownerless"]


def test_what_a_dead_run_left(here: Bench) -> None:
    broken(here)
    found = plain(14)
    assert found["runs"] == [{"run": RUN, "alive": False, "outstanding": 1}]
    (fault,) = found["outstanding"]
    assert (fault["fault"], fault["state"], fault["where"]) == ("scale-1", "confirmed", "undo store")
    code, text = status()
    assert code == 14
    assert "see `blackstart recover --dry-run`" in text
    assert here.replicas == 0


def test_what_only_a_label_tells(here: Bench) -> None:
    broken(here)
    shutil.rmtree(here.folder / "state")
    (fault,) = plain(14)["outstanding"]
    assert fault["where"] == f"us: deployment production/{APP}"
    assert (fault["run"], fault["fault"], fault["state"]) == (RUN, "scale-1", "labelled")


def test_locks_leases_and_guardians(here: Bench) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/production/leases"
    spec = {"holderIdentity": RUN, "leaseDurationSeconds": 1, "renewTime": "then"}
    leave(here, f"{leases}/blackstart-lock-us", spec=spec)
    leave(here, f"{leases}/blackstart-abc", spec=spec)
    leave(here, "/apis/batch/v1/namespaces/production/jobs/blackstart-abc", status={"active": 1})
    found = plain(0)
    assert [lock["name"] for lock in found["locks"]] == ["blackstart-lock-us"]
    assert [lease["name"] for lease in found["leases"]] == ["blackstart-abc"]
    assert found["guardians"] == [{"cluster": "us", "name": "blackstart-abc", "run": RUN, "active": True}]
    assert found["locks"][0]["held"] is False


def test_a_cluster_that_is_away_is_told(here: Bench) -> None:
    here.api.fail = lambda method, path: (503, "starting")
    assert "HTTP 503 starting" in plain(14)["away"]["us"]
    assert "not known: us" in status()[1]


def test_a_damaged_record(here: Bench) -> None:
    folder = here.store.folder(RUN)
    folder.mkdir(parents=True)
    (folder / "x-1.0.armed.json").write_text("{")
    assert plain(14)["damaged"]


def test_without_permission_to_list_everywhere_the_fleets_namespaces_are_looked_at(here: Bench) -> None:
    broken(here)
    shutil.rmtree(here.folder / "state")
    here.api.fail = lambda method, path: (403, "no") if "/namespaces/" not in path else None
    assert plain(14)["outstanding"][0]["fault"] == "scale-1"


def test_a_cluster_role_that_nobody_alive_owns_is_left(here: Bench) -> None:
    meta = {"name": "blackstart-abc", "uid": "u", "resourceVersion": "1", "labels": {LABEL: RUN}}
    here.api.objects["/apis/rbac.authorization.k8s.io/v1/clusterroles/blackstart-abc"] = {"metadata": meta}
    assert plain(14)["roles"] == [{"cluster": "us", "name": "blackstart-abc", "run": RUN, "owned": False}]
    with here.store.alive(RUN):
        assert plain(0)["roles"][0]["owned"] is True
    with here.store.alive("another"):
        assert plain(14)["ownerless"]
