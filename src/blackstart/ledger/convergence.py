"""Where the members of a multi-active store hold different things: a pure function of what each was found to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blackstart.ledger.checker import acknowledged_at
from blackstart.ledger.records import Write

Content = Mapping[str, str]
"""What a member holds: id -> a digest of what is recorded under it."""


@dataclass(frozen=True)
class Difference:
    """An id that is not everywhere, or not everywhere the same.

    `held`, `missing`: the members that have it and that lack it; `differs`:
    those that have it do not have the same. `write`: None for one that the
    ledger does not know.
    """

    id: str
    held: tuple[str, ...]
    missing: tuple[str, ...]
    differs: bool
    write: Write | None


def differences(members: Mapping[str, Content], writes: Sequence[Write]) -> list[Difference]:
    """Every difference: first what differs in content, which others may follow from; the oldest write first.

    Ids that only some hold, ids that all hold with different content, and
    acknowledged writes that nobody holds.
    """
    known = {write.id: write for write in writes}
    wanted = {name for name, write in known.items() if write.result == "ok"}
    unlike = {name for name in wanted.union(*members.values()) if _differs(members, name)}
    found = [_difference(members, name, known.get(name)) for name in unlike]
    return sorted(found, key=_order)


def _order(each: Difference) -> tuple[bool, float, str]:
    return not each.differs, acknowledged_at(each.write) if each.write else float("inf"), each.id


def _differs(members: Mapping[str, Content], name: str) -> bool:
    contents = [content.get(name) for content in members.values()]
    return contents[0] is None or any(each != contents[0] for each in contents)


def _difference(members: Mapping[str, Content], name: str, write: Write | None) -> Difference:
    held = {member: content[name] for member, content in members.items() if name in content}
    missing = tuple(member for member in members if member not in held)
    return Difference(name, tuple(held), missing, len(set(held.values())) > 1, write)
