"""The forecast of a run, read in time and written down before anything is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from blackstart.evidence.records import Foretold
from blackstart.probes.threads import in_thread
from blackstart.schema.forecast import Forecast


async def foretell(read: Callable[[], dict[str, Forecast]], services: Iterable[str], deadline: float) -> Foretold:
    """What to write down: the forecast of each service, or why there is none. Raises nothing; a drill goes on."""
    try:
        return Foretold(services=await asyncio.wait_for(in_thread(read), deadline))
    except TimeoutError:
        reason = f"the configuration was not read within {deadline:g} s"
    except Exception as error:  # noqa: BLE001 - a forecast that crashes must not cost the drill
        reason = f"{type(error).__name__}: {error}"[:500]
    return Foretold(services={name: Forecast(reason=reason) for name in services})
