"""Pre-warm windows: over month ends, over changes of clocks, one over another."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from search_operator.money.windows import Window, next_opening, openings, replicas_at

SHANGHAI = ZoneInfo("Asia/Shanghai")
DOUBLE_11 = Window("double-11", "0 18 10 11 *", timedelta(hours=32), 12, SHANGHAI)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_double_11_opens_the_evening_before_in_shanghai() -> None:
    (found,) = openings([DOUBLE_11], at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"))
    assert (found.start, found.end) == (at("2026-11-10T10:00:00Z"), at("2026-11-11T18:00:00Z"))
    assert replicas_at((found,), found.start - timedelta(seconds=1)) == 0
    assert replicas_at((found,), found.start) == 12
    assert replicas_at((found,), found.end) == 0


def test_a_window_over_the_months_end_is_open_in_both() -> None:
    newyear = Window("new-year", "0 20 31 12 *", timedelta(hours=12), 9, SHANGHAI)
    january = openings([newyear], at("2026-12-31T16:00:00Z"), at("2027-01-31T16:00:00Z"))
    assert [o.start for o in january] == [at("2026-12-31T12:00:00Z")]


def test_of_overlapping_windows_the_greatest_counts() -> None:
    weekend = Window("weekend", "0 0 * * 6", timedelta(hours=48), 6, SHANGHAI)
    evening = Window("evening", "0 19 * * *", timedelta(hours=3), 9, SHANGHAI)
    found = openings([weekend, evening], at("2026-11-20T00:00:00Z"), at("2026-11-23T00:00:00Z"))
    saturday_evening = datetime(2026, 11, 21, 20, tzinfo=SHANGHAI)
    assert replicas_at(found, saturday_evening) == 9
    assert replicas_at(found, saturday_evening + timedelta(hours=3)) == 6


def test_a_window_lasts_its_real_hours_when_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = Window("night", "0 0 * * *", timedelta(hours=6), 5, berlin)
    found = openings([night], datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC))
    assert [(o.start.astimezone(UTC).hour, o.end - o.start) for o in found] == [
        (22, timedelta(hours=6)),
        (23, timedelta(hours=6)),
    ]


def test_a_fixed_date_comes_once() -> None:
    sale = Window("sale", "2026-11-27T20:00:00+08:00", timedelta(hours=4), 8, SHANGHAI)
    assert len(openings([sale], at("2026-11-01T00:00:00Z"), at("2027-11-01T00:00:00Z"))) == 1
    assert openings([sale], at("2026-12-01T00:00:00Z"), at("2027-11-01T00:00:00Z")) == ()


def test_a_day_that_never_comes_opens_nothing() -> None:
    never = Window("never", "0 0 30 2 *", timedelta(hours=1), 8, SHANGHAI)
    assert openings([never], at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")) == ()


@pytest.mark.parametrize(
    ("start", "openings_that_day"),
    [("30 2 * * *", 1), ("30 * * * *", 25)],
)
def test_an_hour_that_comes_twice_opens_a_window_once_unless_every_hour_does(
    start: str, openings_that_day: int
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    window = Window("night", start, timedelta(minutes=5), 5, berlin)
    day = datetime(2026, 10, 25, tzinfo=berlin), datetime(2026, 10, 26, tzinfo=berlin)
    assert len(openings([window], *(edge.astimezone(UTC) for edge in day))) == openings_that_day


def test_an_hour_that_the_clocks_skip_opens_the_window_all_the_same() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = Window("night", "30 2 * * *", timedelta(hours=1), 5, berlin)
    (found,) = openings([night], at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z"))
    assert found.start == at("2026-03-29T01:00:00Z")


def test_days_may_be_named() -> None:
    """TUE holds the T that a time has between date and clock."""
    tuesdays = Window("tuesdays", "0 8 * * TUE", timedelta(hours=1), 5, SHANGHAI)
    assert [
        o.start for o in openings([tuesdays], at("2026-11-23T00:00:00Z"), at("2026-11-30T00:00:00Z"))
    ] == [at("2026-11-24T00:00:00Z")]


@pytest.mark.parametrize(
    ("start", "after", "comes"),
    [
        ("0 18 10 11 *", "2026-11-10T09:59:59Z", "2026-11-10T10:00:00Z"),
        ("0 18 10 11 *", "2026-11-10T10:00:00Z", "2027-11-10T10:00:00Z"),
        ("2026-11-10T18:00:00+08:00", "2026-11-10T09:59:59Z", "2026-11-10T10:00:00Z"),
        ("2026-11-10T18:00:00+08:00", "2026-11-10T10:00:00Z", None),
        ("0 0 30 2 *", "2026-01-01T00:00:00Z", None),
    ],
)
def test_the_next_opening_starts_later(start: str, after: str, comes: str | None) -> None:
    found = next_opening(Window("sale", start, timedelta(hours=4), 8, SHANGHAI), at(after))
    assert (found.start if found else None) == (at(comes) if comes else None)
