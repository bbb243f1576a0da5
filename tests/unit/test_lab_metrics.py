"""Prometheus's configuration: accepted by promtool, each job where it should look."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from blackstart.lab.metrics import MetricsTargets, discovery_command, prometheus_config


def targets(folder: Path, edge: str | None = "198.18.0.20:9901") -> MetricsTargets:
    for name in ("ca", "cert", "key"):
        (folder / name).touch()
    return MetricsTargets(
        prometheus="127.0.0.1:9090",
        discovery="127.0.0.1:9091",
        api_server="198.18.0.11:6443",
        kubelet="198.18.0.11:10250",
        ca=folder / "ca",
        cert=folder / "cert",
        key=folder / "key",
        edge=edge,
    )


def jobs(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in config["scrape_configs"]}


def test_jobs_and_labels(tmp_path: Path) -> None:
    config = prometheus_config("us", targets(tmp_path))
    assert config["global"]["external_labels"] == {"region": "us", "replica": "us-0"}
    assert list(jobs(config)) == ["prometheus", "kube-apiserver", "kubelet", "user-service", "edge"]
    for job in config["scrape_configs"]:
        assert {"target_label": "region", "replacement": "us"} in job["relabel_configs"]


def test_the_api_server_is_verified(tmp_path: Path) -> None:
    job = jobs(prometheus_config("us", targets(tmp_path)))["kube-apiserver"]
    assert job["tls_config"] == {
        "ca_file": str(tmp_path / "ca"),
        "cert_file": str(tmp_path / "cert"),
        "key_file": str(tmp_path / "key"),
    }


def test_without_an_edge_there_is_no_job_for_it(tmp_path: Path) -> None:
    assert "edge" not in jobs(prometheus_config("us", targets(tmp_path, edge=None)))


def test_the_discovery_lists_the_pods_of_the_service(tmp_path: Path) -> None:
    argv = discovery_command(Path("/app"), targets(tmp_path))
    assert argv[:2] == ["/app", "discover"]
    options = dict(zip(argv[2::2], argv[3::2], strict=True))
    assert options["-listen"] == "127.0.0.1:9091"
    assert options["-pods"] == (
        "https://198.18.0.11:6443/api/v1/namespaces/production/pods?labelSelector=app%3Duser-service"
    )


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_it(tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(json.dumps(prometheus_config("us", targets(tmp_path))))
    done = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", str(path)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stdout + done.stderr
