"""What counts as Ready, and the certificates by which an API server is asked."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blackstart.fleet.model import Place
from blackstart.lab import api
from blackstart.lab.api import container_ids, node_ready, object_path, unsettled
from blackstart.lab.echo import checksum, request
from blackstart.lab.manifests import demo
from blackstart.lab.pki import Authority, Pair
from blackstart.lab.processes import Started, recorded, start_time
from blackstart.lab.shell import LabError, run, wait_for


def deployment(replicas: int) -> dict[str, Any]:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}}
    return {"metadata": {"name": "a", "namespace": "n"}, "spec": spec}


def pod(container: str, *, ready: bool = True, namespace: str = "n", app: str = "a") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"conditions": conditions, "containerStatuses": [{"containerID": container}]}
    return {"metadata": {"namespace": namespace, "labels": {"app": app, "x": "y"}}, "status": status}


def test_enough_ready_pods_are_settled() -> None:
    assert unsettled([deployment(2)], [pod("1"), pod("2"), pod("3", ready=False)], frozenset()) == []


def test_pods_of_others_do_not_count() -> None:
    others = [pod("1", namespace="m"), pod("2", app="b"), pod("3", ready=False), {"metadata": {"namespace": "n"}}]
    assert unsettled([deployment(1)], others, frozenset()) == ["n/a 0/1"]


def test_ready_pods_from_before_the_crash_do_not_count() -> None:
    pods = [pod("old"), pod("new")]
    assert container_ids(pods) == {"old", "new"}
    assert unsettled([deployment(2)], pods, frozenset({"old"})) == ["n/a 1/2"]


def test_a_deployment_scaled_to_zero_is_settled() -> None:
    assert unsettled([deployment(0)], [], frozenset()) == []


def test_nodes() -> None:
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    unknown = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    assert node_ready([ready])
    assert not node_ready([ready, unknown])
    assert not node_ready([])


def test_paths_of_the_demo() -> None:
    assert [object_path(obj) for obj in demo("us")][:2] == [
        "/api/v1/namespaces/production",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/blackstart-prometheus",
    ]
    assert "/apis/apps/v1/namespaces/production/deployments/user-service" in map(object_path, demo("us"))


@pytest.mark.parametrize(
    ("kind", "plural"),
    [("Gateway", "gateways"), ("ServiceEntry", "serviceentries"), ("NetworkPolicy", "networkpolicies")],
)
def test_plurals(kind: str, plural: str) -> None:
    assert object_path({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}}) == f"/api/v1/{plural}/a"


Answer = tuple[int, bytes] | OSError


def applied(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    answers: list[Answer],
    deadline: float = 60.0,
    check_alive: Callable[[], None] = lambda: None,
) -> None:
    """Apply an object where the API server answers so, one after the other."""
    authority = Authority(tmp_path, "test")

    def ask(*_args: object) -> tuple[int, bytes]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(api, "ask", ask)
    monkeypatch.setattr(api.time, "sleep", lambda _seconds: None)
    client: Pair = authority.client("client", "someone", ["system:masters"])
    server = api.Api(Place(), "127.0.0.1", authority.pair.cert, client, check_alive)
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}, deadline)


def test_what_an_api_server_owes_is_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers: list[Answer] = [
        TimeoutError("late"),
        ConnectionResetError(),
        (404, b""),
        (429, b""),
        (503, b"starts"),
        (201, b""),
    ]
    applied(monkeypatch, tmp_path, answers)
    assert not answers


def test_a_refusal_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"namespaces/a.*: 403 no"):
        applied(monkeypatch, tmp_path, [(403, b"no")])


def test_an_api_server_that_never_answers_has_a_deadline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="late"):
        applied(monkeypatch, tmp_path, [TimeoutError("late")], deadline=-1.0)


def test_an_api_server_that_ended_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def ended() -> None:
        raise LabError("kube-apiserver ended")

    with pytest.raises(LabError, match="kube-apiserver ended"):
        applied(monkeypatch, tmp_path, [ConnectionRefusedError()], check_alive=ended)


def test_certificates_hold_under_strict_rules(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "test")
    server = authority.server("server", "server", ["127.0.0.1", "localhost"])
    client = authority.client("client", "someone", ["system:masters"])
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(server.cert, server.key)
    listening.load_verify_locations(authority.pair.cert)
    listening.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cafile=str(authority.pair.cert))
    calling.verify_flags |= ssl.VERIFY_X509_STRICT
    calling.load_cert_chain(client.cert, client.key)
    a = listening.wrap_bio(there, here, server_side=True)
    b = calling.wrap_bio(here, there, server_hostname="127.0.0.1")
    for _ in range(4):
        for side in (b, a):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    subject = dict(part[0] for part in a.getpeercert()["subject"])  # type: ignore[index,misc]
    assert subject == {"organizationName": "system:masters", "commonName": "someone"}


def test_keys_are_private(tmp_path: Path) -> None:
    pair = Authority(tmp_path / "pki", "test").signing_key("sa")
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(pair.key.parent.stat().st_mode) == 0o700
    assert pair.cert.read_text().startswith("-----BEGIN PUBLIC KEY")


def test_a_process_is_known_by_pid_and_start(tmp_path: Path) -> None:
    import os

    start = start_time(os.getpid())
    assert start is not None
    assert Started(os.getpid(), start).alive()
    assert not Started(os.getpid(), start + 1).alive()
    assert recorded(tmp_path / "none.json") == {}


def test_a_failed_command_is_told_whole() -> None:
    with pytest.raises(LabError, match=r"`sh -c 'echo why >&2; exit 3'` ended with 3: why"):
        run(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(LabError, match=r"longer than 0\.1 s"):
        run(["sleep", "5"], timeout=0.1)
    with pytest.raises(LabError, match="no such command"):
        run(["/nowhere/x"])


def test_every_wait_ends() -> None:
    with pytest.raises(LabError, match=r"the end: not after 0.05 s; see the log"):
        wait_for("the end", lambda: None, 0.05, every=0.01, hint="see the log")


def test_echo_requests_are_well_formed() -> None:
    packet = request(0x1234, 7)
    assert packet == bytes([8, 0, 0xE5, 0xC4, 0x12, 0x34, 0, 7])
    assert checksum(packet) == 0
