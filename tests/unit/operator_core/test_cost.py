"""The bill: the four figures of the use case, and a clamp that never lets a month cross its cap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_operator.decide.cost import Rates, allowed_max, allowed_max_replicas, amount, bill, micros

from tests.unit.operator_core.builders import index

RATES = Rates(encoder_hour=micros("0.35"), fixed_hour=4 * micros("0.68"), cap=micros("5000"))


@pytest.mark.parametrize(
    ("encoders", "nodes", "hours", "expected"),
    [
        (12, 0, 720, "3024.00"),
        (0, 4, 720, "1958.40"),
        (12, 4, 720, "4982.40"),
        (12, 4, 744, "5148.48"),
    ],
)
def test_the_figures_of_the_use_case(encoders: int, nodes: int, hours: int, expected: str) -> None:
    assert amount((encoders * micros("0.35") + nodes * micros("0.68")) * hours) == expected


def test_a_long_month_clamps_twelve_encoders_to_eleven() -> None:
    assert allowed_max(RATES, 4, 12, 744) == 11
    assert allowed_max(RATES, 4, 12, 720) == 12
    money = bill(index("production").spec, 4)
    assert money is not None
    assert money.allowed_max == 11
    assert amount(money.month_at_maximum) == "4888.08"
    assert amount(money.month_now) == amount(money.month_at_minimum) == "3065.28"


def test_without_prices_or_with_alert_nothing_is_clamped() -> None:
    assert allowed_max_replicas(index("production", cost=None).spec) == 12
    assert allowed_max_replicas(index("production", cost={"prices": None}).spec) == 12
    alert = index("production", cost={"action": "Alert"}).spec
    assert allowed_max_replicas(alert) == 12
    told = bill(alert, 4)
    assert told is not None
    assert amount(told.month_at_maximum) == "5148.48"
    assert bill(index("production", cost=None).spec, 4) is None


@given(
    st.builds(Rates, st.integers(0, 10**9), st.integers(0, 10**10), st.integers(1, 10**13)),
    st.integers(1, 50),
    st.integers(0, 50),
    st.integers(1, 744),
)
def test_the_bill_never_crosses_the_cap_when_it_need_not(
    prices: Rates, minimum: int, more: int, hours: int
) -> None:
    maximum = minimum + more
    allowed = allowed_max(prices, minimum, maximum, hours)
    assert minimum <= allowed <= maximum

    def cost(encoders: int) -> int:
        return (prices.fixed_hour + encoders * prices.encoder_hour) * hours

    if cost(minimum) <= prices.cap:
        assert cost(allowed) <= prices.cap
        assert allowed == maximum or cost(allowed + 1) > prices.cap
    else:
        assert allowed == minimum or prices.encoder_hour == 0


@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_amounts_are_exact_in_micro_units(value: object) -> None:
    assert micros(str(value)) == int(str(value).replace(".", ""))
