"""What people see: plain lines in a pipe, a page on a terminal, and never an end of the drill."""

from __future__ import annotations

import io

from rich.console import Console
from runkit import a_drill, a_fleet, a_plan, batch

from blackstart.evidence.records import (
    Check,
    End,
    FaultEvent,
    FaultState,
    Interval,
    Note,
    Outstanding,
    Phase,
    PhaseStart,
    Reason,
)
from blackstart.evidence.written import Span, StoreRead
from blackstart.run.display import OnTerminal, Plain, View, phases_table, say, traffic_line
from blackstart.run.outlook import Outlook
from blackstart.run.streams import client_streams
from blackstart.run.watch import Watch

PLAN = a_plan()
STREAMS = {name: s for name, (s, _) in client_streams(PLAN.drill.client, a_fleet(), PLAN.services).items()}
ENTRY = "user-service/entry/fresh"
CONFIRMED = FaultEvent(
    fault="f1",
    kind="isolate",
    target="us",
    state=FaultState.CONFIRMED,
    t0=Interval(earliest=100.0, latest=100.1),
)


READ = StoreRead(
    moment="failover",
    store="db",
    record="orders",
    member="eu",
    writable=True,
    acknowledged=40,
    lost=Span(count=3, first=1.0, last=2.0),
)


def watch() -> Watch:
    return Watch(STREAMS.values(), None, 10.0)


def outlook() -> Outlook:
    return Outlook(a_drill(), PLAN.services, STREAMS)


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_streams_are_two_an_entry_and_one_a_region() -> None:
    assert sorted(STREAMS) == [
        "user-service/direct/eu",
        "user-service/direct/us",
        "user-service/entry/fresh",
        "user-service/entry/kept",
    ]
    assert STREAMS[ENTRY].interval == 0.02
    assert STREAMS["user-service/direct/eu"].interval == 0.1


def test_plain_lines_carry_a_time() -> None:
    out = io.StringIO()
    with Plain(watch(), out) as display:
        display(1.0, PhaseStart(phase=Phase.HOLD))
        display(2.0, Note(level="error", text="the child died"))
    first, second = out.getvalue().splitlines()
    assert first.endswith("Z phase hold")
    assert first[2] == first[5] == ":"
    assert second.endswith("Z error: the child died")


def test_plain_traffic_comes_every_few_seconds() -> None:
    out, seen = io.StringIO(), watch()
    display = Plain(seen, out)
    for tenth in range(100):
        samples = batch(ENTRY, [100 + tenth / 10], "us")
        seen.see(samples)
        display(100 + tenth / 10, samples)
    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    assert "user-service/entry/fresh: 100% good us 100%" in lines[0]
    assert "user-service/direct/eu: no answer yet" in lines[0]


def test_a_terminal_that_went_away_costs_nothing() -> None:
    Plain(watch(), Gone())(1.0, PhaseStart(phase=Phase.HOLD))
    with OnTerminal(watch(), outlook(), Gone()) as display:
        display(1.0, PhaseStart(phase=Phase.HOLD))


def test_the_page_shows_phases_traffic_and_news() -> None:
    out, seen = io.StringIO(), watch()
    seen.see(batch(ENTRY, [100.5, 100.9], "eu"))
    with OnTerminal(seen, outlook(), out) as display:
        display(99.0, PhaseStart(phase=Phase.INJECT))
        display(100.0, CONFIRMED)
        display(101.0, Note(level="warning", text="something to know"))
    page = out.getvalue()
    for text in ("inject", "eu 100%", "something to know", "RTO 30 s"):
        assert text in page


def test_phases_that_are_over_show_how_long_they_took() -> None:
    view = View()
    view.see(10.0, PhaseStart(phase=Phase.PREFLIGHT))
    view.see(12.5, PhaseStart(phase=Phase.BASELINE))
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as captured:
        console.print(phases_table(view, a_drill().phases, 12.6))
    assert "2.5 s" in captured.get()
    assert "0 s of 0.3 s" in captured.get()


def test_what_is_said() -> None:
    said = {
        "NOT OK  identity/us: another cluster": Check(name="identity/us", ok=False, detail="another cluster"),
        "NOT PUT BACK: f1; run `blackstart recover`": Outstanding(faults=["f1"]),
        "everything is put back": Outstanding(faults=[]),
        "the run is refused: baseline failed": End(how="refused", detail="baseline failed"),
        "fault f1 on us: confirmed": CONFIRMED,
        "after the failover, db/orders at eu (takes writes): 3 of 40 acknowledged writes lost": READ,
        "after the failover, db/orders at eu: no data: refused: away": READ.model_copy(
            update={"no_data": Reason.REFUSED, "detail": "away"}
        ),
    }
    for text, body in said.items():
        found = say(body)
        assert found is not None
        assert found.text == text
    assert say(batch(ENTRY, [1.0], "us")) is None


def test_the_outlook_forms() -> None:
    forming = outlook()
    assert forming.lines() == ["the fault is not confirmed yet"]
    forming.see(batch(ENTRY, [99.0], None))
    forming.see(CONFIRMED)
    forming.see(batch(ENTRY, [100.0, 104.0], None))
    assert forming.lines() == ["frontend: RTO 30 s: not recovered 4.0 s after T0"]
    forming.see(batch(ENTRY, [104.5, 110.0], "eu"))
    assert forming.lines() == ["frontend: RTO 30 s: last bad request 4.0 s after T0, good for 6.0 s"]
    forming.see(batch(ENTRY, [140.0], None))
    assert forming.lines() == ["frontend: RTO 30 s: not recovered 40.0 s after T0, missed"]
    forming.see(Outstanding(faults=["f1"]))
    assert forming.lines() == ["this cannot pass: not everything is put back"]


def test_traffic_names_who_answers() -> None:
    seen = watch()
    seen.see(batch(ENTRY, [9.0, 9.1, 9.2], "us"))
    seen.see(batch(ENTRY, [9.3], "eu"))
    assert "user-service/entry/fresh: 100% good eu 25% us 75%" in traffic_line(seen, 10.0)
