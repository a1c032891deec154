"""No money is lost, none counted twice: whatever scales, crashes, steps of clocks and leaders do."""

from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from search_operator.money.ledger import Ledger, Node, accrue, ledger_in, opened
from search_operator.money.months import HOUR, bounds
from search_operator.money.tariff import Tariff

ZONE = ZoneInfo("Asia/Shanghai")
START, _ = bounds("2026-11", ZONE)
PRICE = 350_000
FIXED = 2_720_000
TARIFF = Tariff("USD", 5_000_000_000, ZONE, PRICE, hourly=(("milvus", FIXED),))


@dataclass
class Pod:
    """The truth about one node."""

    uid: str
    start: int
    end: int | None = None


def raw(ledger: Ledger, item: str) -> int:
    """All that was ever spent on an item, unrounded."""
    return sum(account.items.get(item, 0) for account in ledger.months)


class Fleet(RuleBasedStateMachine):
    """A fleet that scales under an operator whose process dies, whose clock steps and whose lists are stale."""

    @initialize()
    def begin(self) -> None:
        self.time = START
        self.skew = 0
        self.pods: list[Pod] = []
        # What an operator saw of each node: nobody can bill what nobody saw.
        self.seen: dict[str, int] = {}
        self.kept = opened("USD", START).to_json()
        # What was not listed although it was there: two days later nobody knows what of it was counted.
        self.missed: set[str] = set()
        self.read_by_other: str | None = None
        self.highest_seen_clock = START

    @rule(minutes=st.integers(1, 20_000))
    def time_passes(self, minutes: int) -> None:
        self.time += minutes * 60_000

    @rule(more=st.integers(1, 4))
    def scale_up(self, more: int) -> None:
        self.pods += [Pod(f"pod-{len(self.pods) + n}", self.time) for n in range(more)]

    @rule(fewer=st.integers(1, 4))
    def scale_down(self, fewer: int) -> None:
        for pod in [pod for pod in self.pods if pod.end is None][:fewer]:
            pod.end = self.time

    @rule(minutes=st.integers(-600, 600))
    def the_clock_steps(self, minutes: int) -> None:
        self.skew = minutes * 60_000

    @rule(listed=st.booleans())
    def the_operator_looks(self, listed: bool) -> None:
        """`listed`: ended pods are still in the list, with their end."""
        now = self.time + self.skew
        ledger = ledger_in(self.kept)
        assert ledger is not None
        self.kept = accrue(ledger, self._nodes(listed), TARIFF, now).to_json()
        self.highest_seen_clock = max(self.highest_seen_clock, now)

    @rule(missed=st.integers(1, 4))
    def the_operator_looks_at_a_list_that_lacks_some(self, missed: int) -> None:
        """A label was taken off, a right was missing: what is not listed may run on, and come back after days."""
        now = self.time + self.skew
        ledger = ledger_in(self.kept)
        assert ledger is not None
        nodes = self._nodes(True)
        self.missed |= {node.uid for node in nodes[:missed]}
        self.kept = accrue(ledger, nodes[missed:], TARIFF, now).to_json()
        self.highest_seen_clock = max(self.highest_seen_clock, now)

    @rule()
    def another_leader_reads(self) -> None:
        self.read_by_other = self.kept

    @rule(listed=st.booleans())
    def another_leader_writes(self, listed: bool) -> None:
        """It writes only on top of what it has read, as the API server demands."""
        if self.read_by_other == self.kept:
            self.the_operator_looks(listed)
        self.read_by_other = None

    def _nodes(self, listed: bool) -> list[Node]:
        nodes = [
            Node(pod.uid, "encoder", pod.start, pod.end)
            for pod in self.pods
            if pod.end is None or (listed and pod.uid in self.seen)
        ]
        for node in nodes:
            self.seen.setdefault(node.uid, node.start)
        return nodes

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        if not hasattr(self, "kept"):
            return
        ledger = ledger_in(self.kept)
        assert ledger is not None
        # Each node: at least its life as far as any look with a right clock saw it, at most from start to the last look.
        at_most = sum(
            max(0, self.highest_seen_clock - pod.start) for pod in self.pods if pod.uid in self.seen
        )
        at_least = sum(
            max(0, min(mark.upto, pod.end or mark.upto) - pod.start)
            for pod in self.pods
            if (mark := ledger.marks.get(pod.uid)) and pod.uid not in self.missed
        )
        assert at_least * PRICE <= raw(ledger, "encoder") <= at_most * PRICE
        assert raw(ledger, "milvus") == FIXED * (self.highest_seen_clock - START)
        assert ledger.upto == self.highest_seen_clock


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@given(
    lives=st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 5_000)), max_size=12),
    looks=st.lists(st.integers(0, 12_000), max_size=12),
    reserved=st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_however_often_one_looks_the_sum_is_the_same(
    lives: list[tuple[int, int]], looks: list[int], reserved: int
) -> None:
    """Minutes from the start; every life is still listed after its end, so that nothing is unknown."""
    tariff = Tariff("USD", 1, ZONE, PRICE, reserved=reserved)
    nodes = [
        Node(str(n), "encoder", START + s * 60_000, START + (s + d) * 60_000)
        for n, (s, d) in enumerate(lives)
    ]
    ledger = opened("USD", START)
    for minute in [*sorted(looks), 12_000]:
        now = START + minute * 60_000
        visible = [
            Node(
                node.uid,
                "encoder",
                node.start,
                node.end if node.end is not None and node.end <= now else None,
            )
            for node in nodes
            if node.start <= now
        ]
        ledger = accrue(ledger, visible, tariff, now)
    truth = 0
    edges = sorted({edge for s, d in lives for edge in (s, s + d)})
    for begin, until in pairwise(edges):
        running = sum(s <= begin < s + d for s, d in lives)
        truth += max(0, running - reserved) * (until - begin) * 60_000
    assert raw(ledger, "encoder") == truth * PRICE


def test_what_is_learnt_twice_is_counted_once() -> None:
    node = [Node("a", "encoder", START)]
    once = accrue(opened("USD", START), node, TARIFF, START + HOUR)
    assert accrue(once, node, TARIFF, START + HOUR) == once
    assert once.month("2026-11").spent == PRICE + FIXED


def test_a_node_that_a_stale_list_shows_again_after_days_is_not_counted_again() -> None:
    node = Node("a", "encoder", START, START + HOUR)
    ledger = accrue(opened("USD", START), [node], TARIFF, START + 2 * HOUR)
    for day in range(1, 6):
        ledger = accrue(ledger, [], TARIFF, START + day * 24 * HOUR)
        assert accrue(ledger, [node], TARIFF, ledger.upto).month("2026-11").spent_on("encoder") == PRICE
    assert ledger.marks == {}


def test_a_node_that_ended_while_nobody_looked_counts_until_the_last_scaling() -> None:
    ledger = accrue(opened("USD", START), [Node("a", "encoder", START)], TARIFF, START + HOUR)
    later = accrue(ledger, [], TARIFF, START + 9 * HOUR, gone_by=START + 2 * HOUR)
    assert later.month("2026-11").spent_on("encoder") == 2 * PRICE
    without_a_hint = accrue(ledger, [], TARIFF, START + 9 * HOUR)
    assert without_a_hint.month("2026-11").spent_on("encoder") == 9 * PRICE


def test_a_node_of_before_the_ledger_is_counted_from_its_own_start() -> None:
    """The operator was away when it came: the node's own time is the truth."""
    ledger = accrue(opened("USD", START), [], TARIFF, START + 5 * HOUR)
    later = accrue(ledger, [Node("a", "encoder", START + HOUR)], TARIFF, START + 6 * HOUR)
    assert later.month("2026-11").spent_on("encoder") == 5 * PRICE


def test_a_month_ends_for_each_of_its_items_at_the_same_moment() -> None:
    end = bounds("2026-11", ZONE)[1]
    ledger = accrue(opened("USD", end - HOUR), [Node("a", "encoder", end - HOUR)], TARIFF, end + 2 * HOUR)
    assert ledger.month("2026-11").spent == PRICE + FIXED
    assert ledger.month("2026-12").spent == 2 * (PRICE + FIXED)


def test_the_last_thirteen_months_are_kept() -> None:
    ledger = opened("USD", START)
    for month in range(20):
        ledger = accrue(ledger, [], TARIFF, START + month * 31 * 24 * HOUR)
    assert len(ledger.months) == 13
