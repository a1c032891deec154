"""The figures of one model at one precision, and the comparisons that are published of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from pydantic import JsonValue

from benchmarks.raw_encoder import RawSettings
from benchmarks.report import Row

LOAD_SHARE = 0.7
LEAST_OF_RUNTIME = 0.9
MOST_OF_SINGLE = 3.0
# With fewer texts at once there is nothing to batch, so that no share of the runtime's best batch is asked for.
MANY_AT_ONCE = 64

Kind = Literal["queries", "documents"]


@dataclass(frozen=True)
class Case:
    """What is asked: so many requests at once, each with one query or with some documents."""

    kind: Kind
    concurrency: int
    texts_a_request: int = 1

    @property
    def name(self) -> str:
        """As rows and notes call it."""
        return f"{'documents ' if self.kind == 'documents' else ''}c={self.concurrency}"


CASES = (*(Case("queries", concurrency) for concurrency in (1, 8, 64, 512)), Case("documents", 8, 16))
# Its throughput is what the load of the p99 is a share of.
FULL = CASES[2]


@dataclass
class Figures:
    """All rounds' figures of one variant: texts a second, milliseconds, MiB; by server and case, or by kind."""

    limit: dict[Kind, list[float]] = field(default_factory=dict)
    single_ms: list[float] = field(default_factory=list)
    per_second: dict[tuple[str, Case], list[float]] = field(default_factory=dict)
    p99_ms: dict[tuple[str, Case], list[float]] = field(default_factory=dict)
    loaded_p99_ms: list[float] = field(default_factory=list)
    resident_mib: dict[str, list[int]] = field(default_factory=dict)
    least_cosine: dict[str, list[float]] = field(default_factory=dict)
    best: dict[Kind, RawSettings] = field(default_factory=dict)

    @property
    def peers(self) -> list[str]:
        """The servers beside ours, by name."""
        return sorted({name for name, _ in self.per_second} - {"ours"})

    def notes(self) -> dict[str, JsonValue]:
        """What the rows do not tell."""

        def by_name(figures: Mapping[tuple[str, Case], list[float]]) -> dict[str, JsonValue]:
            return {f"{name} {case.name}": round(median(all_), 1) for (name, case), all_ in figures.items()}

        return {
            "single_ms": round(median(self.single_ms), 2),
            "runtime_at_its_best": {kind: str(settings) for kind, settings in self.best.items()},
            "runtime_spread": {
                kind: [round(min(all_), 1), round(max(all_), 1)] for kind, all_ in self.limit.items()
            },
            "per_second": by_name(self.per_second),
            "p99_ms": by_name(self.p99_ms),
            "resident_mib": {name: max(all_) for name, all_ in self.resident_mib.items()},
            "least_cosine": {name: round(min(all_), 6) for name, all_ in self.least_cosine.items()},
        }


def rows_of(label: str, found: Figures) -> list[Row]:
    """The comparisons; names are the figure, then model and precision (`label`), then the case."""
    rows = [_against_runtime(label, found, case) for case in CASES]
    rows.append(
        Row.compare(
            f"p99_vs_single {label} at {LOAD_SHARE * 100:.0f} %", median(found.loaded_p99_ms),
            "one text alone", median(found.single_ms), unit="ms", goal=MOST_OF_SINGLE, better="lower",
        )
    )  # fmt: skip
    for peer in found.peers:
        for case in CASES:
            key, other = ("ours", case), (peer, case)
            rows.append(
                Row.compare(
                    f"throughput_vs_{peer} {label} {case.name}", median(found.per_second[key]), peer,
                    median(found.per_second[other]), unit="texts/s", goal=1.0,
                )
            )  # fmt: skip
            rows.append(
                Row.compare(
                    f"p99_vs_{peer} {label} {case.name}", median(found.p99_ms[key]), peer,
                    median(found.p99_ms[other]), unit="ms", goal=1.0, better="lower",
                )
            )  # fmt: skip
    return rows


def _against_runtime(label: str, found: Figures, case: Case) -> Row:
    many = case.concurrency * case.texts_a_request >= MANY_AT_ONCE
    return Row.compare(
        f"throughput_vs_onnxruntime {label} {case.name}", median(found.per_second["ours", case]),
        "the runtime alone", median(found.limit[case.kind]),
        unit="texts/s", goal=LEAST_OF_RUNTIME if many else None,
    )  # fmt: skip
