"""The process in which a Chaos Toolkit probe runs: a request on stdin, an outcome on stdout, both JSON.

The probe's own output must not get between: its stdout is /dev/null.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any


def main() -> None:
    """Run the activity that stdin describes. Kills its process group at twice the deadline, should nobody else."""
    request = json.load(sys.stdin)
    timer = threading.Timer(2 * request["deadline"], lambda: os.killpg(0, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    outcome = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    json.dump(_outcome(request["activity"]), outcome, default=str)
    outcome.close()
    # Threads that the probe left running have no claim on this process.
    os._exit(0)


def _outcome(activity: dict[str, Any]) -> dict[str, Any]:
    from chaoslib.activity import run_activity
    from chaoslib.hypothesis import within_tolerance

    try:
        output = run_activity(activity, {}, {})
        tolerance = activity["tolerance"]
        tolerated = tolerance is None or within_tolerance(tolerance, output, {}, {})
    except BaseException as error:  # noqa: BLE001 - a provider may raise anything, and all of it is the outcome
        return {"error": f"{type(error).__name__}: {error}"}
    return {"output": output, "tolerated": bool(tolerated)}


if __name__ == "__main__":
    main()
