"""Facts established once: each look in a thread, all at the same time, each with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from blackstart.evidence.records import Check
from blackstart.probes.threads import in_thread
from blackstart.schema.errors import BlackstartError

Look = Callable[[], str]
"""Returns what was found, raises Wrong when it is not as it must be; any other error means: not known."""


class Wrong(Exception):  # noqa: N818 - a state of the world, not a mistake
    """What is wrong, and the next step."""


async def run_looks(looks: Mapping[str, Look], deadline: float) -> list[Check]:
    """All looks at once, each for at most `deadline` seconds; the checks come in the order of the looks."""
    return list(await asyncio.gather(*(_check(name, look, deadline) for name, look in looks.items())))


async def _check(name: str, look: Look, deadline: float) -> Check:
    try:
        return Check(name=name, ok=True, detail=await asyncio.wait_for(in_thread(look), deadline))
    except Wrong as wrong:
        return Check(name=name, ok=False, detail=str(wrong))
    except TimeoutError:
        return Check(name=name, ok=None, detail=f"no answer within {deadline:g} s")
    except BlackstartError as error:
        return Check(name=name, ok=None, detail=str(error))
    except Exception as error:  # noqa: BLE001 - a look that crashes is an unknown, never a pass
        return Check(name=name, ok=None, detail=f"{type(error).__name__}: {error}"[:500])
