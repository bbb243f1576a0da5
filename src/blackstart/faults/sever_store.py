"""Cuts the replication of a store between a region and all others; everything else between them goes on.

The place of each member's region drops what the other members' servers send to
processes there, by address and port. Traffic that a place only passes on, such
as its pods', is not touched. The drops expire in the kernel.
"""

from __future__ import annotations

import ipaddress
import time
from contextlib import closing
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import storeparts
from blackstart.faults.base import FaultError, Target
from blackstart.faults.dropping import Dropping, Lasting, lasting
from blackstart.faults.heard import Follower, alive, followers, look_at
from blackstart.faults.storeparts import Where
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import nft
from blackstart.fleet.dial import dial
from blackstart.fleet.drops import to_processes
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.schema.base import Model

_CONNECT = 1.0
_SLACK = 1.5
_LATE = 2.0
_PAUSE = 0.1
_STEP = 0.2
_CONFIRM_REVERTED = 120.0


class _Data(Lasting, Where):
    pass


class _Before(Model):
    followers: list[Follower]


class SeverStore(Dropping):
    """Drops what the servers of a store send to each other, at both ends."""

    kind = "sever-store"
    immediate = True

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`store` and `region` by role; `expires` and `lease` as for `lasting`."""
        at = storeparts.where(fleet, args)
        store = fleet.stores[at.store]
        if len(store.members) < 2:
            raise FaultError(f"fleet {fleet.fleet!r}: store {at.store!r} has one member; there is nothing to sever")
        for region, member in store.members.items():
            host = member.client_address.rpartition(":")[0]
            try:
                ipaddress.IPv4Address(host)
            except ValueError:
                name = f"stores.{at.store}.members.{region}"
                raise FaultError(
                    f"fleet {fleet.fleet!r}: {name}: a cut needs an IPv4 address, not {host!r}"
                ) from None
        data = _Data(**at.model_dump(), **lasting(args))
        return [Target(str(at), data.model_dump(), tuple(store.members))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Who follows whom across the cut, each heard of just now: else nothing could show that it bites."""
        data = _Data.model_validate(target.data)
        found = followers(fleet, data)
        if not found:
            raise FaultError(f"{self.kind} {target.name}: nothing replicates between {data.region} and the others")
        for follower in found:
            alive(fleet, follower)
        return _Before(followers=found).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None: replication is no HTTP. `confirm` watches the established connection, and opens others."""
        return []

    def drops(self, fleet: Fleet, data: dict[str, Any]) -> nft.Drops:
        """At each end, what comes from the other end's servers."""
        found = _Data.model_validate(data)
        store, mine = storeparts.parts(fleet, found)
        others = {region: member for region, member in store.members.items() if region != found.region}
        # Where the server runs: a member's own place is only where it is asked from.
        addresses = {fleet.regions[found.region].place: [member.client_address for member in others.values()]}
        for region in others:
            addresses.setdefault(fleet.regions[region].place, []).append(mine.client_address)
        return {place: [to_processes(list(dict.fromkeys(each)))] for place, each in addresses.items()}

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """It drops; right after the change, no replica hears of its source any more, by old or new connections."""
        found = super().confirm(fleet, undo, within)
        if not within:
            return found
        ends = time.monotonic() + within
        return "; ".join([found, *(self._silent(fleet, undo, each, ends) for each in _followers(undo))])

    def over(self, fleet: Fleet, undo: Undo) -> list[ControlPath]:
        """None that speak HTTP."""
        return []

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """No place drops; whoever still follows the same source hears of it again."""
        gone = super().confirm_reverted(fleet, undo)

        def look() -> str:
            back = []
            for follower in _followers(undo):
                seen = look_at(fleet, follower)
                if seen.source == follower.source:
                    if not seen.connected:
                        raise NotYet(f"{follower.at}: {seen.said}")
                    back.append(f"{follower.at} hears of {follower.source} again: {_alive(fleet, follower)}")
                elif not _connects(fleet, follower):
                    raise NotYet(f"{follower.at} cannot connect to {follower.source}")
                else:
                    back.append(f"{follower.at} follows {seen.source or 'nobody'} now, and could connect")
            return "; ".join(back)

        return f"{gone}; {wait_for(f'{undo.kind} {undo.target}', _CONFIRM_REVERTED, look)}"

    def _silent(self, fleet: Fleet, undo: Undo, follower: Follower, ends: float) -> str:
        """Wait until nothing has come for longer than anything takes that is due. Raises FaultError."""
        what, quiet = f"{undo.kind} {undo.target}", follower.every + min(follower.every, _LATE) + _SLACK
        if _connects(fleet, follower):
            raise FaultError(f"{what}: {follower.at} can still open a connection to {follower.source}")
        mark, silent, before = look_at(fleet, follower).mark, 0.0, time.monotonic()
        while silent < quiet:
            if time.monotonic() > ends:
                raise FaultError(f"{what}: {follower.at} still hears of {follower.source} on its old connection")
            time.sleep(_PAUSE)
            seen, now = look_at(fleet, follower), time.monotonic()
            # While this machine stands still, so may the replica: that is no silence of its source.
            silent = silent + min(now - before, _STEP) if seen.mark == mark else 0.0
            mark, before = seen.mark, now
        return f"{follower.at} has heard nothing for {quiet:g} s, and cannot connect"


def _followers(undo: Undo) -> list[Follower]:
    return _Before.model_validate(undo.before).followers


def _alive(fleet: Fleet, follower: Follower) -> str:
    try:
        return alive(fleet, follower)
    except FaultError as error:
        # A connection that survived goes on seconds after the drops have gone.
        raise NotYet(str(error)) from None


def _connects(fleet: Fleet, follower: Follower) -> bool:
    """Whether a new connection to the source opens, from where the replica is."""
    place = fleet.places[fleet.regions[follower.at.region].place]
    host, _, port = follower.source.rpartition(":")
    try:
        with closing(dial(place, host, int(port), _CONNECT)):
            return True
    except OSError:
        return False


FAULT = SeverStore()
