"""Which brands a query names, and how sure that is: 小米 in 小米手机充电器 and in 熬粥的小米."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final

from search_plane.understanding.brand_names import FIT_WORDS
from search_plane.understanding.features import EMPTY_WORDS, features
from search_plane.understanding.folding import is_han
from search_plane.understanding.lexicon import Brand, Lexicon
from search_plane.understanding.senses import follows_fit_word, leaning, neighbours
from search_plane.understanding.spelling_index import Found

_MOST: Final = 4
# Of a long text only so much is judged.
_LOOKED_AT: Final = 6
_MOST_TELLING: Final = 32
_MOST_SPELLINGS: Final = 16
# Logarithms of how much likelier the rest of a query is with the brand than with the word's other meaning.
_SURE: Final = 1.0
_UNLIKELY: Final = -0.5
# Below this share of its own among the titles that name the brand, its name is said of what fits it.
_OWN_SHARE: Final = 0.4
# Below this share others make as much for the brand's phones that it may be theirs too.
_FITTING_SHARE: Final = 0.8
_FITTED: Final = 2
_DOUBT: Final = 5e-4
_MOSTLY: Final = 0.7
_SHORT: Final = 2


class Sureness(IntEnum):
    """How sure it is that a query asks for a brand."""

    NO = 0
    PREFERRED = 1
    CERTAIN = 2


@dataclass(frozen=True, slots=True)
class NamedBrands:
    """Values of the brand field that a query names, whether only these may be hits, and where their names stand.

    `fitting`: where a brand is named as that of the phone which an accessory fits, all names by which titles say so.
    """

    values: tuple[str, ...] = ()
    certain: bool = False
    spellings: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    fitting: tuple[str, ...] = ()


def brands_in(text: str, lexicon: Lexicon) -> NamedBrands:
    """The brands that a folded text names, at most 4."""
    named = list(islice(lexicon.brand_index.found_in(text), _LOOKED_AT))
    if not named:
        return NamedBrands()
    # Neither a brand's own characters nor a pair that reaches into them says anything of the kind of thing.
    taken = {place for found in named for place in range(found.start, found.end)}
    outside = [one for one in features(text) if one.start not in taken and one.end - 1 not in taken]
    telling = list(dict.fromkeys(lexicon.telling(outside)))[:_MOST_TELLING]
    values: dict[str, Sureness] = {}
    spans: list[tuple[tuple[int, int], str]] = []
    for found in named:
        for value in lexicon.spellings[found.spelling]:
            sure = _sureness(text, found, lexicon.brands[value], telling, lexicon)
            if sure is not Sureness.NO:
                values[value] = max(sure, values.get(value, Sureness.NO))
                spans.append(((found.start, found.end), value))
    chosen = tuple(value for value in values if not _is_other_things_name(value, values, lexicon))[:_MOST]
    certain = bool(chosen) and all(values[value] is Sureness.CERTAIN for value in chosen)
    spellings = dict.fromkeys(spelling for value in chosen for spelling in lexicon.brands[value].spellings)
    named_at = dict.fromkeys(span for span, value in spans if value in chosen)
    fitting: dict[str, None] = {}
    if chosen and all(
        _own_share(text, found, lexicon.brands[value], telling, lexicon) < _FITTING_SHARE
        for found in named
        for value in lexicon.spellings[found.spelling]
        if value in chosen
    ):
        series = (name for value in chosen for name in lexicon.brands[value].series)
        fitting = dict.fromkeys((*spellings, *series))
    return NamedBrands(
        chosen,
        certain,
        tuple(spellings)[:_MOST_SPELLINGS],
        tuple(named_at),
        tuple(fitting)[:_MOST_SPELLINGS],
    )


def _is_other_things_name(value: str, values: dict[str, Sureness], lexicon: Lexicon) -> bool:
    """Whether a brand that is surely named sells that other thing: 小米 beside a brand of millet."""
    other = lexicon.brands[value].other_senses.keys()
    return values[value] is Sureness.PREFERRED and any(
        sure is Sureness.CERTAIN and other & lexicon.brands[named].categories.keys()
        for named, sure in values.items()
    )


def _sureness(text: str, found: Found, brand: Brand, telling: Sequence[str], lexicon: Lexicon) -> Sureness:
    if brand.common_word:
        sure = _of_common_word(text, found, brand, telling, lexicon)
    else:
        sure = _of_own_name(text, found, brand, telling, lexicon)
    if sure is Sureness.CERTAIN and _own_share(text, found, brand, telling, lexicon) < _OWN_SHARE:
        return Sureness.PREFERRED
    return sure


def _of_common_word(
    text: str, found: Found, brand: Brand, telling: Sequence[str], lexicon: Lexicon
) -> Sureness:
    """By which meaning makes the rest of the query likelier."""
    beside = [brand.beside[key] for key in neighbours(text, found.start, found.end) if key in brand.beside]
    most = len(lexicon.categories)
    leanings = [
        leaning(lexicon.chances[name], brand.categories, brand.other_senses, most) for name in telling
    ]
    known = [one for one in leanings if one is not None]
    if telling and not known and not beside:
        # The rest is of neither meaning: a third one.
        return Sureness.NO
    likelier = sum(known) + sum(beside)
    if likelier >= _SURE:
        return Sureness.CERTAIN
    return Sureness.PREFERRED if likelier > _UNLIKELY else Sureness.NO


def _of_own_name(text: str, found: Found, brand: Brand, telling: Sequence[str], lexicon: Lexicon) -> Sureness:
    """Certain, but where the rest names a kind of thing that the brand does not sell."""
    sold = {*brand.categories, *brand.fitted}
    shares = [
        sum(share for category, share in lexicon.concentrated[name].items() if category in sold)
        for name in telling
        if name in lexicon.concentrated
    ]
    is_short = len(found.spelling) == _SHORT and is_han(found.spelling[0])
    if shares and max(shares) == 0.0:
        return Sureness.NO if is_short else Sureness.PREFERRED
    amid = found.start > 0 and is_han(text[found.start - 1]) and text[found.start - 1] not in EMPTY_WORDS
    return Sureness.PREFERRED if is_short and amid and not shares else Sureness.CERTAIN


def _own_share(text: str, found: Found, brand: Brand, telling: Sequence[str], lexicon: Lexicon) -> float:
    """Of the products that the query may mean, the share that the brand makes itself; others make what fits its own."""
    if follows_fit_word(text, found.start) or any(word in text[found.end :] for word in FIT_WORDS[:-1]):
        return 0.0
    accessory = [name for name in telling if _tells_accessory(name, brand, lexicon)]
    if not accessory or sum(brand.fitted.values()) < _FITTED:
        return 1.0
    weights = dict.fromkeys({**brand.own, **brand.fitted}, 1.0)
    for name in accessory:
        chances = lexicon.chances[name]
        for category in weights:
            weights[category] *= chances.get(category, 0.0) + _DOUBT
    fitted = sum(weights[category] * count for category, count in brand.fitted.items())
    own = sum(weights[category] * count for category, count in brand.own.items())
    return own / (own + fitted)


def _tells_accessory(name: str, brand: Brand, lexicon: Lexicon) -> bool:
    """Whether a feature is mostly of kinds of things that other makers make for the brand's."""
    places = lexicon.concentrated.get(name, {})
    return sum(share for category, share in places.items() if category in brand.fitted) >= _MOSTLY
