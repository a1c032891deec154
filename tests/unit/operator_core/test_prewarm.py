"""Pre-warm windows: encoders are there when a window opens, as many as are allowed, and go when it closes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_operator.api.status import EncoderStart
from search_operator.decide.capacity import Fleet
from search_operator.decide.events import Event, events
from search_operator.decide.prewarm import (
    DEFAULT_LEAD,
    STARTS_KEPT,
    leads_of,
    prewarm,
    standing,
    start_seconds,
    starts,
    warmed,
    windows_of,
)
from search_operator.decide.rollout import rollout
from search_operator.decide.schedule import rfc3339
from search_operator.observe.observation import Observation, PodStart
from search_operator.observe.workloads import pod_view
from search_operator.reconcile import until_next

from tests.unit.operator_core.builders import Object, index, pod, sample
from tests.unit.operator_core.world import World

DOUBLE_11 = {"name": "double-11", "start": "0 18 10 11 *", "duration": "32h", "replicas": 12}
PRICES = {
    "asOf": "2026-11-01",
    "encoderNodeHour": "0.35",
    "milvusNodes": {"count": 4, "nodeHour": "0.68"},
}
OPENS = datetime(2026, 11, 10, 10, tzinfo=UTC)
CLOSES = OPENS + timedelta(hours=32)
SECOND = timedelta(seconds=1)


def scaling(*windows: Object, **more: Any) -> Object:
    """A spec's encoder with these windows."""
    return {"autoscaling": {"minReplicas": 4, "maxReplicas": 12, "prewarm": list(windows), **more}}


def minimum_at(now: datetime, *windows: Object, start: int | None = None) -> int:
    """What windows ask for at a moment."""
    spec = index(encoder=scaling(*windows)).spec
    return standing(windows_of(spec), leads_of(spec, start), now).wanted


@pytest.mark.parametrize(
    ("measured", "lead"), [(None, DEFAULT_LEAD), (40, timedelta(seconds=100)), (600, timedelta(minutes=11))]
)
def test_encoders_are_started_as_long_before_as_a_start_takes(measured: int | None, lead: timedelta) -> None:
    assert minimum_at(OPENS - lead - SECOND, DOUBLE_11, start=measured) == 0
    assert minimum_at(OPENS - lead, DOUBLE_11, start=measured) == 12
    assert minimum_at(CLOSES - SECOND, DOUBLE_11, start=measured) == 12
    assert minimum_at(CLOSES, DOUBLE_11, start=measured) == 0


def test_a_declared_lead_counts_more_than_a_measured_one() -> None:
    window = DOUBLE_11 | {"lead": "2h"}
    assert minimum_at(OPENS - timedelta(hours=2), window, start=30) == 12
    assert minimum_at(OPENS - timedelta(hours=2, seconds=1), window, start=30) == 0


def test_of_windows_that_overlap_the_greatest_counts() -> None:
    evening = {"name": "evening", "start": "2026-11-10T20:00:00+08:00", "duration": "2h", "replicas": 6}
    early = {"name": "early", "start": "2026-11-10T17:00:00+08:00", "duration": "2h", "replicas": 8}
    both = (evening, early)
    assert minimum_at(datetime(2026, 11, 10, 10, 30, tzinfo=UTC), *both) == 8
    assert minimum_at(datetime(2026, 11, 10, 11, 30, tzinfo=UTC), *both) == 0
    assert minimum_at(datetime(2026, 11, 10, 11, 55, tzinfo=UTC), *both) == 6
    assert minimum_at(datetime(2026, 11, 10, 12, 30, tzinfo=UTC), *both, DOUBLE_11) == 12


def test_a_window_that_opens_again_before_it_closes_is_one_and_stays_open() -> None:
    window = {"name": "always", "start": "* * * * *", "duration": "2160h", "replicas": 6}
    spec = index(encoder=scaling(window)).spec
    found = standing(windows_of(spec), leads_of(spec, None), OPENS)
    assert [(s.state, s.opening.name) for s in found.standings] == [("Open", "always"), ("Next", "always")]
    assert found.wanted == 6


def test_the_next_window_is_told_until_none_comes_any_more() -> None:
    past = {"name": "launch", "start": "2026-11-01T20:00:00+08:00", "duration": "2h", "replicas": 6}
    spec = index(encoder=scaling(past, DOUBLE_11)).spec
    windows, leads = windows_of(spec), leads_of(spec, None)
    (following,) = standing(windows, leads, OPENS - timedelta(days=3)).standings
    assert (following.state, following.opening.start) == ("Next", OPENS)
    assert [s.opening.start for s in standing(windows, leads, CLOSES).standings] == [
        datetime(2027, 11, 10, 10, tzinfo=UTC)
    ]
    assert standing(windows[:1], leads, OPENS).standings == ()


windows_drawn = st.lists(
    st.builds(
        lambda minute, hour, hours, replicas, zone, lead: {
            "start": f"{minute} {hour} * * *",
            "duration": f"{hours}h",
            "replicas": replicas,
            "timeZone": zone,
            "lead": f"{lead}m",
        },
        st.integers(0, 59),
        st.integers(0, 23),
        st.integers(1, 40),
        st.integers(1, 12),
        st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC"]),
        st.integers(0, 90),
    ),
    min_size=1,
    max_size=3,
)
# Around both changes of clocks, a year's end and a leap day.
moments = st.sampled_from(
    [datetime(2026, 3, 28), datetime(2026, 10, 24), datetime(2026, 12, 31), datetime(2028, 2, 28)]
).flatmap(
    lambda day: st.integers(0, 3 * 24 * 60).map(lambda m: day.replace(tzinfo=UTC) + timedelta(minutes=m))
)


@given(windows_drawn, moments)
def test_what_is_wanted_changes_at_no_other_moment_than_it_says(drawn: list[Object], now: datetime) -> None:
    spec = index(encoder=scaling(*({"name": f"w{n}", **w} for n, w in enumerate(drawn)))).spec
    windows, leads = windows_of(spec), leads_of(spec, None)
    here = standing(windows, leads, now)
    assert here.changes_at is not None
    assert here.changes_at > now
    just_before = standing(windows, leads, here.changes_at - SECOND / 10)
    assert just_before.wanted == here.wanted
    assert [s.state for s in just_before.standings] == [s.state for s in here.standings]


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 30))
def test_a_warmed_fleet_stays_within_its_maximum_and_never_shrinks(low: int, more: int, wanted: int) -> None:
    fleet = Fleet(low, low + more)
    found = warmed(fleet, wanted)
    assert fleet.minimum <= found.minimum <= found.maximum == fleet.maximum
    assert found.minimum >= min(wanted, fleet.maximum)


# --- the operator ---------------------------------------------------------------------------------------------


def serving(now: datetime, name: str = "production", **spec: Any) -> World:
    """An index that answers at a moment, in three days before which nothing is open."""
    world = World(body=sample(name, **spec))
    world.now = now
    world.settle()
    return world


def bounds(world: World) -> list[tuple[int, int]]:
    """Minimum and maximum of every HPA."""
    found = [
        child["spec"]
        for (kind, _), child in sorted(world.children.items())
        if kind == "HorizontalPodAutoscaler"
    ]
    return [(spec["minReplicas"], spec["maxReplicas"]) for spec in found]


def pass_at(world: World, now: datetime) -> list[Event]:
    """The passes at a moment, until nothing is left to do; and what was told."""
    before = world.body["status"]
    world.now = now
    for _ in range(5):
        if not world.reconcile().steps:
            return [e for e in events(before, world.body["status"]) if e.reason.startswith("Window")]
    raise AssertionError(f"no rest: {world.last_steps}")


def test_the_autoscalers_minimum_is_raised_before_the_window_and_lowered_after_it() -> None:
    world = serving(OPENS - timedelta(days=1), cost=None)
    assert bounds(world) == [(4, 12)]
    assert pass_at(world, OPENS - DEFAULT_LEAD - SECOND) == []
    assert bounds(world) == [(4, 12)]
    (told,) = pass_at(world, OPENS - DEFAULT_LEAD)
    assert (told.type, told.reason) == ("Normal", "WindowWarming")
    assert bounds(world) == [(12, 12)]
    (told,) = pass_at(world, OPENS)
    assert (told.type, told.reason) == ("Normal", "WindowOpened")
    assert pass_at(world, CLOSES - SECOND) == []
    assert bounds(world) == [(12, 12)]
    (told,) = pass_at(world, CLOSES)
    assert told.reason == "WindowClosed"
    assert bounds(world) == [(4, 12)]
    assert world.body["status"]["encoder"]["windows"] == [
        {
            "name": "double-11",
            "state": "Next",
            "warmFrom": "2027-11-10T09:55:00Z",
            "start": "2027-11-10T10:00:00Z",
            "end": "2027-11-11T18:00:00Z",
            "replicas": 12,
            "granted": 12,
        }
    ]


def test_a_window_gets_no_more_than_the_cap_allows_and_says_so() -> None:
    # One encoder more for 32 h, and the fewest could not run to the month's end.
    world = serving(OPENS - timedelta(days=1), cost={"monthlyCap": "2158", "prices": PRICES})
    (told,) = pass_at(world, OPENS)
    assert (told.type, told.reason) == ("Warning", "WindowOpened")
    assert told.message.endswith("12 encoders, of which the cap and other releases leave 11")
    assert bounds(world) == [(11, 11)]


def test_a_window_leaves_another_releases_encoders_their_share() -> None:
    world = serving(OPENS - timedelta(days=1), cost=None)
    world.set_spec(encoder={"precision": "int8"})
    world.settle()
    pass_at(world, OPENS)
    assert sorted(bounds(world)) == [(4, 4), (8, 8)]


def test_a_paused_index_is_left_as_it_is_and_its_windows_as_told() -> None:
    world = serving(OPENS - timedelta(days=1), cost=None)
    told = world.body["status"]["encoder"]["windows"]
    world.set_spec(paused=True)
    assert pass_at(world, OPENS) == []
    assert bounds(world) == [(4, 12)]
    assert world.body["status"]["encoder"]["windows"] == told


def test_an_operator_that_was_away_opens_the_window_late_and_at_once() -> None:
    world = serving(OPENS - timedelta(days=1), cost=None)
    (told,) = pass_at(world, OPENS + timedelta(hours=3))
    assert told.reason == "WindowOpened"
    assert bounds(world) == [(12, 12)]


def test_the_next_pass_is_planned_for_the_moment_at_which_a_window_changes_something() -> None:
    world = serving(OPENS - timedelta(days=1), cost=None)
    for before, change in ((timedelta(seconds=7), OPENS - DEFAULT_LEAD), (timedelta(seconds=3), CLOSES)):
        pass_at(world, change - before)
        seen = world.observe()
        assert until_next(seen, rollout(seen)) == before.total_seconds()


def test_a_lost_status_changes_nothing_of_an_open_window() -> None:
    world = serving(OPENS - timedelta(days=1), cost=None)
    pass_at(world, OPENS)
    world.body["status"] = {}
    world.reconcile()
    assert bounds(world) == [(12, 12)]
    assert world.body["status"]["encoder"]["windows"][0]["state"] == "Open"


def test_encoders_that_start_quicker_than_believed_do_not_end_the_warming_that_started_them() -> None:
    world = serving(OPENS - timedelta(days=1), cost=None)
    warm_from = OPENS - DEFAULT_LEAD
    pass_at(world, warm_from)
    for number in range(12):
        body = encoder_pod(f"e{number}", created=warm_from, ready=warm_from + timedelta(seconds=20))
        world.pods[body["metadata"]["name"]] = body
    assert pass_at(world, warm_from + timedelta(minutes=1)) == []
    said = world.body["status"]["encoder"]
    assert said["startSeconds"] == 20
    assert (said["windows"][0]["state"], said["windows"][0]["warmFrom"]) == ("Warming", rfc3339(warm_from))
    assert bounds(world) == [(12, 12)]


# --- how long a start takes -----------------------------------------------------------------------------------


def encoder_pod(
    name: str, *, created: datetime, ready: datetime | None, restarts: int = 0, **changes: Any
) -> Object:
    """An encoder's pod as the API server returns it; its container begins ten seconds after the pod's creation."""
    began = {"running": {"startedAt": changes.get("began", rfc3339(created + timedelta(seconds=10)))}}
    since = {"lastTransitionTime": rfc3339(ready or created)}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": rfc3339(created),
            "labels": {"app.kubernetes.io/component": "encoder"},
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False", **since}],
            "containerStatuses": [{"state": began, "restartCount": restarts}],
        },
    }


def observed(*pods: Object, status: Object | None = None) -> Observation:
    return Observation(now=OPENS, index=index(status=status), pods=tuple(pod_view(p) for p in pods))


T = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (encoder_pod("a", created=T, ready=T + 2 * MINUTE), 120),
        (encoder_pod("a", created=T, ready=None), None),
        (encoder_pod("a", created=T, ready=T + 2 * MINUTE, restarts=1), None),
        # Its container runs for long: it was unready for a moment.
        (encoder_pod("a", created=T, ready=T + 30 * MINUTE), None),
        # It waited half an hour for a node, and then began.
        (encoder_pod("a", created=T, ready=T + 31 * MINUTE, began=rfc3339(T + 30 * MINUTE)), 31 * 60),
        # It waited for a person.
        (encoder_pod("a", created=T, ready=T + 90 * MINUTE, began=rfc3339(T + 89 * MINUTE)), None),
    ],
)
def test_what_counts_as_a_start(body: Object, seconds: int | None) -> None:
    assert start_seconds(starts(observed(body))) == seconds


def test_other_pods_are_not_encoders() -> None:
    took = PodStart(T, MINUTE)
    seen = Observation(
        now=OPENS, index=index(), pods=(pod("gateway", started=took), pod("encoder", started=took))
    )
    assert [s.seconds for s in starts(seen)] == [60]


def test_a_pods_first_measure_stays_and_the_latest_starts_are_kept() -> None:
    told = [EncoderStart(pod="a", ready_at=rfc3339(T), seconds=50).model_dump(by_alias=True)]
    again = encoder_pod("a", created=T, ready=T + 5 * MINUTE)
    assert [s.seconds for s in starts(observed(again, status={"encoder": {"starts": told}}))] == [50]
    many = [encoder_pod(f"e{n:02}", created=T + n * MINUTE, ready=T + (n + 1) * MINUTE) for n in range(30)]
    kept = starts(observed(*many))
    assert [s.pod for s in kept] == [f"e{n:02}" for n in range(30 - STARTS_KEPT, 30)]
    # At rest: the older pods, still there, push nothing out.
    said = {"encoder": {"starts": [s.model_dump(by_alias=True) for s in kept]}}
    assert starts(observed(*many, status=said)) == kept


@pytest.mark.parametrize(
    ("seconds", "percentile"), [([7], 7), (list(range(1, 21)), 19), ([5] * 19 + [900], 5)]
)
def test_the_95th_percentile_of_starts(seconds: list[int], percentile: int) -> None:
    found = [EncoderStart(pod=str(n), ready_at="", seconds=s) for n, s in enumerate(seconds)]
    assert start_seconds(found) == percentile


def test_a_status_of_another_version_is_no_trouble() -> None:
    said = {"encoder": {"starts": [{"pod": "a"}], "windows": ["?"]}}
    seen = observed(status=said)
    assert starts(seen) == ()
    assert prewarm(seen).wanted == 0
