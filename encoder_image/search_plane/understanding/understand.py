"""One query, understood."""

from search_plane.understanding.correcting import corrected
from search_plane.understanding.folding import folded
from search_plane.understanding.lexicon import Lexicon
from search_plane.understanding.measures import other_models_of, whole_in
from search_plane.understanding.negation import wanted_of
from search_plane.understanding.price import price_in
from search_plane.understanding.recognition import brands_in
from search_plane.understanding.synonyms import Synonyms
from search_plane.understanding.understood import Understood

MAX_CHARACTERS = 512
_MOST_GROUPS = 16


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
    whole = whole_in(text)
    typed = tuple((one.meant, one.written) for one in corrections if one.meant in text)
    return Understood(
        text=text,
        rest=_without(text, brands.spans),
        brands=brands.values,
        brand_certain=brands.certain,
        whole=whole,
        alternatives=(*synonyms.groups_in(text), *typed)[:_MOST_GROUPS],
        excluded=wanted.excluded,
        price=price.word,
        corrections=corrections,
        brand_spellings=brands.spellings,
        excluded_brands=wanted.brands,
        price_min=price.least,
        price_max=price.most,
        other_models=other_models_of(whole),
    )


def _without(text: str, spans: tuple[tuple[int, int], ...]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start]} {text[end:]}"
    return " ".join(text.split())
