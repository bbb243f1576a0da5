"""The TCP paths that faults claim to cut, and a simple look at whether they answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from blackstart.faults.base import FaultError
from blackstart.faults.wait import NotYet
from blackstart.fleet.headers import Pairs
from blackstart.fleet.model import ControlPath, Entry, Fleet
from blackstart.fleet.places import open_socket, place_of
from blackstart.fleet.web import anyone, get_head

_LOOK = 1.0
_ENOUGH = 64


@dataclass(frozen=True)
class Answered:
    """An HTTP status, and after how many seconds it came."""

    status: int
    took: float


def direct(fleet: Fleet, service: str, region: str) -> ControlPath:
    """A region's own entry of a service as a control path. Raises FaultError."""
    entry = fleet.services[service].direct.get(region)
    if entry is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: service {service!r} has no direct entry in {region!r}: nothing could prove "
            f"that the fault bites; add services.{service}.direct.{region}"
        )
    return path_of(entry, f"services.{service}.direct.{region}")


def path_of(entry: Entry, where: str) -> ControlPath:
    """An entry as a control path; `where` names it in errors. Raises FaultError."""
    url = urlsplit(entry.url)
    if url.scheme != "http" or url.hostname is None:
        raise FaultError(f"{where}.url: a control path needs plain http, not {entry.url}")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return ControlPath(place=entry.place, address=f"{url.hostname}:{url.port or 80}", get=path)


def of_region(fleet: Fleet, region: str) -> list[ControlPath]:
    """Every path over the region's links, and its own entries of every service."""
    over_links = [path for link in fleet.links_of(region).values() for path in link.paths]
    entries = [direct(fleet, name, region) for name, service in fleet.services.items() if region in service.direct]
    return list(dict.fromkeys([*over_links, *entries]))


def answers(fleet: Fleet, path: ControlPath, timeout: float = _LOOK, headers: Pairs = ()) -> bool:
    """Whether a fresh connection over the path gets an HTTP answer below 500 within `timeout` seconds a step."""
    found = ask(fleet, path, timeout, headers)
    return found is not None and found.status < 500


def ask(fleet: Fleet, path: ControlPath, timeout: float = _LOOK, headers: Pairs = ()) -> Answered | None:
    """What a fresh connection over the path gets within `timeout` seconds a step; None when that is no HTTP."""
    began = time.monotonic()
    host, _, port = path.address.rpartition(":")
    request = get_head(path.get, path.address, keep=False, headers=headers)
    try:
        with open_socket(place_of(fleet, path)) as plain:
            plain.settimeout(timeout)
            plain.connect((host, int(port)))
            with anyone().wrap_socket(plain) if path.tls else plain as sock:
                sock.sendall(request)
                words = sock.recv(_ENOUGH).split()
    except OSError:
        return None
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return None
    return Answered(int(words[1]), time.monotonic() - began)


def all_answer(fleet: Fleet, paths: list[ControlPath]) -> str:
    """Says so when every path answers; raises NotYet with those that do not."""
    silent = [f"{path.place} -> {path.address}" for path in paths if not answers(fleet, path)]
    if silent:
        raise NotYet(f"no answer on {', '.join(silent)}")
    return f"{len(paths)} of {len(paths)} paths answer"
