"""Weighted reciprocal-rank fusion of two orders of products: by meaning and by words. Pure."""

from collections.abc import Sequence
from typing import Final

from search_plane.release.policy import Fusion

# Cormack, Clarke and Büttcher (SIGIR 2009): how little the first ranks differ from those behind them.
K0: Final = 60
# As deep as a first page is fused. Whoever pages on gets what is behind it, in the same order.
TIER: Final = 50


def fuse(semantic: Sequence[str], keyword: Sequence[str], fusion: Fusion) -> list[tuple[str, float]]:
    """Every id of both orders once, best first, with its score: 1.0 is the first of both.

    The score is the weighted sum of 1 / (K0 + rank) over the orders that hold the id, as a share of the most there
    can be. Of equal scores the nearer by meaning comes first, then the better by words: the order is one and the same
    whenever it is computed. An id that an order holds twice counts where it comes first.
    """
    most = (fusion.semantic_weight + fusion.keyword_weight) / (K0 + 1)
    scores: dict[str, float] = {}
    for order, weight in ((semantic, fusion.semantic_weight), (keyword, fusion.keyword_weight)):
        for rank, identifier in enumerate(dict.fromkeys(order), 1):
            scores[identifier] = scores.get(identifier, 0.0) + weight / (K0 + rank)
    # Python's sort is stable, and ids went in by meaning first, then by words.
    return [
        (identifier, score / most if most else 0.0)
        for identifier, score in sorted(scores.items(), key=lambda one: -one[1])
    ]


def fuse_in_tiers(
    semantic: Sequence[str], keyword: Sequence[str], fusion: Fusion, tier: int = TIER
) -> list[tuple[str, float]]:
    """As `fuse`, but what the first `tier` of each order come to is not changed by what lies deeper.

    So a deep search begins with just what a shallow one gave, and pages of one query neither repeat nor skip.
    """
    first = fuse(semantic[:tier], keyword[:tier], fusion)
    if len(semantic) <= tier and len(keyword) <= tier:
        return first
    seen = {identifier for identifier, _ in first}
    least = first[-1][1] if first else 1.0
    behind = [one for one in fuse(semantic, keyword, fusion) if one[0] not in seen]
    # Scores never rise along the list: what is behind a tier is told as no better than the tier's last.
    return first + [(identifier, min(score, least)) for identifier, score in behind]
