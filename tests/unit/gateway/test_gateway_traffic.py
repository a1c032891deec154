"""The last minute of queries: counted by release, bounded, forgotten in time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.traffic import Traffic
from search_plane.release.gateway_state import TRAFFIC_WINDOW_SECONDS, ReleaseTraffic


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_queries_are_counted_by_release_and_kind() -> None:
    traffic = Traffic(Clock())
    traffic.answered("blue", 10.0, hits=10)
    traffic.answered("blue", 10.0, hits=0)
    traffic.failed("blue")
    traffic.failed("green")
    blue, green = traffic.window()
    assert (blue.release, blue.queries, blue.failed, blue.empty) == ("blue", 3, 1, 1)
    assert green == ReleaseTraffic(release="green", queries=1, failed=1)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.answered("blue", 5.0, hits=1)
    clock.now += TRAFFIC_WINDOW_SECONDS - 1
    traffic.answered("green", 5.0, hits=1)
    assert [one.release for one in traffic.window()] == ["blue", "green"]
    clock.now += 1
    assert [one.release for one in traffic.window()] == ["green"]
    clock.now += TRAFFIC_WINDOW_SECONDS
    assert traffic.window() == ()


@given(st.lists(st.floats(1.2, 60_000), min_size=1, max_size=300))
def test_p95_is_right_within_a_tenth(latencies: list[float]) -> None:
    traffic = Traffic(Clock())
    for latency in latencies:
        traffic.answered("blue", latency, hits=1)
    (blue,) = traffic.window()
    exact = sorted(latencies)[math.ceil(0.95 * len(latencies)) - 1]
    assert blue.p95_ms == pytest.approx(exact, rel=0.101)


def test_memory_is_bounded_whatever_comes() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    for number in range(20_000):
        clock.now += 0.01
        traffic.answered(f"r-{number % 50}", number * 1e3, hits=1)
    assert len(traffic.window()) <= 50
    assert len(traffic._seconds) <= TRAFFIC_WINDOW_SECONDS
    assert all(len(second) <= 8 for second in traffic._seconds.values())
