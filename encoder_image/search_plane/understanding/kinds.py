"""Which kind of thing a query asks for, as the catalogue's categories: 手提电脑 is a 笔记本电脑, or a 平板电脑. Pure."""

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Final

from search_plane.understanding.features import EMPTY_WORDS, HAN_RUN, Feature
from search_plane.understanding.lexicon import Lexicon

# What a feature leaves to a category in which it was never seen.
_DOUBT: Final = 0.01
# A modifier stands before what it modifies: the later half of a query counts for more.
_EARLIER: Final = 0.6
_LEAST: Final = 0.12
# Below this share of the likeliest nothing is known.
_LIKELY: Final = 0.4
# How much of a share is left when one pair of characters tells it, and the rest of the query is not known.
_ALONE: Final = 0.3
_MOST: Final = 3
_MOST_FEATURES: Final = 24
_LONGEST_ENDING: Final = 4


def kinds_in(
    text: str,
    found: Sequence[Feature],
    alternatives: Sequence[Sequence[str]],
    lexicon: Lexicon,
    brands: Sequence[tuple[int, int]] = (),
    known: float = 1.0,
) -> tuple[tuple[str, float], ...]:
    """The likeliest categories of a folded text with their shares (0..1), the likeliest first; () for none likely.

    Told by pairs of characters and words that few categories' titles hold, by synonyms, and by categories whose names
    end as the text does: 手表 is a 智能手表 or a 儿童手表. `found` are the text's features. What reaches into the names of
    `brands` or into a measure tells no kind: 苹果手机 is no fruit, 大米10斤装 no dog food, though that is 20斤装.
    A kind that one pair of characters alone tells is hardly trusted where less than all of the text is `known` (0..1):
    汪星人的口粮 is no tea, though 口粮茶 is.
    """
    evidence: list[tuple[float, Mapping[str, float]]] = []
    spans = [*brands, *((one.start, one.end) for one in found if one.name.startswith("#"))]
    taken = {place for start, end in spans for place in range(start, end)}
    named = set(lexicon.telling(found))
    for one in found:
        if not one.name.startswith("#") and not taken.isdisjoint((one.start, one.end - 1)):
            continue
        if one.name in named and one.name in lexicon.concentrated and _tells_kind(one.name):
            late = one.end / max(1, len(text))
            evidence.append((_EARLIER + (1 - _EARLIER) * late, lexicon.concentrated[one.name]))
    named_alike = [{word: 1.0} for group in alternatives for word in group[1:] if word in lexicon.categories]
    if ending := _ending_alike(text, lexicon):
        named_alike.insert(0, ending)
    evidence = [*((1.0, places) for places in named_alike), *evidence]
    evidence = evidence[:_MOST_FEATURES]
    if not evidence:
        return ()
    likely = {
        category: sum(weight * log(places.get(category, 0.0) + _DOUBT) for weight, places in evidence)
        for category in {category for _, places in evidence for category in places}
    }
    best = max(likely.values())
    shares = {category: exp(value - best) for category, value in likely.items()}
    total = sum(shares.values())
    if 1 / total < _LIKELY:
        return ()
    trust = 1.0 if named_alike or len(evidence) > 1 or known == 1.0 else _ALONE
    ranked = sorted(shares, key=lambda category: (-shares[category], category))[:_MOST]
    return tuple(
        (category, round(trust * shares[category] / total, 3))
        for category in ranked
        if shares[category] / total >= _LEAST
    )


def _ending_alike(text: str, lexicon: Lexicon) -> dict[str, float]:
    """Of the categories that end with the longest ending of the text, the share of their products."""
    for length in range(_LONGEST_ENDING, 1, -1):
        ending = text[-length:]
        if len(ending) < length or not HAN_RUN.fullmatch(ending):
            continue
        alike = {category: n for category, n in lexicon.categories.items() if category.endswith(ending)}
        if total := sum(alike.values()):
            return {category: count / total for category, count in alike.items()}
    return {}


def _tells_kind(name: str) -> bool:
    """Not one character alone, which many words hold, nor the number of a model, which all that fits it names too."""
    if any(character.isdigit() for character in name):
        return False
    return len(name) > 1 and not EMPTY_WORDS & set(name)
