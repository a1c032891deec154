"""What the rest of the month will cost, how many encoders it allows, and what is given up first.

The promise: as long as even the fewest encoders fit under the cap, the cap is never crossed by more than is spent
between two looks. It holds because `affordable` leaves enough for the fewest until the month ends.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from search_operator.money.ledger import Deferral, Ledger
from search_operator.money.months import HOUR, bounds, hours_in, milliseconds, month_at
from search_operator.money.tariff import Tariff
from search_operator.money.windows import Opening

# From, until (milliseconds), and how many replicas a window wants in between; 0 outside of all.
Phase = tuple[int, int, int]

# After the allowed number has changed it is not raised for an hour, but for a window that opens.
HOLD_MS = HOUR


@dataclass(frozen=True)
class Fleet:
    """Encoders of the release that answers: how many run, and the bounds that the resource declares."""

    running: int
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Second:
    """Another release's encoders beside the active fleet, paid until `until` (milliseconds)."""

    encoders: int
    until: int


@dataclass(frozen=True)
class Outlook:
    """The month at a moment; money in micro-units, moments in milliseconds.

    `projected` is the whole month as it runs now, with what is planned; `at_minimum` with the fewest encoders from
    now on. `reached` is when the cap is reached as it runs now; None within this month.
    """

    month: str
    spent: int
    projected: int
    at_minimum: int
    hour: int
    cap: int
    hours: int
    reached: int | None


@dataclass(frozen=True)
class Rest:
    """The rest of a billing month: what is known of it that does not depend on the active fleet."""

    tariff: Tariff
    month: str
    now: int
    end: int
    spent: int
    openings: tuple[Opening, ...] = ()
    seconds: tuple[Second, ...] = ()
    planned: int = 0
    """Micro-units for what else is going to happen, such as a full rebuild."""
    rerankers: int = 0
    """Re-rankers that run until the month's end."""

    @property
    def steady_hour(self) -> int:
        """What an hour costs without encoders, in micro-units."""
        return self.tariff.fixed_hour(self.month) + self.rerankers * self.tariff.reranker_hour

    @property
    def left(self) -> int:
        """What active encoders may still cost, in micro-units times milliseconds per hour; negative when too little."""
        span = self.end - self.now
        fixed = self.steady_hour * span
        other = sum(
            self.tariff.encoder_hour * second.encoders * max(0, min(second.until, self.end) - self.now)
            for second in self.seconds
        )
        return (self.tariff.cap - self.spent - self.planned) * HOUR - fixed - other

    def phases(self) -> Iterator[Phase]:
        """From now to the month's end, in order."""
        edges = {self.now, self.end}
        spans = [(milliseconds(o.start), milliseconds(o.end), o.replicas) for o in self.openings]
        for start, end, _ in spans:
            edges |= {edge for edge in (start, end) if self.now < edge < self.end}
        moments = sorted(edges)
        for begin, until in itertools.pairwise(moments):
            yield begin, until, max((want for start, end, want in spans if start <= begin < end), default=0)


def rest_of_month(
    ledger: Ledger,
    tariff: Tariff,
    now: int,
    openings: Sequence[Opening] = (),
    seconds: Sequence[Second] = (),
    planned: int = 0,
    rerankers: int = 0,
) -> Rest:
    """The rest of the month that `now` lies in, after what the ledger says was spent in it."""
    month = month_at(now, tariff.zone)
    spent = ledger.month(month).spent
    end = bounds(month, tariff.zone)[1]
    return Rest(tariff, month, now, end, spent, tuple(openings), tuple(seconds), planned, rerankers)


def outlook(rest: Rest, fleet: Fleet) -> Outlook:
    """What the month comes to. `projected` is never below `spent`."""
    per_hour = rest.steady_hour + rest.tariff.encoders_hour(fleet.running)
    per_hour += sum(rest.tariff.encoder_hour * s.encoders for s in rest.seconds if s.until > rest.now)
    phases = tuple(rest.phases())
    # What is not left for encoders is spent, or will be.
    committed = rest.tariff.cap * HOUR - rest.left

    def month_with(encoders: int) -> int:
        return (committed + _cost(rest.tariff, phases, encoders, fleet)) // HOUR

    return Outlook(
        month=rest.month,
        spent=rest.spent,
        projected=max(rest.spent, month_with(fleet.running)),
        at_minimum=max(rest.spent, month_with(fleet.minimum)),
        hour=per_hour,
        cap=rest.tariff.cap,
        hours=hours_in(rest.month, rest.tariff.zone),
        reached=_reached(rest, fleet),
    )


def affordable(rest: Rest, fleet: Fleet, slack: int = 0) -> int:
    """The most encoders that may run now so that the month stays under the cap, within the fleet's bounds.

    Outside a window that many may run until the month's end, beside the windows to come with all they want. Within
    one they may run until it ends, and afterwards the fewest and the windows to come. When the windows to come can't
    be paid in full they get what is left when they come. `slack`: micro-units that must remain.
    """
    left = rest.left - slack * HOUR
    for promised in (rest, replace(rest, openings=_open_now(rest))):
        phases = tuple(promised.phases())
        for encoders in range(fleet.maximum, fleet.minimum - 1, -1):
            if _allowed_cost(rest.tariff, phases, encoders, fleet) <= left:
                return encoders
    return fleet.minimum


def guarded(ledger: Ledger, rest: Rest, fleet: Fleet) -> Ledger:
    """The ledger with the guard's word: lowered at once, raised at most once an hour or when a window opens.

    A raise needs an hour's slack, so that the number does not go up and down at its own edge. Another maximum than the
    word was said for is somebody's wish, and answered at once.
    """
    before, since, now = ledger.allowed, ledger.allowed_since, rest.now
    lowest, highest = fleet.minimum, fleet.maximum
    most = affordable(rest, fleet)
    asked_anew = ledger.declared is not None and ledger.declared != highest
    if before is not None and not asked_anew and lowest <= before <= highest and most >= before:
        opened = any(since < milliseconds(o.start) <= now < milliseconds(o.end) for o in rest.openings)
        if not opened and now - since < HOLD_MS:
            return ledger.model_copy(update={"declared": highest})
        most = max(before, affordable(rest, fleet, slack=rest.tariff.encoders_hour(highest)))
    if most == before:
        return ledger.model_copy(update={"declared": highest})
    return ledger.model_copy(update={"allowed": most, "allowed_since": now, "declared": highest})


def deferred(ledger: Ledger, rest: Rest, fleet: Fleet, demand: int, *, rebuilds: bool) -> Ledger:
    """The ledger with what is given up so that `demand` encoders may run: full rebuilds first, then re-rankers.

    `rest` counts the re-rankers that are declared, given up or not; `rebuilds` tells whether there may be full rebuilds.
    What was given up comes back after an hour at the earliest, and only with an hour's slack.
    """
    hour = rest.tariff.encoders_hour(fleet.maximum)
    # A full rebuild is taken for an hour of all encoders.
    own: dict[Deferral, int] = {}
    if rebuilds:
        own["FullRebuild"] = hour
    if rest.rerankers:
        own["Reranker"] = 0
    before = {what for what in ledger.deferred if what in own}
    slack = hour + rest.tariff.reranker_hour * rest.rerankers
    projected = outlook(rest, replace(fleet, running=demand)).projected
    crossed = {
        what
        for what, cost in own.items()
        if projected + cost + (slack if what in before else 0) > rest.tariff.cap
    }
    if rest.now - ledger.deferred_since < HOLD_MS:
        crossed |= before
    if crossed == set(ledger.deferred):
        return ledger
    return ledger.model_copy(update={"deferred": tuple(sorted(crossed)), "deferred_since": rest.now})


def _open_now(rest: Rest) -> tuple[Opening, ...]:
    return tuple(o for o in rest.openings if milliseconds(o.start) <= rest.now < milliseconds(o.end))


def _cost(tariff: Tariff, phases: Sequence[Phase], encoders: int, fleet: Fleet) -> int:
    """So many encoders to the month's end, more where a window wants more (and the maximum allows it)."""
    return sum(
        tariff.encoders_hour(max(encoders, min(want, fleet.maximum))) * (end - start)
        for start, end, want in phases
    )


def _allowed_cost(tariff: Tariff, phases: Sequence[Phase], encoders: int, fleet: Fleet) -> int:
    """What it costs at most to allow so many now."""
    if not phases or not phases[0][2]:
        return _cost(tariff, phases, encoders, fleet)
    # Within windows: until they close; then the fewest, and windows to come.
    closed = next((number for number, (_, _, want) in enumerate(phases) if not want), len(phases))
    within = sum(end - start for start, end, _ in phases[:closed])
    return tariff.encoders_hour(encoders) * within + _cost(tariff, phases[closed:], fleet.minimum, fleet)


def _reached(rest: Rest, fleet: Fleet) -> int | None:
    """When the cap is reached as it runs now."""
    money = (rest.tariff.cap - rest.spent - rest.planned) * HOUR
    if money <= 0:
        return rest.now
    fixed = rest.steady_hour
    edges = sorted({s.until for s in rest.seconds if rest.now < s.until < rest.end})
    for begin, until, want in rest.phases():
        running = rest.tariff.encoders_hour(max(fleet.running, min(want, fleet.maximum)))
        for start, end in _cut(begin, until, edges):
            second = sum(rest.tariff.encoder_hour * s.encoders for s in rest.seconds if s.until > start)
            per_hour = fixed + running + second
            if per_hour and money < per_hour * (end - start):
                return start + max(0, money) // per_hour
            money -= per_hour * (end - start)
    return None


def _cut(begin: int, until: int, edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    moments = [begin, *(edge for edge in edges if begin < edge < until), until]
    yield from itertools.pairwise(moments)
