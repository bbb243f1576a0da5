"""Moves the primary of a Redis store: in an emergency, as planned, and brings old ones back."""

from __future__ import annotations

import base64
import json
import time

from blackstart.procedures.base import Diverged, StepError
from blackstart.procedures.redis import Key, Server, command
from blackstart.procedures.site import Site

SILENT = 3.0
"""Seconds without a link to a living primary after which a promotion goes on without the rest."""

_NAMED = 5


class RedisMoves:
    """Every method goes on from where a killed one stopped."""

    needs = (
        "as `admin`: +replicaof +failover +info +role +ping +config|get +config|set +config|rewrite, and to compare "
        "and salvage +scan +dump +pttl on all keys"
    )

    def promote(self, site: Site, to: str) -> str:
        """Fence the old one where it answers, wait for the replica, then REPLICAOF NO ONE, and CONFIG REWRITE."""
        target, record = Server(site, to), site.record
        if target.is_primary:
            said = _promoted_already(site, target)
        else:
            old = Server(site, site.primary)
            if old.region == to:
                raise StepError(f"{target} is the primary by all that is written, but follows another; look by hand")
            site.note(region=to, was=old.region, stage="begun")
            said = _catch_up(site, target, old)
        target.open()
        if record or site.record:
            site.note(stage="promoted")
        # After the clients are told: they wait.
        return f"{said}; {target} takes writes; {site.tell_clients(to)}{target.keep_role()}"

    def switch_back(self, site: Site, to: str) -> str:
        """FAILOVER: the primary stops writes, hands over when the replica has all, and follows it."""
        target = Server(site, to)
        if target.is_primary:
            said = _promoted_already(site, target)
        else:
            old = Server(site, site.primary)
            if not target.follows(old) and not target.is_primary:
                raise StepError(f"{target} does not follow {old}; let it rejoin first")
            offset = int(old.info()["master_repl_offset"])
            # A hand-over that a killed step asked for may still be under way.
            site.deadline.until(
                lambda: f"{target}: not in step with its primary",
                lambda: _handed_over(target, old) or target.has(offset) or None,
            )
            site.note(region=to, was=old.region, stage="begun")
            _fail_over(site, target, old)
            said = f"{old.region} handed over to {to}"
        target.unfence()
        if record := site.record:
            site.note(stage="promoted")
            said = f"{said}; {site.tell_clients(to)}{target.keep_role()}"
            if record.was != to:
                kept = Server(site, record.was).follow(target, site.deadline)
                said += f"; {record.was} follows{kept}"
        return said

    def call_off(self, site: Site, region: str, back: str) -> str:
        """Take the fence away, and let the replica follow."""
        replica, primary = Server(site, region), Server(site, back)
        if replica.is_primary or not primary.is_primary:
            raise StepError(f"{replica} is no replica of {primary} any more: promote it, then switch back")
        primary.unfence()
        kept = replica.follow(primary, site.deadline)
        return f"the promotion of {region} is called off, {primary} takes writes{kept}"

    def rejoin(self, site: Site, region: str) -> str:
        """Follow the primary if that discards nothing. Raises Diverged: Redis itself would not say."""
        primary, server = _pair(site, region)
        if not server.follows(primary) and not server.is_past_of(primary):
            extra = list(server.surplus(primary, site.deadline))
            if extra:
                raise Diverged(f"{server} has {_told(extra)}")
        kept = server.follow(primary, site.deadline)
        return f"{server} follows {primary.region}{kept}"

    def rebuild(self, site: Site, region: str) -> str:
        """Salvage, then let the full synchronisation discard the rest."""
        primary, server = _pair(site, region)
        extra = [] if server.follows(primary) else list(server.surplus(primary, site.deadline))
        said = _salvage(site, server, extra) if extra else "nothing to salvage"
        kept = server.follow(primary, site.deadline)
        return f"{said}; {server} follows {primary.region}{kept}"


def _promoted_already(site: Site, target: Server) -> str:
    record = site.record
    if (record and record.region == target.region) or (record is None and site.primary == target.region):
        return "it takes writes already"
    raise StepError(f"{target} takes writes, but nobody promoted it: two primaries; fence it")


def _catch_up(site: Site, target: Server, old: Server) -> str:
    if not old.answers():
        return f"{old.region} does not answer, so it is not fenced"
    offset, heard = old.fence(), time.monotonic()
    while not target.has(offset):
        site.deadline.check(f"{target} did not receive everything from {old}")
        if target.info().get("master_link_status") == "up":
            heard = time.monotonic()
        elif time.monotonic() > heard + SILENT:
            return f"{old.region} fenced; {target.region} cannot reach it: what it has not received stays there"
        time.sleep(0.05)
    return f"{old.region} fenced; {target.region} has all of it"


def _fail_over(site: Site, target: Server, old: Server) -> None:
    old.log_in()

    def seen() -> tuple[str, ...] | None:
        return () if _handed_over(target, old) else _listed(target, old)

    replica = site.deadline.until(lambda: f"{old} does not have {target} as a replica yet", seen)
    if not replica:
        return
    milliseconds = max(1, int(1000 * site.deadline.left / 2))
    with old.session() as client:
        if old.info().get("master_failover_state", "no-failover") == "no-failover":
            command(client, "FAILOVER", "TO", *replica, "TIMEOUT", milliseconds)

    def look() -> bool | None:
        if _handed_over(target, old):
            return True
        # From one answer: it may hand over between two.
        now = old.info()
        if now["role"] == "master" and now.get("master_failover_state") == "no-failover":
            raise StepError(f"{old} gave the hand-over up and takes writes as before; is {target} connected?")
        return None

    # It answers at once, and goes on by itself.
    site.deadline.until(lambda: f"{old} has not handed over to {target}", look)


def _handed_over(target: Server, old: Server) -> bool:
    return target.is_primary and not old.is_primary


def _listed(target: Server, old: Server) -> tuple[str, str] | None:
    """Host and port of a replica as its primary knows it: FAILOVER takes no other. None while it is not online."""
    found = old.info()
    slaves = [found[key] for key in sorted(found) if key.startswith("slave") and isinstance(found[key], dict)]
    known = [(str(slave["ip"]), str(slave["port"])) for slave in slaves if slave.get("state") == "online"]
    for address in (target.member.client_address, target.member.address):
        host, _, port = address.rpartition(":")
        if (host, port) in known:
            return host, port
    # Behind a translation of addresses it is known by another name.
    return known[0] if len(known) == len(slaves) == 1 else None


def _pair(site: Site, region: str) -> tuple[Server, Server]:
    """The primary, and the server that is to follow it, fenced."""
    if region == site.primary:
        raise StepError(f"{site.name}: {region} has the primary; it cannot follow itself")
    primary, server = Server(site, site.primary), Server(site, region)
    # It may be on its way up.
    site.deadline.until(lambda: f"{server} does not answer", lambda: server.answers() or None)
    if not primary.is_primary:
        raise StepError(f"{primary} should be the primary, but follows another; promote it first")
    if server.is_primary:
        server.fence()
    return primary, server


def _told(extra: list[Key]) -> str:
    absent = [key for key in extra if key.absent]
    names = ", ".join(key.name.decode(errors="replace") for key in (absent or extra)[:_NAMED])
    return (
        f"{len(absent)} keys that the primary has not and {len(extra) - len(absent)} with another value ({names}"
        + (", ..." if len(absent or extra) > _NAMED else "")
        + ")"
    )


def _salvage(site: Site, server: Server, extra: list[Key]) -> str:
    lines = [
        json.dumps(
            {
                "key": key.name.decode(errors="backslashreplace"),
                "key_base64": base64.b64encode(key.name).decode(),
                "dump_base64": base64.b64encode(key.dump).decode(),
                "ttl_ms": key.ttl,
                "absent": key.absent,
            }
        )
        for key in extra
    ]
    content = "".join(f"{line}\n" for line in lines).encode()
    return f"salvaged {_told(extra)} into {site.keep(f'{site.name}-{server.region}', '.keys.ndjson', content)}"
