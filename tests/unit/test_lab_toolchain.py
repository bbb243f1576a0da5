"""Builds are cached by what goes into them, and leave nothing when they break off. With a Go made of shell."""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest

from blackstart.lab import toolchain
from blackstart.lab.features import Features
from blackstart.lab.shell import LabError
from blackstart.lab.toolchain import GLOBAL_METRICS, Progress, Tool
from blackstart.schema.content import content_dir

_GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.26.8; exit; fi
while [ "$1" != -o ]; do shift; done
echo some/package >&2
{then}
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    module = tmp_path / "lab/tool"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module x\n")
    monkeypatch.setattr(toolchain, "content_dir", lambda _: tmp_path / "lab")
    monkeypatch.setattr(toolchain, "find_go", lambda: str(tmp_path / "go"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    go(tmp_path, 'echo built > "$2"')
    return Tool("tool", "tool", "x")


def go(tmp_path: Path, then: str) -> None:
    path = tmp_path / "go"
    path.write_text(_GO.format(then=then))
    path.chmod(0o755)


def test_a_build_is_done_once(tool: Tool, tmp_path: Path) -> None:
    told: list[Progress] = []
    toolchain.build([tool], told.append)
    assert toolchain.binaries([tool])["tool"].read_text() == "built\n"
    assert told[-1].done
    assert (told[-1].packages, told[-1].left) == (1, 0)
    told.clear()
    toolchain.build([tool], told.append)
    assert told == []


def test_a_failed_build_shows_the_compiler_and_leaves_nothing(tool: Tool, tmp_path: Path) -> None:
    go(tmp_path, "echo undefined: x >&2; exit 1")
    with pytest.raises(LabError, match="undefined: x"):
        toolchain.build([tool], lambda _: None)
    assert left(tmp_path) == ["build.lock"]
    with pytest.raises(LabError, match="not built yet: tool; run `blackstart lab build`"):
        toolchain.binaries([tool])


def test_an_interrupted_build_leaves_nothing_and_ends_the_compiler(tool: Tool, tmp_path: Path) -> None:
    go(tmp_path, 'echo $$ > "$2.pid"; exec sleep 60')
    threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        toolchain.build([tool], lambda _: None)
    assert left(tmp_path) == ["build.lock"]


def test_what_a_killed_build_left_goes_with_the_next(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "cache/blackstart/.build-dead").mkdir(parents=True)
    toolchain.build([tool], lambda _: None)
    assert len(left(tmp_path)) == 2


def test_the_digest_covers_what_goes_in(tool: Tool) -> None:
    seen = {toolchain.digest(tool, "go1.26.8"), toolchain.digest(tool, "go1.27.0")}
    seen.add(toolchain.digest(Tool("tool", "tool", "x", ldflags="-s"), "go1.26.8"))
    seen.add(toolchain.digest(Tool("tool", "tool", "x", tags="netgo"), "go1.26.8"))
    (tool.folder / "main_test.go").write_text("package main")
    assert toolchain.digest(tool, "go1.26.8") in seen
    (tool.folder / "main.go").write_text("package main")
    seen.add(toolchain.digest(tool, "go1.26.8"))
    (tool.folder / "go.mod").write_text("module y\n")
    seen.add(toolchain.digest(tool, "go1.26.8"))
    assert len(seen) == 6


def test_kubernetes_says_the_version_that_is_pinned() -> None:
    text = (content_dir("lab") / "toolchain/kubernetes/go.mod").read_text()
    match = re.search(r"^\s*(?:require )?k8s.io/kubernetes v(\S+)", text, re.MULTILINE)
    assert match is not None
    assert match[1] == toolchain.KUBERNETES


def test_thanos_says_the_version_that_is_pinned() -> None:
    (thanos,) = GLOBAL_METRICS
    assert f"github.com/thanos-io/thanos v{toolchain.THANOS}" in (thanos.folder / "go.mod").read_text()
    assert f"version.Version={toolchain.THANOS}" in thanos.ldflags
    assert thanos.flags()[2:4] == ["-tags", "netgo slicelabels"]


def test_every_tool_has_its_module() -> None:
    for tool in toolchain.tools(Features(mesh=True, backup=True, global_metrics=True)):
        text = (tool.folder / "go.mod").read_text()
        assert tool.package == "." or tool.package in text


def left(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache/blackstart").iterdir())
