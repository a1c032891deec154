"""One query, understood."""

import re

from search_plane.understanding.correcting import corrected
from search_plane.understanding.familiarity import known_share
from search_plane.understanding.features import features
from search_plane.understanding.folding import folded
from search_plane.understanding.kinds import kinds_in
from search_plane.understanding.lexicon import Lexicon
from search_plane.understanding.measures import other_models_of, whole_in
from search_plane.understanding.negation import wanted_of
from search_plane.understanding.price import price_in
from search_plane.understanding.recognition import brands_in
from search_plane.understanding.synonyms import Synonyms
from search_plane.understanding.understood import Understood

MAX_CHARACTERS = 512
_MOST_GROUPS = 16
# No measure and no sum, which have a unit; what it is a number of may follow.
_NUMBER = re.compile(
    r"(?P<number>\d{1,3})(?![\d.a-z]|\s?(?:元|块|寸|英寸|斤|公斤|千克|克|升|毫升|米|厘米|毫米|片|粒|支|瓦|毫安|度|段|码|件))"
)


def understand(text: str, lexicon: Lexicon, synonyms: Synonyms) -> Understood:
    """What `text` asks for. Pure; never raises; under a millisecond. Beyond 512 characters a text is not read."""
    text = folded(text[:MAX_CHARACTERS])[:MAX_CHARACTERS]
    kept = [
        (found.start, found.end)
        for index in (lexicon.brand_index, synonyms.index)
        for found in index.found_in(text)
    ]
    text, corrections = corrected(text, lexicon, kept)
    wanted = wanted_of(text, lexicon)
    price = price_in(wanted.text)
    text = price.rest
    brands = brands_in(text, lexicon)
    whole = tuple(dict.fromkeys((*_numbered(text, brands.spans), *whole_in(text))))
    typed = tuple((one.meant, one.written) for one in corrections if one.meant in text)
    groups = synonyms.groups_in(text)
    found = features(text)
    meant = [(one.start, one.end) for one in synonyms.index.found_in(text)]
    known = known_share(text, found, (*brands.spans, *meant), lexicon)
    return Understood(
        text=text,
        rest=_without(text, brands.spans),
        brands=brands.values,
        brand_certain=brands.certain,
        whole=whole,
        alternatives=(*groups, *typed)[:_MOST_GROUPS],
        excluded=_meaning(wanted.excluded, synonyms),
        price=price.word,
        corrections=corrections,
        brand_spellings=brands.spellings,
        excluded_brands=wanted.brands,
        price_min=price.least,
        price_max=price.most,
        other_models=other_models_of(whole),
        kinds=kinds_in(text, found, groups, lexicon, brands.spans, known),
        fitting=brands.fitting,
        known=known,
    )


def _numbered(text: str, spans: tuple[tuple[int, int], ...]) -> list[str]:
    """A brand's models that are its name and a number: 小米14."""
    found = [(start, end, _NUMBER.match(text, end)) for start, end in spans]
    return [f"{text[start:end]}{match['number']}" for start, end, match in found if match]


def _meaning(excluded: tuple[str, ...], synonyms: Synonyms) -> tuple[str, ...]:
    """Whoever does not want 老人机 does not want a 老年机 either."""
    more = (other for word in excluded for other in synonyms.meaning.get(word, ()))
    return tuple(dict.fromkeys((*excluded, *more)))[:_MOST_GROUPS]


def _without(text: str, spans: tuple[tuple[int, int], ...]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start]} {text[end:]}"
    return " ".join(text.split())
