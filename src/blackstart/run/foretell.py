"""The forecast of a run, read in time and written down before anything is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from blackstart.evidence.records import Foretold, Note
from blackstart.probes.threads import in_thread
from blackstart.schema.forecast import Forecast


async def foretell(read: Callable[[], dict[str, Forecast]], deadline: float) -> Foretold | Note | None:
    """What to write down: the forecast, or why there is none. A drill goes on without it."""
    try:
        found = await asyncio.wait_for(in_thread(read), deadline)
    except TimeoutError:
        return Note(level="warning", text=f"no forecast: no configuration within {deadline:g} s")
    except Exception as error:  # noqa: BLE001 - a forecast that crashes must not cost the drill
        return Note(level="warning", text=f"no forecast: {type(error).__name__}: {error}"[:500])
    return Foretold(services=found) if found else None
