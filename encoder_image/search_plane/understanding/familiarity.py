"""How much of a query the catalogue's own words know: 咖啡 of 打工人续命咖啡, nothing of 喵星人. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from search_plane.understanding.features import EMPTY_WORDS, Feature
from search_plane.understanding.lexicon import Lexicon

Span = tuple[int, int]
# The search by words is never without any say.
_LEAST: Final = 0.1


def known_share(text: str, found: Sequence[Feature], sure: Iterable[Span], lexicon: Lexicon) -> float:
    """Of the characters of a folded text that say anything, the share (0.1..1) in words that titles hold.

    `found` are the text's features; `sure` are spans that are known without: names of brands, words with synonyms.
    1 for a lexicon that knows nothing, or a text of which nothing can be known, such as a bare number.
    """
    if not lexicon.words:
        return 1.0
    telling = _places((one.start, one.end) for one in found if one.name not in EMPTY_WORDS)
    telling = {place for place in telling if text[place] not in EMPTY_WORDS}
    if not telling:
        return 1.0
    known = _places((one.start, one.end) for one in found if _is_known(one, lexicon)) | _places(sure)
    return max(_LEAST, round(len(known & telling) / len(telling), 3))


def _is_known(one: Feature, lexicon: Lexicon) -> bool:
    """One Chinese character alone stands in too many words to say anything; a measure is known by its unit."""
    return one.name.startswith("#") or (one.end - one.start > 1 and one.name in lexicon.words)


def _places(spans: Iterable[Span]) -> set[int]:
    return {place for start, end in spans for place in range(start, end)}
