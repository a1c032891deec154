"""What a brand's name means in titles: the brand, what an accessory fits, or another thing altogether."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Final, Protocol

from search_plane.understanding.brand_names import FIT_WORDS, WHAT_FITS
from search_plane.understanding.features import features
from search_plane.understanding.folding import is_han
from search_plane.understanding.spelling_index import SpellingIndex

Counts = Mapping[str, int]
Chances = Mapping[str, float]

_CLIPPED: Final = 3.0
_DOUBT: Final = 0.002
_SEEN_IN: Final = 2
_CONCENTRATED: Final = 0.8
_FEW: Final = 4
_LEAST: Final = 3
_BEFORE: Final = 4


class Placed(Protocol):
    """A product of the sample with a folded title."""

    @property
    def text(self) -> str: ...
    @property
    def brand(self) -> str: ...
    @property
    def category(self) -> str: ...


@dataclass(slots=True)
class Senses:
    """Sampled titles by category: the brand's `own`, others' that it `fitted`, and where its name is an `other` thing.

    `beside_brand` and `beside_other` count what stands right beside the name in the two meanings.
    """

    own: Counter[str] = field(default_factory=Counter)
    fitted: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    beside_brand: Counter[str] = field(default_factory=Counter)
    beside_other: Counter[str] = field(default_factory=Counter)

    def beside(self) -> dict[str, float]:
        """By what stands beside the name, how much likelier the brand is meant (logarithm, -3..3)."""
        brand, other = 1 + self.beside_brand.total(), 1 + self.beside_other.total()
        return {
            key: _clipped(
                log((self.beside_brand[key] + 0.5) / brand * other / (self.beside_other[key] + 0.5))
            )
            for key in self.beside_brand | self.beside_other
        }


def senses_of(
    titles: Sequence[Placed],
    index: SpellingIndex,
    spellings: Mapping[str, tuple[str, ...]],
    of_brand: Mapping[str, Counts],
    series: Mapping[str, str],
) -> dict[str, Senses]:
    """By value of the brand field. A name in a category where the brand sells nothing is taken for another thing's.

    `series` are names of a brand's models, which accessories name instead: iphone.
    """
    senses: dict[str, Senses] = {value: Senses() for value in of_brand}
    for title in titles:
        if title.brand in senses:
            senses[title.brand].own[title.category] += 1
        fitted = {series[name] for name in WHAT_FITS.findall(title.text) if name in series} - {title.brand}
        for value in fitted & senses.keys():
            senses[value].fitted[title.category] += 1
        seen = set(fitted)
        for found in index.found_in(title.text):
            fits = follows_fit_word(title.text, found.start)
            for value in spellings[found.spelling]:
                sense = senses[value]
                by_brand = fits or value == title.brand
                (sense.beside_brand if by_brand else sense.beside_other).update(
                    neighbours(title.text, found.start, found.end)
                )
                if value == title.brand or value in seen:
                    continue
                seen.add(value)
                if fits:
                    sense.fitted[title.category] += 1
                elif title.category not in of_brand[value]:
                    sense.other[title.category] += 1
    for sense in senses.values():
        # What one title alone shows may be a slip.
        sense.other = Counter(
            {category: count for category, count in sense.other.items() if count >= _SEEN_IN}
        )
    return senses


def follows_fit_word(text: str, start: int) -> bool:
    """Whether 适用 or the like stands right before text[start:]."""
    return text[max(0, start - _BEFORE) : start].rstrip().endswith(FIT_WORDS)


def neighbours(text: str, start: int, end: int) -> list[str]:
    """What stands right before and after text[start:end]: a Chinese character, or # for a number without a unit."""
    found: list[str] = []
    if start and is_han(text[start - 1]):
        found.append(f"{text[start - 1]}<")
    if end < len(text):
        if is_han(text[end]):
            found.append(f">{text[end]}")
        elif text[end].isdigit() and not any(
            one.start == end and one.name.startswith("#") for one in features(text[end : end + 12], end)
        ):
            found.append(">#")
    return found


def chances_of(places: Mapping[str, Counts], held: Counts) -> dict[str, Chances]:
    """By feature, the share (0..1) of each category's titles that hold it."""
    return {
        name: {category: count / held[category] for category, count in counts.items()}
        for name, counts in places.items()
    }


def concentrated_of(places: Mapping[str, Counts]) -> dict[str, Chances]:
    """The features that lie for four fifths in four categories or fewer, with the share of each category."""
    found: dict[str, Chances] = {}
    for name, counts in places.items():
        total = sum(counts.values())
        if total >= _LEAST and sum(sorted(counts.values(), reverse=True)[:_FEW]) >= _CONCENTRATED * total:
            found[name] = {category: count / total for category, count in counts.items()}
    return found


def leaning(places: Chances, ours: Counts, others: Counts, most: int) -> float | None:
    """How much likelier a feature is in the brand's categories than in the other thing's (logarithm, -3..3).

    `places` are the feature's chances by category. Without `others` those are all of the `most` categories that are not
    the brand's. None for a feature that neither knows.
    """
    of_brand = _mean(places, ours)
    if others:
        of_other = _mean(places, others)
    else:
        elsewhere = sum(chance for category, chance in places.items() if category not in ours)
        of_other = elsewhere / max(1, most - len(ours))
    if not of_brand and not of_other:
        return None
    return _clipped(log((of_brand + _DOUBT) / (of_other + _DOUBT)))


def _mean(places: Chances, categories: Counts) -> float:
    held = sum(chance * categories.get(category, 0) for category, chance in places.items())
    return held / sum(categories.values()) if held else 0.0


def _clipped(value: float) -> float:
    return max(-_CLIPPED, min(_CLIPPED, value))
