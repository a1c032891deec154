"""How the arms of an experiment fared, each against the control. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from search_plane.listening.events import Search
from search_plane.listening.statistics import CONFIDENCE, FloatArray, Method, difference, mismatch, rate
from search_plane.release.identity import Frozen

By = Literal["arm", "re-ranker"]
Verdict = Literal["better", "worse", "not told apart"]

# Fewer give intervals that are too short (see the test of the coverage).
FEWEST_BUCKETS: Final = 50
# As is usual for this check: it is asked of every experiment, and says that nothing else can be believed.
MISMATCH_P: Final = 0.001


class NoExperiment(Exception):
    """The log holds nothing to compare; one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A mean over searches."""

    name: str
    title: str
    of: Callable[[Search], float]
    more_is_better: bool = True
    # A share of the searches; else a plain number.
    share: bool = True

    def told(self, value: float, sign: str = "") -> str:
        """The figure for people; `sign` is + for differences."""
        return f"{value:{sign}.2%}" if self.share else f"{value:{sign}.4f}"


METRICS: Final = (
    Metric("click_through", "click-through", lambda search: float(search.clicked)),
    Metric("reciprocal_rank", "1 / rank of first click", lambda search: search.reciprocal_rank, share=False),
    Metric("zero_results", "zero-result rate", lambda search: float(search.empty), more_is_better=False),
)


class Figure(Frozen):
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float


class Compared(Frozen):
    """The difference to the control; `relative` to the control's own figure (None where that is 0).

    `detectable`: so large a true difference would be found in 4 of 5 such logs; None where nothing is known of it.
    """

    value: float
    low: float
    high: float
    relative: float | None
    detectable: float | None
    method: Method
    verdict: Verdict


class Arm(Frozen):
    """One arm. `buckets` is how many of the 4,096 buckets of users searched in it."""

    name: str
    control: bool
    share: float | None
    searches: int
    buckets: int
    degraded: int
    figures: dict[str, Figure]
    differences: dict[str, Compared]


class ExperimentReport(Frozen):
    """Everything that `experiment report` tells. `mismatch_p`: None where no shares are known."""

    experiment: str
    since: str
    until: str
    confidence: float
    arms: tuple[Arm, ...]
    mismatch_p: float | None
    warnings: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those in the figures."""
        return METRICS


def experiment_report(
    searches: Sequence[Search], *, by: By = "arm", name: str | None = None, control: str | None = None
) -> ExperimentReport:
    """Compares the arms of one experiment, or the re-ranker's cohort with the others.

    First pages of users with a key count, those whose answer was degraded too: an arm is judged as it was lived.
    Raises NoExperiment.
    """
    dealt = list(_dealt(searches, by, name))
    shares = _shares(searches, by, dealt[0][1] if by == "arm" else "")
    found = sorted({arm for arm, _, _ in dealt})
    names = [*found, *sorted(set(shares) - set(found))]
    control = _control(names, control, by)
    counted = [search for _, _, search in dealt]
    warnings: list[str] = []
    if missing := set(names) - set(found):
        warnings.append(f"no search at all in arm {', '.join(sorted(missing))}")
    cells = _cells(dealt, names)
    buckets = int(cells.searches.any(axis=0).sum())
    if buckets < FEWEST_BUCKETS:
        warnings.append(
            f"only {buckets} buckets of users searched: below {FEWEST_BUCKETS} the intervals are too short"
        )
    compared = [one for one in names if one != control]
    # Several arms are several chances of a false alarm.
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(compared))
    arms = tuple(
        _arm(arm, cells, names, control, confidence, shares, [s for a, _, s in dealt if a == arm])
        for arm in [control, *compared]
    )
    p = _mismatch(cells, names, shares, by)
    if p is not None and p < MISMATCH_P:
        warnings.append(_mismatched(p, arms))
    return ExperimentReport(
        experiment=dealt[0][1],
        since=min(search.at for search in counted).isoformat(timespec="seconds"),
        until=max(search.at for search in counted).isoformat(timespec="seconds"),
        confidence=confidence,
        arms=arms,
        mismatch_p=p,
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, slots=True)
class _Cells:
    """Sums by arm and bucket: float64 [arms, buckets], and for each metric the same."""

    searches: FloatArray
    metrics: dict[str, FloatArray]


def _dealt(searches: Iterable[Search], by: By, name: str | None) -> Iterable[tuple[str, str, Search]]:
    """(arm, experiment, search) of those that count."""
    pages = [search for search in searches if search.first_page and search.shown.bucket is not None]
    if by == "re-ranker":
        dealt = [
            ("re-ranked" if search.shown.cohort else "as found", "re-ranker", search)
            for search in pages
            if search.shown.cohort is not None
        ]
        if not dealt:
            raise NoExperiment(
                "no search of the log has a user's key and a re-ranker: set spec.search.reranker.cohortShare"
            )
        return dealt
    named = Counter(
        search.shown.experiment for search in pages if search.shown.experiment and search.shown.arm
    )
    if not named:
        raise NoExperiment(
            "no search of the log belongs to an experiment: set spec.search.experiment, and have the shop send "
            "X-User-Key or X-Session-Key"
        )
    if name is None and len(named) > 1:
        told = ", ".join(f"{one} ({count:,} searches)" for one, count in named.most_common())
        raise NoExperiment(f"--experiment: the log holds several: {told}: say which")
    if name is not None and name not in named:
        raise NoExperiment(
            f"--experiment {name}: not in the log, which has {', '.join(sorted(map(str, named)))}"
        )
    wanted = name or next(iter(named))
    return [
        (search.shown.arm, wanted, search)
        for search in pages
        if search.shown.experiment == wanted and search.shown.arm
    ]


def _shares(searches: Iterable[Search], by: By, name: str) -> dict[str, float]:
    """The share that each arm was meant to have; empty where several were told, as after a change of the experiment."""
    if by == "re-ranker":
        return {}
    told = {
        (search.shown.arm, search.shown.share)
        for search in searches
        if search.shown.experiment == name and search.shown.arm and search.shown.share is not None
    }
    shares = {arm: share for arm, share in told if arm is not None and share is not None}
    return shares if len(shares) == len(told) else {}


def _control(names: Sequence[str], control: str | None, by: By) -> str:
    if control is None:
        wanted = "as found" if by == "re-ranker" else "keyword"
        return wanted if wanted in names else names[0]
    if control not in names:
        raise NoExperiment(f"--control {control}: no such arm; there are {', '.join(names)}")
    return control


def _cells(dealt: Sequence[tuple[str, str, Search]], names: Sequence[str]) -> _Cells:
    places = {
        bucket: place for place, bucket in enumerate(sorted({s.shown.bucket or 0 for _, _, s in dealt}))
    }
    arms = {name: row for row, name in enumerate(names)}
    at = (
        np.array([arms[arm] for arm, _, _ in dealt]),
        np.array([places[search.shown.bucket or 0] for _, _, search in dealt]),
    )

    def summed(values: Sequence[float]) -> FloatArray:
        sums = np.zeros((len(names), len(places)))
        np.add.at(sums, at, values)
        return sums

    return _Cells(
        summed([1.0] * len(dealt)),
        {metric.name: summed([metric.of(search) for _, _, search in dealt]) for metric in METRICS},
    )


def _arm(
    name: str,
    cells: _Cells,
    names: Sequence[str],
    control: str,
    confidence: float,
    shares: dict[str, float],
    searches: Sequence[Search],
) -> Arm:
    row, other = names.index(name), names.index(control)
    n, of_control = cells.searches[row], cells.searches[other]
    figures, differences = {}, {}
    for metric in METRICS:
        sums = cells.metrics[metric.name]
        if not n.any():
            continue
        own = rate(sums[row], n)
        figures[metric.name] = Figure(value=own.value, low=own.low, high=own.high)
        if name == control or not of_control.any():
            continue
        told = difference(sums[row], n, sums[other], of_control, confidence)
        base = float(sums[other].sum() / of_control.sum())
        differences[metric.name] = Compared(
            value=told.value,
            low=max(-1.0, told.low),
            high=min(1.0, told.high),
            relative=told.value / base if base else None,
            detectable=told.detectable if math.isfinite(told.detectable) else None,
            method=told.method,
            verdict=_verdict(told.value, told.told_apart, metric.more_is_better),
        )
    return Arm(
        name=name,
        control=name == control,
        share=shares.get(name),
        searches=len(searches),
        buckets=int(n.any() and (n > 0).sum()),
        degraded=sum(bool(search.shown.degraded) for search in searches),
        figures=figures,
        differences=differences,
    )


def _verdict(value: float, told_apart: bool, more_is_better: bool) -> Verdict:
    if not told_apart:
        return "not told apart"
    return "better" if (value > 0) == more_is_better else "worse"


def _mismatch(cells: _Cells, names: Sequence[str], shares: dict[str, float], by: By) -> float | None:
    if by == "re-ranker" or len(names) < 2 or set(names) != set(shares):
        return None
    return mismatch(cells.searches, np.array([shares[name] for name in names]))


def _mismatched(p: float, arms: Sequence[Arm]) -> str:
    whole = sum(arm.searches for arm in arms)
    told = ", ".join(f"{arm.name} {arm.searches / whole:.1%} for {arm.share or 0:.1%}" for arm in arms)
    return (
        f"sample-ratio mismatch (p = {p:.1g}): {told}. Users are dealt or logged wrongly, or an arm makes people search "
        "more often; find out which before you believe any figure here"
    )
