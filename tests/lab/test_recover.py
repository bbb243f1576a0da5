"""`blackstart recover` and `blackstart status` on real clusters: from the store, and from the fleet alone."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from labdrill import ROOT, kubectl, settle
from machinekit import Machine, fault, kill, left, running, workload

from blackstart.faults.marks import ANNOTATION, LABEL
from blackstart.fleet.model import Fleet

pytestmark = pytest.mark.full


@pytest.fixture
def here(lab: Fleet, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state", lab.source or Path())
    assert machine.run("status")[0] == 0, "something was left by an earlier test"
    yield machine
    machine.run("recover", "--all")
    settle(lab)


SCALE = fault("scale", service="frontend", region="primary")
SEVER = fault("sever", link=["primary", "standby"])


def test_killed_and_put_back_from_the_records(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    # The other way round the link's own paths would not answer before it is cut.
    with running(here, lab, tmp_path, SEVER, SCALE) as process:
        code, text = here.run("recover")
        assert code == 14
        assert "its run still goes on" in text
        assert here.run("status")[0] == 0
        kill(process)
    code, text = here.run("status")
    assert code == 14, text
    code, text = here.run("recover", "--dry-run")
    assert code == 14
    assert "us: deployment production/user-service: spec.replicas: 0 -> 3" in text
    assert f"label {LABEL}" in text
    assert text.count("nft table bs_fault_") == 2
    assert workload(lab)["spec"]["replicas"] == 0
    code, text = here.run("recover")
    assert code == 0, text
    assert workload(lab)["spec"]["replicas"] == 3
    assert left(lab) == []
    assert here.run("recover") == (0, "nothing to put back\n")
    assert here.run("status")[0] == 0


def test_another_machine_puts_it_back_by_labels_and_tables(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    other = Machine(tmp_path / "other", here.fleet)
    # The other way round the link's own paths would not answer before it is cut.
    with running(here, lab, tmp_path, SEVER, SCALE) as process:
        kill(process)
    code, text = other.run("recover", "--dry-run")
    assert "spec.replicas: 0 -> 3" in text
    assert "drops -> (none)" in text
    code, text = other.run("recover")
    assert code == 0, text
    assert left(lab) == []
    assert other.run("recover") == (0, "nothing to put back\n")
    # The first machine's own records are still open; they find nothing to change.
    code, text = here.run("recover")
    assert code == 0, text
    settle(lab)
    assert workload(lab)["spec"]["replicas"] == 3


def test_someone_elses_change_is_left_alone(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    with running(here, lab, tmp_path, SCALE) as process:
        kill(process)
    size = ["-n", "production", "scale", "deployment/user-service"]
    kubectl(lab.regions["us"], *size, "--replicas=2")
    code, text = here.run("recover")
    assert code == 14
    assert "has 2 replicas; it had 3, the drill wrote 0" in text
    assert workload(lab)["spec"]["replicas"] == 2
    assert "conflict, would be left alone" in here.run("recover", "--dry-run")[1]
    kubectl(lab.regions["us"], *size, "--replicas=3")
    assert here.run("recover")[0] == 0
    assert left(lab) == []


def test_a_region_that_is_away_does_not_hold_up_the_rest(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    """The network between here and eu is cut; us is put back at once, eu when it is back."""
    scale_eu = fault("scale", service="frontend", region="standby", replicas=1)
    with running(here, lab, tmp_path, SCALE, scale_eu) as process:
        kill(process)
    host = json.loads(kubectl(lab.regions["eu"], "config", "view", "-o", "json"))["clusters"][0]["cluster"]["server"]
    address = host.split("//")[1].split(":")[0]
    chain = f" chain o {{\n type filter hook output priority 0;\n ip daddr {address} drop\n }}\n"
    drop = f"table inet cut_eu {{\n{chain}}}\n"
    subprocess.run(["/usr/sbin/nft", "-f", "-"], input=drop, text=True, check=True)
    began = time.monotonic()
    try:
        recovering = subprocess.Popen(
            [sys.executable, "-m", "blackstart", "recover", "--deadline", "60s"],
            cwd=ROOT,
            env=here.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        while workload(lab)["spec"]["replicas"] != 3:
            assert time.monotonic() - began < 30
            time.sleep(0.2)
        text = read_until(recovering, "not yet, asking again", 60)
        assert recovering.poll() is None
    finally:
        subprocess.run(["/usr/sbin/nft", "delete", "table", "inet", "cut_eu"], check=True)
    text += recovering.communicate(timeout=120)[0]
    assert recovering.returncode == 0, text
    assert workload(lab, "eu")["spec"]["replicas"] == 3


def read_until(process: subprocess.Popen[str], words: str, seconds: float) -> str:
    """What it prints until these words have come."""
    assert process.stdout is not None
    text, end = "", time.monotonic() + seconds
    while words not in text:
        assert select.select([process.stdout], [], [], end - time.monotonic())[0], text
        # Not by lines: one that Python keeps is one that select does not see.
        chunk = os.read(process.stdout.fileno(), 1 << 16)
        assert chunk, text
        text += chunk.decode()
    return text


def test_the_undo_record_on_the_object_is_whole(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    with running(here, lab, tmp_path, SCALE) as process:
        kill(process)
    record = json.loads(workload(lab)["metadata"]["annotations"][ANNOTATION])
    assert (record["kind"], record["before"]["replicas"]) == ("scale", 3)
    assert here.run("recover")[0] == 0


def test_status_of_a_drill_that_goes_on(lab: Fleet, here: Machine, tmp_path: Path) -> None:
    """Lock, Lease and guardian of `blackstart run` are listed while it holds, and gone after it."""
    argv = [sys.executable, "-m", "blackstart", "run", "service-failover", "--out", str(tmp_path / "out")]
    argv += ["--set", "phases.hold=20s", "--set", "phases.baseline=6s"]
    with (tmp_path / "run.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=ROOT, env=here.environment, stdout=log, stderr=log)
    try:
        here.until_confirmed(1, process, tmp_path / "run.log")
        code, text = here.run("status", "-o", "json")
        found = json.loads(text)
        assert code == 0
        assert [run["alive"] for run in found["runs"]] == [True]
        assert {lock["held"] for lock in found["locks"]} == {True}
        assert found["outstanding"][0]["owned"]
        assert found["guardians"]
        other = Machine(tmp_path / "other", here.fleet)
        code, text = other.run("recover")
        assert code == 14, text
        assert "somebody renews its Lease" in text
        assert workload(lab)["spec"]["replicas"] == 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    code, text = here.run("status", "-o", "json")
    found = json.loads(text)
    assert code == 0, text
    assert not any(found[key] for key in ("runs", "locks", "leases", "outstanding", "guardians", "cuts", "away"))
