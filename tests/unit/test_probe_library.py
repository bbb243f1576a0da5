"""The queries of probes/*.yaml on made-up samples: what they give, and that what is gone is never a zero."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from blackstart.probes import load_probe
from blackstart.probes.promql import Spec, expanded
from blackstart.schema.content import content_dir

SAMPLES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "probe_samples.yaml").read_text())
PROBES = {
    file.stem: spec
    for file in sorted(content_dir("probes").glob("*.yaml"))
    if isinstance(spec := load_probe(file), Spec)
}
OF_ALL = {"global-pods"}
"""Asks for all regions at once, so that one of them is left when another is lost."""


def test_every_query_has_samples() -> None:
    assert {name.partition("/")[0] for name in SAMPLES} == set(PROBES)


@pytest.mark.parametrize("name", PROBES)
def test_something_is_said_of_series_that_are_gone(name: str) -> None:
    """Each query is tried where there is no series any more, or on samples that have become old."""
    expected = [value for key, case in SAMPLES.items() if key.startswith(name) for value in case["expect"].values()]
    assert name in OF_ALL or None in expected or max(expected) == 30


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's package prometheus) is not there"
)


@needs_promtool
@pytest.mark.parametrize("name", SAMPLES)
def test_a_query_gives_what_its_samples_say(name: str, tmp_path: Path) -> None:
    query = expanded(PROBES[name.partition("/")[0]]).replace("$region", "us")
    promtool(tmp_path, name, [expectation(query, at, value) for at, value in SAMPLES[name]["expect"].items()])


@needs_promtool
@pytest.mark.parametrize("name", PROBES)
def test_fresh_selects_series_of_the_same_samples(name: str, tmp_path: Path) -> None:
    """Where the query gives a value, `fresh` has an age; one that fits nothing would make every look empty."""
    fresh = PROBES[name].fresh.replace("$region", "us")
    promtool(tmp_path, name, [expectation(f"max(time() - timestamp({fresh}))", min(SAMPLES[name]["expect"]), 0)])


def expectation(query: str, at: int, value: float | None) -> dict[str, Any]:
    """No series for None. NaN is not equal to itself, which is how it is found."""
    if value is not None and math.isnan(value):
        query, value = f"({query}) != bool ({query})", 1
    return {
        "expr": query,
        "eval_time": f"{at}s",
        "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
    }


def promtool(folder: Path, name: str, expected: list[dict[str, Any]]) -> None:
    given = [{"series": series, "values": values} for series, values in SAMPLES[name]["series"].items()]
    group = {"interval": "1s", "input_series": given, "promql_expr_test": expected}
    test = {"rule_files": [], "evaluation_interval": "1s", "tests": [group]}
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    command = ["promtool", "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
