"""The guard: the cap holds whenever it can, nothing flaps, and what is projected is never below what is spent."""

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from search_operator.money.budget import (
    HOLD_MS,
    Fleet,
    Second,
    affordable,
    deferred,
    guarded,
    outlook,
    rest_of_month,
)
from search_operator.money.ledger import Ledger, Node, accrue, opened
from search_operator.money.months import HOUR, bounds, moment_of
from search_operator.money.tariff import Tariff, micros
from search_operator.money.windows import Opening

ZONE = ZoneInfo("Asia/Shanghai")
MONTH = "2026-12"
START, END = bounds(MONTH, ZONE)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    price = draw(st.integers(10_000, 2_000_000))
    fixed = draw(st.integers(0, 5_000_000))
    # From too little for the fewest to more than enough for the most.
    cap = draw(st.integers(1, 744 * (fixed + 14 * price)))
    return Tariff("USD", cap, ZONE, price, hourly=(("milvus", fixed),))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Opening, ...]:
    spans = draw(
        st.lists(st.tuples(st.integers(-24, 744), st.integers(1, 72), st.integers(1, 14)), max_size=3)
    )
    return tuple(
        Opening(str(n), moment_of(START + s * HOUR), moment_of(START + (s + d) * HOUR), r)
        for n, (s, d, r) in enumerate(spans)
    )


class _Month:
    """A month in simulated time: load wants any number of encoders, the guard allows some, and time is money."""

    def __init__(self, tariff: Tariff, openings: tuple[Opening, ...], fleet: Fleet) -> None:
        self.tariff, self.openings, self.fleet = tariff, openings, fleet
        self.ledger: Ledger = opened("USD", START)
        self.running: dict[str, int] = {}
        self.raises: list[int] = []
        self.number = 0

    def scale(self, wanted: int, now: int) -> None:
        while len(self.running) < wanted:
            self.running[f"n{self.number}"] = now
            self.number += 1
        while len(self.running) > wanted:
            del self.running[next(iter(self.running))]

    def look(self, now: int) -> int:
        nodes = [Node(uid, "encoder", since) for uid, since in self.running.items()]
        self.ledger = accrue(self.ledger, nodes, self.tariff, now, gone_by=now)
        rest = rest_of_month(self.ledger, self.tariff, now, self.openings)
        before = self.ledger.allowed
        self.ledger = guarded(self.ledger, rest, self.fleet)
        assert self.ledger.allowed is not None
        if before is not None and self.ledger.allowed > before:
            self.raises.append(now)
        return self.ledger.allowed


@given(
    tariff=tariffs(),
    openings=windows(),
    wanted=st.lists(st.integers(0, 20), min_size=1, max_size=40),
    steps=st.lists(st.integers(60, 1440), min_size=1, max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_a_cap_that_can_hold_holds_and_the_number_does_not_flap(
    tariff: Tariff, openings: tuple[Opening, ...], wanted: list[int], steps: list[int]
) -> None:
    fleet = Fleet(running=2, minimum=2, maximum=12)
    start = rest_of_month(opened("USD", START), tariff, START)
    feasible = outlook(start, fleet).at_minimum <= tariff.cap
    month = _Month(tariff, openings, fleet)
    now, turn, longest = START, 0, 0
    while now < END:
        allowed = month.look(now)
        rest = rest_of_month(month.ledger, tariff, now, openings)
        told = outlook(rest, fleet)
        assert told.projected >= told.spent
        assert fleet.minimum <= allowed <= fleet.maximum
        month.scale(max(fleet.minimum, min(wanted[turn % len(wanted)], allowed)), now)
        step = min(steps[turn % len(steps)] * 60_000, END - now)
        longest = max(longest, step)
        now, turn = now + step, turn + 1
    month.look(END - 1)
    spent = month.ledger.month(MONTH).spent
    if feasible:
        one_interval = (tariff.fixed_hour(MONTH) + 12 * tariff.encoder_hour) * longest // HOUR
        assert spent <= tariff.cap + one_interval
    # At most once an hour, and once for each window that opens.
    for raised, following in zip(month.raises, month.raises[1:], strict=False):
        opens = any(raised < int(o.start.timestamp() * 1000) <= following for o in openings)
        assert following - raised >= HOLD_MS or opens


@given(tariff=tariffs(), openings=windows(), hour=st.integers(0, 743), second=st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_more_to_pay_never_allows_more(
    tariff: Tariff, openings: tuple[Opening, ...], hour: int, second: int
) -> None:
    fleet = Fleet(4, 4, 12)
    now = START + hour * HOUR
    without = rest_of_month(opened("USD", START), tariff, now)
    with_it = rest_of_month(opened("USD", START), tariff, now, seconds=(Second(second, END),))
    assert affordable(with_it, fleet) <= affordable(without, fleet)
    assert outlook(with_it, fleet).projected >= outlook(without, fleet).projected


@given(
    tariff=tariffs(),
    rerankers=st.integers(0, 3),
    rebuilds=st.booleans(),
    demands=st.lists(st.integers(4, 12), min_size=1, max_size=30),
    steps=st.lists(st.integers(1, 600), min_size=1, max_size=30),
)
@settings(max_examples=150, deadline=None)
def test_rebuilds_give_way_before_re_rankers_and_nothing_comes_back_within_the_hour(
    tariff: Tariff, rerankers: int, rebuilds: bool, demands: list[int], steps: list[int]
) -> None:
    tariff = replace(tariff, reranker_hour=tariff.encoder_hour)
    fleet, now, ledger = Fleet(4, 4, 12), START, opened("USD", START)
    for demand, minutes in zip(demands, steps, strict=False):
        now += minutes * 60_000
        if now >= END:
            break
        ledger = accrue(ledger, [], tariff, now)
        rest = rest_of_month(ledger, tariff, now, rerankers=rerankers)
        after = deferred(ledger, rest, fleet, demand, rebuilds=rebuilds)
        gone = set(after.deferred)
        assert gone <= ({"FullRebuild"} if rebuilds else set()) | ({"Reranker"} if rerankers else set())
        if "Reranker" in gone and rebuilds:
            assert "FullRebuild" in gone
        over = outlook(rest, replace(fleet, running=demand)).projected > tariff.cap
        if over:
            assert ("Reranker" in gone) is bool(rerankers)
        if set(ledger.deferred) - gone:
            assert now - ledger.deferred_since >= HOLD_MS
            assert not over
        ledger = after


def test_a_window_to_come_is_paid_for_by_those_before_it() -> None:
    tariff = Tariff("USD", micros("4200"), ZONE, micros("0.35"), hourly=(("milvus", micros("2.72")),))
    fleet = Fleet(4, 4, 12)
    peak = Opening("double-12", moment_of(START + 240 * HOUR), moment_of(START + 312 * HOUR), 12)
    plain = rest_of_month(opened("USD", START), tariff, START)
    reserved = rest_of_month(opened("USD", START), tariff, START, (peak,))
    assert affordable(plain, fleet) == 8
    assert affordable(reserved, fleet) == 7
    at_the_peak = accrue(
        opened("USD", START), [Node(str(n), "encoder", START) for n in range(7)], tariff, START + 240 * HOUR
    )
    inside = rest_of_month(at_the_peak, tariff, START + 240 * HOUR, (peak,))
    assert affordable(inside, fleet) == 12


def test_the_day_on_which_the_cap_is_reached_is_told() -> None:
    tariff = Tariff("USD", micros("5000"), ZONE, micros("0.35"), hourly=(("milvus", micros("2.72")),))
    rest = rest_of_month(opened("USD", START), tariff, START)
    reached = outlook(rest, Fleet(12, 4, 12)).reached
    # 6.92 an hour: 722.5 hours.
    assert reached == START + 5000 * HOUR * 100 // 692
    assert moment_of(reached).astimezone(ZONE).date() == date(2026, 12, 31)
    assert outlook(rest, Fleet(4, 4, 12)).reached is None
