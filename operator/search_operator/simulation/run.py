"""Simulated time: minute by minute the HPA, every hour and at every change the ledger and the guard."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from search_operator.api.autoscaling import Autoscaling
from search_operator.api.spec import Spec
from search_operator.decide.capacity import Fleet as Bounds
from search_operator.decide.cost import tariff_of
from search_operator.decide.prewarm import DEFAULT_LEAD, early, leads_of, warmed, windows_of
from search_operator.money.budget import Fleet, guarded, rest_of_month
from search_operator.money.ledger import Node, accrue, opened
from search_operator.money.months import HOUR, bounds, milliseconds, moment_of, month_at
from search_operator.money.tariff import Tariff
from search_operator.money.windows import Opening, Window, openings
from search_operator.simulation.autoscaler import STEP, Encoder, Scaled
from search_operator.simulation.traffic import Trace

SHANGHAI = ZoneInfo("Asia/Shanghai")
QUERIES_PER_ENCODER = 1500.0
"""The use case's estimate for a T4."""
# Texts in one pass. A query waits for the pass that is being computed, and for its own.
BATCH = 32
# After that the gateway's breaker answers from keywords alone.
BREAKER_MS = 150.0

_MANY = 1_000_000
Cause = Literal["guard", "maximum", "start"]


@dataclass(frozen=True)
class Scenario:
    """What is simulated. `tariff` None: nobody counts. `start`: how long an encoder takes to start."""

    minimum: int
    maximum: int
    windows: tuple[Window, ...]
    leads: Mapping[str, timedelta]
    tariff: Tariff | None = None
    clamp: bool = True
    queries_per_encoder: float = QUERIES_PER_ENCODER
    start: timedelta = DEFAULT_LEAD
    zone: ZoneInfo = SHANGHAI
    scaling: Autoscaling = field(default_factory=Autoscaling)
    """How fast encoders come and go."""


@dataclass(frozen=True)
class Hour:
    """One hour: highest load, encoders at its end, latency and what went wrong in it. Money in micro-units."""

    at: int
    load: float
    encoders: int
    allowed: int
    spent: int
    latency_ms: float
    lost: Mapping[Cause, int]
    """Minutes in which there were more queries than the ready encoders carry, by why."""


@dataclass
class MonthRow:
    """One billing month; `lost` in minutes."""

    month: str
    spent: int = 0
    highest_load: float = 0.0
    fewest: int = _MANY
    most: int = 0
    lowest_allowed: int = _MANY
    guard_changes: int = 0
    latency_ms: float = 0.0
    lost: dict[Cause, int] = field(default_factory=lambda: {"guard": 0, "maximum": 0, "start": 0})

    def add(
        self, load: float, encoders: Set[int], allowed: int, latency_ms: float, lost: Mapping[Cause, int]
    ) -> None:
        """One more hour."""
        self.highest_load, self.latency_ms = max(self.highest_load, load), max(self.latency_ms, latency_ms)
        self.fewest, self.most = min(self.fewest, *encoders), max(self.most, *encoders)
        self.lowest_allowed = min(self.lowest_allowed, allowed)
        for cause, minutes in lost.items():
            self.lost[cause] += minutes


@dataclass(frozen=True)
class Result:
    """The whole simulation."""

    scenario: Scenario
    hours: tuple[Hour, ...]
    months: tuple[MonthRow, ...]
    openings: tuple[Opening, ...]


def scenario_of(
    spec: Spec, start: timedelta = DEFAULT_LEAD, queries_per_encoder: float = QUERIES_PER_ENCODER
) -> Scenario:
    """What a resource declares. `start` stands for the measured starts, so that windows lead by it."""
    scaling, cost, priced = spec.encoder.autoscaling, spec.cost, spec.cost.prices if spec.cost else None
    zone = ZoneInfo(cost.time_zone if cost and cost.time_zone else "Asia/Shanghai")
    return Scenario(
        minimum=scaling.min_replicas,
        maximum=scaling.max_replicas,
        windows=windows_of(spec),
        leads=leads_of(spec, int(start.total_seconds())),
        tariff=tariff_of(spec, priced),
        clamp=cost is not None and cost.action == "Clamp",
        queries_per_encoder=queries_per_encoder,
        start=start,
        zone=zone,
        scaling=spec.encoder.autoscaling,
    )


def simulate(scenario: Scenario, trace: Trace) -> Result:
    """The trace from its first to its last hour."""
    run = _Run(scenario, trace)
    hours = tuple(run.hours())
    span = moment_of(trace.start), moment_of(trace.end)
    return Result(scenario, hours, tuple(run.months.values()), openings(scenario.windows, *span))


class _Run:
    """What changes from minute to minute."""

    def __init__(self, scenario: Scenario, trace: Trace) -> None:
        self.scenario, self.trace = scenario, trace
        start = int(scenario.start.total_seconds() * 1000)
        self.fleet = Scaled(scenario.queries_per_encoder, start, scaling=scenario.scaling)
        self.fleet.begin(trace.start, scenario.minimum)
        self.ledger = opened(scenario.tariff.currency if scenario.tariff else "", trace.start)
        self.months: dict[str, MonthRow] = {}
        self.ended: list[Node] = []
        self.backlog = 0.0
        self.windows_of_month = ""
        self.early: tuple[Opening, ...] = ()
        self.edges: frozenset[int] = frozenset()

    def hours(self) -> Iterator[Hour]:
        """Every hour in order; the ledger is complete after the last one."""
        for hour in range(self.trace.start, self.trace.end, HOUR):
            yield self._hour(hour)
        self._account(self.trace.end)

    def _hour(self, start: int) -> Hour:
        lost: dict[Cause, int] = {"guard": 0, "maximum": 0, "start": 0}
        worst, highest, counts = 0.0, 0.0, set[int]()
        self._see_windows(start)
        for now in range(start, start + HOUR, STEP):
            if now == start or now in self.edges:
                self._account(now)
            load, allowed = self.trace.at(now), self._allowed()
            wanted = max((o.replicas for o in self.early if _open(o, now)), default=0)
            sized = warmed(Bounds(self.scenario.minimum, allowed), wanted)
            ended = self.fleet.step(now, load, sized.minimum, sized.maximum)
            self.ended += [_node(encoder, now) for encoder in ended]
            counts.add(len(self.fleet.encoders))
            ready = self.fleet.ready(now)
            if cause := self._short(load, ready):
                lost[cause] += 1
            worst, highest = max(worst, self._latency(load, ready)), max(highest, load)
        row, count = self._row(month_at(start, self.scenario.zone)), len(self.fleet.encoders)
        row.add(highest, counts, self._allowed(), worst, lost)
        spent = self.ledger.month(row.month).spent
        return Hour(start, highest, count, self._allowed(), spent, worst, lost)

    def _see_windows(self, now: int) -> None:
        """This month's openings, and those of the day after it, which begin to cost in this one."""
        month = month_at(now, self.scenario.zone)
        if month == self.windows_of_month:
            return
        self.windows_of_month = month
        until = moment_of(bounds(month, self.scenario.zone)[1]) + timedelta(days=2)
        self.early = early(openings(self.scenario.windows, moment_of(now), until), self.scenario.leads)
        self.edges = frozenset(milliseconds(edge) for o in self.early for edge in (o.start, o.end))

    def _account(self, now: int) -> None:
        """The ledger up to now, and the guard's word for what follows."""
        tariff = self.scenario.tariff
        if tariff is None:
            return
        nodes = [_node(encoder) for encoder in self.fleet.encoders]
        self.ledger = accrue(self.ledger, [*nodes, *self.ended], tariff, now)
        self.ended = []
        for account in self.ledger.months[-2:]:
            self._row(account.month).spent = account.spent
        if self.scenario.clamp:
            fleet = Fleet(len(self.fleet.encoders), self.scenario.minimum, self.scenario.maximum)
            before = self.ledger.allowed
            self.ledger = guarded(self.ledger, rest_of_month(self.ledger, tariff, now, self.early), fleet)
            if before not in (None, self.ledger.allowed) and now < self.trace.end:
                self._row(month_at(now, self.scenario.zone)).guard_changes += 1

    def _allowed(self) -> int:
        return self.scenario.maximum if self.ledger.allowed is None else self.ledger.allowed

    def _short(self, load: float, ready: int) -> Cause | None:
        """Why the ready encoders carry less than there is, if they do."""
        if load <= ready * self.scenario.queries_per_encoder:
            return None
        count, allowed = len(self.fleet.encoders), self._allowed()
        if count < allowed or ready < count:
            return "start"
        return "guard" if allowed < self.scenario.maximum else "maximum"

    def _latency(self, load: float, ready: int) -> float:
        """Of the encoder's part: two batches, and what has piled up before them; the breaker ends it."""
        carried = ready * self.scenario.queries_per_encoder
        if not carried:
            return BREAKER_MS
        self.backlog = max(0.0, self.backlog + (load - carried) * STEP / 1000)
        least = 2 * BATCH / self.scenario.queries_per_encoder * 1000
        waits = min(BREAKER_MS, least + self.backlog / carried * 1000)
        self.backlog = min(self.backlog, max(0.0, BREAKER_MS - least) / 1000 * carried)
        return waits

    def _row(self, month: str) -> MonthRow:
        return self.months.setdefault(month, MonthRow(month))


def _open(opening: Opening, now: int) -> bool:
    return milliseconds(opening.start) <= now < milliseconds(opening.end)


def _node(encoder: Encoder, end: int | None = None) -> Node:
    return Node(f"e{encoder.number}", "encoder", encoder.created, end)
