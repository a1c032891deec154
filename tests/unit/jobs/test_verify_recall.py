"""Recall: exact over all rows, estimated over a sample, ties and metrics included."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from search_plane.jobs.verify_collection import Hits
from search_plane.jobs.verify_recall import Metric, near, recall_of_all, recall_of_sample, scores

RANDOM = np.random.default_rng(7)


def names(rows: int) -> list[str]:
    return [f"p{number}" for number in range(rows)]


def found(exact: npt.NDArray[np.float64], ids: Sequence[str], k: int, lost: float = 0.0) -> list[Hits]:
    """What a search would find that misses each row with probability `lost`."""
    hits = []
    for row in exact:
        order = np.argsort(-row)
        order = order[RANDOM.random(len(order)) >= lost][:k]
        hits.append(Hits(tuple(ids[number] for number in order), row[order]))
    return hits


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_scores_put_the_nearest_first(metric: Metric) -> None:
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    exact = scores(np.array([[2, 0]], dtype=np.float32), rows, metric)[0]
    expected = {"COSINE": [1, 0, 0.6], "IP": [2, 0, 1.2], "L2": [-1, -5, -2.6]}[metric]
    assert exact == pytest.approx(expected, abs=1e-6)


def test_a_zero_row_has_a_score() -> None:
    assert np.isfinite(scores(np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32), "COSINE")).all()


def test_queries_near_rows_are_near() -> None:
    rows = RANDOM.standard_normal((50, 64)).astype(np.float32) * 3
    cosines = np.diag(scores(near(rows, RANDOM), rows, "COSINE"))
    assert 0.9 < cosines.min() < cosines.max() < 0.999


@pytest.mark.parametrize("wrong", [0, 1, 5, 10])
def test_each_wrong_hit_costs_its_share(wrong: int) -> None:
    exact = RANDOM.random((1, 100))
    order = np.argsort(-exact[0])
    kept = [*order[: 10 - wrong], *order[50 : 50 + wrong]]
    hits = [Hits(tuple(names(100)[number] for number in kept), exact[0][kept])]
    assert recall_of_all(hits, names(100), exact, 10) == pytest.approx(1 - wrong / 10)


def test_any_of_several_equal_rows_is_right() -> None:
    exact = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]])
    for chosen in ("p1", "p2", "p3"):
        assert recall_of_all([Hits(("p0", chosen), np.array([0.9, 0.5]))], names(5), exact, 2) == 1.0
    assert recall_of_all([Hits(("p0", "p4"), np.array([0.9, 0.1]))], names(5), exact, 2) == 0.5


def test_too_few_hits_and_unknown_hits_are_wrong() -> None:
    exact = np.array([[0.9, 0.8, 0.7, 0.6]])
    assert recall_of_all([Hits(("p0",), np.array([0.9]))], names(4), exact, 2) == 0.5
    assert recall_of_all([Hits(("p0", "ghost"), np.array([0.9, 0.8]))], names(4), exact, 2) == 0.5


def test_fewer_rows_than_k_are_all_to_be_found() -> None:
    exact = np.array([[0.9, 0.8, 0.7]])
    hits = found(exact, names(3), 100)
    assert recall_of_all(hits, names(3), exact, 100) == 1.0


@pytest.mark.parametrize("lost", [0.0, 0.05, 0.3])
def test_a_sample_estimates_what_all_rows_tell(lost: float) -> None:
    rows, k, queries = 20_000, 100, 60
    ids = names(rows)
    exact = RANDOM.random((queries, rows))
    hits = found(exact, ids, k, lost)
    truth = recall_of_all(hits, ids, exact, k)
    assert truth == pytest.approx(1 - lost, abs=0.03)
    some = RANDOM.choice(rows, 4000, replace=False)
    sample = [ids[number] for number in some]
    estimate = recall_of_sample(hits, sample, exact[:, some], k, rows)
    # Strict: a lost row moves the last hit away, so up to lost/(1-lost) is counted.
    assert 1 - lost / (1 - lost) - 0.03 <= estimate <= truth + 0.03


def test_a_search_that_finds_too_little_is_not_excused_by_a_sample() -> None:
    exact = RANDOM.random((1, 1000))
    hits = found(exact, names(1000), 5)
    assert recall_of_sample(hits, names(1000), exact, 10, 100_000) == 0.0


def test_the_last_bits_of_a_score_are_no_miss() -> None:
    exact = np.array([[0.9, 0.8, 0.8 + 1e-7]])
    hits = [Hits(("p0", "p1"), np.array([0.9, 0.8]))]
    assert recall_of_sample(hits, names(3), exact, 2, 3) == 1.0
