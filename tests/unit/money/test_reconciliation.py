"""The ledger beside OpenCost's account: the same items, the same time, and a difference that means what it says."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_operator.money.ledger import Ledger, MonthAccount, Node, accrue, opened
from search_operator.money.months import HOUR, bounds
from search_operator.money.reconciliation import SHARED, Line, Reconciliation, percent, reconciled, span_of
from search_operator.money.tariff import Tariff, micros

ZONE = ZoneInfo("Asia/Shanghai")
START, END = bounds("2026-12", ZONE)
AMOUNTS = st.integers(0, 10**13)


def of(ours: int, theirs: int) -> Reconciliation:
    return Reconciliation((Line("encoder", ours, theirs),))


def test_reserved_encoders_are_encoders_and_stores_are_nobodys_pods() -> None:
    tariff = Tariff(
        "USD",
        1,
        ZONE,
        350_000,
        reserved=1,
        hourly=(("reserved", 200_000), ("milvus", 680_000), ("gateway", 40_000)),
    )
    nodes = [Node(str(n), "encoder", START) for n in range(3)]
    account = accrue(opened("USD", START), nodes, tariff, START + 10 * HOUR).month("2026-12")
    theirs = {"encoder": micros("7.2"), "build": micros("99"), "gateway": micros("0.5")}
    found = reconciled(account, theirs, SHARED)
    assert found.lines == (
        Line("encoder", micros("9"), micros("7.2")),
        Line("reranker", 0, 0),
        Line("gateway", micros("0.4"), micros("0.5")),
    )
    assert found.total == Line("total", micros("9.4"), micros("7.7"))
    assert [percent(line) for line in (*found.lines, found.total)] == ["-20.0", None, "25.0", "-18.1"]
    assert found.agrees(19)
    assert not found.agrees(18)


def test_what_the_ledger_does_not_count_is_not_held_against_it() -> None:
    account = MonthAccount(month="2026-12", items={"encoder": 9 * HOUR})
    found = reconciled(account, {"encoder": 9, "gateway": 5}, ["encoder", "reranker"])
    assert found.total == Line("total", 9, 9)


@pytest.mark.parametrize(
    ("ours", "theirs", "agrees"), [(0, 0, True), (0, 1, False), (10, 0, False), (-5, -5, True)]
)
def test_nothing_against_something_differs(ours: int, theirs: int, agrees: bool) -> None:
    assert of(ours, theirs).agrees(99) is agrees


@given(ours=AMOUNTS, theirs=AMOUNTS, tolerance=st.integers(1, 1000))
def test_the_tolerance_is_a_share_of_the_ledgers_figure(ours: int, theirs: int, tolerance: int) -> None:
    found = of(ours, theirs)
    assert found.agrees(tolerance) == (ours * (100 - tolerance) <= theirs * 100 <= ours * (100 + tolerance))
    said = percent(found.total)
    assert (said is None) == (ours == 0)
    if said is not None:
        assert abs(float(said) - (theirs - ours) * 100 / ours) < 0.051 + abs(float(said)) * 1e-9
        assert said != "-0.0"


@given(
    month=st.integers(0, 30),
    created=st.integers(-(10**9), 3 * 10**9),
    upto=st.integers(0, 80 * 10**9),
)
def test_the_span_is_that_of_the_ledgers_newest_month(month: int, created: int, upto: int) -> None:
    year, number = divmod(2026 * 12 + month, 12)
    start, end = bounds(f"{year}-{number + 1:02}", ZONE)
    ledger = Ledger(currency="USD", upto=start + upto)
    found = span_of(ledger, ZONE, start + created)
    if found is not None:
        assert found.until == ledger.upto
        assert found.until - found.start >= HOUR
        assert found.start >= start + created
        assert bounds(found.month, ZONE)[0] <= found.start < found.until < bounds(found.month, ZONE)[1]
    elif upto < end - start:
        assert upto - max(0, created) < HOUR
