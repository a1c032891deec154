"""The watch after a switch: what breaks it, what does not, and when nothing is judged."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from search_operator.decide.watch import FEWEST_QUERIES, SETTLE, breach, judge, traffic_of
from search_operator.observe.observation import CatalogueView, GatewayView, MilvusView, Observation
from search_plane.release.gateway_state import GatewayState, ReleaseTraffic

from tests.unit.operator_core.builders import START, index
from tests.unit.operator_core.simulated_milvus import AWAY

SPEC = index(rollout={"gates": {"maxP95": "100ms"}}).spec
NOW = "r-11111111"


def traffic(**seen: Any) -> ReleaseTraffic:
    return ReleaseTraffic.model_validate({"release": NOW, "queries": 1000, "p95_ms": 20.0, **seen})


def gateway(pod: str, *seen: ReleaseTraffic) -> GatewayView:
    return GatewayView(pod, True, "", GatewayState(release=NOW, traffic=seen))


@pytest.mark.parametrize(
    ("seen", "reason", "said"),
    [
        ({}, "", ""),
        ({"failed": 10}, "", ""),
        ({"failed": 11}, "QueriesFail", "1.1% of 1,000 queries failed, above 1.0%"),
        ({"empty": 50}, "", ""),
        (
            {"empty": 51},
            "ZeroResults",
            "5.1% of 1,000 queries had no hit, above gates.maxZeroResultRate 5.0%",
        ),
        ({"p95_ms": 100.0}, "", ""),
        ({"p95_ms": 100.1}, "TooSlow", "p95 of 1,000 queries is 100 ms, above gates.maxP95 100ms"),
        ({"p95_ms": None}, "", ""),
        ({"queries": FEWEST_QUERIES - 1, "failed": FEWEST_QUERIES - 1}, "", ""),
        ({"queries": FEWEST_QUERIES, "failed": 2}, "QueriesFail", "2.0% of 100 queries failed"),
    ],
)
def test_what_breaks_a_switch(seen: dict[str, Any], reason: str, said: str) -> None:
    found = judge(traffic(**seen), SPEC)
    assert (found.reason if found else "") == reason
    assert said in (found.message if found else "")


@pytest.mark.parametrize(
    ("seen", "before", "broken"),
    [
        ({"p95_ms": 150.0}, {"p95_ms": 140.0}, False),
        ({"p95_ms": 180.0}, {"p95_ms": 140.0}, True),
        ({"p95_ms": 150.0}, {"p95_ms": 140.0, "queries": FEWEST_QUERIES - 1}, True),
        ({"failed": 30}, {"failed": 30}, False),
        ({"failed": 40}, {"failed": 30}, True),
        ({"empty": 80}, {"empty": 70}, False),
        ({"empty": 90}, {"empty": 70}, True),
    ],
)
def test_what_was_as_bad_before_is_not_the_new_releases_fault(
    seen: dict[str, Any], before: dict[str, Any], broken: bool
) -> None:
    assert (judge(traffic(**seen), SPEC, traffic(**before)) is not None) is broken


def test_the_thresholds_are_the_gates_own() -> None:
    strict = index(rollout={"gates": {"maxZeroResultRate": "0", "maxP95": "10ms"}}).spec
    assert judge(traffic(empty=1), strict) is not None
    assert judge(traffic(p95_ms=10.5), strict) is not None


def test_traffic_is_summed_over_gateways_and_is_that_release_alone() -> None:
    other = ReleaseTraffic(release="r-00000000", queries=500, failed=500, empty=500, p95_ms=9000)
    views = (
        gateway("a", traffic(queries=60, failed=1, empty=2, p95_ms=30.0), other),
        gateway("b", traffic(queries=50, failed=2, empty=3, p95_ms=40.0)),
        gateway("c", traffic(queries=1, p95_ms=None)),
        GatewayView("silent", True, "", None),
    )
    expected = ReleaseTraffic(release=NOW, queries=111, failed=3, empty=5, p95_ms=40.0)
    assert traffic_of(views, NOW) == expected


def seen(age: timedelta, **changes: Any) -> Observation:
    bad = (gateway("a", traffic(failed=500)),)
    found = Observation(now=START + age, index=index(rollout={"watch": "2m"}), gateways=bad)
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("age", "judged"),
    [
        (SETTLE - timedelta(seconds=1), False),
        (SETTLE, True),
        (timedelta(minutes=2), True),
        (timedelta(minutes=2, seconds=1), False),
    ],
)
def test_answers_are_judged_from_when_they_have_settled_to_the_end_of_the_watch(
    age: timedelta, judged: bool
) -> None:
    assert (breach(seen(age), NOW, START) is not None) is judged


@pytest.mark.parametrize(
    "away", [{"milvus": MilvusView(problem=AWAY)}, {"catalogue": CatalogueView(problem=AWAY)}]
)
def test_a_release_is_not_blamed_for_a_store_that_is_away(away: dict[str, Any]) -> None:
    assert breach(seen(timedelta(minutes=1), **away), NOW, START) is None


def test_a_watch_of_no_length_judges_nothing() -> None:
    of = index(rollout={"watch": "0s"})
    assert breach(seen(timedelta(minutes=1), index=of), NOW, START) is None
