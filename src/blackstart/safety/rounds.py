"""Asking several clusters again and again, side by side, so that one that hangs does not hold up the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait


class Rounds[K: Hashable, R]:
    """Calls by key. A call that is still running in the next round is not started again."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="rounds")
        self._running: dict[K, Future[R]] = {}

    def turn(self, calls: Mapping[K, Callable[[], R]], patience: float) -> dict[K, R]:
        """Start the calls and return what has come back within `patience` seconds; the rest comes in a later turn."""
        for key, call in calls.items():
            if key not in self._running:
                self._running[key] = self._pool.submit(call)
        done, _ = wait(self._running.values(), timeout=patience)
        found = {key: future.result() for key, future in self._running.items() if future in done}
        self._running = {key: future for key, future in self._running.items() if key not in found}
        return found

    def close(self) -> None:
        """Start nothing more; calls that hang end by their own time limits."""
        self._pool.shutdown(wait=False, cancel_futures=True)
