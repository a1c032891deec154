"""Simulated time: what the autoscaler does, what windows are for, and that the guard keeps the cap."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_operator.money.months import HOUR, bounds, milliseconds
from search_operator.money.tariff import Tariff, amount, micros
from search_operator.money.windows import Window
from search_operator.simulation.autoscaler import STEP, Scaled
from search_operator.simulation.run import Scenario, simulate
from search_operator.simulation.traffic import Trace

SHANGHAI = ZoneInfo("Asia/Shanghai")
TARIFF = Tariff("USD", micros("5000"), SHANGHAI, micros("0.35"), hourly=(("milvus", 4 * micros("0.68")),))
OPENS = datetime(2026, 11, 10, 12, tzinfo=UTC)
WINDOW = Window("double-11", "0 20 10 11 *", timedelta(hours=6), 12, SHANGHAI)
SCENARIO = Scenario(4, 12, (WINDOW,), {"double-11": timedelta(minutes=6)}, TARIFF)
# From 3,000 queries a second to 10,000 as the window opens.
RUSH = Trace(milliseconds(OPENS) - 3 * HOUR, (3000.0,) * 3 + (10_000.0,) * 4 + (3000.0,) * 5)


# --- the autoscaler -------------------------------------------------------------------------------------------


def fleet(count: int) -> Scaled:
    found = Scaled(capacity=1500, start=5 * STEP)
    found.begin(0, count)
    return found


def counts(scaled: Scaled, load: float, minutes: int, minimum: int = 4, maximum: int = 12) -> list[int]:
    """Encoders after each minute."""
    found = []
    for minute in range(1, minutes + 1):
        scaled.step(minute * STEP, load, minimum, maximum)
        found.append(len(scaled.encoders))
    return found


def test_a_raised_minimum_is_obeyed_at_once_and_so_is_a_lowered_maximum() -> None:
    scaled = fleet(4)
    assert counts(scaled, 0, 1, minimum=12) == [12]
    assert scaled.ready(STEP) == 4
    assert scaled.ready(STEP + 5 * STEP) == 12
    assert counts(scaled, 0, 1, maximum=7) == [7]


def test_an_overload_looks_like_full_and_those_that_start_are_waited_for() -> None:
    """4 full encoders ask for 4 / 0.7, 6; while 2 of these start, 4 of 6 are busy, and no more are asked for."""
    assert counts(fleet(4), 10_000, 6) == [6, 6, 6, 6, 6, 9]


def test_a_load_within_a_tenth_of_the_target_changes_nothing() -> None:
    assert counts(fleet(6), 6 * 1500 * 0.7 * 1.09, 20) == [6] * 20


def test_going_down_takes_five_minutes_to_begin_and_two_for_each() -> None:
    scaled = fleet(8)
    assert counts(scaled, 8 * 1500 * 0.7, 6) == [8] * 6
    found = []
    for minute in range(7, 17):
        scaled.step(minute * STEP, 1000.0, 4, 12)
        found.append(len(scaled.encoders))
    assert found == [8, 8, 8, 8, 7, 7, 6, 6, 5, 5]


# --- windows --------------------------------------------------------------------------------------------------


def lost(scenario: Scenario, trace: Trace = RUSH) -> dict[str, int]:
    total = {"guard": 0, "maximum": 0, "start": 0}
    for row in simulate(scenario, trace).months:
        total = {cause: total[cause] + row.lost[cause] for cause in row.lost}
    return total


def test_with_its_window_no_query_of_the_rush_waits_and_without_it_many_do() -> None:
    assert lost(SCENARIO) == {"guard": 0, "maximum": 0, "start": 0}
    without = lost(replace(SCENARIO, windows=()))
    assert without["start"] >= 5
    late = lost(replace(SCENARIO, leads={"double-11": timedelta(0)}))
    assert 0 < late["start"] < without["start"]


def test_what_more_encoders_than_declared_would_carry_is_put_down_to_the_maximum() -> None:
    assert lost(SCENARIO, replace(RUSH, rates=tuple(2 * r for r in RUSH.rates)))["maximum"] >= 4 * 60 - 10


def test_latency_is_two_batches_until_queries_pile_up() -> None:
    hours = simulate(replace(SCENARIO, windows=()), RUSH).hours
    assert hours[0].latency_ms == pytest.approx(42.7, abs=0.1)
    assert hours[3].latency_ms == 150
    assert hours[-1].latency_ms == pytest.approx(42.7, abs=0.1)


# --- money ----------------------------------------------------------------------------------------------------


def test_what_always_runs_costs_its_hours_to_the_micro_unit() -> None:
    scenario = replace(SCENARIO, minimum=4, maximum=4, windows=())
    start = bounds("2026-11", SHANGHAI)[0]
    result = simulate(scenario, Trace(start - 24 * HOUR, (100.0,) * 72))
    assert [(m.month, amount(m.spent)) for m in result.months] == [
        ("2026-10", "98.88"),
        ("2026-11", "197.76"),
    ]


def test_without_prices_nobody_counts_and_nothing_is_clamped() -> None:
    result = simulate(replace(SCENARIO, tariff=None), RUSH)
    assert {h.allowed for h in result.hours} == {12}
    assert sum(h.spent for h in result.hours) == 0


# The last two days of a month, so that the guard must hold to its end.
END = bounds("2026-11", SHANGHAI)[1]
LAST_DAYS = 48
CHEAPEST = (4 * 0.35 + 2.72) * LAST_DAYS
DEAREST = (12 * 0.35 + 2.72) * LAST_DAYS


@settings(max_examples=25, deadline=None)
@given(
    st.floats(CHEAPEST + 0.01, DEAREST),
    st.lists(st.floats(0, 15_000), min_size=LAST_DAYS, max_size=LAST_DAYS),
    st.lists(st.integers(0, 40), max_size=2, unique=True),
)
def test_the_cap_is_never_crossed_where_the_fewest_fit_under_it(
    cap: float, rates: list[float], sales: list[int]
) -> None:
    start = END - LAST_DAYS * HOUR
    begin = datetime.fromtimestamp(start / 1000, UTC)
    windows = tuple(
        Window(f"s{hour}", (begin + timedelta(hours=hour)).isoformat(), timedelta(hours=5), 12, SHANGHAI)
        for hour in sales
    )
    leads = {w.name: timedelta(minutes=6) for w in windows}
    tariff = replace(TARIFF, cap=micros(f"{cap:.6f}"))
    (month,) = simulate(
        replace(SCENARIO, windows=windows, leads=leads, tariff=tariff), Trace(start, tuple(rates))
    ).months
    # The guard looks once an hour, and when a window opens or closes.
    interval = micros("0.35") * 12 + tariff.fixed_hour("2026-11")
    assert month.spent <= tariff.cap + interval
    assert month.spent >= micros(f"{CHEAPEST:.2f}")


def test_what_the_guard_takes_is_counted_as_lost_to_it() -> None:
    start = END - LAST_DAYS * HOUR
    tariff = replace(TARIFF, cap=micros(f"{CHEAPEST + 1:.2f}"))
    trace = Trace(start, (9000.0,) * LAST_DAYS)
    clamped = replace(SCENARIO, windows=(), tariff=tariff)
    assert lost(clamped, trace)["guard"] > 40 * 60
    assert lost(replace(clamped, clamp=False), trace)["guard"] == 0
