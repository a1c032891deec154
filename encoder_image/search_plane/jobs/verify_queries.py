"""Sample queries asked one at a time, as a user would, and what their answers tell."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search_plane.jobs.verify_collection import ExaminedCollection, Hits
from search_plane.jobs.verify_encoder import ExaminedEncoder, Vector

WARM_UP = 20
_NOTHING = Hits((), np.empty(0))


@dataclass(frozen=True, slots=True)
class Answer:
    """The vector of a query (None when the encoder gave none) and the hits."""

    vector: Vector | None
    hits: Hits


async def ask(
    encoder: ExaminedEncoder, collection: ExaminedCollection, queries: Sequence[str], limit: int
) -> dict[str, Answer]:
    """Answers by query, embedded and searched in batches. Raises JobFailed."""
    vectors = await encoder.embed(list(queries), "query")
    return await search(collection, dict(zip(queries, vectors, strict=True)), limit)


async def search(
    collection: ExaminedCollection, vectors: Mapping[str, Vector | None], limit: int
) -> dict[str, Answer]:
    """Answers by query to vectors that are known already; a query without a vector has no hits."""
    asked = {query: vector for query, vector in vectors.items() if vector is not None}
    hits = dict(zip(asked, await collection.nearest(list(asked.values()), limit), strict=True))
    return {query: Answer(vector, hits.get(query, _NOTHING)) for query, vector in vectors.items()}


async def ask_one_at_a_time(
    encoder: ExaminedEncoder,
    collection: ExaminedCollection,
    queries: Sequence[str],
    limit: int,
    timed: int,
) -> tuple[dict[str, Answer], list[float]]:
    """(answers by query, seconds that each of `timed` queries took), after WARM_UP queries that are not timed.

    Fewer queries than `timed` are asked again and again; one without a vector is not timed. Raises JobFailed.
    """
    answers: dict[str, Answer] = {}
    seconds: list[float] = []
    rounds = max(timed, len(queries)) + WARM_UP
    for number, query in enumerate(itertools.islice(itertools.cycle(queries), rounds)):
        began = time.perf_counter()
        found = await ask(encoder, collection, [query], limit)
        took = time.perf_counter() - began
        answers |= found
        if number >= WARM_UP and found[query].vector is not None:
            seconds.append(took)
    return answers, seconds


def share_without_hits(answers: Mapping[str, Answer]) -> float:
    """The share of queries that found nothing, 0..1. There must be a query."""
    return sum(1 for answer in answers.values() if not answer.hits.ids) / len(answers)


def mean_overlap(here: Mapping[str, Answer], there: Mapping[str, Answer], depth: int = 10) -> float | None:
    """Mean share of the first hits that two releases have in common; None when neither found anything."""
    shares = []
    for query, answer in here.items():
        mine, theirs = set(answer.hits.ids[:depth]), set(there[query].hits.ids[:depth])
        if most := max(len(mine), len(theirs)):
            shares.append(len(mine & theirs) / most)
    return float(np.mean(shares)) if shares else None


def p95_ms(seconds: Sequence[float]) -> float:
    """The 95th percentile (nearest rank) in milliseconds. There must be a query."""
    return float(np.percentile(seconds, 95, method="inverted_cdf")) * 1000
