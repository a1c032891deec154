"""A breaker's decisions: what opens it, for how long, what closes it again."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from search_plane.gateway.protection.circuit import (
    FAIR_SECONDS,
    FIRST_PAUSE,
    GOOD_PROBES,
    LASTING_SECONDS,
    LEAST_BAD,
    LONGEST_PAUSE,
    Admission,
    Circuit,
    Counts,
    End,
    Outcome,
    Reason,
    admitted,
    at,
    lasting,
    opened,
    outcome,
    pause,
    told,
    verdict,
)
from search_plane.gateway.protection.window import RECENT, SLOTS, Window

CALM = 10.0


@pytest.mark.parametrize(
    ("whole", "recent", "reason"),
    [
        (Counts(), Counts(), None),
        (Counts(1000, slow=50), Counts(), None),
        (Counts(1000, slow=51), Counts(), "slow"),
        (Counts(4, slow=4), Counts(4, slow=4), None),
        (Counts(5, slow=5), Counts(5, slow=5), "slow"),
        # Failures at once: the last seconds decide though the window before them was good.
        (Counts(1000, failed=104), Counts(200, failed=104), "failed"),
        (Counts(1000, failed=103), Counts(200, failed=103), None),
        # Little traffic: only the whole window has five, or a lead.
        (Counts(5, failed=5), Counts(1, failed=1), "failed"),
        (Counts(6, failed=5), Counts(1, failed=1), None),
        (Counts(12, failed=10), Counts(3, failed=3), "failed"),
        # Half of ten is chance.
        (Counts(10, failed=5), Counts(10, failed=5), None),
        # Three of ten failing: the other seven are worth having.
        (Counts(1000, failed=300), Counts(200, failed=60), None),
        # Overloaded: what it answers counts; only when it answers nearly nobody it is left alone.
        (Counts(1000, refused=900), Counts(200, refused=180), None),
        (Counts(1000, refused=900), Counts(200, refused=190), "refused"),
    ],
)
def test_what_opens_it(whole: Counts, recent: Counts, reason: Reason | None) -> None:
    assert verdict(whole, recent) == reason


@pytest.mark.parametrize(
    ("end", "seconds", "latency", "said"),
    [
        ("answer", 9.0, None, "good"),
        ("answer", 0.150, 0.150, "good"),
        ("answer", 0.151, 0.150, "slow"),
        ("gave up", 0.5, None, "failed"),
        ("gave up", 0.5, 0.150, "slow"),
        # A limit above the caller's patience: what never answers must open it all the same.
        ("gave up", 0.5, 0.8, "slow"),
        # An earlier step took the time; this one had none.
        ("gave up", FAIR_SECONDS / 2, None, "nothing"),
        ("gave up", FAIR_SECONDS / 2, 0.150, "nothing"),
        ("gave up", FAIR_SECONDS / 2, FAIR_SECONDS / 4, "slow"),
        ("fault", 0.001, None, "failed"),
        ("fault", 0.001, 0.150, "failed"),
        ("overload", 0.001, None, "refused"),
        ("else", 9.0, 0.150, "nothing"),
    ],
)
def test_what_a_call_says(end: End, seconds: float, latency: float | None, said: Outcome) -> None:
    assert outcome(end, seconds, latency) == said


def test_its_pause_doubles_up_to_a_bound_and_is_short_again_after_calm() -> None:
    circuit, now, pauses = Circuit(), 0.0, []
    for _ in range(6):
        circuit = opened(circuit, now, CALM)
        pauses.append(pause(circuit))
        now += pauses[-1]
        circuit, admission = admitted(at(circuit, now), regardless=False)
        assert admission == "probe"
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    closed = replace(circuit, state="closed", since=now)
    assert pause(opened(closed, now + CALM - 0.1, CALM)) == LONGEST_PAUSE
    assert pause(opened(closed, now + CALM, CALM)) == FIRST_PAUSE


def test_trouble_lasts_over_a_short_time_of_being_closed() -> None:
    circuit = opened(Circuit(), 100.0, CALM)
    assert not lasting(circuit, 100.0 + LASTING_SECONDS - 0.1)
    flapping = opened(replace(circuit, state="closed", since=103.0), 105.0, CALM)
    assert lasting(flapping, 100.0 + LASTING_SECONDS)
    assert not lasting(replace(flapping, state="closed"), 200.0)


def test_a_call_that_had_to_be_made_half_opens_it_and_a_bad_one_changes_nothing() -> None:
    circuit, admission = admitted(opened(Circuit(), 0.0, CALM), regardless=True)
    assert admission == "asked"
    assert told(circuit, admission, "failed", 0.5, CALM) == circuit
    after = told(circuit, admission, "good", 0.5, CALM)
    assert (after.state, after.good) == ("half-open", 1)


def test_a_probe_that_says_nothing_gives_its_place_to_the_next() -> None:
    circuit, admission = admitted(at(opened(Circuit(), 0.0, CALM), 1.0), regardless=False)
    assert admitted(circuit, regardless=False)[1] == "turned away"
    circuit = told(circuit, admission, "nothing", 1.1, CALM)
    assert circuit.state == "half-open"
    assert admitted(circuit, regardless=False)[1] == "probe"


class Machine(RuleBasedStateMachine):
    """Calls begin and end in any order while time goes on; what must hold whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.circuit = Circuit()
        self.under_way: list[tuple[int, Admission]] = []

    @rule(seconds=st.floats(0, 20))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(regardless=st.booleans())
    def a_call_begins(self, regardless: bool) -> None:
        before = self.circuit = at(self.circuit, self.now)
        self.circuit, admission = admitted(before, regardless)
        if regardless:
            assert admission != "turned away"
        if before.state == "open" and not regardless:
            assert admission == "turned away"
            assert self.now - before.since < LONGEST_PAUSE
        if admission != "turned away":
            self.under_way.append((self.circuit.epoch, admission))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 99), result=st.sampled_from(["good", "slow", "failed", "refused", "nothing"]))
    def a_call_ends(self, which: int, result: Outcome) -> None:
        epoch, admission = self.under_way.pop(which % len(self.under_way))
        before = self.circuit
        if epoch != before.epoch:
            return
        if before.state != "closed":
            self.circuit = told(before, admission, result, self.now, CALM)
            if self.circuit.state == "closed":
                assert result == "good"
                assert before.good == GOOD_PROBES - 1
            if self.circuit.state == "open" and before.state == "half-open":
                assert (admission, result in ("slow", "failed", "refused")) == ("probe", True)
        elif result not in ("good", "nothing"):
            self.circuit = opened(before, self.now, CALM)

    @invariant()
    def it_is_never_stuck(self) -> None:
        # A sum of floats may be a hair less than the pause after its beginning.
        later = at(self.circuit, self.now + LONGEST_PAUSE + 1e-6)
        assert later.state != "open"
        if later.state == "half-open" and later.probing:
            # Whoever probes is known, and will tell.
            assert (later.epoch, "probe") in self.under_way

    @invariant()
    def one_probe_at_a_time(self) -> None:
        assert self.under_way.count((self.circuit.epoch, "probe")) <= 1

    @invariant()
    def its_pause_is_bounded(self) -> None:
        if self.circuit.state == "open":
            assert FIRST_PAUSE <= pause(self.circuit) <= LONGEST_PAUSE


TestMachine = Machine.TestCase

OUTCOMES = st.sampled_from(["good", "slow", "failed", "refused", "nothing"])


@given(st.lists(st.tuples(st.floats(0, 3), OUTCOMES), max_size=200), st.sampled_from([1.0, 10.0, 60.0]))
def test_the_window_counts_what_ended_within_it(calls: list[tuple[float, Outcome]], seconds: float) -> None:
    window, now, seen = Window(), 1000.0, []
    for wait, result in calls:
        now += wait
        window.add(result, now, seconds)
        seen.append((int(now / (seconds / SLOTS)), result))
    tick = int(now / (seconds / SLOTS))
    for slots in (SLOTS, RECENT):
        kept = [result for at_tick, result in seen if tick - at_tick < slots and result != "nothing"]
        expected = Counts(len(kept), kept.count("slow"), kept.count("failed"), kept.count("refused"))
        assert window.counts(now, seconds, slots) == expected


def test_another_window_starts_anew_and_memory_is_bounded() -> None:
    window = Window()
    for number in range(10_000):
        window.add("failed", number * 0.01, 10.0)
    assert window.counts(99.99, 10.0).calls <= 1000
    assert len(window._slots) == SLOTS
    assert window.counts(99.99, 20.0) == Counts()


def seconds_until_open(share: float, rate: float, before: float, seed: int) -> float | None:
    """Since when a dependency, after `before` good seconds, failed that share of its calls; None for 30 s of that."""
    chance, window, now = random.Random(seed), Window(), 1000.0 + seed / 7
    began = now + before
    while now < began + 30.0:
        now += chance.expovariate(rate)
        failed = now >= began and chance.random() < share
        window.add("failed" if failed else "good", now, CALM)
        if failed and verdict(window.counts(now, CALM), window.counts(now, CALM, RECENT)) is not None:
            return now - began
    return None


@pytest.mark.parametrize("rate", [5.0, 15.0, 50.0])
@pytest.mark.parametrize("before", [0.0, 10.0])
def test_three_in_ten_failing_hardly_ever_open_it(rate: float, before: float) -> None:
    opened = [seconds_until_open(0.3, rate, before, seed) for seed in range(20)]
    # Twenty half minutes.
    assert sum(after is not None for after in opened) <= 2


@pytest.mark.parametrize("rate", [15.0, 50.0])
def test_a_part_that_is_gone_opens_it_within_two_seconds(rate: float) -> None:
    for seed in range(20):
        after = seconds_until_open(1.0, rate, 10.0, seed)
        assert after is not None
        assert after <= 2.5


def test_fewer_than_the_least_never_open_it() -> None:
    few = LEAST_BAD - 1
    assert verdict(Counts(few, failed=few), Counts(few, failed=few)) is None
