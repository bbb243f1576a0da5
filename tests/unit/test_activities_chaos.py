"""The face towards Chaos Toolkit: what it validates, discovers and runs."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chaoslib.exceptions import ActivityFailed
from chaoslib.experiment import ensure_experiment_is_valid
from click.testing import CliRunner
from faultkit import Bench, bench

from blackstart import discover
from blackstart.activities import backups, faults, probes
from blackstart.activities.session import context
from blackstart.cli import cli
from blackstart.faults.contexts import unnamed_contexts
from blackstart.fleet.environment import merged
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Cluster

SHIPPED = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    context.cache_clear()
    with bench(tmp_path) as found:
        yield found
    context.cache_clear()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKSTART_CONTEXT_PRIMARY", "us")
    experiment = yaml.safe_load(path.read_text())
    ensure_experiment_is_valid(experiment)
    assert unnamed_contexts(experiment) == []
    assert experiment["runtime"]["rollbacks"]["strategy"] == "always"
    assert experiment["rollbacks"]


def test_discovery_lists_every_activity_with_help() -> None:
    found = {a["name"]: a for a in discover()["activities"]}
    assert set(found) == {*faults.__all__, *backups.__all__, *probes.__all__}
    for activity in found.values():
        assert activity["doc"]
        assert [a["name"] for a in activity["arguments"]][-2:] == ["configuration", "secrets"]
    assert [a.get("type") for a in found["scale"]["arguments"][:3]] == ["string", "string", "integer"]


def test_the_package_itself_is_cheap_to_import() -> None:
    code = "import sys, blackstart; sys.exit(any(m.startswith(('chaoslib', 'kubernetes')) for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0


def test_an_action_and_its_undo(here: Bench) -> None:
    configuration = {"fleet": str(here.fleet_file)}
    assert faults.scale("frontend", "primary", configuration=configuration) == ["scale-1"]
    assert here.replicas == 0
    assert faults.undo(configuration=configuration) == ["scale-1"]
    assert here.replicas == 3
    assert faults.undo(configuration=configuration) == []


def test_what_fails_is_a_failed_activity(here: Bench) -> None:
    configuration = {"fleet": str(here.fleet_file)}
    with pytest.raises(ActivityFailed, match="unknown region or role"):
        faults.kill("tertiary", configuration=configuration)
    with pytest.raises(ActivityFailed, match="does not say which fleet"):
        faults.kill("primary", configuration={})
    with pytest.raises(ActivityFailed, match=r"missing\.yaml: no such file"):
        faults.kill("primary", configuration={"fleet": "missing.yaml"})


def test_what_is_not_put_back_is_a_failed_activity(here: Bench) -> None:
    configuration = {"fleet": str(here.fleet_file)}
    faults.scale("frontend", "primary", configuration=configuration)
    here.api.fail = lambda method, path: (403, "no") if method == "PATCH" else None
    with pytest.raises(ActivityFailed, match="not put back: scale-1; run `blackstart recover --run chaos-"):
        faults.undo(configuration=configuration)


def test_probes_look_once(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = {"fleet": str(here.fleet_file)}
    assert probes.service_answers("frontend", configuration)
    assert probes.workload_ready("frontend", "primary", configuration)
    here.service.shut()
    here.api.deployments["user-service"]["status"]["availableReplicas"] = 1
    assert not probes.service_answers("frontend", configuration)
    assert not probes.workload_ready("frontend", "primary", configuration)

    cluster = here.fleet.regions["us"].cluster
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    assert probes.context_is_pinned("primary", configuration, {"KUBERNETES_CONTEXT": "here"})
    with pytest.raises(ActivityFailed, match="the context is 'prod'"):
        probes.context_is_pinned("primary", configuration, {"KUBERNETES_CONTEXT": "prod"})
    with pytest.raises(ActivityFailed, match="the context is None"):
        probes.context_is_pinned("primary", configuration)


@pytest.mark.parametrize(
    ("secrets", "used", "why"),
    [
        ({}, None, "current kube context"),
        ({}, ["k8s"], "no secrets 'k8s' declared"),
        ({"k8s": {"KUBERNETES_HOST": "x"}}, ["k8s"], "current kube context"),
        ({"k8s": {"KUBERNETES_CONTEXT": "us"}}, ["k8s"], None),
    ],
)
def test_activities_of_others_must_name_their_cluster(secrets: object, used: object, why: str | None) -> None:
    activity = {"name": "a", "provider": {"type": "python", "module": "chaosk8s.pod.actions", "secrets": used}}
    found = unnamed_contexts({"method": [activity], "secrets": secrets})
    assert [why in problem for problem in found] == ([True] if why else [])


def test_the_environment_for_plain_chaos_run(here: Bench) -> None:
    result = CliRunner().invoke(cli, ["env", "--fleet", str(here.fleet_file)])
    assert result.exit_code == 0
    lines = dict(line.removeprefix("export ").split("=", 1) for line in result.output.splitlines() if "=" in line)
    assert lines["BLACKSTART_CONTEXT_PRIMARY"] == lines["BLACKSTART_CONTEXT_US"] == "here"
    path = Path(shlex.split(lines["KUBECONFIG"])[0])
    assert path.stat().st_mode & 0o777 == 0o600
    config = yaml.safe_load(path.read_text())
    assert "current-context" not in config
    assert [c["name"] for c in config["contexts"]] == ["here"]


def test_clusters_that_share_a_name_are_refused(tmp_path: Path) -> None:
    def cluster(name: str, server: str) -> Cluster:
        path = tmp_path / name
        context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
        body = {"contexts": [context], "clusters": [{"name": "c", "cluster": {"server": server}}]}
        path.write_text(json.dumps({**body, "users": [{"name": "c", "user": {"client-key": "k.pem"}}]}))
        return Cluster(kubeconfig=path, context="c", uid="u")

    one = cluster("one", "https://a")
    assert merged([one, one])["users"] == [{"name": "c", "user": {"client-key": str(tmp_path / "k.pem")}}]
    with pytest.raises(FleetError, match="another cluster of the fleet has cluster 'c' too; rename"):
        merged([one, cluster("two", "https://b")])
    with pytest.raises(FleetError, match="no usable context 'x'"):
        merged([Cluster(kubeconfig=tmp_path / "one", context="x", uid="u")])


def test_plain_chaos_run_breaks_and_puts_back(here: Bench, tmp_path: Path) -> None:
    """The shipped experiment, without a standby, as a user runs it."""
    experiment = yaml.safe_load((SHIPPED[0].parent / "service-failover.yaml").read_text())
    del experiment["steady-state-hypothesis"]
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(experiment))
    done = subprocess.run(
        [Path(sys.executable).with_name("chaos"), "--no-version-check", "run", file],
        cwd=tmp_path,
        env={**os.environ, "BLACKSTART_FLEET": str(here.fleet_file), "BLACKSTART_STAY": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    journal = json.loads((tmp_path / "journal.json").read_text())
    assert journal["status"] == "completed", done.stdout + done.stderr
    assert journal["run"][0]["output"] == ["scale-1"]
    assert journal["rollbacks"][0]["output"] == ["scale-1"]
    assert "confirmed_reverted" in done.stdout + done.stderr
    assert [p["spec"]["replicas"] for p in here.api.patches] == [0, 3]
    assert here.store.read().outstanding == []
