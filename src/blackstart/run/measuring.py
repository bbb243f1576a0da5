"""The measuring side of a run: client streams and probes, from the baseline to the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from blackstart.evidence.records import Body, Reading, Samples, Stream
from blackstart.fleet.model import Entry, Place
from blackstart.probes import parts
from blackstart.probes.base import ProbeSpec, Scope
from blackstart.probes.sampler import Target, sampling
from blackstart.probes.threads import in_thread

Sample = Callable[[Mapping[str, tuple[Stream, Entry]], Callable[[Samples], None]], AbstractAsyncContextManager[None]]
"""Samples the streams for the length of an `async with`; batches arrive in the event loop."""

Read = Callable[[ProbeSpec, Scope], Awaitable[list[Reading]]]
"""One look of a probe, ended by its own deadline."""


def sample_from(places: Mapping[str, Place]) -> Sample:
    """The real client, with the places of a fleet."""

    @asynccontextmanager
    async def sample(
        streams: Mapping[str, tuple[Stream, Entry]], emit: Callable[[Samples], None]
    ) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        targets = [Target(stream, entry, places[entry.place]) for stream, entry in streams.values()]

        def arrived(samples: Samples) -> None:
            loop.call_soon_threadsafe(emit, samples)

        thread = sampling(targets, arrived)
        thread.__enter__()
        try:
            yield
        finally:
            # Waits for what is in flight: not in the loop. What ended the sampling early is raised here.
            await in_thread(lambda: thread.__exit__(None, None, None))

    return sample


@asynccontextmanager
async def probing(
    specs: Sequence[ProbeSpec], scope: Scope, read: Read, log: Callable[[Body], None]
) -> AsyncIterator[None]:
    """Read each part of a probe at its own pace for the length of the block.

    A reader that crashed is raised at its end.
    """
    paces = [part for spec in specs for part in parts(spec, scope)]
    tasks = [asyncio.create_task(_read_for_ever(part, scope, read, log)) for part in paces]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _read_for_ever(spec: ProbeSpec, scope: Scope, read: Read, log: Callable[[Body], None]) -> None:
    due = time.monotonic()
    while True:
        for reading in await read(spec, scope):
            log(reading)
        # A slow look makes the next one late, never two at a time.
        due = max(due + spec.every, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
