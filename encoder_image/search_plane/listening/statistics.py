"""What chance leaves of a rate and of the difference of two: scipy's bootstrap over buckets of users, for one user's
searches are no independent observations. Pure, and the same for the same seed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
Method = Literal["bootstrap", "newcombe"]

RESAMPLES: Final = 4_000
CONFIDENCE: Final = 0.95
# Below so many events a resample may well hold none, and the bootstrap's interval is too short.
FEW_EVENTS: Final = 5
# Normal quantiles of 95 % confidence and 80 % power.
_POWER: Final = 1.959964 + 0.841621
_SEED: Final = 20261122
# Cells of [rows, resamples, buckets] held at once.
_CELLS: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Of an arm to the control. `detectable` is the smallest true difference that so much data finds in 4 of 5 cases.

    `method` is newcombe where there are too few events for a bootstrap.
    """

    value: float
    low: float
    high: float
    detectable: float
    method: Method

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def rate(events: FloatArray, searches: FloatArray, confidence: float = CONFIDENCE) -> Estimate:
    """The rate over all buckets; both arrays are float64 [buckets], sums of each bucket."""
    value = _ratio(events.sum(), searches.sum())
    if np.array_equal(events, events.round()) and _few(events, searches):
        interval = stats.binomtest(round(events.sum()), round(searches.sum())).proportion_ci(
            confidence, "wilson"
        )
        return Estimate(value, float(interval.low), float(interval.high))
    low, high, _ = _bootstrapped(np.stack([events, searches]), lambda s: _ratios(s[0], s[1]), confidence)
    return Estimate(value, low, high)


def difference(
    events: FloatArray,
    searches: FloatArray,
    control_events: FloatArray,
    control_searches: FloatArray,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Of the rates of an arm and the control; float64 [buckets] each, the same buckets in the same order.

    A bucket is drawn with its users of both arms.
    """
    value = _ratio(events.sum(), searches.sum()) - _ratio(control_events.sum(), control_searches.sum())
    cells = np.stack([events, searches, control_events, control_searches])
    counts = np.array_equal(cells, cells.round())
    if counts and (_few(events, searches) or _few(control_events, control_searches)):
        return _newcombe(*(round(float(row.sum())) for row in cells), value=value, confidence=confidence)
    low, high, error = _bootstrapped(cells, lambda s: _ratios(s[0], s[1]) - _ratios(s[2], s[3]), confidence)
    return Difference(value, low, high, _POWER * error, "bootstrap")


def mismatch(searches: FloatArray, shares: FloatArray) -> float:
    """The p-value of arms that have their shares of the searches: small where assignment or logging is broken.

    `searches` is float64 [arms, buckets], `shares` [arms], which sum to 1. A chi-square whose variance is that between
    buckets: people who search a lot would make the plain one, which takes searches for independent, cry wolf.
    """
    surplus = (searches - shares[:, None] * searches.sum(axis=0))[:-1]
    total = surplus.sum(axis=1)
    if not total.any():
        return 1.0
    squares = total @ np.linalg.pinv(surplus @ surplus.T) @ total
    return float(stats.chi2.sf(squares, df=len(shares) - 1))


def _few(events: FloatArray, searches: FloatArray) -> bool:
    happened = events.sum()
    return bool(min(happened, searches.sum() - happened) < FEW_EVENTS)


def _ratio(events: float, searches: float) -> float:
    return float(events / searches) if searches else 0.0


def _ratios(events: FloatArray, searches: FloatArray) -> FloatArray:
    return np.divide(events, searches, out=np.zeros_like(events), where=searches > 0)


def _bootstrapped(
    cells: FloatArray, statistic: Callable[[FloatArray], FloatArray], confidence: float
) -> tuple[float, float, float]:
    """Interval and standard error of `statistic` of the sums over buckets; cells are float64 [rows, buckets].

    Buckets without any search are left out: drawing them changes nothing but the noise.
    """
    cells = cells[:, cells.any(axis=0)]
    rows, buckets = cells.shape
    if buckets < 2:
        # Nothing is known of the spread: any value will do.
        return -math.inf, math.inf, math.inf

    def of(drawn: NDArray[np.int64], axis: int) -> FloatArray:
        return statistic(cells[:, drawn].sum(axis=axis))

    found = stats.bootstrap(
        (np.arange(buckets),),
        of,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, _CELLS // (rows * buckets)),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    interval = found.confidence_interval
    return float(interval.low), float(interval.high), float(found.standard_error)


def _newcombe(
    events: int, searches: int, control_events: int, control_searches: int, *, value: float, confidence: float
) -> Difference:
    """Newcombe's hybrid of two Wilson intervals (1998, method 10), which holds for rates near 0 and 1 too."""
    if not searches or not control_searches:
        return Difference(value, -1.0, 1.0, math.inf, "newcombe")
    first = stats.binomtest(events, searches).proportion_ci(confidence, "wilson")
    second = stats.binomtest(control_events, control_searches).proportion_ci(confidence, "wilson")
    p, q = events / searches, control_events / control_searches
    low = value - math.hypot(p - first.low, second.high - q)
    high = value + math.hypot(first.high - p, q - second.low)
    # The interval's own half width stands for the standard error, which is 0 without events.
    return Difference(value, low, high, _POWER * (high - low) / 2 / 1.959964, "newcombe")
