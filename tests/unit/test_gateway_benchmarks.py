"""What the gateway's benchmarks make of what they saw."""

from benchmarks.encoder_load import Told
from benchmarks.gateway import LEVELS, Measured, rows_of
from benchmarks.gateway_fault_figures import (
    CLOSES_WITHIN,
    OPENS_WITHIN,
    Left,
    Scenario,
    figures_of,
    opened_after,
)
from benchmarks.gateway_fault_figures import rows_of as fault_rows_of
from benchmarks.gateway_fault_load import Seen
from benchmarks.gateway_load import Reply
from benchmarks.gateway_pods import Cost, pods
from benchmarks.report import Row


def told(per_second: float, p50: float) -> Told:
    return Told(
        answers=100, per_second=per_second, statuses={200: 100}, p50_ms=p50, p95_ms=2 * p50, p99_ms=3 * p50
    )


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.name: row for row in rows}


def test_what_is_asked_for_comes_first_and_is_judged() -> None:
    measured = Measured()
    for level in LEVELS:
        for number in range(3):
            # The machine is slower each round; the difference is what counts.
            measured.told["gateway", level].append(told(70.0 + level, 22.0 + 10 * number))
            measured.told["floor", level].append(told(80.0 + level, 20.0 + 10 * number))
            measured.told["floor and join", level].append(told(75.0 + level, 21.0))
    rows = rows_of(measured)
    assert [row.name for row in rows[:2]] == ["p50_overhead_ms", "throughput_vs_floor"]
    assert (rows[0].ours, rows[0].met) == (2.0, True)
    assert (rows[1].ratio, rows[1].met) == (round(134 / 144, 4), True)
    measured.told["gateway", 1] = [told(70.0, p50) for p50 in (24.0, 34.0, 44.0)]
    assert by_name(rows_of(measured))["p50_overhead_ms"].met is False


def test_pods_follow_from_processor_time() -> None:
    lines = {
        line.part: line for line in pods({"gateway": Cost(5.0), "encoder": Cost(4.0), "milvus": Cost(9.0)})
    }
    # 200 a second on its one core, of which 140 are used; four cores of 250, of which 700.
    assert (lines["gateway"].per_pod, lines["gateway"].pods) == (200.0, 72)
    assert (lines["encoder"].per_pod, lines["encoder"].pods) == (1000.0, 15)
    assert (lines["encoder on a T4"].pods, "not measured" in lines["encoder on a T4"].basis) == (10, True)


def reply(at: float, seconds: float = 0.02, status: int = 200, degraded: tuple[str, ...] = ()) -> Reply:
    return Reply(at=at, seconds=seconds, status=status, path="fused", degraded=list(degraded), hits=10)


def seen(at: float, **breakers: str) -> Seen:
    states = dict.fromkeys(("encoder", "milvus", "elasticsearch", "semantic"), "closed")
    return Seen(at, {**states, **breakers})


SCENARIO = Scenario("milvus", "refuse", 100.0, 110.0, 116.0)
LEFT = Left(10, 200, None)


def test_a_fault_is_judged_by_the_queries_that_were_due_during_it() -> None:
    replies = [
        reply(99.9, status=503), *(reply(100 + 0.01 * n) for n in range(998)), reply(109.9, 0.6, 503), reply(110.0, 5),
    ]  # fmt: skip
    states = [seen(101.0), seen(101.5, milvus="open"), seen(102, milvus="open", semantic="open"),
              seen(111, milvus="half-open"), seen(115.5), seen(130)]  # fmt: skip
    found = figures_of(SCENARIO, replies, states)
    assert (found.queries, round(found.available, 4), found.p99_ms) == (999, 0.999, 20.0)
    assert (found.opened, found.closed) == ({"milvus": 1.5, "semantic": 2.0}, 5.5)
    rows = by_name(fault_rows_of([found], LEFT, LEFT))
    assert (rows["opened_after"].ours, rows["opened_after"].met) == (1.5, True)
    assert (rows["closed_after"].ours, rows["closed_after"].met) == (5.5, True)


def test_a_breaker_that_never_opened_or_closed_is_not_met() -> None:
    found = figures_of(SCENARIO, [reply(101)], [seen(101), seen(115, milvus="open")])
    assert (opened_after(found), found.closed) == (10.0, None)
    rows = by_name(fault_rows_of([found], LEFT, Left(100, 300, None)))
    assert rows["opened_after"].met is rows["closed_after"].met is False
    assert rows["sockets_left"].met is rows["memory_left"].met is False
    assert OPENS_WITHIN < 10.0 < CLOSES_WITHIN + 2


def test_without_answers_nothing_was_available() -> None:
    rows = by_name(fault_rows_of([figures_of(SCENARIO, [], [])], LEFT, LEFT))
    assert rows["availability"].met is False
