"""The query as it was understood."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Correction:
    """A word that was taken for another: 蓝芽 for 蓝牙."""

    written: str
    meant: str


@dataclass(frozen=True, slots=True)
class Understood:
    """One query.

    `text` is folded (NFKC, simplified, lower-case Latin) and corrected: what is embedded and looked for; sums of money
    and what is not wanted are left out of it. `brands` are values of the catalogue's brand field that the query names;
    with `brand_certain` only those may be hits, else they are preferred. `rest` is `text` without the brands. `whole`
    are model numbers and measures that must match in one piece (20w, type-c, iphone 15). `alternatives` are groups of
    words of `text` with what means the same, the written word first; a corrected word's group holds what was typed.
    `excluded` are words after a negation (不要, 非). `price` is what price words ask for.

    `brand_spellings` are other names of `brands` as titles write them, for makers of accessories name the brand only
    there. `excluded_brands` are values of the brand field that are not wanted. `price_min` and `price_max` are bounds
    in the catalogue's currency that were said in numbers. `other_models` are longer names than `whole` asks for: who
    wants an iphone 15 does not want an iphone 15 pro. `kinds` are the categories that are likely meant, with their shares
    (0..1). With `fitting` a hit is of one of the `brands` or its title holds one of these names: what is made for a phone
    may be anybody's. `known` is the share (0..1) of the text that titles hold too: the less, the less its words can find.
    """

    text: str
    rest: str
    brands: tuple[str, ...] = ()
    brand_certain: bool = False
    whole: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()
    price: Literal["low", "high"] | None = None
    corrections: tuple[Correction, ...] = ()
    brand_spellings: tuple[str, ...] = ()
    excluded_brands: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    other_models: tuple[str, ...] = ()
    kinds: tuple[tuple[str, float], ...] = ()
    fitting: tuple[str, ...] = ()
    known: float = 1.0


def as_written(text: str) -> Understood:
    """A query of which nothing is known but its text."""
    return Understood(text=text, rest=text)
