"""The real child, as a process, against a fake cluster."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultkit import RUN, Bench, bench

from blackstart.evidence.records import BODY, Activity, Body, FaultEvent, Note

SCALE = {
    "type": "action",
    "name": "break it",
    "provider": {
        "type": "python",
        "module": "blackstart.activities.faults",
        "func": "scale",
        "arguments": {"service": "frontend", "region": "primary"},
    },
}
UNDO = {
    "type": "action",
    "name": "put back",
    "provider": {"type": "python", "module": "blackstart.activities.faults", "func": "undo"},
}
ANSWERS = {
    "type": "probe",
    "name": "served",
    "tolerance": True,
    "provider": {
        "type": "python",
        "module": "blackstart.activities.probes",
        "func": "service_answers",
        "arguments": {"service": "frontend"},
    },
}
SLEEP = {
    "type": "action",
    "name": "sleep",
    "provider": {"type": "process", "path": "sleep", "arguments": "60", "timeout": 60},
    "undo": "none",
    "reason": "it only waits",
}


def experiment(**changes: Any) -> dict[str, Any]:
    return {
        "title": "t",
        "description": "d",
        "configuration": {"fleet": {"type": "env", "key": "BLACKSTART_FLEET"}},
        "method": [SCALE],
        "rollbacks": [UNDO],
        **changes,
    }


class Child:
    """The process and the events that it told."""

    def __init__(self, here: Bench, job: dict[str, Any]) -> None:
        reading, writing = os.pipe()
        self._events = os.fdopen(reading, "rb")
        environment = {"BLACKSTART_EVENTS_FD": str(writing), "BLACKSTART_STATE": str(here.folder / "state")}
        with (here.folder / "out").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "blackstart.run.child"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(writing,),
                env={**os.environ, **environment},
            )
        os.close(writing)
        self.heard: list[Body] = []
        self.say(json.dumps(job))

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def until_held(self) -> None:
        for line in self._events:
            if line == b"held\n":
                return
            self.heard.append(BODY.validate_json(line))
        raise AssertionError(f"ended before the hold: {self.heard}")

    def until(self, text: str) -> None:
        for line in self._events:
            self.heard.append(BODY.validate_json(line))
            if text in line.decode():
                return
        raise AssertionError(f"never said {text}: {self.heard}")

    def end(self) -> int:
        self.heard += [BODY.validate_json(line) for line in self._events if line != b"held\n"]
        return self.process.wait(20)

    def told(self) -> list[str]:
        return [
            f"{e.section} {e.name} {e.status}" if isinstance(e, Activity) else str(e.state)
            for e in self.heard
            if isinstance(e, Activity | FaultEvent)
        ]

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            assert self.process.stdin
            self.process.stdin.close()
        self._events.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


@contextlib.contextmanager
def child(here: Bench, **changes: Any) -> Iterator[Child]:
    job = {"experiment": experiment(**changes), "run": RUN, "fleet": str(here.fleet_file)}
    found = Child(here, job)
    try:
        yield found
    finally:
        found.close()


WENT_WELL = [
    "armed",
    "applied",
    "confirmed",
    "method break it succeeded",
    "method hold succeeded",
    "reverted",
    "confirmed_reverted",
    "rollbacks put back succeeded",
]


def test_it_holds_until_it_is_asked_to_undo(here: Bench) -> None:
    hypothesis = {"title": "h", "probes": [ANSWERS]}
    with child(here, **{"steady-state-hypothesis": hypothesis}) as it:
        it.until_held()
        assert here.replicas == 0
        assert here.store.is_alive(RUN)
        # Signals of the terminal do not reach it.
        for number in (signal.SIGINT, signal.SIGHUP):
            it.process.send_signal(number)
        time.sleep(0.3)
        assert it.process.poll() is None
        assert os.getsid(it.process.pid) == it.process.pid
        it.say("undo")
        assert it.end() == 0
        assert it.told() == ["steady-state served succeeded", *WENT_WELL]
        breaks = [e for e in it.heard if isinstance(e, Activity) and e.injects]
        assert [e.name for e in breaks] == ["break it"]
        assert isinstance(it.heard[-1], Note)
    assert here.replicas == 3
    assert not here.store.is_alive(RUN)


def test_it_undoes_when_the_supervisor_dies_whatever_the_rollbacks_forget(here: Bench) -> None:
    with child(here, rollbacks=[]) as it:
        it.until_held()
        assert it.process.stdin
        it.process.stdin.close()
        assert it.end() == 0
        assert it.told() == WENT_WELL[:-1]
    assert here.replicas == 3


def test_sigterm_means_undo(here: Bench) -> None:
    with child(here) as it:
        it.until_held()
        it.process.send_signal(signal.SIGTERM)
        assert it.end() == 0
        assert it.told() == WENT_WELL
    assert here.replicas == 3


def test_a_method_that_still_runs_is_interrupted(here: Bench) -> None:
    with child(here, method=[SCALE, SLEEP, {**SLEEP, "name": "never"}]) as it:
        it.until("break it")
        began = time.monotonic()
        it.say("undo")
        assert it.end() == 0
        assert time.monotonic() - began < 10
        assert "method sleep failed" in it.told()
        assert "method never skipped" in it.told()
        assert "rollbacks put back succeeded" in it.told()
    assert here.replicas == 3


def test_a_steady_state_that_is_not_there_injects_nothing(here: Bench) -> None:
    here.service.shut()
    with child(here, **{"steady-state-hypothesis": {"title": "h", "probes": [ANSWERS]}}) as it:
        assert it.end() == 0
        assert "steady-state hypothesis failed" in it.told()
        assert "method break it skipped" in it.told()
    assert here.api.patches == []


def test_a_fault_that_fails_is_told_and_the_rest_is_held(here: Bench) -> None:
    here.api.fail = lambda method, path: (403, "no right") if method == "PATCH" else None
    with child(here) as it:
        it.until_held()
        it.say("undo")
        assert it.end() == 0
        failed = [e for e in it.heard if isinstance(e, Activity) and e.status == "failed"]
        assert [(e.name, e.injects) for e in failed] == [("break it", True)]
        assert "no right" in failed[0].detail


def test_what_stays_broken_is_the_exit_code(here: Bench) -> None:
    with child(here) as it:
        it.until_held()
        here.api.fail = lambda method, path: (403, "no right") if method == "PATCH" else None
        it.say("undo")
        assert it.end() == 14
    assert [e.undo.fault for e in here.store.read(RUN).outstanding] == ["scale-1"]


def test_the_current_kube_context_is_never_used(here: Bench) -> None:
    foreign = {
        "type": "action",
        "name": "foreign",
        "provider": {
            "type": "python",
            "module": "chaosk8s.deployment.actions",
            "func": "scale_deployment",
            "arguments": {"name": "user-service", "ns": "production", "replicas": 0},
        },
    }
    with child(here, method=[foreign]) as it:
        assert it.end() == 0
        (refused,) = [e for e in it.heard if isinstance(e, Activity)]
        assert refused.injects
        assert "current kube context" in refused.detail
    assert here.api.patches == []


def test_a_foreign_action_with_a_named_context_works(here: Bench) -> None:
    def scale(replicas: int) -> dict[str, Any]:
        provider = {
            "type": "python",
            "module": "chaosk8s.deployment.actions",
            "func": "scale_deployment",
            "arguments": {"name": "user-service", "ns": "production", "replicas": replicas},
            "secrets": ["k8s"],
        }
        return {"type": "action", "name": f"to {replicas}", "provider": provider}

    here.api.check_version = False
    block = {"k8s": {"KUBERNETES_CONTEXT": {"type": "env", "key": "BLACKSTART_CONTEXT_PRIMARY"}}}
    with child(here, method=[scale(0)], rollbacks=[scale(3)], secrets=block) as it:
        it.until_held()
        assert here.replicas == 0
        it.say("undo")
        assert it.end() == 0
        details = [e.detail for e in it.heard if isinstance(e, Activity)]
        assert it.told() == [
            "armed",
            "applied",
            "confirmed",
            "method to 0 succeeded",
            "method hold succeeded",
            "reverted",
            "confirmed_reverted",
            "rollbacks to 3 succeeded",
        ], details
    assert here.replicas == 3


def test_a_fleet_that_cannot_be_read_is_told(here: Bench) -> None:
    here.fleet_file.write_text("fleet: [")
    with child(here) as it:
        assert it.end() == 0
        (refused,) = it.heard
        assert isinstance(refused, Activity)
        assert "fleet.yaml" in refused.detail


def test_a_line_that_is_no_job(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "blackstart.run.child"],
        input=b"what\n",
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert b"no job" in done.stderr
