import time
from pathlib import Path

import pytest

from blackstart.fleet import power
from blackstart.fleet.model import Power


def test_what_it_printed() -> None:
    switch = Power(kill=["true"], restore=["true"], state=["echo", "up"])
    power.kill(switch)
    power.restore(switch)
    assert power.state(switch) == "up"


def test_what_nothing_can_freeze_is_not_frozen() -> None:
    switch = Power(kill=["true"], restore=["true"], state=["echo", "up"])
    with pytest.raises(power.PowerError, match=r"add `power\.freeze`"):
        power.freeze(switch)
    power.freeze(switch.model_copy(update={"freeze": ["true"]}))


def test_a_failure_shows_the_output() -> None:
    with pytest.raises(power.PowerError, match="exited with 3: no way"):
        power.run(["sh", "-c", "echo no way >&2; exit 3"], 5)


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(power.PowerError, match="correct `power` in fleet"):
        power.run(["/no/such/command"], 5)


def test_at_the_deadline_the_whole_group_ends(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(power.PowerError, match=r"did not end within 0\.3 s"):
        power.run(["sh", "-c", f"(sleep 1; touch {tmp_path}/late) & sleep 60"], 0.3)
    assert time.monotonic() - began < 3
    time.sleep(1.2)
    assert not (tmp_path / "late").exists()


def test_what_it_leaves_running_does_not_hold_it_up(tmp_path: Path) -> None:
    began = time.monotonic()
    assert power.run(["sh", "-c", f"(sleep 1; touch {tmp_path}/daemon) & echo done"], 5) == "done\n"
    assert time.monotonic() - began < 0.9
    time.sleep(1.3)
    assert (tmp_path / "daemon").exists()
