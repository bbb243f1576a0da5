"""Steps on real servers: a site of a store, and API servers whose ConfigMaps tell clients where to go."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storekit import Pair, fleet

from blackstart.evidence.promotions import Promotions
from blackstart.procedures.base import Work, run_step
from blackstart.schema.procedure import Step

RUN = "20260101-000000-database-failover-abcd"


def a_work(folder: Path, clusters: dict[str, Any] | None = None, **stores: Pair[Any]) -> Work:
    """Where steps are done, with the run's folder and the state below `folder`."""
    (folder / "run").mkdir(exist_ok=True)
    return Work(fleet(folder, clusters, **stores), RUN, folder / "run", Promotions(folder / "state"))


def do(work: Work, deadline: float = 60.0, **action: Any) -> str:
    """Do one step: `do(work, promote={"store": "orders", "to": "eu"})`."""
    return run_step(work, Step.model_validate({"name": "a step", "deadline": deadline, **action}))


def killed_before(number: int, patch: Callable[[Callable[[], None]], None], work: Callable[[], object]) -> bool:
    """Do something in a child that kills itself with SIGKILL before statement `number`; whether it came so far.

    `patch` has the child call a function before each statement.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads here hold no lock that the child needs
        child = os.fork()
    if child == 0:
        count = 0

        def strike() -> None:
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            patch(strike)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"the step failed before statement {number}"
    return os.WIFSIGNALED(status)
