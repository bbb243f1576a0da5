"""`chaos` probes: Chaos Toolkit's own, under a deadline that holds."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from loopback import fleet

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.chaos import Spec


def look(provider: dict[str, Any], **keys: Any) -> list[Reading]:
    return asyncio.run(read(Spec(probe="p", provider=provider, **{"deadline": 20.0, **keys}), Scope(fleet())))


def python(func: str, module: str = "chaosprobes", **arguments: Any) -> dict[str, Any]:
    return {"type": "python", "module": module, "func": func, "arguments": arguments}


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of probes that the child process can import."""
    (tmp_path / "chaosprobes.py").write_text(
        "import os, subprocess, sys, time\n"
        "def number(value): print('noise'); return value\n"
        "def document(): return {'a': [{'b': 4}], 'when': object()}\n"
        "def context(): return os.environ['KUBERNETES_CONTEXT'] == 'us' and 'us.yaml' in os.environ['KUBECONFIG']\n"
        "def config(): return os.environ['KUBECONFIG'] == os.devnull\n"
        "def fails(): raise RuntimeError('no such thing')\n"
        "def leaves(): sys.exit(3)\n"
        "def crashes(): os._exit(7)\n"
        "def floods(): return 'x' * (64 << 20)\n"
        "def hangs(file):\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        "    open(file, 'w').write(str(child.pid))\n"
        "    time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_number_whatever_else_the_probe_prints() -> None:
    (found,) = look(python("number", value=2.5))
    assert (found.key, found.value) == ("", 2.5), found.detail


def test_a_field_and_a_tolerance() -> None:
    assert look(python("document"), field="a[0].b")[0].value == 4
    assert look(python("number", value=7), tolerance=[5, 10])[0].value == 1
    assert look(python("number", value=11), tolerance=[5, 10])[0].value == 0


@pytest.mark.parametrize(
    ("func", "reason", "says"),
    [
        ("fails", Reason.REFUSED, "no such thing"),
        ("leaves", Reason.REFUSED, "SystemExit"),
        ("crashes", Reason.MALFORMED, "exit code 7"),
        ("floods", Reason.MALFORMED, "longer than"),
        ("document", Reason.MALFORMED, "not a number"),
        ("missing", Reason.REFUSED, "missing"),
    ],
)
def test_no_data_has_a_reason(func: str, reason: Reason, says: str) -> None:
    (found,) = look(python(func))
    assert (found.value, found.no_data) == (None, reason)
    assert says in found.detail


def test_a_probe_that_hangs_is_killed_with_its_children(module: Path) -> None:
    started = time.monotonic()
    (found,) = look(python("hangs", file=str(module / "pid")), deadline=8.0)
    assert found.no_data is Reason.TIMEOUT
    assert time.monotonic() - started < 20
    child = int((module / "pid").read_text())
    for _ in range(100):
        if not _running(child):
            return
        time.sleep(0.02)
    pytest.fail("the probe's own child still runs")


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_it_sees_the_named_cluster_or_none() -> None:
    assert look(python("context"), regions=["primary"])[0].value == 1
    assert look(python("config"))[0].value == 1


def test_a_process(tmp_path: Path) -> None:
    (found,) = look({"type": "process", "path": "echo", "arguments": "5"}, field="status")
    assert found.value == 0


def test_a_kubernetes_provider_must_name_its_regions() -> None:
    with pytest.raises(ValueError, match="current kube context"):
        look(python("pods_in_phase", "chaosk8s.pod.probes"))
    with pytest.raises(ValueError, match="needs a `type`"):
        look({"module": "x"})
    assert os.environ.get("KUBERNETES_CONTEXT") is None
