"""Weighted reciprocal-rank fusion of two orders of products: by meaning and by words. Pure."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from search_plane.release.policy import Fusion

# Cormack, Clarke and Büttcher (SIGIR 2009): how little the first ranks differ from those behind them.
K0: Final = 60
# As deep as a first page is fused. Whoever pages on gets what is behind it, in the same order.
TIER: Final = 50


def weighed(fusion: Fusion, known: float) -> Fusion:
    """The weights for a query of which the catalogue's words know the share `known` (0..1): the less, the less the
    search by words counts. Slang leans on meaning so, brands and models on both.
    """
    return fusion.model_copy(update={"keyword_weight": fusion.keyword_weight * known})


def fuse(semantic: Sequence[str], keyword: Sequence[str], fusion: Fusion) -> list[tuple[str, float]]:
    """Every id of both orders once, best first, with its score: 1.0 is the first of both.

    The score is the weighted sum of 1 / (K0 + rank) over the orders that hold the id, as a share of the most there
    can be. Of equal scores the nearer by meaning comes first, then the better by words: the order is one and the same
    whenever it is computed. An id that an order holds twice counts where it comes first.
    """
    return _fused(semantic, keyword, fusion, K0 + 1)


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
    least = first[-1][1]
    # Scores never rise along the list: what is behind a tier is told as no better than the tier's last.
    return first + [
        (identifier, min(score, least))
        for identifier, score in _fused(semantic[tier:], keyword[tier:], fusion, K0 + 1 + tier)
        if identifier not in seen
    ]


def _fused(
    semantic: Sequence[str], keyword: Sequence[str], fusion: Fusion, first: int
) -> list[tuple[str, float]]:
    """`first` is K0 and the rank of the orders' first."""
    most = (fusion.semantic_weight + fusion.keyword_weight) / (K0 + 1)
    share = fusion.semantic_weight / most
    scores = {identifier: share / place for place, identifier in enumerate(dict.fromkeys(semantic), first)}
    share = fusion.keyword_weight / most
    known = scores.get
    for place, identifier in enumerate(dict.fromkeys(keyword), first):
        scores[identifier] = known(identifier, 0.0) + share / place
    # Python's sort is stable, also in reverse, and ids went in by meaning first, then by words.
    return sorted(scores.items(), key=itemgetter(1), reverse=True)
