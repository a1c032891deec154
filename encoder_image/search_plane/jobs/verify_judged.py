"""Judged queries: reading them, and nDCG@10 of what a release answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from search_plane.release.identity import Frozen

DEPTH = 10


class JudgedQuery(Frozen):
    """One line of the file: a query, and the grade (1 or more) of each product that answers it; all others are 0."""

    query: Annotated[str, Field(min_length=1)]
    relevant: Annotated[dict[str, Annotated[int, Field(ge=1, le=30)]], Field(min_length=1)]


class JudgementsUnusable(Exception):
    """The file is not there, is empty, or a line of it is not a judged query."""


def read_judged(path: Path) -> tuple[JudgedQuery, ...]:
    """The judged queries of a file of JSON lines. Raises JudgementsUnusable with what is wrong where."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise JudgementsUnusable(f"there are no judged queries: {path.name} is not mounted") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JudgementsUnusable(f"{path.name} can't be read: {error}") from error
    judged = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            judged.append(JudgedQuery.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise JudgementsUnusable(
                f"{path.name} line {number}: {place} {first['msg']}".replace(":  ", ": ")
            ) from error
    if not judged:
        raise JudgementsUnusable(f"{path.name} holds no judged query")
    return tuple(judged)


def ndcg(ids: Sequence[str], grades: Mapping[str, int], depth: int = DEPTH) -> float:
    """nDCG of the first `depth` ids: gain 2^grade - 1, discount log2(place + 1), over the best possible order.

    As in Burges et al., "Learning to Rank using Gradient Descent", ICML 2005. `grades` must hold a grade above 0.
    """
    gains = [2.0 ** grades.get(hit, 0) - 1.0 for hit in ids[:depth]]
    best = sorted((2.0**grade - 1.0 for grade in grades.values()), reverse=True)[:depth]
    return _discounted(gains) / _discounted(best)


def _discounted(gains: Sequence[float]) -> float:
    return float(sum(np.asarray(gains) / np.log2(np.arange(2, len(gains) + 2))))
