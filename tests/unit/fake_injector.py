"""An injector, or `recover`, that behaves as told: argv is the mode and the folder of the fault."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MODE, FOLDER = sys.argv[1], Path(sys.argv[2])
DOWN, UNDO = FOLDER / "down", FOLDER / "undo"


def say(event: dict[str, object]) -> None:
    os.write(int(os.environ["BLACKSTART_EVENTS_FD"]), json.dumps(event).encode() + b"\n")


def fault(state: str, **more: object) -> None:
    say({"type": "fault", "fault": "f1", "kind": "isolate", "target": "region us", "state": state, **more})


def activity(status: str) -> None:
    say({"type": "activity", "section": "method", "name": "isolate", "status": status, "injects": True})


def revert() -> None:
    DOWN.unlink(missing_ok=True)
    fault("reverted")
    UNDO.unlink(missing_ok=True)
    fault("confirmed_reverted")


def recover() -> None:
    if MODE == "recover":
        revert()
    elif MODE == "recover-silent":
        DOWN.unlink(missing_ok=True)
        UNDO.unlink(missing_ok=True)
    elif MODE == "recover-hangs":
        time.sleep(60)
    sys.exit(0 if MODE in ("recover", "recover-silent") else 14)


def inject() -> None:
    sys.stdin.readline()
    if MODE == "fails":
        activity("failed")
        os.write(int(os.environ["BLACKSTART_EVENTS_FD"]), b"held\n")
        sys.stdin.readline()
        return
    fault("armed")
    UNDO.touch()
    began = time.monotonic()
    DOWN.touch()
    fault("applied")
    if MODE == "dies":
        print("about to die")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "hangs":
        # A child of its own that would go on breaking things if it were not killed too.
        child = subprocess.Popen(["sleep", "60"])
        (FOLDER / "grandchild").write_text(str(child.pid))
        child.wait()
    if MODE == "ineffective":
        fault("ineffective", detail="a second path is open")
    else:
        fault("confirmed", t0={"earliest": began, "latest": time.monotonic()})
    activity("succeeded")
    os.write(int(os.environ["BLACKSTART_EVENTS_FD"]), b"held\n")
    sys.stdin.readline()
    if MODE == "ignores-undo":
        time.sleep(60)
    revert()


recover() if MODE.startswith("recover") else inject()
