"""The use case's bill, with its arithmetic corrected."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from search_operator.money.budget import Fleet, affordable, outlook, rest_of_month
from search_operator.money.ledger import opened
from search_operator.money.months import bounds, hours_in, milliseconds
from search_operator.money.tariff import Tariff, amount, micros

SHANGHAI = ZoneInfo("Asia/Shanghai")
USE_CASE = Tariff("USD", micros("5000"), SHANGHAI, micros("0.35"), hourly=(("milvus", 4 * micros("0.68")),))


def month(name: str, encoders: int) -> str:
    """The whole month's bill with so many encoders."""
    start, _ = bounds(name, SHANGHAI)
    fleet = Fleet(running=encoders, minimum=4, maximum=12)
    return amount(outlook(rest_of_month(opened("USD", start), USE_CASE, start), fleet).projected)


def test_the_four_figures_of_the_use_case() -> None:
    """12 T4 x 0.35 x 720 h; 4 x c6.4xlarge x 0.68 x 720 h; together; and the same in a month of 31 days."""
    assert amount(12 * USE_CASE.encoder_hour * 720) == "3024.00"
    assert amount(USE_CASE.fixed_hour("2026-11") * 720) == "1958.40"
    assert month("2026-11", 12) == "4982.40"
    assert month("2026-12", 12) == "5148.48"


@pytest.mark.parametrize(
    ("name", "hours", "allowed"),
    [("2026-11", 720, 12), ("2026-12", 744, 11), ("2027-02", 672, 12), ("2028-02", 696, 12)],
)
def test_the_months_length_decides_how_many_encoders_are_allowed(name: str, hours: int, allowed: int) -> None:
    start, _ = bounds(name, SHANGHAI)
    rest = rest_of_month(opened("USD", start), USE_CASE, start)
    assert hours_in(name, SHANGHAI) == hours
    assert affordable(rest, Fleet(12, 4, 12)) == allowed


def test_a_month_begins_when_it_begins_in_its_time_zone() -> None:
    assert bounds("2026-11", SHANGHAI)[0] == milliseconds(datetime(2026, 10, 31, 16, tzinfo=UTC))


def test_a_month_with_a_change_of_clocks_has_another_length() -> None:
    assert hours_in("2026-03", ZoneInfo("Europe/Berlin")) == 743
    assert hours_in("2026-10", ZoneInfo("Europe/Berlin")) == 745
