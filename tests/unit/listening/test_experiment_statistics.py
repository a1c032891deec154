"""Whether the intervals hold what they promise: over many made-up logs whose truth is known."""

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats
from search_plane.listening import statistics
from search_plane.listening.statistics import FloatArray, difference, mismatch, rate

LOGS = 300
Cells = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
# 95 % of these logs, give or take three standard deviations of that binomial.
LOWEST, HIGHEST = stats.binom.ppf([0.0015, 0.9985], LOGS, 0.95) / LOGS


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a share of hits; the code under test is the same."""
    monkeypatch.setattr(statistics, "RESAMPLES", 500)


def people(draw: Generator, users: int, base: float, lift: float, buckets: int = 250) -> Cells:
    """Events and searches of the arm, then of the control, float64 [buckets] each.

    A user has a taste for clicking of his own (so that his searches are correlated) and searches once or very often.
    """
    arm = draw.random(users) < 0.5
    bucket = draw.integers(0, buckets, users)
    searches = np.minimum(60, 1 + draw.pareto(1.3, users)).astype(int)
    taste = draw.beta(2, 2, users) * 2
    clicks = draw.binomial(searches, np.clip((base + lift * arm) * taste, 0, 1))

    def summed(inside: NDArray[np.bool_], values: NDArray[np.int64]) -> FloatArray:
        return np.bincount(bucket[inside], values[inside], buckets).astype(np.float64)

    return summed(arm, clicks), summed(arm, searches), summed(~arm, clicks), summed(~arm, searches)


@pytest.mark.parametrize("lift", [0.0, 0.04])
def test_95_of_100_intervals_hold_the_true_difference(lift: float) -> None:
    held = told = 0
    for seed in range(LOGS):
        found = difference(*people(np.random.default_rng(seed), 2000, 0.3, lift))
        held += found.low <= lift <= found.high
        told += found.told_apart
    assert LOWEST <= held / LOGS <= HIGHEST
    if lift:
        assert told / LOGS > 0.5
    else:
        assert told / LOGS <= 1 - LOWEST


def test_95_of_100_intervals_hold_the_true_rate() -> None:
    held = 0
    for seed in range(LOGS):
        events, searches, _, _ = people(np.random.default_rng(seed), 2000, 0.3, 0.0)
        found = rate(events, searches)
        held += found.low <= 0.3 <= found.high
    assert LOWEST <= held / LOGS <= HIGHEST


def test_intervals_that_take_searches_for_independent_would_not() -> None:
    """What the buckets are for: without them the same logs are told apart far too often."""
    naive = ours = 0
    for seed in range(LOGS):
        cells = people(np.random.default_rng(seed), 2000, 0.3, 0.0)
        a, n, b, m = (float(row.sum()) for row in cells)
        naive += stats.chi2_contingency([[a, n - a], [b, m - b]]).pvalue < 0.05
        ours += difference(*cells).told_apart
    assert naive / LOGS > 0.15
    assert ours / LOGS <= 1 - LOWEST


def test_the_detectable_difference_is_found_in_four_of_five() -> None:
    """Planted as large as it says, it is found about so often."""
    detectable = difference(*people(np.random.default_rng(1), 2000, 0.3, 0.0)).detectable
    found = sum(
        difference(*people(np.random.default_rng(seed), 2000, 0.3, detectable)).low > 0 for seed in range(200)
    )
    assert 0.68 <= found / 200 <= 0.92


@pytest.mark.parametrize("skew", [0.0, 0.1])
def test_shares_that_differ_are_noticed_and_heavy_users_are_no_alarm(skew: float) -> None:
    shares = np.array([0.5, 0.3, 0.2])
    ours = plain = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        arm = draw.choice(3, 2000, p=shares + np.array([skew, -skew, 0.0]))
        searches = np.minimum(200, 1 + draw.pareto(1.2, 2000)).astype(int)
        bucket = draw.integers(0, 400, 2000)
        cells = np.stack(
            [np.bincount(bucket[arm == one], searches[arm == one], 400) for one in range(3)]
        ).astype(np.float64)
        ours += mismatch(cells, shares) < 0.01
        plain += stats.chisquare(cells.sum(axis=1), shares * cells.sum()).pvalue < 0.01
    if skew:
        assert ours > 60
    else:
        assert ours <= 7
        # The plain test takes a few busy people for a fault.
        assert plain > 60


def test_few_events_take_the_interval_that_needs_none() -> None:
    none, searches = np.zeros(100), np.full(100, 10.0)
    found = difference(none, searches, none, searches)
    assert found.method == "newcombe"
    assert (found.value, found.told_apart) == (0.0, False)
    assert -0.005 < found.low < 0 < found.high < 0.005
    assert 0 < rate(none, searches).high < 0.01
    some = np.zeros(100)
    some[:40] = 1
    assert difference(some, searches, none, searches).told_apart


def test_newcombe_s_own_example() -> None:
    """Newcombe 1998, table II, (a) 56/70 - 48/80 by method 10: 0.0524 to 0.3339."""
    found = statistics._newcombe(56, 70, 48, 80, value=0.2, confidence=0.95)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_one_bucket_says_nothing() -> None:
    clicks, searches = np.array([30.0]), np.array([100.0])
    found = difference(clicks, searches, clicks, searches)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_the_same_log_gives_the_same_figures() -> None:
    cells = people(np.random.default_rng(3), 500, 0.3, 0.1)
    assert difference(*cells) == difference(*cells)
    order = np.random.default_rng(4).permutation(250)
    a, n, b, m = (row[order] for row in cells)
    assert difference(a, n, b, m).value == difference(*cells).value
