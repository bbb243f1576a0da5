import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultkit import RUN, Bench, bench
from meshfaultkit import Tables, meshed

from blackstart.evidence.records import FaultState
from blackstart.faults import block_remote_api, paths
from blackstart.faults.base import FaultError
from blackstart.faults.block_remote_api import FAULT
from blackstart.faults.inject import Ineffective, inject, restore
from blackstart.fleet import nft
from blackstart.fleet.model import ControlPath
from blackstart.lab.pki import Authority
from blackstart.probes.control import ControlProbe

# The one region of the bench stands for both.
ARGS = {"region": "primary", "remote": "us"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


@pytest.fixture
def tables(here: Bench, monkeypatch: pytest.MonkeyPatch) -> Tables:
    found = Tables(here)
    monkeypatch.setattr(nft, "_nft", found)
    plain = block_remote_api._path
    # The bench's service speaks no TLS; the last test does.
    monkeypatch.setattr(block_remote_api, "_path", lambda data: plain(data).model_copy(update={"tls": False}))
    return found


def test_only_the_api_server_is_lost(here: Bench, tables: Tables) -> None:
    fleet = meshed(here)
    inject(FAULT, fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    host, _, port = here.service.address.rpartition(":")
    assert "ip saddr . tcp sport @cut_servers counter drop" in tables.scripts[0]
    assert f"{{ {host} . {port} timeout 300000ms }}" in tables.scripts[0]
    (entry,) = here.store.read(RUN).outstanding
    assert restore(entry, fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert tables.names == set()


def test_a_link_that_is_lost_altogether_is_told(here: Bench, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = meshed(here)
    link = fleet.links["us-there"]
    both = fleet.model_copy(update={"links": {"l": link.model_copy(update={"between": ("us", "us")})}})
    monkeypatch.setattr(paths, "answers", lambda fleet, path: path.place != "there")
    with pytest.raises(Ineffective, match="more than the API server is lost: there -> "):
        inject(FAULT, both, ARGS, here.context())


def test_a_remote_that_fleet_yaml_does_not_know_is_refused(here: Bench) -> None:
    fleet = meshed(here)
    mesh = fleet.regions["us"].mesh
    assert mesh is not None
    region = fleet.regions["us"].model_copy(update={"mesh": mesh.model_copy(update={"remotes": {}})})
    with pytest.raises(FaultError, match=r"mesh\.remotes has no 'us'"):
        inject(FAULT, fleet.model_copy(update={"regions": {"us": region}}), ARGS, here.context())


def test_a_path_over_tls_is_proven_whoever_answers(here: Bench, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki", "test")
    pair = authority.server("server", "server", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # An API server that does not know us answers, too.
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who connects and goes says no hello
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = ControlPath(place="here", address=f"127.0.0.1:{server.server_port}", tls=True)
        assert paths.answers(here.fleet, path)
        with ControlProbe(here.fleet, [path]):
            pass
        server.shutdown()
