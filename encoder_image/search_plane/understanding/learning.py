"""A lexicon from what the catalogue holds: its (brand, category) pairs and a sample of its titles. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search_plane.understanding.brand_names import aliases_in_titles, series_in_titles, spellings_of
from search_plane.understanding.features import features
from search_plane.understanding.folding import folded
from search_plane.understanding.lexicon import Brand, Lexicon
from search_plane.understanding.senses import Chances, Senses, chances_of, concentrated_of, senses_of
from search_plane.understanding.spelling_index import SpellingIndex
from search_plane.understanding.words import frequent_of, near_latin, sounding, typed_as, words_of


@dataclass(frozen=True, slots=True)
class Title:
    """One product of the sample; `brand` and `category` are values of the fields."""

    text: str
    brand: str = ""
    category: str = ""


def lexicon_of(pairs: Mapping[tuple[str, str], int], sample: Iterable[Title]) -> Lexicon:
    """The lexicon of a catalogue with `pairs` of (brand, category) and their number of products.

    About 0.2 ms a title: call it in a thread.
    """
    titles = [Title(folded(title.text), title.brand, title.category) for title in sample]
    if not pairs:
        pairs = Counter((title.brand, title.category) for title in titles)
    in_category: Counter[str] = Counter()
    of_brand: dict[str, Counter[str]] = defaultdict(Counter)
    for (value, category), products in pairs.items():
        in_category[category] += products
        if value.strip():
            of_brand[value][category] += products

    own_names = {value: spellings_of(value) for value in of_brand}
    aliases = aliases_in_titles(titles, own_names)
    names = {value: own + aliases.get(value, ()) for value, own in own_names.items()}
    spellings = _by_spelling(
        names, {value: sum(categories.values()) for value, categories in of_brand.items()}
    )
    index = SpellingIndex.of(spellings)
    # A category's own name counts as one of its titles.
    named = [Title(folded(category), "", category) for category in in_category]
    chances, concentrated = _places([*named, *titles])
    series = series_in_titles(titles)
    senses = senses_of(titles, index, spellings, of_brand, series)
    brands = {
        value: _brand(value, names[value], of_brand[value], senses[value], series)
        for value in of_brand
        if names[value]
    }
    words = words_of([*(title.text for title in (*named, *titles)), *spellings])
    frequent = frequent_of(words, spellings, [title.text for title in titles])
    return Lexicon(
        brands=brands,
        spellings=spellings,
        brand_index=index,
        categories=in_category,
        titles=len(titles),
        words=words,
        sounding=sounding(frequent),
        typed=typed_as(frequent, words),
        near_latin=near_latin(frequent),
        chances=chances,
        concentrated=concentrated,
    )


def _brand(
    value: str,
    names: tuple[str, ...],
    categories: Mapping[str, int],
    senses: Senses,
    series: Mapping[str, str],
) -> Brand:
    common = bool(senses.other) or all(name.isdigit() for name in names)
    return Brand(
        value=value,
        spellings=tuple(sorted(names, key=len)),
        products=sum(categories.values()),
        categories=categories,
        other_senses=senses.other,
        fitted=senses.fitted,
        series=tuple(name for name, brand in series.items() if brand == value and name not in names),
        own=senses.own,
        beside=senses.beside() if common else {},
        common_word=common,
    )


def _by_spelling(
    names: Mapping[str, tuple[str, ...]], products: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    values: dict[str, list[str]] = defaultdict(list)
    for value in sorted(names, key=lambda value: (-products[value], value)):
        for spelling in names[value]:
            values[spelling].append(value)
    return {spelling: tuple(dict.fromkeys(found)) for spelling, found in values.items()}


def _places(titles: Iterable[Title]) -> tuple[dict[str, Chances], dict[str, Chances]]:
    """By feature: the share of each category's titles that hold it; and for telling features their titles' shares."""
    places: dict[str, Counter[str]] = defaultdict(Counter)
    held: Counter[str] = Counter()
    for title in titles:
        held[title.category] += 1
        for name in {feature.name for feature in features(title.text)}:
            places[name][title.category] += 1
    return chances_of(places, held), concentrated_of(places)
