"""The nearest products in Milvus: asked twice when slow, again when short, and marked when not whole."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search_plane.gateway.collection import Collection, Neighbour
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.hedging import ExtraBudget, first_good
from search_plane.gateway.wholeness import Wholeness, is_the_graphs_habit, wanted_hits
from search_plane.release.record import MilvusTarget

Extra = Literal["hedge", "short", "failed"]

# Pauses in seconds before a search that failed or came back short is tried again.
_PAUSES = (0.025, 0.05, 0.1, 0.2, 0.4)
# How much deeper the graph is searched for a query whose answer was short, in times of its limit.
_DEEPER = 8
# Reasons of faults that another try may heal: the other replica, or the renewed channel.
_PASSING = frozenset({"refused", "connection"})


@dataclass(frozen=True, slots=True)
class Nearest:
    """Neighbours, nearest first. `whole` is False when there may be nearer ones that Milvus did not see."""

    neighbours: list[Neighbour]
    whole: bool


class VectorSearch:
    """Searches one collection. What it asks beyond one request per query comes out of one budget."""

    def __init__(
        self,
        target: MilvusTarget,
        timeout_seconds: float,
        hedge_seconds: float | None = None,
        wholeness: Wholeness | None = None,
        on_extra: Callable[[Extra], None] = lambda _: None,
    ) -> None:
        """`on_extra` is told of each extra request. Raises MilvusException for an address that is none."""
        self.collection = Collection(target, timeout_seconds)
        self.wholeness = wholeness or Wholeness()
        self._timeout = timeout_seconds
        self._hedge = hedge_seconds
        self._budget = ExtraBudget()
        self._on_extra = on_extra

    @property
    def stores_fields(self) -> bool:
        """Whether rows hold the product's fields, so that they can be filtered by and told; False until it is known."""
        return self.collection.stores_fields

    async def nearest(
        self, vector: NDArray[np.float32], limit: int, until: float, condition: str = ""
    ) -> Nearest:
        """The `limit` nearest rows to a vector of shape (dimension,).

        `condition`: which rows may be found (see stores/expression.py), only where `stores_fields`; "" for all. What
        passes it may be fewer than `limit`, and nobody knows how many: such an answer is never taken for short.
        Raises Unavailable without any answer by the loop's time `until` or the dependency's own deadline.
        """
        if condition and not self.stores_fields:
            raise ValueError("the release stores no fields that a condition could name")
        loop = asyncio.get_running_loop()
        deadline = min(until, loop.time() + self._timeout)
        self._budget.earn()
        best: list[Neighbour] | None = None
        pauses = iter(_PAUSES)
        while True:
            # Whether the graph gave up or rows are missing, a deeper search tells.
            least_ef = 0 if best is None else _DEEPER * limit
            try:
                found = await first_good(
                    partial(self.collection.search, [vector], limit, deadline, condition, least_ef),
                    self._hedge,
                    lambda: self._extra("hedge"),
                )
            except Unavailable as fault:
                pause = next(pauses, None)
                if fault.reason not in _PASSING or not self._again("failed", pause, deadline):
                    if best is None:
                        raise
                    self.wholeness.suspect()
                    return Nearest(best, whole=False)
            else:
                hits = found[0]
                if condition or len(hits) >= wanted_hits(limit, self.wholeness.rows):
                    if best is not None and not is_the_graphs_habit(_ids(best), _ids(hits)):
                        self.wholeness.suspect()
                    return Nearest(hits, whole=not self.wholeness.doubtful)
                if best is not None:
                    self.wholeness.suspect()
                if best is None or len(hits) > len(best):
                    best = hits
                pause = next(pauses, None)
                if not self._again("short", pause, deadline):
                    self.wholeness.suspect()
                    return Nearest(best, whole=False)
            await asyncio.sleep(pause or 0.0)

    async def with_stored(self, neighbours: Sequence[Neighbour], until: float) -> list[Neighbour]:
        """The same neighbours with what is stored of them, for when the catalogue does not answer.

        A search that brings the fields along takes three times as long, so they are read by id when they are needed.
        One whose row is gone meanwhile has none. Raises Unavailable as `nearest` does.
        """
        if not neighbours or not self.stores_fields:
            return list(neighbours)
        deadline = min(until, asyncio.get_running_loop().time() + self._timeout)
        ids = [neighbour.id for neighbour in neighbours]
        found = await first_good(
            lambda: self.collection.stored(ids, deadline), self._hedge, lambda: self._extra("hedge")
        )
        return [replace(neighbour, stored=found.get(neighbour.id)) for neighbour in neighbours]

    def _again(self, kind: Extra, pause: float | None, deadline: float) -> bool:
        """Whether one more try fits into the tries, the time and the budget."""
        if pause is None or asyncio.get_running_loop().time() + 2 * pause >= deadline:
            return False
        return self._extra(kind)

    def _extra(self, kind: Extra) -> bool:
        if not self._budget.spend():
            return False
        self._on_extra(kind)
        return True

    async def close(self) -> None:
        """Closes the channel."""
        await self.collection.close()


def _ids(neighbours: Sequence[Neighbour]) -> list[str]:
    return [neighbour.id for neighbour in neighbours]
