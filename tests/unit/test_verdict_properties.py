"""What holds for any evidence: proofs are needed, and worse evidence never helps."""

from __future__ import annotations

from functools import cache

from evidence_builder import DIRECT_EU, END, FRESH, KEPT, T0, Answer, Scene
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blackstart.evidence.records import Line, Samples
from blackstart.judge import judge
from blackstart.schema.result import Result, Verdict

SCENES = (
    Scene(interval=0.2, silent=[]),
    Scene(interval=0.2, outage=14.8),
    Scene(interval=0.2, bad=[(30.0, 30.3)]),
    Scene(interval=0.2, bad=[(40.0, 40.5)]),
)


@cache
def lines_of(scene: int) -> list[Line]:
    return SCENES[scene].lines()


@cache
def result_of(scene: int) -> Result:
    return judge(lines_of(scene))


def spoil(lines: list[Line], batch: int, index: int) -> list[Line]:
    """The lines with one sample turned bad."""
    spots = [n for n, line in enumerate(lines) if isinstance(line.body, Samples) and line.body.stream != DIRECT_EU]
    n = spots[batch % len(spots)]
    body = lines[n].body
    assert isinstance(body, Samples)
    at = index % len(body.due)

    def put(values: list, value: object) -> list:  # type: ignore[type-arg]  # columns of any type
        return [value if i == at else old for i, old in enumerate(values)]

    changed = body.model_copy(
        update={"ok": put(body.ok, False), "region": put(body.region, None), "error": put(body.error, "503")}
    )
    return [*lines[:n], lines[n].model_copy(update={"body": changed}), *lines[n + 1 :]]


@given(st.integers(0, len(SCENES) - 1), st.lists(st.tuples(st.integers(0), st.integers(0)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_turning_good_samples_bad_never_helps(scene: int, spots: list[tuple[int, int]]) -> None:
    before, lines = result_of(scene), lines_of(scene)
    for batch, index in spots:
        lines = spoil(lines, batch, index)
    after = judge(lines)
    assert not (after.verdict is Verdict.PASS and before.verdict is not Verdict.PASS)
    if before.score is not None and after.score is not None:
        assert after.score.low <= before.score.low + 0.05


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_never_pass_with_a_second_of_a_client_missing(data: st.DataObject) -> None:
    start = data.draw(st.floats(2.0, 45.5))
    length = data.draw(st.floats(1.5, 20.0))
    name = data.draw(st.sampled_from([FRESH, KEPT]))
    lines = lines_of(0)
    window = (1000 + start, 1000 + start + length)
    kept = [line for line in (_cut(line, name, window) for line in lines) if line is not None]
    assert judge(kept).verdict is not Verdict.PASS


def _cut(line: Line, name: str, window: tuple[float, float]) -> Line | None:
    body = line.body
    if not isinstance(body, Samples) or body.stream != name:
        return line
    left = [i for i, due in enumerate(body.due) if not window[0] <= due < window[1]]
    columns = {key: [getattr(body, key)[i] for i in left] for key in ("due", "latency", "ok", "region", "error")}
    return line.model_copy(update={"body": body.model_copy(update=columns)})


@given(st.floats(0, 30), st.floats(0, 40))
@settings(deadline=None, max_examples=40)
def test_an_outage_longer_than_the_objective_never_passes(outage: float, gap: float) -> None:
    assume(outage > 15.2)
    result = judge(Scene(interval=0.2, outage=outage).lines())
    assert result.verdict is not Verdict.PASS


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=20)
def test_any_interleaving_gives_the_same_result(random: object) -> None:
    lines = lines_of(1)
    batches = [line for line in lines if isinstance(line.body, Samples)]
    random.shuffle(batches)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    rest = [line for line in lines if not isinstance(line.body, Samples)]
    assert judge([rest[0], *rest[1:-1], *batches, rest[-1]]) == result_of(1)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_cut_file_never_passes(data: st.DataObject) -> None:
    lines = lines_of(0)
    n = data.draw(st.integers(1, len(lines) - 1))
    assert judge(lines[:n]).verdict is not Verdict.PASS


def test_an_answer_of_nothing_at_all_never_passes() -> None:
    def nothing(name: str, t: float) -> Answer | None:
        return (1.0, False, None, "refused") if 0 <= t < END and T0 > 0 else None

    result = judge(Scene(interval=0.2, answer=nothing).lines())
    assert result.verdict is Verdict.INVALID
