"""Where understanding, experiments, logs and re-ranking plug in; what stands here until they do is plain."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from search_plane.gateway.collection import Neighbour
from search_plane.release.policy import ExperimentPolicy, Mode
from search_plane.understanding.understood import Understood, as_written

T = TypeVar("T")


def synonyms_of(lines: Sequence[str]) -> Any:
    """Stands for understanding.synonyms.synonyms_of, which raises ValueError naming a bad line."""
    return tuple(lines)


def understand(text: str, _lexicon: Any, _synonyms: Any) -> Understood:
    """Stands for understanding.understand.understand: pure, below a millisecond."""
    return as_written(text)


async def with_stored(vectors: Any, neighbours: Sequence[Neighbour], until: float) -> Sequence[Neighbour]:
    """The neighbours with what is stored of them (`.stored`); stands for VectorSearch.with_stored where there is none."""
    if (read := getattr(vectors, "with_stored", None)) is None:
        return neighbours
    found: Sequence[Neighbour] = await read(neighbours, until)
    return found


def arm_of(_key: str, _policy: ExperimentPolicy) -> Mode | None:
    """Stands for experiment.arm_of: the arm of a user's or session's key."""
    return None


class Reranker(Protocol):
    """Orders candidates anew by a cross-encoder."""

    async def order(self, query: str, texts: Sequence[str], until: float) -> list[float] | None:
        """A score for each text, higher is better; None when there was no budget, time or answer."""


class NoReranker:
    """Stands for reranking.Reranker."""

    async def order(self, query: str, texts: Sequence[str], until: float) -> list[float] | None:
        """Never an order."""
        return None
