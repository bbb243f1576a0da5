"""Failpoints: each is there once, and strikes only where and when it is asked to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import blackstart
from blackstart.evidence import failpoints

CODE = """
from blackstart.evidence.failpoints import failpoint, role
role("child")
for name in ("arm.before", "arm.after", "arm.before"):
    print(name, flush=True)
    failpoint(name)
"""


def run(tmp_path: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "BLACKSTART_FAILPOINT_LOG": str(tmp_path / "log"), **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stdout


def test_each_name_is_in_the_code_exactly_once() -> None:
    source = Path(blackstart.__file__).parent
    text = "\n".join(path.read_text() for path in source.rglob("*.py") if path.name != "failpoints.py")
    used = Counter(re.findall(r"\bfailpoint\(\"([a-z_.]+)\"\)", text))
    assert dict(used) == dict.fromkeys(failpoints.names(), 1)


def test_nothing_happens_unasked(tmp_path: Path) -> None:
    assert run(tmp_path) == (0, "arm.before\narm.after\narm.before\n")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("arm.before=kill", "arm.before\n"),
        ("arm.after=kill", "arm.before\narm.after\n"),
        ("arm.before#2=kill", "arm.before\narm.after\narm.before\n"),
    ],
)
def test_it_dies_there(tmp_path: Path, wanted: str, said: str) -> None:
    assert run(tmp_path, BLACKSTART_FAILPOINT=wanted) == (-signal.SIGKILL, said)
    name, role, pid = (tmp_path / "log").read_text().split()
    assert (name, role) == (wanted.partition("#")[0].partition("=")[0], "child")
    assert pid.isdigit()


def test_another_role_goes_by(tmp_path: Path) -> None:
    wanted = {"BLACKSTART_FAILPOINT": "arm.before=kill", "BLACKSTART_FAILPOINT_ROLE": "supervisor"}
    assert run(tmp_path, **wanted)[0] == 0
    assert run(tmp_path, **{**wanted, "BLACKSTART_FAILPOINT_ROLE": "child"})[0] == -signal.SIGKILL


def test_it_stands_still_until_it_is_woken(tmp_path: Path) -> None:
    environment = {**os.environ, "BLACKSTART_FAILPOINT": "arm.after=stop"}
    with subprocess.Popen([sys.executable, "-c", CODE], env=environment, stdout=subprocess.PIPE) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.wait(10) == 0
