"""How many pods a load takes, by the processor time that a query took. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from rich.table import Table

PEAK = 10_000.0
# The rest is for the loss of a pod, for a roll-out, and because queries come unevenly.
UTILISATION = 0.7
# What a pod may use: a gateway is one process with one event loop; an encoder computes on as many cores as it has.
CORES = {"gateway": 1.0, "encoder": 4.0}
# The use case's own figure for M3E-base in half precision on a T4. It was not measured here: there is no T4.
T4_PER_SECOND = 1500.0


@dataclass(frozen=True)
class Cost:
    """Processor time of one query in one part, in milliseconds of one core."""

    cpu_ms: float

    @property
    def per_core(self) -> float:
        """Queries per second that one core can take."""
        return 1000.0 / max(self.cpu_ms, 1e-6)


class Pods(BaseModel):
    """A line of the table: pods of a kind for PEAK queries a second at UTILISATION."""

    part: str
    basis: str
    per_pod: float
    pods: int


def pods(costs: Mapping[str, Cost], peak: float = PEAK) -> list[Pods]:
    """Gateways and encoders by measurement, and encoders on T4s by the use case's figure."""
    lines = [
        line(
            part,
            f"measured: {costs[part].cpu_ms:.2f} ms of a core a query, {cores:g} cores a pod",
            rate,
            peak,
        )
        for part, cores in CORES.items()
        if (rate := costs[part].per_core * cores)
    ]
    return [*lines, line("encoder on a T4", "not measured: the use case's figure", T4_PER_SECOND, peak)]


def line(part: str, basis: str, per_pod: float, peak: float) -> Pods:
    """One line."""
    return Pods(
        part=part, basis=basis, per_pod=round(per_pod, 1), pods=math.ceil(peak / (per_pod * UTILISATION))
    )


def pods_table(lines: Sequence[Pods]) -> Table:
    """For the terminal."""
    table = Table(title=f"pods for {PEAK:,.0f} queries/s at {UTILISATION:.0%} of what they can do")
    for heading in ("part", "by", "queries/s a pod", "pods"):
        table.add_column(heading, justify="left" if heading in ("part", "by") else "right")
    for one in lines:
        table.add_row(one.part, one.basis, f"{one.per_pod:,.1f}", f"{one.pods:,}")
    return table
