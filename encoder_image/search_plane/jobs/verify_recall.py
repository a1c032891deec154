"""How much of what brute force finds does the graph find? Pure arithmetic over a sample of the rows."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from search_plane.jobs.verify_collection import Hits

Metric = Literal["COSINE", "IP", "L2"]
Matrix = npt.NDArray[np.float32]

# Milvus and numpy add float32 products in another order; over 1,024 components that is below 1e-6 of the score.
TOLERANCE = 1e-5
NOISE = 0.3


def near(rows: Matrix, random: np.random.Generator) -> Matrix:
    """Queries near some rows, [n, dimension] as they: noise of 0.3 of their length, so a cosine of about .96."""
    noise = random.standard_normal(rows.shape).astype(np.float32)
    noise *= (
        NOISE * np.linalg.norm(rows, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    )
    return rows + noise


def scores(queries: Matrix, rows: Matrix, metric: Metric) -> npt.NDArray[np.float64]:
    """Exact scores, float64 [queries, rows], as Milvus defines them; more is nearer (L2: the negative square)."""
    asked, held = queries.astype(np.float64), rows.astype(np.float64)
    if metric == "COSINE":
        asked /= np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-30)
        held /= np.maximum(np.linalg.norm(held, axis=1, keepdims=True), 1e-30)
    products = asked @ held.T
    if metric != "L2":
        return np.asarray(products)
    squares = (asked**2).sum(axis=1)[:, None] + (held**2).sum(axis=1)[None, :]
    return np.asarray(2 * products - squares)


def recall_of_all(found: Sequence[Hits], ids: Sequence[str], exact: npt.NDArray[np.float64], k: int) -> float:
    """Recall@k where `exact` [queries, rows] holds the scores of all rows, named by `ids`.

    A hit is right when it scores as well as the k-th best row, so that ties count whichever is shown.
    """
    place = {row: number for number, row in enumerate(ids)}
    k = min(k, len(ids))
    right = 0
    for hits, row in zip(found, exact, strict=True):
        least = np.partition(row, len(ids) - k)[len(ids) - k]
        least -= TOLERANCE * max(1.0, abs(least))
        known = [row[place[hit]] for hit in hits.ids[:k] if hit in place]
        right += sum(bool(score >= least) for score in known)
    return right / (len(found) * k)


def recall_of_sample(
    found: Sequence[Hits], ids: Sequence[str], exact: npt.NDArray[np.float64], k: int, rows: int
) -> float:
    """Recall@k estimated from a random sample, `ids`, of `rows` rows; `exact` is [queries, sample].

    A row of the sample that scores better than the last hit and is no hit was missed, and stands for rows/sample
    rows. A search whose last hit is far off counts more than it misses, so the estimate errs on the strict side.
    """
    missed = 0
    for hits, row in zip(found, exact, strict=True):
        last = hits.scores[k - 1] if len(hits.ids) >= k else -np.inf
        last += TOLERANCE * max(1.0, abs(last)) if np.isfinite(last) else 0.0
        shown = set(hits.ids)
        missed += sum(ids[int(number)] not in shown for number in np.flatnonzero(row > last))
    return max(0.0, 1.0 - missed * (rows / len(ids)) / (len(found) * k))
