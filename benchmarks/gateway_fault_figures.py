"""What each fault came to, from the replies and the breakers' states; and what is left of all afterwards."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from search_plane.gateway.protection.circuit import LONGEST_PAUSE

from benchmarks.gateway_fault_load import Seen
from benchmarks.gateway_load import Reply
from benchmarks.report import Row
from tests.integration.gateway_bed import GatewayProcess

KINDS = ("stop", "refuse", "slow", "errors")
FAILING = 0.3
LEAST_AVAILABLE = 0.999
# The product's own p99, and how long a query waits for a part (SEMANTIC_WAIT_MS, ES_TIMEOUT_MS).
P99_MS = 200.0
DEADLINE_MS = 500.0
# docs/decisions/018-breakers.md: half of two seconds' traffic failed, the first of it known after the deadline; and the
# longest pause, then three queries.
OPENS_WITHIN = 2.0 + DEADLINE_MS / 1000
CLOSES_WITHIN = LONGEST_PAUSE + 1.0
# A fault of these kinds must open a breaker; three failures in ten must not.
OPENING = ("stop", "refuse", "slow")
MOST_GROWTH = 1.2
READINGS = 20
READING_PAUSE_SECONDS = 0.15


@dataclass(frozen=True)
class Scenario:
    """A fault and its times (time.monotonic): begun, ended, and when the last breaker was closed again."""

    part: str
    kind: str
    began: float
    ended: float
    back: float


@dataclass(frozen=True)
class Figures:
    """Of the queries that were due during one fault. `opened` and `closed` are seconds after its begin and end.

    None for a breaker that did not open, or had not closed when it was waited for no longer.
    """

    part: str
    kind: str
    queries: int
    available: float
    p50_ms: float
    p99_ms: float
    paths: dict[str, int]
    degraded: dict[str, int]
    opened: dict[str, float]
    closed: float | None
    seconds: float

    @property
    def name(self) -> str:
        """For a row."""
        return f"{self.part}_{self.kind}"

    def line(self) -> str:
        """For the terminal."""
        opened = ", ".join(f"{name} {at:.2f} s" for name, at in self.opened.items()) or "none"
        closed = "-" if self.closed is None else f"{self.closed:.2f} s"
        return (
            f"{self.name}: {self.queries} queries, {self.available:.2%} answered, p50 {self.p50_ms:.0f},"
            f" p99 {self.p99_ms:.0f} ms, {self.paths}, degraded {self.degraded}; opened {opened}; closed {closed}"
        )


@dataclass(frozen=True)
class Left:
    """What a gateway holds: sockets, resident MiB, and its tasks where it tells them."""

    sockets: int
    resident_mib: int
    tasks: float | None


def figures_of(scenario: Scenario, replies: Sequence[Reply], seen: Sequence[Seen]) -> Figures:
    """Of one fault. Pure."""
    during = [reply for reply in replies if scenario.began <= reply.at < scenario.ended]
    p50, p99 = np.percentile([reply.seconds * 1000 for reply in during] or [0.0], (50, 99))
    opened: dict[str, float] = {}
    for one in seen:
        if scenario.began <= one.at < scenario.ended:
            for name, state in one.breakers.items():
                if state == "open":
                    opened.setdefault(name, round(one.at - scenario.began, 2))
    after = [one for one in seen if scenario.ended < one.at <= scenario.back + 0.2]
    closed = next((one.at for one in after if set(one.breakers.values()) <= {"closed"}), None)
    return Figures(
        part=scenario.part,
        kind=scenario.kind,
        queries=len(during),
        available=sum(reply.status == 200 for reply in during) / max(1, len(during)),
        p50_ms=round(float(p50), 1),
        p99_ms=round(float(p99), 1),
        paths=dict(Counter(reply.path or str(reply.status) for reply in during)),
        degraded=dict(Counter(part for reply in during for part in reply.degraded)),
        opened=opened,
        closed=None if closed is None else round(closed - scenario.ended, 2),
        seconds=scenario.ended - scenario.began,
    )


def expected_breakers(part: str) -> tuple[str, ...]:
    """Any of which opens for a fault of this part."""
    return ("elasticsearch",) if part == "elasticsearch" else (part, "semantic")


def opened_after(figures: Figures) -> float:
    """Seconds until the part was left alone; the whole fault when it was not."""
    times = [figures.opened[name] for name in expected_breakers(figures.part) if name in figures.opened]
    return min(times, default=figures.seconds)


def rows_of(figures: Sequence[Figures], before: Left, after: Left) -> list[Row]:
    """The worst of all faults first, then each, then what is left."""
    opening = [one for one in figures if one.kind in OPENING]
    rows = [
        Row.at_least("availability", min(one.available for one in figures), LEAST_AVAILABLE),
        Row.at_most("p99", max(one.p99_ms for one in figures), P99_MS + DEADLINE_MS, unit="ms"),
    ]
    if opening:
        rows += [
            Row.at_most("opened_after", max(map(opened_after, opening)), OPENS_WITHIN, unit="s"),
            Row.at_most("closed_after", max(map(closed_after, opening)), CLOSES_WITHIN, unit="s"),
        ]
    for one in figures:
        rows.append(Row.at_least(f"{one.name}_availability", one.available, LEAST_AVAILABLE))
        rows.append(Row.at_most(f"{one.name}_p99", one.p99_ms, P99_MS + DEADLINE_MS, unit="ms"))
    rows.append(Row.at_most("sockets_left", after.sockets, before.sockets + 4.0, unit="sockets"))
    rows.append(
        Row.compare(
            "memory_left", after.resident_mib, "before", before.resident_mib,
            unit="MiB", goal=MOST_GROWTH, better="lower",
        )
    )  # fmt: skip
    if before.tasks is not None and after.tasks is not None:
        rows.append(Row.at_most("tasks_left", after.tasks, before.tasks + 1, unit="tasks"))
    return rows


def closed_after(figures: Figures) -> float:
    """Seconds after the fault's end until all breakers were closed; a large figure when they were not."""
    return 99.0 if figures.closed is None else figures.closed


def left_of(process: GatewayProcess) -> Left:
    """What the gateway holds at rest: the least of some readings, for its own probes come and go."""
    readings = []
    for _ in range(READINGS):
        readings.append(_held(process))
        time.sleep(READING_PAUSE_SECONDS)
    tasks = [one.tasks for one in readings if one.tasks is not None]
    return Left(
        min(one.sockets for one in readings),
        min(one.resident_mib for one in readings),
        min(tasks, default=None),
    )


def _held(process: GatewayProcess) -> Left:
    tasks = [
        sample.value
        for family in text_string_to_metric_families(process.metrics())
        for sample in family.samples
        if sample.name == "gateway_tasks"
    ]
    return Left(process.sockets(), process.resident_mib(), tasks[0] if tasks else None)
