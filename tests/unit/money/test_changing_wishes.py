"""Ledger and guard while people change their minds: prices, caps and bounds within a month, in any time zone.

What holds from the last change on is what held from the beginning with steady wishes: a cap that can hold holds.
"""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from hypothesis import event, given, settings
from hypothesis import strategies as st
from search_operator.money.budget import Fleet, Rest, affordable, deferred, guarded, outlook, rest_of_month
from search_operator.money.ledger import Ledger, Node, accrue, ledger_in, opened
from search_operator.money.months import HOUR, bounds, month_at
from search_operator.money.tariff import Tariff

MONTHS = (
    ("Asia/Shanghai", "2026-12"),
    ("Asia/Shanghai", "2027-02"),
    ("Europe/Berlin", "2026-03"),
    ("Europe/Berlin", "2026-10"),
    ("Australia/Lord_Howe", "2026-10"),
    ("America/Havana", "2026-11"),
    ("Pacific/Kiritimati", "2026-12"),
    ("UTC", "2028-02"),
)
MOST = 14


@dataclass(frozen=True)
class Wish:
    """What somebody writes into the resource, and when, as a share of the month in thousandths."""

    when: int
    price: int
    fixed: int
    stored: int
    cap_percent: int
    reserved: int
    minimum: int
    maximum: int

    def tariff(self, zone: ZoneInfo, month: str) -> Tariff:
        start, end = bounds(month, zone)
        whole = self.fixed + self.maximum * self.price + self.reserved * self.price // 2
        cap = max(1, whole * (end - start) // HOUR * self.cap_percent // 100)
        return Tariff(
            "JPY",
            cap,
            zone,
            self.price,
            reserved=self.reserved,
            hourly=(("milvus", self.fixed), ("reserved", self.reserved * self.price // 2)),
            monthly=(("storage", self.stored),),
        )


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    minimum = draw(st.integers(1, 8))
    return Wish(
        when=draw(st.integers(0, 950)),
        # From a tenth of a cent to what an hour costs in a currency without cents.
        price=draw(st.sampled_from([0, 1, 1_000, 350_000, 55_000_000, 5_600_000_000])),
        fixed=draw(st.integers(0, 10**9)),
        stored=draw(st.integers(0, 10**11)),
        cap_percent=draw(st.integers(1, 110)),
        reserved=draw(st.integers(0, 5)),
        minimum=minimum,
        maximum=draw(st.integers(minimum, MOST)),
    )


class _Month:
    """A month in simulated time whose ledger goes through its text, as it does through its ConfigMap."""

    def __init__(self, zone: ZoneInfo, month: str, wish: Wish) -> None:
        self.zone, self.month = zone, month
        self.start, self.end = bounds(month, zone)
        self.ledger: Ledger = opened("JPY", self.start)
        self.running: dict[str, int] = {}
        self.change(wish)

    def change(self, wish: Wish) -> None:
        """As spending does it: another tariff is answered at once."""
        self.tariff = wish.tariff(self.zone, self.month)
        self.fleet = Fleet(wish.minimum, wish.minimum, wish.maximum)
        self.ledger = self.ledger.model_copy(update={"allowed": None, "deferred": (), "deferred_since": 0})

    def look(self, now: int) -> Rest:
        nodes = [Node(uid, "encoder", since) for uid, since in self.running.items()]
        kept = ledger_in(self.ledger.to_json())
        assert kept == self.ledger
        self.ledger = accrue(self.ledger, nodes, self.tariff, now, gone_by=now)
        rest = rest_of_month(self.ledger, self.tariff, now)
        self.ledger = deferred(self.ledger, rest, self.fleet, self.fleet.maximum, rebuilds=True)
        self.ledger = guarded(self.ledger, rest, self.fleet)
        return rest

    def scale(self, wanted: int, now: int) -> None:
        for number in range(len(self.running), wanted):
            self.running[f"{now}-{number}"] = now
        for uid in list(self.running)[: len(self.running) - wanted]:
            del self.running[uid]


@given(
    place=st.sampled_from(MONTHS),
    changes=st.lists(wishes(), min_size=1, max_size=4),
    wanted=st.lists(st.integers(0, 2 * MOST), min_size=1, max_size=20),
    steps=st.lists(st.integers(60, 2000), min_size=1, max_size=20),
)
@settings(max_examples=150, deadline=None)
def test_a_cap_that_can_still_hold_holds_from_the_last_change_on(
    place: tuple[str, str], changes: list[Wish], wanted: list[int], steps: list[int]
) -> None:
    zone, name = ZoneInfo(place[0]), place[1]
    ahead = sorted(changes, key=lambda wish: wish.when)
    month = _Month(zone, name, ahead.pop(0))
    now, turn, longest, feasible, booked = month.start, 0, 0, False, 0
    fresh = True
    while now < month.end:
        rest = month.look(now)
        if fresh:
            feasible = outlook(rest, month.fleet).at_minimum <= month.tariff.cap
            fresh = False
        told, allowed = outlook(rest, month.fleet), month.ledger.allowed
        assert allowed is not None
        assert month.fleet.minimum <= allowed <= month.fleet.maximum
        assert told.projected >= told.spent >= booked, "what is spent stays spent, whatever the price is now"
        assert told.at_minimum <= told.projected
        assert (told.reached is not None) == (told.projected > told.cap) or abs(
            told.projected - told.cap
        ) <= 1
        booked = told.spent
        month.scale(max(month.fleet.minimum, min(wanted[turn % len(wanted)], allowed)), now)
        step = min(steps[turn % len(steps)] * 60_000, month.end - now)
        if ahead and now + step >= (at := month.start + (month.end - month.start) * ahead[0].when // 1000):
            step = max(0, at - now)
            now += step
            month.look(now)
            month.change(ahead.pop(0))
            longest, fresh = 0, True
        else:
            longest = max(longest, step)
            now += step
        turn += 1
    month.look(month.end - 1)
    assert month_at(month.ledger.upto, zone) == name
    event("the cap could hold" if feasible else "it could not")
    if feasible:
        hour = month.tariff.fixed_hour(name) + month.tariff.encoders_hour(month.fleet.maximum)
        assert month.ledger.month(name).spent <= month.tariff.cap + hour * longest // HOUR


@given(
    place=st.sampled_from(MONTHS),
    wish=wishes(),
    spent_percent=st.integers(100, 300),
    hours=st.integers(0, 600),
)
@settings(max_examples=150, deadline=None)
def test_a_cap_below_what_is_spent_allows_the_fewest_and_says_that_it_is_reached_now(
    place: tuple[str, str], wish: Wish, spent_percent: int, hours: int
) -> None:
    zone = ZoneInfo(place[0])
    month = _Month(zone, place[1], wish)
    now = month.start + hours * HOUR
    month.ledger = accrue(
        month.ledger, [Node("a", "encoder", month.start)], replace(month.tariff, encoder_hour=10**9), now
    )
    spent = month.ledger.month(place[1]).spent
    month.tariff = replace(month.tariff, cap=max(1, spent * 100 // spent_percent))
    rest = month.look(now)
    if spent >= month.tariff.cap:
        # Where encoders cost nothing more, as many as are declared.
        free = month.tariff.encoders_hour(month.fleet.maximum) <= month.tariff.encoders_hour(
            month.fleet.minimum
        )
        assert month.ledger.allowed == (month.fleet.minimum if not free else month.ledger.allowed)
        assert outlook(rest, month.fleet).reached == now
        assert set(month.ledger.deferred) >= ({"FullRebuild"} if spent > month.tariff.cap else set())


@given(place=st.sampled_from(MONTHS), wish=wishes(), raised=st.integers(1, MOST))
@settings(max_examples=150, deadline=None)
def test_a_minimum_above_what_is_allowed_is_allowed_at_once(
    place: tuple[str, str], wish: Wish, raised: int
) -> None:
    month = _Month(ZoneInfo(place[0]), place[1], wish)
    month.look(month.start + HOUR)
    word = month.ledger.allowed
    assert word is not None
    low = max(wish.minimum, min(raised, wish.maximum))
    month.fleet = replace(month.fleet, minimum=low, running=low)
    rest = month.look(month.start + HOUR + 60_000)
    assert month.ledger.allowed is not None
    assert max(low, min(word, affordable(rest, month.fleet))) <= month.ledger.allowed <= wish.maximum


@given(
    prices=st.lists(st.integers(0, 10**10), min_size=1, max_size=6),
    hours=st.lists(st.integers(1, 400), min_size=6, max_size=6),
    nodes=st.integers(0, 5),
    place=st.sampled_from([*MONTHS, ("Asia/Shanghai", "2026-12"), ("America/Los_Angeles", "2026-12")]),
)
@settings(max_examples=150, deadline=None)
def test_each_price_counts_for_its_own_time_also_over_the_years_end(
    prices: list[int], hours: list[int], nodes: int, place: tuple[str, str]
) -> None:
    zone = ZoneInfo(place[0])
    start, now = bounds(place[1], zone)[0], bounds(place[1], zone)[0]
    running = [Node(str(n), "encoder", start) for n in range(nodes)]
    ledger, truth = opened("JPY", start), 0
    for price, span in zip(prices, hours, strict=False):
        now += span * HOUR
        ledger = accrue(ledger, running, Tariff("JPY", 1, zone, price), now)
        truth += price * span * HOUR * nodes
    assert sum(sum(account.items.values()) for account in ledger.months) == truth
    names = [account.month for account in ledger.months]
    assert names == sorted(set(names))
