"""Reads the hand-written vocabularies in `vocabulary/*.toml` into typed values, once per process."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sample_catalogue.product import PriceBand

SEPARATOR = "、"
PRODUCT_FILES = ("digital.toml", "appliances.toml", "health_and_food.toml", "family_and_home.toml")

Words = tuple[str, ...]


class VocabularyError(ValueError):
    """A vocabulary file says something that can't be used; the message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Band:
    """One price band of one product type: whole yuan, `low` <= price < `high`, and who sells there."""

    low: int
    high: int
    brands: Words


@dataclass(frozen=True, slots=True)
class ProductType:
    """One kind of product, with its own names, prices, brands, features and attributes.

    `stated` maps a feature or name to the (attribute, value) that it gives away: 67W快充 -> (功率, 67W);
    `told` maps a name to the audience that it gives away: 儿童电动牙刷 -> 儿童.
    """

    name: str
    path: str
    department: str
    category: str
    names: Words
    weight: int
    has_codes: bool
    bands: Mapping[PriceBand, Band]
    features: Words
    audiences: Words
    intents: Words
    meanings: Words
    fits: Mapping[str, Words]
    attributes: Mapping[str, Words]
    models: Mapping[str, Words]
    stated: Mapping[str, tuple[str, str]]
    told: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BandWords:
    """The words that praise a price band, and the synonym class that they belong to."""

    synonym_class: str
    words: Words
    slogans: Words


@dataclass(frozen=True, slots=True)
class Wording:
    """How sellers speak, whatever they sell."""

    brand_aliases: Mapping[str, Words]
    brand_meanings: Mapping[str, Words]
    bands: Mapping[PriceBand, BandWords]
    audiences: Mapping[str, Words]
    intents: Mapping[str, Words]
    openings: Words
    revisions: Words
    fit_words: Words
    typos: Mapping[str, str]


def _split(text: str) -> Words:
    return tuple(word.strip() for word in text.split(SEPARATOR) if word.strip())


def _split_values(table: Mapping[str, str]) -> dict[str, Words]:
    return {key: _split(text) for key, text in table.items()}


def _read(file: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("sample_catalogue").joinpath("vocabulary", file).read_text("utf-8"))


def _band(entry: Mapping[str, Any]) -> Band:
    low, high = entry["price"]
    if not 0 < low < high:
        raise VocabularyError(f"price {low}-{high} is not a range of whole yuan")
    return Band(low, high, _split(entry["brands"]))


def _stated(phrases: Words, attributes: Mapping[str, Words]) -> dict[str, tuple[str, str]]:
    """Which attribute a phrase gives away: the longest value that it starts or ends with."""
    values = [(key, value) for key, words in attributes.items() for value in words]
    values.sort(key=lambda pair: len(pair[1]), reverse=True)
    return {
        phrase: pair
        for phrase in phrases
        for pair in [next((pair for pair in values if _says(phrase, pair[1])), None)]
        if pair is not None
    }


def _says(phrase: str, value: str) -> bool:
    return phrase.startswith(value) or phrase.endswith(value)


def _told(names: Words, audiences: Words) -> dict[str, str]:
    words = wording().audiences
    return {
        name: audience
        for audience in audiences
        for name in names
        if any(word in name for word in words.get(audience, ()))
    }


def _product_type(entry: Mapping[str, Any]) -> ProductType:
    steps = entry["path"].split("/")
    bands = {band: _band(entry[band.value]) for band in PriceBand}
    if not bands[PriceBand.BUDGET].high <= bands[PriceBand.MID].low:
        raise VocabularyError("budget and mid prices overlap")
    if not bands[PriceBand.MID].high <= bands[PriceBand.PREMIUM].low:
        raise VocabularyError("mid and premium prices overlap")
    names, audiences = _split(entry["names"]), _split(entry["audiences"])
    features, attributes = _split(entry["features"]), _split_values(entry["attributes"])
    return ProductType(
        name=entry["name"],
        path=entry["path"],
        department=steps[0],
        category=steps[-1],
        names=names,
        weight=entry["weight"],
        has_codes=entry.get("codes", False),
        bands=bands,
        features=features,
        audiences=audiences,
        intents=_split(entry["intents"]),
        meanings=_split(entry.get("meanings", "")),
        fits=_split_values(entry.get("fits", {})),
        attributes=attributes,
        models=_split_values(entry.get("models", {})),
        stated=_stated(names + features, attributes),
        told=_told(names, audiences),
    )


@cache
def product_types() -> tuple[ProductType, ...]:
    """Every product type, in the order of the files. Raises VocabularyError for a bad entry."""
    found: list[ProductType] = []
    for file in PRODUCT_FILES:
        for entry in _read(file)["type"]:
            try:
                found.append(_product_type(entry))
            except (KeyError, VocabularyError) as error:
                raise VocabularyError(
                    f"{file}: {entry.get('name', 'an entry without a name')}: {error}"
                ) from error
    return tuple(found)


@cache
def wording() -> Wording:
    """What `wording.toml` holds. Raises KeyError for a missing table."""
    tables = _read("wording.toml")
    bands = {
        band: BandWords(entry["class"], _split(entry["words"]), _split(entry["slogans"]))
        for band in PriceBand
        for entry in [tables["bands"][band.value]]
    }
    titles = tables["titles"]
    return Wording(
        brand_aliases=_split_values(tables["brand_aliases"]),
        brand_meanings=_split_values(tables["brand_meanings"]),
        bands=bands,
        audiences=_split_values(tables["audiences"]),
        intents=_split_values(tables["intents"]),
        openings=_split(titles["openings"]),
        revisions=_split(titles["revisions"]),
        fit_words=_split(titles["fit_words"]),
        typos=dict(tables["typos"]),
    )
