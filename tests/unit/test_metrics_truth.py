"""Lint of metrics: whole examples, what is read from where, what live servers say, and bad input."""

from __future__ import annotations

import json
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import contentkit
import pytest
import yaml

from blackstart.cli import invoke
from blackstart.plan.metrics.check import lint_metrics
from blackstart.plan.metrics.files import read_files
from blackstart.plan.metrics.model import Said, duration

EXAMPLES = Path(__file__).parent / "metrics_examples"


def lint(path: Path, rto: float = 30) -> list[tuple[str, int | None]]:
    """Rule and line of every finding."""
    source = read_files([path], Said(rto))
    assert source.problems == ()
    return [(finding.rule, finding.place.line) for finding in lint_metrics(source.metrics)]


def test_a_global_view_as_documents_show_it() -> None:
    found = lint(EXAMPLES / "seed.yaml")
    assert [line for rule, line in found if rule == "BSP202"] == [43, 44, 45]
    assert [line for rule, line in found if rule == "BSP304"] == [22]
    assert [line for rule, line in found if rule == "BSP302"] == [14, 27]
    assert [line for rule, line in found if rule == "BSP101"] == [4, 18]
    assert {rule for rule, _ in found} == {"BSP101", "BSP202", "BSP203", "BSP205", "BSP302", "BSP304"}
    assert "BSP101" in {rule for rule, _ in lint(EXAMPLES / "seed.yaml", 10)}
    assert "BSP101" not in {rule for rule, _ in lint(EXAMPLES / "seed.yaml", 60)}


def test_a_better_one_has_nothing_to_say() -> None:
    assert lint(EXAMPLES / "corrected.yaml") == []


def test_lines_of_a_config_map_are_those_of_the_file(tmp_path: Path) -> None:
    text = """\
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: prometheus, namespace: monitoring}
        data:
          notes: "type: of no interest"
          prometheus.yml: |
            global:
              scrape_interval: 20s
            scrape_configs:
            - job_name: pods
          endpoints.yml: |
            endpoints:
            - address: a:10901
              strict: true
            - address: b:10901
        """
    (tmp_path / "all.yaml").write_text(textwrap.dedent(text))
    assert lint(tmp_path) == [("BSP101", 8), ("BSP201", 15)]


def test_what_the_operator_makes(tmp_path: Path) -> None:
    text = """\
        apiVersion: monitoring.coreos.com/v1
        kind: Prometheus
        metadata: {name: k8s, namespace: monitoring}
        spec:
          externalLabels: {cluster: us}
          scrapeInterval: 5s
          thanos:
            getConfigInterval: 5s
            getConfigTimeout: 3s
        """
    (tmp_path / "all.yaml").write_text(textwrap.dedent(text))
    assert lint(tmp_path) == []
    assert lint(tmp_path, 8) == [("BSP101", 6), ("BSP211", 8)]


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("query, --query.replica-label, replica, --store.response-timeout, 3s, --endpoint, a:1", {"BSP201"}),
        ("query, --query.replica-label=replica, --store.response-timeout=3s, --endpoint-group=a:1", {"BSP201"}),
        ("query, --query.replica-label=replica, --store.response-timeout=5m", {"BSP205"}),
        (
            "query, --query.replica-label=replica, --store.response-timeout=3s, --query.replica-label=cluster",
            {"BSP204"},
        ),
        ("query-frontend, --endpoint=a:1", None),
        ("store, --store=x", None),
    ],
)
def test_how_options_are_written(tmp_path: Path, flags: str, found: set[str] | None) -> None:
    container = f"{{name: t, image: thanosio/thanos, args: [{flags}]}}"
    text = f"kind: Deployment\nmetadata: {{name: q}}\nspec: {{template: {{spec: {{containers: [{container}]}}}}}}\n"
    (tmp_path / "all.yaml").write_text(text)
    if found is None:
        with pytest.raises(Exception, match="no configuration of Prometheus or Thanos"):
            lint(tmp_path)
    else:
        assert {rule for rule, _ in lint(tmp_path)} == found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("1m30s", 90), ("1d", 86400), ("1w2d3h", 9 * 86400 + 10800), ("", None), ("soon", None), (5, None)],
)
def test_durations(text: object, seconds: float | None) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("bad", [None, 7, "x", [], {}, [None], [[]], [{}], {"a": None}])
def test_objects_that_are_not_what_they_should_be_end_in_no_traceback(tmp_path: Path, bad: object) -> None:
    good = {"scrape_configs": [{"job_name": "x", "metrics_path": "/federate"}]}
    documents: list[object] = [good, bad]
    for key in ("global", "scrape_configs", "endpoints", "config", "spec", "data", "metadata"):
        documents.append({key: bad, "endpoints": bad, "type": "S3"})
        documents += [{"kind": kind, key: bad} for kind in ("ConfigMap", "Deployment", "Prometheus", "Node")]
    documents.append({"scrape_configs": [{"metrics_path": "/federate", "params": bad, "static_configs": bad}]})
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all(documents))
    lint_metrics(read_files([tmp_path], Said()).metrics)


class Server:
    """Answers GETs by path, on loopback."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = outer.answers.get(self.path)
                self.send_response(200 if found is not None else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


CONFIG = {
    "global": {"scrape_interval": "1s", "external_labels": {"region": "us", "replica": "us-0"}},
    "scrape_configs": [{"job_name": "pods", "scrape_interval": "1s"}],
}
FLAGS = {
    "query.replica-label": "replica",
    "store.response-timeout": "3s",
    "endpoint": "",
    "endpoint-strict": "a:1,b:1",
    "store": "",
}


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    """The Prometheus of us and the querier of a fleet.yaml in the working directory."""
    monkeypatch.chdir(tmp_path)
    with Server() as prometheus, Server() as querier:
        prometheus.answers["/api/v1/status/config"] = {"data": {"yaml": yaml.safe_dump(CONFIG)}}
        querier.answers["/api/v1/status/flags"] = {"data": dict(FLAGS)}
        fleet = contentkit.changed(contentkit.FLEET, {})
        fleet["places"]["here"] = {}
        for region in fleet["regions"].values():
            region.pop("prometheus", None)
        fleet["regions"]["us"]["prometheus"] = {"url": prometheus.url, "place": "here"}
        fleet["prometheus"] = {"url": querier.url, "place": "here", "kind": "thanos"}
        Path("fleet.yaml").write_text(yaml.safe_dump(fleet))
        yield prometheus, querier


def live(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str]]:
    invoke(["lint", "--metrics", "--fleet", "fleet.yaml", "-o", "json"])
    return [(f["rule"], f["file"], f["message"]) for f in json.loads(capsys.readouterr().out)]


def test_servers_in_order(servers: tuple[Server, Server], capsys: pytest.CaptureFixture[str]) -> None:
    assert live(capsys) == []
    assert invoke(["lint", "--metrics", "--fleet", "fleet.yaml"]) == 0
    assert capsys.readouterr().err == "2 servers checked: nothing to say\n"


def test_servers_that_are_not(servers: tuple[Server, Server], capsys: pytest.CaptureFixture[str]) -> None:
    prometheus, querier = servers
    slow = CONFIG | {"scrape_configs": [{"job_name": "pods", "scrape_interval": "1m"}]}
    prometheus.answers["/api/v1/status/config"] = {"data": {"yaml": yaml.safe_dump(slow)}}
    querier.answers["/api/v1/status/flags"] = {"data": FLAGS | {"endpoint": "a:1,b:1", "endpoint-strict": ""}}
    found = live(capsys)
    assert [(rule, file.rpartition(" ")[2]) for rule, file, _ in found] == [
        ("BSP201", "prometheus"),
        ("BSP201", "prometheus"),
        ("BSP101", "regions.us.prometheus"),
    ]
    assert found[0][2] == "--endpoint=a:1 is not strict"


@pytest.mark.parametrize(
    "answer", [None, {}, {"data": None}, {"data": {"yaml": "a: ["}}, {"data": {"yaml": "- 1"}}, 7]
)
def test_a_server_that_does_not_tell_is_no_clean_one(
    servers: tuple[Server, Server], answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    servers[0].answers["/api/v1/status/config"] = answer
    assert invoke(["lint", "--metrics", "--fleet", "fleet.yaml"]) == 2
    assert "regions.us.prometheus: " in (said := capsys.readouterr().err)
    assert "does not tell its configuration" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metrics", "--backup"], "either --backup or --metrics, not both"),
        (["--metrics", "--rpo", "1h"], "--rpo goes with --data or --backup"),
        (["--metrics", "--replicas", "us=1"], "--replicas goes with --mesh"),
        (["--metrics", "--rto", "0s"], "must be longer than 0"),
        (["--metrics", "x", "--fleet", "y"], "either PATHS or --fleet, not both"),
        (["--metrics", "--fleet", "y", "-o", "sarif"], "use -o json with --fleet"),
        (["--metrics", "."], "has no configuration of Prometheus or Thanos in 0 YAML files"),
        (["--rto", "5s"], "--rto goes with --mesh or --metrics"),
    ],
)
def test_wrong_usage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["lint", *arguments]) == 2
    assert said in capsys.readouterr().err
