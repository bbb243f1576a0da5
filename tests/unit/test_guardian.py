"""The guardian: its decisions on paper, and its whole life against a fake API server and a clock of its own."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faultkit import APP, RUN, Bench, bench
from kubeapi import NAMESPACE

from blackstart.faults.inject import inject
from blackstart.faults.marks import LABEL
from blackstart.faults.scale import FAULT
from blackstart.faults.workloads import DEPLOYMENTS
from blackstart.fleet import lease as leases
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import GUARDIAN, LEASES, Lease, run_lease
from blackstart.fleet.objects import Ref
from blackstart.plan.ward import Charge, Ward
from blackstart.safety.expiry import Step, Watch, decide, see
from blackstart.safety.guardian import STATE, Beat, Guardian, Post

ARGS = {"service": "frontend", "region": "primary"}
LEASE = run_lease(NAMESPACE, RUN)
TARGET = Ref("apps/v1/deployments", NAMESPACE, APP)
WARD = Ward("us", NAMESPACE, (Charge(TARGET),))
TTL = 15.0


def lease(holder: str = RUN, renewed: str = "t0") -> Lease:
    return Lease(Ref(LEASES, "n", "l"), "uid", "1", holder, TTL, renewed, {}, {})


# -- decisions


def test_it_expires_by_its_own_clock_since_the_last_renewal() -> None:
    watch = see(Watch(), lease(), 100.0)
    assert decide(watch, lease(), 100.0) is Step.WAIT
    assert decide(watch, lease(), 114.9) is Step.WAIT
    assert decide(watch, lease(), 115.0) is Step.TAKE_OVER
    watch = see(watch, lease(renewed="t1"), 114.0)
    assert decide(watch, lease(renewed="t1"), 120.0) is Step.WAIT
    assert decide(see(watch, lease(renewed="t1"), 129.0), lease(renewed="t1"), 129.0) is Step.TAKE_OVER


def test_after_a_restart_it_goes_on_from_what_it_had_seen() -> None:
    watch = see(Watch(), lease(), 1000.0, age=9.0)
    assert decide(watch, lease(), 1005.9) is Step.WAIT
    assert decide(watch, lease(), 1006.0) is Step.TAKE_OVER
    assert see(watch, lease(renewed="t1"), 1001.0, age=9.0).since == 1001.0


def test_what_was_taken_before_a_restart_is_finished() -> None:
    assert decide(see(Watch(), lease(GUARDIAN), 0.0), lease(GUARDIAN), 0.0) is Step.RESTORE


def test_after_an_outage_the_holder_may_renew_first_but_only_once() -> None:
    watch = see(Watch(), lease(), 0.0).lost_sight()
    back = see(watch, lease(), 60.0)
    assert decide(back, lease(), 60.0) is Step.WAIT
    assert decide(back, lease(), 66.0) is Step.TAKE_OVER
    again = see(back.lost_sight(), lease(), 64.0)
    assert decide(again, lease(), 66.0) is Step.TAKE_OVER


def test_a_short_outage_delays_nothing() -> None:
    watch = see(see(Watch(), lease(), 0.0).lost_sight(), lease(), 5.0)
    assert decide(watch, lease(), 14.9) is Step.WAIT
    assert decide(watch, lease(), 15.0) is Step.TAKE_OVER


# -- its life


@dataclasses.dataclass
class Life:
    """A guardian on a bench; each pause lets half a second pass and then calls `at` for what happens by then."""

    here: Bench
    now: float = 0.0
    at: Callable[[float], None] = lambda now: None
    words: list[str] = dataclasses.field(default_factory=list)
    ward: Ward = WARD

    @functools.cached_property
    def cluster(self) -> Any:
        return self.here.fleet.regions["us"].cluster

    @property
    def guardian(self) -> Guardian:
        post = Post(RUN, LEASE, self.cluster, self.ward, "pod-1")
        return Guardian(post, self.words.append, lambda: self.now, self.pause)

    def pause(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 300, "it goes on for ever"
        self.at(self.now)

    def take_lease(self) -> None:
        with Kube(self.cluster) as kube:
            leases.create(kube, LEASE, RUN, TTL)

    def renew(self) -> None:
        with Kube(self.cluster) as kube:
            leases.renew(kube, leases.held(kube, LEASE, RUN))

    def beat(self) -> Beat:
        (found,) = self.here.api.named("leases")
        return Beat.model_validate_json(found["metadata"]["annotations"][STATE])


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with bench(tmp_path) as here:
        yield Life(here)


@pytest.fixture
def broken(life: Life) -> Life:
    """A run that has scaled its target to zero and holds its Lease."""
    life.take_lease()
    inject(FAULT, life.here.fleet, ARGS, life.here.context())
    assert life.here.replicas == 0
    return life


def test_a_dead_run_is_put_back_within_its_lease(broken: Life) -> None:
    broken.guardian.watch()
    assert broken.here.replicas == 3
    assert broken.now <= TTL + 0.5
    meta = broken.here.api.deployments[APP]["metadata"]
    assert not meta["labels"]
    assert not meta["annotations"]
    assert broken.here.api.named("leases") == []
    (event,) = broken.here.api.named("events")
    assert event["reason"] == "PutBack"
    assert event["message"] == "put back scale-1 (us/production/user-service): 3 replicas available"
    assert event["involvedObject"]["name"] == APP


def test_a_run_that_renews_is_left_alone_however_long(broken: Life) -> None:
    def run(now: float) -> None:
        if now <= 60:
            assert broken.here.replicas == 0
            if now % 3 == 0:
                broken.renew()

    broken.at = run
    broken.guardian.watch()
    assert broken.here.replicas == 3
    assert 60 + TTL <= broken.now <= 60 + TTL + 0.5


def test_it_says_that_it_is_alive_once_it_is_allowed_to_work(life: Life) -> None:
    life.take_lease()
    life.here.api.denied.add("patch")
    beats: list[Beat] = []

    def later(now: float) -> None:
        if life.here.api.named("leases"):
            beats.append(life.beat())
        if now == 2:
            life.here.api.denied.clear()
        if now == 10:
            life.here.api.objects.clear()

    life.at = later
    life.guardian.watch()
    assert beats[0].state == "refused"
    assert f"not allowed to patch deployment {NAMESPACE}/{APP}" in beats[0].said
    assert beats[-1].state == "watching"
    assert beats[-1].n > 1


def test_the_end_of_a_run_is_its_end(life: Life) -> None:
    life.take_lease()
    life.at = lambda now: life.here.api.objects.clear()
    life.guardian.watch()
    assert life.now == 0.5
    assert "nothing is left of the run" in life.words[-1]
    assert life.here.api.patches == []


def test_a_lease_that_someone_deleted_too_early(broken: Life) -> None:
    broken.at = lambda now: broken.here.api.objects.clear()
    broken.guardian.watch()
    assert broken.here.replicas == 3


def test_without_permissions_at_the_end_it_just_goes(broken: Life) -> None:
    def end(now: float) -> None:
        broken.here.api.objects.clear()
        broken.here.api.fail = lambda method, path: (403, "no") if "deployments" in path else None

    broken.at = end
    broken.guardian.watch()
    assert "not put back yet" in broken.words[-1]


def test_an_api_server_that_is_away_for_a_while(broken: Life) -> None:
    def outage(now: float) -> None:
        away = 5 <= now < 40
        broken.here.api.fail = lambda method, path: (503, "starting") if away else None

    broken.at = outage
    broken.guardian.watch()
    assert broken.here.replicas == 3
    assert 40 <= broken.now <= 47


@pytest.mark.parametrize("nth", range(1, 14))
def test_killed_at_any_request_the_next_life_finishes(broken: Life, nth: int) -> None:
    """Dies in the middle of its nth request after the expiry; the request is done, its answer never comes."""

    class Killed(BaseException):
        pass

    calls = {"n": 0}
    real = Kube._request

    def request(self: Kube, *args: Any, **kwargs: Any) -> Any:
        answer = real(self, *args, **kwargs)
        calls["n"] += broken.now >= TTL
        if calls["n"] == nth:
            raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kube, "_request", request)
        with pytest.raises(Killed):
            broken.guardian.watch()
    broken.guardian.watch()
    assert broken.here.replicas == 3
    meta = broken.here.api.deployments[APP]["metadata"]
    assert not meta["labels"]
    assert broken.here.api.named("leases") == []
    scales = [patch for patch in broken.here.api.patches if "spec" in patch]
    assert len(scales) == 2, "put back once"


def test_restarted_after_the_run_died_it_does_not_begin_to_wait_anew(broken: Life) -> None:
    class Killed(BaseException):
        pass

    def kill(now: float) -> None:
        if now == 9:
            raise Killed

    broken.at = kill
    with pytest.raises(Killed):
        broken.guardian.watch()
    broken.at, broken.now = lambda now: None, 11.0
    broken.guardian.watch()
    assert broken.here.replicas == 3
    # 2 s down, and at most a second since its last sign of life.
    assert TTL <= broken.now <= TTL + 3.5


def test_a_change_by_someone_else_is_left_alone_and_told(broken: Life) -> None:
    broken.here.api.deployments[APP]["spec"]["replicas"] = 7
    broken.here.api.settle(APP)
    broken.guardian.watch()
    assert broken.here.replicas == 7
    assert broken.here.api.deployments[APP]["metadata"]["labels"] == {LABEL: RUN}
    (event,) = broken.here.api.named("events")
    assert event["reason"] == "Conflict"
    assert "it had 3, the drill wrote 0" in event["message"]
    assert broken.here.api.named("leases") == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda meta: meta["annotations"].clear(), "no undo record"),
        (
            lambda meta: meta["annotations"].update(
                {"blackstart.dev/undo": meta["annotations"]["blackstart.dev/undo"].replace(RUN, "other")}
            ),
            "another run or cluster",
        ),
    ],
)
def test_a_record_that_is_no_good_is_a_conflict(broken: Life, spoil: Any, why: str) -> None:
    spoil(broken.here.api.deployments[APP]["metadata"])
    broken.guardian.watch()
    assert broken.here.replicas == 0
    (event,) = broken.here.api.named("events")
    assert why in event["message"]


def test_another_runs_label_is_none_of_its_business(life: Life) -> None:
    life.take_lease()
    life.here.api.deployments[APP]["metadata"]["labels"] = {LABEL: "another"}
    life.guardian.watch()
    assert life.here.api.deployments[APP]["metadata"]["labels"] == {LABEL: "another"}
    assert life.here.api.named("events") == []


def test_a_write_that_was_based_on_what_was_before_is_refused_afterwards(life: Life) -> None:
    """The child read the object and was stopped right after it had looked at the Lease."""
    life.take_lease()
    with Kube(life.cluster) as kube:
        ref = Ref(DEPLOYMENTS, NAMESPACE, APP)
        read = kube.get(ref)["metadata"]["resourceVersion"]
        leases.check_fence(kube, NAMESPACE, RUN)
        life.guardian.watch()
        late = {"metadata": {"resourceVersion": read}, "spec": {"replicas": 0}}
        with pytest.raises(Exception, match="409"):
            kube.patch(ref, late)
        with pytest.raises(leases.Lost):
            leases.check_fence(kube, NAMESPACE, RUN)
    assert life.here.replicas == 3
    assert not life.here.api.deployments[APP]["metadata"]["labels"]


def test_a_target_that_is_gone_is_no_obstacle(broken: Life) -> None:
    broken.here.api.deployments.clear()
    broken.guardian.watch()
    assert broken.here.api.named("leases") == []
