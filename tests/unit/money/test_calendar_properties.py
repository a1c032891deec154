"""Billing months in every time zone that a resource may name: each moment is in one, and a month's price is paid once."""

import re
from datetime import UTC, datetime
from itertools import pairwise, product
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import example, given, settings
from hypothesis import strategies as st
from search_operator.money.ledger import accrue, opened
from search_operator.money.months import HOUR, bounds, milliseconds, month_at, split
from search_operator.money.tariff import Tariff, micros

# As the CRD takes them.
ZONES = sorted(
    z for z in available_timezones() if re.match(r"^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z0-9_+-]*){1,2})$", z)
)
zones = st.sampled_from(ZONES)
moments = st.integers(
    milliseconds(datetime(2000, 1, 1, tzinfo=UTC)), milliseconds(datetime(2045, 1, 1, tzinfo=UTC))
)
spans = st.integers(1, 800 * 24 * HOUR)


def at(text: str) -> int:
    return milliseconds(datetime.fromisoformat(text))


@given(zone=zones, moment=moments)
# At 00:01 of November 1st the clocks went back to 23:01 of October.
@example("America/St_Johns", at("2009-11-01T02:31:30+00:00"))
@example("America/St_Johns", at("2009-11-01T03:29:59+00:00"))
# Midnight of the 1st comes twice.
@example("America/Havana", at("2026-11-01T04:30:00+00:00"))
@example("America/Havana", at("2026-11-01T05:30:00+00:00"))
@settings(max_examples=1000, deadline=None)
def test_each_moment_is_in_the_month_that_it_is_counted_in(zone: str, moment: int) -> None:
    found = ZoneInfo(zone)
    start, end = bounds(month_at(moment, found), found)
    assert start <= moment < end


@given(zone=zones, start=moments, span=spans)
@example("America/St_Johns", at("2009-11-01T02:00:00+00:00"), 4 * HOUR)
@settings(max_examples=500, deadline=None)
def test_a_span_is_cut_into_months_without_a_gap(zone: str, start: int, span: int) -> None:
    found = ZoneInfo(zone)
    parts = list(split(start, start + span, found))
    assert parts[0][1] == start
    assert parts[-1][2] == start + span
    assert all(before[2] == after[1] and before[0] < after[0] for before, after in pairwise(parts))
    assert all(begin < end for _, begin, end in parts)


def test_every_month_begins_where_the_last_one_ends() -> None:
    names = [f"{year}-{month:02}" for year in (2025, 2026, 2027) for month in range(1, 13)]
    for zone, (before, after) in product(map(ZoneInfo, ZONES), pairwise(names)):
        start, end = bounds(before, zone)
        assert end == bounds(after, zone)[0]
        # Clocks at the Troll station change by two hours.
        assert 670 * HOUR <= end - start <= 746 * HOUR
        assert [month_at(moment, zone) for moment in (start, end - 1, end)] == [before, before, after]


@given(zone=zones, year=st.integers(2020, 2040), month=st.integers(1, 12), price=st.integers(1, 10**12))
# Half an hour's change of clocks: months of 743.5 and 744.5 hours.
@example("Australia/Lord_Howe", 2026, 10, micros("1000"))
@example("Australia/Lord_Howe", 2026, 4, micros("1000"))
@settings(max_examples=300, deadline=None)
def test_what_is_priced_by_month_costs_its_price_in_each_month(
    zone: str, year: int, month: int, price: int
) -> None:
    found, name = ZoneInfo(zone), f"{year}-{month:02}"
    start, end = bounds(name, found)
    tariff = Tariff("JPY", 1, found, 0, monthly=(("storage", price),))
    ledger = accrue(opened("JPY", start), [], tariff, end)
    # A month has 746 hours at most, and each may be off by half a micro-unit.
    assert abs(ledger.month(name).spent_on("storage") - price) <= 373
    assert [account.month for account in ledger.months if account.spent] in ([name], [])
