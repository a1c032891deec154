"""Draws products from the vocabularies: the same (seed, position) always gives the same product."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sample_catalogue.product import Labels, PriceBand, Product
from sample_catalogue.words import ProductType, Words, product_types, wording

DEFAULT_COUNT = 2000
DEFAULT_SEED = 7
MAX_PRODUCTS = 10**11
"""Positions beyond this would repeat a SKU."""

NEWEST_UPDATE = datetime(2026, 11, 1)
"""In UTC; no product that `generate` gives was updated later."""

_SKU_STEP = 61_803_398_873  # shares no factor with 10**11, so that stepping by it visits every SKU once
_SEED_STEP = 104_729
_UPDATE_SPREAD_SECONDS = 180 * 24 * 3600

# Shares, chosen to look like a marketplace: most titles praise something, few have a slip.
_TYPO_SHARE = 0.025
_FULL_WIDTH_SHARE = 0.03
_OPENING_SHARE = 0.12
_OUT_OF_STOCK_SHARE = 0.08
_ON_SALE_SHARE = 0.92
_MODEL_SHARE = 0.75
_CODE_SHARE = 0.55
_BAND_WORD_SHARE = {PriceBand.BUDGET: 0.65, PriceBand.MID: 0.3, PriceBand.PREMIUM: 0.5}
_BAND_WHEEL = (PriceBand.BUDGET,) * 9 + (PriceBand.MID,) * 7 + (PriceBand.PREMIUM,) * 4

_CENTS = (0.0, 0.0, 0.9, 0.9, 0.99, 0.8, 0.5)
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_CODE_LETTERS = "ABCDEFGHKLMNPQRSTVWXYZ"
_CODE_ENDS = ("", "", "", " Pro", "S", " Plus", "A", " 2026款")

T = TypeVar("T")
Draw = Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Phrases:
    """What a title says beside the thing's name; "" where it keeps silent."""

    audience: str
    intent: str
    band: str


def sku(seed: int, position: int) -> str:
    """The SKU at a position: "SP" and 11 digits, scattered, each position's own."""
    return f"SP{(position * _SKU_STEP + seed * _SEED_STEP) % MAX_PRODUCTS:011d}"


def generate(count: int = DEFAULT_COUNT, seed: int = DEFAULT_SEED, start: int = 0) -> Iterator[Product]:
    """Yields the products at positions `start` to `start + count - 1`, one at a time, in constant memory.

    Any slice of a catalogue equals the same positions of the whole. Raises ValueError, at the first
    product, for a negative argument or a position of 10**11 and more.
    """
    if min(count, seed, start) < 0 or start + count > MAX_PRODUCTS:
        raise ValueError(f"count, seed and start must not be negative, start + count at most {MAX_PRODUCTS}")
    wheel = tuple(kind for kind in product_types() for _ in range(kind.weight))
    rng = random.Random()  # noqa: S311 - sample data, nothing secret
    for position in range(start, start + count):
        rng.seed(seed << 64 | position)
        yield _product(rng.random, wheel, sku(seed, position))


def _product(draw: Draw, wheel: Sequence[ProductType], number: str) -> Product:
    kind = _pick(draw, wheel)
    price_band = _pick(draw, _BAND_WHEEL)
    band = kind.bands[price_band]
    brand = _pick(draw, band.brands)
    name = _pick(draw, kind.names)
    audience = kind.told.get(name) or _pick(draw, kind.audiences)
    intents = _some(draw, kind.intents, 2)
    features, attributes = _features_and_attributes(draw, kind, name)
    fits_brand, fits_model, fit = _fit(draw, kind, brand)
    phrases = _phrases(draw, audience, intents, price_band)

    title, model = _title(draw, kind, brand, name, fit, features, attributes, phrases)
    typo_title = _with_typo(draw, title) if draw() < _TYPO_SHARE else title
    full_width = draw() < _FULL_WIDTH_SHARE
    shown_title = typo_title.translate(_FULL_WIDTH) if full_width else typo_title

    synonyms = {kind.name: name}
    slogan, said = _description_words(draw, audience, intents, price_band)
    for synonym_class, word in (
        (audience, phrases.audience),
        (intents[0], phrases.intent),
        (wording().bands[price_band].synonym_class, phrases.band),
    ):
        if word:
            synonyms[synonym_class] = word
    meanings = [*kind.meanings, *wording().brand_meanings.get(brand, ())]
    meanings += wording().brand_meanings.get(fits_brand, ())

    return Product(
        sku=number,
        title=shown_title,
        brand=brand,
        category=kind.category,
        category_path=kind.path,
        price=round(int(band.low + draw() ** 1.4 * (band.high - band.low)) + _pick(draw, _CENTS), 2),
        stock=0 if draw() < _OUT_OF_STOCK_SHARE else 1 + int(draw() ** 3 * 5000),
        attributes=attributes,
        description=f"{name}，{'，'.join(features)}。{said}{slogan}",
        updated_at=_updated_at(draw),
        on_sale=draw() < _ON_SALE_SHARE,
        labels=Labels(
            product_type=kind.name,
            department=kind.department,
            audience=audience,
            price_band=price_band,
            intents=intents,
            meanings=frozenset(meanings),
            fits_brand=fits_brand,
            fits_model=fits_model,
            model=model,
            features=features,
            synonyms=synonyms,
            typo=typo_title != title,
            full_width=full_width,
        ),
    )


def _pick(draw: Draw, options: Sequence[T]) -> T:
    return options[int(draw() * len(options))]


def _some(draw: Draw, options: Words, most: int) -> Words:
    """One to `most` different options, by striding through them."""
    first, stride = int(draw() * len(options)), 1 + int(draw() * len(options))
    return tuple(dict.fromkeys([options[(first + step * stride) % len(options)] for step in range(most)]))


def _features_and_attributes(draw: Draw, kind: ProductType, name: str) -> tuple[Words, dict[str, str]]:
    """Up to three features, and attributes that agree with them: a title never says both 5KG and 500g."""
    stated = dict([kind.stated[name]]) if name in kind.stated else {}
    features = []
    for feature in _some(draw, kind.features, 1 + int(draw() * 3)):
        attribute, value = kind.stated.get(feature, ("", ""))
        if attribute not in stated:
            features.append(feature)
            if attribute:
                stated[attribute] = value
    drawn = {key: _pick(draw, values) for key, values in kind.attributes.items()}
    return tuple(features), drawn | stated


def _fit(draw: Draw, kind: ProductType, brand: str) -> tuple[str, str, str]:
    """The brand of phone that an accessory fits, the phone, and the words for it; a maker's own fits its own."""
    if not kind.fits:
        return "", "", ""
    fits_brand = brand if brand in kind.fits else _pick(draw, tuple(kind.fits))
    phone = _pick(draw, kind.fits[fits_brand])
    return fits_brand, phone, phone if brand == fits_brand else _pick(draw, wording().fit_words) + phone


def _intent_words(audience: str, intent: str) -> Words:
    to_whom = {("老人", "送礼"): "送老人", ("儿童", "送礼"): "送孩子"}.get((audience, intent), intent)
    return wording().intents.get(to_whom, (intent,))


def _phrases(draw: Draw, audience: str, intents: Words, price_band: PriceBand) -> _Phrases:
    audience_words = wording().audiences.get(audience, ())
    return _Phrases(
        audience=_pick(draw, audience_words) if audience_words and draw() < 0.5 else "",
        intent=_pick(draw, _intent_words(audience, intents[0])) if draw() < 0.45 else "",
        band=_pick(draw, wording().bands[price_band].words) if draw() < _BAND_WORD_SHARE[price_band] else "",
    )


def _title(
    draw: Draw,
    kind: ProductType,
    brand: str,
    name: str,
    fit: str,
    features: Words,
    attributes: Mapping[str, str],
    phrases: _Phrases,
) -> tuple[str, str]:
    """The title, and the model that it names."""
    shown_brand = _pick(draw, wording().brand_aliases.get(brand, (brand,)))
    models = kind.models.get(brand)
    if models and draw() < _MODEL_SHARE:
        model = _pick(draw, models)
    else:
        model = _code(draw) if kind.has_codes and draw() < _CODE_SHARE else ""
    praise = [phrases.audience, phrases.intent, phrases.band]
    if draw() < 0.5:
        praise.reverse()
    detail = _pick(draw, tuple(attributes.values())) if draw() < 0.5 else ""
    if any(detail in word for word in (name, *features)):
        detail = ""
    opening = _pick(draw, wording().openings) if draw() < _OPENING_SHARE else ""
    # a set of the words said so far: sellers repeat themselves, but not word for word
    said = dict.fromkeys(word for word in (shown_brand, model, fit, name, *features, detail, *praise) if word)
    return opening + (" " if draw() < 0.8 else "").join(said), model


def _code(draw: Draw) -> str:
    """A maker's model number such as "K18 Pro" or "XF3021S"."""
    letters = _pick(draw, _CODE_LETTERS) + (_pick(draw, _CODE_LETTERS) if draw() < 0.5 else "")
    return f"{letters}{int(draw() * (100 if draw() < 0.4 else 9999)) + 1}{_pick(draw, _CODE_ENDS)}"


def _description_words(draw: Draw, audience: str, intents: Words, price_band: PriceBand) -> tuple[str, str]:
    slogan = _pick(draw, wording().bands[price_band].slogans) if draw() < 0.8 else ""
    audience_words = wording().audiences.get(audience, ())
    for_whom = f"适合{_pick(draw, audience_words)}" if audience_words and draw() < 0.7 else "全家适用"
    return slogan, f"{for_whom}，{_pick(draw, _intent_words(audience, intents[-1]))}。"


def _with_typo(draw: Draw, title: str) -> str:
    slips = [right for right in wording().typos if right in title]
    if not slips:
        return title
    right = _pick(draw, slips)
    return title.replace(right, wording().typos[right], 1)


def _updated_at(draw: Draw) -> str:
    # a date without a time zone, because strftime costs five times as much
    return f"{(NEWEST_UPDATE - timedelta(seconds=int(draw() * _UPDATE_SPREAD_SECONDS))).isoformat()}Z"
